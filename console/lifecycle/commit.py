"""The commit: claim with a fence, re-read, compare, write the attempt, send, read back.

1. Look at the target again. If its digest is not the approved one, nothing is sent: it is assessed again. Where
   the system guards no stamp, look for our reference: after a restore of our own database it may be there.
2. In one transaction: claim (state, fence, lease on the database's clock) and write the attempt.
3. Send the steps in order. Before each thing that cannot be undone the adapter calls `note`, which is durable
   and refuses when somebody else has taken over: a worker that slept through its lease sends nothing more.
4. Whatever was answered, `readback.read_back` asks the system and settles it.

A crash between any two lines leaves a row that says what may have happened, and a time to ring again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from console import access, audit, connections
from console.audit import Actor
from console.canonical import digest
from console.catalogue import spec
from console.errors import Conflict, Held
from console.failpoints import reach
from console.lifecycle import readback, review
from console.lifecycle.assess import Judged, look
from console.lifecycle.frozen import step_json
from console.lifecycle.states import locked, move
from console.models import (
    Answer,
    Assessment,
    Attempt,
    AttemptNote,
    Decision,
    Outcome,
    Probe,
    Proposal,
    Revision,
    State,
)
from integrations.contract import (
    Accepted,
    AdapterError,
    EffectClass,
    InDoubt,
    NeedsPerson,
    OutOfScope,
    Receipt,
    Rejected,
    Seen,
    Sought,
    Stale,
    Step,
    Unavailable,
    Unsupported,
    Writer,
)

LEASE = dt.timedelta(seconds=90)
"""Longer than every adapter's own timeout for one step; the note before each step renews it."""

AGAIN = dt.timedelta(seconds=20)

OUTCOMES: Mapping[type[AdapterError], Outcome] = {
    Rejected: Outcome.REJECTED,
    Stale: Outcome.STALE,
    NeedsPerson: Outcome.NEEDS_PERSON,
    OutOfScope: Outcome.OUT_OF_SCOPE,
    Unsupported: Outcome.REJECTED,
    Unavailable: Outcome.NOT_SENT,
    InDoubt: Outcome.IN_DOUBT,
}


class LostFence(Exception):
    """Somebody else has taken over this proposal; this worker must not send another byte for it."""


def commit(proposal: Proposal, *, actor: Actor) -> Proposal:
    """Send what was approved, once, and settle it as far as the system tells.

    Does nothing unless the proposal is approved and free. Never raises for what a system does: every answer has
    a place in the table of moves.
    """
    reach("S2")
    if proposal.state != State.APPROVED:
        return proposal
    approved = review.current(proposal)
    if approved is None or not Decision.objects.filter(assessment=approved, answer=Answer.APPROVE).exists():
        return review.reassess(proposal, actor=actor, why="the approval does not name the newest assessment")
    try:
        access.check_may_go_on(proposal)
        _check_account(proposal)
        judged = look(proposal, Revision.objects.get(pk=approved.revision_id))
        there = judged.digest == approved.digest and _is_there_already(proposal, approved, judged)
    except Held as held:
        return _later(proposal, held.text)
    except (Unavailable, InDoubt) as away:
        connections.drop(proposal.connection.name)
        return _later(proposal, f"{proposal.connection.title} does not answer; nothing was sent. {away.text}")
    except AdapterError as refusal:
        return review.reassess(
            proposal, actor=actor, why=f"the record cannot be read any more: {refusal.text}"
        )
    reach("S4")
    if judged.digest != approved.digest:
        return review.reassess(proposal, actor=actor, why="the record moved since it was approved")
    claimed = _claim(proposal, approved, judged, actor)
    if claimed is None:
        return proposal
    reach("S5")
    if there:
        return readback.read_back(proposal, actor=actor, fence=claimed.fence)
    return send(claimed, judged.plan, dict(judged.snapshot.stamps), actor=actor)


