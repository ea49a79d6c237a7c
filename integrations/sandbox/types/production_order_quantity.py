"""Changes a production order's quantity together with its materials, in one write."""

from __future__ import annotations

import datetime as dt
from typing import Any

from integrations.contract import Record, Snapshot, Step
from integrations.sandbox.client import Erp
from integrations.sandbox.readings import materials, quantity
from integrations.sandbox.types.common import Way, changeable, taken
from integrations.sandbox.types.production_order_reschedule import around_release
from integrations.transaction_types.production_order_quantity import TYPE

KIND = "production"


def record(view: dict[str, Any], _payload: Any) -> Record:
    """The order and its materials in the type's words."""
    doc = view["doc"]
    product = view["products"][doc["product"]]
    return Record(
        {
            "number": doc["number"],
            "product": product["name"],
            "state": doc["state"],
            "quantity": quantity(doc["quantity"], product["unit"]),
            "planned_start": doc["planned_start"],
            "planned_finish": doc["planned_finish"],
        },
        {"materials": materials(view)},
    )


def snapshot(erp: Erp, payload: Any) -> Snapshot:
    """The order as it is, with what its materials follow from."""
    as_of = dt.datetime.now(dt.UTC)
    view = erp.get("record", kind=KIND, key=payload.order)
    doc, product = view["doc"], view["products"][view["doc"]["product"]]
    return taken(
        target=doc["key"],
        label=f"{doc['number']} {product['name']}",
        record=record(view, payload),
        context={
            **changeable(view),
            "unit_digits": product["digits"],
            "unit_value": product["price"],
            "bom": [
                {
                    "key": part["key"],
                    "label": part["name"],
                    **{name: part[name] for name in ("unit", "per_unit", "digits")},
                }
                for part in view["bom"]
            ],
            "available": {part["key"]: quantity(part["free"], part["unit"]) for part in view["bom"]},
        },
        stamps=view["stamps"],
        as_of=as_of,
    )


def plan(payload: Any, snapshot: Snapshot, _reference: str, _way: Way) -> tuple[Step, ...]:
    """One step, or three for a released order."""
    lines = TYPE.outcome(payload, snapshot).lines["materials"]
    values = {
        "quantity": payload.quantity.value,
        "materials": [{"product": line["key"], "quantity": line["quantity"]["value"]} for line in lines],
    }
    return around_release(snapshot, f"Write quantity {payload.quantity.value} and its materials", values)
