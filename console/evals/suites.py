"""Suites of frozen cases: read from a file with every fault told at once, written back, grown from decided proposals.

A file has one case a line (JSONL). A suite never changes: other cases are its next version.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models.functions import Now
from pydantic import AwareDatetime, Field, StringConstraints, ValidationError, model_validator

from console import access, audit
from console.audit import Actor
from console.canonical import canonical, digest, text_digest
from console.catalogue import read_tools, transaction_types
from console.checks.shape import model_findings, parse
from console.errors import Refused
from console.models import EvalCase, EvalSuite, Gate, Grant
from integrations.contract import Closed, Finding, Level, TransactionType

MOST_BYTES = 4 * 1024 * 1024
"""Of one line."""
BAR = Decimal("0.95")
CONSISTENCY = Decimal("0.90")
MAX_AGE_DAYS = 90
"""What the gate of a type begins with, when its first suite comes."""

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,63}$")]


class Start(Closed):
    """What started it: what the agent is told, and which of the readings it gets with it, if one."""

    words: Words
    reading: int | None = Field(default=None, ge=0)


class FrozenReading(Closed):
    """One answer of a read tool as it was then."""

    tool: Name
    tool_version: int
    arguments: dict[str, Any]
    answer: dict[str, Any]
    as_of: AwareDatetime | None
    source: Annotated[str, StringConstraints(max_length=100)]


class Case(Closed):
    """One case: about a transaction type, or a question to a read tool. `acceptable` holds null for doing nothing."""

    id: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,120}$")]
    type: Name | None = None
    tool: Name | None = None
    started_by: Start
    as_of: AwareDatetime
    readings: list[FrozenReading]
    snapshot: dict[str, Any] | None = None
    acceptable: Annotated[list[dict[str, Any] | None], Field(min_length=1)]
    critical: list[str] = []
    provenance: Words
    label_confidence: Literal["acted", "curated", "disputed"]
    split: Literal["public", "holdout"]

    @model_validator(mode="after")
    def _one_subject(self) -> Case:
        if (self.type is None) == (self.tool is None):
            raise ValueError("a case has a type or a tool, one of the two")
        if self.started_by.reading is not None and self.started_by.reading >= len(self.readings):
            raise ValueError(
                f"started_by.reading is {self.started_by.reading}; there are {len(self.readings)}"
            )
        return self

    @property
    def subject(self) -> tuple[str, str]:
        """Kind and name, as on a grant."""
        return (Grant.TYPE, self.type) if self.type is not None else (Grant.TOOL, self.tool or "")


@dataclass(frozen=True)
class Line:
    """A case that is right, with its place in the file and its body as it stood there."""

    number: int
    case: Case
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Imported:
    """The suite, and whether it is new: the same cases again are the same version."""

    suite: EvalSuite
    new: bool


def read(lines: Iterable[bytes]) -> list[Line]:
    """The cases of a file. Refused with every fault of every line; `field` begins with the line's number."""
    found: list[Line] = []
    faults: list[Finding] = []
    for number, raw in enumerate(lines, 1):
        if not raw.strip():
            continue
        try:
            body = parse(raw.strip(), MOST_BYTES)
            case = Case.model_validate_json(raw)
        except Refused as refused:
            faults += [_fault(number, "", refused.text)]
            continue
        except ValidationError as error:
            faults += [_fault(number, one.field, one.text, one.hint) for one in model_findings(error)]
            continue
        found.append(Line(number, case, body))
        faults += _faults_of(number, case)
    faults += _faults_together(found)
    if not found and not faults:
        faults.append(_fault(1, "", "There is no case in it.", "One JSON object a line."))
    if faults:
        faults.sort(key=lambda one: int(one.field.split()[1].rstrip(":")))
        many = f"{len(faults)} faults" if len(faults) > 1 else "one fault"
        raise Refused(f"the cases have {many}; nothing was imported", findings=faults, code="suite_faults")
    return found


def import_cases(
    name: str, lines: Iterable[bytes], *, source: str, by: User | None, actor: Actor
) -> Imported:
    """Freeze the cases of a file as the next version of a suite; the same cases as in the last one change nothing.

    The first suite about a type or tool makes its gate too. Refused with every fault, Denied without the right.
    """
    if by is not None:
        access.require(by, access.CONFIGURES, "import cases")
    return freeze(name, [line.body for line in read(lines)], source=source, actor=actor)