def send(attempt: Attempt, steps: tuple[Step, ...], stamps: Mapping[str, str], *, actor: Actor) -> Proposal:
    """Send the steps of an attempt that is written, store what was answered, and read back."""
    proposal = attempt.proposal
    expect = dict(stamps)
    answer: Receipt | Accepted | None = None
    try:
        writer: Writer = connections.writer(proposal.connection.name, proposal.transaction_type)
        for place, step in enumerate(steps):
            reach("S6")
            answer = writer.commit(
                step,
                expect=expect,
                reference=proposal.ref,
                note=partial(_note, attempt, place),
            )
            reach("S8")
            if isinstance(answer, Accepted):
                break
            expect = dict(answer.stamps)
            if place + 1 < len(steps):
                _advance(attempt, place + 1, answer)
    except LostFence:
        return _reload(proposal)
    except AdapterError as refusal:
        connections.drop(proposal.connection.name)
        return _refused(attempt, refusal, actor)
    except Exception as fault:  # noqa: BLE001 a bug after the first byte is a lost answer, never a failure
        connections.drop(proposal.connection.name)
        return _refused(attempt, InDoubt(f"the adapter broke off ({type(fault).__name__})"), actor)
    if isinstance(answer, Accepted):
        return _accepted(attempt, answer, actor)
    _answered(attempt, answer)
    reach("S9")
    return readback.read_back(proposal, actor=actor, fence=attempt.fence)


def _is_there_already(proposal: Proposal, approved: Assessment, judged: Judged) -> bool:
    """Whether the system shows our reference before we ever sent it: our own database came back from a backup.

    Where the system guards the stamp this needs no question: a record that we had written has another stamp, and
    another stamp is another digest.
    """
    if spec(proposal.connection.name).adapter.types[judged.type.name].effect is EffectClass.GUARDED:
        return False
    sought = Sought(
        type=judged.type,
        payload=judged.payload,
        reference=proposal.ref,
        snapshot=judged.snapshot,
        expected=judged.expected,
        steps=judged.plan,
        since=approved.created_at,
    )
    return connections.writer(proposal.connection.name, judged.type.name).find(sought).seen is not Seen.ABSENT


def _claim(proposal: Proposal, approved: Assessment, judged: Judged, actor: Actor) -> Attempt | None:
    try:
        with transaction.atomic():
            row = locked(proposal, skip_locked=True)
            if row is None or row.state != State.APPROVED or row.version != proposal.version:
                return None
            try:
                access.check_may_go_on(row)
            except Held:
                return None
            if _busy(row):
                Proposal.objects.filter(pk=row.pk).update(ring_at=Now() + AGAIN)
                return None
            move(
                row,
                State.COMMITTING,
                actor=actor,
                verb="commit.claim",
                detail={"digest": approved.digest, "fence": row.fence + 1, "attempt": row.attempts_made + 1},
                fence=row.fence + 1,
                attempts_made=row.attempts_made + 1,
                lease_until=Now() + LEASE,
                ring_at=Now() + LEASE,
            )
            return new_attempt(row, approved, judged.plan, dict(judged.snapshot.stamps))
    except (Conflict, IntegrityError):
        return None


def new_attempt(
    row: Proposal, approved: Assessment, steps: tuple[Step, ...], stamps: Mapping[str, str]
) -> Attempt:
    """Write an attempt for a row that is claimed, in the caller's transaction."""
    found = spec(row.connection.name)
    return Attempt.objects.create(
        proposal=row,
        assessment=approved,
        number=row.attempts_made,
        fence=row.fence,
        adapter=found.adapter_path,
        account=found.accounts[row.transaction_type].get("login", ""),
        digest=approved.digest,
        payload_digest=digest([step_json(step) for step in steps]),
        steps=[step_json(step) for step in steps],
        stamps=dict(stamps),
        started_at=Now(),
    )


def _note(attempt: Attempt, place: int, about: Mapping[str, Any]) -> None:
    """Durable when it returns: this worker still holds the fence, and is about to do this."""
    with transaction.atomic():
        held = Proposal.objects.filter(
            pk=attempt.proposal_id, state=State.COMMITTING, fence=attempt.fence, lease_until__gt=Now()
        ).update(lease_until=Now() + LEASE, ring_at=Now() + LEASE)
        if held != 1:
            raise LostFence
        AttemptNote.objects.create(attempt=attempt, step=place, detail=dict(about), at=Now())
    reach("S6b")


def _advance(attempt: Attempt, place: int, receipt: Receipt) -> None:
    Attempt.objects.filter(pk=attempt.pk).update(
        step=place, document=receipt.document[:100], label=receipt.label[:200], stamps=dict(receipt.stamps)
    )


