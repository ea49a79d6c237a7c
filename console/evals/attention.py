"""How well people look: the share of seeded tests that somebody noticed, and who approves everything.

The site's catch rate is shown from `LEAST` tests on, always with its interval; a person's own from `OWN` on, to that
person alone: airport screening needed about a hundred such tests before one person's share meant something. Below the
target the console asks for more by itself, at once and on the record; less takes two people.

Who approves everything is found by a chart over each person's own answers. It says that somebody should talk with
them, and nothing about why.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction

from console import policy
from console.audit import Actor
from console.evals.bounds import lower_bound, wilson
from console.models import Decision, LimitValue
from console.policy import attention as asked
from console.registry import incidents, limits

LEAST = 30
"""Tests before the site's share is shown or judged."""
OWN = 100
"""Tests before a person's own share is shown to them."""
WINDOW = 100
"""The newest tests that the site's share is made of."""
TARGET = 0.90
BOUND = 0.80
"""The share has to be at least TARGET, and its one-sided 95 % lower bound at least BOUND: 55 of 60 are enough."""

NEWEST = 400
"""The newest answers of a person that the chart of who approves everything looks at."""
STAMP = 0.005
"""How often somebody who approves everything still says something else."""
MISSED = 1 - TARGET
"""How many tests somebody who looks may miss."""
PRIOR, PRIOR_OVERRIDES = 100, 10
"""As if the others had given so many answers already, so many of them no: until there are more."""
HONEST_RUN = 1500
"""How many answers somebody who looks gives between two false flags, by the threshold below. Simulated: about 0.6 in a
thousand. Who approves everything is found within fifty answers where the others override one in ten or more, and with
91 % where they override one in twenty and the share of tests is five percent; with fewer of both it takes longer."""

SITE = """
SELECT caught FROM console_decision WHERE caught IS NOT NULL AND at > %s ORDER BY id DESC LIMIT %s
"""
ANSWERS = """
SELECT answer <> 'approve', caught FROM console_decision WHERE by_id = %s ORDER BY id DESC LIMIT %s
"""
OTHERS = """
SELECT count(*) FILTER (WHERE answer <> 'approve'), count(*)
FROM (SELECT answer FROM console_decision WHERE by_id <> %s AND caught IS NULL ORDER BY id DESC LIMIT %s) newest
"""
REVIEWERS = """
SELECT DISTINCT by_id FROM (SELECT by_id FROM console_decision ORDER BY id DESC LIMIT 5000) newest
"""


@dataclass(frozen=True)
class CatchRate:
    """`caught` of `tests` were noticed. `low` and `high` are Wilson's 95 % interval, in percent."""

    caught: int
    tests: int

    @property
    def low(self) -> int:
        """The lower end, rounded down."""
        return math.floor(100 * wilson(self.caught, self.tests)[0])

    @property
    def high(self) -> int:
        """The upper end, rounded up."""
        return math.ceil(100 * wilson(self.caught, self.tests)[1])

    @property
    def meets_target(self) -> bool:
        """Whether the share and its lower bound are high enough."""
        return self.caught >= TARGET * self.tests - 1e-9 and lower_bound(self.caught, self.tests) >= BOUND


@dataclass(frozen=True)
class Flag:
    """Somebody who approved the last `run` of their proposals without exception, where others say no more often.

    `usual`: the share of answers of the others that are no approval, in percent.
    """

    person: User
    run: int
    usual: int


def site() -> CatchRate | None:
    """The site's share over the newest tests; None while there are fewer than LEAST: no rate is shown then."""
    return _rate(_newest())


def tests() -> int:
    """How many of the newest tests there are, up to WINDOW."""
    return len(_newest())


def own(person: User) -> tuple[int, CatchRate | None]:
    """How many tests this person answered, and their share from OWN on. For their own eyes only."""
    found = Decision.objects.filter(by=person, caught__isnull=False)
    many = found.count()
    return many, CatchRate(found.filter(caught=True).count(), many) if many >= OWN else None


