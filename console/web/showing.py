"""An assessment as a person reads it: what it was, what it is now, what it would be, and the sentence that says so.

Three sides, as in `console.diff`: *base* is the first snapshot of the case, what the agent knew; *now* is the
newest; *proposed* is how the record must read after the commit. What the commit changes is now against proposed;
what moved underneath is base against now; a conflict is both at once.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from console import diff
from console.models import Assessment
from console.web import rendering
from integrations.contract import Field, Kind, Record, TransactionType

IN_A_LINE = 2
"""How many changes one line of the queue holds before it says "and n more"."""


@dataclass(frozen=True)
class Cell:
    """One field on three sides, in words. `by`: by how much the commit moves it. `anchor` is its HTML id."""

    label: str
    kind: str
    base: SafeString
    now: SafeString
    proposed: SafeString
    by: SafeString
    changes: bool
    moved: bool
    conflict: bool
    critical: bool
    anchor: str
    findings: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Line:
    """One line of a list: added, removed, changed or same, now against proposed."""

    label: str
    status: str
    cells: tuple[Cell, ...]

    @property
    def moved(self) -> bool:
        """Whether anything in it moved underneath."""
        return any(cell.moved for cell in self.cells)


@dataclass(frozen=True)
class Lines:
    """One list of lines with its columns, and the sums of its money before and after."""

    name: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    totals: tuple[tuple[str, str, str], ...]

    @property
    def changed(self) -> int:
        """How many lines the commit touches."""
        return sum(line.status != "same" for line in self.lines)


@dataclass(frozen=True)
class Sight:
    """Everything a page shows of one assessment's record."""

    cells: tuple[Cell, ...]
    lists: tuple[Lines, ...]
    creates: bool
    three: bool
    """Whether the record moved since the first look, so that three sides are worth showing."""

    @property
    def changes(self) -> tuple[Cell, ...]:
        """The header fields the commit changes, critical ones first."""
        return tuple(
            sorted((cell for cell in self.cells if cell.changes), key=lambda cell: not cell.critical)
        )

    @property
    def conflicts(self) -> tuple[Cell, ...]:
        """Fields that somebody else moved and this proposal would set to something else."""
        lines = [cell for one in self.lists for line in one.lines for cell in line.cells]
        return tuple(cell for cell in [*self.cells, *lines] if cell.conflict)


def sight(
    type_: TransactionType, assessment: Assessment, first: Assessment | None = None, *, today: dt.date
) -> Sight:
    """Put the sides of an assessment beside each other. `first` is the case's first assessment."""
    now, proposed = record_of(assessment.snapshot["record"]), record_of(assessment.expected)
    base = record_of(first.snapshot["record"]) if first is not None else now
    found = _by_field(assessment.findings)
    show = _Show(today, found)
    cells = tuple(show.cell(row) for row in diff.rows(base, proposed, now, type_.fields))
    lists = _lists(show, base, proposed, now, type_.fields)
    return Sight(
        cells=cells,
        lists=lists,
        creates=not now.fields and not any(now.lines.values()),
        three=any(cell.moved for cell in cells)
        or any(line.moved for one in lists for line in one.lines)
        or _moved(base, now, type_.fields),
    )


def one_line(type_: TransactionType, assessment: Assessment, *, today: dt.date) -> SafeString:
    """What changes, in one line for the queue: "Planned start 4 Dec -> 7 Dec". Puts only that into words."""
    now, proposed = record_of(assessment.snapshot["record"]), record_of(assessment.expected)
    creates = not now.fields
    told = sorted(
        (
            row
            for row in diff.rows(now, proposed, now, type_.fields)
            if row.changes and row.field.kind is not Kind.REFERENCE
        ),
        key=lambda row: not row.field.critical,
    )
    parts = []
    for row in told[:IN_A_LINE]:
        after = rendering.words(row.proposed, row.field.kind, today=today)
        if creates:
            parts.append(format_html("{} {}", row.field.label, after))
        else:
            before = rendering.words(row.now, row.field.kind, today=today)
            parts.append(format_html("{} {} {} {}", row.field.label, before, rendering.ARROW, after))
    if len(told) > IN_A_LINE and not creates:
        parts.append(format_html("{} more", len(told) - IN_A_LINE))
    touched = Counter(
        line.list_name for line in diff.line_rows(now, proposed, now, type_.fields) if line.status != "same"
    )
    parts += [
        format_html("{} {}", count, name if count > 1 else name.removesuffix("s"))
        for name, count in touched.items()
    ]
    return format_html_join(" · ", "{}", ((part,) for part in parts or [format_html("{}", "No change")]))


