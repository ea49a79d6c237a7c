"""A grant goes down through one door, whoever opens it: held, told, an incident, a reason. Up it takes two people."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console import access
from console.access import person as named
from console.audit import OPERATOR, WORKER
from console.errors import Conflict, Refused
from console.evals import alarms, live
from console.models import AuditEntry, Autonomy, Grant, Incident, Proposal, State, Widening
from console.registry import grants, widenings
from tests.cast import People, Planner
from tests.evals.test_burn import refused
from tests.evals.test_live import grant_of, rejected
from tests.lifecycle.corridor import approved, committed, fresh, in_review, prove_accounts, reschedule
from tests.sandbox import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

WHY = "It moves orders that are on the floor."


def page(planner: Planner, people: People, where: str, **form: str) -> None:
    """What a browser sends."""
    del planner
    client = Client()
    client.force_login(people.dora)
    assert client.post(where, form).status_code == 302


def set_on_the_page(planner: Planner, people: People, erp: SandboxProcess) -> None:
    del erp
    what = {"version": str(planner.version.pk), "what": "type:production_order_reschedule"}
    page(planner, people, "/agents/planner/grants", **what, connection="plant", autonomy="shadow", reason=WHY)


def down_on_the_page(planner: Planner, people: People, erp: SandboxProcess) -> None:
    del erp
    page(planner, people, f"/agents/planner/grants/{grant_of(planner).pk}/down", reason=WHY)


def by_a_command(planner: Planner, people: People, erp: SandboxProcess) -> None:
    del people, erp
    changed(planner, "shadow", reason=WHY)


def by_overrides(planner: Planner, people: People, erp: SandboxProcess) -> None:
    for _ in range(5):
        rejected(planner, people, erp)
    live.watch(grant_of(planner).pk, actor=WORKER)


def by_errors(planner: Planner, people: People, erp: SandboxProcess) -> None:
    del people
    refused(planner, erp, 5)
    alarms.watch(grant_of(planner), actor=WORKER)


def changed(planner: Planner, autonomy: str, reason: str = "") -> None:
    """What a command on the machine does."""
    found = grant_of(planner)
    grants.set_autonomy(
        planner.version,
        kind=found.kind,
        name=found.name,
        connection=found.connection,
        autonomy=autonomy,
        by=None,
        actor=OPERATOR,
        reason=reason,
    )


@pytest.mark.parametrize(
    "door",
    [set_on_the_page, down_on_the_page, by_a_command, by_overrides, by_errors],
    ids=lambda one: one.__name__,
)
def test_every_door_down_holds_tells_and_opens_one_incident(
    door: Callable[[Planner, People, SandboxProcess], None],
    planner: Planner,
    people: People,
    erp: SandboxProcess,
) -> None:
    prove_accounts()
    ready = approved(in_review(planner, reschedule(erp, days=40)), people.ana)
    door(planner, people, erp)
    found = grant_of(planner)
    assert (found.autonomy, bool(found.demoted_at), bool(found.demoted_reason)) == (
        Autonomy.SHADOW,
        True,
        True,
    )
    incident = Incident.objects.get()
    assert (incident.grant, incident.connection, bool(incident.lifts)) == (found, found.connection, True)
    told = AuditEntry.objects.get(verb__in=["grant.lower", "grant.demote"])
    assert f'"incident":{incident.pk}' in told.body
    assert not AuditEntry.objects.filter(verb="grant.set").exists()
    assert committed(ready).state == State.APPROVED
    assert erp.effects(ready.ref) == []
    assert found.demoted_reason.rstrip(".") in fresh(ready).state_reason
    assert found.demoted_reason.rstrip(".") in access.rung(found)
    client = Client()
    client.force_login(people.ana)
    timeline = client.get(f"/administration/incidents/{incident.pk}/").content.decode()
    assert "put grant" in timeline
    assert "opened" in timeline


def test_no_door_goes_down_without_a_reason(planner: Planner, people: People) -> None:
    found = grant_of(planner)
    client = Client()
    client.force_login(people.dora)
    form = {
        "version": planner.version.pk,
        "what": f"type:{found.name}",
        "connection": "plant",
        "autonomy": "off",
    }
    for url in ("/agents/planner/grants", f"/agents/planner/grants/{found.pk}/down"):
        answer = client.post(url, {**form, "reason": " "})
        assert answer.status_code == 422
        assert "say why" in answer.content.decode()
    with pytest.raises(Refused, match="say why"):
        changed(planner, "off")
    assert grant_of(planner).autonomy == Autonomy.PROPOSE
    assert not Incident.objects.exists()


def test_what_was_asked_for_before_a_fall_raises_nothing_after_it(planner: Planner, people: People) -> None:
    changed(planner, "off", WHY)
    found = grant_of(planner)
    asked = [
        grants.set_autonomy(
            planner.version,
            kind=found.kind,
            name=found.name,
            connection=found.connection,
            autonomy=level,
            by=people.dora,
            actor=named(people.dora),
        )
        for level in ("shadow", "propose", "propose")
    ]
    shadow, first, second = (one for one in asked if isinstance(one, Widening))
    widenings.confirm(first, by=people.ana, actor=named(people.ana))
    assert grant_of(planner).demoted_at is None
    with pytest.raises(Conflict, match="stands at propose by now"):
        widenings.confirm(shadow, by=people.ana, actor=named(people.ana))
    changed(planner, "shadow", WHY)
    with pytest.raises(Conflict, match="put down since"):
        widenings.confirm(second, by=people.ben, actor=named(people.ben))
    assert grant_of(planner).autonomy == Autonomy.SHADOW
    # One person who sets the same level again wipes nothing away.
    changed(planner, "shadow")
    assert grant_of(planner).demoted_reason == WHY


def test_a_read_tool_is_taken_away_by_the_same_door(planner: Planner, people: People) -> None:
    tool = Grant.objects.filter(version=planner.version, kind=Grant.TOOL).earliest("pk")
    client = Client()
    client.force_login(people.ana)
    assert client.post(f"/agents/planner/grants/{tool.pk}/down", {"reason": WHY}).status_code == 302
    tool.refresh_from_db()
    assert (tool.autonomy, tool.demoted_reason) == (Autonomy.OFF, WHY)
    assert Incident.objects.get().grant == tool
    with pytest.raises(Refused, match="no rung below"):
        grants.step_down(tool, reason=WHY, by=people.ana, actor=named(people.ana))
    assert not Proposal.objects.exists()
