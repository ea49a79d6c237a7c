"""Which orders are in trouble, and why: late, short of material, unconfirmed or blocked."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from integrations.contract import Closed, Key, Quantity, ReadTool

OrderKind = Literal["production", "purchase", "sale"]
Problem = Literal["late", "short_of_material", "unconfirmed", "blocked"]


class Arguments(Closed):
    """Which exceptions to list."""

    kind: OrderKind | None = Field(
        default=None,
        description="Only orders of this kind: production, purchase or sale. Left out: all kinds.",
    )
    problem: Problem | None = Field(
        default=None,
        description="Only late, short_of_material, unconfirmed or blocked ones. Left out: all.",
    )
    limit: int = Field(default=50, ge=1, le=200, description="The most exceptions to list, 1 to 200.")


class Missing(Closed):
    """A material that an order lacks."""

    product: Key = Field(description="Key of the material, for stock_by_product or a purchase order.")
    name: str = Field(description="Its name.")
    missing: Quantity = Field(description="How much more is needed than is there.")


class OrderException(Closed):
    """One order and one problem. An order with two problems is listed twice."""

    kind: OrderKind = Field(description="Kind of order.")
    key: Key = Field(description="Key of the order, for the read tool of its kind and for proposals.")
    number: str = Field(description="The order's number as people say it; empty for a draft without one.")
    label: str = Field(description="What it is about, in words.")
    partner: str = Field(description="Customer or supplier; empty for production.")
    product: str = Field(description="Product of a production order, or the first products of another order.")
    state: str = Field(description="State of the order: draft, requested, released, started, quotation, ...")
    problem: Problem = Field(description="What is wrong.")
    reason: str = Field(description="Why, in words.")
    since: dt.date | None = Field(description="Day since which it is so; null when the system does not say.")
    due: dt.date | None = Field(description="Day on which the order is or was due.")
    days_late: int = Field(ge=0, description="Days past due today; 0 when it is not late.")
    severity: Literal["low", "medium", "high"] = Field(description="How urgent, by days late and by kind.")
    missing: list[Missing] = Field(
        default=[], description="Materials it lacks; empty unless short_of_material."
    )


class Answer(Closed):
    """The exceptions, worst first."""

    exceptions: list[OrderException] = Field(description="The exceptions found, the most urgent first.")
    found: int = Field(ge=0, description="How many there are in all, also beyond the limit.")


TOOL = ReadTool(
    name="order_status_exceptions",
    version=1,
    title="Orders in trouble",
    summary=(
        "Lists production, purchase and sales orders that are late, short of material, unconfirmed or "
        "blocked, each with the reason in words, the worst first. Start here."
    ),
    arguments=Arguments,
    answer=Answer,
    sample={"kind": "production", "limit": 20},
    sample_answer={
        "exceptions": [
            {
                "kind": "production",
                "key": "17",
                "number": "MO-0017",
                "label": "MO-0017 Oak table 180",
                "partner": "",
                "product": "Oak table 180",
                "state": "released",
                "problem": "short_of_material",
                "reason": "Oak board 40 mm: 36 Square metre needed, 22 in stock, next delivery 2026-12-04.",
                "since": "2026-11-16",
                "due": "2026-11-19",
                "days_late": 4,
                "severity": "high",
                "missing": [
                    {
                        "product": "3",
                        "name": "Oak board 40 mm",
                        "missing": {"value": "14", "unit": "Square metre"},
                    }
                ],
            }
        ],
        "found": 1,
    },
)
