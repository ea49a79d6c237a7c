"""`manage.py listen` as it runs in a plant: one process, its sessions, what becomes of them when things end."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.db.models import F
from django.utils import timezone

from console import catalogue
from console.catalogue import read_tool
from console.environment import ROOT
from console.models import Connection, Listening, Sample, System
from console.reads.asking import ask
from integrations.contract import Quality, Reading, Unavailable
from tests.cast import use_connections
from tests.conftest import test_database_environment as database_environment
from tests.integrations.conformance import a_port_where_nothing_listens
from tests.integrations.test_b2mml import SHOWN, xml
from tests.rigs.mes_sparkplug import SECRETS, Broker, Edge, broker, edge

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

WAIT_SECONDS = 40
JOB = {"JobOrder": ["String", "17"], "State": ["String", "RUNNING"], "GoodCount": ["Int64", 17]}


def until(holds: Callable[[], Any], said: Callable[[], str]) -> Any:
    """What holds gives, as soon as it gives something; `said` is what to look at when it never does."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := holds()):
        assert time.monotonic() < deadline, said()
        time.sleep(0.1)
    return found


def row(name: str) -> Connection:
    system, _ = System.objects.get_or_create(slug=name, defaults={"title": name, "level": 3})
    return Connection.objects.create(name=name, title=name, system=system, adapter="-", path="-")


class Listener:
    """The process. `said()` is all it printed."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "listen"],
                cwd=ROOT,
                env={**os.environ, **database_environment(), "DATABASE_OWNER_URL": ""},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def said(self) -> str:
        return self.log.read_text()

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(WAIT_SECONDS)


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    one = Listener(tmp_path / "listen.log")
    yield one
    if one.process is not None and one.process.poll() is None:
        one.process.kill()
        one.process.wait(10)


@pytest.fixture
def reports(tmp_path: Path, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of B2MML reports behind the connection "reports"."""
    folder = tmp_path / "reports"
    folder.mkdir()
    entry = {
        "adapter": "integrations.b2mml.adapter",
        "isa95_level": 3,
        "options": {"folder": str(folder), "beat": 0.1},
        "reader": {},
    }
    use_connections(settings, monkeypatch, {"reports": entry}, {})
    row("reports")
    yield folder
    catalogue.specs.cache_clear()


def now() -> str:
    return timezone.now().strftime("%Y-%m-%dT%H:%M:%SZ")


def read(name: str, order: str = "17") -> Reading:
    tool = read_tool("job_state")
    return ask(Connection.objects.get(name=name), tool, tool.arguments.model_validate({"order": order}))


def test_reports_become_readings_and_a_refusal_is_on_the_connections_row(
    reports: Path, listener: Listener
) -> None:
    listener.start()
    with pytest.raises(Unavailable, match="has said no value yet"):
        read("reports")
    (reports / "a.xml").write_bytes(xml(created=now()))
    (reports / "b.xml").write_bytes(xml("Process"))
    until(Sample.objects.count, listener.said)
    got = read("reports")
    assert got.quality is Quality.GOOD
    assert got.value["state"] == "running"
    life = until(lambda: Listening.objects.filter(refused=1).first(), listener.said)
    assert life.refused_why.startswith("b.xml: the verb Process is refused")
    assert listener.end() == 0
    assert "stopped listening" in listener.said()


def test_an_old_report_is_stale_from_the_start(reports: Path, listener: Listener) -> None:
    past = timezone.now() - dt.timedelta(minutes=20)
    (reports / "a.xml").write_bytes(xml(created=past.strftime("%Y-%m-%dT%H:%M:%SZ")))
    listener.start()
    until(Sample.objects.count, listener.said)
    got = read("reports")
    assert got.quality is Quality.STALE
    assert got.as_of is not None
    assert abs(got.as_of - past) < dt.timedelta(seconds=2)


