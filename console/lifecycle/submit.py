"""The first door: what an agent sends becomes a proposal, durably, before anything else happens.

Needs no ERP. All faults are reported at once; nothing is stored of what is refused.

The file is long because everything that may refuse a proposal stands in one order.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now
from pydantic import Field, StringConstraints

from console import access, audit, dispatch, references, tracing
from console.audit import Actor
from console.canonical import canonical, text_digest
from console.catalogue import spec, transaction_type
from console.checks.readings import unknown
from console.checks.shape import parse, validated
from console.errors import Conflict, Exhausted, Missing, Refused
from console.lifecycle.states import locked, move, moved_on
from console.models import (
    PENDING,
    AgentVersion,
    Cited,
    Grant,
    Proposal,
    Reading,
    Revision,
    State,
)
from console.models.loading import Fetch, Insert
from integrations.contract import Closed, Finding, Level, TransactionType

BELL = dt.timedelta(seconds=settings.BELL_SECONDS)
"""How long a bell may stay unheard before the sweep rings again."""

LOCKS = """
SELECT CASE WHEN pg_try_advisory_xact_lock(hashtextextended(%s, 0))
    THEN (SELECT true FROM pg_advisory_xact_lock(hashtextextended(%s, 0))) ELSE false END
"""
"""One at a time per key, or not at all; then one at a time per agent, until its transaction ends."""

ROOM = f"""
SELECT EXISTS (SELECT FROM console_idempotencykey WHERE agent_id = %s AND key = %s), (SELECT count(*) FROM (
    SELECT FROM console_proposal p JOIN console_agentversion v ON v.id = p.agent_version_id
    WHERE v.agent_id = %s AND NOT p.seeded AND p.state IN ({", ".join(f"'{state.value}'" for state in PENDING)})
    LIMIT %s) waiting)
