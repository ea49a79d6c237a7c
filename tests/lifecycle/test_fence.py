"""The fence, the lease and the compare-and-set: who has lost his turn sends nothing and changes nothing."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from console.audit import WORKER
from console.errors import Conflict
from console.lifecycle import readback
from console.lifecycle.states import move
from console.models import AuditEntry, Proposal, ReadBack, State
from tests.cast import People, Planner, propose
from tests.lifecycle.corridor import (
    approved,
    committed,
    fresh,
    in_review,
    outcomes,
    prove_accounts,
    reschedule,
)
from tests.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
    pytest.mark.usefixtures("told_once"),
]

SECOND = dt.timedelta(seconds=1)


@pytest.mark.parametrize(
    "meanwhile",
    [{"lease_until": Now() - SECOND}, {"fence": F("fence") + 1}],
    ids=["its lease is over", "somebody took over"],
)
def test_a_worker_that_slept_sends_nothing_more(
    planner: Planner,
    people: People,
    erp: SandboxProcess,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: dict[str, object],
) -> None:
    prove_accounts()
    one = approved(in_review(planner, reschedule(erp)), people.ana)

    def asleep(name: str) -> None:
        if name == "S6":
            Proposal.objects.filter(pk=one.pk).update(**meanwhile)

    with monkeypatch.context() as patch:
        patch.setattr("console.lifecycle.commit.reach", asleep)
        one = committed(one)
    assert (one.state, outcomes(one), erp.effects(one.ref)) == (State.COMMITTING, ["sending"], [])
    Proposal.objects.filter(pk=one.pk).update(lease_until=Now() - SECOND)
    readback.read_back(fresh(one), actor=WORKER)
    one = fresh(one)
    assert (one.state, outcomes(one)) == (State.APPROVED, ["not_sent"])
    assert committed(one).state == State.COMMITTED
    assert len(erp.effects(one.ref)) == 1


def test_a_worker_that_slept_after_sending_settles_nothing(
    planner: Planner, people: People, erp: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove_accounts()
    one = approved(in_review(planner, reschedule(erp)), people.ana)

    def overtaken(name: str) -> None:
        if name == "S9":
            Proposal.objects.filter(pk=one.pk).update(fence=F("fence") + 1)

    monkeypatch.setattr("console.lifecycle.commit.reach", overtaken)
    one = committed(one)
    assert (one.state, ReadBack.objects.count()) == (State.COMMITTING, 0)


def test_nobody_looks_while_another_holds_the_lease(
    planner: Planner, people: People, erp: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove_accounts()
    one = approved(in_review(planner, reschedule(erp)), people.ana)
    before: list[int] = []

    def second_worker(name: str) -> None:
        if name == "S8":
            readback.read_back(fresh(one), actor=WORKER)
            before.append(ReadBack.objects.count())

    monkeypatch.setattr("console.lifecycle.commit.reach", second_worker)
    assert committed(one).state == State.COMMITTED
    assert before == [0]
    assert AuditEntry.objects.filter(proposal=one, verb="commit.committed").count() == 1


@pytest.mark.parametrize("stale", ["version", "state"])
def test_a_move_from_what_is_no_longer_so_changes_nothing(planner: Planner, stale: str) -> None:
    one = propose(planner)
    setattr(one, stale, {"version": 7, "state": State.IN_REVIEW}[stale])
    with pytest.raises(Conflict) as told, transaction.atomic():
        move(one, State.WITHDRAWN, actor=WORKER, verb="proposal.withdraw")
    assert told.value.code == "moved_on"
    assert fresh(one).state == State.RECEIVED


def test_a_move_without_an_arrow_is_refused_and_one_outside_a_transaction_too(planner: Planner) -> None:
    one = propose(planner)
    with pytest.raises(Conflict) as told, transaction.atomic():
        move(one, State.COMMITTED, actor=WORKER, verb="commit.committed")
    assert told.value.code == "no_such_move"
    with pytest.raises(RuntimeError):
        move(one, State.WITHDRAWN, actor=WORKER, verb="proposal.withdraw")


def test_a_refusal_in_the_middle_of_three_steps_is_a_question_and_is_not_sent_again(
    planner: Planner, people: People, erp: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove_accounts()
    monkeypatch.setattr(readback, "_settles_at", lambda attempt, _: attempt.started_at)
    one = approved(in_review(planner, reschedule(erp, state="released")), people.ana)
    erp.fail("reject", operation="write", step="write", times=None, message="The period is closed.")
    one = committed(one)
    sent = [call for call in erp.calls() if call["reference"] == one.ref and call["step"] == "write"]
    assert len(sent) == 1
    assert one.state == State.OUTCOME_UNKNOWN
    assert "The period is closed." in one.state_reason
    assert [effect["operation"] for effect in erp.effects(one.ref)] == ["production.draft"]
