"""An agent version's record on one transaction type: how people decided, and what became of it. Always with n."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef, Q

from console.models import Answer, Decision, Proposal, State

AGREED = (
    State.APPROVED,
    State.COMMITTING,
    State.AWAITING_SYSTEM,
    State.AWAITING_PERSON,
    State.OUTCOME_UNKNOWN,
)


@dataclass(frozen=True)
class Record:
    """Counts of proposals, each in every line that is true of it.

    `decided`: people agreed to it, or somebody said otherwise at least once; one that waits for a second person
    is not decided yet. `approved`: countersigned, whatever came after. `amended`,
    `rejected`, `sent_back` (changes requested): a person said otherwise. `committed`, `failed`, `unknown`: what
    became of the approved ones. `proposed`: all of them, also those nobody has decided on.
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

    def answered(*answers: Answer) -> Exists:
        return Exists(Decision.objects.filter(proposal=OuterRef("pk"), answer__in=answers))

    otherwise = Q(answered(Answer.REJECT, Answer.AMEND, Answer.REQUEST_CHANGES))
    ended = (State.COMMITTED, State.COMMIT_FAILED)
    counted = (
        Proposal.objects.filter(agent_version_id=version_id, transaction_type=transaction_type)
        .exclude(state__in=(State.SHADOWED, State.REVEALED))
        .aggregate(
            proposed=Count("pk"),
            decided=Count("pk", filter=Q(state__in=(*AGREED, *ended)) | otherwise),
            approved=Count("pk", filter=Q(state__in=(*AGREED, *ended))),
            amended=Count("pk", filter=~Q(state=State.REJECTED) & Q(answered(Answer.AMEND))),
            rejected=Count("pk", filter=Q(state=State.REJECTED)),
            sent_back=Count("pk", filter=answered(Answer.REQUEST_CHANGES)),
            committed=Count("pk", filter=Q(state=State.COMMITTED)),
            failed=Count("pk", filter=Q(state=State.COMMIT_FAILED)),
            unknown=Count("pk", filter=Q(state=State.OUTCOME_UNKNOWN)),
        )
    )
    return Record(**counted)
