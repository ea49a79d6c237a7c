"""What every page shows: navigation, kill switches, theme, and where this console is running."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from console import access
from console.access import Role
from console.models import KillSwitch, Scope

THEMES = ("auto", "light", "dark")
THEME_COOKIE = "theme"


def page(request: HttpRequest) -> dict[str, Any]:
    """The context processor. Costs one statement (the kill switches), and only where the page shows them."""
    user = getattr(request, "user", None)
    roles = access.roles(user) if user is not None else frozenset()
    chosen = request.COOKIES.get(THEME_COOKIE, "auto")
    return {
        "navigation": SimpleLazyObject(lambda: navigation(request, roles)),
        "roles": roles,
        "decides": bool(roles & access.DECIDES),
        "theme": chosen if chosen in THEMES else "auto",
        "next_theme": THEMES[(THEMES.index(chosen) + 1) % len(THEMES)] if chosen in THEMES else "light",
        "stops": SimpleLazyObject(lambda: stops(request) if isinstance(user, User) else []),
        "mode": settings.MODE,
        "setting_up": setting_up() if settings.MODE == "demo" else None,
        "build": version(),
    }


def navigation(request: HttpRequest, roles: frozenset[Role]) -> list[dict[str, Any]]:
    """The routes with a place in the navigation that these roles may get, and which one is open."""
    from console.web.urls import ROUTES  # noqa: PLC0415 the table imports the pages, and pages use this module

    match = request.resolver_match
    here = match.url_name if match is not None else ""
    return [
        {
            "text": route.nav.text,
            "icon": route.nav.icon,
            "url": reverse(route.name),
            "current": here == route.name,
            "under": here != route.name and request.path != "/" and request.path.startswith(f"/{route.path}")
            if route.path
            else False,
        }
        for route in ROUTES
        if route.nav is not None
        and route.allows("GET", roles, signed_in=True)
        and (route.name != "queue" or roles & access.READS)  # it sends others on to what they may see
    ]


def stops(request: HttpRequest) -> list[KillSwitch]:
    """Kill switches in force, newest first. Asked once per request."""
    kept: list[KillSwitch] | None = getattr(request, "_stops", None)
    if kept is None:
        kept = list(
            KillSwitch.objects.filter(lifted_at__isnull=True).select_related("thrown_by").order_by("-id")
        )
        for thrown in kept:
            thrown.what = (  # type: ignore[attr-defined]
                "everything"
                if thrown.scope == Scope.EVERYTHING
                else f"{Scope(thrown.scope).label.lower().removeprefix('one ')} {thrown.value}"
            )
        request._stops = kept  # type: ignore[attr-defined]  # noqa: SLF001 a cache for one request
    return kept


def setting_up() -> dict[str, Any] | None:
    """How far a demo's ERP is: phase, done, total, core_ready, error. None when it is ready or not ours."""
    try:
        found = json.loads((settings.VAR / "tryton" / "progress.json").read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and (found.get("error") or not found.get("ready")) else None


@cache
def version() -> str:
    """The version of this console, as `pyproject.toml` names it."""
    project = settings.BASE_DIR / "pyproject.toml"
    try:
        return str(tomllib.loads(project.read_text())["project"]["version"])
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return "unknown"
