"""Fresh orders in a real Tryton, made by its administrator, so that every test has one nobody else touched."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal
from typing import Any

from tests.tryton import TrytonServer

_numbers = itertools.count(1)


def today() -> dt.date:
    """The plant's day."""
    return dt.datetime.now(dt.UTC).date()


def working_day(days: int) -> dt.date:
    """The first Monday to Friday so many days ahead or later."""
    day = today() + dt.timedelta(days=days)
    return day + dt.timedelta(days=max(7 - day.weekday(), 0) if day.weekday() > 4 else 0)


def fresh_number() -> int:
    """A number that no other order of this session's tests has."""
    return next(_numbers)


def _reference() -> str:
    return f"TEST-{fresh_number():05}"


def product(tryton: TrytonServer, code: str) -> int:
    """A product's number."""
    return int(tryton.find("product.product", ("code", "=", code))["id"])


def production(
    tryton: TrytonServer,
    *,
    state: str = "draft",
    code: str = "FG-CHAIR",
    quantity: float = 4.0,
    start: int = 10,
) -> int:
    """A production order with its lines, draft or waiting."""
    made = product(tryton, code)
    bom = tryton.find("production.bom", ("outputs.product", "=", made), fields=("outputs.product",))["id"]
    routing = tryton.find("production.routing", ("boms", "=", bom))["id"]
    admin = tryton.admin
    company = admin.context()["company"]
    (warehouse,) = admin.search_read(
        "stock.location", [("type", "=", "warehouse")], ["production_location"], limit=1
    )
    values: dict[str, Any] = {
        "type": "assembly",
        "company": company,
        "warehouse": warehouse["id"],
        "location": warehouse["production_location"],
        "product": made,
        "bom": bom,
        "routing": routing,
        "work_center": tryton.find("production.work.center", ("name", "=", "Workshop"))["id"],
        "unit": 1,
        "quantity": quantity,
        "reference": _reference(),
        "planned_start_date": working_day(start),
        "planned_date": working_day(start + 3),
    }
    values["unit"] = tryton.find("product.product", ("id", "=", made), fields=("default_uom",))["default_uom"]
    change = admin.call(
        "production", "on_change", {**values, "state": "draft", "inputs": [], "outputs": []}, ["quantity"]
    )
    kept = (
        "product",
        "unit",
        "quantity",
        "from_location",
        "to_location",
        "company",
        "unit_price",
        "currency",
    )
    for name in ("inputs", "outputs"):
        lines = [line for _, line in change.get(name, {}).get("add", ())]
        values[name] = [
            ["create", [{part: line[part] for part in kept if line.get(part) is not None} for line in lines]]
        ]
    (number,) = admin.call("production", "create", [values], writes=True)
    if state == "waiting":
        admin.call("production", "wait", [number], writes=True)
    return int(number)


def purchase(
    tryton: TrytonServer,
    *,
    state: str = "draft",
    quantity: float = 40.0,
    price: str = "34.50",
    due: int = 20,
    lines: int = 1,
) -> tuple[int, int]:
    """A purchase order of oak panels, wanted so many days ahead; gives the order and its first line."""
    admin = tryton.admin
    party = tryton.find("party.party", ("name", "=", "Skogen Timber"))["id"]
    filled = admin.call(
        "purchase.purchase", "on_change", {"party": party, "company": admin.context()["company"]}, ["party"]
    )
    panel = product(tryton, "RM-OAK-18")
    sold = tryton.find("purchase.product_supplier", ("product", "=", panel), ("party", "=", party))["id"]
    unit = tryton.find("product.product", ("id", "=", panel), fields=("purchase_uom",))["purchase_uom"]
    line = {
        "type": "line",
        "product": panel,
        "product_supplier": sold,
        "quantity": quantity,
        "unit": unit,
        "unit_price": Decimal(price),
        "delivery_date_edit": True,
        "delivery_date_store": working_day(due),
    }
    values = {
        "party": party,
        "reference": _reference(),
        "invoice_method": "fulfillment",
        "invoice_address": filled["invoice_address"],
        "payment_term": filled.get("payment_term"),
        "lines": [["create", [line] * lines]],
    }
    (number,) = admin.call("purchase.purchase", "create", [values], writes=True)
    if state in {"quotation", "processing"}:
        admin.call("purchase.purchase", "quote", [number], writes=True)
    if state == "processing":
        admin.call("purchase.purchase", "confirm", [number], writes=True)
    (row,) = admin.search_read("purchase.purchase", [("id", "=", number)], ["state", "lines"])
    assert row["state"] == state
    return int(number), int(row["lines"][0])


def sale(tryton: TrytonServer, *, state: str = "quotation", quantity: float = 1.0, due: int = 5) -> int:
    """A sales order for chairs that are in stock."""
    admin = tryton.admin
    party = tryton.find("party.party", ("name", "=", "Studio Hem"))["id"]
    filled = admin.call(
        "sale.sale", "on_change", {"party": party, "company": admin.context()["company"]}, ["party"]
    )
    chair = product(tryton, "FG-CHAIR")
    unit = tryton.find("product.product", ("id", "=", chair), fields=("default_uom",))["default_uom"]
    line = {
        "type": "line",
        "product": chair,
        "quantity": quantity,
        "unit": unit,
        "unit_price": Decimal("189.00"),
    }
    values = {
        "party": party,
        "reference": _reference(),
        "shipping_date": working_day(due),
        "sale_date": today(),
        "lines": [["create", [line]]],
        **{
            name: filled[name]
            for name in ("invoice_address", "shipment_address", "payment_term")
            if filled.get(name)
        },
    }
    (number,) = admin.call("sale.sale", "create", [values], writes=True)
    if state in {"quotation", "processing"}:
        admin.call("sale.sale", "quote", [number], writes=True)
    if state == "processing":
        admin.call("sale.sale", "confirm", [number], writes=True)
    (row,) = admin.search_read("sale.sale", [("id", "=", number)], ["state"])
    assert row["state"] == state
    return int(number)
