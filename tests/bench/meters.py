"""What is counted beside time: CPU of our processes, and what PostgreSQL had to do.

CPU comes from /proc/<pid>/stat of every process of a role and its descendants; a process that ended is in its
parent's account once it was reaped. Where there is no /proc the figures are missing, not zero.

PostgreSQL counts for itself: statements and calls in pg_stat_statements (an extension of the embedded wheel),
written log in pg_stat_wal, syncs of that log in pg_stat_io (18 and later) or pg_stat_wal. Only statements of
the application's role count; the driver's own come under the owner's. BEGIN, COMMIT and the like are apart.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

TICKS = os.sysconf("SC_CLK_TCK")
SETTLE_SECONDS = 1.3
"""Backends hand in their counts at most once a second."""
SYNCS_APART_SINCE = 180000


def _stat(pid: int) -> tuple[int, float, float] | None:
    """Parent, own CPU seconds, CPU seconds of reaped children."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    user, system, child_user, child_system = (int(value) for value in fields[11:15])
    return int(fields[1]), (user + system) / TICKS, (child_user + child_system) / TICKS


def cpu(roots: Mapping[str, int], *, apart: Iterable[int] = ()) -> dict[str, float]:
    """CPU seconds so far, by role; processes in `apart` (the driver's own database backends) are left out."""
    left_out = set(apart)
    seen = {
        int(path.name): found
        for path in Path("/proc").glob("[0-9]*")
        if (found := _stat(int(path.name))) is not None
    }
    children: dict[int, list[int]] = {}
    for pid, (parent, _, _) in seen.items():
        children.setdefault(parent, []).append(pid)
    used = {}
    for role, root in roots.items():
        total, waiting = 0.0, [root]
        while waiting:
            pid = waiting.pop()
            if pid in left_out or pid not in seen:
                continue
            total += seen[pid][1] + seen[pid][2]
            waiting += children.get(pid, [])
        used[role] = total
    return used


@dataclass(frozen=True)
class Database:
    """What the server did so far for the application's role: counts, and bytes of written log."""

    syncs: float
    statements: float
    borders: float
    """BEGIN, COMMIT, ROLLBACK, SAVEPOINT and their like, and SET."""
    wal_bytes: float
    full_pages: float

    def since(self, before: Database, works: int) -> dict[str, float]:
        """The difference, per unit of work."""
        return {
            name: (getattr(self, name) - getattr(before, name)) / works
            for name in ("syncs", "statements", "borders", "wal_bytes", "full_pages")
        }


def database(connection: psycopg.Connection, *, role: str = "countersign_app") -> Database:
    """Read the counters, after the backends have handed in theirs. Needs pg_stat_statements."""
    time.sleep(SETTLE_SECONDS)
    syncs = (
        "select sum(fsyncs) from pg_stat_io where object = 'wal'"
        if connection.info.server_version >= SYNCS_APART_SINCE
        else "select wal_sync from pg_stat_wal"
    )
    row = connection.execute(
        f"select ({syncs}), wal_bytes, wal_fpi,"
        " (select coalesce(sum(calls), 0) from pg_stat_statements s join pg_roles r on r.oid = s.userid"
        "   where r.rolname = %s and query !~* '^(begin|commit|rollback|savepoint|release|set)'),"
        " (select coalesce(sum(calls), 0) from pg_stat_statements s join pg_roles r on r.oid = s.userid"
        "   where r.rolname = %s and query ~* '^(begin|commit|rollback|savepoint|release|set)')"
        " from pg_stat_wal",
        [role, role],
    ).fetchone()
    assert row is not None
    made = [float(value or 0) for value in row]
    return Database(syncs=made[0], wal_bytes=made[1], full_pages=made[2], statements=made[3], borders=made[4])


def statements(connection: psycopg.Connection, works: int, *, role: str = "countersign_app") -> list[str]:
    """The application's statements since the last reset, the dearest first: calls and ms per W, and the text."""
    rows = connection.execute(
        "select calls, total_exec_time, regexp_replace(query, '\\s+', ' ', 'g')"
        " from pg_stat_statements s join pg_roles r on r.oid = s.userid"
        " where r.rolname = %s order by total_exec_time desc limit 150",
        [role],
    ).fetchall()
    return [f"{calls / works:5.2f} x, {spent / works:6.3f} ms: {text[:200]}" for calls, spent, text in rows]


def middle(values: Sequence[float]) -> float:
    """The median; nan of nothing."""
    return statistics.median(values) if values else float("nan")


def most(values: Sequence[float], share: float = 0.95) -> float:
    """The value that so large a share does not exceed; nan of nothing."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
