"""What a proposal rests on: read again by its other path at every look, and held to a second source.

The file is long because each way a reading may move is tried at the assessment and at the commit.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db.models.functions import Now

from console import catalogue
from console.access import person as named
from console.lifecycle import review
from console.lifecycle.validate import validate
from console.models import Assessment, Connection, Proposal, Reading, State
from console.reads import read
from tests import cast
from tests.cast import PLANT, People, Planner, envelope, use_connections
from tests.lifecycle.corridor import (
    approved,
    assessed,
    committed,
    fresh,
    in_review,
    outcomes,
    proposed,
    prove_accounts,
    reschedule,
    shown,
    story,
)
from tests.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
    pytest.mark.usefixtures("told_once"),
]

OTHER = "other"
STOCK = "RM-BEECH-27"
Connect = Callable[..., None]


@pytest.fixture
def connect(
    erp: SandboxProcess,
    own_sandbox: SandboxProcess,
    planner: Planner,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Connect:
    """Make two ways in: "plant" as ever and "other", which only reads; `cross_checks` are those of "other"."""
    cast.grant_all(planner.version, cast.connection(OTHER, system="other", title="Other"))

    def made(cross_checks: dict[str, Any] | None = None, **options: Any) -> None:
        one, secrets = erp.settings()
        two, others = own_sandbox.settings(**options)
        others = {f"OTHER_{name}": secret for name, secret in others.items()}
        two["reader"] = {**two["reader"], "secret": f"OTHER_{two['reader']['secret']}"}
        two |= {"writers": {}, "system": "other", "cross_checks": cross_checks or {}}
        use_connections(settings, monkeypatch, {PLANT: one, OTHER: two}, secrets | others)

    made()
    return made


def stock(planner: Planner, connection: str = OTHER) -> read.Read:
    """What there is of a material, as the agent reads it."""
    body = {"arguments": {"code": STOCK}, "connection": connection}
    return read.read(planner.version, "stock_by_product", raw=json.dumps(body).encode(), actor=planner.actor)


def take(place: SandboxProcess, many: str) -> None:
    """Somebody counts the stock of the material there."""
    product = place.find("product", code=STOCK)
    place.edit(f"product {product['key']}", stock=[{"location": "Material store", "value": many}])


def resting(planner: Planner, erp: SandboxProcess, reading: str) -> Proposal:
    """A proposal that rests on this reading, as a worker left it."""
    sent = proposed(planner, reschedule(erp), connection=PLANT, readings=[reading])
    return assessed(sent)


def frozen(proposal: Proposal) -> list[dict[str, Any]]:
    """The readings as its newest assessment keeps them."""
    newest = Assessment.objects.filter(proposal=fresh(proposal)).order_by("-number").first()
    assert newest is not None
    found: list[dict[str, Any]] = newest.rests
    return found


def findings(proposal: Proposal) -> set[str]:
    newest = Assessment.objects.filter(proposal=fresh(proposal)).order_by("-number").first()
    assert newest is not None
    return {one["id"] for one in newest.findings if one["id"].startswith("readings.")}


# Read again


@pytest.mark.usefixtures("connect")
def test_a_reading_by_another_path_is_read_again_and_frozen_with_its_source_and_age(
    planner: Planner, erp: SandboxProcess, own_sandbox: SandboxProcess
) -> None:
    taken = stock(planner)
    before = len(own_sandbox.calls())
    one = resting(planner, erp, taken.ref)
    assert one.state == State.IN_REVIEW
    assert len(own_sandbox.calls()) > before
    (kept,) = frozen(one)
    assert (kept["ref"], kept["connection"], kept["quality"], kept["again"]) == (
        taken.ref,
        "Other",
        "good",
        True,
    )
    assert kept["as_of"] > taken.answer.as_of.isoformat()  # type: ignore[union-attr]
    assert kept["values"]["on_hand"] == taken.answer.value["on_hand"]


@pytest.mark.usefixtures("connect")
def test_a_reading_by_the_same_path_is_not_read_again(planner: Planner, erp: SandboxProcess) -> None:
    one = resting(planner, erp, stock(planner, PLANT).ref)
    assert [kept["again"] for kept in frozen(one)] == [False]
    assert [call for call in erp.calls() if call["operation"] == "product"][1:] == []


@pytest.mark.usefixtures("connect")
def test_what_moved_before_the_assessment_is_a_warning_that_people_see(
    planner: Planner, erp: SandboxProcess, own_sandbox: SandboxProcess
) -> None:
    taken = stock(planner)
    take(own_sandbox, "1")
    one = resting(planner, erp, taken.ref)
    assert one.state == State.IN_REVIEW
    assert findings(one) == {"readings.moved"}
    assert frozen(one)[0]["values"]["on_hand"]["value"] == "1"


@pytest.mark.usefixtures("connect")
def test_what_moved_after_the_approval_voids_it_and_nothing_is_sent(
    planner: Planner, people: People, erp: SandboxProcess, own_sandbox: SandboxProcess
) -> None:
    prove_accounts()
    one = resting(planner, erp, stock(planner).ref)
    approved(one, people.ana)
    take(own_sandbox, "1")
    gone = committed(one)
    assert gone.state == State.RECEIVED
    assert "on hand" in gone.state_reason
    assert erp.effects(one.ref) == []
    assert story(one)[-1] == "proposal.moved"
    again = assessed(gone)
    assert findings(again) == {"readings.moved"}
    approved(again, people.ana)
    assert committed(again).state == State.COMMITTED


@pytest.mark.usefixtures("connect")
def test_a_source_that_is_away_holds_the_commit_and_it_goes_on_when_it_is_back(
    planner: Planner, people: People, erp: SandboxProcess, own_sandbox: SandboxProcess
) -> None:
    prove_accounts()
    one = resting(planner, erp, stock(planner).ref)
    approved(one, people.ana)
    own_sandbox.down()
    held = committed(one)
    assert (held.state, erp.effects(one.ref), outcomes(one)) == (State.APPROVED, [], [])
    assert "Other, which it rests on, does not answer" in held.state_reason
    own_sandbox.up()
    assert committed(held).state == State.COMMITTED


@pytest.mark.usefixtures("connect")
def test_a_source_that_is_away_at_first_leaves_it_received(
    planner: Planner, erp: SandboxProcess, own_sandbox: SandboxProcess
) -> None:
    taken = stock(planner)
    own_sandbox.down()
    one = resting(planner, erp, taken.ref)
    assert one.state == State.RECEIVED
    assert "Other, which it rests on" in one.state_reason
    own_sandbox.up()
    assert assessed(one).state == State.IN_REVIEW


@pytest.mark.usefixtures("connect")
def test_a_source_that_is_switched_off_holds_it(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    one = resting(planner, erp, stock(planner).ref)
    approved(one, people.ana)
    Connection.objects.filter(name=OTHER).update(enabled=False)
    held = committed(one)
    assert held.state == State.APPROVED
    assert "switched off" in held.state_reason


@pytest.mark.usefixtures("connect")
def test_a_source_that_refuses_the_question_refuses_the_proposal(
    planner: Planner, erp: SandboxProcess, own_sandbox: SandboxProcess
) -> None:
    taken = stock(planner)
    own_sandbox.fail("forbidden", operation="read", times=None)
    one = resting(planner, erp, taken.ref)
    assert one.state == State.REFUSED
    assert findings(one) == {"readings.unread"}


def stored(planner: Planner, **changes: Any) -> str:
    """A reading of the stock through the plant's own connection, as some adapter might have given it."""
    good = Reading.objects.get(ref=stock(planner, PLANT).ref)
    values: dict[str, Any] = {
        field.name: getattr(good, field.name) for field in Reading._meta.fields if field.name != "id"
    }
    made = Reading.objects.create(**(values | {"ref": "RD-0000000000AB", "at": Now()} | changes))
    return made.ref


