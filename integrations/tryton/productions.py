"""Production orders: `production_order_reschedule` and `production_order_quantity`.

What Tryton 8.2 allows, proven on it: dates and quantity are open in `request` and `draft` and frozen from `waiting`
on, for administrators too. A waiting order is therefore taken back to a draft, written and released again: three
calls, each a transaction of its own, guarded by the stamp; it keeps its number, its work orders are made anew. Its
moves follow the dates by themselves.

Changing a quantity without its lines leaves the materials at the old quantity, without an error. `on_change`
says which lines go and which come; one write takes the old ones away and makes the new ones. Tryton rounds materials
up through floats (6 x 0.4 becomes 2.41), so the quantities sent are those that were shown and approved.

Guards: the stamps of the order and, for a quantity, of every material line; the lines' are checked where the write
deletes them. Effect class: guarded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from integrations.contract import Record, Rejected, Snapshot, Step, TransactionType
from integrations.tryton import steps
from integrations.tryton.client import Client
from integrations.tryton.stock import on_hand
from integrations.tryton.values import (
    SOURCE,
    exact,
    iso,
    key,
    money,
    plain,
    quantity,
    stamps,
    state,
    writers,
)

MODEL = "production"
_FIELDS = (
    "number",
    "reference",
    "rec_name",
    "state",
    "planned_start_date",
    "planned_date",
    "quantity",
    "unit.name",
    "unit.digits",
    "product.rec_name",
    "product.list_price_used",
    "bom",
    "company.currency.code",
    "inputs.product.rec_name",
    "inputs.quantity",
    "inputs.unit.name",
    "inputs.unit.digits",
    "inputs.state",
    "inputs._timestamp",
    "inputs.write_uid",
    "inputs.create_uid",
    "_timestamp",
    "write_uid",
    "create_uid",
)
_CHANGE = (
    "product",
    "bom",
    "unit",
    "quantity",
    "inputs",
    "outputs",
    "company",
    "warehouse",
    "location",
    "type",
    "state",
    "planned_date",
    "planned_start_date",
    "routing",
)
_LINE = ("product", "unit", "quantity", "from_location", "to_location", "company", "unit_price", "currency")


def look(client: Client, number: int) -> steps.View:
    """The order with its material lines. Rejected when it is not there."""
    rows = client.search_read(MODEL, [("id", "=", number)], _FIELDS)
    if not rows:
        raise Rejected(f"Tryton has no production order {number}.")
    row = rows[0]
    inputs = row["inputs."]
    return steps.View(
        row,
        label=f"{row['rec_name']} {row['product.']['rec_name']}",
        stamps={**stamps(MODEL, rows), **stamps("stock.move", inputs)},
        writers={**writers(MODEL, rows), **writers("stock.move", inputs)},
    )


def record(view: steps.View, payload: Any, type_name: str) -> Record:
    """The order in the type's words; materials of one product are one line."""
    del payload  # the order is the same whatever is proposed
    row = view.row
    fields = {
        "number": row["number"] or row["reference"] or "",
        "product": row["product."]["rec_name"],
        "quantity": quantity(row["quantity"], row["unit."]),
        "state": state(row["state"]),
        "planned_start": iso(row["planned_start_date"]),
        "planned_finish": iso(row["planned_date"]),
    }
    if type_name == "production_order_reschedule":
        return Record(fields)
    return Record(fields, {"materials": materials(row)})


