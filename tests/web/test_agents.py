"""Agents: what people see of them, and that what allows more always takes two people."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from console.errors import Denied
from console.models import Agent, AgentKey, Autonomy, Grant, Widening
from console.registry import keys
from tests.cast import People, Planner, propose

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]


def test_the_page_shows_owner_grants_keys_and_record(
    people: People, planner: Planner, signed_in: SignIn
) -> None:
    propose(planner)
    page = signed_in(people.cleo).get("/agents/planner/").content.decode()
    for part in ("Oskar Weiss", "Reschedule a production order", "1 proposed", "none decided yet", "Plant"):
        assert part in page
    assert "<form" not in page.split("<main")[1]


def test_an_administrator_registers_an_agent_a_version_and_a_key_shown_once(
    people: People, signed_in: SignIn
) -> None:
    dora = signed_in(people.dora)
    dora.post("/agents/new", {"title": "Buyer", "slug": "buyer", "owner": people.ana.pk, "purpose": "Buys."})
    dora.post("/agents/buyer/versions", {"label": "2.1", "model": "m"})
    version = Agent.objects.get(slug="buyer").versions.get()
    shown = dora.post("/agents/buyer/keys", {"version": version.pk, "days": "30"}).content.decode()
    text = re.search(r"cs_[a-z0-9]{12}_[A-Za-z0-9]+", shown)
    assert text is not None
    assert keys.authenticate(text[0]).version_id == version.pk
    page = dora.get("/agents/buyer/").content.decode()
    assert text[0][:15] in page
    assert text[0] not in page


def test_a_form_that_is_not_right_comes_back_with_the_reason_and_what_was_typed(
    people: People, signed_in: SignIn
) -> None:
    answer = signed_in(people.dora).post(
        "/agents/new", {"title": "Buyer", "slug": "Buy er", "owner": people.ana.pk}
    )
    assert answer.status_code == 422
    assert "small letters, digits and hyphens" in answer.content.decode()
    assert 'value="Buyer"' in answer.content.decode()
    assert not Agent.objects.exists()


def test_a_revoked_key_is_refused_at_once(people: People, planner: Planner, signed_in: SignIn) -> None:
    key = AgentKey.objects.get()
    signed_in(people.dora).post(f"/agents/planner/keys/{key.key_id}/revoke")
    with pytest.raises(Denied, match="revoked"):
        keys.authenticate(planner.key)


def test_freezing_holds_at_once_and_letting_go_takes_a_second_person(
    people: People, planner: Planner, signed_in: SignIn
) -> None:
    del planner
    grant = Grant.objects.filter(kind="type").earliest("pk")
    signed_in(people.ana).post(f"/agents/planner/grants/{grant.pk}/freeze", {"reason": "wrong dates"})
    grant.refresh_from_db()
    assert grant.frozen_reason == "wrong dates"
    signed_in(people.dora).post(f"/agents/planner/grants/{grant.pk}/unfreeze")
    grant.refresh_from_db()
    assert grant.frozen_at is not None
    asked = Widening.objects.get()
    assert signed_in(people.dora).post(f"/administration/widenings/{asked.pk}/confirm").status_code == 403
    signed_in(people.ana).post(f"/administration/widenings/{asked.pk}/confirm")
    grant.refresh_from_db()
    assert grant.frozen_at is None


def test_a_grant_is_narrowed_at_once_and_widened_by_two(
    people: People, planner: Planner, signed_in: SignIn
) -> None:
    dora = signed_in(people.dora)
    grant = Grant.objects.get(kind="type", name="production_order_reschedule")
    form = {"version": planner.version.pk, "what": f"type:{grant.name}", "connection": "plant"}
    dora.post("/agents/planner/grants", {**form, "autonomy": "shadow", "reason": "wrong dates"})
    grant.refresh_from_db()
    assert grant.autonomy == Autonomy.SHADOW
    dora.post("/agents/planner/grants", {**form, "autonomy": "propose"})
    grant.refresh_from_db()
    assert grant.autonomy == Autonomy.SHADOW
    assert "A second person has to confirm" in dora.get("/agents/planner/").content.decode()
    signed_in(people.ben).post(f"/administration/widenings/{Widening.objects.get().pk}/confirm")
    grant.refresh_from_db()
    assert grant.autonomy == Autonomy.PROPOSE


def test_caps_are_lowered_at_once_and_raised_by_two(
    people: People, planner: Planner, signed_in: SignIn
) -> None:
    dora = signed_in(people.dora)
    dora.post("/agents/planner/caps", {"pending_cap": "5", "calls_per_minute": "60"})
    planner.agent.refresh_from_db()
    assert (planner.agent.pending_cap, planner.agent.calls_per_minute) == (5, 60)
    dora.post("/agents/planner/caps", {"pending_cap": "6", "calls_per_minute": "60"})
    planner.agent.refresh_from_db()
    assert planner.agent.pending_cap == 5
    assert Widening.objects.get().kind == "caps"


@pytest.mark.parametrize("wrong", ["", "0", "-1", "many", "1e3", "99999999999999"])
def test_a_cap_that_is_no_number_changes_nothing(
    wrong: str, people: People, planner: Planner, signed_in: SignIn
) -> None:
    before = planner.agent.pending_cap
    answer = signed_in(people.dora).post(
        "/agents/planner/caps", {"pending_cap": wrong, "calls_per_minute": "60"}
    )
    assert answer.status_code == 422
    planner.agent.refresh_from_db()
    assert planner.agent.pending_cap == before
