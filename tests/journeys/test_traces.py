"""A platform engineer follows one proposal in the plant's collector: from the agent's request to the read-back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from console import references
from tests import cast
from tests.cast import PASSWORD, People
from tests.journeys.agent import Agent
from tests.journeys.house import House, Street, free_port, house
from tests.journeys.planted import MARK
from tests.lifecycle.corridor import reschedule
from tests.rigs.collector import Collector, Seen
from tests.sandbox import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

RESCHEDULE = "production_order_reschedule"
TRACE, THEIR_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TOKEN = f"Bearer {MARK}of the collector"
PROPOSE, APPROVE = "POST /api/v1/proposals", "POST /proposals/<str:ref>/approve"
TREE = {
    (PROPOSE, ""),
    ("submit", PROPOSE),
    ("send assess", "submit"),
    ("process assess", "submit"),
    ("assess", "process assess"),
    ("look", "assess"),
    (f"snapshot {RESCHEDULE}", "look"),
    (f"plan {RESCHEDULE}", "look"),
    ("approve", "submit"),
    ("send commit", "approve"),
    ("process commit", "submit"),
    ("commit", "process commit"),
    ("look", "commit"),
    ("claim", "commit"),
    (f"commit {RESCHEDULE}", "commit"),
    ("read_back", "commit"),
    (f"find {RESCHEDULE}", "read_back"),
}
"""Every span of a proposal's trace under its parent."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    """The plant's collector. Nobody listens there yet."""
    made = Collector(free_port())
    yield made
    made.close()


def approve(running: House, who: User, ref: str, digest: str) -> None:
    """A supervisor's answer, as a browser sends it."""
    signed_in = Client()
    signed_in.force_login(who)
    name = settings.SESSION_COOKIE_NAME
    with httpx.Client(base_url=running.url, trust_env=False) as browser:
        browser.cookies.set(name, signed_in.cookies[name].value)
        form = browser.get(f"/proposals/{ref}/approve", headers={"baggage": f"who={MARK}"})
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)
        assert token is not None, form.text
        done = browser.post(
            f"/proposals/{ref}/approve", data={"seen": digest, "csrfmiddlewaretoken": token[1]}
        )
        assert done.status_code == httpx.codes.FOUND, done.text


def propose(agent: Agent, payload: dict[str, Any], **headers: str) -> httpx.Response:
    return agent.http.post(
        f"proposals?why={MARK}",
        json={
            "transaction_type": RESCHEDULE,
            "payload": payload,
            "rationale": f"{MARK}of the rationale",
        },
        headers={"Idempotency-Key": references.new("KY"), **headers},
    )


def test_one_trace_tells_a_proposals_whole_way_and_no_collector_stops_a_commit(
    street: Street,
    collector: Collector,
    erp: SandboxProcess,
    people: People,
    tmp_path: Any,
) -> None:
    street.close()
    entry, secrets = erp.settings(timeout_ms=2000)
    token = tmp_path / "token"
    token.write_text(f"authorization={TOKEN.replace(' ', '%20')}")
    told = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
        "OTEL_EXPORTER_OTLP_HEADERS_FILE": str(token),
        # A batch is sent when it is full, and when the process ends: never by the clock.
        "OTEL_BSP_SCHEDULE_DELAY": "600000",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8",
    }
    one = cast.version(cast.agent(people.oskar))
    cast.grant_all(one, cast.connection())
    key = cast.key(one)
    orders = [reschedule(erp, days=days) for days in (14, 28, 42)]
    with house(tmp_path, {cast.PLANT: entry}, secrets, told) as running:
        running.prove_accounts()
        agent = Agent(running.url, key, running.sweep)

        def carried_out(payload: dict[str, Any], ending: str, **headers: str) -> tuple[str, httpx.Response]:
            answer = propose(agent, payload, **headers)
            ref = answer.json()["ref"]
            digest = agent.follow(ref, "in_review")["assessment"]["digest"]
            approve(running, people.ana, ref, digest)
            agent.follow(ref, ending)
            return ref, answer

        carried_out(orders[0], "committed")
        assert collector.bodies == []
        running.worker.wait_for("Failed to export spans batch")
        collector.open()
        theirs = {"traceparent": f"00-{TRACE}-{THEIR_SPAN}-00", "baggage": f"who={MARK}"}
        ref, answer = carried_out(orders[1], "committed", **theirs)
        assert answer.headers["traceresponse"].startswith(f"00-{TRACE}-")
        erp.fail("reject", operation="write", message=f"{MARK}of the system")
        refused, _ = carried_out(orders[2], "commit_failed")
        running.wait_until_idle()
        last = agent.http.get("tools").headers["traceresponse"].split("-")
        agent.close()

    spans = collector.spans()
    assert (last[1], last[2]) in {(span.trace, span.id) for span in spans}, "what is left is sent at the end"
    assert {span.service for span in spans} == {"countersign"}
    by_id = {span.id: span for span in spans}
    of_it = [span for span in spans if span.trace == TRACE]
    assert {(span.name, by_id[span.parent].name if span.parent in by_id else "") for span in of_it} == TREE
    check_what_they_say(of_it, spans, ref)
    check_the_refusal([span for span in spans if span.said.get("countersign.proposal") == refused])

    sent = b"".join(collector.bodies)
    given = [MARK[:13], key, *secrets.values(), PASSWORD, *(people.ana.get_full_name(), people.ana.username)]
    given += [value for order in orders for name, value in order.items() if name != "order"]
    assert [one for one in given if one and one.encode() in sent] == []
    assert {told["authorization"] for told in collector.headers} == {TOKEN}
    assert MARK[:13] not in running.said()


