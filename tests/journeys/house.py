"""The whole product for a journey: a web server and a Celery worker as processes of their own, on the test database."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import redis
from django.conf import settings

from console import celery_app, dispatch
from console.environment import ROOT
from console.models import Connection, Probe
from tests.conftest import Worker, test_database_environment

PATIENCE = {
    "AGAIN_SECONDS": "1",
    "BELL_SECONDS": "3",
    "UNKNOWN_AFTER_SECONDS": "3",
    "LEASE_SECONDS": "30",
    "SHADOW_LOOK_SECONDS": "2",
}
"""The corridor's patience, shorter than in a plant: nobody in a journey waits two minutes."""

START_SECONDS = 60
WAIT_SECONDS = 60
"""How long a journey waits for what happens by itself before it says that it did not happen."""


@dataclass
class House:
    """A running console. `entries` is its CONNECTIONS, `env` what its processes were told."""

    url: str
    entries: Mapping[str, Mapping[str, Any]]
    env: Mapping[str, str]
    web: Worker
    worker: Worker
    bell: redis.Redis
    _proven: list[Probe] = field(default_factory=list)

    def said(self) -> str:
        """Everything that web server and worker have logged."""
        return self.web.said() + self.worker.said()

    def manage(self, *arguments: str) -> str:
        """What a command of `manage.py` prints on this console's machine, also when it fails."""
        done = subprocess.run(
            [sys.executable, ROOT / "manage.py", *arguments],
            cwd=ROOT,
            env=dict(self.env),
            check=False,
            capture_output=True,
            text=True,
        )
        return done.stdout + done.stderr

    def listen(self) -> Worker:
        """`manage.py listen` on this console's machine, until it is stopped."""
        return _start(
            [sys.executable, str(ROOT / "manage.py"), "listen"],
            self.web.log.with_name("listen.log"),
            self.env,
        )

    def pause_worker(self) -> None:
        """The worker stands still in the middle of whatever it does."""
        os.killpg(self.worker.process.pid, signal.SIGSTOP)

    def wake_worker(self) -> None:
        """It goes on as if nothing had been."""
        os.killpg(self.worker.process.pid, signal.SIGCONT)

    def sweep(self) -> None:
        """What beat does every five seconds."""
        dispatch.ring("console.tasks.sweep")
        dispatch.ring("console.tasks.sequence")

    def prove_accounts(self) -> None:
        """Let the worker prove every service account; once per house, afterwards its findings are put back."""
        rows = {one.name: one for one in Connection.objects.filter(name__in=self.entries)}
        if self._proven:
            Probe.objects.bulk_create(
                Probe(
                    connection=rows[one.connection.name],
                    purpose=one.purpose,
                    account=one.account,
                    sound=one.sound,
                    stale_refused=one.stale_refused,
                    out_of_scope_refused=one.out_of_scope_refused,
                    at=one.at,
                )
                for one in self._proven
                if one.connection.name in rows
            )
            return
        dispatch.ring("console.tasks.probe_accounts")
        wanted = sum(len(self.entries[name]["writers"]) for name in rows)
        deadline = time.monotonic() + WAIT_SECONDS
        while (found := list(Probe.objects.select_related("connection")))[wanted - 1 : wanted] == []:
            assert time.monotonic() < deadline, (
                f"{len(found)} of {wanted} accounts probed:\n{self.said()[-3000:]}"
            )
            time.sleep(0.1)
        unfit = [(str(one), one.findings, one.excess) for one in found if not one.sound]
        assert not unfit, unfit
        self._proven = found

    def wait_until_idle(self) -> None:
        """Return when no bell is waiting and none is being answered: the tables can be emptied then."""
        deadline = time.monotonic() + WAIT_SECONDS
        asked = celery_app.control.inspect(timeout=WAIT_SECONDS, limit=1)
        while (
            self.bell.llen(settings.CELERY_TASK_DEFAULT_QUEUE)
            or any((asked.reserved() or {}).values())
            or any((asked.active() or {}).values())
        ):
            assert time.monotonic() < deadline, (
                f"The worker never came to rest:\n{self.worker.said()[-3000:]}"
            )
            time.sleep(0.05)


@contextmanager
def house(
    folder: Path,
    entries: Mapping[str, Mapping[str, Any]],
    secrets: Mapping[str, str],
    env: Mapping[str, str] | None = None,
) -> Iterator[House]:
    """Start the console with these connections, and end it afterwards.

    It holds the application's role only, as in production. `env` is for what else a process is told.
    """
    bell = redis.Redis.from_url(os.environ["REDIS_URL"])
    bell.delete(settings.CELERY_TASK_DEFAULT_QUEUE)
    port = free_port()
    told = {
        **os.environ,
        **test_database_environment(),
        **PATIENCE,
        "AUDIT_SIGNING_KEY": base64.b64encode(b"journeys" * 4).decode(),
        "CONNECTIONS": json.dumps(entries),
        **secrets,
        **(env or {}),
        "DATABASE_OWNER_URL": "",
    }
    python = [sys.executable, "-m"]
    web = _start(
        [
            *(*python, "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)),
            *("--no-ws", "--workers", "1", "--blocking-threads", "16", "console.wsgi:application"),
        ],
        folder / "web.log",
        told,
    )
    worker = _start(
        [
            *(*python, "celery", "-A", "console", "worker", "--concurrency", "3"),
            *(
                "--loglevel",
                told.get("LOG_LEVEL", "INFO"),
                "--without-gossip",
                "--without-mingle",
                "--hostname",
                f"{folder.name}@%h",
            ),
        ],
        folder / "worker.log",
        told,
    )
    try:
        worker.wait_for(" ready.", START_SECONDS)
        url = f"http://127.0.0.1:{port}"
        _wait_for_web(url, web)
        yield House(url, entries, told, web, worker, bell)
    finally:
        for one in (worker, web):
            os.killpg(one.process.pid, signal.SIGCONT)
            one.stop()
        bell.close()


class Street:
    """One house at a time: two would answer each other's bells. The next journey in the same house finds it open."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._here: tuple[str, House] | None = None

    def at(self, name: str, make: Callable[[], AbstractContextManager[House]]) -> House:
        """The house of this name; made, after the one before it is closed, unless it is open already."""
        if self._here is None or self._here[0] != name:
            self.close()
            self._here = name, self._open.enter_context(make())
        return self._here[1]

    def close(self) -> None:
        """Nobody is at home any more."""
        self._here = None
        self._open.close()


def free_port() -> int:
    """A port that is free now, from the kernel."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
    return port


def _start(command: list[str], log: Path, env: Mapping[str, str]) -> Worker:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Worker(process, log)


def _wait_for_web(url: str, web: Worker) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx.get(f"{url}/live", timeout=5, trust_env=False)
        except httpx.HTTPError:
            assert web.process.poll() is None, web.said()[-3000:]
            assert time.monotonic() < deadline, f"The web server never answered:\n{web.said()[-3000:]}"
            time.sleep(0.05)
        else:
            return
