"""Change the quantity, the price or the delivery date of one line of a purchase order.

What an adapter supplies in the snapshot (`target` is the order's key, one commit at a time per order):

`record.fields`: `number`, `supplier_name`, `state`, `product` (text), `quantity` {"value", "unit"},
`unit_price` (money), `delivery_date` (ISO date or null), `amount` (money, quantity times unit price in
cents). No lines: the record is the one line and its order's header.

`context`, required: `state` (one of draft, quotation, confirmed, processing, done, cancelled: the same word
as in the record), `currency` (ISO code of the order), `last_price` (money last paid for the product to this
supplier apart from this line, or null), `received` {"value", "unit"} (already delivered of this line).
`context`, optional: `unit_digits`, `usual_quantity` (decimal text), `lead_days` (whole number), `locked`
(text).

The payload's fields that are left out stay as they are. A line that is not there is the adapter's `Rejected`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Self

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


class Payload(Closed):
    """The line and what to change of it; at least one of quantity, unit price and delivery date."""

    order: Key = pydantic.Field(description="Key of the purchase order, as read tools give it.")
    line: Key = pydantic.Field(description="Key of the line in that order.")
    quantity: Quantity | None = pydantic.Field(
        default=None, description="The line's whole new quantity, in its own unit; left out, it stays."
    )
    unit_price: Money | None = pydantic.Field(
        default=None,
        description="New price of one unit before taxes, in the order's currency; left out, it stays.",
    )
    delivery_date: judge.Day | None = pydantic.Field(
        default=None, description="New day of delivery, YYYY-MM-DD; left out, it stays."
    )

    @pydantic.model_validator(mode="after")
    def _something_is_given(self) -> Self:
        if self.quantity is None and self.unit_price is None and self.delivery_date is None:
            raise ValueError("give at least one of quantity, unit_price and delivery_date")
        return self


def _changes_something(case: Case) -> Iterator[Finding]:
    old, new = case.snapshot.record.fields, case.payload
    same: list[str] = []
    given = 0
    if new.quantity is not None:
        given += 1
        if (judge.number(old["quantity"]), old["quantity"]["unit"]) == (
            Decimal(new.quantity.value),
            new.quantity.unit,
        ):
            same.append("quantity")
    if new.unit_price is not None:
        given += 1
        if (judge.number(old["unit_price"]), old["unit_price"]["currency"]) == (
            Decimal(new.unit_price.amount),
            new.unit_price.currency,
        ):
            same.append("unit_price")
    if new.delivery_date is not None:
        given += 1
        if old["delivery_date"] == new.delivery_date.isoformat():
            same.append("delivery_date")
    if same and len(same) == given:
        yield judge.no_change(same[0], already="every value given is the present one")


def _quantity_fits(case: Case) -> Iterator[Finding]:
    new = case.payload.quantity
    if new is None:
        return
    context, old = case.snapshot.context, case.snapshot.record.fields["quantity"]
    yield from judge.positive("quantity", new)
    yield from judge.fits_unit("quantity", new, old["unit"], context.get("unit_digits"))
    usual = context.get("usual_quantity")
    yield from judge.plausible(
        "quantity",
        Decimal(new.value),
        Decimal(usual) if usual else judge.number(old),
        against="the usual order" if usual else "the present quantity",
        notable=case.limits["notable_factor"],
        largest=case.limits["largest_factor"],
    )


def _not_less_than_received(case: Case) -> Iterator[Finding]:
    new, received = case.payload.quantity, case.snapshot.context.get("received")
    if new is not None and received is not None and Decimal(new.value) < judge.number(received):
        yield Finding(
            "quantity.below_received",
            Level.ERROR,
            f"{received['value']} {received['unit']} have been received already.",
            "quantity",
            f"Give {received['value']} or more; what has arrived is sent back by people.",
        )


def _price_fits(case: Case) -> Iterator[Finding]:
    price, context = case.payload.unit_price, case.snapshot.context
    if price is None:
        return
    if "currency" in context:
        yield from judge.fits_currency("unit_price", price, context["currency"])
    yield from judge.price_moved(
        "unit_price",
        price,
        context.get("last_price") or case.snapshot.record.fields["unit_price"],
        notable=case.limits["notable_price_move"],
        largest=case.limits["largest_price_move"],
    )


def _date_makes_sense(case: Case) -> Iterator[Finding]:
    new = case.payload.delivery_date
    if new is None:
        return
    old = judge.day(case.snapshot.record.fields["delivery_date"])
    yield from judge.not_past(case, "delivery_date", new)
    yield from judge.on_working_day("delivery_date", new)
    yield from judge.far_move("delivery_date", old, new, case.limits["usual_move_days"])
    lead = case.snapshot.context.get("lead_days")
    if lead is not None and (old is None or new < old) and case.today <= new:
        possible = case.today + dt.timedelta(days=lead)
        if new < possible:
            yield Finding(
                "dates.within_lead_time",
                Level.WARNING,
                f"The supplier takes {lead} days; {new} is sooner.",
                "delivery_date",
                f"{possible} is the first day that the lead time allows.",
            )


def _already_with_supplier(case: Case) -> Iterator[Finding]:
    if case.snapshot.context.get("state") in {"confirmed", "processing"}:
        yield Finding(
            "state.with_supplier",
            Level.WARNING,
            f"{case.snapshot.label} is already with the supplier; the change needs the supplier's agreement.",
            "order",
            "Say in the rationale who agreed to it.",
        )


def _after(payload: Payload, snapshot: Snapshot) -> dict[str, Any]:
    fields = dict(snapshot.record.fields)
    if payload.quantity is not None:
        fields["quantity"] = payload.quantity.model_dump()
    if payload.unit_price is not None:
        fields["unit_price"] = payload.unit_price.model_dump()
    if payload.delivery_date is not None:
        fields["delivery_date"] = payload.delivery_date.isoformat()
    fields["amount"] = judge.amount(fields["quantity"], fields["unit_price"])
    return fields


def _stake(payload: Payload, snapshot: Snapshot) -> Money | None:
    before, after = snapshot.record.fields["amount"], _after(payload, snapshot)["amount"]
    if before["currency"] != after["currency"]:
        return None
    difference = abs(judge.number(after) - judge.number(before))
    return judge.as_money({"amount": str(difference), "currency": after["currency"]})


def _value(case: Case) -> Iterator[Finding]:
    yield from judge.notable_value(case, _stake(case.payload, case.snapshot))


def _facts(case: Case) -> Facts:
    old = judge.day(case.snapshot.record.fields["delivery_date"])
    return Facts(
        value=_stake(case.payload, case.snapshot),
        reversible=True,
        reversible_until=judge.earliest((old, case.payload.delivery_date)),
        books=True,
        counterparty=str(case.snapshot.record.fields["supplier_name"]),
        due=judge.earliest((old, case.payload.delivery_date)),
    )


def _reversal(payload: Payload, snapshot: Snapshot) -> Mapping[str, Any] | None:
    old, back = snapshot.record.fields, {"order": payload.order, "line": payload.line}
    if payload.delivery_date is not None and old["delivery_date"] is None:
        return None
    given = payload.model_dump(exclude_none=True, include={"quantity", "unit_price", "delivery_date"})
    return {**back, **{name: old[name] for name in given}}


TYPE = TransactionType(
    name="purchase_order_line_change",
    version=1,
    title="Change a purchase order line",
    summary="Changes the quantity, the unit price or the delivery date of one line of a purchase order.",
    record="purchase order",
    payload=Payload,
    target=lambda payload: payload.order,
    fields=(
        Field("number", "Order", payload_path=""),
        Field("supplier_name", "Supplier", payload_path=""),
        Field("state", "State", Kind.CHOICE, payload_path=""),
        Field("product", "Product", payload_path=""),
        Field("quantity", "Quantity", Kind.QUANTITY, amendable=True, critical=True),
        Field("unit_price", "Unit price", Kind.MONEY, amendable=True, critical=True),
        Field("amount", "Amount", Kind.MONEY, payload_path="", tolerance=Decimal("0.01")),
        Field("delivery_date", "Delivery date", Kind.DATE, amendable=True, critical=True),
    ),
    rules=(
        *judge.may_change(
            *("draft", "quotation", "confirmed", "processing"),
            currency="the order's currency",
            last_price="the last price",
            received="how much has been received",
        ),
        _already_with_supplier,
        _changes_something,
        _quantity_fits,
        _not_less_than_received,
        _price_fits,
        _date_makes_sense,
        _value,
    ),
    limits=(
        Limit("notable_factor", "Notable quantity", Decimal(3), "times", least=Decimal(1), most=Decimal(100)),
        Limit(
            "largest_factor", "Largest quantity", Decimal(10), "times", least=Decimal(1), most=Decimal(1000)
        ),
        Limit("notable_price_move", "Notable price move", Decimal(5), "percent", most=Decimal(100)),
        Limit("largest_price_move", "Largest price move", Decimal(30), "percent", most=Decimal(1000)),
        Limit("usual_move_days", "Usual move", Decimal(60), "days", least=Decimal(1), most=Decimal(3650)),
        Limit(judge.NOTABLE_VALUE, "Notable value", Decimal(5000), "the order's currency"),
    ),
    facts=_facts,
    outcome=lambda payload, snapshot: Record(_after(payload, snapshot)),
    reversal=_reversal,
    sample={
        "order": "31",
        "line": "72",
        "quantity": {"value": "60", "unit": "Unit"},
        "unit_price": {"amount": "12.60", "currency": "EUR"},
        "delivery_date": "2026-12-11",
    },
    sample_snapshot=Snapshot(
        target="31",
        label="PO-0031 Beschlag & Co",
        record=Record(
            {
                "number": "PO-0031",
                "supplier_name": "Beschlag & Co",
                "state": "quotation",
                "product": "Drawer runner 450",
                "quantity": {"value": "40", "unit": "Unit"},
                "unit_price": {"amount": "12.40", "currency": "EUR"},
                "amount": {"amount": "496.00", "currency": "EUR"},
                "delivery_date": "2026-12-04",
            }
        ),
        context={
            "state": "quotation",
            "currency": "EUR",
            "last_price": {"amount": "12.40", "currency": "EUR"},
            "received": {"value": "0", "unit": "Unit"},
            "unit_digits": 0,
            "lead_days": 10,
        },
        stamps={"purchase order 31": "1", "purchase order line 72": "1"},
        as_of=dt.datetime(2026, 11, 23, 8, 0, tzinfo=dt.UTC),
        source="sample",
    ),
)
