"""Following a proposal: lists, the whole of it, waiting, withdrawing, revising."""

import json
import threading
import time
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from pytest_django.live_server_helper import LiveServer

from console import access
from console.api import wait
from console.audit import WORKER
from console.lifecycle import assess, refresh, review, submit
from console.models import Proposal, State
from tests.api.conftest import Caller, told
from tests.cast import People, Planner, envelope, propose
from tests.lifecycle.corridor import purchase
from tests.sandbox import SandboxProcess

pytestmark = pytest.mark.django_db
real = pytest.mark.django_db(transaction=True, databases=["default", "owner"])


def reschedule(erp: SandboxProcess, **changes: str) -> dict[str, Any]:
    """A payload that is right for an order of the sandbox, unless `changes` say otherwise."""
    order = erp.find("production", state="draft")
    return {
        "order": order["key"],
        "planned_start": "2099-06-01",
        "planned_finish": "2099-06-04",
        **changes,
    }


def reviewed(planner: Planner, erp: SandboxProcess) -> Proposal:
    """A proposal that was assessed and waits for people."""
    made = propose(planner, envelope(payload=reschedule(erp)))
    found = assess.assess(made, actor=WORKER)
    assert found.state == State.IN_REVIEW, found.state_reason
    return found


def test_a_list_pages_through_everything_once_the_newest_first(call: Caller, planner: Planner) -> None:
    made = [propose(planner).ref for _ in range(5)]
    seen, address = [], "proposals?limit=2&state=received&state=withdrawn"
    while address:
        page = told(call("GET", address))
        seen += [one["ref"] for one in page["proposals"]]
        address = page["next"]
    assert seen == made[::-1]


def test_a_list_filters_by_state_type_and_time(call: Caller, planner: Planner) -> None:
    first = propose(planner)
    submit.withdraw(first, planner.version, reason="No.", actor=planner.actor)
    second = propose(planner, envelope("sales_order_promise"))
    assert [one["ref"] for one in told(call("GET", "proposals?state=withdrawn"))["proposals"]] == [first.ref]
    assert [one["ref"] for one in told(call("GET", "proposals?type=sales_order_promise"))["proposals"]] == [
        second.ref
    ]
    since = quote(second.submitted_at.isoformat())
    assert [one["ref"] for one in told(call("GET", f"proposals?since={since}"))["proposals"]] == [second.ref]


@pytest.mark.parametrize(
    "query",
    [
        *(
            "state=sleeping",
            "type=A B",
            "since=yesterday",
            "since=2026-01-01T00:00:00",
            "before=x",
            "limit=0",
        ),
        *("limit=201", "limit=ten", "colour=red", "limit=1&limit=2", "before=%00"),
    ],
)
def test_a_query_that_is_not_right_is_400_and_names_the_field(call: Caller, query: str) -> None:
    response = call("GET", f"proposals?{query}")
    assert (response.status_code, told(response)["code"]) == (400, "query")
    assert told(response)["errors"][0]["field"].split(".")[0] == query.partition("=")[0]


@pytest.mark.parametrize("ref", ["CS-000000000000", "x", "%00", "cs-000000000000", "é"])
def test_what_is_not_there_is_404(call: Caller, ref: str) -> None:
    assert call("GET", f"proposals/{ref}").status_code == 404


def test_a_reviewed_proposal_shows_findings_and_who_has_to_agree(
    call: Caller, planner: Planner, erp: SandboxProcess
) -> None:
    found = told(call("GET", f"proposals/{reviewed(planner, erp).ref}"))
    assert found["state"] == "in_review"
    assert found["assessment"]["digest"]
    assert any(one["status"] == "unsatisfied" for one in found["assessment"]["requirements"])
    assert found["outcome"] is None


def test_a_decision_shows_its_reason_and_note_but_not_who_it_was(
    call: Caller, planner: Planner, people: People, erp: SandboxProcess
) -> None:
    proposal = reviewed(planner, erp)
    review.reject(
        proposal,
        by=people.ana,
        seen=proposal.assessments.get().digest,
        actor=access.person(people.ana),
        reason="bad_timing",
        note="The line is down that week.",
    )
    response = call("GET", f"proposals/{proposal.ref}")
    [decision] = told(response)["decisions"]
    assert (decision["answer"], decision["reason"]) == ("reject", "bad_timing")
    assert decision["note"] == "The line is down that week."
    assert "Kovač" not in response.content.decode()
    assert "ana" not in json.dumps(told(response)["decisions"])


