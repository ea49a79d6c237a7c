"""Rings lost bells, lets overdue proposals expire, and clears old idempotency keys. Beat calls it every few seconds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from console import dispatch
from console.audit import Actor
from console.errors import Conflict
from console.lifecycle.states import locked, move
from console.models import Callback, IdempotencyKey, Proposal, State

BATCH = 500
REST = dt.timedelta(seconds=settings.BELL_SECONDS)
KEEP_KEYS = dt.timedelta(days=30)
KEEP_TRYING = dt.timedelta(days=3)
"""How long a callback is rung for. One that cannot be judged for so long is a fault that the log tells of."""

BELLS: Mapping[State, str] = {
    State.RECEIVED: "console.tasks.assess",
    State.APPROVED: "console.tasks.commit",
    State.COMMITTING: "console.tasks.read_back",
    State.AWAITING_SYSTEM: "console.tasks.read_back",
    State.AWAITING_PERSON: "console.tasks.check_task",
    State.OUTCOME_UNKNOWN: "console.tasks.read_back",
}
"""Which bell a state waits for."""

EXPIRES = (State.RECEIVED, State.IN_REVIEW, State.CHANGES_REQUESTED, State.APPROVED)

EXPIRED = f"""
(SELECT id FROM console_proposal WHERE state = 'in_review' AND expires_at <= statement_timestamp()
 ORDER BY expires_at LIMIT {BATCH})
UNION ALL
(SELECT id FROM console_proposal
 WHERE state IN ({", ".join(repr(state.value) for state in EXPIRES if state != State.IN_REVIEW)})
    AND expires_at <= statement_timestamp() LIMIT {BATCH})
"""  # noqa: S608 our own words
"""What is in review has an index by time; the others are few."""


def sweep(*, actor: Actor) -> dict[str, int]:
    """One round. Returns how many bells were rung, callbacks rung for, proposals expired and keys cleared."""
    return {"rung": _ring(), "heard": _hear(), "expired": _expire(actor), "cleared": _clear()}


def _ring() -> int:
    with transaction.atomic():
        due = list(
            Proposal.objects.select_for_update(skip_locked=True)
            .filter(ring_at__lte=Now(), state__in=list(BELLS))
            .order_by("ring_at")
            .values_list("pk", "state")[:BATCH]
        )
        Proposal.objects.filter(pk__in=[pk for pk, _ in due]).update(ring_at=Now() + REST)
    rung = 0
    for pk, state in due:
        if not dispatch.ring(BELLS[State(state)], pk):
            break  # the broker is away; each try would wait for it again
        rung += 1
    return rung


def _hear() -> int:
    """Ring for callbacks that no worker has judged: a bell was lost, or the worker that sends was still at it."""
    waiting = Callback.objects.filter(
        hearing__isnull=True, received_at__lt=Now() - REST, received_at__gt=Now() - KEEP_TRYING
    ).order_by("pk")
    rung = 0
    for pk in waiting.values_list("pk", flat=True)[:BATCH]:
        if not dispatch.ring("console.tasks.judge_callback", pk):
            break
        rung += 1
    return rung


def _expire(actor: Actor) -> int:
    expired = 0
    with connection.cursor() as cursor:
        cursor.execute(EXPIRED)
        due = [pk for (pk,) in cursor.fetchall()]
    for proposal in Proposal.objects.filter(pk__in=due).order_by("expires_at"):
        try:
            with transaction.atomic():
                row = locked(proposal, skip_locked=True)
                if row is None or row.state != proposal.state:
                    continue
                move(
                    row,
                    State.EXPIRED,
                    actor=actor,
                    verb="proposal.expire",
                    reason="Nobody decided in time."
                    if row.state != State.APPROVED
                    else "It could not be sent in time.",
                    ring_at=None,
                )
                expired += 1
        except Conflict:
            continue
    return expired


def _clear() -> int:
    oldest = IdempotencyKey.objects.order_by("pk").values_list("pk", flat=True)[:BATCH]
    cleared, _ = IdempotencyKey.objects.filter(pk__in=list(oldest), created_at__lt=Now() - KEEP_KEYS).delete()
    return cleared
