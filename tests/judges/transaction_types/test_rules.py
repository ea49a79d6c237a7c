"""Each rule of each transaction type, with a case that passes and a case that does not, as tables.

A row says what differs from the type's sample: `payload` and `fields` replace top-level names, `context` likewise
and which finding it must give, on which field, at which level. Today is the
day of the sample's snapshot, Monday 2026-11-23.
"""
# ruff: noqa: E501 a table reads better with one case a line

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
from decimal import Decimal
from typing import Any

import pytest

from integrations.contract import Case, Finding, Level, Record
from integrations.scan import transaction_types
from integrations.transaction_types import shared_rules

TYPES = transaction_types()
ERROR, WARNING = Level.ERROR, Level.WARNING


def findings(
    name: str,
    payload: dict[str, Any] | None = None,
    fields: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
    limits: dict[str, str] | None = None,
    lines: dict[str, Any] | None = None,
) -> list[Finding]:
    """What the rules say of the sample with these differences; a value of ... takes a name out."""
    type_ = TYPES[name]
    given = {k: v for k, v in {**type_.sample, **(payload or {})}.items() if v is not ...}
    old = type_.sample_snapshot
    snapshot = dataclasses.replace(
        old,
        record=Record({**old.record.fields, **(fields or {})}, {**old.record.lines, **(lines or {})}),
        context={**old.context, **(context or {})},
    )
    in_force = {limit.name: limit.default for limit in type_.limits}
    in_force |= {limit: Decimal(value) for limit, value in (limits or {}).items()}
    case = Case(type_.payload.model_validate_json(json.dumps(given)), snapshot, in_force, old.as_of.date())
    return [finding for rule in type_.rules for finding in rule(case)]


def line(**changed: Any) -> dict[str, Any]:
    """The payload of the sample's purchase order with its first line changed."""
    first, second = TYPES["purchase_order_create"].sample["lines"]
    return {"lines": [{**first, **changed}, second]}


def entry(**changed: Any) -> dict[str, Any]:
    """The context of the sample's purchase order with its first product's catalogue entry changed."""
    catalogue = TYPES["purchase_order_create"].sample_snapshot.context["catalogue"]
    return {"catalogue": {**catalogue, "1": {**catalogue["1"], **changed}}}


def supplier(**changed: Any) -> dict[str, Any]:
    """The context of the sample's purchase order with the supplier changed."""
    return {"supplier": {**TYPES["purchase_order_create"].sample_snapshot.context["supplier"], **changed}}


def units(value: str, unit: str = "Unit") -> dict[str, str]:
    return {"value": value, "unit": unit}


def square(value: str) -> dict[str, str]:
    return units(value, "Square metre")


