"""Who must agree? Facts in, verdicts out.

Requirements stand in one ordered tuple, because their order is what the reviewer reads. Each ends in one of the
statuses of `findings.Status`; a crash is ERROR and never satisfied. No requirement that applies is a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from console.findings import Status, Verdict
from integrations.contract import Facts, Finding, Level, Limit

VERSION = 1
PEOPLE_NEEDED = 2

LIMITS = (
    Limit(
        "second_person_from",
        "A second supervisor from a value of",
        Decimal(10000),
        "in the order's currency",
        most=Decimal(100_000_000),
    ),
    Limit(
        "second_person_irreversible_from",
        "A second supervisor for what cannot be reversed, from a value of",
        Decimal(1000),
        "in the order's currency",
        most=Decimal(100_000_000),
    ),
    Limit(
        "four_eyes",
        "A second supervisor for everything",
        Decimal(0),
        "1 for yes, 0 for no",
        wider="down",
        most=Decimal(1),
    ),
    Limit(
        "approver_may_do",
        "The only person who approved a task may also do it and confirm it",
        Decimal(1),
        "1 for yes, 0 for no",
        most=Decimal(1),
    ),
)


@dataclass(frozen=True)
class Agreement:
    """One person who approved this assessment. `shaped`: they amended the proposal."""

    person: int
    name: str
    shaped: bool
    owns_agent: bool


@dataclass(frozen=True)
class Situation:
    """Everything a requirement may know."""

    facts: Facts
    findings: Sequence[Finding]
    agreements: Sequence[Agreement]
    limits: Mapping[str, Decimal]
    rule: str = ""
    """What a countersigned sampling rule says in a person's place, in words; empty where none agrees."""


Requirement = Callable[[Situation], Verdict]


def a_supervisor(case: Situation) -> Verdict:
    """One supervisor who neither owns the agent nor shaped it has to agree, or a rule that two people countersigned."""
    for one in case.agreements:
        if not one.shaped and not one.owns_agent:
            return Verdict("a_supervisor", Status.SATISFIED, f"{one.name} agreed.")
    if case.rule:
        return Verdict("a_supervisor", Status.SATISFIED, case.rule)
    shaped = any(one.shaped for one in case.agreements)
    return Verdict(
        "a_supervisor",
        Status.UNSATISFIED,
        "Somebody who did not change the proposal has to agree as well."
        if shaped
        else "A supervisor has to agree.",
        who="any supervisor who neither owns the agent nor amended the proposal",
    )


def a_second_supervisor(case: Situation) -> Verdict:
    """Two different supervisors, where much money is at stake, it cannot be undone, or everything takes two."""
    reasons = []
    limit, least = case.limits["second_person_from"], case.limits["second_person_irreversible_from"]
    value = case.facts.value
    if value is not None and abs(Decimal(value.amount)) >= limit:
        reasons.append(f"{value.amount} {value.currency} is at stake, the limit for one is {limit:f}")
    small = value is not None and abs(Decimal(value.amount)) < least
    if case.facts.books and not case.facts.reversible and not small:
        reasons.append("it reaches the books and cannot be reversed")
    if case.limits["four_eyes"]:
        reasons.append("for now two people look at everything")
    if not reasons:
        return Verdict(
            "a_second_supervisor", Status.NOT_APPLICABLE, "One supervisor is enough for this value."
        )
    agreed = {one.person for one in case.agreements if not one.owns_agent}
    if len(agreed) >= PEOPLE_NEEDED:
        return Verdict("a_second_supervisor", Status.SATISFIED, "Two supervisors agreed.")
    return Verdict(
        "a_second_supervisor",
        Status.UNSATISFIED,
        f"Two supervisors have to agree: {'; '.join(reasons)}. {len(agreed)} of 2 so far.",
        who="another supervisor who does not own the agent",
    )


def no_errors(case: Situation) -> Verdict:
    """Nobody can approve what a check found wrong."""
    wrong = [finding for finding in case.findings if finding.level is Level.ERROR]
    if wrong:
        return Verdict(
            "no_errors",
            Status.UNSATISFIED,
            f"A check says no: {wrong[0].text}",
            who="nobody; it has to be changed",
        )
    return Verdict("no_errors", Status.SATISFIED, "No check found an error.")


REQUIREMENTS: tuple[Requirement, ...] = (no_errors, a_supervisor, a_second_supervisor)


def judge(case: Situation) -> tuple[Verdict, ...]:
    """Where every requirement stands, in order."""
    return tuple(_safely(requirement, case) for requirement in REQUIREMENTS)


def passes(verdicts: Sequence[Verdict]) -> bool:
    """Whether everybody who must agree does. False when no requirement applied at all."""
    return all(verdict.status.passes for verdict in verdicts) and any(
        verdict.status is Status.SATISFIED for verdict in verdicts
    )


def _safely(requirement: Requirement, case: Situation) -> Verdict:
    try:
        return requirement(case)
    except Exception as error:  # noqa: BLE001 whatever goes wrong, the answer is no
        return Verdict(
            requirement.__name__,
            Status.ERROR,
            f"This requirement could not be judged ({type(error).__name__}).",
            who="nobody, until it is mended",
        )
