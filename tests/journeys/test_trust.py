"""An agent that loses its people's trust loses its grant, by itself, and is told."""

from __future__ import annotations

import pytest

from console.models import Grant
from tests.journeys.scene import Scene
from tests.lifecycle.corridor import reschedule
from tests.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
]


def test_an_agent_that_is_rejected_again_and_again_is_back_in_shadow_and_everybody_is_told(
    scene: Scene, erp: SandboxProcess
) -> None:
    waiting = scene.agent.propose("production_order_reschedule", reschedule(erp, days=50))
    scene.agent.follow(waiting, "in_review")
    ana = scene.come(scene.people.ana)
    for number in range(5):
        ref = scene.agent.propose("production_order_reschedule", reschedule(erp, days=14 + number))
        scene.agent.follow(ref, "in_review")
        ana.open(ref)
        ana.reject("A value is wrong", "The line is taken that week.")
        scene.agent.follow(ref, "rejected")
    ana.go(f"agents/{scene.planner.agent.slug}")
    ana.sees("Back in shadow", "people overrode it too often", "Overridden 5 of 5")
    held = scene.agent.look(waiting)
    assert "in shadow again" in held["held"]
    ana.open(waiting)
    ana.sees("in shadow again")
    assert (
        Grant.objects.get(version=scene.planner.version, name="production_order_reschedule").autonomy
        == "shadow"
    )
    later = scene.agent.propose("production_order_reschedule", reschedule(erp, days=70))
    scene.agent.follow(later, "shadowed")
