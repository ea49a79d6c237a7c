"""Purchase orders: reading them, `purchase_order_create` and `purchase_order_line_change`.

What the documentation says, and what follows from it:

- PUT on `eid:<our reference>` makes the order, or finds it made: NetSuite enforces the external id, so it is keyed.
- PATCH of a sublist may append, and appends again when it is sent twice. `replace=item` with the whole list leaves
  nothing to chance, and costs that every line is written back: so the stamp covers the whole order, the step shows
  the whole list, and a list that is not shown whole is refused.
- A line's `amount` is left out: sent back beside a new quantity, it would make NetSuite reckon another rate.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from integrations.contract import Record, Rejected, Snapshot, Step
from integrations.netsuite import values
from integrations.netsuite.client import Client, identity

KIND = "purchaseOrder"
STATES = {
    "pending supervisor approval": "draft",
    "pending receipt": "confirmed",
    "partially received": "processing",
    "pending billing/partially received": "processing",
    "pending bill": "done",
    "fully billed": "done",
    "closed": "done",
    "rejected by supervisor": "cancelled",
}
"""NetSuite's names of a purchase order's status, and ours."""
DERIVED = frozenset({"amount", "quantityReceived", "quantityBilled", "grossAmt", "tax1Amt"})
"""Fields of a line that NetSuite reckons; they are not written back."""


def look(client: Client, number: str) -> dict[str, Any]:
    """The order with its lines. Rejected when it is not there."""
    found = client.record(KIND, str(identity(number, "purchase order")))
    if found is None:
        raise Rejected(f"NetSuite has no purchase order {number}.")
    return found


def label(order: Mapping[str, Any]) -> str:
    """The order's name for people."""
    return f"{order.get('tranId') or order['id']} {values.name(order.get('entity'))}".strip()


def state(order: Mapping[str, Any]) -> tuple[str, str]:
    """Our word for the order's status, and why it is locked when the status is one we do not know."""
    said = values.name(order.get("status"))
    known = STATES.get(said.lower())
    return (known, "") if known else ("processing", f"its status there is {said!r}, which is not known here")