def euro(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


def open_order(**changed: Any) -> dict[str, Any]:
    order = {"number": "PO-0029", "product": "1", "quantity": square("40"), "delivery_date": "2026-12-11"}
    return {"open_orders": [{**order, "state": "confirmed", **changed}]}


RESCHEDULE, QUANTITY = "production_order_reschedule", "production_order_quantity"
RELEASE, TASK = "production_order_release", "floor_task"
CREATE, CHANGE, PROMISE = "purchase_order_create", "purchase_order_line_change", "sales_order_promise"

Row = tuple[str, dict[str, Any], str, str, Level]

FOUND: list[Row] = [
    # type, what differs, finding, field, level
    (TASK, {"payload": {"due": "2026-11-22"}}, "dates.in_past", "due", ERROR),
    (TASK, {"payload": {"due": "2026-12-31"}}, "task.far_ahead", "due", WARNING),
    (TASK, {"payload": {"instruction": "Bypass the guard, then go on."}}, "task.machine_control", "instruction", WARNING),
    (TASK, {"payload": {"title": "Raise the set-point of zone 2"}}, "task.machine_control", "title", WARNING),
    (TASK, {"payload": {"check": "The INTERLOCKS are off."}}, "task.machine_control", "check", WARNING),
    (RESCHEDULE, {"context": {"state": "started"}}, "state.not_allowed", "", ERROR),
    (RESCHEDULE, {"context": {"state": "reserved"}}, "state.not_allowed", "", ERROR),
    (RESCHEDULE, {"context": {"state": "something new"}}, "state.not_allowed", "", ERROR),
    (RESCHEDULE, {"payload": {"planned_start": "2026-11-16", "planned_finish": "2026-11-19"}}, "change.none", "planned_start", ERROR),
    (RESCHEDULE, {"payload": {"planned_finish": "2026-12-04"}}, "dates.finish_before_start", "planned_finish", ERROR),
    (RESCHEDULE, {"payload": {"planned_start": "2026-11-20"}}, "dates.in_past", "planned_start", ERROR),
    (RESCHEDULE, {"payload": {"planned_start": "2026-11-18", "planned_finish": "2026-11-20"}}, "dates.in_past", "planned_finish", ERROR),
    (RESCHEDULE, {"payload": {"planned_start": "2026-12-05"}}, "dates.weekend", "planned_start", WARNING),
    (RESCHEDULE, {"payload": {"planned_finish": "2026-12-13"}}, "dates.weekend", "planned_finish", WARNING),
    (RESCHEDULE, {"payload": {"planned_start": "2027-12-06", "planned_finish": "2027-12-09"}}, "dates.far_move", "planned_start", WARNING),
    (RESCHEDULE, {"payload": {"planned_start": "2026-11-24"}}, "horizon.frozen", "planned_start", ERROR),
    (RESCHEDULE, {"payload": {"planned_start": "2026-12-01"}, "limits": {"frozen_days": "14"}}, "horizon.frozen", "planned_start", ERROR),
    (RESCHEDULE, {"fields": {"planned_start": "2026-11-24"}}, "horizon.leaves_gap", "planned_start", WARNING),
    (RESCHEDULE, {"fields": {"planned_start": "2026-11-23"}}, "horizon.leaves_gap", "planned_start", WARNING),
    (RESCHEDULE, {"payload": {"planned_finish": "2026-12-08"}}, "dates.less_time", "planned_finish", WARNING),
    (RESCHEDULE, {"payload": {"planned_finish": "2026-12-07"}}, "dates.less_time", "planned_finish", WARNING),
    (RESCHEDULE, {"context": {"needed_by": "2026-12-09"}}, "dates.after_needed", "planned_finish", WARNING),
    (RESCHEDULE, {"context": {"value": euro("20000.01")}}, "value.notable", "", WARNING),
    (QUANTITY, {"context": {"state": "done"}}, "state.not_allowed", "", ERROR),
    (QUANTITY, {"payload": {"quantity": units("24.000")}}, "change.none", "quantity", ERROR),
    (QUANTITY, {"payload": {"quantity": units("0")}}, "quantity.not_positive", "quantity", ERROR),
    (QUANTITY, {"payload": {"quantity": units("-3")}}, "quantity.not_positive", "quantity", ERROR),
    (QUANTITY, {"payload": {"quantity": units("30", "Dozen")}}, "quantity.unit_mismatch", "quantity", ERROR),
    (QUANTITY, {"payload": {"quantity": units("30.5")}}, "quantity.too_fine", "quantity", ERROR),
    (QUANTITY, {"payload": {"quantity": units("300")}}, "quantity.implausible", "quantity", ERROR),
    (QUANTITY, {"payload": {"quantity": units("4")}}, "quantity.implausible", "quantity", ERROR),
    (QUANTITY, {"payload": {"quantity": units("60")}}, "quantity.unusual", "quantity", WARNING),
    (QUANTITY, {"payload": {"quantity": units("60")}, "limits": {"largest_factor": "2"}}, "quantity.implausible", "quantity", ERROR),
    (QUANTITY, {"context": {"usual_quantity": "5"}}, "quantity.implausible", "quantity", ERROR),
    (QUANTITY, {"fields": {"planned_start": "2026-11-24"}}, "horizon.frozen", "order", ERROR),
    (QUANTITY, {"fields": {"planned_start": "2026-11-20"}}, "horizon.start_passed", "order", WARNING),
    (QUANTITY, {"lines": {"materials": [{"key": "9", "label": "Felt pad", "quantity": units("96")}]}}, "materials.not_in_bill", "quantity", WARNING),
    (QUANTITY, {"context": {"available": {"2": units("71")}}}, "materials.short", "quantity", WARNING),
    (QUANTITY, {"context": {"unit_value": euro("5000")}}, "value.notable", "quantity", WARNING),
    (RELEASE, {"context": {"state": "released"}}, "state.not_allowed", "", ERROR),
    (RELEASE, {"fields": {"planned_start": None}}, "dates.no_start", "order", WARNING),
    (RELEASE, {"fields": {"planned_start": "2026-11-20"}}, "dates.start_passed", "order", WARNING),
    (RELEASE, {"fields": {"planned_start": "2026-12-08"}}, "dates.released_early", "order", WARNING),
    (RELEASE, {"limits": {"usual_release_days": "3"}}, "dates.released_early", "order", WARNING),
    (RELEASE, {"context": {"short": None}}, "materials.unknown", "order", WARNING),
    (RELEASE, {"context": {"short": [{"label": "Felt pad", "missing": units("96")}]}}, "materials.short", "order", WARNING),
    (RELEASE, {"context": {"value": euro("20000.01")}}, "value.notable", "", WARNING),
    (CREATE, {"context": {"supplier": None}}, "supplier.unknown", "supplier", ERROR),
    (CREATE, {"context": supplier(active=False)}, "supplier.inactive", "supplier", ERROR),
    (CREATE, {"payload": line(product="77")}, "product.unknown", "lines.0.product", ERROR),
    (CREATE, {"context": entry(supplied=False)}, "product.not_supplied", "lines.0.product", ERROR),
    (CREATE, {"payload": line(quantity=square("0.00"))}, "quantity.not_positive", "lines.0.quantity", ERROR),
    (CREATE, {"payload": line(quantity=units("40"))}, "quantity.unit_mismatch", "lines.0.quantity", ERROR),
    (CREATE, {"payload": line(quantity=square("40.005"))}, "quantity.too_fine", "lines.0.quantity", ERROR),
    (CREATE, {"payload": line(quantity=square("351"))}, "quantity.implausible", "lines.0.quantity", ERROR),
    (CREATE, {"payload": line(quantity=square("200"))}, "quantity.unusual", "lines.0.quantity", WARNING),
    (CREATE, {"payload": line(quantity=square("9.99")), "context": entry(usual_quantity="12")}, "quantity.below_minimum", "lines.0.quantity", WARNING),
    (CREATE, {"context": supplier(currency="SEK")}, "price.currency_mismatch", "lines.0.unit_price", ERROR),
    (CREATE, {"payload": line(unit_price={"amount": "340.00", "currency": "SEK"})}, "price.currency_mismatch", "lines.0.unit_price", ERROR),
    (CREATE, {"payload": line(unit_price={"amount": "340.00", "currency": "SEK"})}, "price.two_currencies", "lines.1.unit_price", ERROR),
    (CREATE, {"payload": line(unit_price=euro("-1"))}, "price.negative", "lines.0.unit_price", ERROR),
    (CREATE, {"payload": line(unit_price=euro("45.00"))}, "price.implausible", "lines.0.unit_price", ERROR),
    (CREATE, {"payload": line(unit_price=euro("3.15"))}, "price.implausible", "lines.0.unit_price", ERROR),
    (CREATE, {"payload": line(unit_price=euro("33.00"))}, "price.moved", "lines.0.unit_price", WARNING),
    (CREATE, {"payload": line(unit_price=euro("33.00")), "limits": {"largest_price_move": "5"}}, "price.implausible", "lines.0.unit_price", ERROR),
    (CREATE, {"context": entry(last_price=None)}, "price.no_last_price", "lines.0.unit_price", WARNING),
    (CREATE, {"payload": line(delivery_date="2026-11-20")}, "dates.in_past", "lines.0.delivery_date", ERROR),
    (CREATE, {"payload": line(delivery_date="2026-12-12")}, "dates.weekend", "lines.0.delivery_date", WARNING),
    (CREATE, {"payload": line(delivery_date="2027-12-09")}, "dates.far_move", "lines.0.delivery_date", WARNING),
    (CREATE, {"payload": line(delivery_date="2026-12-04")}, "dates.within_lead_time", "lines.0.delivery_date", WARNING),
    (CREATE, {"payload": line(product="2", quantity=units("4000"), unit_price=euro("0.0405"))}, "lines.repeated", "lines.1.product", WARNING),
    (CREATE, {"context": open_order()}, "duplicate.open_order", "lines.0.product", ERROR),
    (CREATE, {"context": open_order(delivery_date=None)}, "duplicate.open_order", "lines.0.product", ERROR),
    (CREATE, {"context": open_order(quantity=square("12"))}, "duplicate.also_on_order", "lines.0.product", WARNING),
    (CREATE, {"context": open_order(delivery_date="2027-02-01")}, "duplicate.also_on_order", "lines.0.product", WARNING),
    (CREATE, {"context": open_order(delivery_date="2027-02-01"), "limits": {"duplicate_days": "90"}}, "duplicate.open_order", "lines.0.product", ERROR),
    (CREATE, {"limits": {"notable_value": "1464.99"}}, "value.notable", "lines", WARNING),
    (CHANGE, {"context": {"state": "cancelled"}}, "state.not_allowed", "", ERROR),
    (CHANGE, {"context": {"state": "processing"}}, "state.with_supplier", "order", WARNING),
    (CHANGE, {"payload": {"quantity": units("40.0"), "unit_price": ..., "delivery_date": ...}}, "change.none", "quantity", ERROR),
    (CHANGE, {"payload": {"quantity": ..., "unit_price": euro("12.4"), "delivery_date": ...}}, "change.none", "unit_price", ERROR),
    (CHANGE, {"payload": {"quantity": ..., "unit_price": ..., "delivery_date": "2026-12-04"}}, "change.none", "delivery_date", ERROR),
    (CHANGE, {"payload": {"quantity": units("0")}}, "quantity.not_positive", "quantity", ERROR),
    (CHANGE, {"payload": {"quantity": units("60", "Pair")}}, "quantity.unit_mismatch", "quantity", ERROR),
    (CHANGE, {"payload": {"quantity": units("60.5")}}, "quantity.too_fine", "quantity", ERROR),
    (CHANGE, {"payload": {"quantity": units("401")}}, "quantity.implausible", "quantity", ERROR),
    (CHANGE, {"payload": {"quantity": units("160")}}, "quantity.unusual", "quantity", WARNING),
    (CHANGE, {"context": {"received": units("61")}}, "quantity.below_received", "quantity", ERROR),
    (CHANGE, {"payload": {"unit_price": {"amount": "12.60", "currency": "USD"}}}, "price.currency_mismatch", "unit_price", ERROR),
    (CHANGE, {"payload": {"unit_price": euro("126")}}, "price.implausible", "unit_price", ERROR),
    (CHANGE, {"payload": {"unit_price": euro("13.10")}}, "price.moved", "unit_price", WARNING),
    (CHANGE, {"payload": {"unit_price": euro("-0.01")}}, "price.negative", "unit_price", ERROR),
    (CHANGE, {"context": {"last_price": None}, "payload": {"unit_price": euro("20.00")}}, "price.implausible", "unit_price", ERROR),
    (CHANGE, {"payload": {"delivery_date": "2026-11-22"}}, "dates.in_past", "delivery_date", ERROR),
    (CHANGE, {"payload": {"delivery_date": "2026-12-13"}}, "dates.weekend", "delivery_date", WARNING),
    (CHANGE, {"payload": {"delivery_date": "2027-03-12"}}, "dates.far_move", "delivery_date", WARNING),
    (CHANGE, {"payload": {"delivery_date": "2026-12-01"}}, "dates.within_lead_time", "delivery_date", WARNING),
    (CHANGE, {"limits": {"notable_value": "259.99"}}, "value.notable", "", WARNING),
    (PROMISE, {"context": {"state": "done"}}, "state.not_allowed", "", ERROR),
    (PROMISE, {"fields": {"promised_date": "2026-12-08"}}, "change.none", "promised_date", ERROR),
    (PROMISE, {"payload": {"promised_date": "2026-11-20"}}, "dates.in_past", "promised_date", ERROR),
    (PROMISE, {"payload": {"promised_date": "2026-12-12"}}, "dates.weekend", "promised_date", WARNING),
    (PROMISE, {"payload": {"promised_date": "2027-02-08"}}, "dates.far_move", "promised_date", WARNING),
    (PROMISE, {"payload": {"promised_date": "2026-12-04"}}, "promise.before_ready", "promised_date", ERROR),
    (PROMISE, {"context": {"ready_date": None}}, "promise.ready_unknown", "promised_date", WARNING),
    (PROMISE, {"payload": {"promised_date": "2026-12-11"}}, "promise.after_wish", "promised_date", WARNING),
    (PROMISE, {"context": {"shipped": True}}, "promise.partly_shipped", "order", WARNING),
    (PROMISE, {"fields": {"total": euro("20000.01")}}, "value.notable", "", WARNING),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "differs", "finding", "field", "level"),
    FOUND,
    ids=[f"{row[0]}-{row[2]}-{number}" for number, row in enumerate(FOUND)],
)
def test_a_rule_finds_what_is_wrong_and_says_where_and_what_would_be_right(
    name: str, differs: dict[str, Any], finding: str, field: str, level: Level
) -> None:
    found = [f for f in findings(name, **differs) if f.id == finding]
    assert (field, level) in {(f.field, f.level) for f in found}
    assert all(f.text and f.hint for f in found)


