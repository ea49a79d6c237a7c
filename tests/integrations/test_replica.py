"""The read replica on a true streaming standby: it only reads, it says how old it is, and it refuses what is none.

The file is long because every state of a standby is one test on the same cluster.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from integrations.contract import (
    Account,
    AdapterError,
    OutOfScope,
    Quality,
    Reader,
    Reading,
    Rejected,
    Unavailable,
    Unsupported,
)
from integrations.replica.adapter import ADAPTER
from integrations.replica.provision import HEARTBEAT, tables
from integrations.replica.standby import PAUSES
from integrations.replica.standby import Standby as Asked
from integrations.scan import read_tools, transaction_types
from tests.integrations.conformance import ADAPTER_CLAIMS, AdapterClaim, Subject, named
from tests.integrations.tryton import orders
from tests.rigs.standby import READER, Standby
from tests.tryton import TrytonServer

TOOLS = read_tools()


@pytest.fixture
def reader(standby: Standby) -> Iterator[Reader]:
    with contextlib.closing(ADAPTER.reader(standby.options, standby.account)) as opened:
        yield opened


def opened(standby: Standby, **options: Any) -> contextlib.closing[Reader]:
    return contextlib.closing(ADAPTER.reader({**standby.options, **options}, standby.account))


def read(reader: Reader, name: str, **arguments: Any) -> Reading:
    return reader.read(TOOLS[name], TOOLS[name].arguments.model_validate(arguments))


def anything(reader: Reader) -> Reading:
    return read(reader, "stock_by_product", code="RM-OAK-18")


# The contract


@pytest.fixture
def subject(standby: Standby, tryton: TrytonServer, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    nowhere = tmp_path_factory.mktemp("nowhere")

    def arguments(tool: str) -> Mapping[str, Any]:
        return {
            "order_status_exceptions": {},
            "production_order": {"order": str(tryton.find("production")["id"])},
            "purchase_order": {"order": str(tryton.find("purchase.purchase")["id"])},
            "sales_order": {"order": str(tryton.find("sale.sale")["id"])},
            "stock_by_product": {"code": "RM-OAK-18"},
            "supplier": {
                "supplier": str(tryton.find("purchase.product_supplier", fields=("party",))["party"])
            },
        }[tool]

    def missing(tool: str) -> Mapping[str, Any]:
        return {"stock_by_product": {"product": "999999"}, "supplier": {"supplier": "999999"}}.get(
            tool, {"order": "999999"}
        )

    return Subject(
        adapter=ADAPTER,
        options=standby.options,
        reader=standby.account,
        writers={},
        payload=lambda _: {},
        arguments=arguments,
        missing=missing,
        touch=lambda *_: False,
        nowhere=lambda: {**standby.options, "host": str(nowhere)},
    )


@pytest.mark.parametrize("claim", ADAPTER_CLAIMS, ids=named)
def test_the_replica_keeps_the_adapter_contract(claim: AdapterClaim, subject: Subject) -> None:
    claim(subject)


# Reads only


def test_it_has_no_writer_carries_no_type_and_shows_no_record_for_a_commit(reader: Reader) -> None:
    assert ADAPTER.writer is None
    assert ADAPTER.types == {}
    type_ = next(iter(transaction_types().values()))
    with pytest.raises(Unsupported, match="may be behind"):
        reader.snapshot(type_, None)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE production SET quantity = 1",
        "SELECT * FROM production FOR UPDATE",
        "CREATE TEMPORARY TABLE t (a int)",
        "SELECT nextval('production_id_seq')",
        "SELECT txid_current()",
    ],
)
def test_the_standby_refuses_every_write_of_the_reading_role(standby: Standby, statement: str) -> None:
    with (
        psycopg.connect(**_login(standby.options, standby.account)) as session,
        pytest.raises((psycopg.errors.ReadOnlySqlTransaction, psycopg.errors.InsufficientPrivilege)),
    ):
        session.execute(statement.encode())


def test_on_the_primary_too_its_grants_let_it_write_nothing(standby: Standby) -> None:
    with psycopg.connect(**_login(standby.primary_options, standby.account)) as session:
        session.execute("SET default_transaction_read_only = off")
        session.commit()
        for table in (*tables("tryton"), HEARTBEAT):
            row = session.execute(
                "SELECT has_table_privilege(%(t)s, 'SELECT'), has_table_privilege(%(t)s, 'INSERT, UPDATE, DELETE')",
                {"t": table},
            ).fetchone()
            assert row == (True, False), table
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("UPDATE production SET quantity = 1")


def test_the_role_reads_the_tables_its_queries_name_and_no_other(standby: Standby) -> None:
    with standby.inside() as admin:
        rows = admin.execute(
            "SELECT table_name FROM information_schema.role_table_grants WHERE grantee = %s", [READER]
        ).fetchall()
    assert {row[0] for row in rows} == {*tables("tryton"), HEARTBEAT}
    with (
        psycopg.connect(**_login(standby.options, standby.account)) as session,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        session.execute("SELECT password_hash FROM res_user")


def _login(options: Mapping[str, Any], account: Account) -> dict[str, Any]:
    return {
        "host": options["host"],
        "port": options["port"],
        "dbname": options["database"],
        "user": account.login,
        "password": account.secret,
    }


def test_a_primary_is_refused_even_to_a_role_that_only_reads(standby: Standby) -> None:
    with (
        opened(standby, **standby.primary_options) as there,
        pytest.raises(Unavailable, match="not a standby"),
    ):
        there.ping()


def test_a_query_that_tries_to_write_is_told_as_a_fault_of_ours(
    standby: Standby, caplog: pytest.LogCaptureFixture
) -> None:
    asked = Asked(standby.options, standby.account)
    with (
        contextlib.closing(asked),
        caplog.at_level(logging.CRITICAL),
        pytest.raises(AdapterError, match="tried to write"),
    ):
        asked.take(lambda cursor: cursor.execute("SELECT txid_current()"))
    assert "25006" in caplog.text


# How old it is


def test_the_heartbeat_is_the_time_of_the_answer(standby: Standby, reader: Reader) -> None:
    with standby.primary() as primary:
        row = primary.execute(f"SELECT beat FROM {HEARTBEAT}".encode()).fetchone()
    told = anything(reader)
    assert row is not None
    assert told.as_of == row[0]
    assert (told.quality, told.remark) == (Quality.GOOD, "")
    assert told.source == "PostgreSQL standby of Tryton 8.2"


def test_what_is_committed_before_a_beat_is_in_the_answer_of_that_time(
    tryton: TrytonServer, standby: Standby, reader: Reader
) -> None:
    order = orders.production(tryton)
    standby.beat()
    standby.catch_up()
    assert read(reader, "production_order", order=str(order)).value["key"] == str(order)


def test_a_paused_replay_is_told_by_its_age_and_serves_the_old_value(
    tryton: TrytonServer, standby: Standby
) -> None:
    order = orders.production(tryton, quantity=4.0)
    standby.beat()
    standby.catch_up()
    standby.pause()
    try:
        tryton.admin.call("production", "write", [order], {"reference": "MOVED"}, writes=True)
        standby.beat()
        with opened(standby, stale_after=0) as there:
            told = read(there, "production_order", order=str(order))
        assert told.value["reference"] != "MOVED"
        assert told.quality is Quality.STALE
        assert "heartbeat" in told.remark
    finally:
        standby.resume()
    with opened(standby) as there:
        told = read(there, "production_order", order=str(order))
    assert (told.value["reference"], told.quality) == ("MOVED", Quality.GOOD)


@pytest.mark.parametrize("heartbeat", [None, {}])
def test_without_a_heartbeat_the_age_is_unknown_and_nothing_may_rest_on_it(
    standby: Standby, heartbeat: object
) -> None:
    with opened(standby, heartbeat=heartbeat) as there:
        told = anything(there)
    assert (told.as_of, told.quality) == (None, Quality.UNCERTAIN)
    assert "age is unknown" in told.remark


def test_a_heartbeat_without_a_row_is_no_heartbeat(standby: Standby, reader: Reader) -> None:
    with standby.primary() as primary:
        primary.execute(f"DELETE FROM {HEARTBEAT}".encode())
        standby.catch_up()
        told = anything(reader)
        primary.execute(f"INSERT INTO {HEARTBEAT} VALUES (1, clock_timestamp())".encode())
    assert (told.as_of, told.quality) == (None, Quality.UNCERTAIN)


@pytest.mark.parametrize(("ahead", "quality"), [("2 seconds", Quality.GOOD), ("1 minute", Quality.UNCERTAIN)])
def test_a_beat_from_the_future_makes_no_answer_younger_than_now(
    standby: Standby, reader: Reader, ahead: str, quality: Quality
) -> None:
    with standby.primary() as primary:
        primary.execute(f"UPDATE {HEARTBEAT} SET beat = clock_timestamp() + interval '{ahead}'".encode())
    standby.catch_up()
    told = anything(reader)
    assert told.quality is quality
    assert told.as_of is not None
    assert told.as_of <= dt.datetime.now(dt.UTC)


# Cut off, promoted, gone


def test_a_standby_that_is_cut_off_is_refused_until_it_is_let_in_again(
    standby: Standby, reader: Reader
) -> None:
    standby.cut_off()
    try:
        with pytest.raises(Unavailable, match="cut off from its primary"):
            anything(reader)
        with opened(standby, streaming=False, stale_after=0) as there:
            assert anything(there).quality is Quality.STALE
    finally:
        standby.rejoin()
    assert anything(reader).value


def test_a_promoted_standby_is_refused_on_an_open_session_and_on_a_new_one(own_standby: Standby) -> None:
    asked = Asked(own_standby.options, own_standby.account)

    def promote(_cursor: psycopg.Cursor[Any]) -> None:
        own_standby.promote()
        raise psycopg.errors.SerializationFailure(
            "as a conflict with recovery would: the same session tries again"
        )

    with contextlib.closing(asked), pytest.raises(Unavailable, match="was promoted"):
        asked.take(promote)
    with opened(own_standby) as reader, pytest.raises(Unavailable, match="not a standby"):
        anything(reader)


def test_a_standby_that_comes_back_is_read_again_by_the_same_reader(own_standby: Standby) -> None:
    with opened(own_standby) as reader:
        anything(reader)
        own_standby.stop()
        with pytest.raises(Unavailable):
            anything(reader)
        own_standby.restart()
        assert anything(reader).value


def test_a_session_that_an_administrator_ends_is_made_anew(standby: Standby) -> None:
    ended: list[int] = []

    def ask(cursor: psycopg.Cursor[Any]) -> None:
        if not ended:
            ended.append(standby.end_sessions())
        cursor.execute("SELECT 1")

    with contextlib.closing(Asked(standby.options, standby.account)) as asked:
        asked.take(ask)
    assert ended == [1]


def test_no_session_is_held_between_readings(standby: Standby, reader: Reader) -> None:
    anything(reader)
    assert standby.end_sessions() == 0


# Conflicts


def test_a_reading_that_conflicts_with_recovery_is_read_again_as_a_whole(standby: Standby) -> None:
    asked, tries = Asked(standby.options, standby.account), []
    with standby.primary() as primary:
        primary.execute("DROP TABLE IF EXISTS countersign_conflict")
        primary.execute("CREATE TABLE countersign_conflict AS SELECT 1 AS a FROM generate_series(1, 1000)")
        primary.execute(f"GRANT SELECT ON countersign_conflict TO {READER}".encode())
        standby.catch_up()

        def slow(cursor: psycopg.Cursor[Any]) -> int:
            cursor.execute("SELECT count(*) AS n FROM countersign_conflict")
            tries.append(1)
            if len(tries) == 1:
                primary.execute("DELETE FROM countersign_conflict")
                primary.execute("VACUUM countersign_conflict")
                cursor.execute("SELECT pg_sleep(4)")
            row = cursor.fetchone()
            assert row is not None
            return len(row)

        with contextlib.closing(asked):
            asked.take(slow)
        primary.execute("DROP TABLE countersign_conflict")
    assert len(tries) == 2
    with standby.inside() as admin:
        row = admin.execute(
            "SELECT confl_snapshot + confl_lock FROM pg_stat_database_conflicts WHERE datname = current_database()"
        ).fetchone()
    assert row is not None
    assert row[0] >= 1


def test_a_statement_that_takes_too_long_is_given_up_after_a_few_tries(standby: Standby) -> None:
    asked, tries = Asked({**standby.options, "timeout": 0.1}, standby.account), []

    def slow(cursor: psycopg.Cursor[Any]) -> None:
        tries.append(1)
        cursor.execute("SELECT pg_sleep(5)")

    with contextlib.closing(asked), pytest.raises(Unavailable, match="57014"):
        asked.take(slow)
    assert len(tries) == len(PAUSES) + 1


def test_a_header_and_its_lines_are_of_one_moment(tryton: TrytonServer, standby: Standby) -> None:
    order = orders.production(tryton)
    standby.catch_up()
    seen: list[Any] = []

    def twice(cursor: psycopg.Cursor[Any]) -> None:
        for _ in range(2):
            cursor.execute("SELECT reference FROM production WHERE id = %s", [order])
            seen.append(cursor.fetchone())
            if len(seen) == 1:
                tryton.admin.call("production", "write", [order], {"reference": "BETWEEN"}, writes=True)
                standby.catch_up()

    with contextlib.closing(Asked(standby.options, standby.account)) as asked:
        asked.take(twice)
    assert seen[0] == seen[1]


# Settings


@pytest.mark.parametrize(
    ("options", "fault", "words"),
    [
        ({"schema": "sap"}, Unsupported, "there is SQL for tryton"),
        ({"schema": ""}, Unsupported, "there is SQL for tryton"),
        ({"company": 99}, Unsupported, "the database has"),
        ({"host": ""}, Unsupported, "`host`"),
        ({"database": None}, Unsupported, "`database`"),
        ({"database": "nowhere"}, Unavailable, "no database 'nowhere'"),
        ({"heartbeat": {"table": "countersign_heartbeat"}}, Unsupported, "column of time"),
        ({"database": "postgres"}, Unsupported, "not of the schema"),
        ({"heartbeat": {"table": "nowhere", "column": "beat"}}, Unsupported, "missing"),
        ({"heartbeat": {"table": "res_user", "column": "write_date"}}, OutOfScope, "may not read"),
    ],
)
def test_a_wrong_option_is_told_by_what_would_be_right(
    standby: Standby, options: dict[str, Any], fault: type[AdapterError], words: str
) -> None:
    with pytest.raises(fault, match=words), opened(standby, **options) as there:
        anything(there)


@pytest.mark.parametrize("order", ["0x1", "1; DROP TABLE production", "9999999999", "-1", "\u0661"])
def test_what_is_no_number_is_no_order(reader: Reader, order: str) -> None:
    tool = TOOLS["production_order"]
    with pytest.raises(Rejected):
        reader.read(tool, SimpleNamespace(order=order))


def test_two_threads_with_a_reader_each_do_not_disturb_one_another(standby: Standby) -> None:
    told: list[str] = []

    def one() -> None:
        with opened(standby) as there:
            told.extend(json.dumps(anything(there).value, sort_keys=True) for _ in range(5))

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(told) == 15
    assert len(set(told)) == 1