"""  # noqa: S608 our own words, written out so that the index over these states fits

STORE = f"""
WITH made AS (
    INSERT INTO console_proposal (ref, agent_version_id, grant_id, connection_id, transaction_type, type_version,
        autonomy, target, label, state, version, state_since, state_reason, revision, risk, value_currency,
        submitted_at, expires_at, fence, ring_at, attempts_made, reverses_id, traceparent)
    VALUES (%(ref)s, %(version)s, %(grant)s, %(connection)s, %(type)s, %(type_version)s, %(autonomy)s, %(target)s, '',
        %(state)s, 0, statement_timestamp(), '', 1, 0, '', statement_timestamp(),
        statement_timestamp() + %(expires)s, 0, statement_timestamp() + %(bell)s, 0, %(reverses)s, %(traceparent)s)
    RETURNING id
), revised AS (
    INSERT INTO console_revision (proposal_id, number, payload, digest, rationale, by_agent_id, created_at)
    SELECT id, 1, %(payload)s, %(digest)s, %(rationale)s, %(version)s, statement_timestamp() FROM made
    RETURNING id
), kept AS (
    INSERT INTO console_idempotencykey (agent_id, key, fingerprint, status, proposal_id, created_at)
    SELECT %(agent)s, %(key)s, %(fingerprint)s, 202, id, statement_timestamp() FROM made
), told AS ({audit.INTO} SELECT id, {audit.VALUES} FROM made)
SELECT made.id, revised.id FROM made, revised
"""  # noqa: S608 the same
"""A proposal with its first revision, its key and its entry."""

KNOWN = Fetch(
    Proposal,
    "agent_version__agent",
    "connection__system",
    "grant",
    asks="(SELECT k.fingerprint FROM console_idempotencykey k WHERE k.proposal_id = t.id)",
)
REVISED = Insert(Revision, now=("created_at",))

Ref = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}-[0-9A-HJKMNP-TV-Z]{12}$")]


class Envelope(Closed):
    """What an agent sends to propose: one transaction type on one target, and why."""

    transaction_type: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{2,63}$")] = Field(
        description="The name of a transaction type that `tools` lists for you."
    )
    connection: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,50}$")] | None = Field(
        default=None,
        description="The connection to write through; may be left out if you have only one for this type.",
    )
    payload: dict[str, Any] = Field(description="Fits the transaction type's own schema.")
    rationale: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)] = (
        Field(description="Why, in plain words for the person who decides. Shown as your claim.")
    )
    readings: list[Ref] = Field(
        default_factory=list, max_length=50, description="References of the readings this rests on."
    )
    expires_in_minutes: Annotated[int, Field(ge=5, le=20160)] = Field(
        default=4320,
        description="How long a decision is still useful: 5 minutes to 14 days, 3 days if left out.",
    )
    reverses: Ref | None = Field(default=None, description="The committed proposal that this one corrects.")


class RevisionEnvelope(Closed):
    """What an agent sends after changes were requested: a new payload and why."""

    payload: dict[str, Any] = Field(description="The whole new payload.")
    rationale: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)] = (
        Field(description="What changed and why.")
    )
    readings: list[Ref] = Field(
        default_factory=list, max_length=50, description="Readings this revision rests on."
    )


@dataclass(frozen=True)
class Parsed:
    """An envelope that is right in form, and may be used by this version."""

    envelope: Envelope
    type: TransactionType
    grant: Grant
    payload: Any
    payload_text: str
    readings: tuple[Reading, ...]
    reverses: Proposal | None


@dataclass(frozen=True)
class Submitted:
    """What submitting gave: the proposal, and whether this was a repeat of an earlier call."""

    proposal: Proposal
    replayed: bool


def read_envelope(version: AgentVersion, raw: bytes) -> Parsed:
    """Bytes to a parsed envelope. Refused with every fault at once; Denied or Held when the grant says no."""
    envelope = read_form(raw)
    type_ = transaction_type(envelope.transaction_type)
    grant = access.granted(version, Grant.TYPE, type_.name, envelope.connection or "")
    payload, text = read_payload(type_, envelope)
    check_carried(type_, grant.connection.name, payload)
    readings = _own_readings(version, envelope.readings)
    reverses = _reversed(version, envelope.reverses)
    return Parsed(envelope, type_, grant, payload, text, readings, reverses)


def read_form(raw: bytes) -> Envelope:
    """Bytes to an envelope, right in form. Refused with every fault at once."""
    parse(raw)
    return validated(Envelope, raw.decode())


def read_payload(type_: TransactionType, envelope: Envelope | RevisionEnvelope) -> tuple[Any, str]:
    """The payload as its type's model, and its canonical text. Refused with every fault at once."""
    text = _canonical_payload(envelope.payload)
    return validated(type_.payload, text, "payload"), text


@tracing.step("submit")
def submit(version: AgentVersion, *, raw: bytes, key: str, actor: Actor) -> Submitted:
    """Store one proposal, once per `key`, and ring for its assessment.

    `raw` is the request's body, `key` the client's `Idempotency-Key`. Raises Refused (all faults at once), Denied
    (no grant), Held (frozen or stopped), Exhausted (too many pending), Conflict (the same key is being worked on,
    code "key_running", or came with another body, code "key_reused").
    """
    fingerprint = text_digest("submit\n") + text_digest(raw.decode("utf-8", "replace"))
    fingerprint = text_digest(fingerprint)
    if (known := _replay(version, key, fingerprint)) is not None:
        return Submitted(known, replayed=True)
    parsed = read_envelope(version, raw)
    if parsed.grant.asked:
        access.check_not_stopped(
            system=parsed.grant.connection.system.slug, type_name=parsed.type.name, agent=version.agent.slug
        )
    with transaction.atomic():
        if not _room(version, key) and (known := _replay(version, key, fingerprint)) is not None:
            return Submitted(known, replayed=True)
        return Submitted(_store(version, parsed, key, fingerprint, actor), replayed=False)


