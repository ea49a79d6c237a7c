"""The Tryton adapter keeps the adapter contract, against a real Tryton, in every state an order may be changed in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from integrations.tryton.adapter import ADAPTER
from tests.integrations.conformance import (
    ADAPTER_CLAIMS,
    TYPE_CLAIMS,
    AdapterClaim,
    Subject,
    TypeClaim,
    a_port_where_nothing_listens,
    named,
)
from tests.integrations.tryton import orders
from tests.integrations.tryton.proxy import Proxy
from tests.tryton import TrytonServer

WAYS = (
    ("production_order_reschedule", "draft"),
    ("production_order_reschedule", "waiting"),
    ("production_order_quantity", "draft"),
    ("production_order_quantity", "waiting"),
    ("purchase_order_create", ""),
    ("purchase_order_line_change", "draft"),
    ("purchase_order_line_change", "quotation"),
    ("purchase_order_line_change", "processing"),
    ("purchase_order_line_change", "date of one processing"),
    ("sales_order_promise", "quotation"),
    ("sales_order_promise", "processing"),
)


def payload(tryton: TrytonServer, type_name: str, state: str) -> Mapping[str, Any]:
    """Something right to propose, on an order of its own."""
    if type_name == "production_order_reschedule":
        return {
            "order": str(orders.production(tryton, state=state)),
            "planned_start": orders.working_day(13).isoformat(),
            "planned_finish": orders.working_day(16).isoformat(),
        }
    if type_name == "production_order_quantity":
        order = orders.production(tryton, state=state, code="FG-SHELF", quantity=6.0)
        return {"order": str(order), "quantity": {"value": "9", "unit": "Unit"}}
    if type_name == "purchase_order_create":
        supplier = tryton.find("party.party", ("name", "=", "Lindholm Coatings"))["id"]
        more = orders.fresh_number()  # an equal quantity of what is on order already would be refused
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
                    ("RM-LACQ-MAT", hundredths(3750 + more), "Liter", "14.90"),
                    ("RM-GLUE-D3", hundredths(3300 + more), "Kilogram", "6.3"),
                )
            ],
            "note": "Please deliver together",
        }
    if type_name == "purchase_order_line_change":
        order, line = orders.purchase(tryton, state=state.removeprefix("date of one "))
        target = {"order": str(order), "line": str(line), "delivery_date": orders.working_day(25).isoformat()}
        if state.startswith("date"):
            return target
        changed = {
            "quantity": {"value": "50", "unit": "Unit"},
            "unit_price": {"amount": "35.10", "currency": "EUR"},
        }
        return {**target, **changed}
    order = orders.sale(tryton, state=state)
    return {"order": str(order), "promised_date": orders.working_day(60).isoformat()}


def hundredths(many: int) -> str:
    """A decimal of so many hundredths, without zeros at its end."""
    return f"{many // 100}.{many % 100:02}".rstrip("0").rstrip(".")


def touch(tryton: TrytonServer, type_name: str, proposed: Any) -> bool:
    """Somebody writes what is there already."""
    if type_name.startswith("production"):
        number = int(proposed.order)
        (row,) = tryton.admin.search_read("production", [("id", "=", number)], ["reference"])
        tryton.admin.call("production", "write", [number], {"reference": row["reference"]}, writes=True)
        return True
    if type_name == "purchase_order_line_change":
        line = int(proposed.line)
        (row,) = tryton.admin.search_read("purchase.line", [("id", "=", line)], ["note", "moves"])
        tryton.admin.call("purchase.line", "write", [line], {"note": row["note"]}, writes=True)
        for move in row["moves"]:
            tryton.admin.call("stock.move", "write", [move], {"origin": f"purchase.line,{line}"}, writes=True)
        return True
    if type_name == "sales_order_promise":
        number = int(proposed.order)
        (row,) = tryton.admin.search_read("sale.sale", [("id", "=", number)], ["comment", "shipments"])
        tryton.admin.call("sale.sale", "write", [number], {"comment": row["comment"]}, writes=True)
        for shipment in row["shipments"]:
            tryton.admin.call("stock.shipment.out", "write", [shipment], {"reference": None}, writes=True)
        return True
    return False


def arguments(tryton: TrytonServer, tool: str) -> Mapping[str, Any]:
    """Arguments that name something."""
    if tool == "production_order":
        return {"order": str(tryton.find("production")["id"])}
    if tool == "purchase_order":
        return {"order": str(tryton.find("purchase.purchase")["id"])}
    if tool == "sales_order":
        return {"order": str(tryton.find("sale.sale")["id"])}
    if tool == "stock_by_product":
        return {"code": "RM-OAK-18"}
    if tool == "supplier":
        return {"supplier": str(tryton.find("party.party", ("name", "=", "Norfast Fittings"))["id"])}
    return {"limit": 200}


def missing(tool: str) -> Mapping[str, Any]:
    """Arguments that name nothing."""
    if tool == "stock_by_product":
        return {"code": "NO-SUCH-CODE"}
    return {"supplier" if tool == "supplier" else "order": "999999"}


@pytest.fixture(scope="module")
def proxy(tryton: TrytonServer) -> Iterator[Proxy]:
    """Between the adapter and Tryton, so that answers can be lost."""
    between = Proxy(tryton.url)
    yield between
    between.close()


def subject(tryton: TrytonServer, proxy: Proxy, state: str = "draft") -> Subject:
    """The adapter and this Tryton, proposing to change orders in one state."""
    accounts = dict(tryton.accounts)
    return Subject(
        adapter=ADAPTER,
        options={**tryton.options, "url": proxy.url},
        reader=accounts.pop("reader"),
        writers=accounts,
        payload=lambda type_name: payload(tryton, type_name, state),
        arguments=lambda tool: arguments(tryton, tool),
        missing=missing,
        touch=lambda type_name, proposed: touch(tryton, type_name, proposed),
        nowhere=lambda: {**tryton.options, "url": f"http://127.0.0.1:{a_port_where_nothing_listens()}"},
        lose_answer=lambda _type_name: proxy.losing(),
        cannot=("count effects",),
    )


@pytest.mark.parametrize("claim", ADAPTER_CLAIMS, ids=named)
def test_tryton_keeps_the_contract(claim: AdapterClaim, tryton: TrytonServer, proxy: Proxy) -> None:
    claim(subject(tryton, proxy))


@pytest.mark.parametrize("claim", TYPE_CLAIMS, ids=named)
@pytest.mark.parametrize(("type_name", "state"), WAYS)
def test_tryton_keeps_the_contract_for_each_type(
    claim: TypeClaim, type_name: str, state: str, tryton: TrytonServer, proxy: Proxy
) -> None:
    claim(subject(tryton, proxy, state), type_name)


def test_the_settle_time_outlasts_a_clients_patience(tryton: TrytonServer) -> None:
    assert dt.timedelta(seconds=tryton.options["timeout"]) < ADAPTER.settle
