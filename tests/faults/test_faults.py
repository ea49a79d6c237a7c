"""One named test per fault: broker and database gone, the system failing in every way it knows, and a real worker.

Each fault of the system is tried on every class of effect. What is asserted is counted at the system's ledger:
0 duplicates, 0 lost, 0 "failed" that happened.

The file is long because every fault of the table is one test, in the order of the table.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import current_app

from console import connections
from console.audit import WORKER
from console.environment import ROOT
from console.lifecycle import commit as committing
from console.lifecycle import readback
from console.management.stack.broker import Broker
from console.models import Attempt, Proposal, State
from tests.cast import PLANT, People, Planner
from tests.conftest import test_database_environment as database_environment
from tests.faults.conftest import (
    PATIENCE,
    Nursery,
    due_now,
    lost_bells,
    ring_until,
    told,
    violations,
    wait_until,
)
from tests.lifecycle.corridor import (
    approved,
    committed,
    fresh,
    in_review,
    prove_accounts,
    purchase,
    reschedule,
    shown,
)
from tests.sandbox import SandboxProcess
from tests.services import LEAN

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
    pytest.mark.usefixtures("told_once"),
]

CHANGE, CREATE = "production_order_reschedule", "purchase_order_create"
CLASSES = {
    "guarded": ("adapter", CHANGE),
    "keyed": ("keyed", CHANGE),
    "unique reference": ("adapter", CREATE),
    "read-back only": ("read_back_only", CREATE),
    "read-back only change": ("read_back_only", CHANGE),
}
DONE, FAILED, OPEN = State.COMMITTED, State.COMMIT_FAILED, State.OUTCOME_UNKNOWN
APPROVED, AGAIN = State.APPROVED, State.RECEIVED

# fault: how the sandbox is told, what it ends in where a resend is allowed, and where it is not
BEFORE: dict[str, tuple[dict[str, Any], State, State]] = {
    "timeout before effect": ({"kind": "timeout_before_effect"}, DONE, OPEN),
    "reset before effect": ({"kind": "reset_before_effect"}, DONE, OPEN),
    "unavailable": ({"kind": "unavailable"}, DONE, OPEN),
    "rate limited": ({"kind": "rate_limited"}, DONE, OPEN),
    "unauthorised": ({"kind": "unauthorised"}, FAILED, FAILED),
    "forbidden": ({"kind": "forbidden"}, FAILED, FAILED),
    "reject": ({"kind": "reject"}, FAILED, FAILED),
    "needs a person": ({"kind": "needs_person"}, FAILED, FAILED),
    "ignored": ({"kind": "ignored"}, OPEN, OPEN),
    "slow": ({"kind": "slow", "seconds": 0.7}, DONE, DONE),
    "timeout after effect": ({"kind": "timeout_after_effect"}, DONE, DONE),
    "reset after effect": ({"kind": "reset_after_effect"}, DONE, DONE),
    "half an answer": ({"kind": "cut_after_effect"}, DONE, DONE),
    "500 after effect": ({"kind": "error_after_effect"}, DONE, DONE),
    "truncated body": ({"kind": "truncated_body"}, DONE, DONE),
    "wrong body": ({"kind": "wrong_body"}, DONE, DONE),
    "empty body": ({"kind": "empty_body"}, DONE, DONE),
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The corridor's times, shortened, in this process."""
    for module in (committing, readback):
        monkeypatch.setattr(module, "AGAIN", readback.AGAIN / 40)


@pytest.fixture
def no_bells() -> Iterator[None]:
    with lost_bells():
        yield


def ready(planner: Planner, people: People, erp: SandboxProcess, type_name: str) -> Proposal:
    """Approved by as many as it takes."""
    payload = purchase(erp) if type_name == CREATE else reschedule(erp)
    one = in_review(planner, payload, type_name)
    for by in (people.ana, people.ben):
        if fresh(one).state == State.IN_REVIEW:
            one = approved(one, by)
    assert one.state == State.APPROVED
    return one


