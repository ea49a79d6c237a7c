"""Finding, paging and handing out audit entries, for the auditor's page and the command line.

A page is found by the id it starts after (keyset), never by counting rows, so that the last page of millions of
entries costs what the first one does. Dates become bounds on the id first: ids and times are handed out together.

Words, kinds of actor, and a verb and an agent at once are looked for stretch by stretch of the log, each time up to
eight times as far, in one index that has all of them and the stretch. PostgreSQL cannot know how often words occur
that are in few entries, nor that this agent never did that: left to itself it walks millions of entries back for a
page of them, or fetches a million to show the newest fifty.

The file is long because pages, exports and what narrows them have to mean the same.
"""

from __future__ import annotations

import csv
import datetime as dt
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.postgres.search import SearchQueryField
from django.db import transaction
from django.db.models import BooleanField, F, Func, IntegerField, Max, QuerySet, TextField
from django.db.models.lookups import GreaterThan
from django.utils.dateparse import parse_date

from console.audit import VERBS, Verb
from console.errors import Refused
from console.findings import Finding, Level
from console.models import AgentVersion, AuditEntry
from console.models.audit import MARKS, STRETCHES, WORDS_AND_MARKS

PAGE = 50
KINDS = {"person": "Person", "agent": "Agent", "worker": "Worker", "operator": "Operator", "system": "System"}
SLACK = 5_000
"""How many ids an entry may lie off the place its time suggests: clocks are set back a little at times."""

_FETCH = 2_000
_LONGEST_TEXT = 100


@dataclass(frozen=True)
class Wanted:
    """What to look for; empty parts do not narrow.

    `text`: words of the subject, the target or the label. `verb`: one of VERBS, or its first part and a dot
    ("proposal."). `kind`: one of KINDS. `agent`: an agent's slug, for what its versions did. `proposal`: a
    reference. `chain`: one chain. `since`, `until`: days in UTC, both included.
    """

    text: str = ""
    verb: str = ""
    kind: str = ""
    agent: str = ""
    proposal: str = ""
    chain: str = ""
    since: dt.date | None = None
    until: dt.date | None = None
    hidden: tuple[str, ...] = field(default=(), compare=False)
    """Verbs that this reader is not shown."""

    def __bool__(self) -> bool:
        """Whether it narrows at all."""
        return self != Wanted()

    def said(self) -> dict[str, str]:
        """What narrows, as text, for links and for the record."""
        return {name: str(value) for name, value in vars(self).items() if value and name != "hidden"}


@dataclass(frozen=True)
class Page:
    """Entries, newest first, and the ids to go on from: `older` and `newer`, 0 where there are no more."""

    entries: list[AuditEntry]
    older: int
    newer: int


def wanted(given: Mapping[str, str]) -> Wanted:
    """What a form or a command line asks for. Refused names every part that cannot be understood."""
    faults: list[Finding] = []

    def one(name: str) -> str:
        return given.get(name, "").replace("\0", "").strip()[:_LONGEST_TEXT]

    def fault(name: str, text: str, hint: str) -> None:
        faults.append(Finding(f"{name}.unknown", Level.ERROR, text, field=name, hint=hint))

    def day(name: str) -> dt.date | None:
        text = one(name)
        try:
            found = parse_date(text) if text else None
        except ValueError:
            found = None
        if text and found is None:
            fault(name, f"{text} is not a date.", "Write it as 2026-12-31.")
        return found

    verb, kind = one("verb"), one("kind")
    if verb and verb not in VERBS and verb not in families():
        fault("verb", f"There is no audit verb {verb}.", "Choose one of the list.")
    if kind and kind not in KINDS:
        fault("kind", f"There is no kind of actor {kind}.", "One of: " + ", ".join(KINDS))
    since, until = day("since"), day("until")
    if since and until and until < since:
        fault("until", "The last day is before the first.", f"Give {since} or a later day.")
    if faults:
        raise Refused("the search cannot be understood", findings=faults, code="search")
    return Wanted(
        text=one("text"),
        verb=verb,
        kind=kind,
        agent=one("agent"),
        proposal=one("proposal").upper(),
        chain=one("chain"),
        since=since,
        until=until,
    )


def families() -> dict[str, list[tuple[str, Verb]]]:
    """The verbs by their first part, such as "proposal."."""
    found: dict[str, list[tuple[str, Verb]]] = {}
    for name, verb in VERBS.items():
        found.setdefault(name.split(".")[0] + ".", []).append((name, verb))
    return found


def _bounded(want: Wanted) -> QuerySet[AuditEntry]:
    """The entries of the proposal, the chain and the days that are wanted, which the reader may see; in no order."""
    found = AuditEntry.objects.select_related("proposal")
    if want.hidden:
        found = found.exclude(verb__in=want.hidden)
    exact = {"proposal__ref": want.proposal, "chain": want.chain}
    found = found.filter(**{name: value for name, value in exact.items() if value})
    if want.since or want.until:
        found = found.filter(pk__range=_bounds(want))
    if want.since:
        found = found.filter(at__gte=_midnight(want.since))
    if want.until:
        found = found.filter(at__lt=_midnight(want.until + dt.timedelta(days=1)))
    return found


