"""Change how much a production order makes, with its materials.

What an adapter supplies in the snapshot:

`record.fields`: `number`, `product` (text), `state`, `planned_start`, `planned_finish` (ISO dates or null),
`quantity` {"value", "unit"}.
`record.lines["materials"]`: one line per component *product*: {"key": the product's key, "label": its name,
"quantity": {"value", "unit"}}. The system's own lines may be deleted and made anew by the change, so the
product is what a line keeps; quantities of several system lines of one product are summed.

`context`, required: `state` (as for a reschedule), `bom`: what the bill of materials says per one unit made,
a list of {"key", "label", "unit", "per_unit": decimal text, "digits": the unit's decimal places}, empty when
the order has no bill of materials (materials then stay as they are).
`context`, optional: `unit_digits` (decimal places of the order's unit), `available`: {product key: {"value",
"unit"}}, free stock beyond what this order already holds, `unit_value` (money per unit made),
`usual_quantity` (decimal text), `customer` (text), `locked` (text).

`outcome` gives materials as bill of materials times quantity, rounded up to the unit's decimal places: a
material that is in the order but not in the bill is gone afterwards, and the rule says so.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

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
    """The order and its new quantity."""

    order: Key = pydantic.Field(description="Key of the production order, as read tools give it.")
    quantity: Quantity = pydantic.Field(
        description="The whole quantity to make, not the difference, in the order's own unit."
    )


def _quantity_fits(case: Case) -> Iterator[Finding]:
    old = case.snapshot.record.fields["quantity"]
    new = case.payload.quantity
    yield from judge.positive("quantity", new)
    yield from judge.fits_unit("quantity", new, old["unit"], case.snapshot.context.get("unit_digits"))


def _quantity_is_plausible(case: Case) -> Iterator[Finding]:
    context = case.snapshot.context
    usual = context.get("usual_quantity")
    old = Decimal(usual) if usual else judge.number(case.snapshot.record.fields["quantity"])
    yield from judge.plausible(
        "quantity",
        Decimal(case.payload.quantity.value),
        old,
        against="the usual quantity" if usual else "the present quantity",
        notable=case.limits["notable_factor"],
        largest=case.limits["largest_factor"],
    )


def _changes_something(case: Case) -> Iterator[Finding]:
    old = case.snapshot.record.fields["quantity"]
    if (
        judge.number(old) == Decimal(case.payload.quantity.value)
        and old["unit"] == case.payload.quantity.unit
    ):
        yield judge.no_change("quantity", already=f"the order is already for {old['value']} {old['unit']}")


def _not_within_frozen_horizon(case: Case) -> Iterator[Finding]:
    start = judge.day(case.snapshot.record.fields.get("planned_start"))
    yield from judge.frozen(case, "order", start, "The start of the order")
    if start is not None and start < case.today:
        yield Finding(
            "horizon.start_passed",
            Level.WARNING,
            f"The order was to start on {start} and has not; material may already be set out for it.",
            "order",
            "Reschedule it first, or ask the shift lead.",
        )


def _materials_follow_bill(case: Case) -> Iterator[Finding]:
    bill = {part["key"] for part in case.snapshot.context.get("bom", ())}
    if not bill:
        return
    for line in case.snapshot.record.lines.get("materials", ()):
        if line["key"] not in bill:
            yield Finding(
                "materials.not_in_bill",
                Level.WARNING,
                f"{line['label']} was added to the order by hand and would be taken out of it.",
                "quantity",
                "Add it again afterwards, or have the bill of materials corrected first.",
            )


def _enough_material(case: Case) -> Iterator[Finding]:
    available: Mapping[str, Any] = case.snapshot.context.get("available", {})
    held = {line["key"]: line for line in case.snapshot.record.lines.get("materials", ())}
    for line in _outcome(case.payload, case.snapshot).lines["materials"]:
        if line["key"] not in available:
            continue
        before = judge.number(held[line["key"]]["quantity"]) if line["key"] in held else Decimal(0)
        more = judge.number(line["quantity"]) - before
        free = judge.number(available[line["key"]])
        if more > 0 and more > free:
            unit = line["quantity"]["unit"]
            yield Finding(
                "materials.short",
                Level.WARNING,
                f"{line['label']}: {judge.plain(more)} {unit} more are needed, "
                f"{judge.plain(max(free, Decimal(0)))} are free.",
                "quantity",
                "Make less, or propose a purchase order for the material as well.",
            )


def _stake(payload: Payload, snapshot: Snapshot) -> Money | None:
    price = snapshot.context.get("unit_value")
    if price is None:
        return None
    difference = abs(Decimal(payload.quantity.value) - judge.number(snapshot.record.fields["quantity"]))
    return judge.as_money(judge.amount({"value": str(difference)}, price))


def _value(case: Case) -> Iterator[Finding]:
    yield from judge.notable_value(case, _stake(case.payload, case.snapshot), "quantity")


def _facts(case: Case) -> Facts:
    start = judge.day(case.snapshot.record.fields.get("planned_start"))
    return Facts(
        value=_stake(case.payload, case.snapshot),
        reversible=True,
        reversible_until=start,
        floor=True,
        counterparty=judge.customer(case),
        due=start,
    )


def _outcome(payload: Payload, snapshot: Snapshot) -> Record:
    new = Decimal(payload.quantity.value)
    bill = snapshot.context.get("bom", ())
    materials: list[Mapping[str, Any]] = [
        {
            "key": part["key"],
            "label": part["label"],
            "quantity": {
                "value": judge.plain(judge.round_up(Decimal(part["per_unit"]) * new, part["digits"])),
                "unit": part["unit"],
            },
        }
        for part in bill
    ]
    return Record(
        {**snapshot.record.fields, "quantity": payload.quantity.model_dump()},
        {"materials": materials or list(snapshot.record.lines.get("materials", ()))},
    )


def _reversal(payload: Payload, snapshot: Snapshot) -> Mapping[str, Any] | None:
    return {"order": payload.order, "quantity": dict(snapshot.record.fields["quantity"])}


TYPE = TransactionType(
    name="production_order_quantity",
    version=1,
    title="Change the quantity of a production order",
    summary="Makes a production order that has not been started larger or smaller, with its materials.",
    record="production order",
    payload=Payload,
    target=lambda payload: payload.order,
    fields=(
        Field("number", "Order", payload_path=""),
        Field("product", "Product", payload_path=""),
        Field("state", "State", Kind.CHOICE, payload_path=""),
        Field("quantity", "Quantity", Kind.QUANTITY, amendable=True, critical=True),
        Field("materials[].quantity", "Material needed", Kind.QUANTITY, payload_path=""),
        Field("planned_start", "Planned start", Kind.DATE, payload_path=""),
        Field("planned_finish", "Planned finish", Kind.DATE, payload_path=""),
    ),
    rules=(
        *judge.may_change("draft", "requested", "released", bom="the bill of materials"),
        _changes_something,
        _quantity_fits,
        _quantity_is_plausible,
        _not_within_frozen_horizon,
        _materials_follow_bill,
        _enough_material,
        _value,
    ),
    limits=(
        Limit("notable_factor", "Notable change", Decimal(2), "times", least=Decimal(1), most=Decimal(100)),
        Limit("largest_factor", "Largest change", Decimal(5), "times", least=Decimal(1), most=Decimal(1000)),
        Limit(judge.FROZEN_DAYS, "Frozen horizon", Decimal(2), "days", wider="down", most=Decimal(365)),
        Limit(judge.NOTABLE_VALUE, "Notable value", Decimal(20000), "the order's currency"),
    ),
    facts=_facts,
    outcome=_outcome,
    reversal=_reversal,
    sample={"order": "18", "quantity": {"value": "30", "unit": "Unit"}},
    sample_snapshot=Snapshot(
        target="18",
        label="MO-0018 Dining chair Lena",
        record=Record(
            {
                "number": "MO-0018",
                "product": "Dining chair Lena",
                "state": "draft",
                "quantity": {"value": "24", "unit": "Unit"},
                "planned_start": "2026-12-02",
                "planned_finish": "2026-12-04",
            },
            {
                "materials": [
                    {
                        "key": "1",
                        "label": "Beech board 27 mm",
                        "quantity": {"value": "9.6", "unit": "Square metre"},
                    },
                    {"key": "2", "label": "Wood screw 5x60", "quantity": {"value": "288", "unit": "Unit"}},
                ]
            },
        ),
        context={
            "state": "draft",
            "unit_digits": 0,
            "bom": [
                {
                    "key": "1",
                    "label": "Beech board 27 mm",
                    "unit": "Square metre",
                    "per_unit": "0.4",
                    "digits": 2,
                },
                {"key": "2", "label": "Wood screw 5x60", "unit": "Unit", "per_unit": "12", "digits": 0},
            ],
            "available": {
                "1": {"value": "14.5", "unit": "Square metre"},
                "2": {"value": "4000", "unit": "Unit"},
            },
            "unit_value": {"amount": "129.00", "currency": "EUR"},
        },
        stamps={"production order 18": "1"},
        as_of=dt.datetime(2026, 11, 23, 8, 0, tzinfo=dt.UTC),
        source="sample",
    ),
)
