"""Live figures of grants: how quick, how right, how much trouble, and what the review costs. Read from what happened.

Every figure is about proposals that were submitted within a window of days, the newest `MOST` of each grant at most.
Nothing is stored: each look counts anew. A share carries n and its interval, or says that there is too little data.

Latencies, in seconds, each from timestamps that are there anyway: *read*, one call of a read tool by this version on
this connection; *assess*, from the submission to the first assessment or refusal, a worker's queue included; *decide*,
from the assessment that a person saw to their last decision on it; *commit*, from the first attempt until the
read-back settled it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection as database

from console.evals.bounds import wilson
from console.evals.drift import OVERRIDES
from console.models import Decided, Grant, OverrideChart, Reason
from console.models.figures import COUNTED

MOST = 5000
"""Of each grant's newest proposals, and of each version's newest readings, so many are looked at."""
FOR_SHARE = 10
"""A rate is told from so many on; before, the counts alone. Its interval would span half the scale."""
FOR_HALF = 5
"""A median is told from so many on,"""
FOR_MOST = 20
"""and a 95th percentile from so many: of fewer it is only the largest."""
OPEN_PAGE = dt.timedelta(minutes=30)
"""A page that was open longer counts as this long: a session without a sign of life has ended by then."""
COLUMNS = 30

ROWS = f"""
WITH p AS (
    SELECT n.* FROM unnest(%(grants)s::bigint[]) AS g (id)
    CROSS JOIN LATERAL (
        SELECT p.id, p.grant_id, p.state, p.state_since, p.submitted_at FROM console_proposal p
        WHERE p.grant_id = g.id AND p.submitted_at > statement_timestamp() - %(window)s AND {COUNTED}
        ORDER BY p.submitted_at DESC LIMIT %(most)s
    ) n
), facts AS (
    SELECT p.*, c.overridden, d.answers, d.unmeasured, d.dwell_ms,
        coalesce(a.created_at, CASE WHEN p.state = 'refused' THEN p.state_since END) AS judged_at,
        d.waited, t.began,
        CASE WHEN p.state IN ('committed', 'commit_failed') THEN p.state_since - t.began END AS committing,
        (t.began IS NOT NULL AND (p.state = 'outcome_unknown' OR EXISTS (
            SELECT FROM console_auditentry e WHERE e.proposal_id = p.id AND e.verb = 'commit.unknown'))) AS unknown,
        (coalesce(t.stale, false) OR EXISTS (
            SELECT FROM console_assessment m JOIN console_assessment b ON b.proposal_id = m.proposal_id
                AND b.number = m.number - 1 AND b.revision_id = m.revision_id AND b.digest <> m.digest
                AND (b.type_version, b.policy_version) = (m.type_version, m.policy_version)
            WHERE m.proposal_id = p.id)) AS stale
    FROM p
    LEFT JOIN console_assessment a ON a.proposal_id = p.id AND a.number = 1
    LEFT JOIN console_decided c ON c.proposal_id = p.id
    LEFT JOIN LATERAL (
        SELECT count(*) AS answers, count(*) FILTER (WHERE d.dwell_ms IS NULL) AS unmeasured,
            sum(least(d.dwell_ms, %(open_page)s)) FILTER (WHERE d.dwell_ms IS NOT NULL) AS dwell_ms,
            (array_agg(d.at - s.created_at ORDER BY d.id DESC))[1] AS waited
        FROM console_decision d JOIN console_assessment s ON s.id = d.assessment_id WHERE d.proposal_id = p.id
        HAVING count(*) > 0
    ) d ON true
    LEFT JOIN LATERAL (
        SELECT min(t.started_at) AS began, bool_or(t.outcome = 'stale') AS stale
        FROM console_attempt t WHERE t.proposal_id = p.id
    ) t ON true
)
"""  # noqa: S608 our own words


def _spread(what: str, of: str) -> str:
    return (
        f"count({of}) AS {what}_n, percentile_cont(0.5) WITHIN GROUP (ORDER BY {of}) AS {what}_half,"
        f" percentile_cont(0.95) WITHIN GROUP (ORDER BY {of}) AS {what}_most"
    )


TOTALS = f"""
{ROWS}
SELECT grant_id, count(*) AS proposed, count(judged_at) AS judged,
    count(*) FILTER (WHERE state = 'refused') AS refused,
    count(*) FILTER (WHERE state = 'commit_failed') AS failed,
    count(overridden) AS decided, count(*) FILTER (WHERE overridden) AS overridden,
    count(began) AS sent, count(*) FILTER (WHERE unknown) AS unknown,
    count(*) FILTER (WHERE stale AND judged_at IS NOT NULL) AS stale,
    coalesce(sum(answers), 0)::int AS answers, coalesce(sum(unmeasured), 0)::int AS unmeasured,
    coalesce(sum(dwell_ms), 0)::float8 / 1000 AS review_seconds,
    {_spread("assess", "extract(epoch FROM judged_at - submitted_at)::float8")},
    {_spread("decide", "extract(epoch FROM waited)::float8")},
    {_spread("commit", "extract(epoch FROM committing)::float8")},
    {_spread("review", "CASE WHEN unmeasured = 0 THEN dwell_ms::float8 / 1000 END")}
