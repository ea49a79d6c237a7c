"""The floor: the same work by hand, as little as durability allows. What it costs is what nobody can go below.

Bare WSGI and psycopg, no framework: propose is one guarded insert with its audit row, approve one guarded update
with its audit row, commit one claim, one call of the same sandbox and one guarded update with result and audit
row. Three durable commits. It checks no schema, no rule, no right, no stamp and reads nothing back.

Served by granian (`tests.bench.floor:application`); `python -m tests.bench.floor` is its worker.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import psycopg
import redis
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

DATABASE = "floor"
BELL = "floor"
THREADS = 8

TABLES = """
drop table if exists floor_audit; drop table if exists floor_item;
create table floor_item (
    ref text primary key, key text not null unique, body jsonb not null, state text not null, by text, result jsonb);
create table floor_audit (
    id bigint generated always as identity primary key, ref text not null, verb text not null,
    actor text not null, detail jsonb not null, at timestamptz not null default clock_timestamp());
create index on floor_audit (ref);
"""

STATES = "select ref, state, '' from floor_item where ref = any(%s)"

_pool: ConnectionPool | None = None
_bell: redis.Redis | None = None


def _open() -> tuple[ConnectionPool, redis.Redis]:
    global _pool, _bell  # noqa: PLW0603 one pool per process, opened when the first request comes
    if _pool is None or _bell is None:
        _pool = ConnectionPool(os.environ["FLOOR_URL"], min_size=1, max_size=THREADS, open=True)
        _bell = redis.Redis.from_url(os.environ["REDIS_URL"])
    return _pool, _bell


def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """POST /propose with a body and its key; POST /approve/<ref>."""
    pool, bell = _open()
    path = environ["PATH_INFO"]
    if environ["REQUEST_METHOD"] != "POST":
        return _answer(start, "404 Not Found", b"{}")
    if path == "/propose":
        body = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        key = environ["HTTP_IDEMPOTENCY_KEY"]
        with pool.connection() as connection:
            made = connection.execute(
                "insert into floor_item values (%s, %s, %s, 'proposed') on conflict do nothing",
                [key, key, Jsonb(body)],
            )
            _audit(connection, key, "propose", "agent", {"order": body["payload"]["order"]})
        return _answer(start, "202 Accepted" if made.rowcount else "200 OK", b'{"ref": "%s"}' % key.encode())
    ref = path.removeprefix("/approve/")
    with pool.connection() as connection:
        changed = connection.execute(
            "update floor_item set state = 'approved', by = 'ana' where ref = %s and state = 'proposed'",
            [ref],
        ).rowcount
        if changed:
            _audit(connection, ref, "approve", "ana", {})
    if not changed:
        return _answer(start, "409 Conflict", b"{}")
    bell.lpush(BELL, ref)
    return _answer(start, "200 OK", b"{}")


def _answer(start: Callable[..., Any], status: str, body: bytes) -> Iterable[bytes]:
    start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _audit(
    connection: psycopg.Connection[Any], ref: str, verb: str, actor: str, detail: dict[str, Any]
) -> None:
    connection.execute(
        "insert into floor_audit (ref, verb, actor, detail) values (%s, %s, %s, %s)",
        [ref, verb, actor, Jsonb(detail)],
    )


def work() -> None:
    """Commit what is approved, one after another."""
    connection = psycopg.connect(os.environ["FLOOR_URL"])
    bell = redis.Redis.from_url(os.environ["REDIS_URL"])
    at = urlsplit(os.environ["ERP_URL"])
    erp = http.client.HTTPConnection(at.hostname or "", at.port)
    proof = base64.b64encode(os.environ["ERP_ACCOUNT"].encode()).decode()
    while True:
        rung: Any = bell.brpop(BELL, timeout=1)
        if rung is None:
            continue
        ref = rung[1].decode()
        with connection.transaction():
            row = connection.execute(
                "select body from floor_item where ref = %s and state = 'approved' for update", [ref]
            ).fetchone()
            if row is None:
                continue
            payload = row[0]["payload"]
            values = {name: payload[name] for name in ("planned_start", "planned_finish")}
            erp.request(
                "POST",
                "/api/production.write",
                json.dumps({"key": payload["order"], "values": values, "expect": {}}),
                {"Authorization": f"Basic {proof}", "Reference": ref},
            )
            answer = erp.getresponse()
            result = json.loads(answer.read())
            state = "committed" if answer.status == http.client.OK else "failed"
            connection.execute(
                "update floor_item set state = %s, result = %s where ref = %s and state = 'approved'",
                [state, Jsonb(result), ref],
            )
            _audit(connection, ref, "commit", "worker", {"state": state})


if __name__ == "__main__":
    workers = [threading.Thread(target=work) for _ in range(THREADS)]
    for worker in workers:
        worker.start()
