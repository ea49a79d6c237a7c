"""F19: PostgreSQL stopped at once (SIGQUIT) and started again in the middle of commits.

Not collected with the rest: `test_faults.py` runs this file in a process of its own, whose server may be stopped.
"""

from __future__ import annotations

import atexit
import os
import signal
import time
from collections.abc import Callable

import pytest
from celery import current_app
from django.db import connections

from console.management.stack.postgres import FAST, Postgres
from console.models import Proposal, State
from tests.cast import People, Planner
from tests.faults.conftest import Nursery, due_now, lost_bells, ring_until, told, violations, wait_until
from tests.faults.test_crash_sweep import WAYS, payloads
from tests.lifecycle.corridor import approved, fresh, in_review, prove_accounts
from tests.sandbox import SandboxProcess
from tests.services import HOME

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
    pytest.mark.usefixtures("told_once"),
]


DURABLE = {**FAST, "synchronous_commit": "on", "full_page_writes": "on"}
"""A commit is with the kernel when it returns; the tests' usual server gives that up for speed."""

SERVERS: list[Postgres] = []


def durable_server() -> Postgres:
    """This run's own server, started again so that what is committed stays committed."""
    server = Postgres(HOME / "postgres", settings=DURABLE)
    SERVERS.append(server)
    atexit.register(server.stop)
    stop_and_start(server, signal.SIGINT)
    return server


def stop_and_start(server: Postgres, how: signal.Signals = signal.SIGQUIT) -> None:
    """SIGQUIT: no checkpoint, no farewell. What was not committed is gone, and so is every connection."""
    pid = int((server.data / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, how)
    for _ in range(200):
        if not (server.data / "postmaster.pid").exists():
            break
        time.sleep(0.05)
    if server.process is not None:
        server.process.wait(10)
    connections.close_all()
    server.start()


def test_a_database_stopped_at_once_in_the_middle_of_commits_costs_nothing(
    nursery: Callable[[], Nursery],
    carried_by: Callable[..., SandboxProcess],
    planner: Planner,
    people: People,
) -> None:
    server = durable_server()
    erp = carried_by(timeout_ms=5000)
    erp.reset(seed="bulk", orders=30)
    prove_accounts()
    house = nursery()
    workers = [house.worker(threads=2) for _ in range(2)]
    assert wait_until(lambda: all(" ready." in worker.said() for worker in workers))
    way = WAYS[0]
    with lost_bells():
        several = [in_review(planner, each) for each in payloads(erp, way, 12)]
        for one in several:
            for by in (people.ana, people.ben):
                if fresh(one).state == State.IN_REVIEW:
                    approved(one, by)
    erp.fail("slow", operation="write", seconds=0.4, times=None)
    for one in several:
        current_app.send_task("console.tasks.commit", args=[one.pk], ignore_result=True)
    ours = Proposal.objects.filter(pk__in=[one.pk for one in several])

    def sending() -> bool:
        return ours.filter(state=State.COMMITTING).exists()

    def done() -> bool:
        return not ours.exclude(state=State.COMMITTED).exists()

    assert wait_until(sending)
    stop_and_start(server)
    due_now()
    assert ring_until(lambda: sending() or done())
    stop_and_start(server)
    due_now()
    erp.heal()

    # A bell in flight when the server went away is lost with its task: the sweep rings again.
    assert wait_until(lambda: ring_until(done, seconds=5), seconds=60), told(several)
    assert violations(several, erp, steps=1, once=False) == []
