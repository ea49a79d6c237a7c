"""What can only be subscribed to: listeners in threads, what they hear in rows, readings made of those rows.

One process (`manage.py listen`) holds every session, one thread each; its main thread writes what they heard. All
ages are taken from the database's clock: a listener that stands still, or whose machine's clock is wrong, makes
readings old, never young.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from console import connections
from console.canonical import canonical
from console.catalogue import spec, specs
from console.models import Connection, Listening, Sample
from integrations import contract
from integrations.contract import AdapterError, Quality, ReadTool, Unavailable

log = logging.getLogger(__name__)

AHEAD = dt.timedelta(seconds=5)
"""A clock further ahead of the database's than this is not to be trusted, nor is what it stamped."""

FLUSH_SECONDS = 0.5
LOOK_SECONDS = 5.0
"""How often the switches of the connections are looked at."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
KEEP = dt.timedelta(days=90)
"""A point nobody has told anything about for so long is forgotten."""


@dataclass
class Heard:
    """What one listener heard since the last look.

    `lost`: why there is no session now. `broke`: why there was none for a while; what was heard before is stale.
    `error`: the last loss that is the system's fault and not ours.
    """

    samples: dict[tuple[str, str], contract.Sample] = field(default_factory=dict)
    alive: bool = False
    lost: str | None = None
    broke: str | None = None
    error: str = ""
    refused: list[str] = field(default_factory=list)


class Board:
    """One connection's sink: the newest of everything, until it is taken."""

    def __init__(self, wake: threading.Event) -> None:
        self._heard, self._lock, self._wake = Heard(), threading.RLock(), wake
        self.lives = 0

    def heard(self, sample: contract.Sample) -> None:
        """Keep it; what is heard proves life too."""
        with self._lock:
            self._heard.alive, self._heard.lost = True, None
            self._keep(sample)
        self._wake.set()

    def _keep(self, sample: contract.Sample) -> None:
        """The newest of its place, under the lock; a new quality alone leaves the value heard before."""
        place = (sample.tool, canonical(dict(sample.arguments)))
        before = self._heard.samples.get(place)
        if sample.value is None and before is not None:
            sample = replace(sample, value=before.value)
        self._heard.samples[place] = sample

    def alive(self) -> None:
        """Proof of life."""
        with self._lock:
            self._heard.alive, self._heard.lost = True, None
            self.lives += 1

    def lost(self, why: str) -> None:
        """The session is gone, and with it the worth of all that was heard in it."""
        self.ended(why)
        with self._lock:
            self._heard.error = why[:300]

    def ended(self, why: str) -> None:
        """As lost, but nothing is wrong: we begin, or were told to stop."""
        with self._lock:
            now = self._heard
            now.alive, now.lost, now.broke = False, why[:300], why[:300]
            now.samples = {
                place: replace(one, quality=Quality.STALE, remark=why[:300]) if one.lasting else one
                for place, one in now.samples.items()
            }
        self._wake.set()

    def refused(self, why: str) -> None:
        """Something could not be used."""
        with self._lock:
            self._heard.refused.append(why[:300])
        self._wake.set()

    def take(self) -> Heard:
        """What was heard since the last time."""
        with self._lock:
            taken, self._heard = self._heard, Heard()
        return taken

    def put_back(self, taken: Heard) -> None:
        """It could not be written: keep it, below what came meanwhile."""
        with self._lock:
            newer, self._heard = self._heard, taken
            if newer.broke is not None:
                self.ended(newer.broke)
            self._heard.error = newer.error or self._heard.error
            for sample in newer.samples.values():
                self._keep(sample)
            self._heard.refused += newer.refused
            if newer.alive:
                self._heard.alive, self._heard.lost = True, None


# Listening


def listeners() -> list[str]:
    """The names of the connections that are listened on."""
    return [name for name, one in specs().items() if one.adapter.listener is not None]


def listen(stop: threading.Event, *, say: Callable[[str], None]) -> None:
    """Listen on every connection that is switched on until `stop` is set, then end every session."""
    wake = threading.Event()
    ears: dict[str, _Ear] = {}
    forget()
    look_at = 0.0
    while not stop.is_set():
        if (look_at := look_at - FLUSH_SECONDS) <= 0:
            look_at = LOOK_SECONDS
            _follow_switches(ears, wake, say)
        wake.wait(FLUSH_SECONDS)
        wake.clear()
        _flush(ears)
    for ear in ears.values():
        ear.stop.set()
    for ear in ears.values():
        ear.thread.join(10)
        ear.board.ended("nobody listens: the listener was stopped")
    _flush(ears)


