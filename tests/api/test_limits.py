"""Limits hold exactly, also when everybody calls at once."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from django.db import connection
from pytest_django.live_server_helper import LiveServer

from console.models import CallWindow, IdempotencyKey, Proposal
from console.windows import count
from tests.api.conftest import Caller, told
from tests.cast import People, Planner, agent, envelope, key, version

pytestmark = pytest.mark.django_db
real = pytest.mark.django_db(transaction=True, databases=["default", "owner"])
CALLERS = 16


def test_a_limit_per_minute_admits_exactly_so_many() -> None:
    assert [count("one", 3).admitted for _ in range(5)] == [True, True, True, False, False]
    assert count("another", 3).left == 2


def test_a_window_that_ended_begins_anew() -> None:
    assert [count("one", 1).admitted for _ in range(2)] == [True, False]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE console_callwindow SET since = since - interval '60 seconds'")
    assert count("one", 1).admitted


def test_a_limit_of_nothing_admits_nothing() -> None:
    assert not count("one", 0).admitted
    assert not CallWindow.objects.exists()


def test_an_answer_tells_what_is_left(call: Caller, planner: Planner) -> None:
    planner.agent.calls_per_minute = 2
    planner.agent.save()
    assert call("GET", "tools")["RateLimit-Policy"] == '"calls";q=2;w=60'
    assert call("GET", "tools")["RateLimit"].startswith('"calls";r=0;t=')
    response = call("GET", "tools")
    assert (response.status_code, told(response)["code"]) == (429, "too_many_calls")
    assert 0 < int(response["Retry-After"]) <= 60


def test_a_rotated_key_has_no_limit_of_its_own(call: Caller, planner: Planner) -> None:
    planner.agent.calls_per_minute = 2
    planner.agent.save()
    second = key(planner.version)
    assert [call("GET", "tools", key=one).status_code for one in (planner.key, second, planner.key)] == [
        200,
        200,
        429,
    ]


def test_one_agents_limit_is_not_anothers(call: Caller, planner: Planner, people: People) -> None:
    planner.agent.calls_per_minute = 1
    planner.agent.save()
    other = key(version(agent(people.oskar, "other")))
    assert [call("GET", "tools").status_code for _ in range(2)] == [200, 429]
    assert call("GET", "tools", key=other).status_code == 200


@real
def test_of_200_parallel_calls_at_limit_100_exactly_100_are_admitted(
    live_server: LiveServer, planner: Planner
) -> None:
    planner.agent.calls_per_minute = 100
    planner.agent.save()
    for _ in range(3):
        CallWindow.objects.all().delete()
        with (
            httpx.Client(base_url=live_server.url, headers=planner.headers, timeout=60) as http,
            ThreadPoolExecutor(CALLERS) as pool,
        ):
            found = list(pool.map(lambda _, http=http: http.get("/api/v1/proposals").status_code, range(200)))
        assert (found.count(200), found.count(429)) == (100, 100)


@real
def test_of_200_racing_duplicates_one_proposal_comes_and_all_get_the_same_answer(
    live_server: LiveServer, planner: Planner
) -> None:
    body = json.dumps(envelope())
    headers = {**planner.headers, "Idempotency-Key": "once", "Content-Type": "application/json"}

    with (
        httpx.Client(base_url=live_server.url, headers=headers, timeout=60) as http,
        ThreadPoolExecutor(CALLERS) as pool,
    ):

        def send(_: int) -> httpx.Response:
            while True:
                response = http.post("/api/v1/proposals", content=body)
                if response.status_code != 409:
                    return response
                assert response.json()["code"] == "key_running"
                assert response.headers["Retry-After"] == "1"

        found = list(pool.map(send, range(200)))
    assert {response.status_code for response in found} == {202}
    assert len({response.content for response in found}) == 1
    assert sum("Idempotent-Replayed" not in response.headers for response in found) == 1
    assert Proposal.objects.count() == IdempotencyKey.objects.count() == 1


@real
def test_of_60_parallel_proposals_at_a_cap_of_20_exactly_20_are_stored(
    live_server: LiveServer, planner: Planner
) -> None:
    planner.agent.pending_cap = 20
    planner.agent.save()

    with (
        httpx.Client(base_url=live_server.url, headers=planner.headers, timeout=60) as http,
        ThreadPoolExecutor(CALLERS) as pool,
    ):

        def send(number: int) -> int:
            return http.post(
                "/api/v1/proposals", json=envelope(), headers={"Idempotency-Key": f"n{number}"}
            ).status_code

        found = list(pool.map(send, range(60)))
    assert (found.count(202), found.count(429)) == (20, 40)
    assert Proposal.objects.count() == 20
