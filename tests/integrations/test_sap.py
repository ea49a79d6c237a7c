"""What the SAP adapter does beside the contract: what it refuses, how it decides, what it proves of its accounts.

Against SAP's CAP, everything counted there. What that server cannot enforce is named where it is left out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from integrations.contract import (
    Account,
    EffectClass,
    InDoubt,
    OutOfScope,
    Receipt,
    Rejected,
    Seen,
    Stale,
    Step,
    Unsupported,
)
from integrations.sap.adapter import ADAPTER
from integrations.sap.system import REFUSED
from integrations.scan import read_tools
from tests.integrations.conformance import ignore, prepare, send, unlike
from tests.integrations.sap import (
    CREATE,
    LINE,
    QUANTITY,
    RELEASE,
    RESCHEDULE,
    TYPES,
    meanwhile,
    prepared,
    written,
)
from tests.integrations.test_sap_conformance import subject, working_day
from tests.rigs import cap as rig
from tests.rigs.cap import Cap


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cap]:
    with rig.cap(tmp_path_factory.mktemp("cap")) as server:
        yield server


@pytest.fixture
def server(running: Cap) -> Cap:
    """The rig, well."""
    running.heal()
    return running


# Refused by name


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_refused_by_name_is_never_called_by_any_account(name: str, server: Cap) -> None:
    order = server.production()
    before = len(server.calls())
    account = server.account("admin")  # whom SAP would let
    with contextlib.closing(ADAPTER.writer(server.options(), account)) as writer:  # type: ignore[misc]
        payload = TYPES[RELEASE].payload.model_validate_json(json.dumps({"order": order}))
        seen = writer.snapshot(TYPES[RELEASE], payload)
        request = {"service": "production", "call": name, "arguments": {"ManufacturingOrder": order}}
        with pytest.raises(Unsupported, match=f"{name} is never called from here"):
            writer.commit(Step("call", name, request), expect=seen.stamps, reference="CS-1", note=ignore)
        writer.probe([TYPES[one] for one in ADAPTER.types])
    assert [one for one in written(server, before) if name in one] == []
    assert server.order(order)["OrderIsReleased"] == ""


def test_the_refused_are_operations_that_the_service_really_has(server: Cap) -> None:
    with subject(server).open_reader() as reader:
        operations = reader._sap.service("production").model.operations  # type: ignore[attr-defined]
    assert set(operations) >= REFUSED
    assert {
        "OrderReleasedByMES",
        "CloseOrder",
        "DeletionFlagOrder",
        "DeletionIndOrder",
        "DiscardOrder",
    } == REFUSED
    assert "ReleaseOrder" in operations


# Release


def test_a_release_is_settled_by_the_state_and_not_by_the_message(server: Cap) -> None:
    with prepared(server, RELEASE) as (writer, commit):
        receipt = send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        assert isinstance(receipt, Receipt)
        assert receipt.evidence["messages"][0]["code"] == "CO/100"
        assert server.order(commit.snapshot.target)["OrderIsReleased"] == "X"
        # A second call would be refused by SAP; but the record moved, so none is made.
        before = len(server.calls())
        with pytest.raises(Stale):
            send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        assert written(server, before) == []


def test_a_released_order_that_cannot_be_read_afterwards_is_a_doubt(server: Cap) -> None:
    with prepared(server, RELEASE) as (writer, commit):

        def then_blind() -> None:
            # Two reads: the first of them is asked once more.
            server.fail("drop-before", times=2, reads=True, path=f"'{commit.snapshot.target}'")

        with pytest.raises(InDoubt, match="took the release and could not be read"):
            writer.commit(
                commit.steps[0],
                expect=commit.snapshot.stamps,
                reference=commit.reference,
                note=meanwhile(then_blind),
            )
        assert writer.find(commit.sought()).seen is Seen.PRESENT
    assert server.count(commit.reference) == 1


def test_material_that_is_not_confirmed_is_told_before_a_release(server: Cap) -> None:
    with prepared(server, RELEASE) as (_, commit):
        assert commit.snapshot.context["short"] == [
            {"label": "RM122", "missing": {"value": "40", "unit": "PC"}}
        ]
    unchecked = server.production(MaterialAvailyIsNotChecked="X")
    with prepared(server, RELEASE, {"order": unchecked}) as (_, commit):
        assert commit.snapshot.context["short"] is None


@pytest.mark.parametrize(
    ("flags", "state", "locked"),
    [
        ({}, "draft", False),
        ({"OrderIsReleased": "X"}, "released", False),
        ({"OrderIsPartiallyReleased": "X"}, "released", True),
        ({"OrderIsReleased": "X", "OrderIsPartiallyConfirmed": "X"}, "started", False),
        ({"OrderIsReleased": "X", "OrderIsTechnicallyCompleted": "X"}, "done", False),
        ({"OrderIsReleased": "X", "OrderIsDelivered": "X"}, "done", False),
        ({"OrderIsClosed": "X"}, "done", False),
        ({"OrderIsMarkedForDeletion": "X", "OrderIsReleased": "X"}, "cancelled", False),
        ({"OrderIsLocked": "X"}, "draft", True),
        ({"OrderIsReleased": " "}, "draft", False),
    ],
)
def test_saps_flags_are_one_state(flags: Mapping[str, str], state: str, locked: bool, server: Cap) -> None:
    with prepared(server, RELEASE, {"order": server.production(**flags)}) as (_, commit):
        assert commit.snapshot.context["state"] == state
        assert bool(commit.snapshot.context.get("locked")) is locked


# Changes


def test_a_reschedule_sends_two_days_and_nothing_else(server: Cap) -> None:
    order = server.production()
    before = server.order(order)
    wanted = {"order": order, "planned_start": working_day(16), "planned_finish": working_day(20)}
    with prepared(server, RESCHEDULE, wanted) as (writer, commit):
        assert commit.steps[0].request["values"] == {
            "MfgOrderPlannedStartDate": wanted["planned_start"],
            "MfgOrderPlannedEndDate": wanted["planned_finish"],
        }
        send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
    after = server.order(order)
    moved = {name for name in after if after[name] != before[name]} - {"__metadata", "LastChangeDateTime"}
    assert moved == {"MfgOrderPlannedStartDate", "MfgOrderPlannedEndDate"}


def test_a_change_between_the_look_and_the_write_is_refused_by_sap_itself(server: Cap) -> None:
    with prepared(server, RESCHEDULE) as (writer, commit):

        def somebody() -> None:
            server.edit(commit.snapshot.target, TotalQuantity="99")

        before = len(server.calls())
        with pytest.raises(Stale) as refusal:
            writer.commit(
                commit.steps[0],
                expect=commit.snapshot.stamps,
                reference=commit.reference,
                note=meanwhile(somebody),
            )
        assert refusal.value.evidence["status"] == 412
        ours = [one for one in written(server, before) if one.startswith("MERGE")]
        assert len(ours) == 1  # never read anew and sent again
    assert server.count(commit.reference) == 0
    assert server.order(commit.snapshot.target)["TotalQuantity"] == "99"


def test_what_sap_refuses_is_final_and_in_its_words(server: Cap) -> None:
    with prepared(server, QUANTITY) as (writer, commit):
        with pytest.raises(Rejected, match=r"Order is locked by SMITH \(CO/469\)") as refusal:
            writer.commit(
                commit.steps[0],
                expect=commit.snapshot.stamps,
                reference=commit.reference,
                note=meanwhile(lambda: server.fail("xml")),
            )
        assert refusal.value.evidence["transaction"] == "5F2A"
        assert writer.find(commit.sought()).seen is Seen.ABSENT


def test_an_order_that_gives_no_etag_is_not_changed_where_the_class_promises_a_guard(server: Cap) -> None:
    with prepared(server, RESCHEDULE) as (writer, commit):
        sap = writer._sap  # type: ignore[attr-defined]
        service = sap.service("production")
        entire = service.one

        def without_etag(*given: Any, **named: Any) -> Any:
            found = entire(*given, **named)
            return dataclasses.replace(found, etag="") if found else None

        # No server at hand leaves the ETag out of an order, so it is taken out on the way in.
        service.one = without_etag
        blind = writer.snapshot(commit.type, commit.payload)
        assert next(iter(blind.stamps.values())).startswith("values ")
        before = len(server.calls())
        with pytest.raises(Rejected, match="gives no ETag"):
            writer.commit(commit.steps[0], expect=blind.stamps, reference=commit.reference, note=ignore)
        assert written(server, before) == []


def test_a_quantity_finer_than_sap_counts_is_refused_before_anybody_is_asked(server: Cap) -> None:
    wanted = {"order": server.production(), "quantity": {"value": "150.1234", "unit": "PC"}}
    with (
        pytest.raises(Unsupported, match="TotalQuantity takes at most 3 decimal places"),
        prepared(server, QUANTITY, wanted),
    ):
        pass


def test_an_order_that_reads_neither_as_before_nor_as_approved_is_for_a_person(server: Cap) -> None:
    with prepared(server, RESCHEDULE) as (writer, commit):
        server.edit(commit.snapshot.target, TotalQuantity="99")
        assert writer.find(commit.sought()).seen is Seen.UNCLEAR
        days = {"MfgOrderPlannedStartDate": 300, "MfgOrderPlannedEndDate": 301}
        server.edit(commit.snapshot.target, **{name: server.v2_day(day) for name, day in days.items()})
        assert writer.find(commit.sought()).seen is Seen.UNCLEAR


# Lost answers, for every type


@pytest.mark.parametrize("type_name", sorted(ADAPTER.types))
@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("drop-before", Seen.ABSENT),
        ("drop-after", Seen.PRESENT),
        ("503", Seen.ABSENT),
        ("429", Seen.ABSENT),
        ("html", Seen.ABSENT),
    ],
)
def test_whatever_becomes_of_an_answer_one_write_leaves_and_the_record_tells(
    fault: str, seen: Seen, type_name: str, server: Cap
) -> None:
    with prepared(server, type_name) as (writer, commit):
        before = len(server.calls())
        server.fail(fault)
        with pytest.raises(InDoubt):
            send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        assert len(written(server, before)) == 1
        trace = writer.find(commit.sought())
        assert trace.seen is seen, trace.text
        if seen is Seen.PRESENT:
            assert unlike(commit, trace.record) == ()
    assert server.count(commit.reference) == (1 if seen is Seen.PRESENT else 0)


# Accounts


def test_every_account_is_sound_and_what_could_not_be_tried_is_said(server: Cap) -> None:
    server.purchase()
    for name in ADAPTER.types:
        with subject(server).open_writer(name) as writer:
            before = len(server.effects())
            report = writer.probe([TYPES[name]])
            assert report.sound, report
            assert len(server.effects()) == before
            said = " ".join(report.findings)
            assert "never called from here" in said
            assert ("A release carries no ETag" in said) is (name == RELEASE)


def test_an_account_that_may_do_more_is_found_out_and_changes_nothing(server: Cap) -> None:
    server.purchase()
    with subject(server).open_writer(RESCHEDULE, account=server.account("admin")) as writer:
        before = len(server.effects())
        report = writer.probe([TYPES[RESCHEDULE]])
        assert not report.sound
        assert report.stale_refused is True
        assert report.out_of_scope_refused is False
        assert set(report.excess) == {"may call ReleaseOrder", "may call TechlyCmpltOrder"}
        assert len(server.effects()) == before


def test_who_made_an_order_is_told_and_who_changed_one_is_not_claimed(server: Cap) -> None:
    start = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
    with prepared(server, CREATE) as (writer, commit):
        receipt = send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        assert isinstance(receipt, Receipt)
        assert f"purchase order {receipt.document}" in {one.record for one in writer.changes(start)}
        assert writer.changes(dt.datetime.now(dt.UTC) + dt.timedelta(days=2)) == ()
    with subject(server).open_writer(LINE) as writer, pytest.raises(Unsupported, match="not who changed"):
        writer.changes(start)


def test_every_guarantee_is_named_as_what_it_is() -> None:
    assert {name: carried.effect for name, carried in ADAPTER.types.items()} == {
        RESCHEDULE: EffectClass.GUARDED,
        QUANTITY: EffectClass.GUARDED,
        RELEASE: EffectClass.READ_BACK_ONLY,
        CREATE: EffectClass.READ_BACK_ONLY,
        LINE: EffectClass.READ_BACK_ONLY,
    }
    assert "no S/4HANA" in ADAPTER.verified


def test_settings_that_lack_what_purchasing_needs_say_which(server: Cap) -> None:
    options = server.options(purchasing_group="")
    described = dataclasses.replace(subject(server), options=options)
    with described.open_writer(CREATE) as writer, pytest.raises(Unsupported, match="'purchasing_group'"):
        prepare(described, writer, CREATE)


# Reading


def test_the_read_tools_tell_what_sap_has(server: Cap) -> None:
    tools = read_tools()
    with subject(server).open_reader() as reader:

        def ask(tool: str, **arguments: str) -> Mapping[str, Any]:
            given = tools[tool].arguments.model_validate(arguments)
            return reader.read(tools[tool], given).value

        supplier = ask("supplier", supplier="17300001")
        assert [one["product"] for one in supplier["products"]] == ["RM122", "RM123"]
        assert supplier["products"][1]["last_price"] == {"amount": "4.10", "currency": "EUR"}
        order = ask("production_order", order=server.production())
        assert order["materials"][0]["needed"] == {"value": "240", "unit": "PC"}
        bought = ask("purchase_order", order=server.purchase())
        assert bought["total"] == {"amount": "2500.00", "currency": "EUR"}
        assert bought["lines"][0]["received"] == {"value": "0", "unit": "PC"}


def test_a_page_to_sign_in_on_is_a_refused_account(server: Cap) -> None:
    with subject(server).open_reader() as reader:
        reader.ping()
        server.fail("html", reads=True)
        with pytest.raises(OutOfScope, match="asked to sign in"):
            reader.ping()


def test_no_secret_is_in_what_is_printed_or_refused(server: Cap) -> None:
    secret = server.secrets["reader"]
    with subject(server).open_reader() as reader:
        sap = reader._sap  # type: ignore[attr-defined]
        for thing in (reader, sap, sap.http, vars(sap.http), sap.http._who, vars(sap)):
            assert secret not in repr(thing)
    with (
        contextlib.closing(ADAPTER.reader(server.options(), Account("reader", "wr0ng"))) as stranger,
        pytest.raises(OutOfScope) as refusal,
    ):
        stranger.ping()
    assert "wr0ng" not in f"{refusal.value!r} {refusal.value.evidence}"
