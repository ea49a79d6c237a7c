"""Live answers: an agent says what it found, with its readings; people who look at both say whether it is right.

An answer is of the same form as in an eval run, and must rest on readings that are fresh when it is given. Marks count
in the version's record of reliable reads (`registry.marks`), and take it its writes where they disprove it. The agent
is never told which answer was marked how: one may become a hold-out case.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from pydantic import Field, StringConstraints

from console import access, audit, references
from console.audit import Actor
from console.canonical import canonical, text_digest
from console.catalogue import read_tools
from console.checks.readings import readings_are_usable, unknown
from console.checks.shape import parse, validated
from console.errors import Conflict, Denied, Exhausted, Missing, Refused
from console.evals import suites
from console.evals.accepting import frozen, suite_about
from console.evals.sitting import Ref, Said
from console.models import (
    AcceptedCase,
    AgentVersion,
    AnswerCited,
    AnswerMark,
    Autonomy,
    Grant,
    Incident,
    LiveAnswer,
    Mark,
    Mistake,
    Reading,
)
from console.models.loading import Insert
from console.reads.rests import as_taken
from console.registry import grants, marks
from integrations.contract import Closed, Finding, Level

ANSWER = Insert(LiveAnswer, now=("at",))
MOST = 16_384
"""Bytes of an answer in canonical form: what a person can hold against a reading."""
WAITS = dt.timedelta(days=1)
"""Answers younger than this that nobody has marked may be as many as an agent's proposals may wait."""
MISREADS = "answers_wrong"
"""The kind of an incident that marks open."""
LONGEST = 500
"""Characters of a person's words on an answer, as the column has them."""


class Envelope(Closed):
    """What an agent sends to answer a question of a person: the answer, and the readings it rests on."""

    tool: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,63}$")] = Field(
        description="The read tool that the question is about; at least one of the readings is its."
    )
    question: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)] = Field(
        description="What you were asked, in the person's words."
    )
    answer: dict[str, Any] = Field(description="Its fields, as in an eval run.", min_length=1, max_length=30)
    readings: Annotated[list[Ref], Field(min_length=1, max_length=20)] = Field(
        description="References of your own readings that it rests on. They have to be fresh."
    )
    rationale: Said = Field(default="", description="How you know, in plain words.")


@dataclass(frozen=True)
class Posted:
    """An answer that is stored, and whether it was before."""

    answer: LiveAnswer
    replayed: bool


def post(version: AgentVersion, *, raw: bytes, key: str, actor: Actor) -> Posted:
    """Store a live answer, once per `key` of this version.

    `raw` is the request's body. Raises Refused with every fault at once (form, size, readings that are not this
    version's, not answered, or no longer to be relied on; code "key_reused" for another body under the same key),
    Denied or Held where the grant to read says no, Exhausted when too many wait for a person.
    """
    fingerprint = text_digest(raw.decode("utf-8", "replace"))
    if (known := _replay(version, key, fingerprint)) is not None:
        return Posted(known, replayed=True)
    parse(raw)
    envelope = validated(Envelope, raw.decode())
    tool = read_tools().get(envelope.tool)
    if tool is None:
        raise Missing("there is no read tool of this name; `tools` lists yours", code="unknown_tool")
    _check_size(envelope.answer)
    readings = _usable(version, envelope)
    for place in {one.connection.name for one in readings if one.tool == tool.name}:
        grant = access.granted(version, Grant.TOOL, tool.name, place)
        if grant.asked:
            access.check_not_stopped(
                system=grant.connection.system.slug, type_name=tool.name, agent=version.agent.slug
            )
    with transaction.atomic():
        _one_at_a_time(version)
        if (known := _replay(version, key, fingerprint)) is not None:
            return Posted(known, replayed=True)
        _check_room(version)
        made = ANSWER.one(
            ref=references.new("AN"),
            agent_version=version,
            key_id=actor.via,
            tool=tool.name,
            tool_version=tool.version,
            question=envelope.question,
            given=envelope.answer,
            rationale=envelope.rationale,
            key=key,
            fingerprint=fingerprint,
        )
        AnswerCited.objects.bulk_create(AnswerCited(answer=made, reading=one) for one in readings)
        audit.record(
            "answer.post",
            actor=actor,
            chain=chain(version),
            subject=made.ref,
            detail={
                "tool": tool.name,
                "digest": text_digest(canonical(envelope.answer)),
                "readings": [one.ref for one in readings],
            },
        )
    return Posted(made, replayed=False)


