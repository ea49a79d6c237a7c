"""One purchase order with its lines."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Literal

from pydantic import Field

from integrations.contract import Closed, Key, Money, Quantity, ReadTool


class Arguments(Closed):
    """Which order."""

    order: Key = Field(description="Key of the purchase order, as order_status_exceptions gives it.")


class Line(Closed):
    """One product ordered."""

    key: Key = Field(description="Key of the line, for purchase_order_line_change.")
    product: Key | None = Field(description="Key of the product; null for a line without one.")
    name: str = Field(description="Product or description of the line.")
    quantity: Quantity = Field(description="How much is ordered.")
    received: Quantity | None = Field(description="How much has arrived; null when the system does not say.")
    unit_price: Money = Field(description="Price of one unit before taxes.")
    amount: Money = Field(description="Quantity times unit price.")
    delivery_date: dt.date | None = Field(description="Day on which it is to arrive.")


class Answer(Closed):
    """The order as the system has it."""

    key: Key = Field(description="Key of the order.")
    number: str = Field(description="Its number; empty for a draft without one.")
    reference: str = Field(description="Its reference; may be empty.")
    state: Literal["draft", "quotation", "confirmed", "processing", "done", "cancelled"] = Field(
        description="Lines may change until done or cancelled; from confirmed on the supplier has it."
    )
    supplier: Key = Field(description="Key of the supplier, for the supplier tool.")
    supplier_name: str = Field(description="Its name.")
    ordered_on: dt.date | None = Field(description="Day of the order.")
    total: Money = Field(description="Total before taxes.")
    lines: list[Line] = Field(description="What is ordered.")


TOOL = ReadTool(
    name="purchase_order",
    version=1,
    title="Purchase order",
    summary="Reads one purchase order: supplier, state, total, and its lines with prices and delivery dates.",
    arguments=Arguments,
    answer=Answer,
    sample={"order": "31"},
    sample_answer={
        "key": "31",
        "number": "PO-0031",
        "reference": "",
        "state": "quotation",
        "supplier": "6",
        "supplier_name": "Beschlag & Co",
        "ordered_on": "2026-11-12",
        "total": {"amount": "496.00", "currency": "EUR"},
        "lines": [
            {
                "key": "72",
                "product": "8",
                "name": "Drawer runner 450",
                "quantity": {"value": "40", "unit": "Unit"},
                "received": {"value": "0", "unit": "Unit"},
                "unit_price": {"amount": "12.40", "currency": "EUR"},
                "amount": {"amount": "496.00", "currency": "EUR"},
                "delivery_date": "2026-12-04",
            }
        ],
    },
    steady={"state": Decimal(0), "total": Decimal(0)},
)
