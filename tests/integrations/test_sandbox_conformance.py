"""Every way the sandbox is guarded keeps the adapter contract."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from integrations.connect import adapter
from tests.integrations.conformance import (
    ADAPTER_CLAIMS,
    TYPE_CLAIMS,
    AdapterClaim,
    Subject,
    TypeClaim,
    a_port_where_nothing_listens,
    named,
)
from tests.sandbox import SandboxProcess

PATHS = (
    "integrations.sandbox.adapter",
    "integrations.sandbox.keyed",
    "integrations.sandbox.unique_reference",
    "integrations.sandbox.read_back_only",
)
CARRIED = [(path, name) for path in PATHS for name in sorted(adapter(path).types)]


def working_day(days: int) -> str:
    """The first Monday to Friday so many days ahead or later."""
    day = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=days)
    return (day + dt.timedelta(days=max(7 - day.weekday(), 0) if day.weekday() > 4 else 0)).isoformat()


def payload(sandbox: SandboxProcess, type_name: str) -> Mapping[str, Any]:
    """Something right to propose."""
    if type_name == "production_order_reschedule":
        order = sandbox.find("production", state="released")
        return {"order": order["key"], "planned_start": working_day(9), "planned_finish": working_day(12)}
    if type_name == "production_order_quantity":
        order = sandbox.find("production", state="released", quantity="48")
        return {"order": order["key"], "quantity": {"value": "60", "unit": "Unit"}}
    if type_name == "production_order_release":
        return {"order": sandbox.find("production", state="draft")["key"]}
    if type_name == "purchase_order_create":
        screws, hinges = (sandbox.find("product", code=code) for code in ("RM-SCREW-560", "RM-HINGE-35"))
        return {
            "supplier": sandbox.find("supplier", name="Beschlag & Co")["key"],
            "lines": [
                {
                    "product": screws["key"],
                    "quantity": {"value": "10000", "unit": "Unit"},
                    "unit_price": {"amount": "0.0410", "currency": "EUR"},
                    "delivery_date": working_day(20),
                },
                {
                    "product": hinges["key"],
                    "quantity": {"value": "450", "unit": "Unit"},
                    "unit_price": {"amount": "2.10", "currency": "EUR"},
                    "delivery_date": working_day(21),
                },
            ],
            "note": "Please deliver together",
        }
    if type_name == "purchase_order_line_change":
        order = sandbox.find("purchase", state="quotation")
        return {
            "order": order["key"],
            "line": "1",
            "quantity": {"value": "60", "unit": "Unit"},
            "delivery_date": working_day(25),
        }
    order = sandbox.find("sale", customer="Stadtbücherei")
    return {"order": order["key"], "promised_date": working_day(14)}


def touch(sandbox: SandboxProcess, type_name: str, proposed: Any) -> bool:
    """Somebody writes to what the snapshot stamped."""
    if type_name == "purchase_order_create":
        sandbox.edit(f"supplier {proposed.supplier}")
    elif type_name == "purchase_order_line_change":
        sandbox.edit(f"purchase {proposed.order}", lines={proposed.line: {}})
    elif type_name == "production_order_quantity":
        sandbox.edit(f"production {proposed.order}", lines={"2": {}})
    elif type_name in {"production_order_reschedule", "production_order_release"}:
        sandbox.edit(f"production {proposed.order}", reference="touched")
    else:
        sandbox.edit(f"sale {proposed.order}", reference="touched")
    return True


def arguments(sandbox: SandboxProcess, tool: str) -> Mapping[str, Any]:
    """Something each tool can answer."""
    return {
        "order_status_exceptions": {},
        "production_order": {"order": sandbox.find("production")["key"]},
        "purchase_order": {"order": sandbox.find("purchase")["key"]},
        "sales_order": {"order": sandbox.find("sale")["key"]},
        "stock_by_product": {"code": "RM-OAK-40"},
        "supplier": {"supplier": sandbox.find("supplier")["key"]},
    }[tool]


def missing(tool: str) -> Mapping[str, Any]:
    """What is not there."""
    name = {"stock_by_product": "code", "supplier": "supplier"}.get(tool, "order")
    return {name: "999999"}


def subject_of(path: str, sandbox: SandboxProcess) -> Subject:
    """The adapter at this path, against this sandbox."""

    @contextlib.contextmanager
    def lose_answer(_type_name: str) -> Iterator[None]:
        sandbox.fail("reset_after_effect", operation="write")
        yield
        sandbox.heal()

    found = adapter(path)
    return Subject(
        adapter=found,
        options=sandbox.options(),
        reader=sandbox.account("reader"),
        writers={name: sandbox.account(name) for name in found.types},
        payload=lambda name: payload(sandbox, name),
        arguments=lambda tool: arguments(sandbox, tool),
        missing=missing,
        touch=lambda name, proposed: touch(sandbox, name, proposed),
        nowhere=lambda: {**sandbox.options(), "url": f"http://127.0.0.1:{a_port_where_nothing_listens()}"},
        count=lambda reference: len(sandbox.effects(reference)),
        lose_answer=lose_answer,
    )


@pytest.mark.parametrize("claim", ADAPTER_CLAIMS, ids=named)
@pytest.mark.parametrize("path", PATHS)
def test_the_adapter(claim: AdapterClaim, path: str, sandbox: SandboxProcess) -> None:
    claim(subject_of(path, sandbox))


@pytest.mark.parametrize("claim", TYPE_CLAIMS, ids=named)
@pytest.mark.parametrize(("path", "type_name"), CARRIED)
def test_the_adapter_for_a_type(claim: TypeClaim, path: str, type_name: str, sandbox: SandboxProcess) -> None:
    claim(subject_of(path, sandbox), type_name)