@dataclass
class _Ear:
    name: str
    board: Board
    stop: threading.Event
    thread: threading.Thread


def _follow_switches(ears: dict[str, _Ear], wake: threading.Event, say: Callable[[str], None]) -> None:
    try:
        on = set(Connection.objects.filter(name__in=listeners(), enabled=True).values_list("name", flat=True))
    except DatabaseError:
        log.warning("the database does not answer; the listener goes on listening")
        connection.close()
        return
    for name in on - set(ears):
        board, stop = Board(wake), threading.Event()
        thread = threading.Thread(target=_keep, args=(name, board, stop), name=f"listen-{name}", daemon=True)
        ears[name] = _Ear(name, board, stop, thread)
        thread.start()
        say(f"listening on {name}")
    for name in set(ears) - on:
        ear = ears[name]
        ear.stop.set()
        ear.thread.join(10)
        ear.board.ended("the connection is switched off")
        _flush({name: ear})
        del ears[name]
        say(f"no longer listening on {name}")


def _keep(name: str, board: Board, stop: threading.Event) -> None:
    """One thread: a session, and after it broke another one, with growing pauses while there is no life."""
    pause = FIRST_PAUSE
    board.ended("the listener has only begun")
    while not stop.is_set():
        lives = board.lives
        try:
            with contextlib.closing(connections.listener(name)) as live:
                live.run(board, stop)
        except AdapterError as fault:
            board.lost(fault.text)
            log.warning("%s: %s", name, fault.text)
        except Exception as fault:
            board.lost(f"the adapter failed ({type(fault).__name__})")
            log.exception("listening on %s failed", name)
        else:
            board.ended("the session ended")
        pause = FIRST_PAUSE if board.lives > lives else min(pause * 2, LONGEST_PAUSE)
        stop.wait(pause)


def _flush(ears: Mapping[str, _Ear]) -> None:
    for name, ear in ears.items():
        taken = ear.board.take()
        try:
            write(name, taken)
        except DatabaseError:
            ear.board.put_back(taken)
            log.warning("what %s said could not be stored; it is tried again", name)
            connection.close()


# Rows


def write(name: str, heard: Heard) -> None:
    """Store what was heard on a connection, in one transaction."""
    if not (heard.samples or heard.alive or heard.lost is not None or heard.refused):
        return
    row = Connection.objects.filter(name=name).first()
    if row is None:
        return
    with transaction.atomic():
        if heard.broke is not None:
            Sample.objects.filter(connection=row, lasting=True, quality=Quality.GOOD.value).update(
                quality=Quality.STALE.value, remark=f"not heard again since: {heard.broke}"[:300]
            )
        for (tool, key), sample in heard.samples.items():
            _store(row.pk, tool, key, sample)
        life, _ = Listening.objects.get_or_create(connection=row)
        mine = Listening.objects.filter(pk=life.pk)
        if heard.error:
            Connection.objects.filter(pk=row.pk).update(last_error=heard.error, last_error_at=Now())
        if heard.refused:
            mine.update(
                refused=F("refused") + len(heard.refused), refused_at=Now(), refused_why=heard.refused[-1]
            )
            Connection.objects.filter(pk=row.pk).update(last_error=heard.refused[-1], last_error_at=Now())
        if heard.lost is not None:
            mine.filter(lost_at=None).update(lost_at=Now())
            mine.update(lost_why=heard.lost)
        elif heard.alive:
            mine.update(alive_at=Now(), lost_at=None, lost_why="")
            Connection.objects.filter(pk=row.pk).update(last_ok_at=Now())


STORE = """
INSERT INTO console_sample (connection_id, tool, key, value, quality, remark, source_time, server_time, lasting, mark,
    received_at)
VALUES (%s, %s, %s, %s::jsonb, %s, %s, %s, %s, %s, %s, now())
ON CONFLICT (connection_id, tool, key) DO UPDATE SET
    value = coalesce(excluded.value, console_sample.value),
    quality = excluded.quality, remark = excluded.remark, lasting = excluded.lasting, mark = excluded.mark,
    source_time = coalesce(excluded.source_time, console_sample.source_time),
    server_time = coalesce(excluded.server_time, console_sample.server_time),
    received_at = excluded.received_at
"""


