"""Limits per minute, exact across every process: one row and one statement in PostgreSQL.

Why not the broker: a limit that lives in Redis is gone when Redis is, and then either every agent is locked out
or none is limited. PostgreSQL is needed for every call anyway, so a call that can be served can be counted, and
there is no second way to fail. The table is unlogged: counting costs no write to disk.

A window begins with the first call after the last one ended and lasts a minute: at most `limit` calls in each.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

SECONDS = 60

COUNT = """
INSERT INTO console_callwindow AS w (name, since, calls) VALUES (%(name)s, statement_timestamp(), 1)
ON CONFLICT (name) DO UPDATE SET
    since = CASE WHEN w.since <= statement_timestamp() - interval '60 seconds'
                 THEN statement_timestamp() ELSE w.since END,
    calls = CASE WHEN w.since <= statement_timestamp() - interval '60 seconds'
                 THEN 1 ELSE w.calls + 1 END
WHERE w.since <= statement_timestamp() - interval '60 seconds' OR w.calls < %(limit)s
RETURNING calls, ceil(extract(epoch FROM since + interval '60 seconds' - statement_timestamp()))::int
"""
LEFT = """
SELECT greatest(1, ceil(extract(epoch FROM since + interval '60 seconds' - statement_timestamp())))::int
FROM console_callwindow WHERE name = %(name)s
"""


@dataclass(frozen=True)
class Count:
    """One call counted: whether it is admitted, how many are left, and seconds until the window ends."""

    admitted: bool
    limit: int
    left: int
    seconds: int


def count(name: str, limit: int) -> Count:
    """Count one call under `name` (at most 80 characters). A refused call is not counted and writes nothing."""
    values: dict[str, str | int] = {"name": name, "limit": limit}
    with connection.cursor() as cursor:
        if limit > 0:
            cursor.execute(COUNT, values)
            row = cursor.fetchone()
            if row is not None:
                return Count(admitted=True, limit=limit, left=limit - row[0], seconds=max(1, row[1]))
        cursor.execute(LEFT, values)
        row = cursor.fetchone()
    return Count(admitted=False, limit=limit, left=0, seconds=row[0] if row is not None else SECONDS)
