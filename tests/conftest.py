"""Fixtures for services: test databases, real Celery workers, a browser that tolerates no fault."""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.db import connections
from django.test import TransactionTestCase
from django.test.utils import setup_databases, teardown_databases
from playwright.sync_api import Page
from pytest_django.plugin import DjangoDbBlocker

from console.environment import ROOT
from tests.chromium import find_chromium

pytest_plugins = [
    "tests.cast",
    "tests.sandbox",
    "tests.tryton",
    "tests.rigs.nodered",
    "tests.rigs.standby",
    "tests.rigs.sao",
    "tests.live.plugin",
]


@contextlib.contextmanager
def _one_migrates() -> Iterator[Callable[[], None]]:
    """Let the first process of a run migrate, call what is given, and every later one copy its database.

    The migrations take seconds, nearly all of them in Python. Only on a server that ends with the run, and only
    where the migrations are the same to the letter.
    """
    if not os.environ.get("COUNTERSIGN_TEST_SERVER"):
        yield lambda: None
        return
    files = sorted((ROOT / "console" / "migrations").glob("*.py"))
    name = "migrated_" + hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
    owner = connections["owner"]
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], dbname="postgres", autocommit=True) as server:
        server.execute("SELECT pg_advisory_lock(hashtext(%s))", [name])
        known = server.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone()
        if known is not None:
            owner.settings_dict["TEST"]["TEMPLATE"] = name

        def keep() -> None:
            if known is None:
                connections.close_all()
                server.execute(f'CREATE DATABASE {name} TEMPLATE "{owner.settings_dict["NAME"]}"')

        yield keep


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest,
    django_test_environment: None,  # noqa: ARG001 (must come first)
    django_db_blocker: DjangoDbBlocker,
    django_db_modify_db_settings: None,  # noqa: ARG001 (names the database of this xdist worker)
) -> Iterator[None]:
    """Create the test database as the owner, also when the chosen tests only name "default".

    pytest-django's own fixture creates only the aliases that tests name; "default" alone is a mirror and
    would then point at the real database.
    """
    verbosity = request.config.option.verbose
    with django_db_blocker.unblock(), _one_migrates() as keep:
        configuration = setup_databases(verbosity=verbosity, interactive=False, serialized_aliases=set())
        keep()
    yield
    with django_db_blocker.unblock():
        # A thread of a web server or a process that a test killed may still hold a connection for a moment; what
        # it holds is thrown away with the database.
        with connections["owner"].cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
            )
        connections.close_all()
        teardown_databases(configuration, verbosity=verbosity)


# What only migrations and Django itself fill, and no test changes.
_KEPT = {"django_migrations", "django_content_type", "auth_permission", "django_site"}
_EMPTY = """
DO $$
DECLARE
    one text;
    filled boolean;
BEGIN
    SET LOCAL session_replication_role = replica;
    EXECUTE 'LOCK TABLE ' || array_to_string(ARRAY[%(tables)s], ', ') || ' IN ACCESS EXCLUSIVE MODE';
    FOREACH one IN ARRAY ARRAY[%(tables)s] LOOP
        EXECUTE 'SELECT EXISTS (SELECT FROM ' || one || ')' INTO filled;
        IF filled THEN
            EXECUTE 'DELETE FROM ' || one;
        END IF;
    END LOOP;
END
$$
"""


def _empty_the_tables(case: TransactionTestCase) -> None:
    """Delete every row that a committing test left, in one statement that waits for whoever still writes.

    Django truncates every table and makes its permissions anew, which takes longer than most tests here.
    """
    assert not case.available_apps
    assert not case.serialized_rollback
    with connections["owner"].cursor() as cursor:
        names = connections["owner"].introspection.django_table_names(only_existing=True, include_views=False)
        tables = ", ".join(f"'{name}'" for name in sorted(set(names) - _KEPT))
        cursor.execute(_EMPTY % {"tables": tables})


TransactionTestCase._fixture_teardown = _empty_the_tables  # type: ignore[attr-defined]


def test_database_environment() -> dict[str, str]:
    """DATABASE_URL and DATABASE_OWNER_URL for a process that shall work on this test run's database."""
    addresses = {}
    for name, alias in (("DATABASE_URL", "default"), ("DATABASE_OWNER_URL", "owner")):
        parts = urlsplit(os.environ[name])
        database = connections[alias].settings_dict["NAME"]
        # urlunsplit drops the empty host of a socket URL, so the authority is kept as it stood.
        addresses[name] = urlunsplit(parts._replace(path=f"/{database}"))
    return addresses


# Workers


@dataclass
class Worker:
    """A Celery worker in a process group of its own."""

    process: subprocess.Popen[bytes]
    log: Path
    _reported: bool = field(default=False, repr=False)

    def said(self) -> str:
        """Everything it logged so far."""
        return self.log.read_text(errors="replace")

    def stop(self, timeout: float = 20) -> int:
        """Ask it to finish what it does and end; gives the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        return self.process.returncode

    def kill(self) -> None:
        """End it at once, in the middle of whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def wait_for(self, words: str, timeout: float = 30) -> None:
        """Wait until it logged these words."""
        deadline = time.monotonic() + timeout
        while words not in self.said():
            if self.process.poll() is not None:
                raise AssertionError(
                    f"The worker ended with {self.process.returncode}:\n{self.said()[-3000:]}"
                )
            if time.monotonic() > deadline:
                raise AssertionError(f"The worker never said {words!r}:\n{self.said()[-3000:]}")
            time.sleep(0.05)


