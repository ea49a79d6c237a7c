"""What holds a proposal where it is: kill switches, frozen and narrowed grants, accounts that are not proven."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models.functions import Now

from console import catalogue
from console import connections as live
from console.access import Role
from console.access import person as named
from console.audit import OPERATOR, WORKER, Actor
from console.errors import Denied, Held, Refused
from console.lifecycle import probe, readback
from console.lifecycle.commit import send
from console.models import Attempt, AuditEntry, Grant, Incident, Probe, Proposal, State, Widening
from console.registry import connections, grants, kill, widenings
from console.registry import people as roles
from integrations.contract import Unavailable
from tests.cast import PLANT, People, Planner, propose
from tests.lifecycle.corridor import (
    approved,
    assessed,
    committed,
    fresh,
    in_review,
    outcomes,
    proposed,
    prove_accounts,
    purchase,
    reschedule,
    story,
)
from tests.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
    pytest.mark.usefixtures("told_once"),
]

SCOPES = [
    ("everything", ""),
    ("system", "sandbox"),
    ("type", "production_order_reschedule"),
    ("agent", "planner"),
]


def throw(people: People, scope: str = "everything", value: str = "") -> Any:
    return kill.throw(scope=scope, value=value, reason="Stocktaking.", by=people.ana, actor=named(people.ana))


@pytest.mark.parametrize(("scope", "value"), SCOPES)
def test_a_kill_switch_holds_it_where_it_is_and_two_people_let_it_go_on(
    planner: Planner, people: People, erp: SandboxProcess, scope: str, value: str
) -> None:
    prove_accounts()
    one = approved(in_review(planner, reschedule(erp)), people.ana)
    thrown = throw(people, scope, value)
    one = committed(one)
    assert (one.state, erp.ledger()) == (State.APPROVED, [])
    assert "Stocktaking." in one.state_reason
    with pytest.raises(Held, match="Stocktaking"):
        propose(planner)
    asked = kill.lift(thrown, reason="It is over.", by=people.ana, actor=named(people.ana))
    assert committed(one).state == State.APPROVED
    with pytest.raises(Denied):
        widenings.confirm(asked, by=people.ana, actor=named(people.ana))
    widenings.confirm(asked, by=people.ben, actor=named(people.ben))
    assert kill.in_force() == []
    assert committed(one).state == State.COMMITTED


@pytest.mark.parametrize(
    ("scope", "value"),
    [
        ("system", "another"),
        ("type", "sales_order_promise"),
        ("agent", "another"),
        ("everything", "x"),
        ("", ""),
    ],
)
def test_a_kill_switch_stops_nothing_else(
    planner: Planner, people: People, erp: SandboxProcess, scope: str, value: str
) -> None:
    prove_accounts()
    if (scope, value) == ("type", "sales_order_promise"):
        throw(people, scope, value)
    else:
        with pytest.raises(Refused, match="to stop"):
            throw(people, scope, value)
    assert committed(approved(in_review(planner, reschedule(erp)), people.ana)).state == State.COMMITTED


def test_a_kill_switch_thrown_between_claim_and_send_stops_the_send(
    planner: Planner, people: People, erp: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove_accounts()
    one = approved(in_review(planner, reschedule(erp)), people.ana)
    monkeypatch.setattr(
        "console.lifecycle.commit.reach", lambda name: throw(people) if name == "S6" else None
    )
    one = committed(one)
    assert (one.state, outcomes(one), erp.ledger()) == (State.APPROVED, ["not_sent"], [])
    assert "Stocktaking." in one.state_reason
    assert [call for call in erp.calls() if call["reference"] == one.ref] == []


def test_a_kill_switch_thrown_between_two_steps_holds_the_rest_until_it_is_lifted(
    planner: Planner, people: People, erp: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove_accounts()
    one = approved(in_review(planner, reschedule(erp, state="released")), people.ana)
    with monkeypatch.context() as patch:
        patch.setattr("console.lifecycle.commit.reach", lambda name: throw(people) if name == "S8" else None)
        one = committed(one)
    assert one.state == State.COMMITTING
    assert "Stocktaking." in one.state_reason
    readback.read_back(one, actor=WORKER)
    assert [effect["operation"] for effect in erp.effects(one.ref)] == ["production.draft"]
    asked = kill.lift(kill.in_force()[0], reason="Over.", by=people.ana, actor=named(people.ana))
    widenings.confirm(asked, by=people.ben, actor=named(people.ben))
    readback.read_back(fresh(one), actor=WORKER)
    assert fresh(one).state == State.COMMITTED
    assert len(erp.effects(one.ref)) == 3


def held_by_a_freeze(grant: Grant, people: People) -> None:
    grants.freeze(grant, reason="It went astray.", by=people.ana, actor=named(people.ana))


def held_by_old_evidence(grant: Grant, people: People) -> None:
    Grant.objects.filter(pk=grant.pk).update(valid_until=Now() - dt.timedelta(seconds=1))
    del people


def held_by_a_connection(grant: Grant, people: People) -> None:
    connections.disable(grant.connection, reason="Upgrade.", by=people.dora, actor=named(people.dora))


def held_by_off(grant: Grant, people: People) -> None:
    narrowed(grant, people, "off")


def held_by_shadow(grant: Grant, people: People) -> None:
    narrowed(grant, people, "shadow")


def narrowed(grant: Grant, people: People, autonomy: str) -> None:
    grants.set_autonomy(
        grant.version,
        kind=grant.kind,
        name=grant.name,
        connection=grant.connection,
        autonomy=autonomy,
        by=people.dora,
        actor=named(people.dora),
        reason="It went astray.",
    )


@pytest.mark.parametrize("stage", ["received", "approved"])
@pytest.mark.parametrize(
    "hold",
    [held_by_a_freeze, held_by_old_evidence, held_by_a_connection, held_by_off, held_by_shadow],
)
def test_whatever_narrows_a_grant_holds_at_once_what_it_let_through(
    planner: Planner, people: People, erp: SandboxProcess, hold: Callable[[Grant, People], None], stage: str
) -> None:
    prove_accounts()
    one = proposed(planner, reschedule(erp))
    if stage == "approved":
        one = approved(assessed(one), people.ana)
    hold(Grant.objects.get(pk=one.grant_id), people)
    one = committed(assessed(one))
    assert (one.state, erp.ledger()) == (State(stage), [])
    assert one.state_reason
    assert one.ring_at is not None


def test_what_narrows_holds_at_once_and_what_widens_waits_for_a_second_person(
    planner: Planner, people: People
) -> None:
    grant = Grant.objects.get(version=planner.version, name="production_order_reschedule")
    held_by_a_freeze(grant, people)
    asked = grants.unfreeze(grant, by=people.dora, actor=named(people.dora))
    assert Grant.objects.get(pk=grant.pk).frozen_at is not None
    with pytest.raises(Denied):
        widenings.confirm(asked, by=people.dora, actor=named(people.dora))
    widenings.confirm(asked, by=people.ben, actor=named(people.ben))
    assert Grant.objects.get(pk=grant.pk).frozen_at is None


def test_nobody_confirms_their_own_new_role(people: People) -> None:
    asked = roles.set_roles(
        people.ben, [Role.SUPERVISOR, Role.ADMINISTRATOR], by=people.dora, actor=named(people.dora)
    )
    assert isinstance(asked, Widening)
    with pytest.raises(Denied, match="your own roles"):
        widenings.confirm(asked, by=people.ben, actor=named(people.ben))
    widenings.confirm(asked, by=people.ana, actor=named(people.ana))
    assert set(people.ben.groups.values_list("name", flat=True)) == {"supervisor", "administrator"}


def test_sampled_cannot_be_reached_by_anybody(planner: Planner, people: People) -> None:
    grant = Grant.objects.get(version=planner.version, name="production_order_reschedule")
    for by, actor in ((people.dora, named(people.dora)), (None, OPERATOR)):
        with pytest.raises(Refused, match="not available"):
            grants.set_autonomy(
                grant.version,
                kind=grant.kind,
                name=grant.name,
                connection=grant.connection,
                autonomy="sampled",
                by=by,
                actor=actor,
            )
    assert not Grant.objects.filter(autonomy="sampled").exists()
    assert Widening.objects.count() == 0


# Accounts


def test_an_account_that_nobody_probed_commits_nothing(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    one = committed(approved(in_review(planner, reschedule(erp)), people.ana))
    assert (one.state, erp.ledger()) == (State.APPROVED, [])
    assert "has not been probed" in one.state_reason
    prove_accounts()
    assert committed(one).state == State.COMMITTED


def test_a_probe_of_another_login_proves_nothing(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    one = approved(in_review(planner, reschedule(erp)), people.ana)
    Probe.objects.create(
        connection=one.connection,
        purpose=one.transaction_type,
        account="the-old-account",
        sound=True,
        stale_refused=True,
        out_of_scope_refused=True,
        at=Now(),
    )
    one = committed(one)
    assert (one.state, erp.ledger()) == (State.APPROVED, [])


def test_an_account_that_can_do_too_much_commits_nothing_and_opens_one_incident(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    erp.widen("production_order_reschedule", {"sale.write": ["customer"]})
    prove_accounts()
    prove_accounts()
    one = committed(approved(in_review(planner, reschedule(erp)), people.ana))
    assert (one.state, erp.ledger()) == (State.APPROVED, [])
    assert "not fit to write" in one.state_reason
    assert Incident.objects.filter(kind="account").count() == 1
    assert Probe.objects.filter(purpose="production_order_reschedule", sound=True).count() == 0
    assert Probe.objects.filter(purpose="sales_order_promise", sound=True).count() == 1


@pytest.mark.parametrize("lax", ["check_stamps", "check_scopes"])
def test_a_system_that_lets_a_forbidden_write_through_gets_no_commit(
    planner: Planner, people: People, erp: SandboxProcess, lax: str
) -> None:
    erp.configure(**{lax: False})
    prove_accounts()
    before = len(erp.ledger())
    one = committed(approved(in_review(planner, reschedule(erp)), people.ana))
    assert one.state == State.APPROVED
    assert "not fit to write" in one.state_reason
    assert len(erp.ledger()) == before


def test_a_probe_that_breaks_off_proves_nothing(
    planner: Planner, erp: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("integrations.sandbox.connection.SandboxWriter.probe", broken)
    probe.probe_all(actor=WORKER)
    assert {found.sound for found in Probe.objects.all()} == {False}
    del planner, erp


def test_an_account_whose_login_is_refused_is_not_sound_and_says_so(
    planner: Planner, erp: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong password is an answer, not a system that is away: waiting for it would never end."""
    live.drop(PLANT)
    for name in {
        entry.accounts[kind]["secret"] for entry in catalogue.specs().values() for kind in entry.accounts
    }:
        monkeypatch.setenv(name, "not the password")
    probe.probe_all(actor=WORKER)
    live.drop(PLANT)
    assert {found.sound for found in Probe.objects.all()} == {False}
    assert all(found.findings for found in Probe.objects.all())
    del planner, erp