def _store(connection_id: int, tool: str, key: str, sample: contract.Sample) -> None:
    value = canonical(dict(sample.value)) if sample.value is not None else None
    with connection.cursor() as cursor:
        cursor.execute(
            STORE,
            [
                *(connection_id, tool, key, value, sample.quality.value, sample.remark[:300]),
                *(sample.source_time, sample.server_time, sample.lasting, sample.mark[:200]),
            ],
        )


def forget() -> None:
    """Drop points that nobody has told anything about for a season."""
    Sample.objects.filter(received_at__lt=Now() - KEEP).delete()


# Readings


def answer(row: Connection, tool: ReadTool, arguments: Any) -> contract.Reading:
    """The answer of a read tool from what was heard, with its age and quality as of now.

    `arguments` is the parsed model. Raises Unavailable when no value was heard yet.
    """
    key = canonical(arguments.model_dump(mode="json"))
    found = (
        Sample.objects.filter(connection=row, tool=tool.name, key=key)
        .annotate(now=Now())
        .select_related("connection__listening")
        .first()
    )
    if found is None or found.value is None:
        life = Listening.objects.filter(connection=row).first()
        since = " and nobody listens on it" if life is None else f"; {_lost(life)}" if life.lost_at else ""
        raise Unavailable(f"{row.title} has said no value yet for this{since}")
    life = getattr(found.connection, "listening", None)
    proof = _proof(found, life)
    quality, remark = _judged(found, life, found.now - proof, fresh_for(row.name, tool))
    return contract.Reading(
        value=found.value,
        as_of=proof,
        source=f"{row.title}, listening",
        quality=quality,
        source_time=found.source_time,
        server_time=found.server_time,
        remark=remark,
    )


def fresh_for(name: str, tool: ReadTool) -> dt.timedelta:
    """How old the last proof of life may be for a reading to be good."""
    own = _own_limit(name, tool)
    return tool.fresh_for if own is None else dt.timedelta(seconds=int(own))


def freshness(name: str, tool: ReadTool) -> tuple[str, str]:
    """The limit of a tool over a connection as people read it, and where it is set."""
    where = f"option fresh_for of {name}" if _own_limit(name, tool) is not None else "the tool's own"
    return in_words(fresh_for(name, tool)), where


def _own_limit(name: str, tool: ReadTool) -> Any:
    return spec(name).options.get("fresh_for", {}).get(tool.name)


def _proof(sample: Sample, life: Listening | None) -> dt.datetime:
    """The last proof that the sample holds: life after it, or its own arrival; for a passing one, its own time."""
    if not sample.lasting:
        return min(sample.source_time or sample.received_at, sample.received_at)
    if life is None or life.alive_at is None:
        return sample.received_at
    return max(sample.received_at, life.alive_at)


def _judged(
    sample: Sample, life: Listening | None, age: dt.timedelta, limit: dt.timedelta
) -> tuple[Quality, str]:
    if sample.quality != Quality.GOOD:
        return Quality(sample.quality), sample.remark
    for clock, whose in ((sample.source_time, "source"), (sample.server_time, "server")):
        if clock is not None and clock - sample.received_at > AHEAD:
            ahead = (clock - sample.received_at).total_seconds()
            return Quality.UNCERTAIN, f"the {whose}'s clock is {ahead:.0f} s ahead of ours"
    if sample.lasting and life is None:
        return Quality.STALE, "nobody listens on this connection"
    if life is not None and life.lost_at is not None and sample.lasting:
        return Quality.STALE, _lost(life)
    if age > limit:
        return (
            Quality.STALE,
            f"the last proof that it holds is {in_words(age)} old, more than {in_words(limit)}",
        )
    return Quality.GOOD, ""


def _lost(life: Listening) -> str:
    return f"connection lost at {life.lost_at:%d %b %H:%M:%S} UTC: {life.lost_why}"[:300]


def in_words(span: dt.timedelta) -> str:
    """A span of time as people say it, in seconds or minutes."""
    seconds = int(span.total_seconds())
    return f"{seconds} s" if seconds < 300 else f"{seconds // 60} min"  # noqa: PLR2004 five minutes
