"""Gates: what a version has to show, set by two people. `evals.gate` has the arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from console import access
from console.audit import Actor
from console.errors import Refused
from console.models import EvalSuite, Gate, Widening
from console.registry import apply, widenings

BARS = (Decimal("0.5"), Decimal("0.999"))
MOST_WRONG, MOST_CASES, MOST_REPEATS, MOST_DAYS = 50, 5000, 20, 730


def set_gate(
    kind: str, about: str, *, change: Mapping[str, str], by: User | None, actor: Actor
) -> Gate | Widening:
    """Set what a gate asks for: any of bar, wrong, cases, repeats, consistency, max_age_days, suite ("name number").

    Evidence given before counts no more. A second person confirms it, unless the operator does it (`by` None).
    Refused with what is out of range; Denied without the right.
    """
    if by is not None:
        access.require(by, access.CONFIGURES, "set a gate")
    gate = Gate.objects.select_related("suite").filter(kind=kind, about=about).first()
    if gate is None:
        raise Refused(f"{about} has no gate: import a suite about it first", code="no_gate")
    wanted = _wanted(gate, change)
    if by is not None:
        text = f"The gate of {about}: {_told(wanted)}"
        return widenings.ask("gate", wanted, text=text, by=by, actor=actor)
    with transaction.atomic():
        apply.gate(wanted, actor)
    gate.refresh_from_db()
    return gate


def _wanted(gate: Gate, change: Mapping[str, str]) -> dict[str, Any]:
    suite = gate.suite
    if named := change.get("suite", "").strip():
        name, _, number = named.partition(" ")
        found = EvalSuite.objects.filter(kind=gate.kind, about=gate.about, name=name)
        chosen = (
            found.filter(number=int(number)).first()
            if number.isdigit()
            else found.order_by("-number").first()
        )
        if chosen is None:
            raise Refused(f"there is no suite {named} about {gate.about}", code="suite_unknown")
        suite = chosen
    return {
        "gate": gate.pk,
        "suite": suite.pk,
        "suite_name": str(suite),
        "bar": str(_share(change, "bar", gate.bar, *BARS)),
        "consistency": str(_share(change, "consistency", gate.consistency, Decimal(0), Decimal(1))),
        "wrong": _count(change, "wrong", gate.wrong, 0, MOST_WRONG),
        "cases": _count(change, "cases", gate.cases, 0, MOST_CASES),
        "repeats": _count(change, "repeats", gate.repeats, 1, MOST_REPEATS),
        "max_age_days": _count(change, "max_age_days", gate.max_age_days, 1, MOST_DAYS),
    }


def _told(wanted: Mapping[str, Any]) -> str:
    return (
        f"{Decimal(wanted['bar']):.1%} right, {wanted['wrong']} wrong allowed, {wanted['repeats']} times, "
        f"{wanted['max_age_days']} days, suite {wanted['suite_name']}"
    )


def _share(change: Mapping[str, str], name: str, now: Decimal, least: Decimal, most: Decimal) -> Decimal:
    given = change.get(name, "").strip()
    if not given:
        return now
    try:
        value = Decimal(given)
    except InvalidOperation:
        value = Decimal(-1)
    if not least <= value <= most:
        raise Refused(f"{name} is a share from {least} to {most}, such as 0.95", code="gate_out_of_range")
    return value


def _count(change: Mapping[str, str], name: str, now: int, least: int, most: int) -> int:
    given = change.get(name, "").strip()
    if not given:
        return now
    if not given.isdigit() or not least <= int(given) <= most:
        raise Refused(
            f"{name.replace('_', ' ')} is a whole number from {least} to {most}", code="gate_out_of_range"
        )
    return int(given)
