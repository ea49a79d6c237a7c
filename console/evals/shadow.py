"""Shadow: what an agent proposed, held against what people then did in its place.

A shadow proposal is judged and never sent. For a fixed window after that, its target is looked at again now and
then; the look at the window's end is the one that counts, so that neither a quick change nor a change taken back
counts for more than it is. Whether people acted in the ERP or through this console makes no difference: the record is
held against the record as it was and as it would have been.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from console import audit, diff, dispatch
from console.audit import Actor
from console.catalogue import transaction_types
from console.evals.scoring import same
from console.lifecycle import afterwards, review
from console.lifecycle.frozen import record_from, record_json
from console.lifecycle.states import locked
from console.models import Did, Proposal, ShadowLook, State
from integrations.contract import AdapterError, Field, InDoubt, Kind, Record, TransactionType, Unavailable

WINDOW = dt.timedelta(seconds=settings.SHADOW_WINDOW_SECONDS)
"""How long after it was judged people may do it, or something else, for it to be compared."""
EVERY = dt.timedelta(seconds=settings.SHADOW_LOOK_SECONDS)
AGAIN = dt.timedelta(minutes=5)
"""When a look is tried again whose system is away."""
GIVE_UP = dt.timedelta(days=1)
"""So long after the window's end a system may be away before the look counts as one that tells nothing."""
BATCH = 200

DUE = f"""
UPDATE console_proposal SET ring_at = statement_timestamp() + interval '{AGAIN.seconds} seconds' WHERE id IN (
    SELECT id FROM console_proposal WHERE state = 'shadowed' AND ring_at <= statement_timestamp()
    ORDER BY ring_at LIMIT {BATCH} FOR UPDATE SKIP LOCKED) RETURNING id
"""  # noqa: S608 our own words
COUNTED = """
SELECT grant_id, did, count(*) FROM console_shadowlook WHERE grant_id = ANY(%s) AND last GROUP BY grant_id, did
"""


@dataclass(frozen=True)
class Compared:
    """What people did, field by field. `differences` are those that do not read as proposed; `besides` in words."""

    did: Did
    differences: tuple[Mapping[str, Any], ...]
    fields: int
    besides: str = ""


@dataclass(frozen=True)
class Agreement:
    """Of the shadow proposals of a grant whose window is over: in how many people did the same.

    `told` counts those that can be told (same, other, nothing); `untold` the rest, which are in no rate.
    """

    same: int
    other: int
    nothing: int
    untold: int

    @property
    def told(self) -> int:
        """The n of the rate."""
        return self.same + self.other + self.nothing


def compare(type_: TransactionType, before: Record, proposed: Record, now: Record) -> Compared:
    """Hold a record against what it was and what it would have been. Pure.

    Judged is every field that the payload carries; free text is not, unless it is critical. Lines are not compared:
    no type that changes a record carries any, and of one that does it cannot be told. Raises ValueError, KeyError or
    TypeError where a record has not the type's form.
    """
    judged = [one for one in type_.fields if _judged(one)]
    if any("[]." in one.path for one in judged):
        return _untold("Lines are not compared.")
    rows = diff.rows(before, proposed, now, judged)
    differences = tuple(
        {
            "path": row.path,
            "label": row.field.label,
            "before": row.base,
            "proposed": row.proposed,
            "done": row.now,
        }
        for row in rows
        if not same(row.proposed, row.now, row.field, row.path)
    )
    if all(same(row.base, row.now, row.field, row.path) for row in rows):
        did = Did.NOTHING
    else:
        did = Did.OTHER if differences else Did.SAME
    return Compared(did, differences, len(rows), _besides(type_, before, now))


def ring_due() -> int:
    """Ring for the shadow proposals whose next look is due. Returns how many were rung for."""
    with connection.cursor() as cursor:
        cursor.execute(DUE)
        due = [pk for (pk,) in cursor.fetchall()]
    rung = 0
    for pk in due:
        if not dispatch.ring("console.tasks.look_back", pk):
            break
        rung += 1
    return rung


