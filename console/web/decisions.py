"""Approve, reject, ask for changes, amend, settle: each a form to read (GET) and an answer (POST).

Every answer names the digest that was on screen. A double click finds its own answer and goes on; a lost race
shows the proposal as it is now, with who was first and what changed since.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from console import access, diff
from console.catalogue import transaction_types
from console.errors import Conflict, Denied, Held, Refused
from console.findings import Status
from console.lifecycle import attention, by_hand, limits, review
from console.models import Answer, Assessment, Decision, Proposal, Reason, Revision, State
from console.policy.attention import shortest
from console.web import amending, context, queue, rendering, showing
from console.web import proposal as proposals
from console.web.guards import actor, signed_in
from integrations.contract import Finding, Level

A_DAY_MS = 24 * 3600 * 1000
PARTS, PARTS_LENGTH = 20, 2000
TAKEN = {
    Answer.APPROVE: ("approved. It is being sent now.", messages.SUCCESS),
    Answer.REJECT: ("rejected. The agent has your reason.", messages.INFO),
    Answer.REQUEST_CHANGES: ("sent back to the agent with your note.", messages.INFO),
}
"""What a person reads after an answer, and how it is marked."""


def approve(request: HttpRequest, ref: str) -> HttpResponse:
    """The last question before it is sent, and the answer to it."""
    return _decision(
        request,
        ref,
        "approve",
        Answer.APPROVE,
        lambda found, told: review.approve(found, typed=request.POST.get("again", "")[:100], **told),
    )


def reject(request: HttpRequest, ref: str) -> HttpResponse:
    """No, with a reason."""
    return _decision(
        request,
        ref,
        "reject",
        Answer.REJECT,
        lambda found, told: review.reject(found, reason=request.POST.get("reason", ""), **told),
    )


def request_changes(request: HttpRequest, ref: str) -> HttpResponse:
    """Back to the agent, with what would be right."""
    return _decision(
        request,
        ref,
        "changes",
        Answer.REQUEST_CHANGES,
        lambda found, told: review.request_changes(found, reason=request.POST.get("reason", ""), **told),
    )


def amend(request: HttpRequest, ref: str) -> HttpResponse:
    """Change allowed fields; it is assessed again, and the amender is a co-author."""
    return _decision(
        request,
        ref,
        "amend",
        Answer.AMEND,
        lambda found, told: review.amend(found, payload=amending.amended(found, request.POST), **told),
    )


def _decision(
    request: HttpRequest,
    ref: str,
    which: str,
    answer: Answer,
    verb: Callable[[Proposal, dict[str, Any]], Proposal],
) -> HttpResponse:
    """The form (GET), or the answer (POST): taken, too late, or the form again with its faults."""
    person = signed_in(request)
    if request.method != "POST":
        return _form(request, proposals.find(person, ref), which)
    found = proposals.named(person, ref)
    told = {
        "by": person,
        "seen": request.POST.get("seen", ""),
        "actor": actor(request),
        "note": request.POST.get("note", "").strip()[:1000],
        "look": review.Look(dwell_ms=_dwell(request), unfolded=_unfolded(request)),
    }
    try:
        done = verb(found, told)
    except (Conflict, Held) as late:
        return _late(request, proposals.find(person, ref), late, answer)
    except Refused as refused:
        return _form(request, proposals.find(person, ref), which, refused)
    if done.state == State.REVEALED:
        return redirect("proposal", ref=done.ref)
    if answer is Answer.AMEND:
        text = "amended. It is being checked again; then it needs agreement."
        messages.success(request, f"{done.label or done.ref}: {text}")
        return redirect("proposal", ref=done.ref)
    if answer is Answer.APPROVE and done.state != State.APPROVED:
        return _onwards(request, done, "you agreed. Somebody else has to as well.", messages.SUCCESS)
    return _onwards(request, done, *TAKEN[answer])


def settle(request: HttpRequest, ref: str) -> HttpResponse:
    """Say what an unknown outcome was, after looking in the system."""
    found = proposals.find(signed_in(request), ref)
    if request.method != "POST":
        return _form(request, found, "settle")
    happened = {"yes": True, "no": False}.get(request.POST.get("happened", ""))
    if happened is None:
        missing = Finding(
            "happened.missing", Level.ERROR, "Say whether the change is in the system.", field="happened"
        )
        return _form(request, found, "settle", Refused("say whether it happened", findings=[missing]))
    try:
        done = review.settle(
            found,
            by=signed_in(request),
            happened=happened,
            note=request.POST.get("note", "").strip()[:1000],
            actor=actor(request),
        )
    except Conflict as late:
        return _late(request, found, late, None)
    except Refused as refused:
        return _form(request, found, "settle", refused)
    messages.success(request, f"{done.label or done.ref}: settled as {done.get_state_display().lower()}.")
    return redirect("proposal", ref=done.ref)


def _form(request: HttpRequest, found: Proposal, which: str, refused: Refused | None = None) -> HttpResponse:
    """One form: in the dialog for htmx, as a page otherwise, again with its faults after a refusal."""
    wanted = State.OUTCOME_UNKNOWN if which == "settle" else State.IN_REVIEW
    assessment = review.current(found)
    why = access.may_not_decide(signed_in(request), found)
    if why:
        raise Denied(why)
    if found.state != wanted or assessment is None:
        late = Conflict(f"{found.ref} is {found.get_state_display().lower()} now.")
        return _late(request, found, late, None)
    type_ = transaction_types().get(found.transaction_type)
    seen = showing.sight(type_, assessment, today=timezone.now().date()) if type_ else None
    verdicts = review.standing(found, assessment)
    open_ = [one for one in verdicts if not one.status.passes]
    shown = {
        "proposal": found,
        "which": which,
        "by_hand": by_hand.is_task(found),
        "assessment": assessment,
        "looked_at": request.POST.get("seen") or request.GET.get("seen") or assessment.digest,
        "opened": request.POST.get("opened") or str(int(time.time() * 1000)),
        "sort": request.POST.get("sort") or request.GET.get("sort", ""),
        "headline": showing.headline(type_, found.label, seen) if type_ and seen else [],
        "sight": seen,
        "warnings": [one for one in assessment.findings if one["level"] == "warning"],
        "verdicts": verdicts,
        "alone": _enough_alone(found, assessment, signed_in(request)),
        "open_verdicts": open_,
        "held": queue.held_by(found, context.stops(request)),
        "reasons": Reason.choices,
        "posted": request.POST,
        "refused": refused,
        "errors": _errors(refused),
        **(_asked(found, assessment) if which == "approve" else {}),
        "groups": amending.inputs(type_, found, assessment, request.POST, refused)
        if which == "amend" and type_
        else [],
    }
    part = bool(getattr(request, "htmx", False))
    template = "proposal/form.html" if part else "proposal/form_page.html"
    return render(request, template, shown, status=422 if refused is not None else 200)


def _enough_alone(found: Proposal, assessment: Assessment, person: User) -> bool:
    """Whether this person's approval would be the last one needed. The words only: `review.approve` decides."""
    shaped = Revision.objects.filter(proposal=found, by_user=person).exists()
    given = review.agreements(found, assessment)
    needed = 1 + any(
        one.requirement == "a_second_supervisor" and one.status is not Status.NOT_APPLICABLE
        for one in review.standing(found, assessment)
    )
    clean = any(not one.shaped and not one.owns_agent for one in given) or not shaped
    return clean and len({one.person for one in given} | {person.pk}) >= needed


