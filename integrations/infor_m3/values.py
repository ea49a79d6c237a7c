"""M3's values in the contract's words. Everything M3 sends is text, padded with blanks, which the client has cut."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal, InvalidOperation
from functools import partial

from integrations.contract import Rejected
from integrations.rest import values as form
from integrations.rest.values import amount, digest, money, now, plain

__all__ = [
    "SOURCE",
    "amount",
    "as_m3",
    "day",
    "digest",
    "known_form",
    "money",
    "now",
    "number",
    "only",
    "part",
    "plain",
    "quantity",
]

SOURCE = "Infor M3 ION API"
known_form = partial(form.known_form, "M3")
"""Around what reads its answers: another form than the documented one is a clear refusal."""


def number(text: str) -> Decimal:
    """A number of M3's; blank is 0. A trailing minus, as M3 writes negatives, is understood."""
    plainly = text.strip()
    if plainly.endswith("-"):
        plainly = f"-{plainly[:-1]}"
    try:
        return Decimal(plainly or "0")
    except InvalidOperation:
        raise Rejected(f"M3 gave {text!r} where a number belongs.") from None


def quantity(text: str, unit: str) -> dict[str, str]:
    """A quantity with its unit, as M3 names the unit."""
    return {"value": plain(number(text)), "unit": unit or "?"}


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
