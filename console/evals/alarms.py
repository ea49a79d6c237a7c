"""Alarms on errors and latency of grants: an incident once, and back into shadow where the rule says so.

Two rounds watch. Every few seconds: grants of which something went wrong just now, because only that can raise an
alarm on errors. Every minute: all grants that write. What counts are events since the grant was last changed or an
incident of the same kind was closed, so that nothing is held against a grant twice.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import Max

from console.audit import Actor
from console.evals.burn import (
    ERRORS,
    LATENCY,
    LONGEST,
    OBJECTIVES,
    PAGE,
    SLOW,
    Event,
    Objective,
    Traffic,
    Verdict,
    judge,
)
from console.models import Autonomy, Grant, Incident
from console.models.figures import COUNTED
from console.registry import grants, incidents

MOST = 5000
"""Of the newest proposals, and of the newest readings, so many are looked at."""
OPEN_FOR = dt.timedelta(days=30)
"""A proposal that was submitted longer ago brings no event any more."""
NEWEST_ENTRIES = 2000
"""Entries are numbered before they are committed: so many earlier ones are looked at again."""
WRITES = (Autonomy.PROPOSE, Autonomy.SAMPLED)

# Times as seconds: of thousands of timestamps most of the work would be to read them.
EVENTS = f"""
SELECT extract(epoch FROM coalesce(a.created_at, CASE WHEN p.state = 'refused' THEN p.state_since END))::float8,
    p.state = 'refused', extract(epoch FROM p.submitted_at)::float8,
    extract(epoch FROM CASE WHEN p.state IN ('committed', 'commit_failed') THEN p.state_since END)::float8,
    p.state = 'commit_failed',
    extract(epoch FROM (SELECT min(t.started_at) FROM console_attempt t WHERE t.proposal_id = p.id))::float8
FROM (
    SELECT p.id, p.state, p.state_since, p.submitted_at FROM console_proposal p
    WHERE p.grant_id = %(grant)s AND p.submitted_at > statement_timestamp() - %(open_for)s AND {COUNTED}
    ORDER BY p.submitted_at DESC LIMIT %(most)s
) p LEFT JOIN console_assessment a ON a.proposal_id = p.id AND a.number = 1
WHERE p.state_since > %(since)s
"""  # noqa: S608 our own words
# The newest are taken before anything else is asked of them: otherwise a version that reads little today is looked for
# through everything it ever read.
READS = """
SELECT extract(epoch FROM at)::float8, latency_ms FROM (
    SELECT at, latency_ms, connection_id FROM console_reading
    WHERE agent_version_id = %(version)s ORDER BY id DESC LIMIT %(most)s
) newest
WHERE connection_id = %(connection)s AND at > %(since)s
"""
DUE = """
SELECT DISTINCT p.grant_id FROM console_auditentry e
JOIN console_proposal p ON p.id = e.proposal_id JOIN console_grant g ON g.id = p.grant_id
WHERE e.verb IN ('proposal.refuse', 'commit.failed', 'task.failed', 'task.not_done')
    AND e.id > (SELECT coalesce(max(id), 0) - %(newest)s FROM console_auditentry) AND g.autonomy = ANY(%(writes)s)
"""


def standing(grant: Grant) -> tuple[Verdict, ...]:
    """Every objective of a grant as it stands now, on the database's clock."""
    with database.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        (now,) = cursor.fetchone()
    epochs = {objective.name: _epoch(grant, objective) for objective in OBJECTIVES}
    found = _events(grant, max(min(epochs.values()), now - LONGEST))
    return tuple(
        judge(
            Traffic(event for event in found[objective.name] if event.at > epochs[objective.name]),
            objective,
            now,
        )
        for objective in OBJECTIVES
    )


def watch(grant: Grant, *, actor: Actor) -> tuple[Verdict, ...]:
    """Judge one grant that writes; on an alarm open an incident, once, and demote it where the objective says so."""
    verdicts = standing(grant)
    for verdict in verdicts:
        if verdict.severity:
            _alarm(grant, verdict, actor)
    return verdicts


def watch_all(*, actor: Actor, newest_only: bool) -> int:
    """Watch all grants that write, or those of which something went wrong just now. Returns how many there were."""
    due = Grant.objects.filter(kind=Grant.TYPE, autonomy__in=WRITES).select_related(
        "version__agent", "connection"
    )
    if newest_only:
        with database.cursor() as cursor:
            cursor.execute(DUE, {"newest": NEWEST_ENTRIES, "writes": [each.value for each in WRITES]})
            due = due.filter(pk__in=[pk for (pk,) in cursor.fetchall()])
    found = list(due.order_by("pk"))
    for grant in found:
        watch(grant, actor=actor)
    return len(found)


