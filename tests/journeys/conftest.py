"""The scenes of the journeys: one with the sandbox for an ERP, one with a real Tryton."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests import cast
from tests.cast import People
from tests.journeys.house import House, house
from tests.journeys.scene import Scene, open_scene
from tests.sandbox import SandboxProcess
from tests.tryton import TrytonServer

TRYTON = "tryton"


@pytest.fixture(scope="module")
def sandbox_house(
    django_db_setup: None,  # noqa: ARG001 the processes work on the test database
    sandbox_process: SandboxProcess,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    """The console with the sandbox behind "plant", for the journeys of one module."""
    entry, secrets = sandbox_process.settings(timeout_ms=2000)
    with house(tmp_path_factory.mktemp("house"), {cast.PLANT: entry}, secrets) as running:
        yield running


@pytest.fixture
def scene(sandbox_house: House, sandbox: SandboxProcess, people: People, browser: Browser) -> Iterator[Scene]:
    """A day at the plant whose ERP is the sandbox, which can be told how to go wrong."""
    del sandbox
    yield from open_scene(sandbox_house, people, browser, cast.PLANT, "sandbox", "Plant")


@pytest.fixture
def erp(sandbox: SandboxProcess) -> SandboxProcess:
    """The sandbox behind "plant", as seeded and well."""
    return sandbox


@pytest.fixture(scope="module")
def tryton_house(
    django_db_setup: None,  # noqa: ARG001 the processes work on the test database
    tryton: TrytonServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    """The console with a real Tryton, for the journeys of one module."""
    entry, secrets = tryton.settings()
    with house(tmp_path_factory.mktemp("house"), {TRYTON: entry}, secrets) as running:
        yield running


@pytest.fixture
def plant_on_tryton(tryton_house: House, people: People, browser: Browser) -> Iterator[Scene]:
    """A day at the plant whose ERP is a real Tryton. What is done there stays done for the next journey."""
    yield from open_scene(tryton_house, people, browser, TRYTON, "tryton", "Tryton")