@pytest.fixture
def worker(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Worker]]:
    """A factory of real Celery workers on the current test database; all of them end with the test.

    `worker(env={"FAILPOINT": "..."}, threads=1, beat=False)` returns when the worker is ready. The test needs
    `django_db(transaction=True, databases=["default", "owner"])`: a worker sees only what is committed.
    """
    request.getfixturevalue("django_db_setup")
    started: list[Worker] = []

    def start(env: Mapping[str, str] | None = None, *, threads: int = 2, beat: bool = False) -> Worker:
        log = tmp_path / f"worker-{len(started)}.log"
        command = [
            *(sys.executable, "-m", "celery", "-A", "console", "worker", "--loglevel", "INFO"),
            *("--concurrency", str(threads), "--hostname", f"{tmp_path.name}-{len(started)}@%h"),
            *("--without-gossip", "--without-mingle"),
        ]
        if beat:
            command += ["--beat", "--schedule", str(tmp_path / f"beat-{len(started)}")]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **test_database_environment(), **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        one = Worker(process, log)
        started.append(one)
        one.wait_for(" ready.")
        return one

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()


# Browser


CHROMIUM = find_chromium()


COMMITTING_FIXTURES = {"transactional_db", "live_server", "django_db_reset_sequences"}


def _commits_without_clean_up(item: pytest.Item) -> bool:
    """Whether a test commits for real but does not name "owner", the only role that can empty the tables."""
    marker = item.get_closest_marker("django_db")
    named = marker.kwargs if marker else {}
    commits = named.get("transaction") or COMMITTING_FIXTURES & set(getattr(item, "fixturenames", ()))
    databases = named.get("databases") or ()
    return bool(commits) and databases != "__all__" and not {"default", "owner"} <= set(databases)


# Files that take long, the longest first: begun last, one of them alone would keep a whole run waiting. Before them
# the one that runs an event loop in the thread of the tests: Playwright, once started, keeps its own there. Last
# quarter's orders are asked for one by one, so they are before those that other tests make.
_LONGEST = (
    "integrations/test_opcua.py",
    "integrations/test_rpa.py",
    "journeys/test_last_quarter.py",
    "integrations/tryton/test_tryton_conformance.py",
    "journeys/test_rpa.py",
    "faults/test_faults.py",
    "faults/test_crash_sweep.py",
    "faults/test_teeth.py",
    "integrations/tryton/test_harvest.py",
    "web/test_in_browser.py",
    "integrations/test_replica_answers.py",
    "stack/test_demo.py",
    "web/test_plant_pages.py",
    "web/test_paths_in_browser.py",
    "lifecycle/test_listener_process.py",
)


def _place(path: Path) -> int:
    """Where a file stands among the longest; then the journeys, which share a house; then the others."""
    name = path.relative_to(ROOT / "tests").as_posix()
    if name in _LONGEST:
        return _LONGEST.index(name)
    return len(_LONGEST) + (not name.startswith("journeys/"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse tests that would leave rows behind; mark what needs a browser, and skip it visibly without one.

    REQUIRE_BROWSER=1 turns that skip into a failure.
    """
    if careless := [item.nodeid for item in items if _commits_without_clean_up(item)]:
        raise pytest.UsageError(
            "These tests commit, so they need "
            'pytest.mark.django_db(transaction=True, databases=["default", "owner"]):\n  '
            + "\n  ".join(careless)
        )
    tests_of_file = Counter(item.path for item in items)
    items.sort(key=lambda item: (_place(item.path), -tests_of_file[item.path], item.path))
    for item in items:
        if {"browser", "page"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.browser)
        if item.get_closest_marker("browser") and not CHROMIUM and os.environ.get("REQUIRE_BROWSER") != "1":
            reason = "no Chromium found: install one (apt-get install chromium) or set CHROMIUM_PATH"
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Our Chromium, asking nobody on the network anything."""
    if not CHROMIUM:
        pytest.fail("REQUIRE_BROWSER=1 and no Chromium found: install one or set CHROMIUM_PATH.")
    arguments = [
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
    ]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium refuses to sandbox as root
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": arguments}


def watch_for_faults(page: Page) -> list[str]:
    """A list that grows with every console or script error, policy violation and foreign request."""
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))

    def judge(url: str) -> None:
        if not url.startswith(("http://localhost", "http://127.0.0.1", "data:", "blob:")):
            faults.append(f"foreign request {url}")

    page.on("request", lambda sent: judge(sent.url))
    return faults


@pytest.fixture
def strict_page(page: Page) -> Iterator[Page]:
    """A page that fails the test on any console or script error, policy violation or foreign request."""
    faults = watch_for_faults(page)
    yield page
    assert not faults, faults
