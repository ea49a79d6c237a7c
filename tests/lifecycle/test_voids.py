"""What voids an approval, who is enough for one, and what a verb says no to."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now

from console import catalogue
from console.access import person as named
from console.audit import OPERATOR, WORKER
from console.errors import Conflict, Denied, Held, Missing, Refused
from console.lifecycle import review
from console.lifecycle.submit import revise, submit, withdraw
from console.models import Agent, Decision, Proposal, State
from console.policy import LIMITS
from console.registry import limits
from tests import cast
from tests.cast import People, Planner, envelope, propose
from tests.lifecycle.corridor import (
    approved,
    assessed,
    committed,
    fresh,
    in_review,
    later,
    outcomes,
    prove_accounts,
    purchase,
    reschedule,
    shown,
    story,
)
from tests.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
    pytest.mark.usefixtures("told_once"),
]


def amended(proposal: Proposal, people: People, **changes: Any) -> Proposal:
    review.amend(
        fresh(proposal),
        by=people.ana,
        seen=shown(proposal).digest,
        actor=named(people.ana),
        payload=changes,
        note="The press is booked until then.",
    )
    return assessed(proposal)


# What voids an approval


def test_a_record_edited_after_the_approval_voids_it_and_shows_what_moved(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    payload = reschedule(erp)
    one = approved(in_review(planner, payload), people.ana)
    erp.edit(f"production {payload['order']}", quantity="25")
    one = committed(one)
    assert (one.state, outcomes(one), erp.effects(one.ref)) == (State.RECEIVED, [], [])
    one = assessed(one)
    assert one.state == State.IN_REVIEW
    assert shown(one).moved[0]["path"] == "quantity"
    one = committed(approved(one, people.ana))
    assert one.state == State.COMMITTED
    assert Decision.objects.filter(proposal=one, answer="approve").count() == 2


def test_an_invisible_edit_moves_the_stamp_and_voids_the_approval_too(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    payload = reschedule(erp)
    one = approved(in_review(planner, payload), people.ana)
    erp.edit(
        f"production {payload['order']}",
        planned_start=erp.find("production", key=payload["order"])["planned_start"],
    )
    one = committed(one)
    assert (one.state, erp.effects(one.ref)) == (State.RECEIVED, [])


def test_a_changed_limit_voids_an_approval_that_is_not_sent(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    one = approved(in_review(planner, reschedule(erp)), people.ana)
    limits.set_value(LIMITS[0], owner="policy", value="9000", by=None, actor=OPERATOR)
    one = committed(one)
    assert one.state == State.RECEIVED
    assert one.state_reason == "the rules or limits were changed since it was approved"
    assert erp.ledger() == []


def test_a_changed_limit_stops_an_approval_that_is_about_to_be_given(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    one = in_review(planner, reschedule(erp))
    limits.set_value(LIMITS[0], owner="policy", value="9000", by=None, actor=OPERATOR)
    with pytest.raises(Conflict, match="rules or limits were changed") as told:
        approved(one, people.ana)
    assert told.value.code == "rules_moved"
    assert fresh(one).state == State.RECEIVED
    assert Decision.objects.count() == 0


def test_another_type_version_voids_an_approval(
    planner: Planner, people: People, erp: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove_accounts()
    one = approved(in_review(planner, reschedule(erp)), people.ana)
    types = dict(catalogue.transaction_types())
    newer = dataclasses.replace(types["production_order_reschedule"], version=2)
    monkeypatch.setattr(catalogue, "transaction_types", lambda: {**types, newer.name: newer})
    one = committed(one)
    assert one.state == State.RECEIVED
    assert one.state_reason == "the transaction type has a newer version since it was approved"
    assert erp.ledger() == []


def test_an_approver_who_came_to_own_the_agent_voids_the_approval(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    one = approved(in_review(planner, reschedule(erp)), people.ana)
    Agent.objects.update(owner=people.ana)
    one = committed(one)
    assert (one.state, erp.ledger()) == (State.RECEIVED, [])


def test_a_new_look_makes_the_old_screen_worthless(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    payload = reschedule(erp)
    one = in_review(planner, payload)
    old = shown(one)
    erp.edit(f"production {payload['order']}", quantity="25")
    review.reassess(one, actor=WORKER, why="somebody looked")
    assessed(one)
    with pytest.raises(Conflict) as told:
        review.approve(fresh(one), by=people.ana, seen=old.digest, actor=named(people.ana))
    assert told.value.code == "not_what_you_saw"
    assert told.value.detail["now"] == shown(one).digest
    assert fresh(one).state == State.IN_REVIEW


# Who is enough


def test_whoever_amended_it_is_not_enough_alone(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    payload = reschedule(erp)
    one = in_review(planner, payload)
    better = {**payload, "planned_finish": later(payload["planned_finish"], 7)}
    one = amended(one, people, **better)
    assert (one.state, one.revision) == (State.IN_REVIEW, 2)
    one = approved(one, people.ana)
    assert one.state == State.IN_REVIEW
    assert story(one)[-1] == "proposal.agree"
    assert [verdict.status.value for verdict in review.standing(one, shown(one))] == [
        "satisfied",
        "unsatisfied",
        "not_applicable",
    ]
    one = committed(approved(one, people.ben))
    assert one.state == State.COMMITTED
    record = erp.record(f"production {payload['order']}")
    assert record is not None
    assert record["planned_finish"] == better["planned_finish"]


def test_only_amendable_fields_can_be_amended_and_every_fault_is_named(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    payload = reschedule(erp)
    other = erp.find("production", state="requested")["key"]
    one = in_review(planner, payload)
    with pytest.raises(Refused) as told:
        amended(one, people, **{**payload, "order": other})
    assert [finding.field for finding in told.value.findings] == ["payload.order"]
    with pytest.raises(Refused):
        amended(one, people, **payload)
    with pytest.raises(Refused):
        amended(one, people, **{**payload, "planned_start": 1.5})
    with pytest.raises(Refused):
        amended(one, people, **{**payload, "planned_start": "tomorrow"})
    assert fresh(one).revision == 1
    assert Decision.objects.count() == 0


def test_a_second_supervisor_is_needed_from_a_value_on(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    limits.set_value(LIMITS[0], owner="policy", value="1000", by=None, actor=OPERATOR)
    one = approved(in_review(planner, reschedule(erp)), people.ana)
    assert one.state == State.IN_REVIEW
    with pytest.raises(Conflict, match="already"):
        approved(one, people.ana)
    assert committed(one).state == State.IN_REVIEW
    one = committed(approved(one, people.ben))
    assert one.state == State.COMMITTED


def test_what_reaches_the_books_for_good_needs_two(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    one = approved(in_review(planner, purchase(erp), "purchase_order_create"), people.ana)
    assert one.state == State.IN_REVIEW
    assert committed(approved(one, people.ben)).state == State.COMMITTED


@pytest.mark.parametrize(
    ("who", "why"),
    [("oskar", "You own the agent"), ("cleo", "Only supervisors"), ("dora", "Only supervisors")],
)
def test_nobody_decides_who_may_not(
    planner: Planner, people: People, erp: SandboxProcess, who: str, why: str
) -> None:
    one = in_review(planner, reschedule(erp))
    user: User = getattr(people, who)
    seen = shown(one).digest
    decisions: list[Callable[[], object]] = [
        lambda: review.approve(one, by=user, seen=seen, actor=named(user)),
        lambda: review.reject(one, by=user, seen=seen, actor=named(user), reason="other"),
        lambda: review.request_changes(one, by=user, seen=seen, actor=named(user), reason="other", note="x"),
        lambda: review.amend(one, by=user, seen=seen, actor=named(user), payload=reschedule(erp, days=30)),
        lambda: review.settle(one, by=user, happened=True, note="I saw it there", actor=named(user)),
    ]
    for decide in decisions:
        with pytest.raises(Denied, match=why):
            decide()
    assert fresh(one).state == State.IN_REVIEW


# What a verb says no to


def test_an_unknown_reason_and_an_empty_note_are_refused_with_what_would_be_right(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    one = in_review(planner, reschedule(erp))
    given: dict[str, Any] = {"by": people.ana, "seen": shown(one).digest, "actor": named(people.ana)}
    with pytest.raises(Refused) as told:
        review.reject(one, reason="because", **given)
    assert "wrong_value" in told.value.findings[0].hint
    with pytest.raises(Refused) as told:
        review.request_changes(one, reason="other", note="  ", **given)
    assert told.value.findings[0].field == "note"
    assert fresh(one).state == State.IN_REVIEW


def test_an_expired_proposal_cannot_be_approved_before_the_sweep_comes(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    one = in_review(planner, reschedule(erp))
    Proposal.objects.update(expires_at=Now() - dt.timedelta(seconds=1))
    with pytest.raises(Conflict, match="expired"):
        approved(one, people.ana)


def test_an_expired_approval_is_not_claimed_before_the_sweep_comes(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    one = approved(in_review(planner, reschedule(erp)), people.ana)
    Proposal.objects.update(expires_at=Now() - dt.timedelta(seconds=1))
    one = committed(one)
    assert (one.state, outcomes(one), erp.ledger()) == (State.APPROVED, [], [])


def test_the_loser_is_told_who_was_first_and_when(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    one = in_review(planner, reschedule(erp))
    seen = shown(one).digest
    approved(one, people.ana)
    with pytest.raises(Conflict) as told:
        review.reject(one, by=people.ben, seen=seen, actor=named(people.ben), reason="other")
    assert "Ana Kovač" in told.value.text
    assert told.value.detail["by"] == "Ana Kovač"
    assert dt.datetime.fromisoformat(told.value.detail["at"]).tzinfo is not None


def test_a_stranger_can_neither_withdraw_nor_revise_nor_see(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    one = in_review(planner, reschedule(erp))
    stranger = cast.version(cast.agent(people.oskar, "stranger"))
    with pytest.raises(Missing):
        withdraw(one, stranger, reason="mine", actor=planner.actor)
    with pytest.raises(Missing):
        revise(one, stranger, raw=b"{}", actor=planner.actor)
    assert fresh(one).state == State.IN_REVIEW


def test_a_revision_stays_on_its_target_and_waits_to_be_asked(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    payload = reschedule(erp)
    one = in_review(planner, payload)
    other = {**payload, "order": erp.find("production", state="requested")["key"]}

    def revision(sent: dict[str, Any]) -> None:
        raw = json.dumps({"payload": sent, "rationale": "Another."}).encode()
        revise(fresh(one), planner.version, raw=raw, actor=planner.actor)

    with pytest.raises(Conflict):
        revision({**payload, "planned_start": later(payload["planned_start"], 1)})
    review.request_changes(
        one, by=people.ana, seen=shown(one).digest, actor=named(people.ana), reason="other", note="No."
    )
    with pytest.raises(Refused, match="stays on its target"):
        revision(other)
    assert fresh(one).state == State.CHANGES_REQUESTED


def test_a_reversal_names_a_committed_proposal_of_ones_own(planner: Planner, erp: SandboxProcess) -> None:
    one = in_review(planner, reschedule(erp))
    with pytest.raises(Refused, match="no committed proposal"):
        propose(planner, envelope(payload=reschedule(erp), reverses=one.ref))


def test_settling_by_hand_takes_an_unknown_outcome_and_says_how_one_knows(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    one = in_review(planner, reschedule(erp))
    with pytest.raises(Refused, match="how you know"):
        review.settle(one, by=people.ana, happened=True, note="yes", actor=named(people.ana))
    with pytest.raises(Conflict):
        review.settle(one, by=people.ana, happened=True, note="I saw it in the log", actor=named(people.ana))


def test_the_same_key_gives_the_same_proposal_and_another_body_is_refused(planner: Planner) -> None:
    raw = json.dumps(envelope()).encode()
    first = submit(planner.version, raw=raw, key="k1", actor=planner.actor)
    again = submit(planner.version, raw=raw, key="k1", actor=planner.actor)
    assert (again.replayed, again.proposal.pk) == (True, first.proposal.pk)
    with pytest.raises(Refused) as told:
        submit(planner.version, raw=raw + b" ", key="k1", actor=planner.actor)
    assert told.value.code == "key_reused"
    assert Proposal.objects.count() == 1


def test_an_unreadable_proposal_stores_nothing(planner: Planner) -> None:
    with pytest.raises(Refused):
        submit(planner.version, raw=b'{"transaction_type": NaN}', key="k1", actor=planner.actor)
    with pytest.raises(Refused) as told:
        propose(planner, {"transaction_type": "production_order_reschedule", "payload": {}, "oops": 1})
    assert {finding.field for finding in told.value.findings} >= {"rationale", "oops"}
    assert Proposal.objects.count() == 0


def test_long_names_of_an_agent_do_not_lose_a_proposal(people: People, planner: Planner) -> None:
    agent = cast.agent(people.oskar, "a" * 50, title="T" * 100)
    named_long = cast.version(agent, "v" * 60)
    cast.grant_all(named_long, planner.version.grants.all()[0].connection)
    key = cast.key(named_long)
    one = propose(Planner(agent, named_long, key))
    assert one.state == State.RECEIVED


def test_a_held_proposal_cannot_be_approved(planner: Planner, people: People, erp: SandboxProcess) -> None:
    one = in_review(planner, reschedule(erp))
    planner.version.grants.update(frozen_at=Now(), frozen_reason="It went astray.")
    with pytest.raises(Held, match="It went astray"):
        approved(one, people.ana)
    assert Decision.objects.count() == 0
