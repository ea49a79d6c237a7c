"""What a system says may repeat what it was sent: here the account's secret is taken out of its words again.

An error page that shows the request's headers, a proxy that quotes the body, a token that comes back in a message:
the adapters keep systems' words as evidence, and people, agents and auditors read them.
"""

from __future__ import annotations

import base64
import dataclasses
import html
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

from integrations.contract import Accepted, AdapterError, Claim, Finding, ProbeReport, Receipt, Trace

T = TypeVar("T")

HIDDEN = "(hidden)"
SHORTEST = 6
"""Shorter texts stand in too many places by chance; such a password is none."""

_TOKEN = re.compile(r"\b(Bearer|Basic|Session)\s+[\w.~+/=-]{20,}", re.IGNORECASE)
"""Whatever an account was given to show instead of its secret."""

_WORDS = (Accepted, Claim, Finding, ProbeReport, Receipt, Trace)
"""Answers that carry a system's words. Snapshots and readings are its records, and stay as they are."""


def discreet(live: T, secret: str, options: Mapping[str, Any]) -> T:
    """A live adapter as it is, but no error, receipt or report of it repeats the secret of its account.

    Nor what stands behind a question mark in an address among its `options`, where some systems want a credential.
    """
    return cast("T", _Discreet(live, hider(secret, *_in_addresses(options))))


class _Discreet:
    """What stands before a live adapter: it passes on every call, and hides what comes back."""

    def __init__(self, live: Any, hide: Callable[[Any], Any]) -> None:
        self._live, self._hide = live, hide

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._live, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            try:
                answer = found(*arguments, **named)
            except AdapterError as error:
                error.text, error.evidence = self._hide(error.text), self._hide(error.evidence)
                error.args = (error.text,)
                raise
            return self._hide(answer)

        return call

    def __repr__(self) -> str:
        return repr(self._live)


def hider(*secrets: str) -> Callable[[Any], Any]:
    """What takes every form of these secrets, and every token, out of text, JSON and an adapter's answers."""
    forms = sorted(
        {
            form
            for secret in secrets
            for part in _parts(secret)
            for form in _forms(part)
            if len(form) >= SHORTEST
        },
        key=len,
        reverse=True,
    )
    pattern = re.compile("|".join(map(re.escape, forms))) if forms else None

    def hide(value: Any) -> Any:
        if type(value) is str:  # a word of ours, such as `Seen`, stays what it is
            said = pattern.sub(HIDDEN, value) if pattern is not None else value
            return _TOKEN.sub(rf"\1 {HIDDEN}", said)
        if isinstance(value, Mapping):
            return {hide(name): hide(one) for name, one in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(hide(one) for one in value)
        if isinstance(value, _WORDS):
            told = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
            return dataclasses.replace(value, **{name: hide(one) for name, one in told.items()})
        return value

    return hide


def _parts(secret: str) -> Iterator[str]:
    """The texts in a secret: itself and its lines, several with spaces between, the values of JSON."""
    yield from (secret, *secret.splitlines())
    if secret.startswith("whsec_"):
        yield from (part.removeprefix("whsec_") for part in secret.split())
    try:
        content = json.loads(secret)
    except ValueError:
        return
    if isinstance(content, Mapping):
        for value in content.values():
            if isinstance(value, str):
                yield from (value, *value.splitlines())


def _in_addresses(options: Any) -> Iterator[str]:
    if isinstance(options, str) and "://" in options:
        yield from (value for _, value in parse_qsl(urlsplit(options).query))
    elif isinstance(options, Mapping):
        for one in options.values():
            yield from _in_addresses(one)


def _forms(text: str) -> Iterator[str]:
    """As it may come back: plain, in an address, in JSON, in HTML, in hexadecimal, or inside something in base64."""
    raw = text.encode()
    yield from (text, quote(text), quote(text, safe=""), quote_plus(text), html.escape(text), raw.hex())
    yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    for skipped in range(3):
        whole = raw[skipped : skipped + (len(raw) - skipped) // 3 * 3]
        yield from (base64.b64encode(whole).decode(), base64.urlsafe_b64encode(whole).decode())
