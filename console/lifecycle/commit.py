"""The commit: claim with a fence, re-read, compare, write the attempt, send, read back.

1. Look at the target again. If its digest is not the approved one, nothing is sent: it is assessed again. Where
   the system guards no stamp, look for our reference: after a restore of our own database it may be there. What
   the proposal rests on is read again too: while it is stale or contested the commit waits, and when it moved it
   is assessed again.
2. In one transaction: claim (state, fence, lease on the database's clock) and write the attempt.
3. Send the steps in order. Before each thing that cannot be undone the adapter calls `note`, which is durable
   and refuses when somebody else has taken over, so that a worker that slept through its lease sends nothing
   more, and when a kill switch was thrown since the claim.
4. Whatever was answered, `readback.read_back` asks the system and settles it.

A crash between any two lines leaves a row that says what may have happened, and a time to ring again.

The file is long because it is one protocol; the order of its lines is what makes it safe.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from psycopg.types.json import Jsonb

from console import access, audit, connections, dispatch, policy, tracing
from console.audit import Actor
from console.canonical import digest
from console.catalogue import spec, transaction_types
from console.checks.readings import readings_are_usable
from console.errors import Conflict, Denied, Held
from console.failpoints import reach
from console.lifecycle import by_hand, exhibits, limits, readback, review, seen
from console.lifecycle.assess import Judged, hush, look
from console.lifecycle.frozen import step_json
from console.lifecycle.states import locked, move, reload
from console.models import (
    Assessment,
    Attempt,
    Autonomy,
    Callback,
    Claim,
    Outcome,
    Probe,
    Proposal,
    State,
)
from console.models.loading import Fetch, Insert
from console.reads import rests
from console.registry import incidents
from integrations.contract import (
    Accepted,
    AdapterError,
    EffectClass,
    Exhibit,
    InDoubt,
    Level,
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

LEASE = dt.timedelta(seconds=settings.LEASE_SECONDS)
"""Longer than every adapter's own timeout for one step; the note before each step renews it."""

AGAIN = dt.timedelta(seconds=settings.AGAIN_SECONDS)

log = logging.getLogger(__name__)

OUTCOMES: Mapping[type[AdapterError], Outcome] = {
    Rejected: Outcome.REJECTED,
    Stale: Outcome.STALE,
    NeedsPerson: Outcome.NEEDS_PERSON,
    OutOfScope: Outcome.OUT_OF_SCOPE,
    Unsupported: Outcome.REJECTED,
    Unavailable: Outcome.NOT_SENT,
    InDoubt: Outcome.IN_DOUBT,
}

PROBE = Fetch(Probe)
ATTEMPT = Insert(Attempt, now=("started_at",))

NOTE = f"""
WITH held AS (
    UPDATE console_proposal
    SET lease_until = statement_timestamp() + %(lease)s, ring_at = statement_timestamp() + %(lease)s
    WHERE id = %(pk)s AND state = 'committing' AND fence = %(fence)s AND lease_until > statement_timestamp()
    RETURNING id
), noted AS (
    INSERT INTO console_attemptnote (attempt_id, step, detail, at)
    SELECT %(attempt)s, %(place)s, %(about)s, statement_timestamp() FROM held
)
{audit.INTO} SELECT id, {audit.VALUES} FROM held
"""  # noqa: S608 all of it our own words
"""The lease renewed, the note and its entry; nothing at all when the fence or the lease is lost."""

ANSWERED = """
WITH answered AS (
    UPDATE console_attempt SET outcome = %(outcome)s, document = %(document)s, label = %(label)s,
        evidence = %(evidence)s, step = %(step)s, answered_at = statement_timestamp()
    WHERE id = %(attempt)s
)
UPDATE console_proposal SET lease_until = clock_timestamp() + %(lease)s, ring_at = clock_timestamp() + %(lease)s
WHERE id = %(pk)s AND state = 'committing' AND fence = %(fence)s RETURNING clock_timestamp()
"""

BUSY = """
SELECT EXISTS (
    SELECT FROM console_proposal
    WHERE connection_id IN (SELECT id FROM console_connection WHERE system_id = %s)
        AND transaction_type = ANY(%s) AND target = %s AND id <> %s
        AND state IN ('committing', 'awaiting_system', 'awaiting_person', 'outcome_unknown'))
"""


class LostFence(Exception):
    """Somebody else has taken over this proposal; this worker must not send another byte for it."""


