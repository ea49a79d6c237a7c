"""Asking the system what is true, and settling an attempt with the answer.

"Committed" needs the record to read as approved. "Failed" needs proof of absence. Everything between stays open:
while committing it is asked again, sent again only where the adapter's class allows it, and after two minutes it
is an outcome unknown, a question in front of a person that workers keep trying to answer.

| the system shows | and the attempt | then |
|---|---|---|
| present, reads as approved | any | committed |
| present, reads as approved | a callback said that it was not done | outcome unknown: one of the two is not true |
| present, reads otherwise | settle time over | outcome unknown, with the differences |
| absent | was clearly refused | failed, or received again when it was stale |
| absent, or cannot tell | never noted a step | approved again: nothing can have left |
| absent, twice, settle time over | answer lost, class allows | sent again, as a new attempt; at most three in all |
| absent, twice, settle time over | answer lost, read-back only | outcome unknown; a person decides |
| absent for two minutes | sent three times | failed |
| absent for two minutes | answer lost, then refused | outcome unknown: one of the two is not true |
| partial, the rest is known | class allows, not refused | the rest is sent |
| unclear | stale on the very first step | received again |
| unclear | settle time over | outcome unknown |

The file is long because the table above is one decision.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from console import access, audit, connections, diff, dispatch, tracing
from console.audit import Actor
from console.canonical import canonical, digest
from console.catalogue import spec, transaction_type
from console.errors import CountersignError, Held
from console.failpoints import reach
from console.lifecycle import seen
from console.lifecycle.frozen import record_from, record_json, snapshot_from, step_from, step_json
from console.lifecycle.states import become, locked, move, reload
from console.models import Attempt, AttemptNote, Outcome, Proposal, ReadBack, State
from console.models.loading import Fetch, Insert
from integrations.contract import (
    Adapter,
    AdapterError,
    Seen,
    Sought,
    Step,
    Trace,
    TransactionType,
)

LEASE = dt.timedelta(seconds=settings.LEASE_SECONDS)
AGAIN = dt.timedelta(seconds=settings.AGAIN_SECONDS)
BELL = dt.timedelta(seconds=settings.BELL_SECONDS)
UNKNOWN_AFTER = dt.timedelta(seconds=settings.UNKNOWN_AFTER_SECONDS)
"""How long an answer may stay lost before it is put in front of a person."""
MAX_SENDS = 3
"""How often one proposal may be sent in all, where the class allows a resend."""
ABSENCES = 2
"""How many looks, the settle time after the attempt, prove absence when the answer was lost."""

Follow = tuple[Attempt, tuple[Step, ...]] | None
"""An attempt to send now, with its steps; or nothing more to do."""
ATTEMPT = Fetch(Attempt, "assessment__revision")
LOOKED = Insert(ReadBack)

OPEN = (State.COMMITTING, State.AWAITING_SYSTEM, State.OUTCOME_UNKNOWN)
"""States in which there is something to settle."""

REFUSALS = (Outcome.REJECTED, Outcome.NEEDS_PERSON, Outcome.OUT_OF_SCOPE)


@dataclass(frozen=True)
class Looked:
    """One look: what was found, where it differs, and when it began, on the database's clock."""

    trace: Trace
    wrong: tuple[diff.Difference, ...]
    at: dt.datetime


def read_back(proposal: Proposal, *, actor: Actor, fence: int | None = None) -> Proposal:
    """Look, and settle as far as what is seen allows. `fence` when the caller is the worker that sent it.

    Does nothing when another worker holds the lease, or when there is nothing to settle. Never raises for what a
    system does.
    """
    taken = _take(proposal, fence)
    if taken is None:
        return reload(proposal)
    row, attempt, looked_at = taken
    done = ask(row, attempt, at=looked_at, actor=actor)
    return done if done is proposal else become(proposal, done)


