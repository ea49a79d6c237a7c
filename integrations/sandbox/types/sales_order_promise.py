"""Writes a sales order's promised date, in one write."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from integrations.contract import Record, Snapshot, Step
from integrations.sandbox.client import Erp
from integrations.sandbox.readings import total
from integrations.sandbox.types.common import Way, changeable, taken

KIND = "sale"


def record(view: dict[str, Any], _payload: Any) -> Record:
    """The order in the type's words."""
    doc = view["doc"]
    return Record(
        {
            **{name: doc[name] for name in ("number", "customer", "state")},
            "total": total(doc["lines"], doc["currency"]),
            **{name: doc[name] for name in ("requested_date", "promised_date")},
        }
    )


def snapshot(erp: Erp, payload: Any) -> Snapshot:
    """The order as it is, and when what it waits for is there."""
    as_of = dt.datetime.now(dt.UTC)
    view = erp.get("record", kind=KIND, key=payload.order)
    doc = view["doc"]
    name = f"{KIND} {doc['key']}"
    return taken(
        target=doc["key"],
        label=f"{doc['number']} {doc['customer']}",
        record=record(view, payload),
        context={
            **changeable(view),
            "ready_date": view["ready_date"],
            "shipped": any(Decimal(line["shipped"]) > 0 for line in doc["lines"]),
        },
        stamps={name: view["stamps"][name]},
        as_of=as_of,
    )


def plan(payload: Any, snapshot: Snapshot, _reference: str, _way: Way) -> tuple[Step, ...]:
    """One step."""
    day = payload.promised_date.isoformat()
    request = {"operation": "sale.write", "key": snapshot.target, "values": {"promised_date": day}}
    return (Step("write", f"Write promised date {day}", request),)
