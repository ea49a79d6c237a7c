"""Screens that a robot may work at: each is certified by two people, and a changed one stops its script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.contrib.auth.models import User

from console.audit import Actor
from console.errors import Refused
from console.models import CertifiedScreen, Connection, Widening
from console.registry import widenings
from integrations.contract import Finding, Level, Step

FINGERPRINT_LENGTH = 64


def certify(
    connection: Connection, *, transaction_type: str, script: str, fingerprint: str, by: User, actor: Actor
) -> Widening:
    """Ask a second person to agree that this screen is the one that the script was written for."""
    if len(fingerprint) != FINGERPRINT_LENGTH or set(fingerprint) - set("0123456789abcdef"):
        raise Refused(
            "a fingerprint is 64 hexadecimal digits; the refused proposal shows it", code="fingerprint"
        )
    return widenings.ask(
        "certify_screen",
        {
            "connection": connection.pk,
            "transaction_type": transaction_type,
            "script": script,
            "fingerprint": fingerprint,
            "by": by.pk,
        },
        text=f"Certify the screen {fingerprint[:12]} of {connection.name} for {script}",
        by=by,
        actor=actor,
    )


def uncertified(connection: Connection, transaction_type: str, plan: Sequence[Step]) -> Iterator[Finding]:
    """An error for every step that would work at a screen which nobody has certified."""
    for step in plan:
        screen = step.request.get("screen")
        if screen is None:
            continue
        script, fingerprint = str(screen["script"]), str(screen["fingerprint"])
        known = CertifiedScreen.objects.filter(
            connection=connection, transaction_type=transaction_type, script=script
        )
        if not known.filter(fingerprint=fingerprint).exists():
            changed = "changed since it was certified" if known.exists() else "has not been certified yet"
            yield Finding(
                "screen.not_certified",
                Level.ERROR,
                f"The screen {changed}: its fingerprint is {fingerprint}.",
                hint="Look at the pictures; if the script still fits: manage.py certify_screen.",
            )
