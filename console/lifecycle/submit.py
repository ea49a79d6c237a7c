"""The first door: what an agent sends becomes a proposal, durably, before anything else happens.

Needs no ERP. All faults are reported at once; nothing is stored of what is refused.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now
from pydantic import Field, StringConstraints

from console import access, audit, dispatch, references
from console.audit import Actor
from console.canonical import canonical, text_digest
from console.catalogue import spec, transaction_type
from console.checks.shape import parse, validated
from console.errors import Conflict, Exhausted, Missing, Refused
from console.lifecycle.states import locked, move, moved_on
from console.models import (
    PENDING,
    AgentVersion,
    Cited,
    Grant,
    IdempotencyKey,
    Proposal,
    Reading,
    Revision,
    State,
)
from integrations.contract import Closed, Finding, Level, TransactionType

BELL = dt.timedelta(seconds=settings.BELL_SECONDS)
"""How long a bell may stay unheard before the sweep rings again."""

WAITING = """
SELECT count(*) FROM (
    SELECT FROM console_proposal p JOIN console_agentversion v ON v.id = p.agent_version_id
    WHERE v.agent_id = %s AND p.state = ANY(%s) LIMIT %s) waiting
"""

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
    parse(raw)
    envelope = validated(Envelope, raw.decode())
    type_ = transaction_type(envelope.transaction_type)
    grant = access.granted(version, Grant.TYPE, type_.name, envelope.connection or "")
    text = _canonical_payload(envelope.payload)
    payload = validated(type_.payload, text, "payload")
    check_carried(type_, grant.connection.name, payload)
    readings = _own_readings(version, envelope.readings)
    reverses = _reversed(version, envelope.reverses)
    return Parsed(envelope, type_, grant, payload, text, readings, reverses)


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
    access.check_not_stopped(
        system=parsed.grant.connection.system.slug, type_name=parsed.type.name, agent=version.agent.slug
    )
    with transaction.atomic():
        _only_one(f"key:{version.agent_id}:{key}")
        if (known := _replay(version, key, fingerprint)) is not None:
            return Submitted(known, replayed=True)
        _check_room(version)
        proposal = _store(version, parsed, actor)
        IdempotencyKey.objects.create(
            agent_id=version.agent_id,
            key=key,
            fingerprint=fingerprint,
            status=202,
            proposal=proposal,
            created_at=Now(),
        )
    return Submitted(proposal, replayed=False)


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
    text = _canonical_payload(envelope.payload)
    payload = validated(type_.payload, text, "payload")
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
        revision = Revision.objects.create(
            proposal=row,
            number=number,
            payload=text,
            digest=text_digest(text),
            rationale=envelope.rationale,
            by_agent=version,
            created_at=Now(),
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


def _store(version: AgentVersion, parsed: Parsed, actor: Actor) -> Proposal:
    proposal = Proposal.objects.create(
        ref=references.new("CS"),
        agent_version=version,
        grant=parsed.grant,
        connection=parsed.grant.connection,
        transaction_type=parsed.type.name,
        type_version=parsed.type.version,
        autonomy=parsed.grant.autonomy,
        target=parsed.type.target(parsed.payload) or "",
        reverses=parsed.reverses,
        state_since=Now(),
        submitted_at=Now(),
        expires_at=Now() + dt.timedelta(minutes=parsed.envelope.expires_in_minutes),
        ring_at=Now() + BELL,
    )
    revision = Revision.objects.create(
        proposal=proposal,
        number=1,
        payload=parsed.payload_text,
        digest=text_digest(parsed.payload_text),
        rationale=parsed.envelope.rationale,
        by_agent=version,
        created_at=Now(),
    )
    if parsed.readings:
        Cited.objects.bulk_create(Cited(revision=revision, reading=reading) for reading in parsed.readings)
    audit.record(
        "proposal.submit",
        actor=actor,
        chain=audit.proposal_chain(proposal),
        subject=proposal.ref,
        proposal=proposal,
        proposal_version=0,
        detail={
            "to": State.RECEIVED.value,
            "transaction_type": parsed.type.name,
            "type_version": parsed.type.version,
            "connection": parsed.grant.connection.name,
            "digest": revision.digest,
            "readings": [reading.ref for reading in parsed.readings],
        },
    )
    dispatch.after_commit("console.tasks.assess", proposal.pk)
    return proposal


def _replay(version: AgentVersion, key: str, fingerprint: str) -> Proposal | None:
    known = (
        IdempotencyKey.objects.filter(agent_id=version.agent_id, key=key)
        .select_related("proposal__agent_version__agent", "proposal__connection__system", "proposal__grant")
        .first()
    )
    if known is None:
        return None
    if known.fingerprint != fingerprint:
        raise Refused(
            "this Idempotency-Key came with another body before; use a new key for a new proposal",
            code="key_reused",
        )
    return known.proposal


def _only_one(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [name])
        row = cursor.fetchone()
    if row is None or not row[0]:
        raise Conflict(
            "a request with this Idempotency-Key is being worked on; repeat it in a second",
            code="key_running",
        )


def _check_room(version: AgentVersion) -> None:
    """Exact also when many submit at once: one at a time per agent, until its transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"room:{version.agent_id}"])
    cap = version.agent.pending_cap
    with connection.cursor() as cursor:
        cursor.execute(WAITING, [version.agent_id, [state.value for state in PENDING], cap])
        (pending,) = cursor.fetchone() or (cap,)
    if pending >= cap:
        raise Exhausted(
            f"{cap} proposals of this agent wait already; withdraw some, or wait for decisions",
            retry_after=60,
            code="too_many_pending",
        )


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
    faults = [
        Finding(
            "readings.unknown",
            Level.ERROR,
            f"You have no reading {ref}.",
            field=f"readings.{place}",
            hint="Cite the references that `reads` gave you.",
        )
        for place, ref in enumerate(refs)
        if ref not in found
    ]
    if faults:
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
    if proposal.agent_version.agent_id != version.agent_id:
        raise Missing(f"there is no proposal {proposal.ref}")
