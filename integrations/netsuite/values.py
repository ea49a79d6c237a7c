"""NetSuite's values in the contract's words, and a request's plain values as NetSuite wants them spoken."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from integrations.contract import Rejected, Unsupported

SOURCE = "NetSuite SuiteTalk REST"
CENT = Decimal("0.01")
MICRO = Decimal("0.000001")
"""The finest step of the contract's decimals."""
DIGITS = 5
"""Decimal places of quantities. NetSuite does not tell them per unit; this is the most that its forms keep."""
NO_UNIT = "Unit"
"""What an item without a unit of measure is counted in."""


@contextlib.contextmanager
def known_form() -> Iterator[None]:
    """Turn an answer in another form than the documented one into a clear refusal; only around what reads."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as fault:
        told = f"{type(fault).__name__}: {str(fault)[:100]}"
        raise Rejected(f"NetSuite answered in a form that this adapter does not know ({told}).") from fault


def now() -> dt.datetime:
    """When a reading was taken."""
    return dt.datetime.now(dt.UTC)


def number(value: Any) -> Decimal:
    """A number that came as a JSON number or, from SuiteQL, as text; nothing is 0. Never through a float."""
    return Decimal(str(value)) if value not in {None, ""} else Decimal(0)


def plain(value: Decimal) -> str:
    """A decimal in text, without exponent and trailing zeros, to the sixth place."""
    text = format(value.quantize(MICRO, "ROUND_HALF_UP"), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def quantity(value: Any, unit: str) -> dict[str, str]:
    """A quantity with its unit."""
    return {"value": plain(abs(number(value))), "unit": unit or NO_UNIT}


def money(value: Any, currency: str) -> dict[str, str]:
    """Money with at least two places and as many as there are."""
    text = plain(number(value))
    places = len(text.partition(".")[2])
    return {"amount": str(Decimal(text).quantize(CENT)) if places < 2 else text, "currency": currency}  # noqa: PLR2004


def amount(many: Mapping[str, str], price: Mapping[str, str]) -> dict[str, str]:
    """Quantity times price in cents, as a person reckons it; NetSuite's own amount is in its `rate` and `quantity`."""
    exact = Decimal(many["value"]) * Decimal(price["amount"])
    return {"amount": str(exact.quantize(CENT, "ROUND_HALF_UP")), "currency": price["currency"]}


def name(reference: Any) -> str:
    """The display name of a reference such as {"id": "3", "refName": "Oak"}; text stays."""
    return (
        str(reference.get("refName") or reference.get("id") or "")
        if isinstance(reference, Mapping)
        else str(reference or "")
    )


def key(reference: Any) -> str:
    """The id of a reference."""
    return str(reference.get("id") or "") if isinstance(reference, Mapping) else str(reference or "")


def day(value: Any) -> str | None:
    """An ISO date from a date or a date and time."""
    return str(value)[:10] if value else None


def lines(record: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The item sublist of a transaction."""
    found: Sequence[Mapping[str, Any]] = (record.get("item") or {}).get("items") or ()
    return found


def stamp(kind: str, record: Mapping[str, Any]) -> dict[str, str]:
    """The only stamp there is: when it was last modified, and a digest of all that it shows."""
    content = digest(_without_links(record))
    return {f"{kind} {record['id']}": f"{record.get('lastModifiedDate', '')} {content}"}


def _without_links(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {part: _without_links(inner) for part, inner in value.items() if part != "links"}
    if isinstance(value, list):
        return [_without_links(inner) for inner in value]
    return value


def sendable(line: Mapping[str, Any], *, without: frozenset[str]) -> tuple[dict[str, Any], set[str]]:
    """A line as it may be written back in plain JSON, and the names of those of its fields that are numbers."""
    plainly: dict[str, Any] = {}
    numbers: set[str] = set()
    for part, value in line.items():
        if part in without or part == "links" or value is None:
            continue
        if isinstance(value, Mapping):
            if "id" in value:
                plainly[part] = {"id": str(value["id"])}
        elif isinstance(value, Decimal):
            plainly[part] = plain(value)
            numbers.add(part)
        elif isinstance(value, (str, bool, int)):
            plainly[part] = value
    return plainly, numbers


def spoken(value: Any, numbers: frozenset[str], part: str = "") -> Any:
    """A request's plain value with its decimals as JSON numbers, by the names of their fields.

    Unsupported when a number cannot be written exactly as JSON's numbers are read.
    """
    if isinstance(value, Mapping):
        return {inner: spoken(one, numbers, inner) for inner, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [spoken(one, numbers, part) for one in value]
    if isinstance(value, str) and part in numbers:
        exact = float(value)
        if Decimal(repr(exact)) != Decimal(value):
            raise Unsupported(f"{part} {value} has more digits than NetSuite's numbers keep.")
        return int(value) if value.lstrip("-").isdecimal() else exact
    return value


def digest(value: Any) -> str:
    """A short digest of plain JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:32]
