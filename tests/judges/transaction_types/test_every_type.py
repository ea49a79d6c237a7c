"""What holds for every transaction type, whatever it does."""

from __future__ import annotations

import ast
import dataclasses
import datetime as dt
import inspect
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from console.diff import differences
from integrations.contract import Case, Finding, Kind, Level, Money, Quantity, TransactionType
from integrations.scan import transaction_types
from integrations.transaction_types import shared_rules

TYPES = transaction_types()
EVERY = pytest.mark.parametrize("type_", TYPES.values(), ids=list(TYPES))


def parsed(type_: TransactionType, payload: Any) -> Any:
    return type_.payload.model_validate_json(json.dumps(payload))


def sample_case(type_: TransactionType) -> Case:
    """The sample, judged on the day of its snapshot with the limits as they come."""
    limits = {limit.name: limit.default for limit in type_.limits}
    snapshot = type_.sample_snapshot
    return Case(parsed(type_, type_.sample), snapshot, limits, snapshot.as_of.date())


def judged(case: Case, type_: TransactionType) -> list[Finding]:
    return [finding for rule in type_.rules for finding in rule(case)]


def test_there_are_the_types_that_the_console_promises() -> None:
    assert set(TYPES) == {
        "floor_task",
        "production_order_reschedule",
        "production_order_quantity",
        "production_order_release",
        "purchase_order_create",
        "purchase_order_line_change",
        "sales_order_promise",
    }


@EVERY
def test_a_sample_is_right_for_its_snapshot(type_: TransactionType) -> None:
    case = sample_case(type_)
    assert [f for f in judged(case, type_) if f.level is not Level.INFO] == []
    assert type_.target(case.payload) in {type_.sample_snapshot.target, None}


@EVERY
def test_a_type_is_named_after_its_file_and_explains_itself(type_: TransactionType) -> None:
    module = inspect.getmodule(type_.payload)
    assert module is not None
    assert module.__name__.rsplit(".", 1)[-1] == type_.name
    assert module.__doc__
    assert "context" in module.__doc__
    assert type_.version == 1
    assert type_.title
    assert type_.summary.endswith(".")


@EVERY
def test_the_schema_describes_every_field_to_an_agent(type_: TransactionType) -> None:
    schema = type_.payload.model_json_schema()
    assert schema["additionalProperties"] is False
    for name, described in schema["properties"].items():
        assert described.get("description"), name


@EVERY
def test_the_outcome_is_what_the_payload_says_and_nothing_else(type_: TransactionType) -> None:
    case = sample_case(type_)
    outcome = type_.outcome(case.payload, case.snapshot)
    assert set(outcome.fields) <= {f.path for f in type_.fields}
    assert outcome == type_.outcome(case.payload, case.snapshot)
    for field in type_.fields:
        path = field.path if field.payload_path is None else field.payload_path
        if not path or "[]." in path or path not in case.payload.model_fields_set:
            continue
        value = getattr(case.payload, path)
        expected = value.isoformat() if isinstance(value, dt.date) else value
        expected = value.model_dump() if isinstance(value, (Money, Quantity)) else expected
        assert outcome.fields[field.path] == expected
    assert differences(outcome, outcome, type_.fields, base=case.snapshot.record) == ()
    assert differences(outcome, case.snapshot.record, type_.fields, base=case.snapshot.record) != ()


@EVERY
def test_a_reversal_brings_the_record_back(type_: TransactionType) -> None:
    case = sample_case(type_)
    back = type_.reversal(case.payload, case.snapshot)
    if back is None:
        assert type_.facts(case).reversible is False
        return
    after = dataclasses.replace(case.snapshot, record=type_.outcome(case.payload, case.snapshot))
    restored = type_.outcome(parsed(type_, back), after)
    for field in type_.fields:
        if field.payload_path != "" and "[]." not in field.path:
            assert restored.fields[field.path] == case.snapshot.record.fields[field.path]


@EVERY
def test_fields_name_where_the_payload_carries_them(type_: TransactionType) -> None:
    for field in type_.fields:
        path = field.path if field.payload_path is None else field.payload_path
        assert field.label
        if path:
            assert path.split("[].")[0] in type_.payload.model_fields
        else:
            assert not field.amendable
        assert field.tolerance == 0 or field.kind in {Kind.MONEY, Kind.QUANTITY}


