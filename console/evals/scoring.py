"""Right or wrong: what an agent proposed, against what would have been right. Pure; the same always scores the same.

An outcome is a payload of the transaction type, or None for "nothing should be done", which is an answer like any
other. Each field is compared by its kind: text that names something exactly, decimals within a tolerance, quantities
in one unit, dates within days, lines as a set. Free text is never judged.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from integrations.contract import Field, Kind, TransactionType

UNITS: Mapping[str, tuple[str, Decimal]] = {
    **{
        name: ("mass in g", Decimal(size))
        for name, size in (("mg", "0.001"), ("g", 1), ("kg", 1000), ("t", 1000000))
    },
    **{
        name: ("length in mm", Decimal(size))
        for name, size in (("mm", 1), ("cm", 10), ("dm", 100), ("m", 1000), ("km", 1000000))
    },
    **{
        name: ("volume in ml", Decimal(size))
        for name, size in (("ml", 1), ("cl", 10), ("l", 1000), ("hl", 100000))
    },
    **{name: ("area in cm2", Decimal(size)) for name, size in (("cm2", 1), ("dm2", 100), ("m2", 10000))},
    **{
        name: ("time in s", Decimal(size))
        for name, size in (("s", 1), ("min", 60), ("h", 3600), ("d", 86400))
    },
    **{
        name: ("pieces", Decimal(size))
        for name, size in (("u", 1), ("pc", 1), ("pcs", 1), ("unit", 1), ("dozen", 12))
    },
}
"""A unit's dimension and its size in that dimension (SI, and units used with it). Others equal only themselves."""


@dataclass(frozen=True)
class Difference:
    """One field that is not right. `wanted` and `given` are JSON; `path` is its place in the payload."""

    path: str
    label: str
    wanted: Any
    given: Any
    critical: bool


@dataclass(frozen=True)
class Score:
    """What one answer is worth. `nearest` is the outcome it was held against: the one with the fewest differences.

    `fields` counts what was compared there, so that right fields over all fields can be told beside right records.
    """

    right: bool
    differences: tuple[Difference, ...]
    fields: int
    nearest: int

    @property
    def critical_wrong(self) -> bool:
        """Whether a field that allows no error is wrong."""
        return any(one.critical for one in self.differences)


@dataclass(frozen=True)
class Tolerance:
    """How far off still counts as right, by payload path such as `quantity` or `lines[].delivery_date`.

    `decimals`: largest difference, in the wanted value's own unit or currency. `days`: largest difference of dates.
    """

    decimals: Mapping[str, Decimal] = field(default_factory=dict)
    days: Mapping[str, int] = field(default_factory=dict)


EXACT = Tolerance()
NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")


def score(
    type_: TransactionType,
    given: Mapping[str, Any] | None,
    acceptable: Sequence[Mapping[str, Any] | None],
    tolerance: Tolerance = EXACT,
) -> Score:
    """Hold an answer against every acceptable outcome; the nearest counts.

    Raises ValueError where there is no acceptable outcome, or one does not fit the type: then the case is wrong.
    """
    if not acceptable:
        raise ValueError("a case needs at least one acceptable outcome; None stands for doing nothing")
    wanted = [_form(type_, one) for one in acceptable]
    try:
        answer = _form(type_, given)
    except ValidationError as faults:
        told = Difference(
            "", "Form", "a payload of the type", f"{faults.error_count()} faults", critical=True
        )
        return Score(right=False, differences=(told,), fields=1, nearest=0)
    scores = [_against(type_, answer, one, number, tolerance) for number, one in enumerate(wanted)]
    return min(scores, key=lambda one: (len(one.differences), one.nearest))


def score_answer(
    given: Mapping[str, Any] | None,
    acceptable: Sequence[Mapping[str, Any] | None],
    critical: Sequence[str] = (),
) -> Score:
    """The same for an answer to a question about what was read: its fields against those of each acceptable answer.

    Text is compared without case and spaces around it, numbers by value, lists in any order. A field too many is wrong.
    """
    if not acceptable:
        raise ValueError("a case needs at least one acceptable answer; None stands for having none")
    scores = []
    for number, wanted in enumerate(acceptable):
        if given is None or wanted is None:
            differences = (
                []
                if given is wanted
                else [Difference("", "Answer", _deed(wanted), _deed(given), critical=True)]
            )
            scores.append(Score(not differences, tuple(differences), 1, number))
            continue
        differences = [
            Difference(
                name, name.replace("_", " "), wanted.get(name), given.get(name), critical=name in critical
            )
            for name in sorted({*wanted, *given})
            if name not in wanted or name not in given or _plain(wanted[name]) != _plain(given[name])
        ]
        scores.append(Score(not differences, tuple(differences), len({*wanted, *given}), number))
    return min(scores, key=lambda one: (len(one.differences), one.nearest))


def _plain(value: Any) -> Any:
    """A value in a form in which what means the same is equal: sortable text."""
    if isinstance(value, Mapping):
        return json.dumps({name: _plain(part) for name, part in sorted(value.items())})
    if isinstance(value, (list, tuple)):
        return json.dumps(sorted(_plain(part) for part in value))
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = str(value).strip().casefold()
    return format(Decimal(text).normalize() + 0, "f") if NUMBER.fullmatch(text) else json.dumps(text)


