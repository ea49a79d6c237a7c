"""The few ways a verb can refuse.

    CountersignError
    +-- Denied      who is asking may not do this             403
    +-- Missing     there is no such thing, or not for you    404
    +-- Conflict    somebody or something was first: look     409
    +-- Refused     what was sent is not right                422
    +-- Exhausted   too much, too fast, or too many pending   429
    +-- Held        a kill switch or a freeze is on           409, try later

Each text says what was wrong, where, and what would be right, and holds no secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from integrations.contract import Finding


class CountersignError(Exception):
    """What a verb raises. `code` is stable for programs, `text` is for people, `detail` is JSON."""

    code = "error"

    def __init__(self, text: str, *, code: str = "", detail: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.code = code or type(self).code
        self.detail: Mapping[str, Any] = detail or {}


class Denied(CountersignError):
    """Who is asking may not do this. Do not repeat; the text says who may."""

    code = "denied"


class Missing(CountersignError):
    """There is no such thing, or not for the one who asks."""

    code = "missing"


class Conflict(CountersignError):
    """Somebody or something was first. Load again and look at what changed."""

    code = "conflict"


class Refused(CountersignError):
    """What was sent is not right; `findings` lists every fault at once."""

    code = "refused"

    def __init__(
        self,
        text: str,
        *,
        findings: Sequence[Finding] = (),
        code: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(text, code=code, detail=detail)
        self.findings = tuple(findings)


class Exhausted(CountersignError):
    """A limit is used up; `retry_after` says in how many seconds it is worth trying again."""

    code = "exhausted"

    def __init__(self, text: str, *, retry_after: int, code: str = "") -> None:
        super().__init__(text, code=code, detail={"retry_after": retry_after})
        self.retry_after = retry_after


class Held(CountersignError):
    """A kill switch or a freeze is on. Nothing is lost; it goes on when the hold is lifted."""

    code = "held"
