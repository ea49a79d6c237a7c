"""An agent begins in shadow, is raised by two people, and loses its grant by itself when they turn it down."""

from __future__ import annotations

import time

import pytest

from console.models import Grant, ShadowLook
from tests.journeys.house import WAIT_SECONDS
from tests.journeys.scene import Scene
from tests.lifecycle.corridor import reschedule
from tests.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
]


RESCHEDULE = "production_order_reschedule"


def autonomy(scene: Scene) -> str:
    """What `tools` says of the agent's own grant."""
    told = scene.agent.http.get("tools").json()
    card = next(one for one in told["transaction_types"] if one["name"] == RESCHEDULE)
    return f"{card['connections'][0]['autonomy']}. {card['connections'][0]['standing']}"


def test_an_agent_is_compared_in_shadow_raised_by_two_people_and_put_back_when_it_is_turned_down(
    scene: Scene, erp: SandboxProcess
) -> None:
    Grant.objects.filter(version=scene.planner.version, name=RESCHEDULE).update(autonomy="shadow")
    assert autonomy(scene) == "shadow. "
    payload = reschedule(erp, state="requested")
    ref = scene.agent.propose(RESCHEDULE, payload)
    scene.agent.follow(ref, "shadowed")
    days = {name: payload[name] for name in ("planned_start", "planned_finish")}
    erp.edit(f"production {payload['order']}", **days)
    deadline = time.monotonic() + WAIT_SECONDS
    while not ShadowLook.objects.filter(proposal__ref=ref, did="same").exists():
        assert time.monotonic() < deadline, scene.house.worker.said()[-3000:]
        scene.house.sweep()
        time.sleep(0.2)
    ana = scene.come(scene.people.ana)
    ana.go("?group=shadow")
    ana.row("Reschedule a production order").click()
    ana.sees("What people did in its place", "The same as proposed", "2 fields compared, all as proposed")
    assert erp.effects(ref) == []

    dora = scene.come(scene.people.dora)
    dora.go(f"agents/{scene.planner.agent.slug}")
    row = dora.main.get_by_role("listitem").filter(has=dora.page.get_by_text("Reschedule a production order"))
    row.get_by_label("Level for").select_option("Propose")
    row.get_by_label("Why, for").fill("People do what it proposes.")
    row.get_by_role("button", name="Ask for it").click()
    dora.sees("A second person has to confirm it")
    assert autonomy(scene).startswith("shadow")
    ana.go("administration/")
    ana.page.get_by_role("button", name="Confirm").click()
    ana.sees("It is in force")
    assert autonomy(scene) == "propose. "

    waiting = scene.agent.propose(RESCHEDULE, reschedule(erp, days=50))
    scene.agent.follow(waiting, "in_review")
    for number in range(5):
        ref = scene.agent.propose(RESCHEDULE, reschedule(erp, days=14 + number))
        scene.agent.follow(ref, "in_review")
        ana.open(ref)
        ana.reject("A value is wrong", "The line is taken that week.")
        scene.agent.follow(ref, "rejected")
    ana.go(f"agents/{scene.planner.agent.slug}")
    ana.sees("Back in shadow", "People overrode 5 of 5 proposals", "Overridden 5 of 5")
    assert "overrode 5 of 5" in autonomy(scene)
    held = scene.agent.look(waiting)
    assert "in shadow again" in held["held"]
    ana.open(waiting)
    ana.sees("in shadow again")
    later = scene.agent.propose(RESCHEDULE, reschedule(erp, days=70))
    assert "overrode 5 of 5" in scene.agent.follow(later, "shadowed")["state_reason"]
