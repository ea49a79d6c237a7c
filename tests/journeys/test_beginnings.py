"""Before the first proposal: an agent gets its key and its grants, and people look at what it will be asked about."""

from __future__ import annotations

import time

import pytest

from console.models import AuditEntry
from tests.journeys.agent import Agent
from tests.journeys.house import WAIT_SECONDS
from tests.journeys.scene import Scene
from tests.lifecycle.corridor import reschedule
from tests.sandbox import SandboxProcess

RESCHEDULE = "production_order_reschedule"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
]


def test_a_new_agent_gets_its_key_and_may_do_nothing_until_two_people_agree(
    scene: Scene, erp: SandboxProcess
) -> None:
    dora, ana = scene.come(scene.people.dora), scene.come(scene.people.ana)
    dora.go("agents/new")
    dora.page.get_by_label("Title").fill("Buyer")
    dora.page.get_by_label("Short name").fill("buyer")
    dora.page.get_by_label("Who answers for it").select_option("Oskar Weiss")
    dora.answer("Register")
    dora.sees("Buyer is registered.")
    dora.unfold("Register a version")
    dora.page.get_by_label("Label").fill("2.0")
    dora.answer("Register")
    dora.sees("Version 2.0 is registered. It starts without grants.")
    dora.unfold("Issue a key")
    dora.answer("Issue")
    dora.sees("This is the only time it is shown.")
    key = dora.page.get_by_label("Key").input_value()
    dora.page.get_by_role("link", name="I have kept it").click()
    dora.misses(key)

    buyer = Agent(scene.house.url, key, scene.house.sweep)
    assert buyer.http.get("tools").json()["transaction_types"] == []
    body = {"transaction_type": RESCHEDULE, "payload": reschedule(erp), "rationale": "Because."}
    refused = buyer.http.post("proposals", json=body, headers={"Idempotency-Key": "first"})
    assert (refused.status_code, refused.json()["code"]) == (403, "no_grant")

    dora.unfold("Add a grant")
    dora.page.get_by_label("What").select_option("Reschedule a production order")
    dora.answer("Ask for it")
    dora.sees("A second person has to confirm it.")
    assert buyer.http.get("tools").json()["transaction_types"] == []
    ana.go("administration/")
    ana.page.get_by_role("button", name="Confirm").click()
    ana.sees("Nothing waits.")
    ref = buyer.propose(RESCHEDULE, reschedule(erp))
    buyer.follow(ref, "in_review")

    dora.go("agents/buyer/")
    dora.page.get_by_role("button", name="Revoke").click()
    dora.sees("is revoked. Its next call is refused.")
    assert buyer.http.get("tools").status_code == 401
    buyer.close()
    assert not AuditEntry.objects.filter(body__contains=key).exists()


def test_people_see_the_orders_in_trouble_that_the_agent_reads(scene: Scene, erp: SandboxProcess) -> None:
    read = scene.agent.read("order_status_exceptions", limit=200)["value"]["exceptions"]
    ana = scene.come(scene.people.ana)
    ana.go("exceptions/")
    ana.page.get_by_role("link", name="Ask again").click()
    assert read
    ana.sees(*[one["label"] for one in read], *[one["reason"] for one in read])
    erp.down()
    ana.page.get_by_role("link", name="Ask again").click()
    ana.sees("Plant does not answer.", "This is what it said", read[0]["label"])


def test_an_administrator_tests_a_connection_and_sees_an_account_that_can_do_too_much(
    scene: Scene, erp: SandboxProcess
) -> None:
    erp.widen("sales_order_promise", {"sale.write": ["customer", "promised_date"]})
    dora = scene.come(scene.people.dora)
    dora.go("")
    dora.page.get_by_role("navigation", name="Main").get_by_role("link", name="Systems").click()
    dora.main.get_by_role("link", name="Plant").first.click()
    dora.answer("Test connection")
    dora.sees("It answers", "6 of 6 accounts answered", "writes nothing", "It may also", "customer")
    dora.go("systems/plant/")
    dora.sees("The account sales_order_promise on Plant is not fit to write")


def test_an_agent_asks_what_would_be_found_and_the_second_answer_rests_on_the_record(
    scene: Scene, erp: SandboxProcess
) -> None:
    body = {
        "transaction_type": RESCHEDULE,
        "payload": {**reschedule(erp), "planned_start": "2099-06-08", "planned_finish": "2099-06-04"},
        "rationale": "The lacquer comes later.",
    }
    until = time.monotonic() + WAIT_SECONDS
    found = scene.agent.http.post("proposals/validate", json=body).json()
    assert (found["sound"], found["against"]) == (True, None)
    while found["against"] is None:
        assert time.monotonic() < until, found
        time.sleep(0.2)
        found = scene.agent.http.post("proposals/validate", json=body).json()
    assert "dates.finish_before_start" in {one["id"] for one in found["findings"]}
    assert scene.agent.http.get("proposals").json()["proposals"] == []
