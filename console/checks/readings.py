"""May a decision rest on what was read? Readings in, findings out; what is stale, uncertain or contested is a no.

Readings that come by another path than the record itself are read again at every look, so that `Rest.reading` is
the newest answer and `Rest.taken` the one the agent had. What may move between them is the tool's own business:
`ReadTool.steady`. Nobody picks between two sources that disagree: a person has to ask.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from integrations.contract import Finding, Level, Quality, Reading, ReadTool

AHEAD = dt.timedelta(seconds=5)
"""A source whose clock is further ahead of ours is not to be trusted."""


@dataclass(frozen=True)
class Difference:
    """A field on which two answers of one tool differ, with both values in words; "nothing" for none."""

    field: str
    here: str
    there: str


@dataclass(frozen=True)
class CrossCheck:
    """What a second source said to the same question. `trouble`: why it gave no usable answer, "" if it did."""

    connection: str
    source: str = ""
    as_of: dt.datetime | None = None
    differences: tuple[Difference, ...] = ()
    trouble: str = ""

    @property
    def agrees(self) -> bool:
        """Whether both sources say the same, as far as the tolerances go."""
        return not self.trouble and not self.differences


@dataclass(frozen=True)
class Rest:
    """One reading that a proposal rests on, as it is at this look.

    `ref` is the reading's; `connection` the title of where it came from. `taken` is the value that the agent had,
    `reading` the newest answer, `at` when that was given, `fresh_for` how old its proof may be. `again`: it was
    read again for this look. `trouble`: why it could not be, in words.
    """

    ref: str
    tool: ReadTool
    connection: str
    taken: Mapping[str, Any]
    reading: Reading
    at: dt.datetime
    fresh_for: dt.timedelta
    again: bool = False
    check: CrossCheck | None = None
    trouble: str = field(default="")


def unknown(
    cited: Sequence[str], known: Collection[str], *, whose: str = "You have", hint: str = ""
) -> list[Finding]:
    """One finding for every cited reference of a reading that is not among the known ones, by its place."""
    return [
        Finding(
            "readings.unknown",
            Level.ERROR,
            f"{whose} no reading {ref}.",
            field=f"readings.{place}",
            hint=hint or "Cite the references that `reads` gave you.",
        )
        for place, ref in enumerate(cited)
        if ref not in known
    ]


def readings_are_usable(rests: Sequence[Rest]) -> tuple[Finding, ...]:
    """An error for every reading that a decision must not rest on, a warning for what moved since it was taken."""
    return tuple(finding for rest in rests for finding in (*_unusable(rest), *_moved(rest)))


def differences(
    tool: ReadTool,
    here: Mapping[str, Any],
    there: Mapping[str, Any],
    tolerances: Mapping[str, Decimal] | None = None,
) -> tuple[Difference, ...]:
    """The steady fields of a tool on which two of its answers differ by more than is tolerated.

    `tolerances` goes before the tool's own, field by field. Quantities and money in different units always differ.
    """
    found = []
    for path, allowed in {**tool.steady, **(tolerances or {})}.items():
        one, other = at(here, path), at(there, path)
        if not _same(one, other, allowed):
            found.append(Difference(path, in_words(one), in_words(other)))
    return tuple(found)


def at(value: Any, path: str) -> Any:
    """What stands at a path such as `on_hand` or `job.state`; None where there is nothing."""
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def in_words(value: Any) -> str:
    """A value of an answer for a sentence."""
    if value is None or value == "":
        return "nothing"
    if isinstance(value, Mapping):
        return " ".join(str(part) for part in value.values())
    return str(value)


def age(reading: Reading, when: dt.datetime) -> str:
    """How old the proof of an answer was at a moment, in words."""
    if reading.as_of is None:
        return "as of an unknown time"
    return f"{_span(max(when - reading.as_of, dt.timedelta()))} old"


def _unusable(rest: Rest) -> Iterator[Finding]:
    told, what = rest.reading, f"{rest.tool.title} ({rest.ref}, {rest.connection})"
    hint = "Read it again and cite the new reading, or leave it out if nothing rests on it."
    if rest.trouble:
        text = f"{what} cannot be read again: {rest.trouble}"
        yield Finding("readings.unread", Level.ERROR, _ended(text), "readings", hint)
    elif rest.check is not None and not rest.check.agrees:
        yield Finding("readings.disagree", Level.ERROR, _disagreement(rest, rest.check), "readings",
                      "Find out which of them is right; nothing is decided on either until they agree.")  # fmt: skip
    elif told.as_of is None:
        text = f"{what}: nobody can say as of when this was so ({told.remark or told.source})."
        yield Finding("readings.age_unknown", Level.ERROR, text, "readings",
                      "Read it through a connection that knows its age.")  # fmt: skip
    elif told.quality is not Quality.GOOD:
        why = told.remark or f"{told.source} says no more"
        text = f"{what} is {told.quality.value} and {age(told, rest.at)}: {why}"
        yield Finding(f"readings.{told.quality.value}", Level.ERROR, _ended(text), "readings", hint)
    elif told.as_of - rest.at > AHEAD:
        text = f"{what}: its source's clock is {_span(told.as_of - rest.at)} ahead of ours."
        yield Finding(
            "readings.clock", Level.ERROR, text, "readings", "Somebody has to set the clocks right."
        )
    elif rest.at - told.as_of > rest.fresh_for:
        text = f"{what} is {age(told, rest.at)}; it may be {_span(rest.fresh_for)} old at most."
        yield Finding("readings.too_old", Level.ERROR, text, "readings", hint)


def _moved(rest: Rest) -> Iterator[Finding]:
    if not rest.again or rest.trouble:
        return
    for one in differences(rest.tool, rest.taken, rest.reading.value):
        text = (
            f"{rest.tool.title} ({rest.ref}): {one.field.replace('_', ' ').replace('.', ', ')} was {one.here} "
            f"when the agent read it and is {one.there} now."
        )
        yield Finding(
            "readings.moved", Level.WARNING, text, "readings", "See whether its reasons still hold."
        )


def _disagreement(rest: Rest, check: CrossCheck) -> str:
    what = f"{rest.tool.title} ({rest.ref})"
    if check.trouble:
        return _ended(
            f"{what} is to be cross-checked with {check.connection}, and cannot be: {check.trouble}"
        )
    other = Reading({}, check.as_of, check.source)
    told = "; ".join(f"{one.field.replace('_', ' ')} {one.here} and {one.there}" for one in check.differences)
    return (
        f"{what}: {rest.connection} ({age(rest.reading, rest.at)}) and {check.connection} "
        f"({age(other, rest.at)}) disagree: {told}."
    )


def _same(one: Any, other: Any, allowed: Decimal) -> bool:
    if one == other:
        return True
    here, there = _number(one), _number(other)
    if here is None or there is None:
        return False
    return here[1] == there[1] and abs(here[0] - there[0]) <= allowed


def _number(value: Any) -> tuple[Decimal, str] | None:
    """A quantity, money, a whole number or a decimal in text, with its unit or currency; None for anything else."""
    if isinstance(value, Mapping):
        amount, unit = value.get("value", value.get("amount")), value.get("unit", value.get("currency"))
    else:
        amount, unit = value, ""
    if isinstance(amount, bool) or not isinstance(amount, (str, int)):
        return None
    try:
        return Decimal(amount), str(unit)
    except InvalidOperation:
        return None


def _span(span: dt.timedelta) -> str:
    seconds = int(span.total_seconds())
    if seconds < 300:  # noqa: PLR2004 five minutes
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"  # noqa: PLR2004 two hours


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
