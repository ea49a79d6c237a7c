"""One proposal: what would change, whether it is sound, who has to agree, and what became of it.

The order of the page is the order of trust: what the system says, what the checks say, what people said, and only
then what the agent says of itself.

The file is long because the page is one, and its parts are shown together or not at all.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone

from console import access, audit
from console.audit import VERBS
from console.catalogue import specs, transaction_types
from console.errors import Missing
from console.evals import gate
from console.evals.nearest import nearest
from console.findings import Verdict
from console.lifecycle import by_hand, record, review
from console.models import (
    Assessment,
    Attempt,
    AttemptNote,
    AuditEntry,
    Cited,
    Claim,
    Decision,
    Hearing,
    Proposal,
    ReadBack,
    Revision,
    Risk,
    SeededTest,
    State,
)
from console.models.loading import Fetch
from console.web import context, exhibits, ladder, queue, rendering, showing
from console.web.guards import actor, signed_in
from integrations.contract import Quality, TransactionType

STORY = 200
NAMED = Fetch(Proposal)
MOVING = (State.RECEIVED, State.APPROVED, State.COMMITTING, State.AWAITING_SYSTEM, State.OUTCOME_UNKNOWN)
"""States that something other than this person is about to change: the page watches them closely."""

NEXT = {
    State.RECEIVED: "A worker reads the record from the system and runs the checks. It appears for review by itself.",
    State.IN_REVIEW: "It waits for a decision. Once all who must agree have, it is sent at once; there is no undo.",
    State.CHANGES_REQUESTED: "The agent has the note and may send another revision of the same case.",
    State.APPROVED: "A worker compares the record with what was approved, then sends it. This takes seconds.",
    State.COMMITTING: "It is being sent, and read back from the system afterwards.",
    State.AWAITING_SYSTEM: "The system took it and will answer later; the answer is read back before it counts.",
    State.AWAITING_PERSON: "Somebody does it by hand and confirms it here.",
    State.OUTCOME_UNKNOWN: "It was sent and the answer was lost. The system is asked again; nothing is sent a second"
    " time. If it stays unknown, a supervisor looks in the system and settles it here.",
    State.COMMITTED: "It was read back from the system: what was approved is what is there.",
    State.COMMIT_FAILED: "It did not happen, and the system proves it. The agent may propose anew.",
    State.REFUSED: "A check or the system said no before a person was asked. The agent has the reasons.",
    State.REJECTED: "A person said no, for good. The agent has the reason.",
    State.WITHDRAWN: "The agent took it back before anything was sent.",
    State.EXPIRED: "Its time ran out before it was sent. Nothing was written.",
    State.SHADOWED: "Judged and recorded only: this agent is in shadow for this type. Nothing is written.",
    State.REVEALED: "This was a test of attention. It was never meant for the system and cannot reach it.",
}
"""What happens next, in words."""

ON_WORD = {
    State.AWAITING_SYSTEM: "The system took it and will answer later. Nothing shows what becomes of it, so it ends as"
    " that answer says.",
    State.COMMITTED: "It ended on the system's word. Nothing shows the record, so it was not read back.",
    State.COMMIT_FAILED: "It ended on the system's word. Nothing shows the record, so that is not proven.",
}
"""The same, where nothing can be read back."""


@dataclass(frozen=True)
class Entry:
    """One line of the story: a sentence, its tone, who and when, and why."""

    at: dt.datetime
    who: str
    kind: str
    sentence: str
    tone: str
    why: str


def page(request: HttpRequest, ref: str) -> HttpResponse:
    """The page. Opening it is recorded once per person and assessment, and tells others that somebody looks."""
    user = signed_in(request)
    proposal = find(user, ref)
    shown = shown_of(request, proposal)
    assessment: Assessment | None = shown["assessment"]
    if assessment is not None:
        record_view(request, proposal, assessment)
    if shown["may_decide"]:
        held = review.claim(proposal, by=user)
        shown["looking"] = held.by if held is not None else None
    return render(request, "proposal/page.html", shown)


def status(request: HttpRequest, ref: str) -> HttpResponse:
    """The live part: where it stands. 304 when nothing changed; the whole page anew when the state did."""
    user = signed_in(request)
    proposal = find(user, ref)
    if request.GET.get("version", "") != str(proposal.version):
        response = HttpResponse(status=200)
        response["HX-Refresh"] = "true"
        return response
    shown = status_of(request, proposal, review.current(proposal))
    if request.headers.get("If-None-Match") == shown["etag"]:
        return HttpResponseNotModified()
    return render(request, "proposal/status.html", shown)


def find(user: User, ref: str) -> Proposal:
    """The proposal of this reference, if this person may see it. Missing otherwise."""
    found = (
        access.visible_to(user)
        .select_related("grant__connection", "claim__by", "reverses", "agent_version__agent__owner")
        .filter(ref=ref)
        .first()
    )
    if found is None:
        raise Missing(f"There is no proposal {ref}.")
    return found


def named(user: User, ref: str) -> Proposal:
    """The same, with nothing else: what a verb needs, which reads the row again under its lock."""
    found = NAMED.one("t.ref = %s", [ref]) if access.roles(user) & access.READS else None
    if found is None:
        raise Missing(f"There is no proposal {ref}.")
    return found


def shown_of(request: HttpRequest, proposal: Proposal) -> dict[str, Any]:
    """Everything the page shows; decisions that are refused show it again."""
    user = signed_in(request)
    type_ = transaction_types().get(proposal.transaction_type)
    revisions = list(
        Revision.objects.filter(proposal=proposal)
        .select_related("by_agent__agent", "by_user")
        .order_by("number")
    )
    first, assessment = _assessments(proposal)
    decisions = list(Decision.objects.filter(proposal=proposal).select_related("assessment").order_by("id"))
    seen = _sight(type_, first, assessment)
    mine = next(
        (
            one
            for one in decisions
            if assessment and one.assessment_id == assessment.pk and one.by_id == user.pk
        ),
        None,
    )
    may_not = access.may_not_decide(user, proposal)
    in_review = proposal.state == State.IN_REVIEW and assessment is not None
    sort = request.GET.get("sort", "")
    following = queue.next_for(user, without=proposal, sort=sort) if not may_not else None
    return {
        **status_of(request, proposal, assessment),
        "type": type_,
        "revision": revisions[-1] if revisions else None,
        "revisions": revisions,
        "assessment": assessment,
        "first": first,
        "sight": seen,
        "headline": showing.headline(type_, proposal.label, seen) if type_ and seen else [],
        "findings": _findings(assessment, seen),
        "verdicts": _verdicts(proposal, assessment),
        "decisions": decisions,
        "facts": assessment.facts if assessment else None,
        "moved": _moved(type_, assessment),
        "by_rule": ladder.by_rule(proposal, assessment),
        "shadow": ladder.in_shadow(proposal, type_),
        "record": record.of_version(proposal.agent_version_id, proposal.transaction_type),
        "eval": gate.standing(proposal.agent_version, proposal.transaction_type),
        "nearest": nearest(proposal, assessment) if assessment is not None else None,
        "readings": (readings := _readings(revisions, assessment)),
        "readings_matter": any(
            one["again"] or one["check"] or one["taken"].quality != Quality.GOOD for one in readings
        ),
        "attempts": _attempts(proposal) if proposal.attempts_made else [],
        "screens": exhibits.of(proposal) if last_door(proposal) else [],
        "last_door": last_door(proposal),
        "story": story(proposal),
        "rationale": _rationale(revisions),
        "by_hand": by_hand.is_task(proposal),
        "confirmations": list(proposal.confirmations.order_by("id")) if by_hand.is_task(proposal) else [],
        "may_not": may_not,
        "mine": mine,
        "may_decide": in_review and not may_not and mine is None,
        "may_curate": proposal.state in {State.COMMITTED, State.REJECTED}
        and bool(access.roles(request.user) & access.CONFIRMS),
        "may_settle": proposal.state == State.OUTCOME_UNKNOWN and not may_not,
        "test": _test(proposal, decisions, user, seen),
        "amendable": bool(type_ and any(field.amendable for field in type_.fields)),
        "next_one": following,
        "sort": sort if sort in queue.SORTS else "",
        "risk": Risk(proposal.risk).label,
    }


def status_of(request: HttpRequest, proposal: Proposal, assessment: Assessment | None) -> dict[str, Any]:
    """What the live part shows, and a name for exactly this content."""
    claim: Claim | None = getattr(proposal, "claim", None)
    others = claim is not None and claim.until > timezone.now() and claim.by_id != request.user.pk
    shown: dict[str, Any] = {
        "proposal": proposal,
        "held": _sentence(queue.held_by(proposal, context.stops(request))),
        "next_step": _next_step(proposal),
        "looking": claim.by if claim is not None and others else None,
        "every": 2 if proposal.state in MOVING else 15,
        "assessed": assessment is not None,
    }
    inner = render_to_string("proposal/state.html", shown, request)
    return {**shown, "inner": inner, "etag": hashlib.sha256(inner.encode()).hexdigest()[:20]}


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def _next_step(proposal: Proposal) -> str:
    state = State(proposal.state)
    found = specs().get(proposal.connection.name) if state in ON_WORD else None
    carried = found.adapter.types.get(proposal.transaction_type) if found is not None else None
    return (ON_WORD if carried is not None and carried.on_word else NEXT)[state]


def last_door(proposal: Proposal) -> bool:
    """Whether a robot at screens writes it."""
    found = specs().get(proposal.connection.name)
    return found is not None and found.adapter.last_door


def story(proposal: Proposal) -> list[Entry]:
    """The proposal's audit entries as sentences, oldest first; the newest two hundred when there are more."""
    found = []
    for one in reversed(AuditEntry.objects.filter(proposal=proposal).order_by("-id")[:STORY]):
        verb = VERBS.get(one.verb)
        detail = json.loads(one.body).get("detail", {})
        found.append(
            Entry(
                at=one.at,
                who=one.actor_label,
                kind=one.actor_kind,
                sentence=verb.sentence.format(subject="it") if verb else one.verb,
                tone=verb.tone if verb else "plain",
                why=str(detail.get("note") or detail.get("reason") or detail.get("text") or ""),
            )
        )
    return found


