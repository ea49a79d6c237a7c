"""Values of OData V2 and V4: what is read, what is written, what does not fit and is never sent."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.contract import Unsupported
from integrations.odata import values
from integrations.odata.metadata import V2, V4, Property


def of(type_: str, **facets: Any) -> Property:
    """A property of this type, called P."""
    return Property("P", f"Edm.{type_}", **facets)


DAY = of("DateTime", date_only=True)


@pytest.mark.parametrize(
    ("version", "one", "wire", "plain"),
    [
        (V2, DAY, "/Date(1764547200000)/", "2025-12-01"),
        (V2, DAY, "/Date(-86400000)/", "1969-12-31"),
        (V2, of("DateTime"), "/Date(1764568800000)/", "2025-12-01T06:00:00"),
        (V2, of("DateTime"), "/Date(1764568800000+0000)/", "2025-12-01T06:00:00"),
        # The offset says where it was said; the number is UTC already.
        (V2, of("DateTimeOffset"), "/Date(1764568800000+0120)/", "2025-12-01T06:00:00Z"),
        (V2, of("Time"), "PT06H05M00S", "06:05:00"),
        (V2, of("Time"), "PT6H", "06:00:00"),
        (V2, of("Decimal"), "120.000", "120"),
        (V2, of("Decimal"), "0.000", "0"),
        (V2, of("Int64"), "9007199254740993", "9007199254740993"),
        (V2, of("Double"), "1.5E0", "1.5"),
        (V2, of("String"), "/Date(1)/ is no date", "/Date(1)/ is no date"),
        (V4, of("Date"), "2025-12-01", "2025-12-01"),
        (V4, of("TimeOfDay"), "06:05:00", "06:05:00"),
        (V4, of("DateTimeOffset"), "2025-12-01T08:00:00+02:00", "2025-12-01T06:00:00Z"),
        (V4, of("DateTimeOffset"), "2025-12-01T06:00:00.120Z", "2025-12-01T06:00:00.12Z"),
        (V4, of("Decimal"), Decimal("12.10"), "12.1"),
        (V4, of("Decimal"), "12.10", "12.1"),
        (V4, of("Int32"), 7, 7),
        (V4, of("Boolean"), True, True),
        (V4, of("String"), None, None),
    ],
)
def test_what_is_read_becomes_plain(version: int, one: Property, wire: Any, plain: Any) -> None:
    assert values.plain(one, wire, version) == plain


@pytest.mark.parametrize(
    ("version", "one", "plain", "wire"),
    [
        (V2, DAY, "2025-12-01", "/Date(1764547200000)/"),
        (V2, DAY, "2025-12-01T00:00:00", "/Date(1764547200000)/"),
        (V2, of("DateTime"), "2025-12-01", "/Date(1764547200000)/"),
        (V2, of("DateTimeOffset"), "2025-12-01T08:00:00+02:00", "/Date(1764568800000+0000)/"),
        (V2, of("Time"), "06:05:00", "PT06H05M00S"),
        (V2, of("Decimal", precision=13, scale=3), "150.500", "150.5"),
        (V2, of("Int64"), "9007199254740993", "9007199254740993"),
        (V2, of("Int32"), 7, 7),
        (V4, of("Date"), "2025-12-01", "2025-12-01"),
        (V4, of("Decimal"), "12.10", Decimal("12.1")),
        (V4, of("DateTimeOffset"), "2025-12-01T06:00:00Z", "2025-12-01T06:00:00Z"),
        (V4, of("String"), None, None),
    ],
)
def test_what_is_written_is_as_the_version_wants_it(
    version: int, one: Property, plain: Any, wire: Any
) -> None:
    assert values.wire(one, plain, version) == wire


@pytest.mark.parametrize(
    ("version", "one", "plain", "text"),
    [
        (V2, of("String"), "O'Neill", "'O''Neill'"),
        (V2, of("Int64"), "7", "7L"),
        (V2, of("Decimal"), "-12.50", "-12.5M"),
        (V2, DAY, "2025-12-01", "datetime'2025-12-01T00:00:00'"),
        (V2, of("DateTimeOffset"), "2025-12-01T06:00:00Z", "datetimeoffset'2025-12-01T06:00:00Z'"),
        (V2, of("Time"), "06:05:00", "time'PT06H05M00S'"),
        (
            V2,
            of("Guid"),
            "0F8FAD5B-D9CB-469F-A165-70867728950E",
            "guid'0f8fad5b-d9cb-469f-a165-70867728950e'",
        ),
        (V2, of("Boolean"), False, "false"),
        (V4, of("String"), "O'Neill", "'O''Neill'"),
        (V4, of("Int64"), "7", "7"),
        (V4, of("Date"), "2025-12-01", "2025-12-01"),
        (V4, of("Guid"), "0f8fad5b-d9cb-469f-a165-70867728950e", "0f8fad5b-d9cb-469f-a165-70867728950e"),
        (V4, Property("P", "NS.Colour", enumeration=True), "Red", "NS.Colour'Red'"),
    ],
)
def test_what_stands_in_an_address_is_typed(version: int, one: Property, plain: Any, text: str) -> None:
    assert values.literal(one, plain, version) == text


@pytest.mark.parametrize(
    ("one", "value", "right"),
    [
        (of("String", max_length=12), "CS-8F2K9M4TX7QP", "at most 12 characters"),
        (of("String"), 7, "text"),
        (of("Decimal", precision=13, scale=3), "0.0001", "at most 3 decimal places"),
        (of("Decimal", precision=5, scale=2), "1000", "at most 3 digits before the point"),
        (of("Decimal"), "NaN", "a number"),
        (of("Decimal"), "many", "a number"),
        (of("Int16"), 40000, "a whole number from -32768 to 32767"),
        (of("Byte"), -1, "a whole number from 0 to 255"),
        (of("Int32"), "1.5", "a whole number"),
        (of("Boolean"), "X", "true or false"),
        (of("Date"), "1.12.2025", "one such as 2026-12-01"),
        (of("DateTimeOffset"), "2025-12-01T06:00:00", "a moment with its zone"),
        (of("Guid"), "7", "an identifier"),
        (of("String", nullable=False), None, "a value"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would_be_right(one: Property, value: Any, right: str) -> None:
    for version in (V2, V4):
        with pytest.raises(Unsupported, match=right) as refusal:
            values.wire(one, value, version)
        assert refusal.value.text.startswith("P takes")


@given(st.dates(dt.date(1900, 1, 1), dt.date(2200, 1, 1)))
def test_a_day_survives_v2_whatever_the_clock_of_this_machine(day: dt.date) -> None:
    assert values.plain(DAY, values.wire(DAY, day.isoformat(), V2), V2) == day.isoformat()


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12))
def test_a_decimal_survives_both_versions_digit_for_digit(number: Decimal) -> None:
    one = of("Decimal")
    for version in (V2, V4):
        sent = values.dumped({"P": values.wire(one, format(number, "f"), version)})
        back = json.loads(sent, parse_float=Decimal)["P"]
        assert Decimal(values.plain(one, back, version)) == number
