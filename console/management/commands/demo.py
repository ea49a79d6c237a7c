"""`manage.py demo`: database, broker, web, worker, beat and a real ERP on this machine, until Ctrl-C.

A second start is refused while one runs, and keeps the data of the one before. DATABASE_URL, REDIS_URL and
TRYTON_URL name servers to use instead of own ones; CONNECTIONS names further systems, and where one can only be
subscribed to, `listen` runs too. What runs where is written to `var/runtime.json`
(private), so that other `manage.py` commands find it; logs are in `var/log`.
"""

import argparse
import contextlib
import fcntl
import functools
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import get_commands
from django.core.management.base import BaseCommand, CommandError

from console.environment import LOCK_FILE, ROOT, RUNTIME_FILE, VAR
from console.management.stack.broker import Broker, BrokerError, free_port
from console.management.stack.postgres import FAST, Postgres, PostgresError, die_with_parent
from console.management.stack.supervise import Child, Supervisor
from console.reads.listen import listeners

HOST = "127.0.0.1"
WEB_THREADS = 64
WEB_START_SECONDS = 60
TRYTON = ROOT / "integrations" / "tryton" / "demo" / "__main__.py"
TRYTON_HOME = VAR / "tryton"
FLOOR = {"adapter": "integrations.by_hand.adapter", "system": "floor", "title": "Shop floor"}
"""Where nothing is written but by a person."""


class Command(BaseCommand):
    """Start everything, say where it is, keep it running, stop all of it and nothing else."""

    help = "Start the demo on this machine: everything it needs, seeded, until Ctrl-C."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--port", type=int, default=8000, help="web port, if free (default: %(default)s)")
        parser.add_argument("--no-erp", action="store_true", help="do not set up the ERP")
        parser.add_argument("--once", action="store_true", help="stop again as soon as the web answers")

    def handle(self, *_: Any, port: int, no_erp: bool, once: bool, **__: Any) -> None:
        """Run until told to stop; the exit status is 0 after Ctrl-C."""
        VAR.mkdir(parents=True, exist_ok=True)
        with _only_one():
            demo = Demo(self, with_erp=not no_erp)
            status = 1
            try:
                demo.start(port)
                status = 0 if once else demo.supervisor.watch(demo.look)
            except (PostgresError, BrokerError) as error:
                raise CommandError(str(error)) from error
            finally:
                demo.stop()
        if status:
            raise CommandError(demo.supervisor.why or "The demo ended.")


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    """Hold the lock of this checkout's `var`; other commands see by it that a demo runs."""
    with LOCK_FILE.open("w") as lock:
        for attempt in range(5):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:  # a command that asks whether a demo runs holds it for a blink
                if attempt == 4:  # noqa: PLR2004
                    raise CommandError(f"A demo is running already; see {RUNTIME_FILE}.") from None
                time.sleep(0.05)
        yield


def _write_private(path: Path, content: str) -> None:
    """Replace a file that only its owner may read, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
    new.replace(path)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _lasting_secret_key() -> str:
    """One key per `var` folder, so that sign-ins and agents' keys outlive a restart."""
    path = VAR / "secret_key"
    if not path.exists():
        _write_private(path, secrets.token_urlsafe(48))
    return path.read_text().strip()


def _plant(progress: dict[str, Any]) -> dict[str, Any]:
    """CONNECTIONS and SECRETS for the console, from what Tryton's set-up says about itself."""
    accounts = _read_json(TRYTON_HOME / "accounts.json")
    named = {
        name: {"login": account["login"], "secret": f"TRYTON_{name.upper()}"}
        for name, account in accounts.items()
    }
    connection = {
        "adapter": "integrations.tryton.adapter",
        "system": "tryton",
        "system_title": "Tryton",
        "title": "Tryton ERP",
        "isa95_level": 4,
        "options": {"url": progress["url"], "database": progress["database"], "timeout": 20},
        "reader": named.pop("reader"),
        "writers": named,
        "verified_by": None,
    }
    secrets_by_name = {f"TRYTON_{name.upper()}": account["password"] for name, account in accounts.items()}
    return {"CONNECTIONS": {"tryton": connection, "floor": FLOOR}, "SECRETS": secrets_by_name}


