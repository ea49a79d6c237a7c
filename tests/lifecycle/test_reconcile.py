"""Orphan writes: what an account of ours wrote that nobody countersigned is told once, and nothing else ever is."""

from __future__ import annotations

import datetime as dt
import json
import threading
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone

from console.audit import WORKER
from console.lifecycle import readback
from console.lifecycle.reconcile import BLIND_AFTER, Work, compare, reconcile
from console.models import (
    Attempt,
    AuditEntry,
    Connection,
    Incident,
    LogWatch,
    OrphanWrite,
    Outcome,
    State,
)
from integrations.contract import SystemChange
from tests.cast import People, Planner
from tests.lifecycle.corridor import (
    approved,
    committed,
    fresh,
    in_review,
    later,
    promise,
    prove_accounts,
    purchase,
    reschedule,
)
from tests.sandbox import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])
PROMISE = "sales_order_promise"
RESCHEDULE = "production_order_reschedule"
NEW = "purchase_order_create"


@pytest.fixture
def watched(erp: SandboxProcess, planner: Planner) -> SandboxProcess:
    """Every account is proven, and every log has been looked at once: the watch has begun."""
    del planner
    prove_accounts()
    assert reconcile(actor=WORKER) == []
    return erp


def aside(erp: SandboxProcess, *, account: str = PROMISE, number: int = 0) -> str:
    """Somebody uses an account behind the console's back. Gives the record."""
    known = json.loads((erp.home / "base.json").read_text())["records"].values()
    order = [doc for doc in known if doc["kind"] == "sale"][number]
    erp.edit(f"sale {order['key']}", account=account, promised_date=later(order["promised_date"], 3))
    return f"sale {order['key']}"


def test_a_write_that_nobody_countersigned_opens_one_incident_with_record_time_and_account(
    watched: SandboxProcess,
) -> None:
    record = aside(watched)
    (told,) = reconcile(actor=WORKER)
    assert (told.record, told.account, told.event, told.purpose) == (record, PROMISE, "write", PROMISE)
    assert abs(timezone.now() - told.at) < dt.timedelta(minutes=1)
    incident = Incident.objects.get()
    assert incident.kind == "orphan_write"
    assert record in incident.title
    assert PROMISE in incident.title
    body = json.loads(AuditEntry.objects.get(verb="incident.open").body)
    assert body["detail"]["writes"] == [
        {"record": record, "event": "write", "account": PROMISE, "at": told.at.isoformat()}
    ]
    assert reconcile(actor=WORKER) == [], "it is told once"
    assert Incident.objects.count() == 1


def test_what_is_new_after_that_is_told_too(watched: SandboxProcess) -> None:
    aside(watched)
    reconcile(actor=WORKER)
    others = {aside(watched, number=1), aside(watched, number=2)}
    assert {one.record for one in reconcile(actor=WORKER)} == others
    assert Incident.objects.count() == 2
    assert OrphanWrite.objects.count() == 3
    assert "and 1 more" in Incident.objects.latest("id").title


@pytest.mark.parametrize("state", ["draft", "released"])
def test_the_consoles_own_writes_are_no_false_alarm(
    people: People, planner: Planner, watched: SandboxProcess, state: str
) -> None:
    moved = in_review(planner, reschedule(watched, state=state))
    made = in_review(planner, purchase(watched), NEW)
    assert committed(approved(moved, people.ana)).state == State.COMMITTED
    assert committed(approved(made, people.ana, people.ben)).state == State.COMMITTED
    assert {entry["account"] for entry in watched.ledger()} == {RESCHEDULE, NEW}
    assert reconcile(actor=WORKER) == []
    assert not Incident.objects.exists()


def test_a_write_whose_answer_was_lost_is_no_false_alarm_while_it_is_open_nor_after(
    people: People, planner: Planner, watched: SandboxProcess
) -> None:
    waiting = approved(in_review(planner, promise(watched), PROMISE), people.ana)
    watched.fail("reset_after_effect", operation="sale.write")
    watched.fail("unavailable", operation="record", account=PROMISE, times=None)
    committed(waiting)
    watched.heal()
    assert len(watched.effects(waiting.ref)) == 1
    assert fresh(waiting).state == State.COMMITTING
    assert reconcile(actor=WORKER) == []
    readback.read_back(fresh(waiting), actor=WORKER)
    assert reconcile(actor=WORKER) == []


