"""The unit of work W, and what it costs: P1 to P5.

W is: propose over HTTP with a key and an Idempotency-Key (about 2 KB), approve by somebody else at the people's
door with session and CSRF, commit by a worker against the sandbox, until the read-back agrees. Beside it runs the
floor, see `floor`: rounds of both alternate, so that both see the same machine.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import os
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import psycopg

from console import references
from tests.bench import driver, floor, meters
from tests.bench.driver import Done, Http, Loop, Watch
from tests.bench.people import CSRF, Workforce, small_orders
from tests.bench.stack import HOST, Stack, at_database

STATES = """
select p.ref, p.state, coalesce((select a.digest from console_assessment a where a.proposal_id = p.id
                                 order by a.number desc limit 1), '')
from console_proposal p where p.ref = any(%s)
"""
BETWEEN = """
select extract(epoch from done.at - said.at)::float8 * 1000
from console_auditentry said
join console_auditentry done on done.proposal_id = said.proposal_id and done.verb = 'commit.committed'
join console_proposal p on p.id = said.proposal_id
where said.verb = 'proposal.approve' and p.ref = any(%s)
"""
FLOOR_BETWEEN = """
select extract(epoch from done.at - said.at)::float8 * 1000
from floor_audit said join floor_audit done on done.ref = said.ref and done.verb = 'commit'
where said.verb = 'approve' and said.ref = any(%s)
"""
"""From the approval's entry to the commit's, by the database's clock: both are written just before a commit."""

ENDS = ("committed", "commit_failed", "outcome_unknown", "refused", "received")
LONG_AHEAD = dt.timedelta(days=84)
LOOK_SECONDS = {1: 0.001, 8: 0.005, 32: 0.01}
RATIONALE = (
    "The material arrives three days later than planned, the supplier has confirmed the new day. " * 19
)


@dataclass(frozen=True)
class Size:
    """How much is measured: W per run by how many at once, rounds, and the most seconds of one run."""

    works: Mapping[int, int]
    rounds: int
    most_seconds: float


@dataclass
class Costs:
    """What one kind of system took, by how many at once: one value per round."""

    done: dict[int, list[Done]] = field(default_factory=lambda: defaultdict(list))
    cpu_ms: dict[int, list[dict[str, float]]] = field(default_factory=lambda: defaultdict(list))
    between_ms: dict[int, list[list[float]]] = field(default_factory=lambda: defaultdict(list))
    erp_ms: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    database: list[dict[str, float]] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)

    def figures(self, at_once: int) -> dict[str, Any]:
        """Medians over the rounds."""
        runs, pick = self.done[at_once], meters.middle
        roles = sorted({role for one in self.cpu_ms[at_once] for role in one})
        return {
            "works": [run.works for run in runs],
            "per_second": pick([run.per_second for run in runs]),
            "propose_p50_ms": pick([meters.middle(run.propose_ms) for run in runs]),
            "approve_p50_ms": pick([meters.middle(run.approve_ms) for run in runs]),
            "between_p50_ms": pick([meters.middle(one) for one in self.between_ms[at_once]]),
            "between_p95_ms": pick([meters.most(one) for one in self.between_ms[at_once]]),
            "erp_ms": pick(self.erp_ms[at_once]) if self.erp_ms[at_once] else 0.0,
            "cpu_ms": {role: pick([one.get(role, 0.0) for one in self.cpu_ms[at_once]]) for role in roles},
            "faults": [fault for run in runs for fault in run.faults],
        }


