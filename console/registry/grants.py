"""Grants: agent version x (transaction type or read tool) x connection, at a level of autonomy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
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
    """Set how far a grant goes. Down is `lower`, at once and with a reason; up waits for a second person.

    `by` is None for the command line of the machine, which may raise alone and is recorded as the operator. Refused
    when the connection does not carry it, for `sampled`, which nothing may reach yet, and for a write where a gate is
    required and the version has not shown that it reads reliably and passed it.
    """
    if by is not None:
        access.require(by, access.CONFIGURES, "set a grant")
    if autonomy not in LADDER:
        raise Refused(f"{autonomy!r} is not a level; there are {', '.join(LADDER)}", code="autonomy_unknown")
    now = Grant.objects.filter(version=version, kind=kind, name=name, connection=connection).first()
    if now is not None and Autonomy(autonomy).rung < Autonomy(now.autonomy).rung:
        return lower(now, to=Autonomy(autonomy), reason=reason, by=by, actor=actor)
    _check(kind, name, connection, autonomy)
    if kind == Grant.TYPE:
        evidence.check_may_write(version, name, autonomy)
    change = {
        "version": version.pk,
        "kind": kind,
        "name": name,
        "connection": connection.pk,
        "autonomy": autonomy,
        "reason": reason[:300],
        "asked_by": by.get_full_name() or by.username if by is not None else "",
        "fell": apply.fell(now),
    }
    if by is not None and Autonomy(autonomy).rung > Autonomy(now.autonomy if now else Autonomy.OFF).rung:
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


@dataclass(frozen=True)
class Alarm:
    """What figures say of a grant that falls by itself: the incident's kind, title and what lifts it.

    `dedupe` names the fact, so that it opens one incident however often it is seen; `detail` is JSON for its entry.
    """

    kind: str
    title: str
    lifts: str
    dedupe: str
    detail: Mapping[str, Any] = field(default_factory=dict)


def lower(
    grant: Grant, *, to: Autonomy, reason: str, by: User | None, actor: Actor, alarm: Alarm | None = None
) -> Grant:
    """Put a grant down, at once: the one door, for a page, a command, an alarm.

    What the level allowed and has not been sent is held by every check of `access` from here on, the agent reads the
    reason, and an incident with what lifts it is opened, all in one transaction. Supervisors and administrators may;
    `by` is None for a worker and for the command line. Raises Denied, Refused (no reason, or nothing below) and
    Conflict (somebody was first). An `alarm` for what stands as low already only says why.
    """
    if by is not None:
        access.require(by, access.STOPS, "put a grant down")
    why = reason.strip()[:300]
    if not why:
        raise Refused("say why; everybody sees it, the agent too", code="reason_empty")
    with transaction.atomic():
        now = (
            Grant.objects.select_for_update(of=("self",), no_key=True)
            .select_related("version__agent", "connection")
            .get(pk=grant.pk)
        )
        before = Autonomy(now.autonomy)
        if alarm is None:
            if before != grant.autonomy:
                raise Conflict("somebody has changed this grant already; look again", code="grant_moved")
            if to.rung >= before.rung:
                raise Refused(
                    f"the grant for {now.name} is at {before.label.lower()}: that is not above "
                    f"{to.label.lower()}",
                    code="no_rung_below",
                )
        if to.rung < before.rung or (before == to and now.demoted_at is None):
            Grant.objects.filter(pk=now.pk).update(
                autonomy=to, demoted_at=Now(), demoted_reason=why, changed_at=Now()
            )
            told = _tell(now, to=to, why=why, alarm=alarm, actor=actor)
            audit.record(
                "grant.lower" if alarm is None else "grant.demote",
                actor=actor,
                chain=f"grant:{now.pk}",
                subject=f"{now.version}: {now.name} on {now.connection.name} ({to})",
                detail={
                    "reason": why,
                    "from": before.value,
                    "autonomy": to.value,
                    "incident": told.pk,
                },
            )
        elif before is not Autonomy.OFF:
            _tell(now, to=to, why=why, alarm=alarm, actor=actor)
    grant.refresh_from_db()
    return grant


def step_down(grant: Grant, *, reason: str, by: User, actor: Actor) -> Grant:
    """One rung down, by one person with a reason: see `lower`. Refused where it is off already."""
    to = below(grant)
    if to is None:
        raise Refused(f"the grant for {grant.name} has no rung below", code="no_rung_below")
    return lower(grant, to=to, reason=reason, by=by, actor=actor)


def below(grant: Grant) -> Autonomy | None:
    """The rung below; None where there is none. A read tool is granted or it is off."""
    if grant.autonomy == Autonomy.OFF:
        return None
    return Autonomy(LADDER[Autonomy(grant.autonomy).rung - 1]) if grant.kind == Grant.TYPE else Autonomy.OFF


def unfreeze(grant: Grant, *, by: User, actor: Actor) -> Widening:
    """Ask a second person to let it go on."""
    return widenings.ask("unfreeze", {"grant": grant.pk}, text=f"Unfreeze {grant}", by=by, actor=actor)


def _check(kind: str, name: str, connection: Connection, autonomy: str) -> None:
    if autonomy == Autonomy.SAMPLED:
        raise Refused("sampled approval is not available", code="sampled_unreachable")
    carried = spec(connection.name).adapter
    if name not in (carried.types if kind == Grant.TYPE else carried.tools):
        raise Refused(f"connection {connection.name} does not carry {name}", code="not_carried")
    needs_account = kind == Grant.TYPE and not carried.by_hand
    if needs_account and name not in spec(connection.name).accounts and autonomy == Autonomy.PROPOSE:
        raise Refused(f"connection {connection.name} has no service account for {name}", code="no_account")


def _tell(grant: Grant, *, to: Autonomy, why: str, alarm: Alarm | None, actor: Actor) -> Incident:
    """The incident of a fall; of an alarm that was told before, the one it opened."""
    said = alarm or Alarm(
        kind="grant_lowered",
        title=f"{grant.version} was put down to {to.label.lower()} for {grant.name}",
        lifts=f"{why[:200]} Look at what it did; two people raise the grant again.",
        dedupe=f"grant_lowered:{references.new('LW')}",
    )
    return incidents.open_incident(
        kind=said.kind,
        title=said.title,
        lifts=said.lifts,
        dedupe=said.dedupe,
        actor=actor,
        connection=grant.connection,
        grant=grant,
        detail={"grant": grant.pk, "from": grant.autonomy, "to": to.value, "note": why, **said.detail},
    )