def materials(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One line per component, in a steady order; cancelled moves do not count."""
    summed: dict[int, Decimal] = defaultdict(Decimal)
    parts: dict[int, Mapping[str, Any]] = {}
    for move in row["inputs."]:
        if move["state"] != "cancelled":
            product = move["product."]["id"]
            summed[product] += exact(move["quantity"])
            parts[product] = move
    return [
        {
            "key": str(product),
            "label": parts[product]["product."]["rec_name"],
            "quantity": quantity(summed[product], parts[product]["unit."]),
        }
        for product in sorted(parts)
    ]


def snapshot(client: Client, type_name: str, payload: Any) -> Snapshot:
    """The order, and what the rules of the two types need."""
    as_of = client.now()
    view = look(client, key(payload.order, "production order"))
    row = view.row
    waiting_for, needed_by = customer(client, row["product."]["id"])
    price = row["product."]["list_price_used"] or Decimal(0)
    currency = row["company."]["currency."]["code"]
    context: dict[str, Any] = {"state": state(row["state"]), "customer": waiting_for}
    seen = view.stamps
    if type_name == "production_order_reschedule":
        context["needed_by"] = needed_by
        context["value"] = money(price * exact(row["quantity"]), currency, cents=True)
        seen = {name: stamp for name, stamp in view.stamps.items() if name.startswith(f"{MODEL},")}
    else:
        context["bom"] = _bill(client, row, context)
        context["unit_digits"] = row["unit."]["digits"]
        context["available"] = _available(client, view)
        context["unit_value"] = money(price, currency)
    return Snapshot(
        target=str(row["id"]),
        label=view.label,
        record=record(view, payload, type_name),
        context=context,
        stamps=seen,
        as_of=as_of,
        source=SOURCE,
    )


def customer(client: Client, product: int) -> tuple[str, str | None]:
    """Whose order waits for the product first: Tryton ties no production to a sale, so the product must do."""
    found = client.search_read(
        "stock.move",
        [
            ("product", "=", product),
            ("state", "in", ["staging", "draft"]),
            ("shipment.state", "in", ["draft", "waiting"], "stock.shipment.out"),
            ("to_location.type", "=", "customer"),
        ],
        ["planned_date", "shipment"],
        order=[("planned_date", "ASC"), ("id", "ASC")],
        limit=1,
    )
    if not found or not found[0]["shipment"]:
        return "", None
    shipment = int(found[0]["shipment"].partition(",")[2])
    (row,) = client.search_read("stock.shipment.out", [("id", "=", shipment)], ["customer.rec_name"])
    return row["customer."]["rec_name"], iso(found[0]["planned_date"])


def _bill(client: Client, row: Mapping[str, Any], context: dict[str, Any]) -> list[dict[str, Any]]:
    if not row["bom"]:
        return []
    wanted = ["inputs.product.rec_name", "inputs.quantity", "inputs.unit.name", "inputs.unit.digits"]
    wanted += ["outputs.product", "outputs.quantity", "outputs.unit.name"]
    (bom,) = client.search_read("production.bom", [("id", "=", row["bom"])], wanted)
    made = [out for out in bom["outputs."] if out["product"] == row["product."]["id"]]
    total = sum((exact(out["quantity"]) for out in made), Decimal(0))
    if not total or any(out["unit."]["name"] != row["unit."]["name"] for out in made):
        context["locked"] = "its bill of materials makes it in another unit; people change this one there"
        return []
    parts: dict[int, dict[str, Any]] = {}
    for line in bom["inputs."]:
        if not line.get("product."):
            context["locked"] = "its bill of materials contains another bill; people change this one there"
            return []
        product, per_unit = line["product."]["id"], exact(line["quantity"]) / total
        if product in parts:
            per_unit += Decimal(parts[product]["per_unit"])
        parts[product] = {
            "key": str(product),
            "label": line["product."]["rec_name"],
            "unit": line["unit."]["name"],
            "per_unit": plain(per_unit.quantize(Decimal("0.000000000001"))),
            "digits": line["unit."]["digits"],
        }
    return [parts[product] for product in sorted(parts)]


def _available(client: Client, view: steps.View) -> dict[str, dict[str, str]]:
    parts = {int(line["key"]): line["quantity"]["unit"] for line in materials(view.row)}
    free = on_hand(client, sorted(parts))
    return {
        str(product): quantity(row["quantity"], row["default_uom."])
        for product, row in free.items()
        if row["default_uom."]["name"] == parts[product]
    }


def plan(
    client: Client, type_: TransactionType, payload: Any, seen: Snapshot, reference: str
) -> tuple[Step, ...]:
    """One write, or three steps for a released order. Our reference has no field in a production."""
    del reference
    number = int(seen.target)
    if type_.name == "production_order_reschedule":
        start, finish = payload.planned_start.isoformat(), payload.planned_finish.isoformat()
        values: dict[str, Any] = {"planned_date": finish, "planned_start_date": start}
        text = f"Write start {start} and finish {finish}"
    else:
        values = _lines(client, number, type_.outcome(payload, seen), payload.quantity.value)
        text = f"Write quantity {payload.quantity.value} {payload.quantity.unit} and its lines"
    return around(f"{MODEL},{number}", seen, text, values)


def around(document: str, seen: Snapshot, text: str, values: Mapping[str, Any]) -> tuple[Step, ...]:
    """The write, with taking back and releasing around it where the order is released."""
    model, _, number = document.partition(",")

    def one(name: str, words: str, method: str, values: Any = None) -> Step:
        return steps.step(
            name, words, document=document, model=model, method=method, records=[int(number)], values=values
        )

    write = one("write", text, "write", values)
    if seen.record.fields["state"] != "released":
        return (write,)
    return (
        one("draft", "Take the order back to a draft", "draft"),
        write,
        one("release", "Release the order again", "wait"),
    )


def _lines(client: Client, number: int, outcome: Record, made: str) -> dict[str, Any]:
    (row,) = client.search_read(MODEL, [("id", "=", number)], _CHANGE)
    plainly = {name: value for name, value in row.items() if not name.endswith(".")}
    change = client.call(MODEL, "on_change", {**plainly, "quantity": float(made)}, ["quantity"])
    shown = {int(line["key"]): line["quantity"]["value"] for line in outcome.lines["materials"]}
    values: dict[str, Any] = {"quantity": made}
    for name in ("inputs", "outputs"):
        listed = change.get(name, {})
        gone = sorted({*listed.get("delete", ()), *listed.get("remove", ())})
        added = [line for _, line in listed.get("add", ())]
        counts: dict[int, int] = defaultdict(int)
        for line in added:
            counts[line["product"]] += 1
        spelt = []
        for line in added:
            kept = {part: line[part] for part in _LINE if line.get(part) is not None}
            many = shown.get(line["product"]) if name == "inputs" and counts[line["product"]] == 1 else None
            kept["quantity"] = many or plain(exact(line["quantity"]))
            if "unit_price" in kept:
                kept["unit_price"] = plain(kept["unit_price"])
            spelt.append(kept)
        spelt.sort(key=lambda line: line["product"])
        calls: list[Any] = [["delete", gone]] if gone else []
        if spelt:
            calls.append(["create", spelt])
        if calls:
            values[name] = calls
    return values


def resources(view: steps.View) -> list[str]:
    """Where Tryton's log tells of this document."""
    return [name for name in view.stamps if name.startswith(f"{MODEL},")]
