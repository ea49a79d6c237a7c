"""The value ledger: hours saved and errors caught, each with its method and its n, or "insufficient data".

Hours saved = what was committed times the measured baseline, less all the time that people looked at proposals,
rejected ones included. The baseline is timed with people who do the same work by hand, while the agent is in shadow;
nothing is taken from a vendor or guessed. Work that people do by hand as a task saves nothing here.

The interval is Student's: both means are known only from so many measurements. Errors caught count every proposal
once, in the first kind of `KINDS` that is true of it. Seeded tests are in no figure.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from statistics import NormalDist

from django.contrib.auth.models import User
from django.db import connection as database
from django.db import transaction
from django.db.models import Avg, Count, FloatField, StdDev
from django.db.models.functions import Cast, Now

from console import access, audit
from console.audit import Actor
from console.catalogue import spec, transaction_types
from console.errors import Refused
from console.evals.figures import ROWS, Share, values
from console.models import Baseline, Connection, Grant

ENOUGH = 5
"""Timed baselines, and proposals with a measured review: fewer tell no mean."""
LONGEST = Decimal(1440)
"""Minutes of work in one measurement."""
SHORTEST_WORDS, LONGEST_WORDS = 10, 300

LEDGER = f"""
{ROWS}
SELECT g.name, g.connection_id, count(*), count(f.judged_at),
    count(*) FILTER (WHERE f.state = 'committed' AND f.began IS NOT NULL),
    count(*) FILTER (WHERE f.answers > 0), coalesce(sum(f.unmeasured), 0)::int,
    count(*) FILTER (WHERE f.answers > 0 AND f.unmeasured = 0),
    avg(f.dwell_ms / 60000.0) FILTER (WHERE f.unmeasured = 0)::float8,
    stddev_samp(f.dwell_ms / 60000.0) FILTER (WHERE f.unmeasured = 0)::float8,
    count(*) FILTER (WHERE f.state = 'refused'),
    count(*) FILTER (WHERE f.state = 'rejected'),
    count(*) FILTER (WHERE f.overridden AND f.state NOT IN ('refused', 'rejected')),
    count(*) FILTER (WHERE f.stale AND f.judged_at IS NOT NULL AND NOT coalesce(f.overridden, false)
        AND f.state NOT IN ('refused', 'rejected'))
