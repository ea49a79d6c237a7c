"""Production orders by API_PRODUCTION_ORDER_2_SRV (OData V2): reschedule, quantity, release, and the read tool.

What its metadata says: the order takes an ETag (from `LastChangeDateTime`); of the header only dates, times,
quantities and the scheduling type can be changed; release is a function import with nothing but the order's key,
so the protocol guards it with nothing: what was approved is compared right before, and the state read after.

SAP works the components out anew when the quantity changes, by the order's own bill of material and rounding; they
are neither part of the record nor read back. With a scheduling type that computes one date from the other, SAP may
move a date that was sent; the read-back then shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from integrations.contract import InDoubt, Note, Receipt, Record, Rejected, Snapshot, Step, TransactionType
from integrations.odata.shapes import Entity
from integrations.sap.system import (
    SOURCE,
    Sap,
    View,
    compare,
    day,
    flag,
    guard,
    now,
    number,
    plain,
    request_of,
    text,
)

SET = "A_ProductionOrder_2"
COMPONENTS = "to_ProductionOrderComponent"
KEY = "ManufacturingOrder"
RELEASE = "ReleaseOrder"
STARTED = ("OrderIsConfirmed", "OrderIsPartiallyConfirmed")
DONE = ("OrderIsDelivered", "OrderIsTechnicallyCompleted", "OrderIsClosed")


def look(sap: Sap, payload: Any) -> View:
    """The order with its components. Rejected when it is not there."""
    return _at(sap, payload.order)


def _at(sap: Sap, key: str) -> View:
    found = sap.service("production").one(SET, {KEY: key}, expand=[COMPONENTS])
    if found is None:
        raise Rejected(f"SAP has no production order {key!r}.")
    name = text(found, KEY)
    return View(f"{name} {text(found, 'Material')}", found, {f"production order {name}": found})


def state(order: Entity) -> str:
    """The order's state in the contract's words."""
    if flag(order, "OrderIsMarkedForDeletion") or flag(order, "OrderIsDeleted"):
        return "cancelled"
    if any(flag(order, name) for name in DONE):
        return "done"
    if any(flag(order, name) for name in STARTED):
        return "started"
    return (
        "released" if flag(order, "OrderIsReleased") or flag(order, "OrderIsPartiallyReleased") else "draft"
    )


def record(view: View, payload: Any, type_name: str) -> Record:
    """The order in the types' words."""
    del payload
    order = view.root
    fields = {
        "number": text(order, KEY),
        "product": text(order, "Material"),
        "quantity": quantity(order, "TotalQuantity", "ProductionUnit"),
        "state": state(order),
        "planned_start": day(order, "MfgOrderPlannedStartDate"),
        "planned_finish": day(order, "MfgOrderPlannedEndDate"),
    }
    return Record(fields, {"materials": []} if type_name == "production_order_quantity" else {})


def quantity(entity: Entity, name: str, unit: str) -> dict[str, str]:
    """A quantity with its unit."""
    return {"value": plain(number(entity, name)), "unit": text(entity, unit)}


def snapshot(sap: Sap, type_: TransactionType, payload: Any) -> Snapshot:
    """The order as it is, and what the type's rules need."""
    as_of = now()
    view = look(sap, payload)
    context: dict[str, Any] = {"state": state(view.root)}
    if flag(view.root, "OrderIsLocked"):
        context["locked"] = "the order is locked there"
    if flag(view.root, "OrderIsPartiallyReleased") and not flag(view.root, "OrderIsReleased"):
        context["locked"] = "some of its operations are released already; people take it on there"
    if type_.name == "production_order_reschedule":
        context["needed_by"] = None
    elif type_.name == "production_order_quantity":
        context["bom"] = []
    else:
        context["short"] = _short(view.root)
    return Snapshot(
        target=text(view.root, KEY),
        label=view.label,
        record=record(view, payload, type_.name),
        context=context,
        stamps=view.stamps,
        as_of=as_of,
        source=SOURCE,
    )


def _short(order: Entity) -> list[dict[str, Any]] | None:
    """Components that SAP's availability check confirmed less of than is required; None if it was not run."""
    if flag(order, "MaterialAvailyIsNotChecked") or COMPONENTS not in order.linked:
        return None
    short = []
    for part in order.linked[COMPONENTS]:
        missing = number(part, "RequiredQuantity") - number(part, "ConfirmedAvailableQuantity")
        if missing > 0:
            unit = text(part, "BaseUnit")
            short.append(
                {"label": text(part, "Material"), "missing": {"value": plain(missing), "unit": unit}}
            )
    return sorted(short, key=lambda one: str(one["label"]))


