"""P7: the people's pages on a full console.

The large database stays in var/bench between runs, one per scale; it is made once. Times are from the first byte
sent to the last received on loopback, one request after another: server time and a little more.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from console.environment import ROOT
from tests.bench import meters
from tests.bench.driver import Http
from tests.bench.stack import Stack, at_database

QUEUE: dict[str, str] = {
    "queue, first page": "/?group=waiting",
    "queue, by money": "/?group=waiting&sort=money",
    "queue, by time left": "/?group=waiting&sort=time",
    "queue, filtered by type": "/?group=waiting&type=purchase_order_create",
    "queue, filtered by words": "/?group=waiting&q=Oak+table",
    "queue, for me": "/?group=mine",
    "queue, done": "/?group=done",
    "queue, done, filtered by type": "/?group=done&type=sales_order_promise",
}
AUDIT: dict[str, str] = {
    "audit, first page": "/audit/",
    "audit, by verb": "/audit/?verb=proposal.approve",
    "audit, by words": "/audit/?text=MO-00017",
    "audit, by words that many have": "/audit/?text=Walnut+shelf",
    "audit, by words and kind": "/audit/?text=MO-00017&kind=person",
    "audit, by kind and verb": "/audit/?kind=operator&verb=proposal.approve",
    "audit, by agent": "/audit/?agent=planner",
    "audit, by days": "/audit/?since=2026-01-10&until=2026-01-12",
    "audit, nothing found": "/audit/?text=nosuchthing",
}
DEEP = 40
"""How many pages deep "deep" is: by the keys it makes no difference, and that is what is to be shown."""


@dataclass(frozen=True)
class Scale:
    """How large the console is."""

    proposals: int
    pending: int
    entries: int


def measure(
    made: Stack, scale: Scale, *, web: tuple[int, int], repeat: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Milliseconds and statements of every page."""
    env, cookies = filled(made, scale, say)
    kept = {key: made.env[key] for key in env}
    made.env |= env
    try:
        made.start_web(workers=web[0], threads=web[1])
        with psycopg.connect(env["DATABASE_OWNER_URL"], autocommit=True) as admin:
            admin.execute("create extension if not exists pg_stat_statements")
            http = Http(made.port)
            pages = {
                page: _page(made, http, admin, path, cookies["supervisor"], repeat)
                for page, path in (QUEUE | _deep(http, QUEUE, cookies["supervisor"], "after")).items()
            }
            pages |= {
                page: _page(made, http, admin, path, cookies["auditor"], repeat)
                for page, path in (AUDIT | _deep(http, AUDIT, cookies["auditor"], "older")).items()
            }
        return {"scale": vars(scale), "pages": pages}
    finally:
        made.end("web")
        made.env |= kept


def filled(made: Stack, scale: Scale, say: Callable[[str], None]) -> tuple[dict[str, str], dict[str, str]]:
    """A console of this size, made where there is none: where its database is, and cookies by role."""
    name = f"large_{scale.proposals}_{scale.entries}"
    env = {
        "DATABASE_URL": at_database(made.postgres.app_url, name),
        "DATABASE_OWNER_URL": at_database(made.postgres.owner_url, name),
    }
    with psycopg.connect(made.postgres.url_for(made.postgres.owner, "postgres"), autocommit=True) as admin:
        full = admin.execute("select 1 from pg_database where datname = %s", [name]).fetchone()
        if full is None:
            say(f"making {scale.proposals:,} proposals and {scale.entries:,} entries, once")
            admin.execute(f"drop database if exists {name}_new with (force)")
            admin.execute(f"create database {name}_new")
    began = time.monotonic()
    if full is None:
        new = {key: at_database(value, f"{name}_new") for key, value in env.items()}
        made.manage("migrate", "--verbosity", "0", env=new)
        _run(made, new, scale)
        with psycopg.connect(
            made.postgres.url_for(made.postgres.owner, "postgres"), autocommit=True
        ) as admin:
            admin.execute(f"alter database {name}_new rename to {name}")
        say(f"made in {time.monotonic() - began:.0f} s")
    made.manage("migrate", "--verbosity", "0", env=env)
    return env, _run(made, env, scale)


def _run(made: Stack, env: Mapping[str, str], scale: Scale) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.large"]
        + [str(number) for number in (scale.proposals, scale.pending, scale.entries)],
        cwd=ROOT,
        env={**made.env, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the large console was not made:\n{done.stderr[-3000:]}")
    signed_in: dict[str, str] = json.loads(done.stdout)
    return signed_in


def _page(
    made: Stack, http: Http, admin: psycopg.Connection, path: str, cookie: str, repeat: int
) -> dict[str, Any]:
    """One page, again and again, after three times to warm up. CPU is the web's and PostgreSQL's."""
    for _ in range(3):
        status, _ = http.send("GET", path, {"Cookie": cookie})
    pids = {role: pid for role, pid in made.pids().items() if role in {"web", "postgres"}}
    apart = (admin.info.backend_pid,)
    before = meters.database(admin)
    used = meters.cpu(pids, apart=apart)
    took = []
    for _ in range(repeat):
        began = time.perf_counter()
        status, _ = http.send("GET", path, {"Cookie": cookie})
        took.append((time.perf_counter() - began) * 1000)
    after = meters.cpu(pids, apart=apart)
    return {
        "path": path,
        "status": status,
        "p50_ms": meters.middle(took),
        "p95_ms": meters.most(took),
        "cpu_ms": sum(after[role] - used[role] for role in pids) * 1000 / repeat,
        "statements": round(meters.database(admin).since(before, repeat)["statements"]),
    }


def _deep(http: Http, pages: Mapping[str, str], cookie: str, key: str) -> dict[str, str]:
    """The first page's list, so many pages on; nothing where there is no way on."""
    first = next(iter(pages))
    path = pages[first]
    for _ in range(DEEP):
        status, raw = http.send("GET", path, {"Cookie": cookie})
        links = re.findall(rf'href="([^"]*[?&;]{key}=[^"]*)"', raw.decode())
        if status != 200 or not links:
            return {}
        found = links[-1].replace("&amp;", "&")
        path = found if found.startswith("/") else f"{path.partition('?')[0]}{found}"
    return {f"{first.partition(',')[0]}, {DEEP} pages on": path}
