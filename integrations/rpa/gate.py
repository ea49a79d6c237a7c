"""What may leave the browser: nothing but to the system's own host, and no write but the one that was approved.

Every request of every page passes `Gate.judge` before its first byte leaves. A screen that was clicked wrongly, or
that does more than its script knows, therefore cannot write: what is not expected is held back, told in `held`, and
ends the sitting. How a request is told to be a write is the system's; see `Speech`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Said:
    """One request of the page that is more than fetching a file: its method and its arguments, as JSON."""

    method: str
    arguments: Any


@dataclass(frozen=True)
class Speech:
    """How one kind of system is spoken to over the wire.

    `files`: a pattern for the beginning of paths below which there are plain files only; they are not asked about.
    `said(url, body)`: the call in a request, None for a plain file; ValueError when it is neither.
    `harmless(method)`: it changes nothing. `chatter(method)`: it keeps how somebody likes their window; a robot has no
    taste, so it is held back without a word. `same(said, expected)`: it is exactly the write that was approved.
    """

    files: str
    said: Callable[[str, str], Said | None]
    harmless: Callable[[str], bool]
    chatter: Callable[[str], bool]
    same: Callable[[Said, Mapping[str, Any]], bool]


@dataclass
class Gate:
    """Stands between one sitting and its system. `origin` is scheme, host and port.

    `expected` is the one write that may pass, while there is one: set it at the last moment. `trial` rewrites that
    write's body as it passes, for proving what the system refuses; see `probing`.
    """

    origin: str
    speech: Speech
    expected: Mapping[str, Any] | None = None
    trial: Callable[[str], str] | None = None
    passed: list[Said] = field(default_factory=list)
    held: list[str] = field(default_factory=list)

    def judge(self, url: str, verb: str, body: str) -> str | None:
        """The body with which this request may leave; None when it may not."""
        parts = urlsplit(url)
        if parts.scheme in {"data", "blob"}:
            return body
        if f"{parts.scheme}://{parts.netloc}" != self.origin:
            self.held.append(f"a request to {parts.scheme}://{parts.netloc}")
            return None
        try:
            said = self.speech.said(url, body)
        except (ValueError, KeyError, TypeError):
            self.held.append(f"a {verb} that is no call of this system")
            return None
        if said is None:
            if verb in {"GET", "HEAD"}:
                return body
            self.held.append(f"a {verb} that is no call of this system")
            return None
        if self.speech.chatter(said.method):
            return None
        if self.speech.harmless(said.method):
            return body
        expected, self.expected = self.expected, None
        if expected is None or not self.speech.same(said, expected):
            # The arguments stay out: this is shown and kept.
            self.held.append(said.method)
            return None
        self.passed.append(said)
        return self.trial(body) if self.trial is not None else body
