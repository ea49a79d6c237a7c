"""Many at once, with real threads and real connections: one winner, and every loser is told."""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now

from console import connections
from console.access import person as named
from console.audit import WORKER
from console.errors import Conflict, CountersignError
from console.lifecycle import review
from console.lifecycle.commit import commit
from console.lifecycle.submit import submit, withdraw
from console.lifecycle.sweep import sweep
from console.models import Attempt, AuditEntry, Decision, Proposal, State
from console.registry import kill
from tests.cast import PLANT, People, Planner, envelope, person, propose
from tests.lifecycle.corridor import (
    approved,
    assessed,
    committed,
    fresh,
    in_review,
    prove_accounts,
    reschedule,
    shown,
)
from tests.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
    pytest.mark.usefixtures("told_once"),
]

ROUNDS = [1, pytest.param(100, marks=pytest.mark.soak)]
MANY = 100


def at_once(acts: Sequence[Callable[[], object]]) -> list[object]:
    """Run all of them at the same moment, each with its own connection; an answer or an error for each."""
    barrier = threading.Barrier(len(acts))
    answers: list[object] = [None] * len(acts)

    def run(place: int, act: Callable[[], object]) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(30)
            answers[place] = act()
        except (CountersignError, threading.BrokenBarrierError) as refused:
            answers[place] = refused
        finally:
            connections.drop(PLANT)
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return answers


def committing(one: Proposal) -> Proposal:
    return commit(fresh(one), actor=WORKER)


def withdrawing(one: Proposal, planner: Planner) -> Proposal:
    return withdraw(fresh(one), planner.version, reason="", actor=planner.actor)


def approving(one: Proposal, by: User, seen: str) -> Callable[[], object]:
    return lambda: review.approve(fresh(one), by=by, seen=seen, actor=named(by))


def rejecting(one: Proposal, by: User, seen: str) -> Callable[[], object]:
    return lambda: review.reject(
        fresh(one),
        by=by,
        seen=seen,
        actor=named(by),
        reason="other",
    )


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_hundred_approvals_at_once_are_one_decision_and_one_effect(
    planner: Planner, people: People, erp: SandboxProcess, rounds: int
) -> None:
    prove_accounts()
    crowd = [people.ana, people.ben, *(person(f"s{n}", "supervisor") for n in range(MANY - 2))]
    for number in range(rounds):
        payload = reschedule(erp, days=7 + number)
        one = in_review(planner, payload)
        seen = shown(one).digest
        answers = at_once([approving(one, by, seen) for by in crowd])
        told = [answer for answer in answers if isinstance(answer, Conflict)]
        assert (len(told), len(answers) - len(told)) == (MANY - 1, 1)
        assert Decision.objects.filter(proposal=one).count() == 1
        winner = Decision.objects.get(proposal=one).name
        assert all(winner in answer.text and answer.detail["at"] for answer in told)
        assert committed(one).state == State.COMMITTED
        assert len(erp.effects(one.ref)) == 1


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_double_click_is_one_decision(
    planner: Planner, people: People, erp: SandboxProcess, rounds: int
) -> None:
    for number in range(rounds):
        one = in_review(planner, reschedule(erp, days=7 + number))
        answers = at_once([approving(one, people.ana, shown(one).digest)] * 5)
        assert sum(isinstance(answer, Conflict) for answer in answers) == 4
        assert Decision.objects.filter(proposal=one).count() == 1


@pytest.mark.parametrize("rounds", [10, pytest.param(1000, marks=pytest.mark.soak)])
def test_opposite_verdicts_have_one_winner_and_the_loser_is_told_who_and_when(
    planner: Planner, people: People, erp: SandboxProcess, rounds: int
) -> None:
    payload = reschedule(erp)
    for _ in range(rounds):
        one = in_review(planner, payload)
        seen = shown(one).digest
        answers = at_once([approving(one, people.ana, seen), rejecting(one, people.ben, seen)])
        losers = [answer for answer in answers if isinstance(answer, Conflict)]
        assert len(losers) == 1
        winner = Decision.objects.get(proposal=one)
        assert winner.name in losers[0].text
        assert dt.datetime.fromisoformat(losers[0].detail["at"]) == fresh(one).state_since
        assert fresh(one).state == {"approve": State.APPROVED, "reject": State.REJECTED}[winner.answer]


@pytest.mark.parametrize("rounds", [10, pytest.param(300, marks=pytest.mark.soak)])
def test_approve_against_withdraw_against_expire_against_claim(
    planner: Planner, people: People, erp: SandboxProcess, rounds: int
) -> None:
    prove_accounts()
    payloads = [reschedule(erp, days=7 + number) for number in range(rounds)]
    ends: Counter[str] = Counter()
    for payload in payloads:
        one = in_review(planner, payload)
        seen = shown(one).digest
        Proposal.objects.filter(pk=one.pk).update(expires_at=Now() + dt.timedelta(milliseconds=5))
        at_once(
            [
                approving(one, people.ana, seen),
                partial(withdrawing, one, planner),
                lambda: sweep(actor=WORKER),
                partial(committing, one),
            ]
        )
        sweep(actor=WORKER)
        one = fresh(one)
        ends[one.state] += 1
        assert one.state in {State.WITHDRAWN, State.EXPIRED, State.COMMITTED, State.RECEIVED}
        assert len(erp.effects(one.ref)) == (one.state == State.COMMITTED)
    assert sum(ends.values()) == rounds


