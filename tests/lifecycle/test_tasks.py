"""Tasks: countersigned, done by a person, confirmed with a note, read back where something can read it.

The file is long because it is the life of a task, from the approval to every end.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, transaction
from django.utils import timezone

from console import access, catalogue, connections
from console.audit import OPERATOR, WORKER
from console.catalogue import transaction_type
from console.errors import Conflict, Denied, Held, Refused
from console.evals import alarms, value
from console.lifecycle import by_hand, review, task_check
from console.lifecycle.sweep import sweep
from console.models import (
    Attempt,
    AuditEntry,
    Autonomy,
    Confirmation,
    Connection,
    Grant,
    LimitValue,
    Proposal,
    Scope,
    State,
    Widening,
)
from console.registry import grants, kill, widenings
from console.registry.connections import mirror
from tests import cast
from tests.cast import People, Planner
from tests.lifecycle.corridor import (
    approved,
    assessed,
    committed,
    fresh,
    in_review,
    later,
    proposed,
    reschedule,
    shown,
    story,
)
from tests.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
    pytest.mark.usefixtures("told_once"),
]
FLOOR = "floor"
NOTE = "Set it to 12 and watched three edges."


@dataclass(frozen=True)
class Floor:
    """The connection "floor": people, and the sandbox's reader to see what they did at its screens."""

    connection: Connection
    tina: User


