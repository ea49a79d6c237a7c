"""From an agent to SAP: proposed, countersigned in a browser, sent over OData, and read back there.

The server is SAP's CAP with a model after S/4HANA's public APIs; see `tests/rigs/cap.py` for what in it is ours.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from console.models import Attempt
from tests.cast import People
from tests.integrations.test_sap_conformance import working_day
from tests.journeys.house import Street, house
from tests.journeys.scene import Scene, open_scene
from tests.rigs import cap as rig
from tests.rigs.cap import PURCHASE, Cap

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
    pytest.mark.xdist_group("sap"),
]

SAP = "sap"
RESCHEDULE, RELEASE = "production_order_reschedule", "production_order_release"


@pytest.fixture(scope="module")
def sap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cap]:
    """The server behind "sap"."""
    with rig.cap(tmp_path_factory.mktemp("cap")) as server:
        yield server


@pytest.fixture
def plant_on_sap(
    street: Street,
    sap: Cap,
    people: People,
    browser: Browser,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    """A day at the plant whose ERP is SAP."""
    sap.production()
    sap.purchase()
    entry, secrets = sap.settings()
    running = street.at(
        f"sap at {sap.url}", lambda: house(tmp_path_factory.mktemp("house"), {SAP: entry}, secrets)
    )
    yield from open_scene(running, people, browser, SAP, SAP, "SAP")


def test_an_order_is_moved_and_then_released_with_a_person_before_each(plant_on_sap: Scene, sap: Cap) -> None:
    scene, order = plant_on_sap, sap.production()
    reading = scene.agent.read("production_order", order=order)
    assert reading["value"]["state"] == "draft"
    wanted = {"order": order, "planned_start": working_day(5), "planned_finish": working_day(8)}
    ref = scene.agent.propose(RESCHEDULE, wanted, readings=[reading["reading"]])
    label = scene.agent.follow(ref, "in_review")["label"]

    ana = scene.come(scene.people.ana, sign_in=True)
    ana.open_from_queue(label)
    ana.sees_state("In review")
    ana.unfold("Exactly what is sent")
    ana.sees("MfgOrderPlannedStartDate", wanted["planned_start"])
    before = sap.order(order)
    ana.approve()
    scene.agent.follow(ref, "committed")
    after = sap.order(order)
    moved = {name for name in after if after[name] != before[name]} - {"__metadata", "LastChangeDateTime"}
    assert moved == {"MfgOrderPlannedStartDate", "MfgOrderPlannedEndDate"}
    assert sap.count(ref) == 1
    assert Attempt.objects.get(proposal__ref=ref).account == RESCHEDULE

    ref = scene.agent.propose(RELEASE, {"order": order}, rationale="The floor is free.")
    scene.agent.follow(ref, "in_review")
    ana.open(ref)
    ana.sees("RM122: 40 PC are missing")
    ana.approve()
    scene.agent.follow(ref, "committed")
    assert sap.order(order)["OrderIsReleased"] == "X"
    assert sap.count(ref) == 1
    ana.open(ref)
    ana.sees_state("Committed")
    assert scene.story(ref)[-3:] == ["commit.claim", "commit.note", "commit.committed"]


def test_a_purchase_whose_answer_was_lost_is_found_by_our_own_key_and_made_once(
    plant_on_sap: Scene, sap: Cap
) -> None:
    scene = plant_on_sap
    ana, ben = scene.come(scene.people.ana), scene.come(scene.people.ben)
    line = {
        "product": "RM122",
        "quantity": {"value": "230", "unit": "PC"},
        "unit_price": {"amount": "12.50", "currency": "EUR"},
        "delivery_date": working_day(320),
    }
    ref = scene.agent.propose("purchase_order_create", {"supplier": "17300001", "lines": [line]})
    scene.agent.follow(ref, "in_review")
    ana.open(ref)
    ana.sees("Domestic Supplier 1", "RM122")
    ana.approve(last=False)
    sap.fail("drop-after", method="POST", path=f"{PURCHASE}/PurchaseOrder")
    ben.open(ref)
    ben.approve()
    scene.agent.follow(ref, "committed")
    assert [one["unheard"]["status"] for one in sap.calls() if one.get("fault")] == [201]
    query = f"$filter=CorrespncExternalReference eq '{ref.removeprefix('CS-')}'&$expand=_PurchaseOrderItem"
    (made,) = sap.admin("GET", f"{PURCHASE}/PurchaseOrder?{query}")["value"]
    assert made["CreatedByUser"] == "purchase_order_create"
    assert [item["OrderQuantity"] for item in made["_PurchaseOrderItem"]] == [230]
    assert sap.count(ref) == 1
    ben.open(ref)
    ben.sees_state("Committed")
    said = scene.house.said()
    assert not [name for name, secret in sap.secrets.items() if secret in said]
