"""The read tools that NetSuite answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from integrations.contract import Rejected
from integrations.netsuite import purchases, values, work_orders
from integrations.netsuite.client import Client


def purchase_order(client: Client, arguments: Any) -> dict[str, Any]:
    """One purchase order with its lines."""
    order = purchases.look(client, arguments.order)
    currency = client.currency(values.key(order.get("currency")))
    created = purchases.record_created(client, order, None)
    lines = [
        {
            "key": told["key"],
            "product": told["product"] or None,
            "name": told["label"],
            "quantity": told["quantity"],
            "received": values.quantity(line["quantityReceived"], told["quantity"]["unit"])
            if line.get("quantityReceived") is not None
            else None,
            "unit_price": told["unit_price"],
            "amount": told["amount"],
            "delivery_date": told["delivery_date"],
        }
        for told, line in zip(created.lines["lines"], values.lines(order), strict=True)
    ]
    return {
        "key": str(order["id"]),
        "number": str(order.get("tranId") or ""),
        "reference": str(order.get("externalId") or ""),
        "state": purchases.state(order)[0],
        "supplier": values.key(order.get("entity")),
        "supplier_name": values.name(order.get("entity")),
        "ordered_on": values.day(order.get("tranDate")),
        "total": values.money(
            sum((Decimal(line["amount"]["amount"]) for line in lines), Decimal(0)), currency
        ),
        "lines": lines,
    }


def production_order(client: Client, arguments: Any) -> dict[str, Any]:
    """One work order with its components."""
    order = work_orders.look(client, arguments.order)
    told = work_orders.record(client, order, None).fields
    needed: dict[str, dict[str, Any]] = {}
    for line in values.lines(order):
        key = values.key(line.get("item"))
        unit = values.name(line.get("units"))
        before = Decimal(needed[key]["needed"]["value"]) if key in needed else Decimal(0)
        needed[key] = {
            "product": key,
            "code": values.name(line.get("item")),
            "name": str(line.get("description") or values.name(line.get("item"))),
            "needed": values.quantity(before + values.number(line.get("quantity")), unit),
            "available": None,
        }
    return {
        "key": str(order["id"]),
        "reference": str(order.get("externalId") or ""),
        "number": told["number"],
        "state": told["state"],
        "product": values.key(order.get("assemblyItem")),
        "product_name": told["product"],
        "quantity": told["quantity"],
        "planned_start": told["planned_start"],
        "planned_finish": told["planned_finish"],
        "needed_by": work_orders.needed_by(client, order),
        "materials": list(needed.values()),
    }


def supplier(client: Client, arguments: Any) -> dict[str, Any]:
    """One vendor and what it sells."""
    found = purchases.supplier(client, arguments.supplier)
    if found is None:
        raise Rejected(f"NetSuite has no vendor {arguments.supplier!r}.")
    sold = purchases.catalogue(client, arguments.supplier, None)
    products = [
        {
            "product": key,
            "code": entry["code"],
            "name": entry["label"],
            "unit": entry["unit"],
            "last_price": entry["last_price"],
            "usual_quantity": {"value": entry["usual_quantity"], "unit": entry["unit"]}
            if entry["usual_quantity"]
            else None,
            "minimum": None,
            "lead_days": None,
        }
        for key, entry in sold.items()
    ]
    return {**found, "products": products}


TOOLS: Mapping[str, Callable[[Client, Any], dict[str, Any]]] = {
    "purchase_order": purchase_order,
    "production_order": production_order,
    "supplier": supplier,
}
