"""Decided proposals that a curator makes cases of. What people did is the acceptable outcome, as far as it is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from console import access, audit
from console.audit import Actor
from console.canonical import canonical
from console.catalogue import transaction_type
from console.errors import Conflict, Denied, Refused
from console.evals import labels, suites
from console.models import (
    AcceptedCase,
    Assessment,
    Cited,
    Decision,
    Gate,
    Grant,
    Proposal,
    Reading,
    Reason,
    Revision,
    State,
)


def acceptable(proposal: Proposal) -> list[dict[str, Any] | None]:
    """What would have been right: what was committed in the end, or nothing where people said it was not needed.

    Refused where that is not known: not decided yet, or rejected for another reason.
    """
    if proposal.state == State.COMMITTED:
        last = Revision.objects.filter(proposal=proposal).order_by("-number").first()
        if last is not None:
            return [json.loads(last.payload)]
    if proposal.state == State.REJECTED:
        said = Decision.objects.filter(proposal=proposal, answer="reject").order_by("-id").first()
        if said is not None and said.reason == Reason.NOT_NEEDED:
            return [None]
        raise Refused("it was rejected, and nobody said what would have been right", code="truth_unknown")
    raise Refused(
        "only what was committed, or rejected as not needed, shows what is right", code="truth_unknown"
    )


def frozen(reading: Reading) -> dict[str, Any]:
    """A reading in the form of a suite's file."""
    return {
        "tool": reading.tool,
        "tool_version": reading.tool_version,
        "arguments": reading.arguments,
        "answer": reading.answer,
        "as_of": reading.as_of.isoformat() if reading.as_of is not None else None,
        "source": reading.source,
    }


def body_of(proposal: Proposal, *, words: str, split: str) -> dict[str, Any]:
    """The case of a decided proposal: what its agent read and cited for the first revision, and what was right."""
    readings = [
        one.reading
        for one in Cited.objects.filter(revision__proposal=proposal, revision__number=1)
        .select_related("reading")
        .order_by("id")
        if one.reading.outcome == "answered"
    ]
    first = Assessment.objects.filter(proposal=proposal).order_by("number").first()
    as_of = max([proposal.submitted_at, *(one.as_of for one in readings if one.as_of is not None)])
    right = acceptable(proposal)
    type_ = transaction_type(proposal.transaction_type)
    return {
        "id": proposal.ref,
        "type": proposal.transaction_type,
        "started_by": {"words": words.strip(), "reading": None},
        "as_of": as_of.isoformat(),
        "readings": [frozen(one) for one in readings],
        "snapshot": first.snapshot if first is not None else None,
        "acceptable": right,
        "critical": sorted(
            {
                one.path if one.payload_path is None else one.payload_path
                for one in type_.fields
                if one.critical
            }
            - {""}
        ),
        "provenance": f"proposal {proposal.ref}, {State(proposal.state).label.lower()}, accepted by a curator",
        "label_confidence": "curated",
        "split": split,
    }


def accept(proposal: Proposal, *, words: str, split: str, by: User, actor: Actor) -> AcceptedCase:
    """Make a case of a decided proposal: it joins the next version of the suite of its type.

    Supervisors and administrators may, but nobody who owns the agent. Refused with every fault of the case, Conflict
    when it is a case already.
    """
    access.require(by, access.CONFIRMS, "make a case")
    if proposal.agent_version.agent.owner_id == by.pk:
        raise Denied(f"you own the agent {proposal.agent_version.agent.title}; somebody else has to curate")
    body = body_of(proposal, words=words, split=split)
    suites.read([canonical(body).encode()])
    try:
        with transaction.atomic():
            made = AcceptedCase.objects.create(
                proposal=proposal, suite=suite_of(proposal.transaction_type), body=body, by=by, at=Now()
            )
            audit.record(
                "suite.accept",
                actor=actor,
                chain=f"suite:{made.suite}",
                subject=proposal.ref,
                detail={"suite": made.suite, "split": split},
            )
    except IntegrityError:
        raise Conflict(f"{proposal.ref} is a case already", code="case_exists") from None
    return made


def suite_of(type_name: str) -> str:
    """The suite that cases of a type join: the one of its gate, or one named after the type."""
    return suite_about(Grant.TYPE, type_name)


def suite_about(kind: str, about: str) -> str:
    """The same for a transaction type or a read tool."""
    gate = Gate.objects.select_related("suite").filter(kind=kind, about=about).first()
    return gate.suite.name if gate is not None else about.replace("_", "-")


def waiting(suite: str) -> list[Mapping[str, Any]]:
    """The accepted cases that no version of this suite has yet."""
    last = suites.newest(suite)
    there = set(last.cases.values_list("name", flat=True)) if last is not None else set()
    return [
        one.body
        for one in AcceptedCase.objects.filter(suite=suite).order_by("id")
        if one.body["id"] not in there
    ]


def next_version(suite: str, *, by: User | None, actor: Actor) -> suites.Imported:
    """Freeze the last version's cases and the accepted ones as the next version.

    Labels that a second person disputes are said to be disputed there, and drawn no more. Refused when nothing was
    accepted and nothing is disputed.
    """
    fresh, last = waiting(suite), suites.newest(suite)
    names = labels.disputed(last) if last is not None else set()
    if not fresh and not names:
        raise Refused(f"no case was accepted for {suite} since its last version", code="nothing_new")
    before = [labels.marked(one, names) for one in suites.export(last)] if last is not None else []
    lines = [one.encode() for one in (*before, *(canonical(dict(body)) for body in fresh))]
    source = f"version before and {len(fresh)} accepted"
    if names:
        source += f", {len(names)} disputed"
    return suites.import_cases(suite, lines, source=source, by=by, actor=actor)