@tracing.step("commit")
def commit(proposal: Proposal, *, actor: Actor) -> Proposal:  # noqa: C901, PLR0911 one for every answer
    """Send what was approved, once, and settle it as far as the system tells.

    Does nothing unless the proposal is approved and free. Never raises for what a system does: every answer has
    a place in the table of moves. Denied for a seeded test, which the database would not let become approved either.
    """
    reach("S2")
    if proposal.seeded:
        raise Denied(f"{proposal.ref} is a seeded test and is never sent", code="seeded")
    if proposal.state != State.APPROVED:
        return proposal
    approved = review.current(proposal)
    grant, now = limits.ground(proposal)
    if approved is None or not policy.passes(review.standing(proposal, approved, now)):
        return review.reassess(
            proposal, actor=actor, why="not everybody who must agree agreed to what it is now"
        )
    try:
        access.check_grant_holds(proposal, grant)
        _check_account(proposal)
        hush(proposal)
        judged = look(proposal, approved.revision, now)
        _check_founded(judged)
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
    except Exception as fault:
        log.exception("%s could not be looked at", proposal.ref)
        connections.drop(proposal.connection.name)
        return _later(proposal, f"It could not be looked at ({type(fault).__name__}); nothing was sent.")
    reach("S4")
    tracing.tell(moved=judged.digest != approved.digest)
    if judged.digest != approved.digest or rests.moved(approved.rests, judged.rests):
        return review.reassess(proposal, actor=actor, why=_what_moved(judged, approved))
    claimed = _claim(proposal, approved, judged, actor)
    if claimed is None:
        return reload(proposal)
    reach("S5")
    if there:
        return readback.read_back(claimed.proposal, actor=actor, fence=claimed.fence)
    return send(claimed, judged.plan, dict(judged.snapshot.stamps), actor=actor)


def send(attempt: Attempt, steps: tuple[Step, ...], stamps: Mapping[str, str], *, actor: Actor) -> Proposal:
    """Send the steps of an attempt that is written, store what was answered, and read back."""
    proposal = attempt.proposal
    if proposal.seeded:
        raise Denied(f"{proposal.ref} is a seeded test and is never sent", code="seeded")
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
                note=partial(_note, attempt, place, actor),
            )
            reach("S8")
            if isinstance(answer, Accepted):
                break
            expect = dict(answer.stamps)
            if place + 1 < len(steps):
                _advance(attempt, place + 1, answer)
    except LostFence:
        return _reload(proposal)
    except Held as held:
        return _held(attempt, held, actor)
    except AdapterError as refusal:
        connections.drop(proposal.connection.name)
        return _refused(attempt, refusal, actor)
    except Exception as fault:  # noqa: BLE001 a bug after the first byte is a lost answer, never a failure
        connections.drop(proposal.connection.name)
        return _refused(attempt, InDoubt(f"the adapter broke off ({type(fault).__name__})"), actor)
    if isinstance(answer, Accepted):
        return _accepted(attempt, answer, actor)
    at = _answered(attempt, answer, actor)
    reach("S9")
    return readback.ask(proposal, attempt, at=at, actor=actor) if at is not None else _reload(proposal)


def _is_there_already(proposal: Proposal, approved: Assessment, judged: Judged) -> bool:
    """Whether the system shows our reference before we ever sent it: our own database came back from a backup.

    Where the system guards the stamp this needs no question: a record that we had written has another stamp, and
    another stamp is another digest.
    """
    carried = spec(proposal.connection.name).adapter.types[judged.type.name]
    # Of what is done by hand, or on the system's word alone, there is nothing to see.
    if carried.on_word or carried.effect in {EffectClass.GUARDED, EffectClass.BY_HAND}:
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
    return seen.look(proposal.connection.name, sought).seen is not Seen.ABSENT


@tracing.step("claim")
def _claim(proposal: Proposal, approved: Assessment, judged: Judged, actor: Actor) -> Attempt | None:
    try:
        with transaction.atomic():
            row = locked(proposal, skip_locked=True)
            if row is None or row.state != State.APPROVED or row.version != proposal.version:
                return None
            if why := _not_now(row, judged):
                Proposal.objects.filter(pk=row.pk).update(ring_at=Now() + AGAIN, state_reason=why[:500])
                return None
            if by_hand.is_task(row):
                _hand_over(row, approved, actor)
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
            attempt = new_attempt(row, approved, judged.plan, dict(judged.snapshot.stamps))
            reach("S3")
            return attempt
    except (Conflict, IntegrityError):
        return None


def _hand_over(row: Proposal, approved: Assessment, actor: Actor) -> None:
    """Nothing is sent: from here on it is for a person to do, and to say so."""
    Claim.objects.filter(proposal=row).delete()  # who looked at it for a decision has not taken it on
    move(
        row,
        State.AWAITING_PERSON,
        actor=actor,
        verb="task.hand_over",
        detail={"digest": approved.digest, "assessment": approved.number},
        ring_at=by_hand.deadline(row.due, row.db_now),
    )


