"""R1, the crash sweep: a worker process killed or stopped at every step of a commit, for every class of effect.

11 places x 2 kinds x 6 ways of being carried = 132 cells. All cells of one way run at once in one database, each
with a proposal and a worker process of its own; two more workers pick up what the dead and the sleeping left.
A stopped worker sleeps past its lease, and goes on when everything is settled without it.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from celery import current_app

from console.access import person
from console.evals import seeded
from console.lifecycle import review
from console.models import Proposal, State
from console.policy import attention
from console.registry.limits import set_value
from tests.cast import People, Planner
from tests.faults.conftest import (
    Forked,
    Nursery,
    due_now,
    lost_bells,
    ring_until,
    told,
    violations,
    wait_until,
)
from tests.lifecycle.corridor import (
    approved,
    assessed,
    fresh,
    in_review,
    later,
    prove_accounts,
    purchase,
    shown,
)
from tests.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
    pytest.mark.usefixtures("told_once"),
]

(SHARE,) = (one for one in attention.LIMITS if one.name == "seeded_share")
PLACES = ["S2", "S4", "S3", "S5", "S6", "S6b", "S8", "S9", "R1", "R2", "S10"]
ROUNDS = [1, pytest.param(25, marks=pytest.mark.soak)]


@dataclass(frozen=True)
class Way:
    """One way of being carried: the adapter, the type, how many steps, and whether it is sent only once."""

    name: str
    adapter: str
    type_name: str
    steps: int = 1
    once: bool = False


WAYS = [
    Way("guarded", "adapter", "production_order_reschedule"),
    Way("guarded, three steps", "adapter", "production_order_reschedule", 3),
    Way("keyed", "keyed", "production_order_reschedule"),
    Way("keyed, three steps", "keyed", "production_order_reschedule", 3),
    Way("unique reference", "adapter", "purchase_order_create"),
    Way("read-back only", "read_back_only", "purchase_order_create", once=True),
]


def payloads(erp: SandboxProcess, way: Way, count: int) -> list[dict[str, Any]]:
    """So many payloads, each for a document of its own."""
    if way.type_name == "purchase_order_create":
        # Two equal orders would be taken for one and the same need.
        return [purchase(erp, more=number) for number in range(count)]
    records = json.loads((erp.home / "base.json").read_text())["records"].values()
    orders = [doc for doc in records if doc["kind"] == "production"][:count]
    if way.steps == 3:
        for order in orders:
            erp.edit(f"production {order['key']}", state="released")
    return [
        {
            "order": order["key"],
            "planned_start": later(order["planned_start"], 14),
            "planned_finish": later(order["planned_finish"], 21),
        }
        for order in orders
    ]


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_worker_killed_or_stopped_anywhere_costs_neither_an_effect_nor_a_proposal(
    nursery: Callable[[], Nursery],
    carried_by: Callable[..., SandboxProcess],
    planner: Planner,
    people: People,
    way: Way,
    rounds: int,
) -> None:
    erp = carried_by(way.adapter, timeout_ms=5000)
    erp.reset(seed="bulk", orders=60)
    prove_accounts()
    set_value(SHARE, owner="attention", value="5", by=people.dora, actor=person(people.dora))
    house = nursery()
    for _ in range(rounds):
        erp.reset(seed="bulk", orders=60)
        cells = [(place, kind) for kind in ("kill", "stop") for place in PLACES]
        sweep_once(house, erp, way, cells, planner, people)


def missed(people: People) -> Proposal:
    """A test of attention in the queue that Ana approved."""
    test = assessed(seeded.ask(by=people.dora, actor=person(people.dora)).proposal)
    assert test.state == State.IN_REVIEW, test.state_reason
    return review.approve(
        test,
        seen=shown(test).digest,
        by=people.ana,
        actor=person(people.ana),
        look=review.Look(dwell_ms=4200, unfolded=("What happened so far",)),
    )


def rung(queue: str, *proposals: Proposal) -> None:
    """A bell for each, in this order."""
    for one in proposals:
        current_app.send_task("console.tasks.commit", args=[one.pk], queue=queue, ignore_result=True)


def sweep_once(
    house: Nursery,
    erp: SandboxProcess,
    way: Way,
    cells: list[tuple[str, str]],
    planner: Planner,
    people: People,
) -> None:
    """All cells of one way at once; a test of attention that somebody approved is rung for in each of them."""
    rescue = [house.worker(threads=2)]
    with lost_bells():
        proposals = [in_review(planner, each, way.type_name) for each in payloads(erp, way, len(cells))]
        test = missed(people)
        for one in proposals:
            for by in (people.ana, people.ben):
                if fresh(one).state == State.IN_REVIEW:
                    approved(one, by)
    hurt: list[tuple[Forked, Proposal]] = []
    for (place, kind), one in zip(cells, proposals, strict=True):
        # In three steps, the places within a step are hit at the second one.
        times = " 2" if way.steps == 3 and place in {"S6", "S6b", "S8"} else ""
        queue = f"cell-{one.ref}"
        rung(queue, test, one, test)
        hurt.append((house.worker(queue, house.failpoint(place, f"{kind}{times}")), one))

    def all_hurt() -> bool:
        return all(not worker.alive or worker.stopped for worker, _ in hurt)

    assert wait_until(all_hurt, seconds=120), [
        (cell, worker.said()[-1500:])
        for cell, (worker, _) in zip(cells, hurt, strict=True)
        if worker.alive and not worker.stopped
    ]

    def settled() -> bool:
        return not (
            Proposal.objects.filter(pk__in=[one.pk for one in proposals])
            .exclude(state__in=[State.COMMITTED, State.COMMIT_FAILED, State.OUTCOME_UNKNOWN])
            .exists()
        )

    due_now()
    assert ring_until(settled, seconds=90), (told(proposals), [w.said()[-3000:] for w in rescue])
    for worker, _ in hurt:  # the sleepers go on, finish what they have, and end
        worker.signal(signal.SIGCONT)
        worker.signal(signal.SIGTERM)
    assert wait_until(lambda: not any(worker.alive for worker, _ in hurt), seconds=60)
    due_now()

    def answered() -> bool:
        expected = {State.COMMITTED, State.OUTCOME_UNKNOWN} if way.once else {State.COMMITTED}
        unknown = [one for one in proposals if fresh(one).state == State.OUTCOME_UNKNOWN]
        return settled() and all(
            fresh(one).state in expected and (not erp.effects(one.ref) or one not in unknown)
            for one in proposals
        )

    assert ring_until(answered, seconds=60), [
        (cell, told([one]), [worker.said()[-1500:]])
        for cell, (worker, one) in zip(cells, hurt, strict=True)
        if fresh(one).state != State.COMMITTED
    ]
    assert violations(proposals, erp, steps=way.steps, once=way.once) == []
    assert erp.effects(test.ref) == []
    assert test.ref not in {call["reference"] for call in erp.calls()}
    assert (fresh(test).state, test.attempts.count()) == (State.REVEALED, 0)
    for worker in rescue:
        worker.signal(signal.SIGTERM)
