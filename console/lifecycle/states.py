"""The arrows of a proposal's life, and the only function that follows one.

Every arrow has a letter; the README explains each. `move` updates the row where state and version are what the
caller saw, raises Conflict unless exactly one row changed, and records the audit entry in the same transaction.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from django.db import connection, transaction
from django.db.models import Value
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from console import audit
from console.audit import Actor
from console.errors import Conflict
from console.models import Proposal, State
from console.models.loading import Fetch

MOVES: Mapping[State, Mapping[State, str]] = {
    State.RECEIVED: {
        State.IN_REVIEW: "A",
        State.REFUSED: "B",
        State.SHADOWED: "C",
        State.WITHDRAWN: "D",
        State.EXPIRED: "E",
    },
    State.IN_REVIEW: {
        State.APPROVED: "F",
        State.REJECTED: "G",
        State.CHANGES_REQUESTED: "H",
        State.RECEIVED: "I",
        State.WITHDRAWN: "J",
        State.EXPIRED: "K",
        State.REVEALED: "L",
    },
    State.CHANGES_REQUESTED: {
        State.RECEIVED: "M",
        State.WITHDRAWN: "N",
        State.EXPIRED: "O",
    },
    State.APPROVED: {
        State.COMMITTING: "P",
        State.RECEIVED: "Q",
        State.WITHDRAWN: "R",
        State.EXPIRED: "S",
        State.AWAITING_PERSON: "T",
    },
    State.COMMITTING: {
        State.COMMITTED: "U",
        State.COMMIT_FAILED: "V",
        State.OUTCOME_UNKNOWN: "W",
        State.AWAITING_SYSTEM: "X",
        State.APPROVED: "Y",
        State.RECEIVED: "Z",
    },
    State.AWAITING_SYSTEM: {
        State.COMMITTED: "AA",
        State.COMMIT_FAILED: "AB",
        State.OUTCOME_UNKNOWN: "AC",
    },
    State.AWAITING_PERSON: {
        State.COMMITTED: "AD",
        State.COMMIT_FAILED: "AE",
        State.OUTCOME_UNKNOWN: "AF",
    },
    State.OUTCOME_UNKNOWN: {
        State.COMMITTED: "AG",
        State.COMMIT_FAILED: "AH",
    },
    State.COMMITTED: {},
    State.COMMIT_FAILED: {},
    State.REFUSED: {},
    State.REJECTED: {},
    State.WITHDRAWN: {},
    State.EXPIRED: {},
    State.SHADOWED: {},
    State.REVEALED: {},
}
"""From a state to the states it may go to, with the letter of the arrow."""

MOVE = f"""
WITH moved AS (
    UPDATE console_proposal SET state = %(to)s, version = version + 1, state_since = statement_timestamp(),
        state_reason = %(why)s{{sets}}
    WHERE id = %(pk)s AND state = %(here)s AND version = %(version)s
    RETURNING id
)
{audit.INTO} SELECT id, {audit.VALUES} FROM moved
"""  # noqa: S608 all of it our own words
"""One statement for the change and its entry: no row changed, no entry."""

COLUMNS = {field.name: field.column for field in Proposal._meta.concrete_fields}  # noqa: SLF001 Django documents it
PROPOSAL = Fetch(Proposal, "agent_version__agent", "connection__system", "grant")


def move(
    proposal: Proposal,
    to: State,
    *,
    actor: Actor,
    verb: str,
    detail: Mapping[str, Any] | None = None,
    reason: str = "",
    **fields: Any,
) -> Proposal:
    """Follow one arrow, in the caller's transaction, and return the proposal as it now is.

    `fields` are other columns to set in the same update (values or expressions). Raises Conflict when the row is
    no longer as `proposal` shows it, or when there is no such arrow.
    """
    here = State(proposal.state)
    letter = MOVES[here].get(to)
    if letter is None:
        raise Conflict(
            f"{proposal.ref} is {here.label.lower()}; it cannot become {to.label.lower()}",
            code="no_such_move",
            detail={"state": here.value},
        )
    values = audit.entry(
        verb,
        actor=actor,
        chain=audit.proposal_chain(proposal),
        subject=proposal.ref,
        proposal=proposal,
        proposal_version=proposal.version + 1,
        detail={"from": here.value, "to": to.value, "arrow": letter, "reason": reason, **(detail or {})},
    )
    values |= {"pk": proposal.pk, "here": here.value, "version": proposal.version}
    values |= {"to": to.value, "why": reason[:500]}
    sets = "".join(_assigned(name, value, values) for name, value in fields.items())
    with connection.cursor() as cursor:
        cursor.execute(MOVE.format(sets=sets), values)
        if cursor.rowcount != 1:
            raise moved_on(proposal)
    proposal.state, proposal.version, proposal.state_reason = to.value, proposal.version + 1, reason[:500]
    for name, value in {"state_since": None, **fields}.items():
        if name != "state_since" and (value is None or type(value) in (int, str)):
            setattr(proposal, name, value)
        else:  # what the database made of it is read when somebody asks
            vars(proposal).pop(name, None)
    return proposal


def _assigned(name: str, value: Any, values: dict[str, Any]) -> str:
    """One more column to set: its SQL, with its value put among `values`. Now() and Now() + time are understood."""
    column = COLUMNS[name]
    if isinstance(value, Now):
        return f", {column} = statement_timestamp()"
    if isinstance(value, CombinedExpression):
        if not (isinstance(value.lhs, Now) and value.connector == "+" and isinstance(value.rhs, Value)):
            raise TypeError(f"{name}: a move sets plain values, Now() and Now() + timedelta")
        values[f"set_{name}"] = value.rhs.value
        return f", {column} = statement_timestamp() + %(set_{name})s"
    values[f"set_{name}"] = value.value if isinstance(value, enum.Enum) else value
    return f", {column} = %(set_{name})s"


def moved_on(proposal: Proposal) -> Conflict:
    """The Conflict that tells who or what was first, and when."""
    now = Proposal.objects.filter(pk=proposal.pk).values("state", "state_since", "version").first()
    if now is None:
        return Conflict(f"{proposal.ref} is gone", code="gone")
    last = proposal.entries.filter(proposal_version=now["version"]).first()
    who = f" by {last.actor_label} at {last.at:%H:%M:%S} UTC" if last is not None else ""
    return Conflict(
        f"{proposal.ref} is {State(now['state']).label.lower()} now: it was changed{who}",
        code="moved_on",
        detail={
            "state": now["state"],
            "by": last.actor_label if last else "",
            "at": now["state_since"].isoformat(),
        },
    )


def locked(proposal: Proposal, *, skip_locked: bool = False) -> Proposal | None:
    """The row again, locked until the transaction ends; None if somebody holds it and `skip_locked`."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("a lock needs a transaction")
    return PROPOSAL.one(f"t.id = %s FOR UPDATE OF t{' SKIP LOCKED' if skip_locked else ''}", [proposal.pk])


def fetch(pk: int) -> Proposal | None:
    """The proposal as it is, with what every verb asks of it: version, agent, connection, system, grant."""
    return PROPOSAL.one("t.id = %s", [pk])


def reload(proposal: Proposal) -> Proposal:
    """The same object, as the row is now."""
    now = PROPOSAL.one("t.id = %s", [proposal.pk])
    return become(proposal, now) if now is not None else proposal


def become(proposal: Proposal, row: Proposal) -> Proposal:
    """The same object with all that another of the same row knows, and nothing else."""
    vars(proposal).clear()
    vars(proposal).update(vars(row))
    return proposal
