"""The gate: what an attempt takes, costs and can do, and what it makes of a finished run.

An attempt may spend half of what is left of the agent's lifetime error for a type. So there is always another
attempt, each takes some more cases than the one before, and all of them together let an agent that is exactly at the
bar through at most five times in a hundred lives (`bounds.LIFETIME_ERROR`).
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Sum
from django.db.models.functions import Now

from console import audit
from console.audit import Actor
from console.errors import Refused
from console.evals.bounds import Plan, at_most, left, smallest, wilson
from console.models import AgentVersion, EvalRun, Gate, GateDecision, Grant
from console.registry import evidence

SHARES = ("0.95", "0.97", "0.98", "0.99", "0.995")
"""True shares of right answers for which power is told."""
LEAST_LEFT = 1e-12


@dataclass(frozen=True)
class Tally:
    """What a finished run came to: `right` of `cases` in the first sitting, `consistent` right every time.

    `critical`: answers with something wrong that allows no error, over all sittings.
    """

    cases: int
    right: int
    consistent: int
    critical: int

    @property
    def low(self) -> float:
        """The lower end of Wilson's 95 % interval of the share right, 0 to 1."""
        return wilson(self.right, self.cases)[0]

    @property
    def high(self) -> float:
        """The upper end."""
        return wilson(self.right, self.cases)[1]


@dataclass(frozen=True)
class Standing:
    """What an agent version has shown for a transaction type: always with n and interval (percent), never bare.

    `open`: whether its gate is open now; `why` says why not. `run` is the reference of the run, `id` its key.
    """

    right: int
    n: int
    low: int
    high: int
    date: dt.datetime
    suite: str
    open: bool
    why: str
    valid_until: dt.datetime
    run: str
    id: int


def spent(agent_id: int, kind: str, about: str) -> float:
    """What all attempts of an agent, any version, have spent of its lifetime error for a type, finished or not."""
    runs = EvalRun.objects.filter(version__agent=agent_id, kind=kind, about=about, practice=False)
    return float(runs.aggregate(spent=Sum("cost"))["spent"] or 0.0)


def next_plan(gate: Gate, so_far: float) -> Plan:
    """The next attempt at a gate when so much of the lifetime error is spent: as few cases as prove the bar.

    Refused when nothing worth speaking of is left, after some thirty attempts.
    """
    if left(so_far) < LEAST_LEFT:
        raise Refused("this agent has used up its attempts at this gate for life", code="error_spent")
    plan = smallest(float(gate.bar), gate.wrong, left(so_far) / 2)
    return plan if plan.cases >= gate.cases else Plan(gate.cases, gate.wrong, float(gate.bar))


def power(plan: Plan, repeats: int, consistency: float, share: float) -> float:
    """How likely an agent passes whose every answer is right with this share, and none of its errors critical.

    First sittings have at most `plan.wrong` wrong, and at least `consistency` of the cases are right `repeats` times.
    """
    needed = math.ceil(consistency * plan.cases - 1e-9)
    again = share ** (repeats - 1)
    chances = (
        math.comb(plan.cases, wrong)
        * (1 - share) ** wrong
        * share ** (plan.cases - wrong)
        * at_most(plan.cases - wrong - needed, plan.cases - wrong, 1 - again)
        for wrong in range(plan.wrong + 1)
        if plan.cases - wrong >= needed
    )
    return min(1.0, math.fsum(chances))


def powers(plan: Plan, repeats: int, consistency: float) -> list[dict[str, str]]:
    """Power for each of SHARES, as text; `strict` is for an agent all of whose errors are critical."""
    return [
        {
            "share": share,
            "passes": f"{power(plan, repeats, consistency, float(share)):.3f}",
            "strict": f"{float(share) ** (plan.cases * repeats):.3f}",
        }
        for share in SHARES
    ]


def faults(run: EvalRun, tally: Tally) -> list[str]:
    """Why a run does not pass, in words; nothing when it does."""
    found = []
    wrong = tally.cases - tally.right
    if wrong > run.wrong:
        found.append(f"{wrong} wrong of {tally.cases}; {run.wrong} may be")
    if tally.critical:
        many = "answers are" if tally.critical > 1 else "answer is"
        found.append(f"{tally.critical} {many} wrong in what allows no error")
    needed = math.ceil(run.consistency * tally.cases)
    if run.repeats > 1 and tally.consistent < needed:
        found.append(
            f"{tally.consistent} of {tally.cases} right all {run.repeats} times; {needed} have to be"
        )
    return found


