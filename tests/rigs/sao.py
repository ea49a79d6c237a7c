"""Tryton 8.0 with its own web client `tryton-sao`, both as published: the screens that the robot works at.

npm has the web client in series 8.0, and it refuses a server of another series; so this rig has its own Tryton 8.0
beside the suite's 8.2. Server, modules, web client and browser are not ours. Ours are the company and its products in
it (the demo's seed, without any order: each test makes its own) and the service accounts
(`integrations/tryton/provision.py`).

The database is built once into `var/rigs` and copied per session, as in `tests/tryton.py`.
"""

from __future__ import annotations

import argparse
import datetime as dt
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from console.management.stack.postgres import FAST, Postgres
from integrations.contract import Account
from integrations.tryton.client import Client
from integrations.tryton.demo.stack import ADMIN, FIRST_MODULES, MODULES, Stack
from tests.rigs import npm

ROOT = Path(__file__).resolve().parent.parent.parent
PINS = Path(__file__).resolve().parent / "sao" / "requirements.txt"
TRYTON = ROOT / "integrations" / "tryton"
BUILD_SECONDS = 1200
SEED = (
    "import sys; from integrations.tryton.demo import seed; seed.core_orders = lambda plant: None; "
    "raise SystemExit(seed.main(sys.argv[1:]))"
)


class OlderStack(Stack):
    """The demo's stack with Tryton 8.0, serving the web client in `root` too where one is given."""

    root: Path | None = None

    def prepare(self) -> None:
        """Environment, settings and an initialised database."""
        self.home.mkdir(parents=True, exist_ok=True)
        self._configure()
        if not self.python.exists():
            log = (self.home / "install.log").open("ab")
            with log:
                for command in (
                    [sys.executable, "-m", "venv", str(self.home / "venv")],
                    [str(self.python), "-m", "pip", "install", "--quiet", "--no-deps", "-r", str(PINS)],
                ):
                    subprocess.run(command, stdout=log, stderr=log, check=True)
        if self.status() is None:
            if self.status(self.initialised_template) is None:
                self._initialise()
            self._database("create", self.database, self.initialised_template)

    def _configure(self) -> None:
        super()._configure()
        if self.root is not None:
            settings = self._read("trytond.conf").replace("root =", f"root = {self.root}")
            self._write("trytond.conf", settings + "\n")

    def _run(self, *arguments: str, log: str) -> str:
        # Series 8.0 makes its administrator without being asked to, and does not know the option.
        return super()._run(*(one for one in arguments if one != "--administrator"), log=log)

    def furnish(self) -> None:
        """Company, products and stock as in the demo, and no order."""
        command = [str(self.python), "-O", "-c", SEED, self.database, "--only-core"]
        with (self.home / "seed.log").open("ab") as log:
            child = self._spawn(command, stdout=log)
            if child.wait(BUILD_SECONDS):
                raise RuntimeError(f"seeding failed; see {self.home / 'seed.log'}")
        # It has ended, as it should; a server that ends is looked for among those that are left.
        self._children.remove(child)


def _cluster(folder: Path) -> Postgres:
    return Postgres(folder, database="postgres", owner="tryton", app=None, settings=FAST)


def _key(*paths: Path, more: str = "") -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths) + more.encode()).hexdigest()[:12]


def built() -> Path:
    """The folder with a database that is right for this year; made if there is none. One builder at a time."""
    seed = (TRYTON / "demo" / "seed.py", TRYTON / "demo" / "catalogue.py", TRYTON / "provision.py")
    # Fiscal years are the only days in it.
    year = str(dt.datetime.now(dt.UTC).year)
    modules = _key(PINS, more=" ".join((*FIRST_MODULES, *MODULES)))
    home = ROOT / "var" / "rigs" / f"tryton80-{modules}"
    home.mkdir(parents=True, exist_ok=True)
    orders = _key(*seed, more=f"{SEED} {year}")
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = home / ".done"
        if not done.exists() or done.read_text() != orders:
            done.unlink(missing_ok=True)
            command = [sys.executable, "-m", "tests.rigs.sao", str(home)]
            told = subprocess.run(
                command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=BUILD_SECONDS
            )
            if told.returncode:
                raise AssertionError(f"Tryton 8.0 could not be built in {home}:\n{told.stderr[-2000:]}")
            done.write_text(orders)
    return home


def build(home: Path) -> None:
    """Make the database: modules once, then what is in it."""
    with _cluster(home / "postgres") as cluster:
        stack = OlderStack(home, database_uri=cluster.owner_url)
        try:
            stack.prepare()
            stack.forget()
            stack.prepare()
            stack.furnish()
            stack.serve()
            stack.provision()
        finally:
            stack.stop()


class WebTryton:
    """A served Tryton 8.0 with its web client. `admin` is for looking and for playing other people."""

    def __init__(self, folder: Path) -> None:
        client = npm.installed("sao") / "node_modules" / "tryton-sao"
        template = built()
        self._folder = folder
        for name in ("venv", "accounts.json", "admin.password"):
            (folder / name).symlink_to(template / name)
        self._cluster = _cluster(folder / "postgres")
        data = _cluster(template / "postgres").data
        shutil.rmtree(self._cluster.data, ignore_errors=True)
        subprocess.run(["/bin/cp", "-a", data, self._cluster.data], check=True)
        self._cluster.start()
        self._stack = OlderStack(folder, database_uri=self._cluster.owner_url)
        self._stack.root = client
        self._stack.prepare()
        self._stack.serve()
        self.url, self.database = self._stack.url, self._stack.database
        self.admin = Client(self.url, self.database, ADMIN, self._stack.admin_password)

    @property
    def options(self) -> Mapping[str, Any]:
        """The options of a connection by JSON-RPC, and of the robot's."""
        return {"url": self.url, "database": self.database, "timeout": 20}

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Service accounts by name: "reader" and one per transaction type."""
        known = json.loads((self._folder / "accounts.json").read_text())
        return {name: Account(one["login"], one["password"]) for name, one in known.items()}

    def find(self, model: str, *domain: Any, fields: tuple[str, ...] = ("id",)) -> dict[str, Any]:
        """The first record of a model that fits, as the administrator sees it."""
        rows = self.admin.search_read(model, list(domain), list(fields), limit=1, order=[("id", "ASC")])
        assert rows, f"the seed has no {model} with {domain}"
        return rows[0]

    def close(self) -> None:
        """Stop what was started."""
        self.admin.close()
        self._stack.stop()
        self._cluster.stop()


@pytest.fixture(scope="session")
def web_tryton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebTryton]:
    """Tryton 8.0 and its web client for this session."""
    server = WebTryton(tmp_path_factory.mktemp("web-tryton"))
    try:
        yield server
    finally:
        server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.rigs.sao")
    parser.add_argument("home", type=Path)
    os.umask(0o077)
    build(parser.parse_args().home)
