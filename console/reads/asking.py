"""One question to one connection: live, or from what its listener heard."""

from __future__ import annotations

from typing import Any

from django.db import connection as database

from console import connections
from console.catalogue import spec
from console.models import Connection
from console.reads import listen
from integrations import contract
from integrations.contract import InDoubt, ReadTool, Unavailable, Unsupported


def ask(connection: Connection, tool: ReadTool, arguments: Any) -> contract.Reading:
    """The system's answer. No database connection is held meanwhile: a slow system must not use up the pool.

    `arguments` is the parsed model. Raises AdapterError.
    """
    adapter = spec(connection.name).adapter
    if tool.name not in adapter.tools:
        raise Unsupported(f"connection {connection.name} does not carry {tool.name}")
    if adapter.listener is not None:
        return listen.answer(connection, tool, arguments)
    _let_go()
    try:
        return connections.reader(connection.name).read(tool, arguments)
    except (Unavailable, InDoubt):
        connections.drop(connection.name)
        raise


def _let_go() -> None:
    """Give this thread's database connection back to the pool; without one, or in a transaction, keep it."""
    if not database.in_atomic_block and database.settings_dict["OPTIONS"].get("pool"):
        database.close()
