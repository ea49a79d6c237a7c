"""Incidents: something that must not happen did, or might have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from console import access, audit, dispatch
from console.audit import Actor
from console.errors import Conflict, Refused
from console.models import Connection, Grant, Incident, Proposal

SHORTEST_NOTE = 10
TELL = "console.tasks.tell"
"""Rung for whoever tells people of it; see `console.notices`."""


def open_incident(
    *,
    kind: str,
    title: str,
    dedupe: str,
    actor: Actor,
    lifts: str = "",
    connection: Connection | None = None,
    proposal: Proposal | None = None,
    grant: Grant | None = None,
    detail: Mapping[str, Any] | None = None,
) -> Incident:
    """Open one, or return the one that this fact has opened already (`dedupe`).

    `detail` is JSON for the audit entry: what was seen, without secrets.
    """
    known = Incident.objects.filter(dedupe=dedupe[:150]).first()
    if known is not None:
        return known
    try:
        with transaction.atomic():
            incident = Incident.objects.create(
                kind=kind,
                title=title[:200],
                lifts=lifts[:300],
                dedupe=dedupe[:150],
                connection=connection,
                proposal=proposal,
                grant=grant,
                opened_at=Now(),
            )
            audit.record(
                "incident.open",
                actor=actor,
                chain=f"incident:{incident.pk}",
                subject=title[:200],
                detail={
                    "kind": kind,
                    "proposal": proposal.ref if proposal is not None else "",
                    **(detail or {}),
                },
            )
            _ring()
    except IntegrityError:
        return Incident.objects.get(dedupe=dedupe[:150])
    return incident


def lift(incident: Incident, *, note: str, by: User, actor: Actor) -> Incident:
    """Close one, with a note that says why it is over."""
    access.require(by, access.STOPS, "close an incident")
    if len(note.strip()) < SHORTEST_NOTE:
        raise Refused("say what was found and done; an auditor reads this", code="note_short")
    with transaction.atomic():
        if Incident.objects.filter(pk=incident.pk, lifted_at__isnull=True).update(lifted_at=Now(), owner=by):
            audit.record(
                "incident.lift",
                actor=actor,
                chain=f"incident:{incident.pk}",
                subject=incident.title,
                detail={"note": note[:500]},
            )
            _ring()
    incident.refresh_from_db()
    return incident


def take(incident: Incident, *, by: User, actor: Actor) -> Incident:
    """See to one: from here on this person owns it. Another may take it over. Conflict once it is closed."""
    access.require(by, access.STOPS, "see to an incident")
    with transaction.atomic():
        if not Incident.objects.filter(pk=incident.pk, lifted_at__isnull=True).update(owner=by):
            raise Conflict("this incident is closed", code="incident_closed")
        audit.record("incident.take", actor=actor, chain=f"incident:{incident.pk}", subject=incident.title)
    incident.refresh_from_db()
    return incident


def _ring() -> None:
    if settings.NOTICE_URLS:
        dispatch.after_commit(TELL)