def _late(
    request: HttpRequest, found: Proposal, late: Conflict | Held, answer: Answer | None
) -> HttpResponse:
    """The proposal as it is now, and why the answer was not taken; or onwards, if it was taken a moment ago."""
    person = signed_in(request)
    seen = request.POST.get("seen", "")
    fresh = proposals.find(person, found.ref)
    if answer is not None and isinstance(late, Conflict):
        given = Decision.objects.filter(proposal=fresh, by=person, digest=seen, answer=answer)
        if given.exists() and fresh.state == State.REVEALED:
            return redirect("proposal", ref=fresh.ref)
        if given.exists():
            return _onwards(request, fresh, "your answer was taken already.", messages.INFO)
    shown = proposals.shown_of(request, fresh)
    if shown["assessment"] is not None:
        proposals.record_view(request, fresh, shown["assessment"])
    shown["conflict"] = late
    shown["since"] = _since(fresh, seen, shown["assessment"])
    response = render(request, "proposal/page.html", shown, status=409)
    if getattr(request, "htmx", False):
        response["HX-Retarget"] = "body"
        response["HX-Reswap"] = "innerHTML"
    return response


def _since(found: Proposal, seen: str, newest: Assessment | None) -> list[dict[str, Any]]:
    """What differs between the assessment a person saw and the newest: in the system, and in what is proposed."""
    type_ = transaction_types().get(found.transaction_type)
    old = Assessment.objects.filter(proposal=found, digest=seen).order_by("-number").first()
    if type_ is None or old is None or newest is None or old.pk == newest.pk:
        return []
    today = timezone.now().date()
    rows = []
    for what, before, after in (
        ("in the system", old.snapshot["record"], newest.snapshot["record"]),
        ("proposed", old.expected, newest.expected),
    ):
        old_record, new_record = showing.record_of(before), showing.record_of(after)
        rows += [
            {
                "label": f"{row.field.label}, {what}",
                "before": rendering.words(row.base, row.field.kind, today=today),
                "after": rendering.words(row.proposed, row.field.kind, today=today),
            }
            for row in diff.rows(old_record, new_record, new_record, type_.fields)
            if row.changes
        ]
    return rows