@pytest.fixture
def floor(
    people: People,  # noqa: ARG001 the cast first
    planner: Planner,
    erp: SandboxProcess,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> Floor:
    entry, secrets = erp.settings()
    entries = {cast.PLANT: entry, FLOOR: entry_of("floor_task", "production_order_reschedule")}
    cast.use_connections(settings, monkeypatch, entries, secrets)
    mirror(actor=OPERATOR)
    made = Connection.objects.get(name=FLOOR)
    for name in ("floor_task", "production_order_reschedule"):
        planner.version.grants.filter(name=name).delete()
        cast.grant(planner.version, "type", name, made)
    return Floor(made, cast.person("tina", "technician", name="Tina Roth"))


def entry_of(*types: str, verified_by: str | None = cast.PLANT) -> dict[str, Any]:
    return {
        "adapter": "integrations.by_hand.adapter",
        "system": "sandbox",
        "system_title": "Sandbox ERP",
        "title": "By hand",
        "options": {"types": list(types)},
        "verified_by": verified_by,
    }


def task(**changed: Any) -> dict[str, Any]:
    """The sample, due in three days."""
    day = (timezone.now() + dt.timedelta(days=3)).date().isoformat()
    return {**transaction_type("floor_task").sample, "due": day, **changed}


def handed_over(planner: Planner, people: People, payload: dict[str, Any] | None = None) -> Proposal:
    """A floor task that waits for somebody to do it."""
    found = committed(approved(in_review(planner, payload or task(), "floor_task"), people.ana))
    assert found.state == State.AWAITING_PERSON, (found.state, found.state_reason)
    return found


def moved_by_hand(planner: Planner, people: People, erp: SandboxProcess) -> tuple[Proposal, dict[str, Any]]:
    """A production order that somebody shall move at the system's own screen."""
    payload = reschedule(erp)
    found = committed(approved(in_review(planner, payload), people.ana))
    assert found.state == State.AWAITING_PERSON, (found.state, found.state_reason)
    return found, payload


def says(proposal: Proposal, by: User, answer: str = "done", note: str = NOTE) -> Proposal:
    return by_hand.confirm(
        fresh(proposal), by=by, answer=answer, note=note, seen=shown(proposal).digest, actor=access.person(by)
    )


def looked(proposal: Proposal) -> Proposal:
    """What a worker does when the bell of a task rings."""
    task_check.check(by_hand_row(proposal), actor=WORKER)
    return fresh(proposal)


def by_hand_row(proposal: Proposal) -> Proposal:
    from console.lifecycle.states import fetch  # noqa: PLC0415

    found = fetch(proposal.pk)
    assert found is not None
    return found


def test_a_task_is_countersigned_done_by_hand_and_confirmed(
    people: People, planner: Planner, erp: SandboxProcess, floor: Floor
) -> None:
    waiting = handed_over(planner, people)
    by_hand.take(fresh(waiting), by=floor.tina, actor=access.person(floor.tina))
    assert by_hand.holder(waiting) == floor.tina
    done = says(waiting, floor.tina)
    assert done.state == State.COMMITTED
    assert story(waiting) == [
        "proposal.submit",
        "proposal.assess",
        "proposal.approve",
        "task.hand_over",
        "task.take",
        "task.done",
    ]
    kept = Confirmation.objects.get()
    assert (kept.by, kept.name, kept.role, kept.note) == (floor.tina, "Tina Roth", "technician", NOTE)
    assert kept.digest == shown(waiting).digest
    assert "I did exactly this" in kept.meaning
    assert not Attempt.objects.exists()
    assert erp.ledger() == []
    (told,) = [one for one in value.ledger(days=30) if one.name == "floor_task"]
    assert (told.proposed, told.committed) == (1, 0), "what people did by hand saved nobody any work"


def test_nothing_is_handed_over_that_was_not_approved(people: People, planner: Planner, floor: Floor) -> None:
    del floor
    waiting = in_review(planner, task(), "floor_task")
    assert committed(waiting).state == State.IN_REVIEW
    with pytest.raises(Conflict, match="in review"):
        says(waiting, people.ben)


def test_the_database_itself_refuses_a_task_that_nobody_approved_or_nobody_confirmed(
    people: People, planner: Planner, floor: Floor
) -> None:
    from console.lifecycle.states import move  # noqa: PLC0415

    del floor
    first, second = in_review(planner, task(), "floor_task"), handed_over(planner, people)
    with pytest.raises(DatabaseError, match="nobody approved"), transaction.atomic():
        Proposal.objects.filter(pk=first.pk).update(state=State.AWAITING_PERSON)
    with pytest.raises(DatabaseError, match="no person said"), transaction.atomic():
        move(second, State.COMMITTED, actor=WORKER, verb="task.committed")


@pytest.mark.parametrize(
    ("answer", "state"), [("not_done", State.COMMIT_FAILED), ("unsure", State.OUTCOME_UNKNOWN)]
)
def test_what_was_not_done_and_what_nobody_is_sure_of_end_as_that(
    people: People, planner: Planner, floor: Floor, answer: str, state: State
) -> None:
    waiting = handed_over(planner, people)
    ended = says(waiting, floor.tina, answer, "The bander is in pieces until Monday.")
    assert ended.state == state
    assert fresh(waiting).state_reason == "The bander is in pieces until Monday."
    failed = state == State.COMMIT_FAILED
    assert alarms.watch_all(actor=WORKER, newest_only=True) == failed, "an alarm looks at what just failed"


def test_what_nobody_is_sure_of_is_settled_by_a_supervisor(
    people: People, planner: Planner, floor: Floor
) -> None:
    waiting = handed_over(planner, people)
    says(waiting, floor.tina, "unsure", "Somebody else may have done it.")
    assert fresh(waiting).ring_at is None
    with pytest.raises(Denied):
        review.settle(fresh(waiting), by=floor.tina, happened=True, note="I looked at it again", actor=WORKER)
    review.settle(fresh(waiting), by=people.ben, happened=True, note="The panel shows 12.", actor=WORKER)
    assert fresh(waiting).state == State.COMMITTED


def test_who_may_say_so(people: People, planner: Planner, floor: Floor) -> None:
    waiting = handed_over(planner, people)
    with pytest.raises(Denied, match="own the agent"):
        says(waiting, people.oskar)
    for stranger in (people.cleo, people.dora):
        with pytest.raises(Denied, match="Only supervisors and technicians"):
            says(waiting, stranger)
    with pytest.raises(Denied, match="Only supervisors decide"):
        review.reject(fresh(waiting), by=floor.tina, seen="x", actor=WORKER, reason="other")
    assert says(waiting, people.ana).state == State.COMMITTED, "whoever approved it may do it"


def test_by_a_limit_of_policy_the_only_approver_is_not_the_one_who_does_it(
    people: People, planner: Planner, floor: Floor
) -> None:
    LimitValue.objects.create(
        owner="policy", name="approver_may_do", value=Decimal(0), changed_at=timezone.now()
    )
    waiting = handed_over(planner, people)
    with pytest.raises(Denied, match="somebody else does it"):
        says(waiting, people.ana)
    assert says(waiting, floor.tina).state == State.COMMITTED


@pytest.mark.parametrize(
    ("answer", "note", "field"), [("done", " ok ", "note"), ("maybe", NOTE, "answer"), ("", "", "note")]
)
def test_a_confirmation_without_a_clear_answer_and_a_note_is_refused_and_loses_nothing(
    people: People, planner: Planner, floor: Floor, answer: str, note: str, field: str
) -> None:
    waiting = handed_over(planner, people)
    with pytest.raises(Refused) as refused:
        says(waiting, floor.tina, answer, note)
    assert field in {one.field for one in refused.value.findings}
    assert all(one.hint for one in refused.value.findings)
    assert fresh(waiting).state == State.AWAITING_PERSON
    assert not Confirmation.objects.exists()


def test_what_somebody_has_taken_on_is_theirs_until_they_give_it_back(
    people: People, planner: Planner, floor: Floor
) -> None:
    waiting = handed_over(planner, people)
    by_hand.take(fresh(waiting), by=floor.tina, actor=access.person(floor.tina))
    with pytest.raises(Conflict, match="Tina Roth has taken on"):
        by_hand.take(fresh(waiting), by=people.ben, actor=access.person(people.ben))
    with pytest.raises(Conflict, match="Tina Roth has taken on"):
        says(waiting, people.ben)
    by_hand.give_back(fresh(waiting), by=people.ben, actor=access.person(people.ben))
    assert by_hand.holder(waiting) is None
    assert says(waiting, people.ben).state == State.COMMITTED


def test_who_looked_at_it_for_a_decision_has_not_taken_it_on(
    people: People, planner: Planner, floor: Floor
) -> None:
    waiting = in_review(planner, task(), "floor_task")
    review.claim(waiting, by=people.ana)
    waiting = committed(approved(waiting, people.ana))
    assert by_hand.holder(waiting) is None
    assert says(waiting, floor.tina).state == State.COMMITTED


def test_only_what_is_on_the_screen_can_be_confirmed_and_only_once(
    people: People, planner: Planner, floor: Floor
) -> None:
    waiting = handed_over(planner, people)
    with pytest.raises(Conflict, match="not what you saw"):
        by_hand.confirm(
            fresh(waiting),
            by=floor.tina,
            answer="done",
            note=NOTE,
            seen="0" * 64,
            actor=access.person(floor.tina),
        )
    says(waiting, floor.tina)
    with pytest.raises(Conflict, match="committed now"):
        says(waiting, people.ben, "not_done")


def test_a_task_that_nobody_confirms_in_time_is_put_before_a_person(
    people: People, planner: Planner, floor: Floor
) -> None:
    del floor
    waiting = handed_over(planner, people)
    until = by_hand.deadline(waiting.due, waiting.state_since)
    assert until.date() == waiting.due + dt.timedelta(days=1)  # type: ignore[operator]
    assert fresh(waiting).ring_at == until
    assert looked(waiting).state == State.AWAITING_PERSON
    long_ago = timezone.now() - dt.timedelta(days=9)
    Proposal.objects.filter(pk=waiting.pk).update(due=long_ago.date(), state_since=long_ago, ring_at=long_ago)
    assert sweep(actor=WORKER)["rung"] == 1
    ended = looked(waiting)
    assert (ended.state, ended.state_reason) == (
        State.OUTCOME_UNKNOWN,
        "Nobody said in time whether it was done.",
    )


def test_a_kill_switch_holds_a_task_before_it_is_handed_over_and_before_it_is_taken_on(
    people: People, planner: Planner, floor: Floor
) -> None:
    agreed = approved(in_review(planner, task(), "floor_task"), people.ana)
    waiting = handed_over(planner, people, task(title="Another one"))
    kill.throw(scope=Scope.EVERYTHING, value="", reason="smoke in hall B", by=people.ben, actor=OPERATOR)
    assert committed(agreed).state == State.APPROVED
    with pytest.raises(Held, match="smoke"):
        by_hand.take(fresh(waiting), by=floor.tina, actor=access.person(floor.tina))
    assert says(waiting, floor.tina).state == State.COMMITTED, "what was done was done"


def test_what_a_system_can_show_is_read_back_before_a_word_counts(
    people: People, planner: Planner, erp: SandboxProcess, floor: Floor
) -> None:
    waiting, payload = moved_by_hand(planner, people, erp)
    claimed = says(waiting, floor.tina, note="Entered it at the planning screen.")
    assert claimed.state == State.AWAITING_PERSON
    erp.edit(
        f"production {payload['order']}",
        account="tina",
        planned_start=payload["planned_start"],
        planned_finish=payload["planned_finish"],
    )
    ended = looked(waiting)
    assert ended.state == State.COMMITTED
    assert story(waiting)[-2:] == ["task.say", "task.committed"]


def test_a_word_that_the_system_does_not_bear_out_becomes_an_open_question(
    people: People, planner: Planner, erp: SandboxProcess, floor: Floor
) -> None:
    waiting, _ = moved_by_hand(planner, people, erp)
    says(waiting, floor.tina, note="Entered it at the planning screen.")
    assert looked(waiting).state == State.AWAITING_PERSON, "the screen may lag behind"
    with transaction.atomic(using="owner"):
        cursor = transaction.get_connection("owner").cursor()
        cursor.execute("ALTER TABLE console_confirmation DISABLE TRIGGER USER")
        cursor.execute("UPDATE console_confirmation SET at = at - interval '1 hour'")
        cursor.execute("ALTER TABLE console_confirmation ENABLE TRIGGER USER")
    ended = looked(waiting)
    assert ended.state == State.OUTCOME_UNKNOWN
    assert "reads otherwise: " in ended.state_reason


def test_not_done_is_believed_when_the_record_is_as_before_and_asked_about_when_it_is_not(
    people: People, planner: Planner, erp: SandboxProcess, floor: Floor
) -> None:
    waiting, payload = moved_by_hand(planner, people, erp)
    says(waiting, floor.tina, "not_done", "The screen would not let me.")
    assert looked(waiting).state == State.COMMIT_FAILED
    assert alarms.watch_all(actor=WORKER, newest_only=True) == 1
    again, payload = moved_by_hand(planner, people, erp)
    says(again, floor.tina, "not_done", "The screen would not let me.")
    erp.edit(f"production {payload['order']}", planned_start=later(payload["planned_start"], 5))
    assert looked(again).state == State.OUTCOME_UNKNOWN


def test_a_word_waits_while_the_system_is_away(
    people: People, planner: Planner, erp: SandboxProcess, floor: Floor
) -> None:
    waiting, _ = moved_by_hand(planner, people, erp)
    erp.down()
    says(waiting, floor.tina, note="Entered it at the planning screen.")
    ended = looked(waiting)
    erp.up()
    assert ended.state == State.AWAITING_PERSON
    assert "cannot be asked" in ended.state_reason
    assert ended.ring_at is not None


def test_an_approval_is_void_when_the_record_moved_before_it_was_handed_over(
    people: People, planner: Planner, erp: SandboxProcess, floor: Floor
) -> None:
    del floor
    payload = reschedule(erp)
    agreed = approved(in_review(planner, payload), people.ana)
    erp.edit(f"production {payload['order']}", planned_start=later(payload["planned_start"], 5))
    assert committed(agreed).state == State.RECEIVED


def test_a_task_in_shadow_reaches_nobody(planner: Planner, floor: Floor) -> None:
    planner.version.grants.filter(connection=floor.connection).update(autonomy="shadow")
    assert assessed(proposed(planner, task(), "floor_task")).state == State.SHADOWED


def test_two_people_grant_a_task_though_nobody_has_an_account_for_it(
    floor: Floor, planner: Planner, people: People
) -> None:
    planner.version.grants.filter(name="floor_task").delete()
    asked = grants.set_autonomy(
        planner.version,
        kind=Grant.TYPE,
        name="floor_task",
        connection=floor.connection,
        autonomy=Autonomy.PROPOSE,
        by=people.dora,
        actor=access.person(people.dora),
    )
    assert isinstance(asked, Widening)
    widenings.confirm(asked, by=people.ana, actor=access.person(people.ana))
    assert handed_over(planner, people).connection == floor.connection


def test_people_have_no_account_no_writer_and_no_need_of_a_probe(floor: Floor) -> None:
    found = catalogue.spec(FLOOR)
    assert found.accounts == {}
    assert found.adapter.writer is None
    assert set(found.adapter.types) == {"floor_task", "production_order_reschedule"}
    connections.reader(FLOOR).ping()
    assert floor.connection.verified_by is not None


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (entry_of("production_order_reschedule", verified_by=None), "verified_by"),
        (entry_of("production_order_reschedule", verified_by="nowhere"), "verified_by"),
        (entry_of("open_the_furnace"), "open_the_furnace cannot be done by hand"),
        ({**entry_of("floor_task"), "isa95_level": 3}, "level 3"),
    ],
)
def test_a_connection_that_could_not_be_read_back_or_carries_what_is_not_there_is_refused_at_start(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch, entry: dict[str, Any], words: str
) -> None:
    cast.use_connections(settings, monkeypatch, {FLOOR: entry}, {})
    with pytest.raises(ImproperlyConfigured, match=words):
        catalogue.specs()
    catalogue.specs.cache_clear()


def test_every_word_on_a_task_is_in_the_audit_trail(people: People, planner: Planner, floor: Floor) -> None:
    waiting = handed_over(planner, people)
    by_hand.take(fresh(waiting), by=floor.tina, actor=access.person(floor.tina))
    by_hand.give_back(fresh(waiting), by=floor.tina, actor=access.person(floor.tina))
    says(waiting, people.ben, "not_done", "Nobody had the key of the panel.")
    last = AuditEntry.objects.filter(proposal=waiting).latest("id")
    assert last.verb == "task.not_done"
    assert last.actor_label == "Ben Okafor"
    assert "Nobody had the key of the panel." in last.body
