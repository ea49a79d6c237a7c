"""A worker's look at the target of a proposal that nobody sent: what the system shows of it now. Writes nothing."""

from __future__ import annotations

from typing import Any

from console import connections
from console.catalogue import spec
from console.models import Proposal
from integrations.contract import Snapshot, TransactionType, Unavailable


def can_be_seen(proposal: Proposal, type_: TransactionType, payload: Any) -> str:
    """Why the system cannot show what became of this target, in words, or "" where it can."""
    if not type_.target(payload):
        return "It proposes a new document: the system does not say which of people's own would be the same."
    carried = spec(proposal.connection.name).adapter.types.get(type_.name)
    if carried is None:
        return "The connection does not carry this type any more."
    return "Nothing can be read through this connection." if carried.on_word else ""


def glance(proposal: Proposal, type_: TransactionType, payload: Any) -> Snapshot:
    """The target as it is now. Raises AdapterError as the system answers; a fault of the adapter is Unavailable."""
    if not proposal.connection.enabled:
        raise Unavailable("the connection is switched off")
    try:
        return connections.viewer(proposal.connection.name, type_.name).snapshot(type_, payload)
    except Unavailable:
        connections.drop(proposal.connection.name)
        raise