@tracing.step("read_back")
def ask(row: Proposal, attempt: Attempt, *, at: dt.datetime, actor: Actor) -> Proposal:
    """The same for who holds the lease since `at` (the database's time) and has the newest attempt, as it is stored."""
    reach("R1")
    try:
        type_ = transaction_type(row.transaction_type)
        adapter = spec(row.connection.name).adapter
        sought = _sought(attempt, type_, row)
        asked = seen.through(row.connection.name, type_.name)
        trace = seen.look(row.connection.name, sought)
        wrong = _differences(sought, trace)
    except (AdapterError, CountersignError) as fault:
        connections.drop(row.connection.name)
        return _cannot_tell(row, attempt, fault.text, actor)
    except Exception as fault:  # noqa: BLE001 a bug in an adapter is no proof of anything
        connections.drop(row.connection.name)
        return _cannot_tell(row, attempt, f"the adapter broke off ({type(fault).__name__})", actor)
    reach("R2")
    with transaction.atomic():
        current = locked(row)
        if current is None or current.fence != row.fence or current.state != row.state:
            return reload(row)
        LOOKED.one(
            attempt=attempt,
            seen=trace.seen.value,
            text=trace.text[:500],
            record=record_json(trace.record) if trace.record is not None else None,
            differences=[asdict(one) for one in wrong],
            connection=asked,
            at=at,
        )
        looked = Looked(trace, wrong, at)
        follow = _settle(current, attempt, looked, adapter, type_, actor)
    if follow is not None:
        return _send_on(follow, actor)
    if current.is_final:
        return become(row, current)
    return reload(row)


def _differences(sought: Sought, trace: Trace) -> tuple[diff.Difference, ...]:
    if trace.record is None:
        return ()
    return diff.differences(sought.expected, trace.record, sought.type.fields, base=sought.snapshot.record)


def _settle(
    row: Proposal,
    attempt: Attempt,
    looked: Looked,
    adapter: Adapter,
    type_: TransactionType,
    actor: Actor,
) -> Follow:
    """Follow one line of the table. Returns an attempt to send when the answer is to send (again)."""
    trace, wrong = looked.trace, looked.wrong
    may_resend = adapter.types[type_.name].effect.may_resend
    if trace.seen is Seen.PRESENT and not wrong and trace.record is not None:
        return _as_approved(row, attempt, trace, actor)
    settled = looked.at >= _settles_at(attempt, adapter)
    if row.state == State.COMMITTING and _nothing_left(attempt) and not _has_our_name(row, trace):
        return _unsent(row, attempt, actor)
    if trace.seen is Seen.PRESENT:
        return _otherwise(row, attempt, looked, settled=settled, adapter=adapter, actor=actor)
    if trace.seen is Seen.ABSENT:
        return _absent(row, attempt, may_resend=may_resend, settled=settled, adapter=adapter, actor=actor)
    refused = attempt.outcome in REFUSALS
    if trace.seen is Seen.PARTIAL and may_resend and not refused and _approved_rest(attempt, trace.remaining):
        if row.state == State.COMMITTING and _sends(row) < MAX_SENDS + len(attempt.assessment.plan):
            return _next_attempt(row, attempt, trace.remaining, dict(trace.stamps), "commit.resume", actor)
        return _unknown(row, attempt, "Some steps happened and the rest did not go through.", actor)
    if _stale_untouched(row, attempt):
        return _received(row, actor)
    if not settled and row.state != State.OUTCOME_UNKNOWN:
        return _again(row, adapter)
    why = trace.text or "The record is neither as before nor as approved."
    return _unknown(
        row, attempt, f"{why} The system refused the rest: {attempt.text}" if refused else why, actor
    )


def _otherwise(
    row: Proposal, attempt: Attempt, looked: Looked, *, settled: bool, adapter: Adapter, actor: Actor
) -> Follow:
    if not settled:
        return _again(row, adapter)
    places = ", ".join(one.label for one in looked.wrong[:5])
    return _unknown(row, attempt, f"The system has it, but not as approved: {places}.", actor)


def _unsent(row: Proposal, attempt: Attempt, actor: Actor) -> Follow:
    """No byte left for it: what the adapter refused by itself has failed, the rest may be sent yet."""
    if attempt.outcome in REFUSALS:
        return _failed(row, attempt, f"It was refused before anything was sent: {attempt.text}", actor)
    if attempt.outcome == Outcome.STALE:
        return _received(row, actor)
    return _free(row, attempt, actor)


def _absent(
    row: Proposal, attempt: Attempt, *, may_resend: bool, settled: bool, adapter: Adapter, actor: Actor
) -> Follow:
    lost_before = Attempt.objects.filter(
        proposal=row, number__lt=attempt.number, outcome__in=[Outcome.IN_DOUBT, Outcome.SENDING]
    ).exists()
    if _nothing_left(attempt):
        return _failed(row, attempt, "Nothing was ever sent.", actor)
    if not lost_before and attempt.outcome in REFUSALS:
        return _failed(row, attempt, f"The system refused: {attempt.text}", actor)
    if (
        not lost_before
        and attempt.outcome == Outcome.STALE
        and attempt.step == 0
        and row.state == State.COMMITTING
    ):
        return _received(row, actor)
    if not settled or _absences(attempt, adapter) < ABSENCES:
        return _again(row, adapter)
    return _absent_for_long(
        row, attempt, may_resend=may_resend, lost_before=lost_before, adapter=adapter, actor=actor
    )


