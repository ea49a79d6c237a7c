"""The read corridor: every call that goes out is a reading, every refusal is on record."""

import json
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection as database
from django.db import transaction
from django.db.utils import DatabaseError

from console import catalogue
from console.canonical import digest
from console.errors import Denied, Held, Missing, Refused
from console.models import AuditEntry, Connection, KillSwitch, Reading
from console.reads import read
from integrations.contract import AdapterError, InDoubt, OutOfScope, Rejected, Unavailable, Unsupported
from tests.cast import PLANT, People, Planner, person, use_connections
from tests.sandbox import SandboxProcess

pytestmark = pytest.mark.django_db


def ask(planner: Planner, tool: str, connection: str = "", **arguments: Any) -> read.Read:
    """Read as the planner."""
    body = {"arguments": arguments} | ({"connection": connection} if connection else {})
    return read.read(planner.version, tool, raw=json.dumps(body).encode(), actor=planner.actor)


def test_an_answer_is_recorded_with_who_what_when_and_its_digest(
    planner: Planner, erp: SandboxProcess
) -> None:
    order = erp.find("production", state="draft")
    made = ask(planner, "production_order", order=order["key"])
    stored = Reading.objects.get(ref=made.ref)
    assert stored.agent_version == planner.version
    assert stored.key_id == planner.key.split("_")[1]
    assert (stored.tool, stored.tool_version, stored.connection.name) == ("production_order", 1, "plant")
    assert stored.arguments == {"order": order["key"]}
    assert stored.outcome == "answered"
    assert stored.answer == made.answer.value
    assert stored.digest == digest(stored.answer)
    assert stored.as_of == made.answer.as_of
    assert stored.quality == "good"
    assert stored.source


def test_every_tool_answers_what_its_schema_says(planner: Planner, erp: SandboxProcess) -> None:
    arguments = {
        "order_status_exceptions": {},
        "production_order": {"order": erp.find("production", state="draft")["key"]},
        "purchase_order": {"order": erp.find("purchase", state="draft")["key"]},
        "sales_order": {"order": erp.find("sale", state="confirmed")["key"]},
        "stock_by_product": {"product": erp.find("product")["key"]},
        "supplier": {"supplier": erp.find("supplier")["key"]},
    }
    assert set(arguments) == catalogue.spec(PLANT).adapter.tools
    for name, asked in arguments.items():
        made = ask(planner, name, **asked)
        catalogue.read_tools()[name].answer.model_validate_json(json.dumps(made.answer.value))


def test_a_system_that_is_away_is_recorded_and_told(planner: Planner) -> None:
    with pytest.raises(Unavailable):
        ask(planner, "order_status_exceptions")
    stored = Reading.objects.get()
    assert (stored.outcome, stored.answer, stored.digest) == ("unavailable", None, "")
    assert stored.text
    assert Connection.objects.get().last_error


