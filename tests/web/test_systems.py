"""Systems: what is said of a connection, switching it, and the test that proves its accounts."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from console.audit import WORKER
from console.lifecycle import probe
from console.models import Connection, Probe, Widening
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
