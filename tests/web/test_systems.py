"""Systems: what is said of a connection, switching it, and the test that proves its accounts."""

from __future__ import annotations

import time
from collections.abc import Callable
from io import StringIO

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from console.audit import WORKER
from console.lifecycle import probe
from console.lifecycle.reconcile import reconcile
from console.models import Connection, Probe, Widening
from console.registry.capabilities import STRENGTH, capabilities, switches
from integrations.connect import adapter
from integrations.contract import EffectClass
from tests import cast
from tests.cast import People
from tests.sandbox import SandboxProcess

SignIn = Callable[[User], Client]


@pytest.mark.django_db
def test_an_account_that_was_never_tested_writes_nothing_and_says_so(
    people: People, plant: Connection, signed_in: SignIn
) -> None:
    del plant
    page = signed_in(people.cleo).get("/systems/plant/").content.decode()
    assert "not tested yet: writes nothing" in page
    assert "ISA-95 level 4" in page
    assert "guarded" in page
    assert "<form" not in page.split("<main")[1]


@pytest.mark.django_db
def test_a_sound_account_and_one_that_can_do_too_much_are_told_apart(
    people: People, erp: SandboxProcess, signed_in: SignIn
) -> None:
    erp.widen("sales_order_promise", {"sale.write": ["customer"]})
    probe.probe_all(actor=WORKER)
    page = signed_in(people.cleo).get("/systems/plant/").content.decode()
    assert page.count("sound</span>") == Probe.objects.filter(sound=True).count() > 0
    assert page.count("writes nothing</span>") == 1
    assert "It may also:" in page
    assert "is not fit to write" in page


@pytest.mark.django_db
def test_switching_off_holds_at_once_and_on_again_takes_two(
    people: People, plant: Connection, signed_in: SignIn
) -> None:
    dora = signed_in(people.dora)
    assert dora.post("/systems/plant/disable", {"reason": " "}).status_code == 422
    dora.post("/systems/plant/disable", {"reason": "moving house"})
    plant.refresh_from_db()
    assert not plant.enabled
    dora.post("/systems/plant/enable")
    plant.refresh_from_db()
    assert not plant.enabled
    signed_in(people.ana).post(f"/administration/widenings/{Widening.objects.get().pk}/confirm")
    plant.refresh_from_db()
    assert plant.enabled


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_a_test_is_done_by_a_worker_and_the_page_follows_it(
    people: People, erp: SandboxProcess, worker: Callable[..., object], signed_in: SignIn
) -> None:
    del erp
    dora = signed_in(people.dora)
    answer = dora.post("/systems/plant/test")
    assert "tested=" in answer["Location"]
    page = dora.get(answer["Location"], headers={"HX-Request": "true"}).content.decode()
    assert "every 2s" in page
    worker()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        page = dora.get(answer["Location"], headers={"HX-Request": "true"}).content.decode()
        if "every 2s" not in page:
            break
        time.sleep(0.2)
    assert "accounts answered" in page
    assert "sound" in page


@pytest.mark.django_db
def test_a_connection_that_was_not_verified_says_so(
    people: People, plant: Connection, signed_in: SignIn
) -> None:
    Connection.objects.filter(pk=plant.pk).update(verified="")
    assert "not verified against a vendor system" in signed_in(people.cleo).get("/systems/").content.decode()


@pytest.mark.django_db
def test_what_an_account_was_refused_is_said_of_each(
    people: People, erp: SandboxProcess, signed_in: SignIn
) -> None:
    del erp
    probe.probe_all(actor=WORKER)
    reconcile(actor=WORKER)
    page = signed_in(people.cleo).get("/systems/plant/").content.decode()
    proven = Probe.objects.filter(sound=True).count()
    assert page.count("A stale write was refused.") == proven
    assert page.count("A write beyond its scope was refused.") == proven
    assert page.count("It may do no more than this transaction type needs.") == proven
    assert page.count("Its change log was compared") == proven
    listed = signed_in(people.cleo).get("/systems/").content.decode()
    assert f"{proven}, each proven to be refused what it must be" in listed


@pytest.mark.django_db
def test_a_change_log_that_cannot_be_read_says_so_on_the_connections_page(
    people: People, erp: SandboxProcess, signed_in: SignIn
) -> None:
    reconcile(actor=WORKER)
    erp.down()
    reconcile(actor=WORKER)
    erp.up()
    assert "Its change log has not been compared since" in (
        signed_in(people.cleo).get("/systems/plant/").content.decode()
    )


