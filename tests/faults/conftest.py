"""Real worker processes, killed and stopped at named places; and what must hold whatever was done to them."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.db.models.functions import Now

from console.audit import WORKER
from console.environment import ROOT
from console.lifecycle.sweep import sweep
from console.models import Connection, Proposal, State
from tests.cast import PLANT, use_connections
from tests.conftest import test_database_environment as database_environment
from tests.lifecycle.conftest import told_once as told_once  # noqa: PLC0414 a fixture for here
from tests.sandbox import SandboxProcess

PATIENCE = {"LEASE_SECONDS": "3", "BELL_SECONDS": "1", "AGAIN_SECONDS": "1", "UNKNOWN_AFTER_SECONDS": "5"}
"""The corridor's times, shortened. Nothing that is asserted depends on how long anything took."""


@dataclass
class Forked:
    """One worker process."""

    pid: int
    log: Path

    @property
    def alive(self) -> bool:
        """Whether it runs, or is stopped."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    @property
    def stopped(self) -> bool:
        """Whether it hangs on SIGSTOP."""
        answer = subprocess.run(["ps", "-o", "state=", "-p", str(self.pid)], capture_output=True, check=False)  # noqa: S607
        return answer.stdout.strip().startswith(b"T")

    def signal(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def said(self) -> str:
        """What it logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


@dataclass
class Nursery:
    """Forks workers on named queues; see `nursery.py`."""

    home: Path
    process: subprocess.Popen[str]
    forked: list[Forked] = field(default_factory=list)

    def worker(self, queue: str = "countersign", failpoints: Path | None = None, threads: int = 1) -> Forked:
        """A new worker process. It may still be starting: the broker keeps its bells."""
        log = self.home / f"{queue}-{len(self.forked)}.log"
        order = {
            "queue": queue,
            "failpoints": str(failpoints or ""),
            "log": str(log),
            "threads": str(threads),
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        one = Forked(int(self.process.stdout.readline()), log)
        self.forked.append(one)
        return one

    def failpoint(self, name: str, what: str) -> Path:
        """A folder that makes a worker do `what` ("kill", "stop", "kill 2") at this place, once."""
        folder = self.home / f"failpoints-{len(list(self.home.glob('failpoints-*')))}"
        folder.mkdir()
        (folder / name).write_text(what)
        return folder


@pytest.fixture
def nursery(
    tmp_path: Path, transactional_db: None, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Callable[[], Nursery]]:
    """A factory: call it once the connections are as the workers shall see them. All of them end with the test."""
    del transactional_db, request
    monkeypatch.setattr("console.lifecycle.sweep.REST", dt.timedelta(seconds=1))
    started: list[Nursery] = []

    def start() -> Nursery:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            cwd=ROOT,
            env={**os.environ, **database_environment(), **PATIENCE},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        one = Nursery(tmp_path, process)
        started.append(one)
        return one

    yield start
    for one in started:
        for worker in one.forked:
            worker.signal(signal.SIGKILL)
        assert one.process.stdin is not None
        assert one.process.stdout is not None
        one.process.stdin.close()
        one.process.stdout.close()
        one.process.wait(20)
    current_app.control.purge()


@pytest.fixture
def carried_by(
    plant: Connection, sandbox: SandboxProcess, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., SandboxProcess]:
    """A factory: the sandbox behind "plant", spoken to by one of its adapters, with these options."""

    def use(adapter: str = "adapter", **options: Any) -> SandboxProcess:
        path = f"integrations.sandbox.{adapter}"
        entry, secrets = sandbox.settings(path, **options)
        use_connections(settings, monkeypatch, {PLANT: entry}, secrets)
        Connection.objects.filter(pk=plant.pk).update(adapter=path)
        return sandbox

    return use


@contextlib.contextmanager
def lost_bells() -> Iterator[None]:
    """No bell is rung while this lasts: what the database knows has to be enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("console.dispatch.ring", lambda *_: True)
        yield


def ring_until(done: Callable[[], bool], *, seconds: float = 60) -> bool:
    """Sweep again and again, as beat does, until it is done; False when it is not in time."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        sweep(actor=WORKER)
        time.sleep(0.25)
    return True


def wait_until(done: Callable[[], bool], *, seconds: float = 60) -> bool:
    """Wait for it; False when it does not come in time."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def due_now() -> None:
    """Let the sweep see everything at once, instead of after the usual rest."""
    Proposal.objects.filter(ring_at__isnull=False).update(ring_at=Now())


def told(proposals: list[Proposal]) -> dict[str, tuple[str, str, list[str]]]:
    """Reference to state, reason and outcomes of the attempts: what a failing test shows."""
    return {
        one.ref: (
            one.state,
            one.state_reason,
            list(one.attempts.order_by("number").values_list("outcome", flat=True)),
        )
        for one in Proposal.objects.filter(pk__in=[each.pk for each in proposals])
    }


def violations(proposals: list[Proposal], erp: SandboxProcess, *, steps: int, once: bool) -> list[str]:
    """What must not be, counted at the system's own ledger and in our database. `once`: never sent twice by itself.

    0 duplicates; nothing committed without its effect, nothing failed that happened; nothing lost: each ends
    committed, failed with proof, or as an open question that rings.
    """
    found = [f"twice: {what}" for what in erp.duplicates()]
    for one in Proposal.objects.filter(pk__in=[each.pk for each in proposals]):
        effects = len(erp.effects(one.ref))
        if one.state == State.COMMITTED and effects != steps:
            found.append(f"{one.ref} is committed with {effects} effects of {steps}")
        if one.state == State.COMMIT_FAILED and effects:
            found.append(f"{one.ref} is called failed and happened")
        if one.state not in {State.COMMITTED, State.COMMIT_FAILED} and one.ring_at is None:
            found.append(f"{one.ref} is {one.state} and nothing rings for it")
        if one.state in {State.APPROVED, State.RECEIVED} and effects:
            found.append(f"{one.ref} is {one.state} again and happened")
        sent = [call for call in erp.calls() if call["reference"] == one.ref and call["step"]]
        if once and len(sent) > steps:
            found.append(f"{one.ref} was sent {len(sent)} times")
    return found
