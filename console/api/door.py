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

from console import audit, tracing
from console.api.request import counted, plain, request_id
from console.audit import Actor
from console.errors import Denied, Exhausted
from console.evals import runs
from console.models import AgentKey, EvalRun
from console.registry import keys
from console.windows import count

View = Callable[..., HttpResponse]

USED = dt.timedelta(minutes=1)
"""How exact a key's last use is known: one write a minute instead of one a call."""

REFUSALS_PER_MINUTE = 30
"""How many refused keys are put on record in a minute, in all, and per known key. See `_put_on_record`."""


class AgentKeys(BaseAuthentication):
    """`Authorization: Bearer cs_...`: a live key of an agent version, or `csr_...`: the key of an eval run.

    `request.auth` is the key, or the run.
    """

    def authenticate(self, request: Request) -> tuple[Any, AgentKey | EvalRun] | None:
        """The key or run, or None when none was sent. Denied says whether it is wrong, expired or revoked."""
        scheme, _, text = request.headers.get("Authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer":
            return None
        text = text.strip()
        try:
            if text.startswith(f"{keys.RUN}_"):
                return AnonymousUser(), runs.authenticate(text)
            key = keys.authenticate(text)
            tracing.tell(agent=key.version.agent.slug, agent_version=key.version.label)
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


def check_live(request: Request) -> None:
    """Return unless the call came with the key of a run; Denied says that it reaches nothing that is live."""
    if isinstance(request.auth, EvalRun):
        raise Denied(
            f"this key reaches run {request.auth.ref} and nothing else; use your own key here", code="run_key"
        )


class IsAgent(BasePermission):
    """Whoever came with a live key. The key of a run is refused: it reaches nothing that is live."""

    def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002 the same
        """Whether there is one."""
        check_live(request)
        return isinstance(request.auth, AgentKey)


class SitsRun(BasePermission):
    """Whoever came with the key of a run."""

    def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002 the same
        """Whether there is one."""
        if isinstance(request.auth, AgentKey):
            raise Denied("a run is sat with the key that opening it gave, not with your own", code="live_key")
        return isinstance(request.auth, EvalRun)


class Either(BasePermission):
    """Whoever came with a live key or the key of a run: for addresses that answer each from what is its own."""

    def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002 the same
        """Whether there is one."""
        return isinstance(request.auth, (AgentKey, EvalRun))


class CallsPerMinute(BaseThrottle):
    """The agent's own limit, over all its versions and keys."""

    def allow_request(self, request: Request, view: APIView) -> bool:  # noqa: ARG002 the same
        """Count the call, or raise Exhausted."""
        # A run counts by itself: sitting one takes nothing from what the agent does live.
        key: Any = request.auth
        agent = key.version.agent
        sits = "run" if isinstance(key, EvalRun) else "agent"
        result = count(f"{sits}:{agent.pk}", agent.calls_per_minute)
        counted(request, result)
        if not result.admitted:
            raise Exhausted(
                f"{result.limit} calls in a minute are used up; the next is admitted in {result.seconds} s",
                retry_after=result.seconds,
                code="too_many_calls",
            )
        return True


def door(*methods: str, who: type[BasePermission] = IsAgent) -> Callable[[View], Any]:
    """Make a function the view of an address for agents, with these methods. `who` says which keys it takes."""

    def made(view: View) -> Any:
        guarded = authentication_classes([AgentKeys])(view)
        guarded = permission_classes([who])(guarded)
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