PASSES: list[tuple[str, dict[str, Any], str]] = [
    # type, what differs, finding that must not be there
    (TASK, {"payload": {"check": "The joggled edge is smooth."}}, "task.machine_control"),
    (RESCHEDULE, {"context": {"state": "draft"}}, "state.not_allowed"),
    (RESCHEDULE, {"context": {"state": "requested"}}, "state.not_allowed"),
    (RESCHEDULE, {"payload": {"planned_finish": "2026-12-07"}}, "dates.finish_before_start"),
    (RESCHEDULE, {"payload": {"planned_start": "2026-11-23"}}, "dates.in_past"),
    (RESCHEDULE, {"payload": {"planned_start": "2026-11-25"}}, "horizon.frozen"),
    (RESCHEDULE, {"payload": {"planned_start": "2026-11-24"}, "limits": {"frozen_days": "0"}}, "horizon.frozen"),
    (RESCHEDULE, {"payload": {"planned_start": "2026-11-24"}, "fields": {"planned_start": "2026-11-24"}}, "horizon.frozen"),
    (RESCHEDULE, {"fields": {"planned_start": "2026-11-20"}}, "horizon.leaves_gap"),
    (RESCHEDULE, {"fields": {"planned_start": "2026-11-25"}}, "horizon.leaves_gap"),
    (RESCHEDULE, {"fields": {"planned_start": None, "planned_finish": None}}, "dates.less_time"),
    (RESCHEDULE, {}, "dates.less_time"),
    (RESCHEDULE, {"context": {"needed_by": "2026-12-10"}}, "dates.after_needed"),
    (RESCHEDULE, {"context": {"needed_by": None}}, "dates.after_needed"),
    (RESCHEDULE, {"context": {"value": euro("20000.00")}}, "value.notable"),
    (QUANTITY, {"payload": {"quantity": units("48")}}, "quantity.unusual"),
    (QUANTITY, {"payload": {"quantity": units("120")}}, "quantity.implausible"),
    (QUANTITY, {"payload": {"quantity": units("30.5")}, "context": {"unit_digits": 1}}, "quantity.too_fine"),
    (QUANTITY, {"fields": {"planned_start": "2026-11-25"}}, "horizon.frozen"),
    (QUANTITY, {"fields": {"planned_start": None}}, "horizon.frozen"),
    (QUANTITY, {"context": {"available": {"2": units("72")}}}, "materials.short"),
    (QUANTITY, {"context": {"available": {}}}, "materials.short"),
    (QUANTITY, {"fields": {"planned_start": "2026-11-23"}}, "horizon.start_passed"),
    (QUANTITY, {"payload": {"quantity": units("24")}, "context": {"available": {"2": units("-5")}}}, "materials.short"),
    (QUANTITY, {"payload": {"quantity": units("12")}, "context": {"available": {"2": units("-5")}}}, "materials.short"),
    (QUANTITY, {"context": {"bom": []}, "lines": {"materials": [{"key": "9", "label": "Felt", "quantity": units("9")}]}}, "materials.not_in_bill"),
    (CREATE, {"payload": line(quantity=square("105"))}, "quantity.unusual"),
    (CREATE, {"payload": line(quantity=square("350"))}, "quantity.implausible"),
    (CREATE, {"payload": line(quantity=square("10"))}, "quantity.below_minimum"),
    (CREATE, {"payload": line(unit_price=euro("32.76"))}, "price.moved"),
    (CREATE, {"payload": line(unit_price=euro("40.56"))}, "price.implausible"),
    (CREATE, {"payload": line(delivery_date="2026-12-05")}, "dates.within_lead_time"),
    (CREATE, {"context": entry(lead_days=None), "payload": line(delivery_date="2026-11-24")}, "dates.within_lead_time"),
    (CREATE, {"context": open_order(product="2", quantity=units("9"))}, "duplicate.open_order"),
    (CREATE, {"context": open_order(product="5")}, "duplicate.also_on_order"),
    (CREATE, {"limits": {"notable_value": "1465"}}, "value.notable"),
    (CHANGE, {"context": {"state": "draft"}}, "state.with_supplier"),
    (CHANGE, {"payload": {"quantity": units("40"), "delivery_date": "2026-12-11"}}, "change.none"),
    (CHANGE, {"context": {"received": units("60")}}, "quantity.below_received"),
    (CHANGE, {"payload": {"quantity": ...}, "context": {"received": units("61")}}, "quantity.below_received"),
    (CHANGE, {"payload": {"unit_price": euro("13.02")}}, "price.moved"),
    (CHANGE, {"payload": {"quantity": units("400")}}, "quantity.implausible"),
    (CHANGE, {"payload": {"delivery_date": "2026-12-03"}}, "dates.within_lead_time"),
    (PROMISE, {"payload": {"promised_date": "2026-12-07"}}, "promise.before_ready"),
    (PROMISE, {"payload": {"promised_date": "2026-12-10"}}, "promise.after_wish"),
    (PROMISE, {"fields": {"requested_date": None}, "payload": {"promised_date": "2026-12-18"}}, "promise.after_wish"),
    (PROMISE, {"fields": {"promised_date": None}}, "dates.far_move"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "differs", "finding"),
    PASSES,
    ids=[f"{row[0]}-{row[2]}-{number}" for number, row in enumerate(PASSES)],
)
def test_a_rule_is_silent_up_to_its_bound(name: str, differs: dict[str, Any], finding: str) -> None:
    assert finding not in {f.id for f in findings(name, **differs)}


