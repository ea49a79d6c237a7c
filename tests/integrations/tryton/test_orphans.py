"""Orphan writes on a real Tryton: its own log tells of an account used behind the console's back, and only of that."""

from __future__ import annotations

import json

import pytest
from django.conf import LazySettings

from console import connections
from console.audit import OPERATOR, WORKER
from console.lifecycle.reconcile import reconcile
from console.models import AuditEntry, Connection, Incident, State
from console.registry.connections import mirror
from integrations.contract import OutOfScope
from integrations.tryton.client import Client
from tests import cast
from tests.cast import People, Planner
from tests.integrations.tryton import orders
from tests.integrations.tryton.test_tryton_conformance import WAYS, payload
from tests.lifecycle.corridor import approved, committed, in_review, prove_accounts
from tests.tryton import TrytonServer

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])
ERP = "erp"
RESCHEDULE = "production_order_reschedule"


@pytest.fixture
def at_work(
    people: People, tryton: TrytonServer, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> Planner:
    """An agent with every grant on Tryton, every account proven, every log looked at once."""
    entry, secrets = tryton.settings()
    cast.use_connections(settings, monkeypatch, {ERP: entry}, secrets)
    mirror(actor=OPERATOR)
    one = cast.version(cast.agent(people.oskar))
    for name in entry["writers"]:
        cast.grant(one, "type", name, Connection.objects.get(name=ERP))
    prove_accounts()
    assert reconcile(actor=WORKER) == []
    return Planner(agent=one.agent, version=one, key=cast.key(one))


def test_nothing_that_was_countersigned_is_a_false_alarm_in_any_way_it_can_be_written(
    people: People, at_work: Planner, tryton: TrytonServer
) -> None:
    for type_name, state in WAYS:
        waiting = in_review(at_work, payload(tryton, type_name, state), type_name)
        agreed = approved(waiting, people.ana)
        if agreed.state == State.IN_REVIEW:
            agreed = approved(waiting, people.ben)
        ended = committed(agreed)
        assert ended.state == State.COMMITTED, (type_name, state, ended.state_reason)
    assert reconcile(actor=WORKER) == []
    assert not Incident.objects.exists()


def test_a_change_with_a_service_account_behind_the_consoles_back_is_an_incident(
    at_work: Planner, tryton: TrytonServer
) -> None:
    del at_work
    number = orders.production(tryton)
    account = tryton.accounts[RESCHEDULE]
    with Client(tryton.url, tryton.database, account.login, account.secret) as behind:
        day = orders.working_day(21)
        behind.call("production", "write", [number], {"planned_date": day}, writes=True)
    found = reconcile(actor=WORKER)
    assert {(one.record, one.event, one.account) for one in found} == {
        (f"production,{number}", "write", account.login)
    }
    incident = Incident.objects.get()
    assert incident.connection is not None
    assert incident.connection.name == ERP
    assert f"production,{number}" in incident.title
    assert account.login in incident.title
    told = json.loads(AuditEntry.objects.get(verb="incident.open").body)["detail"]
    assert told["writes"][0]["at"] == found[0].at.isoformat()
    assert account.secret not in json.dumps(told)
    assert reconcile(actor=WORKER) == [], "it is told once"
    assert Incident.objects.count() == 1


def test_an_order_made_behind_the_consoles_back_is_an_incident_with_its_lines(
    at_work: Planner, tryton: TrytonServer
) -> None:
    del at_work
    account = tryton.accounts["purchase_order_create"]
    supplier = tryton.find("party.party", ("name", "=", "Skogen Timber"))["id"]
    with Client(tryton.url, tryton.database, account.login, account.secret) as behind:
        (made,) = behind.call(
            "purchase.purchase", "create", [{"party": supplier, "reference": "aside"}], writes=True
        )
    found = reconcile(actor=WORKER)
    assert f"purchase.purchase,{made}" in {one.record for one in found}
    assert {one.purpose for one in found} == {"purchase_order_create"}


def test_what_people_do_in_tryton_is_no_incident(at_work: Planner, tryton: TrytonServer) -> None:
    del at_work
    orders.production(tryton)
    orders.purchase(tryton)
    assert reconcile(actor=WORKER) == []


def test_what_an_account_is_refused_leaves_no_trace(at_work: Planner, tryton: TrytonServer) -> None:
    del at_work
    account = tryton.accounts[RESCHEDULE]
    number = orders.sale(tryton)
    with (
        Client(tryton.url, tryton.database, account.login, account.secret) as behind,
        pytest.raises(OutOfScope),
    ):
        behind.call("sale.sale", "write", [number], {"shipping_date": orders.working_day(9)}, writes=True)
    assert reconcile(actor=WORKER) == []
    connections.drop(ERP)