FROM facts GROUP BY grant_id
"""  # noqa: S608 the same

TIMELINE = f"""
{ROWS}
SELECT greatest(0, least(%(columns)s - 1, floor(
        extract(epoch FROM statement_timestamp() - submitted_at) / %(column)s)))::int AS ago,
    count(*), count(*) FILTER (WHERE state IN ('refused', 'commit_failed')), count(*) FILTER (WHERE overridden)
FROM facts GROUP BY 1
"""  # noqa: S608 the same

REASONS = f"""
SELECT d.reason, count(DISTINCT p.id) FROM (
    SELECT p.id FROM console_proposal p
    WHERE p.grant_id = %(grant)s AND p.submitted_at > statement_timestamp() - %(window)s AND {COUNTED}
    ORDER BY p.submitted_at DESC LIMIT %(most)s
) p
JOIN console_decided c ON c.proposal_id = p.id AND c.overridden
JOIN console_decision d ON d.proposal_id = p.id AND d.answer IN ('reject', 'amend')
GROUP BY d.reason ORDER BY 2 DESC, 1
"""  # noqa: S608 the same

READ = """
SELECT r.agent_version_id, r.connection_id, r.tool, count(*), count(*) FILTER (WHERE r.outcome <> 'answered'),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY r.latency_ms) / 1000,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY r.latency_ms) / 1000
FROM unnest(%(versions)s::bigint[]) AS v (id) CROSS JOIN LATERAL (
    SELECT r.agent_version_id, r.connection_id, r.tool, r.outcome, r.latency_ms, r.at FROM console_reading r
    WHERE r.agent_version_id = v.id ORDER BY r.id DESC LIMIT %(most)s
) r
WHERE r.at > statement_timestamp() - %(window)s
GROUP BY GROUPING SETS ((r.agent_version_id, r.connection_id, r.tool), (r.agent_version_id, r.connection_id))
"""


@dataclass(frozen=True)
class Share:
    """`count` of `n`, with Wilson's 95 % interval `low` to `high`, 0 to 1 (0 and 1 where n is 0)."""

    count: int
    n: int

    @property
    def enough(self) -> bool:
        """Whether there is enough to tell a rate."""
        return self.n >= FOR_SHARE

    @property
    def rate(self) -> float:
        """The share, 0 to 1; 0 without any. Show it only with n and the interval, and only when `enough`."""
        return self.count / self.n if self.n else 0.0

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return wilson(self.count, self.n)[0] if self.n else 0.0

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return wilson(self.count, self.n)[1] if self.n else 1.0


@dataclass(frozen=True)
class Spread:
    """Of `n` measured times in seconds: the median, and what 95 of 100 stay below; None where n is too small."""

    n: int
    half: float | None = None
    most: float | None = None


NONE = Spread(0)


@dataclass(frozen=True)
class Read:
    """Calls of one read tool by one version on one connection: times, and the share that got no answer."""

    tool: str
    connection_id: int
    times: Spread
    unanswered: Share


@dataclass(frozen=True)
class Figures:
    """The figures of one grant for a transaction type over `days`; what counts as what is in the module's words.

    `errors`: refused by a check, or sent and proven not done, of those judged. `overrides`: rejected or amended, of
    those decided. `stale`: the record moved under it at least once, of those judged. `unknown`: nobody could tell
    for a while whether it was done, of those sent. `review`: how long people had its page open, all decisions on it
    together, by the browser's word; `review_seconds` the sum, `unmeasured` decisions of `answers` without a time.
    `cut`: there were more than `MOST`, and only the newest count.
    """

    grant: Grant
    days: int
    proposed: int = 0
    judged: int = 0
    refused: int = 0
    failed: int = 0
    read: Spread = NONE
    assess: Spread = NONE
    decide: Spread = NONE
    commit: Spread = NONE
    review: Spread = NONE
    errors: Share = Share(0, 0)
    overrides: Share = Share(0, 0)
    stale: Share = Share(0, 0)
    unknown: Share = Share(0, 0)
    answers: int = 0
    unmeasured: int = 0
    review_seconds: float = 0.0

    @property
    def cut(self) -> bool:
        """Whether older proposals of the window are left out."""
        return self.proposed >= MOST

    @property
    def stages(self) -> tuple[tuple[str, Spread], ...]:
        """The four latencies in their order, named."""
        return ("Read", self.read), ("Assess", self.assess), ("Decide", self.decide), ("Commit", self.commit)


@dataclass(frozen=True)
class Column:
    """What was proposed in one part of the window: all, with an error, overridden."""

    proposed: int
    wrong: int
    overridden: int


