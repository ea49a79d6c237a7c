"""Read tools on one record: production order, purchase order, sales order, stock of a product, supplier."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from integrations.contract import Rejected
from integrations.replica.standby import Rows
from integrations.replica.tryton.catalogue import currency_of, days, entries
from integrations.replica.values import iso, key, price, quantity, rounded, total

STATES = {"request": "requested", "waiting": "released", "assigned": "reserved", "running": "started"}
"""Tryton's states of productions that are called otherwise here; the others keep their names."""


def production_order(rows: Rows, arguments: Any) -> dict[str, Any]:
    """One production order with its materials."""
    number = key(arguments.order, "production order")
    if (row := rows.one("production", order=number)) is None:
        raise Rejected(f"The database has no production order {number}.")
    parts: dict[int, dict[str, Any]] = {}
    for move in rows.all("materials", orders=[number]):
        known = parts.get(move["product"])
        so_far = known["quantity"] if known is not None else Decimal(0)
        parts[move["product"]] = {**move, "quantity": so_far + (move["quantity"] or Decimal(0))}
    stock = {one["product"]: one for one in rows.all("stock", products=list(parts))}
    waiting = rows.one("waiting_customer", product=row["product"])
    return {
        "key": str(row["id"]),
        "number": row["number"],
        "reference": row["reference"],
        "state": STATES.get(row["state"], row["state"]),
        "product": str(row["product"]),
        "product_name": row["product_name"],
        "quantity": quantity(row["quantity"], row["unit"], row["digits"]),
        "planned_start": iso(row["planned_start_date"]),
        "planned_finish": iso(row["planned_date"]),
        "needed_by": iso(waiting["day"]) if waiting is not None else None,
        "materials": [
            {
                "product": str(product),
                "code": stock[product]["code"] if product in stock else "",
                "name": part["name"],
                "needed": quantity(part["quantity"], part["unit"], part["digits"]),
                "available": _free(stock.get(product)),
            }
            for product, part in sorted(parts.items())
        ],
    }


def _free(row: Mapping[str, Any] | None) -> dict[str, str] | None:
    return quantity(row["free"], row["unit"], row["digits"]) if row is not None else None


def purchase_order(rows: Rows, arguments: Any) -> dict[str, Any]:
    """One purchase order with its lines."""
    number = key(arguments.order, "purchase order")
    if (row := rows.one("purchases", order=number)) is None:
        raise Rejected(f"The database has no purchase order {number}.")
    lines = rows.all("purchase_lines", orders=[number])
    return {
        "key": str(row["id"]),
        "number": row["number"],
        "reference": row["reference"],
        "state": row["state"],
        "supplier": str(row["party"]),
        "supplier_name": row["party_name"],
        "ordered_on": iso(row["purchase_date"]),
        "total": total(_untaxed(row, lines), row["currency"]),
        "lines": [
            {
                **_line(line, row),
                "received": quantity(line["received"], line["unit"], line["digits"]),
                "delivery_date": iso(line["delivery_date"]),
            }
            for line in _counting(lines)
        ],
    }


def sales_order(rows: Rows, arguments: Any) -> dict[str, Any]:
    """One sales order with its lines."""
    number = key(arguments.order, "sales order")
    if (row := rows.one("sales", order=number)) is None:
        raise Rejected(f"The database has no sales order {number}.")
    lines = rows.all("sale_lines", orders=[number])
    shipments = rows.all("open_shipments", orders=[number])
    processed = row["state"] in {"processing", "done"}
    return {
        "key": str(row["id"]),
        "number": row["number"],
        "reference": row["reference"],
        "state": row["state"],
        "customer": row["party_name"],
        "ordered_on": iso(row["sale_date"]),
        "requested_date": iso(row["shipping_date"]) if processed else None,
        "promised_date": iso(promised(row, shipments)),
        "ready_date": iso(_ready(rows, lines)),
        "total": total(_untaxed(row, lines), row["currency"]),
        "lines": [
            {**_line(line, row), "shipped": quantity(line["shipped"], line["unit"], line["digits"])}
            for line in _counting(lines)
        ],
    }


def promised(row: Mapping[str, Any], shipments: Sequence[Mapping[str, Any]]) -> dt.date | None:
    """The day promised: the order's until it is processed, then the latest of its open shipments."""
    agreed: dt.date | None = row["shipping_date"]
    if row["state"] not in {"processing", "done"}:
        return agreed
    return max((one["planned_date"] for one in shipments if one["planned_date"]), default=agreed)


