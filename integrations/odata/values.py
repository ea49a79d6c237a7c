"""Values between plain JSON and the wire, by version and declared type.

Plain is what the contract wants: decimals and big numbers in text, days `2026-12-01`, times `06:00:00`, moments
`2026-12-01T06:00:00` (with `Z` where they have a zone), identifiers in text. A V2 `Edm.DateTime` has no zone: its
number counts milliseconds from 1970 as if the clock on the wall were UTC, and is never taken through local time.
A V2 day is its midnight.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

from integrations.contract import Unsupported
from integrations.odata.metadata import V2, V4, Property

V2_DATE = re.compile(r"^/Date\((-?\d+)([+-]\d{1,4})?\)/$")
V2_TIME = re.compile(r"^PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d+))?S)?$")
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
INTEGERS = {"Edm.Byte": 8, "Edm.SByte": 8, "Edm.Int16": 16, "Edm.Int32": 32, "Edm.Int64": 64}
TEXTUAL_IN_V2 = {"Edm.Int64", "Edm.Decimal", "Edm.Double", "Edm.Single"}
RATIOS = {"Edm.Double", "Edm.Single"}


def unfit(one: Property, value: object, right: str) -> Unsupported:
    """The error for a value that a property cannot hold."""
    return Unsupported(f"{one.name} takes {right}; {str(value)[:60]!r} does not fit, so nothing was sent.")


# To plain


def plain(one: Property | None, wire: Any, version: int) -> Any:
    """A value as the service wrote it, in plain JSON; what is not understood is kept as it was written."""
    if wire is None or one is None:
        return _kept(wire)
    if version == V2 and isinstance(wire, str):
        if (date := V2_DATE.match(wire)) is not None:
            return _v2_moment(one, int(date[1]))
        if one.type == "Edm.Time" and (time := V2_TIME.match(wire)) is not None:
            hours, minutes, seconds = (int(part or 0) for part in time.groups()[:3])
            return f"{hours:02}:{minutes:02}:{seconds:02}"
    if one.type in {"Edm.Decimal", "Edm.Int64", *RATIOS}:
        return decimal_text(wire)
    if one.type == "Edm.DateTimeOffset" and isinstance(wire, str):
        return _instant(wire)
    return _kept(wire)


def _kept(wire: Any) -> Any:
    if isinstance(wire, Decimal):
        return decimal_text(wire)
    if isinstance(wire, Mapping):
        return {name: _kept(value) for name, value in wire.items()}
    if isinstance(wire, list):
        return [_kept(value) for value in wire]
    return wire


def decimal_text(value: Any) -> str:
    """A number in text without exponent and without trailing zeros."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    if not number.is_finite():
        return str(value)
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def _v2_moment(one: Property, milliseconds: int) -> str:
    moment = EPOCH + dt.timedelta(milliseconds=milliseconds)
    if one.type == "Edm.DateTimeOffset":
        return _written(moment) + "Z"
    return moment.date().isoformat() if one.date_only else _written(moment)


def _written(moment: dt.datetime) -> str:
    text = moment.replace(tzinfo=None).isoformat(timespec="microseconds")
    return text.rstrip("0").rstrip(".")


def _instant(text: str) -> str:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return text
    return _written(moment.astimezone(dt.UTC)) + "Z" if moment.tzinfo else text


# To the wire


def wire(one: Property, value: Any, version: int) -> Any:
    """A plain value as the service wants it in JSON. Unsupported when the property cannot hold it."""
    if value is None:
        if not one.nullable:
            raise unfit(one, value, "a value")
        return None
    checked = _checked(one, value)
    if version == V4:
        return checked
    if one.type == "Edm.DateTime" or (one.type == "Edm.DateTimeOffset" and isinstance(checked, str)):
        moment = _moment(checked)
        offset = "+0000" if one.type == "Edm.DateTimeOffset" else ""
        return f"/Date({(moment - EPOCH) // dt.timedelta(milliseconds=1)}{offset})/"
    if one.type == "Edm.Time":
        return _v2_time(checked)
    return str(checked) if one.type in TEXTUAL_IN_V2 else checked


