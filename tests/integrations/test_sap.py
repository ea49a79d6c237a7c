"""What the SAP adapter does beside the contract: what it refuses, how it decides, what it proves of its accounts.

Against SAP's CAP, everything counted there. What that server cannot enforce is named where it is left out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from integrations.contract import (
    Account,
    EffectClass,
    InDoubt,
    Note,
    OutOfScope,
    Receipt,
    Rejected,
    Seen,
    Stale,
    Step,
    Unsupported,
    Writer,
)
from integrations.sap.adapter import ADAPTER
from integrations.sap.system import REFUSED
from integrations.scan import read_tools, transaction_types
from tests.integrations.conformance import Commit, Subject, ignore, prepare, send, unlike
from tests.integrations.test_sap_conformance import subject, touch, working_day
from tests.rigs import cap as rig
from tests.rigs.cap import PARTNER, PURCHASE, Cap

RESCHEDULE, QUANTITY = "production_order_reschedule", "production_order_quantity"
RELEASE, CREATE, LINE = "production_order_release", "purchase_order_create", "purchase_order_line_change"
TYPES = transaction_types()
WRITES = {"POST", "PATCH", "MERGE", "PUT", "DELETE"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cap]:
    with rig.cap(tmp_path_factory.mktemp("cap")) as server:
        yield server


@pytest.fixture
def server(running: Cap) -> Cap:
    """The rig, well."""
    running.heal()
    return running


def proposing(server: Cap, payload: Mapping[str, Any]) -> Subject:
    """The subject, proposing just this."""
    return dataclasses.replace(subject(server), payload=lambda _name: payload)


@contextlib.contextmanager
def prepared(
    server: Cap, type_name: str, payload: Mapping[str, Any] | None = None
) -> Iterator[tuple[Writer, Commit]]:
    """A writer and a commit of this payload, or of one that is right."""
    described = proposing(server, payload) if payload is not None else subject(server)
    with described.open_writer(type_name) as writer:
        yield writer, prepare(described, writer, type_name)


def written(server: Cap, before: int) -> list[str]:
    """The writes that arrived after the first so many calls."""
    return [f"{one['method']} {one['path']}" for one in server.calls()[before:] if one["method"] in WRITES]


def meanwhile(happens: Callable[[], None]) -> Note:
    """A note in which something else happens, right before the write."""

    def note(about: Mapping[str, Any], exhibits: Sequence[object] = ()) -> None:
        del about, exhibits
        happens()

    return note


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


# Purchase orders


def test_a_price_with_more_places_than_the_currency_is_sent_for_more_units(server: Cap) -> None:
    line = {
        "product": "RM123",
        "quantity": {"value": "61.5", "unit": "KG"},
        "unit_price": {"amount": "4.1255", "currency": "EUR"},
        "delivery_date": working_day(200),
    }
    with prepared(server, CREATE, {"supplier": "17300001", "lines": [line]}) as (writer, commit):
        (item,) = commit.steps[0].request["values"]["_PurchaseOrderItem"]
        assert (item["NetPriceAmount"], item["NetPriceQuantity"]) == ("412.55", "100")
        receipt = send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        assert isinstance(receipt, Receipt)
        query = "$expand=_PurchaseOrderItem"
        made = server.admin("GET", f"{PURCHASE}/PurchaseOrder('{receipt.document}')?{query}")
        assert [Decimal(str(one["NetPriceAmount"])) for one in made["_PurchaseOrderItem"]] == [
            Decimal("412.55")
        ]
        trace = writer.find(commit.sought(receipt.document))
        assert trace.record is not None
        assert trace.record.lines["lines"][0]["unit_price"] == {"amount": "4.1255", "currency": "EUR"}


def test_our_key_fits_saps_field_and_is_looked_for_before_it_is_sent(server: Cap) -> None:
    with prepared(server, CREATE) as (writer, commit):
        key = commit.steps[0].request["values"]["CorrespncExternalReference"]
        assert len(key) == 12
        assert commit.reference.endswith(key)
        first = send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        before = len(server.calls())
        again = send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        assert isinstance(first, Receipt)
        assert isinstance(again, Receipt)
        assert again.document == first.document
        assert written(server, before) == []
        with pytest.raises(Rejected, match="does not carry our reference"):
            send(writer, commit.steps, commit.snapshot.stamps, "CS-ANOTHER")


def test_an_order_with_our_key_that_somebody_else_made_or_made_twice_is_for_a_person(server: Cap) -> None:
    with prepared(server, CREATE) as (writer, commit):
        key = commit.steps[0].request["values"]["CorrespncExternalReference"]
        order = {"Supplier": "17300001", "CorrespncExternalReference": key, "DocumentCurrency": "EUR"}
        server.admin("POST", f"{PURCHASE}/PurchaseOrder", order)
        trace = writer.find(commit.sought())
        assert trace.seen is Seen.UNCLEAR
        assert "admin made it" in trace.text
        server.admin("POST", f"{PURCHASE}/PurchaseOrder", order)
        trace = writer.find(commit.sought())
        assert trace.seen is Seen.UNCLEAR
        assert "More than one" in trace.text


def test_an_order_on_its_way_is_seen_by_the_next_proposal(server: Cap) -> None:
    order = server.purchase(OrderQuantity=77)
    with prepared(server, CREATE) as (_, commit):
        there = [one for one in commit.snapshot.context["open_orders"] if one["number"] == order]
    assert [(one["product"], one["quantity"]) for one in there] == [("RM122", {"value": "77", "unit": "PC"})]


def test_a_supplier_that_is_blocked_or_not_there_is_told_to_the_rules(server: Cap) -> None:
    line = {
        "product": "RM999",
        "quantity": {"value": "1", "unit": "PC"},
        "unit_price": {"amount": "1.00", "currency": "EUR"},
        "delivery_date": working_day(200),
    }
    with prepared(server, CREATE, {"supplier": "17300002", "lines": [line]}) as (_, commit):
        assert commit.snapshot.context["supplier"]["active"] is False
        assert commit.snapshot.context["catalogue"] == {}
    with prepared(server, CREATE, {"supplier": "99999999", "lines": [line]}) as (_, commit):
        assert commit.snapshot.context["supplier"] is None


def test_a_line_is_changed_in_one_group_and_a_date_alone_in_one_call(server: Cap) -> None:
    with prepared(server, LINE) as (writer, commit):
        before = len(server.calls())
        send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        assert ["$batch" in one for one in written(server, before)] == [True]
    wanted = {"order": server.purchase(), "line": "00010", "delivery_date": working_day(33)}
    with prepared(server, LINE, wanted) as (writer, commit):
        before = len(server.calls())
        send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        (one,) = written(server, before)
        assert one.startswith("PATCH")
        assert "PurchaseOrderScheduleLine" in one
        assert unlike(commit, writer.find(commit.sought()).record) == ()


@pytest.mark.parametrize(
    ("order", "item", "state", "locked"),
    [
        ({}, {}, "draft", False),
        ({"ReleaseIsNotCompleted": False}, {}, "processing", False),
        ({"PurchaseOrderDeletionCode": "L"}, {}, "cancelled", False),
        ({}, {"IsCompletelyDelivered": True}, "done", False),
        ({}, {"PurchasingDocumentDeletionCode": "S"}, "draft", True),
    ],
)
def test_saps_codes_of_a_purchase_are_one_state(
    order: Mapping[str, Any], item: Mapping[str, Any], state: str, locked: bool, server: Cap
) -> None:
    number = server.purchase(**item)
    if order:
        server.admin("PATCH", f"{PURCHASE}/PurchaseOrder('{number}')", order)
    target = {"order": number, "line": "00010", "quantity": {"value": "250", "unit": "PC"}}
    with prepared(server, LINE, target) as (_, commit):
        assert commit.snapshot.context["state"] == state
        assert bool(commit.snapshot.context.get("locked")) is locked


def test_what_has_arrived_of_a_line_is_told_and_a_deleted_item_is_none(server: Cap) -> None:
    line = {
        "ScheduleLineDeliveryDate": working_day(20),
        "ScheduleLineOrderQuantity": 200,
        "OpenPurchaseOrderQuantity": 80,
    }
    target = {"line": "00010", "quantity": {"value": "250", "unit": "PC"}}
    order = server.purchase(_PurchaseOrderScheduleLineTP=[line])
    with prepared(server, LINE, {**target, "order": order}) as (_, commit):
        assert commit.snapshot.context["received"] == {"value": "120", "unit": "PC"}
    gone = server.purchase(PurchasingDocumentDeletionCode="L")
    with (
        pytest.raises(Rejected, match="has no item '00010'"),
        prepared(server, LINE, {**target, "order": gone}),
    ):
        pass


def test_a_group_of_which_one_part_is_refused_leaves_nothing(server: Cap) -> None:
    wanted = {
        "order": server.purchase(),
        "line": "00010",
        "quantity": {"value": "250", "unit": "PC"},
        "delivery_date": "2095-01-03",
    }
    with prepared(server, LINE, wanted) as (writer, commit):
        with pytest.raises(Rejected, match=r"Delivery date is too far ahead \(06/245\)"):
            send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        assert writer.find(commit.sought()).seen is Seen.ABSENT
    assert server.count(commit.reference) == 0


def test_a_line_in_several_deliveries_or_priced_by_another_unit_is_left_to_people(server: Cap) -> None:
    days = [{"ScheduleLineDeliveryDate": working_day(day)} for day in (20, 30)]
    for item in ({"_PurchaseOrderScheduleLineTP": days}, {"OrderPriceUnit": "KG"}):
        target = {"order": server.purchase(**item), "line": "00010"}
        with prepared(server, LINE, {**target, "quantity": {"value": "250", "unit": "PC"}}) as (_, commit):
            assert commit.snapshot.context["locked"]


def test_a_note_for_the_supplier_is_refused_and_not_dropped(server: Cap) -> None:
    assert ADAPTER.types[CREATE].unsupported == {"note"}
    lines = [
        {
            "product": "RM122",
            "quantity": {"value": "10", "unit": "PC"},
            "unit_price": {"amount": "12.50", "currency": "EUR"},
            "delivery_date": working_day(200),
        }
    ]
    with (
        pytest.raises(Unsupported, match="note for the supplier cannot be carried"),
        prepared(server, CREATE, {"supplier": "17300001", "lines": lines, "note": "Ring twice"}),
    ):
        pass


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


def test_the_supplier_that_was_shown_is_the_one_that_is_ordered_from(server: Cap) -> None:
    with prepared(server, CREATE) as (writer, commit):
        touch(server, CREATE, commit.payload)
        before = len(server.calls())
        with pytest.raises(Stale):
            send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        assert written(server, before) == []
    assert server.admin("GET", f"{PARTNER}/A_Supplier('17300001')")["d"]["SupplierName"]


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