@pytest.mark.usefixtures("connect")
@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"quality": "stale", "remark": "the line is down"}, "readings.stale"),
        ({"quality": "uncertain"}, "readings.uncertain"),
        ({"as_of": None}, "readings.age_unknown"),
        ({"as_of": "2026-01-01T00:00:00Z"}, "readings.too_old"),
        ({"outcome": "unavailable", "answer": None, "text": "it is away"}, "readings.unread"),
    ],
)
def test_a_proposal_that_rests_on_a_bad_reading_is_refused_with_the_reason(
    planner: Planner, erp: SandboxProcess, changes: dict[str, Any], finding: str
) -> None:
    one = resting(planner, erp, stored(planner, **changes))
    assert one.state == State.REFUSED
    assert findings(one) == {finding}
    assert str(changes.get("remark", "")) in one.state_reason


@pytest.mark.usefixtures("connect")
def test_who_validates_is_told_beforehand_and_no_system_is_asked(
    planner: Planner, erp: SandboxProcess, own_sandbox: SandboxProcess
) -> None:
    bad = stored(planner, quality="stale", remark="the line is down")
    good = stock(planner).ref
    before = len(own_sandbox.calls())
    for ref, sound in ((bad, False), (good, True)):
        sent = envelope(payload=reschedule(erp), connection=PLANT, readings=[ref])
        judged = validate(planner.version, raw=json.dumps(sent).encode())
        assert judged.sound is sound
        assert [one.id for one in judged.findings] == ([] if sound else ["readings.stale"])
    assert len(own_sandbox.calls()) == before


@pytest.mark.usefixtures("connect")
def test_a_source_that_the_settings_know_no_more_holds_it(
    planner: Planner, people: People, erp: SandboxProcess, settings: Any
) -> None:
    prove_accounts()
    one = resting(planner, erp, stock(planner).ref)
    approved(one, people.ana)
    settings.CONNECTIONS = {PLANT: settings.CONNECTIONS[PLANT]}
    catalogue.specs.cache_clear()
    held = committed(one)
    assert (held.state, erp.effects(one.ref)) == (State.APPROVED, [])
    assert "no connection 'other'" in held.state_reason


