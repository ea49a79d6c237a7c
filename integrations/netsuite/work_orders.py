"""Work orders: reading them, and `production_order_reschedule` by one PATCH of `startDate` and `endDate`.

`production_order_quantity` is not carried: the documentation does not say what NetSuite does to the components when
the quantity changes, so nobody could be shown what they would approve.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from integrations.contract import Record, Rejected, Snapshot, Step
from integrations.netsuite import values
from integrations.netsuite.client import Client, identity

KIND = "workOrder"
STATES = {
    "planned": "requested",
    "released": "released",
    "in process": "started",
    "partially built": "started",
    "built": "done",
    "closed": "done",
    "cancelled": "cancelled",
}
"""NetSuite's names of a work order's status, and ours."""


def look(client: Client, number: str) -> dict[str, Any]:
    """The work order with its components. Rejected when it is not there."""
    found = client.record(KIND, str(identity(number, "work order")))
    if found is None:
        raise Rejected(f"NetSuite has no work order {number}.")
    return found


def label(order: Mapping[str, Any]) -> str:
    """The order's name for people."""
    return f"{order.get('tranId') or order['id']} {values.name(order.get('assemblyItem'))}".strip()


def state(order: Mapping[str, Any]) -> tuple[str, str]:
    """Our word for the order's status, and why it is locked when the status is one we do not know."""
    said = values.name(order.get("status"))
    known = STATES.get(said.lower())
    return (known, "") if known else ("started", f"its status there is {said!r}, which is not known here")


def record(client: Client, order: Mapping[str, Any], payload: Any) -> Record:
    """The order in the type's words."""
    del client, payload
    return Record(
        {
            "number": str(order.get("tranId") or ""),
            "product": values.name(order.get("assemblyItem")),
            "state": state(order)[0],
            "quantity": values.quantity(order.get("quantity"), values.name(order.get("units"))),
            "planned_start": values.day(order.get("startDate")),
            "planned_finish": values.day(order.get("endDate")),
        }
    )


def needed_by(client: Client, order: Mapping[str, Any]) -> str | None:
    """The day on which the sales order that this one was made for is to be shipped; None when there is none."""
    number = values.key(order.get("createdFrom"))
    if not number.isdecimal():
        return None
    rows = client.rows(
        f"SELECT id, TO_CHAR(shipdate, 'YYYY-MM-DD') AS needed FROM transaction WHERE id = {identity(number)} "  # noqa: S608
        "ORDER BY id"
    )
    return rows[0].get("needed") if rows else None


def snapshot(client: Client, payload: Any) -> Snapshot:
    """The order, and when it is needed."""
    as_of = values.now()
    order = look(client, payload.order)
    named, why = state(order)
    context: dict[str, Any] = {"state": named, "needed_by": needed_by(client, order)}
    if why:
        context["locked"] = why
    return Snapshot(
        target=str(order["id"]),
        label=label(order),
        record=record(client, order, payload),
        context=context,
        stamps=values.stamp(KIND, order),
        as_of=as_of,
        source=values.SOURCE,
    )


def plan(client: Client, payload: Any, seen: Snapshot, reference: str) -> tuple[Step, ...]:
    """One PATCH of both days."""
    del client, reference
    start, finish = payload.planned_start.isoformat(), payload.planned_finish.isoformat()
    request = {
        "method": "PATCH",
        "record": KIND,
        "key": seen.target,
        "replace": "",
        "body": {"startDate": start, "endDate": finish},
        "numbers": [],
    }
    return (Step("write", f"Write start {start} and finish {finish}", request),)