def _absent_for_long(
    row: Proposal,
    attempt: Attempt,
    *,
    may_resend: bool,
    lost_before: bool,
    adapter: Adapter,
    actor: Actor,
) -> Follow:
    """Absent on every look that counts, though something may have been sent."""
    if attempt.outcome == Outcome.ACCEPTED:
        return _unknown(row, attempt, "The system took it, and does not show it when it should.", actor)
    if attempt.outcome == Outcome.ANSWERED:
        return _unknown(row, attempt, "The system said yes, but does not show it.", actor)
    if not may_resend:
        return _unknown(
            row, attempt, "The answer was lost and the system does not show it. It is not sent twice.", actor
        )
    steps = tuple(step_from(step) for step in attempt.steps)
    # Refused after an answer was lost: it may be refused because the first one happened. A look may lag behind.
    contradicted = lost_before and attempt.outcome in {*REFUSALS, Outcome.STALE}
    if row.state == State.COMMITTING and _sends(row) < MAX_SENDS and not contradicted:
        return _next_attempt(
            row, attempt, steps, dict(attempt.assessment.snapshot["stamps"]), "commit.resume", actor
        )
    if not _waited(row):
        return _again(row, adapter)
    if contradicted:
        return _unknown(
            row, attempt, "An answer was lost, then it was refused, and the system does not show it.", actor
        )
    return _failed(
        row, attempt, "The system does not show it, on repeated looks after the settle time.", actor
    )


def _take(proposal: Proposal, fence: int | None) -> tuple[Proposal, Attempt, dt.datetime] | None:
    """Take the lease: with `fence` if it is still ours, else when nobody holds it. The time is the database's."""
    row: Proposal | None
    if fence is not None:
        row = _renewed(proposal, fence)
    else:
        with transaction.atomic():
            row = locked(proposal, skip_locked=True)
            if row is None or row.state not in OPEN or not _is_free(row):
                return None
            row = _renewed(row, row.fence, fresh=row.fence + 1)
    attempt = ATTEMPT.one("t.proposal_id = %s ORDER BY t.number DESC LIMIT 1", [proposal.pk])
    return (row, attempt, row.db_now) if row is not None and attempt is not None else None


def _is_free(row: Proposal) -> bool:
    """Whether nobody holds the lease of a row that was locked without a wait, by the database's clock."""
    return row.lease_until is None or row.lease_until <= row.db_now


def _renewed(row: Proposal, fence: int, *, fresh: int | None = None) -> Proposal | None:
    """The row with a lease from now on, under `fresh` or the same fence; None when the fence is not the row's."""
    values: list[Any] = [fresh or fence, LEASE, LEASE, row.pk, fence, [state.value for state in OPEN]]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE console_proposal SET fence = %s, lease_until = clock_timestamp() + %s,"
            " ring_at = clock_timestamp() + %s WHERE id = %s AND fence = %s AND state = ANY(%s)"
            " RETURNING fence, state, version, clock_timestamp()",
            values,
        )
        kept = cursor.fetchone()
    if kept is None:
        return None
    row.fence, row.state, row.version, row.db_now = kept
    return row


def _sought(attempt: Attempt, type_: TransactionType, row: Proposal) -> Sought:
    approved = attempt.assessment
    first: dt.datetime | None = attempt.started_at
    if attempt.number > 1:
        first = (
            Attempt.objects.filter(proposal=row)
            .order_by("number")
            .values_list("started_at", flat=True)
            .first()
        )
    return Sought(
        type=type_,
        payload=type_.payload.model_validate_json(approved.revision.payload),
        reference=row.ref,
        snapshot=snapshot_from(approved.snapshot),
        expected=record_from(approved.expected),
        steps=tuple(step_from(step) for step in approved.plan),
        since=first or attempt.started_at,
        document=attempt.document,
    )


def _send_on(follow: tuple[Attempt, tuple[Step, ...]], actor: Actor) -> Proposal:
    from console.lifecycle.commit import send  # noqa: PLC0415 sending and reading back call each other

    attempt, steps = follow
    return send(attempt, steps, attempt.stamps, actor=actor)


