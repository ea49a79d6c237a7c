"""Read tools on one record: production order, purchase order, sales order, stock of a product, supplier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from integrations.contract import Rejected
from integrations.tryton import exceptions, productions, purchases, sales
from integrations.tryton.client import Client
from integrations.tryton.stock import on_hand, stores
from integrations.tryton.values import exact, iso, key, money, quantity, state


def production_order(client: Client, arguments: Any) -> dict[str, Any]:
    """One production order with its materials."""
    view = productions.look(client, key(arguments.order, "production order"))
    row = view.row
    parts = productions.materials(row)
    stock = on_hand(client, [int(part["key"]) for part in parts])
    _, needed_by = productions.customer(client, row["product."]["id"])
    return {
        "key": str(row["id"]),
        "number": row["number"] or "",
        "reference": row["reference"] or "",
        "state": state(row["state"]),
        "product": str(row["product."]["id"]),
        "product_name": row["product."]["rec_name"],
        "quantity": quantity(row["quantity"], row["unit."]),
        "planned_start": iso(row["planned_start_date"]),
        "planned_finish": iso(row["planned_date"]),
        "needed_by": needed_by,
        "materials": [
            {
                "product": part["key"],
                "code": (stock.get(int(part["key"])) or {}).get("code") or "",
                "name": part["label"],
                "needed": part["quantity"],
                "available": _available(stock.get(int(part["key"]))),
            }
            for part in parts
        ],
    }


def _available(row: Mapping[str, Any] | None) -> dict[str, str] | None:
    return quantity(row["quantity"], row["default_uom."]) if row else None


def purchase_order(client: Client, arguments: Any) -> dict[str, Any]:
    """One purchase order with its lines."""
    view = purchases.look(client, key(arguments.order, "purchase order"))
    row, currency = view.row, view.row["currency."]["code"]
    return {
        "key": str(row["id"]),
        "number": row["number"] or "",
        "reference": row["reference"] or "",
        "state": row["state"],
        "supplier": str(row["party."]["id"]),
        "supplier_name": row["party."]["rec_name"],
        "ordered_on": iso(row["purchase_date"]),
        "total": money(row["untaxed_amount"], currency, cents=True),
        "lines": [
            {
                "key": str(line["id"]),
                "product": str(line["product."]["id"]) if line.get("product.") else None,
                "name": purchases.name_of(line),
                "quantity": quantity(line["quantity"], line["unit."]),
                "received": quantity(purchases.received(line), line["unit."]),
                "unit_price": money(line["unit_price"], currency),
                "amount": money(line["amount"], currency, cents=True),
                "delivery_date": iso(purchases.delivery(line)),
            }
            for line in sorted(row["lines."], key=lambda line: line["id"])
            if line["type"] == "line" and line.get("unit.")
        ],
    }


def sales_order(client: Client, arguments: Any) -> dict[str, Any]:
    """One sales order with its lines."""
    view = sales.look(client, key(arguments.order, "sales order"))
    row, currency = view.row, view.row["currency."]["code"]
    return {
        "key": str(row["id"]),
        "number": row["number"] or "",
        "reference": row["reference"] or "",
        "state": row["state"],
        "customer": row["party."]["rec_name"],
        "ordered_on": iso(row["sale_date"]),
        "requested_date": iso(sales.requested(row)),
        "promised_date": iso(sales.promised(row)),
        "ready_date": iso(sales.ready(client, row)),
        "total": money(row["untaxed_amount"], currency, cents=True),
        "lines": [
            {
                "key": str(line["id"]),
                "product": str(line["product."]["id"]) if line.get("product.") else None,
                "name": purchases.name_of(line),
                "quantity": quantity(line["quantity"], line["unit."]),
                "shipped": quantity(purchases.received(line), line["unit."]),
                "unit_price": money(line["unit_price"], currency),
                "amount": money(line["amount"], currency, cents=True),
            }
            for line in sorted(row["lines."], key=lambda line: line["id"])
            if line["type"] == "line" and line.get("unit.")
        ],
    }


def stock_by_product(client: Client, arguments: Any) -> dict[str, Any]:
    """The stock of one product, and who sells it."""
    if arguments.product is not None:
        domain = [("id", "=", key(arguments.product, "product"))]
    else:
        domain = [("code", "=", arguments.code)]
    units = ["rec_name", "code", "template", "default_uom.name", "default_uom.digits"]
    found = client.search_read("product.product", domain, units, limit=1)
    if not found:
        raise Rejected(f"Tryton has no product {arguments.product or arguments.code!r}.")
    row = found[0]
    unit, zones, today = row["default_uom."], stores(client), client.now().date()

    def counted(field: str = "quantity", **context: Any) -> Decimal:
        rows = client.search_read("product.product", [("id", "=", row["id"])], [field], **context)
        return exact(rows[0][field])

    there = counted(locations=zones, stock_date_end=today, with_childs=True)
    free = counted(locations=zones, stock_date_end=today, with_childs=True, stock_assign=True)
    # `quantity` never looks ahead of today, whatever its context says.
    coming = counted("forecast_quantity", locations=zones, with_childs=True)
    places = client.search_read(
        "stock.location", [("type", "=", "storage"), ("parent", "!=", None)], ["name"]
    )
    lying = [
        (place["name"], counted(locations=[place["id"]], stock_date_end=today, with_childs=False))
        for place in sorted(places, key=lambda place: place["name"])
    ]
    return {
        "product": str(row["id"]),
        "code": row["code"] or "",
        "name": row["rec_name"],
        "on_hand": quantity(there, unit),
        "reserved": quantity(there - free, unit),
        "forecast": quantity(coming, unit),
        "locations": [{"location": name, "on_hand": quantity(many, unit)} for name, many in lying if many],
        "suppliers": _sources(client, row),
    }


def _sources(client: Client, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    offers = client.search_read(
        "purchase.product_supplier",
        [["OR", ("product", "=", row["id"]), [("product", "=", None), ("template", "=", row["template"])]]],
        ["party.rec_name", "lead_time"],
        order=[("sequence", "ASC"), ("id", "ASC")],
    )
    found = []
    for offer in offers:
        party = offer["party."]["id"]
        currency = purchases.supplier_currency(client, party)
        entry = purchases.entries(client, party, [row["id"]], currency).get(str(row["id"]), {})
        found.append(
            {
                "supplier": str(party),
                "name": offer["party."]["rec_name"],
                "last_price": entry.get("last_price"),
                "lead_days": offer["lead_time"].days if offer["lead_time"] is not None else None,
            }
        )
    return found


def supplier(client: Client, arguments: Any) -> dict[str, Any]:
    """One supplier and what it sells."""
    number = key(arguments.supplier, "supplier")
    parties = client.search_read("party.party", [("id", "=", number)], ["name", "active"], active_test=False)
    offers = client.search_read(
        "purchase.product_supplier", [("party", "=", number)], ["product", "template.products"]
    )
    if not parties or not offers:
        raise Rejected(f"Tryton has no supplier {arguments.supplier!r}.")
    products: set[int] = set()
    for offer in offers:
        template = offer.get("template.") or {}
        products |= {offer["product"]} if offer["product"] else set(template.get("products", ()))
    currency = purchases.supplier_currency(client, number)
    entries = purchases.entries(client, number, sorted(products), currency)
    codes = {
        str(row["id"]): row["code"] or ""
        for row in client.search_read("product.product", [("id", "in", sorted(products))], ["code"])
    }
    return {
        "key": str(number),
        "name": parties[0]["name"],
        "currency": currency,
        "active": bool(parties[0]["active"]),
        "products": [
            {
                "product": product,
                "code": codes.get(product, ""),
                "name": entry["label"],
                "unit": entry["unit"],
                "last_price": entry["last_price"],
                "usual_quantity": {"value": entry["usual_quantity"], "unit": entry["unit"]}
                if entry["usual_quantity"]
                else None,
                "minimum": None,
                "lead_days": entry["lead_days"],
            }
            for product, entry in sorted(entries.items(), key=lambda pair: int(pair[0]))
        ],
    }


TOOLS: Mapping[str, Callable[[Client, Any], dict[str, Any]]] = {
    "order_status_exceptions": exceptions.order_status_exceptions,
    "production_order": production_order,
    "purchase_order": purchase_order,
    "sales_order": sales_order,
    "stock_by_product": stock_by_product,
    "supplier": supplier,
}
