"""One supplier: what it sells, at what last price, and how long it takes."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from integrations.contract import Closed, Key, Money, Quantity, ReadTool


class Arguments(Closed):
    """Which supplier."""

    supplier: Key = Field(description="Key of the supplier, as stock_by_product or purchase_order gives it.")


class Sold(Closed):
    """One product the supplier sells."""

    product: Key = Field(description="Key of the product, for purchase orders.")
    code: str = Field(description="Its code; empty if it has none.")
    name: str = Field(description="Its name.")
    unit: str = Field(description="Unit it is bought in; purchase order lines use this unit.")
    last_price: Money | None = Field(description="Last price paid for one unit; null if never bought.")
    usual_quantity: Quantity | None = Field(
        description="What is usually ordered at a time; null when unknown."
    )
    minimum: Quantity | None = Field(description="Smallest quantity the supplier delivers; null if none.")
    lead_days: int | None = Field(description="Days from order to arrival; null when unknown.")


class Answer(Closed):
    """The supplier as the system has it."""

    key: Key = Field(description="Key of the supplier.")
    name: str = Field(description="Its name.")
    currency: str = Field(description="ISO code of the currency it is paid in; prices must be in it.")
    active: bool = Field(description="Whether orders may be placed with it.")
    products: list[Sold] = Field(description="What it sells.")


TOOL = ReadTool(
    name="supplier",
    version=1,
    title="Supplier",
    summary="Reads one supplier: currency, and what it sells with last prices, minimums and lead times.",
    arguments=Arguments,
    answer=Answer,
    sample={"supplier": "5"},
    sample_answer={
        "key": "5",
        "name": "Holzhandel Brenner",
        "currency": "EUR",
        "active": True,
        "products": [
            {
                "product": "3",
                "code": "RM-OAK-40",
                "name": "Oak board 40 mm",
                "unit": "Square metre",
                "last_price": {"amount": "58.40", "currency": "EUR"},
                "usual_quantity": {"value": "40", "unit": "Square metre"},
                "minimum": {"value": "10", "unit": "Square metre"},
                "lead_days": 12,
            }
        ],
    },
    steady={"currency": Decimal(0), "active": Decimal(0)},
)
