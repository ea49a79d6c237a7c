"""The nearest past cases of a proposal, and how they ended: what a person would look up if there were time.

Near is: the same record, the same partner, the same product, or about the same money at stake. Looked at are the
newest that were proposed for the same record, and of what ended lately, whatever agent proposed it; so the question
costs the same among a million proposals as among ten. Seeded tests and shadow proposals are no cases.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection

from console.models import Assessment, Proposal, State

ENDED = (State.COMMITTED, State.COMMIT_FAILED, State.REJECTED, State.OUTCOME_UNKNOWN)
"""How a case can have ended that somebody decided on."""
LATELY = 300
"""So many that ended each way are looked through."""
SHOWN = 5
ABOUT = 2
"""Money at stake is about the same within this factor."""

NEAREST = f"""
WITH near AS (
    (SELECT id FROM console_proposal
     WHERE connection_id = %(connection)s AND transaction_type = %(type)s AND target = %(target)s
        AND %(target)s <> '' AND state = ANY(%(ended)s) ORDER BY id DESC LIMIT 20)
    UNION
    (SELECT id FROM ({
    " UNION ALL ".join(
        f"(SELECT id, transaction_type, connection_id FROM console_proposal WHERE state = '{state.value}'"
        f" ORDER BY id DESC LIMIT {LATELY})"
        for state in ENDED
    )
}) lately
     WHERE transaction_type = %(type)s AND connection_id = %(connection)s ORDER BY id DESC LIMIT 120)
), held AS (
    SELECT p.id, p.ref, p.label, p.state, p.state_since, p.state_reason, p.value_amount, p.value_currency,
        p.target = %(target)s AND p.target <> '' AS same_target,
        coalesce(a.facts ->> 'counterparty' = %(partner)s AND %(partner)s <> '', false) AS same_partner,
        coalesce(a.product = %(product)s AND %(product)s <> '', false) AS same_product,
        CASE WHEN p.value_currency = %(currency)s AND p.value_amount > 0 AND %(value)s > 0
            THEN abs(ln((p.value_amount / %(value)s)::float8)) END AS apart
    FROM near JOIN console_proposal p ON p.id = near.id
    LEFT JOIN LATERAL (
        SELECT n.facts, n.snapshot #>> '{{record,fields,product}}' AS product FROM console_assessment n
        WHERE n.proposal_id = p.id ORDER BY n.number DESC LIMIT 1) a ON true
    WHERE p.id <> %(proposal)s
)
SELECT ref, label, state, state_since, state_reason, value_amount, value_currency, same_target, same_partner,
    same_product, coalesce(apart <= ln({ABOUT}::float8), false)
FROM held WHERE same_target OR same_partner OR same_product OR apart <= ln({ABOUT}::float8)
ORDER BY same_target DESC, same_partner::int + same_product::int DESC, apart NULLS LAST, id DESC LIMIT {SHOWN}
"""  # noqa: S608 our own words


@dataclass(frozen=True)
class Near:
    """One past case: what it was, how it ended, and by what it is near, in words."""

    ref: str
    label: str
    state: State
    ended_at: dt.datetime
    reason: str
    amount: Decimal | None
    currency: str
    near: tuple[str, ...]


def nearest(proposal: Proposal, assessment: Assessment) -> list[Near]:
    """At most five past cases of the same type on the same connection, the nearest first. One statement."""
    facts: Mapping[str, Any] = assessment.facts
    product = assessment.snapshot["record"]["fields"].get("product")
    values: dict[str, Any] = {
        "proposal": proposal.pk,
        "connection": proposal.connection_id,
        "type": proposal.transaction_type,
        "target": proposal.target,
        "ended": [state.value for state in ENDED],
        "partner": str(facts.get("counterparty") or ""),
        "product": product if isinstance(product, str) else "",
        "value": abs(proposal.value_amount or Decimal(0)),
        "currency": proposal.value_currency,
    }
    with connection.cursor() as cursor:
        cursor.execute(NEAREST, values)
        rows = cursor.fetchall()
    words = ("same record", "same partner", "same product", "about the same money")
    return [
        Near(
            ref=ref,
            label=label,
            state=State(state),
            ended_at=ended_at,
            reason=reason,
            amount=amount,
            currency=currency,
            near=tuple(word for word, is_so in zip(words, ties, strict=True) if is_so),
        )
        for ref, label, state, ended_at, reason, amount, currency, *ties in rows
    ]
