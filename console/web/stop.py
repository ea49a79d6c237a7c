"""The kill switch: stop everything, a system, a transaction type or an agent, now."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from console import access
from console.catalogue import transaction_types
from console.errors import Missing, Refused
from console.models import FINAL, Agent, KillSwitch, Proposal, Scope, System, Widening
from console.registry import kill
from console.web.guards import actor, signed_in

BEFORE = 20


def page(request: HttpRequest) -> HttpResponse:
    """What is stopped, and the form that stops. Without `sure` a first post only asks back."""
    if request.method != "POST":
        return render(request, "stop/page.html", _context(request))
    scope, _, value = request.POST.get("what", "").partition(":")
    reason = request.POST.get("reason", "").strip()
    given = {"what": request.POST.get("what", ""), "reason": reason}
    try:
        _check(scope, reason)
        if "sure" not in request.POST:
            sure = {
                "scope": Scope(scope),
                "value": value,
                "title": _title(scope, value),
                "holds": _held(scope, value).count(),
            }
            return render(request, "stop/sure.html", {**given, **sure})
        thrown = kill.throw(
            scope=scope, value=value, reason=reason, by=signed_in(request), actor=actor(request)
        )
    except Refused as refused:
        return render(
            request, "stop/page.html", {**_context(request), "fault": refused, "given": given}, status=422
        )
    messages.warning(
        request, f"Stopped: {_title(thrown.scope, thrown.value)}. Nothing it covers is sent any more."
    )
    return redirect("stops")


def lift(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask a second person to let it go on."""
    thrown = KillSwitch.objects.filter(pk=pk, lifted_at__isnull=True).first()
    if thrown is None:
        raise Missing("this stop is not in force any more")
    asked = kill.lift(
        thrown, reason=request.POST.get("reason", ""), by=signed_in(request), actor=actor(request)
    )
    messages.info(request, f"Asked for: {asked.text}. A second person has to confirm it.")
    return redirect("stops")


def _check(scope: str, reason: str) -> None:
    if scope not in Scope:
        raise Refused("choose what to stop")
    if not reason:
        raise Refused("say why; everybody sees it")


def _context(request: HttpRequest) -> dict[str, object]:
    mine = access.roles(request.user)
    asked = {
        one.change["kill"]: one
        for one in Widening.objects.filter(kind="lift_kill", decided_at__isnull=True).select_related(
            "asked_by"
        )
    }
    in_force = kill.in_force()
    for thrown in in_force:
        thrown.title = _title(thrown.scope, thrown.value)  # type: ignore[attr-defined]
        thrown.asked = asked.get(thrown.pk)  # type: ignore[attr-defined]
        thrown.holds = _held(thrown.scope, thrown.value).count()  # type: ignore[attr-defined]
    lifted = list(
        KillSwitch.objects.filter(lifted_at__isnull=False)
        .select_related("thrown_by", "lifted_by")
        .order_by("-id")[:BEFORE]
    )
    for thrown in lifted:
        thrown.title = _title(thrown.scope, thrown.value)  # type: ignore[attr-defined]
    return {
        "in_force": in_force,
        "lifted": lifted,
        "may_stop": bool(mine & access.STOPS),
        "may_confirm": bool(mine & access.CONFIRMS),
        "systems": System.objects.order_by("title"),
        "types": sorted((type_.title, name) for name, type_ in transaction_types().items()),
        "agents": Agent.objects.order_by("title"),
        "given": {"what": request.GET.get("what", "")},
    }


def _title(scope: str, value: str) -> str:
    if scope == Scope.EVERYTHING:
        return "everything"
    if scope == Scope.TYPE:
        type_ = transaction_types().get(value)
        return f"every proposal to {type_.title[0].lower()}{type_.title[1:]}" if type_ is not None else value
    model = System if scope == Scope.SYSTEM else Agent
    found = model.objects.filter(slug=value).first()
    return f"{'system' if scope == Scope.SYSTEM else 'agent'} {found.title if found is not None else value}"


def _held(scope: str, value: str) -> QuerySet[Proposal]:
    """What a stop holds where it is."""
    found = Proposal.objects.exclude(state__in=FINAL)
    narrowed = {
        Scope.SYSTEM: {"connection__system__slug": value},
        Scope.TYPE: {"transaction_type": value},
        Scope.AGENT: {"agent_version__agent__slug": value},
    }
    return found.filter(**narrowed.get(Scope(scope), {}))
