"""Makes a draft purchase order, in one write that carries our reference."""

from __future__ import annotations

import datetime as dt
from typing import Any

from integrations.contract import Record, Snapshot, Step
from integrations.sandbox.client import Erp
from integrations.sandbox.readings import money, quantity, times, total
from integrations.sandbox.types.common import Way, taken

KIND = "purchase"


def record(view: dict[str, Any], _payload: Any) -> Record:
    """The order made, in the type's words."""
    doc, currency = view["doc"], view["doc"]["currency"]
    return Record(
        {
            "supplier_name": view["supplier"]["name"],
            "supplier": doc["supplier"],
            "total": total(doc["lines"], currency),
            "note": doc["note"],
        },
        {
            "lines": [
                {
                    "key": line["key"],
                    "label": view["products"][line["product"]]["name"],
                    "product": line["product"],
                    "quantity": quantity(line["quantity"], view["products"][line["product"]]["unit"]),
                    "unit_price": money(line["unit_price"], currency),
                    "delivery_date": line["delivery_date"],
                    "amount": times(line["quantity"], line["unit_price"], currency),
                }
                for line in doc["lines"]
            ]
        },
    )


def snapshot(erp: Erp, payload: Any) -> Snapshot:
    """Who the supplier is, on what terms it sells, and what is on order with it."""
    as_of = dt.datetime.now(dt.UTC)
    products = sorted({line.product for line in payload.lines})
    view = erp.get("terms", supplier=payload.supplier, products=",".join(products))
    supplier = view["supplier"]
    catalogue = {}
    for key, product in view["catalogue"].items():
        terms = product["terms"] or {}
        price = terms.get("last_price")
        catalogue[key] = {
            "label": product["name"],
            "unit": product["unit"],
            "digits": product["digits"],
            "supplied": bool(terms),
            "last_price": money(price, supplier["currency"]) if price and supplier else None,
            "usual_quantity": terms.get("usual"),
            "minimum": terms.get("minimum"),
            "lead_days": terms.get("lead_days"),
        }
    return taken(
        target="",
        label=f"New purchase order, {supplier['name'] if supplier else payload.supplier}",
        record=Record({}, {"lines": []}),
        context={
            "supplier": supplier and {name: supplier[name] for name in ("key", "name", "currency", "active")},
            "catalogue": catalogue,
            "open_orders": [
                {
                    "number": order["number"],
                    "state": order["state"],
                    "product": order["line"]["product"],
                    "quantity": quantity(
                        order["line"]["quantity"], view["catalogue"][order["line"]["product"]]["unit"]
                    ),
                    "delivery_date": order["line"]["delivery_date"],
                }
                for order in view["open_orders"]
            ],
        },
        stamps={f"supplier {supplier['key']}": supplier["stamp"]} if supplier else {},
        as_of=as_of,
    )


def plan(payload: Any, _snapshot: Snapshot, reference: str, way: Way) -> tuple[Step, ...]:
    """One step. The reference goes into the field that is unique where the way relies on that."""
    values = {
        "supplier": payload.supplier,
        "note": payload.note,
        "unique_reference" if way.unique_reference else "reference": reference,
        "lines": [
            {
                "product": line.product,
                "quantity": line.quantity.value,
                "unit": line.quantity.unit,
                "unit_price": line.unit_price.amount,
                "currency": line.unit_price.currency,
                "delivery_date": line.delivery_date.isoformat(),
            }
            for line in payload.lines
        ],
    }
    text = f"Create a draft purchase order with {len(payload.lines)} lines"
    return (Step("create", text, {"operation": "purchase.create", "values": values}),)
