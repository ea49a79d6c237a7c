"""Right or wrong, on pairs made by hand: every way two answers look alike and are not, or differ and are the same."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from console.catalogue import transaction_type
from console.evals.scoring import Tolerance, score

QUANTITY = "production_order_quantity"
RESCHEDULE = "production_order_reschedule"
PROMISE = "sales_order_promise"
BUY = "purchase_order_create"

SAME, OTHER = True, False

# wanted value, unit; given value, unit; the same?
QUANTITIES = [
    *(("12", "u", "12", "u", SAME), ("12", "u", "12.0", "u", SAME), ("12", "u", "12.000000", "u", SAME)),
    *(("12.5", "kg", "12.50", "kg", SAME), ("0.1", "m", "0.10", "m", SAME), ("100", "u", "100.0", "u", SAME)),
    *(("12", "u", "13", "u", OTHER), ("12", "u", "11.999999", "u", OTHER), ("12", "u", "120", "u", OTHER)),
    *(("12", "u", "1.2", "u", OTHER), ("12", "u", "21", "u", OTHER), ("1000", "u", "1", "u", OTHER)),
    *(("1", "kg", "1000", "g", SAME), ("1000", "g", "1", "kg", SAME), ("0.5", "kg", "500", "g", SAME)),
    *(("2.5", "t", "2500", "kg", SAME), ("2500", "kg", "2.5", "t", SAME), ("1", "g", "1000", "mg", SAME)),
    *(("1", "kg", "1", "g", OTHER), ("1", "kg", "100", "g", OTHER), ("1", "t", "100", "kg", OTHER)),
    *(("1", "m", "100", "cm", SAME), ("1", "m", "1000", "mm", SAME), ("10", "dm", "1", "m", SAME)),
    *(("1", "km", "1000", "m", SAME), ("2.44", "m", "244", "cm", SAME), ("2440", "mm", "2.44", "m", SAME)),
    *(("1", "m", "10", "cm", OTHER), ("1", "m", "1", "cm", OTHER), ("2.44", "m", "2.45", "m", OTHER)),
    *(("1", "l", "1000", "ml", SAME), ("1", "hl", "100", "l", SAME), ("75", "cl", "0.75", "l", SAME)),
    *(("1", "l", "100", "ml", OTHER), ("1", "l", "1", "kg", OTHER), ("1", "m", "1", "m2", OTHER)),
    *(("1", "m2", "10000", "cm2", SAME), ("1", "m2", "100", "dm2", SAME), ("1", "m2", "100", "cm2", OTHER)),
    *(("1", "h", "60", "min", SAME), ("90", "min", "1.5", "h", SAME), ("1", "d", "24", "h", SAME)),
    *(("1", "h", "100", "min", OTHER), ("1", "d", "8", "h", OTHER), ("1", "h", "3600", "s", SAME)),
    *(("12", "u", "12", "pcs", SAME), ("12", "pc", "12", "unit", SAME), ("1", "dozen", "12", "u", SAME)),
    *(("36", "pcs", "3", "dozen", SAME), ("12", "u", "12", "dozen", OTHER), ("1", "dozen", "10", "u", OTHER)),
    *(
        ("12", "u", "12", "kg", OTHER),
        ("5", "pallet", "5", "pallet", SAME),
        ("5", "pallet", "5", "box", OTHER),
    ),
    *(
        ("5", "pallet", "5.0", "pallet", SAME),
        ("5", "Pallet", "5", "pallet", OTHER),
        ("1", "box", "1", "u", OTHER),
    ),
    *(
        ("1", "kg", "1", "Kg", OTHER),
        ("0.333333", "u", "0.333334", "u", OTHER),
        ("1", "dozen", "13", "u", OTHER),
    ),
]

# wanted amount, currency; given amount, currency; the same?
PRICES = [
    *(
        ("4.20", "EUR", "4.20", "EUR", SAME),
        ("4.20", "EUR", "4.2", "EUR", SAME),
        ("4", "EUR", "4.00", "EUR", SAME),
    ),
    *(
        ("4.20", "EUR", "4.21", "EUR", OTHER),
        ("4.20", "EUR", "4.19", "EUR", OTHER),
        ("4.20", "EUR", "42", "EUR", OTHER),
    ),
    *(
        ("4.20", "EUR", "4.20", "USD", OTHER),
        ("4.20", "EUR", "4.20", "CHF", OTHER),
        ("0.42", "EUR", "4.2", "EUR", OTHER),
    ),
    # With and without tax of 19 or 20 percent: never the same price.
    *(
        ("100", "EUR", "119", "EUR", OTHER),
        ("100", "EUR", "120", "EUR", OTHER),
        ("119", "EUR", "100", "EUR", OTHER),
    ),
    *(
        ("4.200", "EUR", "4.2", "EUR", SAME),
        ("4.205", "EUR", "4.21", "EUR", OTHER),
        ("4.205", "EUR", "4.20", "EUR", OTHER),
    ),
    *(
        ("1000", "EUR", "1000.00", "EUR", SAME),
        ("1000", "EUR", "100", "EUR", OTHER),
        ("1000", "EUR", "10000", "EUR", OTHER),
    ),
    *(
        ("0.000001", "EUR", "0.000002", "EUR", OTHER),
        ("5.5", "EUR", "5.05", "EUR", OTHER),
        ("5.5", "EUR", "5.50", "EUR", SAME),
    ),
    *(
        ("12", "EUR", "21", "EUR", OTHER),
        ("12.34", "EUR", "12.43", "EUR", OTHER),
        ("12.34", "EUR", "1.234", "EUR", OTHER),
    ),
    *(("1", "JPY", "1", "JPY", SAME), ("1", "JPY", "1", "EUR", OTHER), ("250", "CZK", "250.0", "CZK", SAME)),
    *(
        ("99.99", "EUR", "100", "EUR", OTHER),
        ("99.99", "EUR", "99.990000", "EUR", SAME),
        ("7", "EUR", "7.7", "EUR", OTHER),
    ),
    *(
        ("7.000001", "EUR", "7", "EUR", OTHER),
        ("15", "GBP", "15.00", "GBP", SAME),
        ("15", "GBP", "15.00", "EUR", OTHER),
    ),
    *(
        ("3.5", "USD", "3.50", "USD", SAME),
        ("3.5", "USD", "35", "USD", OTHER),
        ("3.5", "USD", "3.5", "CAD", OTHER),
    ),
]

# wanted day, given day; the same?
DAYS = [
    *(
        ("2099-06-01", "2099-06-01", SAME),
        ("2099-06-01", "2099-06-02", OTHER),
        ("2099-06-01", "2099-05-31", OTHER),
    ),
    *(
        ("2099-06-01", "2099-01-06", OTHER),
        ("2099-06-01", "2098-06-01", OTHER),
        ("2099-06-01", "2099-07-01", OTHER),
    ),
    *(
        ("2099-12-31", "2099-12-31", SAME),
        ("2098-12-31", "2099-01-01", OTHER),
        ("2096-02-29", "2096-02-29", SAME),
    ),
    *(
        ("2096-02-29", "2096-03-01", OTHER),
        ("2099-02-28", "2099-03-01", OTHER),
        ("2099-10-11", "2099-11-10", OTHER),
    ),
    *(
        ("2099-06-05", "2099-06-08", OTHER),
        ("2099-06-08", "2099-06-05", OTHER),
        ("2099-06-10", "2099-06-10", SAME),
    ),
]

# wanted key, given key; the same?
KEYS = [
    *(
        ("17", "17", SAME),
        ("17", "71", OTHER),
        ("17", "1", OTHER),
        ("17", "170", OTHER),
        ("17", "017", OTHER),
    ),
    *(("A-17", "A-17", SAME), ("A-17", "a-17", OTHER), ("A-17", "A17", OTHER), ("A-17", "A-71", OTHER)),
    *(("PO/17", "PO/17", SAME), ("PO/17", "PO-17", OTHER), ("O17", "017", OTHER), ("l7", "17", OTHER)),
    *(("2026/17", "2026/17", SAME), ("2026/17", "2026/71", OTHER), ("2026/17", "2025/17", OTHER)),
    *(("1000001", "1000001", SAME), ("1000001", "1000010", OTHER), ("1000001", "100001", OTHER)),
    *(("SO 4", "SO 4", SAME), ("SO 4", "SO  4", OTHER), ("SO 4", "PO 4", OTHER), ("X.1", "X,1", OTHER)),
    *(
        ("B8", "BB", OTHER),
        ("5S", "S5", OTHER),
        ("Z2", "22", OTHER),
        ("17#1", "17#1", SAME),
        ("17#1", "17#2", OTHER),
    ),
    *(("rn-1", "m-1", OTHER), ("0", "00", OTHER)),
]

BOARD = {
    "product": "31",
    "quantity": {"value": "40", "unit": "m"},
    "unit_price": {"amount": "4.20", "currency": "EUR"},
    "delivery_date": "2099-06-01",
}
HINGE = {
    "product": "32",
    "quantity": {"value": "200", "unit": "u"},
    "unit_price": {"amount": "0.35", "currency": "EUR"},
    "delivery_date": "2099-06-01",
}
LATER = {**HINGE, "delivery_date": "2099-06-15"}
DEARER = {**HINGE, "unit_price": {"amount": "0.36", "currency": "EUR"}}
MORE = {**HINGE, "quantity": {"value": "201", "unit": "u"}}
LONG = {**BOARD, "quantity": {"value": "4000", "unit": "cm"}}
SCREW = {**HINGE, "product": "33"}
HALF = {**BOARD, "quantity": {"value": "20", "unit": "m"}}

# wanted lines, given lines; the same?
LINES = [
    *(
        ([BOARD], [BOARD], SAME),
        ([BOARD, HINGE], [BOARD, HINGE], SAME),
        ([BOARD, HINGE], [HINGE, BOARD], SAME),
    ),
    *(([BOARD, HINGE, SCREW], [SCREW, BOARD, HINGE], SAME), ([BOARD], [LONG], SAME), ([LONG], [BOARD], SAME)),
    *(
        ([LONG, HINGE], [HINGE, BOARD], SAME),
        ([HINGE, HINGE], [HINGE, HINGE], SAME),
        ([HINGE, LATER], [LATER, HINGE], SAME),
    ),
    *(([BOARD], [HINGE], OTHER), ([BOARD, HINGE], [BOARD], OTHER), ([BOARD], [BOARD, HINGE], OTHER)),
    *(
        ([BOARD, HINGE], [BOARD, BOARD], OTHER),
        ([HINGE, HINGE], [HINGE], OTHER),
        ([HINGE], [HINGE, HINGE], OTHER),
    ),
    *(
        ([HINGE], [LATER], OTHER),
        ([HINGE], [DEARER], OTHER),
        ([HINGE], [MORE], OTHER),
        ([HINGE], [SCREW], OTHER),
    ),
    *(([BOARD, HINGE], [HINGE, HALF], OTHER), ([BOARD], [HALF, HALF], OTHER), ([HALF, HALF], [BOARD], OTHER)),
    *(([HINGE, LATER], [LATER, LATER], OTHER), ([HINGE, LATER], [HINGE, HINGE], OTHER)),
    *(([BOARD, HINGE], [LATER, BOARD], OTHER), ([BOARD, HINGE, SCREW], [BOARD, SCREW, DEARER], OTHER)),
    *(([DEARER, MORE], [MORE, DEARER], SAME), ([DEARER, MORE], [HINGE, HINGE], OTHER)),
    *(
        ([BOARD, BOARD, HINGE], [HINGE, LONG, BOARD], SAME),
        ([BOARD, BOARD, HINGE], [HINGE, HINGE, BOARD], OTHER),
    ),
]


def sample(name: str, **changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(dict(transaction_type(name).sample)), **changes}


def right(name: str, given: Mapping[str, Any] | None, *wanted: Mapping[str, Any] | None) -> bool:
    return score(transaction_type(name), given, list(wanted)).right


def test_there_are_two_hundred_pairs() -> None:
    assert len(QUANTITIES) + len(PRICES) + 3 * len(DAYS) + len(KEYS) + len(LINES) >= 200


@pytest.mark.parametrize(("value", "unit", "given", "in_unit", "equal"), QUANTITIES)
def test_a_quantity_is_right_in_any_unit_of_its_kind(
    value: str, unit: str, given: str, in_unit: str, equal: bool
) -> None:
    wanted = sample(QUANTITY, quantity={"value": value, "unit": unit})
    told = sample(QUANTITY, quantity={"value": given, "unit": in_unit})
    assert right(QUANTITY, told, wanted) is equal
    assert right(QUANTITY, wanted, told) is equal


@pytest.mark.parametrize(("amount", "currency", "given", "in_currency", "equal"), PRICES)
def test_a_price_is_right_to_the_last_digit_in_its_currency(
    amount: str, currency: str, given: str, in_currency: str, equal: bool
) -> None:
    wanted = sample(BUY, lines=[{**BOARD, "unit_price": {"amount": amount, "currency": currency}}])
    told = sample(BUY, lines=[{**BOARD, "unit_price": {"amount": given, "currency": in_currency}}])
    assert right(BUY, told, wanted) is equal
    assert right(BUY, wanted, told) is equal


@pytest.mark.parametrize(("day", "given", "equal"), DAYS)
def test_a_day_is_right_or_it_is_another_day(day: str, given: str, equal: bool) -> None:
    assert right(PROMISE, sample(PROMISE, promised_date=given), sample(PROMISE, promised_date=day)) is equal
    started = [sample(RESCHEDULE, planned_start=one, planned_finish="2099-12-31") for one in (day, given)]
    assert right(RESCHEDULE, started[1], started[0]) is equal
    arrives = [sample(BUY, lines=[{**BOARD, "delivery_date": one}]) for one in (day, given)]
    assert right(BUY, arrives[1], arrives[0]) is equal


@pytest.mark.parametrize(("key", "given", "equal"), KEYS)
def test_another_record_is_wrong_and_critical(key: str, given: str, equal: bool) -> None:
    found = score(transaction_type(PROMISE), sample(PROMISE, order=given), [sample(PROMISE, order=key)])
    assert found.right is equal
    assert found.critical_wrong is not equal


@pytest.mark.parametrize(("wanted", "given", "equal"), LINES)
def test_lines_are_a_set(wanted: list[dict[str, Any]], given: list[dict[str, Any]], equal: bool) -> None:
    assert right(BUY, sample(BUY, lines=given), sample(BUY, lines=wanted)) is equal
    assert right(BUY, sample(BUY, lines=wanted), sample(BUY, lines=given)) is equal


def test_doing_nothing_is_an_answer() -> None:
    wanted = sample(PROMISE)
    assert right(PROMISE, None, None)
    assert right(PROMISE, None, wanted, None)
    assert right(PROMISE, wanted, None, wanted)
    assert not right(PROMISE, None, wanted)
    assert not right(PROMISE, wanted, None)
    assert score(transaction_type(PROMISE), wanted, [None]).critical_wrong


def test_any_of_several_outcomes_is_right_and_the_nearest_is_named() -> None:
    one, other = sample(PROMISE, promised_date="2099-06-01"), sample(PROMISE, promised_date="2099-06-08")
    assert right(PROMISE, one, one, other)
    assert right(PROMISE, other, one, other)
    found = score(transaction_type(PROMISE), other, [None, one, other])
    assert found.nearest == 2
    assert not right(PROMISE, sample(PROMISE, promised_date="2099-06-04"), one, other)


def test_what_is_left_out_is_its_default_and_a_remark_is_not_judged() -> None:
    plain = sample(BUY, lines=[BOARD])
    plain.pop("note", None)
    assert right(BUY, {**plain, "note": ""}, plain)
    assert right(BUY, plain, {**plain, "note": ""})
    assert right(BUY, {**plain, "note": "For the spring."}, {**plain, "note": "For spring"})


def test_a_payload_that_does_not_fit_the_type_is_wrong_and_no_crash() -> None:
    found = score(transaction_type(PROMISE), {"order": 1, "promised_date": "soon"}, [sample(PROMISE)])
    assert (found.right, found.critical_wrong) == (False, True)


def test_a_case_without_an_acceptable_outcome_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one acceptable outcome"):
        score(transaction_type(PROMISE), None, [])


def test_a_tolerance_is_what_it_says_and_not_more() -> None:
    near = Tolerance(decimals={"quantity": Decimal("0.5")}, days={"promised_date": 2})
    type_ = transaction_type(QUANTITY)
    wanted = sample(QUANTITY, quantity={"value": "10", "unit": "kg"})
    for value, unit, equal in (
        ("10.5", "kg", True),
        ("9.5", "kg", True),
        ("10.6", "kg", False),
        ("10499", "g", True),
    ):
        told = sample(QUANTITY, quantity={"value": value, "unit": unit})
        assert score(type_, told, [wanted], near).right is equal
    day = sample(PROMISE, promised_date="2099-06-10")
    for given, equal in (("2099-06-12", True), ("2099-06-08", True), ("2099-06-13", False)):
        found = score(transaction_type(PROMISE), sample(PROMISE, promised_date=given), [day], near)
        assert found.right is equal


def test_differences_name_the_field_the_line_and_both_values() -> None:
    found = score(
        transaction_type(BUY), sample(BUY, lines=[BOARD, LATER]), [sample(BUY, lines=[HINGE, BOARD])]
    )
    assert [(one.path, one.wanted, one.given, one.critical) for one in found.differences] == [
        ("lines.0.delivery_date", "2099-06-01", "2099-06-15", True)
    ]
    assert found.fields == 1 + 1 + 2 * 4
