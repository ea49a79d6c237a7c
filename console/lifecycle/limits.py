"""The limits in force: what an administrator set, else the default of the rule that has the limit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection

from console import policy
from console.canonical import digest
from console.catalogue import transaction_type
from console.checks import limits_in_force
from console.models import Grant, Proposal
from console.models.loading import Fetch
from console.policy import attention
from integrations.contract import TransactionType

POLICY = "policy"

GROUND = Fetch(
    Grant,
    "connection__system",
    "version__agent",
    asks="jsonb_build_object('stopped', EXISTS (SELECT FROM console_killswitch WHERE lifted_at IS NULL), 'limits',"
    " (SELECT jsonb_agg(jsonb_build_array(owner, name, value::text)) FROM console_limitvalue"
    " WHERE owner IN ('policy', 'attention', t.name)))::text",
)


@dataclass(frozen=True)
class InForce:
    """All that judges one proposal, read at one moment: the limits of its type, of policy, and their label.

    `of_attention` is asked of the person who approves; it judges no proposal and is no part of the label.
    """

    of_type: Mapping[str, Decimal]
    of_policy: Mapping[str, Decimal]
    version: str
    of_attention: Mapping[str, Decimal]


def in_force(type_: TransactionType) -> InForce:
    """What holds for a type now, by one statement."""
    return _in_force(type_, _set(type_.name, POLICY, attention.OWNER))


def ground(proposal: Proposal) -> tuple[Grant | None, InForce]:
    """The proposal's grant, for `access.check_grant_holds`, and the limits that judge it: read at one moment."""
    grant = GROUND.one("t.id = %s", [proposal.grant_id])
    found: dict[str, dict[str, Decimal]] = {}
    if grant is not None:
        read = json.loads(str(grant.asked))
        grant.asked = read["stopped"]
        for owner, name, value in read["limits"] or ():
            found.setdefault(owner, {})[name] = Decimal(value)
    return grant, _in_force(transaction_type(proposal.transaction_type), found)


def of_type(type_: TransactionType) -> Mapping[str, Decimal]:
    """Name to value, for the rules of a type."""
    return in_force(type_).of_type


def of_policy() -> Mapping[str, Decimal]:
    """Name to value, for the requirements."""
    return _of_policy(_set(POLICY))


def of_attention() -> Mapping[str, Decimal]:
    """Name to value, for what is asked of a person who approves."""
    return attention.in_force(_set(attention.OWNER).get(attention.OWNER, {}))


def policy_version(type_: TransactionType) -> str:
    """One label for the rules that judge a proposal of this type: another label voids an approval."""
    return in_force(type_).version


def _in_force(type_: TransactionType, found: Mapping[str, dict[str, Decimal]]) -> InForce:
    rules = limits_in_force(type_, found.get(type_.name, {}))
    requirements = _of_policy(found)
    values = {name: format(value.normalize(), "f") for name, value in {**rules, **requirements}.items()}
    asked = attention.in_force(found.get(attention.OWNER, {}))
    return InForce(rules, requirements, f"{policy.VERSION}.{digest(values)[:12]}", asked)


def _of_policy(found: Mapping[str, Mapping[str, Decimal]]) -> dict[str, Decimal]:
    return {limit.name: found.get(POLICY, {}).get(limit.name, limit.default) for limit in policy.LIMITS}


def _set(*owners: str) -> dict[str, dict[str, Decimal]]:
    found: dict[str, dict[str, Decimal]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT owner, name, value FROM console_limitvalue WHERE owner = ANY(%s)", [list(owners)]
        )
        for owner, name, value in cursor.fetchall():
            found.setdefault(owner, {})[name] = value
    return found
