"""Move a production order to other days.

What an adapter supplies in the snapshot:

`record.fields`: `number`, `product` (text for people), `state`, `quantity` {"value", "unit"},
`planned_start`, `planned_finish` (ISO dates or null). No lines.

`context`, required: `state` (one of draft, requested, released, reserved, started, done, cancelled: the same
word as in the record), `needed_by` (ISO date on which a customer's order needs it, or null when none is
known).
`context`, optional: `value` (money: what the order's output is worth, for policy), `customer` (text),
`locked` (text: why the system does not let it be changed).

A released order keeps its state: where the system must take it back to a draft first, the adapter's plan
releases it again. Draft, requested and released orders may be moved; a reserved one holds material.
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
    Record,
    Snapshot,
    TransactionType,
)
from integrations.transaction_types import shared_rules as judge


class Payload(Closed):
    """The order and its new days."""

    order: Key = pydantic.Field(description="Key of the production order, as read tools give it.")
    planned_start: judge.Day = pydantic.Field(description="Day on which production is to start, YYYY-MM-DD.")
    planned_finish: judge.Day = pydantic.Field(
        description="Day on which production is to be finished, YYYY-MM-DD; not before the start."
    )


def _finish_not_before_start(case: Case) -> Iterator[Finding]:
    if case.payload.planned_finish < case.payload.planned_start:
        yield Finding(
            "dates.finish_before_start",
            Level.ERROR,
            f"The finish {case.payload.planned_finish} is before the start {case.payload.planned_start}.",
            "planned_finish",
            f"Give {case.payload.planned_start} or a later day.",
        )


def _days_make_sense(case: Case) -> Iterator[Finding]:
    old = case.snapshot.record.fields
    for name in ("planned_start", "planned_finish"):
        new = getattr(case.payload, name)
        yield from judge.not_past(case, name, new)
        yield from judge.on_working_day(name, new)
        yield from judge.far_move(name, judge.day(old.get(name)), new, case.limits["usual_move_days"])


def _not_within_frozen_horizon(case: Case) -> Iterator[Finding]:
    old = judge.day(case.snapshot.record.fields.get("planned_start"))
    if case.payload.planned_start == old:
        return
    yield from judge.frozen(case, "planned_start", case.payload.planned_start, "A new start")
    if old is not None and 0 <= (old - case.today).days < case.limits[judge.FROZEN_DAYS]:
        yield Finding(
            "horizon.leaves_gap",
            Level.WARNING,
            f"The order was to start on {old}, within the frozen horizon; the floor may be prepared.",
            "planned_start",
            "Ask the shift lead before moving it.",
        )


def _keeps_enough_time(case: Case) -> Iterator[Finding]:
    old = case.snapshot.record.fields
    start, finish = judge.day(old.get("planned_start")), judge.day(old.get("planned_finish"))
    if start is None or finish is None or finish < start:
        return
    had, has = (finish - start).days, (case.payload.planned_finish - case.payload.planned_start).days
    if 0 <= has < had:
        yield Finding(
            "dates.less_time",
            Level.WARNING,
            f"The order had {had} days from start to finish and would have {has}.",
            "planned_finish",
            f"The same time would end on {case.payload.planned_start + dt.timedelta(days=had)}.",
        )


def _in_time_for_customer(case: Case) -> Iterator[Finding]:
    needed = judge.day(case.snapshot.context.get("needed_by"))
    if needed is not None and case.payload.planned_finish > needed:
        yield Finding(
            "dates.after_needed",
            Level.WARNING,
            f"A customer's order needs this by {needed}; it would be finished on "
            f"{case.payload.planned_finish}.",
            "planned_finish",
            f"Finish by {needed}, or propose a new promised date for the sales order as well.",
        )


def _changes_something(case: Case) -> Iterator[Finding]:
    old = case.snapshot.record.fields
    new = (case.payload.planned_start.isoformat(), case.payload.planned_finish.isoformat())
    if (old.get("planned_start"), old.get("planned_finish")) == new:
        yield judge.no_change("planned_start", already=f"the order already runs from {new[0]} to {new[1]}")


def _facts(case: Case) -> Facts:
    old = judge.day(case.snapshot.record.fields.get("planned_start"))
    return Facts(
        value=judge.worth(case),
        reversible=old is not None,
        reversible_until=case.payload.planned_start,
        floor=True,
        counterparty=judge.customer(case),
        due=judge.earliest((old, case.payload.planned_start)),
    )


def _outcome(payload: Payload, snapshot: Snapshot) -> Record:
    return Record(
        {
            **snapshot.record.fields,
            "planned_start": payload.planned_start.isoformat(),
            "planned_finish": payload.planned_finish.isoformat(),
        }
    )


def _reversal(payload: Payload, snapshot: Snapshot) -> Mapping[str, Any] | None:
    old = snapshot.record.fields
    if not old.get("planned_start") or not old.get("planned_finish"):
        return None
    return {
        "order": payload.order,
        "planned_start": old["planned_start"],
        "planned_finish": old["planned_finish"],
    }


TYPE = TransactionType(
    name="production_order_reschedule",
    version=1,
    title="Reschedule a production order",
    summary="Moves a production order that has not been started to another start and finish.",
    record="production order",
    payload=Payload,
    target=lambda payload: payload.order,
    fields=(
        Field("number", "Order", payload_path=""),
        Field("product", "Product", payload_path=""),
        Field("quantity", "Quantity", Kind.QUANTITY, payload_path=""),
        Field("state", "State", Kind.CHOICE, payload_path=""),
        Field("planned_start", "Planned start", Kind.DATE, amendable=True, critical=True),
        Field("planned_finish", "Planned finish", Kind.DATE, amendable=True, critical=True),
    ),
    rules=(
        *judge.may_change("draft", "requested", "released", needed_by="when a customer needs the order"),
        _changes_something,
        _finish_not_before_start,
        _days_make_sense,
        _not_within_frozen_horizon,
        _keeps_enough_time,
        _in_time_for_customer,
        judge.worth_is_notable,
    ),
    limits=(
        Limit(judge.FROZEN_DAYS, "Frozen horizon", Decimal(2), "days", wider="down", most=Decimal(365)),
        Limit("usual_move_days", "Usual move", Decimal(60), "days", least=Decimal(1), most=Decimal(3650)),
        Limit(judge.NOTABLE_VALUE, "Notable value", Decimal(20000), "the order's currency"),
    ),
    facts=_facts,
    outcome=_outcome,
    reversal=_reversal,
    sample={"order": "17", "planned_start": "2026-12-07", "planned_finish": "2026-12-10"},
    sample_snapshot=Snapshot(
        target="17",
        label="MO-0017 Oak table 180",
        record=Record(
            {
                "number": "MO-0017",
                "product": "Oak table 180",
                "quantity": {"value": "12", "unit": "Unit"},
                "state": "released",
                "planned_start": "2026-11-16",
                "planned_finish": "2026-11-19",
            }
        ),
        context={
            "state": "released",
            "needed_by": "2026-12-15",
            "customer": "Hotel Seeblick",
            "value": {"amount": "9480.00", "currency": "EUR"},
        },
        stamps={"production order 17": "1"},
        as_of=dt.datetime(2026, 11, 23, 8, 0, tzinfo=dt.UTC),
        source="sample",
    ),
)
