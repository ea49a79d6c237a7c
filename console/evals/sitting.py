"""One sitting after the other: the case whose turn it is, its frozen readings, and the answer to it.

An agent reads through the same read tools, answered from what the case froze, and proposes in the same form; what it
proposes is scored and stored, never queued. Nothing here hands out an acceptable outcome, or whether an answer was
right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from django.db import IntegrityError, transaction
from pydantic import Field, StringConstraints

from console import references
from console.canonical import canonical, text_digest
from console.catalogue import read_tools, transaction_type, transaction_types
from console.checks.readings import unknown
from console.checks.shape import parse, validated
from console.errors import Conflict, Missing, Refused
from console.evals import suites
from console.evals.scoring import Score, score, score_answer
from console.lifecycle import submit
from console.models import EvalCase, EvalRun, Grant, RunAnswer, RunReading
from console.models.loading import Insert
from console.reads.read import Envelope as ReadEnvelope
from integrations.contract import Closed, Finding, Level, ReadTool

ANSWER = Insert(RunAnswer, now=("at",))
CONNECTION = "frozen"
"""What stands for a connection in a run."""
READING = Insert(RunReading, now=("at",))
PLACE = re.compile(r"\.[0-9]+\.")

Ref = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}-[0-9A-HJKMNP-TV-Z]{12}$")]
Said = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)]


class Nothing(Closed):
    """That nothing should be done about a case: an answer like any other."""

    case: int = Field(ge=1, description="The number of the case that this answers.")
    rationale: Said = Field(default="", description="Why, in plain words.")


class Answer(Closed):
    """The answer to a question about what was read."""

    case: int = Field(ge=1, description="The number of the case that this answers.")
    answer: dict[str, Any] = Field(description="The fields that the case asks for.", min_length=1)
    readings: Annotated[list[Ref], Field(min_length=1, max_length=50)] = Field(
        description="References of the readings that it rests on."
    )
    rationale: Said = Field(default="", description="How you know, in plain words.")


@dataclass(frozen=True)
class Sitting:
    """Where a run stands: the case whose turn it is, `place` from 0 over all sittings."""

    place: int
    row: EvalCase
    case: suites.Case


@dataclass(frozen=True)
class FrozenRead:
    """A frozen answer under a reference of its own."""

    ref: str
    tool: ReadTool
    reading: suites.FrozenReading


@dataclass(frozen=True)
class Taken:
    """An answer that was taken, which sitting it was for (from 0), and whether it had been before."""

    place: int
    replayed: bool


def answered(run: EvalRun) -> int:
    """How many sittings have an answer."""
    return RunAnswer.objects.filter(run=run).count()


def current(run: EvalRun) -> Sitting:
    """The case whose turn it is. Conflict when there is none any more."""
    if run.finished_at is not None:
        raise Conflict(f"run {run.ref} is finished", code="run_over")
    place = answered(run)
    if place >= run.sittings:
        raise Conflict(f"every case of run {run.ref} is answered; finish it", code="run_over")
    row = EvalCase.objects.get(pk=run.drawn[place % run.cases])
    return Sitting(place, row, case_of(row))


def started_by(run: EvalRun, sitting: Sitting) -> FrozenRead | None:
    """The reading that the case begins with, if one, under the same reference however often it is asked for."""
    frozen = sitting.case.started_by.reading
    if frozen is None:
        return None
    reading = sitting.case.readings[frozen]
    known = RunReading.objects.filter(run=run, place=sitting.place, frozen=frozen).order_by("id").first()
    made = known or _recorded(run, sitting.place, reading.tool, reading.arguments, frozen)
    return FrozenRead(made.ref, read_tools()[reading.tool], reading)


def read(run: EvalRun, name: str, *, raw: bytes) -> FrozenRead:
    """Answer a read from what the case froze. Missing (code "not_frozen") where it did not, which is recorded too.

    Raises Refused for what a live read would be refused for, and Conflict when the run is over.
    """
    tool = read_tools().get(name)
    if tool is None:
        raise Missing("there is no read tool of this name; `tools` lists yours", code="unknown_tool")
    parse(raw)
    envelope = validated(ReadEnvelope, raw.decode())
    asked = _arguments(tool, envelope.arguments)
    sitting = current(run)
    found = [
        place
        for place, one in enumerate(sitting.case.readings)
        if one.tool == name and _arguments(tool, one.arguments) == asked
    ]
    made = _recorded(run, sitting.place, name, envelope.arguments, found[-1] if found else None)
    if not found:
        raise Missing(
            f"this case froze no {name} with these arguments; it was not read then. Answer from what there is",
            code="not_frozen",
        )
    return FrozenRead(made.ref, tool, sitting.case.readings[found[-1]])


def propose(run: EvalRun, *, raw: bytes, key: str) -> Taken:
    """Take a proposal as the answer to the case whose turn it is. Nothing is queued.

    Refused as a live proposal would be for its form; that is no answer yet. Once per `key`, as live.
    """
    fingerprint = text_digest(raw.decode("utf-8", "replace"))
    if (known := _replay(run, key, fingerprint)) is not None:
        return known
    envelope, payload = _read_proposal(run, raw)
    return _take(
        run,
        current(run),
        key=key,
        fingerprint=fingerprint,
        given=payload,
        rationale=envelope.rationale,
        cited=envelope.readings,
    )


def form_faults(run: EvalRun, *, raw: bytes) -> tuple[Finding, ...]:
    """What is wrong with the form of a proposal; nothing when it would be taken. Raises Refused where it is no JSON."""
    parse(raw)
    try:
        _read_proposal(run, raw)
    except Refused as refused:
        return refused.findings or (Finding(refused.code, Level.ERROR, refused.text),)
    return ()


def nothing(run: EvalRun, *, raw: bytes) -> Taken:
    """Take "nothing should be done" as the answer to the case it names. The same again changes nothing."""
    parse(raw)
    said = validated(Nothing, raw.decode())
    return _answer_to(run, said.case, raw, given=None, rationale=said.rationale, cited=[])


def answer(run: EvalRun, *, raw: bytes) -> Taken:
    """Take the answer to a question about what was read, with the readings it rests on."""
    parse(raw)
    said = validated(Answer, raw.decode())
    if run.kind != Grant.TOOL:
        raise Refused(f"this run is about {run.about}; propose, or say that nothing should be done")
    return _answer_to(
        run, said.case, raw, given=said.answer, rationale=said.rationale, cited=list(said.readings)
    )


def judged(run: EvalRun, case: suites.Case, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """An answer's score as it is stored. Doing nothing where something was right is wrong, but breaks no field."""
    found = _scored(run, case, given)
    own_critical = any(PLACE.sub("[].", one.path) in case.critical for one in found.differences)
    return {
        "right": found.right,
        "critical": given is not None and (found.critical_wrong or own_critical),
        "differences": [asdict(one) for one in found.differences],
        "fields": found.fields,
        "nearest": found.nearest,
    }


