"""The M3 adapter against our own stand-in in documented shapes: that it keeps its word, not that M3 does.

Signing in is against oauth2-mock-server, which we did not write.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from integrations.contract import (
    Account,
    InDoubt,
    NeedsPerson,
    OutOfScope,
    Rejected,
    Seen,
    Step,
    Unavailable,
    Unsupported,
)
from integrations.infor_m3.adapter import ADAPTER
from integrations.infor_m3.client import READS, WRITES, Client
from integrations.infor_m3.values import day, number
from tests.integrations.conformance import (
    ADAPTER_CLAIMS,
    TYPE_CLAIMS,
    TYPES,
    AdapterClaim,
    TypeClaim,
    ignore,
    its_account_is_proven_narrow,
    named,
    prepare,
    send,
    the_systems_own_log_tells_of_the_commit,
)
from tests.rigs.infor_m3 import M3, TENANT
from tests.rigs.infor_m3_subject import LINE, NEEDED, ORDER, USERS, Rig, account, ionapi, is_write, payload
from tests.rigs.oauth2 import OAuth2, token_server
from tests.rigs.shapes import Answer


@pytest.fixture(scope="module")
def tokens() -> Iterator[OAuth2]:
    known = {ionapi(user)["saak"]: ionapi(user)["sask"] for user in USERS}
    clients = {f"{TENANT}~client": {"secret": "client-secret-of-the-tests", "users": known}}
    with token_server(clients, path="/as/token.oauth2") as server:
        yield server


@pytest.fixture
def rig(tokens: OAuth2) -> Iterator[Rig]:
    users = {
        ionapi(user)["saak"]: (user, frozenset({NEEDED[name]} if name in NEEDED else ()))
        for user, name in USERS.items()
    }
    with M3(users, tokens.keys()) as system:
        yield Rig(system, tokens)


# M3 refuses no stale write and lists no writes by account; what the adapter says instead is tested below.
CLAIMS = [
    claim
    for claim in TYPE_CLAIMS
    if claim not in {its_account_is_proven_narrow, the_systems_own_log_tells_of_the_commit}
]


@pytest.mark.parametrize("claim", ADAPTER_CLAIMS, ids=named)
def test_the_adapter_keeps_the_contract(claim: AdapterClaim, rig: Rig) -> None:
    claim(rig.subject())


@pytest.mark.parametrize("claim", CLAIMS, ids=named)
@pytest.mark.parametrize("type_name", sorted(NEEDED))
def test_the_adapter_keeps_the_contract_for_each_type(claim: TypeClaim, type_name: str, rig: Rig) -> None:
    claim(rig.subject(), type_name)


def test_it_says_that_nobody_verified_it_and_what_it_cannot_know(rig: Rig) -> None:
    assert ADAPTER.verified == ""
    with rig.writer("production_order_quantity") as one:
        report = one.probe([TYPES["production_order_quantity"]])
        with pytest.raises(Unsupported, match="does not tell"):
            one.changes(dt.datetime.now(dt.UTC))
    assert (report.stale_refused, report.out_of_scope_refused, report.excess) == (None, True, ())
    assert not report.sound
    assert "refuses no stale write" in report.findings[0]
    assert "authority tables" in report.findings[1]
    assert rig.system.effects == []


def test_a_user_that_may_do_more_is_told_of(rig: Rig) -> None:
    subject = ionapi("WRITER1")["saak"]
    rig.system.users[subject] = ("WRITER1", frozenset({*NEEDED.values(), "CRS620MI/ChgBasicData"}))
    with rig.writer("production_order_reschedule") as one:
        report = one.probe([TYPES["production_order_reschedule"]])
    assert report.out_of_scope_refused is False
    assert report.excess == ("may call CRS620MI/ChgBasicData", "may call PPS200MI/UpdLine")
    assert rig.system.effects == []


def test_what_a_call_does_is_in_its_name_and_only_listed_ones_are_called(rig: Rig) -> None:
    assert all(name.startswith(("Get", "Lst", "Sel")) for _, name in READS)
    assert not READS & WRITES
    assert not [pair for pair in READS | WRITES if pair[0] == "EXPORTMI"]
    with contextlib.closing(Client(rig.options(), account("READER"))) as client:
        for pair in (
            ("EXPORTMI", "Select"),
            ("PPS200MI", "UpdLine"),
            ("PPS200MI", "DltPO"),
            ("MNS150MI", "LstUserData"),
        ):
            with pytest.raises(Unsupported):
                client.read(*pair)
        for pair in (("PPS200MI", "GetLine"), ("PMS100MI", "CloseMO"), ("EXPORTMI", "Select")):
            with pytest.raises(Unsupported):
                client.write(*pair, {})
    with rig.writer("production_order_reschedule") as one:
        step = Step(
            "x", "x", {"program": "PMS100MI", "transaction": "CloseMO", "fields": {"MFNO": "0002786"}}
        )
        with pytest.raises(Unsupported, match="CloseMO"):
            one.commit(step, expect={"a": "b"}, reference="CS-X", note=ignore)
    assert rig.system.asked == []


def test_a_two_hundred_that_failed_is_a_refusal(rig: Rig) -> None:
    with rig.writer("purchase_order_line_change") as one:
        commit = prepare(rig.subject(), one, "purchase_order_line_change")
        (step,) = commit.steps
        bad = replace(step, request={**step.request, "fields": {**step.request["fields"], "ORQA": "-1"}})
        with pytest.raises(Rejected, match="Ordered quantity is invalid") as refusal:
            one.commit(bad, expect=commit.snapshot.stamps, reference=commit.reference, note=ignore)
        assert refusal.value.evidence == {
            "said": "Ordered quantity is invalid",
            "code": "WOR0201",
            "field": "ORQA",
        }
        assert one.find(commit.sought()).seen is Seen.ABSENT


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ("WARNING - Operations have been started", ""),
        ("Operations have been started", "DSP6"),
    ],
)
def test_a_warning_is_a_question_for_a_person_and_no_flag_accepts_it(said: str, field: str, rig: Rig) -> None:
    with rig.writer("production_order_reschedule") as one:
        commit = prepare(rig.subject(), one, "production_order_reschedule")
        assert not [name for name in commit.steps[0].request["fields"] if name.startswith("DSP")]
        warning = {
            "transaction": "Reschedule",
            "errorMessage": said,
            "errorField": field,
        }
        body = {"results": [warning], "wasTerminated": False, "nrOfFailedTransactions": 1}
        rig.system.fail = [(is_write, Answer(200, body))]
        with pytest.raises(NeedsPerson, match="Operations have been started"):
            send(one, commit.steps, commit.snapshot.stamps, commit.reference)
    assert rig.system.effects == []


def right(**changed: Any) -> dict[str, Any]:
    whole = {
        "results": [{"transaction": "Reschedule", "records": []}],
        "wasTerminated": False,
        "nrOfSuccessfullTransactions": 1,
        "nrOfFailedTransactions": 0,
    }
    return {**whole, **changed}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(200, right(wasTerminated=True)), InDoubt),
        (Answer(200, right(results=[])), InDoubt),
        (Answer(200, right(results=[{"transaction": "Get", "records": []}])), InDoubt),
        (Answer(200, "<html>Sign in</html>"), InDoubt),
        (Answer(200, {"results": []}), InDoubt),
        (Answer(200, []), InDoubt),
        (Answer(502, "<html>"), InDoubt),
        (Answer(302, None, {"Location": "/sso"}), InDoubt),
        (Answer(429, {}), Unavailable),
        (Answer(403, {}), OutOfScope),
        (Answer(404, {}), Rejected),
    ],
)
def test_every_answer_to_a_write_has_one_class(answer: Answer, error: type[Exception], rig: Rig) -> None:
    with rig.writer("production_order_reschedule") as one:
        commit = prepare(rig.subject(), one, "production_order_reschedule")
        rig.system.fail = [(is_write, answer)]
        with pytest.raises(error) as refusal:
            send(one, commit.steps, commit.snapshot.stamps, commit.reference)
        assert type(refusal.value) is error


def test_a_token_is_renewed_once_and_then_the_account_is_refused(rig: Rig) -> None:
    with contextlib.closing(ADAPTER.reader(rig.options(), account("READER"))) as reader:
        reader.ping()
        before = len(rig.tokens.asked())
        rig.system.fail = [(lambda _asked: True, Answer(401, {}))]
        reader.ping()
        assert len(rig.tokens.asked()) == before + 1
        assert rig.tokens.asked()[-1]["asked"] == {"grant_type": "password", "username": f"{TENANT}#READER"}
        rig.system.fail = [(lambda _asked: True, Answer(401, {}))] * 2
        with pytest.raises(OutOfScope):
            reader.ping()


def test_without_a_service_account_the_client_signs_in_by_itself(rig: Rig) -> None:
    plainly = {name: value for name, value in ionapi("READER").items() if name not in {"saak", "sask"}}
    rig.system.users[f"{TENANT}~client"] = ("READER", frozenset())
    with contextlib.closing(ADAPTER.reader(rig.options(), Account("READER", json.dumps(plainly)))) as reader:
        reader.ping()
    assert rig.tokens.asked()[-1]["asked"] == {"grant_type": "client_credentials"}


def test_a_change_without_our_mark_is_for_a_person(rig: Rig) -> None:
    with rig.writer("purchase_order_line_change", order_line_mark="") as one:
        commit = prepare(rig.subject(), one, "purchase_order_line_change")
        assert "OURR" not in commit.steps[0].request["fields"]
        send(one, commit.steps, commit.snapshot.stamps, commit.reference)
        trace = one.find(commit.sought())
        assert (trace.seen, "no mark of ours" in trace.text) == (Seen.UNCLEAR, True)
    with rig.writer("purchase_order_line_change", order_line_mark="PITT") as one, pytest.raises(Unsupported):
        prepare(rig.subject(), one, "purchase_order_line_change")


def test_a_quantity_is_not_planned_where_the_materials_cannot_be_foretold(rig: Rig) -> None:
    rig.system.materials[1]["REQT"] = "600"
    with rig.writer("production_order_quantity") as one:
        snapshot = one.snapshot(
            TYPES["production_order_quantity"],
            TYPES["production_order_quantity"].payload.model_validate(payload("production_order_quantity")),
        )
    assert snapshot.context["bom"] == []
    assert "Wood screw 5x60 needs 600, not 48 for each" in snapshot.context["locked"]


def test_how_to_load_is_the_connections_choice_and_never_guessed(rig: Rig) -> None:
    with rig.writer("production_order_reschedule", wlde="") as one, pytest.raises(Unsupported, match="wlde"):
        prepare(rig.subject(), one, "production_order_reschedule")


def test_company_dates_and_blanks_are_asked_for_and_padded_values_are_cut(rig: Rig) -> None:
    with contextlib.closing(ADAPTER.reader(rig.options(), account("READER"))) as reader:
        told = reader.snapshot(
            TYPES["purchase_order_line_change"],
            TYPES["purchase_order_line_change"].payload.model_validate_json(
                json.dumps(payload("purchase_order_line_change"))
            ),
        )
    assert told.record.fields["product"] == "Drawer runner 450"
    asked = rig.system.asked[-1].query
    assert (asked["cono"], asked["dateformat"]) == ("100", "YMD8")
    assert (number("12.5-"), day("0")) == (-number("12.5"), None)
    for text in ("261201", "2026-12-01"):
        with pytest.raises(Rejected):
            day(text)


@pytest.mark.parametrize("change", [{"PUCD": "100"}, {"PPUN": "KG"}, {"OEND": "1"}])
def test_a_line_that_this_adapter_would_misread_is_locked(change: dict[str, str], rig: Rig) -> None:
    rig.system.lines[ORDER, LINE, "0"] |= change
    with rig.writer("purchase_order_line_change") as one:
        commit = prepare(rig.subject(), one, "purchase_order_line_change")
    assert commit.snapshot.context["locked"]


@pytest.mark.parametrize("secret", ["", "{}", "[]", json.dumps({**ionapi("READER"), "cs": None})])
def test_a_secret_of_another_form_is_told_without_telling_it(secret: str, rig: Rig) -> None:
    with (
        contextlib.closing(ADAPTER.reader(rig.options(), Account("READER", secret))) as reader,
        pytest.raises(OutOfScope, match=r"not the content of an \.ionapi file") as refusal,
    ):
        reader.ping()
    assert refusal.value.__cause__ is None


def test_no_error_tells_a_part_of_the_secret(rig: Rig) -> None:
    wrong = Account("READER", json.dumps({**ionapi("READER"), "sask": "wrong-sask"}))
    with (
        contextlib.closing(ADAPTER.reader(rig.options(), wrong)) as reader,
        pytest.raises(OutOfScope) as refusal,
    ):
        reader.ping()
    told = f"{refusal.value!r} {refusal.value.evidence} {reader!r} {vars(reader)}"
    assert not [
        part for part in ("wrong-sask", "client-secret-of-the-tests", f"{TENANT}#READER") if part in told
    ]


@pytest.mark.parametrize("name", ["gateway", "tokens"])
def test_no_secret_is_sent_in_the_clear(name: str, rig: Rig) -> None:
    with (
        contextlib.closing(
            ADAPTER.reader(rig.options(**{name: "http://m3.example.com"}), account("READER"))
        ) as reader,
        pytest.raises(Unsupported, match="not https"),
    ):
        reader.ping()


def test_an_answer_in_an_unknown_form_is_told_of_and_after_a_write_is_a_doubt(rig: Rig) -> None:
    with rig.writer("purchase_order_line_change") as one:
        commit = prepare(rig.subject(), one, "purchase_order_line_change")
        line = rig.system.lines[ORDER, LINE, "0"]
        currency = rig.system.heads[ORDER].pop("CUCD")
        with pytest.raises(Rejected, match=r"does not know .KeyError: 'CUCD'"):
            one.find(commit.sought())
        rig.system.heads[ORDER]["CUCD"] = currency
        strange = Answer(200, right(results=[{"transaction": "GetLine", "records": [{}]}]))
        rig.system.fail = [(lambda asked: asked.path.endswith("GetLine") and line["OURR"] != "", strange)]
        with pytest.raises(InDoubt, match="took the write"):
            send(one, commit.steps, commit.snapshot.stamps, commit.reference)
        assert one.find(commit.sought()).seen is Seen.PRESENT
