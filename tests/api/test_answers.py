"""A live answer rests on readings that are the version's own and fresh; it is stored once; a run reaches none of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from console import references
from console.audit import OPERATOR
from console.evals import runs
from console.models import AuditEntry, Connection, Grant, LiveAnswer, Reading
from console.registry import grants
from tests.api.conftest import Caller, told
from tests.cast import Planner, version
from tests.evals.frozen import question, suite

pytestmark = pytest.mark.django_db

TOOL = "order_status_exceptions"
Read = Callable[..., str]


@pytest.fixture
def read(planner: Planner, plant: Connection) -> Read:
    """A factory of answered readings of the planner, fresh unless told otherwise; gives the reference."""

    def make(**changes: Any) -> str:
        made = Reading.objects.create(
            **{
                "ref": references.new("RD"),
                "agent_version": planner.version,
                "key_id": "k",
                "tool": TOOL,
                "tool_version": 1,
                "connection": plant,
                "arguments": {},
                "outcome": "answered",
                "answer": {"exceptions": [], "found": 0},
                "as_of": timezone.now(),
                "source": "Sandbox HTTP",
                "quality": "good",
                "latency_ms": 1,
                "at": timezone.now(),
            }
            | changes
        )
        return made.ref

    return make


def sent(*readings: str, **changes: Any) -> dict[str, Any]:
    return {
        "tool": TOOL,
        "question": "How many orders are in trouble?",
        "answer": {"found": "0"},
        "readings": list(readings),
        **changes,
    }


def post(call: Caller, body: Any, status: int, name: str = "one", **more: Any) -> dict[str, Any]:
    response = call("POST", "answers", body, {"Idempotency-Key": name}, **more)
    assert response.status_code == status, response.content
    return told(response)


def test_an_answer_is_stored_with_its_readings_once_however_often_it_is_sent(
    call: Caller, read: Read, planner: Planner
) -> None:
    first, second = read(), read(tool="supplier")
    made = post(call, sent(first, second, first), 201)
    assert made["readings"] == [first, second]
    assert post(call, sent(first, second, first), 200) == made
    kept = LiveAnswer.objects.get()
    assert (kept.given, kept.agent_version, kept.key_id) == (
        {"found": "0"},
        planner.version,
        planner.key.split("_")[1],
    )
    entry = AuditEntry.objects.get(verb="answer.post")
    assert "How many" not in entry.body, "a person's words are not for the log"
    assert post(call, sent(first, answer={"found": "1"}), 422)["code"] == "key_reused"
    assert LiveAnswer.objects.count() == 1
    assert call("POST", "answers", sent(first)).status_code == 400, "without a key"


def test_what_is_old_uncertain_somebody_elses_or_of_another_tool_carries_no_answer(
    call: Caller, read: Read, planner: Planner
) -> None:
    day = dt.timedelta(days=1)
    old = read(as_of=timezone.now() - 30 * day, at=timezone.now() - 30 * day)
    once_fresh = read(as_of=timezone.now() - day, at=timezone.now() - day)
    unsure = read(quality="uncertain", remark="nobody knows")
    unanswered = read(outcome="rejected", answer=None, as_of=None)
    other_version = read(agent_version=version(planner.agent, "2.0"))
    for ref, code in (
        (old, "unusable_reading"),
        (once_fresh, "unusable_reading"),
        (unsure, "unusable_reading"),
        (unanswered, "unusable_reading"),
        (other_version, "unknown_reading"),
        ("RD-000000000000", "unknown_reading"),
        (read(tool="supplier"), "unknown_reading"),
    ):
        body = sent(ref) if ref != old else sent(ref, read())
        assert post(call, body, 422)["code"] == code, ref
    assert not LiveAnswer.objects.exists()


def test_faults_of_form_are_told_at_once_and_long_answers_are_refused(call: Caller, read: Read) -> None:
    found = post(call, {"tool": "A b", "answer": {}, "more": 1}, 422)
    assert {one["field"] for one in found["errors"]} == {"tool", "question", "answer", "readings", "more"}
    assert post(call, b'{"answer": 1.5}', 400)["code"] == "float"
    long = sent(read(), answer={"found": "x" * 17_000})
    assert "at most 16,384" in post(call, long, 422)["errors"][0]["text"]
    assert post(call, sent(read(), tool="no_such_tool"), 404)["code"] == "unknown_tool"


def test_an_agent_that_may_not_read_may_not_answer_either(
    call: Caller, read: Read, planner: Planner, plant: Connection
) -> None:
    ref = read()
    grants.freeze(
        Grant.objects.get(version=planner.version, name=TOOL, connection=plant),
        reason="Somebody looks.",
        by=planner.agent.owner,
        actor=OPERATOR,
    )
    assert post(call, sent(ref), 409)["code"] == "grant_frozen"


def test_a_day_takes_no_more_unmarked_answers_than_people_can_look_at(
    call: Caller, read: Read, planner: Planner
) -> None:
    type(planner.agent).objects.filter(pk=planner.agent.pk).update(pending_cap=2)
    ref = read()
    for name in ("a", "b"):
        post(call, sent(ref), 201, name)
    assert post(call, sent(ref), 429, "c")["code"] == "too_many_answers"
    assert post(call, sent(ref), 200, "a"), "a repeat is no further answer"


def test_the_key_of_a_run_posts_no_live_answer_and_its_readings_carry_none(
    call: Caller, planner: Planner
) -> None:
    suite((question(number, split="public") for number in range(3)), "questions")
    opened = runs.open_run(
        planner.version, raw=b'{"suite": "questions", "practice": true}', actor=planner.actor
    )
    case = told(call("GET", f"runs/{opened.run.ref}/case", key=opened.key))
    ref = case["reading"]["reading"]
    assert post(call, sent(ref), 403, key=opened.key)["code"] == "run_key"
    assert post(call, sent(ref), 422)["code"] == "unknown_reading"


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
@pytest.mark.usefixtures("erp")
def test_the_demo_agent_answers_what_is_asked_every_morning_once_a_day(
    planner: Planner, live_server: LiveServer, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(planner.key)
    for _ in range(2):
        call_command(
            "demo_agent", url=live_server.url, key_file=str(tmp_path / "key"), once=True, stdout=StringIO()
        )
    found = {one.question: one for one in LiveAnswer.objects.all()}
    assert len(found) == LiveAnswer.objects.count() == 3
    worst = found["How many orders are in trouble, and which is the most urgent?"]
    reading = worst.cited.get().reading
    assert reading.answer is not None
    assert worst.given["found"] == reading.answer["found"] > 0
    assert worst.given["most_urgent"] == reading.answer["exceptions"][0]["label"]