def worked_off(one: Proposal, *, until: Callable[[], bool] | None = None) -> Proposal:
    """Do what workers do for this one until it rests, or ends as it should."""

    def rests() -> bool:
        return fresh(one).state not in {State.APPROVED, State.COMMITTING}

    deadline = time.monotonic() + 30
    while not (until or rests)() and time.monotonic() < deadline:
        if fresh(one).state == State.APPROVED:
            committed(one)
        else:
            readback.read_back(fresh(one), actor=WORKER)
        time.sleep(0.1)
    return fresh(one)


@pytest.mark.parametrize("carried", CLASSES)
@pytest.mark.parametrize("fault", BEFORE)
def test_whatever_the_system_does_with_a_write_nothing_is_lost_doubled_or_miscalled(
    carried_by: Callable[..., SandboxProcess],
    no_bells: None,
    planner: Planner,
    people: People,
    fault: str,
    carried: str,
) -> None:
    del no_bells
    adapter, type_name = CLASSES[carried]
    erp = carried_by(adapter, timeout_ms=400)
    prove_accounts()
    one = ready(planner, people, erp, type_name)
    how, resendable, single = BEFORE[fault]
    once = carried.startswith("read-back only")
    erp.fail(**how, operation="write")
    connections.drop(PLANT)
    one = worked_off(one)
    happened = len(erp.effects(one.ref))
    assert one.state == (single if once else resendable), told([one])
    assert happened == (one.state == State.COMMITTED)
    assert violations([one], erp, steps=1, once=once) == []


@pytest.mark.parametrize("carried", CLASSES)
def test_a_read_that_lags_behind_leads_to_no_second_effect(
    carried_by: Callable[..., SandboxProcess],
    no_bells: None,
    planner: Planner,
    people: People,
    carried: str,
) -> None:
    """F29, within the settle time that the adapter promises and beyond it."""
    del no_bells
    adapter, type_name = CLASSES[carried]
    for lag in (0.5, 4):
        erp = carried_by(adapter, timeout_ms=400)
        erp.reset()
        prove_accounts()
        one = ready(planner, people, erp, type_name)
        erp.fail("timeout_after_effect", operation="write")
        erp.fail("stale_reads", operation="read", seconds=lag, times=None)
        connections.drop(PLANT)
        one = worked_off(one)
        erp.heal()
        one = worked_off(one, until=lambda one=one: fresh(one).state in {DONE, FAILED})  # type: ignore[misc]
        assert one.state == State.COMMITTED, told([one])
        assert len(erp.effects(one.ref)) == 1


def test_seven_of_nine_lines_are_a_question_with_the_difference_shown(
    carried_by: Callable[..., SandboxProcess], no_bells: None, planner: Planner, people: People
) -> None:
    """F30."""
    del no_bells
    erp = carried_by(timeout_ms=1000)
    prove_accounts()
    payload = purchase(erp)
    codes = ["RM-BEECH-27", "RM-BIRCH-PLY", "RM-OAK-40"]
    payload["lines"] = [line for code in codes for line in purchase(erp, code=code)["lines"]]
    one = approved(in_review(planner, payload, CREATE), people.ana, people.ben)
    erp.fail("partial_effect", operation="purchase.create", keep=2)
    one = worked_off(one)
    assert one.state == State.OUTCOME_UNKNOWN
    last = one.attempts.get().read_backs.order_by("-id").first()
    assert last is not None
    assert "lines.new" in [difference["path"] for difference in last.differences]
    assert violations([one], erp, steps=1, once=True) == []


@pytest.mark.parametrize("fault", ["timeout_before_effect", "timeout_after_effect", "error_after_effect"])
@pytest.mark.parametrize("step", ["draft", "write", "release"])
def test_a_fault_at_any_step_of_three_is_resumed_from_what_the_system_says(
    carried_by: Callable[..., SandboxProcess],
    no_bells: None,
    planner: Planner,
    people: People,
    step: str,
    fault: str,
) -> None:
    del no_bells
    erp = carried_by(timeout_ms=400)
    prove_accounts()
    one = approved(in_review(planner, reschedule(erp, state="released")), people.ana)
    erp.fail(fault, operation="write", step=step)
    one = worked_off(one)
    assert one.state == State.COMMITTED, told([one])
    assert violations([one], erp, steps=3, once=False) == []


