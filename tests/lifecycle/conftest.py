"""What holds after every test of the corridor, whatever it did."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from console.lifecycle.states import MOVES
from console.models import AuditEntry, Proposal, State


def check_told_once() -> None:
    """A4: the versions in each proposal's audit trail are 0 to its own, each once, along arrows there are."""
    for proposal in Proposal.objects.all():
        told = list(
            AuditEntry.objects.filter(proposal=proposal, proposal_version__isnull=False).order_by(
                "proposal_version"
            )
        )
        assert [entry.proposal_version for entry in told] == list(range(proposal.version + 1))
        here = State.RECEIVED
        for entry in told[1:]:
            detail = json.loads(entry.body)["detail"]
            assert detail["from"] == here
            here = State(detail["to"])
            assert MOVES[State(detail["from"])][here] == detail["arrow"]
        assert here == proposal.state


@pytest.fixture
def told_once(transactional_db: None) -> Iterator[None]:  # noqa: ARG001 the rows must still be there
    """Every change of state in this test has exactly one audit entry."""
    yield
    check_told_once()
