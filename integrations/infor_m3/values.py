"""M3's values in the contract's words. Everything M3 sends is text, padded with blanks, which the client has cut."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from integrations.contract import Rejected

SOURCE = "Infor M3 ION API"
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
        raise Rejected(f"M3 answered in a form that this adapter does not know ({told}).") from fault


def now() -> dt.datetime:
    """When a reading was taken."""
    return dt.datetime.now(dt.UTC)


def number(text: str) -> Decimal:
    """A number of M3's; blank is 0. A trailing minus, as M3 writes negatives, is understood."""
    plainly = text.strip()
    if plainly.endswith("-"):
        plainly = f"-{plainly[:-1]}"
    try:
        return Decimal(plainly or "0")
    except InvalidOperation:
        raise Rejected(f"M3 gave {text!r} where a number belongs.") from None


def plain(value: Decimal) -> str:
    """A decimal in text, without exponent and trailing zeros, to the sixth place."""
    text = format(value.quantize(MICRO, "ROUND_HALF_UP"), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def quantity(text: str, unit: str) -> dict[str, str]:
    """A quantity with its unit, as M3 names the unit."""
    return {"value": plain(number(text)), "unit": unit or "?"}


def money(value: Decimal, currency: str) -> dict[str, str]:
    """Money with at least two places and as many as there are."""
    text = plain(value)
    places = len(text.partition(".")[2])
    return {"amount": str(Decimal(text).quantize(CENT)) if places < 2 else text, "currency": currency}  # noqa: PLR2004


def amount(many: Mapping[str, str], price: Mapping[str, str]) -> dict[str, str]:
    """Quantity times price in cents."""
    exact = Decimal(many["value"]) * Decimal(price["amount"])
    return {"amount": str(exact.quantize(CENT, "ROUND_HALF_UP")), "currency": price["currency"]}


def day(text: str) -> str | None:
    """An ISO date from YYYYMMDD; blank and 0 are none."""
    if text in {"", "0"}:
        return None
    if not re.fullmatch(r"[0-9]{8}", text):
        raise Rejected(f"M3 gave {text!r} where a date belongs.")
    return f"{text[:4]}-{text[4:6]}-{text[6:]}"


def as_m3(day: dt.date) -> str:
    """A date as M3 takes it with dateformat=YMD8."""
    return day.strftime("%Y%m%d")


def digest(value: Any) -> str:
    """A short digest of plain JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def only(records: list[dict[str, str]], what: str) -> dict[str, str]:
    """The one record asked for. Rejected when there is none."""
    if not records:
        raise Rejected(f"M3 has no {what}.")
    return records[0]


def part(text: str, longest: int, what: str) -> str:
    """A part of a key, as it may stand in a field. Rejected when it cannot be one."""
    if not text or len(text) > longest:
        raise Rejected(f"M3 has no {what} {text!r}.")
    return text
