"""Values of a database in the contract's words: decimals in text, units and currencies beside them, dates in ISO."""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_HALF_EVEN, Decimal

from integrations.contract import Rejected

CENT = Decimal("0.01")


def today() -> dt.date:
    """The plant's day, in UTC as everywhere."""
    return dt.datetime.now(dt.UTC).date()


def plain(number: Decimal) -> str:
    """A decimal in text, without exponent and trailing zeros."""
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def counted(number: Decimal | None, digits: int) -> str:
    """A number rounded to what its unit counts."""
    return plain((number or Decimal(0)).quantize(Decimal(1).scaleb(-digits)))


def quantity(number: Decimal | None, unit: str, digits: int) -> dict[str, str]:
    """A quantity in a unit."""
    return {"value": counted(number, digits), "unit": unit}


def price(amount: Decimal | None, currency: str) -> dict[str, str]:
    """A unit price: at least two places and as many as there are."""
    text = plain(amount or Decimal(0))
    exactly = Decimal(text)
    return {"amount": str(max(exactly.quantize(CENT), exactly, key=_places)), "currency": currency}


def _places(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def total(amount: Decimal | None, currency: str) -> dict[str, str]:
    """A total, in cents."""
    return {"amount": str((amount or Decimal(0)).quantize(CENT)), "currency": currency}


def rounded(amount: Decimal, rounding: Decimal | None) -> Decimal:
    """An amount to the steps of its currency, half to even."""
    if not rounding:
        return amount
    return (amount / rounding).quantize(Decimal(1), rounding=ROUND_HALF_EVEN) * rounding


def iso(day: dt.date | None) -> str | None:
    """A date in ISO 8601."""
    return day.isoformat() if day else None


def key(text: str, what: str) -> int:
    """A record's number from its key; Rejected when it cannot be one."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:  # noqa: PLR2004 PostgreSQL's integer
        raise Rejected(f"The database has no {what} {text!r}.")
    return int(text)
