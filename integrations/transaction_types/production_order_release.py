"""Release a production order to the floor.

What an adapter supplies in the snapshot:

`record.fields`: `number`, `product` (text for people), `state`, `quantity` {"value", "unit"},
`planned_start`, `planned_finish` (ISO dates or null). No lines.

`context`, required: `state` (one of draft, requested, released, reserved, started, done, cancelled: the same
word as in the record), `short`: components of which less is free than the order needs, a list of {"label",
"missing": {"value", "unit"}}, empty when all is there; null when the system does not say.
`context`, optional: `value` (money: what the order's output is worth, for policy), `customer` (text),
`locked` (text: why the system does not let it be released).

There is no reversal: from a released order the floor prints papers, fetches material and starts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal

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
    Record,
    Snapshot,
    TransactionType,
)
from integrations.transaction_types import shared_rules as judge


class Payload(Closed):
    """The order to release, as it is."""

    order: Key = pydantic.Field(description="Key of the production order, as read tools give it.")


def _start_is_to_come(case: Case) -> Iterator[Finding]:
    start = judge.day(case.snapshot.record.fields.get("planned_start"))
    if start is None:
        yield Finding(
            "dates.no_start",
            Level.WARNING,
            "The order has no planned start.",
            "order",
            "Propose to reschedule it first.",
        )
    elif start < case.today:
        yield Finding(
            "dates.start_passed",
            Level.WARNING,
            f"The order was to start on {start}; it would be released late.",
            "order",
            "Propose to reschedule it first.",
        )
    elif (start - case.today).days > case.limits["usual_release_days"]:
        yield Finding(
            "dates.released_early",
            Level.WARNING,
            f"The order is to start on {start}, in {(start - case.today).days} days.",
            "order",
            f"Usual is to release at most {judge.plain(case.limits['usual_release_days'])} days ahead: "
            "what is released holds its material.",
        )


def _material_is_there(case: Case) -> Iterator[Finding]:
    if "short" not in case.snapshot.context:
        return
    short = case.snapshot.context["short"]
    if short is None:
        yield Finding(
            "materials.unknown",
            Level.WARNING,
            "The system does not say whether the material is there.",
            "order",
            "Ask the shift lead, or read the stock of its components.",
        )
        return
    for part in short:
        missing = part["missing"]
        yield Finding(
            "materials.short",
            Level.WARNING,
            f"{part['label']}: {missing['value']} {missing['unit']} are missing.",
            "order",
            "Wait for the material, or propose a purchase order for it first.",
        )


def _facts(case: Case) -> Facts:
    return Facts(
        value=judge.worth(case),
        reversible=False,
        floor=True,
        counterparty=judge.customer(case),
        due=judge.day(case.snapshot.record.fields.get("planned_start")),
    )


TYPE = TransactionType(
    name="production_order_release",
    version=1,
    title="Release a production order",
    summary="Releases a production order as it is, so that the floor may start it.",
    record="production order",
    payload=Payload,
    target=lambda payload: payload.order,
    fields=(
        Field("number", "Order", payload_path=""),
        Field("product", "Product", payload_path=""),
        Field("quantity", "Quantity", Kind.QUANTITY, payload_path=""),
        Field("planned_start", "Planned start", Kind.DATE, payload_path=""),
        Field("planned_finish", "Planned finish", Kind.DATE, payload_path=""),
        Field("state", "State", Kind.CHOICE, payload_path="", critical=True),
    ),
    rules=(
        *judge.may_change("draft", "requested", short="whether the material is there"),
        _start_is_to_come,
        _material_is_there,
        judge.worth_is_notable,
    ),
    limits=(
        Limit("usual_release_days", "Usual release", Decimal(14), "days ahead", most=Decimal(365)),
        Limit(judge.NOTABLE_VALUE, "Notable value", Decimal(20000), "the order's currency"),
    ),
    facts=_facts,
    outcome=lambda _payload, snapshot: Record({**snapshot.record.fields, "state": "released"}),
    reversal=lambda _payload, _snapshot: None,
    sample={"order": "18"},
    sample_snapshot=Snapshot(
        target="18",
        label="MO-0018 Dining chair Lena",
        record=Record(
            {
                "number": "MO-0018",
                "product": "Dining chair Lena",
                "quantity": {"value": "24", "unit": "Unit"},
                "state": "draft",
                "planned_start": "2026-12-02",
                "planned_finish": "2026-12-04",
            }
        ),
        context={
            "state": "draft",
            "short": [],
            "customer": "Hotel Seeblick",
            "value": {"amount": "3096.00", "currency": "EUR"},
        },
        stamps={"production order 18": "1"},
        as_of=dt.datetime(2026, 11, 23, 8, 0, tzinfo=dt.UTC),
        source="sample",
    ),
)
