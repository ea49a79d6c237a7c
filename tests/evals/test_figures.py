"""Live figures of a grant: counted from what happened, never without n, never ranked where nobody can tell."""

from __future__ import annotations

import pytest
from django.db import connections

from console.access import person as named
from console.audit import WORKER
from console.evals import figures, live
from console.evals.figures import Figures, Share
from console.lifecycle import review
from console.models import Decision, Grant, Proposal, State
from tests.cast import People, Planner
from tests.lifecycle.corridor import (
    approved,
    assessed,
    committed,
    fresh,
    in_review,
    proposed,
    prove_accounts,
    reschedule,
    shown,
)
from tests.sandbox import SandboxProcess

RESCHEDULE = "production_order_reschedule"
COMMITS = pytest.mark.django_db(transaction=True, databases=["default", "owner"])


def of_planner(planner: Planner, days: int = 30) -> Figures:
    """What the page shows of its grant for rescheduling."""
    grant = Grant.objects.get(version=planner.version, kind=Grant.TYPE, name=RESCHEDULE)
    live.watch(grant.pk, actor=WORKER)
    (found,) = figures.of_grants([grant], days=days)
    return found


def rejected(
    found: Proposal, people: People, reason: str = "wrong_value", dwell_ms: int | None = None
) -> None:
    """Ana says no."""
    review.reject(
        found,
        by=people.ana,
        seen=shown(found).digest,
        actor=named(people.ana),
        reason=reason,
        note="No.",
        look=review.Look(dwell_ms=dwell_ms),
    )


@COMMITS
def test_each_proposal_counts_in_every_figure_that_is_true_of_it(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    done = committed(approved(in_review(planner, reschedule(erp, days=40)), people.ana))
    assert done.state == State.COMMITTED
    rejected(in_review(planner, reschedule(erp, days=50)), people, dwell_ms=61_000)
    rejected(in_review(planner, reschedule(erp, days=55)), people, "bad_timing", dwell_ms=3_600_000)
    wrong = assessed(proposed(planner, reschedule(erp) | {"order": "no such order"}))
    assert wrong.state == State.REFUSED
    moving = in_review(planner, reschedule(erp, days=60))
    erp.edit(f"production {shown(moving).snapshot['target']}", note="moved")
    approved(moving, people.ana)
    committed(moving)
    moved = assessed(moving)
    found = of_planner(planner)
    assert (found.proposed, found.judged, found.refused, found.failed) == (5, 5, 1, 0)
    assert (found.errors.count, found.errors.n) == (1, 5)
    assert (found.overrides.count, found.overrides.n) == (2, 3)
    assert (found.unknown.count, found.unknown.n) == (0, 1)
    assert moved.state == State.IN_REVIEW
    assert (found.stale.count, found.stale.n) == (1, 5)
    assert (found.assess.n, found.commit.n, found.decide.n) == (5, 1, 4)
    # An hour with the page open is a page left open: it counts as half an hour.
    assert found.review_seconds == pytest.approx(61 + 1800)
    assert (found.review.n, found.unmeasured, found.answers) == (2, 2, 4)
    grant = found.grant
    assert figures.reasons(grant, days=30) == [("Not now", 1), ("A value is wrong", 1)]
    parts = figures.timeline(grant, days=30)
    assert (parts[-1].proposed, parts[-1].wrong, parts[-1].overridden) == (5, 1, 2)
    assert sum(part.proposed for part in parts) == 5
    assert {one.tool for one in figures.reads_of(planner.version.pk, days=30)} == set()


@COMMITS
def test_a_seeded_test_is_in_no_figure(planner: Planner, people: People, erp: SandboxProcess) -> None:
    for days in (50, 55):
        rejected(in_review(planner, reschedule(erp, days=days)), people)
    seeded = Proposal.objects.order_by("id").last()
    assert seeded is not None
    assert of_planner(planner).proposed == 2
    _reveal(seeded)
    found = of_planner(planner)
    assert found.proposed == 1
    assert sum(part.proposed for part in figures.timeline(found.grant, days=30)) == 1
    assert sum(count for _, count in figures.reasons(found.grant, days=30)) == 1
    assert Decision.objects.count() == 2


def _reveal(proposal: Proposal) -> None:
    """As the owner of the tables: the corridor's own way to a revealed test begins before its decision."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(
            "UPDATE console_proposal SET state = 'revealed', seeded = true WHERE id = %s", [proposal.pk]
        )
        cursor.execute("SET session_replication_role = origin")
    assert fresh(proposal).state == State.REVEALED


def test_a_share_knows_its_interval_and_when_it_is_too_small_to_be_told() -> None:
    assert not Share(3, 9).enough
    told = Share(3, 41)
    assert told.enough
    assert (round(told.low, 3), round(told.high, 3)) == (0.025, 0.194)
    assert (Share(0, 0).low, Share(0, 0).high) == (0.0, 1.0)


def test_agents_whose_intervals_overlap_are_not_ranked() -> None:
    def with_overrides(count: int, n: int) -> Figures:
        return Figures(Grant(), 30, overrides=Share(count, n))

    best, close, worst, small = (with_overrides(*each) for each in ((2, 100), (5, 100), (30, 100), (0, 5)))
    assert figures.order([best, close]) == []
    assert figures.order([small, worst]) == []
    pairs = figures.order([worst, close, best, small])
    assert {(one.overrides.count, other.overrides.count) for one, other in pairs} == {(2, 30), (5, 30)}
