"""Plain JSON of a system in the contract's words: decimals in text, money, dates, and digests for stamps."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from integrations.contract import Rejected

CENT = Decimal("0.01")
MICRO = Decimal("0.000001")
"""The finest step of the contract's decimals."""


@contextlib.contextmanager
def known_form(system: str) -> Iterator[None]:
    """Turn an answer in another form than the documented one into a clear refusal; only around what reads."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as fault:
        told = f"{type(fault).__name__}: {str(fault)[:100]}"
        raise Rejected(f"{system} answered in a form that this adapter does not know ({told}).") from fault


def now() -> dt.datetime:
    """When a reading was taken."""
    return dt.datetime.now(dt.UTC)


def number(value: Any) -> Decimal:
    """A number as it came in JSON, or in text; nothing is 0. Never through a float."""
    return Decimal(str(value)) if value not in {None, ""} else Decimal(0)


def plain(value: Decimal) -> str:
    """A decimal in text, without exponent and trailing zeros, to the sixth place."""
    text = format(value.quantize(MICRO, "ROUND_HALF_UP"), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def money(value: Any, currency: str) -> dict[str, str]:
    """Money with at least two places and as many as there are."""
    text = plain(number(value))
    places = len(text.partition(".")[2])
    return {"amount": str(Decimal(text).quantize(CENT)) if places < 2 else text, "currency": currency}  # noqa: PLR2004


def amount(many: Mapping[str, str], price: Mapping[str, str]) -> dict[str, str]:
    """Quantity times price in cents, as a person reckons it."""
    exact = Decimal(many["value"]) * Decimal(price["amount"])
    return {"amount": str(exact.quantize(CENT, "ROUND_HALF_UP")), "currency": price["currency"]}


def day(value: Any) -> str | None:
    """An ISO date from a date, or a date and time; None for none."""
    return str(value)[:10] if value else None


def digest(value: Any) -> str:
    """A short digest of plain JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:32]
