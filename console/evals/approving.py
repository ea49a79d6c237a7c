"""Who approves everything: a sequential test of one person's answers against how the others answer. Pure.

*Somebody who looks* says something other than yes as often as the others do (`usual`), and approves one test of
attention in ten. *Somebody who approves everything* does just that. Since they last said anything else, a person has
a run of approvals, with some missed tests in it; its evidence is the log likelihood ratio of the two. A run is told of
when its evidence is overwhelming, or when it is long enough and its evidence is enough: `test_for` chooses both from
the site's own figures, so that somebody who looks is told of falsely in at most `FALSE` of their answers, which `rate`
works out exactly. Evidence so weighed is the most powerful: J. Neyman and E. S. Pearson, "On the Problem of the Most
Efficient Tests of Statistical Hypotheses", Phil. Trans. R. Soc. A 231 (1933).

Beside it stands a CUSUM (E. S. Page, Biometrika 41, 1954) for whoever hardly looks. Its evidence has the time of each
look as well: *hurried* is an approval in a quarter of the time that the others' look at the same kind and risk takes.
The honest model is the one it is hardest to tell from: an expert four times as fast as the colleagues, half of whose
approvals are hurried, and six of ten on a day in a rush. Slower looks speak for a person, and so do parts of the page
that were opened; that nothing was opened says nothing. By G. Lorden, "Procedures for reacting to a change in
distribution", Ann. Math. Statist. 42 (1971), whoever fits that model or looks longer is told of falsely in at most
`exp(-HURRIED)` of their answers. The time is the browser's word: who forges it is found as who looks as long as the
others.

What it rests on is `usual`: by arithmetic, somebody whose proposals need to be overridden at seven tenths of that rate
is told of falsely one to three times in 1,000 answers, at half of it up to eight times. So `attention` takes it from
what the others answered to proposals of the same grants, and a flag is a matter for a talk and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

WITHIN = 50
"""The answers within which somebody who approves everything is to be found,"""
POWER = 0.90
"""and how surely."""
FALSE = 0.0008
"""Of somebody who looks, the run tells falsely at most so often an answer; with the chart of hurry, 1 in 1,000."""
HURRIED = math.log(5000)
"""What the chart of hurry has to reach, in natural log units."""
STAMP = 0.005
"""How often somebody who approves everything still says something else."""
MISSED = 0.10
"""The share of tests that somebody who looks may miss."""
EARLY = 20_000
"""Evidence of this many to one, by how often a run begins, is told of at once: that costs one answer in 20,000."""
SHORTEST = 10
"""No run is told of that is shorter, whatever the others do, unless its evidence is overwhelming."""
STEP = 0.005
"""Shares are taken in steps, the usual one rounded down: nobody is told of for a figure that is a little off."""
LEAST_USUAL = 0.01
MOST_TESTS = 0.05
"""The share of tests that can be set."""

QUICK, QUICK_HONEST = 0.90, 0.60
"""How often an approval is hurried: of somebody who does not look, and at most of the fastest who do."""
OPENED, OPENED_HONEST = 0.005, 0.02
"""How often somebody opens a folded part: who does not look, and at least who does and needs to."""
QUARTER = 4
MOST_SECONDS = 10.0
"""A look that took longer is never hurried."""


@dataclass(frozen=True)
class Answered:
    """One answer of one person. `otherwise`: anything but an approval; `caught`: of a seeded test, else None.

    `hurried`: see `is_hurried`, None where nobody can tell; `opened`: whether a folded part of the page was opened.
    """

    otherwise: bool
    caught: bool | None = None
    hurried: bool | None = None
    opened: bool = False


@dataclass(frozen=True)
class Found:
    """What was found after `count` answers: a run of approvals, by its hurry or by itself."""

    count: int
    hurried: bool


@dataclass(frozen=True)
class RunTest:
    """What a run needs to be told of, at a site where others say something else with `usual` and `tests` are tests."""

    usual: float
    tests: float
    shortest: int
    late: float

    @property
    def early(self) -> float:
        """The evidence that is enough for a run of any length."""
        return math.log(EARLY * self.usual)

    def tells(self, run: int, missed: int) -> bool:
        """Whether a run of approvals with so many missed tests in it is told of."""
        evidence = (run - missed) * approved(self.usual) + missed * MISS
        return evidence >= self.early or (run >= self.shortest and evidence >= self.late)


MISS = math.log((1 - STAMP) / MISSED)
"""The evidence of one missed test."""


def approved(usual: float) -> float:
    """The evidence of one approval that was no test."""
    return math.log((1 - STAMP) / (1 - usual))


def test_for(usual: float, tests: float) -> RunTest:
    """The test for a site; both shares 0 to 1."""
    return _test_for(
        max(LEAST_USUAL, STEP * math.floor(usual / STEP + 1e-9)),
        STEP * math.floor(min(tests, MOST_TESTS) / STEP + 1e-9),
    )


@lru_cache(maxsize=512)
def _test_for(usual: float, tests: float) -> RunTest:
    found = RunTest(usual, tests, WITHIN, 0.0)
    if rate(found) <= FALSE:
        while (
            found.shortest > SHORTEST
            and rate(shorter := RunTest(usual, tests, found.shortest - 1, 0.0)) <= FALSE
        ):
            found = shorter
        return found
    low, high = 0.0, found.early
    for _ in range(20):
        middle = (low + high) / 2
        if rate(RunTest(usual, tests, WITHIN, middle)) <= FALSE:
            high = middle
        else:
            low = middle
    return RunTest(usual, tests, WITHIN, high)


def rate(test: RunTest) -> float:
    """How often an answer of somebody who looks makes this test tell of them, exactly.

    Runs end with anything but an approval, or by being told of: how many are told of, by how long they are.
    """
    told = length = 0.0
    for alive, now in _runs(test, approves=1 - test.usual, misses=MISSED):
        length += alive
        told += now
        if alive < 1e-9:  # noqa: PLR2004 nothing comes after it that could be seen
            break
    return told / length


def found_within(test: RunTest, answers: int) -> float:
    """How surely somebody who approves everything, and looks as long as the others, is found within so many."""
    found = 0.0
    for count, (_, now) in enumerate(_runs(test, approves=1.0, misses=1.0), 1):
        found += now
        if count == answers:
            break
    return found


def noticed_after(test: RunTest) -> int:
    """After how many answers they are found in nine of ten cases."""
    found = 0.0
    for count, (_, now) in enumerate(_runs(test, approves=1.0, misses=1.0), 1):
        found += now
        if found >= POWER:
            return count
    raise AssertionError("a run without end is always told of")


def hurried_after(test: RunTest) -> int:
    """After how many hurried approvals the chart of hurry tells, without any test among them."""
    return math.ceil(HURRIED / _weight(Answered(otherwise=False, hurried=True), test.usual))


def share_for(usual: float) -> float | None:
    """The smallest share of tests, 0 to 1, with which they are found within `WITHIN`; None where none is enough."""
    steps = (STEP * one for one in range(round(MOST_TESTS / STEP) + 1))
    return next((one for one in steps if found_within(test_for(usual, one), WITHIN) >= POWER), None)


def best_possible(usual: float, tests: float) -> float:
    """The power within `WITHIN` that no test of the answers alone can exceed, 0 to 1.

    Somebody who looks begins a run with every answer that is no approval. With one false flag in 1,000 answers, a run
    may so be told of by its `WITHIN`th answer with no more than 1/1,000 by the share of such answers; by the lemma of
    Neyman and Pearson the best use of that is on the runs with the most missed tests.
    """
    otherwise = 1 - ((1 - tests) * (1 - usual) + tests * MISSED)
    left, power = 0.001 / otherwise, 0.0
    for missed in range(WITHIN, -1, -1):
        chance = math.comb(WITHIN, missed) * tests**missed * (1 - tests) ** (WITHIN - missed)
        honest = chance * (1 - usual) ** (WITHIN - missed) * MISSED**missed
        if honest > left:
            return power + chance * left / honest
        left, power = left - honest, power + chance
    return power


def is_hurried(look: float, others: float, shortest: int) -> bool:
    """Whether a look of so many seconds is hurried, where `others` is what half of the others' looks stay below.

    What everybody has to wait (`shortest`) counts for nobody.
    """
    return look - shortest <= min(MOST_SECONDS, max(0.0, others - shortest) / QUARTER)


def first_found(answers: Iterable[Answered], test: RunTest) -> Found | None:
    """After how many answers, oldest first, either tells of them; None if neither does."""
    return next((found for _, found in _walk(answers, test) if found is not None), None)


def standing(answers: Iterable[Answered], test: RunTest) -> Found | None:
    """What is to be told of them now, after their newest answer; `count` is the run they are on. None for nothing."""
    last = None
    for run, found in _walk(answers, test):
        last = Found(run, found.hurried) if found is not None else None
    return last


def _walk(answers: Iterable[Answered], test: RunTest) -> Iterator[tuple[int, Found | None]]:
    run = missed = 0
    hurry = 0.0
    for count, one in enumerate(answers, 1):
        run, missed = (0, 0) if one.otherwise else (run + 1, missed + (one.caught is not None))
        hurry = max(0.0, hurry + _weight(one, test.usual))
        hurried = hurry >= HURRIED
        yield run, Found(count, hurried) if hurried or test.tells(run, missed) else None


def _weight(one: Answered, usual: float) -> float:
    """The evidence of one answer, its time included, against the honest model that is nearest."""
    honest = MISSED if one.caught is not None else 1 - usual
    weight = math.log(STAMP / (1 - honest)) if one.otherwise else math.log((1 - STAMP) / honest)
    if one.hurried is not None and not one.otherwise:
        weight += math.log(QUICK / QUICK_HONEST if one.hurried else (1 - QUICK) / (1 - QUICK_HONEST))
    return weight + (math.log(OPENED / OPENED_HONEST) if one.opened else 0.0)


def _runs(test: RunTest, *, approves: float, misses: float) -> Iterator[tuple[float, float]]:
    """Of one run, answer by answer: how likely it is still going on before it, and that it is told of with it."""
    alive = [1.0]
    run = 0
    while True:
        run += 1
        after = [0.0] * (len(alive) + 1)
        for missed, chance in enumerate(alive):
            after[missed] += chance * (1 - test.tests) * approves
            after[missed + 1] += chance * test.tests * misses
        going, told = sum(alive), 0.0
        for missed, chance in enumerate(after):
            if chance and test.tells(run, missed):
                told += chance
                after[missed] = 0.0
        while len(after) > 1 and not after[-1]:
            after.pop()
        alive = after
        yield going, told