@pytest.mark.django_db
def test_one_connection_is_tested_alone_and_the_page_says_how_fast_it_answers(
    people: People, erp: SandboxProcess, signed_in: SignIn
) -> None:
    del erp
    assert probe.test("plant", actor=WORKER)
    plant = Connection.objects.get(name="plant")
    assert plant.latency_ms is not None
    page = signed_in(people.dora).get("/systems/plant/?tested=2026-01-01T00:00:00Z").content.decode()
    assert f"It answers in {plant.latency_ms} ms." in page
    assert probe.test("nowhere", actor=WORKER) == []


@pytest.mark.django_db
def test_a_test_of_a_system_that_is_away_says_what_is_wrong_and_leaves_the_proofs(
    people: People, plant: Connection, signed_in: SignIn
) -> None:
    assert probe.test("plant", actor=WORKER) == []
    plant.refresh_from_db()
    assert plant.last_error
    page = signed_in(people.dora).get("/systems/plant/?tested=2026-01-01T00:00:00Z").content.decode()
    assert "It does not answer as it should:" in page
    assert not Probe.objects.exists()


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_the_command_says_of_a_connection_that_it_is_switched_off(plant: Connection) -> None:
    Connection.objects.filter(pk=plant.pk).update(enabled=False)
    said = StringIO()
    call_command("probe", "--wait", "0", stdout=said)
    lines = said.getvalue().splitlines()
    assert lines
    assert all("switched off: not tried, and nothing is written" in line for line in lines)


@pytest.mark.django_db
def test_capabilities_tell_of_every_path_also_of_those_that_are_not_connected(
    people: People, plant: Connection, signed_in: SignIn
) -> None:
    client = signed_in(people.cleo)
    page = client.get("/capabilities/").content.decode()
    for one in capabilities(switches()):
        assert f'id="{one.name}"' in page
        for way in one.ways:
            assert way.path in page
    assert "not verified against a vendor system" in page
    assert "cannot carry" in page
    assert "no connection carries it" in page
    Connection.objects.filter(pk=plant.pk).update(enabled=False)
    assert "it is switched off" in client.get("/capabilities/").content.decode()


def test_the_strongest_guarantee_that_is_ready_comes_first(plant: Connection) -> None:
    del plant
    order = [one.value for one in STRENGTH]
    for one in capabilities(switches()):
        for ways in (one.connected, one.possible):
            ranks = [order.index(way.guarantee) for way in ways if way.guarantee]
            assert ranks == sorted(ranks)


@pytest.mark.parametrize("name", ["netsuite", "infor_m3"])
def test_a_change_that_a_system_cannot_guard_is_said_to_be_not_available_before_an_agent_is_built(
    name: str,
    people: People,
    plant: Connection,
    signed_in: SignIn,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shipped = adapter(f"integrations.{name}.adapter")
    for connected in (False, True):
        if connected:
            entry = {
                **settings.CONNECTIONS["plant"],
                "adapter": f"integrations.{name}.adapter",
                "writers": {kind: {"login": kind, "secret": "PLANT_SECRET"} for kind in shipped.types},
            }
            cast.use_connections(settings, monkeypatch, {"plant": entry}, {"PLANT_SECRET": "away"})
        ways = {
            (one.name, way.connection): way
            for one in capabilities(switches())
            for way in one.ways
            if way.adapter == name
        }
        place = "plant" if connected else ""
        assert {kind for kind, where in ways if where == place} >= set(shipped.types)
        for kind in shipped.types:
            way = ways[kind, place]
            guarded = shipped.types[kind].effect is not EffectClass.READ_BACK_ONLY
            assert guarded == (not way.closed)
            assert way.ready == (connected and guarded)
            if not guarded:
                assert way.lacks == "not available on this system"
                assert "nothing is committed" in way.closed
    said = StringIO()
    call_command("capabilities", "production_order_reschedule", stdout=said)
    assert "not available on this system: N" in said.getvalue()
    client = signed_in(people.cleo)
    for kind, carried in shipped.types.items():
        told = client.get(f"/types/{kind}/").content.decode()
        assert ("not available" in told) == (carried.effect is EffectClass.READ_BACK_ONLY)
    for page in ("/capabilities/", f"/systems/{plant.name}/"):
        assert "cannot refuse a write to a record that somebody else has changed" in " ".join(
            client.get(page).content.decode().split()
        )


def test_a_read_tool_that_a_system_cannot_answer_honestly_says_why(people: People, signed_in: SignIn) -> None:
    [tool] = [one for one in capabilities(switches()) if one.name == "order_status_exceptions"]
    [sap] = [way for way in tool.ways if way.adapter == "sap"]
    assert (sap.ready, sap.lacks) == (False, "not available on this system")
    assert "no stock" in signed_in(people.cleo).get("/capabilities/").content.decode()
