"""The pages of tasks: what is whose, what may be said, and what is shown of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from console import access
from console.audit import OPERATOR
from console.catalogue import transaction_type
from console.lifecycle import by_hand, review
from console.models import Connection, Proposal, Scope, State
from console.registry import kill
from console.registry.connections import mirror
from tests import cast
from tests.cast import People, Planner
from tests.lifecycle.corridor import approved, committed, fresh, in_review

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]
FLOOR = "floor"
NOTE = "Set it to 12, watched three edges."


@pytest.fixture
def tina(people: People) -> User:
    del people
    return cast.person("tina", "technician", name="Tina Roth")


@pytest.fixture
def task(
    people: People, planner: Planner, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> Proposal:
    """A floor task that waits for somebody."""
    return make_task(people, planner, settings, monkeypatch)


def make_task(
    people: People, planner: Planner, settings: LazySettings, patch: pytest.MonkeyPatch, **changed: Any
) -> Proposal:
    entry = {"adapter": "integrations.by_hand.adapter", "system": "floor", "title": "Shop floor"}
    cast.use_connections(settings, patch, {**settings.CONNECTIONS, FLOOR: entry}, {})
    mirror(actor=OPERATOR)
    cast.grant(planner.version, "type", "floor_task", Connection.objects.get(name=FLOOR))
    due = (timezone.now() + dt.timedelta(days=3)).date().isoformat()
    sample = {**transaction_type("floor_task").sample, "due": due, **changed}
    made = committed(approved(in_review(planner, sample, "floor_task"), people.ana))
    assert made.state == State.AWAITING_PERSON
    return made


def answer(client: Client, task: Proposal, **changed: str) -> Any:
    seen = review.current(task)
    assert seen is not None
    sent = {"answer": "done", "note": NOTE, "seen": seen.digest, **changed}
    return client.post(f"/tasks/{task.ref}/confirm", sent)


def test_a_technician_sees_tasks_and_nothing_else(task: Proposal, tina: User, signed_in: SignIn) -> None:
    client = signed_in(tina)
    assert client.get("/")["Location"] == "/tasks/"
    page = client.get("/tasks/").content.decode()
    assert task.label in page
    assert "nobody has it yet" in page
    assert ">Queue<" not in page
    words = client.get(f"/tasks/{task.ref}/").content.decode()
    for value in transaction_type("floor_task").sample.values():
        if not str(value).startswith("2026-"):
            assert str(value) in words
    assert "The whole proposal" not in words
    for closed in (f"/proposals/{task.ref}/", "/systems/", "/audit/", "/administration/"):
        assert client.get(closed).status_code == 403


def test_taking_confirming_and_what_is_said_of_it_afterwards(
    task: Proposal, tina: User, people: People, signed_in: SignIn
) -> None:
    client = signed_in(tina)
    client.post(f"/tasks/{task.ref}/take")
    page = client.get("/tasks/").content.decode()
    assert ">Mine " in page
    assert "Tina Roth has it" in signed_in(people.ben).get("/tasks/").content.decode()
    assert answer(client, task)["Location"] == "/tasks/"
    assert fresh(task).state == State.COMMITTED
    page = client.get("/tasks/").content.decode()
    assert "It is committed under your name." in page
    assert "Lately" in page
    proposal = signed_in(people.cleo).get(f"/proposals/{task.ref}/").content.decode()
    assert "Tina Roth: done, as countersigned." in proposal
    assert NOTE in proposal
    assert "Nothing is sent: a person does" in proposal


def test_a_refused_confirmation_keeps_what_was_typed(task: Proposal, tina: User, signed_in: SignIn) -> None:
    refused = answer(signed_in(tina), task, note="ok", answer="not_done")
    assert refused.status_code == 422
    page = refused.content.decode()
    assert "The note is too short." in page
    assert ">ok</textarea>" in page
    assert 'value="not_done" required checked' in page
    assert fresh(task).state == State.AWAITING_PERSON


def test_who_cannot_do_it_is_told_why_and_gets_no_form(
    task: Proposal, people: People, signed_in: SignIn
) -> None:
    page = signed_in(people.oskar).get(f"/tasks/{task.ref}/").content.decode()
    assert "You own the agent Planner" in page
    assert "<textarea" not in page
    page = signed_in(people.cleo).get(f"/tasks/{task.ref}/").content.decode()
    assert "<textarea" not in page
    assert answer(signed_in(people.cleo), task).status_code == 403
    assert "You own the agent" in after(signed_in(people.oskar), answer(signed_in(people.oskar), task))
    assert fresh(task).state == State.AWAITING_PERSON


def after(client: Client, answered: Any) -> str:
    """The page one is sent to."""
    return client.get(answered["Location"]).content.decode()


def test_what_somebody_else_has_cannot_be_confirmed_and_can_be_given_back_by_a_supervisor(
    task: Proposal, tina: User, people: People, signed_in: SignIn
) -> None:
    by_hand.take(fresh(task), by=tina, actor=access.person(tina))
    ben = signed_in(people.ben)
    page = ben.get(f"/tasks/{task.ref}/").content.decode()
    assert "Tina Roth</strong> has taken it on" in page
    assert "<textarea" not in page
    answer(ben, task)
    assert fresh(task).state == State.AWAITING_PERSON
    assert "It is for anybody again." in after(ben, ben.post(f"/tasks/{task.ref}/give-back"))
    assert "<textarea" in ben.get(f"/tasks/{task.ref}/").content.decode()


def test_a_stop_is_in_front_of_who_wants_to_begin(
    task: Proposal, tina: User, people: People, signed_in: SignIn
) -> None:
    kill.throw(scope=Scope.EVERYTHING, value="", reason="smoke in hall B", by=people.ana, actor=OPERATOR)
    page = signed_in(tina).get(f"/tasks/{task.ref}/").content.decode()
    assert "Do not do it now." in page
    assert "smoke in hall B" in page
    assert "I do it" not in page


def test_what_an_agent_wrote_is_inert(
    people: People,
    planner: Planner,
    tina: User,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
    signed_in: SignIn,
) -> None:
    hostile = make_task(
        people,
        planner,
        settings,
        monkeypatch,
        title="Open <script>alert(1)</script> p\u0430nel",
        instruction="Stop the line.\nThen <b>set</b> \u202e it to 12 m/min.",
    )
    page = signed_in(tina).get(f"/tasks/{hostile.ref}/").content.decode()
    assert "<script>alert" not in page
    assert "<b>set</b>" not in page
    assert "\u202e" not in page
    listed = signed_in(tina).get("/tasks/").content.decode()
    assert "<script>alert" not in listed


def test_the_list_costs_the_same_for_many_tasks(
    task: Proposal, tina: User, signed_in: SignIn, django_assert_max_num_queries: Any
) -> None:
    del task
    client = signed_in(tina)
    with django_assert_max_num_queries(14):
        client.get("/tasks/")


def test_what_is_not_a_task_is_not_shown_as_one(people: People, planner: Planner, signed_in: SignIn) -> None:
    other = cast.propose(planner)
    assert signed_in(people.ana).get(f"/tasks/{other.ref}/").status_code == 404