@EVERY
def test_limits_start_within_their_bounds(type_: TransactionType) -> None:
    for limit in type_.limits:
        assert limit.least <= limit.default <= limit.most
        assert limit.wider in {"up", "down"}
        assert limit.label
        assert limit.unit


@EVERY
def test_context_that_is_missing_is_an_error_and_crashes_no_rule(type_: TransactionType) -> None:
    case = sample_case(type_)
    blind = dataclasses.replace(case, snapshot=dataclasses.replace(case.snapshot, context={}))
    errors = [f for f in judged(blind, type_) if f.level is Level.ERROR]
    # A task is about no record of a system, so there is nothing that could be missing.
    assert {f.id for f in errors} == ({"context.missing"} if case.snapshot.context else set())
    assert all("could not be checked" in f.text for f in errors)
    type_.facts(blind)
    type_.outcome(blind.payload, blind.snapshot)


@EVERY
def test_a_record_the_system_holds_locked_is_refused(type_: TransactionType) -> None:
    case = sample_case(type_)
    context = {**case.snapshot.context, "locked": "Stocktaking"}
    locked = dataclasses.replace(case, snapshot=dataclasses.replace(case.snapshot, context=context))
    found = [f for f in judged(locked, type_) if f.id == "state.locked"]
    assert [f.level for f in found] == [Level.ERROR]
    assert "Stocktaking" in found[0].text


@EVERY
def test_rules_read_no_clock_and_no_outside_world(type_: TransactionType) -> None:
    module = inspect.getmodule(type_.payload)
    assert module is not None
    for source in (inspect.getsource(module), inspect.getsource(shared_rules)):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = (
                    [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
                )
                assert {name.split(".")[0] for name in names} <= {
                    "__future__",
                    "collections",
                    "datetime",
                    "decimal",
                    "integrations",
                    "pydantic",
                    "re",
                    "typing",
                }
            if isinstance(node, ast.Attribute):
                assert node.attr not in {"today", "now", "utcnow", "random"} or "case" in ast.unparse(node)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path, value


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


FULLWIDTH_SEVEN = "\uff17"
WRONG_KINDS: list[Any] = [None, 7, 1.5, True, [], {}, "", "\u0000", "a" * 10_000, FULLWIDTH_SEVEN, "\u202e1"]
WRONG_NUMBERS_AND_DAYS = ["2026-02-30", "NaN", "1e5", " 1", "-", "12 EUR"]


@EVERY
@pytest.mark.parametrize("stranger", [*WRONG_KINDS, *WRONG_NUMBERS_AND_DAYS], ids=repr)
def test_no_stranger_in_any_place_is_taken_for_a_value(type_: TransactionType, stranger: Any) -> None:
    for path, value in leaves(dict(type_.sample)):
        free_text = path[-1] in {"unit", "note"} or (type_.name == "floor_task" and path[-1] != "due")
        a_key = path[-1] in {"order", "line", "product", "supplier"}
        if isinstance(stranger, str) and (free_text or (a_key and stranger in WRONG_NUMBERS_AND_DAYS)):
            continue
        if stranger is None and type_.name == "purchase_order_line_change" and len(path) == 1:
            continue  # null stands for left out
        assert value != stranger
        with pytest.raises(ValidationError) as faults:
            parsed(type_, replaced(dict(type_.sample), path, stranger))
        assert str(path[0]) in {str(fault["loc"][0]) for fault in faults.value.errors() if fault["loc"]}


@pytest.mark.parametrize("note", ["\u0000", "bell\u0007", "a" * 501, 7, None])
def test_a_note_is_short_and_has_no_control_characters(note: Any) -> None:
    type_ = TYPES["purchase_order_create"]
    with pytest.raises(ValidationError):
        parsed(type_, {**type_.sample, "note": note})
    assert parsed(type_, {**type_.sample, "note": " two\nlines "}).note == "two\nlines"


@EVERY
def test_unknown_fields_are_refused_by_name(type_: TransactionType) -> None:
    with pytest.raises(ValidationError, match="approve"):
        parsed(type_, {**type_.sample, "approve": True})


@EVERY
def test_all_faults_are_told_at_once(type_: TransactionType) -> None:
    wrong = {name: {"value": 1.5} for name in type_.sample}
    with pytest.raises(ValidationError) as faults:
        parsed(type_, wrong)
    assert {str(f["loc"][0]) for f in faults.value.errors() if f["loc"]} >= set(type_.sample)


@EVERY
@pytest.mark.parametrize("year", ["1999", "2100", "9999", "0001"])
def test_days_outside_this_century_are_refused(type_: TransactionType, year: str) -> None:
    days = [path for path, value in leaves(dict(type_.sample)) if str(value).startswith("2026-")]
    for path in days:
        with pytest.raises(ValidationError):
            parsed(type_, replaced(dict(type_.sample), path, f"{year}-06-01"))


@EVERY
@settings(deadline=None)
@given(data=st.data())
def test_whatever_is_well_formed_is_judged_without_a_crash(
    type_: TransactionType, data: st.DataObject
) -> None:
    payload: Any = dict(type_.sample)
    for path, value in leaves(dict(type_.sample)):
        if path[-1] in {"value", "amount"}:
            new: Any = data.draw(decimals())
        elif path[-1] == "unit":
            new = data.draw(st.sampled_from([value, "Kilogram"]))
        elif path[-1] == "currency":
            new = data.draw(st.sampled_from([value, "SEK"]))
        elif str(value).startswith("2026-"):
            new = data.draw(st.dates(dt.date(2000, 1, 1), dt.date(2099, 12, 31))).isoformat()
        else:
            continue
        payload = replaced(payload, path, new)
    case = dataclasses.replace(sample_case(type_), payload=parsed(type_, payload))
    for finding in judged(case, type_):
        assert finding.text
        assert finding.hint
        assert finding.id.count(".") == 1
        names = finding.field.split(".")
        assert names[0] in type_.payload.model_fields or finding.field == ""
    type_.facts(case)
    json.dumps([dict(type_.outcome(case.payload, case.snapshot).fields)], allow_nan=False)
    back = type_.reversal(case.payload, case.snapshot)
    if back is not None:
        parsed(type_, dict(back))


def decimals() -> st.SearchStrategy[str]:
    """Every decimal text that the contract allows."""
    return st.from_regex(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,6})?", fullmatch=True, alphabet="-.0123456789")


