"""The judges' words: findings say whether it is sound, verdicts whether the right people agree."""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass
from typing import Any

from integrations.contract import Finding, Level

__all__ = ["Finding", "Level", "Status", "Verdict", "finding_json", "verdict_json"]


class Status(enum.StrEnum):
    """Where a requirement stands. Only the first two let a proposal pass."""

    SATISFIED = "satisfied"
    NOT_APPLICABLE = "not_applicable"
    UNSATISFIED = "unsatisfied"
    ERROR = "error"

    @property
    def passes(self) -> bool:
        """Whether nothing more is needed for this requirement."""
        return self in {Status.SATISFIED, Status.NOT_APPLICABLE}


@dataclass(frozen=True)
class Verdict:
    """Where one requirement stands: its name, its status, why in words, and who can satisfy it."""

    requirement: str
    status: Status
    text: str
    who: str = ""


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding as it is stored and sent: id, level, text, field, hint."""
    return {**asdict(finding), "level": finding.level.value}


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict as it is stored and sent: requirement, status, text, who."""
    return {**asdict(verdict), "status": verdict.status.value}
