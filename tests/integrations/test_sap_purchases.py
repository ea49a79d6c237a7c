"""Purchase orders by the SAP adapter: prices, our own key, what is on its way, lines, groups; counted at the server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest

from integrations.contract import (
    Receipt,
    Rejected,
    Seen,
    Stale,
    Unsupported,
)
from integrations.sap.adapter import ADAPTER
from tests.integrations.conformance import send, unlike
from tests.integrations.sap import (
    CREATE,
    LINE,
    prepared,
    written,
)
from tests.integrations.test_sap_conformance import touch, working_day
from tests.rigs import cap as rig
from tests.rigs.cap import PARTNER, PURCHASE, Cap


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cap]:
    with rig.cap(tmp_path_factory.mktemp("cap")) as server:
        yield server


@pytest.fixture
def server(running: Cap) -> Cap:
    """The rig, well."""
    running.heal()
    return running


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


def test_the_supplier_that_was_shown_is_the_one_that_is_ordered_from(server: Cap) -> None:
    with prepared(server, CREATE) as (writer, commit):
        touch(server, CREATE, commit.payload)
        before = len(server.calls())
        with pytest.raises(Stale):
            send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        assert written(server, before) == []
    assert server.admin("GET", f"{PARTNER}/A_Supplier('17300001')")["d"]["SupplierName"]
