"""Base, proposed and now, side by side: what changes, what moved, where they collide, and what a read-back misses."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from console.diff import differences, line_rows, moved, rows, same
from integrations.contract import Field, Kind, Record

FIELDS = (
    Field("date", "Date", Kind.DATE),
    Field("total", "Total", Kind.MONEY, tolerance=Decimal("0.05")),
    Field("note", "Note"),
    Field("lines[].quantity", "Quantity", Kind.QUANTITY),
    Field("lines[].price", "Price", Kind.MONEY, tolerance=Decimal("0.01")),
)


def money(amount: str, currency: str = "EUR") -> dict[str, str]:
    return {"amount": amount, "currency": currency}


def line(key: str, quantity: str, price: str = "2.00") -> dict[str, Any]:
    return {
        "key": key,
        "label": f"Line {key}",
        "quantity": {"value": quantity, "unit": "pc"},
        "price": money(price),
    }


def record(date: str = "2026-12-01", total: str = "10.00", *lines: dict[str, Any], note: Any = "") -> Record:
    return Record({"date": date, "total": money(total), "note": note}, {"lines": lines})


@pytest.mark.parametrize(
    ("base", "proposed", "now", "changes", "has_moved", "conflict"),
    [
        ("1", "1", "1", False, False, False),
        ("1", "2", "1", True, False, False),
        ("1", "1", "2", False, True, False),
        ("1", "2", "2", True, True, False),
        ("1", "2", "3", True, True, True),
        (None, "2", None, True, False, False),
        (None, "2", "3", True, True, True),
        ("1", None, "3", True, True, True),
    ],
)
def test_three_ways(
    base: Any, proposed: Any, now: Any, changes: bool, has_moved: bool, conflict: bool
) -> None:
    row = rows(record(note=base), record(note=proposed), record(note=now), FIELDS)[2]
    assert (row.changes, row.moved, row.conflict) == (changes, has_moved, conflict)


def test_rows_stand_in_the_order_of_the_type() -> None:
    assert [row.path for row in rows(record(), record(), record(), FIELDS)] == ["date", "total", "note"]


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (money("1.00"), money("1"), True),
        (money("1.00"), money("1.05"), True),
        (money("1.00"), money("1.06"), False),
        (money("1.00"), money("1.00", "USD"), False),
        (money("1.00"), None, False),
        (None, None, True),
        (money("x"), money("x"), False),
        (money("NaN"), money("NaN"), False),
        ({"amount": "1"}, money("1"), False),
        ("1", "1", False),
    ],
)
def test_money_is_equal_by_number_and_currency(one: Any, other: Any, equal: bool) -> None:
    assert same(one, other, FIELDS[1]) is equal
    assert same(other, one, FIELDS[1]) is equal


def test_text_is_equal_to_the_letter() -> None:
    assert same("a", "a", FIELDS[2])
    assert not same("a", "a ", FIELDS[2])
    assert not same("1", 1, FIELDS[2])


def test_lines_are_told_as_added_removed_changed_and_same() -> None:
    base = record("2026-12-01", "10.00", line("1", "5"), line("2", "5"), line("3", "5"))
    proposed = record("2026-12-01", "10.00", line("1", "5"), line("2", "6"), line("", "7"))
    told = {found.label: found.status for found in line_rows(base, proposed, base, FIELDS)}
    assert told == {"Line 1": "same", "Line 2": "changed", "Line 3": "removed", "Line ": "added"}


def test_a_line_somebody_moved_underneath_collides() -> None:
    base = record("2026-12-01", "10.00", line("1", "5"))
    proposed = record("2026-12-01", "10.00", line("1", "6"))
    now = record("2026-12-01", "10.00", line("1", "7"))
    (found,) = line_rows(base, proposed, now, FIELDS)
    assert [cell.conflict for cell in found.rows] == [True, False]


def test_a_read_back_as_approved_has_no_differences() -> None:
    base = record("2026-12-01", "10.00", line("1", "5"))
    expected = record("2026-12-08", "10.00", line("1", "6.0"), line("", "2"))
    found = record("2026-12-08", "10.04", line("1", "6"), line("77", "2.00"))
    assert differences(expected, found, FIELDS, base=base) == ()


@pytest.mark.parametrize(
    ("found", "paths"),
    [
        (record("2026-12-01", "10.00", line("1", "6"), line("77", "2")), ["date"]),
        (record("2026-12-08", "10.00", line("1", "5"), line("77", "2")), ["lines.1.quantity"]),
        (record("2026-12-08", "10.00", line("77", "2")), ["lines.1.quantity"]),
        (record("2026-12-08", "10.00", line("1", "6")), ["lines.new"]),
        (record("2026-12-08", "10.00", line("1", "6"), line("77", "3")), ["lines.new", "lines.77"]),
        (record("2026-12-08", "10.00", line("1", "6"), line("77", "2"), line("78", "2")), ["lines.78"]),
        (Record({}, {}), ["date", "lines.1.quantity", "lines.new"]),
    ],
)
def test_whatever_does_not_read_as_approved_is_named(found: Record, paths: list[str]) -> None:
    base = record("2026-12-01", "10.00", line("1", "5"))
    expected = record("2026-12-08", "10.00", line("1", "6"), line("", "2"))
    assert [one.path for one in differences(expected, found, FIELDS, base=base)] == paths


def test_a_line_that_should_be_gone_and_is_still_there_is_named() -> None:
    base = record("2026-12-01", "10.00", line("1", "5"), line("2", "5"))
    expected = record("2026-12-01", "10.00", line("1", "5"))
    (found,) = differences(expected, base, FIELDS, base=base)
    assert (found.path, found.found) == ("lines.2", "still there")


def test_what_the_approval_does_not_change_is_not_judged() -> None:
    base = record(note="as it was")
    found = record("2026-12-08", note="somebody wrote here")
    assert differences(record("2026-12-08", note="as it was"), found, FIELDS, base=base) == ()


def test_seven_of_nine_lines_are_two_differences() -> None:
    wanted = [line("", str(number)) for number in range(1, 10)]
    real = [line(str(100 + number), str(number)) for number in range(1, 8)]
    expected, found = Record({}, {"lines": wanted}), Record({}, {"lines": real})
    assert len(differences(expected, found, FIELDS, base=Record({}, {"lines": []}))) == 2


def test_equal_new_lines_are_matched_one_to_one() -> None:
    expected = Record({}, {"lines": [line("", "2"), line("", "2")]})
    found = Record({}, {"lines": [line("9", "2")]})
    assert [one.path for one in differences(expected, found, FIELDS, base=Record({}, {}))] == ["lines.new"]


def test_what_moved_in_the_system_is_told_field_by_field_and_line_by_line() -> None:
    before = record("2026-12-01", "10.00", line("1", "5"), line("2", "5"))
    after = record("2026-12-02", "10.00", line("1", "6"), line("3", "5"))
    assert [one.path for one in moved(before, after, FIELDS)] == [
        "date",
        "lines.1.quantity",
        "lines.2",
        "lines.3",
    ]


KEYS = some.lists(some.sampled_from("abcdef"), unique=True, max_size=5)
AMOUNTS = some.sampled_from(["1", "2", "3"])


@given(KEYS, some.lists(AMOUNTS, min_size=5, max_size=5), AMOUNTS)
def test_a_record_never_differs_from_itself(keys: list[str], quantities: list[str], total: str) -> None:
    one = record("2026-12-01", total, *(line(*pair) for pair in zip(keys, quantities, strict=False)))
    assert differences(one, one, FIELDS, base=record()) == ()
    assert moved(one, one, FIELDS) == ()