def _marks(want: Wanted) -> dict[str, list[str]]:
    """What else is wanted, by column: one of these values."""
    marks = {}
    if want.verb:
        whole = want.verb.endswith(".")
        marks["verb"] = [name for name, _ in families()[want.verb]] if whole else [want.verb]
    if want.kind:
        marks["actor_kind"] = [want.kind]
    if want.agent:
        labels = AgentVersion.objects.filter(agent__slug=want.agent).values_list("label", flat=True)
        marks["actor_id"] = [f"{want.agent}@{label}" for label in labels]
    return marks


def page(want: Wanted, *, older: int = 0, newer: int = 0, size: int = PAGE) -> Page:
    """One page: what comes after `older` going back in time, or before `newer`; the newest for neither."""
    if newer:
        rows = _some(want, newer + 1, size + 1, forward=True)
        more = len(rows) > size
        rows = rows[:size][::-1]
        return Page(rows, older=rows[-1].pk if rows else newer + 1, newer=rows[0].pk if rows and more else 0)
    rows = _some(want, older - 1 if older else 0, size + 1, forward=False)
    more = len(rows) > size
    rows = rows[:size]
    return Page(
        rows,
        older=rows[-1].pk if more else 0,
        newer=(rows[0].pk if rows else older - 1) if older else 0,
    )


def _some(want: Wanted, start: int, most: int, *, forward: bool) -> list[AuditEntry]:
    """So many entries that fit, from this id on (0: from the newest), forward or back in time."""
    found, marks = _bounded(want), _marks(want)
    if _simple(want, marks):
        found = _with_marks(found, marks)
        if forward:
            return list(found.filter(pk__gte=start).order_by("pk")[:most])
        return list((found.filter(pk__lte=start) if start else found).order_by("-pk")[:most])
    rows: list[AuditEntry] = []
    place = F("pk") + 0  # the order of a sum, so that no walk along the ids seems cheap
    first, last = _bounds(want)
    if forward:
        first = max(first, start)
    elif start:
        last = min(last, start)
    for stretch in windows(first, last, forward=forward):
        part = _with_words(found, want.text, marks, *stretch)
        rows += part.order_by(place.asc() if forward else place.desc())[: most - len(rows)]
        if len(rows) >= most:
            break
    return rows


def _simple(want: Wanted, marks: Mapping[str, Sequence[str]]) -> bool:
    """Whether an index in the order of the log answers: no words, and at most a verb or an agent."""
    return not want.text and not want.kind and len(marks) <= 1


def _with_marks(found: QuerySet[AuditEntry], marks: Mapping[str, Sequence[str]]) -> QuerySet[AuditEntry]:
    return found.filter(**{f"{name}__in": values for name, values in marks.items()})


def windows(first: int, last: int, *, forward: bool) -> Iterator[tuple[int, int, int]]:
    """The ids from `first` to `last` in parts, up to eight times as long each time: kind of stretch, first, last.

    A part is in at most eight stretches of its kind.
    """
    for bits in itertools.chain(STRETCHES, itertools.repeat(STRETCHES[-1])):
        if first > last:
            return
        wide = bits + 3
        if forward:
            edge = min(last, (((first >> wide) + 1) << wide) - 1)
            yield bits, first, edge
            first = edge + 1
        else:
            edge = max(first, (last >> wide) << wide)
            yield bits, edge, last
            last = edge - 1


def _with_words(
    found: QuerySet[AuditEntry],
    text: str,
    marks: Mapping[str, Sequence[str]],
    bits: int,
    low: int,
    high: int,
) -> QuerySet[AuditEntry]:
    """Of these, with all the words of a text (where there is one), all marks, and ids from `low` to `high`."""
    if not all(marks.values()):
        return found.none()
    stretches = [f"{bits}.{one}" for one in range(low >> bits, (high >> bits) + 1)]
    said = [stretches, *([f"{MARKS[name]}{one}" for one in values] for name, values in marks.items())]
    there = " & ".join(f"({'|'.join(map(_lexeme, one))})" for one in said)
    asked = Func(_constant(there), template="%(expressions)s::tsquery", output_field=SearchQueryField())
    found = found.filter(pk__gte=low, pk__lte=high)
    if text:
        words = Func(
            _constant(text),
            template="websearch_to_tsquery('simple'::regconfig, %(expressions)s)",
            output_field=SearchQueryField(),
        )
        # Where a text has no word, the marks alone would be looked for.
        found = found.filter(GreaterThan(Func(words, function="numnode", output_field=IntegerField()), 0))
        asked = Func(
            words, asked, template="(%(expressions)s)", arg_joiner=" && ", output_field=SearchQueryField()
        )
    return found.filter(
        Func(
            WORDS_AND_MARKS,
            asked,
            template="%(expressions)s",
            arg_joiner=" @@ ",
            output_field=BooleanField(),
        )
    )


