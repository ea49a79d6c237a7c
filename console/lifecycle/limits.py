"""The limits in force: what an administrator set, else the default of the rule that has the limit."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from console import policy
from console.canonical import digest
from console.checks import limits_in_force
from console.models import LimitValue
from integrations.contract import TransactionType

POLICY = "policy"


def of_type(type_: TransactionType) -> Mapping[str, Decimal]:
    """Name to value, for the rules of a type."""
    return limits_in_force(type_, _set(type_.name))


def of_policy() -> Mapping[str, Decimal]:
    """Name to value, for the requirements."""
    found = _set(POLICY)
    return {limit.name: found.get(limit.name, limit.default) for limit in policy.LIMITS}


def policy_version(type_: TransactionType) -> str:
    """One label for the rules that judge a proposal of this type: another label voids an approval."""
    values = {
        name: format(value.normalize(), "f") for name, value in {**of_type(type_), **of_policy()}.items()
    }
    return f"{policy.VERSION}.{digest(values)[:12]}"


def _set(owner: str) -> dict[str, Decimal]:
    return dict(LimitValue.objects.filter(owner=owner).values_list("name", "value"))
