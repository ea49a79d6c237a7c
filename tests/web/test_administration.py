"""Administration: the second person, incidents, roles."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from console import access
from console.access import Role
from console.audit import WORKER
from console.models import Widening
from console.registry import incidents
from tests.cast import People

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]


def has(user: User) -> set[Role]:
    return set(access.roles(User.objects.get(pk=user.pk)))


def test_roles_are_taken_at_once_and_given_by_two(people: People, signed_in: SignIn) -> None:
    dora = signed_in(people.dora)
    dora.post(f"/administration/people/{people.ben.pk}/roles", {"role": ["supervisor", "auditor"]})
    assert has(people.ben) == {Role.SUPERVISOR}
    asked = Widening.objects.get()
    assert signed_in(people.ben).post(f"/administration/widenings/{asked.pk}/confirm").status_code == 403
    signed_in(people.ana).post(f"/administration/widenings/{asked.pk}/confirm")
    assert has(people.ben) == {Role.SUPERVISOR, Role.AUDITOR}
    dora.post(f"/administration/people/{people.ben.pk}/roles", {})
    assert has(people.ben) == set()


def test_nobody_sets_their_own_roles(people: People, signed_in: SignIn) -> None:
    answer = signed_in(people.dora).post(
        f"/administration/people/{people.dora.pk}/roles", {"role": "supervisor"}
    )
    assert answer.status_code == 403
    assert has(people.dora) == {Role.ADMINISTRATOR}


def test_what_was_declined_changes_nothing_and_is_decided_once(people: People, signed_in: SignIn) -> None:
    signed_in(people.dora).post(
        f"/administration/people/{people.ben.pk}/roles", {"role": ["supervisor", "auditor"]}
    )
    asked = Widening.objects.get()
    ana = signed_in(people.ana)
    ana.post(f"/administration/widenings/{asked.pk}/decline")
    assert ana.post(f"/administration/widenings/{asked.pk}/confirm").status_code == 409
    assert has(people.ben) == {Role.SUPERVISOR}


def test_an_incident_is_closed_with_a_note_that_stays(people: People, signed_in: SignIn) -> None:
    one = incidents.open_incident(
        kind="account", title="Too much", dedupe="x", lifts="Narrow it.", actor=WORKER
    )
    ana = signed_in(people.ana)
    assert ana.post(f"/administration/incidents/{one.pk}/close", {"note": "ok"}).status_code == 422
    ana.post(f"/administration/incidents/{one.pk}/close", {"note": "The account was narrowed by hand."})
    page = signed_in(people.cleo).get(f"/administration/incidents/{one.pk}/").content.decode()
    assert "The account was narrowed by hand." in page
    assert "Ana Kovač" in page


def test_auditors_see_all_of_it_and_have_no_button(people: People, signed_in: SignIn) -> None:
    signed_in(people.dora).post(
        f"/administration/people/{people.ben.pk}/roles", {"role": ["supervisor", "auditor"]}
    )
    page = signed_in(people.cleo).get("/administration/").content.decode()
    assert "Ben Okafor becomes auditor, supervisor" in page
    assert "<form" not in page.split("<main")[1]