def test_every_message_of_every_rule_is_in_a_table() -> None:
    """A new message without a case fails here; `context.missing` and `state.locked` are cases of every type."""
    told: set[str] = set()
    modules = [shared_rules, *(inspect.getmodule(type_.payload) for type_ in TYPES.values())]
    for module in modules:
        assert module is not None
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
                assert isinstance(node.args[0], ast.Constant)
                told.add(str(node.args[0].value))
    assert told - {row[2] for row in FOUND} == {"context.missing", "state.locked"}


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        (RESCHEDULE, {"state", "needed_by"}),
        (QUANTITY, {"state", "bom"}),
        (RELEASE, {"state", "short"}),
        (CREATE, {"supplier", "catalogue", "open_orders"}),
        (CHANGE, {"state", "currency", "last_price", "received"}),
        (PROMISE, {"state", "ready_date"}),
    ],
)
def test_each_required_part_of_the_context_is_missed_by_name(name: str, missing: set[str]) -> None:
    type_ = TYPES[name]
    limits = {limit.name: limit.default for limit in type_.limits}
    payload = type_.payload.model_validate_json(json.dumps(type_.sample))
    for part in missing:
        context = {k: v for k, v in type_.sample_snapshot.context.items() if k != part}
        snapshot = dataclasses.replace(type_.sample_snapshot, context=context)
        case = Case(payload, snapshot, limits, snapshot.as_of.date())
        found = [f for rule in type_.rules for f in rule(case) if f.id == "context.missing"]
        assert [part in f.hint for f in found] == [True]


def test_a_line_change_must_change_something_given() -> None:
    with pytest.raises(ValueError, match="at least one of quantity, unit_price and delivery_date"):
        findings(CHANGE, {"quantity": ..., "unit_price": ..., "delivery_date": ...})


@pytest.mark.parametrize(("lines", "right"), [(0, False), (1, True), (50, True), (51, False)])
def test_a_purchase_order_has_one_to_fifty_lines(lines: int, right: bool) -> None:
    first = TYPES[CREATE].sample["lines"][0]
    payload = {"lines": [first] * lines}
    if right:
        findings(CREATE, payload)
    else:
        with pytest.raises(ValueError, match="item"):
            findings(CREATE, payload)
