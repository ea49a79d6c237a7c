"""Keeping what an adapter shows as evidence, with its digests in the audit trail, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models.functions import Now

from console import audit
from console.audit import Actor
from console.models import Assessment, Attempt, Exhibit, Proposal
from console.models.exhibit import MOST_BYTES
from integrations import contract


def keep(
    proposal: Proposal,
    exhibits: Sequence[contract.Exhibit],
    *,
    actor: Actor,
    assessment: Assessment | None = None,
    attempt: Attempt | None = None,
) -> None:
    """Store them, and record one entry that names every digest. One that is too large leaves its digest only."""
    if not exhibits:
        return
    Exhibit.objects.bulk_create(
        Exhibit(
            proposal=proposal,
            assessment=assessment,
            attempt=attempt,
            name=one.name[:100],
            media_type=one.media_type[:40],
            sha256=one.sha256,
            content=one.content if len(one.content) <= MOST_BYTES else b"",
            at=Now(),
        )
        for one in exhibits
    )
    audit.record(
        "evidence.keep",
        actor=actor,
        chain=audit.proposal_chain(proposal),
        subject=proposal.ref,
        proposal=proposal,
        detail={
            "attempt": attempt.number if attempt is not None else 0,
            "exhibits": [
                {"shows": one.name[:100], "type": one.media_type[:40], "sha256": one.sha256}
                for one in exhibits
            ],
        },
    )
