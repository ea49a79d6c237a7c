"""The worker fixture: a real worker on this run's database and broker."""

from collections.abc import Callable

import pytest

from console.celery import app
from tests.conftest import Worker

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])


def test_a_worker_answers_stops_when_asked_and_logs_no_password(worker: Callable[..., Worker]) -> None:
    one = worker()
    assert app.control.inspect(timeout=10, limit=1).ping()
    assert one.stop() == 0
    password = app.conf.broker_url.split(":")[2].split("@")[0]
    assert password not in one.said()


def test_a_killed_worker_is_gone(worker: Callable[..., Worker]) -> None:
    one = worker(threads=1)
    one.kill()
    assert one.process.poll() is not None
