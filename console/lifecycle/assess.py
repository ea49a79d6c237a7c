"""The second door, a worker's: read the target once, judge, freeze.

The assessment's digest covers everything a person approves: see `approved_form`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from console import access, checks, connections, diff, policy
from console.audit import Actor
from console.canonical import digest
from console.catalogue import transaction_type
from console.errors import Held
from console.findings import finding_json, verdict_json
from console.lifecycle import limits
from console.lifecycle.states import locked, move
from console.models import Assessment, Autonomy, Proposal, Revision, Risk, State
from integrations.contract import (
    AdapterError,
    Case,
    Facts,
    Finding,
    InDoubt,
    Level,
    Money,
    Record,
    Snapshot,
    Step,
    TransactionType,
    Unavailable,
)

AGAIN = dt.timedelta(seconds=20)


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
    policy_version: str
    digest: str


def assess(proposal: Proposal, *, actor: Actor) -> Proposal:
    """Judge the newest revision on the record as it is now.

    Ends in in_review, refused or shadowed. While the system is away or the proposal is held it stays received and
    is rung for again. Does nothing when it is not received.
    """
    if proposal.state != State.RECEIVED:
        return proposal
    revision = Revision.objects.get(proposal=proposal, number=proposal.revision)
    try:
        access.check_may_go_on(proposal)
        judged = look(proposal, revision)
    except Held as held:
        return _later(proposal, held.text)
    except (Unavailable, InDoubt) as away:
        connections.drop(proposal.connection.name)
        return _later(
            proposal, f"{proposal.connection.title} does not answer ({away.text}); it is tried again."
        )
    except AdapterError as refusal:
        return _refuse(proposal, actor, [Finding("system.refused", Level.ERROR, refusal.text)])
    return _freeze(proposal, revision, judged, actor)


def look(proposal: Proposal, revision: Revision) -> Judged:
    """Read the target, judge it, plan the commit. Raises AdapterError; writes nothing anywhere."""
    type_ = transaction_type(proposal.transaction_type)
    payload = type_.payload.model_validate_json(revision.payload)
    snapshot = connections.reader(proposal.connection.name).snapshot(type_, payload)
    case = Case(
        payload=payload, snapshot=snapshot, limits=limits.of_type(type_), today=dt.datetime.now(dt.UTC).date()
    )
    findings = checks.run(type_, case)
    expected: Record = snapshot.record
    plan: tuple[Step, ...] = ()
    if checks.worst(findings) is not Level.ERROR:
        expected = type_.outcome(payload, snapshot)
        plan = connections.writer(proposal.connection.name, type_.name).plan(
            type_, payload, snapshot, proposal.ref
        )
    version = limits.policy_version(type_)
    facts = type_.facts(case)
    return Judged(
        type=type_,
        payload=payload,
        snapshot=snapshot,
        expected=expected,
        plan=plan,
        facts=facts,
        findings=findings,
        policy_version=version,
        digest=digest(approved_form(proposal, revision, type_, snapshot, expected, plan, version)),
    )


def approved_form(
    proposal: Proposal,
    revision: Revision,
    type_: TransactionType,
    snapshot: Snapshot,
    expected: Record,
    plan: tuple[Step, ...],
    policy_version: str,
) -> dict[str, Any]:
    """What a digest is made of: the exact bytes to be sent, the stamps they hold for, and what judged them."""
    return {
        "ref": proposal.ref,
        "transaction_type": type_.name,
        "type_version": type_.version,
        "connection": proposal.connection.name,
        "target": snapshot.target,
        "revision": revision.digest,
        "stamps": dict(snapshot.stamps),
        "expected": record_json(expected),
        "plan": [step_json(step) for step in plan],
        "policy_version": policy_version,
    }


def record_json(record: Record) -> dict[str, Any]:
    """A record as JSON."""
    return {
        "fields": dict(record.fields),
        "lines": {name: [dict(line) for line in lines] for name, lines in record.lines.items()},
    }


def record_from(value: Mapping[str, Any]) -> Record:
    """A record from its JSON."""
    return Record(
        fields=value["fields"], lines={name: tuple(lines) for name, lines in value["lines"].items()}
    )


def step_json(step: Step) -> dict[str, Any]:
    """A step as JSON."""
    return {"name": step.name, "text": step.text, "request": dict(step.request)}


def step_from(value: Mapping[str, Any]) -> Step:
    """A step from its JSON."""
    return Step(name=value["name"], text=value["text"], request=value["request"])


def snapshot_json(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot as JSON."""
    return {
        "target": snapshot.target,
        "label": snapshot.label,
        "record": record_json(snapshot.record),
        "context": dict(snapshot.context),
        "stamps": dict(snapshot.stamps),
        "as_of": snapshot.as_of.isoformat(),
        "source": snapshot.source,
    }