def test_after_changes_were_requested_a_new_revision_is_received(
    call: Caller, planner: Planner, people: People, erp: SandboxProcess
) -> None:
    proposal = reviewed(planner, erp)
    before = reschedule(erp)
    body = {"payload": before | {"planned_finish": "2099-06-08"}, "rationale": "Two days more."}
    assert call("POST", f"proposals/{proposal.ref}/revisions", body).status_code == 409
    review.request_changes(
        proposal,
        by=people.ana,
        seen=proposal.assessments.get().digest,
        actor=access.person(people.ana),
        reason="wrong_value",
        note="Finish later.",
    )
    other = call("POST", f"proposals/{proposal.ref}/revisions", body | {"payload": before | {"order": "999"}})
    assert (other.status_code, told(other)["code"]) == (422, "other_target")
    response = call("POST", f"proposals/{proposal.ref}/revisions", body)
    assert response.status_code == 202
    found = told(response)
    assert (found["state"], found["revision"]) == ("received", 2)
    assert [one["number"] for one in found["revisions"]] == [1, 2]
    assert found["revisions"][0]["digest"] != found["revisions"][1]["digest"]
    assert call("POST", f"proposals/{proposal.ref}/revisions", body).status_code == 409


def test_what_is_withdrawn_stays_so_and_a_second_time_is_409(call: Caller, planner: Planner) -> None:
    ref = propose(planner).ref
    response = call("POST", f"proposals/{ref}/withdraw", {"reason": "The order was cancelled."})
    assert (response.status_code, told(response)["state"]) == (200, "withdrawn")
    assert told(response)["final"]
    again = call("POST", f"proposals/{ref}/withdraw", {"reason": "The order was cancelled."})
    assert (again.status_code, told(again)["code"]) == (409, "moved_on")
    assert "withdrawn" in told(again)["detail"]


def test_withdrawing_needs_a_reason(call: Caller, planner: Planner) -> None:
    ref = propose(planner).ref
    assert told(call("POST", f"proposals/{ref}/withdraw", {}))["errors"][0]["field"] == "reason"
    assert told(call("POST", f"proposals/{ref}/withdraw", {"reason": " "}))["errors"][0]["field"] == "reason"
    assert Proposal.objects.get().state == State.RECEIVED


def test_a_held_proposal_says_so(call: Caller, planner: Planner) -> None:
    ref = propose(planner).ref
    assert told(call("GET", f"proposals/{ref}"))["held"] == ""
    planner.version.grants.update(frozen_at="2026-01-01T00:00:00Z", frozen_reason="Look at it first.")
    assert "Look at it first." in told(call("GET", f"proposals/{ref}"))["held"]


def test_validate_stores_nothing_and_says_when_no_snapshot_is_known(call: Caller) -> None:
    found = told(call("POST", "proposals/validate", envelope()))
    assert found["sound"]
    assert found["against"] is None
    assert "No snapshot" in found["text"]
    assert not Proposal.objects.exists()


def looked(planner: Planner, payload: dict[str, Any], type_: str = "production_order_reschedule") -> None:
    """What the worker does whom a validation rings."""
    refresh.refresh(
        planner.version.grants.earliest("id").connection, type_name=type_, raw=json.dumps(payload)
    )


def test_a_second_validation_is_judged_by_the_snapshot_that_the_first_asked_for(
    call: Caller, planner: Planner, erp: SandboxProcess
) -> None:
    wrong = reschedule(erp, planned_start="2099-06-08")
    assert told(call("POST", "proposals/validate", envelope(payload=wrong)))["sound"]
    looked(planner, wrong)
    found = told(call("POST", "proposals/validate", envelope(payload=wrong)))
    assert [one["id"] for one in found["findings"] if one["level"] == "error"] == [
        "dates.finish_before_start"
    ]
    assert found["against"]["target"] == wrong["order"]
    assert not Proposal.objects.exists()


