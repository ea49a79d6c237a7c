"""What comes in: whether what an agent version gets to decide on is still what it showed itself on.

The reference is the first `NEEDED` judged proposals of a grant, from when it was made or since somebody closed the last
incident of this kind: live ones, because a gate's suite seldom has so many cases, and because they are what people's
answers were earned on. Against it stand the newest `NEEDED` after them. Compared are the values a type declares, as
proposed and as the system had them, days that a date was moved, the value at stake, and with whom: see `psi` for how.
No seeded test is among them.

A worker compares every quarter of an hour and keeps what it found. A clear change opens one incident for somebody to
look at. It never puts a grant down by itself: other orders are no fault of the agent.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from console.audit import Actor
from console.catalogue import transaction_types
from console.evals import psi
from console.evals.psi import NEEDED, Seen, Shift
from console.models import Autonomy, Grant, Incident, InputDrift
from console.models.figures import COUNTED
from console.registry import incidents
from integrations.contract import Kind, TransactionType

KIND = "input_drift"
"""Of its incidents."""

JUDGED = f"""
p.grant_id = %(grant)s AND p.submitted_at > %(since)s::timestamptz AND {COUNTED}
    AND EXISTS (SELECT FROM console_assessment a WHERE a.proposal_id = p.id AND a.number = 1)
"""
COUNT = f"""
SELECT count(*) FROM (SELECT FROM console_proposal p WHERE {JUDGED} LIMIT 2 * %(needed)s) found
"""  # noqa: S608 our own words
WINDOW = """
SELECT r.payload, a.snapshot #> '{{record,fields}}', a.facts, a.snapshot ->> 'as_of' FROM (
    SELECT p.id, p.submitted_at FROM console_proposal p WHERE {judged}
    ORDER BY p.submitted_at {order} LIMIT %(needed)s
) p
JOIN console_assessment a ON a.proposal_id = p.id AND a.number = 1 JOIN console_revision r ON r.id = a.revision_id
"""
FIRST = WINDOW.format(judged=JUDGED, order="ASC")
NEWEST = WINDOW.format(judged=JUDGED, order="DESC")


@dataclass(frozen=True)
class Drift:
    """What came in on one grant: how many cases the two windows have, and the values compared, most moved first.

    `values` are (label, shift), empty until both windows are full; `at` is when they were compared.
    """

    reference: int
    recent: int
    values: tuple[tuple[str, Shift], ...] = ()
    at: dt.datetime | None = None

    @property
    def enough(self) -> bool:
        """Whether both windows are full."""
        return min(self.reference, self.recent) >= NEEDED


def of_grant(grant: Grant) -> Drift:
    """What was found last, and how many cases there are now."""
    many = _count(grant)
    rows = list(InputDrift.objects.filter(grant=grant).order_by("-index", "label"))
    return Drift(
        reference=min(many, NEEDED),
        recent=max(0, many - NEEDED),
        values=tuple((one.label, Shift(one.reference, one.recent, one.index)) for one in rows),
        at=max((one.at for one in rows), default=None),
    )


def watch_all(*, actor: Actor) -> int:
    """Compare every grant for a transaction type that is in use. Returns how many had cases enough."""
    in_use = Grant.objects.filter(kind=Grant.TYPE).exclude(autonomy=Autonomy.OFF)
    found = in_use.select_related("version__agent", "connection").order_by("pk")
    return sum(watch(grant, actor=actor) for grant in found)


def watch(grant: Grant, *, actor: Actor) -> bool:
    """Compare one grant's windows, keep what was found, and open an incident where a value clearly changed."""
    type_ = transaction_types().get(grant.name)
    if type_ is None or _count(grant) < 2 * NEEDED:
        InputDrift.objects.filter(grant=grant).delete()
        return False
    found = compare(_window(FIRST, grant, type_), _window(NEWEST, grant, type_))
    with transaction.atomic():
        InputDrift.objects.filter(grant=grant).delete()
        InputDrift.objects.bulk_create(
            InputDrift(
                grant=grant,
                label=label,
                index=shift.index,
                reference=shift.reference,
                recent=shift.recent,
                at=Now(),
            )
            for label, shift in found.items()
            if shift.index is not None
        )
        if moved := [(label, shift) for label, shift in found.items() if shift.much]:
            _tell(grant, moved, actor)
    return True