def mark(answer: LiveAnswer, *, said: str, mistake: str, words: str, by: User, actor: Actor) -> AnswerMark:
    """Say that an answer is right or wrong, or that it cannot be told. Marking again is another mark.

    `said` is a Mark; `mistake` and `words` say what was wrong and are needed for that alone. Raises Denied for
    everybody but supervisors who do not own the agent, and Refused with every fault.

    Where it is the "wrong" by which the marks rule out that the version reads well enough, its writes are put back
    into shadow in the same transaction: see `fallen`.
    """
    if why := may_not_mark(by, answer):
        raise Denied(why)
    words = words.strip()
    faults = []
    if said not in Mark.values:
        faults.append(_fault("mark", "Say whether it is right, wrong, or cannot be told."))
    if said == Mark.WRONG:
        if mistake not in Mistake.values:
            faults.append(_fault("mistake", "Choose what was wrong with it."))
        if not words:
            faults.append(_fault("words", "Say in a few words what would have been right."))
    if len(words) > LONGEST:
        faults.append(_fault("words", f"{len(words)} characters are too many; at most {LONGEST} are kept."))
    if faults:
        raise Refused("the mark is not complete", findings=faults, code="mark")
    with transaction.atomic():
        made = AnswerMark.objects.create(
            answer=answer,
            mark=said,
            mistake=mistake if said == Mark.WRONG else "",
            words=words,
            by=by,
            at=Now(),
        )
        audit.record(
            "answer.mark",
            actor=actor,
            chain=chain(answer.agent_version),
            subject=answer.ref,
            detail={"mark": made.mark, "mistake": made.mistake},
        )
        # Counted after the entry: marks of one agent wait for each other in its chain, so none is overlooked.
        if made.mark == Mark.WRONG:
            _take_writes(answer.agent_version, made, actor)
    made.refresh_from_db(fields=["at"])
    return made


def fallen(given: Sequence[AnswerMark]) -> list[Incident]:
    """The incidents of the writes that these marks put back into shadow, the oldest first."""
    told = [Incident.objects.filter(dedupe__startswith=_fact(one, "")) for one in given]
    return sorted((one for found in told for one in found), key=lambda one: one.pk)


def may_not_mark(user: User, answer: LiveAnswer) -> str:
    """Why this person may not mark this answer, in words; "" if they may."""
    if not access.roles(user) & access.DECIDES:
        return "Only supervisors mark answers."
    if answer.agent_version.agent.owner_id == user.pk:
        return f"You own the agent {answer.agent_version.agent.title}; somebody else has to mark it."
    return ""


def unmarked() -> QuerySet[LiveAnswer]:
    """The answers that nobody has marked, the oldest first."""
    return found().filter(~Exists(AnswerMark.objects.filter(answer=OuterRef("pk")))).order_by("id")


def found() -> QuerySet[LiveAnswer]:
    """Every answer with whose it is."""
    return LiveAnswer.objects.select_related("agent_version__agent")


def standing(marks: Sequence[AnswerMark]) -> str:
    """What the marks of one answer, in the order they were made, come to: a Mark, or "" without any.

    The same rule as in `registry.marks`, which counts in one statement.
    """
    newest = {one.by_id: one.mark for one in marks}.values()
    return next((one for one in (Mark.WRONG, Mark.RIGHT, Mark.UNSURE) if one in newest), "")


def accept(
    answer: LiveAnswer,
    *,
    words: str,
    split: str,
    right: Sequence[dict[str, Any] | None],
    critical: Sequence[str],
    by: User,
    actor: Actor,
) -> AcceptedCase:
    """Make a case of an answer that people marked: it joins the next version of its tool's suite.

    `right`: what would have been right, given by the curator where it was marked wrong; otherwise the answer itself.
    Supervisors and administrators may, but nobody who owns the agent. Refused with every fault, Conflict when it is
    a case already.
    """
    access.require(by, access.CONFIRMS, "make a case")
    if answer.agent_version.agent.owner_id == by.pk:
        raise Denied(f"you own the agent {answer.agent_version.agent.title}; somebody else has to curate")
    body = body_of(answer, words=words, split=split, right=right, critical=critical)
    suites.read([canonical(body).encode()])
    try:
        with transaction.atomic():
            made = AcceptedCase.objects.create(
                answer=answer, suite=suite_about(Grant.TOOL, answer.tool), body=body, by=by, at=Now()
            )
            audit.record(
                "suite.accept",
                actor=actor,
                chain=f"suite:{made.suite}",
                subject=answer.ref,
                detail={"suite": made.suite, "split": split},
            )
    except IntegrityError:
        raise Conflict(f"{answer.ref} is a case already", code="case_exists") from None
    return made


