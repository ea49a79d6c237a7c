"""One incident: what happened, who owns it, what waits, what would lift it, who was told."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from console import access
from console.audit import VERBS
from console.audit_search import sentence
from console.errors import Held, Missing
from console.models import LIVE, AuditEntry, Autonomy, Grant, Incident, Proposal, State
from console.notices import MOST_TRIES
from console.registry import incidents
from console.web.guards import actor, signed_in

MOST_WRITES = 200
MOST_WAITING = 20
MOST_ENTRIES = 100
"""Of the timeline, the newest; the log has all of it."""
BEFORE = 3
"""Entries of its grant from before the incident: the fall itself is one, and how it had come to stand there."""
QUIET = ("proposal.view",)
"""What is no part of the story of an incident."""


def page(request: HttpRequest, pk: int) -> HttpResponse:
    """One incident with its timeline."""
    found = _incident(pk)
    waiting = _waiting(found)
    context = {
        "incident": found,
        "timeline": _timeline(found),
        "writes": found.orphan_writes.order_by("at", "id")[:MOST_WRITES],
        "waiting": waiting.order_by("-id")[:MOST_WAITING] if waiting is not None else [],
        "counts": _counts(waiting),
        "agent_sees": _agent_sees(found, waiting),
        "raised": found.grant is not None
        and found.grant.demoted_at is None
        and found.grant.autonomy in {Autonomy.PROPOSE, Autonomy.SAMPLED},
        "notices": found.notices.order_by("event", "address"),
        "given_up": MOST_TRIES,
        "nobody_is_told": not settings.NOTICE_URLS,
        "may_close": bool(access.roles(request.user) & access.STOPS),
    }
    return render(request, "administration/incident.html", context)


def take(request: HttpRequest, pk: int) -> HttpResponse:
    """See to it: everybody reads who does."""
    incidents.take(_incident(pk), by=signed_in(request), actor=actor(request))
    messages.success(request, "It is yours now.")
    return redirect("incident", pk=pk)


def lift(request: HttpRequest, pk: int) -> HttpResponse:
    """Close it, with a note."""
    incidents.lift(
        _incident(pk), note=request.POST.get("note", ""), by=signed_in(request), actor=actor(request)
    )
    messages.success(request, "The incident is closed.")
    return redirect("incident", pk=pk)


def _timeline(found: Incident) -> list[dict[str, Any]]:
    """What was recorded of it, of its grant from shortly before, and of its proposal; oldest first."""
    about = Q(chain=f"incident:{found.pk}")
    if found.grant_id is not None:
        chain = Q(chain=f"grant:{found.grant_id}")
        before = AuditEntry.objects.filter(chain, at__lt=found.opened_at).order_by("-id")
        if earlier := list(before.values_list("id", flat=True)[:BEFORE]):
            chain &= Q(id__gte=earlier[-1])
        if found.lifted_at is not None:
            chain &= Q(at__lte=found.lifted_at)
        about |= chain
    if found.proposal is not None:
        about |= Q(proposal=found.proposal)
    entries = AuditEntry.objects.filter(about).exclude(verb__in=QUIET).order_by("-id")[:MOST_ENTRIES]
    return [_entry(one) for one in reversed(entries)]


def _entry(one: AuditEntry) -> dict[str, Any]:
    body = json.loads(one.body)
    detail = body["detail"]
    verb = VERBS.get(one.verb)
    return {
        "entry": one,
        "sentence": sentence(one.verb, body["subject"]),
        "tone": verb.tone if verb is not None else "plain",
        "why": detail.get("note") or detail.get("reason") or detail.get("told") or "",
    }


def _waiting(found: Incident) -> Any:
    """What does not go on: proposals of its grant, or the one that it is about; None where it is about neither."""
    live = [state.value for state in LIVE]
    if found.grant_id is not None:
        return Proposal.objects.filter(grant_id=found.grant_id, state__in=live).exclude(
            autonomy=Autonomy.SHADOW
        )
    if found.proposal_id is not None:
        return Proposal.objects.filter(pk=found.proposal_id, state__in=live)
    return None


def _counts(waiting: Any) -> list[tuple[str, int]]:
    if waiting is None:
        return []
    found = dict(waiting.order_by().values_list("state").annotate(n=Count("pk")))
    return [(state.label, found[state.value]) for state in State if state.value in found]


def _agent_sees(found: Incident, waiting: Any) -> str:
    """What its agent reads in `held` of a proposal of this grant, in the words of the API; "" when nothing holds it."""
    if found.grant is None or found.grant.kind != Grant.TYPE:
        return ""
    one = waiting.select_related("agent_version__agent", "connection__system").order_by("-id").first()
    if one is None:
        return ""
    try:
        access.check_may_go_on(one)
    except Held as held:
        return held.text
    return ""


def _incident(pk: int) -> Incident:
    found = (
        Incident.objects.select_related(
            "connection", "proposal", "owner", "grant__version__agent__owner", "grant__connection"
        )
        .filter(pk=pk)
        .first()
    )
    if found is None:
        raise Missing("there is no such incident")
    return found
