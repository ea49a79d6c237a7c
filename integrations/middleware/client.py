"""Sends one message to one endpoint, and turns every way it can be answered into one class of answer.

2xx: it was taken, nothing more. A refusal is clear only in the endpoint's own words, a JSON object with
`{"error": {"code", "message"}}`, because a bare status may come from anything in between. Everything else after the
first byte is in doubt: a redirect (never followed), 429, 502, 503 and 504 (with Retry-After, if given, as evidence),
a page for people.
"""

from __future__ import annotations

import datetime as dt
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx
from standardwebhooks import Webhook

from integrations.contract import (
    AdapterError,
    InDoubt,
    NeedsPerson,
    OutOfScope,
    Rejected,
    Stale,
    Unavailable,
)
from integrations.middleware import addresses, signing

LONGEST_ANSWER = 64 * 1024
LONGEST_EVIDENCE = 2000

CLEAR: Mapping[tuple[int, str], type[AdapterError]] = {
    (400, "bad_request"): Rejected,
    (401, "unauthorised"): OutOfScope,
    (403, "out_of_scope"): OutOfScope,
    (409, "needs_person"): NeedsPerson,
    (409, "stale"): Stale,
    (410, "gone"): Rejected,
    (422, "rejected"): Rejected,
}
"""Status and code together; one without the other may come from anything in between."""


UNMADE = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""The connection was not made, so nothing of the request was sent."""

tls = cache(ssl.create_default_context)
"""The certificates that are believed, loaded once."""


@dataclass(frozen=True)
class Taken:
    """A 2xx: the JSON object in it, if there is one, and what to keep of the answer."""

    content: Mapping[str, Any]
    evidence: Mapping[str, Any]


def post(
    url: str,
    message_id: str,
    body: bytes,
    *,
    by: tuple[Webhook, ...],
    own_network: bool,
    seconds: float,
    before: Callable[[], None],
    at: dt.datetime | None = None,
) -> Taken:
    """Send a signed message once. `before` is called when all is ready and no byte has left. Raises AdapterError.

    `at`: the time that it is signed for (UTC), now unless given.
    """
    where = urlsplit(url).hostname or ""
    found = addresses.resolved(url, own_network=own_network)
    before()
    headers = {
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "identity",
        **signing.sign(by, message_id, body, at or dt.datetime.now(dt.UTC)),
    }
    # A connection of its own for every message: one that was kept may have been closed, and then nobody knows.
    with httpx.HTTPTransport(verify=tls(), trust_env=False) as transport:
        try:
            response = _first(transport, "POST", url, found, seconds, headers, body)
            raw = _read(response)
        except UNMADE as error:
            raise Unavailable(f"{where} is not reachable ({type(error).__name__}).") from None
        except httpx.TimeoutException:
            raise InDoubt(f"{where} did not answer in time.") from None
        except httpx.HTTPError as error:
            raise InDoubt(f"The answer of {where} was lost ({type(error).__name__}).") from None
    return _judged(where, response, raw)


def reach(url: str, *, own_network: bool, seconds: float) -> None:
    """Return if something answers there. Sends no message. Unavailable if not."""
    parts = urlsplit(url)
    found = addresses.resolved(url, own_network=own_network)
    root = f"{parts.scheme}://{parts.netloc}/"
    with httpx.HTTPTransport(verify=tls(), trust_env=False) as transport:
        try:
            _first(transport, "HEAD", root, found, seconds).close()
        except httpx.HTTPError as error:
            raise Unavailable(f"{parts.hostname} is not reachable ({type(error).__name__}).") from None


def _first(
    transport: httpx.HTTPTransport,
    method: str,
    url: str,
    found: tuple[str, ...],
    seconds: float,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> httpx.Response:
    """The answer of the first of these addresses to which a connection can be made: it alone gets the request."""
    parts = urlsplit(url)
    for place, address in enumerate(found, 1):
        request = httpx.Request(
            method,
            httpx.URL(url, host=address),
            headers={"host": parts.netloc.rpartition("@")[2], "user-agent": "Countersign", **(headers or {})},
            content=body,
            # The certificate is the name's, not the address's.
            extensions={"timeout": httpx.Timeout(seconds).as_dict(), "sni_hostname": parts.hostname},
        )
        try:
            return transport.handle_request(request)
        except UNMADE:
            if place == len(found):
                raise
    raise httpx.ConnectError("it has no address")


def _read(response: httpx.Response) -> bytes:
    raw = b""
    try:
        for chunk in response.iter_raw():
            raw += chunk
            if len(raw) > LONGEST_ANSWER:
                break
    finally:
        response.close()
    return raw[:LONGEST_ANSWER]


def _judged(where: str, response: httpx.Response, raw: bytes) -> Taken:
    status = response.status_code
    evidence: dict[str, Any] = {"status": status, "body": raw.decode("utf-8", "replace")[:LONGEST_EVIDENCE]}
    if wait := response.headers.get("retry-after"):
        evidence["retry_after"] = wait[:32]
    try:
        content = json.loads(raw) if raw.strip() else {}
    except ValueError:
        content = None
    if response.is_success:
        if "html" in response.headers.get("content-type", ""):
            raise InDoubt(f"{where} answered {status} with a page for people.", evidence=evidence)
        return Taken(content if isinstance(content, dict) else {}, evidence)
    error = content.get("error") if isinstance(content, dict) else None
    code = str(error.get("code")) if isinstance(error, dict) else ""
    clear = CLEAR.get((status, code))
    if clear is not None and isinstance(error, dict):
        raise clear(str(error.get("message") or code)[:500], evidence=evidence)
    if response.is_redirect:
        raise InDoubt(f"{where} answered {status}, elsewhere; that is not followed.", evidence=evidence)
    raise InDoubt(f"{where} answered {status}.", evidence=evidence)
