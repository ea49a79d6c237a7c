"""Releases a production order, in one call."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

from integrations.contract import Snapshot, Step
from integrations.sandbox.client import Erp
from integrations.sandbox.readings import materials, quantity
from integrations.sandbox.types import production_order_reschedule
from integrations.sandbox.types.common import Way

KIND = production_order_reschedule.KIND
record = production_order_reschedule.record


def snapshot(erp: Erp, payload: Any) -> Snapshot:
    """The order as it is, and what it lacks."""
    seen = production_order_reschedule.snapshot(erp, payload)
    view = erp.get("record", kind=KIND, key=payload.order)
    free = {part["key"]: Decimal(part["free"]) for part in view["bom"]}
    short = [
        {"label": line["label"], "missing": quantity(str(missing), line["quantity"]["unit"])}
        for line in materials(view)
        if line["key"] in free and (missing := Decimal(line["quantity"]["value"]) - free[line["key"]]) > 0
    ]
    context = {name: value for name, value in seen.context.items() if name != "needed_by"}
    return dataclasses.replace(seen, context={**context, "short": short})


def plan(_payload: Any, snapshot: Snapshot, _reference: str, _way: Way) -> tuple[Step, ...]:
    """One step."""
    return (
        Step("release", "Release the order", {"operation": "production.release", "key": snapshot.target}),
    )
