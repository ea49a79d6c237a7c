"""The Kinetic adapter against our own stand-in in documented shapes: that it keeps its word, not that Kinetic does."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from integrations.contract import (
    Account,
    EffectClass,
    InDoubt,
    NeedsPerson,
    OutOfScope,
    Rejected,
    Seen,
    Stale,
    Unavailable,
    Unsupported,
)
from integrations.epicor.adapter import ADAPTER, KineticWriter
from integrations.epicor.client import Client
from tests.integrations.conformance import (
    ADAPTER_CLAIMS,
    TOOLS,
    TYPE_CLAIMS,
    TYPES,
    AdapterClaim,
    Subject,
    TypeClaim,
    a_port_where_nothing_listens,
    ignore,
    named,
    prepare,
    send,
)
from tests.rigs.epicor import READING, WRITING, Kinetic, Known
from tests.rigs.shapes import Answer, Asked, working_day

CHANGE = "purchase_order_line_change"
USERS = {
    "cs-reader": Known("reader's password", "reader-api-key", READING),
    "cs-change": Known("writer's password", "writer-api-key", WRITING),
}


def account(user: str, **changed: str) -> Account:
    known = USERS[user]
    return Account(user, json.dumps({"password": known.password, "api_key": known.api_key, **changed}))


def payload(**changed: Any) -> dict[str, Any]:
    whole = {
        "order": "EPIC06/1001",
        "line": "1",
        "quantity": {"value": "60.5", "unit": "EA"},
        "unit_price": {"amount": "12.605", "currency": "EUR"},
        "delivery_date": working_day(25),
    }
    return {name: value for name, value in {**whole, **changed}.items() if value is not None}


def options(system: Kinetic, **more: Any) -> dict[str, Any]:
    return {"url": f"{system.url}/instance", "companies": ["EPIC06"], "timeout": 10, **more}


def writer(system: Kinetic, **more: Any) -> contextlib.closing[KineticWriter]:
    return contextlib.closing(KineticWriter(options(system, **more), account("cs-change")))


def is_update(asked: Asked) -> bool:
    return asked.path.endswith("POSvc/Update")


@pytest.fixture
def system() -> Iterator[Kinetic]:
    with Kinetic(USERS) as one:
        yield one


def subject_of(system: Kinetic, proposed: Mapping[str, Any] | None = None) -> Subject:
    @contextlib.contextmanager
    def lose_answer(_type_name: str) -> Iterator[None]:
        system.lose = is_update
        yield
        system.lose = None

    def touch(_type_name: str, _proposed: Any) -> bool:
        system.touch("EPIC06", 1001, 1)
        return True

    return Subject(
        adapter=ADAPTER,
        options=options(system),
        reader=account("cs-reader"),
        writers={CHANGE: account("cs-change")},
        payload=lambda _name: proposed or payload(),
        arguments=lambda tool: {"order": "EPIC06/1001" if tool == "purchase_order" else "EPIC06/J1001"},
        missing=lambda _tool: {"order": "EPIC06/9999"},
        touch=touch,
        nowhere=lambda: options(system, url=f"http://127.0.0.1:{a_port_where_nothing_listens()}"),
        lose_answer=lose_answer,
        cannot=("count",),
    )


@pytest.mark.parametrize("claim", ADAPTER_CLAIMS, ids=named)
def test_the_adapter_keeps_the_contract(claim: AdapterClaim, system: Kinetic) -> None:
    claim(subject_of(system))


@pytest.mark.parametrize("claim", TYPE_CLAIMS, ids=named)
def test_the_adapter_keeps_the_contract_for_its_type(claim: TypeClaim, system: Kinetic) -> None:
    claim(subject_of(system), CHANGE)


def test_it_says_that_nobody_verified_it_and_carries_no_more_than_it_can() -> None:
    assert ADAPTER.verified == ""
    assert {name: carried.effect for name, carried in ADAPTER.types.items()} == {CHANGE: EffectClass.GUARDED}


@pytest.mark.parametrize("given", ["quantity", "unit_price", "delivery_date"])
def test_one_field_alone_changes_alone(given: str, system: Kinetic) -> None:
    alone = {name: None for name in ("quantity", "unit_price", "delivery_date") if name != given}
    subject = subject_of(system, payload(**alone))
    before = json.loads(json.dumps(system.orders["EPIC06", 1001]))
    with writer(system) as one:
        commit = prepare(subject, one, CHANGE)
        send(one, commit.steps, commit.snapshot.stamps, commit.reference)
        trace = one.find(commit.sought())
    assert trace.record == commit.expected
    assert trace.seen is Seen.PRESENT
    after = system.orders["EPIC06", 1001]
    assert after["PODetail"][1] == before["PODetail"][1]
    assert after["POHeader"] == before["POHeader"]


def test_a_change_is_done_as_the_screen_does_it(system: Kinetic) -> None:
    with writer(system) as one:
        commit = prepare(subject_of(system), one, CHANGE)
        send(one, commit.steps, commit.snapshot.stamps, commit.reference)
    calls = [asked.path.rpartition("/")[2] for asked in system.asked]
    assert calls[-6:-1] == [
        "GetByID",
        "ChangeDetailCalcOurQty",
        "ChangeUnitPriceConfirmOverride",
        "ChangeUnitPrice",
        "Update",
    ]
    assert commit.steps[0].request["calls"] == calls[-6:-1]
    sent = next(asked.body["ds"] for asked in system.asked if is_update(asked))
    assert [(row["POLine"], row["RowMod"]) for row in sent["PODetail"]] == [(1, ""), (1, "U")]
    assert {row["PONUM"] for row in sent["PODetail"]} == {1001}
    old, new = sent["PODetail"]
    assert (old["SysRevID"], old["SysRowID"]) == (new["SysRevID"], new["SysRowID"])
    assert (new["OrderQty"], new["DocUnitCost"]) == (60.5, 12.605)
    assert {asked.header("x-api-key") for asked in system.asked} == {"writer-api-key"}


def test_what_moves_after_the_last_look_is_refused_by_the_version_that_was_approved(system: Kinetic) -> None:
    # The stand-in's Change... methods refresh the version, so this fails if the adapter trusts what they hand back.
    def touched(asked: Asked) -> bool:
        if asked.path.endswith("ChangeDetailCalcOurQty"):
            system.touch("EPIC06", 1001, 1)
        return False

    with writer(system) as one:
        commit = prepare(subject_of(system), one, CHANGE)
        system.fail = [(touched, Answer(500))]
        with pytest.raises(Stale, match="modified by another user") as refusal:
            send(one, commit.steps, commit.snapshot.stamps, commit.reference)
        assert refusal.value.evidence["type"] == "Ice.Common.BusinessObjectException"
        assert one.find(commit.sought()).seen is Seen.UNCLEAR
    assert system.effects == []


def test_the_company_comes_from_what_was_approved_and_must_be_the_connections(system: Kinetic) -> None:
    type_ = TYPES[CHANGE]
    other = type_.payload.model_validate_json(json.dumps(payload(order="EPIC07/1001")))
    with writer(system) as one, pytest.raises(Rejected, match="EPIC07"):
        one.snapshot(type_, other)
    assert system.asked == []
    with writer(system, companies=["EPIC06", "EPIC07"]) as one:
        found = one.snapshot(type_, other)
        assert "Another company's supplier" in found.label
        send(one, one.plan(type_, other, found, "CS-X"), found.stamps, "CS-X")
    assert system.effects == [("cs-change", "EPIC07/1001")]
    assert {asked.path.split("/")[5] for asked in system.asked} == {"EPIC07"}


@pytest.mark.parametrize(
    "key", ["1001", "EPIC06/", "EPIC06/10-01", "EPIC06/٣", "../EPIC06/1001", "EPIC06/1 or 1"]
)
def test_a_key_that_is_none_reaches_nothing(key: str, system: Kinetic) -> None:
    tool = TOOLS["purchase_order"]
    with (
        contextlib.closing(ADAPTER.reader(options(system), account("cs-reader"))) as reader,
        pytest.raises(Rejected),
    ):
        reader.read(tool, SimpleNamespace(order=key))
    assert system.asked == []


def test_rows_of_other_orders_that_come_along_are_left_out(system: Kinetic) -> None:
    tool = TOOLS["purchase_order"]
    with contextlib.closing(ADAPTER.reader(options(system), account("cs-reader"))) as reader:
        told = reader.read(tool, SimpleNamespace(order="EPIC06/1002")).value
    assert [line["key"] for line in told["lines"]] == ["1", "2"]
    assert told["total"] == {"amount": "1126.00", "currency": "EUR"}


def test_a_question_of_a_method_is_for_a_person_and_nothing_is_written(system: Kinetic) -> None:
    system.question = "The price differs from the supplier's price list. Override?"
    with writer(system) as one:
        commit = prepare(subject_of(system), one, CHANGE)
        with pytest.raises(NeedsPerson, match="Override"):
            send(one, commit.steps, commit.snapshot.stamps, commit.reference)
    assert not [asked for asked in system.asked if is_update(asked)]


@pytest.mark.parametrize(
    ("table", "change", "words"),
    [
        ("POHeader", {"Approve": True}, "approved"),
        ("PODetail", {"IUM": "BOX"}, "bought in EA and counted in BOX"),
        ("PODetail", {"CostPerCode": "C"}, "not for one unit"),
        ("PODetail", {"OpenLine": False}, "closed"),
    ],
)
def test_what_this_adapter_would_misread_is_locked(
    table: str, change: dict[str, Any], words: str, system: Kinetic
) -> None:
    system.orders["EPIC06", 1001][table][0] |= change
    with writer(system) as one:
        assert words in prepare(subject_of(system), one, CHANGE).snapshot.context["locked"]


def test_a_line_with_two_releases_is_locked(system: Kinetic) -> None:
    release = system.orders["EPIC06", 1001]["PORel"][0]
    system.orders["EPIC06", 1001]["PORel"].append({**release, "PORelNum": 2, "SysRowID": "second"})
    with writer(system) as one:
        commit = prepare(subject_of(system), one, CHANGE)
    assert "2 releases" in commit.snapshot.context["locked"]
    assert len(commit.snapshot.stamps) == 4


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (
            Answer(400, {"ErrorMessage": "Due date is in a closed period.", "ErrorType": "BLException"}),
            Rejected,
        ),
        (Answer(409, {"ErrorMessage": "Duplicate.", "ErrorType": "DuplicateRecordException"}), Rejected),
        (Answer(404, "<xml/>"), Rejected),
        (Answer(401, {}), OutOfScope),
        (Answer(403, {}), OutOfScope),
        (Answer(410, {"ErrorType": "InvalidSessionException"}), Unavailable),
        (Answer(429, {}), Unavailable),
        (Answer(500, {"ErrorMessage": "An error occurred."}), InDoubt),
        (Answer(503, {"ErrorType": "ConversionsPendingException"}), InDoubt),
        (Answer(302, None, {"Location": "/login"}), InDoubt),
        (Answer(200, "<html>Sign in</html>"), InDoubt),
    ],
)
def test_every_answer_to_a_write_has_one_class(
    answer: Answer, error: type[Exception], system: Kinetic
) -> None:
    with writer(system) as one:
        commit = prepare(subject_of(system), one, CHANGE)
        system.fail = [(is_update, answer)]
        with pytest.raises(error) as refusal:
            send(one, commit.steps, commit.snapshot.stamps, commit.reference)
        assert type(refusal.value) is error
        assert one.find(commit.sought()).seen is Seen.ABSENT


def test_a_method_that_might_write_is_never_called_as_one_that_computes(system: Kinetic) -> None:
    with contextlib.closing(Client(options(system), account("cs-change"))) as client:
        for method in ("Update", "UpdateExt", "DeleteByID", "ChangeApproveSwitch/../Update", "ApproveAll"):
            with pytest.raises(Unsupported):
                client.compute("EPIC06", "Erp.BO.POSvc", method, {})
    assert system.asked == []


def test_lists_are_asked_page_by_page_in_a_unique_order(system: Kinetic) -> None:
    first = system.orders["EPIC06", 1001]["PODetail"][0]
    mine = {"ChangedBy": "cs-change", "ChangeDate": dt.datetime.now(dt.UTC).isoformat()}
    system.orders["EPIC06", 1001]["PODetail"] = [{**first, **mine, "POLine": n} for n in range(1, 251)]
    with writer(system) as one:
        told = one.changes(dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1))
    assert len(told) == len({change.record for change in told}) == 250
    pages = [asked.query for asked in system.asked]
    assert [page["$skip"] for page in pages] == ["0", "100", "200"]
    assert {(page["$top"], page["$orderby"]) for page in pages} == {("100", "PONUM,POLine")}


def test_a_system_that_guards_nothing_makes_no_account_sound(system: Kinetic) -> None:
    system.guards = False
    with writer(system) as one:
        report = one.probe([TYPES[CHANGE]])
    assert (report.stale_refused, report.sound) == (False, False)
    assert "went through" in report.findings[-1]


def test_without_a_draft_the_stale_write_could_not_be_tried(system: Kinetic) -> None:
    for order in system.orders.values():
        order["POHeader"][0]["Approve"] = True
    with writer(system) as one:
        report = one.probe([TYPES[CHANGE]])
    assert (report.stale_refused, report.sound) == (None, False)


def test_a_key_with_a_wider_scope_is_told_of(system: Kinetic) -> None:
    wide = USERS["cs-change"]
    system.users["cs-change"] = replace(wide, scope=wide.scope | {"Erp.BO.VendorSvc/Update"})
    with writer(system) as one:
        report = one.probe([TYPES[CHANGE]])
    assert report.excess == ("may call Erp.BO.VendorSvc/Update",)
    assert report.out_of_scope_refused is False


def test_a_connection_without_companies_says_so(system: Kinetic) -> None:
    with writer(system, companies=[]) as one, pytest.raises(Unsupported, match="companies"):
        one.ping()


def test_a_lost_version_of_a_step_is_not_sent(system: Kinetic) -> None:
    with writer(system) as one:
        commit = prepare(subject_of(system), one, CHANGE)
        other = replace(commit.steps[0], request={**commit.steps[0].request, "service": "Erp.BO.VendorSvc"})
        with pytest.raises(Unsupported):
            one.commit(other, expect=commit.snapshot.stamps, reference=commit.reference, note=ignore)


@pytest.mark.parametrize(
    "secret", ["", "{}", "[]", '{"password": "x"}', '{"password": "x", "api_key": "a\\nb"}']
)
def test_a_secret_of_another_form_is_told_without_telling_it(secret: str, system: Kinetic) -> None:
    with (
        contextlib.closing(ADAPTER.reader(options(system), Account("cs-reader", secret))) as reader,
        pytest.raises(OutOfScope, match="JSON with password and api_key") as refusal,
    ):
        reader.ping()
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize("part", ["password", "api_key"])
def test_no_error_tells_a_part_of_the_secret(part: str, system: Kinetic) -> None:
    wrong = account("cs-reader", **{part: "wrong-and-secret"})
    with (
        contextlib.closing(ADAPTER.reader(options(system), wrong)) as reader,
        pytest.raises(OutOfScope) as refusal,
    ):
        reader.ping()
    told = f"{refusal.value!r} {refusal.value.evidence} {reader!r} {vars(reader)}"
    known = USERS["cs-reader"]
    assert not [word for word in ("wrong-and-secret", known.password, known.api_key) if word in told]


def test_no_secret_is_sent_in_the_clear(system: Kinetic) -> None:
    with pytest.raises(Unsupported, match="not https"):
        ADAPTER.reader(options(system, url="http://kinetic.example.com/instance"), account("cs-reader"))


def test_an_answer_in_an_unknown_form_is_told_of_and_after_a_write_is_a_doubt(system: Kinetic) -> None:
    line = system.orders["EPIC06", 1001]["PODetail"][0]
    with writer(system) as one:
        commit = prepare(subject_of(system), one, CHANGE)
        strange = Answer(200, {"returnObj": {"POHeader": [{}], "PODetail": [{}]}})
        for answer in (strange, Answer(200, {"returnObj": None})):
            system.fail = [(lambda asked: asked.path.endswith("GetByID"), answer)]
            with pytest.raises(Rejected):
                send(one, commit.steps, commit.snapshot.stamps, commit.reference)
        system.fail = [(lambda asked: asked.path.endswith("GetByID") and bool(system.effects), strange)]
        with pytest.raises(InDoubt, match="took the write"):
            send(one, commit.steps, commit.snapshot.stamps, commit.reference)
        assert one.find(commit.sought()).seen is Seen.PRESENT
        del line["DocUnitCost"]
        with pytest.raises(Rejected, match=r"does not know .KeyError: 'DocUnitCost'"):
            one.find(commit.sought())
