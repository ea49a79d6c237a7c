"""Kinetic's values in the contract's words."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from integrations.contract import Rejected

SOURCE = "Epicor Kinetic REST v2"
CENT = Decimal("0.01")
MICRO = Decimal("0.000001")
"""The finest step of the contract's decimals."""


@contextlib.contextmanager
def known_form() -> Iterator[None]:
    """Turn an answer in another form than the documented one into a clear refusal; only around what reads."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as fault:
        told = f"{type(fault).__name__}: {str(fault)[:100]}"
        raise Rejected(f"Kinetic answered in a form that this adapter does not know ({told}).") from fault


def now() -> dt.datetime:
    """When a reading was taken."""
    return dt.datetime.now(dt.UTC)


def number(value: Any) -> Decimal:
    """A number as it came in JSON; nothing is 0. Never through a float."""
    return Decimal(str(value)) if value not in {None, ""} else Decimal(0)


def plain(value: Decimal) -> str:
    """A decimal in text, without exponent and trailing zeros, to the sixth place."""
    text = format(value.quantize(MICRO, "ROUND_HALF_UP"), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def quantity(value: Any, unit: str) -> dict[str, str]:
    """A quantity with its unit, as Kinetic names the unit."""
    return {"value": plain(number(value)), "unit": unit or "?"}


def money(value: Any, currency: str) -> dict[str, str]:
    """Money with at least two places and as many as there are."""
    text = plain(number(value))
    places = len(text.partition(".")[2])
    return {"amount": str(Decimal(text).quantize(CENT)) if places < 2 else text, "currency": currency}  # noqa: PLR2004


def amount(many: Mapping[str, str], price: Mapping[str, str]) -> dict[str, str]:
    """Quantity times price in cents."""
    exact = Decimal(many["value"]) * Decimal(price["amount"])
    return {"amount": str(exact.quantize(CENT, "ROUND_HALF_UP")), "currency": price["currency"]}


def day(value: Any) -> str | None:
    """An ISO date from a date and time; None for none."""
    return str(value)[:10] if value else None


def currency(code: Any) -> str:
    """A currency's code. Rejected when the company's own code is no ISO 4217 code."""
    if not re.fullmatch(r"[A-Z]{3}", str(code)):
        raise Rejected(f"Kinetic's currency {code!r} is no ISO code; give the currency one there.")
    return str(code)


def moment(value: Any) -> dt.datetime:
    """A date and time, aware; Kinetic's without a zone is taken for UTC."""
    found = dt.datetime.fromisoformat(str(value))
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)


def row(dataset: Mapping[str, Any], table: str, what: str) -> dict[str, Any]:
    """The first row of a table. Rejected when there is none."""
    rows = dataset.get(table) or ()
    if not rows:
        raise Rejected(f"Kinetic has no {what}.")
    found: dict[str, Any] = rows[0]
    return found
