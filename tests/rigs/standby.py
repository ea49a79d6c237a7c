"""A true streaming standby of the suite's Tryton database, by PostgreSQL's own programs.

The primary is the cluster that the suite's Tryton runs on. `pg_basebackup` copies it over a replication slot of its
own, and the copy is started as a hot standby. What is ours here: the thread that beats the heartbeat, and the line in
the standby's `pg_hba.conf` that asks the reading role for a password.
"""

from __future__ import annotations

import contextlib
import itertools
import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from console.management.stack.postgres import Postgres
from integrations.contract import Account
from integrations.replica.provision import BEAT, HEARTBEAT, provision
from tests.tryton import REPLICATED, TrytonServer

READER = "erp_reader"
SECRET = secrets.token_urlsafe(24)
"""One for the session: every standby of a primary has that primary's roles."""

WAIT_SECONDS = 30
_numbers = itertools.count(1)


class Standby:
    """One standby of one primary. It follows from `start` on; the primary is never changed but for its roles."""

    def __init__(self, folder: Path, primary: Postgres, database: str) -> None:
        self._primary, self.database = primary, database
        self._name = f"standby_{next(_numbers)}"
        self.account = Account(READER, SECRET)
        self._cluster = Postgres(
            folder,
            database="postgres",
            owner="tryton",
            app=None,
            settings={
                **REPLICATED,
                "hot_standby": "on",
                "hot_standby_feedback": "off",
                "max_standby_streaming_delay": "300ms",
                "wal_retrieve_retry_interval": "200ms",
                "wal_receiver_status_interval": "1s",
            },
        )

    @property
    def options(self) -> Mapping[str, Any]:
        """The options of a connection through the replica adapter."""
        return {
            "host": str(self._cluster.run),
            "port": int(self._cluster.port),
            "database": self.database,
            "schema": "tryton",
            "timeout": 5,
            "heartbeat": {"table": HEARTBEAT, "column": "beat"},
        }

    @property
    def primary_options(self) -> Mapping[str, Any]:
        """The same, pointing at the primary: what the adapter must refuse."""
        return {**self.options, "host": str(self._primary.run), "port": int(self._primary.port)}

    def settings(self, **changes: Any) -> tuple[dict[str, Any], dict[str, str]]:
        """An entry for CONNECTIONS, and the secret it names, for the environment."""
        entry = {
            "adapter": "integrations.replica.adapter",
            "system": "tryton",
            "system_title": "Tryton",
            "title": "Tryton's replica",
            "isa95_level": 4,
            "options": {**self.options, **changes},
            "reader": {"login": READER, "secret": "REPLICA_READER"},
            "writers": {},
            "verified_by": None,
        }
        return entry, {"REPLICA_READER": self.account.secret}

    def start(self) -> None:
        """Provision the primary, copy it, and serve the copy; returns when it has caught up."""
        self.provision()
        with self.primary("postgres") as primary:
            primary.execute(sql.SQL("CREATE ROLE {} REPLICATION LOGIN").format(sql.Identifier(self._name)))
        self._cluster._make_private(self._cluster.data)
        self._cluster._call(
            "pg_basebackup",
            *("-h", self._primary.run, "-p", self._primary.port, "-U", self._name),
            *(
                "-D",
                self._cluster.data,
                "-R",
                "-X",
                "stream",
                "-C",
                "-S",
                self._name,
                "-c",
                "fast",
                "--no-sync",
            ),
        )
        rules = self._cluster.data / "pg_hba.conf"
        rules.write_text(f"local all {READER} scram-sha-256\n{rules.read_text()}")
        self._cluster.start()
        self.catch_up()

    def provision(self) -> None:
        """The reading role and the heartbeat, on the primary."""
        url = self._primary.url_for("tryton", self.database)
        provision(url, schema="tryton", login=READER, password=self.account.secret)

    @contextlib.contextmanager
    def primary(self, database: str = "") -> Iterator[psycopg.Connection]:
        """The primary, as its owner."""
        with psycopg.connect(
            self._primary.url_for("tryton", database or self.database), autocommit=True
        ) as opened:
            yield opened

    @contextlib.contextmanager
    def inside(self) -> Iterator[psycopg.Connection]:
        """The standby, as its owner."""
        with psycopg.connect(self._cluster.url_for("tryton", self.database), autocommit=True) as opened:
            yield opened

    # What can happen to it

    def beat(self) -> None:
        """One heartbeat on the primary."""
        with self.primary() as primary:
            primary.execute(BEAT)

    @contextlib.contextmanager
    def beating(self, every: float = 0.5) -> Iterator[None]:
        """A heart: what a timer on the primary does in a plant."""
        stop = threading.Event()

        def go_on() -> None:
            with self.primary() as primary:
                while not stop.wait(every):
                    primary.execute(BEAT)

        heart = threading.Thread(target=go_on, daemon=True)
        heart.start()
        try:
            yield
        finally:
            stop.set()
            heart.join(WAIT_SECONDS)

    def catch_up(self) -> None:
        """Wait until the standby has replayed all that the primary has written so far."""
        with self.primary() as primary:
            target = _one(primary, "SELECT pg_current_wal_insert_lsn()::text")
        self._wait_for(f"SELECT pg_last_wal_replay_lsn() >= '{target}'::pg_lsn")

    def pause(self) -> None:
        """Replay stands still; the standby goes on receiving and answering."""
        with self.inside() as standby:
            standby.execute("SELECT pg_wal_replay_pause()")
        self._wait_for("SELECT pg_get_wal_replay_pause_state() = 'paused'")

    def resume(self) -> None:
        """Replay goes on; this statement may be its first victim, and has done its work then."""
        with self.inside() as standby, contextlib.suppress(psycopg.errors.SerializationFailure):
            standby.execute("SELECT pg_wal_replay_resume()")
        self.catch_up()

    def cut_off(self) -> None:
        """The primary lets it in no more: it goes on answering from what it has."""
        with self.primary("postgres") as primary:
            primary.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(self._name)))
            primary.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_replication WHERE usename = %s", [self._name]
            )
        self._wait_for("SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)")

    def rejoin(self) -> None:
        """It is let in again."""
        with self.primary("postgres") as primary:
            primary.execute(sql.SQL("ALTER ROLE {} LOGIN").format(sql.Identifier(self._name)))
        self._wait_for("SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')")
        self.catch_up()

    def promote(self) -> None:
        """Somebody makes a primary of it; there is no way back."""
        with self.inside() as standby:
            standby.execute("SELECT pg_promote(true, %s)", [WAIT_SECONDS])

    def restart(self) -> None:
        """Its server ends and comes back, as in a night's maintenance."""
        self._cluster.stop()
        self._cluster.start()
        self._wait_for("SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')")

    def stop(self) -> None:
        """Its server ends."""
        self._cluster.stop()

    def end_sessions(self) -> int:
        """End every session of the reading role, as an administrator would; gives their number."""
        with self.inside() as standby:
            return int(
                _one(
                    standby,
                    f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{READER}'",
                )
            )

    def close(self) -> None:
        """End it, and leave nothing of it on the primary."""
        self._cluster.stop()
        with self.primary("postgres") as primary:
            self._wait(primary, f"SELECT NOT coalesce(bool_or(active), false) FROM pg_replication_slots "
                       f"WHERE slot_name = '{self._name}'")  # fmt: skip
            primary.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s",
                [self._name],
            )
            primary.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(self._name)))
        shutil.rmtree(self._cluster.data, ignore_errors=True)

    def _wait_for(self, question: str) -> None:
        with self.inside() as standby:
            self._wait(standby, question)

    def _wait(self, connection: psycopg.Connection, question: str) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            with contextlib.suppress(psycopg.errors.SerializationFailure):
                if _one(connection, question) is True:
                    return
            if time.monotonic() > deadline:
                raise AssertionError(f"This never came true: {question}")
            time.sleep(0.05)


def _one(connection: psycopg.Connection, question: str) -> Any:
    row = connection.execute(question.encode()).fetchone()
    assert row is not None
    return row[0]


@pytest.fixture(scope="session")
def shared_standby(tryton: TrytonServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standby]:
    """The session's standby of the session's Tryton."""
    made = Standby(tmp_path_factory.mktemp("standby"), tryton.cluster, tryton.database)
    made.start()
    yield made
    made.close()


@pytest.fixture
def standby(shared_standby: Standby) -> Standby:
    """The standby, caught up and with a fresh heartbeat, also after a reset of Tryton."""
    with shared_standby.primary() as primary:
        lost = _one(primary, f"SELECT to_regclass('{HEARTBEAT}') IS NULL")
    if lost:
        shared_standby.provision()
    shared_standby.beat()
    shared_standby.catch_up()
    return shared_standby


@pytest.fixture
def own_standby(tryton: TrytonServer, tmp_path: Path) -> Iterator[Standby]:
    """A standby of this test's own, to promote and to stop."""
    made = Standby(tmp_path / "standby", tryton.cluster, tryton.database)
    made.start()
    yield made
    made.close()