def _onwards(request: HttpRequest, done: Proposal, text: str, level: int) -> HttpResponse:
    """To the next proposal that waits for this person, with a word about the last one."""
    link = format_html(
        '<a href="{}">{}</a>: {}',
        reverse("proposal", args=[done.ref]),
        rendering.plain(done.label or done.ref),
        text,
    )
    messages.add_message(request, level, link)
    sort = request.POST.get("sort", "")
    following = queue.next_for(signed_in(request), without=done, sort=sort)
    query = f"?{urlencode({'sort': sort})}" if sort in queue.SORTS else ""
    if following is None:
        messages.info(request, "That was the last one that waits for you.")
        return redirect(reverse("queue") + query)
    return redirect(reverse("proposal", args=[following.ref]) + query)


def _dwell(request: HttpRequest) -> int | None:
    """How long the person had it open, in milliseconds: the browser's word, else since the form was made."""
    told = request.POST.get("dwell_ms", "")
    if told.isdecimal():
        return min(int(told), A_DAY_MS)
    opened = request.POST.get("opened", "")
    if opened.isdecimal():
        return min(max(int(time.time() * 1000) - int(opened), 0), A_DAY_MS)
    return None


def _asked(found: Proposal, assessment: Assessment) -> dict[str, Any]:
    """What is asked of the person besides their answer: how long to look, and the value to type again."""
    now = limits.of_attention()
    return {"again": attention.asked(found, assessment, now), "shortest": shortest(now, found.risk)}


def _unfolded(request: HttpRequest) -> tuple[str, ...] | None:
    """Which folded parts of the page the person opened, by the browser's word: "|one|another"; unknown when empty."""
    told = request.POST.get("unfolded", "")[:PARTS_LENGTH]
    if not told.startswith("|"):
        return None
    names = ("".join(letter for letter in one if letter.isprintable())[:60] for one in told.split("|"))
    return tuple(dict.fromkeys(name for name in names if name))[:PARTS]


def _errors(refused: Refused | None) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for one in refused.findings if refused is not None else ():
        found.setdefault(one.field or "whole", []).append(one)
    return found
