"""The same approval in other hands: without JavaScript, on a phone, by the keyboard alone, twice at once."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from console.models import Decision
from tests.journeys.scene import Scene
from tests.lifecycle.corridor import reschedule
from tests.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
]


def waiting(scene: Scene, erp: SandboxProcess) -> tuple[str, str]:
    """A proposal in front of a supervisor: its reference and its label."""
    ref = scene.agent.propose("production_order_reschedule", reschedule(erp))
    return ref, scene.agent.follow(ref, "in_review")["label"]


def test_it_is_approved_without_javascript(scene: Scene, erp: SandboxProcess) -> None:
    ref, label = waiting(scene, erp)
    ana = scene.come(scene.people.ana, sign_in=True, java_script_enabled=False)
    ana.open_from_queue(label)
    ana.sees("In review.", "A supervisor has to agree.")
    ana.approve()
    ana.sees("approved. It is being sent now.")
    scene.agent.follow(ref, "committed")
    ana.open(ref)
    ana.sees_state("Committed")
    assert len(erp.effects(ref)) == 1


def test_it_is_sent_back_without_javascript(scene: Scene, erp: SandboxProcess) -> None:
    ref, _ = waiting(scene, erp)
    ana = scene.come(scene.people.ana, java_script_enabled=False)
    ana.open(ref)
    ana.ask_for_changes("Not now", "After the fair, please.")
    assert scene.agent.follow(ref, "changes_requested")["state_reason"] == "After the fair, please."
    assert erp.ledger() == []


def test_it_is_approved_on_a_phone(scene: Scene, erp: SandboxProcess) -> None:
    ref, label = waiting(scene, erp)
    ana = scene.come(scene.people.ana, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    ana.go("")
    ana.row(label).tap()
    ana.sees_state("In review")
    fits(ana.page)
    approve = ana.page.get_by_role("link", name="Approve")
    expect(approve).to_be_in_viewport()
    approve.tap()
    send = ana.page.get_by_role("button", name="Approve and send")
    expect(send).to_be_in_viewport()
    fits(ana.page)
    send.tap()
    ana.sees("approved. It is being sent now.")
    fits(ana.page)
    scene.agent.follow(ref, "committed")


def fits(page: Page) -> None:
    """Nothing has to be scrolled sideways."""
    wide = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide[0] <= wide[1], wide


def test_it_is_approved_by_the_keyboard_alone(scene: Scene, erp: SandboxProcess) -> None:
    ref, label = waiting(scene, erp)
    ana = scene.come(scene.people.ana)
    ana.go("")
    keys = ana.page.keyboard
    keys.press("j")
    expect(ana.row(label)).to_be_focused()
    keys.press("Enter")
    ana.sees_state("In review")
    keys.press("a")
    expect(ana.page.get_by_role("button", name="Approve and send")).to_be_focused()
    keys.press("Enter")
    ana.sees("approved. It is being sent now.")
    scene.agent.follow(ref, "committed")
    assert len(erp.effects(ref)) == 1


def test_a_double_click_is_one_decision(scene: Scene, erp: SandboxProcess) -> None:
    ref, _ = waiting(scene, erp)
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    ana.choose("Approve")
    ana.page.get_by_role("button", name="Approve and send").dblclick()
    ana.sees("That was the last one that waits for you")
    scene.agent.follow(ref, "committed")
    assert Decision.objects.filter(proposal__ref=ref).count() == 1
    assert len(erp.effects(ref)) == 1


def test_the_same_answer_from_two_windows_is_one_decision(scene: Scene, erp: SandboxProcess) -> None:
    ref, _ = waiting(scene, erp)
    here, there = scene.come(scene.people.ana), scene.come(scene.people.ana, java_script_enabled=False)
    for window in (here, there):
        window.open(ref)
        window.choose("Approve")
    here.answer("Approve and send")
    here.sees("approved. It is being sent now.")
    there.answer("Approve and send")
    there.sees("your answer was taken already.")
    scene.agent.follow(ref, "committed")
    assert Decision.objects.filter(proposal__ref=ref).count() == 1
    assert len(erp.effects(ref)) == 1
