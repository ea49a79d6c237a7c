"""The product as it is lived, on a real ERP: an agent proposes, people decide, Tryton shows it, the auditor follows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from console.models import Attempt
from tests.integrations.tryton import orders
from tests.journeys import auditor
from tests.journeys.scene import Scene
from tests.tryton import TrytonServer

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
    pytest.mark.xdist_group("tryton"),
]

RESCHEDULE = "production_order_reschedule"


def dates_in_tryton(tryton: TrytonServer, order: str) -> tuple[str, str, str]:
    """Start, finish and state of a production order, as Tryton tells its administrator."""
    row = tryton.find(
        "production", ("id", "=", int(order)), fields=("planned_start_date", "planned_date", "state")
    )
    return row["planned_start_date"].isoformat(), row["planned_date"].isoformat(), row["state"]


def next_dates(order: int, start: int = 10, finish: int = 13) -> dict[str, str]:
    """A payload that moves a production order to working days so many days ahead."""
    return {
        "order": str(order),
        "planned_start": orders.working_day(start).isoformat(),
        "planned_finish": orders.working_day(finish).isoformat(),
    }


def said(day: str) -> str:
    """A day as the console writes it, without the year: "7 Dec"."""
    found = dt.date.fromisoformat(day)
    return f"{found.day} {found:%b}"


def test_from_an_order_in_trouble_to_the_change_in_the_erp_and_its_story(
    plant_on_tryton: Scene, tryton: TrytonServer, tmp_path: Path
) -> None:
    scene = plant_on_tryton
    late = orders.production(tryton, start=-6)
    reading = scene.agent.read("order_status_exceptions", kind="production", problem="late", limit=200)
    (found,) = [one for one in reading["value"]["exceptions"] if one["key"] == str(late)]
    wanted = next_dates(late)
    before = dates_in_tryton(tryton, wanted["order"])
    ref = scene.agent.propose(
        RESCHEDULE,
        wanted,
        rationale=f"{found['reason']} The carpenters are free in two weeks.",
        readings=[reading["reading"]],
    )
    label = scene.agent.follow(ref, "in_review")["label"]

    ana = scene.come(scene.people.ana, sign_in=True)
    ana.open_from_queue(label)
    ana.sees_state("In review")
    ana.sees(said(before[0]), said(wanted["planned_start"]), said(wanted["planned_finish"]))
    ana.sees("A supervisor has to agree.", "No decisions yet: this version has no record on this type.")
    ana.sees("What the agent claims", "The carpenters are free in two weeks.", reading["reading"])
    scene.house.pause_worker()
    ana.approve()
    ana.sees("approved. It is being sent now.")
    ana.page.get_by_role("link", name=label).click()
    ana.sees_state("Approved")
    assert dates_in_tryton(tryton, wanted["order"]) == before
    scene.house.wake_worker()
    ana.sees_state("Committed")
    assert dates_in_tryton(tryton, wanted["order"]) == (
        wanted["planned_start"],
        wanted["planned_finish"],
        "draft",
    )
    assert scene.agent.look(ref)["outcome"]["committed"] is True
    account = Attempt.objects.get(proposal__ref=ref).account
    assert account == tryton.accounts[RESCHEDULE].login

    scene.house.sweep()
    scene.house.wait_until_idle()
    cleo = scene.come(scene.people.cleo)
    cleo.go("")
    auditor.finds_it_in_the_log(cleo, ref)
    cleo.page.get_by_role("link", name="The whole story").click()
    cleo.sees("Planner 1.0 proposed", "Ana Kovač approved", "and read it back", label, reading["reading"])
    cleo.sees("Ana Kovač, supervisor: approve", account, "approved → committing")
    cleo.page.go_back()
    told = scene.story(ref)
    assert told == [
        "proposal.submit",
        "proposal.assess",
        "proposal.approve",
        "commit.claim",
        "commit.note",
        "commit.committed",
    ]
    assert auditor.follows_the_chain(cleo) == len(told) + 1  # Ana's look is an entry too
    assert ref in auditor.takes_a_receipt(cleo, tmp_path)
    cleo.go(f"audit/?proposal={ref}")
    told.insert(2, "proposal.view")
    assert auditor.exports_csv(cleo, tmp_path) == told
    assert auditor.exports_ndjson(cleo, tmp_path) == told


def test_a_released_order_is_moved_in_three_steps_and_is_released_again(
    plant_on_tryton: Scene, tryton: TrytonServer
) -> None:
    scene = plant_on_tryton
    wanted = next_dates(orders.production(tryton, state="waiting"), 17, 20)
    ref = scene.agent.propose(RESCHEDULE, wanted)
    scene.agent.follow(ref, "in_review")
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    ana.unfold("Exactly what is sent")
    ana.sees("3 calls")
    ana.approve()
    scene.agent.follow(ref, "committed")
    assert dates_in_tryton(tryton, wanted["order"]) == (
        wanted["planned_start"],
        wanted["planned_finish"],
        "waiting",
    )


def test_a_purchase_order_needs_two_people_and_is_made_exactly_once(
    plant_on_tryton: Scene, tryton: TrytonServer
) -> None:
    scene = plant_on_tryton
    ref = scene.agent.propose("purchase_order_create", purchase_of_lacquer(tryton))
    scene.agent.follow(ref, "in_review")
    ana, ben = scene.come(scene.people.ana), scene.come(scene.people.ben)
    ana.open(ref)
    ana.sees("What would be made", "Two supervisors have to agree", "0 of 2 so far")
    ana.approve(last=False)
    ana.sees("you agreed. Somebody else has to as well.")
    ana.open(ref)
    ana.sees("You answered this. Now somebody else has to.", "1 of 2 so far")
    assert made_in_tryton(tryton, ref) == []
    ben.open(ref)
    ben.sees("Ana Kovač")
    ben.approve()
    scene.agent.follow(ref, "committed")
    (order,) = made_in_tryton(tryton, ref)
    assert order["state"] == "draft"
    assert len(order["lines"]) == 2
    ben.open(ref)
    ben.sees_state("Committed")


def purchase_of_lacquer(tryton: TrytonServer) -> Mapping[str, Any]:
    """Two lines from a supplier that sells both."""
    supplier = tryton.find("party.party", ("name", "=", "Lindholm Coatings"))["id"]
    return {
        "supplier": str(supplier),
        "lines": [
            {
                "product": str(orders.product(tryton, code)),
                "quantity": {"value": many, "unit": unit},
                "unit_price": {"amount": price, "currency": "EUR"},
                "delivery_date": orders.working_day(45).isoformat(),
            }
            for code, many, unit, price in (
                ("RM-LACQ-MAT", "61", "Liter", "14.90"),
                ("RM-GLUE-D3", "29", "Kilogram", "6.30"),
            )
        ],
        "note": "Please deliver together",
    }


def made_in_tryton(tryton: TrytonServer, ref: str) -> list[dict[str, Any]]:
    """The purchase orders that carry this reference."""
    return tryton.admin.search_read("purchase.purchase", [("reference", "=", ref)], ["state", "lines"])


def test_what_somebody_changed_meanwhile_comes_back_field_by_field_and_is_decided_again(
    plant_on_tryton: Scene, tryton: TrytonServer
) -> None:
    scene = plant_on_tryton
    order = orders.production(tryton)
    wanted = next_dates(order, 17, 20)
    ref = scene.agent.propose(RESCHEDULE, wanted)
    scene.agent.follow(ref, "in_review")
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    scene.house.pause_worker()
    ana.approve()
    moved = orders.working_day(30)
    tryton.admin.call("production", "write", [order], {"planned_date": moved}, writes=True)
    scene.house.wake_worker()
    ana.open(ref)
    ana.sees_state("In review")
    ana.sees("The record moved since the look before", "Planned finish", said(moved.isoformat()), "conflict")
    assert dates_in_tryton(tryton, wanted["order"])[1] == moved.isoformat()
    ana.approve()
    scene.agent.follow(ref, "committed")
    assert dates_in_tryton(tryton, wanted["order"])[:2] == (wanted["planned_start"], wanted["planned_finish"])
    assert scene.story(ref).count("proposal.moved") == 1


@contextmanager
def rights_taken_away(tryton: TrytonServer, account: str) -> Iterator[None]:
    """The ERP's administrator lets an account write no production for a while."""
    row = tryton.find(
        "ir.model.access", ("group.name", "=", f"Countersign {account}"), ("model", "=", "production")
    )
    tryton.admin.call("ir.model.access", "write", [row["id"]], {"perm_write": False}, writes=True)
    try:
        yield
    finally:
        tryton.admin.call("ir.model.access", "write", [row["id"]], {"perm_write": True}, writes=True)