def _constant(text: str) -> Func:
    """A text as a constant of the statement, in hexadecimal because it comes from outside.

    Once a statement with parameters has come five times, PostgreSQL plans it for any words, and leaves the index.
    """
    template = f"convert_from(decode('{text.encode().hex()}', 'hex'), 'UTF8')"
    return Func(template=template, output_field=TextField())


def _lexeme(text: str) -> str:
    """A mark as `WORDS_AND_MARKS` has it, in a tsquery."""
    quoted = text.replace("\\", "\\\\").replace("'", "''")
    return f"' {quoted}'"


def _bounds(want: Wanted) -> tuple[int, int]:
    """The first and the last id that may fit, by the days that are asked for."""
    first = max(1, _first_id(_midnight(want.since)) - SLACK) if want.since else 1
    if want.until and (bound := _first_id(_midnight(want.until + dt.timedelta(days=1)))):
        return first, bound + SLACK
    return first, AuditEntry.objects.aggregate(last=Max("pk"))["last"] or 0


def ndjson(want: Wanted) -> Iterator[str]:
    """Entries, oldest first, one canonical JSON object a line.

    `body` is the recorded body itself; with `previous` and `at_microseconds` it gives `hash` again (see
    `AuditEntry`). `leaf` is the place in the tree, null while it has none.
    """
    for row in _rows(want):
        yield (
            f'{{"at":{json.dumps(row.at.isoformat())},"at_microseconds":"{_microseconds(row.at)}","body":{row.body},'
            f'"chain":{json.dumps(row.chain)},"hash":"{row.hash}","id":{row.pk},"leaf":{json.dumps(row.place)},'
            f'"previous":"{row.previous}"}}\n'
        )


COLUMNS = (
    "id",
    "at",
    "verb",
    "sentence",
    "actor_kind",
    "actor_id",
    "actor",
    "via",
    "subject",
    "proposal",
    "from",
    "to",
    "reason",
    "chain",
    "leaf",
    "hash",
)


def csv_lines(want: Wanted) -> Iterator[str]:
    """Entries, oldest first, for a spreadsheet. A cell that a spreadsheet would take for a formula gets a '."""
    writer = csv.writer(_Echo())
    yield str(writer.writerow(COLUMNS))
    for row in _rows(want):
        body = json.loads(row.body)
        detail = body["detail"]
        yield str(
            writer.writerow(
                inert(one)
                for one in (
                    row.pk,
                    row.at.isoformat(),
                    row.verb,
                    sentence(row.verb, body["subject"]),
                    row.actor_kind,
                    row.actor_id,
                    row.actor_label,
                    body["actor"]["via"],
                    body["subject"],
                    (body.get("proposal") or {}).get("ref", ""),
                    detail.get("from", ""),
                    detail.get("to", ""),
                    detail.get("reason", ""),
                    row.chain,
                    "" if row.place is None else row.place,
                    row.hash,
                )
            )
        )


def inert(value: object) -> str:
    """A cell that no spreadsheet takes for a formula (OWASP: CSV injection)."""
    text = str(value)
    return (
        f"'{text}"
        if text.lstrip()[:1] in set("=+-@\uff1d\uff0b\uff0d\uff20") or text[:1] in set("\t\r\n")
        else text
    )


def sentence(verb: str, subject: str) -> str:
    """How an entry reads, without its actor."""
    known = VERBS.get(verb)
    return known.sentence.replace("{subject}", subject) if known is not None else f"{verb} {subject}"


class _Echo:
    """A file for `csv` that gives back what it is told to write."""

    def write(self, line: str) -> str:
        return line


def _rows(want: Wanted) -> Iterator[Any]:
    """Entries with their place in the tree as `place`. A server-side cursor, so in a transaction."""
    found = _bounded(want).select_related(None).annotate(place=F("leaf__index")).order_by("pk")
    marks = _marks(want)
    with transaction.atomic():
        if _simple(want, marks):
            yield from _with_marks(found, marks).iterator(_FETCH)
            return
        for stretch in windows(*_bounds(want), forward=True):
            yield from _with_words(found, want.text, marks, *stretch).iterator(_FETCH)


def _first_id(moment: dt.datetime) -> int:
    """The id of the first entry at or after a moment; 0 if there is none yet."""
    found = AuditEntry.objects.filter(at__gte=moment).order_by("at").values_list("pk", flat=True).first()
    if found is None:
        last = AuditEntry.objects.order_by("-pk").values_list("pk", flat=True).first()
        return 0 if last is None else last + SLACK + 1
    return found


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)


def _microseconds(at: dt.datetime) -> int:
    return int(at.timestamp()) * 1_000_000 + at.microsecond