def test_ten_bells_at_once_are_one_effect(planner: Planner, people: People, erp: SandboxProcess) -> None:
    prove_accounts()
    for state in ("draft", "released"):
        one = approved(in_review(planner, reschedule(erp, state=state)), people.ana)
        at_once([partial(committing, one)] * 10)
        assert fresh(one).state == State.COMMITTED
        assert Attempt.objects.filter(proposal=one).count() == 1
    assert erp.duplicates() == []


def test_ten_bells_to_assess_are_one_assessment(planner: Planner, erp: SandboxProcess) -> None:
    one = propose(planner, envelope(payload=reschedule(erp)))
    at_once([lambda: assessed(one)] * 10)
    assert fresh(one).state == State.IN_REVIEW
    assert one.assessments.count() == 1


@pytest.mark.parametrize("rounds", [5, pytest.param(200, marks=pytest.mark.soak)])
def test_two_proposals_for_one_document_are_committed_one_at_a_time(
    planner: Planner, people: People, erp: SandboxProcess, rounds: int
) -> None:
    prove_accounts()
    for number in range(rounds):
        both = [
            approved(in_review(planner, reschedule(erp, days=days + number)), people.ana) for days in (7, 60)
        ]
        erp.fail("slow", operation="write", seconds=0.05, times=2)
        at_once([partial(committing, one) for one in both])
        erp.heal()
        states = sorted(fresh(one).state for one in both)
        assert State.COMMITTED in states
        assert set(states) <= {State.COMMITTED, State.APPROVED, State.RECEIVED}
        claims = list(AuditEntry.objects.filter(proposal__in=both, verb__startswith="commit.").order_by("id"))
        assert [entry.verb for entry in claims[:3]] == ["commit.claim", "commit.note", "commit.committed"]
        assert len({entry.proposal_id for entry in claims[:3]}) == 1
        waiting = [one for one in both if fresh(one).state == State.APPROVED]
        assert all(committed(one).state == State.RECEIVED for one in waiting)


@pytest.mark.parametrize("rounds", [5, pytest.param(1000, marks=pytest.mark.soak)])
def test_nothing_is_claimed_or_sent_after_the_kill_switch(
    planner: Planner, people: People, erp: SandboxProcess, rounds: int
) -> None:
    """R11. What the sandbox saw after the throw returned had begun before it: its note is older than the throw."""
    prove_accounts()
    for number in range(rounds):
        states = ["draft", "requested", "released"]
        several = [
            approved(in_review(planner, reschedule(erp, days=14 + number, state=state)), people.ana)
            for state in states
        ]

        def throw() -> object:
            return kill.throw(scope="everything", reason="Now.", by=people.ana, actor=named(people.ana))

        at_once([throw, *(partial(committing, one) for one in several)])
        (thrown,) = kill.in_force()
        for one in several:
            for attempt in Attempt.objects.filter(proposal=one):
                assert all(
                    note.at < thrown.thrown_at + dt.timedelta(seconds=1) for note in attempt.notes.all()
                )
            before = len(erp.effects(one.ref))
            committed(one)
            assert len(erp.effects(one.ref)) == before
        thrown.lifted_at = thrown.thrown_at
        thrown.save()


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.soak)])
def test_many_repeats_of_one_submission_at_once_are_one_proposal(planner: Planner, rounds: int) -> None:
    """R10, with a hundred racing each round."""
    raw = b'{"transaction_type": "production_order_reschedule", "payload": {"order": "1", "planned_start":'
    raw += b' "2027-01-04", "planned_finish": "2027-01-08"}, "rationale": "Late material."}'
    answers: list[object] = []
    for _ in range(rounds):
        answers += at_once([lambda: submit(planner.version, raw=raw, key="same", actor=planner.actor)] * MANY)
    assert Proposal.objects.count() == 1
    running = [answer for answer in answers if isinstance(answer, Conflict)]
    assert {answer.code for answer in running} <= {"key_running"}
    assert submit(planner.version, raw=raw, key="same", actor=planner.actor).replayed


def test_the_cap_of_waiting_proposals_is_exact_when_many_come_at_once(planner: Planner) -> None:
    planner.agent.pending_cap = 7
    planner.agent.save()
    planner.version.agent.pending_cap = 7
    at_once([lambda: propose(planner)] * 20)
    assert Proposal.objects.count() == 7
