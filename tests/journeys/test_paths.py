"""One surface over the paths: a task done by hand, a connection tested, a write that nobody countersigned."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, expect

from console import dispatch
from console.catalogue import transaction_type
from console.models import Connection, Incident, LogWatch
from tests import cast
from tests.cast import People
from tests.journeys.house import WAIT_SECONDS, Street, house
from tests.journeys.person import PATIENCE_MS, Person
from tests.journeys.scene import Scene, open_scene
from tests.journeys.test_hands import fits
from tests.lifecycle.corridor import reschedule
from tests.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
]
FLOOR = "floor"
RESCHEDULE = "production_order_reschedule"


@pytest.fixture
def day(
    street: Street,
    sandbox: SandboxProcess,
    people: People,
    browser: Browser,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    """A plant with an ERP, and with people who do by hand what no connection may."""
    entry, secrets = sandbox.settings(timeout_ms=2000)
    by_hand = {
        "adapter": "integrations.by_hand.adapter",
        "system": "sandbox",
        "system_title": "Sandbox ERP",
        "title": "People",
        "options": {"types": ["floor_task", RESCHEDULE]},
        "verified_by": cast.PLANT,
    }
    entries = {cast.PLANT: entry, FLOOR: by_hand}
    running = street.at("paths", lambda: house(tmp_path_factory.mktemp("house"), entries, secrets))
    opened = open_scene(running, people, browser, cast.PLANT, "sandbox", "Plant")
    scene = next(opened)
    floor = cast.connection(FLOOR, "sandbox", "People")
    Connection.objects.filter(pk=floor.pk).update(
        adapter=by_hand["adapter"], path="by hand", verified="", verified_by=scene.connection
    )
    for name in ("floor_task", RESCHEDULE):
        cast.grant(scene.planner.version, "type", name, floor)
    yield scene
    for _ in opened:
        pass


def on_a_phone(scene: Scene) -> Person:
    """Tina, a technician, at the machine."""
    tina = cast.person("tina", "technician", name="Tina Roth")
    return scene.come(tina, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)


def floor_task() -> dict[str, str]:
    due = (timezone.now() + dt.timedelta(days=3)).date().isoformat()
    return {**transaction_type("floor_task").sample, "due": due}


def test_an_agent_wants_something_on_the_floor_and_a_person_does_it(
    day: Scene, sandbox: SandboxProcess
) -> None:
    ref = day.agent.propose("floor_task", floor_task())
    label = day.agent.follow(ref, "in_review")["label"]
    ana = day.come(day.people.ana)
    ana.open_from_queue(label)
    ana.sees("no money", "the shop floor", "The panel shows 12 m/min")
    ana.choose("Approve")
    ana.answer("Approve and hand over")
    waiting = day.agent.follow(ref, "awaiting_person")
    assert waiting["task"]["said"] is None
    tina = on_a_phone(day)
    tina.go("")
    expect(tina.page.get_by_role("heading", name="Tasks", level=1)).to_be_visible()
    fits(tina.page)
    tina.page.get_by_role("link", name=label).tap()
    tina.sees("Set the feed from 15 to 12 m/min.", "The panel shows 12 m/min")
    fits(tina.page)
    tina.page.get_by_role("button", name="I do it").tap()
    tina.sees("Tina Roth has taken it on.")
    tina.page.get_by_label("Done, as countersigned").check()
    tina.page.get_by_label("What you did and what you saw").fill("Set to 12; three edges without a gap.")
    tina.page.get_by_role("button", name="Confirm").tap()
    tina.sees("It is committed under your name.")
    fits(tina.page)
    ended = day.agent.follow(ref, "committed")
    assert ended["task"]["note"] == "Set to 12; three edges without a gap."
    assert "Tina" not in str(ended)
    cleo = day.come(day.people.cleo)
    cleo.open(ref)
    cleo.sees("Tina Roth: done, as countersigned.", "Set to 12; three edges without a gap.")
    assert day.story(ref)[-3:] == ["task.hand_over", "task.take", "task.done"]
    assert sandbox.ledger() == []


def test_a_change_that_somebody_enters_at_the_screen_is_read_back_before_it_counts(
    day: Scene, sandbox: SandboxProcess
) -> None:
    payload = reschedule(sandbox)
    ref = day.agent.propose(RESCHEDULE, payload, connection=FLOOR)
    day.agent.follow(ref, "in_review")
    ana = day.come(day.people.ana)
    ana.open(ref)
    ana.choose("Approve")
    ana.answer("Approve and hand over")
    day.agent.follow(ref, "awaiting_person")
    sandbox.edit(
        f"production {payload['order']}",
        account="tina",
        planned_start=payload["planned_start"],
        planned_finish=payload["planned_finish"],
    )
    tina = on_a_phone(day)
    tina.go(f"tasks/{ref}/")
    tina.sees("is read back from Plant before it counts")
    tina.page.get_by_label("Done, as countersigned").check()
    tina.page.get_by_label("What you did and what you saw").fill("Entered both dates at the planning screen.")
    tina.page.get_by_role("button", name="Confirm").tap()
    tina.sees("It is read back from the system before it counts.")
    day.agent.follow(ref, "committed")
    assert day.story(ref)[-2:] == ["task.say", "task.committed"]


def test_a_task_is_confirmed_without_javascript(day: Scene) -> None:
    ref = day.agent.propose("floor_task", floor_task())
    day.agent.follow(ref, "in_review")
    ana = day.come(day.people.ana, java_script_enabled=False)
    ana.open(ref)
    ana.choose("Approve")
    ana.answer("Approve and hand over")
    day.agent.follow(ref, "awaiting_person")
    ana.go(f"tasks/{ref}/")
    ana.page.get_by_label("Not sure, or done otherwise").check()
    ana.page.get_by_label("What you did and what you saw").fill("Somebody was faster; it shows 11 now.")
    ana.answer("Confirm")
    ana.sees("outcome unknown under your name")
    day.agent.follow(ref, "outcome_unknown")
    ana.open(ref)
    ana.settle(happened=False, note="The panel shows 11 m/min, not 12.")
    day.agent.follow(ref, "commit_failed")


@pytest.mark.parametrize("scripts", [True, False], ids=["script", "no script"])
def test_an_administrator_tests_a_connection_and_sees_what_was_refused(day: Scene, *, scripts: bool) -> None:
    dora = day.come(day.people.dora, java_script_enabled=scripts)
    dora.go("systems/plant/")
    dora.answer("Test connection")
    if not scripts:
        deadline = time.monotonic() + WAIT_SECONDS
        while dora.page.get_by_role("link", name="Look again").count():
            assert time.monotonic() < deadline
            dora.page.get_by_role("link", name="Look again").click()
    expect(dora.main.get_by_text("It answers in")).to_be_visible(timeout=PATIENCE_MS)
    dora.sees("A stale write was refused.", "A write beyond its scope was refused.")
    dora.go("capabilities/")
    dora.sees("guarded", "by hand", "read back through plant")


def test_a_write_behind_the_consoles_back_is_an_incident_that_people_see(
    day: Scene, sandbox: SandboxProcess
) -> None:
    dispatch.ring("console.tasks.reconcile")
    wait_for(lambda: LogWatch.objects.filter(purpose=RESCHEDULE).exists())
    order = sandbox.find("production", state="draft")["key"]
    sandbox.edit(f"production {order}", account=RESCHEDULE, planned_start="2027-03-01")
    day.house.wait_until_idle()
    dispatch.ring("console.tasks.reconcile")
    wait_for(lambda: Incident.objects.filter(kind="orphan_write").exists())
    ben = day.come(day.people.ben)
    ben.go("administration/")
    ben.page.get_by_role("link", name=f"Nobody countersigned: write of production {order}").click()
    ben.sees("orphan write", f"production {order}", RESCHEDULE)


def wait_for(true: Callable[[], bool]) -> None:
    """Until it is so."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.1)