def _scored(run: EvalRun, case: suites.Case, given: Mapping[str, Any] | None) -> Score:
    if run.kind == Grant.TYPE:
        return score(transaction_types()[run.about], given, case.acceptable)
    return score_answer(given, case.acceptable, case.critical)


def _read_proposal(run: EvalRun, raw: bytes) -> tuple[submit.Envelope, dict[str, Any]]:
    envelope = submit.read_form(raw)
    if run.kind != Grant.TYPE or envelope.transaction_type != run.about:
        raise Refused(f"this run is about {run.about}; only that is answered here", code="unknown_type")
    _, text = submit.read_payload(transaction_type(run.about), envelope)
    payload: dict[str, Any] = parse(text.encode())
    return envelope, payload


def _answer_to(
    run: EvalRun,
    number: int,
    raw: bytes,
    *,
    given: Mapping[str, Any] | None,
    rationale: str,
    cited: Sequence[str],
) -> Taken:
    # A client's own key has no space in it.
    key, fingerprint = f"case {number}", text_digest(raw.decode("utf-8", "replace"))
    if (known := _replay(run, key, fingerprint)) is not None:
        return known
    sitting = current(run)
    if sitting.place + 1 != number:
        raise Conflict(f"the case whose turn it is has the number {sitting.place + 1}", code="run_moved_on")
    return _take(
        run, sitting, key=key, fingerprint=fingerprint, given=given, rationale=rationale, cited=cited
    )


def _replay(run: EvalRun, key: str, fingerprint: str) -> Taken | None:
    known = RunAnswer.objects.filter(run=run, key=key).only("place", "fingerprint").first()
    if known is None:
        return None
    if known.fingerprint != fingerprint:
        raise Refused("this was answered before, and otherwise; what was said stands", code="key_reused")
    return Taken(known.place, replayed=True)


def _take(
    run: EvalRun,
    sitting: Sitting,
    *,
    key: str,
    fingerprint: str,
    given: Mapping[str, Any] | None,
    rationale: str,
    cited: Sequence[str],
) -> Taken:
    _check_cited(run, sitting, cited)
    try:
        with transaction.atomic():
            # Whoever finishes the run waits for this answer, or this one finds it finished.
            if EvalRun.objects.select_for_update().get(pk=run.pk).finished_at is not None:
                raise Conflict(f"run {run.ref} is finished", code="run_over")
            ANSWER.one(
                run=run,
                place=sitting.place,
                case=sitting.row,
                key=key,
                fingerprint=fingerprint,
                given=given,
                rationale=rationale,
                cited=list(dict.fromkeys(cited)),
                **judged(run, sitting.case, given),
            )
    except IntegrityError:
        if (known := _replay(run, key, fingerprint)) is not None:
            return known
        raise Conflict(
            "somebody answered this case with the same key just now", code="run_moved_on"
        ) from None
    return Taken(sitting.place, replayed=False)


def _check_cited(run: EvalRun, sitting: Sitting, cited: Sequence[str]) -> None:
    there = set(
        RunReading.objects.filter(
            run=run, place=sitting.place, frozen__isnull=False, ref__in=list(cited)
        ).values_list("ref", flat=True)
    )
    if faults := unknown(cited, there, hint="Cite the references that `reads` gave you for this case."):
        raise Refused("it rests on readings that are not there", findings=faults, code="unknown_reading")


def _arguments(tool: ReadTool, given: Mapping[str, Any]) -> str:
    """Arguments with their defaults, so that leaving one out and writing it are the same question."""
    try:
        text = canonical(dict(given))
    except ValueError as error:
        raise Refused(str(error), code="not_canonical") from None
    return canonical(validated(tool.arguments, text, "arguments").model_dump(mode="json"))


def _recorded(
    run: EvalRun, place: int, tool: str, arguments: Mapping[str, Any], frozen: int | None
) -> RunReading:
    return READING.one(
        run=run,
        place=place,
        ref=references.new("RD"),
        tool=tool,
        arguments=dict(arguments),
        frozen=frozen,
    )


def case_of(row: EvalCase) -> suites.Case:
    """The case of a row."""
    return suites.Case.model_validate_json(canonical(row.body))
