"""Is it sound? Facts in, findings out; only what holds for all types. A crash is an error, never a pass."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from integrations.contract import Case, Finding, Level, Rule, TransactionType


def limits_in_force(type_: TransactionType, values: dict[str, Decimal]) -> dict[str, Decimal]:
    """The limits of a type: what an administrator set, else its defaults."""
    return {limit.name: values.get(limit.name, limit.default) for limit in type_.limits}


def run(type_: TransactionType, case: Case) -> tuple[Finding, ...]:
    """Every finding of every rule, in the type's order, then those that hold for all types."""
    found: list[Finding] = []
    for rule in (*type_.rules, _changes_something(type_)):
        found += _safely(rule, case)
    return tuple(found)


def worst(findings: Sequence[Finding]) -> Level:
    """The heaviest level among them; info when there is none."""
    order = [Level.INFO, Level.WARNING, Level.ERROR]
    return max((finding.level for finding in findings), key=order.index, default=Level.INFO)


def _safely(rule: Rule, case: Case) -> list[Finding]:
    try:
        return list(rule(case))
    except Exception as error:  # noqa: BLE001 whatever goes wrong in a rule, the answer is no
        name = getattr(rule, "__name__", "rule")
        return [
            Finding(
                f"{name}.crashed",
                Level.ERROR,
                f"The check {name} could not be made ({type(error).__name__}).",
                hint="Nothing is approved that could not be checked. Tell the integration engineer.",
            )
        ]


def _changes_something(type_: TransactionType) -> Rule:
    def changes_something(case: Case) -> list[Finding]:
        expected = type_.outcome(case.payload, case.snapshot)
        if expected.fields == case.snapshot.record.fields and list(expected.lines.items()) == list(
            case.snapshot.record.lines.items()
        ):
            return [
                Finding(
                    "changes.nothing",
                    Level.ERROR,
                    "The record already reads as proposed; there is nothing to do.",
                    hint="Withdraw it, or propose a value that differs.",
                )
            ]
        return []

    return changes_something
