"""The vendors' adapters in the whole corridor, over our own stand-ins: what is sound commits, the rest is held.

It shows that the adapters fit the console. What the vendors' systems do, it cannot show.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django.conf import LazySettings

from console.audit import WORKER
from console.lifecycle import readback, reconcile
from console.models import Connection, Incident, Probe, State
from integrations.contract import Account
from integrations.netsuite.client import TOKEN_PATH
from tests.cast import PLANT, People, Planner, use_connections
from tests.lifecycle.corridor import (
    approved,
    assessed,
    committed,
    fresh,
    in_review,
    outcomes,
    proposed,
    prove_accounts,
)
from tests.rigs import netsuite_subject
from tests.rigs.epicor import READING, WRITING, Kinetic, Known
from tests.rigs.netsuite import NetSuite
from tests.rigs.netsuite_subject import CLIENTS, ROLES, Rig, public
from tests.rigs.oauth2 import token_server
from tests.rigs.shapes import working_day

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
    pytest.mark.usefixtures("plant"),
]
CHANGE = "purchase_order_line_change"


def connect(
    name: str,
    options: Mapping[str, Any],
    reader: Account,
    writers: Mapping[str, Account],
    settings: LazySettings,
    patch: pytest.MonkeyPatch,
) -> None:
    """Put an adapter behind the connection "plant"."""
    accounts = {"reader": reader, **writers}
    secrets = {f"VENDOR_{purpose.upper()}": one.secret for purpose, one in accounts.items()}
    told = {
        purpose: {"login": one.login, "secret": f"VENDOR_{purpose.upper()}"}
        for purpose, one in accounts.items()
    }
    entry = {
        "adapter": f"integrations.{name}.adapter",
        "title": "Plant",
        "isa95_level": 4,
        "options": dict(options),
        "reader": told.pop("reader"),
        "writers": told,
    }
    use_connections(settings, patch, {PLANT: entry}, secrets)
    Connection.objects.filter(name=PLANT).update(adapter=entry["adapter"], verified="")


@pytest.fixture
def kinetic(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kinetic]:
    users = {"cs-reader": Known("one", "key-one", READING), "cs-lines": Known("two", "key-two", WRITING)}
    with Kinetic(users) as system:
        accounts = {
            user: Account(user, json.dumps({"password": known.password, "api_key": known.api_key}))
            for user, known in users.items()
        }
        options = {"url": f"{system.url}/instance", "companies": ["EPIC06"]}
        writers = {CHANGE: accounts["cs-lines"]}
        connect("epicor", options, accounts["cs-reader"], writers, settings, monkeypatch)
        yield system


@pytest.fixture
def netsuite(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    clients = {
        client: {"public_key": public("rsa" if client == "client-reader" else "ec")} for client in CLIENTS
    }
    people = {client: (employee, frozenset(ROLES.get(client, ()))) for client, employee in CLIENTS.items()}
    with token_server(clients, path=TOKEN_PATH) as tokens, NetSuite(people, tokens.keys()) as system:
        rig = Rig(system, tokens)
        subject = rig.subject()
        connect("netsuite", rig.options(), subject.reader, subject.writers, settings, monkeypatch)
        yield rig


def line_change(**changed: Any) -> dict[str, Any]:
    """A change of one line of the stand-in's first order."""
    return {
        "order": "EPIC06/1001",
        "line": "1",
        "quantity": {"value": "60", "unit": "EA"},
        "delivery_date": working_day(25),
        **changed,
    }


def test_a_change_on_kinetic_is_approved_committed_and_explained(
    planner: Planner, people: People, kinetic: Kinetic
) -> None:
    prove_accounts()
    reconcile.reconcile(actor=WORKER)
    one = committed(approved(in_review(planner, line_change(), CHANGE), people.ana))
    assert (one.state, outcomes(one)) == (State.COMMITTED, ["answered"])
    assert kinetic.effects == [("cs-lines", "EPIC06/1001")]
    assert kinetic.orders["EPIC06", 1001]["PODetail"][0]["OrderQty"] == 60
    # Kinetic's own log shows the write, and it is known whose it was.
    assert reconcile.reconcile(actor=WORKER) == []


def test_a_lost_answer_of_kinetic_is_found_and_sent_once(
    planner: Planner, people: People, kinetic: Kinetic
) -> None:
    prove_accounts()
    ready = approved(in_review(planner, line_change(), CHANGE), people.ana)
    kinetic.lose = lambda asked: asked.path.endswith("POSvc/Update")
    one = committed(ready)
    readback.read_back(fresh(one), actor=WORKER)
    assert fresh(one).state == State.COMMITTED
    assert outcomes(one) == ["in_doubt"]
    assert kinetic.effects == [("cs-lines", "EPIC06/1001")]


def test_a_line_that_moved_since_it_was_approved_is_assessed_again(
    planner: Planner, people: People, kinetic: Kinetic
) -> None:
    prove_accounts()
    ready = approved(in_review(planner, line_change(), CHANGE), people.ana)
    kinetic.touch("EPIC06", 1001, 1)
    assert committed(ready).state == State.RECEIVED
    assert kinetic.effects == []


def test_an_order_that_is_not_there_is_refused_with_kinetics_words(
    planner: Planner, kinetic: Kinetic
) -> None:
    one = assessed(proposed(planner, line_change(order="EPIC06/4711"), CHANGE))
    assert one.state == State.REFUSED
    assert "Record not found" in one.state_reason
    assert kinetic.effects == []


def test_a_new_order_on_netsuite_is_made_by_an_account_that_may_only_create(
    planner: Planner, people: People, netsuite: Rig
) -> None:
    prove_accounts()
    payload = dict(netsuite.payload("purchase_order_create"))
    one = committed(approved(in_review(planner, payload, "purchase_order_create"), people.ana, people.ben))
    assert one.state == State.COMMITTED, one.state_reason
    (made,) = [order for order in netsuite.system.orders.values() if order["externalId"] == one.ref]
    assert made["memo"] == payload["note"]


def test_a_change_on_netsuite_is_held_because_nothing_there_refuses_a_stale_write(
    planner: Planner, people: People, netsuite: Rig
) -> None:
    prove_accounts()
    payload = dict(netsuite.payload("production_order_reschedule"))
    one = committed(approved(in_review(planner, payload), people.ana))
    assert one.state == State.APPROVED
    assert "not fit to write" in one.state_reason
    assert netsuite.system.effects == []
    probe = Probe.objects.get(purpose="production_order_reschedule")
    assert (probe.sound, probe.stale_refused, probe.out_of_scope_refused) == (False, None, True)
    assert Incident.objects.filter(kind="account").exists()
    secret = json.loads(netsuite_subject.account("client-production_order_reschedule").secret)
    assert secret["private_key"] not in f"{one.state_reason} {probe.findings}"