def _line(line: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "key": str(line["id"]),
        "product": str(line["product"]) if line["product"] is not None else None,
        "name": line["name"],
        "quantity": quantity(line["quantity"], line["unit"], line["digits"]),
        "unit_price": price(line["unit_price"], row["currency"]),
        "amount": total(_amount(line, row), row["currency"]),
    }


def _counting(lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Lines that order something, by number; comments and subtotals do not."""
    found = [line for line in lines if line["type"] == "line" and line["unit"] is not None]
    return sorted(found, key=lambda line: int(line["id"]))


def _amount(line: Mapping[str, Any], row: Mapping[str, Any]) -> Decimal:
    exactly = (line["quantity"] or Decimal(0)) * (line["unit_price"] or Decimal(0))
    return rounded(exactly, row["rounding"])


def _untaxed(row: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> Decimal:
    """What Tryton keeps of a finished order, else the sum of its lines."""
    kept: Decimal | None = row["untaxed"]
    if kept is not None:
        return kept
    return sum((_amount(line, row) for line in lines if line["type"] == "line"), Decimal(0))


def _ready(rows: Rows, lines: Sequence[Mapping[str, Any]]) -> dt.date | None:
    """When everything still to ship can be there; None when something is short and nothing is on its way."""
    wanted: dict[int, Decimal] = {}
    for line in lines:
        if line["product"] is not None:
            left = max((line["quantity"] or Decimal(0)) - line["shipped"], Decimal(0))
            wanted[line["product"]] = wanted.get(line["product"], Decimal(0)) + left
    if not wanted:
        return None
    stock = {one["product"]: one["free"] for one in rows.all("stock", products=list(wanted))}
    coming = rows.all("incoming", products=list(wanted))
    today: dt.date = rows.always["today"]
    last = today
    for product, many in wanted.items():
        short = many - stock.get(product, Decimal(0))
        for arrival in coming:
            if short <= 0:
                break
            if arrival["product"] == product:
                short -= arrival["quantity"]
                # What should have come and has not comes today at the earliest.
                last = max(last, arrival["day"], today)
        if short > 0:
            return None
    return last


def stock_by_product(rows: Rows, arguments: Any) -> dict[str, Any]:
    """The stock of one product, and who sells it."""
    number = key(arguments.product, "product") if arguments.product is not None else None
    found = rows.one("product_number", product=number, code=arguments.code)
    if found is None:
        raise Rejected(f"The database has no product {arguments.product or arguments.code!r}.")
    (row,) = rows.all("stock", products=[found["id"]])
    unit, digits = row["unit"], row["digits"]
    return {
        "product": str(row["product"]),
        "code": row["code"],
        "name": row["name"],
        "on_hand": quantity(row["there"], unit, digits),
        "reserved": quantity(row["there"] - row["free"], unit, digits),
        "forecast": quantity(row["forecast"], unit, digits),
        "locations": [
            {"location": place["location"], "on_hand": quantity(place["there"], unit, digits)}
            for place in rows.all("places", product=row["product"])
            if place["there"]
        ],
        "suppliers": [
            _source(rows, row["product"], one)
            for one in rows.all("sources", product=row["product"], template=row["template"])
        ],
    }


def _source(rows: Rows, product: int, one: Mapping[str, Any]) -> dict[str, Any]:
    offers = rows.all("offers", party=one["party"])
    entry = entries(rows, one["party"], [product], offers).get(product, {})
    return {
        "supplier": str(one["party"]),
        "name": one["party_name"],
        "last_price": entry.get("last_price"),
        "lead_days": days(one["lead_time"]),
    }


def supplier(rows: Rows, arguments: Any) -> dict[str, Any]:
    """One supplier and what it sells."""
    number = key(arguments.supplier, "supplier")
    party, offers = rows.one("party", party=number), rows.all("offers", party=number)
    if party is None or not offers:
        raise Rejected(f"The database has no supplier {number}.")
    products = sorted({product for offer in offers for product in offer["products"]})
    return {
        "key": str(number),
        "name": party["name"],
        "currency": currency_of(rows, offers),
        "active": bool(party["active"]),
        "products": [
            {"product": str(product), **entry, "minimum": None}
            for product, entry in sorted(entries(rows, number, products, offers).items())
        ],
    }
