"""What is accepted is not committed: the way by a middleware, from the message out to what becomes of it.

The file is long because it is the table of `lifecycle.callback`, row by row.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import current_app
from django.conf import LazySettings, settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection, transaction

from console import catalogue, dispatch
from console.access import person as named
from console.audit import WORKER
from console.lifecycle import readback, review
from console.lifecycle.assess import assess
from console.models import Attempt, Callback, Heard, Hearing, Incident, Proposal, ReadBack, State
from console.registry import kill
from tests.cast import PLANT, People, Planner, grant, use_connections
from tests.conftest import Worker
from tests.lifecycle.corridor import (
    approved,
    assessed,
    committed,
    fresh,
    outcomes,
    proposed,
    prove_accounts,
    purchase,
    reschedule,
    story,
)
from tests.lifecycle.middleware import MIDDLEWARE, Way, judged, looked
from tests.lifecycle.middleware import way as way  # noqa: PLC0414 a fixture for here
from tests.rigs.nodered import ON_WORD, NodeRed
from tests.rigs.plant_types.notice import SAMPLE
from tests.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
    pytest.mark.usefixtures("told_once"),
]


def ready(way: Way, planner: Planner, people: People, **more: Any) -> Proposal:
    """An approved proposal that goes by the middleware, whose account is proven."""
    prove_accounts()
    one = assessed(proposed(planner, reschedule(way.erp, **more), connection=MIDDLEWARE))
    assert one.state == State.IN_REVIEW, (one.state, one.state_reason)
    return approved(one, people.ana)


def sent(way: Way, planner: Planner, people: People, mode: str = "ok") -> Proposal:
    """One that the middleware has accepted, and behaves to in this way."""
    one = ready(way, planner, people)
    way.behave(mode)
    one = committed(one)
    assert one.state == State.AWAITING_SYSTEM, (one.state, one.state_reason)
    return one


def results() -> list[str]:
    return list(Hearing.objects.order_by("pk").values_list("result", flat=True))


def test_what_is_accepted_waits_and_is_committed_when_the_erp_shows_it(
    way: Way, planner: Planner, people: People
) -> None:
    one = sent(way, planner, people)
    attempt = Attempt.objects.get(proposal=one)
    assert (attempt.outcome, attempt.handle) == ("accepted", one.ref)
    assert attempt.deadline is not None
    assert one.ring_at is not None
    (hearing,) = way.hear()
    assert hearing is not None
    one = fresh(one)
    assert (one.state, hearing.result) == (State.COMMITTED, Heard.TAKEN)
    assert ReadBack.objects.get(attempt=attempt).connection == PLANT
    assert len(way.erp.effects(one.ref)) == 1
    kept = Callback.objects.get()
    assert one.ref.encode() in bytes(kept.raw)
    assert story(one)[-4:] == ["commit.note", "commit.accepted", "callback.hear", "commit.committed"]


def test_what_people_approve_is_what_the_verifying_connection_shows(
    way: Way, planner: Planner, people: People
) -> None:
    one = ready(way, planner, people)
    seen = review.current(one)
    assert seen is not None
    assert seen.snapshot["source"] == "Sandbox ERP HTTP"
    assert list(seen.snapshot["stamps"]) == [f"production {one.target}"]
    assert seen.plan[0]["request"]["body"]["data"]["reference"] == one.ref


def test_no_from_the_middleware_ends_as_failed_when_the_record_is_that_of_before(
    way: Way, planner: Planner, people: People
) -> None:
    one = sent(way, planner, people, "reject")
    way.hear()
    one = fresh(one)
    assert one.state == State.COMMIT_FAILED
    assert "The approver of the flow said no." in one.state_reason
    assert way.erp.ledger() == []


def test_no_from_the_erp_behind_it_ends_as_failed_with_its_words(
    way: Way, planner: Planner, people: People
) -> None:
    one = ready(way, planner, people)
    way.erp.fail("reject", operation="production.write", message="The period is closed.")
    committed(one)
    way.hear()
    assert fresh(one).state == State.COMMIT_FAILED
    assert "The period is closed." in fresh(one).state_reason


def test_the_same_callback_twice_is_heard_once(way: Way, planner: Planner, people: People) -> None:
    one = sent(way, planner, people, "twice")
    way.hear(2)
    assert [answer["status"] for answer in way.nodered.told()["answers"]] == [202, 202]
    assert (fresh(one).state, results()) == (State.COMMITTED, [Heard.TAKEN])


def test_the_same_said_again_in_other_bytes_changes_nothing(
    way: Way, planner: Planner, people: People
) -> None:
    one = sent(way, planner, people)
    way.hear()
    assert way.call_back(one.ref, message_id=f"cb_{one.ref}", note="again").status_code == 202
    judged()
    assert results() == [Heard.TAKEN, Heard.REPEATED]
    assert Incident.objects.count() == 0


def test_the_opposite_later_is_kept_and_alarms_and_the_first_stands(
    way: Way, planner: Planner, people: People
) -> None:
    one = sent(way, planner, people, "contradict")
    way.hear(2)
    assert (fresh(one).state, results()) == (State.COMMITTED, [Heard.TAKEN, Heard.CONTRADICTS])
    incident = Incident.objects.get()
    assert one.ref in incident.title
    assert incident.proposal == one
    assert story(one)[-1] == "callback.contradict"


def test_a_new_document_is_found_by_our_reference(way: Way, planner: Planner, people: People) -> None:
    prove_accounts()
    one = assessed(proposed(planner, purchase(way.erp), "purchase_order_create", connection=MIDDLEWARE))
    one = committed(approved(one, people.ana, people.ben))
    assert one.state == State.AWAITING_SYSTEM, (one.state, one.state_reason)
    way.hear()
    one = fresh(one)
    assert one.state == State.COMMITTED, one.state_reason
    (effect,) = way.erp.effects(one.ref)
    attempt = one.attempts.get()
    assert attempt.document == effect["after"]["key"]
    assert attempt.label == effect["after"]["number"]


def test_a_new_document_that_nobody_made_ends_as_failed_when_the_middleware_says_no(
    way: Way, planner: Planner, people: People
) -> None:
    prove_accounts()
    one = assessed(proposed(planner, purchase(way.erp), "purchase_order_create", connection=MIDDLEWARE))
    one = approved(one, people.ana, people.ben)
    way.behave("reject")
    committed(one)
    way.hear()
    assert fresh(one).state == State.COMMIT_FAILED
    assert way.erp.ledger() == []


def test_silence_until_the_deadline_is_a_question_that_a_person_settles(
    way: Way, planner: Planner, people: People
) -> None:
    way.set_up(answers_within=1)
    one = looked(sent(way, planner, people, "silent"), State.OUTCOME_UNKNOWN)
    assert "does not show it when it should" in one.state_reason
    review.settle(
        one,
        by=people.ana,
        happened=False,
        note="The run is stuck in the queue; deleted.",
        actor=named(people.ana),
    )
    assert fresh(one).state == State.COMMIT_FAILED
    assert len(way.nodered.told()["jobs"]) == 1


def test_before_the_deadline_silence_proves_nothing(way: Way, planner: Planner, people: People) -> None:
    one = sent(way, planner, people, "silent")
    settled = Attempt.objects.get(proposal=one).started_at + dt.timedelta(
        seconds=2
    )  # the adapter's settle time

    def looked_often() -> bool:
        Proposal.objects.filter(pk=one.pk).update(lease_until=None)
        readback.read_back(fresh(one), actor=WORKER)
        return ReadBack.objects.filter(seen="absent", at__gt=settled).count() > 3

    wait_until(looked_often)
    assert fresh(one).state == State.AWAITING_SYSTEM


def test_a_lost_callback_is_made_good_by_the_read_back(way: Way, planner: Planner, people: People) -> None:
    way.set_up(answers_within=1)
    one = looked(sent(way, planner, people, "mute"), State.COMMITTED)
    assert Callback.objects.count() == 0
    assert len(way.erp.effects(one.ref)) == 1


def test_a_callback_after_the_deadline_still_answers_the_question(
    way: Way, planner: Planner, people: People
) -> None:
    way.set_up(answers_within=1)
    one = looked(sent(way, planner, people, "silent"), State.OUTCOME_UNKNOWN)
    assert way.call_back(one.ref, done=False, text="The queue was emptied.").status_code == 202
    judged()
    assert fresh(one).state == State.COMMIT_FAILED
    assert "The queue was emptied." in fresh(one).state_reason


def test_yes_without_an_effect_is_never_called_committed(way: Way, planner: Planner, people: People) -> None:
    one = sent(way, planner, people, "liar")
    way.hear()
    one = looked(one, State.OUTCOME_UNKNOWN)
    assert "does not show it" in one.state_reason
    assert way.erp.ledger() == []


def test_no_about_what_reads_as_approved_is_a_question_for_a_person(
    way: Way, planner: Planner, people: People
) -> None:
    one = sent(way, planner, people, "mute")
    wait_until(lambda: bool(way.erp.effects(one.ref)))
    way.call_back(one.ref, done=False, text="It timed out.")
    judged()
    one = fresh(one)
    assert one.state == State.OUTCOME_UNKNOWN
    assert "reads as approved, but the system said" in one.state_reason


def wait_until(holds: Callable[[], bool]) -> None:
    """Return once this holds."""
    deadline = time.monotonic() + 40
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_callback_before_our_own_answer_was_stored_waits_for_it(
    way: Way, planner: Planner, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ready(way, planner, people)
    way.behave("early")
    while_sending: list[Hearing | None] = []

    def meanwhile(name: str) -> None:
        if name == "S8":  # the answer is here, and not stored
            while_sending.extend(judged())
            current_app.control.purge()  # nobody will hear the first bell

    monkeypatch.setattr("console.lifecycle.commit.reach", meanwhile)
    one = committed(one)
    assert (while_sending, one.state) == ([None], State.AWAITING_SYSTEM)
    with redis.Redis.from_url(settings.REDIS_URL) as bells:
        waiting = bells.lrange(settings.CELERY_TASK_DEFAULT_QUEUE, 0, -1)
    assert any(b"console.tasks.judge_callback" in bell for bell in waiting)
    judged()
    assert (fresh(one).state, results()) == (State.COMMITTED, [Heard.TAKEN])


def test_a_worker_that_wakes_after_its_lease_does_not_undo_what_was_heard(
    way: Way, planner: Planner, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ready(way, planner, people)
    way.behave("early")

    def asleep(name: str) -> None:
        if name == "S8":
            Proposal.objects.filter(pk=one.pk).update(lease_until=None)  # as long as a lease, to the database
            judged()

    monkeypatch.setattr("console.lifecycle.commit.reach", asleep)
    committed(one)
    assert fresh(one).state == State.COMMITTED
    assert outcomes(one) == ["answered"]


def test_a_worker_killed_between_the_answer_and_its_storing_loses_nothing(
    way: Way,
    planner: Planner,
    people: People,
    worker: Callable[..., Worker],
    tmp_path: Path,
) -> None:
    one = ready(way, planner, people)
    failpoints = tmp_path / "failpoints"
    failpoints.mkdir()
    (failpoints / "S8").write_text("kill")
    patience = {"LEASE_SECONDS": "3", "BELL_SECONDS": "1", "AGAIN_SECONDS": "1"}
    first = worker(env={**patience, "COUNTERSIGN_FAILPOINTS": str(failpoints)})
    dispatch.ring("console.tasks.commit", one.pk)
    first.process.wait(30)
    assert outcomes(one) == ["sending"]
    way.nodered.wait_for_answers()
    worker(env=patience, beat=True)
    wait_until(lambda: fresh(one).state == State.COMMITTED)
    assert len(way.nodered.told()["jobs"]) == 1
    assert len(way.erp.effects(one.ref)) == 1


def test_a_callback_whose_bell_was_lost_is_found_by_the_sweep(
    way: Way, planner: Planner, people: People, worker: Callable[..., Worker]
) -> None:
    one = sent(way, planner, people)
    way.nodered.wait_for_answers()
    current_app.control.purge()
    worker(env={"BELL_SECONDS": "1"}, beat=True)
    wait_until(lambda: fresh(one).state == State.COMMITTED)


def test_an_answer_that_is_lost_waits_for_the_callback(way: Way, planner: Planner, people: People) -> None:
    one = ready(way, planner, people)
    way.behave("busy")
    one = committed(one)
    assert (one.state, outcomes(one)) == (State.COMMITTING, ["in_doubt"])
    way.call_back(one.ref, done=False, text="Nothing was taken.")
    judged()
    one = fresh(one)
    assert one.state == State.COMMIT_FAILED
    assert "Nothing was taken." in one.state_reason


def test_what_the_flow_finds_stale_is_assessed_again(
    way: Way, planner: Planner, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ready(way, planner, people)

    def edited_meanwhile(name: str) -> None:
        if name == "S5":
            way.erp.edit(f"production {one.target}", quantity="25")

    monkeypatch.setattr("console.lifecycle.commit.reach", edited_meanwhile)
    one = committed(one)
    assert (one.state, outcomes(one)) == (State.RECEIVED, ["stale"])
    assert way.nodered.told()["jobs"] == {}


@pytest.mark.parametrize("stage", ["received", "in_review", "approved"])
def test_a_callback_approves_nothing_and_alarms_when_nothing_was_sent(
    way: Way, planner: Planner, people: People, stage: str
) -> None:
    one = proposed(planner, reschedule(way.erp), connection=MIDDLEWARE)
    if stage != "received":
        assess(fresh(one), actor=WORKER)
    if stage == "approved":
        one = approved(one, people.ana)
    assert way.call_back(one.ref).status_code == 202
    judged()
    assert (fresh(one).state, results()) == (stage, [Heard.UNTIMELY])
    assert "nothing was sent" in Incident.objects.get().title
    assert not Attempt.objects.exists()


def test_two_ways_into_one_system_are_not_used_for_one_document_at_once(
    way: Way, planner: Planner, people: People
) -> None:
    """The direct one waits while nobody knows what the middleware does; then the record has moved, and it is void."""
    one = ready(way, planner, people)
    direct = assessed(proposed(planner, reschedule(way.erp, days=28), connection=PLANT))
    direct = approved(direct, people.ben)
    one = committed(one)
    assert one.state == State.AWAITING_SYSTEM
    direct = committed(direct)
    assert direct.state == State.APPROVED
    assert "same document" in direct.state_reason
    way.hear()
    assert fresh(one).state == State.COMMITTED
    assert committed(direct).state == State.RECEIVED
    assert len(way.erp.ledger()) == 1


def test_a_kill_switch_stops_no_ears(way: Way, planner: Planner, people: People) -> None:
    one = sent(way, planner, people)
    kill.throw(
        scope="everything", value="", reason="Something is wrong.", by=people.ana, actor=named(people.ana)
    )
    way.hear()
    assert fresh(one).state == State.COMMITTED


def test_what_was_heard_cannot_be_changed_by_the_application(
    way: Way, planner: Planner, people: People
) -> None:
    sent(way, planner, people)
    way.hear()
    for statement in (
        "UPDATE console_callback SET claim = '{}'",
        "DELETE FROM console_callback",
        "UPDATE console_hearing SET result = 'taken'",
        "DELETE FROM console_hearing",
    ):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


# On the middleware's word


@pytest.fixture
def notices(way: Way, planner: Planner, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A type that is about no record, by a connection that nothing verifies."""
    settings.TRANSACTION_TYPE_PACKAGES = ["tests.rigs.plant_types"]
    catalogue.transaction_types.cache_clear()
    entry, secrets = way.nodered.settings("", [ON_WORD], answers_within=1)
    use_connections(settings, monkeypatch, {MIDDLEWARE: entry}, secrets)
    grant(planner.version, "type", ON_WORD, way.connection)
    yield way
    catalogue.transaction_types.cache_clear()


