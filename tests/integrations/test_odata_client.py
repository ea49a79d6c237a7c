"""The OData client against SAP's CAP: V2 and V4, keys of every type, pages, ETags, batches, CSRF, and what goes wrong.

Everything is counted at the server. CAP, its V2 adapter and its ETags are not ours; the CSRF gate and the faults are
(see `tests/rigs/cap`). One long file, so that one server is started for all of it.

The file is long because it is what servers do, one claim after the other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from integrations.contract import (
    Account,
    AdapterError,
    InDoubt,
    OutOfScope,
    Rejected,
    Stale,
    Unavailable,
    Unsupported,
)
from integrations.odata.client import Service
from integrations.odata.host import Http
from integrations.odata.shapes import Change
from tests.integrations.conformance import a_port_where_nothing_listens
from tests.rigs import cap as rig
from tests.rigs.cap import PRODUCTION, PURCHASE, Cap
from tests.rigs.oauth2 import token_server

V2, V4 = "/sap/opu/odata/sap/RIG_V2", "/rig/v4"
ORDERS = "A_ProductionOrder_2"
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


@contextlib.contextmanager
def opened(server: Cap, **options: Any) -> Iterator[Http]:
    """A connection as somebody who may do everything."""
    host = Http(server.options(**options), server.account("admin"))
    with contextlib.closing(host):
        yield host


@pytest.fixture
def host(server: Cap) -> Iterator[Http]:
    with opened(server) as made:
        yield made


@pytest.fixture
def production(host: Http) -> Service:
    return Service(host, PRODUCTION)


@pytest.fixture
def purchase(host: Http) -> Service:
    return Service(host, PURCHASE)


def key(number: str) -> dict[str, str]:
    return {"ManufacturingOrder": number}


def since(server: Cap, before: int) -> list[dict[str, Any]]:
    """The calls after the first so many."""
    return server.calls()[before:]


def writes(calls: list[dict[str, Any]]) -> list[str]:
    return [one["method"] for one in calls if one["method"] in WRITES]


# One entity of every type, in both versions

WHOLE = {
    "Code": "A'b/ö %",
    "Number": "9007199254740991",
    "Exactly": "-1234567.5",
    "Day": "2026-12-01",
    "Flag": True,
    "Id": "0f8fad5b-d9cb-469f-a165-70867728950e",
    "Small": 7,
    "Clock": "06:05:00",
    "Moment": "2026-12-01T06:00:00.123Z",
    "Instant": "2026-12-01T06:00:00Z",
    "Ratio": "0.1",
    "Text": "x & y = ü",
    "Origin": "here",
}
KEYS = ("Code", "Number", "Exactly", "Day", "Flag", "Id")


@pytest.mark.parametrize("root", [V2, V4])
def test_every_type_of_key_and_property_goes_there_and_comes_back(root: str, host: Http) -> None:
    service = Service(host, root)
    whole = {**WHOLE, "Code": f"{WHOLE['Code']}{service.model.version}"}
    which = {name: whole[name] for name in KEYS}
    assert service.one("Samples", which) is None
    made = service.create("Samples", whole)
    assert made.status == 201
    found = service.one("Samples", which)
    assert found is not None
    assert {name: found.values[name] for name in whole} == whole
    for name in (*KEYS, "Clock", "Moment", "Ratio", "Text"):
        rows = service.rows("Samples", [(name, "eq", whole[name]), ("Code", "eq", whole["Code"])])
        if name not in {"Moment", "Ratio"} or root == V4:
            assert len(rows.entities) == 1, name
    service.change("Samples", which, {"Small": 8}, etag="")
    changed = service.one("Samples", which)
    assert changed is not None
    assert {name: changed.values[name] for name in whole} == {**whole, "Small": 8}
    assert changed.etag == ""


@pytest.mark.parametrize("root", [V2, V4])
def test_what_the_metadata_does_not_allow_is_never_sent(root: str, host: Http, server: Cap) -> None:
    service, before = Service(host, root), len(server.calls())
    which = {name: WHOLE[name] for name in KEYS}
    for new, words in (
        ({"Nope": "1"}, "declares no property 'Nope'"),
        ({"Total": "1"}, "Total is not updatable"),
        ({"Text": "x" * 21}, "at most 20 characters"),
        ({"Exactly": "0.001"}, "at most 2 decimal places"),
    ):
        with pytest.raises(Unsupported, match=words):
            service.change("Samples", which, new, etag="")
    with pytest.raises(Unsupported, match="The key of Samples is Code, Number"):
        service.one("Samples", {"Code": "A"})
    with pytest.raises(Unsupported, match="declares no set 'Nowhere'"):
        service.rows("Nowhere")
    with pytest.raises(Unsupported, match="declares no property 'Nope'"):
        service.rows("Samples", [("Nope", "eq", 1)])
    assert writes(since(server, before)) == []


# Pages


def test_a_list_is_read_over_all_its_pages(production: Service, server: Cap) -> None:
    before = len(server.calls())
    rows = production.rows(ORDERS, [("Material", "eq", "FG126")], order="ManufacturingOrder", most=7)
    assert len({one.values["ManufacturingOrder"] for one in rows.entities}) == 7
    lists = [one["path"] for one in since(server, before) if ORDERS in one["path"]]
    assert len(lists) == 3  # three a page


def test_a_budget_that_ends_before_the_rows_says_that_it_is_not_complete(production: Service) -> None:
    rows = production.rows(ORDERS, order="ManufacturingOrder", most=4)
    assert (len(rows.entities), rows.complete) == (4, False)


def test_a_next_page_on_another_host_is_asked_of_our_own(production: Service, host: Http) -> None:
    # The V2 adapter writes its own idea of its host ("localhost") into every next link; ours is 127.0.0.1.
    assert "127.0.0.1" in host.base
    link = "http://somewhere.invalid:8080/steal/A_ProductionOrder_2?$skiptoken=3&$format=json"
    following = production._following(f"{PRODUCTION}/{ORDERS}", f"{PRODUCTION}/{ORDERS}", link)
    assert following == f"{PRODUCTION}/{ORDERS}?$skiptoken=3&$format=json"
    inside = f"{host.base}{PRODUCTION}/{ORDERS}?$skiptoken=3"
    assert production._following(f"{PRODUCTION}/x", "/y", inside) == f"{PRODUCTION}/{ORDERS}?$skiptoken=3"
    beside = f"{host.base}/other/service/Users?$skiptoken=3"
    assert production._following(f"{PRODUCTION}/x", "/y", beside) == f"{PRODUCTION}/x?$skiptoken=3"


# ETags, verbs, messages


def test_a_change_without_an_etag_and_with_an_old_one_are_refused_by_the_server(
    production: Service, purchase: Service, server: Cap
) -> None:
    order, bought = server.production(), server.purchase()
    effects = len(server.effects())
    for service, set_, which, new in (
        (production, ORDERS, key(order), {"TotalQuantity": "1"}),
        (purchase, "PurchaseOrder", {"PurchaseOrder": bought}, {"PurchasingGroup": "002"}),
    ):
        with pytest.raises(Rejected, match="wants an ETag") as none:
            service.change(set_, which, new, etag="")
        assert none.value.evidence["status"] == 428
        with pytest.raises(Stale) as old:
            service.change(set_, which, new, etag='W/"1"')
        assert old.value.evidence["status"] == 412
    assert len(server.effects()) == effects


def test_a_change_is_partial_and_tells_the_new_etag(production: Service, server: Cap) -> None:
    order = server.production(MfgOrderPlannedStartTime="PT05H00M00S")
    was = production.one(ORDERS, key(order))
    assert was is not None
    done = production.change(ORDERS, key(order), {"TotalQuantity": "150.500"}, etag=was.etag)
    now = production.one(ORDERS, key(order))
    assert now is not None
    assert now.etag == done.etag != was.etag
    moved = {name for name in now.values if now.values[name] != was.values[name]}
    assert moved == {"TotalQuantity", "LastChangeDateTime"}


def test_version_2_is_changed_by_merge_and_where_a_server_knows_none_by_patch(
    production: Service, server: Cap
) -> None:
    order = server.production()
    was = production.one(ORDERS, key(order))
    assert was is not None
    before = len(server.calls())
    done = production.change(ORDERS, key(order), {"TotalQuantity": "1"}, etag=was.etag)
    assert writes(since(server, before)) == ["MERGE"]
    server.fail("405", times=9, method="MERGE")
    before = len(server.calls())
    done = production.change(ORDERS, key(order), {"TotalQuantity": "2"}, etag=done.etag)
    production.change(ORDERS, key(order), {"TotalQuantity": "3"}, etag=done.etag)
    assert writes(since(server, before)) == ["MERGE", "PATCH", "PATCH"]
    assert server.order(order)["TotalQuantity"] == "3"


def test_what_the_system_says_besides_is_kept_and_is_no_evidence(production: Service, server: Cap) -> None:
    order = server.production()
    was = production.one(ORDERS, key(order))
    assert was is not None
    done = production.change(ORDERS, key(order), {"MfgOrderPlannedEndDate": "2099-06-01"}, etag=was.etag)
    (said,) = done.evidence["messages"]
    assert (said["severity"], said["code"]) == ("warning", "CO/123")
    answer = production.call("ReleaseOrder", key(order))
    assert answer["result"]["SystemMessageVariable1"] == order
    with pytest.raises(Rejected, match=r"already released .CO/459") as refusal:
        production.call("ReleaseOrder", key(order))
    assert refusal.value.evidence["code"] == "CO/459"


def test_an_error_in_xml_is_understood_too(production: Service, server: Cap) -> None:
    order = server.production()
    server.fail("xml")
    with pytest.raises(Rejected, match=r"Order is locked by SMITH .CO/469") as refusal:
        production.call("ReleaseOrder", key(order))
    assert refusal.value.evidence["transaction"] == "5F2A"


def test_an_operation_that_is_refused_by_name_is_never_called(host: Http, server: Cap) -> None:
    service, before = Service(host, PRODUCTION, refused=frozenset({"CloseOrder"})), len(server.calls())
    with pytest.raises(Unsupported, match="CloseOrder is never called from here"):
        service.call("CloseOrder", key("1000001"))
    with pytest.raises(Unsupported, match="declares no operation"):
        service.call("Nothing", {})
    assert writes(since(server, before)) == []


# Batches


def test_a_group_is_all_or_nothing_in_both_versions(
    production: Service, purchase: Service, server: Cap
) -> None:
    orders = [server.production(), server.production()]
    for bad, moved in ((True, 0), (False, 2)):
        found = [production.one(ORDERS, key(order)) for order in orders]
        etags = [one.etag for one in found if one]
        changes = [
            Change(ORDERS, key(order), {"TotalQuantity": "7"}, etag)
            for order, etag in zip(orders, ['W/"1"' if bad else etags[0], etags[1]], strict=True)
        ]
        effects = len(server.effects())
        # The bad one first, and then last: the order of the parts must not matter.
        for listed in (changes, changes[::-1]) if bad else (changes,):
            with contextlib.ExitStack() as stack:
                if bad:
                    stack.enter_context(pytest.raises(Stale))
                assert len(production.change_all(listed)) == 2
        assert len(server.effects()) - effects == moved
    bought = server.purchase()
    which = {"PurchaseOrder": bought, "PurchaseOrderItem": "00010"}
    item = purchase.one("PurchaseOrderItem", which, expand=["_PurchaseOrderScheduleLineTP"])
    assert item is not None
    line = item.linked["_PurchaseOrderScheduleLineTP"][0]
    for day, moved in (("2095-01-01", 0), ("2027-01-04", 2)):
        effects = len(server.effects())
        changes = [
            Change("PurchaseOrderItem", which, {"OrderQuantity": "7"}, item.etag),
            Change(
                "PurchaseOrderScheduleLine",
                {**which, "ScheduleLine": "0001"},
                {"ScheduleLineDeliveryDate": day},
                line.etag,
            ),
        ]
        if moved:
            assert [one.status for one in purchase.change_all(changes)] == [200, 200]
        else:
            with pytest.raises(Rejected, match=r"too far ahead .06/245"):
                purchase.change_all(changes)
        assert len(server.effects()) - effects == moved


def test_a_lost_answer_to_a_group_is_a_doubt(production: Service, server: Cap) -> None:
    order = server.production()
    was = production.one(ORDERS, key(order))
    assert was is not None
    effects = len(server.effects())
    server.fail("drop-after")
    with pytest.raises(InDoubt):
        production.change_all([Change(ORDERS, key(order), {"TotalQuantity": "7"}, was.etag)])
    assert len(server.effects()) == effects + 1


def test_the_token_of_a_service_is_not_sent_with_the_session_of_another(
    production: Service, purchase: Service, server: Cap
) -> None:
    bought, calls = server.purchase(), len(server.calls())
    which = {"PurchaseOrder": bought, "PurchaseOrderItem": "00010"}
    for wanted in ("11", "12"):
        item = purchase.one("PurchaseOrderItem", which)
        assert item is not None
        purchase.change("PurchaseOrderItem", which, {"OrderQuantity": wanted}, etag=item.etag)
        order = server.production()
        was = production.one(ORDERS, key(order))
        assert was is not None
        production.change(ORDERS, key(order), {"TotalQuantity": wanted}, etag=was.etag)
    sent = [one["status"] for one in since(server, calls) if one["method"] in WRITES]
    assert len(sent) == 8  # each order's own two among them
    assert all(200 <= status < 300 for status in sent), sent


# What goes wrong, counted at the server


@pytest.mark.parametrize(
    ("fault", "raised", "effects"),
    [
        ("drop-before", InDoubt, 0),
        ("drop-after", InDoubt, 1),
        ("cut", InDoubt, 1),
        ("503", InDoubt, 0),
        ("429", InDoubt, 0),
        ("html", InDoubt, 0),
        ("redirect", InDoubt, 0),
        ("401", OutOfScope, 0),
    ],
)
def test_a_write_that_went_wrong_is_sent_once_and_called_what_it_is(
    fault: str, raised: type[AdapterError], effects: int, production: Service, server: Cap
) -> None:
    order = server.production()
    was = production.one(ORDERS, key(order))
    assert was is not None
    calls, before = len(server.calls()), len(server.effects())
    server.fail(fault)
    with pytest.raises(raised) as doubt:
        production.change(ORDERS, key(order), {"TotalQuantity": "7"}, etag=was.etag)
    assert type(doubt.value) is raised
    assert writes(since(server, calls)) == ["MERGE"]
    assert len(server.effects()) - before == effects
    if fault in {"429", "503"}:
        assert doubt.value.evidence["retry_after"]


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        ("drop-before", Unavailable),
        ("cut", Unavailable),
        ("503", Unavailable),
        ("429", Unavailable),
        ("html", OutOfScope),
        ("redirect", OutOfScope),
        ("401", OutOfScope),
    ],
)
def test_a_read_that_went_wrong_is_no_doubt_and_a_page_for_people_is_a_refused_account(
    fault: str, raised: type[AdapterError], production: Service, server: Cap
) -> None:
    order = server.production()
    assert production.model.version == 2
    server.fail(fault, times=2, reads=True, path=ORDERS)
    before = len(server.calls())
    with pytest.raises(raised) as refusal:
        production.one(ORDERS, key(order))
    assert type(refusal.value) is raised
    # Only a broken connection is tried once more: a server may have closed one that was kept.
    assert len(since(server, before)) == (2 if fault in {"drop-before", "cut"} else 1)


@pytest.mark.parametrize(
    ("fault", "raised"), [("503", Unavailable), ("429", Unavailable), ("html", OutOfScope)]
)
def test_what_goes_wrong_before_the_write_is_no_doubt(
    fault: str, raised: type[AdapterError], production: Service, server: Cap
) -> None:
    assert production.model.version == 2
    calls = len(server.calls())
    server.fail(fault, reads=True)
    with pytest.raises(raised):
        production.call("ReleaseOrder", key("1000001"))
    assert writes(since(server, calls)) == []


# CSRF, cookies, headers


def test_a_token_is_fetched_once_and_anew_once_when_it_is_refused(production: Service, server: Cap) -> None:
    order = server.production()
    before = len(server.calls())

    def fetched() -> int:
        return sum(one["headers"].get("x-csrf-token") == "Fetch" for one in since(server, before))

    etag = ""
    for quantity, fetches in (("1", 1), ("2", 1), ("3", 2)):
        if quantity == "3":
            server.fail("csrf")  # the session is gone; the write that meets this is refused
        found = production.one(ORDERS, key(order))
        assert found is not None
        etag = production.change(ORDERS, key(order), {"TotalQuantity": quantity}, etag=found.etag).etag
        assert fetched() == fetches
    assert etag
    assert server.order(order)["TotalQuantity"] == "3"
    roots = [one["path"] for one in since(server, before) if one["headers"].get("x-csrf-token") == "Fetch"]
    assert all(path.rstrip("?").endswith("/") for path in roots)


def test_a_token_that_is_refused_for_good_is_not_tried_for_ever(production: Service, server: Cap) -> None:
    order = server.production()
    found = production.one(ORDERS, key(order))
    assert found is not None
    calls = len(server.calls())
    server.fail("csrf", times=9)
    with pytest.raises(OutOfScope, match="CSRF"):
        production.change(ORDERS, key(order), {"TotalQuantity": "1"}, etag=found.etag)
    assert writes(since(server, calls)) == ["MERGE", "MERGE"]
    assert server.order(order)["TotalQuantity"] == "120"


def test_a_write_names_its_request_and_every_call_its_parameters(server: Cap) -> None:
    with opened(server, parameters={"sap-client": "100"}) as host:
        service, order = Service(host, PRODUCTION), server.production()
        before = len(server.calls())
        found = service.one(ORDERS, key(order))
        assert found is not None
        service.change(ORDERS, key(order), {"TotalQuantity": "1"}, etag=found.etag, request="ab" * 16)
    calls = since(server, before)
    assert all("sap-client=100" in one["path"] for one in calls)
    (write,) = [one for one in calls if one["method"] == "MERGE"]
    assert write["headers"]["requestid"] == write["headers"]["repeatability-request-id"] == "ab" * 16
    assert write["headers"]["repeatabilitycreation"]
    assert write["headers"]["repeatability-first-sent"].endswith("GMT")
    assert write["headers"]["content-type"] == "application/json"
    assert server.effects()[-1]["request"] == "ab" * 16


# Who asks


def test_a_bearer_token_is_kept_and_asked_for_anew_when_the_system_refuses_it(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    known = rig.clients()
    with (
        token_server({login: {"secret": secret} for login, secret in known.items()}) as tokens,
        rig.cap(tmp_path_factory.mktemp("cap"), known=known, oauth2=tokens) as server,
        opened(server) as host,
    ):
        service = Service(host, PRODUCTION)
        order = server.production()
        asked = len(tokens.asked())
        found = service.one(ORDERS, key(order))
        assert found is not None
        service.one(ORDERS, key(order))
        assert len(tokens.asked()) == asked + 1
        server.fail("401")
        effects = len(server.effects())
        service.change(ORDERS, key(order), {"TotalQuantity": "1"}, etag=found.etag)
        assert len(tokens.asked()) == asked + 2
        assert len(server.effects()) == effects + 1
        with (
            contextlib.closing(Http(server.options(), Account("reader", "wrong"))) as stranger,
            pytest.raises(OutOfScope, match="token server refuses the account 'reader'") as refusal,
        ):
            Service(stranger, PRODUCTION).rows(ORDERS)
        assert "wrong" not in f"{refusal.value} {refusal.value.evidence}"
    with (
        contextlib.closing(Http(server.options(), server.account("reader"))) as late,
        pytest.raises(Unavailable, match="token server cannot be reached"),
    ):
        Service(late, PRODUCTION).rows(ORDERS)


def test_a_secret_is_sent_to_no_other_machine_in_the_clear() -> None:
    with pytest.raises(ValueError, match="is not encrypted; give an https address"):
        Http({"url": "http://erp.example.com"}, Account("a", "b"))
    options = {"url": "https://erp.example.com", "oauth2": {"token_url": "http://id.example.com/token"}}
    with pytest.raises(ValueError, match="is not encrypted"):
        Http(options, Account("a", "b"))


def test_a_service_that_is_not_there_is_named(host: Http) -> None:
    with pytest.raises(Unavailable, match="There is no service at /sap/opu/odata/sap/NOTHING"):
        Service(host, "/sap/opu/odata/sap/NOTHING").rows("Things")
    away = Http({"url": f"http://127.0.0.1:{a_port_where_nothing_listens()}"}, Account("a", "b"))
    with pytest.raises(Unavailable, match="cannot be reached"):
        Service(away, PRODUCTION).rows(ORDERS)
