"""A pytest plugin, loaded by `-p tests.services` before anything reads the settings.

Starts one throw-away PostgreSQL and one broker per test run, unless DATABASE_OWNER_URL or REDIS_URL say where
some are. Workers of pytest-xdist inherit the addresses; each has its own test database (pytest-django) and
its own numbered database of the broker.
"""

import atexit
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

import psycopg
import pytest

from console.management.stack.broker import Broker
from console.management.stack.postgres import FAST, Postgres

BROKER_DATABASES = 64
# For a run of tests inside a test: plugins that take longer to load than such a run, which needs none of them.
LEAN = [
    f"-pno:{name}" for name in ("cacheprovider", "schemathesis", "hypothesispytest", "playwright", "xdist")
]

os.environ["COUNTERSIGN_MODE"] = "test"
# Some hundred processes are started from this tree, and each would compile it anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
os.environ["LIVE_STREAMS"] = "0"
# Playwright's synchronous interface runs an event loop in the test's thread.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


def _begin() -> Path:
    """Start what is missing, put the addresses into the environment, and see to it that all of it ends."""
    home = Path(tempfile.mkdtemp(prefix="countersign-test-"))
    started: list[Postgres | Broker] = []
    me = os.getpid()

    def clean_up() -> None:
        if os.getpid() != me:  # a forked child must not stop its parent's servers
            return
        for server in reversed(started):
            server.stop()
        shutil.rmtree(home, ignore_errors=True)

    def leave(number: int, _: FrameType | None) -> None:
        pytest.exit(f"ended by signal {number}", returncode=128 + number)

    atexit.register(clean_up)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, leave)
    if not os.environ.get("DATABASE_OWNER_URL"):
        postgres = Postgres(home / "postgres", settings=FAST)
        started.append(postgres)
        postgres.start()
        os.environ["DATABASE_OWNER_URL"] = postgres.owner_url
        os.environ["DATABASE_URL"] = postgres.app_url
        os.environ["COUNTERSIGN_TEST_SERVER"] = "1"
    if not os.environ.get("REDIS_URL"):
        broker = Broker(home / "broker", durable=False, databases=BROKER_DATABASES)
        started.append(broker)
        broker.start()
        os.environ["REDIS_URL"] = broker.url
        os.environ["COUNTERSIGN_TEST_BROKER"] = "1"
    # What a started process leaves behind goes here, not into the checkout of a demo.
    os.environ["COUNTERSIGN_VAR"] = str(home / "var")
    return home


if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    if os.environ.get("COUNTERSIGN_TEST_BROKER"):
        number = int(worker.removeprefix("gw")) % BROKER_DATABASES
        os.environ["REDIS_URL"] = os.environ["REDIS_URL"].rsplit("/", 1)[0] + f"/{number}"
else:
    HOME = _begin()


def pytest_report_header() -> str:
    """Say on which servers the tests run."""
    return f"database: {os.environ['DATABASE_OWNER_URL'].rsplit('@', 1)[-1]}"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Refuse a database whose application role is the owner: half of the guarantees could not be tested."""
    if os.environ["DATABASE_URL"] == os.environ["DATABASE_OWNER_URL"]:
        raise pytest.UsageError("DATABASE_URL and DATABASE_OWNER_URL must be two roles in the tests.")
    # The database that is named need not exist yet; Django makes the test database from this one as well.
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], dbname="postgres") as owner:
        asked = owner.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    if asked != (True,):
        raise pytest.UsageError(
            "The role of DATABASE_OWNER_URL must be a superuser in the tests: some of them tamper as only one can."
        )
    del config