def line_of(order: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The line of this key. Rejected when the order has none such."""
    for line in values.lines(order):
        if str(line.get("line")) == key:
            return line
    raise Rejected(f"{label(order)} has no line {key!r}.")


def _unit(line: Mapping[str, Any]) -> str:
    return values.name(line.get("units")) or values.NO_UNIT


def record_line(client: Client, order: Mapping[str, Any], payload: Any) -> Record:
    """The line and its order's header in the type's words."""
    line = line_of(order, payload.line)
    currency = client.currency(values.key(order.get("currency")))
    many, price = (
        values.quantity(line.get("quantity"), _unit(line)),
        values.money(line.get("rate"), currency),
    )
    return Record(
        {
            "number": str(order.get("tranId") or ""),
            "supplier_name": values.name(order.get("entity")),
            "state": state(order)[0],
            "product": values.name(line.get("item")),
            "quantity": many,
            "unit_price": price,
            "amount": values.amount(many, price),
            "delivery_date": values.day(line.get("expectedReceiptDate")),
        }
    )


def snapshot_line(client: Client, payload: Any) -> Snapshot:
    """The line, what was paid before, and what has arrived."""
    as_of = values.now()
    order = look(client, payload.order)
    line = line_of(order, payload.line)
    currency = client.currency(values.key(order.get("currency")))
    past = [
        row
        for row in bought(client, values.key(order.get("entity")), [values.key(line.get("item"))])
        if str(row["number"]) != str(order["id"])
    ]
    context: dict[str, Any] = {
        "state": state(order)[0],
        "currency": currency,
        "received": values.quantity(line.get("quantityReceived"), _unit(line)),
        "unit_digits": values.DIGITS,
        "last_price": values.money(past[0]["rate"], str(past[0]["symbol"])) if past else None,
    }
    if habit := usual(past):
        context["usual_quantity"] = habit
    if why := state(order)[1] or ("the line is closed" if line.get("isClosed") is True else ""):
        context["locked"] = why
    return Snapshot(
        target=str(order["id"]),
        label=label(order),
        record=record_line(client, order, payload),
        context=context,
        stamps=values.stamp(KIND, order),
        as_of=as_of,
        source=values.SOURCE,
    )


def plan_line(client: Client, payload: Any, seen: Snapshot, reference: str) -> tuple[Step, ...]:
    """One PATCH with the whole list of lines."""
    del reference
    order = look(client, seen.target)
    numbers = {"quantity", "rate"}
    sent = []
    for line in values.lines(order):
        plainly, found = values.sendable(line, without=DERIVED)
        numbers |= found
        if str(line.get("line")) == payload.line:
            plainly |= _changed(payload)
        sent.append(plainly)
    line_of(order, payload.line)
    words = ", ".join(f"{name} {value}" for name, value in _changed(payload).items())
    text = f"Write line {payload.line}: {words}; the order's {len(sent)} lines are sent as a whole"
    request = {
        "method": "PATCH",
        "record": KIND,
        "key": seen.target,
        "replace": "item",
        "body": {"item": {"items": sent}},
        "numbers": sorted(numbers),
    }
    return (Step("write", text, request),)


def _changed(payload: Any) -> dict[str, str]:
    changed = {}
    if payload.quantity is not None:
        changed["quantity"] = payload.quantity.value
    if payload.unit_price is not None:
        changed["rate"] = payload.unit_price.amount
    if payload.delivery_date is not None:
        changed["expectedReceiptDate"] = payload.delivery_date.isoformat()
    return changed


# A new order


def record_created(client: Client, order: Mapping[str, Any], payload: Any) -> Record:
    """A created order in the type's words, lines in the order they were sent."""
    del payload
    currency = client.currency(values.key(order.get("currency")))
    found = []
    total = Decimal(0)
    for line in values.lines(order):
        many, price = (
            values.quantity(line.get("quantity"), _unit(line)),
            values.money(line.get("rate"), currency),
        )
        found.append(
            {
                "key": str(line.get("line")),
                "label": values.name(line.get("item")),
                "product": values.key(line.get("item")),
                "quantity": many,
                "unit_price": price,
                "delivery_date": values.day(line.get("expectedReceiptDate")),
                "amount": values.amount(many, price),
            }
        )
        total += Decimal(values.amount(many, price)["amount"])
    return Record(
        {
            "supplier_name": values.name(order.get("entity")),
            "supplier": values.key(order.get("entity")),
            "total": values.money(total, currency),
            "note": str(order.get("memo") or ""),
        },
        {"lines": found},
    )


def supplier(client: Client, number: str) -> dict[str, Any] | None:
    """A vendor as the type's context wants it; None when there is none."""
    if not number.isdecimal():
        return None
    rows = client.rows(
        "SELECT v.id, v.entityid, v.companyname, v.isinactive, c.symbol FROM vendor v "  # noqa: S608 a number
        f"JOIN currency c ON c.id = v.currency WHERE v.id = {identity(number)} ORDER BY v.id"
    )
    if not rows:
        return None
    row = rows[0]
    return {
        "key": str(row["id"]),
        "name": str(row.get("companyname") or row.get("entityid")),
        "currency": str(row["symbol"]),
        "active": row.get("isinactive") != "T",
    }


def bought(client: Client, vendor: str, items: Sequence[str]) -> list[dict[str, Any]]:
    """Lines of this vendor's purchase orders for these items, the newest first."""
    wanted = sorted({identity(item) for item in items if item.isdecimal()})
    if not wanted or not vendor.isdecimal():
        return []
    return client.rows(
        "SELECT t.id AS number, t.tranid, t.status, tl.id AS line, tl.item, ABS(tl.quantity) AS quantity, tl.rate, "  # noqa: S608 numbers
        "ABS(tl.quantityshiprecv) AS received, tl.isclosed, c.symbol, "
        "TO_CHAR(tl.expectedreceiptdate, 'YYYY-MM-DD') AS expected, BUILTIN.DF(t.status) AS state, "
        "BUILTIN.DF(tl.units) AS unit "
        "FROM transactionline tl JOIN transaction t ON t.id = tl.transaction JOIN currency c ON c.id = t.currency "
        f"WHERE t.type = 'PurchOrd' AND t.entity = {identity(vendor)} AND tl.mainline = 'F' AND tl.taxline = 'F' "
        f"AND tl.item IN ({', '.join(map(str, wanted))}) ORDER BY t.id DESC, tl.id DESC"
    )


def usual(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The middle of the last orders; one order is no habit."""
    if len(rows) < 2:  # noqa: PLR2004
        return None
    return values.plain(statistics.median_low([values.number(row["quantity"]) for row in rows[:5]]))


def catalogue(client: Client, vendor: str, items: Sequence[str] | None) -> dict[str, dict[str, Any]]:
    """What there is of these items, and which this vendor sells; with None all that it sells."""
    if not vendor.isdecimal():
        return {}
    wanted = sorted({identity(item) for item in items if item.isdecimal()}) if items is not None else None
    if wanted == []:
        return {}
    which = f"i.id IN ({', '.join(map(str, wanted))})" if wanted else "iv.vendor IS NOT NULL"
    rows = client.rows(
        "SELECT i.id, i.itemid, i.displayname, i.isinactive, BUILTIN.DF(i.purchaseunit) AS unit, iv.vendor, "  # noqa: S608 numbers
        "iv.purchaseprice FROM item i LEFT JOIN itemvendor iv ON iv.item = i.id "
        f"AND iv.vendor = {identity(vendor)} WHERE {which} ORDER BY i.id"
    )
    sold = supplier(client, vendor)
    past = bought(client, vendor, [str(row["id"]) for row in rows])
    found = {}
    for row in rows:
        if row.get("isinactive") == "T":
            continue
        history = [line for line in past if str(line["item"]) == str(row["id"])]
        price = None
        if history:
            price = values.money(history[0]["rate"], str(history[0]["symbol"]))
        elif row.get("purchaseprice") and sold:
            price = values.money(row["purchaseprice"], sold["currency"])
        found[str(row["id"])] = {
            "label": str(row.get("displayname") or row["itemid"]),
            "code": str(row["itemid"]),
            "unit": str(row.get("unit") or values.NO_UNIT),
            "digits": values.DIGITS,
            "supplied": bool(row.get("vendor")),
            "last_price": price,
            "usual_quantity": usual(history),
            "minimum": None,
            "lead_days": None,
        }
    return found


def snapshot_create(client: Client, payload: Any) -> Snapshot:
    """The vendor, what it sells and what is on order there already."""
    as_of = values.now()
    vendor, wanted = supplier(client, payload.supplier), [line.product for line in payload.lines]
    entries = catalogue(client, payload.supplier, wanted) if vendor else {}
    for entry in entries.values():
        del entry["code"]
    open_orders = [
        {
            "number": str(row["tranid"]),
            "product": str(row["item"]),
            "quantity": values.quantity(row["quantity"], str(row.get("unit") or "")),
            "delivery_date": row.get("expected"),
            "state": STATES.get(_status(row), "processing"),
        }
        for row in bought(client, payload.supplier, wanted)
        if STATES.get(_status(row), "processing") not in {"done", "cancelled"} and row.get("isclosed") != "T"
    ]
    shown = vendor["name"] if vendor else payload.supplier
    return Snapshot(
        target="",
        label=f"New purchase order, {shown}",
        record=Record({}, {"lines": []}),
        context={"supplier": vendor, "catalogue": entries, "open_orders": open_orders},
        # NetSuite stamps no vendor that SuiteQL tells of; what was read of it stands for it.
        stamps={f"vendor {payload.supplier}": values.digest(vendor)},
        as_of=as_of,
        source=values.SOURCE,
    )


def _status(row: Mapping[str, Any]) -> str:
    # BUILTIN.DF gives "Purchase Order : Pending Receipt".
    return str(row.get("state") or "").rpartition(" : ")[2].lower()


def plan_create(
    payload: Any, seen: Snapshot, reference: str, defaults: Mapping[str, Any]
) -> tuple[Step, ...]:
    """One PUT on our reference. `defaults`: fields that every order of this connection carries, from its settings."""
    del seen
    made = [
        {
            "item": {"id": str(identity(line.product, "item"))},
            "quantity": line.quantity.value,
            "rate": line.unit_price.amount,
            "expectedReceiptDate": line.delivery_date.isoformat(),
        }
        for line in payload.lines
    ]
    body: dict[str, Any] = {
        **defaults,
        "externalId": reference,
        "entity": {"id": str(identity(payload.supplier, "vendor"))},
        "item": {"items": made},
    }
    if payload.note:
        body["memo"] = payload.note
    request = {
        "method": "PUT",
        "record": KIND,
        "key": f"eid:{reference}",
        "replace": "item",
        "body": body,
        "numbers": ["quantity", "rate"],
    }
    text = f"Create a purchase order with {len(made)} line{'s' if len(made) > 1 else ''}"
    return (Step("create", text, request),)
