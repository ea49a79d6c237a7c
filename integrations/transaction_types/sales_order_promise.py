"""Promise a customer another shipping date.

What an adapter supplies in the snapshot:

`record.fields`: `number`, `customer` (text), `state`, `total` (money, before taxes), `requested_date` (ISO
date the customer wished, or null), `promised_date` (ISO date promised so far, or null). No lines.

`context`, required: `state` (one of draft, quotation, confirmed, processing, done, cancelled: the same word
as in the record), `ready_date` (ISO date on which everything can be there: the latest finish of the
production and arrival of the purchases it waits for; null when nothing is known).
`context`, optional: `shipped` (bool: something has left already), `locked` (text).
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
    """The order and the day promised."""

    order: Key = pydantic.Field(description="Key of the sales order, as read tools give it.")
    promised_date: judge.Day = pydantic.Field(
        description="Day on which the whole order is promised to ship, YYYY-MM-DD."
    )


def _date_makes_sense(case: Case) -> Iterator[Finding]:
    new = case.payload.promised_date
    yield from judge.not_past(case, "promised_date", new)
    yield from judge.on_working_day("promised_date", new)
    old = judge.day(case.snapshot.record.fields["promised_date"])
    yield from judge.far_move("promised_date", old, new, case.limits["usual_move_days"])


def _changes_something(case: Case) -> Iterator[Finding]:
    if case.snapshot.record.fields["promised_date"] == case.payload.promised_date.isoformat():
        yield judge.no_change("promised_date", already=f"{case.payload.promised_date} is promised already")


def _can_be_ready(case: Case) -> Iterator[Finding]:
    if "ready_date" not in case.snapshot.context:
        return
    ready = judge.day(case.snapshot.context["ready_date"])
    if ready is None:
        yield Finding(
            "promise.ready_unknown",
            Level.WARNING,
            "The system does not know when everything will be there.",
            "promised_date",
            "Read the production and purchase orders that this order waits for.",
        )
    elif case.payload.promised_date < ready:
        yield Finding(
            "promise.before_ready",
            Level.ERROR,
            f"Everything is there on {ready}; {case.payload.promised_date} cannot be kept.",
            "promised_date",
            f"Promise {ready} or later, or propose to reschedule what it waits for first.",
        )


def _as_the_customer_wished(case: Case) -> Iterator[Finding]:
    wished = judge.day(case.snapshot.record.fields["requested_date"])
    if wished is not None and case.payload.promised_date > wished:
        late = (case.payload.promised_date - wished).days
        yield Finding(
            "promise.after_wish",
            Level.WARNING,
            f"The customer asked for {wished}; this is {late} days later.",
            "promised_date",
            "Tell the customer before or with the new date.",
        )


def _nothing_has_left(case: Case) -> Iterator[Finding]:
    if case.snapshot.context.get("shipped"):
        yield Finding(
            "promise.partly_shipped",
            Level.WARNING,
            "Part of the order has been shipped already.",
            "order",
            "The new date is for the rest.",
        )


def _value(case: Case) -> Iterator[Finding]:
    yield from judge.notable_value(case, case.snapshot.record.fields["total"])


def _facts(case: Case) -> Facts:
    old = case.snapshot.record.fields
    return Facts(
        value=judge.as_money(old["total"]),
        reversible=old["promised_date"] is not None,
        reversible_until=case.payload.promised_date,
        counterparty=str(old["customer"]),
        due=judge.earliest((judge.day(old["promised_date"]), case.payload.promised_date)),
    )


def _outcome(payload: Payload, snapshot: Snapshot) -> Record:
    return Record({**snapshot.record.fields, "promised_date": payload.promised_date.isoformat()})


def _reversal(payload: Payload, snapshot: Snapshot) -> Mapping[str, Any] | None:
    old = snapshot.record.fields["promised_date"]
    return {"order": payload.order, "promised_date": old} if old else None


TYPE = TransactionType(
    name="sales_order_promise",
    version=1,
    title="Promise a new shipping date",
    summary="Sets another promised shipping date on a sales order.",
    record="sales order",
    payload=Payload,
    target=lambda payload: payload.order,
    fields=(
        Field("number", "Order", payload_path=""),
        Field("customer", "Customer", payload_path=""),
        Field("state", "State", Kind.CHOICE, payload_path=""),
        Field("total", "Total before taxes", Kind.MONEY, payload_path=""),
        Field("requested_date", "Wished by the customer", Kind.DATE, payload_path=""),
        Field("promised_date", "Promised date", Kind.DATE, amendable=True, critical=True),
    ),
    rules=(
        *judge.may_change(
            "draft", "quotation", "confirmed", "processing", ready_date="when everything is there"
        ),
        _changes_something,
        _date_makes_sense,
        _can_be_ready,
        _as_the_customer_wished,
        _nothing_has_left,
        _value,
    ),
    limits=(
        Limit("usual_move_days", "Usual move", Decimal(30), "days", least=Decimal(1), most=Decimal(3650)),
        Limit(judge.NOTABLE_VALUE, "Notable value", Decimal(20000), "the order's currency"),
    ),
    facts=_facts,
    outcome=_outcome,
    reversal=_reversal,
    sample={"order": "44", "promised_date": "2026-12-08"},
    sample_snapshot=Snapshot(
        target="44",
        label="SO-0044 Hotel Seeblick",
        record=Record(
            {
                "number": "SO-0044",
                "customer": "Hotel Seeblick",
                "state": "confirmed",
                "total": {"amount": "8640.00", "currency": "EUR"},
                "requested_date": "2026-12-10",
                "promised_date": "2026-11-30",
            }
        ),
        context={"state": "confirmed", "ready_date": "2026-12-07"},
        stamps={"sales order 44": "1"},
        as_of=dt.datetime(2026, 11, 23, 8, 0, tzinfo=dt.UTC),
        source="sample",
    ),
)
