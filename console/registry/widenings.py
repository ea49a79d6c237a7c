"""What allows more waits for a second person. The verbs that can wait register themselves in `KINDS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from console import access, audit
from console.audit import Actor
from console.errors import Conflict, Denied
from console.models import Widening
from console.registry import apply

KINDS: Mapping[str, Callable[[Mapping[str, Any], Actor], None]] = {
    "grant": apply.grant,
    "sampling": apply.sampling,
    "unfreeze": apply.unfreeze,
    "gate": apply.gate,
    "limit": apply.limit,
    "enable_connection": apply.enable_connection,
    "certify_screen": apply.certify_screen,
    "lift_kill": apply.lift_kill,
    "caps": apply.caps,
    "roles": apply.roles,
}
"""What a widening may do when it is confirmed."""


def ask(kind: str, change: Mapping[str, Any], *, text: str, by: User, actor: Actor) -> Widening:
    """Put a change before a second person. Denied unless the asker may configure. KeyError for an unknown kind."""
    if kind not in KINDS:
        raise KeyError(kind)
    access.require(
        by, access.CONFIRMS if kind == "lift_kill" else access.CONFIGURES, "change what is allowed"
    )
    with transaction.atomic():
        widening = Widening.objects.create(
            kind=kind, change=dict(change), text=text[:300], asked_by=by, asked_at=Now()
        )
        audit.record(
            "widening.ask",
            actor=actor,
            chain=f"widening:{widening.pk}",
            subject=text,
            detail={"kind": kind, "change": dict(change)},
        )
    return widening


def confirm(widening: Widening, *, by: User, actor: Actor) -> Widening:
    """The second person agrees; it takes effect now. Denied for the one who asked, Conflict if it is decided."""
    access.require(by, access.CONFIRMS, "confirm a change")
    if widening.asked_by_id == by.pk:
        raise Denied("you asked for this yourself; a second person has to confirm it")
    if widening.kind == "roles" and widening.change["user"] == by.pk:
        raise Denied("this is about your own roles; somebody else has to confirm it")
    with transaction.atomic():
        _decide(widening, by, confirmed=True)
        KINDS[widening.kind](widening.change, actor)
        audit.record(
            "widening.confirm",
            actor=actor,
            chain=f"widening:{widening.pk}",
            subject=widening.text,
            detail={"kind": widening.kind, "change": widening.change, "asked_by": widening.asked_by.username},
        )
    widening.refresh_from_db()
    return widening


def decline(widening: Widening, *, by: User, actor: Actor) -> Widening:
    """Say no; the asker may take it back the same way. Conflict if it is decided already."""
    access.require(by, access.CONFIRMS, "decline a change")
    with transaction.atomic():
        _decide(widening, by, confirmed=False)
        audit.record(
            "widening.decline",
            actor=actor,
            chain=f"widening:{widening.pk}",
            subject=widening.text,
            detail={"kind": widening.kind},
        )
    widening.refresh_from_db()
    return widening


def waiting() -> QuerySet[Widening]:
    """What waits for a second person, oldest first."""
    return Widening.objects.filter(decided_at__isnull=True).select_related("asked_by").order_by("id")


def _decide(widening: Widening, by: User, *, confirmed: bool) -> None:
    changed = Widening.objects.filter(pk=widening.pk, decided_at__isnull=True).update(
        decided_by=by, decided_at=Now(), confirmed=confirmed
    )
    if changed != 1:
        raise Conflict("somebody has decided this already", code="already_decided")
