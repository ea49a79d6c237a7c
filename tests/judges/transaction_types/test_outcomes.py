"""What each transaction type promises to leave behind, and what policy is told of it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any

import pytest
from pydantic import ValidationError

from integrations.contract import Case, Facts, Money, Record
from integrations.scan import transaction_types

TYPES = transaction_types()


def outcome(name: str, **changed: Any) -> Record:
    type_ = TYPES[name]
    payload = type_.payload.model_validate_json(json.dumps({**type_.sample, **changed}))
    return type_.outcome(payload, type_.sample_snapshot)


def facts(name: str, **changed: Any) -> Facts:
    type_ = TYPES[name]
    payload = type_.payload.model_validate_json(json.dumps({**type_.sample, **changed}))
    limits = {limit.name: limit.default for limit in type_.limits}
    return type_.facts(Case(payload, type_.sample_snapshot, limits, type_.sample_snapshot.as_of.date()))


def test_a_rescheduled_order_keeps_its_state_and_everything_but_its_days() -> None:
    before = TYPES["production_order_reschedule"].sample_snapshot.record.fields
    after = outcome("production_order_reschedule").fields
    assert {name for name in after if after[name] != before[name]} == {"planned_start", "planned_finish"}


def test_material_follows_the_bill_and_is_rounded_up_to_what_the_unit_can_count() -> None:
    materials = outcome("production_order_quantity", quantity={"value": "7.01", "unit": "Unit"}).lines[
        "materials"
    ]
    assert [line["quantity"]["value"] for line in materials] == ["2.81", "85"]
    materials = outcome("production_order_quantity", quantity={"value": "48", "unit": "Unit"}).lines[
        "materials"
    ]
    assert [line["quantity"]["value"] for line in materials] == ["19.2", "576"]


def test_material_stays_when_there_is_no_bill() -> None:
    type_ = TYPES["production_order_quantity"]
    snapshot = dataclasses.replace(type_.sample_snapshot, context={"state": "draft", "bom": []})
    payload = type_.payload.model_validate_json(json.dumps(type_.sample))
    assert type_.outcome(payload, snapshot).lines["materials"] == snapshot.record.lines["materials"]


def test_a_purchase_order_adds_up_its_lines_in_cents() -> None:
    record = outcome("purchase_order_create")
    assert [line["amount"]["amount"] for line in record.lines["lines"]] == ["1260.00", "205.00"]
    assert record.fields["total"] == {"amount": "1465.00", "currency": "EUR"}
    assert [line["key"] for line in record.lines["lines"]] == ["", ""]


def test_half_a_cent_is_rounded_up() -> None:
    line = {
        "product": "2",
        "quantity": {"value": "1", "unit": "Unit"},
        "unit_price": {"amount": "0.125", "currency": "EUR"},
        "delivery_date": "2026-12-09",
    }
    assert outcome("purchase_order_create", lines=[line]).fields["total"]["amount"] == "0.13"


def test_a_line_change_leaves_what_is_not_given() -> None:
    type_ = TYPES["purchase_order_line_change"]
    payload = type_.payload.model_validate_json(
        '{"order": "31", "line": "72", "delivery_date": "2026-12-18"}'
    )
    before = type_.sample_snapshot.record.fields
    after = type_.outcome(payload, type_.sample_snapshot).fields
    assert {name for name in after if after[name] != before[name]} == {"delivery_date"}


def test_money_at_stake_is_the_whole_of_a_new_order_and_the_change_of_a_changed_one() -> None:
    assert facts("purchase_order_create").value == Money(amount="1465.00", currency="EUR")
    assert facts("purchase_order_line_change").value == Money(amount="260.00", currency="EUR")
    assert facts("production_order_quantity").value == Money(amount="774.00", currency="EUR")
    less = facts("production_order_quantity", quantity={"value": "18", "unit": "Unit"})
    assert less.value == Money(amount="774.00", currency="EUR")


def test_what_reaches_the_floor_and_the_books_says_so() -> None:
    touched = {name: (facts(name).floor, facts(name).books) for name in TYPES}
    assert touched == {
        "floor_task": (True, False),
        "production_order_reschedule": (True, False),
        "production_order_quantity": (True, False),
        "production_order_release": (True, False),
        "purchase_order_create": (False, True),
        "purchase_order_line_change": (False, True),
        "sales_order_promise": (False, False),
    }


def test_an_effect_is_due_on_the_earlier_of_old_and_new_day() -> None:
    assert facts("production_order_reschedule").due == dt.date(2026, 11, 16)
    assert facts("sales_order_promise", promised_date="2026-11-25").due == dt.date(2026, 11, 25)
    assert facts("purchase_order_create").due == dt.date(2026, 12, 9)


def test_a_day_that_was_never_set_cannot_be_brought_back() -> None:
    for name, field in (
        ("production_order_reschedule", "planned_start"),
        ("sales_order_promise", "promised_date"),
    ):
        type_ = TYPES[name]
        assert facts(name).reversible
        old = type_.sample_snapshot
        snapshot = dataclasses.replace(old, record=Record({**old.record.fields, field: None}))
        payload = type_.payload.model_validate_json(json.dumps(type_.sample))
        assert type_.reversal(payload, snapshot) is None
        assert not type_.facts(Case(payload, snapshot, {}, old.as_of.date())).reversible


def test_money_of_two_currencies_is_not_added() -> None:
    lines = [dict(line) for line in TYPES["purchase_order_create"].sample["lines"]]
    lines[1]["unit_price"] = {"amount": "1", "currency": "SEK"}
    assert facts("purchase_order_create", lines=lines).value is None


def test_a_task_reaches_the_floor_and_nothing_takes_it_back() -> None:
    told = facts("floor_task")
    assert (told.floor, told.books, told.reversible, told.value) == (True, False, False, None)
    assert told.due == dt.date(2026, 11, 27)
    assert outcome("floor_task").fields == TYPES["floor_task"].sample


def test_what_is_read_at_a_machine_has_no_control_characters() -> None:
    words = "Stop the line.\nSet the feed.\tStart."
    assert outcome("floor_task", instruction=words).fields["instruction"] == words
    for wrong in ("bell\u0007 and more words", "too short"):
        with pytest.raises(ValidationError):
            outcome("floor_task", instruction=wrong)
    with pytest.raises(ValidationError):
        outcome("floor_task", title="two\nlines")
