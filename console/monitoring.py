"""Is it alive, is it ready, how is it going: for supervisors of processes, load balancers and Prometheus.

All figures come from the database, so that every web process tells the same. `metrics` answers the machine itself,
and others with METRICS_TOKEN as a bearer token; behind a proxy on the same machine, only with the token.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
from collections.abc import Iterable
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from console import environment
from console.evals import figures
from console.models import LIVE, Autonomy, Connection, Grant, InputDrift

log = logging.getLogger(__name__)

BROKER_SECONDS = 1
FIGURES_DAYS = 1
"""Figures of agents are told of what was proposed within so many days: a scrape comes every few seconds."""
NEWEST_READINGS = 1000
"""Latencies are told of so many of the newest readings."""

LATENCIES = """
SELECT tool, percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms),
       percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms)
FROM (SELECT tool, latency_ms FROM console_reading ORDER BY id DESC LIMIT %s) AS newest GROUP BY tool
"""
OUTCOMES = """
SELECT outcome, count(*) FROM (SELECT outcome FROM console_reading ORDER BY id DESC LIMIT %s) AS newest
GROUP BY outcome
"""

_migrated: list[bool] = []


@require_safe
def live(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 every view has one
    """The process answers. Asks nothing and nobody."""
    return HttpResponse("alive\n", content_type="text/plain")


@require_safe
def ready(request: HttpRequest) -> JsonResponse:  # noqa: ARG001 the same
    """200 when this process can do its work, else 503 with what is missing. A system that is away is only told."""
    database = _database()
    parts: dict[str, Any] = {
        "database": database,
        "migrations": _migrations() if database == "ok" else "unknown",
        "broker": _broker(),
    }
    good = all(part == "ok" for part in parts.values())
    connections = _connections() if database == "ok" else {}
    return JsonResponse(
        {"ready": good, **parts, "connections": connections},
        status=200 if good else 503,
        headers={"Cache-Control": "no-store"},
    )


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Figures in Prometheus' text form."""
    if not _may_see_metrics(request):
        return HttpResponse("Ask from this machine, or send METRICS_TOKEN as a bearer token.\n", status=403)
    registry = CollectorRegistry()
    registry.register(_Figures())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        log.warning("not ready: the database is away (%s)", type(error).__name__)
        return "away"
    return "ok"


def _migrations() -> str:
    if not _migrated:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return "missing: run `manage.py migrate`"
        _migrated.append(True)  # what is applied stays applied as long as this process lives
    return "ok"


def _broker() -> str:
    if not settings.REDIS_URL:
        return "not configured: set REDIS_URL"
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_connect_timeout=BROKER_SECONDS, socket_timeout=BROKER_SECONDS
        ) as broker:
            broker.ping()
    except redis.RedisError as error:
        log.warning("not ready: the broker is away (%s)", type(error).__name__)
        return "away"
    return "ok"


def _connections() -> dict[str, dict[str, Any]]:
    return {
        one.name: {
            "enabled": one.enabled,
            "last_ok_at": one.last_ok_at,
            "failing": one.last_error_at is not None
            and (one.last_ok_at is None or one.last_error_at > one.last_ok_at),
        }
        for one in Connection.objects.order_by("name")
    }


def _may_see_metrics(request: HttpRequest) -> bool:
    token = environment.text("METRICS_TOKEN")
    given = request.headers.get("Authorization", "").partition(" ")[2].strip()
    if token and hmac.compare_digest(token.encode(), given.encode()):
        return True
    forwarded = {"X-Forwarded-For", "X-Real-IP", "Forwarded"} & set(request.headers)
    if forwarded or settings.ALLAUTH_TRUSTED_PROXY_COUNT:
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