def headline(
    type_: TransactionType, label: str, seen: Sight
) -> list[tuple[str, SafeString | str, SafeString | str]]:
    """What will change, field by field: (what, from, to); `from` is empty for what is new."""
    said: list[tuple[str, SafeString | str, SafeString | str]] = [
        (cell.label, "" if seen.creates else cell.now, cell.proposed)
        for cell in seen.changes
        if cell.kind != Kind.REFERENCE.value
    ]
    return said or [(type_.title, "", label)]


def record_of(value: Mapping[str, Any]) -> Record:
    """A record from the JSON an assessment keeps."""
    return Record(
        fields=value.get("fields", {}),
        lines={name: tuple(lines) for name, lines in value.get("lines", {}).items()},
    )


class _Show:
    """Turns rows of a diff into words, with the findings that name their field."""

    def __init__(self, today: dt.date, found: Mapping[str, list[Mapping[str, Any]]]) -> None:
        self.today = today
        self.found = found

    def words(self, value: Any, field: Field) -> SafeString:
        return rendering.words(value, field.kind, today=self.today)

    def cell(self, row: diff.Row, place: str = "") -> Cell:
        field = row.field
        changes = not diff.same(row.now, row.proposed, field)
        path = place or (field.payload_path if field.payload_path is not None else field.path)
        return Cell(
            label=field.label,
            kind=field.kind.value,
            base=self.words(row.base, field),
            now=self.words(row.now, field),
            proposed=self.words(row.proposed, field),
            by=rendering.change(row.now, row.proposed, field) if changes else format_html("{}", ""),
            changes=changes,
            moved=row.moved,
            conflict=row.conflict and changes,
            critical=field.critical,
            anchor="field-" + row.path.replace(".", "-").replace(" ", "-").replace("[]", ""),
            findings=tuple(self.found.get(path, ())) if path else (),
        )


def _lists(
    show: _Show, base: Record, proposed: Record, now: Record, fields: Sequence[Field]
) -> tuple[Lines, ...]:
    found: dict[str, list[Line]] = {}
    places: dict[str, int] = {}
    for one in diff.line_rows(base, proposed, now, fields):
        place = places.get(one.list_name, 0)
        places[one.list_name] = place + 1
        cells = tuple(
            show.cell(row, place=f"{one.list_name}.{place}.{row.field.path.split('[].')[1]}")
            for row in one.rows
        )
        before = _line(now, one.list_name, one.key)
        after = _line(proposed, one.list_name, one.key)
        if before is None and (after is not None or one.status == "added"):
            status = "added"
        elif one.status == "removed":
            status = "removed"
        else:
            status = "changed" if any(cell.changes for cell in cells) else "same"
        found.setdefault(one.list_name, []).append(Line(one.label, status, cells))
    columns = {
        name: tuple(field.label for field in fields if field.path.startswith(f"{name}[].")) for name in found
    }
    return tuple(
        Lines(name, columns[name], tuple(lines), _totals(name, now, proposed, fields))
        for name, lines in found.items()
    )


def _line(record: Record, name: str, key: str) -> Mapping[str, Any] | None:
    return next(
        (line for line in record.lines.get(name, ()) if str(line.get("key", "")) == key and key), None
    )


def _totals(
    name: str, now: Record, proposed: Record, fields: Sequence[Field]
) -> tuple[tuple[str, str, str], ...]:
    """Label, sum now and sum proposed of every column called an amount, where it has one currency."""
    sums = []
    for field in fields:
        column = field.path.removeprefix(f"{name}[].")
        if not field.path.startswith(f"{name}[].") or field.kind is not Kind.MONEY or column != "amount":
            continue
        before, after = (_sum(record.lines.get(name, ()), column) for record in (now, proposed))
        if after or before:
            sums.append((field.label, before or rendering.EMPTY, after or rendering.EMPTY))
    return tuple(sums)


def _sum(lines: Sequence[Mapping[str, Any]], column: str) -> str:
    money = [line[column] for line in lines if isinstance(line.get(column), Mapping)]
    currencies = {one.get("currency") for one in money}
    if len(currencies) != 1:
        return ""
    try:
        return rendering.money(sum(Decimal(str(one["amount"])) for one in money), str(currencies.pop()))
    except (InvalidOperation, KeyError):
        return ""


def _moved(base: Record, now: Record, fields: Sequence[Field]) -> bool:
    return bool(diff.moved(base, now, fields))


def _by_field(findings: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for one in findings:
        if one.get("field"):
            found.setdefault(str(one["field"]).removeprefix("payload."), []).append(one)
    return found
