"""Proposing: durable, once per key, and every fault told at once."""

import json

import pytest

from console.models import IdempotencyKey, Proposal, Revision
from tests.api.conftest import Caller, told
from tests.cast import Planner, connection, envelope, grant

pytestmark = pytest.mark.django_db

KEY = {"Idempotency-Key": "order-17"}


def test_a_proposal_is_stored_while_the_system_is_away(call: Caller) -> None:
    response = call("POST", "proposals", envelope(), KEY)
    assert response.status_code == 202
    assert response["Location"] == told(response)["url"]
    assert told(call("GET", response["Location"]))["state"] == "received"


def test_the_payload_is_kept_byte_for_byte_in_canonical_form(call: Caller) -> None:
    ref = told(call("POST", "proposals", envelope(), KEY))["ref"]
    stored = Revision.objects.get(proposal__ref=ref)
    assert stored.payload == json.dumps(envelope()["payload"], sort_keys=True, separators=(",", ":"))


def test_without_a_key_it_is_400(call: Caller) -> None:
    response = call("POST", "proposals", envelope())
    assert (response.status_code, told(response)["code"]) == (400, "key_missing")


@pytest.mark.parametrize("key", ["two words", "é", "x" * 129, '""', "tab\there"])
def test_a_key_that_is_not_right_is_400(call: Caller, key: str) -> None:
    response = call("POST", "proposals", envelope(), {"Idempotency-Key": key})
    assert (response.status_code, told(response)["code"]) == (400, "key_invalid")
    assert not Proposal.objects.exists()


def test_the_same_call_again_gives_the_same_answer_and_says_so(call: Caller) -> None:
    first = call("POST", "proposals", envelope(), KEY)
    again = call("POST", "proposals", envelope(), {"Idempotency-Key": '"order-17"'})
    assert again.content == first.content
    assert again["Location"] == first["Location"]
    assert "Idempotent-Replayed" not in first
    assert again["Idempotent-Replayed"] == "true"
    assert Proposal.objects.count() == IdempotencyKey.objects.count() == 1


def test_the_same_key_with_another_body_is_422(call: Caller) -> None:
    call("POST", "proposals", envelope(), KEY)
    response = call("POST", "proposals", envelope(rationale="Another."), KEY)
    assert (response.status_code, told(response)["code"]) == (422, "key_reused")
    assert Proposal.objects.count() == 1


def test_a_refused_call_does_not_use_up_its_key(call: Caller) -> None:
    assert call("POST", "proposals", envelope(rationale=""), KEY).status_code == 422
    assert call("POST", "proposals", envelope(), KEY).status_code == 202


def raw(text: str) -> bytes:
    return json.dumps(envelope()).replace('"rationale"', text + ', "rationale"').encode()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "not_json"),
        (b"{", 400, "not_json"),
        (b"null", 422, "shape"),
        (b"[]", 422, "shape"),
        (b'{"a": "\xff"}', 400, "not_utf8"),
        ('{"a": 1, "a": 2}', 400, "duplicate_name"),
        ('{"a": NaN}', 400, "not_a_number"),
        ('{"a": -Infinity}', 400, "not_a_number"),
        ('{"a": 1.5}', 400, "float"),
        ('{"a": 1e5}', 400, "float"),
        ('{"a": 123456789012345678901234567890}', 400, "huge_integer"),
        ("[" * 40 + "]" * 40, 400, "too_deep"),
        ('{"a": "\\ud800"}', 400, "surrogate"),
        ('{"a": "\\u0000"}', 400, "control_character"),
        (b"x" * 10_000_000, 413, "too_large"),
        ('{"a": "' + "x" * 140_000 + '"}', 413, "too_large"),
        ("\ufeff{}", 400, "not_json"),
    ],
)
def test_a_malformed_body_is_told_what_is_wrong_and_stores_nothing(
    call: Caller, body: str | bytes, status: int, code: str
) -> None:
    response = call("POST", "proposals", body if isinstance(body, bytes) else body.encode(), KEY)
    assert (response.status_code, told(response)["code"]) == (status, code)
    assert not Proposal.objects.exists()
    assert not IdempotencyKey.objects.exists()