def _test(
    proposal: Proposal, decisions: list[Decision], user: User, seen: showing.Sight | None
) -> dict[str, Any] | None:
    """What was wrong with a seeded test, where, and whether this person noticed; None before it is over."""
    if proposal.state != State.REVEALED:
        return None
    found = SeededTest.objects.select_related("source").get(proposal=proposal)
    answer = next(one for one in decisions if one.caught is not None)
    labelled = found.label.casefold()
    cells = (
        [*seen.cells, *(cell for one in seen.lists for line in one.lines for cell in line.cells)]
        if seen
        else []
    )
    return {
        "test": found,
        "answer": answer,
        "mine": answer.by_id == user.pk,
        "anchor": next((cell.anchor for cell in cells if cell.label.casefold() == labelled), ""),
    }


def _assessments(proposal: Proposal) -> tuple[Assessment | None, Assessment | None]:
    """The first of the case, and the newest: of the newest revision while that one has been assessed."""
    rows = Assessment.objects.filter(proposal=proposal)
    newest = rows.order_by("-number").first()
    if newest is None or newest.number == 1:
        return newest, newest
    return rows.order_by("number").first(), newest


def _sight(
    type_: TransactionType | None, first: Assessment | None, assessment: Assessment | None
) -> showing.Sight | None:
    if type_ is None or assessment is None:
        return None
    return showing.sight(type_, assessment, first, today=timezone.now().date())


