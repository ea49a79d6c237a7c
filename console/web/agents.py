"""Agents: who answers for them, what they may do, how good they were, and how to stop one."""

from __future__ import annotations

import re

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import Count, Max, OuterRef, Q, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from console import access
from console.catalogue import read_tools, specs, transaction_types
from console.errors import Missing, Refused
from console.lifecycle import record
from console.models import (
    PENDING,
    Agent,
    AgentKey,
    AgentVersion,
    Autonomy,
    Connection,
    Grant,
    Proposal,
    Reading,
    Widening,
)
from console.registry import agents, grants, keys, sampling
from console.web import answers, ladder
from console.web.guards import actor, signed_in

RECENT = 8


def page(request: HttpRequest) -> HttpResponse:
    """Every agent, with what waits and when it last came."""
    pending = (
        Proposal.objects.filter(agent_version__agent=OuterRef("pk"), state__in=PENDING)
        .order_by()
        .values("agent_version__agent")
        .annotate(n=Count("pk"))
        .values("n")
    )
    found = (
        Agent.objects.select_related("owner")
        .annotate(
            waiting=Subquery(pending),
            last_used=Max("versions__keys__last_used_at"),
            frozen=Count(
                "versions__grants", filter=Q(versions__grants__frozen_at__isnull=False), distinct=True
            ),
        )
        .order_by("title")
    )
    return render(request, "agents/page.html", {"agents": found, **_may(request)})


def new(request: HttpRequest) -> HttpResponse:
    """Register an agent."""
    context = {"people": _people(), "given": request.POST}
    if request.method == "POST":
        try:
            made = agents.register(
                slug=_slug(request.POST.get("slug", "")),
                title=_text(request.POST.get("title", ""), "a title", 100),
                purpose=request.POST.get("purpose", "").strip()[:300],
                owner=_owner(request.POST.get("owner", "")),
                by=signed_in(request),
                actor=actor(request),
            )
        except Refused as refused:
            return render(request, "agents/new.html", {**context, "fault": refused}, status=422)
        messages.success(request, f"{made.title} is registered. Give it a version, a key and grants.")
        return redirect("agent", slug=made.slug)
    return render(request, "agents/new.html", context)


def agent(request: HttpRequest, slug: str) -> HttpResponse:
    """One agent: versions, keys, grants, record, what it did last."""
    return render(request, "agents/agent.html", _context(request, _agent(slug)))


def add_version(request: HttpRequest, slug: str) -> HttpResponse:
    """Register another version."""
    one = _agent(slug)
    made = agents.add_version(
        one,
        label=_text(request.POST.get("label", ""), "a label such as 1.1", 60),
        code=request.POST.get("code", "").strip()[:100],
        model=request.POST.get("model", "").strip()[:100],
        prompt=request.POST.get("prompt", "").strip()[:100],
        by=signed_in(request),
        actor=actor(request),
    )
    messages.success(request, f"Version {made.label} is registered. It starts without grants.")
    return redirect("agent", slug=slug)


def set_caps(request: HttpRequest, slug: str) -> HttpResponse:
    """How much it may do at once."""
    one = _agent(slug)
    done = agents.set_caps(
        one,
        pending_cap=_number(request.POST.get("pending_cap", "")),
        calls_per_minute=_number(request.POST.get("calls_per_minute", "")),
        by=signed_in(request),
        actor=actor(request),
    )
    _tell(request, done, "The caps are set.")
    return redirect("agent", slug=slug)


