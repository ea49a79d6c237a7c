"""Gives a PostgreSQL primary the role that the replica adapter reads with, and the heartbeat that tells its age.

Runs on the primary, as a role that may create roles; the standby has what the primary has. The console never holds
this login:

    python -m integrations.replica.provision --url postgresql://admin@primary/erp --schema tryton \
        --login erp_reader --password-file FILE

The role may read the tables that the reviewed SQL of the schema names and nothing else; it owns nothing, and its
transactions are read-only also by its own default, which alone would be no protection: the grants are. Safe to run
again: what is there is brought to what this says.

Something on the primary has to beat: run `--beat` every ten seconds or so (a systemd timer, cron, pg_cron), as a role
that may update the heartbeat table.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import psycopg
from psycopg import sql

HEARTBEAT = "countersign_heartbeat"
BEAT = "UPDATE countersign_heartbeat SET beat = clock_timestamp()"
# Keywords are written large in the reviewed SQL, names small.
_TABLE = re.compile(r"\b(?:FROM|JOIN)\s+([a-z][a-z0-9_]*)")
_NAMED_IN_PLACE = re.compile(r"\b([a-z][a-z0-9_]*)\s+AS\s*\(")
HERE = Path(__file__).parent


def tables(schema: str) -> list[str]:
    """Every table that the SQL of a schema reads, from the SQL itself, so that no grant is forgotten or left over."""
    found: set[str] = set()
    for path in (HERE / schema / "sql").glob("*.sql"):
        text = re.sub(r"--.*", "", path.read_text())
        found |= set(_TABLE.findall(text)) - set(_NAMED_IN_PLACE.findall(text))
    return sorted(found)


def provision(url: str, *, schema: str, login: str, password: str, connections: int = 10) -> None:
    """Make the role and the heartbeat on the primary, or bring them to what they should be."""
    role, beat = sql.Identifier(login), sql.Identifier(HEARTBEAT)
    with psycopg.connect(url) as primary:
        known = primary.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [login]).fetchone()
        primary.execute(
            sql.SQL(
                "{} ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS "
                "CONNECTION LIMIT {} PASSWORD {}"
            ).format(
                sql.SQL("ALTER" if known else "CREATE"), role, sql.Literal(connections), sql.Literal(password)
            )
        )
        for setting, value in (("default_transaction_read_only", "on"), ("statement_timeout", "10s")):
            primary.execute(
                sql.SQL("ALTER ROLE {} SET {} = {}").format(role, sql.Identifier(setting), sql.Literal(value))
            )
        primary.execute(
            sql.SQL(
                "CREATE TABLE IF NOT EXISTS {} (id int PRIMARY KEY CHECK (id = 1), beat timestamptz NOT NULL)"
            ).format(beat)
        )
        primary.execute(
            sql.SQL("INSERT INTO {} VALUES (1, clock_timestamp()) ON CONFLICT DO NOTHING").format(beat)
        )
        primary.execute(sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}").format(role))
        primary.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(role))
        for name in (*tables(schema), HEARTBEAT):
            primary.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(sql.Identifier(name), role))


def beat(url: str) -> None:
    """One beat on the primary."""
    with psycopg.connect(url) as primary:
        primary.execute(BEAT)


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        prog="provision", description="Prepare a primary for the replica adapter."
    )
    parser.add_argument("--url", required=True, help="the primary, as a role that may create roles")
    parser.add_argument("--schema", default="tryton", help="whose database it is")
    parser.add_argument("--login", default="erp_reader")
    parser.add_argument("--password-file", type=Path, help="holds the role's password")
    parser.add_argument("--beat", action="store_true", help="only update the heartbeat")
    given = parser.parse_args(arguments)
    if given.beat:
        beat(given.url)
        return 0
    if given.password_file is None:
        parser.error("--password-file is needed: a file that holds the password the role shall have")
    password = given.password_file.read_text().strip()
    provision(given.url, schema=given.schema, login=given.login, password=password)
    sys.stdout.write(f"{given.login} may read {', '.join((*tables(given.schema), HEARTBEAT))}.\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
