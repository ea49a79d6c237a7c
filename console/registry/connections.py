"""Connections as rows: mirrored from the settings, switched by people."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction

from console import access, audit
from console.audit import Actor
from console.catalogue import closed_door, specs
from console.errors import Refused
from console.models import Connection, System, Widening
from console.registry import widenings


def mirror(*, actor: Actor) -> list[Connection]:
    """Make or update a row for every connection in the settings. One that is gone from them is switched off."""
    found = []
    with transaction.atomic():
        for spec in specs().values():
            system, _ = System.objects.update_or_create(
                slug=spec.system, defaults={"title": spec.system_title, "level": spec.level}
            )
            values = {
                "title": spec.title,
                "system": system,
                "adapter": spec.adapter_path,
                "path": spec.adapter.path,
                "verified": spec.adapter.verified,
            }
            before = Connection.objects.filter(name=spec.name).first()
            connection, _ = Connection.objects.update_or_create(name=spec.name, defaults=values)
            if before is None or any(getattr(before, name) != value for name, value in values.items()):
                audit.record(
                    "connection.mirror",
                    actor=actor,
                    chain=f"connection:{spec.name}",
                    subject=spec.name,
                    detail={"adapter": spec.adapter_path, "system": spec.system, "level": spec.level},
                )
            found.append(connection)
        for spec in specs().values():
            if spec.verified_by:
                Connection.objects.filter(name=spec.name).update(
                    verified_by=Connection.objects.get(name=spec.verified_by)
                )
        for gone in Connection.objects.filter(enabled=True).exclude(name__in=specs()):
            Connection.objects.filter(pk=gone.pk).update(enabled=False)
            audit.record(
                "connection.disable",
                actor=actor,
                chain=f"connection:{gone.name}",
                subject=gone.name,
                detail={"reason": "no longer in the settings"},
            )
    return found


def disable(connection: Connection, *, reason: str, by: User, actor: Actor) -> Connection:
    """Switch it off, at once."""
    access.require(by, access.CONFIGURES, "switch a connection")
    with transaction.atomic():
        Connection.objects.filter(pk=connection.pk).update(enabled=False)
        audit.record(
            "connection.disable",
            actor=actor,
            chain=f"connection:{connection.name}",
            subject=connection.name,
            detail={"reason": reason[:300]},
        )
    connection.refresh_from_db()
    return connection


def enable(connection: Connection, *, by: User, actor: Actor) -> Widening:
    """Ask a second person to switch it on. Refused for a robot where another connection carries its type."""
    found = specs().get(connection.name)
    if found is not None and (why := closed_door(specs(), found)):
        raise Refused(f"{connection.title}: {why}", code="last_door")
    return widenings.ask(
        "enable_connection",
        {"connection": connection.pk},
        text=f"Switch on connection {connection.name}",
        by=by,
        actor=actor,
    )
