"""When a rate has turned for the worse: a Bernoulli CUSUM over decisions, one after the other.

Source: M. R. Reynolds and Z. G. Stoumbos, "A CUSUM chart for monitoring a proportion when inspecting continuously",
Journal of Quality Technology 31 (1999). The chart adds the log likelihood ratio of "the rate is as bad as `alarm`"
against "it is as usual" for every decision, never falls below zero, and raises an alarm at `threshold`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Chart:
    """`usual` and `alarm`: shares of overridden decisions, 0 to 1; `threshold` in natural log units.

    From 5 to 15 percent at 5: thousands of decisions between false alarms, about fifty to see the rate tripled.
    """

    usual: float
    alarm: float
    threshold: float

    def step(self, level: float, *, overridden: bool) -> float:
        """The level after one more decision."""
        weight = (
            math.log(self.alarm / self.usual) if overridden else math.log((1 - self.alarm) / (1 - self.usual))
        )
        return max(0.0, level + weight)

    def alarms(self, level: float) -> bool:
        """Whether the level says that the rate has turned."""
        return level >= self.threshold

    def to_alarm(self, level: float) -> int:
        """How many overridden decisions in a row would alarm from this level."""
        count = 0
        while not self.alarms(level):
            level = self.step(level, overridden=True)
            count += 1
        return count

    def first_alarm(self, decisions: Iterable[bool]) -> int | None:
        """After how many decisions it first alarms, None if it does not."""
        level = 0.0
        for count, overridden in enumerate(decisions, 1):
            level = self.step(level, overridden=overridden)
            if self.alarms(level):
                return count
        return None


OVERRIDES = Chart(usual=0.05, alarm=0.15, threshold=5.0)
"""Of decisions on proposals of one grant."""
