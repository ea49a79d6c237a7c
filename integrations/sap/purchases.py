"""Purchase orders by the V4 service of S/4HANA: a new one, and the read tool.

A new order carries our reference in `CorrespncExternalReference` ("Your Reference", 12 characters): SAP does not
enforce that it is unique, so it is searched before the one send, and again by the read-back. It goes in with its
items and their schedule lines in one deep insert.

A price is for one unit here and for `NetPriceQuantity` units there: a price with more decimal places than the
currency has is sent for 10, 100, ... units.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from integrations.contract import (
    InDoubt,
    Note,
    Receipt,
    Record,
    Rejected,
    Snapshot,
    Step,
    Unsupported,
)
from integrations.odata.shapes import Entity
from integrations.sap import suppliers
from integrations.sap.system import (
    SOURCE,
    Sap,
    View,
    compare,
    day,
    flag,
    money,
    now,
    number,
    plain,
    request_of,
    stamp,
    text,
)
from integrations.transaction_types import shared_rules

SET, KEY = "PurchaseOrder", "PurchaseOrder"
ITEMS, ITEM = "PurchaseOrderItem", "PurchaseOrderItem"
LINES, LINE = "PurchaseOrderScheduleLine", "ScheduleLine"
TO_ITEMS, TO_LINES, TO_ORDER = "_PurchaseOrderItem", "_PurchaseOrderScheduleLineTP", "_PurchaseOrder"
REFERENCE = "CorrespncExternalReference"
MOST_OPEN = 200
LARGEST_PRICE_UNIT = 10000
WITH_SUPPLIER, NOT_RELEASED = "processing", "draft"


def look(sap: Sap, key: str) -> View:
    """The order with its items and schedule lines. Rejected when it is not there."""
    found = sap.service("purchase").one(SET, {KEY: key}, expand=[f"{TO_ITEMS}/{TO_LINES}"])
    if found is None:
        raise Rejected(f"SAP has no purchase order {key!r}.")
    return View(text(found, KEY), found, {f"purchase order {text(found, KEY)}": found})


def items(order: Entity) -> list[Entity]:
    """The items in order, without those that were deleted."""
    listed = sorted(order.linked.get(TO_ITEMS, ()), key=lambda one: text(one, ITEM))
    return [one for one in listed if text(one, "PurchasingDocumentDeletionCode") != "L"]


def state(order: Entity) -> str:
    """The order's state in the contract's words."""
    if text(order, "PurchaseOrderDeletionCode") == "L":
        return "cancelled"
    listed = items(order)
    if listed and all(flag(one, "IsCompletelyDelivered") for one in listed):
        return "done"
    return NOT_RELEASED if flag(order, "ReleaseIsNotCompleted") else WITH_SUPPLIER


def line(order: Entity, item: Entity) -> dict[str, Any]:
    """One item in the types' words."""
    currency = text(item, "DocumentCurrency") or text(order, "DocumentCurrency")
    many = {"value": plain(number(item, "OrderQuantity")), "unit": text(item, "PurchaseOrderQuantityUnit")}
    price = money(number(item, "NetPriceAmount") / (number(item, "NetPriceQuantity") or 1), currency)
    days = [found for one in item.linked.get(TO_LINES, ()) if (found := day(one, "ScheduleLineDeliveryDate"))]
    return {
        "key": text(item, ITEM),
        "label": text(item, "PurchaseOrderItemText") or text(item, "Material"),
        "product": text(item, "Material"),
        "quantity": many,
        "unit_price": price,
        "delivery_date": min(days, default=None),
        "amount": shared_rules.amount(many, price),
    }


def received(item: Entity) -> dict[str, str]:
    """What of an item has arrived."""
    lines = item.linked.get(TO_LINES, ())
    arrived = sum(
        (
            number(one, "ScheduleLineOrderQuantity") - number(one, "OpenPurchaseOrderQuantity")
            for one in lines
        ),
        Decimal(0),
    )
    return {"value": plain(max(arrived, Decimal(0))), "unit": text(item, "PurchaseOrderQuantityUnit")}


# A new order


def own_key(reference: str) -> str:
    """Our reference as it stands in SAP: without its prefix, because "Your Reference" has twelve characters."""
    return reference.rpartition("-")[2]


def ours(sap: Sap, reference: str) -> list[Entity]:
    """The orders that carry our reference."""
    where = [(REFERENCE, "eq", own_key(reference))]
    found = sap.service("purchase").rows(SET, where, expand=[f"{TO_ITEMS}/{TO_LINES}"], most=10)
    return list(found.entities)


def created(sap: Sap, order: Entity) -> Record:
    """A created order in the type's words."""
    lines = [line(order, one) for one in items(order)]
    supplier = text(order, "Supplier")
    currency = text(order, "DocumentCurrency")
    total = shared_rules.total([one["amount"] for one in lines]) if lines else money(Decimal(0), currency)
    fields = {
        "supplier_name": suppliers.name_of(sap, supplier),
        "supplier": supplier,
        "total": total,
        "note": "",
    }
    return Record(fields, {"lines": lines})


def snapshot_create(sap: Sap, payload: Any) -> Snapshot:
    """The supplier, what it sells, and what is on order there already."""
    as_of = now()
    found = suppliers.one(sap, payload.supplier)
    wanted = sorted({one.product for one in payload.lines})
    catalogue = {}
    for material in wanted:
        for entry in suppliers.sold(sap, payload.supplier, material):
            catalogue[material] = {name: value for name, value in entry.items() if name != "key"}
    about = found[1] if found else None
    name = f"supplier {payload.supplier}"
    return Snapshot(
        target="",
        label=f"New purchase order, {about['name'] if about else payload.supplier}",
        record=Record({}, {"lines": []}),
        context={
            "supplier": about,
            "catalogue": catalogue,
            "open_orders": [one for material in wanted for one in _open(sap, payload.supplier, material)],
        },
        stamps={name: stamp(found[0]) if found else "none"},
        as_of=as_of,
        source=SOURCE,
    )


