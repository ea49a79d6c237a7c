"""What an agent's builder is told before there is an agent: which path carries what, with which guarantee."""

from __future__ import annotations

import datetime as dt

import pytest
from django.conf import LazySettings
from django.utils import timezone

from console.audit import OPERATOR
from console.catalogue import read_tools, transaction_types
from console.lifecycle import by_hand
from console.models import Connection, Proposal
from console.registry.connections import mirror
from integrations.sandbox.adapter import ADAPTER as SANDBOX
from tests import cast
from tests.api.conftest import Caller, told
from tests.cast import People, Planner
from tests.lifecycle.corridor import approved, assessed, committed, fresh, shown

pytestmark = pytest.mark.django_db


def test_every_type_and_tool_is_there_with_its_ways_whatever_is_granted(
    call: Caller, planner: Planner
) -> None:
    planner.version.grants.all().delete()
    found = told(call("GET", "capabilities"))
    assert {one["name"] for one in found["transaction_types"]} == set(transaction_types())
    assert {one["name"] for one in found["read_tools"]} == set(read_tools())
    for card in found["transaction_types"]:
        connected = [way for way in card["ways"] if way["connection"]]
        assert [way["connection"] for way in connected] == (
            ["plant"] if card["name"] in SANDBOX.types else []
        )
        for way in connected:
            assert way["guarantee"] == SANDBOX.types[card["name"]].effect.value
            assert way["ready"] is True
        assert all(way["means"] for way in card["ways"])
    assert all(way["guarantee"] is None for card in found["read_tools"] for way in card["ways"])


def test_what_is_not_connected_or_switched_off_says_what_it_lacks(call: Caller) -> None:
    Connection.objects.update(enabled=False)
    found = told(call("GET", "capabilities"))
    [card] = [one for one in found["transaction_types"] if one["name"] == "purchase_order_create"]
    lacks = {way["connection"] or way["adapter"]: way["lacks"] for way in card["ways"]}
    assert lacks["plant"] == "it is switched off"
    assert lacks["tryton"] == "not connected"
    assert not any(way["ready"] for way in card["ways"])


def test_it_tells_no_account_no_address_and_no_secret(call: Caller, settings: LazySettings) -> None:
    text = call("GET", "capabilities").content.decode()
    entry = settings.CONNECTIONS["plant"]
    assert entry["options"]["url"] not in text
    assert "PLANT_SECRET" not in text
    assert '"login"' not in text


def test_a_stranger_is_told_nothing(call: Caller) -> None:
    assert call("GET", "capabilities", key="cs_none").status_code == 401


def test_an_agent_follows_a_task_without_learning_who_did_it(
    call: Caller,
    planner: Planner,
    people: People,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry = {"adapter": "integrations.by_hand.adapter", "system": "floor", "title": "Shop floor"}
    cast.use_connections(settings, monkeypatch, {**settings.CONNECTIONS, "floor": entry}, {})
    mirror(actor=OPERATOR)
    cast.grant(planner.version, "type", "floor_task", Connection.objects.get(name="floor"))
    [card] = [one for one in told(call("GET", "tools"))["transaction_types"] if one["name"] == "floor_task"]
    assert card["connections"][0]["effect"] == "by hand"
    due = (timezone.now() + dt.timedelta(days=3)).date().isoformat()
    sent = {**card["call"]["body"], "payload": {**card["sample"], "due": due}}
    ref = told(call("POST", "proposals", sent, {"Idempotency-Key": "floor-1"}))["ref"]
    proposal = approved(assessed(Proposal.objects.get(ref=ref)), people.ana)
    assert told(call("GET", f"proposals/{ref}"))["task"] is None
    committed(proposal)
    waiting = told(call("GET", f"proposals/{ref}"))
    assert (waiting["state"], waiting["task"]["said"]) == ("awaiting_person", None)
    assert waiting["task"]["until"] > due
    by_hand.confirm(
        fresh(proposal),
        by=people.ben,
        answer="not_done",
        note="The bander is in pieces.",
        seen=shown(proposal).digest,
        actor=OPERATOR,
    )
    ended = told(call("GET", f"proposals/{ref}"))
    assert ended["state"] == "commit_failed"
    assert (ended["task"]["said"], ended["task"]["note"]) == ("not_done", "The bander is in pieces.")
    assert "Okafor" not in str(ended)
