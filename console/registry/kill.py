"""The kill switch: stop, now. Everything, a system, a transaction type, an agent."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now

from console import access, audit
from console.audit import Actor
from console.catalogue import transaction_types
from console.errors import Refused
from console.models import Agent, KillSwitch, Scope, System, Widening
from console.registry import widenings


def throw(*, scope: str, reason: str, by: User, actor: Actor, value: str = "") -> KillSwitch:
    """Stop it. In force for every claim made after this returns; what is past its first byte is read back as ever.

    Refused without a reason, or for a system, type or agent that does not exist.
    """
    access.require(by, access.STOPS, "throw the kill switch")
    if not reason.strip():
        raise Refused("say why; everybody sees it", code="reason_empty")
    known = {
        Scope.EVERYTHING: value == "",
        Scope.SYSTEM: System.objects.filter(slug=value).exists(),
        Scope.TYPE: value in transaction_types(),
        Scope.AGENT: Agent.objects.filter(slug=value).exists(),
    }
    if scope not in Scope or not known[Scope(scope)]:
        raise Refused(f"there is no {scope} {value!r} to stop", code="nothing_to_stop")
    with transaction.atomic():
        thrown = KillSwitch.objects.create(
            scope=scope, value=value, reason=reason[:300], thrown_by=by, thrown_at=Now()
        )
        audit.record(
            "kill.throw",
            actor=actor,
            chain="kill",
            subject=str(thrown),
            detail={"reason": reason[:300], "kill": thrown.pk},
        )
    thrown.refresh_from_db()
    return thrown


def lift(thrown: KillSwitch, *, reason: str, by: User, actor: Actor) -> Widening:
    """Ask a second person to let it go on."""
    if not reason.strip():
        raise Refused("say why it is safe again", code="reason_empty")
    return widenings.ask(
        "lift_kill",
        {"kill": thrown.pk, "reason": reason[:300], "by": by.pk},
        text=f"Lift the kill switch: {thrown}",
        by=by,
        actor=actor,
    )


def in_force() -> list[KillSwitch]:
    """Every stop in force, newest first."""
    return list(KillSwitch.objects.filter(lifted_at__isnull=True).select_related("thrown_by").order_by("-id"))
