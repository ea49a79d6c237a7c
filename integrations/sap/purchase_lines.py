"""One line of a purchase order: one change of the item, or of its schedule line, or of both in one group of a batch.

Each goes with the ETag that was read, where SAP gave one; what has none is compared right before. A line with several
schedule lines, or priced by another unit than it is ordered in, is left to people.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from integrations.contract import Note, Receipt, Record, Rejected, Snapshot, Step, Unsupported
from integrations.odata.shapes import Change, Entity, Written
from integrations.sap import suppliers
from integrations.sap.purchases import (
    ITEM,
    ITEMS,
    KEY,
    LINE,
    LINES,
    TO_LINES,
    items,
    line,
    look,
    priced,
    received,
    state,
)
from integrations.sap.system import SOURCE, Sap, View, compare, flag, guard, now, request_of, text


def parts(sap: Sap, order: str, item: str) -> tuple[View, Entity]:
    """The order with the item and its schedule lines as parts, and the item. Rejected when there is none such."""
    seen = look(sap, order)
    found = next((one for one in items(seen.root) if text(one, ITEM) == item), None)
    if found is None:
        raise Rejected(f"Purchase order {order} has no item {item!r}.")
    name = f"{order}/{item}"
    lines = {
        f"purchase order schedule line {name}/{text(one, LINE)}": one
        for one in found.linked.get(TO_LINES, ())
    }
    return View(seen.label, seen.root, {**seen.parts, f"purchase order item {name}": found, **lines}), found


def changed(sap: Sap, order: Entity, item: Entity) -> Record:
    """The line and its order's header in the type's words."""
    shown = line(order, item)
    return Record(
        {
            "number": text(order, KEY),
            "supplier_name": suppliers.name_of(sap, text(order, "Supplier")),
            "state": _line_state(order, item),
            "product": shown["label"],
            **{name: shown[name] for name in ("quantity", "unit_price", "amount", "delivery_date")},
        }
    )


def _line_state(order: Entity, item: Entity) -> str:
    return "done" if flag(item, "IsCompletelyDelivered") else state(order)


def snapshot_line(sap: Sap, payload: Any) -> Snapshot:
    """The line, and what its rules need."""
    as_of = now()
    view, item = parts(sap, payload.order, payload.line)
    record = changed(sap, view.root, item)
    sold = suppliers.sold(sap, text(view.root, "Supplier"), text(item, "Material"))
    entry = sold[0] if sold else {}
    context: dict[str, Any] = {
        "state": record.fields["state"],
        "currency": record.fields["unit_price"]["currency"],
        "last_price": entry.get("last_price"),
        "received": received(item),
    }
    context |= {name: entry[name] for name in ("usual_quantity", "lead_days") if entry.get(name)}
    if locked := _locked(item):
        context["locked"] = locked
    label = f"{view.label} {record.fields['supplier_name']}"
    return Snapshot(text(view.root, KEY), label, record, context, view.stamps, as_of, SOURCE)


def _locked(item: Entity) -> str:
    if text(item, "PurchasingDocumentDeletionCode"):
        return "the item is locked there"
    if len(item.linked.get(TO_LINES, ())) != 1:
        return "the item is spread over several schedule lines; people change those there"
    if text(item, "OrderPriceUnit") not in {"", text(item, "PurchaseOrderQuantityUnit")}:
        return "the item is priced by another unit than it is ordered in; people change it there"
    return ""


def plan_line(sap: Sap, payload: Any, seen: Snapshot) -> tuple[Step, ...]:
    """One change, or one group of two."""
    key = {KEY: payload.order, ITEM: payload.line}
    changes, words = [], []
    values: dict[str, Any] = {}
    if payload.quantity is not None:
        values["OrderQuantity"] = payload.quantity.value
        words.append(f"quantity {payload.quantity.value} {payload.quantity.unit}")
    if payload.unit_price is not None:
        values |= priced(sap, payload.unit_price.amount)
        words.append(f"unit price {payload.unit_price.amount} {payload.unit_price.currency}")
    if values:
        changes.append({"set": ITEMS, "key": key, "values": values})
    if payload.delivery_date is not None:
        prefix = f"purchase order schedule line {payload.order}/{payload.line}/"
        lines = [name.removeprefix(prefix) for name in seen.stamps if name.startswith(prefix)]
        if len(lines) != 1:
            raise Unsupported("The delivery date of an item with several schedule lines cannot be carried.")
        date = payload.delivery_date.isoformat()
        new = {"ScheduleLineDeliveryDate": date}
        changes.append({"set": LINES, "key": {**key, LINE: lines[0]}, "values": new})
        words.append(f"delivery on {date}")
    for one in changes:
        sap.service("purchase").check(str(one["set"]), one["values"])  # type: ignore[arg-type]
    request = {"service": "purchase", "changes": changes}
    return (Step("write", f"Write {', '.join(words)}", request),)


def send(sap: Sap, step: Step, expect: Mapping[str, str], reference: str, note: Note) -> Receipt:
    """Do the change, if the order, the item and its schedule line still are what was approved."""
    wanted = step.request["changes"]
    key = wanted[0]["key"]
    view, _ = parts(sap, key[KEY], key[ITEM])
    compare(view, expect)
    names = [_name(one) for one in wanted]
    changes = [
        Change(one["set"], one["key"], one["values"], guard(name, expect))
        for one, name in zip(wanted, names, strict=True)
    ]
    request = request_of(reference, step)
    note({"step": step.name, "sends": names, "request": request})
    service = sap.service("purchase")
    if len(changes) == 1:
        only = changes[0]
        done: tuple[Written, ...] = (
            service.change(only.set, only.key, only.values, etag=only.etag, request=request),
        )
    else:
        done = service.change_all(changes, request=request)
    stamps = {name: one.etag for name, one in zip(names, done, strict=True) if one.etag}
    told = {
        "document": f"purchase order {key[KEY]}",
        "account": sap.login,
        "answers": [dict(one.evidence) for one in done],
    }
    return Receipt(key[KEY], view.label, stamps, told)


def _name(change: Mapping[str, Any]) -> str:
    key = change["key"]
    name = f"{key[KEY]}/{key[ITEM]}"
    return (
        f"purchase order schedule line {name}/{key[LINE]}" if LINE in key else f"purchase order item {name}"
    )