def notice(planner: Planner, people: People, way: Way, mode: str) -> Proposal:
    prove_accounts()
    one = assessed(proposed(planner, SAMPLE, ON_WORD, connection=MIDDLEWARE))
    one = approved(one, people.ana)
    way.behave(mode)
    one = committed(one)
    assert one.state == State.AWAITING_SYSTEM, (one.state, one.state_reason)
    return one


@pytest.mark.parametrize(("mode", "end"), [("ok", State.COMMITTED), ("reject", State.COMMIT_FAILED)])
def test_what_nothing_shows_ends_on_the_middlewares_word_and_says_so(
    notices: Way, planner: Planner, people: People, mode: str, end: State
) -> None:
    one = notice(planner, people, notices, mode)
    notices.hear()
    one = fresh(one)
    assert (one.state, results()) == (end, [Heard.ON_WORD])
    assert one.state_reason.startswith("On the word of Middleware: nothing can be read back.")
    assert story(one)[-1] == "commit.on_word"


def test_silence_about_what_nothing_shows_is_a_question(
    notices: Way, planner: Planner, people: People
) -> None:
    one = looked(notice(planner, people, notices, "silent"), State.OUTCOME_UNKNOWN)
    assert "shows nothing" in one.state_reason


# What is refused at the start


def test_what_needs_the_record_cannot_go_on_the_middlewares_word(settings: LazySettings) -> None:
    entry = {
        "adapter": "tests.rigs.trusting_adapter",
        "reader": {"login": "middleware", "secret": "NONE"},
        "writers": {"production_order_reschedule": {"login": "countersign", "secret": "NONE"}},
    }
    settings.CONNECTIONS = {MIDDLEWARE: entry}
    catalogue.specs.cache_clear()
    with pytest.raises(ImproperlyConfigured, match="its rules need the record"):
        catalogue.specs()
    settings.CONNECTIONS = {}
    catalogue.specs.cache_clear()


