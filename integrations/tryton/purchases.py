"""Purchase orders: `purchase_order_create` and `purchase_order_line_change`.

What Tryton 8.2 allows, proven on it:

- A new order is a draft with our reference in its `reference`. That field is not unique and Tryton knows no key of
  ours, so it is searched before the one send, and the read-back searches it again: effect class read-back only. The
  account cannot quote, confirm, change or delete; a person takes the draft on. What a person's screen would fill in
  (address, payment term, taxes) is asked of `on_change`; an order without address could not be confirmed later.
- draft: quantity, price and date of a line in one write, through the order, so that the stamps of both are checked.
- quotation: the date in one write; quantity and price are frozen, so the order goes back to a draft, is written and
  quoted again (its revision goes up, its number stays).
- processing: quantity and price by the ERP's own amendment, made with our reference and then validated; validation is
  refused when the order or its line has another stamp. It makes the moves that are not in a shipment anew, with
  the line's date, so the date is written on them afterwards, also where only quantity or price change. The date
  alone is one write on those moves. Once part of the line is in a shipment under way, people see to it there.
- confirmed: the ERP goes on to processing by itself; what stays there waits for somebody and is locked.

Effect class of a line change: guarded. The amendment itself is a draft that does nothing; it is sought by our
reference before it is made.

The file is long because the states of one document share its reading, its steps and its read-back.
"""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from integrations.contract import Record, Rejected, Snapshot, Step, TransactionType
from integrations.tryton import steps
from integrations.tryton.client import Client
from integrations.tryton.values import SOURCE, exact, iso, key, money, plain, quantity, stamps, writers

MODEL = "purchase.purchase"
OPEN_STATES = ("draft", "quotation", "confirmed", "processing")
_FIELDS = (
    "number",
    "reference",
    "rec_name",
    "state",
    "comment",
    "purchase_date",
    "untaxed_amount",
    "party.rec_name",
    "currency.code",
    "lines.type",
    "lines.product.rec_name",
    "lines.product_supplier",
    "lines.description",
    "lines.quantity",
    "lines.unit.name",
    "lines.unit.digits",
    "lines.unit_price",
    "lines.amount",
    "lines.delivery_date",
    "lines.moves.state",
    "lines.moves.quantity",
    "lines.moves.planned_date",
    "lines.moves.shipment",
    "lines.moves._timestamp",
    "lines.moves.write_uid",
    "lines.moves.create_uid",
    "lines._timestamp",
    "lines.write_uid",
    "lines.create_uid",
    "_timestamp",
    "write_uid",
    "create_uid",
)


def look(client: Client, number: int) -> steps.View:
    """The order with its lines and their moves. Rejected when it is not there."""
    rows = client.search_read(MODEL, [("id", "=", number)], _FIELDS)
    if not rows:
        raise Rejected(f"Tryton has no purchase order {number}.")
    row = rows[0]
    lines = row["lines."]
    moves = [move for line in lines for move in open_moves(line)]
    return steps.View(
        row,
        label=f"{row['rec_name']} {row['party.']['rec_name']}",
        stamps={**stamps(MODEL, rows), **stamps("purchase.line", lines), **stamps("stock.move", moves)},
        writers={**writers(MODEL, rows), **writers("purchase.line", lines), **writers("stock.move", moves)},
    )


