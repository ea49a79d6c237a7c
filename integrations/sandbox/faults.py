"""How the sandbox is told to fail: rules that match calls, each a set number of times."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from typing import Any

BEFORE = {
    "unavailable",
    "timeout_before_effect",
    "reset_before_effect",
    "rate_limited",
    "unauthorised",
    "forbidden",
    "reject",
    "needs_person",
    "slow",
}
AFTER = {
    "timeout_after_effect",
    "reset_after_effect",
    "cut_after_effect",
    "error_after_effect",
    "truncated_body",
    "wrong_body",
    "empty_body",
}
INSTEAD = {"ignored", "partial_effect"}
READING = {"stale_reads"}
KINDS = BEFORE | AFTER | INSTEAD | READING

_ids = itertools.count(1)


@dataclass
class Rule:
    """One way to fail. `times` None: until removed. `after`: so many matching calls are let through first.

    `operation`: an operation's exact name, `read` or `write` for all of a kind, or empty for any. `step`,
    `account`: exact, or empty for any. Rehearsals and probes are met only by the names `rehearse` and
    `probe`. `seconds`: how long to keep silent, be slow, or lag.
    """

    kind: str
    operation: str = ""
    step: str = ""
    account: str = ""
    times: int | None = 1
    after: int = 0
    seconds: float = 30.0
    message: str = ""
    keep: int | None = None
    hits: int = 0
    id: int = field(default_factory=lambda: next(_ids))

    def matches(self, operation: str, *, writes: bool, step: str, account: str) -> bool:
        """Whether this rule is about the call."""
        group = "write" if writes else "read"
        asked = {operation} if operation in {"rehearse", "probe"} else {operation, group, ""}
        return self.operation in asked and self.step in {step, ""} and self.account in {account, ""}


class Faults:
    """The rules in force, oldest first."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self._lock = threading.Lock()

    def add(self, **given: Any) -> Rule:
        """Put a rule in force. ValueError when there is no such kind, TypeError for an unknown setting."""
        rule = Rule(**given)
        if rule.kind not in KINDS:
            raise ValueError(f"There is no fault {rule.kind!r}; there are {', '.join(sorted(KINDS))}.")
        with self._lock:
            self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """Be well again."""
        with self._lock:
            self.rules.clear()

    def take(self, operation: str, *, writes: bool, step: str, account: str) -> Rule | None:
        """The rule that this call falls under, counted as used."""
        with self._lock:
            for rule in self.rules:
                if not rule.matches(operation, writes=writes, step=step, account=account):
                    continue
                if (rule.kind in READING or rule.kind in INSTEAD) and writes != (rule.kind in INSTEAD):
                    continue
                if rule.after > 0:
                    rule.after -= 1
                    continue
                rule.hits += 1
                if rule.times is not None:
                    rule.times -= 1
                    if rule.times <= 0:
                        self.rules.remove(rule)
                return rule
        return None
