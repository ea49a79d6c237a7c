"""Tasks: what somebody has to do by hand, in words for who does it, and the form to say what became of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from console import access
from console.catalogue import transaction_types
from console.errors import Conflict, Denied, Held, Missing, Refused
from console.lifecycle import by_hand, review
from console.models import Assessment, Claim, Confirmation, Done, Proposal, State
from console.web import showing
from console.web.guards import actor, signed_in

MOST = 100
LATELY = 20
SOON_SECONDS = 4 * 3600


@dataclass(frozen=True)
class Card:
    """One task in a list: until when, who has it, what was said of it."""

    proposal: Proposal
    until: dt.datetime
    tone: str
    holder: User | None
    said: Confirmation | None


def page(request: HttpRequest) -> HttpResponse:
    """What is mine, what is anybody's, what others have, what is being read back, and what ended lately."""
    user = signed_in(request)
    waiting = access.tasks_of(user).filter(state=State.AWAITING_PERSON).order_by("due", "id")[: MOST + 1]
    cards = _cards(list(waiting))
    ended = access.tasks_of(user).exclude(state=State.AWAITING_PERSON).order_by("-state_since")[:LATELY]
    context_ = {
        "groups": [
            ("Mine", [one for one in cards[:MOST] if one.holder == user and one.said is None]),
            ("For anybody", [one for one in cards[:MOST] if one.holder is None and one.said is None]),
            (
                "Others have these",
                [one for one in cards[:MOST] if one.holder not in {None, user} and not one.said],
            ),
            ("Being read back", [one for one in cards[:MOST] if one.said is not None]),
        ],
        "any": bool(cards),
        "more": len(cards) > MOST,
        "ended": _cards(list(ended)),
        "does": bool(access.roles(user) & access.DOES),
    }
    return render(request, "tasks/page.html", context_)


def task(request: HttpRequest, ref: str) -> HttpResponse:
    """One task, to be read where it is done."""
    return _shown(request, _find(request, ref))


def take(request: HttpRequest, ref: str) -> HttpResponse:
    """I do it."""
    return _after(
        request, ref, "You have it now.", lambda one: by_hand.take(one, by=_me(request), actor=actor(request))
    )


def give_back(request: HttpRequest, ref: str) -> HttpResponse:
    """Somebody else shall do it."""
    return _after(
        request,
        ref,
        "It is for anybody again.",
        lambda one: by_hand.give_back(one, by=_me(request), actor=actor(request)),
    )


def confirm(request: HttpRequest, ref: str) -> HttpResponse:
    """Say what became of it."""
    found = _find(request, ref)
    try:
        done = by_hand.confirm(
            found,
            by=_me(request),
            answer=request.POST.get("answer", ""),
            note=request.POST.get("note", ""),
            seen=request.POST.get("seen", ""),
            actor=actor(request),
        )
    except Refused as refused:
        return _shown(request, found, refused=refused)
    except (Conflict, Denied) as late:
        messages.error(request, late.text)
        return redirect("task", ref=ref)
    if done.state == State.AWAITING_PERSON:
        messages.info(request, "Thank you. It is read back from the system before it counts.")
    else:
        messages.success(request, f"Thank you. It is {State(done.state).label.lower()} under your name.")
    return redirect("tasks")


def _after(request: HttpRequest, ref: str, said: str, verb: Any) -> HttpResponse:
    try:
        verb(_find(request, ref))
    except (Conflict, Denied, Held) as late:
        messages.error(request, late.text)
    else:
        messages.success(request, said)
    return redirect("task", ref=ref)


def _shown(request: HttpRequest, found: Proposal, refused: Refused | None = None) -> HttpResponse:
    user = signed_in(request)
    [card] = _cards([found])
    assessment = review.current(found)
    may_not = access.may_not_do(user, found)
    waits = found.state == State.AWAITING_PERSON and card.said is None
    others = card.holder is not None and card.holder != user
    faults = refused.findings if refused is not None else ()
    shown = {
        "proposal": found,
        "card": card,
        "headline": _headline(found, assessment),
        "assessment": assessment,
        "rationale": by_hand.words(found).rationale,
        "held": _held(found) if waits else "",
        "read_back": by_hand.is_read_back(found),
        "may_not": may_not if waits and access.roles(user) & access.DOES else "",
        "may_take": waits and not may_not and card.holder is None,
        "may_give_back": waits
        and card.holder is not None
        and (card.holder == user or bool(access.roles(user) & access.DECIDES)),
        "may_confirm": waits and not may_not and not others,
        "sees_proposal": bool(access.roles(user) & access.READS),
        "answers": Done.choices,
        "posted": request.POST,
        "errors": {one.field: one for one in faults},
    }
    return render(request, "tasks/task.html", shown, status=422 if refused is not None else 200)


def _cards(found: list[Proposal]) -> list[Card]:
    """With two statements for all of them."""
    now = timezone.now()
    keys = [one.pk for one in found]
    holders = {
        one.proposal_id: one.by
        for one in Claim.objects.filter(proposal__in=keys, until__gt=Now()).select_related("by")
    }
    said = {one.proposal_id: one for one in Confirmation.objects.filter(proposal__in=keys).order_by("id")}
    cards = []
    for one in found:
        until = by_hand.deadline(one.due, one.state_since)
        left = (until - now).total_seconds()
        tone = "bad" if left < 0 else "warn" if left < SOON_SECONDS else ""
        cards.append(Card(one, until, tone, holders.get(one.pk), said.get(one.pk)))
    return cards


def _headline(found: Proposal, assessment: Assessment | None) -> list[tuple[str, Any, Any]]:
    """What is to be done, field by field: for a task all of it, for a record what changes."""
    type_ = transaction_types().get(found.transaction_type)
    if type_ is None or assessment is None:
        return []
    seen = showing.sight(type_, assessment, today=timezone.now().date())
    if seen.creates:
        return [(cell.label, "", cell.proposed) for cell in seen.cells if cell.changes]
    return showing.headline(type_, found.label, seen)


def _held(found: Proposal) -> str:
    try:
        access.check_may_go_on(found)
    except Held as held:
        return held.text
    return ""


def _find(request: HttpRequest, ref: str) -> Proposal:
    found = access.tasks_of(signed_in(request)).filter(ref=ref).first()
    if found is None:
        raise Missing(f"There is no task {ref}.")
    return found


def _me(request: HttpRequest) -> User:
    return signed_in(request)
