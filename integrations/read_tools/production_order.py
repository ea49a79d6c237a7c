"""One production order with its materials."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Literal

from pydantic import Field

from integrations.contract import Closed, Key, Quantity, ReadTool


class Arguments(Closed):
    """Which order."""

    order: Key = Field(description="Key of the production order, as order_status_exceptions gives it.")


class Material(Closed):
    """One component, all of the order's lines of that product together."""

    product: Key = Field(description="Key of the component.")
    code: str = Field(description="Its code; empty if it has none.")
    name: str = Field(description="Its name.")
    needed: Quantity = Field(description="What the order needs in all.")
    available: Quantity | None = Field(
        description="What is in stock and not reserved for other orders; null when the system does not say."
    )


class Answer(Closed):
    """The order as the system has it."""

    key: Key = Field(description="Key of the order.")
    number: str = Field(description="Its number; empty for a draft without one.")
    reference: str = Field(description="Its reference, such as a job number; may be empty.")
    state: Literal["draft", "requested", "released", "reserved", "started", "done", "cancelled"] = Field(
        description="draft, requested and released orders may be changed."
    )
    product: Key = Field(description="Key of the product made.")
    product_name: str = Field(description="Its name.")
    quantity: Quantity = Field(description="How much is to be made.")
    planned_start: dt.date | None = Field(description="Day planned for the start.")
    planned_finish: dt.date | None = Field(description="Day planned for the finish.")
    needed_by: dt.date | None = Field(
        description="Day on which a customer's order needs it; null if none known."
    )
    materials: list[Material] = Field(description="What it is made of.")


TOOL = ReadTool(
    name="production_order",
    version=1,
    title="Production order",
    summary="Reads one production order: product, quantity, state, days, and its materials with stock.",
    arguments=Arguments,
    answer=Answer,
    sample={"order": "17"},
    sample_answer={
        "key": "17",
        "number": "MO-0017",
        "reference": "JOB-1017",
        "state": "released",
        "product": "21",
        "product_name": "Oak table 180",
        "quantity": {"value": "12", "unit": "Unit"},
        "planned_start": "2026-11-16",
        "planned_finish": "2026-11-19",
        "needed_by": "2026-12-15",
        "materials": [
            {
                "product": "3",
                "code": "RM-OAK-40",
                "name": "Oak board 40 mm",
                "needed": {"value": "36", "unit": "Square metre"},
                "available": {"value": "22", "unit": "Square metre"},
            }
        ],
    },
    steady={
        "state": Decimal(0),
        "quantity": Decimal(0),
        "planned_start": Decimal(0),
        "planned_finish": Decimal(0),
    },
)