def test_a_system_that_does_not_answer_in_time_is_recorded(
    planner: Planner, erp: SandboxProcess, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, secrets = erp.settings(timeout_ms=200)
    use_connections(settings, monkeypatch, {"plant": entry}, secrets)
    erp.fail("slow", operation="read", seconds=1)
    with pytest.raises(InDoubt):
        ask(planner, "order_status_exceptions")
    stored = Reading.objects.get()
    assert stored.outcome == "in_doubt"
    assert stored.latency_ms >= 200


@pytest.mark.usefixtures("erp")
def test_a_record_that_is_not_there_is_rejected_and_recorded(planner: Planner) -> None:
    with pytest.raises(Rejected):
        ask(planner, "production_order", order="999999")
    assert Reading.objects.get().outcome == "rejected"


@pytest.mark.parametrize(
    ("kind", "fault", "outcome"),
    [
        ("forbidden", OutOfScope, "out_of_scope"),
        ("unauthorised", OutOfScope, "out_of_scope"),
        ("wrong_body", InDoubt, "in_doubt"),
        ("truncated_body", InDoubt, "in_doubt"),
    ],
)
def test_an_answer_that_is_none_is_recorded_as_what_it_is(
    planner: Planner, erp: SandboxProcess, kind: str, fault: type[AdapterError], outcome: str
) -> None:
    erp.fail(kind, operation="read", times=None)
    with pytest.raises(fault):
        ask(planner, "order_status_exceptions")
    assert Reading.objects.get().outcome == outcome


def test_after_the_system_was_away_the_next_read_works(planner: Planner, erp: SandboxProcess) -> None:
    ask(planner, "order_status_exceptions")
    erp.down()
    with pytest.raises((Unavailable, InDoubt)):
        ask(planner, "order_status_exceptions")
    erp.up()
    assert ask(planner, "order_status_exceptions").ref


def test_an_ungranted_tool_is_refused_on_record_and_nobody_is_asked(
    planner: Planner, erp: SandboxProcess
) -> None:
    planner.version.grants.filter(name="supplier").update(autonomy="off")
    with pytest.raises(Denied):
        ask(planner, "supplier", supplier="1")
    entry = AuditEntry.objects.get(verb="read.refused")
    assert json.loads(entry.body)["subject"] == "supplier"
    assert json.loads(entry.body)["actor"]["via"] == planner.key.split("_")[1]
    assert not Reading.objects.exists()
    assert not erp.calls()


def test_a_tool_that_is_nobodys_is_refused_like_one_that_is_not_granted(planner: Planner) -> None:
    with pytest.raises(Denied, match="no grant"):
        ask(planner, "launch_codes")
    with pytest.raises(Missing):
        ask(planner, "../etc/passwd")


def test_a_frozen_grant_holds_reads(planner: Planner) -> None:
    planner.version.grants.update(frozen_at="2026-01-01T00:00:00Z", frozen_reason="Odd reads.")
    with pytest.raises(Held, match="Odd reads"):
        ask(planner, "order_status_exceptions")
    assert AuditEntry.objects.filter(verb="read.refused").count() == 1


@pytest.mark.parametrize(
    ("scope", "value"),
    [("everything", ""), ("system", "sandbox"), ("agent", "planner"), ("type", "order_status_exceptions")],
)
def test_a_kill_switch_stops_reads(planner: Planner, people: People, scope: str, value: str) -> None:
    KillSwitch.objects.create(
        scope=scope, value=value, reason="Stop.", thrown_by=people.ana, thrown_at="2026-01-01T00:00:00Z"
    )
    with pytest.raises(Held, match="Stop"):
        ask(planner, "order_status_exceptions")
    assert not Reading.objects.exists()


def test_wrong_arguments_are_told_all_at_once_and_nobody_is_asked(planner: Planner) -> None:
    with pytest.raises(Refused) as told:
        ask(planner, "order_status_exceptions", kind="weather", limit=0, colour="red")
    assert {one.field for one in told.value.findings} == {
        "arguments.kind",
        "arguments.limit",
        "arguments.colour",
    }
    assert not Reading.objects.exists()


@pytest.mark.usefixtures("erp")
def test_a_connection_that_does_not_carry_the_tool_says_so(
    planner: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = catalogue.spec("plant")
    monkeypatch.setitem(
        catalogue.specs(), "plant", replace(spec, adapter=replace(spec.adapter, tools=frozenset()))
    )
    with pytest.raises(Unsupported):
        ask(planner, "order_status_exceptions")
    assert Reading.objects.get().outcome == "unsupported"


@pytest.mark.usefixtures("erp")
def test_a_reading_cannot_be_changed_or_removed(planner: Planner) -> None:
    ask(planner, "order_status_exceptions")
    for statement in ("UPDATE console_reading SET tool = 'x'", "DELETE FROM console_reading"):
        with pytest.raises(DatabaseError), transaction.atomic(), database.cursor() as cursor:
            cursor.execute(statement)


def test_a_secret_of_a_connection_is_in_no_reading_and_no_error(
    planner: Planner, erp: SandboxProcess
) -> None:
    erp.fail("unauthorised", operation="read", times=None)
    with pytest.raises(AdapterError) as told:
        ask(planner, "order_status_exceptions")
    stored = Reading.objects.get()
    for secret in erp.accounts.values():
        assert secret not in told.value.text + stored.text + json.dumps(dict(told.value.evidence))


@pytest.mark.usefixtures("erp")
def test_a_person_with_a_role_may_look_and_one_without_may_not(people: People) -> None:
    plant = Connection.objects.get()
    found = read.show(people.cleo, "order_status_exceptions", {}, connection=plant)
    assert found.value["exceptions"]
    with pytest.raises(Denied):
        read.show(person("guest"), "order_status_exceptions", {}, connection=plant)
    assert not Reading.objects.exists()
