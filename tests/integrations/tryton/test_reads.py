"""What agents read of Tryton is what Tryton has, in words people use."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from integrations.contract import Reader
from integrations.scan import read_tools
from integrations.tryton.adapter import ADAPTER
from tests.integrations.tryton import orders
from tests.tryton import TrytonServer

TOOLS = read_tools()


@pytest.fixture
def reader(tryton: TrytonServer) -> Iterator[Reader]:
    opened = ADAPTER.reader(tryton.options, tryton.accounts["reader"])
    yield opened
    opened.close()


def exceptions(reader: Reader, **arguments: Any) -> list[dict[str, Any]]:
    tool = TOOLS["order_status_exceptions"]
    parsed = tool.arguments.model_validate({"limit": 200, **arguments})
    found: list[dict[str, Any]] = reader.read(tool, parsed).value["exceptions"]
    return found


def test_every_kind_of_trouble_is_found_and_told_with_its_reason(reader: Reader) -> None:
    found = exceptions(reader)
    kinds = {(one["kind"], one["problem"]) for one in found}
    assert kinds >= {
        ("production", "late"),
        ("production", "short_of_material"),
        ("production", "unconfirmed"),
        ("purchase", "late"),
        ("purchase", "unconfirmed"),
        ("purchase", "blocked"),
        ("sale", "late"),
        ("sale", "unconfirmed"),
    }
    assert all(one["reason"].endswith(".") and one["label"] for one in found)


def test_an_order_short_of_material_says_what_is_lacking(reader: Reader) -> None:
    shelves = [one for one in exceptions(reader, problem="short_of_material") if "JOB-1002" in one["label"]]
    assert len(shelves) == 1
    assert "Concealed hinge 35 mm" in shelves[0]["reason"]
    assert shelves[0]["missing"][0]["missing"]["unit"] == "Unit"


def test_a_new_promise_takes_a_late_sale_off_the_list(tryton: TrytonServer, reader: Reader) -> None:
    late = exceptions(reader, kind="sale", problem="late")[0]
    (row,) = tryton.admin.search_read("sale.sale", [("id", "=", int(late["key"]))], ["shipments"])
    for shipment in row["shipments"]:
        tryton.admin.call("stock.shipment.out", "draft", [shipment], writes=True)
        day = orders.working_day(9)
        tryton.admin.call("stock.shipment.out", "write", [shipment], {"planned_date": day}, writes=True)
        tryton.admin.call("stock.shipment.out", "wait", [shipment], writes=True)
    assert late["key"] not in {one["key"] for one in exceptions(reader, kind="sale", problem="late")}


def test_an_account_is_told_only_of_its_own_writes(tryton: TrytonServer) -> None:
    start = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
    orders.production(tryton)
    assert ADAPTER.writer is not None
    writer = ADAPTER.writer(tryton.options, tryton.accounts["production_order_reschedule"])
    assert writer.changes(start) == ()
    writer.close()


def test_a_reset_brings_the_seeded_state_back(tryton: TrytonServer) -> None:
    made = orders.production(tryton)
    tryton.reset()
    assert tryton.admin.search_read("production", [("id", "=", made)], ["id"]) == []
    tryton.find("production", ("reference", "=", "JOB-1001"))
