"""Order products from a supplier: a new purchase order with its lines.

What an adapter supplies in the snapshot (the target is empty, the record is `Record({}, {"lines": []})`):

`context`, required:
`supplier`: {"key", "name", "currency": ISO code, "active": bool}, or null when there is no such supplier;
`catalogue`: {product key: {"label", "unit": the unit it is bought in, "digits": the unit's decimal places,
"supplied": bool (this supplier sells it), "last_price": money or null, "usual_quantity": decimal text or
null, "minimum": decimal text or null, "lead_days": whole number or null}} with an entry for every product of
the payload that exists; a product without an entry is unknown;
`open_orders`: orders of this supplier that are not done or cancelled, one entry per line: {"number",
"product": key, "quantity": {"value", "unit"}, "delivery_date": ISO date or null, "state"}.
`context`, optional: `locked` (text).

The record found after the commit has `fields` `supplier` (key), `supplier_name`, `note` (text, "" for none),
`total` (money, before taxes), and `lines["lines"]`: {"key", "label", "product": key, "quantity",
"unit_price", "delivery_date", "amount"} in the order of the payload.

There is no reversal: a wrong order is cancelled by a person, there.

The file is long because a transaction type is one file.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any

import pydantic

from integrations.contract import (
    Case,
    Closed,
    Facts,
    Field,
    Finding,
    Key,
    Kind,
    Level,
    Limit,
    Money,
    Quantity,
    Record,
    Snapshot,
    TransactionType,
)
from integrations.transaction_types import shared_rules as judge

Note = Annotated[
    str,
    pydantic.StringConstraints(
        strip_whitespace=True, max_length=500, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$"
    ),
]


class Line(Closed):
    """One product to order."""

    product: Key = pydantic.Field(description="Key of the product, as read tools give it.")
    quantity: Quantity = pydantic.Field(description="How much, in the unit the product is bought in.")
    unit_price: Money = pydantic.Field(
        description="Price of one unit before taxes, in the supplier's currency."
    )
    delivery_date: judge.Day = pydantic.Field(description="Day on which it is to arrive, YYYY-MM-DD.")


class Payload(Closed):
    """The supplier and what to order."""

    supplier: Key = pydantic.Field(description="Key of the supplier, as read tools give it.")
    lines: Annotated[list[Line], pydantic.Field(min_length=1, max_length=50)] = pydantic.Field(
        description="What to order, 1 to 50 lines."
    )
    note: Note = pydantic.Field(
        default="", description="A remark that the supplier may read; may be left out."
    )


def _supplier_is_known(case: Case) -> Iterator[Finding]:
    if "supplier" not in case.snapshot.context:
        return
    supplier = case.snapshot.context["supplier"]
    if supplier is None:
        yield Finding(
            "supplier.unknown",
            Level.ERROR,
            f"There is no supplier with the key {case.payload.supplier!r}.",
            "supplier",
            "Use a key that the read tools stock_by_product or supplier gave you.",
        )
    elif not supplier["active"]:
        yield Finding(
            "supplier.inactive",
            Level.ERROR,
            f"{supplier['name']} is no longer an active supplier.",
            "supplier",
            "Choose another supplier of the product.",
        )


def _each(case: Case) -> Iterator[tuple[str, Line, Mapping[str, Any]]]:
    catalogue = case.snapshot.context.get("catalogue", {})
    for index, line in enumerate(case.payload.lines):
        if line.product in catalogue:
            yield f"lines.{index}", line, catalogue[line.product]


def _supplier_sells_it(case: Case) -> Iterator[Finding]:
    catalogue = case.snapshot.context.get("catalogue", {})
    supplier = case.snapshot.context.get("supplier") or {"name": "this supplier"}
    for index, line in enumerate(case.payload.lines):
        entry = catalogue.get(line.product)
        if entry is None and "catalogue" in case.snapshot.context:
            yield Finding(
                "product.unknown",
                Level.ERROR,
                f"There is no product with the key {line.product!r} that can be bought.",
                f"lines.{index}.product",
                "Use a key that a read tool gave you.",
            )
        elif entry is not None and not entry["supplied"]:
            sold = ", ".join(f"{k} ({e['label']})" for k, e in catalogue.items() if e["supplied"])
            yield Finding(
                "product.not_supplied",
                Level.ERROR,
                f"{entry['label']} is not sold by {supplier['name']}.",
                f"lines.{index}.product",
                f"Of these it sells: {sold or 'none'}. Read stock_by_product for the product's suppliers.",
            )


def _quantities_fit(case: Case) -> Iterator[Finding]:
    for path, line, entry in _each(case):
        field = f"{path}.quantity"
        yield from judge.positive(field, line.quantity)
        yield from judge.fits_unit(field, line.quantity, entry["unit"], entry["digits"])
        wanted = Decimal(line.quantity.value)
        if entry["usual_quantity"]:
            yield from judge.plausible(
                field,
                wanted,
                Decimal(entry["usual_quantity"]),
                against="the usual order",
                notable=case.limits["notable_factor"],
                largest=case.limits["largest_factor"],
            )
        if entry["minimum"] and 0 < wanted < Decimal(entry["minimum"]):
            yield Finding(
                "quantity.below_minimum",
                Level.WARNING,
                f"{entry['label']}: the supplier's minimum is {entry['minimum']} {entry['unit']}.",
                field,
                f"Order {entry['minimum']} {entry['unit']} or more.",
            )


def _prices_fit(case: Case) -> Iterator[Finding]:
    supplier = case.snapshot.context.get("supplier")
    for index, line in enumerate(case.payload.lines):
        if supplier:
            yield from judge.fits_currency(f"lines.{index}.unit_price", line.unit_price, supplier["currency"])
    for path, line, entry in _each(case):
        yield from judge.price_moved(
            f"{path}.unit_price",
            line.unit_price,
            entry["last_price"],
            notable=case.limits["notable_price_move"],
            largest=case.limits["largest_price_move"],
        )


def _one_currency(case: Case) -> Iterator[Finding]:
    first = case.payload.lines[0].unit_price.currency
    for index, line in enumerate(case.payload.lines):
        if line.unit_price.currency != first:
            yield Finding(
                "price.two_currencies",
                Level.ERROR,
                f"The order mixes {first} and {line.unit_price.currency}.",
                f"lines.{index}.unit_price",
                "Give every price in the supplier's currency.",
            )


def _dates_make_sense(case: Case) -> Iterator[Finding]:
    for index, line in enumerate(case.payload.lines):
        field = f"lines.{index}.delivery_date"
        yield from judge.not_past(case, field, line.delivery_date)
        yield from judge.on_working_day(field, line.delivery_date)
        yield from judge.far_move(field, case.today, line.delivery_date, case.limits["usual_move_days"])
    for path, line, entry in _each(case):
        if entry["lead_days"] is None or line.delivery_date < case.today:
            continue
        possible = case.today + dt.timedelta(days=entry["lead_days"])
        if line.delivery_date < possible:
            yield Finding(
                "dates.within_lead_time",
                Level.WARNING,
                f"{entry['label']} takes {entry['lead_days']} days; {line.delivery_date} is sooner.",
                f"{path}.delivery_date",
                f"{possible} is the first day that the lead time allows.",
            )


def _no_product_twice(case: Case) -> Iterator[Finding]:
    seen: dict[tuple[str, dt.date], int] = {}
    for index, line in enumerate(case.payload.lines):
        first = seen.setdefault((line.product, line.delivery_date), index)
        if first != index:
            yield Finding(
                "lines.repeated",
                Level.WARNING,
                f"Line {index + 1} orders the same product for the same day as line {first + 1}.",
                f"lines.{index}.product",
                "Put both quantities into one line.",
            )


def _not_already_on_order(case: Case) -> Iterator[Finding]:
    window = case.limits["duplicate_days"]
    for index, line in enumerate(case.payload.lines):
        for order in case.snapshot.context.get("open_orders", ()):
            if order["product"] != line.product:
                continue
            due = judge.day(order["delivery_date"])
            near = due is None or abs((due - line.delivery_date).days) <= window
            same = judge.number(order["quantity"]) == Decimal(line.quantity.value)
            name, there = order["number"] or "A draft order", order["quantity"]
            until = f" for {due}" if due else ""
            words = f"{name} already has {there['value']} {there['unit']} on order{until}."
            if near and same:
                yield Finding(
                    "duplicate.open_order",
                    Level.ERROR,
                    words,
                    f"lines.{index}.product",
                    f"Change {order['number'] or 'that order'} instead, or order another quantity.",
                )
            else:
                yield Finding(
                    "duplicate.also_on_order",
                    Level.WARNING,
                    words,
                    f"lines.{index}.product",
                    "Check that both are needed.",
                )


def _stake(payload: Payload) -> Money | None:
    if len({line.unit_price.currency for line in payload.lines}) > 1:
        return None
    return judge.as_money(
        judge.total([judge.amount(line.quantity, line.unit_price) for line in payload.lines])
    )


def _value(case: Case) -> Iterator[Finding]:
    yield from judge.notable_value(case, _stake(case.payload), "lines")


def _facts(case: Case) -> Facts:
    supplier = case.snapshot.context.get("supplier") or {}
    return Facts(
        value=_stake(case.payload),
        reversible=False,
        books=True,
        counterparty=str(supplier.get("name") or case.payload.supplier),
        due=judge.earliest(line.delivery_date for line in case.payload.lines),
    )


def _outcome(payload: Payload, snapshot: Snapshot) -> Record:
    supplier = snapshot.context.get("supplier") or {}
    catalogue = snapshot.context.get("catalogue", {})
    lines = [
        {
            "key": "",
            "label": catalogue.get(line.product, {}).get("label", line.product),
            "product": line.product,
            "quantity": line.quantity.model_dump(),
            "unit_price": line.unit_price.model_dump(),
            "delivery_date": line.delivery_date.isoformat(),
            "amount": judge.amount(line.quantity, line.unit_price),
        }
        for line in payload.lines
    ]
    return Record(
        {
            "supplier_name": supplier.get("name", ""),
            "supplier": payload.supplier,
            "total": judge.total([line["amount"] for line in lines]),
            "note": payload.note,
        },
        {"lines": lines},
    )


TYPE = TransactionType(
    name="purchase_order_create",
    version=1,
    title="Create a purchase order",
    summary="Orders products from a supplier: a new purchase order with 1 to 50 lines.",
    record="purchase order",
    payload=Payload,
    target=lambda _payload: None,
    fields=(
        Field("supplier_name", "Supplier", payload_path=""),
        Field("supplier", "Supplier's key", Kind.REFERENCE, critical=True),
        Field("total", "Total before taxes", Kind.MONEY, payload_path="", tolerance=Decimal("0.05")),
        Field("lines[].product", "Product", Kind.REFERENCE, critical=True),
        Field("lines[].quantity", "Quantity", Kind.QUANTITY, amendable=True, critical=True),
        Field("lines[].unit_price", "Unit price", Kind.MONEY, amendable=True, critical=True),
        Field("lines[].delivery_date", "Delivery date", Kind.DATE, amendable=True, critical=True),
        Field("lines[].amount", "Amount", Kind.MONEY, payload_path="", tolerance=Decimal("0.01")),
        Field("note", "Note", amendable=True, help="The supplier may read it."),
    ),
    rules=(
        judge.knows(
            supplier="who the supplier is",
            catalogue="what the supplier sells and at what price",
            open_orders="which orders are still open",
        ),
        judge.system_allows,
        _supplier_is_known,
        _supplier_sells_it,
        _quantities_fit,
        _prices_fit,
        _one_currency,
        _dates_make_sense,
        _no_product_twice,
        _not_already_on_order,
        _value,
    ),
    limits=(
        Limit("notable_factor", "Notable quantity", Decimal(3), "times", least=Decimal(1), most=Decimal(100)),
        Limit(
            "largest_factor", "Largest quantity", Decimal(10), "times", least=Decimal(1), most=Decimal(1000)
        ),
        Limit("notable_price_move", "Notable price move", Decimal(5), "percent", most=Decimal(100)),
        Limit("largest_price_move", "Largest price move", Decimal(30), "percent", most=Decimal(1000)),
        Limit("duplicate_days", "Same order within", Decimal(14), "days", wider="down", most=Decimal(365)),
        Limit(
            "usual_move_days", "Usual time ahead", Decimal(180), "days", least=Decimal(1), most=Decimal(3650)
        ),
        Limit(judge.NOTABLE_VALUE, "Notable value", Decimal(5000), "the order's currency"),
    ),
    facts=_facts,
    outcome=_outcome,
    reversal=lambda _payload, _snapshot: None,
    sample={
        "supplier": "5",
        "lines": [
            {
                "product": "1",
                "quantity": {"value": "40.00", "unit": "Square metre"},
                "unit_price": {"amount": "31.50", "currency": "EUR"},
                "delivery_date": "2026-12-09",
            },
            {
                "product": "2",
                "quantity": {"value": "5000", "unit": "Unit"},
                "unit_price": {"amount": "0.0410", "currency": "EUR"},
                "delivery_date": "2026-12-09",
            },
        ],
        "note": "For MO-0018",
    },
    sample_snapshot=Snapshot(
        target="",
        label="New purchase order, Holzhandel Brenner",
        record=Record({}, {"lines": []}),
        context={
            "supplier": {"key": "5", "name": "Holzhandel Brenner", "currency": "EUR", "active": True},
            "catalogue": {
                "1": {
                    "label": "Beech board 27 mm",
                    "unit": "Square metre",
                    "digits": 2,
                    "supplied": True,
                    "last_price": {"amount": "31.20", "currency": "EUR"},
                    "usual_quantity": "35",
                    "minimum": "10",
                    "lead_days": 12,
                },
                "2": {
                    "label": "Wood screw 5x60",
                    "unit": "Unit",
                    "digits": 0,
                    "supplied": True,
                    "last_price": {"amount": "0.0405", "currency": "EUR"},
                    "usual_quantity": "4000",
                    "minimum": None,
                    "lead_days": 5,
                },
            },
            "open_orders": [],
        },
        stamps={},
        as_of=dt.datetime(2026, 11, 23, 8, 0, tzinfo=dt.UTC),
        source="sample",
    ),
)
