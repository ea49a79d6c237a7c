"""What a supplier sells, at what last price."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from integrations.replica.standby import Rows
from integrations.replica.values import counted, price

_HABIT = 5
"""So many of the last orders make a habit; one makes none."""


def currency_of(rows: Rows, offers: Sequence[Mapping[str, Any]]) -> str:
    """The currency orders to a supplier are in: that of its prices, else the company's."""
    return str(offers[0]["currency"] if offers else rows.always["currency"])


def entries(
    rows: Rows, party: int, products: Sequence[int], offers: Sequence[Mapping[str, Any]]
) -> dict[int, dict[str, Any]]:
    """The catalogue of these products at this supplier, by product."""
    bought = rows.all("bought", products=list(products), party=party)
    currency = currency_of(rows, offers)
    return {
        row["id"]: _entry(
            row,
            [
                one
                for one in offers
                if one["product"] == row["id"]
                or (one["product"] is None and one["template"] == row["template"])
            ],
            [line for line in bought if line["product"] == row["id"]],
            currency,
        )
        for row in rows.all("purchasable", products=list(products))
    }


def _entry(
    row: Mapping[str, Any],
    offers: Sequence[Mapping[str, Any]],
    bought: Sequence[Mapping[str, Any]],
    currency: str,
) -> dict[str, Any]:
    return {
        "code": row["code"],
        "name": row["name"],
        "unit": row["unit"],
        "last_price": _last_price(bought, offers, currency),
        "usual_quantity": _usual([line["quantity"] or Decimal(0) for line in bought[:_HABIT]], row),
        "lead_days": days(offers[0]["lead_time"]) if offers else None,
    }


def days(lead: Any) -> int | None:
    """A lead time in days."""
    return int(lead.days) if lead is not None else None


def _last_price(
    bought: Sequence[Mapping[str, Any]], offers: Sequence[Mapping[str, Any]], currency: str
) -> dict[str, str] | None:
    """What was paid last, else what the supplier's price list says for the smallest quantity."""
    if bought:
        return price(bought[0]["unit_price"], bought[0]["currency"])
    priced = [one for one in offers if one["from_quantity"] is not None]
    if priced:
        return price(min(priced, key=lambda one: float(one["from_quantity"]))["unit_price"], currency)
    return None


def _usual(quantities: Sequence[Decimal], row: Mapping[str, Any]) -> dict[str, str] | None:
    if len(quantities) < 2:  # noqa: PLR2004 one order is no habit
        return None
    return {"value": counted(statistics.median_low(quantities), row["digits"]), "unit": row["unit"]}