def _open(sap: Sap, supplier: str, material: str) -> list[dict[str, Any]]:
    found = sap.service("purchase").rows(
        ITEMS,
        [("Material", "eq", material), ("IsCompletelyDelivered", "eq", False)],
        expand=[TO_ORDER, TO_LINES],
        order=f"{KEY} desc",
        most=MOST_OPEN,
    )
    listed = []
    for item in found.entities:
        for order in item.linked.get(TO_ORDER, ()):
            codes = text(order, "PurchaseOrderDeletionCode"), text(item, "PurchasingDocumentDeletionCode")
            gone = "L" in codes
            if text(order, "Supplier") != supplier or gone:
                continue
            shown = line(order, item)
            listed.append(
                {
                    "number": text(order, KEY),
                    "product": material,
                    "quantity": shown["quantity"],
                    "delivery_date": shown["delivery_date"],
                    "state": NOT_RELEASED if flag(order, "ReleaseIsNotCompleted") else WITH_SUPPLIER,
                }
            )
    return listed


def plan_create(sap: Sap, payload: Any, reference: str) -> tuple[Step, ...]:
    """One deep insert."""
    if payload.note:
        raise Unsupported(
            "A note for the supplier cannot be carried: SAP wants to know which kind of text it is."
        )
    lines = [
        {
            "Material": one.product,
            "Plant": sap.wanted("plant"),
            "OrderQuantity": one.quantity.value,
            "PurchaseOrderQuantityUnit": one.quantity.unit,
            **priced(sap, one.unit_price.amount),
            "DocumentCurrency": one.unit_price.currency,
            TO_LINES: [{"ScheduleLineDeliveryDate": one.delivery_date.isoformat()}],
        }
        for one in payload.lines
    ]
    values = {
        "PurchaseOrderType": str(sap.options.get("order_type", "NB")),
        "CompanyCode": sap.wanted("company_code"),
        "PurchasingOrganization": sap.wanted("purchasing_organization"),
        "PurchasingGroup": sap.wanted("purchasing_group"),
        "Supplier": payload.supplier,
        "DocumentCurrency": payload.lines[0].unit_price.currency,
        REFERENCE: own_key(reference),
        TO_ITEMS: lines,
    }
    sap.service("purchase").check(SET, values, creating=True)
    words = f"Create a purchase order with {len(lines)} line{'s' if len(lines) > 1 else ''}"
    return (Step("create", words, {"service": "purchase", "set": SET, "values": values}),)


def priced(sap: Sap, amount: str) -> dict[str, str]:
    """The price and the number of units it is for: as few as its decimal places need."""
    declared = sap.service("purchase").entity_set(ITEMS).type.properties["NetPriceAmount"].scale
    price, per = Decimal(amount), 1
    places = 2 if declared is None else declared
    while -int((price * per).normalize().as_tuple().exponent) > places and per < LARGEST_PRICE_UNIT:
        per *= 10
    return {"NetPriceAmount": plain(price * per), "NetPriceQuantity": str(per)}


def send_create(sap: Sap, step: Step, expect: Mapping[str, str], reference: str, note: Note) -> Receipt:
    """Make the order, if the supplier still is as it was shown and nothing carries our reference yet."""
    values = step.request["values"]
    if not reference or values.get(REFERENCE) != own_key(reference):
        raise Rejected("The step does not carry our reference, so nothing was sent.")
    found = suppliers.one(sap, values["Supplier"])
    if found is None:
        raise Rejected(f"SAP has no supplier {values['Supplier']!r} in this purchasing organization.")
    compare(View(found[1]["name"], found[0], {f"supplier {found[1]['key']}": found[0]}), expect)
    there = ours(sap, reference)
    evidence: Mapping[str, Any] = {"found": "our reference was there already"}
    if there:
        made = there[0]
    else:
        request = request_of(reference, step)
        note(
            {"step": step.name, "sends": f"create {SET}", "request": request, "reference": values[REFERENCE]}
        )
        done = sap.service("purchase").create(SET, values, request=request)
        if done.entity is None:
            raise InDoubt("SAP made the order and did not say which.", evidence=done.evidence)
        made, evidence = done.entity, done.evidence
    key = text(made, KEY)
    told = {"document": f"purchase order {key}", "account": sap.login, **evidence}
    return Receipt(key, key, {f"purchase order {key}": stamp(made)}, told)


def read(sap: Sap, arguments: Any) -> dict[str, Any]:
    """The read tool `purchase_order`."""
    order = look(sap, arguments.order).root
    lines = [
        {
            **{name: shown[name] for name in ("key", "quantity", "unit_price", "amount", "delivery_date")},
            "product": shown["product"] or None,
            "name": shown["label"],
            "received": received(item),
        }
        for item in items(order)
        for shown in [line(order, item)]
    ]
    currency = text(order, "DocumentCurrency")
    amounts = [one["amount"] for one in lines]
    return {
        "key": text(order, KEY),
        "number": text(order, KEY),
        "reference": text(order, REFERENCE),
        "state": state(order),
        "supplier": text(order, "Supplier"),
        "supplier_name": suppliers.name_of(sap, text(order, "Supplier")),
        "ordered_on": day(order, "PurchaseOrderDate"),
        "total": shared_rules.total(amounts) if amounts else money(Decimal(0), currency),
        "lines": lines,
    }
