"""Live, ready, metrics."""

from typing import Any

import pytest
from django.conf import LazySettings
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from console import monitoring
from tests.cast import Planner, propose

pytestmark = pytest.mark.django_db


def test_a_process_is_live_without_asking_anybody(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        assert client.get("/live").status_code == 200


@pytest.mark.usefixtures("plant")
def test_it_is_ready_when_database_migrations_and_broker_are(client: Client) -> None:
    response = client.get("/ready")
    assert response.status_code == 200
    assert response.json()["connections"]["plant"]["failing"] is False


def test_without_the_broker_it_is_not_ready_and_says_so(client: Client, settings: LazySettings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    response = client.get("/ready")
    assert response.status_code == 503
    assert (response.json()["broker"], response.json()["database"]) == ("away", "ok")


def test_with_a_migration_missing_it_is_not_ready(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitoring, "_migrated", [])
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *_: ["one"])
    response = client.get("/ready")
    assert (response.status_code, response.json()["migrations"]) == (503, "missing: run `manage.py migrate`")


def test_metrics_count_what_is_not_finished(client: Client, planner: Planner) -> None:
    propose(planner)
    text = client.get("/metrics").content.decode()
    assert 'countersign_proposals{state="received"} 1.0' in text
    assert 'countersign_proposals{state="in_review"} 0.0' in text


@pytest.mark.parametrize(
    "sent",
    [
        {"REMOTE_ADDR": "192.0.2.7"},
        {"REMOTE_ADDR": "127.0.0.1", "headers": {"X-Forwarded-For": "127.0.0.1"}},
        {"REMOTE_ADDR": "127.0.0.1", "headers": {"Forwarded": "for=127.0.0.1"}},
        {"REMOTE_ADDR": "192.0.2.7", "headers": {"Authorization": "Bearer wrong"}},
        {"REMOTE_ADDR": ""},
    ],
)
def test_metrics_are_not_for_strangers_nor_for_whoever_comes_by_a_proxy(
    client: Client, monkeypatch: pytest.MonkeyPatch, sent: dict[str, Any]
) -> None:
    monkeypatch.setenv("METRICS_TOKEN", "right")
    assert client.get("/metrics", **sent).status_code == 403


def test_metrics_are_for_whoever_has_the_token(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_TOKEN", "right")
    headers = {"Authorization": "Bearer right"}
    assert client.get("/metrics", REMOTE_ADDR="192.0.2.7", headers=headers).status_code == 200


def test_without_a_token_set_an_empty_one_opens_nothing(client: Client) -> None:
    assert (
        client.get("/metrics", REMOTE_ADDR="192.0.2.7", headers={"Authorization": "Bearer "}).status_code
        == 403
    )