def freeze(name: str, bodies: Sequence[Mapping[str, Any]], *, source: str, actor: Actor) -> Imported:
    """Make these cases (known to be right, and about one thing) the next version of a suite."""
    cases = [Case.model_validate_json(canonical(dict(body))) for body in bodies]
    kind, about = cases[0].subject
    digests = [digest(dict(body)) for body in bodies]
    whole = text_digest("\n".join(sorted(digests)))
    with transaction.atomic():
        _one_at_a_time(name)
        last = newest(name)
        if last is not None and (last.kind, last.about) != (kind, about):
            raise Refused(
                f"the suite {name} is about {last.about}; give cases about {about} another name",
                code="suite_about",
            )
        if last is not None and last.digest == whole:
            return Imported(last, new=False)
        drawable = [one for one in cases if one.label_confidence != "disputed"]
        suite = EvalSuite.objects.create(
            name=name,
            number=last.number + 1 if last is not None else 1,
            kind=kind,
            about=about,
            type_version=version_of(kind, about),
            digest=whole,
            holdout=sum(one.split == "holdout" for one in drawable),
            public=sum(one.split == "public" for one in drawable),
            disputed=len(cases) - len(drawable),
            source=source[:300],
            made_at=Now(),
        )
        EvalCase.objects.bulk_create(
            EvalCase(
                suite=suite,
                name=case.id,
                body=dict(body),
                digest=one,
                split=case.split,
                confidence=case.label_confidence,
            )
            for case, body, one in zip(cases, bodies, digests, strict=True)
        )
        Gate.objects.bulk_create([_first_gate(suite)], ignore_conflicts=True)
        audit.record(
            "suite.import",
            actor=actor,
            chain=f"suite:{name}",
            subject=str(suite),
            detail={"about": about, "cases": len(cases), "digest": whole, "source": source[:300]},
        )
    suite.refresh_from_db()
    return Imported(suite, new=True)


def newest(name: str) -> EvalSuite | None:
    """The last version of a suite."""
    return EvalSuite.objects.filter(name=name).order_by("-number").first()


def export(suite: EvalSuite, split: str = "") -> Iterator[str]:
    """Its cases as lines of a file, in order of their names; only those of one split if one is named."""
    rows = suite.cases.order_by("name")
    for case in (rows.filter(split=split) if split else rows).iterator(chunk_size=200):
        yield canonical(case.body)


def version_of(kind: str, about: str) -> int:
    """The version of a type or tool that is in force here; 0 where there is none."""
    found = transaction_types().get(about) if kind == Grant.TYPE else read_tools().get(about)
    return found.version if found is not None else 0


def _first_gate(suite: EvalSuite) -> Gate:
    return Gate(
        kind=suite.kind,
        about=suite.about,
        suite=suite,
        bar=BAR,
        wrong=0,
        consistency=CONSISTENCY,
        max_age_days=MAX_AGE_DAYS,
        changed_at=Now(),
    )


def _one_at_a_time(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"suite:{name}"])


def _fault(number: int, field: str, text: str, hint: str = "") -> Finding:
    return Finding("suite.case", Level.ERROR, text, f"line {number}: {field}".rstrip(" :"), hint)


def _faults_together(found: Sequence[Line]) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for line in found:
        first = seen.setdefault(line.case.id, line.number)
        if first != line.number:
            yield _fault(line.number, "id", f"Line {first} has the id {line.case.id} too.", "Name each once.")
        if line.case.subject != found[0].case.subject:
            kind, about = found[0].case.subject
            yield _fault(
                line.number, kind, f"It is not about {about} as the first.", "One suite, one subject."
            )


def _faults_of(number: int, case: Case) -> Iterator[Finding]:
    kind, about = case.subject
    if version_of(kind, about) == 0:
        yield _fault(number, kind, f"There is no {about} here.", "See `manage.py capabilities`.")
        return
    for place, reading in enumerate(case.readings):
        yield from _faults_of_reading(number, f"readings.{place}", reading, case.as_of)
    if kind == Grant.TYPE:
        yield from _faults_of_type(number, case, transaction_types()[about])
    else:
        for place, one in enumerate(case.acceptable):
            if one is not None and not one:
                yield _fault(number, f"acceptable.{place}", "An answer without a field cannot be judged.")
            yield from (
                _fault(number, "critical", f"No acceptable answer has {name}.")
                for name in case.critical
                if one is not None and name not in one
            )


def _faults_of_type(number: int, case: Case, type_: TransactionType) -> Iterator[Finding]:
    for place, one in enumerate(case.acceptable):
        if one is None:
            continue
        try:
            type_.payload.model_validate_json(canonical(one))
        except ValidationError as error:
            yield from (
                _fault(number, fault.field, fault.text, fault.hint)
                for fault in model_findings(error, f"acceptable.{place}")
            )
    known = {one.path if one.payload_path is None else one.payload_path for one in type_.fields}
    for name in case.critical:
        if name not in known:
            yield _fault(
                number,
                "critical",
                f"The payload of {type_.name} has no field {name}.",
                f"One of {', '.join(sorted(known - {''}))}.",
            )


def _faults_of_reading(
    number: int, path: str, reading: FrozenReading, as_of: dt.datetime
) -> Iterator[Finding]:
    tool = read_tools().get(reading.tool)
    if tool is None:
        yield _fault(number, f"{path}.tool", f"There is no read tool {reading.tool} here.")
        return
    if reading.tool_version != tool.version:
        yield _fault(
            number,
            f"{path}.tool_version",
            f"{tool.name} is at version {tool.version} here; the reading is of {reading.tool_version}.",
            "Harvest the case again.",
        )
    if reading.as_of is not None and reading.as_of > as_of:
        yield _fault(
            number,
            f"{path}.as_of",
            "It was read after the case began: the answer could be in it.",
            "Nothing later than the case's as_of may be in a case.",
        )
    for what, model, value in (
        ("arguments", tool.arguments, reading.arguments),
        ("answer", tool.answer, reading.answer),
    ):
        try:
            model.model_validate_json(canonical(value))
        except ValidationError as error:
            yield from (
                _fault(number, one.field, one.text, one.hint)
                for one in model_findings(error, f"{path}.{what}")
            )