def of_grants(grants: Sequence[Grant], *, days: int) -> list[Figures]:
    """The figures of these grants for transaction types, in their order. Two statements, whatever their number."""
    reads = {
        (one[0], one[1]): _spread_of(one[3], one[5], one[6])
        for one in _read_rows({grant.version_id for grant in grants}, days)
        if one[2] is None
    }
    totals = {row["grant_id"]: row for row in _rows(TOTALS, [grant.pk for grant in grants], days)}
    return [_figures(grant, days, totals.get(grant.pk), reads) for grant in grants]


def timeline(grant: Grant, *, days: int) -> list[Column]:
    """The window of one grant in `COLUMNS` equal parts, oldest first."""
    width = days * 86_400 / COLUMNS
    with database.cursor() as cursor:
        cursor.execute(TIMELINE, {**values([grant.pk], days), "columns": COLUMNS, "column": width})
        found = {ago: Column(*counts) for ago, *counts in cursor.fetchall()}
    return [found.get(ago, Column(0, 0, 0)) for ago in reversed(range(COLUMNS))]


def reasons(grant: Grant, *, days: int) -> list[tuple[str, int]]:
    """Why people overrode, in the words they chose from, with the number of proposals; most first."""
    with database.cursor() as cursor:
        cursor.execute(REASONS, {**values([], days), "grant": grant.pk})
        return [
            (str(Reason(reason).label) if reason else "Amended, with a note", count)
            for reason, count in cursor.fetchall()
        ]


def reads_of(version_id: int, *, days: int) -> list[Read]:
    """The read tools that a version used, by tool."""
    return sorted(
        (
            Read(tool, connection, _spread_of(n, half, most), Share(unanswered, n))
            for _, connection, tool, n, unanswered, half, most in _read_rows({version_id}, days)
            if tool is not None
        ),
        key=lambda one: (one.tool, one.connection_id),
    )


def level_of(grant: Grant, most: int = 300) -> tuple[list[float], OverrideChart | None]:
    """How the override chart of a grant went over its last decisions, oldest first, and the chart: see `drift`."""
    chart = OverrideChart.objects.filter(grant=grant).first()
    if chart is None or chart.decided == 0:
        return [], chart
    newest = Decided.objects.filter(grant=grant, id__lte=chart.seen).order_by("-id")
    answers = list(newest.values_list("overridden", flat=True)[: min(chart.decided, 5000)])
    level, levels = 0.0, []
    for overridden in reversed(answers):
        level = OVERRIDES.step(level, overridden=overridden)
        levels.append(level)
    return levels[-most:], chart


def apart(better: Share, worse: Share) -> bool:
    """Whether one rate is lower than another for sure: both known well enough, and their intervals do not overlap."""
    return better.enough and worse.enough and better.high < worse.low


def order(found: Iterable[Figures]) -> list[tuple[Figures, Figures]]:
    """Pairs of grants of which the first is overridden less often, for sure. Whoever is in no pair has no rank."""
    all_of_them = list(found)
    return [
        (one, other) for one in all_of_them for other in all_of_them if apart(one.overrides, other.overrides)
    ]


def _figures(
    grant: Grant,
    days: int,
    row: Mapping[str, float] | None,
    reads: Mapping[tuple[int, int], Spread],
) -> Figures:
    read = reads.get((grant.version_id, grant.connection_id), NONE)
    if row is None:
        return Figures(grant, days, read=read)
    count = {name: int(value) for name, value in row.items() if isinstance(value, int)}
    return Figures(
        grant,
        days,
        proposed=count["proposed"],
        judged=count["judged"],
        refused=count["refused"],
        failed=count["failed"],
        read=read,
        **{
            name: _spread_of(count[f"{name}_n"], row[f"{name}_half"], row[f"{name}_most"])
            for name in ("assess", "decide", "commit", "review")
        },
        errors=Share(count["refused"] + count["failed"], count["judged"]),
        overrides=Share(count["overridden"], count["decided"]),
        stale=Share(count["stale"], count["judged"]),
        unknown=Share(count["unknown"], count["sent"]),
        answers=count["answers"],
        unmeasured=count["unmeasured"],
        review_seconds=row["review_seconds"],
    )


def _spread_of(n: int, half: float | None, most: float | None) -> Spread:
    return Spread(n, half if n >= FOR_HALF else None, most if n >= FOR_MOST else None)


def values(grants: Sequence[int], days: int) -> dict[str, Any]:
    """What `ROWS` wants to be told."""
    return {
        "grants": list(grants),
        "window": dt.timedelta(days=days),
        "most": MOST,
        "open_page": int(OPEN_PAGE.total_seconds() * 1000),
    }


def _rows(statement: str, grants: Sequence[int], days: int) -> list[dict[str, float]]:
    with database.cursor() as cursor:
        cursor.execute(statement, values(grants, days))
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _read_rows(
    versions: set[int], days: int
) -> list[tuple[int, int, str | None, int, int, float | None, float | None]]:
    with database.cursor() as cursor:
        cursor.execute(READ, {**values([], days), "versions": sorted(versions)})
        return list(cursor.fetchall())