@pytest.mark.usefixtures("connect")
def test_an_amended_proposal_still_rests_on_what_the_agent_read(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    one = resting(planner, erp, stock(planner).ref)
    payload = reschedule(erp, days=21)
    review.amend(
        fresh(one),
        by=people.ana,
        seen=shown(one).digest,
        actor=named(people.ana),
        payload=payload,
        note="The press is booked until then.",
    )
    assert [kept["again"] for kept in frozen(assessed(one))] == [True]


# Two sources

CHECK = {"stock_by_product": {"with": PLANT, "tolerance": {"on_hand": "0.5"}}}


def test_two_sources_that_agree_are_both_named_with_their_ages(planner: Planner, connect: Connect) -> None:
    connect(CHECK)
    told = stock(planner)
    assert told.answer.quality == "good"
    assert told.check is not None
    assert told.check.agrees
    assert (told.check.connection, told.check.source) == ("Plant", "Sandbox ERP HTTP")
    kept: Any = Reading.objects.get(ref=told.ref).cross_check
    assert kept["agrees"] is True
    assert kept["as_of"]


@pytest.mark.parametrize(("there", "agrees"), [("0.5", True), ("0.6", False)])
def test_a_difference_counts_beyond_the_tolerance(
    planner: Planner,
    erp: SandboxProcess,
    own_sandbox: SandboxProcess,
    connect: Connect,
    there: str,
    agrees: bool,
) -> None:
    connect(CHECK)
    take(own_sandbox, "0")
    take(erp, there)
    told = stock(planner)
    assert told.check is not None
    assert told.check.agrees is agrees
    assert told.answer.quality == ("good" if agrees else "uncertain")


def test_a_disagreement_is_shown_and_stops_the_proposal(
    planner: Planner, erp: SandboxProcess, own_sandbox: SandboxProcess, connect: Connect
) -> None:
    connect(CHECK)
    take(own_sandbox, "1")
    told = stock(planner)
    assert told.answer.quality == "uncertain"
    one = resting(planner, erp, told.ref)
    assert one.state == State.REFUSED
    assert findings(one) == {"readings.disagree"}
    for words in ("Other", "Plant", "disagree", "on hand 1"):
        assert words in one.state_reason


def test_a_disagreement_after_the_approval_holds_the_commit_until_they_agree(
    planner: Planner, people: People, erp: SandboxProcess, connect: Connect
) -> None:
    connect(CHECK)
    prove_accounts()
    before = stock(planner, PLANT).answer.value["on_hand"]["value"]
    one = resting(planner, erp, stock(planner).ref)
    approved(one, people.ana)
    take(erp, "1")
    held = committed(one)
    assert (held.state, erp.effects(one.ref)) == (State.APPROVED, [])
    assert "disagree" in held.state_reason
    take(erp, before)
    assert committed(held).state == State.COMMITTED


def test_a_second_source_that_is_away_is_no_agreement(
    planner: Planner, erp: SandboxProcess, connect: Connect
) -> None:
    connect(CHECK)
    erp.down()
    told = stock(planner)
    assert told.answer.quality == "uncertain"
    assert told.check is not None
    assert told.check.trouble
    erp.up()


def test_a_reading_without_a_cross_check_asks_only_one_source(
    planner: Planner, erp: SandboxProcess, connect: Connect
) -> None:
    connect(CHECK)
    before = len(erp.calls())
    body = json.dumps({"arguments": {"limit": 5}, "connection": OTHER}).encode()
    told = read.read(planner.version, "order_status_exceptions", raw=body, actor=planner.actor)
    assert told.check is None
    assert len(erp.calls()) == before


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"stock_by_product": {"with": "nowhere"}}, "no other connection"),
        ({"stock_by_product": {"with": OTHER}}, "no other connection"),
        ({"weather": {"with": PLANT}}, "weather"),
        ({"order_status_exceptions": {"with": PLANT}}, "no steady field"),
        ({"stock_by_product": {"with": PLANT, "tolerance": {"colour": "1"}}}, "colour"),
        ({"stock_by_product": {"with": PLANT, "tolerance": {"on_hand": "-1"}}}, "0 or more"),
        ({"stock_by_product": {"with": PLANT, "tolerance": {"on_hand": "much"}}}, "InvalidOperation"),
        ({"stock_by_product": {"with": PLANT, "slack": "1"}}, "slack"),
        ({"stock_by_product": PLANT}, "TypeError"),
    ],
)
@pytest.mark.usefixtures("connect")
def test_a_cross_check_that_cannot_be_made_is_refused_at_start_with_its_place(
    settings: Any, asked: dict[str, Any], words: str
) -> None:
    entry = settings.CONNECTIONS[OTHER]
    entry["cross_checks"] = asked
    catalogue.specs.cache_clear()
    with pytest.raises(ImproperlyConfigured, match=r"CONNECTIONS\['other'\]\['cross_checks'\]") as told:
        catalogue.specs()
    entry["cross_checks"] = {}
    assert words in str(told.value)


def test_a_proposal_without_readings_rests_on_nothing(planner: Planner, erp: SandboxProcess) -> None:
    one = in_review(planner, reschedule(erp))
    assert frozen(one) == []
