"""A test of attention, lived: one is approved and told, another is caught; nothing of either reaches the ERP."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from console.models import Decision, SeededTest
from tests.journeys.person import Person
from tests.journeys.scene import Scene
from tests.lifecycle.corridor import promise
from tests.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
]

SHARE = "Tests of attention among what waits"


def put_into_the_queue(dora: Person, scene: Scene) -> SeededTest:
    """Dora wants a test now; a worker looks at it as at any other proposal."""
    dora.go("administration/")
    dora.page.get_by_role("button", name="Put a test into the queue now").click()
    dora.sees("A test of attention is in the queue")
    test = SeededTest.objects.select_related("proposal").latest("id")
    scene.house.sweep()
    dora.misses(test.proposal.ref)
    return test


def picture(person: Person, name: str) -> None:
    """A picture of the page in hand in both themes and at phone width, where PICTURES names a folder."""
    if not (folder := os.environ.get("PICTURES")):
        return
    for scheme in ("light", "dark"):
        person.page.emulate_media(color_scheme=scheme)
        for width in (1280, 390):
            person.page.set_viewport_size({"width": width, "height": 844})
            person.page.screenshot(path=Path(folder) / f"{name}-{scheme}-{width}.png", full_page=True)


def test_a_missed_test_is_told_at_once_and_a_caught_one_praised_and_the_erp_hears_of_neither(
    scene: Scene, erp: SandboxProcess
) -> None:
    real = scene.agent.propose("sales_order_promise", promise(erp))
    label = scene.agent.follow(real, "in_review")["label"]
    ana, ben, dora = (scene.come(one) for one in (scene.people.ana, scene.people.ben, scene.people.dora))
    ana.open(real)
    ana.approve()
    scene.agent.follow(real, "committed")
    written = len(erp.ledger())

    dora.go("administration/")
    dora.unfold("What is asked of people")
    dora.page.get_by_label(SHARE).fill("5")
    dora.page.get_by_role("button", name=f"Set {SHARE}").click()
    dora.sees(f"{SHARE} is set.", "shown from 30 on")
    picture(dora, "administration")

    missed = put_into_the_queue(dora, scene)
    ana.go("")
    expect(ana.row(label)).to_be_visible()
    ana.open_from_queue(label)
    ana.unfold("What happened so far")
    ana.misses("test of attention", "seeded")
    picture(ana, "before")
    ana.approve()
    ana.sees("This was a test of attention, and something was wrong with it", missed.told, missed.look)
    ana.sees_state("Revealed")
    picture(ana, "missed")
    given = Decision.objects.get(proposal=missed.proposal)
    assert (given.caught, given.answer) == (False, "approve")
    assert given.unfolded == ["What happened so far"]
    assert given.dwell_ms

    caught = put_into_the_queue(dora, scene)
    ben.go("")
    expect(ben.row(label)).to_be_visible()
    ben.open_from_queue(label)
    ben.reject("A value is wrong", "That day cannot be meant.")
    ben.sees("Well caught: this was a test of attention", caught.told)
    picture(ben, "caught")
    ben.go("administration/")
    ben.sees("You answered 1 test")
    picture(ben, "own")

    scene.house.sweep()
    scene.house.wait_until_idle()
    assert len(erp.ledger()) == written
    assert [one["ref"] for one in scene.agent.http.get("proposals").json()["proposals"]] == [real]
