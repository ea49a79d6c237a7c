"""Judge what an agent means to propose, and store nothing.

Shape first, then the rules against the newest stored snapshot of the same target, naming its age. Needs no system:
where no snapshot is known yet, and for a new document, only the shape is judged and the answer says so.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from console import checks, policy
from console.errors import Refused
from console.findings import Verdict
from console.lifecycle import limits
from console.lifecycle.frozen import snapshot_from
from console.lifecycle.submit import read_envelope
from console.models import AgentVersion, Assessment, Connection
from integrations.contract import Case, Finding, Level, TransactionType


@dataclass(frozen=True)
class Judgement:
    """What the judges say. `against` is the assessment whose snapshot was used, None if only the shape was judged."""

    findings: tuple[Finding, ...]
    verdicts: tuple[Verdict, ...] = ()
    against: Assessment | None = None

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
    return judge(parsed.type, parsed.grant.connection, parsed.payload)


def judge(type_: TransactionType, connection: Connection, payload: Any) -> Judgement:
    """Judge a payload that fits its schema against the newest stored snapshot of its target, if there is one."""
    target = type_.target(payload)
    known = (
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
    if known is None:
        return Judgement(())
    case = Case(
        payload=payload,
        snapshot=snapshot_from(known.snapshot),
        limits=limits.of_type(type_),
        today=dt.datetime.now(dt.UTC).date(),
    )
    findings = checks.run(type_, case)
    verdicts = policy.judge(
        policy.Situation(facts=type_.facts(case), findings=findings, agreements=(), limits=limits.of_policy())
    )
    return Judgement(findings, verdicts, known)
