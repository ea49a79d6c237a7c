"""How a call gets in: the key, the limit per minute, JSON and nothing else. No session, no cookie, so no CSRF."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q
from django.db.models.functions import Now
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.decorators import api_view, authentication_classes, permission_classes, throttle_classes
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from console import audit
from console.api.request import counted, key_of, plain, request_id
from console.audit import Actor
from console.errors import Denied, Exhausted
from console.models import AgentKey
from console.registry import keys
from console.windows import count

View = Callable[..., HttpResponse]

USED = dt.timedelta(minutes=1)
"""How exact a key's last use is known: one write a minute instead of one a call."""

REFUSALS_PER_MINUTE = 30
"""How many refused keys are put on record in a minute, in all, and per known key. See `_put_on_record`."""


class AgentKeys(BaseAuthentication):
    """`Authorization: Bearer cs_...`: a live key of an agent version. `request.auth` is the key."""

    def authenticate(self, request: Request) -> tuple[Any, AgentKey] | None:
        """The key, or None when none was sent. Denied says whether it is wrong, expired or revoked."""
        scheme, _, text = request.headers.get("Authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer":
            return None
        text = text.strip()
        try:
            key = keys.authenticate(text)
        except Denied as refusal:
            _put_on_record(request, text, refusal)
            raise
        if key.last_used_at is None or timezone.now() - key.last_used_at > USED:
            AgentKey.objects.filter(pk=key.pk).filter(
                Q(last_used_at__isnull=True) | Q(last_used_at__lt=Now() - USED)
            ).update(last_used_at=Now())
        return AnonymousUser(), key

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 REST framework's signature
        """What a 401 asks for."""
        return 'Bearer realm="countersign"'


class IsAgent(BasePermission):
    """Whoever came with a live key."""

    def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002 the same
        """Whether there is one."""
        return isinstance(request.auth, AgentKey)


class CallsPerMinute(BaseThrottle):
    """The agent's own limit, over all its versions and keys."""

    def allow_request(self, request: Request, view: APIView) -> bool:  # noqa: ARG002 the same
        """Count the call, or raise Exhausted."""
        agent = key_of(request).version.agent
        result = count(f"agent:{agent.pk}", agent.calls_per_minute)
        counted(request, result)
        if not result.admitted:
            raise Exhausted(
                f"{result.limit} calls in a minute are used up; the next is admitted in {result.seconds} s",
                retry_after=result.seconds,
                code="too_many_calls",
            )
        return True


def door(*methods: str) -> Callable[[View], Any]:
    """Make a function the view of an address for agents, with these methods."""

    def made(view: View) -> Any:
        guarded = authentication_classes([AgentKeys])(view)
        guarded = permission_classes([IsAgent])(guarded)
        guarded = throttle_classes([CallsPerMinute])(guarded)
        return _bare(api_view(_with_head(methods))(guarded))

    return made


def open_door(*methods: str) -> Callable[[View], Any]:
    """Make a function the view of an address for everybody. It must show nothing that is anybody's."""

    def made(view: View) -> Any:
        guarded = authentication_classes([])(view)
        guarded = permission_classes([AllowAny])(guarded)
        return _bare(api_view(_with_head(methods))(throttle_classes([])(guarded)))

    return made


def _with_head(methods: tuple[str, ...]) -> list[str]:
    return [*methods, *(["HEAD"] if "GET" in methods else [])]


def _bare(view: Any) -> Any:
    # OPTIONS would describe forms that are not there: here it is a method that is not allowed.
    view.cls.http_method_names = sorted(name for name in view.cls.http_method_names if name != "options")
    return view


def _put_on_record(request: Request, text: str, refusal: Denied) -> None:
    """Audit a refused key, unless the minute's share is used up.

    Junk shares one allowance, so a flood of it cannot fill the log; a known key that is revoked or expired has
    one of its own, so the flood cannot hide its use either.
    """
    known = refusal.code in {"key_revoked", "key_expired"}
    key_id = text.split("_")[1] if known else ""
    if not count(f"refused:{key_id}", REFUSALS_PER_MINUTE).admitted:
        return
    audit.record_alone(
        "access.refused",
        actor=Actor(kind="agent", id="", label="Unknown caller", via=key_id, request_id=request_id(request)),
        chain="console",
        subject=refusal.code,
        detail={"address": plain(request).META.get("REMOTE_ADDR", ""), "path": request.path[:200]},
    )
