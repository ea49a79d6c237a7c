"""The systems' door: whose message it is is proven on its very bytes, and what is not proven leaves next to nothing."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django.conf import LazySettings
from django.http import HttpResponse
from django.test import Client
from standardwebhooks import Webhook

from console import catalogue
from console.callbacks import LARGEST
from console.lifecycle import hear
from console.models import AuditEntry, Callback, Connection, Proposal, State
from tests import cast
from tests.cast import AWAY, PLANT, Planner, envelope, propose, use_connections
from tests.rigs.nodered import whsec

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

MIDDLEWARE = "middleware"
ADDRESS = f"/callbacks/{MIDDLEWARE}"
OLD, NEW, STRANGE = whsec(), whsec(), whsec()


@pytest.fixture
def connection(
    plant: Connection,  # noqa: ARG001 the connection that verifies it
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Connection]:
    """A connection that answers later, with a secret that is being replaced."""
    direct = {**settings.CONNECTIONS[PLANT]}
    entry = {
        "adapter": "integrations.middleware.adapter",
        "system": "sandbox",
        "title": "Middleware",
        "options": {"endpoints": {"production_order_reschedule": AWAY}},
        "reader": {"login": "middleware", "secret": "MIDDLEWARE_CALLBACKS"},
        "writers": {"production_order_reschedule": {"login": "countersign", "secret": "MIDDLEWARE_OUT"}},
        "verified_by": PLANT,
    }
    secrets = {"MIDDLEWARE_CALLBACKS": f"{NEW} {OLD}", "MIDDLEWARE_OUT": whsec(), "PLANT_SECRET": "away"}
    use_connections(settings, monkeypatch, {PLANT: direct, MIDDLEWARE: entry}, secrets)
    yield cast.connection(MIDDLEWARE, "sandbox", "Middleware")
    catalogue.specs.cache_clear()


@pytest.fixture
def one(planner: Planner, connection: Connection) -> Proposal:
    """A proposal by that connection."""
    cast.grant(planner.version, "type", "production_order_reschedule", connection)
    return propose(planner, envelope(connection=MIDDLEWARE))


def post(
    reference: str,
    *,
    secret: str = NEW,
    message_id: str = "cb_1",
    type_: str = "transaction.committed",
    at: dt.datetime | None = None,
    raw: bytes | None = None,
    address: str = ADDRESS,
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """A callback, signed with `secret`; `raw` is sent instead of what was signed."""
    at = at or dt.datetime.now(dt.UTC)
    body = json.dumps({"type": type_, "data": {"reference": reference}}).encode()
    signed = {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, at, body.decode()),
        **(headers or {}),
    }
    answer: HttpResponse = Client(enforce_csrf_checks=True).post(  # type: ignore[assignment]
        address, raw if raw is not None else body, content_type="application/json", headers=signed
    )
    return answer


def refusals() -> list[dict[str, Any]]:
    """What was put on record about refused callbacks."""
    found = AuditEntry.objects.filter(verb="callback.refuse").order_by("id")
    return [json.loads(entry.body)["detail"] for entry in found]


def test_what_is_proven_is_kept_as_it_came_before_it_is_answered(one: Proposal) -> None:
    answer = post(one.ref)
    assert answer.status_code == 202
    kept = Callback.objects.get()
    assert (
        bytes(kept.raw)
        == json.dumps({"type": "transaction.committed", "data": {"reference": one.ref}}).encode()
    )
    assert set(kept.headers) == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    assert (kept.proposal, kept.message_id) == (one, "cb_1")
    assert AuditEntry.objects.filter(verb="callback.hear", proposal=one, actor_kind="system").count() == 1
    one.refresh_from_db()
    assert one.state == State.RECEIVED


def test_both_secrets_hold_while_one_is_being_replaced(one: Proposal) -> None:
    assert post(one.ref, secret=OLD, message_id="cb_old").status_code == 202
    assert post(one.ref, secret=NEW, message_id="cb_new").status_code == 202


def test_a_secret_that_was_taken_away_holds_no_more_from_that_moment(
    one: Proposal, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert post(one.ref, secret=OLD).status_code == 202
    monkeypatch.setenv("MIDDLEWARE_CALLBACKS", NEW)
    assert post(one.ref, secret=OLD, message_id="cb_2").status_code == 401


def test_the_same_message_again_is_answered_and_not_kept_again(one: Proposal) -> None:
    assert [post(one.ref).status_code for _ in range(3)] == [202, 202, 202]
    assert Callback.objects.count() == 1
    assert AuditEntry.objects.filter(verb="callback.hear").count() == 1


@pytest.mark.parametrize(
    "how",
    [
        {"secret": STRANGE},
        {"raw": b'{"type": "transaction.committed", "data": {"reference": "CS-ANOTHER"}}'},
        {"at": dt.datetime.now(dt.UTC) - dt.timedelta(minutes=20)},
        {"headers": {"webhook-id": "cb_other"}},
        {"headers": {"webhook-signature": ""}},
    ],
    ids=["other key", "tampered", "old", "other id", "unsigned"],
)
def test_what_is_not_proven_is_401_and_leaves_no_bytes(one: Proposal, how: dict[str, Any]) -> None:
    answer = post(one.ref, **how)
    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"
    assert Callback.objects.count() == 0
    (kept,) = refusals()
    assert kept["kind"] == "unproven"
    for secret in (NEW, OLD):
        assert secret not in answer.content.decode() + str(kept)


def test_a_flood_of_what_is_not_proven_fills_no_log_and_shuts_nobody_out(one: Proposal) -> None:
    flood = hear.ENTRIES_PER_MINUTE + 15
    assert {post(one.ref, secret=STRANGE, message_id=f"cb_{n}").status_code for n in range(flood)} == {401}
    assert len(refusals()) <= 2 * hear.ENTRIES_PER_MINUTE  # a minute may end in between
    assert post(one.ref).status_code == 202


def test_what_we_never_sent_is_404_and_on_record(one: Proposal, planner: Planner) -> None:
    direct = propose(planner, envelope(connection=PLANT))
    assert post("CS-NEVER").status_code == 404
    assert post(direct.ref, message_id="cb_2").status_code == 404  # another connection's
    assert [kept["kind"] for kept in refusals()] == ["unknown_reference", "unknown_reference"]
    assert Callback.objects.count() == 0
    del one


@pytest.mark.parametrize("name", ["nowhere", PLANT])
def test_a_connection_that_never_answers_later_has_no_such_door(one: Proposal, name: str) -> None:
    assert post(one.ref, address=f"/callbacks/{name}").status_code == 404
    assert refusals() == []


@pytest.mark.parametrize("type_", ["transaction.approved", "proposal.approve", ""])
def test_what_is_proven_and_not_understood_is_422_also_an_approval(one: Proposal, type_: str) -> None:
    answer = post(one.ref, type_=type_)
    assert answer.status_code == 422
    assert "transaction.committed or transaction.rejected" in answer.content.decode()
    assert (Callback.objects.count(), refusals()[0]["kind"]) == (0, "not_understood")


def test_what_is_too_large_is_not_read(one: Proposal) -> None:
    assert post(one.ref, raw=b" " * (LARGEST + 1)).status_code == 413
    assert (Callback.objects.count(), refusals()) == (0, [])


def test_nothing_but_post_is_answered(one: Proposal, client: Client) -> None:
    assert {client.get(ADDRESS).status_code, client.put(ADDRESS).status_code} == {405}
    del one


def test_too_many_proven_ones_have_to_wait(one: Proposal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hear, "MESSAGES_PER_MINUTE", 2)
    answers = [post(one.ref, message_id=f"cb_{n}") for n in range(3)]
    assert [one.status_code for one in answers] == [202, 202, 429]
    assert int(answers[-1]["Retry-After"]) > 0


def test_only_so_much_is_kept_about_one_proposal(one: Proposal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hear, "MOST", 2)
    assert [post(one.ref, message_id=f"cb_{n}").status_code for n in range(3)] == [202, 202, 429]
    assert post(one.ref, message_id="cb_0").status_code == 202  # kept already


def test_a_secret_that_cannot_be_read_lets_nobody_in_and_asks_to_come_again(
    one: Proposal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for broken in ("", "hunter2 is no secret"):
        monkeypatch.setenv("MIDDLEWARE_CALLBACKS", broken)
        with caplog.at_level(logging.ERROR):
            assert post(one.ref).status_code == 503
    assert Callback.objects.count() == 0
    assert "hunter2" not in caplog.text