def plan(sap: Sap, type_: TransactionType, payload: Any, seen: Snapshot, reference: str) -> tuple[Step, ...]:
    """One call. Our reference has no field in a production order."""
    del reference
    key = {KEY: seen.target}
    if type_.name == "production_order_release":
        request = {"service": "production", "call": RELEASE, "arguments": key}
        return (Step("release", "Release the order", request),)
    if type_.name == "production_order_reschedule":
        start, finish = payload.planned_start.isoformat(), payload.planned_finish.isoformat()
        values = {"MfgOrderPlannedStartDate": start, "MfgOrderPlannedEndDate": finish}
        words = f"Write start {start} and finish {finish}"
    else:
        values = {"TotalQuantity": payload.quantity.value}
        words = f"Write quantity {payload.quantity.value} {payload.quantity.unit}"
    sap.service("production").check(SET, values)
    request = {"service": "production", "set": SET, "key": key, "values": values}
    return (Step("write", words, request),)


def send(sap: Sap, step: Step, expect: Mapping[str, str], reference: str, note: Note) -> Receipt:
    """Do the step, if the order still is what was approved."""
    wanted = step.request
    number_ = str((wanted["arguments"] if "call" in wanted else wanted["key"])[KEY])
    name = f"production order {number_}"
    view = _at(sap, number_)
    compare(view, expect)
    etag = guard(name, expect)
    told = {"document": name, "account": sap.login}
    request = request_of(reference, step)
    if "call" in wanted:
        note({"step": step.name, "sends": wanted["call"], "request": request})
        return _release(sap, step, view, name, request)
    if not etag:
        raise Rejected(
            f"SAP gives no ETag for {name}, so it would not notice a change by others; nothing was sent."
        )
    note({"step": step.name, "sends": f"{SET} {number_}", "request": request})
    done = sap.service("production").change(SET, wanted["key"], wanted["values"], etag=etag, request=request)
    return Receipt(
        text(view.root, KEY), view.label, {name: done.etag} if done.etag else {}, {**told, **done.evidence}
    )


def _release(sap: Sap, step: Step, view: View, name: str, request: str) -> Receipt:
    service, key = sap.service("production"), step.request["arguments"]
    said = service.call(step.request["call"], key, request=request)
    try:
        after = service.one(SET, key)
    except Exception as fault:
        raise InDoubt("SAP took the release and could not be read afterwards.", evidence=said) from fault
    message = said["result"] if isinstance(said["result"], Mapping) else {}
    if after is None or state(after) != "released":
        if message.get("SystemMessageType") in {"E", "A"}:
            raise Rejected(f"SAP says: {message.get('SystemMessageLongText', '')}", evidence=said)
        raise InDoubt("SAP took the release, and the order does not read as released.", evidence=said)
    told = {"document": name, "account": sap.login, **said}
    return Receipt(text(view.root, KEY), view.label, {name: after.etag} if after.etag else {}, told)


def read(sap: Sap, arguments: Any) -> dict[str, Any]:
    """The read tool `production_order`."""
    order = look(sap, arguments).root
    needed: dict[tuple[str, str], Decimal] = {}
    free: dict[tuple[str, str], Decimal] = {}
    for part in order.linked.get(COMPONENTS, ()):
        which = (text(part, "Material"), text(part, "BaseUnit"))
        needed[which] = needed.get(which, Decimal(0)) + number(part, "RequiredQuantity")
        free[which] = free.get(which, Decimal(0)) + number(part, "ConfirmedAvailableQuantity")
    return {
        "key": text(order, KEY),
        "number": text(order, KEY),
        "reference": "",
        "state": state(order),
        "product": text(order, "Material"),
        "product_name": text(order, "Material"),
        "quantity": quantity(order, "TotalQuantity", "ProductionUnit"),
        "planned_start": day(order, "MfgOrderPlannedStartDate"),
        "planned_finish": day(order, "MfgOrderPlannedEndDate"),
        "needed_by": None,
        "materials": [
            {
                "product": material,
                "code": material,
                "name": material,
                "needed": {"value": plain(needed[material, unit]), "unit": unit},
                "available": {"value": plain(free[material, unit]), "unit": unit},
            }
            for material, unit in sorted(needed)
        ],
    }
