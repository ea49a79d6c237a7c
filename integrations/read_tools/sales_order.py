"""One sales order with its lines."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Literal

from pydantic import Field

from integrations.contract import Closed, Key, Money, Quantity, ReadTool


class Arguments(Closed):
    """Which order."""

    order: Key = Field(description="Key of the sales order, as order_status_exceptions gives it.")


class Line(Closed):
    """One product sold."""

    key: Key = Field(description="Key of the line.")
    product: Key | None = Field(description="Key of the product; null for a line without one.")
    name: str = Field(description="Product or description of the line.")
    quantity: Quantity = Field(description="How much is sold.")
    shipped: Quantity | None = Field(description="How much has left; null when the system does not say.")
    unit_price: Money = Field(description="Price of one unit before taxes.")
    amount: Money = Field(description="Quantity times unit price.")


class Answer(Closed):
    """The order as the system has it."""

    key: Key = Field(description="Key of the order.")
    number: str = Field(description="Its number; empty for a draft without one.")
    reference: str = Field(description="Its reference; may be empty.")
    state: Literal["draft", "quotation", "confirmed", "processing", "done", "cancelled"] = Field(
        description="The promised date may be changed until done or cancelled."
    )
    customer: str = Field(description="The customer's name.")
    ordered_on: dt.date | None = Field(description="Day of the order.")
    requested_date: dt.date | None = Field(description="Day the customer wished; null if none is recorded.")
    promised_date: dt.date | None = Field(description="Day promised for shipping; null if none is.")
    ready_date: dt.date | None = Field(
        description="Day on which everything it waits for can be there; null when nothing is known."
    )
    total: Money = Field(description="Total before taxes.")
    lines: list[Line] = Field(description="What is sold.")


TOOL = ReadTool(
    name="sales_order",
    version=1,
    title="Sales order",
    summary="Reads one sales order: customer, state, wished and promised dates, and its lines.",
    arguments=Arguments,
    answer=Answer,
    sample={"order": "44"},
    sample_answer={
        "key": "44",
        "number": "SO-0044",
        "reference": "",
        "state": "confirmed",
        "customer": "Hotel Seeblick",
        "ordered_on": "2026-11-02",
        "requested_date": "2026-12-10",
        "promised_date": "2026-11-30",
        "ready_date": "2026-12-07",
        "total": {"amount": "8640.00", "currency": "EUR"},
        "lines": [
            {
                "key": "91",
                "product": "21",
                "name": "Oak table 180",
                "quantity": {"value": "12", "unit": "Unit"},
                "shipped": {"value": "0", "unit": "Unit"},
                "unit_price": {"amount": "720.00", "currency": "EUR"},
                "amount": {"amount": "8640.00", "currency": "EUR"},
            }
        ],
    },
    steady={"state": Decimal(0), "promised_date": Decimal(0), "total": Decimal(0)},
)
