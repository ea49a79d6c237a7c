"""Base, proposed and now, side by side. Pure.

A field conflicts when all three differ: somebody moved it underneath the agent, to something else than proposed
(the three-way rule of NetBox Branching's merge).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from integrations.contract import Field, Kind, Record

MISSING: Any = None
"""A field or line that one side does not have."""


@dataclass(frozen=True)
class Row:
    """One field on all three sides. `changes`: proposed differs from base; `moved`: now differs from base."""

    field: Field
    path: str
    base: Any
    proposed: Any
    now: Any
    changes: bool
    moved: bool

    @property
    def conflict(self) -> bool:
        """Moved underneath, and to something else than proposed."""
        return self.changes and self.moved and not same(self.now, self.proposed, self.field)


@dataclass(frozen=True)
class LineRows:
    """One line of a list. `status` is added, removed, changed or same, of proposed against base."""

    list_name: str
    key: str
    label: str
    status: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Difference:
    """One place where what was found is not what was expected; values are JSON."""

    path: str
    label: str
    expected: Any
    found: Any


def rows(base: Record, proposed: Record, now: Record, fields: Sequence[Field]) -> tuple[Row, ...]:
    """The header fields in the type's order."""
    return tuple(
        _row(
            field,
            field.path,
            base.fields.get(field.path),
            proposed.fields.get(field.path),
            now.fields.get(field.path),
        )
        for field in fields
        if "[]." not in field.path
    )


def line_rows(base: Record, proposed: Record, now: Record, fields: Sequence[Field]) -> tuple[LineRows, ...]:
    """Every line of every list: first those of base, in order, then the added ones."""
    found = []
    for name in dict.fromkeys(field.path.split("[].")[0] for field in fields if "[]." in field.path):
        columns = [field for field in fields if field.path.startswith(f"{name}[].")]
        before, after, current = (_by_key(record.lines.get(name, ())) for record in (base, proposed, now))
        for key in dict.fromkeys([*before, *after]):
            old, new, live = before.get(key), after.get(key), current.get(key)
            cells = tuple(
                _row(
                    column,
                    f"{name}.{key}.{_column(column)}",
                    *((side or {}).get(_column(column)) for side in (old, new, live)),
                )
                for column in columns
            )
            if old is None:
                status = "added"
            elif new is None:
                status = "removed"
            else:
                status = "changed" if any(cell.changes for cell in cells) else "same"
            some: Mapping[str, Any] = new or old or {}
            found.append(LineRows(name, key, str(some.get("label", key)), status, cells))
    return tuple(found)


def differences(
    expected: Record, found: Record, fields: Sequence[Field], *, base: Record
) -> tuple[Difference, ...]:
    """Where a read-back is not what was approved. Only what the approval changes is judged.

    A line that did not exist before is matched with any new line of equal content, each only once.
    """
    wrong = [
        Difference(row.path, row.field.label, row.proposed, row.now)
        for row in rows(base, expected, found, fields)
        if row.changes and not same(row.now, row.proposed, row.field)
    ]
    for name in dict.fromkeys(field.path.split("[].")[0] for field in fields if "[]." in field.path):
        columns = [field for field in fields if field.path.startswith(f"{name}[].")]
        wrong += _line_differences(name, columns, base, expected, found)
    return tuple(wrong)


def moved(before: Record, after: Record, fields: Sequence[Field]) -> tuple[Difference, ...]:
    """What changed in the system between two snapshots, field by field."""
    found = [
        Difference(row.path, row.field.label, row.base, row.proposed)
        for row in rows(before, after, after, fields)
        if row.changes
    ]
    for line in line_rows(before, after, after, fields):
        if line.status in {"added", "removed"}:
            gone = line.status == "removed"
            found.append(
                Difference(
                    f"{line.list_name}.{line.key}",
                    line.label,
                    line.label if gone else None,
                    None if gone else line.label,
                )
            )
        else:
            found += [
                Difference(row.path, f"{line.label}: {row.field.label}", row.base, row.proposed)
                for row in line.rows
                if row.changes
            ]
    return tuple(found)


def same(one: Any, other: Any, field: Field) -> bool:
    """Whether two values of this field are equal: numbers as numbers with their unit, the rest to the letter."""
    if one is None or other is None:
        return one is other
    if field.kind in {Kind.QUANTITY, Kind.MONEY}:
        number, unit = ("value", "unit") if field.kind is Kind.QUANTITY else ("amount", "currency")
        try:
            return bool(
                one[unit] == other[unit]
                and abs(Decimal(str(one[number])) - Decimal(str(other[number]))) <= field.tolerance
            )
        except (KeyError, TypeError, InvalidOperation):
            return False
    return bool(one == other)


def _line_differences(
    name: str, columns: Sequence[Field], base: Record, expected: Record, found: Record
) -> list[Difference]:
    wrong = []
    before = _by_key(base.lines.get(name, ()))
    real = _by_key(found.lines.get(name, ()))
    wanted = [line for line in expected.lines.get(name, ()) if str(line.get("key", "")) not in before]
    spare = {key: line for key, line in real.items() if key not in before}
    for line in expected.lines.get(name, ()):
        key = str(line.get("key", ""))
        if key not in before:
            continue
        old, now = before[key], real.get(key)
        for column in columns:
            part = _column(column)
            if not same(old.get(part), line.get(part), column) and not same(
                (now or {}).get(part), line.get(part), column
            ):
                wrong.append(
                    Difference(
                        f"{name}.{key}.{part}",
                        f"{line.get('label', key)}: {column.label}",
                        line.get(part),
                        (now or {}).get(part),
                    )
                )
    kept = {str(line.get("key", "")) for line in expected.lines.get(name, ())}
    for key, line in before.items():
        if key not in kept and key in real:
            wrong.append(Difference(f"{name}.{key}", str(line.get("label", key)), None, "still there"))
    for line in wanted:
        match = next((key for key, real_line in spare.items() if _equal_line(line, real_line, columns)), None)
        if match is None:
            wrong.append(
                Difference(f"{name}.new", str(line.get("label", "new line")), "a new line", "not found")
            )
        else:
            spare.pop(match)
    wrong += [
        Difference(f"{name}.{key}", str(line.get("label", key)), None, "a line nobody approved")
        for key, line in spare.items()
    ]
    return wrong


def _equal_line(one: Mapping[str, Any], other: Mapping[str, Any], columns: Sequence[Field]) -> bool:
    return all(same(one.get(_column(column)), other.get(_column(column)), column) for column in columns)


def _row(field: Field, path: str, base: Any, proposed: Any, now: Any) -> Row:
    return Row(
        field=field,
        path=path,
        base=base,
        proposed=proposed,
        now=now,
        changes=not same(base, proposed, field),
        moved=not same(base, now, field),
    )


def _by_key(lines: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {str(line.get("key") or f"new {place}"): line for place, line in enumerate(lines, start=1)}


def _column(field: Field) -> str:
    return field.path.split("[].")[1]
