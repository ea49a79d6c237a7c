"""Starts the demo ERP: environment, database, server, accounts and seed, in the order that serves people soonest.

What is done is written on the database itself (see `database`), so a start that was interrupted goes on where
it was, and a start with an empty cluster begins anew. Order of a first start:

1. environment, then an initialised database (kept as a template, so that a failed seed starts from there);
2. the server, while the core is being seeded; accounts as soon as there is a company;
3. core ready: orders to read and repair; then the rest of the books while people already work;
4. the finished database is kept as a template too: `reset` puts it back in seconds.

The caller brings a PostgreSQL whose role may create databases, and its address.

The file is long because the order of the steps is what it is about.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import httpx

from integrations.tryton import provision
from integrations.tryton.client import Client
from integrations.tryton.demo import environment

ROOT = Path(__file__).resolve().parents[3]
# In two goes, with PostgreSQL's statistics taken in between: the second is three times as fast with them.
FIRST_MODULES = ("party", "currency", "company")
MODULES = (
    "sale_history",
    "purchase_history",
    "production_work",
    "stock_supply",
    "purchase",
    "sale",
    "purchase_request",
    "sale_amendment",
    "purchase_amendment",
)
ADMIN = "admin"
_PR_SET_PDEATHSIG = 1


class DemoError(RuntimeError):
    """The ERP could not be started; the message says which step failed and where its log is."""


class Stopped(Exception):
    """Somebody asked to stop."""


@dataclass
class Progress:
    """What `progress.json` holds; `done` of `total` steps, the phase in words for people."""

    phase: str = "Starting"
    done: int = 0
    total: int = 119
    core_ready: bool = False
    ready: bool = False
    url: str = ""
    database: str = ""
    accounts: str = ""
    error: str | None = None
    pid: int = field(default_factory=os.getpid)


def die_with_parent() -> None:
    """Child side, Linux: end when whoever started us was killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class Stack:
    """One home folder, one database.

    Args:
        home: everything but the database is below it.
        database_uri: a PostgreSQL whose role may create databases; the path in it is ignored.
        database: the name of the ERP's database.
        port: where to listen on loopback; 0 for a free one, kept for later starts.
        workers: server processes.
    """

    def __init__(
        self, home: Path, *, database_uri: str, database: str = "countersign", port: int = 0, workers: int = 2
    ) -> None:
        self.home = home.absolute()
        self.database_uri, self.database, self.workers = database_uri, database, workers
        self._wanted_port = port
        self.python = self.home / "venv" / "bin" / "python"
        self.accounts = self.home / "accounts.json"
        self._admin_password = self.home / "admin.password"
        self.progress = Progress(database=database, accounts=str(self.accounts))
        self._children: list[subprocess.Popen[str]] = []
        self._telling = threading.Lock()
        self._stopping = False

    @property
    def port(self) -> int:
        """The loopback port of this home."""
        return int(self._read("port") or 0)

    @property
    def url(self) -> str:
        """Where the ERP answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin_password(self) -> str:
        """For provisioning and for tests that look into the ERP; the console never sees it."""
        return self._read("admin.password")

    @property
    def initialised_template(self) -> str:
        """The database with modules and nothing else."""
        return f"{self.database}_initialised"

    @property
    def seeded_template(self) -> str:
        """The finished database."""
        return f"{self.database}_seeded"

    # Steps

    def prepare(self) -> None:
        """Environment, settings and an initialised database."""
        self.home.mkdir(parents=True, exist_ok=True)
        self._configure()
        self.tell("Installing Tryton")
        environment.ensure(self.home / "venv", self.home / "install.log")
        self._stop_if_asked()
        state = self.status()
        if state is not None:
            if not state.get("initialised"):
                raise DemoError(
                    f"The database {self.database!r} exists and is not this demo's; name another (--database)."
                )
            return
        if self.status(self.initialised_template) is None:
            self._initialise()
        self._database("create", self.database, self.initialised_template)

    def _initialise(self) -> None:
        building = f"{self.initialised_template}_building"
        self._database("drop", building)
        self._database("create", building)
        for phase, modules in (
            ("Laying the ERP's foundations", FIRST_MODULES),
            ("Installing modules", MODULES),
        ):
            self.tell(phase, steps=4)
            options = ("-c", str(self.home / "trytond.conf"), "-d", building, "-l", "en")
            self._run(
                *("-O", str(self.python.with_name("trytond-admin")), *options),
                *(
                    "--email",
                    "admin@example.com",
                    "--administrator",
                    "--activate-dependencies",
                    "-u",
                    *modules,
                ),
                log="init.log",
            )
            self._database("analyze", building)
        self._database("rename", building, self.initialised_template)
        self.mark(initialised=True, database=self.initialised_template)

    def serve(self) -> None:
        """Start the server; gives when it answers."""
        with (self.home / "trytond.log").open("ab") as log:
            command = [str(self.python.with_name("gunicorn")), "-b", f"127.0.0.1:{self.port}"]
            command += ["-w", str(self.workers), "--threads", "4", "--timeout", "120"]
            # Tryton's log would hold every request; failures are enough.
            command += ["--log-level", "warning", "trytond.application:app"]
            self._spawn(command, stdout=log, TRYTOND_DATABASE_NAMES=self.database)
        deadline = time.monotonic() + 120
        while True:
            self._stop_if_asked()
            self._check_children()
            with contextlib.suppress(httpx.HTTPError):
                body = {"id": 1, "method": "common.server.version", "params": []}
                if httpx.post(f"{self.url}/rpc/", json=body, timeout=5).status_code == httpx.codes.OK:
                    return
            if time.monotonic() > deadline:
                raise DemoError(f"Tryton does not answer at {self.url}; see {self.home / 'trytond.log'}.")
            time.sleep(0.1)

    def seed(self, start: str, *, on_reached: Mapping[str, Any]) -> None:
        """Run the seed from `start`, calling `on_reached[milestone]` as milestones come."""
        with (self.home / "seed.log").open("ab") as log:
            child = self._spawn(
                [
                    str(self.python),
                    "-O",
                    "-m",
                    "integrations.tryton.demo.seed",
                    self.database,
                    "--start",
                    start,
                ],
                stdout=subprocess.PIPE,
                stderr=log,
            )
        before = self.progress.done
        assert child.stdout is not None  # noqa: S101 asked for a pipe
        for line in child.stdout:
            said = json.loads(line)
            if milestone := said.get("reached"):
                on_reached.get(milestone, lambda: None)()
            else:
                self.tell(said["phase"], at=before + said["done"])
        if child.wait() != 0:
            self._stop_if_asked()
            raise DemoError(f"Seeding the ERP failed; see {self.home / 'seed.log'}.")
        self._children.remove(child)

    def provision(self) -> None:
        """Service accounts, by the ERP administrator's login; their passwords are made here once."""
        known: dict[str, dict[str, str]] = json.loads(self._read("accounts.json") or "{}")
        for name in provision.SCOPES:
            known.setdefault(name, {"login": f"countersign-{name}", "password": secrets.token_urlsafe(24)})
        self._write("accounts.json", json.dumps(known, indent=2))
        with Client(self.url, self.database, ADMIN, self.admin_password) as admin:
            provision.provision(admin, {name: (a["login"], a["password"]) for name, a in known.items()})

    def up(self) -> None:
        """Everything, until it is served and seeded; raises DemoError, or Stopped when asked to end."""
        self.prepare()
        state = self.status() or {}
        if state.get("rest"):
            self.tell("Starting the ERP", at=self.progress.total - 1)
            self.serve()
            self._passwords_still_fit()
            self.progress.core_ready = True
        elif state.get("core"):
            self.tell("Starting the ERP")
            self.serve()
            self._passwords_still_fit()
            self.progress.core_ready = True
            self.tell("More orders")
            self.seed("rest", on_reached={})
            self._keep()
        else:
            self._first_start()
        self.progress.ready = True
        self.tell("Ready", at=self.progress.total)

    def _first_start(self) -> None:
        if (self.status() or {}).get("touched"):
            # A core that was interrupted cannot be continued.
            self._database("drop", self.database)
            self._database("create", self.database, self.initialised_template)
        self.mark(touched=True)
        failures: list[BaseException] = []
        provisioned = threading.Event()

        def serve_and_provision() -> None:
            try:
                self.provision()
                provisioned.set()
            except BaseException as error:  # noqa: BLE001 shown by whoever waits
                failures.append(error)
                provisioned.set()

        helper = threading.Thread(target=serve_and_provision, daemon=True)

        def core() -> None:
            helper.join()
            if failures:
                raise failures[0]
            self.mark(core=True)
            self.progress.core_ready = True
            self.tell("First orders are there")

        # Started from this thread: on Linux children end with the thread that started them.
        self.tell("Starting the ERP")
        self.serve()
        self.seed("core", on_reached={"company": helper.start, "core": core})
        self._keep()

    def _keep(self) -> None:
        self.mark(rest=True)

    def forget(self) -> None:
        """Drop the orders, keep the modules: the next start seeds again."""
        self._database("drop", self.database)
        self._database("drop", self.seeded_template)

    def keep_template(self) -> None:
        """Keep the finished database for `reset`; nobody may be connected."""
        if self.status(self.seeded_template) is None:
            self._database("create", self.seeded_template, self.database)

    def reset(self) -> None:
        """The seeded state again; the server must not be running."""
        if self.status(self.seeded_template) is None:
            raise DemoError("There is no seeded state to go back to; run `up` to its end first.")
        self._database("drop", self.database)
        self._database("create", self.database, self.seeded_template)

    def stop(self) -> None:
        """End what was started here, last first."""
        for child in reversed(self._children):
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in reversed(self._children):
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(5)
        self._children.clear()

    def watch(self) -> None:
        """Wait until asked to stop; DemoError when the server ends by itself."""
        while not self._stopping:
            self._check_children()
            time.sleep(0.2)

    def ask_to_stop(self) -> None:
        """From a signal handler."""
        self._stopping = True
        for child in self._children:
            if child.poll() is None and child.stdout is not None:
                child.send_signal(signal.SIGTERM)

    # Telling

    def tell(self, phase: str, *, steps: int = 1, at: int | None = None) -> None:
        """Write `progress.json`, whole or not at all."""
        self.home.mkdir(parents=True, exist_ok=True)
        with self._telling:
            self.progress.phase = phase
            self.progress.done = self.progress.done + steps if at is None else max(at, self.progress.done)
            self.progress.done = min(self.progress.done, self.progress.total)
            self.progress.url = self.url
            self._write("progress.json", json.dumps(asdict(self.progress)))

    def fail(self, text: str) -> None:
        """Write the error for whoever watches."""
        self.progress.error = text
        self.progress.core_ready = self.progress.ready = False
        self.tell("Failed", steps=0)

    def ended(self) -> None:
        """Nobody must take the last word of this run for the state of the next."""
        self.progress.core_ready = self.progress.ready = False
        self.tell("Stopped", steps=0)

    # Inside

    def status(self, database: str | None = None) -> dict[str, Any] | None:
        """What is known of a database: None when there is none."""
        answer = self._run_erp("status", database or self.database)
        status: dict[str, Any] | None = json.loads(answer)
        return status

    def mark(self, *, database: str | None = None, **facts: bool) -> None:
        """Remember facts about a database, on the database."""
        name = database or self.database
        self._database("note", name, json.dumps({**(self.status(name) or {}), **facts}))

    def _database(self, *arguments: str) -> None:
        self._run_erp(*arguments)

    def _run_erp(self, *arguments: str) -> str:
        return self._run("-m", "integrations.tryton.demo.database", *arguments, log="database.log")

    def _configure(self) -> None:
        if not self.admin_password:
            self._write("admin.password", secrets.token_urlsafe(24))
        if self._wanted_port or not self.port:
            self._write("port", str(self._wanted_port or _free_port()))
        if urlsplit(self.database_uri).scheme not in {"postgresql", "postgres"}:
            raise DemoError("The database address must be of PostgreSQL: postgresql://role@host:port/ .")
        # Tryton puts a database's name where the path is, and complains about one that is there already.
        uri = urlsplit(self.database_uri)._replace(scheme="postgresql", path="/").geturl()
        self._write(
            "trytond.conf",
            f"[web]\nlisten = 127.0.0.1:{self.port}\nroot =\n\n[database]\nuri = {uri}\nlanguage = en\n\n"
            # Else the server's processes learn of changed rights and settings only after five minutes.
            "[cache]\nclean_timeout = 0\n",
        )

    def _passwords_still_fit(self) -> None:
        # A home folder that lost its accounts file would otherwise never fit its database again.
        if self._read("accounts.json"):
            return
        self.provision()

    def _read(self, name: str) -> str:
        path = self.home / name
        return path.read_text().strip() if path.exists() else ""

    def _write(self, name: str, text: str) -> None:
        path = self.home / name
        half = path.with_name(f".{name}.{os.getpid()}.{threading.get_ident()}")
        with open(half, "w", opener=lambda file, flags: os.open(file, flags, 0o600)) as file:
            file.write(text)
        half.replace(path)

    def _environment(self, **variables: str) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("TRYTON", "PYTHON"))
        }
        return {
            **kept,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "TRYTOND_CONFIG": str(self.home / "trytond.conf"),
            "TRYTONPASSFILE": str(self._admin_password),
            **variables,
        }

    def _run(self, *arguments: str, log: str) -> str:
        with (self.home / log).open("ab") as output:
            child = self._spawn([str(self.python), *arguments], stdout=subprocess.PIPE, stderr=output)
            said, _ = child.communicate()
        self._children.remove(child)
        self._stop_if_asked()
        if child.returncode:
            raise DemoError(f"{self.progress.phase} failed; see {self.home / log}.")
        return said

    def _spawn(
        self,
        command: list[str],
        *,
        stdout: int | IO[bytes],
        stderr: int | IO[bytes] = subprocess.STDOUT,
        **variables: str,
    ) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
            cwd=self.home,
            env=self._environment(**variables),
            # Its own session: Ctrl-C reaches us, and we stop things in order.
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 it only calls prctl
        )
        self._children.append(child)
        return child

    def _stop_if_asked(self) -> None:
        if self._stopping:
            raise Stopped

    def _check_children(self) -> None:
        for child in self._children:
            if child.poll() is not None and not self._stopping:
                raise DemoError(f"Tryton ended with {child.returncode}; see {self.home / 'trytond.log'}.")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