def _findings(assessment: Assessment | None, seen: showing.Sight | None) -> list[dict[str, Any]]:
    """Findings, the gravest first, each with the anchor of the field it is about."""
    if assessment is None:
        return []
    anchors = {}
    if seen is not None:
        cells = [*seen.cells, *(cell for one in seen.lists for line in one.lines for cell in line.cells)]
        anchors = {id(finding): (cell.anchor, cell.label) for cell in cells for finding in cell.findings}
    grave = {"error": 0, "warning": 1, "info": 2}
    found = []
    for one in assessment.findings:
        anchor, label = anchors.get(id(one), ("", ""))
        found.append({**one, "anchor": anchor, "label": label})
    return sorted(found, key=lambda one: grave.get(str(one["level"]), 3))


def _verdicts(proposal: Proposal, assessment: Assessment | None) -> list[Any]:
    if assessment is None:
        return []
    if proposal.state == State.IN_REVIEW:
        return list(review.standing(proposal, assessment))
    return (
        [Verdict(**one) for one in assessment.verdicts]
        if not proposal.decisions.exists()
        else list(review.standing(proposal, assessment))
    )


def _moved(type_: TransactionType | None, assessment: Assessment | None) -> list[dict[str, Any]]:
    """What moved in the system since the assessment before, in words."""
    if type_ is None or assessment is None:
        return []
    kinds = {field.path: field.kind for field in type_.fields}
    found = []
    for one in assessment.moved:
        path = str(one["path"])
        parts = path.split(".")
        kind = kinds.get(path) or kinds.get(f"{parts[0]}[].{parts[-1]}")
        show = [rendering.words(one[side], kind) if kind else one[side] for side in ("expected", "found")]
        found.append({"label": one["label"], "before": show[0], "after": show[1]})
    return found