def test_somebody_who_edits_between_two_steps_makes_it_a_question(
    carried_by: Callable[..., SandboxProcess],
    no_bells: None,
    planner: Planner,
    people: People,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """F33, in the middle."""
    del no_bells
    erp = carried_by()
    prove_accounts()
    payload = reschedule(erp, state="released")
    one = approved(in_review(planner, payload), people.ana)
    edited: list[str] = []

    def edit_once(name: str) -> None:
        if name == "S8" and not edited:
            edited.append(name)
            erp.edit(f"production {payload['order']}", quantity="3")

    monkeypatch.setattr(committing, "reach", edit_once)
    one = worked_off(one)
    assert one.state == State.OUTCOME_UNKNOWN, told([one])
    assert len(erp.effects(one.ref)) == 1
    assert one.ring_at is not None


def test_an_unknown_outcome_is_answered_by_itself_once_the_system_shows_it(
    carried_by: Callable[..., SandboxProcess], no_bells: None, planner: Planner, people: People
) -> None:
    """R8."""
    del no_bells
    erp = carried_by("read_back_only", timeout_ms=400)
    prove_accounts()
    one = ready(planner, people, erp, CREATE)
    erp.fail("slow", operation="write", seconds=6)
    connections.drop(PLANT)
    one = worked_off(one)
    assert one.state == State.OUTCOME_UNKNOWN
    one = worked_off(one, until=lambda: fresh(one).state == State.COMMITTED)
    assert one.state == State.COMMITTED
    assert violations([one], erp, steps=1, once=True) == []


def test_a_system_that_dies_and_comes_back_between_send_and_answer_costs_nothing(
    carried_by: Callable[..., SandboxProcess],
    no_bells: None,
    planner: Planner,
    people: People,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    del no_bells
    erp = carried_by(timeout_ms=400)
    prove_accounts()
    one = ready(planner, people, erp, CHANGE)
    erp.fail("timeout_after_effect", operation="write")
    connections.drop(PLANT)
    with monkeypatch.context() as patch:
        patch.setattr(readback, "reach", lambda name: erp.down() if name == "R1" else None)
        one = committed(one)
    try:
        assert one.state == State.COMMITTING
        assert "Asking the system" in one.state_reason
    finally:
        erp.up()
    one = worked_off(one)
    assert one.state == State.COMMITTED
    assert violations([one], erp, steps=1, once=False) == []


# Bells: the broker is not a ledger


def test_a_bell_delivered_ten_times_is_one_effect(
    nursery: Callable[[], Nursery],
    carried_by: Callable[..., SandboxProcess],
    planner: Planner,
    people: People,
) -> None:
    """F15: four threads in two real worker processes."""
    erp = carried_by()
    prove_accounts()
    with lost_bells():
        one = ready(planner, people, erp, CHANGE)
    house = nursery()
    for _ in range(10):
        current_app.send_task("console.tasks.commit", args=[one.pk], ignore_result=True)
        current_app.send_task("console.tasks.read_back", args=[one.pk], ignore_result=True)
    for _ in range(2):
        house.worker(threads=2)
    assert wait_until(lambda: fresh(one).state == State.COMMITTED), told([one])
    assert wait_until(lambda: queued() == 0)
    assert Attempt.objects.filter(proposal=one).count() == 1
    assert violations([one], erp, steps=1, once=True) == []


def queued() -> int:
    """How many bells wait in the broker."""
    found = redis.Redis.from_url(current_app.conf.broker_url).llen("countersign")
    assert isinstance(found, int)
    return found


def test_a_broker_flushed_with_work_queued_loses_nothing(
    nursery: Callable[[], Nursery],
    carried_by: Callable[..., SandboxProcess],
    planner: Planner,
    people: People,
) -> None:
    """R4, F16: every bell is gone before a worker heard it."""
    erp = carried_by()
    prove_accounts()
    several = [in_review(planner, reschedule(erp, days=7, state=state)) for state in ("draft", "requested")]
    for one in several:
        approved(one, people.ana)
    assert queued() >= 2
    redis.Redis.from_url(current_app.conf.broker_url).flushdb()
    assert queued() == 0
    house = nursery()
    house.worker(threads=2)
    due_now()
    assert ring_until(lambda: all(fresh(one).state == State.COMMITTED for one in several)), told(several)
    assert violations(several, erp, steps=1, once=True) == []


def test_a_broker_killed_and_empty_again_loses_nothing_and_its_worker_listens_again(
    nursery: Callable[[], Nursery],
    carried_by: Callable[..., SandboxProcess],
    planner: Planner,
    people: People,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """F17: a broker of this test's own, without persistence, killed while a worker is connected to it."""
    erp = carried_by()
    prove_accounts()
    broker = Broker(tmp_path / "broker", durable=False)
    broker.start()
    try:
        monkeypatch.setenv("REDIS_URL", broker.url)
        house = nursery()
        worker = house.worker(threads=1)
        assert wait_until(lambda: " ready." in worker.said())
        one = in_review(planner, reschedule(erp))
        with lost_bells():
            one = approved(one, people.ana)
        broker.stop()
        broker.start()
        monkeypatch.setattr("console.dispatch.ring", bell_of(broker.url))
        due_now()
        assert ring_until(lambda: fresh(one).state == State.COMMITTED), (told([one]), worker.said()[-2000:])
        assert violations([one], erp, steps=1, once=True) == []
    finally:
        broker.stop()


def bell_of(url: str) -> Callable[..., bool]:
    """A ring that goes to another broker than this process's own."""
    from celery import Celery  # noqa: PLC0415

    app = Celery(broker=url, set_as_current=False)
    app.conf.task_default_queue = "countersign"

    def ring(task: str, *args: int) -> bool:
        app.send_task(task, args=list(args), ignore_result=True)
        return True

    return ring


def test_an_approval_whose_bell_cannot_be_rung_stands(
    carried_by: Callable[..., SandboxProcess],
    planner: Planner,
    people: People,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """F18: the broker is away at the moment of the click."""
    erp = carried_by()
    prove_accounts()
    with lost_bells():
        one = in_review(planner, reschedule(erp))

    def away(*_: object, **__: object) -> None:
        raise ConnectionError("broker away")

    with monkeypatch.context() as patch:
        patch.setattr("celery.app.base.Celery.send_task", away)
        one = approved(one, people.ana)
    assert one.state == State.APPROVED
    assert one.ring_at is not None


# Approving, in a process that dies


APPROVE = """
import django; django.setup()
from django.contrib.auth.models import User
from console.access import person
from console.lifecycle import review
from console.models import Proposal
one = Proposal.objects.get(pk={pk}); by = User.objects.get(pk={by})
review.approve(one, by=by, seen="{seen}", actor=person(by))
"""


@pytest.mark.parametrize(("place", "state"), [("S0", State.IN_REVIEW), ("S1", State.APPROVED)])
def test_a_process_that_dies_while_approving_leaves_all_of_it_or_nothing(
    carried_by: Callable[..., SandboxProcess],
    planner: Planner,
    people: People,
    tmp_path: Path,
    place: str,
    state: State,
) -> None:
    """F1, F2: before the approval's commit, and after it but before its bell."""
    erp = carried_by()
    prove_accounts()
    with lost_bells():
        one = in_review(planner, reschedule(erp))
    (tmp_path / place).write_text("kill")
    code = APPROVE.format(pk=one.pk, by=people.ana.pk, seen=shown(one).digest)
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={
            **os.environ,
            **database_environment(),
            **PATIENCE,
            "DJANGO_SETTINGS_MODULE": "console.settings",
            "COUNTERSIGN_FAILPOINTS": str(tmp_path),
        },
        check=False,
        capture_output=True,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    one = fresh(one)
    assert (one.state, one.decisions.count()) == (state, int(state == State.APPROVED))
    if state == State.APPROVED:
        assert one.ring_at is not None
        assert committed(one).state == State.COMMITTED
    del erp


def test_a_database_stopped_at_once_in_the_middle_of_commits_costs_nothing() -> None:
    """F19, on a server of its own: see `restarted.py`."""
    given = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "COUNTERSIGN_VAR", "COUNTERSIGN_TEST_BROKER")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in given and not name.startswith("PYTEST")
    }
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *LEAN, "tests/faults/restarted.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout[-4000:]
    assert "1 passed" in ran.stdout
