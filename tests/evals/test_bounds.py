"""The arithmetic of a gate, against scipy and against what it promises."""

from __future__ import annotations

import math
import random

import pytest
from scipy import stats

from console.evals.bounds import (
    LIFETIME_ERROR,
    Plan,
    at_most,
    left,
    lower_bound,
    smallest,
    upper_bound,
    wilson,
)


@pytest.mark.parametrize("cases", [1, 2, 3, 10, 29, 59, 124, 500, 1000, 2000])
def test_both_bounds_are_scipys(cases: int) -> None:
    for right in sorted(
        {0, 1, 2, cases // 3, cases // 2, cases - 2, cases - 1, cases} & set(range(cases + 1))
    ):
        least = stats.beta.ppf(0.05, right, cases - right + 1) if right else 0.0
        most = stats.beta.ppf(0.95, right + 1, cases - right) if right < cases else 1.0
        assert math.isclose(lower_bound(right, cases), least, abs_tol=1e-9)
        assert math.isclose(upper_bound(right, cases), most, abs_tol=1e-9)


@pytest.mark.parametrize("cases", [1, 7, 20, 124, 2000])
def test_the_interval_for_showing_is_scipys_wilson(cases: int) -> None:
    for right in {0, 1, cases // 2, cases}:
        theirs = stats.binomtest(right, cases).proportion_ci(0.95, method="wilson")
        assert wilson(right, cases) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.05, 0.5, 0.95, 1.0])
def test_the_binomial_sum_is_scipys(rate: float) -> None:
    for cases, wrong in [(1, 0), (59, 0), (124, 2), (2000, 100), (2000, 1999), (10, 10), (5, -1)]:
        assert math.isclose(at_most(wrong, cases, rate), stats.binom.cdf(wrong, cases, rate), abs_tol=1e-9)


def test_the_fewest_cases_for_each_bar() -> None:
    found = {
        bar: [smallest(bar, wrong).cases for wrong in (0, 1, 2, 5, 10)] for bar in (0.9, 0.95, 0.98, 0.99)
    }
    assert found == {
        0.9: [29, 46, 61, 103, 167],
        0.95: [59, 93, 124, 208, 336],
        0.98: [149, 236, 313, 523, 845],
        0.99: [299, 473, 628, 1049, 1693],
    }


def test_one_case_fewer_would_prove_too_little() -> None:
    for wrong in (0, 1, 2, 5):
        plan = smallest(0.95, wrong)
        assert lower_bound(plan.cases - wrong, plan.cases) >= 0.95
        assert lower_bound(plan.cases - 1 - wrong, plan.cases - 1) < 0.95


def test_an_agent_that_is_right_99_times_of_100_mostly_passes_at_95() -> None:
    assert Plan(124, 2, 0.95).power(0.99) >= 0.87
    assert Plan(59, 0, 0.95).power(0.99) < 0.56


def sits(chance: random.Random, share: float) -> bool:
    """One agent's life at the 95 percent gate: ever larger plans until it passes or nothing is left to spend."""
    spent = 0.0
    for plan in (
        smallest(0.95, 0, 0.025),
        smallest(0.95, 1, 0.0125),
        smallest(0.95, 2, 0.0125),
        Plan(59, 0, 0.95),
    ):
        if plan.cost > left(spent):
            return False
        spent += plan.cost
        if plan.passes(sum(chance.random() < share for _ in range(plan.cases))):
            return True
    return False


def test_an_agent_exactly_at_the_bar_passes_at_most_five_times_in_a_hundred_lives() -> None:
    chance = random.Random(20261122)
    lives = 10_000
    passed = sum(sits(chance, 0.95) for _ in range(lives))
    assert lower_bound(passed, lives) <= LIFETIME_ERROR, f"seed 20261122: {passed} of {lives}"
    assert passed > 0


@pytest.mark.parametrize(("right", "cases"), [(-1, 5), (6, 5), (0, 0)])
def test_what_is_no_share_is_refused(right: int, cases: int) -> None:
    with pytest.raises(ValueError, match="is no share"):
        lower_bound(right, cases)
    with pytest.raises(ValueError, match="is no share"):
        wilson(right, cases)


def test_a_plan_passes_with_as_many_wrong_as_it_allows_and_not_with_one_more() -> None:
    plan = Plan(124, 2, 0.95)
    assert [plan.passes(right) for right in (124, 122, 121)] == [True, True, False]