def compare(
    reference: Sequence[Mapping[str, Seen]], recent: Sequence[Mapping[str, Seen]]
) -> dict[str, Shift]:
    """Every value by its label, moved or not. What neither window has is left out."""
    labels = dict.fromkeys(label for case in (*reference, *recent) for label in case)
    return {
        label: psi.compare([case.get(label) for case in reference], [case.get(label) for case in recent])
        for label in labels
    }


def values(
    type_: TransactionType,
    payload: Mapping[str, Any],
    now: Mapping[str, Any],
    facts: Mapping[str, Any],
    as_of: str,
) -> dict[str, Seen]:
    """What is compared of one case, by label: its payload, the record's fields `as_of` then, its facts, as JSON.

    What a case does not have is left out.
    """
    found: dict[str, Seen] = {
        "Value at stake": _number(facts.get("value")),
        "With whom": str(facts["counterparty"])[:100] if facts.get("counterparty") else None,
    }
    for field in type_.fields:
        if "[]" in field.path:
            continue
        path = field.path if field.payload_path is None else field.payload_path
        before, proposed = now.get(field.path), _at(payload, path) if path else None
        if field.kind in {Kind.QUANTITY, Kind.MONEY}:
            found[f"{field.label}, as it was"] = _number(before)
            found[f"{field.label}, proposed"] = _number(proposed)
        elif field.kind is Kind.DATE:
            found[f"{field.label}, days moved"] = _days(before, proposed)
            found[f"{field.label}, days ahead"] = _days(as_of[:10], proposed)
        elif field.kind is Kind.CHOICE:
            found[f"{field.label}, as it was"] = str(before)[:100] if before is not None else None
            found[f"{field.label}, proposed"] = str(proposed)[:100] if proposed is not None else None
    if isinstance(lines := payload.get("lines"), Sequence):
        found["Lines"] = float(len(lines))
    return {label: value for label, value in found.items() if value is not None}


def _tell(grant: Grant, moved: Sequence[tuple[str, Shift]], actor: Actor) -> None:
    """One incident at a time. Once it is closed, what comes in from then on is what newer cases are compared with."""
    if Incident.objects.filter(grant=grant, kind=KIND, lifted_at__isnull=True).exists():
        return
    told = ", ".join(f"{label.lower()} ({shift.index:.2f})" for label, shift in moved[:3])
    incidents.open_incident(
        kind=KIND,
        title=f"What {grant.version} gets for {grant.name} has changed",
        lifts=(
            f"Beside its first {NEEDED} cases: {told}; above {psi.MUCH} is called clear. Nothing was put down. See"
            " whether its evals still speak for such cases; closed, the comparison begins anew."
        ),
        dedupe=f"{KIND}:{grant.pk}:{_since(grant)}",
        actor=actor,
        connection=grant.connection,
        grant=grant,
        detail={label: f"{shift.index:.3f}" for label, shift in moved},
    )


def _since(grant: Grant) -> str:
    """From when on cases count, as PostgreSQL writes it."""
    closed = Incident.objects.filter(grant=grant, kind=KIND).aggregate(last=Max("lifted_at"))["last"]
    return closed.isoformat() if closed is not None else "-infinity"


def _count(grant: Grant) -> int:
    """How many cases there are, up to two windows."""
    with database.cursor() as cursor:
        cursor.execute(COUNT, {"grant": grant.pk, "since": _since(grant), "needed": NEEDED})
        return int(cursor.fetchone()[0])


def _window(statement: str, grant: Grant, type_: TransactionType) -> list[dict[str, Seen]]:
    with database.cursor() as cursor:
        cursor.execute(statement, {"grant": grant.pk, "since": _since(grant), "needed": NEEDED})
        return [
            values(type_, json.loads(payload), _json(now), _json(facts), as_of or "")
            for payload, now, facts, as_of in cursor.fetchall()
        ]


def _json(value: Any) -> Mapping[str, Any]:
    """A column of JSON, as it comes past the ORM."""
    found = json.loads(value) if isinstance(value, str) else value
    return found if isinstance(found, Mapping) else {}


def _number(value: Any) -> float | None:
    if isinstance(value, Mapping):
        value = value.get("amount", value.get("value"))
    try:
        return float(Decimal(str(value))) if value is not None else None
    except InvalidOperation:
        return None


def _days(before: Any, proposed: Any) -> float | None:
    try:
        return float((dt.date.fromisoformat(str(proposed)) - dt.date.fromisoformat(str(before))).days)
    except ValueError:
        return None


def _at(payload: Any, path: str) -> Any:
    for part in path.split("."):
        payload = payload.get(part) if isinstance(payload, Mapping) else None
    return payload