def issue_key(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a key and show it, this once. The page is not stored anywhere, so it cannot be shown again."""
    one = _agent(slug)
    version = _version(one, request.POST.get("version", ""))
    issued = keys.issue(
        version, by=signed_in(request), actor=actor(request), days=_number(request.POST.get("days", "90"))
    )
    return render(request, "agents/key.html", {"agent": one, "version": version, "issued": issued})


def revoke_key(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    """End a key at once."""
    key = (
        AgentKey.objects.select_related("version__agent")
        .filter(version__agent__slug=slug, key_id=key_id)
        .first()
    )
    if key is None:
        raise Missing(f"{slug} has no key {key_id}")
    keys.revoke(key, by=signed_in(request), actor=actor(request))
    messages.success(request, f"Key {key_id} is revoked. Its next call is refused.")
    return redirect("agent", slug=slug)


def set_grant(request: HttpRequest, slug: str) -> HttpResponse:
    """Set how far a grant goes: down at once and with a reason, up when a second person confirms."""
    one = _agent(slug)
    connection = Connection.objects.filter(name=request.POST.get("connection", "")).first()
    if connection is None:
        raise Refused("choose a connection")
    kind, _, name = request.POST.get("what", "").partition(":")
    done = grants.set_autonomy(
        _version(one, request.POST.get("version", "")),
        kind=kind,
        name=name,
        connection=connection,
        autonomy=request.POST.get("autonomy", ""),
        reason=request.POST.get("reason", "").strip(),
        by=signed_in(request),
        actor=actor(request),
    )
    _tell(request, done, "The grant is set.")
    return redirect("agent", slug=slug)


def freeze(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Hold everything of one grant, at once."""
    grants.freeze(
        _grant(slug, pk),
        reason=request.POST.get("reason", ""),
        by=signed_in(request),
        actor=actor(request),
    )
    messages.warning(request, "The grant is frozen. What it covers stays where it is.")
    return redirect("agent", slug=slug)


def step_down(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Put one grant one rung down, at once."""
    done = grants.step_down(
        _grant(slug, pk),
        reason=request.POST.get("reason", ""),
        by=signed_in(request),
        actor=actor(request),
    )
    messages.warning(
        request,
        f"The grant is at {done.get_autonomy_display().lower()}. What it had let through is held; the agent is told.",
    )
    return redirect("agent", slug=slug)


def ask_sampling(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Ask a second person to countersign a sampling rule."""
    done = sampling.ask(
        _grant(slug, pk),
        most=request.POST.get("most", "").strip(),
        currency=request.POST.get("currency", "").strip(),
        share=_number(request.POST.get("share", "")),
        by=signed_in(request),
        actor=actor(request),
    )
    _tell(request, done, "")
    return redirect("agent", slug=slug)


def unfreeze(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Ask a second person to let it go on."""
    _tell(request, grants.unfreeze(_grant(slug, pk), by=signed_in(request), actor=actor(request)), "")
    return redirect("agent", slug=slug)


def _context(request: HttpRequest, one: Agent) -> dict[str, object]:
    versions = list(one.versions.prefetch_related("keys").order_by("-id"))
    granted = list(
        Grant.objects.filter(version__in=versions)
        .select_related("connection__system", "version")
        .order_by("-version_id", "-kind", "name", "connection__name")
    )
    for grant in granted:
        grant.record = (  # type: ignore[attr-defined]
            record.of_version(grant.version_id, grant.name) if grant.kind == Grant.TYPE else None
        )
    proposals = Proposal.objects.filter(agent_version__in=versions)
    ladder.of_grants(granted)
    return {
        "agent": one,
        "answered": answers.records(versions),
        "beside": ladder.versions(one.pk),
        "versions": versions,
        "grants": granted,
        "now": timezone.now(),
        "pending": proposals.filter(state__in=PENDING).count(),
        "proposals": proposals.select_related("agent_version").order_by("-id")[:RECENT],
        "readings": Reading.objects.filter(agent_version__in=versions)
        .select_related("connection")
        .defer("answer")
        .order_by("-id")[:RECENT],
        "asked": Widening.objects.filter(
            decided_at__isnull=True, kind__in=("grant", "caps", "unfreeze", "sampling")
        )
        .filter(
            Q(change__version__in=[version.pk for version in versions])
            | Q(change__agent=one.pk)
            | Q(change__grant__in=[grant.pk for grant in granted])
        )
        .select_related("asked_by"),
        "connections": [one for one in Connection.objects.order_by("title") if one.name in specs()],
        "types": sorted((type_.title, name) for name, type_ in transaction_types().items()),
        "tools": sorted((tool.title, name) for name, tool in read_tools().items()),
        "ladder": [level for level in Autonomy if level != Autonomy.SAMPLED],
        **_may(request),
    }


def _may(request: HttpRequest) -> dict[str, bool]:
    mine = access.roles(request.user)
    return {"configures": bool(mine & access.CONFIGURES), "may_stop": bool(mine & access.STOPS)}


def _tell(request: HttpRequest, done: object, text: str) -> None:
    if isinstance(done, Widening):
        messages.info(request, f"Asked for: {done.text}. A second person has to confirm it.")
    else:
        messages.success(request, text)


def _agent(slug: str) -> Agent:
    found = Agent.objects.select_related("owner").filter(slug=slug).first()
    if found is None:
        raise Missing(f"there is no agent {slug}")
    return found


def _version(one: Agent, pk: str) -> AgentVersion:
    found = one.versions.select_related("agent").filter(pk=_number(pk)).first()
    if found is None:
        raise Refused(f"choose a version of {one.title}")
    return found


def _grant(slug: str, pk: int) -> Grant:
    found = (
        Grant.objects.select_related("version__agent", "connection")
        .filter(pk=pk, version__agent__slug=slug)
        .first()
    )
    if found is None:
        raise Missing(f"{slug} has no such grant")
    return found


def _people() -> list[User]:
    return list(User.objects.filter(is_active=True).order_by("last_name", "first_name", "username"))


def _owner(pk: str) -> User:
    found = User.objects.filter(pk=_number(pk), is_active=True).first()
    if found is None:
        raise Refused("choose the person who answers for it")
    return found


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else -1


def _slug(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{1,50}", text.strip()):
        raise Refused("the short name has 1 to 50 small letters, digits and hyphens, such as planner")
    return text.strip()


def _text(text: str, what: str, most: int) -> str:
    if not 0 < len(text.strip()) <= most:
        raise Refused(f"give {what}, at most {most} characters")
    return text.strip()
