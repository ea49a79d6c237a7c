"""Exceptions: what a plant sees first, live, and honest about its age when the system is away."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from console.models import Connection, Reading
from tests.cast import People
from tests.sandbox import SandboxProcess

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]


def test_orders_in_trouble_are_listed_with_the_reason_and_no_reading_is_made(
    people: People, erp: SandboxProcess, signed_in: SignIn
) -> None:
    del erp
    page = signed_in(people.cleo).get("/exceptions/").content.decode()
    assert "ex-row" in page
    assert "as of" in page
    assert not Reading.objects.exists()


def test_filters_narrow_without_asking_the_system_again(
    people: People, erp: SandboxProcess, signed_in: SignIn
) -> None:
    ana = signed_in(people.ana)
    everything = ana.get("/exceptions/").content.decode().count("ex-row")
    calls = len(erp.calls())
    parts = [
        ana.get("/exceptions/", {"kind": kind}).content.decode().count("ex-row")
        for kind in ("production", "purchase", "sale")
    ]
    assert sum(parts) == everything > 0
    assert len(erp.calls()) == calls
    ana.get("/exceptions/", {"fresh": "1"})
    assert len(erp.calls()) > calls


def test_a_system_that_is_away_shows_the_last_answer_and_its_age(
    people: People, erp: SandboxProcess, signed_in: SignIn
) -> None:
    ana = signed_in(people.ana)
    before = ana.get("/exceptions/").content.decode().count("ex-row")
    erp.down()
    try:
        page = ana.get("/exceptions/", {"fresh": "1"}).content.decode()
    finally:
        erp.up()
    assert "does not answer" in page
    assert "This is what it said" in page
    assert page.count("ex-row") == before


def test_a_system_that_never_answered_is_said_to_be_away(
    people: People, plant: Connection, signed_in: SignIn
) -> None:
    cache.clear()
    page = signed_in(people.ana).get("/exceptions/").content.decode()
    assert f"{plant.title} does not answer" in page
    assert "ex-row" not in page


def test_no_system_is_no_error(people: People, signed_in: SignIn) -> None:
    assert "No system to ask" in signed_in(people.ana).get("/exceptions/").content.decode()
