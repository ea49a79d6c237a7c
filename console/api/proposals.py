"""A proposal as its agent may see it. Statements per answer are constant, whatever the number of revisions."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from console import access
from console.api.envelope import (
    Against,
    Amount,
    AssessmentView,
    AttemptView,
    DecisionView,
    Fault,
    OutcomeView,
    Page,
    ProposalCard,
    ProposalView,
    RestView,
    RevisionView,
    TaskView,
    Validation,
    VerdictView,
)
from console.checks.shape import model_findings
from console.errors import Held, Missing, Refused
from console.findings import Finding, Level
from console.lifecycle import by_hand, review
from console.lifecycle.validate import Judgement
from console.models import AgentVersion, Assessment, Attempt, Cited, Decision, Proposal, Revision, Risk, State

ADDRESS = "/api/v1/proposals"
M = TypeVar("M", bound=BaseModel)

REF = re.compile(r"^CS-[0-9A-HJKMNP-TV-Z]{12}$")
REFERENCE = Annotated[str, StringConstraints(pattern=REF.pattern)]


class Filters(BaseModel):
    """What a list of proposals may be asked for."""

    model_config = ConfigDict(extra="forbid")

    state: Annotated[
        list[State], BeforeValidator(lambda given: given if isinstance(given, list) else [given])
    ] = Field(default_factory=list, description="Only in this state; may be given several times.")
    type: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{2,63}$")] | None = Field(
        default=None, description="Only of this transaction type."
    )
    since: AwareDatetime | None = Field(
        default=None, description="Only submitted at or after this time (ISO 8601 with a zone)."
    )
    before: REFERENCE | None = Field(
        default=None, description="Only older than this proposal of yours: how `next` pages on."
    )
    limit: int = Field(default=50, ge=1, le=200, description="The most to list, 1 to 200.")


class Follow(BaseModel):
    """What one proposal may be asked for."""

    model_config = ConfigDict(extra="forbid")

    state: State = Field(
        default=State.RECEIVED, description="With `Prefer: wait=N`: wait while it is in this state."
    )


def query(model: type[M], given: Any) -> M:
    """The query string as a model. Refused with every fault at once."""
    values = {name: parts[0] if len(parts) == 1 else parts for name, parts in given.lists()}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise Refused("the query is not right", findings=model_findings(error), code="query") from None


def own(version: AgentVersion, ref: str) -> Proposal:
    """A proposal of this agent. Missing for one that is not there and for somebody else's alike."""
    found = (
        access.own(version).select_related("grant", "reverses").filter(ref=ref).first()
        if REF.match(ref)
        else None
    )
    if found is None:
        raise Missing("you have no proposal of this reference")
    return found


def page(version: AgentVersion, filters: Filters) -> Page:
    """Own proposals, the newest first, from where `before` stands: the last page costs what the first does."""
    rows = access.own(version).select_related("reverses").order_by("-id")
    if filters.state:
        rows = rows.filter(state__in=filters.state)
    if filters.type is not None:
        rows = rows.filter(transaction_type=filters.type)
    if filters.since is not None:
        rows = rows.filter(submitted_at__gte=filters.since)
    if filters.before is not None:
        known = access.own(version).filter(ref=filters.before).values_list("pk", flat=True).first()
        if known is None:
            fault = Finding("query.before", Level.ERROR, "You have no proposal of this reference.", "before")
            raise Refused("the query is not right", findings=[fault], code="query")
        rows = rows.filter(pk__lt=known)
    found = list(rows[: filters.limit + 1])
    more = len(found) > filters.limit
    listed = found[: filters.limit]
    return Page(
        proposals=[ProposalCard(**_card(one)) for one in listed],
        next=_next(filters, listed[-1].ref) if more else None,
    )


def view(proposal: Proposal) -> ProposalView:
    """Everything the agent may know of its proposal."""
    revisions = list(Revision.objects.filter(proposal=proposal).order_by("number"))
    cited: dict[int, list[str]] = {}
    for revision, reading in (
        Cited.objects.filter(revision__proposal=proposal)
        .order_by("id")
        .values_list("revision_id", "reading__ref")
    ):
        cited.setdefault(revision, []).append(reading)
    assessment = (
        Assessment.objects.filter(proposal=proposal).select_related("revision").order_by("-number").first()
    )
    decisions = Decision.objects.filter(proposal=proposal).select_related("assessment").order_by("id")
    attempts = list(Attempt.objects.filter(proposal=proposal).order_by("number"))
    return ProposalView(
        **_card(proposal),
        held=_held(proposal),
        revisions=[
            RevisionView(
                number=one.number,
                payload=json.loads(one.payload),
                digest=one.digest,
                rationale=one.rationale,
                by="agent" if one.by_agent_id is not None else "reviewer",
                created_at=one.created_at,
                readings=cited.get(one.pk, []),
            )
            for one in revisions
        ],
        assessment=_assessment(proposal, assessment),
        decisions=[
            DecisionView(
                answer=one.answer,
                reason=one.reason,
                note=one.note,
                role=one.role,
                assessment=one.assessment.number,
                at=one.at,
            )
            for one in decisions
        ],
        outcome=_outcome(proposal, attempts),
        task=_task(proposal),
    )


