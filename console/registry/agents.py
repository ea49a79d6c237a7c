"""Registering agents and their versions."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from console import access, audit
from console.audit import Actor
from console.errors import Refused
from console.models import Agent, AgentVersion, Widening
from console.registry import apply, widenings

MOST_PENDING = 10_000
MOST_CALLS = 60_000


def register(
    *, slug: str, title: str, owner: User, by: User | None, actor: Actor, purpose: str = ""
) -> Agent:
    """A new agent with the person who answers for it. It can do nothing until it has a version, a key and grants."""
    if by is not None:
        access.require(by, access.CONFIGURES, "register an agent")
    try:
        with transaction.atomic():
            agent = Agent.objects.create(slug=slug, title=title, purpose=purpose, owner=owner)
            audit.record(
                "agent.register",
                actor=actor,
                chain=f"agent:{slug}",
                subject=slug,
                detail={"title": title, "owner": owner.username},
            )
    except IntegrityError:
        raise Refused(
            f"there is an agent {slug!r} already; choose another name", code="agent_exists"
        ) from None
    return agent


def add_version(
    agent: Agent,
    *,
    label: str,
    by: User | None,
    actor: Actor,
    code: str = "",
    model: str = "",
    prompt: str = "",
) -> AgentVersion:
    """A new version: another code, model or prompt. It starts without grants, whatever the last one had."""
    if by is not None:
        access.require(by, access.CONFIGURES, "register a version")
    try:
        with transaction.atomic():
            version = AgentVersion.objects.create(
                agent=agent, label=label, code=code, model=model, prompt=prompt
            )
            audit.record(
                "agent.version",
                actor=actor,
                chain=f"agent:{agent.slug}",
                subject=f"{agent.slug} {label}",
                detail={"code": code, "model": model, "prompt": prompt},
            )
    except IntegrityError:
        raise Refused(f"{agent} has a version {label!r} already", code="version_exists") from None
    return version


def set_caps(
    agent: Agent, *, pending_cap: int, calls_per_minute: int, by: User | None, actor: Actor
) -> Agent | Widening:
    """How much an agent may do at once. Less takes effect at once, more waits for a second person."""
    if by is not None:
        access.require(by, access.CONFIGURES, "set an agent's caps")
    if not (1 <= pending_cap <= MOST_PENDING and 1 <= calls_per_minute <= MOST_CALLS):
        raise Refused(
            "1 to 10,000 pending proposals and 1 to 60,000 calls a minute", code="caps_out_of_range"
        )
    change = {"agent": agent.pk, "pending_cap": pending_cap, "calls_per_minute": calls_per_minute}
    if by is not None and (pending_cap > agent.pending_cap or calls_per_minute > agent.calls_per_minute):
        text = f"{agent.title}: {pending_cap} pending proposals and {calls_per_minute} calls a minute"
        return widenings.ask("caps", change, text=text, by=by, actor=actor)
    with transaction.atomic():
        apply.caps(change, actor)
    agent.refresh_from_db()
    return agent
