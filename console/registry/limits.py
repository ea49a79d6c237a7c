"""Setting the numbers in rules, within the bounds that each rule declares."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from django.contrib.auth.models import User
from django.db import transaction

from console import access
from console.audit import Actor
from console.catalogue import transaction_types
from console.errors import Refused
from console.models import LimitValue, Widening
from console.registry import apply, widenings
from integrations.contract import Limit


@dataclass(frozen=True)
class InForce:
    """One limit, whose it is, and the value that holds now."""

    owner: str
    limit: Limit
    value: Decimal


def in_force(**others: tuple[Limit, ...]) -> list[InForce]:
    """Every limit of every type, after those of other owners, such as policy, which the caller passes by name."""
    values = {(one.owner, one.name): one.value for one in LimitValue.objects.all()}
    owners = [
        *others.items(),
        *((name, type_.limits) for name, type_ in sorted(transaction_types().items())),
    ]
    return [
        InForce(owner, limit, values.get((owner, limit.name), limit.default))
        for owner, limits in owners
        for limit in limits
    ]


def set_value(
    limit: Limit, *, owner: str, value: str, by: User | None, actor: Actor
) -> LimitValue | Widening:
    """Set one limit. What allows less holds at once, what allows more waits for a second person.

    Any change makes another policy version, so that what is approved but not sent is assessed again.
    """
    if by is not None:
        access.require(by, access.CONFIGURES, "set a limit")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise Refused(f"{value[:30]!r} is not a number", code="not_a_number") from None
    if not number.is_finite() or not limit.least <= number <= limit.most:
        raise Refused(f"{limit.label}: between {limit.least:f} and {limit.most:f}", code="limit_out_of_range")
    kept = LimitValue.objects.filter(owner=owner, name=limit.name).first()
    now = kept.value if kept is not None else limit.default
    change = {"owner": owner, "name": limit.name, "value": format(number, "f")}
    wider = number > now if limit.wider == "up" else number < now
    if by is not None and wider:
        text = f"{limit.label} ({owner}): {number:f} instead of {now:f}"
        return widenings.ask("limit", change, text=text, by=by, actor=actor)
    with transaction.atomic():
        apply.limit(change, actor)
    return LimitValue.objects.get(owner=owner, name=limit.name)