def body_of(
    answer: LiveAnswer,
    *,
    words: str,
    split: str,
    right: Sequence[dict[str, Any] | None] = (),
    critical: Sequence[str] = (),
) -> dict[str, Any]:
    """The case of an answer: the question, the readings it rests on, and what is right.

    Refused where people have not said whether it is right, or said that it is wrong and nobody says what is right.
    """
    came = standing(list(answer.marks.order_by("id")))
    if came not in {Mark.RIGHT, Mark.WRONG}:
        raise Refused("nobody has said yet whether this answer is right", code="truth_unknown")
    if came == Mark.WRONG and not right:
        raise Refused("it was marked wrong: say what would have been right", code="truth_unknown")
    readings = cited(answer)
    as_of = max([answer.at, *(one.as_of for one in readings if one.as_of is not None)])
    return {
        "id": answer.ref,
        "tool": answer.tool,
        "started_by": {"words": words.strip(), "reading": None},
        "as_of": as_of.isoformat(),
        "readings": [frozen(one) for one in readings],
        "snapshot": None,
        "acceptable": list(right) if came == Mark.WRONG else [answer.given],
        "critical": list(critical),
        "provenance": f"live answer {answer.ref}, marked {came}, accepted by a curator",
        "label_confidence": "curated",
        "split": split,
    }


def cited(answer: LiveAnswer) -> list[Reading]:
    """The readings that an answer rests on, the first cited first."""
    rows = answer.cited.select_related("reading__connection").order_by("id")
    return [one.reading for one in rows]


def chain(version: AgentVersion) -> str:
    """The audit chain of an agent's answers: one an agent, so that marking never waits for its other work."""
    return f"answers:{version.agent.slug}"


def _usable(version: AgentVersion, envelope: Envelope) -> list[Reading]:
    wanted = list(dict.fromkeys(envelope.readings))
    known = {
        one.ref: one
        for one in Reading.objects.filter(ref__in=wanted, agent_version=version).select_related(
            "connection__system"
        )
    }
    if faults := unknown(envelope.readings, known, whose="This version of yours has"):
        raise Refused("it rests on readings that are not there", findings=faults, code="unknown_reading")
    found = [known[ref] for ref in wanted]
    if all(one.tool != envelope.tool for one in found):
        fault = Finding(
            "readings.other_tool",
            Level.ERROR,
            f"None of these readings is of {envelope.tool}.",
            field="readings",
            hint="Read with the tool that the question is about, and cite that.",
        )
        raise Refused("it does not rest on the tool it names", findings=[fault], code="unknown_reading")
    now = timezone.now()
    stale = readings_are_usable([replace(one, at=now) for one in as_taken(found)])
    if errors := [one for one in stale if one.level is Level.ERROR]:
        raise Refused("it rests on what may not be relied on now", findings=errors, code="unusable_reading")
    return found


def _check_size(answer: Mapping[str, Any]) -> None:
    try:
        size = len(canonical(dict(answer)).encode())
    except ValueError as error:
        raise Refused(str(error), code="not_canonical") from None
    if size > MOST:
        fault = _fault("answer", f"It is {size:,} bytes; at most {MOST:,} are taken. Answer what was asked.")
        raise Refused("the answer is too long", findings=[fault], code="shape")


def _replay(version: AgentVersion, key: str, fingerprint: str) -> LiveAnswer | None:
    known = found().filter(agent_version=version, key=key).first()
    if known is not None and known.fingerprint != fingerprint:
        raise Refused(
            "this Idempotency-Key came with another body before; use a new key for a new answer",
            code="key_reused",
        )
    return known


def _one_at_a_time(version: AgentVersion) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"answers:{version.agent_id}"]
        )


def _take_writes(version: AgentVersion, made: AnswerMark, actor: Actor) -> None:
    """Read before write holds for as long as it writes: who reads wrong falls, whatever it has passed before."""
    counted = marks.of_versions([version.pk])[version.pk]
    if not counted.disproven:
        return
    told = f"{marks.against(counted).capitalize()}."
    writes = Grant.objects.filter(
        version=version, kind=Grant.TYPE, autonomy__in=(Autonomy.PROPOSE, Autonomy.SAMPLED)
    )
    for grant in writes.select_related("version__agent", "connection").order_by("pk"):
        said = grants.Alarm(
            kind=MISREADS,
            title=f"{version} was put back into shadow for {grant.name}: its answers are wrong too often",
            lifts=f"{told} See what it misread. Answers that people mark right lift this, or a new version; then two "
            "people raise the grant again.",
            dedupe=_fact(made, grant.pk),
            detail={"right": counted.right, "wrong": counted.wrong},
        )
        grants.lower(grant, to=Autonomy.SHADOW, reason=told, by=None, actor=actor, alarm=said)


def _fact(made: AnswerMark, grant: int | str) -> str:
    return f"{MISREADS}:{made.pk}:{grant}"


def _check_room(version: AgentVersion) -> None:
    cap = version.agent.pending_cap
    waiting = unmarked().filter(agent_version__agent=version.agent_id, at__gt=Now() - WAITS)
    if waiting[:cap].count() >= cap:
        raise Exhausted(
            f"{cap} answers of this agent wait for a person already; more are taken when some are marked, or "
            "tomorrow",
            retry_after=3600,
            code="too_many_answers",
        )


def _fault(field: str, text: str) -> Finding:
    return Finding(f"answer.{field}", Level.ERROR, text, field=field)
