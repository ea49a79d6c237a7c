"""P8: what the console adds to a read. An agent reads through it; beside it, the ERP's own answers."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

import psycopg

from tests.bench import meters
from tests.bench.driver import Http
from tests.bench.people import small_orders, workforce
from tests.bench.stack import CONNECTION, Stack

TOOL = "production_order"


def measure(made: Stack, *, calls: int, web: tuple[int, int]) -> dict[str, Any]:
    """Read single orders, one after another. Milliseconds; CPU is the web's, PostgreSQL's and the broker's."""
    from console.models import Agent  # noqa: PLC0415 needs Django to be set up

    force = None if Agent.objects.exists() else workforce(supervisors=1)
    key = force.key if force is not None else _another_key()
    made.start_web(workers=web[0], threads=web[1])
    try:
        http = Http(made.port)
        orders = small_orders(made.home)
        for order in orders[:20]:
            _read(http, key, order)
        pids = {role: pid for role, pid in made.pids().items() if role in {"web", "postgres", "broker"}}
        with psycopg.connect(made.postgres.owner_url, autocommit=True) as admin:
            apart = (admin.info.backend_pid,)
            count = "select count(*) from console_reading where outcome = 'answered'"
            before = admin.execute(count).fetchone()
            began_at, used = time.time(), meters.cpu(pids, apart=apart)
            took = [_read(http, key, orders[i % len(orders)]) for i in range(calls)]
            after = meters.cpu(pids, apart=apart)
            now = admin.execute(count).fetchone()
    finally:
        made.end("web")
    assert before is not None
    assert now is not None
    erp = _erp_ms(made, began_at) / calls
    return {
        "calls": calls,
        "recorded": now[0] - before[0],
        "agent_p50_ms": meters.middle(took),
        "agent_p95_ms": meters.most(took),
        "erp_ms": erp,
        "added_p50_ms": meters.middle(took) - erp,
        "cpu_ms": sum(after[role] - used[role] for role in pids) * 1000 / calls,
    }


def _another_key() -> str:
    from console.models import AgentVersion  # noqa: PLC0415 needs Django to be set up
    from tests import cast  # noqa: PLC0415 the same

    return cast.key(AgentVersion.objects.get(agent__slug="planner"))


def _read(http: Http, key: str, order: str) -> float:
    body = json.dumps({"arguments": {"order": order}, "connection": CONNECTION}).encode()
    began = time.perf_counter()
    status, raw = http.send(
        "POST",
        f"/api/v1/reads/{TOOL}",
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        body,
    )
    took = (time.perf_counter() - began) * 1000
    if status != 200:
        raise RuntimeError(f"a read answered {status}: {raw[:300]!r}")
    return took


def _erp_ms(made: Stack, since: float) -> float:
    url = f"{made.erp['control_url']}/control/calls"
    calls = json.load(urllib.request.urlopen(url, timeout=30))  # noqa: S310 our own address
    return float(sum(call.get("seconds", 0.0) for call in calls if call["at"] >= since) * 1000)
