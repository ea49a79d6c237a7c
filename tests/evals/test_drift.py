"""When a rate has turned: how soon it is seen, and how seldom it is seen where nothing happened. Seeds are fixed."""

from __future__ import annotations

import random
from collections.abc import Iterator

from console.evals.drift import OVERRIDES

RUNS = 2000
NEVER = 1_000_000


def decisions(rate: float, seed: int) -> Iterator[bool]:
    """Decisions without end, each overridden with this probability."""
    chance = random.Random(seed)
    while True:
        yield chance.random() < rate


def alarms(rate: float, runs: int, seed: int) -> list[int]:
    """After how many decisions each run alarms."""
    return [OVERRIDES.first_alarm(decisions(rate, seed * 1_000_003 + run)) or NEVER for run in range(runs)]


def test_a_rate_that_tripled_is_seen_within_150_decisions_19_times_of_20() -> None:
    seen = alarms(0.15, RUNS, seed=1)
    assert sum(count <= 150 for count in seen) >= 0.95 * RUNS


def test_a_rate_six_times_as_high_is_seen_within_45_decisions_19_times_of_20() -> None:
    seen = alarms(0.30, RUNS, seed=2)
    assert sum(count <= 45 for count in seen) >= 0.95 * RUNS


def test_where_nothing_happened_thousands_of_decisions_pass_between_alarms() -> None:
    seen = alarms(0.05, 200, seed=3)
    assert sum(seen) / len(seen) >= 3000


def test_agreement_never_makes_the_level_negative_and_never_alarms() -> None:
    level = 0.0
    for _ in range(1000):
        level = OVERRIDES.step(level, overridden=False)
        assert level == 0.0
    assert OVERRIDES.first_alarm([False] * 1000) is None


def test_five_overrides_in_a_row_are_enough() -> None:
    assert OVERRIDES.first_alarm([True] * 10) == 5
