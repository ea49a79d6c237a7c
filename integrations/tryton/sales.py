"""Sales orders: `sales_order_promise`.

What Tryton 8.2 allows, proven on it: the order's shipping date is open in draft, quotation and confirmed, and frozen
from processing on; amendments (`sale_amendment`) carry lines, parties, terms and warehouse, no date. From then on
the promise is the planned date of the shipments still to leave: frozen while they wait, open in draft, so they are
taken back to a draft, written and set waiting again; three calls, each guarded by the shipments' stamps. Shipments
already assigned, picked or packed belong to the warehouse and lock the order.

So `promised_date` is the order's shipping date until it is processed, and then the latest planned date of open
shipments; `requested_date` is the shipping date that stood when it was processed. Stamps: the order, its lines, and
every open shipment. Effect class: guarded.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from integrations.contract import Record, Rejected, Snapshot, Step, TransactionType
from integrations.tryton import steps
from integrations.tryton.client import Client
from integrations.tryton.stock import incoming, on_hand
from integrations.tryton.values import SOURCE, iso, key, money, stamps, writers

MODEL = "sale.sale"
SHIPMENT = "stock.shipment.out"
MOVABLE = frozenset({"draft", "waiting"})
_FIELDS = (
    "number",
    "reference",
    "rec_name",
    "state",
    "sale_date",
    "shipping_date",
    "untaxed_amount",
    "shipment_state",
    "party.rec_name",
    "currency.code",
    "lines.product.rec_name",
    "lines.type",
    "lines.description",
    "lines.quantity",
    "lines.unit_price",
    "lines.amount",
    "lines.unit.name",
    "lines.unit.digits",
    "lines.moves.state",
    "lines.moves.quantity",
    "lines._timestamp",
    "lines.write_uid",
    "lines.create_uid",
    "shipments",
    "_timestamp",
    "write_uid",
    "create_uid",
)


def look(client: Client, number: int) -> steps.View:
    """The order with its lines and open shipments. Rejected when it is not there."""
    rows = client.search_read(MODEL, [("id", "=", number)], _FIELDS)
    if not rows:
        raise Rejected(f"Tryton has no sales order {number}.")
    row = rows[0]
    shipments = client.search_read(
        SHIPMENT,
        [("id", "in", row["shipments"]), ("state", "not in", ["done", "cancelled", "shipped"])],
        ["number", "state", "planned_date", "_timestamp", "write_uid", "create_uid"],
        order=[("id", "ASC")],
    )
    lines = row["lines."]
    return steps.View(
        {**row, "open": shipments},
        label=f"{row['rec_name']} {row['party.']['rec_name']}",
        stamps={**stamps(MODEL, rows), **stamps("sale.line", lines), **stamps(SHIPMENT, shipments)},
        writers={**writers(MODEL, rows), **writers("sale.line", lines), **writers(SHIPMENT, shipments)},
    )


def promised(row: Mapping[str, Any]) -> dt.date | None:
    """The day promised so far; see the module."""
    if row["state"] in {"processing", "done"}:
        days = [shipment["planned_date"] for shipment in row["open"] if shipment["planned_date"]]
        last: dt.date | None = max(days, default=row["shipping_date"])
        return last
    agreed: dt.date | None = row["shipping_date"]
    return agreed


def requested(row: Mapping[str, Any]) -> dt.date | None:
    """The day agreed before the order was processed."""
    found: dt.date | None = row["shipping_date"] if row["state"] in {"processing", "done"} else None
    return found


def record(view: steps.View, payload: Any, type_name: str) -> Record:
    """The order in the type's words."""
    del payload, type_name  # the order is the same whatever is proposed
    row = view.row
    return Record(
        {
            "number": row["number"] or row["reference"] or "",
            "customer": row["party."]["rec_name"],
            "state": row["state"],
            "total": money(row["untaxed_amount"], row["currency."]["code"], cents=True),
            "requested_date": iso(requested(row)),
            "promised_date": iso(promised(row)),
        }
    )


def snapshot(client: Client, type_name: str, payload: Any) -> Snapshot:
    """The order, when everything can be there, and whether the ERP lets the date be moved."""
    as_of = client.now()
    view = look(client, key(payload.order, "sales order"))
    row = view.row
    context: dict[str, Any] = {
        "state": row["state"],
        "ready_date": iso(ready(client, row)),
        "shipped": row["shipment_state"] in {"partially shipped", "sent"},
    }
    if why := _locked(row):
        context["locked"] = why
    return Snapshot(
        target=str(row["id"]),
        label=view.label,
        record=record(view, payload, type_name),
        context=context,
        stamps=view.stamps,
        as_of=as_of,
        source=SOURCE,
    )


def _locked(row: Mapping[str, Any]) -> str:
    if row["state"] != "processing":
        return ""
    if not row["open"]:
        return "nothing of it is left to ship"
    if busy := [s["number"] or str(s["id"]) for s in row["open"] if s["state"] not in MOVABLE]:
        return f"the warehouse already works on shipment {', '.join(busy)}"
    return ""


def ready(client: Client, row: Mapping[str, Any]) -> dt.date | None:
    """When everything can be there; None when a product is short and nothing is on its way.

    That is the finish of productions and the arrival of purchases that have to fill what stock does not. Tryton
    ties no production to a sale, so the product must do, earliest supply first.
    """
    products = {line["product."]["id"]: 0.0 for line in row["lines."] if line.get("product.")}
    for line in row["lines."]:
        if line.get("product."):
            left = [move["quantity"] for move in line["moves."] if move["state"] == "done"]
            products[line["product."]["id"]] += max(line["quantity"] - sum(left), 0)
    if not products:
        return None
    stock = on_hand(client, sorted(products))
    last = client.now().date()
    for product, wanted in products.items():
        short = wanted - stock[product]["quantity"] if product in stock else wanted
        for day, many in incoming(client, product):
            if short <= 0:
                break
            short -= many
            last = max(last, day)
        if short > 0:
            return None
    return last


def plan(
    client: Client, type_: TransactionType, payload: Any, seen: Snapshot, reference: str
) -> tuple[Step, ...]:
    """One write on the order, or one to three calls on its open shipments."""
    del type_, reference
    day, number = payload.promised_date.isoformat(), int(seen.target)
    document = f"{MODEL},{number}"
    if seen.record.fields["state"] != "processing":
        write = steps.step(
            "write",
            f"Write shipping date {day}",
            document=document,
            model=MODEL,
            method="write",
            records=[number],
            values={"shipping_date": day},
        )
        return (write,)
    shipments = look(client, number).row["open"]
    every = [shipment["id"] for shipment in shipments]
    waiting = [shipment["id"] for shipment in shipments if shipment["state"] == "waiting"]

    def one(name: str, text: str, method: str, records: list[int], values: Any = None) -> Step:
        return steps.step(
            name, text, document=document, model=SHIPMENT, method=method, records=records, values=values
        )

    names = ", ".join(str(shipment["number"] or shipment["id"]) for shipment in shipments)
    write = one("write", f"Plan shipment {names} for {day}", "write", every, {"planned_date": day})
    if not waiting:
        return (write,)
    return (
        one("draft", f"Take shipment {names} back to a draft", "draft", waiting),
        write,
        one("wait", f"Set shipment {names} waiting again", "wait", waiting),
    )


def resources(view: steps.View) -> list[str]:
    """Where Tryton's log tells of this document."""
    return [name for name in view.stamps if name.startswith((f"{MODEL},", f"{SHIPMENT},"))]
