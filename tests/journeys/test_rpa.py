"""The last door as it is lived: an agent proposes, people certify and decide, a robot works at Tryton's screens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from console import dispatch
from console.models import CertifiedScreen, Exhibit, Incident, Probe
from tests import cast
from tests.cast import People, Planner
from tests.integrations.test_rpa import dates, payload, renamed
from tests.journeys.agent import Agent
from tests.journeys.house import House, Street, house
from tests.journeys.scene import Scene
from tests.lifecycle.conftest import check_told_once
from tests.rigs.sao import WebTryton

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
    pytest.mark.xdist_group("web-tryton"),
]

SCREENS, RPC, SYSTEM = "screens", "rpc", "tryton80"
TYPE = "production_order_reschedule"
SCRIPT = "Tryton 8.0, production_order_reschedule, script 2"
SLOW_SECONDS = 300
"""How long a journey waits for a robot: every look is a browser that starts, signs in and reads."""


def entries(web: WebTryton) -> tuple[dict[str, Any], dict[str, str]]:
    """Two ways into one Tryton: the robot writes, and a reader by JSON-RPC says whether it is true."""
    reader, writer = web.accounts["reader"], web.accounts[TYPE]
    shared = {"system": SYSTEM, "system_title": "Tryton 8.0", "isa95_level": 4}
    read = {"login": reader.login, "secret": "WEB_READER"}
    found = {
        RPC: {
            **shared,
            "adapter": "integrations.tryton.adapter",
            "title": "Tryton, reading only",
            "options": dict(web.options),
            "reader": read,
        },
        SCREENS: {
            **shared,
            "adapter": "integrations.rpa.adapter",
            "title": "Screens of Tryton",
            "options": {**web.options, "timeout": 60, "company": "Alder & Ash Furniture"},
            "reader": read,
            "writers": {TYPE: {"login": writer.login, "secret": "WEB_WRITER"}},
            "verified_by": RPC,
        },
    }
    return found, {"WEB_READER": reader.secret, "WEB_WRITER": writer.secret}


@pytest.fixture
def at_the_screens(
    street: Street,
    web_tryton: WebTryton,
    people: People,
    browser: Browser,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    """A day at a plant whose ERP is written through its screens."""
    found, secrets = entries(web_tryton)
    # A robot's step takes its time at a busy machine; its lease must outlast it.
    patience = {"LEASE_SECONDS": "240", "AGAIN_SECONDS": "2"}
    running = street.at(
        "screens", lambda: house(tmp_path_factory.mktemp("house"), found, secrets, env=patience)
    )
    one = cast.version(cast.agent(people.oskar))
    cast.connection(RPC, SYSTEM, "Tryton, reading only")
    connection = cast.connection(SCREENS, SYSTEM, "Screens of Tryton")
    cast.grant(one, "type", TYPE, connection)
    planner = Planner(agent=one.agent, version=one, key=cast.key(one))
    payload(web_tryton)  # an order in draft, on which the probe can try a stale write
    prove(running)
    agent = Agent(running.url, planner.key, running.sweep)
    scene = Scene(running, people, planner, connection, agent, browser)
    yield scene
    agent.close()
    for person in scene.present:
        person.context.close()
    running.wait_until_idle()
    check_told_once()
    for person in scene.present:
        assert not person.faults, (person.user.username, person.faults)


def prove(running: House) -> None:
    """Let the worker prove the robot's account at the screen."""
    dispatch.ring("console.tasks.probe_accounts")
    deadline = time.monotonic() + SLOW_SECONDS
    while (found := Probe.objects.filter(connection__name=SCREENS).first()) is None:
        assert time.monotonic() < deadline, running.said()[-3000:]
        time.sleep(0.5)
    assert found.sound, (found.findings, found.excess)


