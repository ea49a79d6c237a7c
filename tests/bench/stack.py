"""A stack of its own for measuring: the demo's processes with the demo's settings, on free ports.

PostgreSQL has fsync on. What differs from a demo: counters of statements and I/O are switched on, and nothing
restarts what dies, because a run with a death in it measures nothing.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from console.environment import ROOT
from console.management.stack.broker import Broker, free_port
from console.management.stack.postgres import SAFE, Postgres

HOST = "127.0.0.1"
CONNECTION = "plant"
START_SECONDS = 60
COUNTED: Mapping[str, str] = {
    **SAFE,
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "top",
    "track_wal_io_timing": "on",
    # A statement that waits for a core that somebody else has is no news for a log.
    "log_min_duration_statement": "-1",
    "max_connections": "160",
    "max_wal_size": "4GB",
}
"""The demo's server settings, plus counters."""


@dataclass
class Stack:
    """What is running, and under which addresses. `processes` are by role: erp, web, worker, beat."""

    home: Path
    postgres: Postgres
    broker: Broker
    env: dict[str, str]
    erp: dict[str, str | int]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    port: int = 0

    def pids(self) -> dict[str, int]:
        """The first process of each role, also PostgreSQL's and the broker's."""
        servers = {"postgres": self.postgres.process, "broker": self.broker.process}
        everything = {**self.processes, **servers}
        return {role: process.pid for role, process in everything.items() if process is not None}

    def run(self, role: str, *command: str, env: Mapping[str, str] | None = None) -> None:
        """Start one process of ours under this role; its output goes to a log in the home."""
        with (self.home / f"{role}.log").open("wb") as log:
            self.processes[role] = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**self.env, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def end(self, *roles: str) -> None:
        """Stop processes of ours, asking first."""
        for role in roles:
            process = self.processes.pop(role, None)
            if process is None:
                continue
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)

    def said(self, role: str) -> str:
        """The end of what a process logged."""
        log = self.home / f"{role}.log"
        return log.read_text(errors="replace")[-3000:] if log.exists() else ""

    def start_web(self, *, workers: int, threads: int, application: str = "console.wsgi:application") -> None:
        """Serve an application the way the demo does, and return when it answers."""
        self.port = free_port()
        self.run(
            "web",
            *(sys.executable, "-m", "granian", "--interface", "wsgi", "--host", HOST, "--no-ws"),
            *("--port", str(self.port), "--workers", str(workers), "--blocking-threads", str(threads)),
            application,
            env={"DATABASE_OWNER_URL": ""},
        )
        self._wait("web", self._web_answers)

    def start_worker(self, *, threads: int) -> None:
        """Start a Celery worker and beat, as the demo does."""
        celery = (sys.executable, "-m", "celery", "-A", "console")
        env = {"DATABASE_OWNER_URL": "", "WORKER_THREADS": str(threads)}
        self.run("worker", *celery, "worker", "-l", "INFO", "--without-gossip", "--without-mingle", env=env)
        self.run("beat", *celery, "beat", "-l", "WARNING", "--schedule", str(self.home / "beat"), env=env)
        self._wait("worker", lambda: " ready." in self.said("worker"))

    def _web_answers(self) -> bool:
        try:
            connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
            connection.request("GET", "/account/login/")
            answer = connection.getresponse()
            answer.read()
            connection.close()
        except OSError:
            return False
        return answer.status < http.client.INTERNAL_SERVER_ERROR

    def _wait(self, role: str, ready: object) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():  # type: ignore[operator]
            process = self.processes[role]
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{role} did not come up:\n{self.said(role)}")
            time.sleep(0.05)

    def manage(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        """Run one management command to its end; gives what it printed."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            cwd=ROOT,
            env={**self.env, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{arguments[0]} failed:\n{done.stderr[-3000:]}")
        return done.stdout

    def new_database(self) -> None:
        """Empty the console's database: every run begins alike, whatever the cluster has been through."""
        name = self.postgres.database
        with psycopg.connect(
            self.postgres.url_for(self.postgres.owner, "postgres"), autocommit=True
        ) as admin:
            admin.execute(f"drop database if exists {name} with (force)")
            admin.execute(f"create database {name}")


def at_database(url: str, name: str) -> str:
    """The same server and role, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@contextlib.contextmanager
def stack(home: Path, *, orders: int) -> Iterator[Stack]:
    """Database, broker and the sandbox ERP with so many production orders; everything ends with the block.

    The environment of this process is set as well, so that Django can be set up in it.
    """
    home.mkdir(parents=True, exist_ok=True)
    for left_over in ("sandbox", "var"):
        shutil.rmtree(home / left_over, ignore_errors=True)
    postgres = Postgres(home / "postgres", settings=COUNTED)
    broker = Broker(home / "broker")
    made = Stack(home, postgres, broker, dict(os.environ), {})
    try:
        postgres.start()
        broker.start()
        made.env |= {
            "COUNTERSIGN_MODE": "demo",
            "COUNTERSIGN_VAR": str(home / "var"),
            "DATABASE_URL": postgres.app_url,
            "DATABASE_OWNER_URL": postgres.owner_url,
            "REDIS_URL": broker.url,
            "SECRET_KEY": "measures-and-nothing-else-" + "x" * 32,
            "AUDIT_SIGNING_KEY": base64.b64encode(os.urandom(32)).decode(),
            "LOG_LEVEL": "WARNING",
            "PYTHONUNBUFFERED": "1",
        }
        (home / "var").mkdir(exist_ok=True)
        _start_erp(made, orders)
        os.environ.update(made.env)
        yield made
    finally:
        made.end(*made.processes)
        broker.stop()
        postgres.stop()


def _start_erp(made: Stack, orders: int) -> None:
    home = made.home / "sandbox"
    home.mkdir()
    made.run(
        "erp",
        *(sys.executable, "-m", "integrations.sandbox", "--home", str(home), "--port", "0"),
        *("--seed", "bulk", "--orders", str(orders)),
    )
    made._wait("erp", (home / "port.json").exists)
    made.erp = json.loads((home / "port.json").read_text())
    secrets = json.loads((home / "accounts.json").read_text())
    names = {login: f"SANDBOX_{login.upper()}" for login in secrets}
    entry = {
        "adapter": "integrations.sandbox.adapter",
        "system": "sandbox",
        "system_title": "Sandbox ERP",
        "title": "Plant",
        "isa95_level": 4,
        "options": {"url": made.erp["url"], "timeout_ms": 10_000},
        "reader": {"login": "reader", "secret": names["reader"]},
        "writers": {
            login: {"login": login, "secret": name} for login, name in names.items() if login != "reader"
        },
        "verified_by": None,
    }
    made.env["CONNECTIONS"] = json.dumps({CONNECTION: entry})
    made.env |= {names[login]: secret for login, secret in secrets.items()}