def test_a_report_from_the_future_is_uncertain(reports: Path, listener: Listener) -> None:
    ahead = (timezone.now() + dt.timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    (reports / "a.xml").write_text(SHOWN.replace("2026-11-22T10:00:00Z", ahead))
    listener.start()
    until(Sample.objects.count, listener.said)
    got = read("reports")
    assert got.quality is Quality.UNCERTAIN
    assert "source's clock is" in got.remark


def test_a_folder_that_goes_is_a_lost_session_and_comes_back(reports: Path, listener: Listener) -> None:
    listener.start()
    until(lambda: Listening.objects.filter(lost_at=None, alive_at__isnull=False), listener.said)
    reports.rmdir()
    life = until(lambda: Listening.objects.filter(lost_why__contains="is not there").first(), listener.said)
    assert life.lost_at is not None
    reports.mkdir()
    until(lambda: Listening.objects.filter(lost_at=None), listener.said)


def test_a_connection_that_is_switched_off_is_no_longer_listened_on(
    reports: Path, listener: Listener
) -> None:
    listener.start()
    until(lambda: Listening.objects.filter(lost_at=None, alive_at__isnull=False), listener.said)
    Connection.objects.update(enabled=False)
    until(lambda: Listening.objects.filter(lost_why="the connection is switched off"), listener.said)
    (reports / "a.xml").write_bytes(xml(created=now()))
    Connection.objects.update(enabled=True)
    until(Sample.objects.count, listener.said)


# A session that lasts


@pytest.fixture
def line(tmp_path: Path, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """Mosquitto behind the connection "line"."""
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    with broker(folder, a_port_where_nothing_listens()) as one:
        entry, secrets = one.settings()
        use_connections(settings, monkeypatch, {"line": entry}, secrets)
        row("line")
        yield one
        catalogue.specs.cache_clear()


@pytest.fixture
def machine(line: Broker, listener: Listener) -> Iterator[Edge]:
    """An edge node that works on job 17, heard."""
    listener.start()
    until(lambda: Listening.objects.filter(lost_at=None, alive_at__isnull=False), listener.said)
    with edge(line) as node:
        node.tell(birth=JOB)
        until(lambda: Sample.objects.filter(quality="good"), listener.said)
        yield node


def test_a_dead_machine_is_stale_at_once(machine: Edge, listener: Listener) -> None:
    assert read("line").quality is Quality.GOOD
    machine.die()
    until(lambda: read("line").quality is Quality.STALE, listener.said)
    assert read("line").remark == "the edge node is dead (NDEATH)"


def test_a_lost_broker_makes_it_stale_and_its_return_does_not_make_it_good(
    machine: Edge, line: Broker, listener: Listener
) -> None:
    line.die()
    until(lambda: Listening.objects.filter(lost_at__isnull=False), listener.said)
    assert read("line").quality is Quality.STALE
    machine.die()
    line.start()
    until(lambda: Listening.objects.filter(lost_at=None), listener.said)
    got = read("line")
    assert got.quality is Quality.STALE
    assert "ended the session" in got.remark


@pytest.mark.usefixtures("machine")
def test_a_listener_that_is_told_to_end_leaves_nothing_good(listener: Listener) -> None:
    assert listener.end() == 0
    got = read("line")
    assert got.quality is Quality.STALE
    assert "nobody listens: the listener was stopped" in got.remark


@pytest.mark.usefixtures("machine")
def test_a_listener_that_is_killed_leaves_readings_that_grow_old(listener: Listener) -> None:
    assert listener.end(signal.SIGKILL) != 0
    assert Listening.objects.get().lost_at is None
    past = dt.timedelta(minutes=6)
    Listening.objects.update(alive_at=F("alive_at") - past)
    Sample.objects.update(**{name: F(name) - past for name in ("received_at", "source_time", "server_time")})
    got = read("line")
    assert (got.quality, "the last proof that it holds is 6 min old" in got.remark) == (Quality.STALE, True)


def test_after_a_crash_the_next_listener_trusts_nothing_it_has_not_heard(
    machine: Edge, listener: Listener
) -> None:
    listener.end(signal.SIGKILL)
    listener.start()
    until(lambda: Sample.objects.filter(quality="stale"), listener.said)
    until(lambda: Listening.objects.filter(lost_at=None), listener.said)
    assert read("line").quality is Quality.STALE
    machine.tell(rebirth=True, birth=JOB)
    until(lambda: read("line").quality is Quality.GOOD, listener.said)


def test_no_secret_is_in_what_the_listener_says(machine: Edge, line: Broker, listener: Listener) -> None:
    machine.die()
    line.stop()
    until(lambda: Listening.objects.filter(lost_at__isnull=False), listener.said)
    listener.end()
    told = (
        listener.said() + "".join(map(str, Listening.objects.values())) + str(list(Sample.objects.values()))
    )
    for secret in SECRETS.values():
        assert secret not in told
