"""The second door, a worker's: read the target once, judge, freeze.

The assessment's digest covers everything a person approves: see `approved_form`.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from console import access, checks, connections, diff, policy, tracing
from console.audit import Actor
from console.canonical import digest
from console.catalogue import spec, transaction_type
from console.checks.readings import Rest, readings_are_usable
from console.errors import Held, Missing
from console.findings import finding_json, verdict_json
from console.lifecycle import by_hand, exhibits, limits, sampling
from console.lifecycle.frozen import (
    approved_form,
    facts_json,
    record_from,
    record_json,
    snapshot_json,
    step_json,
)
from console.lifecycle.states import locked, move
from console.models import Assessment, Autonomy, Proposal, Revision, Risk, State
from console.models.loading import Fetch, Insert
from console.reads import rests
from console.registry import screens
from integrations.contract import (
    AdapterError,
    Case,
    Exhibit,
    Facts,
    Finding,
    InDoubt,
    Level,
    Record,
    Snapshot,
    Stale,
    Step,
    TransactionType,
    Unavailable,
)

AGAIN = dt.timedelta(seconds=settings.AGAIN_SECONDS)
LEASE = dt.timedelta(seconds=settings.LEASE_SECONDS)
SHADOW_LOOK = dt.timedelta(seconds=settings.SHADOW_LOOK_SECONDS)
"""When it is looked for the first time what people did in its place: see `evals.shadow`."""

ASSESSMENT = Fetch(Assessment)
ASSESSED = Insert(Assessment, now=("created_at",))
REVISION = Fetch(Revision)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judged:
    """One look at a target: what `assess` freezes and `commit` compares with. All parts are JSON-able."""

    type: TransactionType
    payload: Any
    snapshot: Snapshot
    expected: Record
    plan: tuple[Step, ...]
    facts: Facts
    findings: tuple[Finding, ...]
    limits: Mapping[str, Decimal]
    """Those of policy; the digest has them in `policy_version`."""
    policy_version: str
    digest: str
    rests: tuple[Rest, ...] = ()
    """The readings it rests on, as they were at this look."""


@tracing.step("assess")
def assess(proposal: Proposal, *, actor: Actor) -> Proposal:
    """Judge the newest revision on the record as it is now.

    Ends in in_review, refused or shadowed. While the system is away or the proposal is held it stays received and
    is rung for again. Does nothing when it is not received.
    """
    if proposal.state != State.RECEIVED:
        return proposal
    revision = REVISION.one("t.proposal_id = %s AND t.number = %s", [proposal.pk, proposal.revision])
    if revision is None:
        raise Missing(f"{proposal.ref} has no revision {proposal.revision}")
    try:
        grant, now = limits.ground(proposal)
        access.check_grant_holds(proposal, grant)
        hush(proposal)
        judged = _rehearsed(proposal, look(proposal, revision, now))
    except Held as held:
        return _later(proposal, held.text)
    except (Unavailable, InDoubt) as away:
        connections.drop(proposal.connection.name)
        return _later(
            proposal, f"{proposal.connection.title} does not answer ({away.text}); it is tried again."
        )
    except AdapterError as refusal:
        found = [Finding("system.refused", Level.ERROR, refusal.text)]
        return _refuse(proposal, actor, found, refusal.exhibits)
    except Exception as fault:
        log.exception("%s could not be judged", proposal.ref)
        connections.drop(proposal.connection.name)
        return _later(proposal, f"It could not be judged ({type(fault).__name__}); it is tried again.")
    return _freeze(proposal, revision, judged, actor)


@tracing.step("look")
def look(proposal: Proposal, revision: Revision, held: limits.InForce) -> Judged:
    """Read the target and what the proposal rests on, judge, plan the commit. Writes nothing anywhere.

    Raises AdapterError for the target's system, and Held while another source that it rests on is away.
    """
    type_ = transaction_type(proposal.transaction_type)
    payload = type_.payload.model_validate_json(revision.payload)
    snapshot = connections.viewer(proposal.connection.name, type_.name).snapshot(type_, payload)
    case = Case(payload=payload, snapshot=snapshot, limits=held.of_type, today=dt.datetime.now(dt.UTC).date())
    rested = rests.look_again(proposal, revision)
    findings = (*checks.run(type_, case), *readings_are_usable(rested))
    expected: Record = snapshot.record
    plan: tuple[Step, ...] = ()
    if checks.worst(findings) is not Level.ERROR:
        expected = type_.outcome(payload, snapshot)
        if not by_hand.is_task(proposal):  # there is nothing to send for a task
            plan = connections.writer(proposal.connection.name, type_.name).plan(
                type_, payload, snapshot, proposal.ref
            )
        findings = (*findings, *screens.uncertified(proposal.connection, type_.name, plan))
    facts = type_.facts(case)
    return Judged(
        type=type_,
        payload=payload,
        snapshot=snapshot,
        expected=expected,
        plan=plan,
        facts=facts,
        findings=findings,
        limits=held.of_policy,
        policy_version=held.version,
        digest=digest(approved_form(proposal, revision, type_, snapshot, expected, plan, held.version)),
        rests=rested,
    )


def hush(proposal: Proposal) -> None:
    """At the last door a look takes as long as a whole commit elsewhere: no bell shall ring for it meanwhile."""
    if spec(proposal.connection.name).adapter.last_door:
        Proposal.objects.filter(pk=proposal.pk, version=proposal.version).update(ring_at=Now() + LEASE)


def _rehearsed(proposal: Proposal, judged: Judged) -> Judged:
    """At the last door: the same with what a dry run at the screen found. Raises AdapterError where it fails.

    Other adapters are asked without a rehearsal: what they would send is in the plan, word for word.
    """
    if not spec(proposal.connection.name).adapter.last_door or checks.worst(judged.findings) is Level.ERROR:
        return judged
    writer = connections.writer(proposal.connection.name, judged.type.name)
    try:
        found = [finding for step in judged.plan for finding in writer.rehearse(step)]
    except Stale as moved:
        raise Unavailable(moved.text) from None
    return replace(judged, findings=(*judged.findings, *found))


def risk_of(facts: Facts, findings: tuple[Finding, ...]) -> Risk:
    """High for what cannot be undone or reaches the books with a warning; medium for a warning or the floor."""
    warned = checks.worst(findings) is Level.WARNING
    if not facts.reversible or (warned and facts.books):
        return Risk.HIGH
    return Risk.MEDIUM if warned or facts.floor else Risk.LOW


def _freeze(proposal: Proposal, revision: Revision, judged: Judged, actor: Actor) -> Proposal:
    verdicts = policy.judge(
        policy.Situation(facts=judged.facts, findings=judged.findings, agreements=(), limits=judged.limits)
    )
    with transaction.atomic():
        row = locked(proposal)
        if row is None or row.state != State.RECEIVED or row.version != proposal.version:
            return row or proposal
        last = ASSESSMENT.one("t.proposal_id = %s ORDER BY t.number DESC LIMIT 1", [row.pk])
        moved: list[dict[str, Any]] = []
        if last is not None:
            before = record_from(last.snapshot["record"])
            moved = [asdict(one) for one in diff.moved(before, judged.snapshot.record, judged.type.fields)]
        assessment = ASSESSED.one(
            proposal=row,
            revision=revision,
            number=(last.number if last is not None else 0) + 1,
            type_version=judged.type.version,
            policy_version=judged.policy_version,
            snapshot=snapshot_json(judged.snapshot),
            expected=record_json(judged.expected),
            plan=[step_json(step) for step in judged.plan],
            facts=facts_json(judged.facts),
            findings=[finding_json(finding) for finding in judged.findings],
            verdicts=[verdict_json(verdict) for verdict in verdicts],
            moved=moved,
            rests=rests.frozen(judged.rests),
            digest=judged.digest,
            as_of=judged.snapshot.as_of,
        )
        exhibits.keep(row, judged.snapshot.exhibits, actor=actor, assessment=assessment)
        errors = [finding for finding in judged.findings if finding.level is Level.ERROR]
        if errors:
            to, verb, reason = State.REFUSED, "proposal.refuse", errors[0].text
        elif row.autonomy == Autonomy.SHADOW:
            to, verb = State.SHADOWED, "proposal.shadow"
            reason = access.rung(row.grant)
        else:
            to, verb, reason = State.IN_REVIEW, "proposal.assess", ""
        value = judged.facts.value
        ring = Now() + SHADOW_LOOK if to == State.SHADOWED else None
        move(
            row,
            to,
            actor=actor,
            verb=verb,
            reason=reason,
            detail={
                "assessment": assessment.number,
                "digest": assessment.digest,
                "findings": [finding.id for finding in judged.findings],
            },
            label=judged.snapshot.label[:200],
            target=judged.snapshot.target[:100],
            type_version=judged.type.version,
            risk=risk_of(judged.facts, judged.findings),
            value_amount=Decimal(value.amount) if value is not None else None,
            value_currency=value.currency if value is not None else "",
            due=judged.facts.due,
            ring_at=ring,
        )
        if to is State.IN_REVIEW and row.autonomy == Autonomy.SAMPLED:
            sampling.consider(row, assessment, judged.facts, judged.findings, judged.limits, actor=actor)
    return row


def _refuse(
    proposal: Proposal, actor: Actor, findings: list[Finding], shown: Sequence[Exhibit] = ()
) -> Proposal:
    with transaction.atomic():
        row = locked(proposal)
        if row is None or row.state != State.RECEIVED or row.version != proposal.version:
            return row or proposal
        exhibits.keep(row, shown, actor=actor)
        return move(
            row,
            State.REFUSED,
            actor=actor,
            verb="proposal.refuse",
            reason=findings[0].text,
            detail={"findings": [finding_json(finding) for finding in findings]},
            ring_at=None,
        )


def _later(proposal: Proposal, why: str) -> Proposal:
    Proposal.objects.filter(pk=proposal.pk, version=proposal.version).update(
        ring_at=Now() + AGAIN, state_reason=why[:500]
    )
    proposal.state_reason = why[:500]
    return proposal
