"""Strict JSON: what has two readings is refused, with its place; what is right comes through unchanged."""

import contextlib
import json
from typing import Annotated, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as some
from pydantic import Field

from console.checks.shape import MAX_BYTES, MAX_DEPTH, parse, validated
from console.errors import Refused
from integrations.contract import Closed, DecimalText, Quantity

TEXT = some.text(some.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
VALUES = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
).filter(lambda value: depth(value) <= MAX_DEPTH)


def depth(value: Any) -> int:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if parts is None else 1 + max((depth(part) for part in parts), default=0)


def code(raw: bytes) -> str:
    with pytest.raises(Refused) as told:
        parse(raw)
    (finding,) = told.value.findings
    assert finding.text
    assert finding.hint
    return told.value.code


@given(VALUES)
@example({"\\": '"{[', "a": "}]"})
def test_what_is_right_comes_through_unchanged(value: Any) -> None:
    assert parse(json.dumps(value).encode()) == value
    assert parse(json.dumps(value, ensure_ascii=False, indent=1).encode()) == value


@given(some.binary(max_size=200))
def test_no_bytes_do_anything_but_parse_or_be_refused(raw: bytes) -> None:
    with contextlib.suppress(Refused):
        parse(raw)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b'{"a": 1, "a": 1}', "duplicate_name"),
        (b'{"a": {"b": 1, "b": 2}}', "duplicate_name"),
        (b'{"a": 1, "\\u0061": 2}', "duplicate_name"),
        (b"NaN", "not_a_number"),
        (b'{"a": [Infinity]}', "not_a_number"),
        (b"-Infinity", "not_a_number"),
        (b"1.5", "float"),
        (b"1e3", "float"),
        (b"1.0", "float"),
        (b"9007199254740992", "huge_integer"),
        (b"-9007199254740992", "huge_integer"),
        (b"1" * 5000, "huge_integer"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\udc00": 1}', "surrogate"),
        (b'"\\u0000"', "control_character"),
        (b'"\\u009f"', "control_character"),
        (b'{"a\\u0007": 1}', "control_character"),
        (b'"\xff"', "not_utf8"),
        (b"\xef\xbb\xbf{}", "not_json"),
        ('"é"'.encode("utf-16"), "not_utf8"),
        (b"", "not_json"),
        (b"{} {}", "not_json"),
        (b"{'a': 1}", "not_json"),
        (b'{"a": 1,}', "not_json"),
        (b"// no", "not_json"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "too_deep"),
        (b"[" * 100_000, "too_deep"),
        (b'"' + b"x" * MAX_BYTES + b'"', "too_large"),
    ],
)
def test_what_has_two_readings_or_none_is_refused(raw: bytes, why: str) -> None:
    assert code(raw) == why


def test_depth_and_size_are_allowed_up_to_their_limit() -> None:
    assert parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    assert parse(b'"' + b"x" * (MAX_BYTES - 2) + b'"')
    assert parse(b"9007199254740991") == 2**53 - 1


def test_brackets_in_text_are_no_depth() -> None:
    assert parse(json.dumps("[{" * 100 + '\\"').encode())


class Sample(Closed):
    quantity: Quantity
    price: DecimalText
    count: Annotated[int, Field(ge=1)] = 1


def test_every_fault_is_told_at_once_with_its_place_and_never_its_value() -> None:
    text = json.dumps({"quantity": {"value": "secret-1e3", "unit": ""}, "price": 5, "count": 0, "oops": 1})
    with pytest.raises(Refused) as told:
        validated(Sample, text, "payload")
    found = {finding.field: finding for finding in told.value.findings}
    assert set(found) == {
        "payload.quantity.value",
        "payload.quantity.unit",
        "payload.price",
        "payload.count",
        "payload.oops",
    }
    assert not any("secret" in finding.text + finding.hint for finding in found.values())
    assert found["payload.oops"].text == "There is no such field."


@pytest.mark.parametrize("number", ["1", "0.5", "-3.25", "0", "999999999999999.999999"])
def test_decimals_come_as_text(number: str) -> None:
    assert (
        validated(Sample, json.dumps({"quantity": {"value": number, "unit": "kg"}, "price": number})).price
        == number
    )


@pytest.mark.parametrize(
    "number", ["1e3", "01", "+1", ".5", "1.", "1,5", "٣", "NaN", "", " 1", "1.0000001", "1" * 16]
)
def test_anything_else_is_no_decimal(number: str) -> None:
    with pytest.raises(Refused):
        validated(Sample, json.dumps({"quantity": {"value": "1", "unit": "kg"}, "price": number}))