class _Figures(Collector):
    """One look at the database, as metrics."""

    def collect(self) -> Iterable[Metric]:
        """Proposals that are not finished, attempts and readings."""
        proposals = GaugeMetricFamily(
            "countersign_proposals", "Proposals that are not final, by state.", labels=["state"]
        )
        waiting = GaugeMetricFamily(
            "countersign_oldest_seconds", "How long the oldest proposal is in its state.", labels=["state"]
        )
        found = {
            state: (number, age)
            for state, number, age in _rows(
                "SELECT state, count(*), extract(epoch FROM now() - min(state_since))::float8"
                " FROM console_proposal WHERE state = ANY(%s) AND NOT seeded GROUP BY state",
                [[state.value for state in LIVE]],
            )
        }
        for state in LIVE:
            number, age = found.get(state.value, (0, 0.0))
            proposals.add_metric([state.value], number)
            waiting.add_metric([state.value], age)
        yield proposals
        yield waiting
        attempts = GaugeMetricFamily(
            "countersign_attempts", "Attempts to commit, by outcome.", labels=["outcome"]
        )
        for outcome, number in _rows("SELECT outcome, count(*) FROM console_attempt GROUP BY outcome"):
            attempts.add_metric([outcome], number)
        yield attempts
        latency = GaugeMetricFamily(
            "countersign_read_seconds",
            f"Time of the newest {NEWEST_READINGS} readings, by tool.",
            labels=["tool", "quantile"],
        )
        outcomes = GaugeMetricFamily(
            "countersign_readings", f"The newest {NEWEST_READINGS} readings, by outcome.", labels=["outcome"]
        )
        for tool, half, most in _rows(LATENCIES, [NEWEST_READINGS]):
            latency.add_metric([tool, "0.5"], half / 1000)
            latency.add_metric([tool, "0.95"], most / 1000)
        for outcome, number in _rows(OUTCOMES, [NEWEST_READINGS]):
            outcomes.add_metric([outcome], number)
        yield latency
        yield outcomes
        yield from _agents()
        incidents = GaugeMetricFamily("countersign_incidents", "Open incidents, by kind.", labels=["kind"])
        for kind, number in _rows(
            "SELECT kind, count(*) FROM console_incident WHERE lifted_at IS NULL GROUP BY kind"
        ):
            incidents.add_metric([kind], number)
        yield incidents


def _agents() -> Iterable[Metric]:
    """The figures of every grant in use, as counts with their n: who reads them divides."""
    labels = ["agent", "version", "type", "connection"]
    within = f"within {FIGURES_DAYS} day"
    counts = GaugeMetricFamily(
        "countersign_agent_proposals",
        f"Proposals submitted {within}, by what is true of them; errors are of those judged, overridden of those "
        "decided, unknown of those sent.",
        labels=[*labels, "what"],
    )
    times = GaugeMetricFamily(
        "countersign_agent_seconds",
        f"Latencies of proposals submitted {within}, where there are enough to tell.",
        labels=[*labels, "stage", "quantile"],
    )
    measured = GaugeMetricFamily(
        "countersign_agent_measured", "How many times a latency was measured.", labels=[*labels, "stage"]
    )
    review = GaugeMetricFamily(
        "countersign_agent_review_seconds",
        f"How long people looked at what was submitted {within}.",
        labels=labels,
    )
    moved = GaugeMetricFamily(
        "countersign_agent_input_psi",
        "Population stability index of what comes in, newest 500 cases against the first 500; absent with fewer.",
        labels=[*labels, "value"],
    )
    indexes: dict[int, list[tuple[str, float]]] = {}
    for pk, label, index in InputDrift.objects.values_list("grant_id", "label", "index").order_by("label"):
        indexes.setdefault(pk, []).append((label, index))
    grants = Grant.objects.filter(kind=Grant.TYPE).exclude(autonomy=Autonomy.OFF)
    for one in figures.of_grants(
        list(grants.select_related("version__agent", "connection").order_by("pk")), days=FIGURES_DAYS
    ):
        grant = one.grant
        who = [grant.version.agent.slug, grant.version.label, grant.name, grant.connection.name]
        for what, number in (
            ("proposed", one.proposed),
            ("judged", one.judged),
            ("errors", one.errors.count),
            ("decided", one.overrides.n),
            ("overridden", one.overrides.count),
            ("stale", one.stale.count),
            ("sent", one.unknown.n),
            ("unknown", one.unknown.count),
        ):
            counts.add_metric([*who, what], number)
        for stage, spread in (*one.stages, ("Review", one.review)):
            measured.add_metric([*who, stage.lower()], spread.n)
            for quantile, value in (("0.5", spread.half), ("0.95", spread.most)):
                if value is not None:
                    times.add_metric([*who, stage.lower(), quantile], value)
        review.add_metric(who, one.review_seconds)
        for label, index in indexes.get(grant.pk, ()):
            moved.add_metric([*who, label], index)
    yield from (counts, times, measured, review, moved)


def _rows(statement: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values or [])
        return list(cursor.fetchall())