class Demo:
    """What one run of the demo knows."""

    def __init__(self, command: BaseCommand, *, with_erp: bool) -> None:
        self.command = command
        self.with_erp = with_erp
        self.began = time.monotonic()
        self.supervisor = Supervisor(VAR / "log", self.say)
        self.supervisor.install_signals()
        self.env = dict(os.environ)
        self.runtime: dict[str, Any] = {}
        self.phase = ""
        self.erp: Child | None = None
        self.erp_is_connected = False
        self.erp_is_over = False

    def say(self, line: str) -> None:
        """One calm line."""
        self.command.stdout.write(f"  {line}")
        self.command.stdout.flush()

    # Start

    def start(self, port: int) -> None:
        """Bring everything up, in the order in which it is needed."""
        self.command.stdout.write("\nCountersign demo\n")
        url = f"http://{HOST}:{free_port(port, HOST)}/"
        self.env |= {
            "COUNTERSIGN_MODE": "demo",
            "COUNTERSIGN_URL": url,
            "SECRET_KEY": os.environ.get("SECRET_KEY") or _lasting_secret_key(),
            "PYTHONUNBUFFERED": "1",
        }
        self._start_database()
        self._start_broker()
        names = (
            "COUNTERSIGN_MODE",
            "COUNTERSIGN_URL",
            "SECRET_KEY",
            "DATABASE_URL",
            "DATABASE_OWNER_URL",
            "REDIS_URL",
        )
        self.runtime = {name: self.env[name] for name in names}
        # In the file, so that the ERP can join them: a variable would hide it from the others.
        self.runtime["CONNECTIONS"] = dict(settings.CONNECTIONS)
        for name in ("CONNECTIONS", "CONNECTIONS_FILE"):
            self.env.pop(name, None)
        self._write_runtime()
        self._manage("migrate", "--verbosity", "0")
        self.say("tables are up to date")
        logins = self._seed()
        self._start_processes(url)
        self._announce(url, logins)
        self._start_erp()

    def _start_database(self) -> None:
        if given := self.env.get("DATABASE_URL"):
            self.env.setdefault("DATABASE_OWNER_URL", given)
            self.say("using the database of DATABASE_URL")
            return
        postgres = Postgres(VAR / "postgres")
        self.supervisor.add(Child("postgres", postgres.launch, stop_signal=signal.SIGINT, grace=20))
        postgres.wait_ready()
        self.env |= {"DATABASE_URL": postgres.app_url, "DATABASE_OWNER_URL": postgres.owner_url}
        self.say("PostgreSQL is up")

    def _start_broker(self) -> None:
        if self.env.get("REDIS_URL"):
            self.say("using the broker of REDIS_URL")
            return
        broker = Broker(VAR / "broker")
        self.supervisor.add(Child("broker", broker.launch))
        broker.wait_ready()
        self.env["REDIS_URL"] = broker.url
        self.say("the broker is up")

    def _start_processes(self, url: str) -> None:
        env = {**self.env, "DATABASE_OWNER_URL": ""}  # those who serve never hold the owner's credentials
        port = url.rstrip("/").rsplit(":", 1)[1]
        web = [
            sys.executable,
            "-m",
            "granian",
            "--interface",
            "wsgi",
            "--host",
            HOST,
            "--port",
            port,
            "--no-ws",
        ]
        web += ["--workers", "1", "--blocking-threads", str(WEB_THREADS), "console.wsgi:application"]
        celery = [sys.executable, "-m", "celery", "-A", "console"]
        self.supervisor.run("web", web, env)
        self.supervisor.run(
            "worker", [*celery, "worker", "-l", "INFO", "--without-gossip", "--without-mingle"], env, grace=20
        )
        self.supervisor.run("beat", [*celery, "beat", "-l", "INFO"], env)
        if names := listeners():
            command = [sys.executable, str(ROOT / "manage.py"), "listen"]
            self.supervisor.run("listen", command, env, essential=False)
            self.say(f"listening on {', '.join(names)}")
        self._wait_for_web(url)

    def _wait_for_web(self, url: str) -> None:
        deadline = time.monotonic() + WEB_START_SECONDS
        while not self.supervisor.stopping.is_set():
            try:
                urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 (our own address)
            except urllib.error.HTTPError:
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise CommandError(
                        "The web did not come up. It said:\n" + self.supervisor.last_words("web")
                    ) from None
                time.sleep(0.1)
            else:
                return

    def _announce(self, url: str, logins: str) -> None:
        seconds = time.monotonic() - self.began
        self.command.stdout.write(f"\nReady after {seconds:.0f} s: {url}\n")
        if logins:
            self.command.stdout.write(f"{logins}\n")
        self.command.stdout.write("Ctrl-C stops everything and keeps the data.\n\n")
        self.command.stdout.flush()

    # Commands of others

    def _manage(self, *arguments: str) -> str:
        """Run one management command to its end; gives what it printed."""
        done = subprocess.run(
            [sys.executable, ROOT / "manage.py", *arguments],
            env=self.env,
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
            preexec_fn=functools.partial(die_with_parent, signal.SIGTERM),
        )
        with (VAR / "log" / "setup.log").open("a") as log:
            log.write(done.stdout + done.stderr)
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
            raise CommandError(f"{arguments[0]} failed: {lines[-1]} (more in {VAR / 'log' / 'setup.log'})")
        return done.stdout.strip("\n")

    def _seed(self, *arguments: str) -> str:
        if "demo_seed" not in get_commands():
            self.say("nothing seeded: there is no demo_seed command yet")
            return ""
        return self._manage("demo_seed", *arguments)

    # The ERP, set up beside everything else

    def _start_erp(self) -> None:
        if not self.with_erp:
            self.erp_is_over = True
        elif given := os.environ.get("TRYTON_URL"):
            self.say(f"using the ERP at {given}; connections come from CONNECTIONS")
            self._connect_erp()
            self.erp_is_over = True
        elif not TRYTON.exists():
            self.erp_is_over = True
            self.say("no ERP: its demo environment is not part of this checkout")
            self._start_agent()
        else:
            self._launch_tryton()

    def _launch_tryton(self) -> None:
        self._progress_file.unlink(missing_ok=True)
        cluster = Postgres(
            TRYTON_HOME / "postgres", database="postgres", owner="tryton", app=None, settings=FAST
        )
        self.supervisor.add(
            Child("erp-postgres", cluster.launch, stop_signal=signal.SIGINT, grace=20, essential=False)
        )
        cluster.wait_ready()
        command = [sys.executable, "-m", "integrations.tryton.demo", "up"]
        command += ["--home", str(TRYTON_HOME), "--database-uri", cluster.owner_url]
        env = {
            name: value for name, value in self.env.items() if name not in self.runtime
        }  # not ours to give
        self.erp = self.supervisor.run("erp", command, env, grace=20, essential=False)
        self.say("setting up Tryton, a real ERP, beside it")

    @property
    def _progress_file(self) -> Path:
        return TRYTON_HOME / "progress.json"

    def look(self) -> None:
        """Say how far the ERP is; when its core is ready, connect it."""
        if self.erp_is_over:
            return
        progress = _read_json(self._progress_file)
        phase = str(progress.get("error") or progress.get("phase") or "")
        if phase and phase != self.phase:
            self.phase = phase
            self.say(f"ERP: {phase} ({progress.get('done', 0)}/{progress.get('total', 0)})")
        if progress.get("core_ready") and not progress.get("error") and not self.erp_is_connected:
            self.say(f"ERP: connecting {progress.get('url', '')}")
            known = self.runtime["CONNECTIONS"]
            self.runtime |= _plant(progress)
            self.runtime["CONNECTIONS"] = known | self.runtime["CONNECTIONS"]
            self._connect_erp()
        gave_up = self.erp is not None and self.erp.finished
        if self.erp_is_connected and progress.get("ready"):
            self._start_evals()
        self.erp_is_over = gave_up or (self.erp_is_connected and bool(progress.get("ready")))
        if gave_up:
            self.say(f"the demo goes on without the ERP; see {VAR / 'log' / 'erp.log'}")

    def _connect_erp(self) -> None:
        """Tell the console about the ERP, seed what needs it, let the demo agent begin."""
        self.erp_is_connected = True
        self._write_runtime()
        self.supervisor.restart("web", "worker", "beat")
        try:
            self._seed("--erp-ready")
        except CommandError as error:  # the console without its demo data is still worth looking at
            self.say(str(error))
            return
        self._start_agent()

    def _start_agent(self) -> None:
        if "demo_agent" not in get_commands():
            self.say("no agent: there is no demo_agent command yet")
            return
        env = {**self.env, "DATABASE_OWNER_URL": ""}
        command = [sys.executable, str(ROOT / "manage.py"), "demo_agent"]
        command += ["--key-file", str(VAR / "demo-agent.key")]
        self.supervisor.run("agent", command, env, essential=False)

    def _start_evals(self) -> None:
        """Beside everything else, once: what the agent would have been worth last quarter."""
        env = {**self.env, "DATABASE_OWNER_URL": ""}
        command = [sys.executable, str(ROOT / "manage.py"), "demo_evals"]
        self.supervisor.run("evals", command, env, restart=False, essential=False, aloud=True)

    def _write_runtime(self) -> None:
        _write_private(RUNTIME_FILE, json.dumps(self.runtime, indent=1))

    # Stop

    def stop(self) -> None:
        """Stop everything in order; the data stays."""
        self.say("stopping ...")
        began = time.monotonic()
        self.supervisor.stop()
        RUNTIME_FILE.unlink(missing_ok=True)
        self.say(f"all stopped in {time.monotonic() - began:.1f} s")
