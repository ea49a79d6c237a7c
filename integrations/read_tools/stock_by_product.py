"""How much of a product there is, where, and who sells it."""

from __future__ import annotations

from decimal import Decimal
from typing import Self

from pydantic import Field, model_validator

from integrations.contract import Closed, Key, Money, Quantity, ReadTool


class Arguments(Closed):
    """Which product: its key or its code."""

    product: Key | None = Field(default=None, description="Key of the product, as other read tools give it.")
    code: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="Code of the product, such as RM-OAK-40.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.product is None) == (self.code is None):
            raise ValueError("give either product (the key) or code, not both")
        return self


class Place(Closed):
    """What lies in one place."""

    location: str = Field(description="Name of the place.")
    on_hand: Quantity = Field(description="What lies there.")


class Source(Closed):
    """A supplier who sells the product."""

    supplier: Key = Field(description="Key of the supplier, for the supplier tool and purchase orders.")
    name: str = Field(description="Its name.")
    last_price: Money | None = Field(description="Last price paid for one unit; null if never bought there.")
    lead_days: int | None = Field(description="Days from order to arrival; null when unknown.")


class Answer(Closed):
    """The stock of one product, in the unit it is counted in."""

    product: Key = Field(description="Key of the product.")
    code: str = Field(description="Its code; empty if it has none.")
    name: str = Field(description="Its name.")
    on_hand: Quantity = Field(description="What is in stock in all.")
    reserved: Quantity = Field(description="What of it is set aside for orders.")
    forecast: Quantity = Field(
        description="What will be there when everything on order has arrived and everything planned is used; "
        "below zero means it will run short."
    )
    locations: list[Place] = Field(description="The stock by place.")
    suppliers: list[Source] = Field(description="Who sells it; empty for what is made here.")


TOOL = ReadTool(
    name="stock_by_product",
    version=1,
    title="Stock of a product",
    summary="Reads the stock of one product: on hand, reserved, forecast, by place, and who sells it.",
    arguments=Arguments,
    answer=Answer,
    sample={"code": "RM-OAK-40"},
    sample_answer={
        "product": "3",
        "code": "RM-OAK-40",
        "name": "Oak board 40 mm",
        "on_hand": {"value": "22", "unit": "Square metre"},
        "reserved": {"value": "0", "unit": "Square metre"},
        "forecast": {"value": "-14", "unit": "Square metre"},
        "locations": [
            {"location": "Timber store", "on_hand": {"value": "22", "unit": "Square metre"}},
        ],
        "suppliers": [
            {
                "supplier": "5",
                "name": "Holzhandel Brenner",
                "last_price": {"amount": "58.40", "currency": "EUR"},
                "lead_days": 12,
            }
        ],
    },
    steady={"on_hand": Decimal(0), "reserved": Decimal(0)},
)
