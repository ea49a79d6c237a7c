"""What goes wrong in each transaction type, and the wrong copies of a payload that it makes. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from console import checks
from console.canonical import canonical
from console.lifecycle.frozen import snapshot_from
from console.models import Assessment
from integrations.contract import Case, Kind, Level, TransactionType


@dataclass(frozen=True)
class Slip:
    """One way to be wrong: its name, the wrong value (JSON), and what happened in words."""

    rule: str
    wrong: Any
    words: str


@dataclass(frozen=True)
class Variant:
    """A wrong copy of a payload: what `SeededTest` keeps of it, and how many warnings the checks give it."""

    payload: Mapping[str, Any]
    path: str
    label: str
    right: Any
    slip: Slip
    look: str
    warnings: int


def numbers(value: Any, _others: Sequence[str]) -> Iterator[Slip]:
    """A digit too many, counted twice, two digits swapped, a digit too few. The unit stays, so it may be its slip."""
    key = "amount" if "amount" in value else "value"
    right = Decimal(value[key])
    places = -int(right.as_tuple().exponent)
    for rule, words, wrong in (
        ("ten_times", "ten times too much, a digit or the unit slipped", right * 10),
        ("twice", "twice as much, as if it were counted twice", right * 2),
        ("swapped_digits", "the first two digits are swapped", _swapped(right)),
        ("a_tenth", "a tenth of what it should be, a digit or the unit slipped", right / 10),
    ):
        text = format(wrong.quantize(Decimal(1).scaleb(-places)) if places > 0 else wrong, "f")
        if wrong > 0 and Decimal(text) == wrong and wrong != right:
            yield Slip(rule, {**value, key: text}, words)


def days(value: Any, _others: Sequence[str]) -> Iterator[Slip]:
    """Day and month swapped, a month late, a month early, a year late."""
    right = dt.date.fromisoformat(value)
    if right.day <= 12 and right.day != right.month:  # noqa: PLR2004 there are twelve months
        swapped = dt.date(right.year, right.day, right.month)
        yield Slip("swapped_day", swapped.isoformat(), "day and month are swapped")
    for rule, words, moved in (
        ("a_month_late", "a month too late", _months(right, 1)),
        ("a_month_early", "a month too early", _months(right, -1)),
        ("a_year_late", "a year too late", _months(right, 12)),
    ):
        yield Slip(rule, moved.isoformat(), words)


def another(value: Any, others: Sequence[str]) -> Iterator[Slip]:
    """Another record than the one that was meant."""
    for other in others:
        if other != value:
            yield Slip("another_record", other, "another record than the one that was meant")


def number_in_words(value: Any, _others: Sequence[str]) -> Iterator[Slip]:
    """The first number of a text, with a digit too many."""
    for place, letter in enumerate(value):
        if letter in "123456789":
            end = place
            while end < len(value) and value[end].isdigit():
                end += 1
            yield Slip("ten_times", f"{value[:end]}0{value[end:]}", "a number in it has a digit too many")
            return


Slips = Callable[[Any, Sequence[str]], Iterator[Slip]]

SLIPS: Mapping[str, tuple[tuple[str, Slips], ...]] = {
    "purchase_order_create": (
        ("lines.0.quantity", numbers),
        ("lines.0.unit_price", numbers),
        ("lines.0.delivery_date", days),
    ),
    "purchase_order_line_change": (("quantity", numbers), ("unit_price", numbers), ("delivery_date", days)),
    "production_order_quantity": (("quantity", numbers),),
    "production_order_reschedule": (("planned_finish", days), ("planned_start", days)),
    "production_order_release": (("order", another),),
    "sales_order_promise": (("promised_date", days),),
    "floor_task": (("instruction", number_in_words), ("due", days)),
}
"""What goes wrong in each transaction type: payload path and slips. Other types go by the kinds of their fields."""

BY_KIND: Mapping[Kind, Slips] = {Kind.QUANTITY: numbers, Kind.MONEY: numbers, Kind.DATE: days}

LOOK: Mapping[Slips, str] = {
    numbers: "Read the number with its unit, and compare it with what the system has now and with what is usual.",
    days: "Read day, month and year, and compare them with the date in the system and with when it is needed.",
    another: "Compare the record with the one that the agent's reason names.",
    number_in_words: "Compare each number with what the check afterwards is to show.",
}


def variants(
    type_: TransactionType,
    payload: Mapping[str, Any],
    *,
    assessment: Assessment,
    of_type: Mapping[str, Decimal],
    others: Sequence[str] = (),
    today: dt.date,
) -> list[Variant]:
    """Wrong copies that the checks let through, the hardest to see first: those with the fewest warnings."""
    found = []
    snapshot = snapshot_from(assessment.snapshot)
    right_case = _outcome(type_, payload, snapshot)
    for path, slips in ways(type_):
        right = _at(payload, path)
        if right is None:
            continue
        for slip in slips(right, others):
            wrong = _with(payload, path, slip.wrong)
            try:
                parsed = type_.payload.model_validate_json(canonical(wrong))
                findings = checks.run(
                    type_, Case(payload=parsed, snapshot=snapshot, limits=of_type, today=today)
                )
            except (ValidationError, ValueError):
                continue
            elsewhere = (
                slips is another
            )  # judged on its own record by the assessment; this snapshot is of another
            if not elsewhere and (
                checks.worst(findings) is Level.ERROR or _outcome(type_, wrong, snapshot) == right_case
            ):
                continue
            warnings = sum(one.level is Level.WARNING for one in findings)
            found.append(Variant(wrong, path, _label(type_, path), right, slip, LOOK[slips], warnings))
    return sorted(found, key=lambda one: one.warnings)


def ways(type_: TransactionType) -> Sequence[tuple[str, Slips]]:
    """Where a payload of this type goes wrong and how; empty where no test of attention can be made of it."""
    return SLIPS.get(type_.name) or [
        (field.payload_path if field.payload_path is not None else field.path, BY_KIND[field.kind])
        for field in type_.fields
        if field.critical and field.kind in BY_KIND and "[]" not in field.path and field.payload_path != ""
    ]


def _outcome(type_: TransactionType, payload: Mapping[str, Any], snapshot: Any) -> Any:
    return type_.outcome(type_.payload.model_validate_json(canonical(payload)), snapshot)


def _at(payload: Any, path: str) -> Any:
    for part in path.split("."):
        payload = payload[int(part)] if part.isdigit() else payload.get(part)
        if payload is None:
            return None
    return payload


def _with(payload: Any, path: str, value: Any) -> Any:
    """A copy with another value at one place."""
    head, _, rest = path.partition(".")
    if head.isdigit():
        made = list(payload)
        made[int(head)] = _with(payload[int(head)], rest, value) if rest else value
        return made
    return {**payload, head: _with(payload[head], rest, value) if rest else value}


def _label(type_: TransactionType, path: str) -> str:
    plain = path.replace(".0.", "[].")
    for field in type_.fields:
        if plain in {field.path, field.payload_path}:
            return field.label
    return path.replace("_", " ").capitalize()


def words(value: Any) -> str:
    """A value as a sentence names it."""
    if isinstance(value, Mapping):
        return " ".join(str(part) for part in value.values())
    return str(value)[:80]


def _swapped(right: Decimal) -> Decimal:
    """The digits after the point stay where they are."""
    _, digits_of, places = right.as_tuple()
    digits = list(digits_of)
    if len(digits) > 1:
        digits[0], digits[1] = digits[1], digits[0]
    return Decimal((0, tuple(digits), int(places)))


def _months(day: dt.date, months: int) -> dt.date:
    """The same day some months on, or the last of that month; a weekend becomes the Monday after."""
    month = day.month - 1 + months
    year, month = day.year + month // 12, month % 12 + 1
    last = (dt.date(year + month // 12, month % 12 + 1, 1) - dt.timedelta(days=1)).day
    moved = dt.date(year, month, min(day.day, last))
    return moved + dt.timedelta(days=max(0, 7 - moved.weekday()) if moved.weekday() > 4 else 0)  # noqa: PLR2004 Friday
