"""The arithmetic of a gate: what so many right of so many prove, and what a plan costs and can do.

Exact binomial sums in floating point; no approximation by a normal curve, which with few cases says "100 % plus or
minus nothing". Sources: C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in
the case of the binomial", Biometrika 26 (1934); E. B. Wilson, "Probable inference, the law of succession, and
statistical inference", JASA 22 (1927).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

LIFETIME_ERROR = 0.05
"""How likely an agent that is exactly at the bar may ever pass, over all its attempts at one transaction type."""
STEPS = 200
"""Halvings of [0, 1]: far beyond what a double can tell apart."""


def at_most(wrong: int, cases: int, rate: float) -> float:
    """How likely at most `wrong` of `cases` are wrong when each is wrong with probability `rate`."""
    if wrong < 0:
        return 0.0
    if wrong >= cases or rate <= 0.0:
        return 1.0
    if rate >= 1.0:
        return 0.0
    log_rate, log_right = math.log(rate), math.log1p(-rate)
    ways = math.lgamma(cases + 1)
    return min(
        1.0,
        math.fsum(
            math.exp(
                ways
                - math.lgamma(count + 1)
                - math.lgamma(cases - count + 1)
                + count * log_rate
                + (cases - count) * log_right
            )
            for count in range(wrong + 1)
        ),
    )


def lower_bound(right: int, cases: int, error: float = 0.05) -> float:
    """The one-sided Clopper-Pearson lower bound of the true share of right answers, 0 to 1.

    Raises ValueError where `right` is not between 0 and `cases`, or there are no cases.
    """
    _check(right, cases)
    if right == 0:
        return 0.0
    return _root(lambda share: at_most(cases - right, cases, 1.0 - share) - error)


def upper_bound(right: int, cases: int, error: float = 0.05) -> float:
    """The one-sided Clopper-Pearson upper bound of the true share of right answers, 0 to 1."""
    return 1.0 - lower_bound(cases - right, cases, error)


def wilson(right: int, cases: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a share: for showing beside a rate, never for a gate."""
    _check(right, cases)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share, spread = right / cases, z * z / cases
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / cases + spread / (4 * cases)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Plan:
    """One attempt at a gate: so many cases, at most so many wrong, against a bar (the share that must be right)."""

    cases: int
    wrong: int
    bar: float

    @property
    def cost(self) -> float:
        """What an attempt spends of the lifetime error: how likely an agent exactly at the bar passes."""
        return at_most(self.wrong, self.cases, 1.0 - self.bar)

    def power(self, share: float) -> float:
        """How likely an agent that is right in this share of cases passes."""
        return at_most(self.wrong, self.cases, 1.0 - share)

    def passes(self, right: int) -> bool:
        """Whether so many right answers pass."""
        return self.cases - right <= self.wrong


def smallest(bar: float, wrong: int, error: float = LIFETIME_ERROR) -> Plan:
    """The fewest cases that, with so many wrong allowed, cost at most `error`."""
    low, high = wrong + 1, wrong + 2
    while at_most(wrong, high, 1.0 - bar) > error:
        low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        if at_most(wrong, middle, 1.0 - bar) <= error:
            high = middle
        else:
            low = middle + 1
    return Plan(low, wrong, bar)


def left(spent: float) -> float:
    """What attempts so far have left of the lifetime error. The costs of attempts add up (Boole's inequality)."""
    return max(0.0, LIFETIME_ERROR - spent)


def _check(right: int, cases: int) -> None:
    if cases < 1 or not 0 <= right <= cases:
        raise ValueError(f"{right} right of {cases} cases is no share; it takes 0 to {cases}, and a case")


def _root(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
        if low == middle == high:
            break
    return (low + high) / 2
