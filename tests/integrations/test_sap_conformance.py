"""The SAP adapter keeps the adapter contract, against SAP's own OData server; the accounts are Basic, or OAuth 2.0."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from integrations.sap.adapter import ADAPTER
from tests.integrations.conformance import (
    ADAPTER_CLAIMS,
    TYPE_CLAIMS,
    AdapterClaim,
    Subject,
    TypeClaim,
    a_port_where_nothing_listens,
    named,
)
from tests.rigs import cap as rig
from tests.rigs.cap import PARTNER, PURCHASE, Cap
from tests.rigs.oauth2 import token_server

SUPPLIER = "17300001"


def working_day(days: int) -> str:
    """The first Monday to Friday so many days ahead or later."""
    day = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=days)
    return (day + dt.timedelta(days=max(7 - day.weekday(), 0) if day.weekday() > 4 else 0)).isoformat()


def payload(server: Cap, type_name: str) -> Mapping[str, Any]:
    """Something right to propose, on a record of its own."""
    if type_name == "production_order_reschedule":
        order = server.production()
        return {"order": order, "planned_start": working_day(16), "planned_finish": working_day(20)}
    if type_name == "production_order_quantity":
        return {"order": server.production(), "quantity": {"value": "150.5", "unit": "PC"}}
    if type_name == "production_order_release":
        return {"order": server.production()}
    if type_name == "purchase_order_line_change":
        return {
            "order": server.purchase(),
            "line": "00010",
            "quantity": {"value": "260", "unit": "PC"},
            "unit_price": {"amount": "12.60", "currency": "EUR"},
            "delivery_date": working_day(30),
        }
    return {
        "supplier": SUPPLIER,
        "lines": [
            {
                "product": "RM122",
                "quantity": {"value": "220", "unit": "PC"},
                "unit_price": {"amount": "12.40", "currency": "EUR"},
                "delivery_date": working_day(300),
            },
            {
                "product": "RM123",
                "quantity": {"value": "61.5", "unit": "KG"},
                "unit_price": {"amount": "4.1255", "currency": "EUR"},
                "delivery_date": working_day(301),
            },
        ],
    }


def touch(server: Cap, type_name: str, proposed: Any) -> bool:
    """Somebody writes to what the snapshot stamped, and changes nothing of what is shown."""
    if type_name.startswith("production"):
        server.edit(proposed.order, MfgOrderPlannedStartTime="PT07H00M00S")
        server.edit(proposed.order, MfgOrderPlannedStartTime="PT06H00M00S")
    elif type_name == "purchase_order_line_change":
        key = f"(PurchaseOrder='{proposed.order}',PurchaseOrderItem='{proposed.line}')"
        server.admin("PATCH", f"{PURCHASE}/PurchaseOrderItem{key}", {"Plant": "1010"})
    else:
        here = f"{PARTNER}/A_Supplier('{proposed.supplier}')"
        was = server.admin("GET", here)["d"]["SupplierCorporateGroup"]
        server.admin("PATCH", here, {"SupplierCorporateGroup": str(int(was or 0) + 1)})
    return True


def arguments(server: Cap, tool: str) -> Mapping[str, Any]:
    """Arguments that name something."""
    if tool == "supplier":
        return {"supplier": SUPPLIER}
    return {"order": server.production() if tool == "production_order" else server.purchase()}


def missing(tool: str) -> Mapping[str, Any]:
    """Arguments that name nothing."""
    return {"supplier" if tool == "supplier" else "order": "99999999"}


def subject(server: Cap) -> Subject:
    """The adapter and this server."""

    @contextlib.contextmanager
    def lose_answer(_type_name: str) -> Iterator[None]:
        server.fail("drop-after")
        yield
        server.heal()

    nowhere = f"http://127.0.0.1:{a_port_where_nothing_listens()}"
    return Subject(
        adapter=ADAPTER,
        options=server.options(),
        reader=server.account("reader"),
        writers={name: server.account(name) for name in ADAPTER.types},
        payload=lambda name: payload(server, name),
        arguments=lambda tool: arguments(server, tool),
        missing=missing,
        touch=lambda name, proposed: touch(server, name, proposed),
        nowhere=lambda: server.options(url=nowhere),
        count=server.count,
        lose_answer=lose_answer,
        cannot=("tell who changed a record",),
    )


@pytest.fixture(scope="module", params=["Basic", "OAuth 2.0"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cap]:
    """A server whose accounts sign in in one of two ways."""
    folder = tmp_path_factory.mktemp("cap")
    if request.param == "Basic":
        with rig.cap(folder) as running:
            yield running
        return
    known = rig.clients()
    with (
        token_server({login: {"secret": secret} for login, secret in known.items()}) as tokens,
        rig.cap(folder, known=known, oauth2=tokens) as running,
    ):
        yield running


@pytest.mark.parametrize("claim", ADAPTER_CLAIMS, ids=named)
def test_sap_keeps_the_contract(claim: AdapterClaim, server: Cap) -> None:
    claim(subject(server))


@pytest.mark.parametrize("claim", TYPE_CLAIMS, ids=named)
@pytest.mark.parametrize("type_name", sorted(ADAPTER.types))
def test_sap_keeps_the_contract_for_each_type(claim: TypeClaim, type_name: str, server: Cap) -> None:
    claim(subject(server), type_name)


def test_the_settle_time_outlasts_a_clients_patience(server: Cap) -> None:
    assert dt.timedelta(seconds=server.options()["timeout"]) < ADAPTER.settle