def test_a_create_needs_a_verifying_connection_that_can_look_for_what_is_new(
    nodered: NodeRed, settings: LazySettings
) -> None:
    by_hand = {"adapter": "integrations.by_hand.adapter", "system": "sandbox"}
    settings.CONNECTIONS = {PLANT: by_hand, MIDDLEWARE: entry_of(nodered)}
    catalogue.specs.cache_clear()
    with pytest.raises(ImproperlyConfigured, match="purchase_order_create makes a new record"):
        catalogue.specs()
    settings.CONNECTIONS = {}
    catalogue.specs.cache_clear()


def entry_of(nodered: NodeRed, **changes: Any) -> dict[str, Any]:
    return {**nodered.settings(PLANT)[0], **changes}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"verified_by": None}, "cannot be read through it; name in `verified_by`"),
        ({"verified_by": "nowhere"}, "which is no other connection"),
        ({"verified_by": MIDDLEWARE}, "which is no other connection"),
        ({"system": "elsewhere"}, "a way into another system"),
    ],
)
def test_a_middleware_that_nothing_verifies_is_refused_with_what_would_be_right(
    nodered: NodeRed,
    erp: SandboxProcess,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    words: str,
) -> None:
    direct, secrets = erp.settings()
    entry = entry_of(nodered, **changes)
    use_connections(settings, monkeypatch, {PLANT: direct}, secrets)
    settings.CONNECTIONS = {PLANT: direct, MIDDLEWARE: entry}
    catalogue.specs.cache_clear()
    with pytest.raises(ImproperlyConfigured, match=words):
        catalogue.specs()
    settings.CONNECTIONS = {PLANT: direct}
    catalogue.specs.cache_clear()


def test_the_times_of_callbacks_are_the_databases(way: Way, planner: Planner, people: People) -> None:
    one = sent(way, planner, people)
    way.hear()
    kept = Callback.objects.get(proposal=one)
    assert abs(kept.received_at - one.submitted_at) < dt.timedelta(minutes=5)
