"""A PostgreSQL hot standby, asked so that nothing can be written and nobody is told old news as new.

1. Connect, for each reading anew, with `target_session_attrs=standby`: the server itself must say that it is one.
   `read-only` would not do: a primary satisfies it when the role defaults to read-only transactions.
2. One REPEATABLE READ READ ONLY transaction per reading, so that a header and its lines are of one moment.
3. In it, first: `pg_is_in_recovery()` (a standby promoted under an open connection is refused), a WAL receiver
   (one that is cut off from its primary is refused), and the heartbeat.
4. Freshness is the heartbeat: a row that the primary updates, read in the same snapshot. Everything committed
   before that beat is in the answer, so the beat is its `as_of`. The replay position and its timestamp are no
   measure: an idle primary makes them old, a standby that is cut off makes them look new.
5. Ages are by the standby's clock, and never negative; a beat more than 5 s ahead of it is not to be believed.
6. A conflict with recovery (40001), a cancelled or overlong statement (57014) and a server that goes away (57P01,
   08006) are tried again, the whole reading, a few times. 25006 is a write on a standby: a bug here, told loudly.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import DictRow, dict_row

from integrations.contract import (
    Account,
    AdapterError,
    OutOfScope,
    Quality,
    Rejected,
    Unavailable,
    Unsupported,
)

log = logging.getLogger(__name__)

T = TypeVar("T")
AHEAD = dt.timedelta(seconds=5)
PAUSES = (0.1, 0.4, 1.0)
"""Seconds before each further try."""

AGAIN = frozenset({"40001", "40P01", "57014", "57P01", "57P02", "57P03", "08006", "08003", "08000"})
WROTE = "25006"
_LOGIN = ("password authentication failed", "no pg_hba.conf entry", "is not permitted to log in")
_NO_LOGIN = ("role ", "does not exist")


@dataclass(frozen=True)
class Taken:
    """What one transaction gave: the value, and how far it may be relied on."""

    value: Any
    as_of: dt.datetime | None
    quality: Quality
    remark: str


class Rows:
    """Reviewed queries in one open transaction. Every one is bound to the same `always` values."""

    def __init__(
        self, cursor: psycopg.Cursor[DictRow], folder: Path, always: Mapping[str, Any] | None = None
    ) -> None:
        self._cursor, self._folder, self.always = cursor, folder, dict(always or {})

    def all(self, name: str, **values: Any) -> list[dict[str, Any]]:
        """The rows of the query in the file of this name, with values bound, never written into its text."""
        self._cursor.execute(_text(self._folder / f"{name}.sql"), {**self.always, **values})
        return list(self._cursor.fetchall())

    def one(self, name: str, **values: Any) -> dict[str, Any] | None:
        """The first of them, or None."""
        found = self.all(name, **values)
        return found[0] if found else None


@cache
def _text(path: Path) -> bytes:
    return path.read_bytes()


class Standby:
    """One account's way to one standby.

    A session lasts for one reading: every thread that reads has one of these, and a standby has few sessions to give.
    `options`: `host`, `port`, `database`; `sslmode` and `sslrootcert` as libpq has them; `timeout`, seconds for one
    statement (5); `heartbeat`, {"table", "column"}, without which no age is known; `stale_after`, seconds (60);
    `streaming`, false for a standby that is fed from an archive and so has no WAL receiver.
    """

    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        self._options, self._account = _complete(options), account
        self._live: psycopg.Connection[DictRow] | None = None
        self.database = str(options["database"])
        self._stale_after = dt.timedelta(seconds=float(options.get("stale_after", 60)))
        self._timeout = float(options.get("timeout", 5))

    def __repr__(self) -> str:
        return f"<Standby {self._account.login} at {self._options.get('host')}/{self.database}>"

    def take(self, ask: Callable[[psycopg.Cursor[DictRow]], T]) -> Taken:
        """What `ask` finds in one guarded transaction. Raises the contract's errors, never psycopg's."""
        try:
            return self._tried(ask)
        finally:
            self.close()

    def about(self) -> dict[str, Any]:
        """The server as it tells of itself."""

        def ask(cursor: psycopg.Cursor[DictRow]) -> dict[str, Any]:
            cursor.execute(
                "SELECT current_setting('server_version') AS version, current_user::text AS account"
            )
            return dict(cursor.fetchone() or {})

        found = self.take(ask)
        told: dict[str, Any] = found.value
        return {
            "name": "PostgreSQL standby",
            "version": told["version"],
            "account": told["account"],
            "database": self.database,
            "as_of": found.as_of.isoformat() if found.as_of is not None else "unknown",
            "quality": found.quality.value,
            "remark": found.remark,
        }

    def close(self) -> None:
        """Let go of the socket. Safe to call twice."""
        live, self._live = self._live, None
        if live is not None:
            live.close()

    # Inside

    def _tried(self, ask: Callable[[psycopg.Cursor[DictRow]], T]) -> Taken:
        for pause in (*PAUSES, None):
            try:
                return self._once(ask)
            except psycopg.Error as fault:
                state = fault.sqlstate or ""
                self._drop_broken(state)
                if pause is None or not (state in AGAIN or _went_away(fault)):
                    raise self._in_words(fault) from None
            time.sleep(pause)
        raise AssertionError("the last try returns or raises")

    def _once(self, ask: Callable[[psycopg.Cursor[DictRow]], T]) -> Taken:
        live = self._connected()
        with live.transaction(), live.cursor() as cursor:
            as_of, quality, remark = self._freshness(cursor)
            return Taken(ask(cursor), as_of, quality, remark)

    def _connected(self) -> psycopg.Connection[DictRow]:
        if self._live is None or self._live.closed:
            extra = {
                name: self._options[name] for name in ("sslmode", "sslrootcert") if name in self._options
            }
            self._live = psycopg.connect(
                host=str(self._options["host"]),
                port=int(self._options.get("port", 5432)),
                dbname=self.database,
                user=self._account.login,
                password=self._account.secret,
                target_session_attrs="standby",
                connect_timeout=5,
                tcp_user_timeout=int(self._timeout * 2000),
                application_name="countersign",
                options=f"-c statement_timeout={int(self._timeout * 1000)} -c lock_timeout=2000 -c timezone=UTC",
                row_factory=dict_row,
                **extra,
            )
            self._live.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self._live.read_only = True
        return self._live

    def _freshness(self, cursor: psycopg.Cursor[DictRow]) -> tuple[dt.datetime | None, Quality, str]:
        cursor.execute(
            "SELECT pg_is_in_recovery() AS standby, clock_timestamp() AS now,"
            " EXISTS (SELECT FROM pg_stat_wal_receiver) AS fed"
        )
        server = cursor.fetchone()
        if server is None or server["standby"] is not True:
            raise Unavailable(
                "The replica was promoted, or this is not a replica: nothing is read from a server that may be "
                "written to."
            )
        if not server["fed"] and self._options.get("streaming", True):
            raise Unavailable("The replica is cut off from its primary: what it holds may be of any age.")
        return self._by_heartbeat(cursor, server["now"])

    def _by_heartbeat(
        self, cursor: psycopg.Cursor[DictRow], now: dt.datetime
    ) -> tuple[dt.datetime | None, Quality, str]:
        named = self._options.get("heartbeat")
        if not named:
            return None, Quality.UNCERTAIN, "this connection names no heartbeat, so its age is unknown"
        cursor.execute(
            sql.SQL("SELECT max({}) AS beat FROM {}").format(
                sql.Identifier(str(named["column"])), sql.Identifier(*str(named["table"]).split("."))
            )
        )
        row = cursor.fetchone()
        beat = row["beat"] if row is not None else None
        if beat is None:
            return None, Quality.UNCERTAIN, "the heartbeat has no row, so the age is unknown"
        if beat.tzinfo is None:
            beat = beat.replace(tzinfo=dt.UTC)
        if beat - now > AHEAD:
            ahead = int((beat - now).total_seconds())
            return (
                now.astimezone(dt.UTC),
                Quality.UNCERTAIN,
                f"its primary's clock is {ahead} s ahead of its own",
            )
        age = max(now - beat, dt.timedelta())
        as_of = (now - age).astimezone(dt.UTC)
        if age > self._stale_after:
            return (
                as_of,
                Quality.STALE,
                f"the last heartbeat of its primary is {int(age.total_seconds())} s old",
            )
        return as_of, Quality.GOOD, ""

    def _drop_broken(self, state: str) -> None:
        live = self._live
        if live is not None and (live.closed or live.broken or state.startswith(("57P", "08"))):
            self.close()

    def _in_words(self, fault: psycopg.Error) -> AdapterError:
        """What a fault of the database means. Its own text may repeat what was asked, so it is not passed on."""
        state, said = fault.sqlstate or "", str(fault)
        if state == WROTE:
            log.critical("a query of the replica adapter tried to write (25006): %s", type(fault).__name__)
            return AdapterError(
                "A query tried to write on a replica. Nothing was written; tell the engineer."
            )
        if (
            state in {"28P01", "28000"}
            or any(words in said for words in _LOGIN)
            or all(words in said for words in _NO_LOGIN)
        ):
            return OutOfScope(f"The replica refuses the account {self._account.login!r}.")
        if "database " in said and "does not exist" in said:
            return Unavailable(f"The replica has no database {self.database!r}.")
        if "is not in hot standby mode" in said:
            return Unavailable("There is no replica at this address: the server there is not a standby.")
        if state == "42501":
            return OutOfScope(f"The account {self._account.login!r} may not read a table that this needs.")
        if state in {"42P01", "42703", "42883", "3F000"}:
            return Unsupported(
                "The database is not of the schema that this connection names: a table or column is missing."
            )
        if state.startswith("22"):
            return Rejected("The database cannot read a value of the question.")
        if state in AGAIN:
            return Unavailable(
                f"The replica broke the reading off, {len(PAUSES) + 1} times (SQLSTATE {state})."
            )
        return Unavailable(f"The replica cannot be reached or broke off ({state or type(fault).__name__}).")


def _complete(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, if none is missing; Unsupported names the first that is."""
    for name in ("host", "database"):
        if not options.get(name):
            raise Unsupported(f"The option `{name}` of the replica is missing.")
    heartbeat = options.get("heartbeat") or {}
    if heartbeat and not (isinstance(heartbeat, Mapping) and {"table", "column"} <= set(heartbeat)):
        raise Unsupported('The option `heartbeat` is {"table": its name, "column": its column of time}.')
    return dict(options)


def _went_away(fault: psycopg.Error) -> bool:
    """A connection that broke without a word, not one that was never made."""
    return isinstance(fault, psycopg.OperationalError) and "server closed the connection" in str(fault)