def test_a_new_document_is_validated_by_what_the_system_knows_of_its_supplier(
    call: Caller, planner: Planner, erp: SandboxProcess
) -> None:
    wanted = purchase(erp)
    sent = envelope("purchase_order_create", payload=wanted)
    assert told(call("POST", "proposals/validate", sent))["against"] is None
    looked(planner, wanted, "purchase_order_create")
    found = told(call("POST", "proposals/validate", sent))
    assert found["requirements"]
    assert found["against"]["age_seconds"] >= 0


def test_a_validation_says_what_the_system_said_when_it_refused_to_show_the_record(
    call: Caller, planner: Planner, erp: SandboxProcess
) -> None:
    gone = {**reschedule(erp), "order": "999999"}
    looked(planner, gone)
    found = told(call("POST", "proposals/validate", envelope(payload=gone)))
    assert not found["sound"]
    assert [one["id"] for one in found["findings"]] == ["system.refused"]


def test_a_validation_keeps_the_snapshot_before_while_the_system_is_away(
    call: Caller, planner: Planner, erp: SandboxProcess
) -> None:
    wanted = reschedule(erp)
    looked(planner, wanted)
    erp.down()
    try:
        looked(planner, wanted)
        assert told(call("POST", "proposals/validate", envelope(payload=wanted)))["against"] is not None
    finally:
        erp.up()


def test_validate_tells_faults_of_form_as_findings(call: Caller) -> None:
    found = told(call("POST", "proposals/validate", envelope(payload={"order": 1})))
    assert not found["sound"]
    assert {one["field"] for one in found["findings"]} == {
        "payload.order",
        "payload.planned_start",
        "payload.planned_finish",
    }


def test_validate_judges_against_the_newest_stored_snapshot_and_needs_no_system(
    call: Caller, planner: Planner, erp: SandboxProcess
) -> None:
    reviewed(planner, erp)
    erp.down()
    try:
        wrong = reschedule(erp, planned_start="2099-06-08")
        found = told(call("POST", "proposals/validate", envelope(payload=wrong)))
        assert [one["id"] for one in found["findings"] if one["level"] == "error"] == [
            "dates.finish_before_start"
        ]
        assert found["against"]["age_seconds"] >= 0
        assert found["requirements"]
        assert Proposal.objects.count() == 1
    finally:
        erp.up()


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        *(("wait=5", 5), ("respond-async, wait=10", 10), ("WAIT = 7", 7), ('wait="3"', 3), ("wait=999", 30)),
        *(("", 0), ("wait=", 0), ("wait=-1", 0), ("await=5", 0), ("wait=1.5", 0), ("wait=99999999999", 0)),
    ],
)
def test_prefer_is_read_as_rfc_7240_writes_it(prefer: str, seconds: int) -> None:
    assert wait.asked(prefer) == seconds


def test_a_wait_without_a_change_ends_in_time_and_says_it_waited(call: Caller, planner: Planner) -> None:
    ref = propose(planner).ref
    response = call("GET", f"proposals/{ref}", headers={"Prefer": "wait=1"})
    assert response["Preference-Applied"] == "wait=1"
    assert told(response)["state"] == "received"


def test_who_finds_no_place_to_wait_is_answered_at_once(call: Caller, planner: Planner) -> None:
    ref = propose(planner).ref
    for _ in range(wait.WAITERS):
        assert wait._places.acquire(blocking=False)
    try:
        response = call("GET", f"proposals/{ref}", headers={"Prefer": "wait=30"})
    finally:
        for _ in range(wait.WAITERS):
            wait._places.release()
    assert response.status_code == 200
    assert "Preference-Applied" not in response


@real
def test_a_wait_ends_when_the_proposal_moves(live_server: LiveServer, planner: Planner) -> None:
    proposal = propose(planner)
    found: list[httpx.Response] = []

    def follow() -> None:
        found.append(
            httpx.get(
                f"{live_server.url}/api/v1/proposals/{proposal.ref}",
                headers={**planner.headers, "Prefer": "wait=30"},
                timeout=40,
            )
        )

    waiting = threading.Thread(target=follow)
    started = time.monotonic()
    waiting.start()
    submit.withdraw(proposal, planner.version, reason="No longer needed.", actor=planner.actor)
    waiting.join(40)
    assert time.monotonic() - started < 25
    assert found[0].json()["state"] == "withdrawn"
    assert found[0].headers["Preference-Applied"] == "wait=30"
