"""What a call costs in statements: constant, and few."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from console.api import proposals
from console.audit import WORKER
from console.lifecycle import assess
from tests.api.conftest import Caller, told
from tests.cast import Planner, envelope, propose
from tests.sandbox import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

MOST = {"propose": 7, "replay": 3, "tools": 3, "list": 3, "read": 4, "show": 14}
"""Statements of a call, without BEGIN and COMMIT."""


def cost(call: Caller, method: str, address: str, *arguments: object) -> int:
    """Statements of one call, when the key was used within the last minute."""
    with CaptureQueriesContext(connection) as spent:
        response = call(method, address, *arguments)
    assert response.status_code < 300, told(response)
    return sum(one["sql"] not in {"BEGIN", "COMMIT"} for one in spent)


def test_a_call_takes_no_more_statements_than_it_may(
    call: Caller, planner: Planner, erp: SandboxProcess
) -> None:
    call("GET", "tools")
    body, key = envelope(), {"Idempotency-Key": "one"}
    order = {"arguments": {"order": erp.find("production", state="draft")["key"]}}
    call("POST", "reads/production_order", order)
    spent = {
        "propose": cost(call, "POST", "proposals", body, key),
        "replay": cost(call, "POST", "proposals", body, key),
        "tools": cost(call, "GET", "tools"),
        "list": cost(call, "GET", "proposals"),
        "read": cost(call, "POST", "reads/production_order", order),
        "show": cost(call, "GET", f"proposals/{assess.assess(propose(planner), actor=WORKER).ref}"),
    }
    assert {what: number for what, number in spent.items() if number > MOST[what]} == {}, spent


def test_a_longer_list_takes_no_more_statements(call: Caller, planner: Planner) -> None:
    propose(planner)
    call("GET", "tools")
    one = cost(call, "GET", "proposals")
    for _ in range(10):
        propose(planner)
    assert cost(call, "GET", "proposals") == one


def test_a_page_deep_in_the_list_reads_no_more_rows_than_the_first(planner: Planner) -> None:
    made = [propose(planner) for _ in range(12)]
    filters = proposals.Filters(before=made[6].ref, limit=2)
    with CaptureQueriesContext(connection) as spent:
        page = proposals.page(planner.version, filters)
    assert [one.ref for one in page.proposals] == [made[5].ref, made[4].ref]
    assert "OFFSET" not in "".join(one["sql"] for one in spent)
