"""A run: an agent version sits frozen cases, one after the other (see `sitting`), with a key that reaches nothing else.

Plan, cost and power are fixed before it starts. The agent hears how many were right when the run is finished, never
which; people see all of it.
"""

from __future__ import annotations

import datetime as dt
import hmac
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now
from pydantic import Field, StringConstraints

from console import audit, references
from console.audit import Actor
from console.canonical import text_digest
from console.checks.shape import parse, validated
from console.errors import Conflict, Denied, Missing, Refused
from console.evals import gate, sitting, suites
from console.evals.bounds import Plan, at_most, left
from console.models import (
    Agent,
    AgentVersion,
    Confidence,
    EvalRun,
    EvalSuite,
    Gate,
    RunAnswer,
    RunReading,
    Split,
)
from console.models.loading import Fetch, Insert
from console.registry import evidence, keys
from integrations.contract import Closed

OPEN_FOR = dt.timedelta(days=14)
RUN = Fetch(EvalRun, "version__agent", "suite")
ANSWER = Insert(RunAnswer, now=("at",))
READING = Insert(RunReading, now=("at",))

Ref = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}-[0-9A-HJKMNP-TV-Z]{12}$")]
Said = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)]


class Opening(Closed):
    """What an agent sends to open a run, or to go on with one that is open."""

    suite: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,60}$")] = Field(
        description="The name of a suite, as the people who run the console tell you."
    )
    practice: bool = Field(
        default=False,
        description="Over the public cases: costs nothing, opens nothing. Left out: an attempt at the gate.",
    )


class Finish(Closed):
    """That the run is over."""

    give_up: bool = Field(default=False, description="Count what is not answered as wrong.")


@dataclass(frozen=True)
class Opened:
    """A run, the only time its key is known, and whether it was open already."""

    run: EvalRun
    key: str = field(repr=False)
    resumed: bool


def open_run(version: AgentVersion, *, raw: bytes, actor: Actor) -> Opened:
    """Open a run of a version over a suite, with plan, cost and power fixed; or go on with the one that is open.

    Going on gives a new key and costs nothing; opening an attempt spends its cost at once, whatever comes of it.
    Refused: no such suite, too few cases for the plan, a type that has moved on.
    """
    parse(raw)
    opening = validated(Opening, raw.decode())
    minted = keys.mint(keys.RUN)
    with transaction.atomic():
        # One at a time per agent: two attempts must not spend the same error.
        Agent.objects.select_for_update().get(pk=version.agent_id)
        gate_, suite = _gate_and_suite(opening)
        running = (
            EvalRun.objects.filter(version=version, suite=suite, practice=opening.practice)
            .filter(finished_at__isnull=True, ends_at__gt=Now())
            .first()
        )
        if running is not None:
            EvalRun.objects.filter(pk=running.pk).update(key_id=minted.key_id, secret_hash=minted.secret_hash)
            _record("run.resume", running, actor, {})
            return Opened(_loaded(running.pk), minted.text, resumed=True)
        made = _planned(version, gate_, suite, practice=opening.practice, minted=minted)
        _record(
            "run.open",
            made,
            actor,
            {
                "suite": str(suite),
                "suite_digest": suite.digest,
                "type_version": made.type_version,
                "practice": made.practice,
                "cases": made.cases,
                "wrong": made.wrong,
                "bar": str(made.bar),
                "repeats": made.repeats,
                "cost": f"{made.cost:.6f}",
            },
        )
    return Opened(_loaded(made.pk), minted.text, resumed=False)


def authenticate(text: str) -> EvalRun:
    """The run of this key. Denied when it is none, or replaced by a later one, or out of date."""
    key_id, given = keys.told(text, keys.RUN)
    run = RUN.one("t.key_id = %s", [key_id])
    if run is None or not hmac.compare_digest(run.secret_hash, given):
        raise Denied("there is no such run; its key may have been replaced", code="bad_key")
    if run.ends_at <= run.db_now:
        raise Denied(f"run {run.ref} has ended", code="key_expired")
    return run


