"""What holds for every read tool."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from integrations.contract import ReadTool
from integrations.scan import read_tools

TOOLS = read_tools()
EVERY = pytest.mark.parametrize("tool", TOOLS.values(), ids=list(TOOLS))


def test_there_are_six_tools_for_an_erp_and_one_for_the_floor() -> None:
    assert set(TOOLS) == {
        "job_state",
        "order_status_exceptions",
        "production_order",
        "purchase_order",
        "sales_order",
        "stock_by_product",
        "supplier",
    }


@EVERY
def test_samples_are_right_for_their_models(tool: ReadTool) -> None:
    tool.arguments.model_validate_json(json.dumps(tool.sample))
    answer = tool.answer.model_validate_json(json.dumps(tool.sample_answer))
    assert answer.model_dump(mode="json") == tool.sample_answer


@EVERY
def test_a_tool_is_named_after_its_file(tool: ReadTool) -> None:
    module = inspect.getmodule(tool.arguments)
    assert module is not None
    assert module.__name__.rsplit(".", 1)[-1] == tool.name
    assert tool.title
    assert tool.summary.endswith(".")


def properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for part in (schema, *schema.get("$defs", {}).values()):
        if part.get("title") in {"Money", "Quantity"}:
            continue
        yield from part.get("properties", {}).items()


@EVERY
def test_every_field_is_described_to_an_agent(tool: ReadTool) -> None:
    for model in (tool.arguments, tool.answer):
        for name, described in properties(model.model_json_schema()):
            assert described.get("description"), name


@EVERY
def test_answers_show_no_stamp_and_no_bare_number_with_a_fraction(tool: ReadTool) -> None:
    for name, described in properties(tool.answer.model_json_schema()):
        assert "stamp" not in name
        assert described.get("type") != "number"


@EVERY
def test_unknown_arguments_are_refused_by_name(tool: ReadTool) -> None:
    with pytest.raises(ValidationError, match="sql"):
        tool.arguments.model_validate_json(json.dumps({**tool.sample, "sql": "drop"}))


@EVERY
@pytest.mark.parametrize("stranger", [1.5, True, [], {}, "", "\u0000", "a" * 10_000])
def test_no_stranger_is_taken_for_an_argument(tool: ReadTool, stranger: object) -> None:
    for name in tool.sample:
        with pytest.raises(ValidationError):
            tool.arguments.model_validate_json(json.dumps({**tool.sample, name: stranger}))


@pytest.mark.parametrize("limit", [0, -1, 201, "50"])
def test_a_list_of_exceptions_has_one_to_two_hundred(limit: object) -> None:
    with pytest.raises(ValidationError):
        TOOLS["order_status_exceptions"].arguments.model_validate_json(json.dumps({"limit": limit}))


@pytest.mark.parametrize(
    ("given", "right"), [({}, False), ({"product": "3", "code": "RM"}, False), ({"product": "3"}, True)]
)
def test_stock_is_asked_for_by_key_or_by_code(given: dict[str, str], right: bool) -> None:
    model = TOOLS["stock_by_product"].arguments
    if right:
        model.model_validate_json(json.dumps(given))
    else:
        with pytest.raises(ValidationError, match="either product"):
            model.model_validate_json(json.dumps(given))