def test_every_fault_is_told_at_once_with_its_field(call: Caller) -> None:
    body = envelope(rationale="", expires_in_minutes=1, surprise=True, readings="x")
    response = call("POST", "proposals", body, KEY)
    assert response.status_code == 422
    assert {one["field"] for one in told(response)["errors"]} == {
        "rationale",
        "expires_in_minutes",
        "surprise",
        "readings",
    }


def test_every_fault_of_the_payload_is_told_at_once_with_its_field(call: Caller) -> None:
    body = envelope(payload={"order": 17, "planned_start": "soon", "colour": "red"})
    response = call("POST", "proposals", body, KEY)
    assert response.status_code == 422
    assert {one["field"] for one in told(response)["errors"]} == {
        "payload.order",
        "payload.planned_start",
        "payload.planned_finish",
        "payload.colour",
    }
    assert all(one["hint"] for one in told(response)["errors"])


def test_a_fault_never_repeats_what_was_sent(call: Caller) -> None:
    response = call("POST", "proposals", envelope(payload={"order": {"password": "hunter2"}}), KEY)
    assert b"hunter2" not in response.content


def test_an_unknown_transaction_type_is_422(call: Caller) -> None:
    response = call("POST", "proposals", envelope() | {"transaction_type": "launch_rocket"}, KEY)
    assert (response.status_code, told(response)["code"]) == (422, "unknown_type")


def test_a_type_without_a_grant_is_403(call: Caller, planner: Planner) -> None:
    planner.version.grants.filter(name="production_order_reschedule").update(autonomy="off")
    response = call("POST", "proposals", envelope(), KEY)
    assert (response.status_code, told(response)["code"]) == (403, "no_grant")


def test_a_connection_without_a_grant_is_403(call: Caller) -> None:
    response = call("POST", "proposals", envelope(connection="elsewhere"), KEY)
    assert (response.status_code, told(response)["code"]) == (403, "no_grant")


def test_a_frozen_grant_is_409_and_says_why(call: Caller, planner: Planner) -> None:
    planner.version.grants.update(frozen_at="2026-01-01T00:00:00Z", frozen_reason="Too many overrides.")
    response = call("POST", "proposals", envelope(), KEY)
    assert (response.status_code, told(response)["code"]) == (409, "grant_frozen")
    assert "Too many overrides." in told(response)["detail"]


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data; boundary=x"]
)
def test_what_is_not_json_by_its_own_word_is_415(call: Caller, content_type: str) -> None:
    response = call("POST", "proposals", envelope(), KEY, content_type=content_type)
    assert (response.status_code, told(response)["code"]) == (415, "wrong_media_type")


def test_a_connection_has_to_be_named_when_there_are_several(call: Caller, planner: Planner) -> None:
    grant(planner.version, "type", "production_order_reschedule", connection("second"))
    response = call("POST", "proposals", envelope(), KEY)
    assert (response.status_code, told(response)["code"]) == (422, "which_connection")
    assert "plant, second" in told(response)["detail"]
    assert call("POST", "proposals", envelope(connection="plant"), KEY).status_code == 202


def test_too_many_pending_is_429_and_says_when_to_come_back(call: Caller, planner: Planner) -> None:
    planner.agent.pending_cap = 1
    planner.agent.save()
    ref = told(call("POST", "proposals", envelope(), KEY))["ref"]
    response = call("POST", "proposals", envelope(), {"Idempotency-Key": "b"})
    assert (response.status_code, told(response)["code"]) == (429, "too_many_pending")
    assert int(response["Retry-After"]) > 0
    call("POST", f"proposals/{ref}/withdraw", {"reason": "To make room."})
    assert call("POST", "proposals", envelope(), {"Idempotency-Key": "b"}).status_code == 202