def own(version: AgentVersion, ref: str) -> EvalRun:
    """A run of any version of the same agent. Missing for one that is not there and for another's alike."""
    run = RUN.one("t.ref = %s AND version.agent_id = %s", [ref, version.agent_id])
    if run is None:
        raise Missing("you have no run of this reference")
    return run


def tools_of(run: EvalRun) -> set[str]:
    """The read tools that any case of the run's suite froze."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT r ->> 'tool' FROM console_evalcase c, jsonb_array_elements(c.body -> 'readings') r"
            " WHERE c.suite_id = %s",
            [run.suite_id],
        )
        return {name for (name,) in cursor.fetchall()}


def finish(run: EvalRun, *, raw: bytes, actor: Actor) -> EvalRun:
    """Count what was scored and let the gate judge it. Finishing twice changes nothing.

    Conflict while cases are not answered, unless `give_up` counts them as wrong.
    """
    parse(raw)
    said = validated(Finish, raw.decode())
    with transaction.atomic():
        row = EvalRun.objects.select_for_update().get(pk=run.pk)
        if row.finished_at is not None:
            return _loaded(run.pk)
        left_over = row.sittings - sitting.answered(row)
        if left_over and not said.give_up:
            raise Conflict(
                f"{left_over} of {row.sittings} are not answered; answer them, or finish with give_up and "
                "they count as wrong",
                code="run_unfinished",
            )
        tally = tallied(row)
        opened = None if row.practice else gate.decide(_loaded(row.pk), tally, actor=actor)
        reasons = list(opened.reasons) if opened is not None else gate.faults(row, tally)
        EvalRun.objects.filter(pk=row.pk).update(
            finished_at=Now(), result=asdict(tally) | {"passed": not reasons, "reasons": reasons}
        )
        _record("run.finish", row, actor, {**asdict(tally), "unanswered": left_over})
    return _loaded(run.pk)


def tallied(run: EvalRun) -> gate.Tally:
    """What its stored answers come to. A sitting without an answer is a wrong one."""
    rows = RunAnswer.objects.filter(run=run).values_list("place", "right", "critical")
    by_case = [0] * run.cases
    right = critical = 0
    for place, is_right, is_critical in rows:
        by_case[place % run.cases] += is_right
        right += is_right and place < run.cases
        critical += is_critical
    return gate.Tally(
        cases=run.cases,
        right=right,
        consistent=sum(count == run.repeats for count in by_case),
        critical=critical,
    )


def rescored(run: EvalRun) -> list[int]:
    """The places of answers whose stored score differs from what scoring them now gives: none, or something moved."""
    rows = RunAnswer.objects.filter(run=run).select_related("case").order_by("place")
    return [
        one.place
        for one in rows.iterator(chunk_size=200)
        if sitting.judged(run, sitting.case_of(one.case), one.given)
        != {name: getattr(one, name) for name in ("right", "critical", "differences", "fields", "nearest")}
    ]


@dataclass(frozen=True)
class Comparison:
    """A run beside the last one of another version: cases that both sat first, and which came out otherwise.

    `chance`: how likely so lopsided a difference is when neither is better (exact McNemar test, two-sided).
    """

    before: EvalRun
    common: int
    worse: tuple[int, ...]
    better: int
    chance: float


def compared(run: EvalRun) -> Comparison | None:
    """The run beside the newest finished one of another version of its agent before it; None where there is none.

    Q. McNemar, "Note on the sampling error of the difference between correlated proportions", Psychometrika 12 (1947).
    """
    before = (
        EvalRun.objects.select_related("version__agent", "suite")
        .filter(
            version__agent=run.version.agent_id,
            kind=run.kind,
            about=run.about,
            practice=run.practice,
            finished_at__isnull=False,
            id__lt=run.pk,
        )
        .exclude(version=run.version_id)
        .order_by("-id")
        .first()
    )
    if before is None:
        return None
    old, new = (_by_digest(one) for one in (before, run))
    both = [digest for digest in new if digest in old]
    worse = tuple(new[digest][0] for digest in both if old[digest][1] and not new[digest][1])
    better = sum(new[digest][1] and not old[digest][1] for digest in both)
    apart = len(worse) + better
    chance = min(1.0, 2 * at_most(min(len(worse), better), apart, 0.5)) if apart else 1.0
    return Comparison(before, len(both), worse, better, chance)


def _by_digest(run: EvalRun) -> dict[str, tuple[int, bool]]:
    rows = RunAnswer.objects.filter(run=run, place__lt=run.cases)
    return {
        digest: (place, right) for digest, place, right in rows.values_list("case__digest", "place", "right")
    }


def _gate_and_suite(opening: Opening) -> tuple[Gate, EvalSuite]:
    suite = suites.newest(opening.suite)
    if suite is None:
        raise Missing(f"there is no suite {opening.suite}", code="no_suite")
    gate_ = Gate.objects.select_related("suite").get(kind=suite.kind, about=suite.about)
    if gate_.suite.name != opening.suite and not opening.practice:
        raise Refused(
            f"the gate of {suite.about} is set to the suite {gate_.suite.name}; {opening.suite} is for practice",
            code="other_suite",
        )
    return gate_, gate_.suite if gate_.suite.name == opening.suite else suite


def _planned(
    version: AgentVersion, gate_: Gate, suite: EvalSuite, *, practice: bool, minted: keys.Minted
) -> EvalRun:
    if suite.type_version != evidence.version_of(suite.kind, suite.about):
        raise Refused(
            f"{suite} fits version {suite.type_version} of {suite.about}, and another is in force; its cases have "
            "to be frozen again",
            code="suite_old",
        )
    so_far = gate.spent(version.agent_id, suite.kind, suite.about)
    plan = Plan(suite.public, gate_.wrong, float(gate_.bar)) if practice else gate.next_plan(gate_, so_far)
    there = suite.public if practice else suite.holdout
    if not 0 < plan.cases <= there:
        raise Refused(
            f"this takes {max(plan.cases, 1)} {'public' if practice else 'hold-out'} cases, and {suite} has {there}",
            code="too_few_cases",
        )
    ref = references.new("ER")
    drawn, known = _drawn(version, suite, ref, plan.cases, practice=practice)
    return EvalRun.objects.create(
        ref=ref,
        version=version,
        suite=suite,
        suite_digest=suite.digest,
        kind=suite.kind,
        about=suite.about,
        type_version=suite.type_version,
        practice=practice,
        gate_number=gate_.number,
        bar=gate_.bar,
        cases=plan.cases,
        wrong=plan.wrong,
        repeats=gate_.repeats,
        consistency=gate_.consistency,
        max_age_days=gate_.max_age_days,
        cost=0.0 if practice else plan.cost,
        left_before=left(so_far),
        power=gate.powers(plan, gate_.repeats, float(gate_.consistency)),
        drawn=drawn,
        known=known,
        key_id=minted.key_id,
        secret_hash=minted.secret_hash,
        started_at=Now(),
        ends_at=Now() + OPEN_FOR,
    )


def _drawn(
    version: AgentVersion, suite: EvalSuite, ref: str, cases: int, *, practice: bool
) -> tuple[list[int], int]:
    """The cases of a run: those that this agent has not sat come first, else by a draw that its reference fixes."""
    split = Split.PUBLIC if practice else Split.HOLDOUT
    there = suite.cases.filter(split=split).exclude(confidence=Confidence.DISPUTED)
    sat = set(
        RunAnswer.objects.filter(
            Q(run__version__agent=version.agent_id) & Q(case__digest__in=there.values("digest"))
        )
        .values_list("case__digest", flat=True)
        .distinct()
    )
    order = sorted(
        there.values_list("pk", "digest"), key=lambda one: (one[1] in sat, text_digest(ref + one[1]))
    )
    chosen = order[:cases]
    return [pk for pk, _ in chosen], sum(one in sat for _, one in chosen)


def _loaded(pk: int) -> EvalRun:
    found = RUN.one("t.id = %s", [pk])
    if found is None:
        raise Missing("there is no such run")
    return found


def _record(verb: str, run: EvalRun, actor: Actor, detail: Mapping[str, Any]) -> None:
    audit.record(verb, actor=actor, chain=f"run:{run.ref}", subject=run.ref, detail=detail)
