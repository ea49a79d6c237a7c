"""What a worker makes of a callback. It is a claim: it settles nothing that can be read back.

| the callback | and the proposal | then |
|---|---|---|
| done, or not done | a worker is still sending it | it waits until that worker is done, or its lease is over |
| done, or not done | waits, or its outcome is unknown | taken: the verifying connection is asked, and decides |
| done, or not done | the same, and nothing can be asked | taken at its word, and the page says so |
| what was said before | any | kept |
| the opposite of what was said or found | any | kept; an incident; the first one stands |
| anything | nothing was sent, or it is void since | kept; an incident |

It can approve nothing: there is no arrow from here but out of what was sent.
"""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from console import audit
from console.audit import Actor
from console.catalogue import spec
from console.lifecycle import readback
from console.lifecycle.states import locked, move
from console.models import Attempt, Callback, Heard, Hearing, Outcome, Proposal, State
from console.registry import incidents
from integrations.contract import Claim

BELL = dt.timedelta(seconds=settings.BELL_SECONDS)

ENDED = {State.COMMITTED: True, State.COMMIT_FAILED: False}
"""Final states that say whether it happened."""


def judge(callback: Callback, *, actor: Actor) -> Hearing | None:
    """Judge one callback, once. None when it was judged already, or has to wait for a worker that still sends."""
    claim = Claim(**callback.claim)
    with transaction.atomic():
        row = locked(callback.proposal)
        if row is None or Hearing.objects.filter(callback=callback).exists():
            return None
        attempt = _sent(row)
        result = _result(row, attempt, claim)
        if result is None:
            return None
        hearing = Hearing.objects.create(
            callback=callback,
            proposal=row,
            attempt=attempt,
            happened=claim.happened,
            result=result,
            at=Now(),
        )
        if result in {Heard.CONTRADICTS, Heard.UNTIMELY}:
            _alarm(row, callback, claim, result, actor)
        elif attempt is not None and result == Heard.TAKEN:
            _take(row, attempt, claim)
        elif attempt is not None and result == Heard.ON_WORD:
            _take(row, attempt, claim)
            _end(row, attempt, claim, actor)
    if result == Heard.TAKEN:
        readback.read_back(row, actor=actor)
    return hearing


def _result(row: Proposal, attempt: Attempt | None, claim: Claim) -> Heard | None:
    before = Hearing.objects.filter(proposal=row, result__in=[Heard.TAKEN, Heard.ON_WORD]).first()
    state = State(row.state)
    known = ENDED.get(state, before.happened if before is not None else None)
    if attempt is None or (state not in ENDED and state not in readback.OPEN):
        return Heard.UNTIMELY
    if known is not None:
        return Heard.REPEATED if known == claim.happened else Heard.CONTRADICTS
    if state == State.COMMITTING and row.lease_until is not None and row.lease_until > row.db_now:
        return None
    carried = spec(row.connection.name).adapter.types[row.transaction_type]
    return Heard.ON_WORD if carried.on_word else Heard.TAKEN


def _sent(row: Proposal) -> Attempt | None:
    """The attempt that something may have been sent for; by our notes, not by what came back."""
    return (
        Attempt.objects.filter(proposal=row, notes__isnull=False)
        .exclude(outcome=Outcome.NOT_SENT)
        .order_by("-number")
        .first()
    )


def _take(row: Proposal, attempt: Attempt, claim: Claim) -> None:
    """Write the claim on the attempt. The fence moves on: whoever still waits for its first answer is too late."""
    Attempt.objects.filter(pk=attempt.pk).update(
        outcome=Outcome.ANSWERED if claim.happened else Outcome.REJECTED,
        text=claim.text[:500],
        handle=attempt.handle or claim.reference,
        document=claim.document[:100],
        label=claim.label[:200],
        evidence={**attempt.evidence, "callback": claim.id},
        answered_at=Now(),
    )
    Proposal.objects.filter(pk=row.pk).update(fence=F("fence") + 1, lease_until=None, ring_at=Now() + BELL)
    row.fence, row.lease_until = row.fence + 1, None


def _end(row: Proposal, attempt: Attempt, claim: Claim, actor: Actor) -> None:
    """Nothing else can be asked: it ends as the system says, and says on whose word."""
    move(
        row,
        State.COMMITTED if claim.happened else State.COMMIT_FAILED,
        actor=actor,
        verb="commit.on_word",
        reason=" ".join([f"On the word of {row.connection.title}: nothing can be read back.", claim.text]),
        detail={
            "attempt": attempt.number,
            "digest": attempt.digest,
            "happened": claim.happened,
            "document": claim.document,
            "message": claim.id,
        },
        lease_until=None,
        ring_at=None,
    )


def _alarm(row: Proposal, callback: Callback, claim: Claim, result: Heard, actor: Actor) -> None:
    says = "done" if claim.happened else "not done"
    audit.record(
        "callback.contradict",
        actor=actor,
        chain=audit.proposal_chain(row),
        subject=row.ref,
        proposal=row,
        detail={
            "message": claim.id,
            "happened": claim.happened,
            "state": row.state,
            "text": claim.text[:300],
        },
    )
    incidents.open_incident(
        kind="callback",
        title=f"{row.connection.title} says that {row.ref} was {says}; "
        + (
            "that is not what is known"
            if result == Heard.CONTRADICTS
            else "nothing was sent that it could be"
        ),
        dedupe=f"callback:{callback.proposal_id}:{claim.happened}:{result}",
        lifts="Look at the record in the ERP and at the run in the middleware; say what is true, and why it differs.",
        connection=row.connection,
        proposal=row,
        actor=actor,
    )