def kind_of(objective: Objective, severity: str) -> str:
    """The kind of an incident that this opens."""
    return f"{objective.name}_{severity}"


def _epoch(grant: Grant, objective: Objective) -> dt.datetime:
    lifted = Incident.objects.filter(
        grant=grant, kind__startswith=f"{objective.name}_", lifted_at__isnull=False
    ).aggregate(last=Max("lifted_at"))["last"]
    return max(grant.changed_at, lifted) if lifted is not None else grant.changed_at


def _events(grant: Grant, since: dt.datetime) -> dict[str, list[Event]]:
    errors: list[Event] = []
    slow: list[Event] = []
    began_at = since.timestamp()
    limits = {name: span.total_seconds() for name, span in SLOW.items()}
    with database.cursor() as cursor:
        values: dict[str, Any] = {"grant": grant.pk, "open_for": OPEN_FOR, "most": MOST, "since": since}
        cursor.execute(EVENTS, values)
        for judged, refused, submitted, settled, failed, began in cursor.fetchall():
            if judged is not None and judged > began_at:
                errors.append(_event(judged, bad=refused))
                slow.append(_event(judged, bad=judged - submitted > limits["assess"]))
            if settled is not None and settled > began_at:
                errors.append(_event(settled, bad=failed))
                if began is not None:
                    slow.append(_event(settled, bad=settled - began > limits["commit"]))
        cursor.execute(
            READS,
            {"version": grant.version_id, "connection": grant.connection_id, "since": since, "most": MOST},
        )
        slow += [_event(at, bad=latency > 1000 * limits["read"]) for at, latency in cursor.fetchall()]
    return {ERRORS.name: errors, LATENCY.name: slow}


def _event(at: float, *, bad: bool) -> Event:
    return Event(dt.datetime.fromtimestamp(at, dt.UTC), bad)


def _alarm(grant: Grant, verdict: Verdict, actor: Actor) -> None:
    objective, severity = verdict.objective, verdict.severity
    demotes = objective.demotes and severity == PAGE
    kinds = [kind_of(objective, PAGE), kind_of(objective, severity)]
    if not demotes and Incident.objects.filter(grant=grant, kind__in=kinds, lifted_at__isnull=True).exists():
        return
    told = _told(grant, verdict)
    with transaction.atomic():
        epoch = _epoch(grant, objective)
        if demotes:
            title = f"{grant.version} was put back into shadow for {grant.name}: too many errors"
            lifts = f"{told} Look at what was refused and what failed; two people raise the grant again."
        else:
            title = f"{grant.version}, {grant.name}: {objective.title.lower()} beyond what is allowed"
            lifts = f"{told} Find out why, and close the incident; it is counted anew from then on."
        said = grants.Alarm(
            kind=kind_of(objective, severity),
            title=title,
            lifts=lifts,
            dedupe=f"{kind_of(objective, severity)}:{grant.pk}:{epoch.isoformat()}",
            detail={"objective": objective.name, "severity": severity, "told": told},
        )
        if demotes:
            grants.lower(grant, to=Autonomy.SHADOW, reason=told, by=None, actor=actor, alarm=said)
            return
        incidents.open_incident(
            kind=said.kind,
            title=said.title,
            lifts=said.lifts,
            dedupe=said.dedupe,
            actor=actor,
            connection=grant.connection,
            grant=grant,
            detail=said.detail,
        )


def _told(grant: Grant, verdict: Verdict) -> str:
    """What was seen, in words with its counts."""
    budget = f"{100 * verdict.objective.budget:.0f} %"
    what = "went wrong" if verdict.objective is ERRORS else "were slow"
    if alarming := [one for one in verdict.rules if one.alarms]:
        first = alarming[0]
        return (
            f"{first.long.bad} of {first.long.n} {what} in {words(first.rule.long)} and {first.short.bad} of "
            f"{first.short.n} in {words(first.rule.short)}: {budget} are allowed."
        )
    longest = max((one.long for one in verdict.rules), key=lambda count: count.n)
    return (
        f"{longest.bad} of the last {longest.n} {what} on {grant.connection.title}: {budget} are allowed, and so "
        f"many so soon are no accident."
    )


def words(span: dt.timedelta) -> str:
    """A window in words: "5 minutes", "1 hour", "3 days"."""
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        count = int(span.total_seconds()) // size
        if count:
            return f"{count} {name}{'' if count == 1 else 's'}"
    return f"{int(span.total_seconds())} seconds"
