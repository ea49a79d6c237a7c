"""Judge what an agent means to propose, and store nothing.

Shape first, then the rules against the newest stored snapshot of the same target, naming its age. No request waits
for a system: where no snapshot is known yet only the shape is judged, the answer says so, and a worker is rung to
take a fresh one, so that the next validation is judged by it. Readings are judged as they were taken.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

from django.db.models.functions import Now

from console import checks, dispatch, policy
from console.checks.readings import readings_are_usable
from console.errors import Refused
from console.findings import Verdict
from console.lifecycle import limits
from console.lifecycle.frozen import about, snapshot_from
from console.lifecycle.submit import read_envelope
from console.models import AgentVersion, Assessment, Connection, LatestSnapshot
from console.reads import rests
from integrations.contract import Case, Finding, Level, Snapshot, TransactionType

REST = dt.timedelta(seconds=10)
"""A snapshot younger than this is fresh: no worker is rung for another."""


@dataclass(frozen=True)
class Judgement:
    """What the judges say. `against` is the snapshot that was used, None if only the shape was judged."""

    findings: tuple[Finding, ...]
    verdicts: tuple[Verdict, ...] = ()
    against: Snapshot | None = None

    @property
    def sound(self) -> bool:
        """Whether nothing found so far would refuse it."""
        return checks.worst(self.findings) is not Level.ERROR


def validate(version: AgentVersion, *, raw: bytes) -> Judgement:
    """Judge an envelope as `submit` would read it. Denied or Held when the grant says no; faults are findings."""
    try:
        parsed = read_envelope(version, raw)
    except Refused as refused:
        return Judgement(refused.findings or (Finding(refused.code, Level.ERROR, refused.text),))
    judged = judge(parsed.type, parsed.grant.connection, parsed.payload)
    rested = readings_are_usable(rests.as_taken(parsed.readings))
    return replace(judged, findings=(*judged.findings, *rested))


def judge(type_: TransactionType, connection: Connection, payload: Any) -> Judgement:
    """Judge a payload that fits its schema against the newest stored snapshot of what it is about, if there is one.

    Rings a worker for a fresh one.
    """
    known, refused = _newest(type_, connection, payload)
    if refused:
        return Judgement((Finding("system.refused", Level.ERROR, refused),))
    if known is None:
        return Judgement(())
    case = Case(
        payload=payload,
        snapshot=known,
        limits=limits.of_type(type_),
        today=dt.datetime.now(dt.UTC).date(),
    )
    findings = checks.run(type_, case)
    verdicts = policy.judge(
        policy.Situation(facts=type_.facts(case), findings=findings, agreements=(), limits=limits.of_policy())
    )
    return Judgement(findings, verdicts, known)


def _newest(type_: TransactionType, connection: Connection, payload: Any) -> tuple[Snapshot | None, str]:
    """The newest snapshot that is stored, or the system's words if its last look was refused; both may be empty."""
    target = type_.target(payload)
    assessed = (
        Assessment.objects.filter(
            proposal__connection=connection,
            proposal__transaction_type=type_.name,
            proposal__target=target,
            type_version=type_.version,
        )
        .order_by("-as_of")
        .first()
        if target
        else None
    )
    looked = (
        LatestSnapshot.objects.filter(
            connection=connection,
            transaction_type=type_.name,
            type_version=type_.version,
            about=about(type_, payload),
        )
        .annotate(fresh_since=Now() - REST)
        .first()
    )
    if looked is None or looked.as_of < looked.fresh_since:
        dispatch.ring("console.tasks.refresh", connection.pk, type_.name, payload.model_dump_json())
    if looked is not None and (assessed is None or assessed.as_of <= looked.as_of):
        return (snapshot_from(looked.snapshot), "") if looked.snapshot is not None else (None, looked.refused)
    return (snapshot_from(assessed.snapshot), "") if assessed is not None else (None, "")
