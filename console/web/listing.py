"""Lists of proposals as ranges of an index: the SQL of the queue.

A page goes on from the last row's place in the order, by one comparison of (sort, id), so that page 1,000 costs what
page 1 does. The conditions and orders are ours alone; what a stranger typed is always a value beside them.
"""

# ruff: noqa: S608 the same in lint's words

from __future__ import annotations

import datetime as dt
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core import signing
from django.db import connection

from console.models import Proposal, State
from console.models.proposal import NO_VALUE

CAP = 10_000
"""Counts stop after this many."""

ORDERS = {
    "risk": "(p.risk * -1)",
    "money": f"coalesce(p.value_amount * -1, {NO_VALUE})",
    "time": "p.expires_at",
}
"""What each sort goes up by, before the id, as the indexes of `Proposal` have it; the newest go down by id alone."""


class Condition:
    """A piece of a WHERE about the proposal `p`, with its values. No word of a stranger is ever in the SQL."""

    def __init__(self, sql: str, *values: Any) -> None:
        self.sql, self.values = sql, values


def keys(conditions: list[Condition], sort: str, most: int) -> list[int]:
    """The first so many ids that meet the conditions, in an order that an index holds."""
    order = f"{ORDERS[sort]}, p.id" if sort in ORDERS else "p.id DESC"
    return [
        pk
        for (pk,) in asked(
            f"SELECT p.id FROM {found_sql(conditions)} ORDER BY {order} LIMIT {most}", conditions
        )
    ]


def count(conditions: list[Condition]) -> int:
    """How many meet them, up to CAP + 1."""
    few = f"SELECT FROM {found_sql(conditions)} LIMIT {CAP + 1}"
    return int(asked(f"SELECT count(*) FROM ({few}) few", conditions)[0][0])


def found_sql(conditions: list[Condition]) -> str:
    """What stands after FROM, for proposals that meet the conditions."""
    return "console_proposal p WHERE " + " AND ".join(one.sql for one in conditions)


def asked(sql: str, conditions: list[Condition]) -> list[tuple[Any, ...]]:
    """The rows of a SELECT with the values of these conditions, in their order."""
    with connection.cursor() as cursor:
        cursor.execute(sql, [value for one in conditions for value in one.values])
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def in_states(*states: State) -> Condition:
    """In one of these states, written out so that indexes over them fit."""
    if len(states) == 1:
        return Condition(f"p.state = '{states[0].value}'")
    return Condition(f"p.state IN ({', '.join(repr(state.value) for state in states)})")


def key_of(last: Proposal, sort: str) -> str:
    """Where the next page begins: the sort's value and the id, signed so that it cannot be made up."""
    value = {
        "risk": str(last.risk),
        "money": str(last.value_amount) if last.value_amount is not None else "",
        "time": last.expires_at.isoformat(),
        "newest": "",
    }[sort]
    return signing.dumps([sort, value, last.pk], salt="queue", compress=False)


def after(place_text: str, sort_now: str) -> list[Condition]:
    """The condition of what comes after a key; none for one that is not ours or of another sort."""
    if not place_text:
        return []
    try:
        sort, value, pk = signing.loads(place_text, salt="queue")
        if sort != sort_now:
            return []
        if sort == "newest":
            return [Condition("p.id < %s", pk)]
        place: Any = dt.datetime.fromisoformat(value) if sort == "time" else None
        if sort == "risk":
            place = -int(value)
        if sort == "money":
            place = -Decimal(value) if value else NO_VALUE
        return [Condition(f"({ORDERS[sort]}, p.id) > (%s, %s)", place, pk)]
    except (signing.BadSignature, ValueError, TypeError, InvalidOperation):
        return []
