"""Changes one line of a purchase order, in one write."""

from __future__ import annotations

import datetime as dt
from typing import Any

from integrations.contract import Record, Rejected, Snapshot, Step
from integrations.sandbox.client import Erp
from integrations.sandbox.readings import money, quantity, times
from integrations.sandbox.types.common import Way, changeable, taken

KIND = "purchase"


def record(view: dict[str, Any], payload: Any) -> Record:
    """The line and its order's header in the type's words. Rejected when there is no such line."""
    doc = view["doc"]
    line = next((x for x in doc["lines"] if x["key"] == payload.line), None)
    if line is None:
        raise Rejected(f"There is no line {payload.line} in {doc['number']}.")
    product = view["products"][line["product"]]
    return Record(
        {
            "number": doc["number"],
            "supplier_name": view["supplier"]["name"],
            "state": doc["state"],
            "product": product["name"],
            "quantity": quantity(line["quantity"], product["unit"]),
            "unit_price": money(line["unit_price"], doc["currency"]),
            "amount": times(line["quantity"], line["unit_price"], doc["currency"]),
            "delivery_date": line["delivery_date"],
        }
    )


def snapshot(erp: Erp, payload: Any) -> Snapshot:
    """The line as it is, with the supplier's terms for its product."""
    as_of = dt.datetime.now(dt.UTC)
    view = erp.get("record", kind=KIND, key=payload.order)
    found = record(view, payload)
    doc = view["doc"]
    line = next(x for x in doc["lines"] if x["key"] == payload.line)
    product = view["products"][line["product"]]
    terms = view["supplier"]["sells"].get(line["product"]) or {}
    names = (f"{KIND} {doc['key']}", f"{KIND} line {doc['key']}/{line['key']}")
    return taken(
        target=doc["key"],
        label=f"{doc['number']} {view['supplier']['name']}",
        record=found,
        context={
            **changeable(view),
            "currency": doc["currency"],
            "last_price": money(terms["last_price"], doc["currency"]) if terms.get("last_price") else None,
            "received": quantity(line["received"], product["unit"]),
            "unit_digits": product["digits"],
            "usual_quantity": terms.get("usual"),
            "lead_days": terms.get("lead_days"),
        },
        stamps={name: view["stamps"][name] for name in names},
        as_of=as_of,
    )


def plan(payload: Any, snapshot: Snapshot, _reference: str, _way: Way) -> tuple[Step, ...]:
    """One step with the fields that are given."""
    values = {}
    if payload.quantity is not None:
        values["quantity"] = payload.quantity.value
    if payload.unit_price is not None:
        values["unit_price"] = payload.unit_price.amount
    if payload.delivery_date is not None:
        values["delivery_date"] = payload.delivery_date.isoformat()
    request = {
        "operation": "purchase.write_line",
        "key": snapshot.target,
        "line": payload.line,
        "values": values,
    }
    return (Step("write", f"Write {', '.join(values)} of line {payload.line}", request),)