# A system that is away


def test_a_system_that_is_away_keeps_an_approved_proposal_approved(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    one = approved(in_review(planner, reschedule(erp)), people.ana)
    erp.down()
    try:
        one = committed(one)
    finally:
        erp.up()
    assert (one.state, outcomes(one)) == (State.APPROVED, [])
    assert "does not answer" in one.state_reason
    assert committed(one).state == State.COMMITTED


def test_a_connection_lost_at_the_door_is_nothing_sent_whatever_the_class(
    planner: Planner, people: People, erp: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove_accounts()
    one = approved(in_review(planner, purchase(erp), "purchase_order_create"), people.ana, people.ben)

    def refused(*_: object, **__: object) -> None:
        raise Unavailable("The connection was refused.")

    with monkeypatch.context() as patch:
        patch.setattr("integrations.sandbox.client.Erp.post", refused)
        one = committed(one)
    assert (one.state, outcomes(one)) == (State.APPROVED, ["not_sent"])
    assert story(one)[-1] == "commit.away"
    one = committed(one)
    assert (one.state, outcomes(one)) == (State.COMMITTED, ["not_sent", "answered"])
    assert len(erp.effects(one.ref)) == 1


def test_a_bug_in_an_adapter_is_told_and_tried_again_and_nothing_is_lost(
    planner: Planner, people: People, erp: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove_accounts()

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret-token-in-a-message")

    one = proposed(planner, reschedule(erp))
    with monkeypatch.context() as patch:
        patch.setattr("integrations.sandbox.connection.SandboxReader.snapshot", broken)
        one = assessed(one)
    assert (one.state, one.state_reason) == (
        State.RECEIVED,
        "It could not be judged (ZeroDivisionError); it is tried again.",
    )
    one = approved(assessed(one), people.ana)
    with monkeypatch.context() as patch:
        patch.setattr("integrations.sandbox.connection.SandboxReader.snapshot", broken)
        one = committed(one)
    assert one.state == State.APPROVED
    with monkeypatch.context() as patch:
        patch.setattr("integrations.sandbox.connection.SandboxWriter._send", broken)
        one = committed(one)
    assert (one.state, outcomes(one)) == (State.COMMITTING, ["in_doubt"])
    assert "secret-token" not in "".join(AuditEntry.objects.values_list("body", flat=True))


def test_an_adapter_that_refuses_by_itself_ends_it_instead_of_trying_for_ever(
    planner: Planner, people: People, erp: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove_accounts()
    payload = purchase(erp)
    one = approved(in_review(planner, payload, "purchase_order_create"), people.ana, people.ben)

    def without_stamps(attempt: Attempt, steps: Any, _stamps: Any, *, actor: Actor) -> Proposal:
        return send(attempt, steps, {}, actor=actor)

    monkeypatch.setattr("console.lifecycle.commit.send", without_stamps)
    one = committed(one)
    assert one.state == State.COMMIT_FAILED
    assert "refused before anything was sent" in one.state_reason
    assert Proposal.objects.get().attempts.count() == 1