def check_what_they_say(of_it: list[Seen], spans: list[Seen], ref: str) -> None:
    """Who, what, how it ended; the supervisor's request is another trace, and linked."""
    (request,) = (span for span in of_it if span.name == PROPOSE)
    assert (request.kind, request.parent) == ("SERVER", THEIR_SPAN)
    assert request.said == {
        "http.request.method": "POST",
        "url.scheme": "http",
        "http.response.status_code": 202,
        "http.route": "/api/v1/proposals",
        "url.path": "/api/v1/proposals",
        "countersign.agent": "planner",
        "countersign.agent_version": "1.0",
    }
    ids = {
        "countersign.proposal": ref,
        "countersign.transaction_type": RESCHEDULE,
        "countersign.connection": cast.PLANT,
        "countersign.agent": "planner",
        "countersign.agent_version": "1.0",
    }
    ends = {"submit": "received", "assess": "in_review", "approve": "approved", "commit": "committed"}
    for span in of_it:
        if span.name in ends:
            assert span.said.items() >= {**ids, "countersign.state": ends[span.name]}.items(), span
    (write,) = (span for span in of_it if span.name == f"commit {RESCHEDULE}")
    assert write.kind == "CLIENT"
    assert write.said == {
        **ids,
        "countersign.system": "sandbox",
        "peer.service": "sandbox",
        "countersign.operation": "commit",
        "countersign.step": "write",
        "countersign.outcome": "answered",
    }
    assert write.seconds > 0
    (found,) = (span for span in of_it if span.name == f"find {RESCHEDULE}")
    assert found.said.items() >= {"countersign.outcome": "present", "countersign.attempt": 1}.items()
    heard = [span for span in of_it if span.kind == "CONSUMER"]
    assert {span.said["messaging.operation.type"] for span in heard} == {"process"}
    (decided,) = (span for span in of_it if span.name == "approve")
    (answered,) = (span for span in spans if (span.trace, span.id) in decided.links)
    assert (answered.name, answered.kind, answered.said["countersign.proposal"]) == (APPROVE, "SERVER", ref)
    assert not any(span.failed or span.events for span in of_it)


def check_the_refusal(of_it: list[Seen]) -> None:
    """A system's no: its class, and none of its words."""
    (write,) = (span for span in of_it if span.kind == "CLIENT" and span.name == f"commit {RESCHEDULE}")
    assert (write.said["countersign.outcome"], write.said["error.type"]) == ("rejected", "Rejected")
    assert (write.failed, write.status_text, write.events) == (True, "", 0)
    assert {span.said["countersign.state"] for span in of_it if span.name == "commit"} == {"commit_failed"}
