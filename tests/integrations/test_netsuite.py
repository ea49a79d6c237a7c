"""The NetSuite adapter against our own stand-in in documented shapes: that it keeps its word, not that NetSuite does.

Signing in is against oauth2-mock-server, which we did not write.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from types import SimpleNamespace

import jwt
import pytest

from integrations.contract import (
    Account,
    EffectClass,
    InDoubt,
    OutOfScope,
    Rejected,
    Seen,
    Stale,
    Unavailable,
    Unsupported,
)
from integrations.netsuite.adapter import ADAPTER, KEYS, NetSuiteWriter
from integrations.netsuite.client import TOKEN_PATH
from integrations.netsuite.values import spoken
from tests.integrations.conformance import (
    ADAPTER_CLAIMS,
    TOOLS,
    TYPE_CLAIMS,
    TYPES,
    AdapterClaim,
    TypeClaim,
    ignore,
    its_account_is_proven_narrow,
    named,
    prepare,
    send,
)
from tests.rigs.netsuite import NetSuite
from tests.rigs.netsuite_subject import CLIENTS, KINDS, ROLES, Rig, account, pem, public
from tests.rigs.oauth2 import OAuth2, token_server
from tests.rigs.shapes import Answer


@pytest.fixture(scope="module")
def tokens() -> Iterator[OAuth2]:
    clients = {
        client: {"public_key": public("rsa" if client == "client-reader" else "ec")} for client in CLIENTS
    }
    with token_server(clients, path=TOKEN_PATH) as server:
        yield server


@pytest.fixture
def rig(tokens: OAuth2) -> Iterator[Rig]:
    people = {client: (employee, frozenset(ROLES.get(client, ()))) for client, employee in CLIENTS.items()}
    with NetSuite(people, tokens.keys()) as system:
        yield Rig(system, tokens)


CLAIMS = [
    (type_name, claim)
    for type_name in sorted(KINDS)
    for claim in TYPE_CLAIMS
    # NetSuite refuses no stale write, so an account that may change records is never sound.
    if claim is not its_account_is_proven_narrow or type_name == "purchase_order_create"
]


@pytest.mark.parametrize("claim", ADAPTER_CLAIMS, ids=named)
def test_the_adapter_keeps_the_contract(claim: AdapterClaim, rig: Rig) -> None:
    claim(rig.subject())


@pytest.mark.parametrize(
    ("type_name", "claim"), CLAIMS, ids=lambda one: one if isinstance(one, str) else named(one)
)
def test_the_adapter_keeps_the_contract_for_each_type(claim: TypeClaim, type_name: str, rig: Rig) -> None:
    claim(rig.subject(), type_name)


def writer(rig: Rig, type_name: str) -> contextlib.closing[NetSuiteWriter]:
    return contextlib.closing(NetSuiteWriter(rig.options(), account(f"client-{type_name}")))


def test_it_says_that_nobody_verified_it() -> None:
    assert ADAPTER.verified == ""
    assert ADAPTER.types["purchase_order_create"].effect is EffectClass.KEYED
    changes = {name for name in ADAPTER.types if name != "purchase_order_create"}
    assert {ADAPTER.types[name].effect for name in changes} == {EffectClass.READ_BACK_ONLY}


@pytest.mark.parametrize("type_name", ["purchase_order_line_change", "production_order_reschedule"])
def test_an_account_that_may_change_is_not_sound_because_netsuite_refuses_no_stale_write(
    type_name: str, rig: Rig
) -> None:
    with writer(rig, type_name) as one:
        report = one.probe([TYPES[type_name]])
    assert (report.stale_refused, report.out_of_scope_refused, report.excess) == (None, True, ())
    assert not report.sound
    assert "refuses no stale write" in report.findings[0]
    assert rig.system.effects == []


def test_an_account_that_may_only_create_has_no_stale_write_to_let_through(rig: Rig) -> None:
    with writer(rig, "purchase_order_create") as one:
        assert one.probe([TYPES["purchase_order_create"]]).sound
        rig.system.people["client-purchase_order_create"] = ("10", frozenset({"edit purchaseOrder"}))
        report = one.probe([TYPES["purchase_order_create"]])
    assert report.stale_refused is False
    assert "give its role Create, not Edit" in report.findings[0]


def test_an_account_that_may_do_more_is_told_of(rig: Rig) -> None:
    client = "client-production_order_reschedule"
    rig.system.people[client] = (
        CLIENTS[client],
        frozenset({"create workOrder", "create purchaseOrder", "create vendorPayment"}),
    )
    with writer(rig, "production_order_reschedule") as one:
        report = one.probe([TYPES["production_order_reschedule"]])
    assert report.out_of_scope_refused is False
    assert {text.split(":")[0] for text in report.excess} == {
        "may create vendorPayment",
        "may create purchaseOrder",
    }


@pytest.mark.parametrize(
    ("client", "algorithm"), [("client-reader", "PS256"), ("client-purchase_order_create", "ES256")]
)
def test_signing_in_is_a_signed_assertion_and_never_rs256(
    client: str, algorithm: str, rig: Rig, tokens: OAuth2
) -> None:
    with contextlib.closing(ADAPTER.reader(rig.options(), account(client))) as reader:
        reader.ping()
    asked = tokens.asked()[-1]["asked"]
    assert asked["grant_type"] == "client_credentials"
    assert asked["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    header = jwt.get_unverified_header(asked["client_assertion"])
    assert header == {"alg": algorithm, "typ": "JWT", "kid": f"cert-{client}"}
    claims = jwt.decode(
        asked["client_assertion"],
        public("rsa" if algorithm == "PS256" else "ec"),
        algorithms=[algorithm],
        audience=rig.tokens.token_url,
    )
    assert claims["iss"] == client
    assert claims["scope"] == ["rest_webservices"]
    assert 0 < claims["exp"] - claims["iat"] < 3600


def test_a_token_is_used_until_it_is_refused_and_then_renewed_once(rig: Rig, tokens: OAuth2) -> None:
    with contextlib.closing(ADAPTER.reader(rig.options(), account("client-reader"))) as reader:
        before = len(tokens.asked())
        reader.ping()
        reader.ping()
        assert len(tokens.asked()) == before + 1
        rig.system.fail = [(lambda _asked: True, Answer(401, {"o:errorDetails": []}))]
        reader.ping()
        assert len(tokens.asked()) == before + 2


def test_an_invalid_login_right_after_a_good_token_is_not_now_and_not_a_refused_account(rig: Rig) -> None:
    said = {"o:errorDetails": [{"detail": "Invalid login attempt.", "o:errorCode": "INVALID_LOGIN"}]}
    rig.system.fail = [(lambda _asked: True, Answer(401, said))] * 2
    with contextlib.closing(ADAPTER.reader(rig.options(), account("client-reader"))) as reader:
        with pytest.raises(Unavailable, match="concurrent requests"):
            reader.ping()
        reader.ping()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(429, {"title": "Too Many Requests"}), Unavailable),
        (Answer(400, {"o:errorDetails": [{"o:errorCode": "USER_ERROR", "detail": "No."}]}), Rejected),
        (
            Answer(400, {"o:errorDetails": [{"o:errorCode": "RCRD_HAS_BEEN_CHANGED", "detail": "Changed."}]}),
            Stale,
        ),
        (Answer(403, {"o:errorDetails": []}), OutOfScope),
        (Answer(400, "<html>"), Rejected),
        (Answer(500, {"o:errorDetails": []}), InDoubt),
        (Answer(502, "<html>"), InDoubt),
        (Answer(302, None, {"Location": "/login"}), InDoubt),
        (Answer(202, None, {"Location": "/services/rest/async/v1/job/7"}), InDoubt),
    ],
)
def test_every_answer_to_a_write_has_one_class(answer: Answer, error: type[Exception], rig: Rig) -> None:
    with writer(rig, "production_order_reschedule") as one:
        commit = prepare(rig.subject(), one, "production_order_reschedule")
        rig.system.fail = [(lambda asked: asked.method == "PATCH", answer)]
        with pytest.raises(error) as refusal:
            send(one, commit.steps, commit.snapshot.stamps, commit.reference)
        assert type(refusal.value) is error
        assert one.find(commit.sought()).seen is Seen.ABSENT


def test_a_read_that_fails_is_unavailable_because_it_did_nothing(rig: Rig) -> None:
    with contextlib.closing(ADAPTER.reader(rig.options(), account("client-reader"))) as reader:
        for status in (500, 503):
            rig.system.fail = [(lambda _asked: True, Answer(status, "<html>"))]
            with pytest.raises(Unavailable):
                reader.ping()


def test_an_idempotency_conflict_is_a_success_to_be_read_back(rig: Rig) -> None:
    rig.system.remembers_keys = True
    with writer(rig, "production_order_reschedule") as one:
        commit = prepare(rig.subject(), one, "production_order_reschedule")
        key = str(uuid.uuid5(KEYS, f"{commit.reference} write"))
        rig.system.effects.append(key)
        receipt = one.commit(
            commit.steps[0], expect=commit.snapshot.stamps, reference=commit.reference, note=ignore
        )
        assert receipt.evidence["repeated"] is True
        assert receipt.evidence["location"].endswith("/async/v1/job/7")
        # It was not done by that first request, and the read-back says so.
        assert one.find(commit.sought()).seen is Seen.ABSENT


def test_a_line_change_writes_the_whole_list_and_nothing_of_the_others_is_lost(rig: Rig) -> None:
    order = rig.system.orders["purchaseOrder", rig.first("purchaseOrder")]
    before = json.loads(json.dumps(order["item"]))
    with writer(rig, "purchase_order_line_change") as one:
        commit = prepare(rig.subject(), one, "purchase_order_line_change")
        send(one, commit.steps, commit.snapshot.stamps, commit.reference)
    sent = next(asked for asked in rig.system.asked if asked.method == "PATCH")
    assert sent.query == {"replace": "item"}
    assert sent.header("X-NetSuite-PropertyNameValidation") == "Error"
    assert all("amount" not in line for line in sent.body["item"]["items"])
    assert len(order["item"]) == len(before) == 2
    assert order["item"][1]["custcol_cost_centre"] == "K-12"
    assert order["item"][0]["department"] == {"id": "7"}
    assert (order["item"][0]["quantity"], order["item"][0]["rate"]) == (60, 12.4)
    assert (order["item"][1]["quantity"], order["item"][1]["rate"]) == (300, 2.1)


def test_a_list_that_is_not_shown_whole_is_never_written_back(rig: Rig) -> None:
    number = rig.first("purchaseOrder")
    part = {"id": str(number), "item": {"items": [], "totalResults": 40, "hasMore": True}}
    rig.system.fail = [(lambda asked: asked.method == "GET", Answer(200, part))]
    with writer(rig, "purchase_order_line_change") as one, pytest.raises(Rejected, match="not show all"):
        prepare(rig.subject(), one, "purchase_order_line_change")


def test_the_stand_in_drops_misspelt_fields_unless_forbidden_so_the_adapter_forbids_it(rig: Rig) -> None:
    with writer(rig, "production_order_reschedule") as one:
        commit = prepare(rig.subject(), one, "production_order_reschedule")
        (step,) = commit.steps
        misspelt = {**step.request, "body": {"startDat": "2026-12-01"}}
        with pytest.raises(Rejected, match="startDat"):
            one.commit(
                type(step)(step.name, step.text, misspelt),
                expect=commit.snapshot.stamps,
                reference=commit.reference,
                note=ignore,
            )
    assert rig.system.effects == []


def test_an_order_whose_reference_is_there_already_is_not_made_again(rig: Rig) -> None:
    with writer(rig, "purchase_order_create") as one:
        commit = prepare(rig.subject(), one, "purchase_order_create")
        first = send(one, commit.steps, commit.snapshot.stamps, commit.reference)
        writes = len([asked for asked in rig.system.asked if asked.method == "PUT"])
        again = send(one, commit.steps, commit.snapshot.stamps, commit.reference)
        assert again.document == first.document  # type: ignore[union-attr]
        assert len([asked for asked in rig.system.asked if asked.method == "PUT"]) == writes == 1


def test_a_change_that_somebody_else_wrote_over_is_for_a_person(rig: Rig) -> None:
    with writer(rig, "production_order_reschedule") as one:
        commit = prepare(rig.subject(), one, "production_order_reschedule")
        send(one, commit.steps, commit.snapshot.stamps, commit.reference)
        rig.system.touch("workOrder", rig.first("workOrder"))
        trace = one.find(commit.sought())
    assert trace.seen is Seen.UNCLEAR
    assert "employee 1" in trace.text


def test_every_page_of_a_query_is_read_and_each_query_has_a_unique_order(rig: Rig) -> None:
    with contextlib.closing(ADAPTER.reader(rig.options(), account("client-reader"))) as reader:
        subject = rig.subject()
        for name in sorted(ADAPTER.tools):
            tool = TOOLS[name]
            reader.read(tool, tool.arguments.model_validate(dict(subject.arguments(name))))
        reader.snapshot(
            TYPES["purchase_order_line_change"],
            TYPES["purchase_order_line_change"].payload.model_validate_json(
                json.dumps(rig.payload("purchase_order_line_change"))
            ),
        )
    queries = [asked for asked in rig.system.asked if asked.path.endswith("/suiteql")]
    assert {asked.header("Prefer") for asked in queries} == {"transient"}
    assert all(
        " ORDER BY " in asked.body["q"] and "id" in asked.body["q"].rpartition("ORDER BY")[2]
        for asked in queries
    )
    assert {asked.query["offset"] for asked in queries} >= {"0", "2"}


def test_what_cannot_be_carried_is_unsupported_and_not_dropped(rig: Rig) -> None:
    with pytest.raises(Unsupported, match="more digits"):
        spoken({"quantity": "123456789012345.123456"}, frozenset({"quantity"}))
    assert spoken({"quantity": "12.50", "memo": "12.50"}, frozenset({"quantity"})) == {
        "quantity": 12.5,
        "memo": "12.50",
    }
    with writer(rig, "production_order_reschedule") as one, pytest.raises(Unsupported):
        one.snapshot(TYPES["production_order_quantity"], None)


@pytest.mark.parametrize("key", ["1 OR 1=1", "eid:x", "../vendor/5", "٣", "-1", "1" * 13])
def test_a_key_that_is_no_internal_id_reaches_no_path_and_no_query(key: str, rig: Rig) -> None:
    tool = TOOLS["purchase_order"]
    with (
        contextlib.closing(ADAPTER.reader(rig.options(), account("client-reader"))) as reader,
        pytest.raises(Rejected),
    ):
        reader.read(tool, SimpleNamespace(order=key))
    assert rig.system.asked == []


@pytest.mark.parametrize(
    "secret", ["", "not json", "{}", '{"client_id": "a", "certificate_id": "b", "private_key": "x"}', "[]"]
)
def test_a_secret_of_another_form_is_told_without_telling_it(secret: str, rig: Rig) -> None:
    with (
        contextlib.closing(ADAPTER.reader(rig.options(), Account("9", secret))) as reader,
        pytest.raises(OutOfScope, match="private_key \\(an RSA or EC key") as refusal,
    ):
        reader.ping()
    assert refusal.value.__cause__ is None


def test_no_error_tells_a_part_of_the_secret(rig: Rig) -> None:
    whole = account("client-reader")
    wrong = json.loads(whole.secret) | {"private_key": pem("ec")}
    with (
        contextlib.closing(ADAPTER.reader(rig.options(), Account("9", json.dumps(wrong)))) as reader,
        pytest.raises(OutOfScope) as refusal,
    ):
        reader.ping()
    told = f"{refusal.value!r} {refusal.value.evidence} {reader!r} {vars(reader)}"
    assert "PRIVATE KEY" not in told
    assert "cert-client-reader" not in told


@pytest.mark.parametrize("name", ["url", "token_url"])
def test_no_secret_is_sent_in_the_clear(name: str, rig: Rig) -> None:
    with pytest.raises(Unsupported, match="not https"):
        ADAPTER.reader(rig.options(**{name: "http://123456.example.com"}), account("client-reader"))


def test_an_answer_in_an_unknown_form_is_told_of_and_after_a_write_is_a_doubt(rig: Rig) -> None:
    order = rig.system.orders["workOrder", rig.first("workOrder")]
    with writer(rig, "production_order_reschedule") as one:
        commit = prepare(rig.subject(), one, "production_order_reschedule")
        strange = Answer(200, {"tranId": "WO1", "item": {"items": []}})
        rig.system.fail = [(lambda asked: asked.method == "GET", strange)]
        with pytest.raises(Rejected, match="form that this adapter does not know"):
            send(one, commit.steps, commit.snapshot.stamps, commit.reference)
        rig.system.fail = [(lambda asked: asked.method == "GET" and bool(rig.system.effects), strange)]
        with pytest.raises(InDoubt, match="took the write"):
            send(one, commit.steps, commit.snapshot.stamps, commit.reference)
        assert one.find(commit.sought()).seen is Seen.PRESENT
        order["quantity"] = "twelve"
        with pytest.raises(Rejected, match="form that this adapter does not know"):
            one.find(commit.sought())