FROM facts f JOIN console_grant g ON g.id = f.grant_id GROUP BY g.name, g.connection_id
"""  # noqa: S608 our own words

KINDS = (
    ("refused", "Refused by a check", "A rule found it wrong before anybody was asked."),
    ("rejected", "Rejected", "A person said no."),
    ("amended", "Amended", "A person changed it before it was approved."),
    ("stale", "Caught stale", "The record had moved; what was approved was not sent as it was."),
)
"""What an error caught can be: name, title, method."""


@dataclass(frozen=True)
class Measured:
    """A mean of `n` measurements in minutes, with their standard deviation."""

    n: int
    mean: float = 0.0
    deviation: float = 0.0

    @property
    def enough(self) -> bool:
        """Whether the mean may be used."""
        return self.n >= ENOUGH

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return self.deviation / math.sqrt(self.n) if self.n else 0.0


NONE = Measured(0)


@dataclass(frozen=True)
class Hours:
    """Hours saved, with a 95 % interval. Below zero the review costs more than the work did."""

    saved: float
    low: float
    high: float


@dataclass(frozen=True)
class Caught:
    """One kind of error, and how often of all that were judged."""

    name: str
    title: str
    method: str
    share: Share


@dataclass(frozen=True)
class Ledger:
    """One transaction type on one connection, all agents together, over `days`.

    `committed` without what people did by hand; `reviewed` proposals with a decision; `unmeasured` decisions that
    came without a time.
    """

    name: str
    connection: Connection
    days: int
    proposed: int = 0
    judged: int = 0
    committed: int = 0
    reviewed: int = 0
    unmeasured: int = 0
    baseline: Measured = NONE
    review: Measured = NONE
    caught: tuple[Caught, ...] = ()

    @property
    def missing(self) -> str:
        """What it takes before hours can be told, in words; "" when nothing is missing."""
        wants = []
        if not self.baseline.enough:
            wants.append(f"{self.baseline.n} of {ENOUGH} baselines timed")
        if not self.review.enough:
            wants.append(f"{self.review.n} of {ENOUGH} reviews measured")
        return " and ".join(wants)

    @property
    def hours(self) -> Hours | None:
        """What was saved, None while `missing` says what it takes."""
        if self.missing:
            return None
        minutes = self.committed * self.baseline.mean - self.reviewed * self.review.mean
        error = math.hypot(self.committed * self.baseline.error, self.reviewed * self.review.error)
        half = student(min(self.baseline.n, self.review.n) - 1) * error
        return Hours(minutes / 60, (minutes - half) / 60, (minutes + half) / 60)

    @property
    def all_caught(self) -> int:
        """Errors of every kind."""
        return sum(one.share.count for one in self.caught)


def ledger(*, days: int) -> list[Ledger]:
    """Every type and connection of which something was proposed or timed, by name."""
    connections = {one.pk: one for one in Connection.objects.all()}
    timed = {
        (name, connection): Measured(n, mean, deviation or 0.0)
        for name, connection, n, mean, deviation in Baseline.objects.order_by()
        .values_list("transaction_type", "connection")
        .annotate(
            n=Count("pk"),
            mean=Avg(Cast("minutes", FloatField())),
            deviation=StdDev(Cast("minutes", FloatField()), sample=True),
        )
    }
    found = {
        (name, connection): Ledger(name, connections[connection], days, baseline=measured)
        for (name, connection), measured in timed.items()
    }
    grants = list(Grant.objects.filter(kind=Grant.TYPE).values_list("pk", flat=True))
    with database.cursor() as cursor:
        cursor.execute(LEDGER, values(grants, days))
        for (
            name,
            connection,
            proposed,
            judged,
            committed,
            reviewed,
            unmeasured,
            n,
            mean,
            spread,
            *caught,
        ) in cursor.fetchall():
            found[name, connection] = Ledger(
                name,
                connections[connection],
                days,
                proposed=proposed,
                judged=judged,
                committed=committed,
                reviewed=reviewed,
                unmeasured=unmeasured,
                baseline=timed.get((name, connection), NONE),
                review=Measured(n, mean or 0.0, spread or 0.0),
                caught=_caught(caught, judged),
            )
    return sorted(found.values(), key=lambda one: (one.name, one.connection.title))


def measure(
    *,
    transaction_type: str,
    connection: Connection,
    minutes: str,
    timed_on: str,
    how: str,
    by: User,
    actor: Actor,
) -> Baseline:
    """Write down how long one piece of this work took by hand. It stays: a wrong one is outweighed, not removed.

    `minutes` is a decimal, `timed_on` an ISO day that has come. Raises Denied, and Refused with what would be right.
    """
    access.require(by, access.CONFIGURES, "write down a baseline")
    if (
        transaction_type not in transaction_types()
        or transaction_type not in spec(connection.name).adapter.types
    ):
        raise Refused("choose a transaction type that this connection carries", code="type_unknown")
    took, day = _minutes(minutes), _day(timed_on)
    words = how.strip()
    if not SHORTEST_WORDS <= len(words) <= LONGEST_WORDS:
        raise Refused(
            f"say who did what and how it was timed, in {SHORTEST_WORDS} to {LONGEST_WORDS} characters",
            code="how",
        )
    with transaction.atomic():
        made = Baseline.objects.create(
            transaction_type=transaction_type,
            connection=connection,
            minutes=took,
            timed_on=day,
            how=words,
            by=by,
            at=Now(),
        )
        audit.record(
            "value.baseline",
            actor=actor,
            chain=f"connection:{connection.name}",
            subject=f"{transaction_type} on {connection.name}: {took} min",
            detail={"minutes": str(took), "timed_on": day.isoformat(), "how": words},
        )
    return made


def student(freedom: int) -> float:
    """Student's t for a two-sided 95 % interval. Source: Abramowitz and Stegun (1964), 26.7.5; from 4 on to 0.1 %."""
    z = NormalDist().inv_cdf(0.975)
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * freedom**4)
    )


def _caught(counts: Sequence[int], judged: int) -> tuple[Caught, ...]:
    return tuple(
        Caught(name, title, method, Share(count, judged))
        for (name, title, method), count in zip(KINDS, counts, strict=True)
    )


def _minutes(given: str) -> Decimal:
    try:
        took = Decimal(given.strip()).quantize(Decimal("0.01"))
    except InvalidOperation:
        took = Decimal(0)
    if not (took.is_finite() and 0 < took <= LONGEST):
        raise Refused(f"minutes are a number above 0 and at most {LONGEST}, such as 12.5", code="minutes")
    return took


def _day(given: str) -> dt.date:
    try:
        day = dt.date.fromisoformat(given.strip())
    except ValueError:
        raise Refused("the day is written as 2026-11-22", code="day") from None
    if day > dt.datetime.now(dt.UTC).date():
        raise Refused("the day has not come yet", code="day")
    return day
