"""Moves a production order: one write, or for a released order draft, write and release."""

from __future__ import annotations

import datetime as dt
from typing import Any

from integrations.contract import Record, Snapshot, Step
from integrations.sandbox.client import Erp
from integrations.sandbox.readings import quantity, times
from integrations.sandbox.types.common import Way, changeable, taken

KIND = "production"


def record(view: dict[str, Any], _payload: Any) -> Record:
    """The order in the type's words."""
    doc = view["doc"]
    product = view["products"][doc["product"]]
    return Record(
        {
            "number": doc["number"],
            "product": product["name"],
            "quantity": quantity(doc["quantity"], product["unit"]),
            **{name: doc[name] for name in ("state", "planned_start", "planned_finish")},
        }
    )


def snapshot(erp: Erp, payload: Any) -> Snapshot:
    """The order as it is."""
    as_of = dt.datetime.now(dt.UTC)
    view = erp.get("record", kind=KIND, key=payload.order)
    doc, product = view["doc"], view["products"][view["doc"]["product"]]
    name = f"{KIND} {doc['key']}"
    return taken(
        target=doc["key"],
        label=f"{doc['number']} {product['name']}",
        record=record(view, payload),
        context={
            **changeable(view),
            "needed_by": doc["needed_by"],
            "value": times(doc["quantity"], product["price"]["amount"], product["price"]["currency"]),
        },
        stamps={name: view["stamps"][name]},
        as_of=as_of,
    )


def plan(payload: Any, snapshot: Snapshot, _reference: str, _way: Way) -> tuple[Step, ...]:
    """One step, or three for a released order."""
    values = {
        "planned_start": payload.planned_start.isoformat(),
        "planned_finish": payload.planned_finish.isoformat(),
    }
    return around_release(
        snapshot, f"Write start {values['planned_start']}, finish {values['planned_finish']}", values
    )


def around_release(snapshot: Snapshot, text: str, values: dict[str, Any]) -> tuple[Step, ...]:
    """A write that a released order allows only as a draft in between."""
    key = snapshot.target
    write = Step("write", text, {"operation": "production.write", "key": key, "values": values})
    if snapshot.record.fields["state"] != "released":
        return (write,)
    return (
        Step("draft", "Take the order back to a draft", {"operation": "production.draft", "key": key}),
        write,
        Step("release", "Release the order again", {"operation": "production.release", "key": key}),
    )