def weigh(*, actor: Actor) -> bool:
    """Ask more of people if too few tests were noticed. True when something was tightened.

    After two people loosened it again, only tests since then count.
    """
    loosened = LimitValue.objects.filter(owner="policy", name="four_eyes", value=0).first()
    rate = _rate(_newest(loosened))
    if rate is None or rate.meets_target:
        return False
    wanted = [
        *(("policy", limit, Decimal(1)) for limit in policy.LIMITS if limit.name == "four_eyes"),
        *(
            (asked.OWNER, limit, asked.TIGHT[limit.name])
            for limit in asked.LIMITS
            if limit.name in asked.TIGHT
        ),
    ]
    told = (
        f"People noticed {rate.caught} of the last {rate.tests} tests of attention ({rate.low} to {rate.high} %); the"
        f" target is {TARGET:.0%}, and at least {BOUND:.0%} for sure."
    )
    with transaction.atomic():
        values = {(one.owner, one.name): one.value for one in LimitValue.objects.select_for_update()}
        tightened = [
            (owner, limit, value)
            for owner, limit, value in wanted
            if values.get((owner, limit.name), limit.default) < value
        ]
        for owner, limit, value in tightened:
            limits.set_value(limit, owner=owner, value=str(value), by=None, actor=actor)
        if tightened:
            newest = (
                Decision.objects.filter(caught__isnull=False).order_by("-id").values_list("pk", flat=True)
            )
            incidents.open_incident(
                kind="attention",
                title="Too many tests of attention went unnoticed: everything takes two people now",
                lifts=f"{told} Talk about it; an administrator asks to loosen it, and a second person confirms.",
                dedupe=f"attention:{newest[0]}",
                actor=actor,
            )
    return bool(tightened)


def flags() -> list[Flag]:
    """Who seems to approve everything: a matter for a talk. For administrators."""
    with connection.cursor() as cursor:
        cursor.execute(REVIEWERS)
        people = [pk for (pk,) in cursor.fetchall()]
    found = []
    for person in User.objects.filter(pk__in=people, is_active=True).order_by("last_name", "username"):
        usual = usual_of(*_rows(OTHERS, [person.pk, NEWEST * 5])[0])
        answers = [
            Answered(otherwise=bool(said), caught=caught)
            for said, caught in reversed(_rows(ANSWERS, [person.pk, NEWEST]))
        ]
        if level(answers, usual) >= threshold(usual):
            run = next((n for n, one in enumerate(reversed(answers)) if one.otherwise), len(answers))
            found.append(Flag(person, run, round(100 * usual)))
    return found


@dataclass(frozen=True)
class Answered:
    """One answer of one person. `otherwise`: anything but an approval; `caught`: of a seeded test, else None."""

    otherwise: bool
    caught: bool | None = None


def usual_of(overrides: int, answers: int) -> float:
    """How often the others say something else than yes, 0 to 1, with a prior until they have said enough."""
    return min(0.5, (overrides + PRIOR_OVERRIDES) / (answers + PRIOR))


def level(answers: Iterable[Answered], usual: float) -> float:
    """Where the chart stands after these answers, in natural log units.

    A CUSUM of the likelihood of "approves everything" against "looks as the others do", as in `evals.drift`; a test
    that was approved weighs far more than a real proposal.
    """
    found = 0.0
    for one in answers:
        found = max(0.0, found + _weight(one, usual))
    return found


def first_flag(answers: Sequence[Answered], usual: float) -> int | None:
    """After how many answers the chart first says that somebody should talk with them, None if it does not."""
    found, limit = 0.0, threshold(usual)
    for count, one in enumerate(answers, 1):
        found = max(0.0, found + _weight(one, usual))
        if found >= limit:
            return count
    return None


def threshold(usual: float) -> float:
    """What the chart has to reach: with it, one flag in HONEST_RUN answers of somebody who looks.

    A run of k approvals comes about every (1-u)^-k / u answers: W. Feller, An Introduction to Probability Theory and
    Its Applications, volume 1, chapter XIII.7.
    """
    return math.log(HONEST_RUN * usual)


def _weight(one: Answered, usual: float) -> float:
    honest = MISSED if one.caught is not None else 1 - usual
    return math.log(STAMP / (1 - honest)) if one.otherwise else math.log((1 - STAMP) / honest)


def _newest(since: LimitValue | None = None) -> list[bool]:
    return [bool(caught) for (caught,) in _rows(SITE, [since.changed_at if since else "-infinity", WINDOW])]


def _rate(found: Sequence[bool]) -> CatchRate | None:
    return CatchRate(sum(found), len(found)) if len(found) >= LEAST else None


def _rows(statement: str, values: Sequence[int | str | dt.datetime]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())