def _form(type_: TransactionType, outcome: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The payload with its defaults, so that leaving one out and writing it are the same."""
    if outcome is None:
        return None
    # As JSON, because that is how it comes: a strict model takes text for a date only there.
    full: dict[str, Any] = _parsed(type_, outcome).model_dump(mode="json")
    return full


def _parsed(type_: TransactionType, outcome: Mapping[str, Any]) -> Any:
    return type_.payload.model_validate_json(json.dumps(outcome))


def _against(
    type_: TransactionType,
    given: Mapping[str, Any] | None,
    wanted: Mapping[str, Any] | None,
    number: int,
    tolerance: Tolerance,
) -> Score:
    if given is None or wanted is None:
        right = given is wanted
        told = () if right else (Difference("", "What to do", _deed(wanted), _deed(given), critical=True),)
        return Score(right=right, differences=told, fields=1, nearest=number)
    differences: list[Difference] = []
    fields = 1
    parsed = [type_.target(_parsed(type_, one)) for one in (wanted, given)]
    if parsed[0] != parsed[1]:
        differences.append(Difference("", "Record", parsed[0], parsed[1], critical=True))
    judged = [one for one in type_.fields if _path(one) and (one.kind is not Kind.TEXT or one.critical)]
    for one in judged:
        path = _path(one)
        if "[]." not in one.path and path in wanted:
            fields += 1
            if not same(wanted.get(path), given.get(path), one, path, tolerance):
                differences.append(
                    Difference(path, one.label, wanted.get(path), given.get(path), one.critical)
                )
    for name in dict.fromkeys(one.path.split("[].")[0] for one in judged if "[]." in one.path):
        columns = [one for one in judged if one.path.startswith(f"{name}[].")]
        found, count = _lines(name, columns, wanted.get(name) or [], given.get(name) or [], tolerance)
        differences += found
        fields += count
    return Score(right=not differences, differences=tuple(differences), fields=fields, nearest=number)


def _lines(
    name: str,
    columns: Sequence[Field],
    wanted: Sequence[Mapping[str, Any]],
    given: Sequence[Mapping[str, Any]],
    tolerance: Tolerance,
) -> tuple[list[Difference], int]:
    """Lines as a set: each wanted line takes the given one that fits best; what is over or missing is wrong."""
    left = list(enumerate(given))
    differences: list[Difference] = []
    pairs = sorted(
        (
            (len(_line(name, place, columns, line, other, tolerance)), place, at)
            for place, line in enumerate(wanted)
            for at, other in left
        ),
    )
    taken: dict[int, int] = {}
    for _, place, at in pairs:
        if place not in taken and at not in taken.values():
            taken[place] = at
    for place, line in enumerate(wanted):
        if place in taken:
            differences += _line(name, place, columns, line, given[taken[place]], tolerance)
        else:
            differences.append(Difference(f"{name}.{place}", "Line", dict(line), None, critical=True))
    differences += [
        Difference(f"{name}.{at}", "Line", None, dict(line), critical=True)
        for at, line in left
        if at not in taken.values()
    ]
    return differences, max(len(wanted), len(given)) * len(columns)


def _line(
    name: str,
    place: int,
    columns: Sequence[Field],
    wanted: Mapping[str, Any],
    given: Mapping[str, Any],
    tolerance: Tolerance,
) -> list[Difference]:
    found = []
    for one in columns:
        column = one.path.split("[].")[1]
        if column in wanted and not same(
            wanted.get(column), given.get(column), one, f"{name}[].{column}", tolerance
        ):
            path = f"{name}.{place}.{column}"
            found.append(Difference(path, one.label, wanted.get(column), given.get(column), one.critical))
    return found


def same(wanted: Any, given: Any, spec: Field, path: str, tolerance: Tolerance = EXACT) -> bool:
    """Whether a value is right for a field: by its kind, within its tolerance."""
    if wanted is None or given is None:
        return wanted is given
    if spec.kind is Kind.QUANTITY:
        return _same_quantity(wanted, given, tolerance.decimals.get(path, Decimal(0)))
    if spec.kind is Kind.MONEY:
        off = abs(Decimal(wanted["amount"]) - Decimal(given["amount"]))
        return wanted["currency"] == given["currency"] and off <= tolerance.decimals.get(path, Decimal(0))
    if spec.kind is Kind.DATE:
        apart = dt.date.fromisoformat(wanted) - dt.date.fromisoformat(given)
        return abs(apart.days) <= tolerance.days.get(path, 0)
    return str(wanted).strip() == str(given).strip()


def _same_quantity(wanted: Mapping[str, str], given: Mapping[str, str], most: Decimal) -> bool:
    # An unknown unit is a dimension of its own.
    dimension, size = UNITS.get(mine := wanted["unit"].strip(), (mine, Decimal(1)))
    other, factor = UNITS.get(theirs := given["unit"].strip(), (theirs, Decimal(1)))
    apart = abs(Decimal(wanted["value"]) * size - Decimal(given["value"]) * factor)
    return dimension == other and apart <= most * size


def _path(spec: Field) -> str:
    return spec.path if spec.payload_path is None else spec.payload_path


def _deed(outcome: Mapping[str, Any] | None) -> str:
    return "nothing" if outcome is None else "something"
