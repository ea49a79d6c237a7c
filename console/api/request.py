"""What every request and answer of the door has: an id, a body within bounds, figures of the limit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from pydantic import BaseModel
from rest_framework.request import Request

from console import references
from console.access import agent_actor
from console.audit import Actor
from console.checks.shape import MAX_BYTES
from console.errors import Refused
from console.models import AgentKey, EvalRun
from console.windows import SECONDS, Count

KEY = re.compile(r"^[\x21-\x7e]{1,128}$")


def plain(request: Request | HttpRequest) -> HttpRequest:
    """Django's request under REST framework's, on which this door keeps what it knows of a call."""
    return request._request if isinstance(request, Request) else request  # noqa: SLF001 it has no public name


def request_id(request: Request | HttpRequest) -> str:
    """Our name for this call: in its answer, in its audit entries and in the log."""
    bare: Any = plain(request)
    if not hasattr(bare, "countersign_id"):
        bare.countersign_id = references.new("RQ")
    name: str = bare.countersign_id
    return name


def key_of(request: Request) -> AgentKey:
    """The key that this call came with."""
    key: Any = request.auth
    if not isinstance(key, AgentKey):
        raise TypeError("an address without a door's guard asked for the caller's key")
    return key


def run_of(request: Request) -> EvalRun | None:
    """The run whose key this call came with, None where it came with a live key."""
    return request.auth if isinstance(request.auth, EvalRun) else None


def actor_of(request: Request) -> Actor:
    """The caller as an audit entry names it."""
    if (run := run_of(request)) is not None:
        return agent_actor(run.version, key_id=run.key_id, request_id=request_id(request))
    key = key_of(request)
    return agent_actor(key.version, key_id=key.key_id, request_id=request_id(request))


def counted(request: Request, count: Count) -> None:
    """Remember the figures of the limit for the answer's headers."""
    bare: Any = plain(request)
    bare.countersign_count = count


def stamp(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Give an answer its id and the limit's figures (draft-ietf-httpapi-ratelimit-headers), and keep it uncached."""
    response["X-Request-ID"] = request_id(request)
    response["Cache-Control"] = "no-store"
    count: Count | None = getattr(request, "countersign_count", None)
    if count is not None:
        response["RateLimit-Policy"] = f'"calls";q={count.limit};w={SECONDS}'
        response["RateLimit"] = f'"calls";r={count.left};t={count.seconds}'
        if not count.admitted:
            response["Retry-After"] = str(count.seconds)
    return response


def answered(
    request: Request, body: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """A good answer."""
    response = HttpResponse(body.model_dump_json(), content_type="application/json", status=status)
    for name, value in (headers or {}).items():
        response[name] = value
    return stamp(plain(request), response)


def body_of(request: Request) -> bytes:
    """The raw body. Refused before it is read when it is empty, not JSON by its own word, or too large."""
    bare = plain(request)
    length = bare.META.get("CONTENT_LENGTH") or ""
    if not length and bare.headers.get("Transfer-Encoding"):
        raise Refused("the body has no Content-Length; send it in one piece", code="length_required")
    if length in {"", "0"}:
        raise Refused("the body is empty; send one JSON object", code="not_json")
    if bare.content_type != "application/json":
        raise Refused(
            f"the body is {str(bare.content_type)[:60] or 'of no type'}; send it as application/json",
            code="wrong_media_type",
        )
    if length.isdigit() and int(length) > MAX_BYTES:
        raise Refused(f"the body is {int(length):,} bytes; at most {MAX_BYTES:,} are read", code="too_large")
    return bare.body


def idempotency_key(request: Request) -> str:
    """The client's own name for what it sends, without quotes. Refused where there is none or it is no name."""
    given = request.headers.get("Idempotency-Key", "").strip()
    if not given:
        raise Refused(
            "send an Idempotency-Key: a name of your own for what you send, the same when you repeat the call",
            code="key_missing",
        )
    # The IETF draft writes it as a structured string, in quotes; most clients send it bare.
    key = given[1:-1] if len(given) > 1 and given[0] == given[-1] == '"' else given
    if not KEY.match(key):
        raise Refused("an Idempotency-Key is 1 to 128 visible ASCII characters", code="key_invalid")
    return key
