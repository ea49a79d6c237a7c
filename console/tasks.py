"""The workers' door: fetch, call a verb, nothing else. Every verb here may be called twice."""

from __future__ import annotations

from celery import shared_task

from console import audit_tree, notices, tracing
from console.audit import WORKER, Actor
from console.evals import alarms, attention, inputs, live, seeded, shadow
from console.failpoints import reach
from console.lifecycle import assess as assessing
from console.lifecycle import callback, probe, readback, task_check
from console.lifecycle import commit as committing
from console.lifecycle import reconcile as reconciling
from console.lifecycle import refresh as refreshing
from console.lifecycle import sweep as sweeping
from console.lifecycle.states import fetch
from console.models import Callback, Connection


def _worker(task: str) -> Actor:
    return Actor(kind=WORKER.kind, id=WORKER.id, label=WORKER.label, via=task)


@shared_task(name="console.tasks.assess")
def assess(pk: int) -> None:
    """Assess a proposal that is received."""
    if (proposal := fetch(pk)) is not None:
        with tracing.heard("assess", proposal):
            assessing.assess(proposal, actor=_worker("assess"))


@shared_task(name="console.tasks.commit")
def commit(pk: int) -> None:
    """Commit a proposal that is approved."""
    if (proposal := fetch(pk)) is not None:
        with tracing.heard("commit", proposal):
            committing.commit(proposal, actor=_worker("commit"))
    reach("S10")


@shared_task(name="console.tasks.read_back")
def read_back(pk: int) -> None:
    """Ask the system what became of an attempt."""
    if (proposal := fetch(pk)) is not None:
        with tracing.heard("read_back", proposal):
            readback.read_back(proposal, actor=_worker("read_back"))


@shared_task(name="console.tasks.refresh")
def refresh(pk: int, type_name: str, raw: str) -> None:
    """Take a snapshot for validations; `pk` is the connection's."""
    if (connection := Connection.objects.filter(pk=pk).first()) is not None:
        refreshing.refresh(connection, type_name=type_name, raw=raw)


@shared_task(name="console.tasks.check_task")
def check_task(pk: int) -> None:
    """Read back what somebody said of a task; put one that nobody confirmed in time before a person."""
    if (proposal := fetch(pk)) is not None:
        with tracing.heard("check_task", proposal):
            task_check.check(proposal, actor=_worker("check_task"))


@shared_task(name="console.tasks.judge_callback")
def judge_callback(pk: int) -> None:
    """Judge what a system told us later."""
    if (heard := Callback.objects.select_related("proposal").filter(pk=pk).first()) is not None:
        with tracing.heard("judge_callback", heard):
            callback.judge(heard, actor=_worker("judge_callback"))


@shared_task(name="console.tasks.sweep")
def sweep() -> None:
    """Ring lost bells, expire, clear, count decisions."""
    sweeping.sweep(actor=_worker("sweep"))
    live.watch_all(actor=_worker("sweep"))
    shadow.ring_due()


@shared_task(name="console.tasks.watch")
def watch(pk: int) -> None:
    """Count what people decided on a grant, and demote it when that turned for the worse; `pk` is the grant's."""
    live.watch(pk, actor=_worker("watch"))


@shared_task(name="console.tasks.look_back")
def look_back(pk: int) -> None:
    """See what people did in the place of a shadow proposal."""
    if (proposal := fetch(pk)) is not None:
        with tracing.heard("look_back", proposal):
            shadow.look_back(proposal, actor=_worker("look_back"))


@shared_task(name="console.tasks.burn")
def burn(newest_only: bool = True) -> None:  # noqa: FBT002 a task takes plain arguments
    """See whether errors or latency of a grant burn too fast: where something went wrong just now, or everywhere."""
    alarms.watch_all(actor=_worker("burn"), newest_only=newest_only)


@shared_task(name="console.tasks.compare_inputs")
def compare_inputs() -> None:
    """See whether what comes in on a grant is still what it was."""
    inputs.watch_all(actor=_worker("compare_inputs"))


@shared_task(name="console.tasks.seed")
def seed() -> None:
    """Have a test of attention planted when it is time."""
    seeded.round_(actor=_worker("seed"))


@shared_task(name="console.tasks.plant_test")
def plant_test() -> None:
    """Plant one test of attention, if it is still time."""
    seeded.plant()


@shared_task(name="console.tasks.weigh_attention")
def weigh_attention() -> None:
    """Tighten what is asked of people when too many tests went unnoticed."""
    attention.weigh(actor=_worker("weigh_attention"))


@shared_task(name="console.tasks.tell")
def tell() -> None:
    """Tell people of incidents, where they want to be told."""
    notices.tell_all()


@shared_task(name="console.tasks.sequence")
def sequence() -> None:
    """Give audit entries their place in the tree and sign its head."""
    audit_tree.sequence(actor=_worker("sequence"))


@shared_task(name="console.tasks.probe_accounts")
def probe_accounts(again: bool = False) -> None:  # noqa: FBT002 a task takes plain arguments
    """Probe every writing account whose last probe is old or not sound."""
    probe.probe_all(actor=_worker("probe_accounts"), again=again)
    probe.ping_all()


@shared_task(name="console.tasks.test_connection")
def test_connection(name: str) -> None:
    """Ask one connection whether it answers, and try what its accounts must be refused."""
    probe.test(name, actor=_worker("test_connection"))


@shared_task(name="console.tasks.ping")
def ping() -> None:
    """Ask every connection whether it answers."""
    probe.ping_all()


@shared_task(name="console.tasks.reconcile")
def reconcile() -> None:
    """Compare the systems' own change logs with what was countersigned."""
    reconciling.reconcile(actor=_worker("reconcile"))
