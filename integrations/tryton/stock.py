"""What there is of a product, and what is on its way."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from integrations.tryton.client import Client


def stores(client: Client) -> list[int]:
    """The storage zone of every warehouse."""
    rows = client.search_read("stock.location", [("type", "=", "warehouse")], ["storage_location"])
    return sorted({row["storage_location"] for row in rows})


def on_hand(client: Client, products: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Stock in the warehouses' stores today, less what is assigned, by product number."""
    if not products:
        return {}
    rows = client.search_read(
        "product.product",
        [("id", "in", list(products))],
        ["quantity", "rec_name", "code", "default_uom.name", "default_uom.digits"],
        locations=stores(client),
        stock_date_end=client.now().date(),
        stock_assign=True,
        with_childs=True,
    )
    return {row["id"]: row for row in rows}


def incoming(client: Client, product: int) -> list[tuple[dt.date, float]]:
    """What is on its way of a product, by day: from suppliers and from productions not done."""
    rows = client.search_read(
        "stock.move",
        [
            ("product", "=", product),
            ("state", "in", ["staging", "draft"]),
            ("to_location.type", "in", ["storage", "view"]),
            ("from_location.type", "in", ["supplier", "production"]),
        ],
        ["planned_date", "internal_quantity"],
        order=[("planned_date", "ASC"), ("id", "ASC")],
    )
    today = client.now().date()
    # What should have come and has not comes today at the earliest.
    return [
        (max(row["planned_date"], today), row["internal_quantity"]) for row in rows if row["planned_date"]
    ]