def new_attempt(
    row: Proposal, approved: Assessment, steps: tuple[Step, ...], stamps: Mapping[str, str]
) -> Attempt:
    """Write an attempt for a row that is claimed, in the caller's transaction."""
    found = spec(row.connection.name)
    return ATTEMPT.one(
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
    )


def _note(
    attempt: Attempt, place: int, actor: Actor, about: Mapping[str, Any], shown: Sequence[Exhibit] = ()
) -> None:
    """Durable when it returns: this worker still holds the fence, nothing stops it, and it is about to do this."""
    with transaction.atomic():
        access.check_may_go_on(attempt.proposal)
        _check_rule_stands(attempt)
        values = audit.entry(
            "commit.note",
            actor=actor,
            chain=audit.proposal_chain(attempt.proposal),
            subject=attempt.proposal.ref,
            proposal=attempt.proposal,
            detail={"attempt": attempt.number, "step": attempt.steps[place]["name"]},
        )
        values |= {"pk": attempt.proposal_id, "fence": attempt.fence, "lease": LEASE}
        values |= {"attempt": attempt.pk, "place": place, "about": Jsonb(dict(about))}
        with connection.cursor() as cursor:
            cursor.execute(NOTE, values)
            if cursor.rowcount != 1:
                raise LostFence
        exhibits.keep(attempt.proposal, shown, actor=actor, attempt=attempt)
    reach("S6b")


def _check_rule_stands(attempt: Attempt) -> None:
    """What a rule let pass stops where the rule was taken away since the claim; what people approved goes on."""
    if attempt.proposal.autonomy == Autonomy.SAMPLED and not policy.passes(
        review.standing(attempt.proposal, attempt.assessment)
    ):
        raise Held("the sampling rule does not cover it any more", code="rule_gone")


def _advance(attempt: Attempt, place: int, receipt: Receipt) -> None:
    attempt.step, attempt.stamps = place, dict(receipt.stamps)
    attempt.document, attempt.label = receipt.document[:100], receipt.label[:200]
    Attempt.objects.filter(pk=attempt.pk).update(
        step=place, document=attempt.document, label=attempt.label, stamps=attempt.stamps
    )


def _answered(attempt: Attempt, receipt: Receipt | None, actor: Actor) -> dt.datetime | None:
    """Store the answer and renew the lease. The database's time, or None when somebody else has taken over."""
    attempt.outcome = Outcome.ANSWERED
    attempt.document = receipt.document[:100] if receipt is not None else ""
    attempt.label = receipt.label[:200] if receipt is not None else ""
    attempt.evidence = dict(receipt.evidence) if receipt is not None else {}
    attempt.step = max(len(attempt.steps) - 1, 0)
    values: dict[str, Any] = {
        "outcome": attempt.outcome.value,
        "document": attempt.document,
        "label": attempt.label,
        "evidence": Jsonb(attempt.evidence),
        "step": attempt.step,
        "attempt": attempt.pk,
        "pk": attempt.proposal_id,
        "fence": attempt.fence,
        "lease": LEASE,
    }
    with connection.cursor() as cursor:
        cursor.execute(ANSWERED, values)
        kept = cursor.fetchone()
    if receipt is not None and receipt.exhibits:
        with transaction.atomic():
            exhibits.keep(attempt.proposal, receipt.exhibits, actor=actor, attempt=attempt)
    return kept[0] if kept is not None else None


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
        for early in Callback.objects.filter(proposal=row, hearing__isnull=True).values_list("pk", flat=True):
            dispatch.after_commit("console.tasks.judge_callback", early)
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
    outcome = next((found for kind, found in OUTCOMES.items() if isinstance(refusal, kind)), Outcome.IN_DOUBT)
    # One note of this attempt is the step that was not sent; a second one is a step that may have been.
    untouched = not readback.sent_before(attempt) and attempt.notes.count() <= 1
    with transaction.atomic():
        row = locked(attempt.proposal)
        if row is None or row.fence != attempt.fence or row.state != State.COMMITTING:
            return _reload(attempt.proposal)
        Attempt.objects.filter(pk=attempt.pk).update(
            outcome=outcome, text=refusal.text[:500], evidence=dict(refusal.evidence), answered_at=Now()
        )
        exhibits.keep(row, refusal.exhibits, actor=actor, attempt=attempt)
        if alarm := str(refusal.evidence.get("alarm", "")):
            incidents.open_incident(
                kind="alarm",
                title=f"{row.ref}: {alarm}",
                dedupe=f"alarm:{row.ref}:{attempt.number}",
                lifts="Look at the evidence of the attempt and in the system, and say what it was.",
                connection=row.connection,
                proposal=row,
                actor=actor,
            )
        if outcome == Outcome.NOT_SENT and untouched:
            return _back_to_approved(row, actor, refusal.text)
        if outcome == Outcome.IN_DOUBT:
            audit.record(
                "commit.in_doubt",
                actor=actor,
                chain=audit.proposal_chain(row),
                subject=row.ref,
                proposal=row,
                detail={
                    "text": refusal.text[:300],
                    "notes": attempt.notes.count(),
                    "attempt": attempt.number,
                },
            )
            Proposal.objects.filter(pk=row.pk).update(
                state_reason=f"The answer was lost: {refusal.text}"[:500]
            )
    return readback.read_back(attempt.proposal, actor=actor, fence=attempt.fence)