def literal(one: Property, value: Any, version: int) -> str:
    """A plain value as it stands in a URL: in a key, a filter, or a parameter. Not yet percent-encoded."""
    if value is None:
        return "null"
    checked = _checked(one, value)
    if isinstance(checked, bool):
        return "true" if checked else "false"
    text = str(checked)
    if one.enumeration:
        return f"{one.type}'{text}'"
    if one.type == "Edm.String":
        return "'" + text.replace("'", "''") + "'"
    if version == V4:
        return f"duration'{text}'" if one.type == "Edm.Duration" else text
    forms = {
        "Edm.Int64": "{}L",
        "Edm.Decimal": "{}M",
        "Edm.Double": "{}d",
        "Edm.Single": "{}f",
        "Edm.DateTime": "datetime'{}'",
        "Edm.DateTimeOffset": "datetimeoffset'{}'",
        "Edm.Time": "time'{}'",
        "Edm.Guid": "guid'{}'",
        "Edm.Binary": "X'{}'",
    }
    if one.type == "Edm.DateTime":
        text = _written(_moment(text))
    elif one.type == "Edm.Time":
        text = _v2_time(text)
    return forms.get(one.type, "{}").format(text)


def encoded(text: str) -> str:
    """A literal or an expression, percent-encoded for a path or a query; quotation marks stay readable."""
    return quote(text, safe="'(),=:$*@!~-._")


def dumped(value: Any) -> str:
    """JSON in which a decimal is a number, digit for digit: a float would round it."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(name)}:{dumped(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(dumped(inner) for inner in value) + "]"
    return json.dumps(value)


def _checked(one: Property, value: Any) -> Any:
    kind = one.type
    if kind == "Edm.Boolean":
        if not isinstance(value, bool):
            raise unfit(one, value, "true or false")
        return value
    if kind in INTEGERS:
        return _integer(one, value)
    if kind == "Edm.Decimal":
        return _decimal(one, value)
    if kind in RATIOS:
        return _number(one, value)
    if kind in {"Edm.Date", "Edm.DateTime", "Edm.DateTimeOffset", "Edm.TimeOfDay", "Edm.Time"}:
        return _day_or_time(one, value)
    return _text(one, value) if kind in {"Edm.Guid", "Edm.String"} else value


def _text(one: Property, value: Any) -> str:
    if not isinstance(value, str):
        raise unfit(one, value, "text")
    if one.type == "Edm.Guid":
        try:
            return str(uuid.UUID(value))
        except ValueError:
            raise unfit(one, value, "an identifier such as 0f8fad5b-d9cb-469f-a165-70867728950e") from None
    if one.max_length is not None and len(value) > one.max_length:
        raise unfit(one, value, f"at most {one.max_length} characters")
    return value


def _number(one: Property, value: Any) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise unfit(one, value, "a number") from None
    if isinstance(value, bool) or not number.is_finite():
        raise unfit(one, value, "a number")
    return number


def _integer(one: Property, value: Any) -> int:
    number = _number(one, value)
    bits = INTEGERS[one.type]
    least, most = (0, 255) if one.type == "Edm.Byte" else (-(1 << bits - 1), (1 << bits - 1) - 1)
    if number != number.to_integral_value() or not least <= number <= most:
        raise unfit(one, value, f"a whole number from {least} to {most}")
    return int(number)


def _decimal(one: Property, value: Any) -> Decimal:
    number = _number(one, value)
    _, digits, exponent = Decimal(decimal_text(number)).as_tuple()
    places = max(-int(exponent), 0)
    if one.scale is not None and places > one.scale:
        raise unfit(one, value, f"at most {one.scale} decimal places")
    if one.precision is not None and len(digits) - places > one.precision - (one.scale or 0):
        raise unfit(one, value, f"at most {one.precision - (one.scale or 0)} digits before the point")
    return Decimal(decimal_text(number))


def _day_or_time(one: Property, value: Any) -> str:
    text = str(value)
    try:
        if one.type in {"Edm.TimeOfDay", "Edm.Time"}:
            return dt.time.fromisoformat(text).isoformat(timespec="seconds")
        if one.type == "Edm.Date" or one.date_only:
            return dt.date.fromisoformat(text[:10] if text[10:] == "T00:00:00" else text).isoformat()
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        examples = {"Edm.TimeOfDay": "06:00:00", "Edm.Time": "06:00:00", "Edm.Date": "2026-12-01"}
        raise unfit(one, value, f"one such as {examples.get(one.type, '2026-12-01T06:00:00')}") from None
    if one.type == "Edm.DateTimeOffset":
        if moment.tzinfo is None:
            raise unfit(one, value, "a moment with its zone, such as 2026-12-01T06:00:00Z")
        return _written(moment.astimezone(dt.UTC)) + "Z"
    return _written(moment)


def _moment(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _v2_time(text: str) -> str:
    time = dt.time.fromisoformat(text)
    return f"PT{time.hour:02}H{time.minute:02}M{time.second:02}S"
