"""How fast an error budget is used up, and when that is an alarm. Pure: events and a time in, alarms out.

An objective allows a share of bad events, its budget. Burning at rate 1 uses up exactly the budget of a month in a
month. An alarm wants the rate above its factor both over a long window, so that it matters, and over one a twelfth
as long, so that it is still going on. Source: B. Beyer et al., "The Site Reliability Workbook" (2018), chapter 5,
"Multiwindow, Multi-Burn-Rate Alerts", table 5-8.

The same chapter says where this fails: with little traffic one bad event is a rate of a hundred percent. So a window
with fewer than `FEW` events raises no alarm by its rate; while the hour has fewer, a CUSUM over single events watches
in its place (see `drift`), with the budget as usual and three times the budget as what must be seen.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from console.evals.drift import Chart

FEW = 100
"""With fewer events in a long window its rate says nothing yet."""
WORSE = 3.0
"""The CUSUM looks for a share of bad events so many times the budget."""
THRESHOLD = 5.0
"""Of the CUSUM, in natural log units."""
MONTH = dt.timedelta(days=30)
"""The time that a budget is for."""

PAGE, TICKET = "page", "ticket"
"""A page wants somebody now and may demote a grant; a ticket wants somebody this week."""


@dataclass(frozen=True)
class Rule:
    """Alarm when the budget burns `factor` times too fast over both windows."""

    factor: float
    long: dt.timedelta
    short: dt.timedelta
    severity: str

    @property
    def spends(self) -> float:
        """The share of a month's budget that is gone when it alarms at exactly this rate."""
        return self.factor * (self.long / MONTH)


RULES = (
    Rule(14.4, dt.timedelta(hours=1), dt.timedelta(minutes=5), PAGE),
    Rule(6.0, dt.timedelta(hours=6), dt.timedelta(minutes=30), PAGE),
    Rule(1.0, dt.timedelta(days=3), dt.timedelta(hours=6), TICKET),
)
"""The workbook's table, most urgent first."""
LONGEST = max(rule.long for rule in RULES)


@dataclass(frozen=True)
class Objective:
    """What is watched: `budget` is the share of bad events that is allowed; `demotes` whether a page demotes.

    Raises ValueError for a budget that no alarm could ever exceed, or that is no share.
    """

    name: str
    title: str
    budget: float
    demotes: bool

    def __post_init__(self) -> None:
        if not 0 < self.budget * max(rule.factor for rule in RULES) <= 1:
            raise ValueError(
                f"{self.name}: a budget of {self.budget} cannot burn at every rate of the table; it takes a share "
                f"above 0 and at most {1 / max(rule.factor for rule in RULES):.3f}"
            )

    @property
    def chart(self) -> Chart:
        """The CUSUM that watches where events are few."""
        return Chart(usual=self.budget, alarm=WORSE * self.budget, threshold=THRESHOLD)


ERRORS = Objective("errors", "Errors", budget=0.05, demotes=True)
"""Refused by a check, or sent and proven not done: the agent's own doing, so it costs the grant."""
LATENCY = Objective("latency", "Latency", budget=0.05, demotes=False)
"""Slower than `SLOW`. Mostly a system's doing or ours: somebody looks, the grant stays."""
OBJECTIVES = (ERRORS, LATENCY)

SLOW = {
    "read": dt.timedelta(seconds=10),
    "assess": dt.timedelta(minutes=1),
    "commit": dt.timedelta(minutes=2),
}
"""From when on a read, an assessment and a commit are slow."""


@dataclass(frozen=True)
class Event:
    """One thing that went well or badly, at its time."""

    at: dt.datetime
    bad: bool


@dataclass(frozen=True)
class Count:
    """`bad` of `n` events."""

    bad: int
    n: int

    def burn(self, budget: float) -> float:
        """How many times too fast the budget burns; 0 without events."""
        return self.bad / self.n / budget if self.n else 0.0


@dataclass(frozen=True)
class Burning:
    """One rule as it stands: both windows, whether there is enough to judge by it, and whether it alarms."""

    rule: Rule
    long: Count
    short: Count
    enough: bool
    alarms: bool


@dataclass(frozen=True)
class Verdict:
    """An objective as it stands. `level` of the CUSUM is None where there is traffic enough for rates.

    `severity` is the most urgent alarm, or "" when there is none; `counted` whether the CUSUM raised it.
    """

    objective: Objective
    rules: tuple[Burning, ...]
    level: float | None
    counted: bool
    severity: str


class Traffic:
    """Events in the order of their time, to be counted by windows."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.events = sorted(events, key=lambda event: event.at)
        self._times = [event.at for event in self.events]
        self._bad = [0, *accumulate(int(event.bad) for event in self.events)]

    def count(self, since: dt.datetime, until: dt.datetime) -> Count:
        """How many after `since`, up to and with `until`."""
        first, last = bisect_right(self._times, since), bisect_right(self._times, until)
        return Count(self._bad[last] - self._bad[first], last - first) if last > first else Count(0, 0)

    def between(self, since: dt.datetime, until: dt.datetime) -> list[Event]:
        """Those from `since` on, up to and with `until`."""
        return self.events[bisect_left(self._times, since) : bisect_right(self._times, until)]


def judge(traffic: Traffic, objective: Objective, now: dt.datetime) -> Verdict:
    """Whether the objective's budget burns too fast at `now`, by the table or, with few events, by counting."""
    rules = tuple(_burning(traffic, rule, objective.budget, now) for rule in RULES)
    severities = [one.rule.severity for one in rules if one.alarms]
    level, counted = None, False
    if not rules[0].enough:
        level, counted = _counted(traffic.between(now - LONGEST, now), objective.chart)
        if counted:
            severities.append(PAGE)
    severity = PAGE if PAGE in severities else TICKET if TICKET in severities else ""
    return Verdict(objective, rules, level, counted, severity)


def _burning(traffic: Traffic, rule: Rule, budget: float, now: dt.datetime) -> Burning:
    long, short = traffic.count(now - rule.long, now), traffic.count(now - rule.short, now)
    enough = long.n >= FEW
    # A hair below the factor is the factor: the quotient of two counts is not exact.
    alarms = enough and min(long.burn(budget), short.burn(budget)) >= rule.factor - 1e-9
    return Burning(rule, long, short, enough, alarms)


def _counted(events: Iterable[Event], chart: Chart) -> tuple[float, bool]:
    """The highest level on the way, and whether that is an alarm: one that came and went is still one."""
    level = highest = 0.0
    for event in events:
        level = chart.step(level, overridden=event.bad)
        highest = max(highest, level)
    return (highest, True) if chart.alarms(highest) else (level, False)
