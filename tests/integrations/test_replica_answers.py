"""The replica's reviewed SQL gives the answers that Tryton itself gives, field by field, for every record there is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from integrations.contract import Reader, Rejected
from integrations.replica.adapter import ADAPTER
from integrations.scan import read_tools
from integrations.tryton.adapter import ADAPTER as TRYTON
from tests.integrations.tryton import orders
from tests.rigs.standby import Standby
from tests.tryton import TrytonServer

TOOLS = read_tools()


class Pair:
    """The same question to Tryton and to the replica."""

    def __init__(self, live: Reader, replica: Reader) -> None:
        self._live, self._replica = live, replica

    def same(self, name: str, **arguments: Any) -> Mapping[str, Any]:
        """The answer, which both give; or what both have none for, as {}."""
        parsed = TOOLS[name].arguments.model_validate(arguments)
        told = []
        for reader in (self._live, self._replica):
            try:
                told.append(reader.read(TOOLS[name], parsed).value)
            except Rejected:
                told.append({})
        assert told[1] == told[0], (name, arguments)
        TOOLS[name].answer.model_validate(told[1], strict=False) if told[1] else None
        return told[0]


@pytest.fixture
def pair(tryton: TrytonServer, standby: Standby) -> Iterator[Pair]:
    with (
        contextlib.closing(TRYTON.reader(tryton.options, tryton.accounts["reader"])) as live,
        contextlib.closing(ADAPTER.reader(standby.options, standby.account)) as replica,
    ):
        yield Pair(live, replica)


def every(tryton: TrytonServer, model: str) -> list[str]:
    return [str(row["id"]) for row in tryton.admin.search_read(model, [], ["id"], order=[("id", "ASC")])]


@pytest.fixture(scope="module")
def in_every_state(tryton: TrytonServer, shared_standby: Standby) -> None:
    """Besides the seeded orders, some that the seed has none of, in the states that a proposal meets."""
    orders.production(tryton, state="waiting", start=-3)
    orders.production(tryton, quantity=900.0, start=2)
    for state in ("draft", "quotation", "processing"):
        orders.purchase(tryton, state=state)
    for state in ("draft", "quotation", "processing"):
        orders.sale(tryton, state=state)
    orders.sale(tryton, state="processing", quantity=5000.0)
    shared_standby.catch_up()


@pytest.mark.usefixtures("in_every_state")
@pytest.mark.parametrize(
    ("tool", "model"),
    [
        ("production_order", "production"),
        ("purchase_order", "purchase.purchase"),
        ("sales_order", "sale.sale"),
    ],
)
def test_every_order_reads_the_same(tryton: TrytonServer, pair: Pair, tool: str, model: str) -> None:
    found = [pair.same(tool, order=number) for number in every(tryton, model)]
    assert len(found) > 10
    assert all(found)
    assert len({one["state"] for one in found}) >= 3


def test_the_stock_of_every_product_reads_the_same(tryton: TrytonServer, pair: Pair) -> None:
    found = [pair.same("stock_by_product", product=number) for number in every(tryton, "product.product")]
    assert any(one["on_hand"]["value"] != "0" for one in found)
    assert any(one["reserved"]["value"] != "0" for one in found)
    assert any(one["forecast"]["value"].startswith("-") for one in found)
    assert any(one["suppliers"] for one in found)
    by_code = [one["code"] for one in found if one["code"]]
    assert all(pair.same("stock_by_product", code=code) for code in by_code[:3])
    assert pair.same("stock_by_product", code="NO-SUCH-CODE") == {}


def test_every_supplier_reads_the_same_and_a_customer_is_none(tryton: TrytonServer, pair: Pair) -> None:
    found = [pair.same("supplier", supplier=number) for number in every(tryton, "party.party")]
    assert any(one for one in found)
    assert not all(found)
    assert any(sold["last_price"] for one in found if one for sold in one["products"])


@pytest.mark.usefixtures("in_every_state")
@pytest.mark.parametrize("kind", [None, "production", "purchase", "sale"])
def test_the_same_orders_are_in_trouble_for_the_same_reasons(pair: Pair, kind: str | None) -> None:
    told = pair.same("order_status_exceptions", kind=kind, limit=200)
    assert told["found"] == len(told["exceptions"]) > 0


@pytest.mark.usefixtures("in_every_state")
@pytest.mark.parametrize("problem", ["late", "short_of_material", "unconfirmed", "blocked"])
def test_every_kind_of_trouble_reads_the_same(pair: Pair, problem: str) -> None:
    assert pair.same("order_status_exceptions", problem=problem, limit=3)["exceptions"]