@tracing.step("revise")
def revise(proposal: Proposal, version: AgentVersion, *, raw: bytes, actor: Actor) -> Proposal:
    """A new revision by the agent, after changes were requested. It is received and assessed again.

    Raises Refused, Missing (not this agent's), Conflict (changes were not requested), Denied, Held.
    """
    _check_own(proposal, version)
    parse(raw)
    envelope = validated(RevisionEnvelope, raw.decode())
    type_ = transaction_type(proposal.transaction_type)
    access.check_may_go_on(proposal)
    access.granted(version, Grant.TYPE, type_.name, proposal.connection.name)
    payload, text = read_payload(type_, envelope)
    check_carried(type_, proposal.connection.name, payload)
    if (type_.target(payload) or "") != proposal.target:
        raise Refused(
            f"a revision stays on its target {proposal.target or '(a new document)'}; propose anew for another",
            code="other_target",
        )
    readings = _own_readings(version, envelope.readings)
    with transaction.atomic():
        row = locked(proposal)
        if row is None or row.state != State.CHANGES_REQUESTED:
            raise moved_on(proposal)
        number = row.revision + 1
        revision = REVISED.one(
            proposal=row,
            number=number,
            payload=text,
            digest=text_digest(text),
            rationale=envelope.rationale,
            by_agent=version,
        )
        Cited.objects.bulk_create(Cited(revision=revision, reading=reading) for reading in readings)
        move(
            row,
            State.RECEIVED,
            actor=actor,
            verb="proposal.revise",
            revision=number,
            ring_at=Now() + BELL,
            detail={"revision": number, "digest": revision.digest},
        )
        dispatch.after_commit("console.tasks.assess", row.pk)
    return row


@tracing.step("withdraw")
def withdraw(proposal: Proposal, version: AgentVersion, *, reason: str, actor: Actor) -> Proposal:
    """The agent takes it back, while nothing was sent. Conflict says what it is now, and who was first."""
    _check_own(proposal, version)
    with transaction.atomic():
        row = locked(proposal)
        if row is None:
            raise Missing(f"there is no proposal {proposal.ref}")
        if State(row.state) not in {State.RECEIVED, State.IN_REVIEW, State.CHANGES_REQUESTED, State.APPROVED}:
            raise moved_on(row)
        return move(row, State.WITHDRAWN, actor=actor, verb="proposal.withdraw", reason=reason, ring_at=None)


def validate(version: AgentVersion, *, raw: bytes) -> tuple[Parsed | None, tuple[Finding, ...]]:
    """Judge the form and store nothing: the parsed envelope, or None and every fault at once."""
    try:
        return read_envelope(version, raw), ()
    except Refused as refused:
        return None, refused.findings or (Finding(refused.code, Level.ERROR, refused.text),)


def _store(version: AgentVersion, parsed: Parsed, key: str, fingerprint: str, actor: Actor) -> Proposal:
    grant, type_ = parsed.grant, parsed.type
    known: dict[str, Any] = {
        "ref": references.new("CS"),
        "agent_version": version,
        "grant": grant,
        "connection": grant.connection,
        "transaction_type": type_.name,
        "type_version": type_.version,
        "autonomy": grant.autonomy,
        "target": type_.target(parsed.payload) or "",
        "reverses": parsed.reverses,
        "traceparent": tracing.carried(),
    }
    proposal = Proposal(**known)
    digest = text_digest(parsed.payload_text)
    values = audit.entry(
        "proposal.submit",
        actor=actor,
        chain=audit.proposal_chain(proposal),
        subject=proposal.ref,
        proposal=proposal,
        proposal_version=0,
        detail={
            "to": State.RECEIVED.value,
            "transaction_type": type_.name,
            "type_version": type_.version,
            "connection": grant.connection.name,
            "digest": digest,
            "readings": [reading.ref for reading in parsed.readings],
        },
    )
    values |= {
        "ref": proposal.ref,
        "version": version.pk,
        "grant": grant.pk,
        "connection": grant.connection_id,
        "type": type_.name,
        "type_version": type_.version,
        "autonomy": grant.autonomy,
        "target": proposal.target,
        "state": State.RECEIVED.value,
        "expires": dt.timedelta(minutes=parsed.envelope.expires_in_minutes),
        "bell": BELL,
        "reverses": parsed.reverses.pk if parsed.reverses is not None else None,
        "traceparent": proposal.traceparent,
        "payload": parsed.payload_text,
        "digest": digest,
        "rationale": parsed.envelope.rationale,
        "agent": version.agent_id,
        "key": key,
        "fingerprint": fingerprint,
    }
    with connection.cursor() as cursor:
        cursor.execute(STORE, values)
        proposal.pk, revision = cursor.fetchone() or (0, 0)
    proposal._state.adding = False  # noqa: SLF001 it is stored, and what the database gave it is read when asked for
    for name in ("state_since", "submitted_at", "expires_at", "ring_at"):
        del vars(proposal)[name]
    if parsed.readings:
        Cited.objects.bulk_create(Cited(revision_id=revision, reading=reading) for reading in parsed.readings)
    dispatch.after_commit("console.tasks.assess", proposal.pk)
    return proposal


