"""Who works in a measured console: an agent with a key, its owner, and supervisors who are signed in.

Django must be set up on the database in question. Rows are made as the application's role.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from console.audit import OPERATOR, WORKER
from console.lifecycle import probe
from console.models import Probe
from console.registry import connections
from tests import cast
from tests.bench.stack import CONNECTION

CSRF = "0123456789abcdefghijklmnopqrstuv"
"""A token is what cookie and form agree on; any 32 letters will do."""


@dataclass(frozen=True)
class Workforce:
    """An agent's key, and one Cookie header per supervisor."""

    key: str
    cookies: tuple[str, ...]


def workforce(supervisors: int) -> Workforce:
    """Make them, mirror the connection and have its accounts probed. RuntimeError when one is not sound."""
    plant = next(one for one in connections.mirror(actor=OPERATOR) if one.name == CONNECTION)
    owner = cast.person("oskar", "supervisor", name="Oskar Weiss")
    version = cast.version(cast.agent(owner, pending_cap=1_000_000, calls_per_minute=10_000_000))
    cast.grant_all(version, plant)
    probe.probe_all(actor=WORKER)
    if unsound := list(Probe.objects.filter(sound=False)):
        raise RuntimeError(f"accounts are not sound: {unsound}")
    people = [
        cast.person(f"ana{number}", "supervisor", name=f"Ana {number}") for number in range(supervisors)
    ]
    return Workforce(cast.key(version), tuple(cookie(person) for person in people))


def cookie(person: User) -> str:
    """Sign a person in and give the Cookie header of their browser."""
    browser = Client()
    browser.force_login(person)
    session = browser.cookies[settings.SESSION_COOKIE_NAME].value
    return f"{settings.SESSION_COOKIE_NAME}={session}; {settings.CSRF_COOKIE_NAME}={CSRF}"


def small_orders(home: Path) -> list[str]:
    """Keys of the sandbox's production orders that one supervisor may decide alone."""
    records: Mapping[str, Any] = json.loads((home / "sandbox" / "base.json").read_text())["records"]
    worth = {
        name: Decimal(one["price"]["amount"]) for name, one in records.items() if one["kind"] == "product"
    }
    return [
        one["key"]
        for one in records.values()
        if one["kind"] == "production"
        and Decimal(one["quantity"]) * worth[f"product {one['product']}"] < Decimal(9000)
    ]
