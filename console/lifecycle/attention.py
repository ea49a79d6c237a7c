"""What a person has to do before an approval counts: look long enough, and type the value that matters again.

The server's own clock and records decide: when this person first opened the page of exactly this assessment, and
when they last approved something. What the browser says of its time is kept and never believed.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.db import connection

from console import diff
from console.catalogue import transaction_types
from console.errors import Refused
from console.findings import Finding, Level
from console.lifecycle.frozen import record_from
from console.models import Answer, Assessment, Proposal, Risk
from console.policy import attention
from integrations.contract import Field, Kind

LONGEST = 60
"""A text that is longer is not typed again."""

LOOKED = """
SELECT extract(epoch FROM clock_timestamp() - (
        SELECT min(e.at) FROM console_auditentry e
        WHERE e.proposal_id = %(proposal)s AND e.verb = 'proposal.view' AND e.actor_kind = 'person'
            AND e.actor_id = %(by)s AND strpos(e.body, %(digest)s) > 0))::float8,
    extract(epoch FROM clock_timestamp() - (
        SELECT d.at FROM console_decision d WHERE d.by_id = %(person)s AND d.answer = %(approve)s
        ORDER BY d.id DESC LIMIT 1))::float8
"""
"""How many seconds ago this person first opened this assessment, and how many ago they approved anything."""


@dataclass(frozen=True)
class Again:
    """The one value that is typed again: what it is called, how it is written, and its value as JSON."""

    label: str
    kind: Kind
    value: Any

    @property
    def unit(self) -> str:
        """What stands behind the number."""
        return str(self.value.get("currency") or self.value.get("unit") or "") if self._number else ""

    @property
    def _number(self) -> bool:
        return isinstance(self.value, Mapping)

    def is_said_by(self, typed: str) -> bool:
        """Whether this is what somebody typed."""
        if self._number:
            number = str(self.value["amount" if "amount" in self.value else "value"])
            return attention.same_number(typed, number)
        if self.kind is Kind.DATE:
            return _day(typed) == _day(str(self.value))
        return typed.strip().casefold() == str(self.value).strip().casefold()


def check(
    proposal: Proposal, assessment: Assessment, by: User, limits: Mapping[str, Decimal], *, typed: str
) -> None:
    """Return if this person looked long enough and typed the value again, where that is asked of them.

    Raises Refused with everything that is still to do; nothing is stored then, and what was typed comes back.
    """
    found = [*_too_soon(proposal, assessment, by, limits), *_not_typed(proposal, assessment, limits, typed)]
    if found:
        raise Refused("look at it once more", findings=found, code="look_again")


def asked(proposal: Proposal, assessment: Assessment, limits: Mapping[str, Decimal]) -> Again | None:
    """The value that has to be typed again before this may be approved, None where none has to be."""
    if not limits["reenter"] or proposal.risk < Risk.HIGH:
        return None
    type_ = transaction_types().get(proposal.transaction_type)
    if type_ is None:
        return None
    now, proposed = record_from(assessment.snapshot["record"]), record_from(assessment.expected)
    header = [
        (row.field, row.proposed)
        for row in diff.rows(now, proposed, now, type_.fields)
        if row.changes and row.field.critical and row.proposed
    ]
    measured = [one for one in header if one[0].kind in {Kind.MONEY, Kind.QUANTITY, Kind.DATE}]
    if measured:
        return _again(*measured[0])
    if proposal.value_amount is not None:
        stake = {"amount": str(proposal.value_amount), "currency": proposal.value_currency}
        return Again("Money at stake", Kind.MONEY, stake)
    lines = [
        (row.field, row.proposed)
        for line in diff.line_rows(now, proposed, now, type_.fields)
        for row in line.rows
        if row.changes and row.field.critical and row.proposed
    ]
    short = [one for one in (*header, *lines) if isinstance(one[1], Mapping) or len(str(one[1])) <= LONGEST]
    return _again(*short[0]) if short else None


def _again(field: Field, value: Any) -> Again:
    return Again(field.label, field.kind, value)


def _too_soon(
    proposal: Proposal, assessment: Assessment, by: User, limits: Mapping[str, Decimal]
) -> Iterator[Finding]:
    wanted = attention.shortest(limits, proposal.risk)
    if not wanted:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            LOOKED,
            {
                "proposal": proposal.pk,
                "by": str(by.pk),
                "person": by.pk,
                "digest": f'"digest":"{assessment.digest}"',
                "approve": Answer.APPROVE.value,
            },
        )
        opened, approved = cursor.fetchone()
    risk = Risk(proposal.risk).label.lower()
    if opened is None:
        yield Finding(
            "attention.not_opened",
            Level.ERROR,
            f"You have not opened this proposal as it is now; at {risk} risk it is looked at for {wanted} seconds.",
            hint="Open its page, look, and answer there.",
        )
        return
    seen = opened if approved is None else min(opened, approved)
    if seen < wanted:
        left = math.ceil(wanted - seen)
        since = "when you opened it" if seen == opened else "your last approval"
        yield Finding(
            "attention.too_soon",
            Level.ERROR,
            f"A look at {risk} risk takes at least {wanted} seconds, from {since} on; {left} more.",
            hint="Nothing is lost: look at what changes, and press again then.",
        )


def _not_typed(
    proposal: Proposal, assessment: Assessment, limits: Mapping[str, Decimal], typed: str
) -> Iterator[Finding]:
    again = asked(proposal, assessment, limits)
    if again is None or again.is_said_by(typed):
        return
    given = typed.strip()
    yield Finding(
        "attention.not_typed" if not given else "attention.typed_otherwise",
        Level.ERROR,
        f"Type the value that is proposed: {again.label.lower()}."
        if not given
        else f"That is not what is proposed as {again.label.lower()}.",
        field="again",
        hint="If the proposed value is wrong, do not approve it.",
    )


def _day(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text.strip())
    except ValueError:
        return None
