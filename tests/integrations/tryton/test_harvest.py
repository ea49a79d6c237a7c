"""Cases harvested from Tryton's history are what was readable then and what people did, and nothing of later."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from integrations.scan import read_tools, transaction_types
from integrations.tryton import harvest as harvesting
from integrations.tryton import history
from integrations.tryton.client import Client
from integrations.tryton.harvest import harvest
from integrations.tryton.reads import TOOLS
from tests.integrations.tryton import orders
from tests.tryton import TrytonServer

LINE, PROMISE = "purchase_order_line_change", "sales_order_promise"


class Plant:
    """People at their ERP, and an account that reads it."""

    def __init__(self, tryton: TrytonServer) -> None:
        self.tryton, self.admin = tryton, tryton.admin
        self.began = dt.datetime.now(dt.UTC)
        self.open: dict[str, Client] = {}

    def client(self, account: str = "reader") -> Client:
        if account not in self.open:
            known = self.tryton.accounts[account]
            self.open[account] = Client(self.tryton.url, self.tryton.database, known.login, known.secret)
        return self.open[account]

    def reads(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """What an agent reads now."""
        parsed = read_tools()[tool].arguments.model_validate(arguments)
        return TOOLS[tool](self.client(), parsed)

    def moves_line(self, order: int, line: int, days: int, *, by: Client | None = None) -> dt.date:
        """A buyer writes another day of delivery on a line."""
        day = orders.working_day(days)
        values = {"delivery_date_edit": True, "delivery_date_store": day}
        change = {"lines": [["write", [line], values]]}
        (by or self.admin).call("purchase.purchase", "write", [order], change, writes=True)
        return day

    def click(self, model: str, button: str, order: int) -> None:
        self.admin.call(model, button, [order], writes=True)

    def harvested(self, type_name: str = LINE, **options: Any) -> tuple[list[dict[str, Any]], Counter[str]]:
        """What is harvested of what was done since this test began, and what is left out."""
        left_out: Counter[str] = Counter()
        ours = [account.login for account in self.tryton.accounts.values()]
        cases = harvest(
            self.client(),
            transaction_types()[type_name],
            since=self.began,
            left_out=left_out,
            ours=ours,
            **options,
        )
        return list(cases), left_out


@pytest.fixture(scope="module", autouse=True)
def only_the_seed(tryton: TrytonServer) -> None:
    """A list of what is in trouble has an end, and what earlier tests left would fill it."""
    tryton.reset()


@pytest.fixture
def plant(tryton: TrytonServer) -> Iterator[Plant]:
    made = Plant(tryton)
    yield made
    for client in made.open.values():
        client.close()


def frozen(case: Mapping[str, Any], tool: str) -> dict[str, Any]:
    """The answer of a tool in a case."""
    found: dict[str, Any] = next(one["answer"] for one in case["readings"] if one["tool"] == tool)
    return found


def trouble_of(answer: Mapping[str, Any], order: int) -> dict[str, Any]:
    """What a list of exceptions says of an order."""
    (found,) = [one for one in answer["exceptions"] if one["key"] == str(order)]
    return dict(found)


def test_a_case_is_what_an_agent_read_before_and_what_people_did(plant: Plant) -> None:
    order, line = orders.purchase(plant.tryton, state="quotation", due=3)
    before = plant.reads("purchase_order", order=str(order))
    supplier = plant.reads("supplier", supplier=before["supplier"])
    listed = plant.reads("order_status_exceptions", kind="purchase", limit=200)
    day = plant.moves_line(order, line, 24)
    # From here on Tryton takes the line's day from stock moves that nobody had yet.
    plant.click("purchase.purchase", "confirm", order)

    (case,), _ = plant.harvested()
    assert case["acceptable"] == [{"order": str(order), "line": str(line), "delivery_date": day.isoformat()}]
    assert frozen(case, "purchase_order") == before
    assert frozen(case, "supplier") == supplier
    asked = {"kind": "purchase", "problem": "unconfirmed"}
    (mine,) = [one for one in case["readings"] if one["arguments"] == asked]
    assert trouble_of(mine["answer"], order) == trouble_of(listed, order)
    assert trouble_of(listed, order)["reason"] in case["started_by"]["words"]
    assert case["snapshot"]["record"]["fields"]["delivery_date"] == before["lines"][0]["delivery_date"]
    assert case["label_confidence"] == "acted"
    assert case["critical"] == ["delivery_date"]


def test_without_the_cut_the_answer_would_be_in_the_case(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, line = orders.purchase(plant.tryton, state="quotation", due=3)
    day = plant.moves_line(order, line, 24).isoformat()
    (case,), _ = plant.harvested()
    assert day not in json.dumps(case["readings"])
    assert day not in json.dumps(case["snapshot"])
    monkeypatch.setattr(history, "_cut", lambda then: {})  # noqa: ARG005 the planted fault
    leaking, _ = plant.harvested(prompted=False)
    assert leaking != [case]
    assert all(day in json.dumps(one["readings"]) for one in leaking)


def test_an_order_in_trouble_that_people_sent_as_it_was_asks_for_nothing(plant: Plant) -> None:
    order, _ = orders.purchase(plant.tryton, state="quotation", due=12)
    plant.click("purchase.purchase", "confirm", order)
    (case,), _ = plant.harvested()
    assert case["acceptable"] == [None]
    assert trouble_of(frozen(case, "order_status_exceptions"), order)["problem"] == "unconfirmed"
    assert frozen(case, "purchase_order")["state"] == "quotation"


def test_what_people_corrected_soon_after_is_disputed(plant: Plant) -> None:
    order, line = orders.purchase(plant.tryton, due=3)
    first, second = plant.moves_line(order, line, 9), plant.moves_line(order, line, 24)
    (early, late), _ = plant.harvested()
    assert [one["delivery_date"] for one in early["acceptable"]] == [first.isoformat(), second.isoformat()]
    assert early["label_confidence"] == "disputed"
    assert late["label_confidence"] == "acted"


def test_what_is_no_case_is_left_out_and_counted_by_its_reason(plant: Plant) -> None:
    order, line = orders.purchase(plant.tryton, due=3)
    plant.moves_line(order, line, 24, by=plant.client(LINE))
    pair, _ = orders.purchase(plant.tryton, due=3, lines=2)
    (row,) = plant.admin.search_read("purchase.purchase", [("id", "=", pair)], ["lines"])
    values = {"delivery_date_store": orders.working_day(24)}
    both = {"lines": [["write", row["lines"], values]]}
    plant.admin.call("purchase.purchase", "write", [pair], both, writes=True)
    calm, calm_line = orders.purchase(plant.tryton, due=40)
    plant.moves_line(calm, calm_line, 50)
    gone, gone_line = orders.purchase(plant.tryton, due=3, lines=2)
    plant.admin.call("purchase.purchase", "write", [gone], {"lines": [["delete", [gone_line]]]}, writes=True)
    sent, _ = orders.purchase(plant.tryton, state="processing")
    (moved,) = plant.admin.search_read(
        "stock.move", [("origin.purchase", "=", sent, "purchase.line")], ["id"], limit=1
    )
    day = {"planned_date": orders.working_day(30)}
    plant.admin.call("stock.move", "write", [moved["id"]], day, writes=True)

    cases, left_out = plant.harvested()
    assert cases == []
    assert +left_out == {
        harvesting.OURS: 1,
        harvesting.SAME_MOMENT: 2,
        # The order sent without trouble to be seen, and the one moved without it.
        harvesting.NO_TROUBLE: 2,
        harvesting.DELETED: 1,
        harvesting.MOVES: 1,
    }


def test_stock_that_was_booked_since_is_not_made_up(plant: Plant) -> None:
    order = orders.sale(plant.tryton, due=5)
    before = plant.reads("sales_order", order=str(order))
    plant.click("sale.sale", "draft", order)
    day = orders.working_day(9)
    plant.admin.call("sale.sale", "write", [order], {"shipping_date": day}, writes=True)
    (case,), _ = plant.harvested(PROMISE, prompted=False)
    assert case["acceptable"] == [{"order": str(order), "promised_date": day.isoformat()}]
    assert frozen(case, "sales_order") == {**before, "state": "draft"}

    (chair,) = plant.admin.search_read("product.product", [("code", "=", "FG-CHAIR")], ["id"])
    move = {"planned_date": orders.working_day(1)}
    (coming,) = plant.admin.search_read(
        "stock.move", [("product", "=", chair["id"]), ("state", "=", "draft")], ["id"], limit=1
    )
    plant.admin.call("stock.move", "write", [coming["id"]], move, writes=True)
    cases, left_out = plant.harvested(PROMISE, prompted=False)
    assert cases == []
    assert any("stock" in reason for reason in left_out)