@settings(deadline=None)
@given(decimals())
def test_decimals_are_kept_digit_by_digit(text: str) -> None:
    quantity = Quantity.model_validate_json(json.dumps({"value": text, "unit": "Unit"}))
    assert quantity.value == text
    assert json.loads(quantity.model_dump_json())["value"] == text
    money = Money.model_validate_json(json.dumps({"amount": text, "currency": "EUR"}))
    assert Decimal(money.amount) == Decimal(text)


@settings(deadline=None)
@given(st.one_of(st.floats(), st.integers(), st.booleans(), st.none()))
def test_numbers_that_are_not_text_are_refused(value: object) -> None:
    for model, name, rest in ((Quantity, "value", {"unit": "Unit"}), (Money, "amount", {"currency": "EUR"})):
        with pytest.raises(ValidationError):
            model.model_validate_json(json.dumps({name: value, **rest}))


@settings(deadline=None)
@given(st.text(st.characters(categories=["Nd"], exclude_characters="0123456789"), min_size=1, max_size=5))
def test_digits_of_other_scripts_are_refused(text: str) -> None:
    for lookalike in (text, f"1{text}", f"1.{text}"):
        with pytest.raises(ValidationError):
            Quantity.model_validate_json(json.dumps({"value": lookalike, "unit": "Unit"}))


@pytest.mark.parametrize(
    "text",
    [
        *("1e3", "1E3", "NaN", "Infinity", "-Infinity", "+1", "01", ".5", "1.", "1,5", "1 000", "1_000"),
        *("0x1", "1\n", "--1", "1" * 16, "0.1234567"),
    ],
)
def test_other_ways_to_write_a_number_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Quantity.model_validate_json(json.dumps({"value": text, "unit": "Unit"}))
