"""Have a person do something by hand, on the shop floor or anywhere no connection reaches.

The console never speaks to what is below ISA-95 level 3, and level 3 it only reads. What an agent wants there is
written down, countersigned, done by somebody, and confirmed by them.

What an adapter supplies in the snapshot: an empty record, no context, no stamps. There is no record of a system.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

import pydantic
from pydantic import StringConstraints

from integrations.contract import (
    Case,
    Closed,
    Facts,
    Field,
    Finding,
    Kind,
    Level,
    Limit,
    Record,
    Snapshot,
    TransactionType,
)
from integrations.transaction_types import shared_rules as judge

Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$"),
]
Words = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=10, max_length=1000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$"
    ),
]
"""Sentences that somebody at a machine reads; line breaks are kept."""


class Payload(Closed):
    """What is to be done, where, why, by when, and how one sees that it is done."""

    place: Line = pydantic.Field(
        description="Where: the machine, line, store or system, as people there call it."
    )
    title: Line = pydantic.Field(description="What, in a few words.")
    instruction: Words = pydantic.Field(
        description="What exactly to do, step by step, so that somebody can do it without asking."
    )
    check: Words = pydantic.Field(description="What to look at afterwards to know that it is done.")
    reason: Words = pydantic.Field(description="Why it has to be done. The person who does it reads this.")
    due: judge.Day = pydantic.Field(description="Last day on which it is still useful, YYYY-MM-DD.")


def _due_makes_sense(case: Case) -> Iterator[Finding]:
    due: dt.date = case.payload.due
    yield from judge.not_past(case, "due", due)
    ahead = (due - case.today).days
    if ahead > case.limits["longest_days_ahead"]:
        yield Finding(
            "task.far_ahead",
            Level.WARNING,
            f"It is due in {ahead} days; until then the floor may look different.",
            "due",
            "Propose it again when the day is nearer.",
        )


_CONTROL = re.compile(
    r"\b(by-?pass\w*|overrid\w+|interlock\w*|jog(?:s|ged|ging)?|set-?points?|recipe downloads?|plc tags?|[nd]cmd)\b",
    re.IGNORECASE,
)
"""Words of machine control and its safeguards: an alarm for people. The boundary is that there is no door to it."""


def _asks_for_control(case: Case) -> Iterator[Finding]:
    for name in ("title", "instruction", "check"):
        if found := _CONTROL.search(getattr(case.payload, name)):
            yield Finding(
                "task.machine_control",
                Level.WARNING,
                f"It speaks of \u201c{found[0]}\u201d: that is the machine\u2019s control, or a safeguard of it.",
                name,
                "Approve it only if whoever answers for this machine has agreed.",
            )


def _facts(case: Case) -> Facts:
    return Facts(value=None, reversible=False, floor=True, due=case.payload.due)


def _outcome(payload: Payload, snapshot: Snapshot) -> Record:
    del snapshot
    return Record(
        {
            "place": payload.place,
            "title": payload.title,
            "instruction": payload.instruction,
            "check": payload.check,
            "reason": payload.reason,
            "due": payload.due.isoformat(),
        }
    )


TYPE = TransactionType(
    name="floor_task",
    version=1,
    title="A task for a person",
    summary="Has somebody do something by hand on the floor, and confirm that it is done.",
    record="task",
    payload=Payload,
    target=lambda _payload: None,
    fields=(
        Field("place", "Where", critical=True),
        Field("title", "What"),
        Field("instruction", "What to do", amendable=True, critical=True),
        Field("check", "How to see that it is done", amendable=True, critical=True),
        Field("reason", "Why"),
        Field("due", "Due", Kind.DATE, amendable=True, critical=True),
    ),
    rules=(judge.system_allows, _due_makes_sense, _asks_for_control),
    limits=(
        Limit(
            "longest_days_ahead",
            "Longest time ahead",
            Decimal(14),
            "days",
            least=Decimal(1),
            most=Decimal(365),
        ),
    ),
    facts=_facts,
    outcome=_outcome,
    reversal=lambda _payload, _snapshot: None,
    sample={
        "place": "Edge bander 2",
        "title": "Set the feed to 12 m/min",
        "instruction": "Stop the line after the running batch. Set the feed from 15 to 12 m/min. Start again.",
        "check": "The panel shows 12 m/min, and the first three edges have no gap.",
        "reason": "The edges of MO-0017 came off; the glue needs longer at this thickness.",
        "due": "2026-11-27",
    },
    sample_snapshot=Snapshot(
        target="",
        label="Edge bander 2: Set the feed to 12 m/min",
        record=Record({}),
        context={},
        stamps={},
        as_of=dt.datetime(2026, 11, 23, 8, 0, tzinfo=dt.UTC),
        source="sample",
    ),
)
