"""Live figures of a grant: how often people overrode it, and its demotion when that turns for the worse.

The sweep counts every grant's new decisions; a rejection or an amendment rings at once, because only those can raise
an alarm. Counting twice counts once: `Decided` has one row a proposal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import Max
from django.db.models.functions import Now

from console.audit import Actor
from console.evals.bounds import wilson
from console.evals.drift import OVERRIDES
from console.lifecycle.record import AGREED
from console.models import Autonomy, Decided, Decision, Grant, OverrideChart
from console.registry import grants

OVERLAP = 2000
"""Decisions are numbered before they are committed: so many earlier ones are looked at again."""

# A proposal that was approved waits for nobody's answer any more, or it goes back and is decided anew.
COUNT = """
INSERT INTO console_decided (proposal_id, grant_id, overridden, at)
SELECT p.id, p.grant_id, bool_or(d.answer IN ('reject', 'amend')), max(d.at)
FROM console_decision d JOIN console_proposal p ON p.id = d.proposal_id
WHERE p.grant_id = %(grant)s AND d.id > %(after)s AND NOT p.seeded
    AND (d.answer IN ('reject', 'amend') OR d.answer = 'approve' AND p.state = ANY(%(agreed)s))
    AND NOT EXISTS (SELECT FROM console_decided c WHERE c.proposal_id = p.id)
GROUP BY p.id ORDER BY max(d.id)
ON CONFLICT (proposal_id) DO NOTHING
"""
DUE = """
SELECT DISTINCT p.grant_id FROM console_decision d JOIN console_proposal p ON p.id = d.proposal_id
WHERE d.id > (SELECT coalesce(max(id), 0) - %(overlap)s FROM console_decision) AND NOT p.seeded
    AND (d.answer IN ('reject', 'amend') OR d.answer = 'approve' AND p.state = ANY(%(agreed)s))
    AND NOT EXISTS (SELECT FROM console_decided c WHERE c.proposal_id = p.id)
"""


def watch(grant_id: int, *, actor: Actor) -> OverrideChart:
    """Take in what people decided on this grant since the last look, and demote it if its chart alarms."""
    with transaction.atomic():
        OverrideChart.objects.bulk_create(
            [OverrideChart(grant_id=grant_id, since=Now())], ignore_conflicts=True
        )
        chart = OverrideChart.objects.select_for_update().get(grant_id=grant_id)
        grant = Grant.objects.select_related("version__agent", "connection").get(pk=grant_id)
        _take_in(chart)
        if chart.alarmed_at is not None and grant.demoted_at is None:
            _begin_anew(chart)
        news = list(Decided.objects.filter(grant_id=grant_id, id__gt=chart.seen).order_by("id"))
        for one in news:
            chart.level = OVERRIDES.step(chart.level, overridden=one.overridden)
            chart.decided += 1
            chart.overridden += one.overridden
            chart.seen = one.pk
            if OVERRIDES.alarms(chart.level):
                break
        chart.save()
        if OVERRIDES.alarms(chart.level) and chart.alarmed_at is None and grant.autonomy != Autonomy.OFF:
            _demote(chart, grant, actor)
    return chart


def watch_all(*, actor: Actor) -> int:
    """Every grant with a decision that is not counted yet. Returns how many there were."""
    with connection.cursor() as cursor:
        cursor.execute(DUE, {"overlap": OVERLAP, "agreed": [state.value for state in AGREED]})
        due = [pk for (pk,) in cursor.fetchall()]
    for pk in due:
        watch(pk, actor=actor)
    return len(due)


@dataclass(frozen=True)
class OverrideRate:
    """Of `decided` proposals, people overrode `overridden`; `low` and `high` are Wilson's 95 % interval, in percent."""

    overridden: int
    decided: int
    low: int
    high: int


def override_rate(overridden: int, decided: int) -> OverrideRate | None:
    """The rate with what it takes to read it, None without decisions: a rate is never shown without n."""
    if decided == 0:
        return None
    low, high = wilson(overridden, decided)
    return OverrideRate(overridden, decided, math.floor(100 * low), math.ceil(100 * high))


def _take_in(chart: OverrideChart) -> None:
    newest = Decision.objects.aggregate(newest=Max("id"))["newest"] or 0
    with connection.cursor() as cursor:
        cursor.execute(
            COUNT,
            {
                "grant": chart.grant_id,
                "after": max(0, chart.decision - OVERLAP),
                "agreed": [state.value for state in AGREED],
            },
        )
    chart.decision = newest


def _begin_anew(chart: OverrideChart) -> None:
    """Two people raised the grant again: what was decided until now is not held against it."""
    last = Decided.objects.filter(grant_id=chart.grant_id).aggregate(last=Max("id"))["last"]
    chart.level, chart.decided, chart.overridden, chart.alarmed_at = 0.0, 0, 0, None
    chart.seen = last or 0
    OverrideChart.objects.filter(pk=chart.pk).update(since=Now())
    chart.refresh_from_db(fields=["since"])


def _demote(chart: OverrideChart, grant: Grant, actor: Actor) -> None:
    told = (
        f"People overrode {chart.overridden} of {chart.decided} proposals of {grant.version} for {grant.name} on "
        f"{grant.connection.title}: the rate has turned from {100 * OVERRIDES.usual:.0f} % towards "
        f"{100 * OVERRIDES.alarm:.0f} %."
    )
    grants.lower(
        grant,
        to=Autonomy.SHADOW,
        reason=told,
        by=None,
        actor=actor,
        alarm=grants.Alarm(
            kind="override_rate",
            title=f"{grant.version} was put back into shadow for {grant.name}",
            lifts=f"{told} Look at what was rejected and amended; two people raise the grant again.",
            dedupe=f"override_rate:{grant.pk}:{chart.seen}",
        ),
    )
    OverrideChart.objects.filter(pk=chart.pk).update(alarmed_at=Now())
    chart.refresh_from_db(fields=["alarmed_at"])
