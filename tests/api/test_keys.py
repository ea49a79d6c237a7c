"""Who calls: keys that are missing, mistyped, forged, expired or revoked, and what is on record of it."""

import datetime as dt
import re
import secrets

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.urls import URLPattern
from django.utils import timezone

from console.audit import OPERATOR
from console.models import AgentKey, AuditEntry, Decision, Proposal
from console.registry import keys
from console.web import urls as web
from tests.api.conftest import Caller, told
from tests.cast import PASSWORD, People, Planner, agent, envelope, key, propose, version

pytestmark = pytest.mark.django_db


def forged(text: str) -> str:
    """A key with the right id and checksum and a secret that somebody made up."""
    key_id = text.split("_")[1]
    secret = secrets.token_hex(22)[:43]
    return f"cs_{key_id}_{secret}{keys._checksum(key_id, secret)}"


def test_without_a_key_the_answer_is_401_and_says_how_to_send_one(call: Caller) -> None:
    response = call("GET", "tools", key="")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == 'Bearer realm="countersign"'
    assert told(response)["code"] == "no_key"
    assert "Authorization: Bearer" in told(response)["detail"]


@pytest.mark.parametrize(
    "text", ["x", "cs_", "cs_abc_def", "cs_" + "a" * 12 + "_" + "b" * 50, "é" * 5, "cs_\x00"]
)
def test_what_is_no_key_of_ours_is_401(call: Caller, text: str) -> None:
    response = call("GET", "tools", key=text)
    assert response.status_code == 401
    assert told(response)["code"] in {"bad_key", "no_key"}
    assert "error=" in response["WWW-Authenticate"] or told(response)["code"] == "no_key"


def test_a_forged_key_with_the_right_checksum_is_401(call: Caller, planner: Planner) -> None:
    assert told(call("GET", "tools", key=forged(planner.key)))["code"] == "bad_key"


def test_an_expired_key_is_401_and_told_apart(call: Caller) -> None:
    AgentKey.objects.update(expires_at=Now() - dt.timedelta(seconds=1))
    response = call("GET", "tools")
    assert (response.status_code, told(response)["code"]) == (401, "key_expired")


def test_a_revoked_key_is_401_at_once(call: Caller) -> None:
    assert call("GET", "tools").status_code == 200
    keys.revoke(AgentKey.objects.get(), by=None, actor=OPERATOR)
    response = call("GET", "tools")
    assert (response.status_code, told(response)["code"]) == (401, "key_revoked")


def test_both_keys_of_a_rotation_work(call: Caller, planner: Planner) -> None:
    second = key(planner.version)
    assert call("GET", "tools").status_code == call("GET", "tools", key=second).status_code == 200


def test_a_refused_key_is_on_record_without_its_secret(call: Caller, planner: Planner) -> None:
    keys.revoke(AgentKey.objects.get(), by=None, actor=OPERATOR)
    call("GET", "tools")
    entry = AuditEntry.objects.get(verb="access.refused")
    assert planner.key.split("_")[1] in entry.body
    assert planner.key.split("_")[2] not in entry.body


def test_a_flood_of_refused_keys_cannot_fill_the_log_nor_hide_a_revoked_key(call: Caller) -> None:
    for _ in range(40):
        call("GET", "tools", key="cs_junk")
    assert AuditEntry.objects.filter(verb="access.refused").count() == 30
    keys.revoke(AgentKey.objects.get(), by=None, actor=OPERATOR)
    call("GET", "tools")
    assert AuditEntry.objects.filter(verb="access.refused", body__contains="key_revoked").count() == 1


def test_the_last_use_of_a_key_is_kept_and_written_once_a_minute(call: Caller) -> None:
    call("GET", "tools")
    first = AgentKey.objects.get().last_used_at
    assert first is not None
    call("GET", "tools")
    assert AgentKey.objects.get().last_used_at == first
    AgentKey.objects.update(last_used_at=timezone.now() - dt.timedelta(minutes=2))
    call("GET", "tools")
    third = AgentKey.objects.get().last_used_at
    assert third is not None
    assert third > first - dt.timedelta(minutes=1)


@pytest.mark.usefixtures("people")
def test_a_session_is_no_way_in(client: Client) -> None:
    assert client.login(username="ana", password=PASSWORD)
    assert client.get("/api/v1/tools").status_code == 401


def test_the_door_sets_no_cookie(call: Caller) -> None:
    assert not call("GET", "tools").cookies


def test_a_proposal_of_another_agent_is_404_by_every_door(
    call: Caller, planner: Planner, people: People
) -> None:
    ref = propose(planner).ref
    stranger = key(version(agent(people.ben, "stranger")))
    for response in (
        call("GET", f"proposals/{ref}", key=stranger),
        call("POST", f"proposals/{ref}/withdraw", {"reason": "mine"}, key=stranger),
        call("POST", f"proposals/{ref}/revisions", {"payload": {}, "rationale": "mine"}, key=stranger),
    ):
        assert response.status_code == 404
        assert ref not in told(response)["detail"]
    assert told(call("GET", "proposals", key=stranger))["proposals"] == []
    assert call("GET", f"proposals?before={ref}", key=stranger).status_code == 400
    assert Proposal.objects.get().state == "received"


def test_a_reading_of_another_agent_cannot_be_cited(call: Caller) -> None:
    response = call("POST", "proposals", envelope(readings=["RD-000000000000"]), {"Idempotency-Key": "a"})
    assert (response.status_code, told(response)["code"]) == (422, "unknown_reading")
    assert told(response)["errors"][0]["field"] == "readings.0"


def test_no_address_of_the_door_decides(call: Caller, planner: Planner) -> None:
    ref = propose(planner).ref
    for verb in ("approve", "reject", "request_changes", "amend", "settle", "decide", "commit"):
        assert call("POST", f"proposals/{ref}/{verb}", {"seen": "x"}).status_code == 404
    assert not Decision.objects.exists()


def pages() -> list[str]:
    """Every address of the people's door, with something in place of its parameters."""
    return [
        "/" + re.sub(r"<[^>]*>", "CS-000000000000", str(one.pattern))
        for one in web.urlpatterns
        if isinstance(one, URLPattern)
    ]


def test_an_agents_key_opens_no_page_and_no_decision(client: Client, planner: Planner) -> None:
    ref = propose(planner).ref
    assert len(pages()) > 1
    for address in pages():
        path = address.replace("CS-000000000000", ref)
        for method in ("GET", "POST"):
            with_key = client.generic(method, path, headers=planner.headers)
            without = client.generic(method, path)
            assert (method, path, with_key.status_code) == (method, path, without.status_code)
            assert b"three days later" not in with_key.content  # of the proposal's rationale
    assert not Decision.objects.exists()
    assert Proposal.objects.get().state == "received"