def _as_approved(row: Proposal, attempt: Attempt, trace: Trace, actor: Actor) -> Follow:
    if attempt.handle and attempt.outcome in REFUSALS:
        why = f"It reads as approved, but the system said that it was not done: {attempt.text}"
        return _unknown(row, attempt, why, actor)
    _committed(row, attempt, trace, actor)
    return None


def _committed(row: Proposal, attempt: Attempt, trace: Trace, actor: Actor) -> None:
    document = trace.receipt.document if trace.receipt is not None else attempt.document
    label = trace.receipt.label if trace.receipt is not None else attempt.label
    if document and (document, label) != (attempt.document, attempt.label):
        Attempt.objects.filter(pk=attempt.pk).update(document=document[:100], label=label[:200])
    move(
        row,
        State.COMMITTED,
        actor=actor,
        verb="commit.committed",
        detail={"attempt": attempt.number, "digest": attempt.digest, "document": document, "label": label},
        lease_until=None,
        ring_at=None,
    )


def _failed(row: Proposal, attempt: Attempt, why: str, actor: Actor) -> Follow:
    move(
        row,
        State.COMMIT_FAILED,
        actor=actor,
        verb="commit.failed",
        reason=why,
        detail={"attempt": attempt.number, "proof": "absent", "outcome": attempt.outcome},
        lease_until=None,
        ring_at=None,
    )
    return None


def _received(row: Proposal, actor: Actor) -> Follow:
    move(
        row,
        State.RECEIVED,
        actor=actor,
        verb="proposal.moved",
        reason="The system refused it as stale: the record moved since it was approved. Nothing was written.",
        lease_until=None,
        ring_at=Now() + BELL,
    )
    dispatch.after_commit("console.tasks.assess", row.pk)
    return None


def _free(row: Proposal, attempt: Attempt, actor: Actor) -> Follow:
    """No step was ever noted, so no byte can have left: it is approved, as before."""
    died = attempt.outcome == Outcome.SENDING
    Attempt.objects.filter(pk=attempt.pk).update(outcome=Outcome.NOT_SENT)
    move(
        row,
        State.APPROVED,
        actor=actor,
        verb="commit.away",
        reason="The worker ended before anything was sent." if died else f"Nothing was sent: {attempt.text}",
        lease_until=None,
        ring_at=Now() + AGAIN,
    )
    if died:
        dispatch.after_commit("console.tasks.commit", row.pk)
    return None


def _unknown(row: Proposal, attempt: Attempt, why: str, actor: Actor) -> Follow:
    if row.state == State.OUTCOME_UNKNOWN:
        later = min(AGAIN * 2 ** min(attempt.read_backs.count(), 8), dt.timedelta(hours=1))
        Proposal.objects.filter(pk=row.pk).update(
            state_reason=why[:500], lease_until=None, ring_at=Now() + later
        )
        return None
    move(
        row,
        State.OUTCOME_UNKNOWN,
        actor=actor,
        verb="commit.unknown",
        reason=why,
        detail={"attempt": attempt.number, "outcome": attempt.outcome},
        lease_until=None,
        ring_at=Now() + AGAIN,
    )
    return None


def _again(row: Proposal, adapter: Adapter) -> Follow:
    """Look again after the settle time, or soon; another worker may do it."""
    wait = min(max(adapter.settle / 2, AGAIN / 10), dt.timedelta(seconds=30))
    Proposal.objects.filter(pk=row.pk).update(lease_until=None, ring_at=Now() + wait)
    return None


def _cannot_tell(row: Proposal, attempt: Attempt, why: str, actor: Actor) -> Proposal:
    with transaction.atomic():
        current = locked(row)
        if current is None or current.fence != row.fence or current.state != row.state:
            row.refresh_from_db()
            return row
        if current.state == State.COMMITTING and _nothing_left(attempt):
            _unsent(current, attempt, actor)
            row.refresh_from_db()
            return row
        ReadBack.objects.create(
            attempt=attempt, seen="error", text=why[:500], connection=row.connection.name, at=Now()
        )
        if current.state == State.OUTCOME_UNKNOWN or _waited(row):
            _unknown(current, attempt, f"The system cannot be asked: {why}", actor)
        else:
            Proposal.objects.filter(pk=row.pk).update(
                lease_until=None,
                ring_at=Now() + AGAIN / 2,
                state_reason=f"Asking the system: {why}"[:500],
            )
    row.refresh_from_db()
    return row


