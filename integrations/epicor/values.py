"""Kinetic's values in the contract's words."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from integrations.contract import Rejected
from integrations.rest import values as form
from integrations.rest.values import amount, day, money, now, number, plain

__all__ = [
    "SOURCE",
    "amount",
    "currency",
    "day",
    "known_form",
    "moment",
    "money",
    "now",
    "number",
    "plain",
    "quantity",
    "row",
]

SOURCE = "Epicor Kinetic REST v2"
known_form = partial(form.known_form, "Kinetic")
"""Around what reads its answers: another form than the documented one is a clear refusal."""


def quantity(value: Any, unit: str) -> dict[str, str]:
    """A quantity with its unit, as Kinetic names the unit."""
    return {"value": plain(number(value)), "unit": unit or "?"}


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
