"""Figures: how agents do, for people who run a plant. Every rate with n and interval, or that it is too soon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from console.catalogue import read_tools, transaction_types
from console.errors import Missing
from console.evals import alarms, figures, inputs
from console.evals.burn import PAGE, Verdict
from console.evals.figures import Figures
from console.evals.psi import NEEDED
from console.models import Agent, Autonomy, Connection, Grant
from console.web import plots

WINDOWS = (1, 7, 30, 90)
"""Days that can be looked at."""
USUAL = 30

ASSESS = "From the submission to the first assessment, the queue of the workers included."
DECIDE = "From what a person saw to their last decision on it."
COMMIT = "From the first attempt until the system's own record proved it."
READ = "One call of a read tool by this version on this connection."
OVERRIDES = "People rejected it, or changed it before they approved."
ERRORS = "Refused by a check, or sent and proven not done."
STALE = "The record in the system moved while it waited; it was looked at again."
UNKNOWN = "For a while nobody could tell whether it was done."


def page(request: HttpRequest) -> HttpResponse:
    """Every grant for a transaction type that is in use, under its type and connection. In no order but the name's."""
    days = _days(request)
    grants = (
        Grant.objects.filter(kind=Grant.TYPE)
        .exclude(autonomy=Autonomy.OFF)
        .select_related("version__agent", "connection__system")
        .order_by("name", "connection__title", "version__agent__title", "version_id")
    )
    groups: dict[tuple[str, int], list[Figures]] = {}
    silent: list[Figures] = []
    for found in figures.of_grants(list(grants), days=days):
        if not found.proposed and found.grant.demoted_at is None:
            silent.append(found)
            continue
        groups.setdefault((found.grant.name, found.grant.connection_id), []).append(found)
    shown = [
        {
            "name": name,
            "connection": members[0].grant.connection,
            "rows": [_row(found) for found in members],
            "order": [
                f"{better.grant.version} is overridden less often than {worse.grant.version}."
                for better, worse in figures.order(members)
            ],
            "several": len(members) > 1,
        }
        for (name, _), members in groups.items()
    ]
    return render(request, "figures/page.html", {"groups": shown, "silent": silent, **_window(days)})


def agent(request: HttpRequest, slug: str) -> HttpResponse:
    """One agent: each of its grants in use with all figures and plots, and its read tools."""
    one = Agent.objects.select_related("owner").filter(slug=slug).first()
    if one is None:
        raise Missing(f"there is no agent {slug}")
    days = _days(request)
    grants = list(
        Grant.objects.filter(version__agent=one, kind=Grant.TYPE)
        .exclude(autonomy=Autonomy.OFF)
        .select_related("version__agent", "connection__system")
        .order_by("-version_id", "name", "connection__title")
    )
    connections = {connection.pk: connection for connection in Connection.objects.all()}
    titles = {name: tool.title for name, tool in read_tools().items()}
    context = {
        "agent": one,
        "grants": [_whole(found, days) for found in figures.of_grants(grants, days=days)],
        "reads": [
            {
                "version": version,
                "title": titles.get(read.tool, read.tool),
                "connection": connections[read.connection_id],
                "times": plots.spread("", read.times),
                "unanswered": plots.share("Without an answer", read.unanswered, "calls"),
            }
            for version in one.versions.order_by("-id")
            for read in figures.reads_of(version.pk, days=days)
        ],
        "ticks": plots.ticks(),
        **_window(days),
    }
    return render(request, "figures/agent.html", context)


def _row(found: Figures) -> dict[str, Any]:
    return {
        "figures": found,
        "grant": found.grant,
        "overrides": plots.share("Overridden", found.overrides, "decided"),
        "errors": plots.share("Errors", found.errors, "judged"),
        "decide": plots.spread("Waits for a decision", found.decide),
        "tone": _tone(found),
    }


def _whole(found: Figures, days: int) -> dict[str, Any]:
    levels, chart = figures.level_of(found.grant)
    help_texts = {"Read": READ, "Assess": ASSESS, "Decide": DECIDE, "Commit": COMMIT}
    return {
        **_row(found),
        "title": transaction_types()[found.grant.name].title
        if found.grant.name in transaction_types()
        else found.grant.name,
        "shares": [
            plots.share("Overridden", found.overrides, "decided", OVERRIDES),
            plots.share("Errors", found.errors, "judged", ERRORS),
            plots.share("Went stale", found.stale, "judged", STALE),
            plots.share("Outcome unknown", found.unknown, "sent", UNKNOWN),
        ],
        "stages": [plots.spread(name, times, help_texts[name]) for name, times in found.stages],
        "review": plots.spread("Review", found.review),
        "review_total": plots.time(found.review_seconds) if found.review.n else "",
        "reasons": figures.reasons(found.grant, days=days) if found.overrides.count else [],
        "columns": plots.columns(figures.timeline(found.grant, days=days), days) if found.proposed else None,
        "alerts": [_alert(verdict) for verdict in alarms.standing(found.grant)],
        "line": plots.level(levels),
        "chart": chart,
        "inputs": inputs.of_grant(found.grant),
        "needed": NEEDED,
    }


def _alert(verdict: Verdict) -> dict[str, Any]:
    """One objective in words: what is allowed, what each window says, what raises the alarm."""
    objective = verdict.objective
    rows = []
    for one in verdict.rules:
        long = alarms.words(one.rule.long)
        if not one.enough:
            told = f"{one.long.bad} of {one.long.n} in {long}: too few for a rate"
        else:
            told = (
                f"{one.long.bad} of {one.long.n} in {long}, {one.short.bad} of {one.short.n} in "
                f"{alarms.words(one.rule.short)}: burns {one.long.burn(objective.budget):.1f} and "
                f"{one.short.burn(objective.budget):.1f} times, alarm at {one.rule.factor:g}"
            )
        rows.append({"told": told, "alarms": one.alarms})
    return {
        "title": objective.title,
        "budget": plots.percent(objective.budget),
        "demotes": objective.demotes,
        "rows": rows,
        "level": None if verdict.level is None else f"{verdict.level:.1f}",
        "limit": f"{objective.chart.threshold:.0f}",
        "tone": "bad" if verdict.severity == PAGE else "warn" if verdict.severity else "good",
        "text": "Alarm"
        if verdict.severity == PAGE
        else "Above what is allowed"
        if verdict.severity
        else "Calm",
    }


def _tone(found: Figures) -> Mapping[str, str]:
    """What a chip says of a grant at a glance."""
    grant = found.grant
    if grant.demoted_at is not None and grant.autonomy == Autonomy.SHADOW:
        return {"tone": "bad", "text": "Demoted: back in shadow", "icon": "trending-down"}
    if grant.frozen_at is not None:
        return {"tone": "bad", "text": "Frozen", "icon": "snowflake"}
    if grant.autonomy == Autonomy.SHADOW:
        return {"tone": "", "text": "In shadow: nothing is written", "icon": "eye"}
    if not found.overrides.enough:
        return {"tone": "open", "text": "Too little to tell", "icon": "hourglass"}
    return {"tone": "good", "text": "No alarm", "icon": "circle-check"}


def _days(request: HttpRequest) -> int:
    given = request.GET.get("days", "")
    return int(given) if given.isascii() and given.isdigit() and int(given) in WINDOWS else USUAL


def _window(days: int) -> dict[str, Any]:
    return {
        "days": days,
        "windows": [(each, "1 day" if each == 1 else f"{each} days") for each in WINDOWS],
    }
