"""The replica adapter: read tools on a standby of an ERP's own database. It has no writer and no method that writes.

The option `schema` names whose database it is; each has a package here with its reviewed SQL. What was just written
by another path may not be there yet, so this adapter carries no transaction type and verifies no commit.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import psycopg
from psycopg.rows import DictRow

from integrations.contract import (
    Account,
    Adapter,
    Reading,
    ReadTool,
    Snapshot,
    TransactionType,
    Unsupported,
)
from integrations.replica import tryton
from integrations.replica.standby import Rows, Standby


class Schema(Protocol):
    """What a package of SQL gives: its name for people, its tools, and what every query of it is bound to."""

    SOURCE: str
    TOOLS: Mapping[str, Callable[[Rows, Any], dict[str, Any]]]

    def rows(self, cursor: psycopg.Cursor[DictRow], options: Mapping[str, Any]) -> Rows:
        """Its queries in this transaction."""


SCHEMAS: Mapping[str, Schema] = {"tryton": tryton}


class ReplicaReader:
    """Reads, and has nothing to write with."""

    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        name = str(options.get("schema", ""))
        if name not in SCHEMAS:
            raise Unsupported(
                f"The option `schema` is {name!r}; there is SQL for {', '.join(sorted(SCHEMAS))}."
            )
        self._schema, self._options = SCHEMAS[name], dict(options)
        self._standby = Standby(options, account)

    def read(self, tool: ReadTool, arguments: Any) -> Reading:
        """Answer a read tool from one transaction, with the heartbeat's time."""
        if tool.name not in self._schema.TOOLS:
            raise Unsupported(f"The replica has no answer to {tool.name}.")
        answer = self._schema.TOOLS[tool.name]
        taken = self._standby.take(lambda cursor: answer(self._schema.rows(cursor, self._options), arguments))
        return Reading(
            value=taken.value,
            as_of=taken.as_of,
            source=f"PostgreSQL standby of {self._schema.SOURCE}",
            quality=taken.quality,
            remark=taken.remark,
        )

    def snapshot(self, type_: TransactionType, payload: Any) -> Snapshot:
        """A replica may be behind what was just written, so it shows no record for a decision."""
        del payload
        raise Unsupported(f"A replica carries no {type_.name}: it may be behind what was just written.")

    def ping(self) -> None:
        """Return if it is a standby, fed by its primary, and answers this account."""
        self._standby.about()

    def describe(self) -> Mapping[str, Any]:
        """What the server says of itself, and how old it is."""
        return {**self._standby.about(), "schema": str(self._options["schema"])}

    def close(self) -> None:
        """Let go of the socket."""
        self._standby.close()


ADAPTER = Adapter(
    name="replica",
    title="Read replica",
    path="PostgreSQL standby",
    levels=frozenset({4}),
    tools=frozenset(tryton.TOOLS),
    types={},
    settle=dt.timedelta(0),
    verified="PostgreSQL 18 streaming standby of Tryton 8.2",
    reader=ReplicaReader,
)
