"""The table of moves: whole, lettered once, told in the README, and followed only by one function."""

import re

from console.environment import ROOT
from console.lifecycle.states import MOVES
from console.lifecycle.sweep import BELLS, EXPIRES
from console.models import FINAL, LIVE, PENDING, State

ARROWS = {letter: (here, to) for here, row in MOVES.items() for to, letter in row.items()}


def readme_rows() -> dict[str, tuple[str, str, str]]:
    text = (ROOT / "README.md").read_text()
    rows = re.findall(r"^\| ([A-Z]{1,2}) \| ([a-z ]+), ([a-z ]+) \| (.+) \|$", text, flags=re.MULTILINE)
    return {letter: (here, to, why) for letter, here, to, why in rows}


def test_every_state_has_a_row() -> None:
    assert set(MOVES) == set(State)


def test_every_arrow_has_a_letter_of_its_own() -> None:
    assert len(ARROWS) == sum(len(row) for row in MOVES.values())


def test_nothing_leaves_a_final_state_and_everything_else_can_end() -> None:
    assert {state for state, row in MOVES.items() if not row} == set(FINAL)
    for start in LIVE:
        seen, edge = {start}, [start]
        while edge:
            edge = [to for here in edge for to in MOVES[here] if to not in seen]
            seen |= set(edge)
        assert seen & set(FINAL)


def test_every_state_can_be_reached_from_submission() -> None:
    seen, edge = {State.RECEIVED}, [State.RECEIVED]
    while edge:
        edge = [to for here in edge for to in MOVES[here] if to not in seen]
        seen |= set(edge)
    assert seen == set(State)


def test_nothing_is_committed_but_by_way_of_an_approval() -> None:
    without = {state: {to for to in row if to is not State.APPROVED} for state, row in MOVES.items()}
    seen, edge = {State.RECEIVED}, [State.RECEIVED]
    while edge:
        edge = [to for here in edge for to in without[here] if to not in seen]
        seen |= set(edge)
    assert not seen & {State.COMMITTING, State.COMMITTED, State.COMMIT_FAILED, State.OUTCOME_UNKNOWN}


def test_an_unknown_outcome_is_never_sent_again() -> None:
    assert set(MOVES[State.OUTCOME_UNKNOWN]) == {State.COMMITTED, State.COMMIT_FAILED}


def test_the_readme_tells_every_arrow_with_its_letter_and_its_ends() -> None:
    told = readme_rows()
    assert set(told) == set(ARROWS)

    def plain(state: State) -> str:
        return state.label.lower()

    for letter, (here, to) in ARROWS.items():
        assert told[letter][:2] == (plain(here), plain(to)), letter


def test_a_bell_rings_for_every_state_that_waits_for_a_worker() -> None:
    # A task waits for a person, and for the worker who looks whether its time is over.
    waiting_for_people_alone = {State.IN_REVIEW, State.CHANGES_REQUESTED}
    assert set(BELLS) == set(LIVE) - waiting_for_people_alone


def test_everything_that_nobody_sent_can_expire() -> None:
    assert {state for state, row in MOVES.items() if State.EXPIRED in row} == set(EXPIRES)
    assert set(PENDING) <= set(EXPIRES)
