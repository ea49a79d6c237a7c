"""A grant that people override too often goes back into shadow by itself, and nothing of it is committed after."""

from __future__ import annotations

import pytest
from django.utils import timezone

from console.access import person as named
from console.audit import WORKER
from console.errors import Held
from console.evals import live
from console.lifecycle import review
from console.models import (
    Answer,
    AuditEntry,
    Autonomy,
    Decided,
    Decision,
    Grant,
    Incident,
    OverrideChart,
    Proposal,
    State,
    Widening,
)
from console.registry import grants, widenings
from tests.cast import People, Planner
from tests.lifecycle.corridor import (
    approved,
    assessed,
    committed,
    fresh,
    in_review,
    proposed,
    prove_accounts,
    purchase,
    reschedule,
    shown,
)
from tests.sandbox import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

RESCHEDULE = "production_order_reschedule"


def grant_of(planner: Planner, name: str = RESCHEDULE) -> Grant:
    return Grant.objects.get(version=planner.version, kind=Grant.TYPE, name=name)


def rejected(planner: Planner, people: People, erp: SandboxProcess, days: int = 14) -> Proposal:
    """One more that a supervisor says no to."""
    found = in_review(planner, reschedule(erp, days=days))
    review.reject(
        found,
        by=people.ana,
        seen=shown(found).digest,
        actor=named(people.ana),
        reason="wrong_value",
        note="No.",
    )
    return fresh(found)


def watched(planner: Planner, name: str = RESCHEDULE) -> OverrideChart:
    """What the worker does whom a rejection rings."""
    return live.watch(grant_of(planner, name).pk, actor=WORKER)


def test_five_rejections_in_a_row_put_the_grant_back_into_shadow_and_open_an_incident(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    for _ in range(4):
        rejected(planner, people, erp)
        watched(planner)
    assert grant_of(planner).autonomy == Autonomy.PROPOSE
    rejected(planner, people, erp)
    chart = watched(planner)
    found = grant_of(planner)
    assert (found.autonomy, chart.decided, chart.overridden) == (Autonomy.SHADOW, 5, 5)
    assert found.demoted_at is not None
    assert chart.alarmed_at is not None
    incident = Incident.objects.get()
    assert "overrode 5 of 5" in incident.lifts
    assert incident.connection == found.connection
    told = AuditEntry.objects.get(verb="grant.demote")
    assert told.actor_kind == "worker"


def test_what_was_approved_before_is_held_and_never_sent_after_the_demotion(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    ready = approved(in_review(planner, reschedule(erp, days=40)), people.ana)
    waiting = in_review(planner, reschedule(erp, days=50))
    for _ in range(5):
        rejected(planner, people, erp)
    watched(planner)
    before = len(erp.effects(ready.ref))
    assert committed(ready).state == State.APPROVED
    assert len(erp.effects(ready.ref)) == before == 0
    with pytest.raises(Held, match="in shadow again"):
        review.approve(fresh(waiting), by=people.ben, seen=shown(waiting).digest, actor=named(people.ben))
    later = assessed(proposed(planner, reschedule(erp, days=60)))
    assert later.state == State.SHADOWED


def test_another_grant_of_the_same_version_is_left_alone(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    for _ in range(5):
        rejected(planner, people, erp)
    watched(planner)
    assert grant_of(planner, "purchase_order_create").autonomy == Autonomy.PROPOSE


def test_agreement_counts_once_also_where_two_people_had_to_agree(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    found = approved(in_review(planner, purchase(erp), "purchase_order_create"), people.ana)
    assert found.state == State.IN_REVIEW
    assert watched(planner, "purchase_order_create").decided == 0
    assert approved(found, people.ben).state == State.APPROVED
    for _ in range(2):
        chart = watched(planner, "purchase_order_create")
    assert (chart.decided, chart.overridden, chart.level) == (1, 0, 0.0)


def test_an_amended_proposal_is_one_override_also_when_it_is_approved_afterwards(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    asked = reschedule(erp)
    found = in_review(planner, asked)
    review.amend(
        found,
        by=people.ana,
        seen=shown(found).digest,
        actor=named(people.ana),
        payload=reschedule(erp, days=28),
        note="A week later.",
    )
    assert watched(planner).overridden == 1
    approved(assessed(found), people.ben)
    chart = watched(planner)
    assert (chart.decided, chart.overridden) == (1, 1)
    assert Decided.objects.get().overridden


def test_the_sweep_counts_what_no_bell_announced(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    for _ in range(5):
        rejected(planner, people, erp)
    assert live.watch_all(actor=WORKER) == 1
    assert grant_of(planner).autonomy == Autonomy.SHADOW
    assert live.watch_all(actor=WORKER) == 0


def test_a_decision_that_was_committed_after_a_later_one_is_still_counted(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    rejected(planner, people, erp)
    newest = Decision.objects.latest("id").pk
    OverrideChart.objects.create(grant=grant_of(planner), since=timezone.now(), decision=newest + 3)
    assert watched(planner).decided == 1


def test_two_people_raise_it_again_and_the_chart_begins_anew(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    waiting = [in_review(planner, reschedule(erp, days=70 + number)) for number in range(2)]
    for _ in range(7):
        rejected(planner, people, erp)
    assert watched(planner).decided == 5, "it alarms at the fifth, and counts no further"
    found = grant_of(planner)
    asked = grants.set_autonomy(
        found.version,
        kind=found.kind,
        name=found.name,
        connection=found.connection,
        autonomy="propose",
        by=people.dora,
        actor=named(people.dora),
    )
    assert isinstance(asked, Widening)
    assert grant_of(planner).autonomy == Autonomy.SHADOW
    widenings.confirm(asked, by=people.ana, actor=named(people.ana))
    assert grant_of(planner).demoted_at is None
    chart = watched(planner)
    assert (chart.decided, chart.overridden, chart.level, chart.alarmed_at) == (0, 0, 0.0, None)
    review.reject(
        waiting[0],
        by=people.ana,
        seen=shown(waiting[0]).digest,
        actor=named(people.ana),
        reason="not_needed",
        note="No.",
    )
    assert watched(planner).decided == 1
    assert grant_of(planner).autonomy == Autonomy.PROPOSE


def test_a_demotion_is_told_once_however_often_it_is_looked_at(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    for _ in range(7):
        rejected(planner, people, erp, days=20)
    for _ in range(3):
        watched(planner)
    assert Incident.objects.count() == 1
    assert AuditEntry.objects.filter(verb="grant.demote").count() == 1
    assert Answer.REJECT in set(Proposal.objects.values_list("decisions__answer", flat=True))


def test_a_rate_is_given_with_its_n_and_interval_or_not_at_all() -> None:
    assert live.override_rate(0, 0) is None
    rate = live.override_rate(3, 41)
    assert rate is not None
    assert (rate.overridden, rate.decided, rate.low, rate.high) == (3, 41, 2, 20)
