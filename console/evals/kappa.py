"""How far two people agree beyond what chance gives: Cohen's kappa, with an interval of some width always.

Source: J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20 (1960).
Like Cohen's own standard error the interval takes chance agreement as known; his normal interval around the agreement
is replaced by E. B. Wilson's, because at n of n the former is of no width and would claim certainty.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from console.evals.bounds import wilson


@dataclass(frozen=True)
class Kappa:
    """Agreement of two raters over n items. `chance`: the share they would agree on by their own habits alone.

    `value`, `low` and `high` (95 %) are None where kappa is undefined: without items, or where both used one and the
    same category only, so that chance alone explains everything.
    """

    n: int
    agreed: int
    chance: float
    value: float | None
    low: float | None
    high: float | None


def kappa(pairs: Sequence[tuple[str, str]]) -> Kappa:
    """Cohen's kappa of pairs of categories, one pair an item: what the first rater said and what the second did."""
    n = len(pairs)
    if n == 0:
        return Kappa(0, 0, 0.0, None, None, None)
    first, second = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    agreed = sum(one == other for one, other in pairs)
    if len(first) == 1 and first.keys() == second.keys():
        return Kappa(n, agreed, 1.0, None, None, None)
    chance = sum(first[name] * second[name] for name in first) / (n * n)
    low, high = wilson(agreed, n)
    value, low, high = (max(-1.0, (share - chance) / (1 - chance)) for share in (agreed / n, low, high))
    return Kappa(n, agreed, chance, value, low, high)
