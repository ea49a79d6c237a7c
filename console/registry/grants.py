"""Grants: agent version x (transaction type or read tool) x connection, at a level of autonomy."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from console import access, audit, references
from console.audit import Actor
from console.catalogue import spec
from console.errors import Conflict, Refused
from console.models import AgentVersion, Autonomy, Connection, Grant, Incident, Widening
from console.registry import apply, evidence, incidents, widenings

LADDER = [level.value for level in Autonomy]


def set_autonomy(
    version: AgentVersion,
    *,
    kind: str,
    name: str,
    connection: Connection,
    autonomy: str,
    by: User | None,
    actor: Actor,
    reason: str = "",
) -> Grant | Widening:
    """Set how far a grant goes. Down takes effect at once, up waits for a second person; `reason` is shown with it.

    Refused when the connection does not carry it, for `sampled`, which nothing may reach yet, and for a write where a
    gate is required and the version has not shown that it reads reliably and passed it.
    """
    if by is not None:
        access.require(by, access.CONFIGURES, "set a grant")
    _check(kind, name, connection, autonomy)
    if kind == Grant.TYPE:
        evidence.check_may_write(version, name, autonomy)
    now = Grant.objects.filter(version=version, kind=kind, name=name, connection=connection).first()
    change = {
        "version": version.pk,
        "kind": kind,
        "name": name,
        "connection": connection.pk,
        "autonomy": autonomy,
        "reason": reason[:300],
        "asked_by": by.get_full_name() or by.username if by is not None else "",
    }
    if by is not None and LADDER.index(autonomy) > LADDER.index(
        now.autonomy if now is not None else Autonomy.OFF
    ):
        text = f"{version}: {name} on {connection.name} at {Autonomy(autonomy).label.lower()}"
        return widenings.ask("grant", change, text=text, by=by, actor=actor)
    with transaction.atomic():
        apply.grant(change, actor)
    return Grant.objects.get(version=version, kind=kind, name=name, connection=connection)


def freeze(grant: Grant, *, reason: str, by: User, actor: Actor) -> Grant:
    """Hold everything of this grant where it is, at once. Supervisors and administrators may."""
    access.require(by, access.STOPS, "freeze a grant")
    if not reason.strip():
        raise Refused("say why; everybody sees it", code="reason_empty")
    with transaction.atomic():
        Grant.objects.filter(pk=grant.pk).update(frozen_at=Now(), frozen_reason=reason[:300])
        audit.record(
            "grant.freeze",
            actor=actor,
            chain=f"grant:{grant.pk}",
            subject=str(grant),
            detail={"reason": reason[:300]},
        )
    grant.refresh_from_db()
    return grant


def demote(grant: Grant, *, reason: str, actor: Actor) -> Grant:
    """Back to shadow, at once: what is proposed is judged and recorded, nothing of it is committed any more."""
    with transaction.atomic():
        lowered = Grant.objects.filter(
            Q(demoted_at__isnull=True) | ~Q(autonomy=Autonomy.SHADOW), pk=grant.pk
        ).exclude(autonomy=Autonomy.OFF)
        why = {"demoted_at": Now(), "demoted_reason": reason[:300]}
        if lowered.update(autonomy=Autonomy.SHADOW, changed_at=Now(), **why):
            audit.record(
                "grant.demote",
                actor=actor,
                chain=f"grant:{grant.pk}",
                subject=str(grant),
                detail={"reason": reason[:500], "from": grant.autonomy},
            )
    grant.refresh_from_db()
    return grant


def step_down(grant: Grant, *, reason: str, by: User, actor: Actor) -> Grant:
    """One rung down, at once, by one person with a reason: supervisors and administrators may.

    What the rung allowed and has not been sent is held, the agent is told why, and an incident is opened. Raises
    Denied, Refused (no reason, a read tool, or nothing to take away) and Conflict (somebody was first).
    """
    access.require(by, access.STOPS, "put a grant one rung down")
    if not reason.strip():
        raise Refused("say why; everybody sees it, the agent too", code="reason_empty")
    if grant.kind != Grant.TYPE or grant.autonomy == Autonomy.OFF:
        raise Refused(f"the grant for {grant.name} has no rung below", code="no_rung_below")
    to = Autonomy(LADDER[LADDER.index(grant.autonomy) - 1])
    with transaction.atomic():
        lowered = Grant.objects.filter(pk=grant.pk, autonomy=grant.autonomy).update(
            autonomy=to, demoted_at=Now(), demoted_reason=reason.strip()[:300], changed_at=Now()
        )
        if lowered != 1:
            raise Conflict("somebody has changed this grant already; look again", code="grant_moved")
        incident = incidents.open_incident(
            kind="grant_lowered",
            title=f"{grant.version} was put down to {to.label.lower()} for {grant.name}",
            lifts=f"{reason.strip()[:200]} Look at what it proposed; two people raise the grant again.",
            dedupe=f"grant_lowered:{references.new('LW')}",
            actor=actor,
            connection=grant.connection,
            detail={"grant": grant.pk, "from": grant.autonomy, "to": to.value, "note": reason.strip()[:300]},
        )
        Incident.objects.filter(pk=incident.pk).update(grant=grant)
        audit.record(
            "grant.lower",
            actor=actor,
            chain=f"grant:{grant.pk}",
            subject=str(grant),
            detail={
                "reason": reason.strip()[:300],
                "from": grant.autonomy,
                "autonomy": to.value,
                "incident": incident.pk,
            },
        )
    grant.refresh_from_db()
    return grant


def unfreeze(grant: Grant, *, by: User, actor: Actor) -> Widening:
    """Ask a second person to let it go on."""
    return widenings.ask("unfreeze", {"grant": grant.pk}, text=f"Unfreeze {grant}", by=by, actor=actor)


def _check(kind: str, name: str, connection: Connection, autonomy: str) -> None:
    if autonomy not in LADDER:
        raise Refused(f"{autonomy!r} is not a level; there are {', '.join(LADDER)}", code="autonomy_unknown")
    if autonomy == Autonomy.SAMPLED:
        raise Refused("sampled approval is not available", code="sampled_unreachable")
    carried = spec(connection.name).adapter
    if name not in (carried.types if kind == Grant.TYPE else carried.tools):
        raise Refused(f"connection {connection.name} does not carry {name}", code="not_carried")
    needs_account = kind == Grant.TYPE and not carried.by_hand
    if needs_account and name not in spec(connection.name).accounts and autonomy == Autonomy.PROPOSE:
        raise Refused(f"connection {connection.name} has no service account for {name}", code="no_account")