class Bench:
    """Both systems, up and warm, and one way to measure them."""

    def __init__(self, made: Stack, force: Workforce, size: Size) -> None:
        self.stack, self.force, self.size = made, force, size
        self.orders = small_orders(made.home)
        self.console, self.floor = Costs(), Costs()
        self._day = itertools.count()
        self._admin = psycopg.connect(made.postgres.owner_url, autocommit=True)
        self._admin.execute("create extension if not exists pg_stat_statements")
        self._processes = dict(made.processes)
        self._ports = {"console": made.port}

    def start_floor(self) -> None:
        """Serve the floor beside the console, on a database of its own on the same server."""
        owner = at_database(self.stack.postgres.owner_url, floor.DATABASE)
        self._admin.execute(f"drop database if exists {floor.DATABASE}")
        self._admin.execute(f"create database {floor.DATABASE}")
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute(floor.TABLES)
            connection.execute("grant all on all tables in schema public to countersign_app")
        self.stack.env |= {
            "FLOOR_URL": at_database(self.stack.postgres.app_url, floor.DATABASE),
            "ERP_URL": str(self.stack.erp["url"]),
            "ERP_ACCOUNT": "production_order_reschedule:"
            + self.stack.env["SANDBOX_PRODUCTION_ORDER_RESCHEDULE"],
        }
        web = self.stack.processes.pop("web")
        self.stack.start_web(workers=1, threads=8, application="tests.bench.floor:application")
        self.stack.processes["floor_web"], self.stack.processes["web"] = self.stack.processes["web"], web
        self._ports["floor"] = self.stack.port
        self.stack.run("floor_worker", sys.executable, "-m", "tests.bench.floor")
        self.stack.port = self._ports["console"]

    def measure(self, say: Callable[[str], None]) -> None:
        """Rounds of both, alternating."""
        self._warm()
        for number in range(self.size.rounds):
            for at_once, works in self.size.works.items():
                self._measure_floor(at_once, works)
                self._measure_console(at_once, works)
                console, least = self.console.done[at_once][-1], self.floor.done[at_once][-1]
                say(
                    f"round {number + 1}, {at_once:2} at once: {console.per_second:6.1f} W/s, "
                    f"floor {least.per_second:6.1f} W/s"
                    + (f"; stopped by {console.faults[0]}" if console.faults else "")
                )

    def _warm(self) -> None:
        small = Size({8: 24}, 1, 30)
        kept, self.size = self.size, small
        self._measure_floor(8, 24)
        self._measure_console(8, 24)
        if faults := [*self.console.done[8][0].faults, *self.floor.done[8][0].faults]:
            raise RuntimeError(f"the unit of work does not go through: {faults[0]}")
        self.size, self.console, self.floor = kept, Costs(), Costs()

    def _measure_console(self, at_once: int, works: int) -> None:
        watch = Watch(self.stack.postgres.owner_url, STATES, seconds=LOOK_SECONDS[at_once])
        self._measure(self.console, at_once, works, self._console_loop(at_once, watch), watch, self._admin)
        watch.close()

    def _measure_floor(self, at_once: int, works: int) -> None:
        owner = at_database(self.stack.postgres.owner_url, floor.DATABASE)
        watch = Watch(owner, floor.STATES, seconds=LOOK_SECONDS[at_once])
        with psycopg.connect(owner, autocommit=True) as connection:
            self._measure(self.floor, at_once, works, self._floor_loop(at_once, watch), watch, connection)
        watch.close()

    def _measure(
        self,
        costs: Costs,
        at_once: int,
        works: int,
        loop: Loop,
        watch: Watch,
        connection: psycopg.Connection,
    ) -> None:
        """One run, with everything that is counted. The database's counters only at one at a time."""
        ours = self._roles(costs)
        counts = at_once == 1
        if counts:
            self._admin.execute("select pg_stat_statements_reset()")
        before = meters.database(self._admin) if counts else None
        began_at = time.time()
        apart = (watch.backend, self._admin.info.backend_pid, connection.info.backend_pid)
        used = meters.cpu(ours, apart=apart)
        done = driver.run(
            loop,
            orders=self._fresh_orders(),
            at_once=at_once,
            works=works,
            most_seconds=self.size.most_seconds,
        )
        after = meters.cpu(ours, apart=apart)
        if not done.works:
            raise RuntimeError(f"nothing was done: {done.faults[:1]}\n{self.stack.said('worker')}")
        costs.done[at_once].append(done)
        costs.cpu_ms[at_once].append({role: (after[role] - used[role]) * 1000 / done.works for role in ours})
        sql = BETWEEN if costs is self.console else FLOOR_BETWEEN
        rows = connection.execute(sql, [done.refs]).fetchall()
        costs.between_ms[at_once].append([float(row[0]) for row in rows])
        costs.erp_ms[at_once].append(self._erp_ms(began_at, done.works))
        if before is not None:
            costs.database.append(meters.database(self._admin).since(before, done.works))
            costs.statements = meters.statements(self._admin, done.works)

    def _roles(self, costs: Costs) -> dict[str, int]:
        pids = self.stack.pids()
        wanted = (
            ("web", "worker", "beat", "postgres", "broker", "erp")
            if costs is self.console
            else ("floor_web", "floor_worker", "postgres", "broker", "erp")
        )
        return {role: pids[role] for role in wanted}

    def _fresh_orders(self) -> list[str]:
        """The orders, beginning where the run before ended, so that no two at once are on one order."""
        start = next(self._day) * 997 % len(self.orders)
        return self.orders[start:] + self.orders[:start]

    def _payload(self, order: str) -> dict[str, Any]:
        """New days for an order, other ones each time it is asked for."""
        start = dt.datetime.now(dt.UTC).date() + LONG_AHEAD
        start += dt.timedelta(days=7 - start.weekday(), weeks=next(self._day) % 40)
        return {
            "order": order,
            "planned_start": start.isoformat(),
            "planned_finish": (start + dt.timedelta(days=4)).isoformat(),
        }

    def _proposal(self, order: str) -> bytes:
        return json.dumps(
            {
                "transaction_type": "production_order_reschedule",
                "payload": self._payload(order),
                "rationale": RATIONALE,
            }
        ).encode()

    def _console_loop(self, at_once: int, watch: Watch) -> Loop:
        doors = [(Http(self._ports["console"]), Http(self._ports["console"])) for _ in range(at_once)]
        agent = {"Authorization": f"Bearer {self.force.key}", "Content-Type": "application/json"}

        def loop(number: int, order: str) -> tuple[str, float, float]:
            propose, decide = doors[number]
            body = self._proposal(order)
            began = time.perf_counter()
            status, raw = propose.send(
                "POST", "/api/v1/proposals", {**agent, "Idempotency-Key": references.new("KY")}, body
            )
            proposed = (time.perf_counter() - began) * 1000
            if status != 202:
                raise RuntimeError(f"propose answered {status}: {raw[:300]!r}")
            ref = json.loads(raw)["ref"]
            state, digest = watch.wait(ref, "in_review", "refused")
            if state != "in_review":
                raise RuntimeError(f"{ref} is {state} instead of in review")
            approved = self._approve(decide, number, ref, digest)
            state, _ = watch.wait(ref, *ENDS)
            if state != "committed":
                raise RuntimeError(f"{ref} ended {state}")
            return ref, proposed, approved

        return loop

    def _approve(self, http: Http, number: int, ref: str, digest: str) -> float:
        form = urlencode({"csrfmiddlewaretoken": CSRF, "seen": digest}).encode()
        headers = {
            "Cookie": self.force.cookies[number],
            "Content-Type": "application/x-www-form-urlencoded",
        }
        began = time.perf_counter()
        status, raw = http.send("POST", f"/proposals/{ref}/approve", headers, form)
        took = (time.perf_counter() - began) * 1000
        if status not in {200, 204, 302, 303}:
            raise RuntimeError(f"approve answered {status}: {raw[:300]!r}")
        return took

    def _floor_loop(self, at_once: int, watch: Watch) -> Loop:
        doors = [(Http(self._ports["floor"]), Http(self._ports["floor"])) for _ in range(at_once)]

        def loop(number: int, order: str) -> tuple[str, float, float]:
            propose, decide = doors[number]
            body, ref = self._proposal(order), references.new("KY")
            began = time.perf_counter()
            status, _ = propose.send("POST", "/propose", {"Idempotency-Key": ref}, body)
            middle = time.perf_counter()
            also, _ = decide.send("POST", f"/approve/{ref}", {})
            ended = time.perf_counter()
            if (status, also) != (202, 200):
                raise RuntimeError(f"the floor answered {status} and {also}")
            state, _ = watch.wait(ref, "committed", "failed")
            if state != "committed":
                raise RuntimeError(f"the floor's {ref} {state}")
            return ref, (middle - began) * 1000, (ended - middle) * 1000

        return loop

    def _erp_ms(self, since: float, works: int) -> float:
        """What the sandbox itself took per W from approval on: all but the assessment's look."""
        url = f"{self.stack.erp['control_url']}/control/calls"
        calls = json.load(urllib.request.urlopen(url, timeout=30))  # noqa: S310 our own address
        mine = [call for call in calls if call["at"] >= since]
        looks = sum(call.get("seconds", 0.0) for call in mine if call["account"] == "reader")
        rest = sum(call.get("seconds", 0.0) for call in mine if call["account"] != "reader")
        return float((rest + looks / 2) * 1000 / works)

    def close(self) -> None:
        """End the floor."""
        self._admin.close()
        self.stack.end("floor_web", "floor_worker")


def load_average() -> tuple[float, float, float]:
    """How busy the machine is, by its own count; who else uses it is not known."""
    return os.getloadavg()


__all__ = ["HOST", "Bench", "Costs", "Size", "load_average"]