def snapshot_from(value: Mapping[str, Any]) -> Snapshot:
    """A snapshot from its JSON."""
    return Snapshot(
        target=value["target"],
        label=value["label"],
        record=record_from(value["record"]),
        context=value["context"],
        stamps=value["stamps"],
        as_of=dt.datetime.fromisoformat(value["as_of"]),
        source=value["source"],
    )


def facts_json(facts: Facts) -> dict[str, Any]:
    """Facts as JSON."""
    return {
        **asdict(facts),
        "value": facts.value.model_dump() if facts.value is not None else None,
        "reversible_until": facts.reversible_until.isoformat() if facts.reversible_until else None,
        "due": facts.due.isoformat() if facts.due else None,
    }


def facts_from(value: Mapping[str, Any]) -> Facts:
    """Facts from their JSON."""
    return Facts(
        **{
            **value,
            "value": Money(**value["value"]) if value["value"] else None,
            "reversible_until": dt.date.fromisoformat(value["reversible_until"])
            if value["reversible_until"]
            else None,
            "due": dt.date.fromisoformat(value["due"]) if value["due"] else None,
        }
    )


def risk_of(facts: Facts, findings: tuple[Finding, ...]) -> Risk:
    """High for what cannot be undone or reaches the books with a warning; medium for a warning or the floor."""
    warned = checks.worst(findings) is Level.WARNING
    if not facts.reversible or (warned and facts.books):
        return Risk.HIGH
    return Risk.MEDIUM if warned or facts.floor else Risk.LOW


def _freeze(proposal: Proposal, revision: Revision, judged: Judged, actor: Actor) -> Proposal:
    verdicts = policy.judge(
        policy.Situation(
            facts=judged.facts, findings=judged.findings, agreements=(), limits=limits.of_policy()
        )
    )
    with transaction.atomic():
        row = locked(proposal)
        if row is None or row.state != State.RECEIVED or row.version != proposal.version:
            return row or proposal
        last = row.assessments.order_by("-number").first()
        moved: list[dict[str, Any]] = []
        if last is not None:
            before = record_from(last.snapshot["record"])
            moved = [asdict(one) for one in diff.moved(before, judged.snapshot.record, judged.type.fields)]
        assessment = Assessment.objects.create(
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
            digest=judged.digest,
            as_of=judged.snapshot.as_of,
            created_at=Now(),
        )
        errors = [finding for finding in judged.findings if finding.level is Level.ERROR]
        if errors:
            to, verb, reason = State.REFUSED, "proposal.refuse", errors[0].text
        elif row.autonomy == Autonomy.SHADOW:
            to, verb, reason = State.SHADOWED, "proposal.shadow", ""
        else:
            to, verb, reason = State.IN_REVIEW, "proposal.assess", ""
        value = judged.facts.value
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
            ring_at=None,
        )
    return row


def _refuse(proposal: Proposal, actor: Actor, findings: list[Finding]) -> Proposal:
    with transaction.atomic():
        row = locked(proposal)
        if row is None or row.state != State.RECEIVED or row.version != proposal.version:
            return row or proposal
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
