"""Tryton's values in the contract's words: decimals in text, units and currencies beside them, dates in ISO."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from integrations.contract import Rejected

SOURCE = "Tryton 8.2 JSON-RPC"

STATES = {"request": "requested", "waiting": "released", "assigned": "reserved", "running": "started"}
"""Tryton's states of productions that are called otherwise here; the others keep their names."""

CENT = Decimal("0.01")


def plain(number: Decimal) -> str:
    """A decimal in text, without exponent and trailing zeros."""
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def exact(number: float | Decimal | None) -> Decimal:
    """Tryton counts in floats: the decimal a person would read."""
    return number if isinstance(number, Decimal) else Decimal(repr(number or 0.0))


def quantity(number: float | Decimal | None, unit: Mapping[str, Any]) -> dict[str, str]:
    """A quantity in a unit, rounded to what the unit counts; `unit` is a related row with name and digits."""
    return {"value": plain(exact(number).quantize(Decimal(1).scaleb(-unit["digits"]))), "unit": unit["name"]}


def money(amount: Decimal | None, currency: str, *, cents: bool = False) -> dict[str, str]:
    """Money; `cents` for totals, else at least two places and as many as there are."""
    exactly = amount if amount is not None else Decimal(0)
    if cents:
        return {"amount": str(exactly.quantize(CENT)), "currency": currency}
    text = plain(exactly)
    places = len(text.partition(".")[2])
    return {"amount": str(Decimal(text).quantize(CENT)) if places < 2 else text, "currency": currency}  # noqa: PLR2004


def iso(day: dt.date | None) -> str | None:
    """A date in ISO 8601."""
    return day.isoformat() if day else None


def key(text: str, what: str) -> int:
    """A record's number from its key; Rejected when it cannot be one."""
    if not text.isdecimal() or len(text) > 9:  # noqa: PLR2004 PostgreSQL's integer
        raise Rejected(f"Tryton has no {what} {text!r}.")
    return int(text)


def state(name: str) -> str:
    """A production's state in our words."""
    return STATES.get(name, name)


def stamps(model: str, rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The stamps of rows read with `_timestamp`."""
    return {f"{model},{row['id']}": row["_timestamp"] for row in rows}


def writers(model: str, rows: Iterable[Mapping[str, Any]]) -> dict[str, int | None]:
    """Who wrote rows last, read with `write_uid` and `create_uid`."""
    return {f"{model},{row['id']}": row["write_uid"] or row["create_uid"] for row in rows}


def stamped_at(stamp: str) -> dt.datetime:
    """A stamp as the moment it names: naive UTC, as Tryton writes datetimes."""
    whole = Decimal(stamp)
    return dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=int(whole * 1_000_000))  # noqa: DTZ001
