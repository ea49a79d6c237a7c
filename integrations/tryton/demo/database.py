"""Databases of the demo ERP, through Tryton's own PostgreSQL back end.

Run by the Python of Tryton's environment, with `TRYTOND_CONFIG` set:

    python -m integrations.tryton.demo.database status NAME      one line of JSON, null when there is none
    python -m integrations.tryton.demo.database create NAME [TEMPLATE]
    python -m integrations.tryton.demo.database drop NAME
    python -m integrations.tryton.demo.database rename NAME NEW
    python -m integrations.tryton.demo.database note NAME JSON   what `status` will say
    python -m integrations.tryton.demo.database analyze NAME

The note is the database's comment: it is lost together with the database it describes, so a new cluster under
an old home folder is seen as what it is.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from typing import Any


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _execute(database: str, *statements: str) -> list[tuple[Any, ...]]:
    backend = importlib.import_module("trytond.backend")
    connected = backend.Database(database).connect()
    connection = connected.get_connection(autocommit=True)
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connected.put_connection(connection)
        connected.close()


def status(name: str) -> Any:
    """What `note` wrote; {} for a database without a note, None when there is no such database."""
    notes = dict(
        _execute("postgres", "select datname, shobj_description(oid, 'pg_database') from pg_database")
    )
    if name not in notes:
        return None
    return json.loads(notes[name]) if notes[name] else {}


def create(name: str, template: str = "template0") -> None:
    """Create a database, as a copy of `template` with its note, or empty; whole or not at all."""
    building = f"{name}_half"
    drop(building)
    _execute(
        "postgres", f"create database {_quoted(building)} template {_quoted(template)} encoding 'unicode'"
    )
    if inherited := status(template) if template != "template0" else None:
        note(building, json.dumps(inherited))
    rename(building, name)


def drop(name: str) -> None:
    """Drop a database, ending its connections. No error when there is none."""
    _execute("postgres", f"drop database if exists {_quoted(name)} with (force)")


def rename(name: str, new: str) -> None:
    """Rename a database nobody is connected to."""
    _execute("postgres", f"alter database {_quoted(name)} rename to {_quoted(new)}")


def note(name: str, text: str) -> None:
    """Remember JSON about a database."""
    json.loads(text)
    _execute("postgres", f"comment on database {_quoted(name)} is {_literal(text)}")


def analyze(name: str) -> None:
    """Let PostgreSQL count. Without it Tryton's query for foreign keys takes a second each, 60 times over."""
    _execute(name, "analyze")


def main(arguments: list[str]) -> int:
    """Do one of the commands above."""
    command, rest = arguments[0], arguments[1:]
    if command == "status":
        sys.stdout.write(json.dumps(status(*rest)) + "\n")
        return 0
    verbs: dict[str, Callable[..., None]] = {
        "create": create,
        "drop": drop,
        "rename": rename,
        "note": note,
        "analyze": analyze,
    }
    verbs[command](*rest)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
