"""What the sandbox's furniture maker shows to the read tools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from integrations.connect import adapter
from integrations.contract import Reader
from tests.integrations.conformance import TOOLS
from tests.sandbox import SandboxProcess


@pytest.fixture
def reader(sandbox: SandboxProcess) -> Iterator[Reader]:
    found = adapter("integrations.sandbox.adapter")
    with closing(found.reader(sandbox.options(), sandbox.account("reader"))) as opened:
        yield opened


def ask(reader: Reader, tool: str, **arguments: Any) -> Any:
    model = TOOLS[tool].arguments.model_validate_json(json.dumps(arguments))
    value = reader.read(TOOLS[tool], model).value
    return TOOLS[tool].answer.model_validate_json(json.dumps(value))


def test_every_problem_and_every_kind_of_order_is_among_the_exceptions(reader: Reader) -> None:
    found = ask(reader, "order_status_exceptions", limit=200)
    assert found.found == len(found.exceptions)
    assert {e.problem for e in found.exceptions} == {"late", "short_of_material", "unconfirmed", "blocked"}
    assert {e.kind for e in found.exceptions} == {"production", "purchase", "sale"}
    assert all(e.reason.endswith(".") or e.problem == "blocked" for e in found.exceptions)


def test_exceptions_are_worst_first_and_counted_beyond_the_limit(reader: Reader) -> None:
    every = ask(reader, "order_status_exceptions", limit=200)
    rank = ["high", "medium", "low"]
    severities = [rank.index(e.severity) for e in every.exceptions]
    assert severities == sorted(severities)
    two = ask(reader, "order_status_exceptions", limit=2)
    assert two.exceptions == every.exceptions[:2]
    assert two.found == every.found


@pytest.mark.parametrize("kind", ["production", "purchase", "sale"])
def test_exceptions_of_one_kind_are_of_that_kind(kind: str, reader: Reader) -> None:
    assert {e.kind for e in ask(reader, "order_status_exceptions", kind=kind).exceptions} == {kind}


def test_exceptions_of_one_problem_have_that_problem(reader: Reader) -> None:
    found = ask(reader, "order_status_exceptions", problem="short_of_material")
    assert {e.problem for e in found.exceptions} == {"short_of_material"}


def test_what_is_missing_is_what_is_needed_beyond_what_is_free(reader: Reader) -> None:
    found = ask(reader, "order_status_exceptions", kind="production", problem="short_of_material")
    first = next(e for e in found.exceptions if e.product == "Oak table 180")
    order = ask(reader, "production_order", order=first.key)
    for missing in first.missing:
        material = next(m for m in order.materials if m.product == missing.product)
        free = float(material.available.value)
        assert float(missing.missing.value) == pytest.approx(float(material.needed.value) - free)


def test_an_agent_finds_its_way_from_a_shortage_to_a_supplier(reader: Reader) -> None:
    found = ask(reader, "order_status_exceptions", problem="short_of_material")
    stock = ask(reader, "stock_by_product", product=found.exceptions[0].missing[0].product)
    assert ask(reader, "stock_by_product", code=stock.code) == stock
    seller = ask(reader, "supplier", supplier=stock.suppliers[0].supplier)
    assert stock.product in {sold.product for sold in seller.products}


def test_a_repaired_order_is_no_longer_late(sandbox: SandboxProcess, reader: Reader) -> None:
    late = ask(reader, "order_status_exceptions", kind="production", problem="late").exceptions[0]
    sandbox.edit(f"production {late.key}", planned_start="2099-01-05", planned_finish="2099-01-06")
    after = ask(reader, "order_status_exceptions", kind="production", problem="late", limit=200)
    assert late.key not in {e.key for e in after.exceptions}


def test_an_orders_total_is_the_sum_of_its_lines(sandbox: SandboxProcess, reader: Reader) -> None:
    order = ask(reader, "purchase_order", order=sandbox.find("purchase", state="quotation")["key"])
    assert order.total.amount == "926.00"
    assert [line.amount.amount for line in order.lines] == ["496.00", "430.00"]