def _held(attempt: Attempt, held: Held, actor: Actor) -> Proposal:
    """Stopped between claim and send: approved again if nothing left, else the rest waits for the hold to end."""
    with transaction.atomic():
        row = locked(attempt.proposal)
        if row is None or row.fence != attempt.fence or row.state != State.COMMITTING:
            return _reload(attempt.proposal)
        if not readback.sent_before(attempt) and not attempt.notes.exists():
            Attempt.objects.filter(pk=attempt.pk).update(
                outcome=Outcome.NOT_SENT, text=held.text[:500], answered_at=Now()
            )
            return _back_to_approved(row, actor, held.text)
        Proposal.objects.filter(pk=row.pk).update(
            lease_until=None, ring_at=Now() + AGAIN, state_reason=held.text[:500]
        )
    return _reload(attempt.proposal)


def _back_to_approved(row: Proposal, actor: Actor, why: str) -> Proposal:
    return move(
        row,
        State.APPROVED,
        actor=actor,
        verb="commit.away",
        reason=why,
        lease_until=None,
        ring_at=Now() + AGAIN,
    )


def _what_moved(judged: Judged, approved: Assessment) -> str:
    if judged.type.version != approved.type_version:
        return "the transaction type has a newer version since it was approved"
    if judged.policy_version != approved.policy_version:
        return "the rules or limits were changed since it was approved"
    if judged.digest == approved.digest:
        return rests.moved(approved.rests, judged.rests)
    return "the record moved since it was approved"


def _check_founded(judged: Judged) -> None:
    """Return if everything it rests on can be relied on at this moment; Held names the first that cannot."""
    for one in readings_are_usable(judged.rests):
        if one.level is Level.ERROR:
            raise Held(f"It waits and nothing was sent. {one.text}", code="unfounded")


def _check_account(proposal: Proposal) -> None:
    if by_hand.is_task(proposal):
        return
    probe = PROBE.one(
        "t.connection_id = %s AND t.purpose = %s ORDER BY t.id DESC LIMIT 1",
        [proposal.connection_id, proposal.transaction_type],
    )
    login = connections.login(proposal.connection.name, proposal.transaction_type)
    if probe is None or probe.account != login:
        dispatch.ring("console.tasks.probe_accounts")
        raise Held(
            f"its service account {login} has not been probed yet; a worker does that now", code="not_probed"
        )
    if not probe.sound:
        faults = [*probe.excess, *probe.findings] or ["it did not refuse what it must refuse"]
        raise Held(f"its service account is not fit to write: {faults[0]}", code="account_not_sound")


def _not_now(row: Proposal, judged: Judged) -> str:
    """Why this locked, approved row may not be claimed at this moment, in words; "" if it may."""
    grant, now = limits.ground(row)
    try:
        access.check_grant_holds(row, grant)
    except Held as held:
        return held.text
    if row.expires_at <= row.db_now:  # the row was locked without a wait
        return "It has expired: it could not be sent in time."
    if now.version != judged.policy_version:
        return "The rules or limits are being changed; it is looked at again."
    if _busy(row, judged):
        return "Another proposal for the same document is being committed, or its outcome is unknown."
    return ""


def _busy(row: Proposal, judged: Judged) -> bool:
    """Whether another proposal for the same document is being committed, or nobody knows what became of it.

    One claim at a time per document, by whichever connection into its system: two that look at once would each see
    the other still approved.
    """
    if not row.target:
        return False
    record = judged.type.record
    names = [one.name for one in transaction_types().values() if one.record == record]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"document:{row.connection.system_id}:{record}:{row.target}"],
        )
        cursor.execute(BUSY, [row.connection.system_id, names, row.target, row.pk])
        found = cursor.fetchone()
    return found is None or bool(found[0])


def _later(proposal: Proposal, why: str) -> Proposal:
    Proposal.objects.filter(pk=proposal.pk, version=proposal.version).update(
        ring_at=Now() + AGAIN, state_reason=why[:500]
    )
    return _reload(proposal)


def _reload(proposal: Proposal) -> Proposal:
    return reload(proposal)