def open_moves(line: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is still to come of a line and in no shipment yet."""
    return [move for move in line["moves."] if move["state"] == "draft" and not move["shipment"]]


def delivery(line: Mapping[str, Any]) -> dt.date | None:
    """The day the rest of a line is to arrive."""
    days = [move["planned_date"] for move in open_moves(line) if move["planned_date"]]
    found: dt.date | None = min(days, default=line["delivery_date"])
    return found


def received(line: Mapping[str, Any]) -> Decimal:
    """What of a line has arrived."""
    return sum((exact(move["quantity"]) for move in line["moves."] if move["state"] == "done"), Decimal(0))


def name_of(line: Mapping[str, Any]) -> str:
    """A line's product, or its description."""
    product = line.get("product.")
    return str(product["rec_name"] if product else line["description"] or "")


# A new order


def record_created(view: steps.View, payload: Any, type_name: str) -> Record:
    """A created order in the type's words, lines in the order they were sent."""
    del type_name
    row, currency = view.row, view.row["currency."]["code"]
    lines = [
        {
            "key": str(line["id"]),
            "label": name_of(line),
            "product": str(line["product."]["id"]) if line.get("product.") else "",
            "quantity": quantity(line["quantity"], line["unit."]),
            "unit_price": money(line["unit_price"], currency),
            "delivery_date": iso(line["delivery_date"]),
            "amount": money(line["amount"], currency, cents=True),
        }
        for line in sorted(row["lines."], key=lambda line: line["id"])
    ]
    del payload
    return Record(
        {
            "supplier_name": row["party."]["rec_name"],
            "supplier": str(row["party."]["id"]),
            "total": money(row["untaxed_amount"], currency, cents=True),
            "note": row["comment"] or "",
        },
        {"lines": lines},
    )


def snapshot_create(client: Client, type_name: str, payload: Any) -> Snapshot:
    """The supplier, what it sells and what is on order there already."""
    del type_name
    as_of = client.now()
    number = _number(payload.supplier)
    parties = client.search_read(
        "party.party", [("id", "=", number)], ["name", "active", "_timestamp"], active_test=False
    )
    wanted = [_number(line.product) for line in payload.lines]
    sold = client.search_read("purchase.product_supplier", [("party", "=", number)], ["id"])
    currency = supplier_currency(client, number)
    catalogue = entries(client, number, wanted, currency) if parties else {}
    supplier = None
    if parties and sold:
        supplier = {
            "key": str(number),
            "name": parties[0]["name"],
            "currency": currency,
            "active": bool(parties[0]["active"]),
        }
    return Snapshot(
        target="",
        label=f"New purchase order, {parties[0]['name'] if parties else payload.supplier}",
        record=Record({}, {"lines": []}),
        context={
            "supplier": supplier,
            "catalogue": catalogue,
            "open_orders": _open_orders(client, number, wanted),
        },
        # Where there is no supplier the rules refuse; its stamp says which supplier was looked at.
        stamps=stamps("party.party", parties) or {f"party.party,{payload.supplier}": "none"},
        as_of=as_of,
        source=SOURCE,
    )


def _number(text: str) -> int:
    """A key's number, -1 for a key that names nothing: the rules say so, with the field."""
    try:
        return key(text, "record")
    except Rejected:
        return -1


def supplier_currency(client: Client, party: int) -> str:
    """The currency orders to a supplier are in: that of its prices, else the company's."""
    rows = client.search_read(
        "purchase.product_supplier", [("party", "=", party)], ["currency.code"], limit=1
    )
    if rows and rows[0].get("currency."):
        return str(rows[0]["currency."]["code"])
    (company,) = client.search_read("company.company", [], ["currency.code"], limit=1)
    return str(company["currency."]["code"])


def entries(client: Client, party: int, products: Sequence[int], currency: str) -> dict[str, dict[str, Any]]:
    """The catalogue of these products at this supplier, by key."""
    rows = client.search_read(
        "product.product",
        [("id", "in", list(products)), ("purchasable", "=", True)],
        ["rec_name", "template", "purchase_uom.name", "purchase_uom.digits"],
    )
    sold = client.search_read(
        "purchase.product_supplier",
        [("party", "=", party)],
        ["product", "template", "lead_time", "prices.unit_price", "prices.quantity"],
    )
    past = client.search_read(
        "purchase.line",
        [
            ("product", "in", list(products)),
            ("purchase.party", "=", party),
            ("purchase.state", "in", ["processing", "done"]),
        ],
        ["product", "quantity", "unit_price", "purchase.currency.code"],
        order=[("purchase.purchase_date", "DESC"), ("id", "DESC")],
    )
    found = {}
    for row in rows:
        unit = row["purchase_uom."]
        offers = [
            one
            for one in sold
            if one["product"] == row["id"] or (one["product"] is None and one["template"] == row["template"])
        ]
        bought = [line for line in past if line["product"] == row["id"]]
        lead = offers[0]["lead_time"] if offers else None
        found[str(row["id"])] = {
            "label": row["rec_name"],
            "unit": unit["name"],
            "digits": unit["digits"],
            "supplied": bool(offers),
            "last_price": _last_price(bought, offers, currency),
            "usual_quantity": usual([line["quantity"] for line in bought[:5]], unit["digits"]),
            "minimum": None,
            "lead_days": lead.days if lead is not None else None,
        }
    return found


def _last_price(
    bought: Sequence[Mapping[str, Any]], offers: Sequence[Mapping[str, Any]], currency: str
) -> dict[str, str] | None:
    """What was paid last, else what the supplier's price list says."""
    if bought:
        return money(bought[0]["unit_price"], bought[0]["purchase."]["currency."]["code"])
    prices = [price for offer in offers for price in offer["prices."]]
    if prices:
        return money(min(prices, key=lambda price: price["quantity"])["unit_price"], currency)
    return None


def usual(quantities: Sequence[float], digits: int) -> str | None:
    """The middle of the last orders; one order is no habit."""
    if len(quantities) < 2:  # noqa: PLR2004
        return None
    return plain(exact(statistics.median_low(quantities)).quantize(Decimal(1).scaleb(-digits)))


def _open_orders(client: Client, party: int, products: Sequence[int]) -> list[dict[str, Any]]:
    rows = client.search_read(
        "purchase.line",
        [
            ("product", "in", list(products)),
            ("purchase.party", "=", party),
            ("purchase.state", "in", list(OPEN_STATES)),
        ],
        [
            "product",
            "quantity",
            "unit.name",
            "unit.digits",
            "delivery_date",
            "purchase.rec_name",
            "purchase.state",
            "purchase.shipment_state",
        ],
        order=[("id", "ASC")],
    )
    return [
        {
            "number": row["purchase."]["rec_name"],
            "product": str(row["product"]),
            "quantity": quantity(row["quantity"], row["unit."]),
            "delivery_date": iso(row["delivery_date"]),
            "state": row["purchase."]["state"],
        }
        for row in rows
        if row["purchase."]["shipment_state"] != "received"
    ]


def plan_create(
    client: Client, type_: TransactionType, payload: Any, seen: Snapshot, reference: str
) -> tuple[Step, ...]:
    """One create; Tryton is asked what a person's screen would fill in."""
    del type_, seen
    party = key(payload.supplier, "supplier")
    (company,) = client.search_read(
        "company.company", [("id", "=", client.context()["company"])], ["currency"]
    )
    filled = client.call(MODEL, "on_change", {"party": party, "company": company["id"]}, ["party"])
    products = [key(line.product, "product") for line in payload.lines]
    units = {
        row["id"]: row["purchase_uom"]
        for row in client.search_read("product.product", [("id", "in", products)], ["purchase_uom"])
    }
    lines = []
    for line, product in zip(payload.lines, products, strict=True):
        screen = {
            "type": "line",
            "product": product,
            "unit": units.get(product),
            "quantity": float(line.quantity.value),
            "_parent_purchase.party": party,
            "_parent_purchase.currency": filled.get("currency", company["currency"]),
            "_parent_purchase.company": company["id"],
        }
        shown = client.call("purchase.line", "on_change", screen, ["product", "quantity"])
        made: dict[str, Any] = {
            "type": "line",
            "product": product,
            "quantity": line.quantity.value,
            "unit": units.get(product),
            "unit_price": line.unit_price.amount,
            "delivery_date_edit": True,
            "delivery_date_store": line.delivery_date.isoformat(),
        }
        if shown.get("product_supplier"):
            made["product_supplier"] = shown["product_supplier"]
        if shown.get("taxes"):
            made["taxes"] = [["add", sorted(shown["taxes"])]]
        lines.append(made)
    values: dict[str, Any] = {"party": party, "reference": reference, "lines": [["create", lines]]}
    values |= {name: filled[name] for name in ("invoice_address", "payment_term") if filled.get(name)}
    if payload.note:
        values["comment"] = payload.note
    text = f"Create a draft purchase order with {len(lines)} line{'s' if len(lines) > 1 else ''}"
    return (
        steps.step(
            "create", text, document=f"{MODEL},", model=MODEL, method="create", records=[], values=values
        ),
    )


# A line


def line_of(view: steps.View, payload: Any) -> dict[str, Any]:
    """The line a payload names. Rejected when the order has none such."""
    number = key(payload.line, "purchase order line")
    for line in view.row["lines."]:
        if line["id"] == number and line["type"] == "line" and line.get("unit."):
            found: dict[str, Any] = line
            return found
    raise Rejected(f"{view.label} has no line {payload.line!r}.")


def record_line(view: steps.View, payload: Any, type_name: str) -> Record:
    """The line and its order's header in the type's words."""
    del type_name
    line, row = line_of(view, payload), view.row
    currency = row["currency."]["code"]
    return Record(
        {
            "number": row["number"] or row["reference"] or "",
            "supplier_name": row["party."]["rec_name"],
            "state": row["state"],
            "product": name_of(line),
            "quantity": quantity(line["quantity"], line["unit."]),
            "unit_price": money(line["unit_price"], currency),
            "amount": money(line["amount"], currency, cents=True),
            "delivery_date": iso(delivery(line)),
        }
    )


def snapshot_line(client: Client, type_name: str, payload: Any) -> Snapshot:
    """The line, what it cost before, and whether the ERP lets this change be made."""
    as_of = client.now()
    view = look(client, key(payload.order, "purchase order"))
    line, row = line_of(view, payload), view.row
    currency = row["currency."]["code"]
    context: dict[str, Any] = {
        "state": row["state"],
        "currency": currency,
        "received": quantity(received(line), line["unit."]),
        "unit_digits": line["unit."]["digits"],
        "last_price": None,
    }
    if line.get("product."):
        context |= _past(client, row, line, currency)
    if why := _locked(row, line):
        context["locked"] = why
    # The other lines may change: only this one is shown.
    moves = {f"stock.move,{move['id']}" for move in open_moves(line)}
    shown = {f"{MODEL},{row['id']}", f"purchase.line,{line['id']}", *moves}
    return Snapshot(
        target=str(row["id"]),
        label=view.label,
        record=record_line(view, payload, type_name),
        context=context,
        stamps={name: stamp for name, stamp in view.stamps.items() if name in shown},
        as_of=as_of,
        source=SOURCE,
    )


def _past(client: Client, row: Mapping[str, Any], line: Mapping[str, Any], currency: str) -> dict[str, Any]:
    product, party = line["product."]["id"], row["party."]["id"]
    bought = client.search_read(
        "purchase.line",
        [
            ("product", "=", product),
            ("purchase.party", "=", party),
            ("purchase.state", "in", ["processing", "done"]),
            ("id", "!=", line["id"]),
        ],
        ["quantity", "unit_price", "purchase.currency.code"],
        order=[("purchase.purchase_date", "DESC"), ("id", "DESC")],
        limit=5,
    )
    entry = entries(client, party, [product], currency).get(str(product), {})
    found: dict[str, Any] = {
        "last_price": money(bought[0]["unit_price"], bought[0]["purchase."]["currency."]["code"])
        if bought
        else None
    }
    if habit := usual([one["quantity"] for one in bought], line["unit."]["digits"]):
        found["usual_quantity"] = habit
    if entry.get("lead_days") is not None:
        found["lead_days"] = entry["lead_days"]
    return found


def _locked(row: Mapping[str, Any], line: Mapping[str, Any]) -> str:
    if row["state"] == "confirmed":
        return "it is confirmed and waits to be processed there"
    if row["state"] != "processing":
        return ""
    left = [move for move in line["moves."] if move["state"] not in {"done", "cancelled"}]
    if any(move["shipment"] for move in left):
        return "part of the line is in a shipment under way"
    if not open_moves(line):
        return "nothing of the line is still to come"
    return ""


def plan_line(
    client: Client, type_: TransactionType, payload: Any, seen: Snapshot, reference: str
) -> tuple[Step, ...]:
    """One to three calls, by the order's state; see the module."""
    del type_
    order, number = int(seen.target), key(payload.line, "purchase order line")
    state = seen.record.fields["state"]
    document = f"{MODEL},{order}"
    values, words = _values(payload)

    def one(name: str, text: str, method: str, values: Any = None) -> Step:
        return steps.step(
            name, text, document=document, model=MODEL, method=method, records=[order], values=values
        )

    if state == "processing":
        return _plan_processing(client, payload, seen, reference, document, number)
    write = one("write", f"Write {words}", "write", {"lines": [["write", [number], values]]})
    if state == "quotation" and (payload.quantity is not None or payload.unit_price is not None):
        return (
            one("draft", "Take the quotation back to a draft", "draft"),
            write,
            one("quote", "Quote the order again", "quote"),
        )
    return (write,)


def _values(payload: Any) -> tuple[dict[str, Any], str]:
    values: dict[str, Any] = {}
    words = []
    if payload.quantity is not None:
        values["quantity"] = payload.quantity.value
        words.append(f"quantity {payload.quantity.value} {payload.quantity.unit}")
    if payload.unit_price is not None:
        values["unit_price"] = payload.unit_price.amount
        words.append(f"unit price {payload.unit_price.amount} {payload.unit_price.currency}")
    if payload.delivery_date is not None:
        values["delivery_date_edit"] = True
        values["delivery_date_store"] = payload.delivery_date.isoformat()
        words.append(f"delivery on {values['delivery_date_store']}")
    return values, ", ".join(words)


def _plan_processing(
    client: Client, payload: Any, seen: Snapshot, reference: str, document: str, number: int
) -> tuple[Step, ...]:
    day = payload.delivery_date.isoformat() if payload.delivery_date else seen.record.fields["delivery_date"]
    # Only the moves not yet in a shipment, and after an amendment other ones than now.
    dated = steps.step(
        "date",
        f"Plan what is still to come for {day}",
        document=document,
        model="stock.move",
        method="write",
        records={"origin": f"purchase.line,{number}"},
        values={"planned_date": day},
    )
    if payload.quantity is None and payload.unit_price is None:
        return (dated,)
    (line,) = client.search_read(
        "purchase.line",
        [("id", "=", number)],
        ["product", "product_supplier", "quantity", "unit", "unit.digits", "unit_price", "description"],
    )
    (order,) = client.search_read(MODEL, [("id", "=", int(seen.target))], ["party"])
    old, party = seen.record.fields, order["party"]
    change: dict[str, Any] = {
        "action": "line",
        "line": number,
        # Tryton looks for the supplier's product among this party's; an amendment of a line changes no party.
        "party": party,
        "product": line["product"],
        "product_supplier": line["product_supplier"],
        "unit": line["unit"],
        "description": line["description"],
        "quantity": payload.quantity.value if payload.quantity else old["quantity"]["value"],
        "unit_price": payload.unit_price.amount if payload.unit_price else plain(line["unit_price"]),
    }
    _, words = _values(payload.model_copy(update={"delivery_date": None}))
    values = {"purchase": int(seen.target), "description": reference, "lines": [["create", [change]]]}
    made = steps.step(
        "amendment",
        f"Draft an amendment: {words}",
        document=document,
        model="purchase.amendment",
        method="create",
        records=[],
        values=values,
    )
    valid = steps.step(
        "validate",
        "Validate the amendment",
        document=document,
        model="purchase.amendment",
        method="validate_amendment",
        records={"description": reference},
    )
    return (made, valid, dated) if day else (made, valid)


def resources(view: steps.View) -> list[str]:
    """Where Tryton's log tells of this document."""
    return list(view.stamps)
