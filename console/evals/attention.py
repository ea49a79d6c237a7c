"""How well people look: the share of seeded tests that somebody noticed, and who approves everything.

The site's catch rate is shown from `LEAST` tests on, always with its interval; a person's own from `OWN` on, to that
person alone: airport screening needed about a hundred such tests before one person's share meant something. Below the
target the console asks for more by itself, at once and on the record; less takes two people.

Who approves everything is found by a test over each person's own answers: see `approving`. It says that somebody should
talk with them, and nothing about why.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction

from console import policy
from console.audit import Actor
from console.evals import approving
from console.evals.approving import Answered
from console.evals.bounds import lower_bound, wilson
from console.lifecycle.limits import of_attention
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
PRIOR, PRIOR_OVERRIDES = 100, 10
"""As if the others had given so many answers already, so many of them no: until there are more."""
ALIKE = 50
"""As if the others had given so many answers to each grant's proposals as they answer all: until there are more."""
LOOKS, LOOKERS = 20, 2
"""So many approvals, by so many of the others, tell how long a look at one kind and risk takes."""

SITE = """
SELECT caught FROM console_decision WHERE caught IS NOT NULL AND at > %s ORDER BY id DESC LIMIT %s
"""
ANSWERS = """
SELECT d.answer <> 'approve', d.caught, d.dwell_ms, coalesce(jsonb_array_length(d.unfolded) > 0, false),
    p.transaction_type, p.risk, p.grant_id
FROM (SELECT * FROM console_decision WHERE by_id = %s ORDER BY id DESC LIMIT %s) d
JOIN console_proposal p ON p.id = d.proposal_id ORDER BY d.id
"""
TIMES = """
SELECT p.transaction_type, p.risk, percentile_cont(0.5) WITHIN GROUP (ORDER BY d.dwell_ms) / 1000
FROM (
    SELECT by_id, proposal_id, dwell_ms FROM console_decision
    WHERE by_id <> %s AND answer = 'approve' AND dwell_ms IS NOT NULL ORDER BY id DESC LIMIT %s
) d JOIN console_proposal p ON p.id = d.proposal_id
GROUP BY 1, 2 HAVING count(*) >= %s AND count(DISTINCT d.by_id) >= %s
"""
OTHERS = """
SELECT p.grant_id, count(*) FILTER (WHERE d.answer <> 'approve'), count(*) FROM (
    SELECT answer, proposal_id FROM console_decision WHERE by_id <> %s AND caught IS NULL ORDER BY id DESC LIMIT %s
) d JOIN console_proposal p ON p.id = d.proposal_id GROUP BY p.grant_id
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
    """Somebody who approves everything, where others say no more often.

    `run`: their approvals without exception until now; None where it is their hurry that tells, which is theirs alone.
    `usual`: the share of the others' answers to the same that are no approval, in percent.
    """

    person: User
    run: int | None
    usual: int


@dataclass(frozen=True)
class Power:
    """How soon somebody who approves everything is found at this site, with its figures in percent.

    `usual`: how often people say something else, of `answers`; `tests`: the share of tests that is set. `slowly`: after
    how many answers in nine of ten cases, where they look as long as the others; `quickly`: where they hardly look.
    `best`: what no test could exceed within `approving.WITHIN` answers; `by_chance`: how often somebody who looks
    approves so many in a row. `wanted`: the share of tests that finds them within so many, None where none does.
    """

    usual: float
    answers: int
    tests: float
    slowly: int
    quickly: int
    best: int
    by_chance: int
    wanted: float | None

    @property
    def enough(self) -> bool:
        """Whether they are found as soon as they should be."""
        return self.slowly <= approving.WITHIN


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
        f" target is {100 * TARGET:.0f} %, and at least {100 * BOUND:.0f} % for sure."
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
    in_force = of_attention()
    found = []
    for person in User.objects.filter(pk__in=people, is_active=True).order_by("last_name", "username"):
        answers, grants = _answers(person, in_force)
        usual = usual_of(grants, _others(person.pk))
        test = approving.test_for(usual, float(in_force["seeded_share"]) / 100)
        told = approving.standing(answers, test)
        if told is not None:
            found.append(Flag(person, None if told.hurried else told.count, round(100 * usual)))
    return found


def power() -> Power:
    """How soon somebody who approves everything is found here, as things are set now."""
    others = _others(0)
    usual, tests = usual_of([], others), float(of_attention()["seeded_share"]) / 100
    test = approving.test_for(usual, tests)
    wanted = approving.share_for(usual)
    return Power(
        usual=round(100 * test.usual, 1),
        answers=sum(answers for _, answers in others.values()),
        tests=round(100 * tests, 1),
        slowly=approving.noticed_after(test),
        quickly=approving.hurried_after(test),
        best=math.ceil(100 * approving.best_possible(test.usual, test.tests)),
        by_chance=round(100 * (1 - test.usual) ** approving.WITHIN),
        wanted=round(100 * wanted, 1) if wanted is not None else None,
    )


def usual_of(mine: Sequence[int], others: Mapping[int, tuple[int, int]]) -> float:
    """How often the others say something else than yes to what this person answers, 0 to 1.

    `mine` are the grants whose proposals they answered, one an answer; `others` has overrides and answers by grant.
    Who answers for a better agent, or an easier kind, says no less often, and that is no sign of anything.
    """
    overall = (sum(no for no, _ in others.values()) + PRIOR_OVERRIDES) / (
        sum(answers for _, answers in others.values()) + PRIOR
    )
    shares = {grant: (no + ALIKE * overall) / (answers + ALIKE) for grant, (no, answers) in others.items()}
    mean = sum(shares.get(grant, overall) for grant in mine) / len(mine) if mine else overall
    return min(0.5, mean)


def _others(pk: int) -> dict[int, tuple[int, int]]:
    return {grant: (no, answers) for grant, no, answers in _rows(OTHERS, [pk, NEWEST * 5])}


def _answers(person: User, in_force: Mapping[str, Decimal]) -> tuple[list[Answered], list[int]]:
    """The newest answers of a person, oldest first, held against the others'; and of which grants they were."""
    times = {
        (kind, risk): float(half)
        for kind, risk, half in _rows(TIMES, [person.pk, NEWEST * 5, LOOKS, LOOKERS])
    }
    rows = _rows(ANSWERS, [person.pk, NEWEST])
    answers = [
        Answered(
            otherwise=otherwise,
            caught=caught,
            hurried=approving.is_hurried(dwell / 1000, times[kind, risk], asked.shortest(in_force, risk))
            if dwell is not None and (kind, risk) in times
            else None,
            opened=opened,
        )
        for otherwise, caught, dwell, opened, kind, risk, _ in rows
    ]
    return answers, [row[-1] for row in rows]


def _newest(since: LimitValue | None = None) -> list[bool]:
    return [bool(caught) for (caught,) in _rows(SITE, [since.changed_at if since else "-infinity", WINDOW])]


def _rate(found: Sequence[bool]) -> CatchRate | None:
    return CatchRate(sum(found), len(found)) if len(found) >= LEAST else None


def _rows(statement: str, values: Sequence[int | str | dt.datetime]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())
