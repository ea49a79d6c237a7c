"""What an MES says goes into a decision, and is asked once more before anything is sent: OPC UA to commit."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from console.environment import ROOT
from console.models import Connection, Sample, System
from tests import cast
from tests.cast import People
from tests.integrations.conformance import a_port_where_nothing_listens
from tests.journeys.house import House, Street, house
from tests.journeys.scene import Scene, open_scene
from tests.lifecycle.corridor import reschedule
from tests.rigs.mes_opcua import SECRET, Mes, mes
from tests.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
]

WAIT_SECONDS = 40
HELD, RUNNING = [[4, "Interrupted"], [1, "Held"]], [[3, "Running"]]


@pytest.fixture(scope="module")
def server() -> Iterator[Mes]:
    with mes(a_port_where_nothing_listens()) as one:
        yield one


@dataclass
class Floor:
    """A plant with an ERP and an MES, its console, and the process that listens."""

    scene: Scene
    server: Mes
    listener: subprocess.Popen[bytes]
    log: Path

    def wait(self, holds: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + WAIT_SECONDS
        while not (found := holds()):
            assert time.monotonic() < deadline, self.log.read_text()[-3000:]
            time.sleep(0.1)
        return found

    def says(self, order: str, states: list[list[Any]], *, status: str = "Good") -> None:
        """The MES tells this of a job; returns when the listener has stored it."""
        self.server.tell(jobs={order: states}, status=status)
        wanted = {"quality": "good" if status == "Good" else "uncertain"}
        if status == "Good":
            wanted["value__state"] = {3: "running", 4: "interrupted"}[states[0][0]]
        self.wait(lambda: Sample.objects.filter(key__contains=f'"{order}"', **wanted))


@pytest.fixture
def floor(
    street: Street,
    sandbox: SandboxProcess,
    server: Mes,
    people: People,
    browser: Browser,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Floor]:
    plant, secrets = sandbox.settings(timeout_ms=2000)
    entry, more = server.settings()
    entries = {cast.PLANT: plant, "floor": {**entry, "writers": {}}}

    def open_house() -> Any:
        return house(tmp_path_factory.mktemp("house"), entries, secrets | more)

    running: House = street.at("floor", open_house)
    for scene in open_scene(running, people, browser, cast.PLANT, "sandbox", "Plant"):
        system = System.objects.create(slug="mes", title="Floor MES", level=3)
        row = Connection.objects.create(
            name="floor", title="Floor", system=system, adapter=entry["adapter"], path="OPC UA"
        )
        cast.grant(scene.planner.version, "tool", "job_state", row)
        log = tmp_path_factory.mktemp("listen") / "listen.log"
        with log.open("wb") as output:
            listener = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "listen"],
                cwd=ROOT,
                env=dict(running.env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield Floor(scene, server, listener, log)
        finally:
            if listener.poll() is None:
                listener.send_signal(signal.SIGTERM)
                listener.wait(20)
        assert SECRET not in log.read_text() + running.said()
        assert server.was_asked_to() == []


def proposed(floor: Floor, erp: SandboxProcess) -> tuple[str, str, str, dict[str, Any]]:
    """A job is held, the agent reads that and proposes to move its order: reference, label, job, reading."""
    agent = floor.scene.agent
    payload = reschedule(erp)
    job = agent.read("production_order", cast.PLANT, order=payload["order"])["value"]["number"]
    floor.says(job, HELD)
    reading = agent.read("job_state", "floor", order=job)
    ref = agent.propose(
        "production_order_reschedule",
        payload,
        connection=cast.PLANT,
        rationale="The job is held on the floor; it will not be done in time.",
        readings=[reading["reading"]],
    )
    return ref, agent.follow(ref, "in_review")["label"], job, reading


def test_a_job_state_goes_into_a_decision_and_bad_quality_holds_the_commit(
    floor: Floor, erp: SandboxProcess
) -> None:
    ref, label, job, reading = proposed(floor, erp)
    assert (reading["quality"], reading["value"]["state"], reading["value"]["detail"]) == (
        "good",
        "interrupted",
        "Held",
    )
    scene = floor.scene
    ana = scene.come(scene.people.ana, sign_in=True)
    ana.open_from_queue(label)
    expect(ana.main.get_by_role("heading", name=f"Job state {reading['reading']}")).to_be_visible()
    ana.sees("Floor, listening", "as of", "so since")
    ana.sees("interrupted", "Held")

    floor.says(job, HELD, status="BadNoCommunication")
    ana.approve()
    ana.sees("approved. It is being sent now.")
    ana.open(ref)
    ana.sees_state("Approved")
    ana.sees("It waits and nothing was sent.", "OPC UA says BadNoCommunication")
    assert scene.agent.look(ref)["state"] == "approved"
    assert erp.effects(ref) == []

    floor.says(job, HELD)
    scene.agent.follow(ref, "committed")
    ana.open(ref)
    ana.sees_state("Committed")
    assert len(erp.effects(ref)) == 1


def test_a_job_that_goes_on_voids_the_approval_that_rested_on_its_hold(
    floor: Floor, erp: SandboxProcess
) -> None:
    ref, _, job, reading = proposed(floor, erp)
    scene = floor.scene
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    scene.house.pause_worker()
    ana.approve()
    ana.sees("approved. It is being sent now.")
    floor.says(job, RUNNING)
    scene.house.wake_worker()
    scene.agent.follow(ref, "in_review")
    assert erp.effects(ref) == []
    ana.open(ref)
    ana.sees_state("In review")
    ana.sees(reading["reading"], "interrupted", "running")
    ana.reject("Not now", "It runs again; nothing has to move.")
    scene.agent.follow(ref, "rejected")
    assert erp.effects(ref) == []


def test_while_nobody_listens_nothing_is_sent(floor: Floor, erp: SandboxProcess) -> None:
    ref, _, _, _ = proposed(floor, erp)
    scene = floor.scene
    floor.listener.send_signal(signal.SIGTERM)
    assert floor.listener.wait(20) == 0
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    ana.approve()
    ana.open(ref)
    ana.sees_state("Approved")
    ana.sees("It waits and nothing was sent.", "the listener was stopped")
    assert erp.effects(ref) == []
