"""Roles of people."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import User
from django.db import transaction

from console import access
from console.access import Role
from console.audit import Actor
from console.errors import Denied
from console.models import Widening
from console.registry import apply, widenings


def set_roles(user: User, roles: Iterable[Role], *, by: User | None, actor: Actor) -> User | Widening:
    """Give a person exactly these roles. Fewer holds at once, more waits for a second person.

    Nobody sets their own.
    """
    wanted = sorted({Role(role).value for role in roles})
    change = {"user": user.pk, "roles": wanted}
    if by is not None:
        access.require(by, access.CONFIGURES, "set roles")
        if by.pk == user.pk:
            raise Denied("nobody sets their own roles; ask another administrator")
        if set(wanted) - {role.value for role in access.roles(user)}:
            text = f"{user.get_full_name() or user.username} becomes {', '.join(wanted)}"
            return widenings.ask("roles", change, text=text, by=by, actor=actor)
    with transaction.atomic():
        apply.roles(change, actor)
    user.__dict__.pop("_countersign_roles", None)
    return user
