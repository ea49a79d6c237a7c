"""What an agent is told it may do: exactly what is granted, ready for a language model."""

import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # its stubs are not in our locks
import pytest

from console.catalogue import read_tools, transaction_types
from console.models import Connection
from integrations.sandbox.adapter import ADAPTER as SANDBOX
from tests.api.conftest import Caller, told
from tests.cast import Planner, connection, grant

pytestmark = pytest.mark.django_db


def check(schema: dict[str, Any], value: Any) -> None:
    """Fail unless the schema is one, and the value fits it."""
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(value)


def names(cards: list[dict[str, Any]]) -> set[str]:
    return {card["name"] for card in cards}


def test_everything_granted_is_there_with_schemas_that_fit_its_samples(call: Caller) -> None:
    found = told(call("GET", "tools"))
    assert names(found["read_tools"]) == set(SANDBOX.tools)
    assert names(found["transaction_types"]) == set(SANDBOX.types)
    for card in found["read_tools"]:
        check(card["arguments"], card["sample"])
        check(card["answer"], card["sample_answer"])
    for card in found["transaction_types"]:
        check(card["payload"], card["sample"])
        assert card["connections"][0]["effect"]


def test_what_is_off_frozen_or_on_a_connection_that_is_off_is_not_there(
    call: Caller, planner: Planner
) -> None:
    grants = planner.version.grants
    grants.filter(name="supplier").update(autonomy="off")
    grants.filter(name="sales_order").update(frozen_at="2026-01-01T00:00:00Z")
    assert names(told(call("GET", "tools"))["read_tools"]) == set(SANDBOX.tools) - {"supplier", "sales_order"}
    Connection.objects.update(enabled=False)
    found = told(call("GET", "tools"))
    assert found["read_tools"] == found["transaction_types"] == []


def test_a_connection_that_is_not_configured_is_not_offered(call: Caller, planner: Planner) -> None:
    grant(planner.version, "tool", "supplier", connection("gone"))
    [card] = [one for one in told(call("GET", "tools"))["read_tools"] if one["name"] == "supplier"]
    assert [way["name"] for way in card["connections"]] == ["plant"]


def test_the_call_of_every_type_can_be_sent_as_it_is(call: Caller) -> None:
    for card in told(call("GET", "tools"))["transaction_types"]:
        made = card["call"]
        response = call(made["method"], made["path"], made["body"], {"Idempotency-Key": card["name"]})
        assert response.status_code == 202, told(response)


@pytest.mark.usefixtures("erp")
def test_the_call_of_every_tool_can_be_sent_as_it_is(call: Caller) -> None:
    for card in told(call("GET", "tools"))["read_tools"]:
        made = card["call"]
        response = call(made["method"], made["path"], made["body"])
        assert response.status_code in {200, 404}, told(response)  # a sample's record may not be there
        if response.status_code == 200:
            check(card["answer"], told(response)["value"])


def test_as_functions_a_model_can_use_it_as_it_is(call: Caller) -> None:
    found = told(call("GET", "tools?format=functions"))
    samples = {
        f"read_{name}": dict(tool.sample) for name, tool in read_tools().items() if name in SANDBOX.tools
    }
    for name in SANDBOX.types:
        type_ = transaction_types()[name]
        samples[f"propose_{name}"] = {
            "transaction_type": name,
            "payload": dict(type_.sample),
            "rationale": "Because.",
        }
    assert {one["function"]["name"] for one in found["functions"]} == set(samples) == set(found["calls"])
    for one in found["functions"]:
        function = one["function"]
        assert len(function["name"]) <= 64
        assert function["description"]
        check(function["parameters"], samples[function["name"]])
        made = found["calls"][function["name"]]
        body = samples[function["name"]]
        if made["arguments_at"]:
            body = {made["arguments_at"]: body}
        response = call(made["method"], made["path"], body, {"Idempotency-Key": function["name"]})
        assert response.status_code in {202, 503}, told(response)  # 503: the system of this test is away


def test_a_function_of_one_type_refuses_another(call: Caller) -> None:
    found = told(call("GET", "tools?format=functions"))
    [reschedule] = [
        one["function"]
        for one in found["functions"]
        if one["function"]["name"] == "propose_production_order_reschedule"
    ]
    with pytest.raises(jsonschema.ValidationError):
        check(
            reschedule["parameters"],
            {"transaction_type": "sales_order_promise", "payload": {}, "rationale": "x"},
        )


def test_no_address_or_login_of_a_system_is_shown(call: Caller) -> None:
    shown = json.dumps(told(call("GET", "tools")))
    assert "127.0.0.1" not in shown
    assert "PLANT_SECRET" not in shown
    assert "integrations." not in shown