def _next_attempt(
    row: Proposal, last: Attempt, steps: tuple[Step, ...], stamps: dict[str, str], verb: str, actor: Actor
) -> Follow:
    try:
        access.check_may_go_on(row)
    except Held as held:
        Proposal.objects.filter(pk=row.pk).update(
            lease_until=None, ring_at=Now() + AGAIN, state_reason=held.text[:500]
        )
        return None
    Attempt.objects.filter(pk=last.pk, outcome=Outcome.SENDING).update(outcome=Outcome.IN_DOUBT)
    number = row.attempts_made + 1
    Proposal.objects.filter(pk=row.pk).update(
        attempts_made=number, fence=row.fence + 1, lease_until=Now() + LEASE, ring_at=Now() + LEASE
    )
    row.attempts_made, row.fence = number, row.fence + 1
    attempt = Attempt.objects.create(
        proposal=row,
        assessment=last.assessment,
        number=number,
        fence=row.fence,
        adapter=last.adapter,
        account=last.account,
        digest=last.digest,
        payload_digest=digest([step_json(step) for step in steps]),
        steps=[step_json(step) for step in steps],
        stamps=stamps,
        document=last.document,
        label=last.label,
        started_at=Now(),
    )
    audit.record(
        verb,
        actor=actor,
        chain=audit.proposal_chain(row),
        subject=row.ref,
        proposal=row,
        detail={"attempt": number, "steps": [step.name for step in steps]},
    )
    return attempt, steps


def _approved_rest(attempt: Attempt, remaining: tuple[Step, ...]) -> bool:
    """Whether what is left to send is, byte for byte, the tail of what was approved."""
    plan: list[Any] = attempt.assessment.plan
    rest = [canonical(step_json(step)) for step in remaining]
    return bool(rest) and rest == [canonical(step) for step in plan[-len(rest) :]]


def _stale_untouched(row: Proposal, attempt: Attempt) -> bool:
    alone = (
        not Attempt.objects.filter(proposal=row, number__lt=attempt.number)
        .exclude(outcome=Outcome.NOT_SENT)
        .exists()
    )
    return row.state == State.COMMITTING and attempt.outcome == Outcome.STALE and attempt.step == 0 and alone


def sent_before(attempt: Attempt) -> bool:
    """Whether another attempt of the same proposal may have sent something."""
    return (
        AttemptNote.objects.filter(attempt__proposal=attempt.proposal_id)
        .exclude(attempt=attempt)
        .exclude(attempt__outcome=Outcome.NOT_SENT)
        .exists()
    )


def _waited(row: Proposal) -> bool:
    """Whether it has been in this state for longer than any look should lag behind, by the database's clock."""
    return Proposal.objects.filter(pk=row.pk, state_since__lt=Now() - UNKNOWN_AFTER).exists()


def _nothing_left(attempt: Attempt) -> bool:
    """Whether our own notes prove that no byte left for this proposal: there is none of an attempt that sent."""
    noted = AttemptNote.objects.filter(attempt__proposal=attempt.proposal_id)
    return not noted.exclude(attempt__outcome=Outcome.NOT_SENT).exists()


def _has_our_name(row: Proposal, trace: Trace) -> bool:
    """Whether a document of a create is there already. We never sent it, so our database is older than the system."""
    return not row.target and trace.seen is not Seen.ABSENT


def _settles_at(attempt: Attempt, adapter: Adapter) -> dt.datetime:
    """From when on a look counts as proof: the settle time after the last byte may have left, by the database.

    What was accepted may take until its deadline, or until a callback says what became of it.
    """
    if attempt.outcome == Outcome.ACCEPTED and attempt.deadline is not None:
        return attempt.deadline
    if attempt.handle and attempt.answered_at is not None:
        return attempt.answered_at + adapter.settle
    last = AttemptNote.objects.filter(attempt__proposal=attempt.proposal_id).order_by("-id").first()
    return (last.at if last is not None else attempt.started_at) + adapter.settle


def _absences(attempt: Attempt, adapter: Adapter) -> int:
    return ReadBack.objects.filter(
        attempt=attempt, seen=Seen.ABSENT.value, at__gte=_settles_at(attempt, adapter)
    ).count()


def _sends(row: Proposal) -> int:
    return AttemptNote.objects.filter(attempt__proposal=row).values("attempt").distinct().count()
