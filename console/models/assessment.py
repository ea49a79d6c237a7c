"""Assessments: what the machine saw, frozen."""

from __future__ import annotations

import datetime as dt

from django.db import models

from console.models.proposal import Proposal, Revision


class Assessment(models.Model):
    """Snapshot, findings, verdicts and plan of one revision, under one digest. Append-only.

    `digest` is the SHA-256 over the canonical form of what is approved: reference, transaction type and its
    version, connection, target, revision digest, stamps, expected record, plan and policy version. A person's
    decision names it; the commit sends nothing whose digest differs.
    """

    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="assessments")
    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="assessments")
    number = models.PositiveIntegerField()
    type_version = models.PositiveIntegerField()
    policy_version = models.CharField(max_length=64)
    snapshot = models.JSONField()
    expected = models.JSONField()
    """The record as it must read after the commit."""
    plan = models.JSONField()
    facts = models.JSONField()
    findings = models.JSONField()
    verdicts = models.JSONField()
    """Requirements as they stood when it was made; decisions move them, see `lifecycle.review.standing`."""
    moved = models.JSONField(default=list)
    """What differs from the snapshot of the assessment before: path, label, before, after."""
    digest = models.CharField(max_length=64)
    as_of = models.DateTimeField()
    created_at = models.DateTimeField()
    db_now: dt.datetime
    """The database's clock when the row was read, where `models.loading` read it."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["proposal", "number"], name="assessment_once")]

    def __str__(self) -> str:
        return f"{self.proposal_id} a{self.number}"
