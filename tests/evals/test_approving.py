"""Who approves everything: how soon, how seldom falsely, what no test could do better. Seeds are fixed and printed."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator

import pytest

from console.evals import approving
from console.evals.approving import Answered

SEED = 20261123
SITES = list(itertools.product((0.03, 0.05, 0.08, 0.12, 0.20), (0.02, 0.05)))
MEDIAN = 40.0
"""Seconds that half of the others' looks stay below."""
WIDE = 0.6
"""How widely one person's looks differ, in natural logarithms; with it a look of 15 seconds to one of 107."""


def tell(line: str) -> None:
    """Into the test's output, which shows the seeds of a simulation."""
    print(line)  # noqa: T201 a simulation shows its seed and its figures


def honest(
    chance: random.Random, many: int, *, override: float, tests: float, times_as_fast: float
) -> Iterator[Answered]:
    """Answers of somebody who looks: every twenty they have another kind of day, a third quicker or slower."""
    day = 0.0
    for number in range(many):
        if number % 20 == 0:
            day = chance.gauss(0, 0.3)
        look = MEDIAN / times_as_fast * math.exp(day + chance.gauss(0, WIDE))
        hurried = approving.is_hurried(look, MEDIAN, 0)
        if chance.random() < tests:
            caught = chance.random() < 1 - approving.MISSED
            yield Answered(otherwise=caught, caught=caught, hurried=hurried)
        else:
            yield Answered(otherwise=chance.random() < override, hurried=hurried)


def stamps(chance: random.Random, many: int, *, tests: float, seconds: float | None) -> Iterator[Answered]:
    """Answers of somebody who approves everything, in about so many seconds or (None) as slowly as the others."""
    for _ in range(many):
        look = (seconds or MEDIAN) * math.exp(chance.gauss(0, WIDE))
        caught = False if chance.random() < tests else None
        yield Answered(otherwise=False, caught=caught, hurried=approving.is_hurried(look, MEDIAN, 0))


@pytest.mark.parametrize(("override", "tests"), SITES)
def test_who_hardly_looks_is_found_within_fifty_at_every_site(override: float, tests: float) -> None:
    chance = random.Random(SEED)
    trials = 300
    found = sum(
        approving.first_found(
            stamps(chance, approving.WITHIN, tests=tests, seconds=3.0), approving.test_for(override, tests)
        )
        is not None
        for _ in range(trials)
    )
    tell(f"seed {SEED}, overrides {override:.0%}, tests {tests:.0%}: {found} of {trials} found within 50")
    assert found >= 0.99 * trials


@pytest.mark.parametrize(("override", "tests"), SITES)
def test_who_approves_everything_slowly_is_found_as_soon_as_the_console_says(
    override: float, tests: float
) -> None:
    chance = random.Random(SEED)
    test, trials = approving.test_for(override, tests), 1000
    after = approving.noticed_after(test)
    within = {approving.WITHIN: 0, after: 0}
    for _ in range(trials):
        found = approving.first_found(stamps(chance, after, tests=tests, seconds=None), test)
        for answers in within:
            within[answers] += found is not None and found.count <= answers
    said, best = (
        approving.found_within(test, approving.WITHIN),
        approving.best_possible(test.usual, test.tests),
    )
    tell(
        f"seed {SEED}, overrides {override:.0%}, tests {tests:.0%}: {within[approving.WITHIN]} of {trials} found within"
        f" 50 (said {said:.0%}, no test above {best:.0%}), {within[after]} within {after}"
    )
    assert abs(within[approving.WITHIN] - trials * said) <= 3 * math.sqrt(trials / 4)
    assert within[after] >= 0.9 * trials - 3 * math.sqrt(0.09 * trials)
    # Where fifty answers cannot do it, it is arithmetic: the best of all tests is not much better.
    assert said >= approving.POWER or said >= best - 0.16


@pytest.mark.parametrize("times_as_fast", [1.0, 2.0, 3.0, 4.0])
def test_who_looks_is_told_of_falsely_less_than_once_in_a_thousand_answers_however_fast(
    times_as_fast: float,
) -> None:
    many, falsely, hurried = 25_000, 0, 0
    for override, tests in SITES:
        chance = random.Random(SEED)
        test, start = approving.test_for(override, tests), 0
        answers = list(honest(chance, many, override=override, tests=tests, times_as_fast=times_as_fast))
        while (found := approving.first_found(itertools.islice(answers, start, None), test)) is not None:
            falsely, hurried, start = falsely + 1, hurried + found.hurried, start + found.count
    answered = many * len(SITES)
    tell(f"seed {SEED}, {times_as_fast:g} times as fast: {falsely} of {answered}, {hurried} of them by hurry")
    assert falsely <= answered / 1000
    assert hurried <= answered / 5000


@pytest.mark.parametrize(("override", "tests"), [*SITES, (0.01, 0.0), (0.5, 0.05), (0.034, 0.049)])
def test_the_share_of_false_flags_is_kept_by_arithmetic_at_every_site(override: float, tests: float) -> None:
    test = approving.test_for(override, tests)
    assert approving.rate(test) <= approving.FALSE
    assert test.usual <= max(override, approving.LEAST_USUAL)
    assert approving.FALSE + math.exp(-approving.HURRIED) <= 0.001 + 1e-12


def test_the_share_of_tests_that_is_recommended_is_enough_and_the_one_below_is_not() -> None:
    assert approving.share_for(0.12) == 0
    assert approving.share_for(0.01) is None
    for usual in (0.03, 0.05, 0.08):
        share = approving.share_for(usual)
        assert share is not None
        assert approving.found_within(approving.test_for(usual, share), 50) >= 0.9
        assert approving.found_within(approving.test_for(usual, share - approving.STEP), 50) < 0.9


def test_three_percent_overrides_and_two_percent_tests_are_out_of_reach_for_any_test() -> None:
    assert round(0.97**50, 2) == 0.22
    assert approving.best_possible(0.03, 0.02) < 0.7
    assert approving.best_possible(0.03, 0.05) > 0.95


def test_what_speaks_for_a_person_keeps_them_from_being_told_of_for_hurry() -> None:
    test = approving.test_for(0.1, 0.0)
    quick = Answered(otherwise=False, hurried=True)
    many = approving.hurried_after(test)
    assert approving.first_found([quick] * many, test) == approving.Found(many, hurried=True)
    assert approving.first_found([quick] * (many - 1), test) is None
    for other in (
        Answered(otherwise=True, hurried=True),
        Answered(otherwise=False, hurried=False),
        Answered(otherwise=False, hurried=True, opened=True),
    ):
        assert approving.standing([*[quick] * (many - 1), other], test) is None
    assert approving.standing([*[quick] * many, Answered(otherwise=True)], test) is None


@pytest.mark.parametrize(
    ("look", "others", "shortest", "hurried"),
    [
        (10.0, 40.0, 0, True),
        (10.1, 40.0, 0, False),
        (10.1, 400.0, 0, False),  # ten seconds are never hurried
        (18.0, 40.0, 15, True),  # of the 25 s that others take beyond what all have to wait
        (22.0, 40.0, 15, False),
        (15.5, 15.0, 15, False),  # where everybody only waits nobody is hurried
    ],
)
def test_a_look_is_hurried_beside_the_others_and_what_all_have_to_wait_counts_for_nobody(
    look: float, others: float, shortest: int, *, hurried: bool
) -> None:
    assert approving.is_hurried(look, others, shortest) is hurried