def decide(run: EvalRun, tally: Tally, *, actor: Actor) -> GateDecision:
    """Judge a finished run, once, in the caller's transaction, and write the answer on the version's grants.

    A gate or type that has changed since the run began is another gate: it stays closed, and says so. A newer answer
    replaces the one before, also when it is no.
    """
    reasons = faults(run, tally) + _changed(run)
    told = (
        f"{tally.right} of {tally.cases} right ({math.floor(100 * tally.low)} to {math.ceil(100 * tally.high)} % "
        f"with 95 % confidence) in {run.suite}, run {run.ref}"
    )
    decision = GateDecision.objects.create(
        run=run,
        version=run.version,
        kind=run.kind,
        about=run.about,
        type_version=run.type_version,
        suite_digest=run.suite_digest,
        gate_number=run.gate_number,
        opened=not reasons,
        reasons=reasons,
        evidence=told,
        right=tally.right,
        cases=tally.cases,
        critical=tally.critical,
        consistent=tally.consistent,
        cost=run.cost,
        at=Now(),
        valid_until=Now() + dt.timedelta(days=run.max_age_days),
    )
    decision.refresh_from_db(fields=["at", "valid_until"])
    grants = Grant.objects.filter(version=run.version, kind=run.kind, name=run.about)
    if decision.opened:
        grants.update(evidence=told, valid_until=decision.valid_until, evidence_version=run.type_version)
    else:
        grants.filter(valid_until__isnull=False).update(valid_until=Now())
    audit.record(
        "gate.open" if decision.opened else "gate.stay",
        actor=actor,
        chain=f"gate:{run.about}",
        subject=f"{run.about} for {run.version}",
        detail={
            "run": run.ref,
            "suite": str(run.suite),
            "suite_digest": run.suite_digest,
            "type_version": run.type_version,
            "right": tally.right,
            "cases": tally.cases,
            "critical": tally.critical,
            "consistent": tally.consistent,
            "cost": f"{run.cost:.6f}",
            "reasons": reasons,
        },
    )
    return decision


def standing(version: AgentVersion, type_name: str, kind: str = Grant.TYPE) -> Standing | None:
    """What the newest gate decision says of a version and a transaction type, None where there is none."""
    return standings(version, [type_name], kind).get(type_name)


def standings(version: AgentVersion, names: Sequence[str], kind: str = Grant.TYPE) -> Mapping[str, Standing]:
    """The same for several types."""
    newest = (
        GateDecision.objects.filter(version=version, kind=kind, about__in=names)
        .select_related("run__suite")
        .order_by("about", "-id")
        .distinct("about")
    )
    found = {}
    for one in newest:
        why = evidence.why_closed(one)
        low, high = wilson(one.right, one.cases)
        found[one.about] = Standing(
            right=one.right,
            n=one.cases,
            low=math.floor(100 * low),
            high=math.ceil(100 * high),
            date=one.at,
            suite=str(one.run.suite),
            open=not why,
            why=why,
            valid_until=one.valid_until,
            run=one.run.ref,
            id=one.run_id,
        )
    return found


def missing(version: AgentVersion, type_name: str, kind: str = Grant.TYPE) -> int | None:
    """How many cases without a fault the next attempt at this gate takes; 0 while it is open, None without a gate."""
    if evidence.evidence(version, kind, type_name) is not None:
        return 0
    gate = Gate.objects.filter(kind=kind, about=type_name).first()
    return next_plan(gate, spent(version.agent_id, kind, type_name)).cases if gate is not None else None


def _changed(run: EvalRun) -> list[str]:
    gate = Gate.objects.select_related("suite").filter(kind=run.kind, about=run.about).first()
    found = []
    if gate is None or gate.number != run.gate_number or gate.suite.digest != run.suite_digest:
        found.append("the gate or its suite has changed since the run began")
    if evidence.version_of(run.kind, run.about) != run.type_version:
        found.append(f"{run.about} has another version since the run began")
    return found


def plan_of(gate: Gate, agent_id: int) -> dict[str, Any]:
    """What the next attempt of an agent takes, for a page: plan, cost, what is left before and after, power."""
    so_far = spent(agent_id, gate.kind, gate.about)
    plan = next_plan(gate, so_far)
    return {
        "plan": plan,
        "cost": plan.cost,
        "left": left(so_far),
        "left_after": left(so_far + plan.cost),
        "power": powers(plan, gate.repeats, float(gate.consistency)),
        "enough": gate.suite.holdout >= plan.cases,
    }


def share_text(value: Decimal) -> str:
    """A share of a gate without trailing zeros, such as 0.95."""
    return format(value.normalize(), "f")
