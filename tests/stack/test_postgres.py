"""The embedded PostgreSQL: what it survives, and what it leaves alone."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from console.environment import ROOT
from console.management.stack.postgres import FAST, SAFE, Postgres, PostgresError
from tests.stack.processes import alive, wait_until


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Postgres]:
    # The crash of a process, not of a machine: fsync does not matter here, and initdb is quicker without.
    with Postgres(tmp_path / "postgres", settings={**SAFE, "fsync": "off"}) as postgres:
        yield postgres


def test_committed_rows_survive_a_kill_and_the_next_start_serves_them(cluster: Postgres) -> None:
    assert cluster.process is not None
    with psycopg.connect(cluster.owner_url) as connection:
        connection.execute("create table kept as select generate_series(1, 1000) as number")
    cluster.process.kill()
    cluster.process.wait()
    cluster.start()
    with psycopg.connect(cluster.owner_url) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (1000,)


def test_the_server_listens_on_no_network_address(cluster: Postgres) -> None:
    with psycopg.connect(cluster.app_url) as connection:
        assert connection.execute("show listen_addresses").fetchone() == ("",)
    assert cluster.run.stat().st_mode & 0o077 == 0


def test_a_half_made_cluster_is_made_again(tmp_path: Path) -> None:
    home = tmp_path / "postgres"
    (home / "data" / "base").mkdir(parents=True)
    (home / "data" / "postgresql.conf").write_text("half")
    with Postgres(home, settings=FAST) as postgres, psycopg.connect(postgres.app_url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_data_of_another_major_version_is_refused_and_kept(tmp_path: Path) -> None:
    data = tmp_path / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("12\n")
    with pytest.raises(PostgresError, match="was made by PostgreSQL 12"):
        Postgres(tmp_path / "postgres").start()
    assert (data / "PG_VERSION").read_text() == "12\n"


def test_a_deep_folder_does_not_break_the_socket(tmp_path: Path) -> None:
    home = tmp_path / ("deep" * 20) / "postgres"
    with Postgres(home, settings=FAST) as postgres:
        assert len(str(postgres.run)) < 60
        with psycopg.connect(postgres.app_url) as connection:
            assert connection.execute("select current_user").fetchone() == ("countersign_app",)
    shutil.rmtree(postgres.run)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a choice")
def test_root_can_serve_as_another_account_and_a_later_start_keeps_to_it(tmp_path: Path) -> None:
    first = Postgres(tmp_path / "postgres", settings=FAST, root_mode="setuid")
    try:
        with first:
            owner = first.data.stat().st_uid
        with Postgres(tmp_path / "postgres", settings=FAST) as second:
            assert second.data == first.data
            assert second.data.stat().st_uid == owner != 0
    finally:
        if not first.home.is_relative_to(tmp_path):  # below a folder that the account cannot enter
            shutil.rmtree(first.home)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_killed_parent_takes_the_server_with_it_and_the_next_start_is_normal(tmp_path: Path) -> None:
    home = tmp_path / "postgres"
    command = [sys.executable, "-m", "console.management.stack.postgres", "--home", str(home), "--fast"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        with psycopg.connect(url) as connection:
            connection.execute("create table kept as select 1 as number")
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: not alive(str(home)))
    with Postgres(home, settings=FAST) as postgres, psycopg.connect(postgres.owner_url) as connection:
        assert connection.execute("select number from kept").fetchone() == (1,)