NOON = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("record", "minutes", "state", "explained"),
    [
        ("sale 7", 0, "open", True),
        ("sale 7", 600, "open", True),
        ("sale 7", -5, "open", False),
        ("sale 7", 3, "settled", True),
        ("sale 7", 30, "settled", False),
        ("sale line 70", 0, "settled", True),
        ("sale line 70", 3, "settled", False),
        ("sale line 70", 600, "lost", True),
        ("sale line 70", -5, "lost", False),
    ],
    ids=str,
)
def test_an_attempt_explains_what_it_named_until_it_is_settled_and_the_rest_while_it_sent(
    record: str, minutes: int, state: str, explained: bool
) -> None:
    work = Work(
        reference="CS-1",
        names=frozenset({"sale 7"}),
        since=NOON,
        sending=None if state == "lost" else NOON + dt.timedelta(seconds=2),
        open_until=NOON + dt.timedelta(minutes=3) if state == "settled" else None,
    )
    change = SystemChange(record, "write", PROMISE, NOON + dt.timedelta(minutes=minutes), {})
    assert work.explains(change) is explained


def test_a_write_that_carries_another_reference_is_explained_by_nothing() -> None:
    work = Work("CS-1", frozenset(), NOON, NOON, NOON)
    assert not work.explains(SystemChange("sale 9", "create", PROMISE, NOON, {"reference": "CS-2"}))
    assert work.explains(SystemChange("sale 9", "create", PROMISE, NOON, {"reference": "CS-1"}))


def test_what_other_people_write_is_their_own_business(watched: SandboxProcess) -> None:
    aside(watched, account="marta")
    assert reconcile(actor=WORKER) == []


def test_what_an_account_did_before_the_watch_began_is_not_told(
    erp: SandboxProcess, planner: Planner
) -> None:
    del planner
    aside(erp)
    assert reconcile(actor=WORKER) == []
    assert reconcile(actor=WORKER) == []
    assert LogWatch.objects.count() == len(erp.accounts) - 1


def test_a_log_that_is_away_leaves_the_question_open_and_says_so(watched: SandboxProcess) -> None:
    before = LogWatch.objects.get(purpose=PROMISE)
    aside(watched)
    watched.down()
    assert reconcile(actor=WORKER) == []
    away = LogWatch.objects.get(purpose=PROMISE)
    assert away.seen_until == before.seen_until
    assert away.error
    assert away.failing_since is not None
    assert not Incident.objects.exists()
    watched.up()
    assert len(reconcile(actor=WORKER)) == 1
    again = LogWatch.objects.get(purpose=PROMISE)
    assert (again.error, again.failing_since) == ("", None)
    assert again.seen_until > before.seen_until


def test_a_log_that_nobody_could_read_for_a_day_is_an_incident_itself(watched: SandboxProcess) -> None:
    watched.down()
    reconcile(actor=WORKER)
    LogWatch.objects.filter(purpose=PROMISE).update(failing_since=timezone.now() - BLIND_AFTER * 1.1)
    reconcile(actor=WORKER)
    reconcile(actor=WORKER)
    watched.up()
    assert [one.kind for one in Incident.objects.all()] == ["log_unread"]


def test_a_connection_that_is_switched_off_is_left_alone(watched: SandboxProcess, plant: Connection) -> None:
    aside(watched)
    Connection.objects.filter(pk=plant.pk).update(enabled=False)
    calls = len(watched.calls())
    assert reconcile(actor=WORKER) == []
    assert len(watched.calls()) == calls


def test_two_workers_that_look_at_once_tell_it_once(watched: SandboxProcess, plant: Connection) -> None:
    aside(watched)
    found: list[Any] = []
    ready = threading.Barrier(2)

    def look() -> None:
        ready.wait(10)
        found.extend(compare(plant, PROMISE, actor=WORKER))
        database.close()

    both = [threading.Thread(target=look) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(30)
    assert len(found) == 1
    assert OrphanWrite.objects.count() == Incident.objects.count() == 1


def test_nothing_that_was_sent_is_missing_its_note(
    people: People, planner: Planner, watched: SandboxProcess
) -> None:
    committed(approved(in_review(planner, promise(watched), PROMISE), people.ana))
    (attempt,) = Attempt.objects.all()
    assert attempt.outcome == Outcome.ANSWERED
    assert attempt.notes.get().at <= dt.datetime.fromisoformat(watched.ledger()[0]["at"]) + dt.timedelta(
        seconds=1
    )
