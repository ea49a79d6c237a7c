"""What a listener heard, as rows and as readings. The clocks and ages here are the database's, moved in its rows."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from console import catalogue
from console.catalogue import read_tool
from console.models import Connection, Listening, Sample, System
from console.reads.listen import KEEP, Board, Heard, answer, forget, write
from integrations.contract import Quality, Reading, Unavailable
from integrations.contract import Sample as Said
from tests.cast import use_connections

pytestmark = pytest.mark.django_db

RUNNING = {
    "order": "17",
    "state": "running",
    "detail": "",
    "good_count": {"value": "12", "unit": "Unit"},
    "started_at": "2026-11-22T06:00:00Z",
    "ended_at": None,
}


@pytest.fixture
def floor(db: None, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:  # noqa: ARG001
    entry = {
        "adapter": "integrations.opcua.adapter",
        "system": "mes",
        "title": "Floor",
        "isa95_level": 3,
        "options": {"url": "opc.tcp://127.0.0.1:9/", "security": "none"},
        "reader": {"login": "floor-reader", "secret": "FLOOR_SECRET"},
    }
    use_connections(settings, monkeypatch, {"floor": entry}, {"FLOOR_SECRET": "quiet"})
    system = System.objects.create(slug="mes", title="MES", level=3)
    yield Connection.objects.create(
        name="floor", title="Floor", system=system, adapter="integrations.opcua.adapter", path="OPC UA"
    )
    catalogue.specs.cache_clear()


def said(**fields: Any) -> Said:
    return Said("job_state", {"order": "17"}, **({"value": RUNNING} | fields))


def tell(*what: Said | str | None) -> None:
    """Write what a board was told: samples, None for a sign of life, a text for a lost session."""
    board = Board(threading.Event())
    for one in what:
        if one is None:
            board.alive()
        elif isinstance(one, str):
            board.lost(one)
        else:
            board.heard(one)
    write("floor", board.take())


def read(floor: Connection) -> Reading:
    tool = read_tool("job_state")
    return answer(floor, tool, tool.arguments.model_validate({"order": "17"}))


def grow_old(seconds: float) -> None:
    past = dt.timedelta(seconds=seconds)
    Sample.objects.update(received_at=F("received_at") - past)
    Listening.objects.update(alive_at=F("alive_at") - past)


def test_there_is_no_value_before_the_first(floor: Connection) -> None:
    with pytest.raises(Unavailable, match="Floor has said no value yet for this and nobody listens on it"):
        read(floor)
    tell(None)
    with pytest.raises(Unavailable, match="has said no value yet"):
        read(floor)


def test_a_reading_has_value_times_and_proof_of_life(floor: Connection) -> None:
    since = timezone.now() - dt.timedelta(hours=3)
    tell(said(source_time=since, server_time=timezone.now()), None)
    got = read(floor)
    assert (got.quality, got.remark, got.value) == (Quality.GOOD, "", RUNNING)
    assert got.source_time == since
    assert got.as_of is not None
    assert timezone.now() - got.as_of < dt.timedelta(minutes=1)


def test_what_is_heard_proves_life_by_itself(floor: Connection) -> None:
    tell("the listener has only begun")
    tell(said())
    assert read(floor).quality is Quality.GOOD


def test_a_value_that_does_not_change_stays_good_while_there_is_life(floor: Connection) -> None:
    tell(said(source_time=timezone.now() - dt.timedelta(days=2)), None)
    grow_old(3600)
    tell(None)
    assert read(floor).quality is Quality.GOOD


def test_without_a_sign_of_life_a_reading_grows_old_whatever_its_value(floor: Connection) -> None:
    tell(said(), None)
    grow_old(299)
    assert read(floor).quality is Quality.GOOD
    grow_old(2)
    got = read(floor)
    assert got.quality is Quality.STALE
    assert got.remark == "the last proof that it holds is 5 min old, more than 5 min"
    assert got.value == RUNNING


def test_a_connection_may_set_its_own_limit(floor: Connection, settings: LazySettings) -> None:
    settings.CONNECTIONS["floor"]["options"]["fresh_for"] = {"job_state": 10}
    catalogue.specs.cache_clear()
    tell(said(), None)
    grow_old(11)
    assert read(floor).quality is Quality.STALE


def test_with_the_session_lost_everything_heard_is_stale_at_once(floor: Connection) -> None:
    tell(said(), None)
    tell("the server closed the session")
    got = read(floor)
    assert got.quality is Quality.STALE
    assert "the server closed the session" in got.remark


def test_after_a_lost_session_a_value_is_good_only_when_heard_again(floor: Connection) -> None:
    tell(said(), None)
    tell("away", None)
    assert read(floor).quality is Quality.STALE
    assert "not heard again since: away" in read(floor).remark
    tell(said(), None)
    assert read(floor).quality is Quality.GOOD


def test_what_was_heard_just_before_the_loss_is_stale_too(floor: Connection) -> None:
    tell(said(), None, "away")
    assert read(floor).quality is Quality.STALE


@pytest.mark.parametrize("which", ["source_time", "server_time"])
def test_a_clock_that_is_ahead_is_not_trusted(floor: Connection, which: str) -> None:
    tell(said(**{which: timezone.now() + dt.timedelta(seconds=60)}), None)
    got = read(floor)
    assert got.quality is Quality.UNCERTAIN
    assert "clock is" in got.remark
    assert "ahead of ours" in got.remark


def test_a_clock_a_little_ahead_is_forgiven(floor: Connection) -> None:
    tell(said(source_time=timezone.now() + dt.timedelta(seconds=2)), None)
    assert read(floor).quality is Quality.GOOD


def test_bad_quality_never_passes_and_keeps_the_last_value(floor: Connection) -> None:
    tell(said(), None)
    tell(said(value=None, quality=Quality.UNCERTAIN, remark="OPC UA says BadNoCommunication"), None)
    got = read(floor)
    assert (got.quality, got.remark) == (Quality.UNCERTAIN, "OPC UA says BadNoCommunication")
    assert got.value == RUNNING


def test_a_passing_value_is_as_old_as_its_own_time_whatever_lives(floor: Connection) -> None:
    tell(said(lasting=False, source_time=timezone.now() - dt.timedelta(minutes=9)), None)
    got = read(floor)
    assert got.quality is Quality.STALE
    tell(said(lasting=False, source_time=timezone.now() - dt.timedelta(minutes=1)), None)
    assert read(floor).quality is Quality.GOOD


def test_only_the_newest_of_a_burst_is_written(floor: Connection) -> None:
    for count in range(50):
        board = Board(threading.Event())
        board.heard(said(value=RUNNING | {"good_count": {"value": str(count), "unit": "Unit"}}))
    write("floor", board.take())
    assert Sample.objects.count() == 1
    assert read(floor).value["good_count"]["value"] == "49"


def test_what_could_not_be_written_is_kept_below_what_came_meanwhile() -> None:
    board = Board(threading.Event())
    board.heard(said())
    board.heard(Said("job_state", {"order": "18"}, {**RUNNING, "order": "18"}))
    board.refused("one")
    taken = board.take()
    board.heard(said(value=None, quality=Quality.UNCERTAIN, remark="bad"))
    board.refused("two")
    board.put_back(taken)
    kept = board.take()
    assert kept.samples["job_state", '{"order":"17"}'].value == RUNNING
    assert kept.samples["job_state", '{"order":"17"}'].quality is Quality.UNCERTAIN
    assert kept.samples["job_state", '{"order":"18"}'].quality is Quality.GOOD
    assert kept.refused == ["one", "two"]


def test_a_loss_after_what_could_not_be_written_makes_it_stale() -> None:
    board = Board(threading.Event())
    board.heard(said())
    board.alive()
    taken = board.take()
    board.lost("away")
    board.put_back(taken)
    kept = board.take()
    assert kept.samples["job_state", '{"order":"17"}'].quality is Quality.STALE
    assert (kept.alive, kept.lost) == (False, "away")


def test_what_cannot_be_used_is_counted_and_its_reason_shown(floor: Connection) -> None:
    write("floor", Heard(refused=["no such verb", "no such element"]))
    life = Listening.objects.get(connection=floor)
    assert (life.refused, life.refused_why) == (2, "no such element")
    floor.refresh_from_db()
    assert floor.last_error == "no such element"


def test_a_loss_is_an_error_of_the_connection_and_a_beginning_is_none(floor: Connection) -> None:
    board = Board(threading.Event())
    board.ended("the listener has only begun")
    write("floor", board.take())
    floor.refresh_from_db()
    assert floor.last_error == ""
    assert Listening.objects.get().lost_why == "the listener has only begun"
    board.lost("the server closed the session")
    board.alive()
    write("floor", board.take())
    floor.refresh_from_db()
    assert floor.last_error == "the server closed the session"
    assert Listening.objects.get().lost_at is None


def test_a_point_that_nobody_mentions_for_a_season_is_forgotten(floor: Connection) -> None:
    tell(said(), None)
    forget()
    assert Sample.objects.count() == 1
    Sample.objects.update(received_at=Now() - KEEP - dt.timedelta(days=1))
    forget()
    assert Sample.objects.count() == 0
    assert Connection.objects.filter(pk=floor.pk).exists()


# What the registry refuses


@pytest.mark.parametrize("adapter", ["opcua", "sparkplug", "b2mml"])
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"isa95_level": 2}, "level 2 is none of its adapter's"),
        ({"isa95_level": 4}, "level 4 is none of its adapter's"),
        ({"writers": {"production_order_quantity": {"login": "a", "secret": "B"}}}, "its adapter only reads"),
    ],
)
def test_a_way_to_the_floor_that_would_write_is_refused_at_the_start(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch, adapter: str, change: dict[str, Any], why: str
) -> None:
    entry = {"adapter": f"integrations.{adapter}.adapter", "isa95_level": 3, "reader": {}, **change}
    use_connections(settings, monkeypatch, {"floor": entry}, {})
    with pytest.raises(ImproperlyConfigured, match=why):
        catalogue.specs()
    catalogue.specs.cache_clear()