def _answered(attempt: Attempt, receipt: Receipt | None) -> None:
    attempt.outcome = Outcome.ANSWERED
    attempt.document = receipt.document[:100] if receipt is not None else ""
    attempt.label = receipt.label[:200] if receipt is not None else ""
    attempt.evidence = dict(receipt.evidence) if receipt is not None else {}
    Attempt.objects.filter(pk=attempt.pk).update(
        outcome=attempt.outcome,
        document=attempt.document,
        label=attempt.label,
        evidence=attempt.evidence,
        step=max(len(attempt.steps) - 1, 0),
        answered_at=Now(),
    )


def _accepted(attempt: Attempt, answer: Accepted, actor: Actor) -> Proposal:
    with transaction.atomic():
        row = locked(attempt.proposal)
        if row is None or row.fence != attempt.fence or row.state != State.COMMITTING:
            return _reload(attempt.proposal)
        Attempt.objects.filter(pk=attempt.pk).update(
            outcome=Outcome.ACCEPTED,
            handle=answer.handle[:200],
            deadline=Now() + answer.wait,
            evidence=dict(answer.evidence),
            answered_at=Now(),
        )
        return move(
            row,
            State.AWAITING_SYSTEM,
            actor=actor,
            verb="commit.accepted",
            detail={"handle": answer.handle},
            lease_until=None,
            ring_at=Now() + answer.wait,
        )


def _refused(attempt: Attempt, refusal: AdapterError, actor: Actor) -> Proposal:
    """Store a refusal. Where it proves that nothing was sent at all, free the proposal; else read back."""
    outcome = next(found for kind, found in OUTCOMES.items() if isinstance(refusal, kind))
    untouched = not AttemptNote.objects.filter(attempt__proposal=attempt.proposal_id).exists()
    with transaction.atomic():
        row = locked(attempt.proposal)
        if row is None or row.fence != attempt.fence or row.state != State.COMMITTING:
            return _reload(attempt.proposal)
        Attempt.objects.filter(pk=attempt.pk).update(
            outcome=outcome, text=refusal.text[:500], evidence=dict(refusal.evidence), answered_at=Now()
        )
        if outcome == Outcome.NOT_SENT and untouched:
            return move(
                row,
                State.APPROVED,
                actor=actor,
                verb="commit.away",
                reason=refusal.text,
                lease_until=None,
                ring_at=Now() + AGAIN,
            )
        if outcome == Outcome.IN_DOUBT:
            audit.record(
                "commit.in_doubt",
                actor=actor,
                chain=audit.proposal_chain(row),
                subject=row.ref,
                proposal=row,
                detail={"text": refusal.text[:300], "step": attempt.step, "attempt": attempt.number},
            )
            Proposal.objects.filter(pk=row.pk).update(
                state_reason=f"The answer was lost: {refusal.text}"[:500]
            )
    return readback.read_back(attempt.proposal, actor=actor, fence=attempt.fence)


def _check_account(proposal: Proposal) -> None:
    probe = (
        Probe.objects.filter(connection=proposal.connection_id, purpose=proposal.transaction_type)
        .order_by("-id")
        .first()
    )
    if probe is None:
        raise Held(
            "its service account has not been probed yet; a worker does that by itself", code="not_probed"
        )
    if not probe.sound:
        faults = [*probe.excess, *probe.findings] or ["it did not refuse what it must refuse"]
        raise Held(f"its service account is not fit to write: {faults[0]}", code="account_not_sound")


def _busy(row: Proposal) -> bool:
    """Whether another proposal for the same document is being committed, or nobody knows what became of it."""
    if not row.target:
        return False
    return (
        Proposal.objects.filter(
            connection=row.connection_id,
            target=row.target,
            state__in=[State.COMMITTING, State.AWAITING_SYSTEM, State.OUTCOME_UNKNOWN],
        )
        .exclude(pk=row.pk)
        .exists()
    )


def _later(proposal: Proposal, why: str) -> Proposal:
    Proposal.objects.filter(pk=proposal.pk, version=proposal.version).update(
        ring_at=Now() + AGAIN, state_reason=why[:500]
    )
    return _reload(proposal)


def _reload(proposal: Proposal) -> Proposal:
    proposal.refresh_from_db()
    return proposal
