"""Fixtures for a real Tryton: a served copy of a seeded database, one per session (and xdist worker).

The first use builds a template, which takes two to three minutes, in COUNTERSIGN_TRYTON_HOME or var/tryton-test;
it is built again when what makes it changed, or on another day, because the plant's dates are around today. A
session copies the template's whole cluster, so sessions know nothing of each other.
"""

from __future__ import annotations

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
from integrations.tryton import provision
from integrations.tryton.client import Client
from integrations.tryton.demo.stack import ADMIN, FIRST_MODULES, MODULES, Stack

ROOT = Path(__file__).resolve().parent.parent
TRYTON = ROOT / "integrations" / "tryton"
# What the orders in the template depend on, beside the day and the modules.
_ORDERS = tuple(TRYTON / "demo" / name for name in ("seed.py", "catalogue.py", "past.py", "sold.py"))
_SCOPES = (TRYTON / "provision.py",)


def home() -> Path:
    """Where the template is kept between sessions."""
    return Path(os.environ.get("COUNTERSIGN_TRYTON_HOME") or ROOT / "var" / "tryton-test")


# A standby can be taken of what tests serve: see tests/rigs/standby.py.
REPLICATED = {
    **FAST,
    "synchronous_commit": "local",  # else what was committed reaches a standby only a moment later
    "wal_level": "replica",
    "max_wal_senders": "4",
    "max_replication_slots": "4",
}


def _cluster(folder: Path, settings: Mapping[str, str] = FAST) -> Postgres:
    return Postgres(folder, database="postgres", owner="tryton", app=None, settings=settings)


def _digest(paths: tuple[Path, ...], *more: str) -> str:
    text = b"".join(path.read_bytes() for path in paths) + "".join(more).encode()
    return hashlib.sha256(text).hexdigest()[:16]


def build() -> Path:
    """The home with a template that is right for today; made if there is none. One builder at a time."""
    folder = home()
    folder.mkdir(parents=True, exist_ok=True)
    modules = _digest((TRYTON / "requirements.lock",), *FIRST_MODULES, *MODULES)
    orders = _digest(_ORDERS, modules, dt.datetime.now(dt.UTC).date().isoformat())
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = folder / "built.json"
        built = json.loads(stamp.read_text()) if stamp.exists() else {}
        if built.get("modules") == modules and built.get("orders") == orders:
            return folder
        if built.get("modules") != modules and (folder / "postgres").exists():
            shutil.rmtree(folder / "postgres")
        stamp.unlink(missing_ok=True)
        with _cluster(folder / "postgres") as cluster:
            command = [
                sys.executable,
                "-m",
                "integrations.tryton.demo",
                "build",
                "--fresh",
                "--home",
                str(folder),
            ]
            command += ["--database-uri", cluster.owner_url]
            done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        if done.returncode:
            raise AssertionError(f"Tryton could not be built in {folder}:\n{done.stderr[-2000:]}")
        stamp.write_text(json.dumps({"modules": modules, "orders": orders, "scopes": _digest(_SCOPES)}))
    return folder


class TrytonServer:
    """A served Tryton, seeded. `admin` is for looking and for playing other people, never for the product."""

    def __init__(self, folder: Path) -> None:
        template = build()
        self._folder = folder
        for name in ("venv", "accounts.json", "admin.password"):
            (folder / name).symlink_to(template / name)
        self.cluster = _cluster(folder / "postgres", REPLICATED)
        # The launcher decides where data lies; the template's cluster has decided the same way.
        data = _cluster(template / "postgres").data
        shutil.rmtree(self.cluster.data, ignore_errors=True)
        subprocess.run(["/bin/cp", "-a", data, self.cluster.data], check=True)
        self.cluster.start()
        self._stack = Stack(folder, database_uri=self.cluster.owner_url)
        self._stack.prepare()
        self._stack.serve()
        self.url, self.database = self._stack.url, self._stack.database
        self.admin = Client(self.url, self.database, ADMIN, self._stack.admin_password)
        self._provision()

    def _provision(self) -> None:
        # The template may be older than the scopes. Asking Tryton whether it is takes longer than serving it.
        if json.loads((home() / "built.json").read_text()).get("scopes") == _digest(_SCOPES):
            return
        known = {name: (account.login, account.secret) for name, account in self.accounts.items()}
        provision.provision(self.admin, known)

    @property
    def options(self) -> Mapping[str, Any]:
        """The options of a connection."""
        return {"url": self.url, "database": self.database, "timeout": 20}

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Service accounts by name: "reader" and one per transaction type."""
        known = json.loads((self._folder / "accounts.json").read_text())
        return {name: Account(one["login"], one["password"]) for name, one in known.items()}

    def settings(self) -> tuple[dict[str, Any], dict[str, str]]:
        """An entry for CONNECTIONS, and the secrets it names, for the environment."""
        names = {name: f"TRYTON_{name.upper()}" for name in self.accounts}
        entries = {
            name: {"login": account.login, "secret": names[name]} for name, account in self.accounts.items()
        }
        entry = {
            "adapter": "integrations.tryton.adapter",
            "system": "tryton",
            "system_title": "Tryton",
            "title": "Tryton",
            "isa95_level": 4,
            "options": dict(self.options),
            "reader": entries.pop("reader"),
            "writers": entries,
            "verified_by": None,
        }
        return entry, {names[name]: account.secret for name, account in self.accounts.items()}

    def find(self, model: str, *domain: Any, fields: tuple[str, ...] = ("id",)) -> dict[str, Any]:
        """The first record of a model that fits, as the administrator sees it."""
        rows = self.admin.search_read(model, list(domain), list(fields), limit=1, order=[("id", "ASC")])
        assert rows, f"the seed has no {model} with {domain}"
        return rows[0]

    def reset(self) -> None:
        """The seeded state again; takes seconds, and ends every session of before."""
        self._stack.stop()
        self._stack.reset()
        self._stack.serve()
        self._provision()

    def close(self) -> None:
        """Stop what was started."""
        self.admin.close()
        self._stack.stop()
        self.cluster.stop()


@pytest.fixture(scope="session")
def tryton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonServer]:
    """A real Tryton for this session: seeded, served, its accounts provisioned."""
    server = TrytonServer(tmp_path_factory.mktemp("tryton"))
    try:
        yield server
    finally:
        server.close()
