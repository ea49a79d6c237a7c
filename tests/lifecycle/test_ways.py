"""Every way a proposal can end, on the sandbox, one worker's step at a time."""

from __future__ import annotations

import datetime as dt
import json
import time

import pytest
from django.db.models.functions import Now

from console.access import person as named
from console.audit import WORKER
from console.lifecycle import readback, review
from console.lifecycle.submit import revise, withdraw
from console.lifecycle.sweep import sweep
from console.models import Attempt, Grant, Proposal, State
from tests.cast import People, Planner, envelope, propose
from tests.lifecycle.corridor import (
    approved,
    assessed,
    committed,
    fresh,
    in_review,
    later,
    outcomes,
    proposed,
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

NOTE = "PO-1 and the log there say so"


def test_a_change_is_committed_read_back_and_told(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    payload = reschedule(erp)
    one = committed(approved(in_review(planner, payload), people.ana))
    assert one.state == State.COMMITTED
    assert [effect["operation"] for effect in erp.effects(one.ref)] == ["production.write"]
    record = erp.record(f"production {payload['order']}")
    assert record is not None
    assert record["planned_start"] == payload["planned_start"]
    assert story(one) == [
        "proposal.submit",
        "proposal.assess",
        "proposal.approve",
        "commit.claim",
        "commit.note",
        "commit.committed",
    ]


def test_what_was_shown_approved_and_sent_has_one_digest(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    one = in_review(planner, reschedule(erp, state="released"))
    seen = shown(one)
    one = committed(approved(one, people.ana))
    attempt = Attempt.objects.get(proposal=one)
    decision = one.decisions.get()
    assert seen.digest == decision.digest == attempt.digest
    assert attempt.steps == seen.plan
    assert [effect["step"] for effect in erp.effects(one.ref)] == [step["name"] for step in seen.plan]
    assert attempt.account == "production_order_reschedule"


def test_a_released_order_takes_three_steps_in_one_attempt(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    one = committed(approved(in_review(planner, reschedule(erp, state="released")), people.ana))
    assert one.state == State.COMMITTED
    assert [effect["operation"] for effect in erp.effects(one.ref)] == [
        "production.draft",
        "production.write",
        "production.release",
    ]
    assert outcomes(one) == ["answered"]


def test_what_breaks_a_rule_is_refused_before_a_person_is_asked(
    planner: Planner, erp: SandboxProcess
) -> None:
    payload = {**reschedule(erp), "planned_start": "2020-01-06"}
    one = assessed(proposed(planner, payload))
    assert one.state == State.REFUSED
    assert one.state_reason
    assert story(one) == ["proposal.submit", "proposal.refuse"]


def test_what_names_no_record_is_refused(planner: Planner, erp: SandboxProcess) -> None:
    one = assessed(proposed(planner, {**reschedule(erp), "order": "no-such-order"}))
    assert one.state == State.REFUSED


def test_an_erp_that_is_away_leaves_it_received_with_the_reason(planner: Planner) -> None:
    one = assessed(propose(planner))
    assert one.state == State.RECEIVED
    assert "does not answer" in one.state_reason
    assert one.ring_at is not None


def test_a_rejection_is_final(planner: Planner, people: People, erp: SandboxProcess) -> None:
    one = in_review(planner, reschedule(erp))
    review.reject(one, by=people.ana, seen=shown(one).digest, actor=named(people.ana), reason="not_needed")
    one = fresh(one)
    assert (one.state, one.state_reason) == (State.REJECTED, "Not needed, or already done")
    assert erp.ledger() == []


def test_a_proposal_comes_back_as_another_revision_of_the_same_case(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    payload = reschedule(erp)
    one = in_review(planner, payload)
    first = shown(one)
    review.request_changes(
        one,
        by=people.ana,
        seen=first.digest,
        actor=named(people.ana),
        reason="bad_timing",
        note="A week later, please.",
    )
    one = fresh(one)
    assert (one.state, one.state_reason) == (State.CHANGES_REQUESTED, "A week later, please.")
    better = {**payload, "planned_start": later(payload["planned_start"], 7)}
    raw = json.dumps({"payload": better, "rationale": "A week later, as asked."}).encode()
    revise(one, planner.version, raw=raw, actor=planner.actor)
    one = assessed(one)
    assert (one.state, one.revision) == (State.IN_REVIEW, 2)
    assert shown(one).digest != first.digest
    one = committed(approved(one, people.ana))
    assert one.state == State.COMMITTED


def test_the_agent_takes_it_back_while_nothing_was_sent(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    one = approved(in_review(planner, reschedule(erp)), people.ana)
    withdraw(one, planner.version, reason="The customer cancelled.", actor=planner.actor)
    one = committed(one)
    assert (one.state, one.state_reason) == (State.WITHDRAWN, "The customer cancelled.")
    assert erp.ledger() == []


@pytest.mark.parametrize("stage", ["received", "in_review", "approved"])
def test_what_nobody_decides_in_time_expires(
    planner: Planner, people: People, erp: SandboxProcess, stage: str
) -> None:
    one = proposed(planner, reschedule(erp))
    if stage != "received":
        one = assessed(one)
    if stage == "approved":
        one = approved(one, people.ana)
    Proposal.objects.update(expires_at=Now() - dt.timedelta(seconds=1))
    sweep(actor=WORKER)
    assert fresh(one).state == State.EXPIRED


def test_a_shadow_grant_is_judged_and_recorded_and_never_committed(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    Grant.objects.update(autonomy="shadow")
    one = assessed(proposed(planner, reschedule(erp)))
    assert one.state == State.SHADOWED
    assert one.assessments.count() == 1
    one = committed(one)
    assert (one.state, erp.ledger()) == (State.SHADOWED, [])
    del people


def test_a_clear_no_from_the_system_ends_as_failed_with_proof(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    one = approved(in_review(planner, reschedule(erp)), people.ana)
    erp.fail("reject", operation="write", message="The period is closed.")
    one = committed(one)
    assert one.state == State.COMMIT_FAILED
    assert "The period is closed." in one.state_reason
    assert outcomes(one) == ["rejected"]
    assert one.attempts.get().read_backs.get().seen == "absent"
    assert erp.effects(one.ref) == []


def test_a_question_from_the_system_ends_as_failed_with_the_question(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    one = approved(in_review(planner, reschedule(erp)), people.ana)
    erp.fail("needs_person", operation="write", message="Accept the overtime?")
    one = committed(one)
    assert one.state == State.COMMIT_FAILED
    assert "Accept the overtime?" in one.state_reason


def test_an_account_that_lost_its_rights_ends_as_failed(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    one = approved(in_review(planner, reschedule(erp)), people.ana)
    erp.fail("forbidden", operation="write")
    one = committed(one)
    assert (one.state, outcomes(one)) == (State.COMMIT_FAILED, ["out_of_scope"])


def test_a_record_that_moves_between_look_and_send_is_assessed_again(
    planner: Planner, people: People, erp: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove_accounts()
    payload = reschedule(erp)
    one = approved(in_review(planner, payload), people.ana)

    def edited_meanwhile(name: str) -> None:
        if name == "S5":
            erp.edit(f"production {payload['order']}", quantity="25")

    monkeypatch.setattr("console.lifecycle.commit.reach", edited_meanwhile)
    one = committed(one)
    assert one.state == State.RECEIVED
    assert outcomes(one) == ["stale"]
    assert erp.effects(one.ref) == []
    one = assessed(one)
    assert one.state == State.IN_REVIEW
    assert [place["path"] for place in shown(one).moved] == ["quantity"]


def test_an_effect_that_is_not_as_approved_is_a_question_for_a_person(
    planner: Planner, people: People, erp: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove_accounts()
    one = approved(in_review(planner, purchase(erp), "purchase_order_create"), people.ana, people.ben)
    monkeypatch.setattr(readback, "AGAIN", dt.timedelta(0))
    erp.fail("partial_effect", operation="purchase.create", keep=0)
    one = committed(one)
    wait_until_it_settles(one)
    one = fresh(one)
    assert one.state == State.OUTCOME_UNKNOWN
    assert len(erp.effects(one.ref)) == 1
    review.settle(one, by=people.ana, happened=True, note=NOTE, actor=named(people.ana))
    assert fresh(one).state == State.COMMITTED
    assert story(one)[-2:] == ["commit.unknown", "commit.settle"]


def test_yes_without_an_effect_is_never_called_committed(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    one = approved(in_review(planner, reschedule(erp)), people.ana)
    erp.fail("ignored", operation="write")
    one = committed(one)
    wait_until_it_settles(one)
    one = fresh(one)
    assert one.state == State.OUTCOME_UNKNOWN
    assert erp.effects(one.ref) == []
    review.settle(one, by=people.ana, happened=False, note=NOTE, actor=named(people.ana))
    assert fresh(one).state == State.COMMIT_FAILED


def wait_until_it_settles(proposal: Proposal) -> None:
    """Ring for the read-back until it is no longer committing; the sandbox settles within a second."""
    for _ in range(60):
        if fresh(proposal).state != State.COMMITTING:
            return
        readback.read_back(fresh(proposal), actor=WORKER)
        time.sleep(0.1)


def test_a_reversal_is_a_proposal_of_its_own_linked_to_the_first(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    before = erp.find("production", state="draft")
    first = committed(approved(in_review(planner, reschedule(erp)), people.ana))
    back = {"order": before["key"], **{name: before[name] for name in ("planned_start", "planned_finish")}}
    second = assessed(propose(planner, envelope(payload=back, reverses=first.ref)))
    second = committed(approved(second, people.ana))
    assert (second.state, second.reverses_id) == (State.COMMITTED, first.pk)
    assert list(first.reversals.all()) == [second]
    record = erp.record(f"production {before['key']}")
    assert record is not None
    assert record["planned_start"] == before["planned_start"]