def until(scene: Scene, ref: str, *states: str) -> dict[str, Any]:
    """The proposal once it is in one of these states."""
    deadline = time.monotonic() + SLOW_SECONDS
    while (seen := scene.agent.look(ref))["state"] not in states:
        assert not seen["final"], (seen["state"], seen["state_reason"], scene.house.said()[-2000:])
        assert time.monotonic() < deadline, (seen["state"], seen["state_reason"])
        scene.house.sweep()
        time.sleep(1)
    return seen


def certify(scene: Scene, fingerprint: str) -> None:
    """Dora asks at the command line, Ana confirms in the console."""
    asked = scene.house.manage("certify_screen", SCREENS, TYPE, SCRIPT, fingerprint, "--by", "dora")
    assert "A second person confirms it" in asked
    ana = scene.come(scene.people.ana)
    ana.go("administration/")
    ana.page.get_by_role("button", name="Confirm").click()
    ana.sees("It is in force.")


def proposed_at_a_certified_screen(scene: Scene, web: WebTryton) -> tuple[str, dict[str, str]]:
    """A proposal in review. The first one is refused, because nobody has certified the screen yet."""
    wanted = payload(web)
    if not CertifiedScreen.objects.exists():
        refused = scene.agent.propose(TYPE, wanted)
        until(scene, refused, "refused")
        certify(scene, fingerprint_of(refused))
    ref = scene.agent.propose(TYPE, wanted)
    until(scene, ref, "in_review")
    return ref, wanted


def fingerprint_of(ref: str) -> str:
    """The fingerprint that the screen of a refused proposal had."""
    shown = Exhibit.objects.filter(proposal__ref=ref).first()
    assert shown is not None
    assert shown.assessment is not None
    return str(shown.assessment.snapshot["context"]["screen"]["fingerprint"])


def test_from_an_uncertified_screen_to_a_saved_order_and_its_pictures(
    at_the_screens: Scene, web_tryton: WebTryton
) -> None:
    scene = at_the_screens
    wanted = payload(web_tryton)
    before = dates(web_tryton, wanted["order"])
    refused = scene.agent.propose(TYPE, wanted)
    until(scene, refused, "refused")
    ben = scene.come(scene.people.ben)
    ben.open(refused)
    ben.sees("The screen has not been certified yet", "What the robot saw", "last door: screen robot")
    certify(scene, fingerprint_of(refused))

    ref = scene.agent.propose(TYPE, wanted)
    until(scene, ref, "in_review")
    ben.open(ref)
    ben.sees("The robot rehearsed it at the screen up to the click", "The order as it was read")
    assert dates(web_tryton, wanted["order"]) == before
    ben.approve()
    until(scene, ref, "committed")
    assert dates(web_tryton, wanted["order"]) == (wanted["planned_start"], wanted["planned_finish"])
    ben.open(ref)
    ben.sees_state("Committed")
    ben.sees(
        "Before: the order as it stood",
        "Filled: what is about to be saved",
        "After: the order as it was saved",
    )
    picture = ben.main.get_by_role("img", name="After: the order as it was saved: picture of the screen")
    picture.scroll_into_view_if_needed()
    ben.page.wait_for_function("e => e.complete && e.naturalWidth > 0", arg=picture.element_handle())
    story = scene.story(ref)
    # The pictures of before the click were kept together with its note, those of after it before the outcome.
    assert [verb for verb in story if verb in {"evidence.keep", "commit.note", "commit.committed"}] == [
        "evidence.keep",
        "commit.note",
        "evidence.keep",
        "evidence.keep",
        "commit.committed",
    ]
    assert not Incident.objects.exists()


def test_a_screen_that_changed_after_the_approval_is_not_worked_at(
    at_the_screens: Scene, web_tryton: WebTryton
) -> None:
    scene = at_the_screens
    ref, wanted = proposed_at_a_certified_screen(scene, web_tryton)
    before = dates(web_tryton, wanted["order"])
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    with renamed(web_tryton, "Where it is made"):
        ana.approve()
        until(scene, ref, "refused")
    ana.open(ref)
    ana.sees("The screen changed since it was certified")
    assert dates(web_tryton, wanted["order"]) == before
    assert "commit.note" not in scene.story(ref)
