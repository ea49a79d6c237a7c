"""A reading from a standby of the ERP's database goes into a decision: it is shown with its age, and it has to hold."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from console.models import AuditEntry, Reading
from integrations.contract import Quality
from integrations.replica.adapter import ADAPTER
from integrations.scan import read_tools
from tests import cast
from tests.cast import People
from tests.integrations.tryton import orders
from tests.journeys.house import WAIT_SECONDS, Street, house
from tests.journeys.scene import Scene, open_scene
from tests.journeys.test_on_tryton import RESCHEDULE, dates_in_tryton, next_dates
from tests.rigs.standby import Standby
from tests.tryton import TrytonServer

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
    pytest.mark.xdist_group("tryton"),
]

REPLICA, TITLE = "replica", "Tryton's replica"
STALE_AFTER = 8


@pytest.fixture
def plant_with_replica(
    street: Street,
    tryton: TrytonServer,
    standby: Standby,
    people: People,
    browser: Browser,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    """A day at the plant whose agent reads through the standby, held to Tryton itself, and writes through Tryton."""
    live, secrets = tryton.settings()
    replica, more = standby.settings(stale_after=STALE_AFTER)
    replica["cross_checks"] = {"production_order": {"with": "tryton"}}
    entries = {"tryton": live, REPLICA: replica}
    running = street.at(
        "replica", lambda: house(tmp_path_factory.mktemp("house"), entries, {**secrets, **more})
    )
    with (
        standby.beating(),
        contextlib.contextmanager(open_scene)(
            running, people, browser, "tryton", "tryton", "Tryton"
        ) as scene,
    ):
        beside = cast.connection(REPLICA, "tryton", TITLE)
        for name in read_tools():
            cast.grant(scene.planner.version, "tool", name, beside)
        yield scene


def until_stale(standby: Standby) -> None:
    """Wait until what the standby serves is too old to rest on."""
    tool = read_tools()["order_status_exceptions"]
    deadline = time.monotonic() + WAIT_SECONDS
    options = {**standby.options, "stale_after": STALE_AFTER}
    with contextlib.closing(ADAPTER.reader(options, standby.account)) as reader:
        while reader.read(tool, tool.arguments()).quality is not Quality.STALE:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_a_reading_from_the_standby_is_shown_with_its_age_and_the_change_is_made_in_the_erp(
    plant_with_replica: Scene, tryton: TrytonServer, standby: Standby
) -> None:
    scene = plant_with_replica
    late = orders.production(tryton, start=-6)
    standby.catch_up()
    trouble = scene.agent.read("order_status_exceptions", REPLICA, problem="late", limit=200)
    assert str(late) in {one["key"] for one in trouble["value"]["exceptions"]}
    read = scene.agent.read("production_order", REPLICA, order=str(late))
    assert (read["source"], read["quality"]) == ("PostgreSQL standby of Tryton 8.2", "good")
    assert (read["cross_check"]["connection"], read["cross_check"]["agrees"]) == ("Tryton", True)
    wanted = next_dates(late)
    ref = scene.agent.propose(
        RESCHEDULE, wanted, connection="tryton", readings=[trouble["reading"], read["reading"]]
    )
    seen = scene.agent.follow(ref, "in_review")
    (first, second) = seen["assessment"]["readings"]
    assert (first["again"], second["again"], second["quality"]) == (True, True, "good")
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    ana.sees("What the agent read", TITLE, "PostgreSQL standby of Tryton 8.2", "as of", "Read again", "good")
    ana.sees("Cross-check with Tryton", "both say the same", read["reading"])
    ana.approve()
    scene.agent.follow(ref, "committed")
    start, finish, _ = dates_in_tryton(tryton, str(late))
    assert (start, finish) == (wanted["planned_start"], wanted["planned_finish"])


def test_what_the_standby_cannot_vouch_for_any_more_holds_the_commit_until_it_can(
    plant_with_replica: Scene, tryton: TrytonServer, standby: Standby
) -> None:
    scene = plant_with_replica
    order = orders.production(tryton)
    standby.catch_up()
    read = scene.agent.read("production_order", REPLICA, order=str(order))
    wanted, before = next_dates(order, 17, 20), dates_in_tryton(tryton, str(order))
    ref = scene.agent.propose(RESCHEDULE, wanted, connection="tryton", readings=[read["reading"]])
    scene.agent.follow(ref, "in_review")
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    standby.pause()
    try:
        until_stale(standby)
        ana.approve()
        ana.open(ref)
        ana.sees("It waits and nothing was sent", "heartbeat of its primary")
        ana.sees_state("Approved")
        assert dates_in_tryton(tryton, str(order)) == before
    finally:
        standby.resume()
    scene.agent.follow(ref, "committed")
    ana.sees_state("Committed")
    assert dates_in_tryton(tryton, str(order))[:2] == (wanted["planned_start"], wanted["planned_finish"])
    assert standby.account.secret not in scene.house.said()
    kept = [*Reading.objects.values_list("answer", "text", "remark"), *AuditEntry.objects.values_list("body")]
    assert standby.account.secret not in str(kept)


def test_two_sources_that_disagree_stop_the_proposal_and_are_both_named(
    plant_with_replica: Scene, tryton: TrytonServer, standby: Standby
) -> None:
    scene = plant_with_replica
    order = orders.production(tryton)
    standby.catch_up()
    standby.pause()
    try:
        moved = orders.working_day(40)
        tryton.admin.call("production", "write", [order], {"planned_date": moved}, writes=True)
        read = scene.agent.read("production_order", REPLICA, order=str(order))
        assert read["quality"] == "uncertain"
        assert [one["field"] for one in read["cross_check"]["differences"]] == ["planned_finish"]
        ref = scene.agent.propose(
            RESCHEDULE, next_dates(order, 17, 20), connection="tryton", readings=[read["reading"]]
        )
        scene.agent.follow(ref, "refused")
    finally:
        standby.resume()
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    ana.sees_state("Refused")
    ana.sees(TITLE, "disagree", "planned finish", moved.isoformat(), "nothing is decided on either")
