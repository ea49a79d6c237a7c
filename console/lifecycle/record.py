"""An agent version's record on one transaction type: how people decided, and what became of it. Always with n."""

from __future__ import annotations

import json
from dataclasses import dataclass

from django.db import connection

from console.models import State

AGREED = (
    State.APPROVED,
    State.COMMITTING,
    State.AWAITING_SYSTEM,
    State.AWAITING_PERSON,
    State.OUTCOME_UNKNOWN,
    State.COMMITTED,
    State.COMMIT_FAILED,
)
NOT_COUNTED = (State.SHADOWED, State.REVEALED)

COUNTS = """
WITH standing AS (
    SELECT state, count(*) AS n FROM console_proposal
    WHERE agent_version_id = %(version)s AND transaction_type = %(type)s AND state <> ALL(%(not_counted)s)
        AND NOT seeded
    GROUP BY state
), said AS (
    SELECT count(DISTINCT p.id) FILTER (WHERE d.answer = 'amend' AND p.state <> 'rejected') AS amended,
           count(DISTINCT p.id) FILTER (WHERE d.answer = 'request_changes') AS sent_back,
           count(DISTINCT p.id) FILTER (WHERE p.state <> ALL(%(ended)s)) AS otherwise
    FROM console_decision d JOIN console_proposal p ON p.id = d.proposal_id
    WHERE d.answer IN ('amend', 'request_changes') AND p.agent_version_id = %(version)s
        AND p.transaction_type = %(type)s AND p.state <> ALL(%(not_counted)s) AND NOT p.seeded
)
SELECT coalesce((SELECT jsonb_object_agg(state, n) FROM standing), '{}')::text, amended, sent_back, otherwise,
    (SELECT count(DISTINCT p.id) FROM console_sampled s JOIN console_proposal p ON p.id = s.proposal_id
     WHERE NOT s.picked AND p.agent_version_id = %(version)s AND p.transaction_type = %(type)s
        AND p.state = ANY(%(agreed)s) AND NOT EXISTS (
            SELECT FROM console_decision d WHERE d.proposal_id = p.id AND d.answer = 'approve'))
FROM said
"""


@dataclass(frozen=True)
class Record:
    """Counts of proposals, each in every line that is true of it.

    `decided`: people agreed to it, or somebody said otherwise at least once; one that waits for a second person
    is not decided yet. `approved`: countersigned, whatever came after. `amended`,
    `rejected`, `sent_back` (changes requested): a person said otherwise. `committed`, `failed`, `unknown`: what
    became of the approved ones, and of the `sampled`: those a countersigned rule agreed to in a person's place, which
    nobody decided on. `proposed`: all of them, also those nobody has decided on.
    """

    proposed: int
    decided: int
    approved: int
    amended: int
    rejected: int
    sent_back: int
    committed: int
    failed: int
    unknown: int
    sampled: int = 0

    @property
    def overridden(self) -> int:
        """Rejected or amended."""
        return self.rejected + self.amended

    @property
    def settled(self) -> int:
        """Commits whose end is known."""
        return self.committed + self.failed


def of_version(version_id: int, transaction_type: str) -> Record:
    """The record of this version on this type. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            COUNTS,
            {
                "version": version_id,
                "type": transaction_type,
                "not_counted": [state.value for state in NOT_COUNTED],
                "agreed": [state.value for state in AGREED],
                "ended": [state.value for state in (*AGREED, State.REJECTED)],
            },
        )
        states, amended, sent_back, otherwise, sampled = cursor.fetchone()
    by_state: dict[str, int] = json.loads(states)
    approved = sum(by_state.get(state.value, 0) for state in AGREED) - sampled
    rejected = by_state.get(State.REJECTED.value, 0)
    return Record(
        proposed=sum(by_state.values()),
        decided=approved + rejected + otherwise,
        approved=approved,
        amended=amended,
        rejected=rejected,
        sent_back=sent_back,
        committed=by_state.get(State.COMMITTED.value, 0),
        failed=by_state.get(State.COMMIT_FAILED.value, 0),
        unknown=by_state.get(State.OUTCOME_UNKNOWN.value, 0),
        sampled=sampled,
    )