def _replay(version: AgentVersion, key: str, fingerprint: str) -> Proposal | None:
    known = KNOWN.one(
        "t.id = (SELECT proposal_id FROM console_idempotencykey WHERE agent_id = %s AND key = %s)",
        [version.agent_id, key],
    )
    if known is None:
        return None
    if known.asked != fingerprint:
        raise Refused(
            "this Idempotency-Key came with another body before; use a new key for a new proposal",
            code="key_reused",
        )
    return known


def _room(version: AgentVersion, key: str) -> bool:
    """Whether this key is new; until the transaction ends nobody else uses it, and nobody submits for this agent.

    Exact also when many submit at once. Conflict while the same key is being worked on, Exhausted when as many wait
    as may.
    """
    cap = version.agent.pending_cap
    with connection.cursor() as cursor:
        cursor.execute(LOCKS, [f"key:{version.agent_id}:{key}", f"room:{version.agent_id}"])
        locked_now = cursor.fetchone()
        if locked_now is None or not locked_now[0]:
            raise Conflict(
                "a request with this Idempotency-Key is being worked on; repeat it in a second",
                code="key_running",
            )
        cursor.execute(ROOM, [version.agent_id, key, version.agent_id, cap])
        known, pending = cursor.fetchone() or (False, cap)
    if known:
        return False
    if pending >= cap:
        raise Exhausted(
            f"{cap} proposals of this agent wait already; withdraw some, or wait for decisions",
            retry_after=60,
            code="too_many_pending",
        )
    return True


def _canonical_payload(payload: dict[str, Any]) -> str:
    try:
        return canonical(payload)
    except ValueError as error:
        raise Refused(str(error), code="not_canonical") from None


def check_carried(type_: TransactionType, connection_name: str, payload: Any) -> None:
    """Return if the connection can carry every field of this payload; Refused with every field it cannot."""
    carried = spec(connection_name).adapter.types.get(type_.name)
    if carried is None:
        raise Refused(f"connection {connection_name} does not carry {type_.name}", code="unsupported")
    sent = payload.model_dump(exclude_unset=True)
    faults = [
        Finding(
            "carry.unsupported",
            Level.ERROR,
            f"Connection {connection_name} cannot carry {path}.",
            field=f"payload.{path}",
            hint="Leave it out, or propose through a connection that carries it.",
        )
        for path in sorted(carried.unsupported)
        if _has(sent, path.split("."))
    ]
    if faults:
        raise Refused("the connection cannot carry every field", findings=faults, code="unsupported")


def _has(value: Any, path: list[str]) -> bool:
    if not path:
        return value is not None
    head, rest = path[0], path[1:]
    if head.endswith("[]"):
        return any(_has(part, rest) for part in value.get(head[:-2]) or ())
    return isinstance(value, dict) and head in value and _has(value[head], rest)


def _own_readings(version: AgentVersion, refs: list[str]) -> tuple[Reading, ...]:
    found = (
        {
            reading.ref: reading
            for reading in Reading.objects.filter(ref__in=refs, agent_version__agent=version.agent_id)
        }
        if refs
        else {}
    )
    if faults := unknown(refs, found):
        raise Refused("it rests on readings that are not there", findings=faults, code="unknown_reading")
    return tuple(found[ref] for ref in dict.fromkeys(refs))


def _reversed(version: AgentVersion, ref: str | None) -> Proposal | None:
    if ref is None:
        return None
    found = access.own(version).filter(ref=ref, state=State.COMMITTED).first()
    if found is None:
        raise Refused(f"you have no committed proposal {ref} to reverse", code="nothing_to_reverse")
    return found


def _check_own(proposal: Proposal, version: AgentVersion) -> None:
    if proposal.agent_version.agent_id != version.agent_id or proposal.seeded:
        raise Missing(f"there is no proposal {proposal.ref}")
