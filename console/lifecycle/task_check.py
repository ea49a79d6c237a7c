"""A worker's look at a task: reads back what somebody said of it, and puts what nobody confirmed before a person.

| somebody said | the system shows | then |
|---|---|---|
| nothing, in time | not asked | outcome unknown |
| done | it reads as countersigned | committed |
| done | otherwise, also after two minutes | outcome unknown, with the differences |
| not done | the stamps are those of before | failed |
| not done | the record has moved | outcome unknown |
| anything | it cannot be asked for two minutes | outcome unknown |

From "outcome unknown" a supervisor settles it. A look changes nothing anywhere.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from console import connections, diff
from console.audit import Actor
from console.catalogue import transaction_type
from console.errors import CountersignError
from console.lifecycle import by_hand
from console.lifecycle.frozen import record_from, snapshot_from
from console.lifecycle.states import locked, move
from console.models import Assessment, Confirmation, Done, Proposal, State
from integrations.contract import AdapterError, Snapshot

AGAIN = dt.timedelta(seconds=settings.AGAIN_SECONDS)
UNKNOWN_AFTER = dt.timedelta(seconds=settings.UNKNOWN_AFTER_SECONDS)


def check(proposal: Proposal, *, actor: Actor) -> Proposal:
    """Settle a task as far as what was said and what is seen allow. Does nothing unless it awaits a person."""
    if proposal.state != State.AWAITING_PERSON:
        return proposal
    said = Confirmation.objects.filter(proposal=proposal).select_related("assessment__revision").last()
    if said is None:
        return _overdue(proposal, actor)
    approved = said.assessment
    try:
        now = _look(proposal, approved)
    except (AdapterError, CountersignError) as fault:
        return _later(proposal, said, f"The system cannot be asked: {fault.text}", actor)
    except Exception as fault:  # noqa: BLE001 a bug in an adapter is no proof of anything
        return _later(
            proposal,
            said,
            f"The system cannot be asked: the adapter broke off ({type(fault).__name__})",
            actor,
        )
    before, type_ = snapshot_from(approved.snapshot), transaction_type(proposal.transaction_type)
    wrong = diff.differences(record_from(approved.expected), now.record, type_.fields, base=before.record)
    seen = {
        "said": said.answer,
        "differences": [asdict(one) for one in wrong][:20],
        "as_of": now.as_of.isoformat(),
        "source": now.source,
    }
    if said.answer == Done.DONE and not wrong:
        return _end(proposal, State.COMMITTED, "task.committed", "", actor, seen)
    if said.answer == Done.DONE:
        places = ", ".join(one.label for one in wrong[:5])
        return _later(proposal, said, f"It is said to be done, but reads otherwise: {places}.", actor, seen)
    if dict(now.stamps) == dict(before.stamps):
        return _end(proposal, State.COMMIT_FAILED, "task.failed", said.note, actor, seen)
    why = "It is said not to be done, but the record has been changed."
    return _end(proposal, State.OUTCOME_UNKNOWN, "task.unknown", why, actor, seen)


def _look(proposal: Proposal, approved: Assessment) -> Snapshot:
    type_ = transaction_type(proposal.transaction_type)
    payload = type_.payload.model_validate_json(approved.revision.payload)
    return connections.viewer(proposal.connection.name, type_.name).snapshot(type_, payload)


def _overdue(proposal: Proposal, actor: Actor) -> Proposal:
    until = by_hand.deadline(proposal.due, proposal.state_since)
    if proposal.db_now < until:
        Proposal.objects.filter(pk=proposal.pk, version=proposal.version).update(ring_at=until)
        return proposal
    why = "Nobody said in time whether it was done."
    return _end(proposal, State.OUTCOME_UNKNOWN, "task.overdue", why, actor, {})


def _later(
    proposal: Proposal, said: Confirmation, why: str, actor: Actor, seen: dict[str, Any] | None = None
) -> Proposal:
    """Look again soon; after two minutes it is a question for a person."""
    if Confirmation.objects.filter(pk=said.pk, at__lt=Now() - UNKNOWN_AFTER).exists():
        return _end(proposal, State.OUTCOME_UNKNOWN, "task.unknown", why, actor, seen or {})
    Proposal.objects.filter(pk=proposal.pk, version=proposal.version).update(
        ring_at=Now() + AGAIN / 2, state_reason=why[:500]
    )
    return proposal


def _end(proposal: Proposal, to: State, verb: str, why: str, actor: Actor, seen: dict[str, Any]) -> Proposal:
    with transaction.atomic():
        row = locked(proposal)
        if row is None or row.state != State.AWAITING_PERSON or row.version != proposal.version:
            return row or proposal
        if verb == "task.overdue" and by_hand.said_of(row) is not None:
            return row  # somebody was faster than the deadline
        return move(row, to, actor=actor, verb=verb, reason=why, detail=seen, ring_at=None)