def look_back(proposal: Proposal, *, actor: Actor) -> ShadowLook | None:
    """Look at the target of a shadow proposal and keep what people did, if that is news. None when it is not.

    The last look of a window is always kept. While the system is away it is tried again, for a day beyond the end.
    """
    assessment = review.current(proposal) if proposal.state == State.SHADOWED else None
    if assessment is None or ShadowLook.objects.filter(proposal=proposal, last=True).exists():
        return None
    ends = assessment.created_at + WINDOW
    last = assessment.db_now >= ends
    type_ = transaction_types().get(proposal.transaction_type)
    if type_ is None or type_.version != assessment.type_version:
        return _keep(
            proposal, _untold("The transaction type has another version now."), None, None, actor, ends
        )
    payload = type_.payload.model_validate_json(assessment.revision.payload)
    if why := afterwards.can_be_seen(proposal, type_, payload):
        return _keep(proposal, _untold(why), None, None, actor, ends)
    try:
        seen = afterwards.glance(proposal, type_, payload)
        found = compare(
            type_,
            record_from(assessment.snapshot["record"]),
            record_from(assessment.expected),
            seen.record,
        )
    except (Unavailable, InDoubt) as away:
        if assessment.db_now < ends + GIVE_UP:
            return None  # rung again, see DUE
        return _keep(proposal, _untold(f"The system did not answer: {away.text}"), None, None, actor, ends)
    except AdapterError as refusal:
        return _keep(proposal, _untold(refusal.text), None, None, actor, ends, last=last)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as fault:
        why = f"The record could not be compared ({type(fault).__name__})."
        return _keep(proposal, _untold(why), None, None, actor, ends, last=last)
    return _keep(proposal, found, record_json(seen.record), seen.as_of, actor, ends, last=last)


def agreement(grant_id: int) -> Agreement:
    """How often people did the same, of this grant's shadow proposals whose window is over. One statement."""
    return agreements([grant_id])[grant_id]


def agreements(grant_ids: Sequence[int]) -> Mapping[int, Agreement]:
    """The same of several grants, by their id. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(COUNTED, [list(grant_ids)])
        counts = {(grant, did): n for grant, did, n in cursor.fetchall()}
    order = (Did.SAME, Did.OTHER, Did.NOTHING, Did.UNTOLD)
    return {pk: Agreement(*(counts.get((pk, one.value), 0) for one in order)) for pk in grant_ids}


def _keep(
    proposal: Proposal,
    found: Compared,
    record: Mapping[str, Any] | None,
    as_of: dt.datetime | None,
    actor: Actor,
    ends: dt.datetime,
    *,
    last: bool = True,
) -> ShadowLook | None:
    """Append a look, once, with its entry; and say when to look again."""
    with transaction.atomic():
        row = locked(proposal)
        if row is None or row.state != State.SHADOWED:
            return None
        newest = ShadowLook.objects.filter(proposal=row).order_by("-id").first()
        if newest is not None and newest.last:
            return None
        again = None if last else min(row.db_now + EVERY, ends)
        Proposal.objects.filter(pk=row.pk).update(ring_at=again)
        told = (found.did, list(found.differences), found.besides[:500])
        if not last and newest is not None and told == (newest.did, newest.differences, newest.text):
            return None
        kept = ShadowLook.objects.create(
            proposal=row,
            grant_id=row.grant_id,
            did=found.did,
            last=last,
            text=found.besides[:500],
            record=record,
            differences=list(found.differences),
            fields=found.fields,
            as_of=as_of,
            at=Now(),
        )
        audit.record(
            "shadow.look",
            actor=actor,
            chain=audit.proposal_chain(row),
            subject=row.ref,
            proposal=row,
            detail={
                "did": found.did.value,
                "last": last,
                "differences": [str(one["path"]) for one in found.differences],
                "text": f"{found.did.label}. {found.besides}".strip()[:500],
            },
        )
    return kept


def _untold(why: str) -> Compared:
    return Compared(Did.UNTOLD, (), 0, why)


def _judged(field: Field) -> bool:
    carried = field.payload_path is None or field.payload_path != ""
    return carried and (field.kind is not Kind.TEXT or field.critical)


def _besides(type_: TransactionType, before: Record, now: Record) -> str:
    """What else moved that a payload of this type cannot set, such as the order's state."""
    moved = [
        row.field.label
        for row in diff.rows(before, now, now, type_.fields)
        if row.changes and not _judged(row.field)
    ]
    return f"Besides, this moved: {', '.join(moved)}." if moved else ""