def _readings(revisions: list[Revision], assessment: Assessment | None) -> list[Any]:
    """What was cited, each with what the newest look found of it where that look asked again."""
    cited = (
        Cited.objects.filter(revision__in=revisions)
        .select_related("reading__connection")
        .order_by("reading_id", "id")
        .distinct("reading_id")
    )
    rests = {one["ref"]: one for one in assessment.rests} if assessment is not None else {}
    found = []
    for one in cited:
        rest = rests.get(one.reading.ref)
        again = _parsed(rest) if rest is not None and rest["again"] else None
        check = _parsed((again or {}).get("cross_check") or one.reading.cross_check)
        found.append({"taken": one.reading, "again": again, "check": check})
    return found


def _parsed(kept: dict[str, Any] | None) -> dict[str, Any] | None:
    """With its times as times."""
    if kept is None:
        return None
    times = {name: dt.datetime.fromisoformat(kept[name]) for name in ("as_of", "at") if kept.get(name)}
    return {**kept, **times}


def _attempts(proposal: Proposal) -> list[Attempt]:
    return list(
        Attempt.objects.filter(proposal=proposal)
        .order_by("number")
        .prefetch_related(
            Prefetch("notes", AttemptNote.objects.order_by("id")),
            Prefetch("read_backs", ReadBack.objects.order_by("id")),
            Prefetch("hearings", Hearing.objects.select_related("callback").order_by("id")),
        )
    )


def _rationale(revisions: list[Revision]) -> list[dict[str, Any]]:
    """What was said of each revision, newest first, cut where it gets long, with what is odd about it."""
    said = []
    for one in reversed(revisions):
        text = rendering.calm(one.rationale)
        if not text:
            continue
        odd = rendering.suspicious(text)
        said.append(
            {
                "revision": one,
                "by_agent": one.by_agent_id is not None,
                "who": one.by_agent
                if one.by_agent_id
                else (one.by_user.get_full_name() or one.by_user.username)
                if one.by_user
                else "",
                "text": text[: rendering.SHORT],
                "rest": text[rendering.SHORT :],
                "odd": len(odd),
            }
        )
    return said


def record_view(request: HttpRequest, proposal: Proposal, assessment: Assessment) -> None:
    """One entry per person and assessment, also when two windows open at once."""
    if _viewed(request, proposal, assessment):
        return
    chain = audit.proposal_chain(proposal)
    with transaction.atomic():
        with connection.cursor() as cursor:
            # The lock that the chain's own trigger takes: whoever waits here sees the other's entry.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [chain])
        if _viewed(request, proposal, assessment):
            return
        audit.record(
            "proposal.view",
            actor=actor(request),
            chain=chain,
            subject=proposal.ref,
            proposal=proposal,
            detail={"assessment": assessment.number, "digest": assessment.digest},
        )


def _viewed(request: HttpRequest, proposal: Proposal, assessment: Assessment) -> bool:
    last = (
        AuditEntry.objects.filter(
            proposal=proposal, verb="proposal.view", actor_kind="person", actor_id=str(request.user.pk)
        )
        .order_by("-id")
        .first()
    )
    return last is not None and json.loads(last.body)["detail"].get("assessment") == assessment.number