def test_what_tryton_refuses_ends_as_failed_with_its_words(
    plant_on_tryton: Scene, tryton: TrytonServer
) -> None:
    scene = plant_on_tryton
    wanted = next_dates(orders.production(tryton), 17, 20)
    before = dates_in_tryton(tryton, wanted["order"])
    ref = scene.agent.propose(RESCHEDULE, wanted)
    scene.agent.follow(ref, "in_review")
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    with rights_taken_away(tryton, RESCHEDULE):
        ana.approve()
        scene.agent.follow(ref, "commit_failed")
    ana.open(ref)
    ana.sees_state("Commit failed")
    ana.sees("Tryton refuses the account", "The system does not show it")
    assert dates_in_tryton(tryton, wanted["order"]) == before


def test_a_morning_of_three_kinds_of_transactions_one_after_the_other(
    plant_on_tryton: Scene, tryton: TrytonServer
) -> None:
    scene = plant_on_tryton
    shelf = orders.production(tryton, code="FG-SHELF", quantity=6.0)
    order, line = orders.purchase(tryton, state="processing")
    sale = orders.sale(tryton, state="processing")
    promised = orders.working_day(60)
    refs = [
        scene.agent.propose(kind, payload)
        for kind, payload in (
            ("production_order_quantity", {"order": str(shelf), "quantity": {"value": "9", "unit": "Unit"}}),
            (
                "purchase_order_line_change",
                {
                    "order": str(order),
                    "line": str(line),
                    "unit_price": {"amount": "35.10", "currency": "EUR"},
                },
            ),
            ("sales_order_promise", {"order": str(sale), "promised_date": promised.isoformat()}),
        )
    ]
    for ref in refs:
        scene.agent.follow(ref, "in_review")
    ana = scene.come(scene.people.ana)
    ana.go("")
    ana.row("").first.click()
    for left in (2, 1, 0):
        ana.sees_state("In review")
        ana.approve()
        ana.sees("approved. It is being sent now.", *([] if left else ["That was the last one"]))
    for ref in refs:
        scene.agent.follow(ref, "committed")
    made = tryton.find("production", ("id", "=", shelf), fields=("quantity", "inputs.quantity"))
    assert made["quantity"] == 9
    bought = tryton.find("purchase.line", ("id", "=", line), fields=("unit_price",))
    assert bought["unit_price"] == Decimal("35.10")
    shipment = tryton.find(
        "stock.shipment.out", ("moves.origin.sale", "=", sale, "sale.line"), fields=("planned_date",)
    )
    assert shipment["planned_date"] == promised
