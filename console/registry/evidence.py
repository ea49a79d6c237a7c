"""Whether a version has shown what it must before it may write. Evals judge; here is what follows.

`GATES_REQUIRED` says whether a deployment insists. Where it does not, a grant without evidence works as before, and
pages say so; where evidence was given, its end counts everywhere.
"""

from __future__ import annotations

from decimal import Decimal

from django.conf import settings
from django.db.models import Count, Q
from django.db.models.functions import Now

from console.catalogue import read_tools, transaction_types
from console.errors import Refused
from console.models import AgentVersion, Autonomy, Gate, GateDecision, Grant, Reading
from console.registry import marks

READS_NEEDED = 20
"""Answered readings that a version needs on record before it may write."""
MISSES_ALLOWED = Decimal("0.10")
"""Share of its readings that may have asked for what is not there, or what it may not have."""
MISSES = ("rejected", "out_of_scope", "unsupported")


def evidence(version: AgentVersion, kind: str, name: str) -> GateDecision | None:
    """The gate decision that lets this version use this now: the newest one, if it opened and still counts.

    It counts for the type's version and the gate it was given under, until it is too old.
    """
    newest = (
        GateDecision.objects.filter(version=version, kind=kind, about=name)
        .select_related("run__suite")
        .order_by("-id")
        .first()
    )
    return newest if newest is not None and not why_closed(newest) else None


def why_closed(decision: GateDecision) -> str:
    """Why this decision does not count now, in words; "" if it does."""
    if not decision.opened:
        return "the gate stayed closed: " + "; ".join(decision.reasons)
    if decision.type_version != version_of(decision.kind, decision.about):
        return f"{decision.about} has another version since"
    gate = Gate.objects.filter(kind=decision.kind, about=decision.about).select_related("suite").first()
    if gate is None or gate.number != decision.gate_number or gate.suite.digest != decision.suite_digest:
        return "the gate or its suite has changed since"
    if not GateDecision.objects.filter(pk=decision.pk, valid_until__gt=Now()).exists():
        return "the evidence is out of date"
    return ""


def version_of(kind: str, name: str) -> int:
    """The version of a type or tool that is in force here; 0 where there is none."""
    found = transaction_types().get(name) if kind == Grant.TYPE else read_tools().get(name)
    return found.version if found is not None else 0


def check_may_write(version: AgentVersion, name: str, autonomy: str) -> None:
    """Return if this version may get this level for a transaction type; Refused says what it has to show first."""
    if not settings.GATES_REQUIRED or autonomy not in {Autonomy.PROPOSE, Autonomy.SAMPLED}:
        return
    if lack := lacks_reads(version):
        raise Refused(f"{version} cannot get a write yet: {lack}", code="read_before_write")
    if evidence(version, Grant.TYPE, name) is None:
        raise Refused(
            f"{version} has no evidence for {name} that counts now: it has to sit a run and pass its gate",
            code="no_evidence",
        )


def lacks_reads(version: AgentVersion) -> str:
    """What is missing for its reads to be called reliable, in words; "" if nothing is.

    People's marks on its answers come first: where they prove that too few are right, nothing else helps. Then a read
    tool's gate that is open to it, or marks that prove it the other way; or it has read live often enough and mostly
    asked for what is there.
    """
    marked = marks.of_versions([version.pk])[version.pk]
    if marked.disproven:
        return marks.against(marked)
    tools = GateDecision.objects.filter(version=version, kind=Grant.TOOL, opened=True)
    if any(evidence(version, Grant.TOOL, name) for name in set(tools.values_list("about", flat=True))):
        return ""
    if marked.proven:
        return ""
    counted = Reading.objects.filter(agent_version=version).aggregate(
        answered=Count("id", filter=Q(outcome="answered")), missed=Count("id", filter=Q(outcome__in=MISSES))
    )
    answered, missed = counted["answered"], counted["missed"]
    if answered < READS_NEEDED:
        return f"it has {answered} answered readings on record; {READS_NEEDED} are needed first"
    if missed > MISSES_ALLOWED * (answered + missed):
        return (
            f"{missed} of its {answered + missed} readings asked for what is not there or not its own; at most "
            f"{100 * MISSES_ALLOWED:.0f} % may"
        )
    return ""
