"""The scenes of the journeys: one with the sandbox for an ERP, one with a real Tryton."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests import cast
from tests.cast import People
from tests.journeys.house import Street, house
from tests.journeys.scene import Scene, open_scene
from tests.sandbox import SandboxProcess
from tests.tryton import TrytonServer

TRYTON = "tryton"


@pytest.fixture(scope="package")
def street(django_db_setup: None) -> Iterator[Street]:  # noqa: ARG001 the houses stand on the test database
    """Where the journeys' consoles stand, one at a time; none is left when the journeys are over."""
    made = Street()
    yield made
    made.close()


@pytest.fixture
def scene(
    street: Street,
    sandbox: SandboxProcess,
    people: People,
    browser: Browser,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    """A day at the plant whose ERP is the sandbox, which can be told how to go wrong."""
    entry, secrets = sandbox.settings(timeout_ms=2000)
    running = street.at(
        "sandbox", lambda: house(tmp_path_factory.mktemp("house"), {cast.PLANT: entry}, secrets)
    )
    yield from open_scene(running, people, browser, cast.PLANT, "sandbox", "Plant")


@pytest.fixture
def erp(sandbox: SandboxProcess) -> SandboxProcess:
    """The sandbox behind "plant", as seeded and well."""
    return sandbox


@pytest.fixture
def plant_on_tryton(
    street: Street,
    tryton: TrytonServer,
    people: People,
    browser: Browser,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    """A day at the plant whose ERP is a real Tryton. What is done there stays done for the next journey."""
    entry, secrets = tryton.settings()
    running = street.at("tryton", lambda: house(tmp_path_factory.mktemp("house"), {TRYTON: entry}, secrets))
    yield from open_scene(running, people, browser, TRYTON, "tryton", "Tryton")
