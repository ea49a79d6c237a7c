"""How far the distribution of one value has moved between two windows: the population stability index. Pure.

With the shares `r` of the reference and `s` of the recent window in each bin it is the sum of `(s - r) * ln(s / r)`,
the symmetric divergence of H. Jeffreys ("An Invariant Form for the Prior Probability in Estimation Problems", Proc. R.
Soc. A 186, 1946), in credit scoring called PSI (N. Siddiqi, "Credit Risk Scorecards", Wiley 2006). Numbers fall into
`BINS` bins by quantiles of the reference, other values into one bin each of the most frequent; what is not there has a
bin of its own. An empty bin counts as half a case: the logarithm of nothing is none.

Below `SOME` is called little change, above `MUCH` a clear one. That is convention and no test: B. Yurdakul and J.
Naranjo, "Statistical properties of the population stability index", Journal of Risk Model Validation 14 (2020), show
that the index scales with the number of cases. With no change at all and ten bins it is about a chi-square with nine
degrees of freedom times `1 / n + 1 / m`: at 50 cases nearly always above `SOME`, at 500 hardly ever. So below `NEEDED`
cases in either window it is not told.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

NEEDED = 500
"""Cases that each window needs before the index is told."""
BINS = 10
SOME, MUCH = 0.10, 0.25
"""The bands of convention."""

Seen = float | str | None
"""One value of one case: a number, one of a few words, or nothing."""


@dataclass(frozen=True)
class Shift:
    """How far one value moved between `reference` and `recent` cases; `index` is None with too few of either."""

    reference: int
    recent: int
    index: float | None

    @property
    def much(self) -> bool:
        """Whether convention calls it a clear change."""
        return self.index is not None and self.index > MUCH

    @property
    def words(self) -> str:
        """The band of convention in words, or how many cases there are of those needed."""
        if self.index is None:
            return f"insufficient data: {min(self.reference, self.recent)} of {NEEDED}"
        return (
            "little change" if self.index <= SOME else "some change" if self.index <= MUCH else "clear change"
        )


def compare(reference: Sequence[Seen], recent: Sequence[Seen]) -> Shift:
    """How far a value moved; without an index where either window has fewer than `NEEDED` cases."""
    enough = min(len(reference), len(recent)) >= NEEDED
    return Shift(len(reference), len(recent), index(reference, recent) if enough else None)


def index(reference: Sequence[Seen], recent: Sequence[Seen]) -> float:
    """The index itself, for any number of cases from one on: whoever tells it has to see to `NEEDED`."""
    bins = _bins(reference)
    before, after = Counter(map(bins, reference)), Counter(map(bins, recent))
    found = 0.0
    for one in {*before, *after}:
        r = max(before[one], 0.5) / len(reference)
        s = max(after[one], 0.5) / len(recent)
        found += (s - r) * math.log(s / r)
    return found


def _bins(reference: Sequence[Seen]) -> _Bins:
    numbers = [value for value in reference if isinstance(value, int | float)]
    words = Counter(value for value in reference if isinstance(value, str))
    edges: Sequence[float] = numbers
    if len(numbers) > 1:
        # Where a number is frequent several quantiles are the same, and there are fewer bins.
        edges = sorted(set(statistics.quantiles(numbers, n=BINS, method="inclusive")))
    return _Bins(edges, frozenset(word for word, _ in words.most_common(BINS - 1)))


@dataclass(frozen=True)
class _Bins:
    """Which bin a value falls into."""

    edges: Sequence[float]
    words: frozenset[str]

    def __call__(self, value: Seen) -> Hashable:
        if value is None:
            return ("nothing",)
        if isinstance(value, str):
            return ("word", value) if value in self.words else ("another word",)
        return ("number", bisect_left(self.edges, value))
