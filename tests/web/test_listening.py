"""What the console shows of connections that can only be listened to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from console.models import Connection, Listening, System
from tests import cast
from tests.cast import People

SignIn = Callable[[User], Client]


@pytest.fixture
def floor(plant: Connection, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Connection:
    entry = {
        "adapter": "integrations.b2mml.adapter",
        "isa95_level": 3,
        "options": {"folder": "/nowhere"},
        "reader": {},
    }
    entries = {**settings.CONNECTIONS, "floor": entry}
    cast.use_connections(settings, monkeypatch, entries, {})
    system = System.objects.create(slug="mes", title="MES", level=3)
    del plant
    return Connection.objects.create(
        name="floor", title="Floor", system=system, adapter="integrations.b2mml.adapter", path="B2MML files"
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("life", "health", "more"),
    [
        (None, "Nobody listens", "manage.py listen"),
        ({"alive_at": 0}, "Listening", "last sign of life"),
        ({"alive_at": 300}, "No sign of life", "last sign of life"),
        ({"alive_at": 0, "lost_at": 0, "lost_why": "the <b>broker</b> went"}, "Nothing is heard", "broker"),
        (
            {"alive_at": 0, "refused": 2, "refused_at": 0, "refused_why": "a.xml: no verb"},
            "Listening",
            "a.xml",
        ),
    ],
)
def test_what_is_listened_to_is_shown_by_what_is_heard(
    signed_in: SignIn, people: People, floor: Connection, life: dict[str, Any] | None, health: str, more: str
) -> None:
    Connection.objects.filter(pk=floor.pk).update(last_ok_at=timezone.now())  # a test may have been answered
    if life is not None:
        times = {
            name: timezone.now() - dt.timedelta(seconds=value) if name.endswith("_at") else value
            for name, value in life.items()
        }
        Listening.objects.create(connection=floor, **times)
    ana = signed_in(people.ana)
    for address in ("/systems/", "/systems/floor/"):
        shown = ana.get(address).content.decode()
        assert health in shown
        assert more in shown
        assert "<b>broker" not in shown