def validation(judged: Judgement) -> Validation:
    """What the judges say, for the agent."""
    against = None
    if judged.against is not None:
        snapshot = judged.against
        age = dt.datetime.now(dt.UTC) - snapshot.as_of
        against = Against(
            target=snapshot.target,
            label=snapshot.label,
            as_of=snapshot.as_of,
            age_seconds=max(0, int(age.total_seconds())),
            source=snapshot.source,
        )
    return Validation(
        sound=judged.sound,
        findings=[_fault(vars(one)) for one in judged.findings],
        requirements=[VerdictView.model_validate(vars(one)) for one in judged.verdicts],
        against=against,
        text=_said(judged),
    )


def _said(judged: Judgement) -> str:
    if judged.against is not None:
        return "Judged against the newest stored snapshot. The record is read anew once it is proposed."
    if any(one.id == "system.refused" for one in judged.findings):
        return "The system refused to show the record, and would refuse a proposal about it."
    if any(one.id.startswith("readings.") and one.level == "error" for one in judged.findings):
        return "It rests on a reading that may not be relied on; it would be refused."
    if not judged.sound:
        return "Its form is not right; nothing else was judged."
    return (
        "Its form is right. No snapshot of the record is stored yet, so its rules were not judged; one is being "
        "taken: ask again in a few seconds, or propose it."
    )


def _card(one: Proposal) -> dict[str, Any]:
    return {
        "ref": one.ref,
        "state": one.state,
        "state_since": one.state_since,
        "state_reason": one.state_reason,
        "final": one.is_final,
        "transaction_type": one.transaction_type,
        "type_version": one.type_version,
        "connection": one.connection.name,
        "autonomy": one.autonomy,
        "target": one.target,
        "label": one.label,
        "risk": Risk(one.risk).label.lower(),
        "value": Amount(amount=format(one.value_amount, "f"), currency=one.value_currency)
        if one.value_amount is not None
        else None,
        "due": one.due,
        "revision": one.revision,
        "version": one.agent_version.label,
        "submitted_at": one.submitted_at,
        "expires_at": one.expires_at,
        "reverses": one.reverses.ref if one.reverses is not None else None,
        "url": f"{ADDRESS}/{one.ref}",
    }


def _next(filters: Filters, last: str) -> str:
    kept = filters.model_dump(mode="json", exclude_none=True, exclude_unset=True) | {"before": last}
    return f"{ADDRESS}?{urlencode(kept, doseq=True)}"


def _held(proposal: Proposal) -> str:
    if proposal.is_final:
        return ""
    try:
        access.check_may_go_on(proposal)
    except Held as held:
        return held.text
    return ""


def _assessment(proposal: Proposal, found: Assessment | None) -> AssessmentView | None:
    if found is None:
        return None
    # Agreements move the requirements of the newest revision only; an older assessment stands as it was frozen.
    if found.revision.number == proposal.revision:
        verdicts = [vars(one) for one in review.standing(proposal, found)]
    else:
        verdicts = found.verdicts
    return AssessmentView(
        number=found.number,
        revision=found.revision.number,
        digest=found.digest,
        as_of=found.as_of,
        findings=[_fault(one) for one in found.findings],
        requirements=[VerdictView.model_validate(one) for one in verdicts],
        readings=[RestView.model_validate(one) for one in found.rests],
    )


def _outcome(proposal: Proposal, attempts: list[Attempt]) -> OutcomeView | None:
    if not attempts:
        return None
    last = attempts[-1]
    known = {State.COMMITTED.value: True, State.COMMIT_FAILED.value: False}
    return OutcomeView(
        committed=known.get(proposal.state),
        document=last.document,
        label=last.label,
        attempts=[
            AttemptView(
                number=one.number,
                outcome=one.outcome,
                text=one.text,
                started_at=one.started_at,
                answered_at=one.answered_at,
            )
            for one in attempts
        ],
    )


def _task(proposal: Proposal) -> TaskView | None:
    if not by_hand.is_task(proposal):
        return None
    said = by_hand.said_of(proposal)
    if said is None and proposal.state != State.AWAITING_PERSON:
        return None
    waits = proposal.state == State.AWAITING_PERSON
    return TaskView.model_validate(
        {
            "until": by_hand.deadline(proposal.due, proposal.state_since) if waits else None,
            "said": said.answer if said is not None else None,
            "note": said.note if said is not None else "",
            "at": said.at if said is not None else None,
            "read_back": by_hand.is_read_back(proposal),
        }
    )


def _fault(one: Any) -> Fault:
    return Fault.model_validate({**one, "level": str(one["level"])})
