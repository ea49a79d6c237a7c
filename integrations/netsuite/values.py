"""NetSuite's values in the contract's words, and a request's plain values as NetSuite wants them spoken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from integrations.contract import Unsupported
from integrations.rest import values as form
from integrations.rest.values import amount, day, digest, money, now, number, plain

__all__ = [
    "DIGITS",
    "NO_UNIT",
    "SOURCE",
    "amount",
    "day",
    "digest",
    "key",
    "known_form",
    "lines",
    "money",
    "name",
    "now",
    "number",
    "plain",
    "quantity",
    "sendable",
    "spoken",
    "stamp",
]

SOURCE = "NetSuite SuiteTalk REST"
known_form = partial(form.known_form, "NetSuite")
"""Around what reads its answers: another form than the documented one is a clear refusal."""
DIGITS = 5
"""Decimal places of quantities. NetSuite does not tell them per unit; this is the most that its forms keep."""
NO_UNIT = "Unit"
"""What an item without a unit of measure is counted in."""


def quantity(value: Any, unit: str) -> dict[str, str]:
    """A quantity with its unit."""
    return {"value": plain(abs(number(value))), "unit": unit or NO_UNIT}


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
