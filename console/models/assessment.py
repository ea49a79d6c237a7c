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

    proposal = models.ForeignKey(
        Proposal, on_delete=models.PROTECT, related_name="assessments", db_index=False
    )
    revision = models.ForeignKey(
        Revision, on_delete=models.PROTECT, related_name="assessments", db_index=False
    )
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
    rests = models.JSONField(default=list)
    """The readings it rests on as they were at this look, with source, age and quality: see `reads.rests`."""
    digest = models.CharField(max_length=64)
    as_of = models.DateTimeField()
    created_at = models.DateTimeField()
    db_now: dt.datetime
    """The database's clock when the row was read, where `models.loading` read it."""
    asked: int
    """How many approved it, where `web.queue` read it."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["proposal", "number"], name="assessment_once")]

    def __str__(self) -> str:
        return f"{self.proposal_id} a{self.number}"


class LatestSnapshot(models.Model):
    """The newest snapshot that was taken for a validation; each replaces the one before, old ones are cleared.

    `about` is the target, or for a new document the digest of the payload whose suppliers and products were looked
    up. `snapshot` is null where the system refused the look, and `refused` says in its words why.
    """

    connection = models.ForeignKey("console.Connection", on_delete=models.CASCADE, related_name="latest")
    transaction_type = models.CharField(max_length=64)
    type_version = models.PositiveIntegerField()
    about = models.CharField(max_length=128)
    snapshot = models.JSONField(null=True)
    refused = models.CharField(max_length=500, blank=True)
    as_of = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "transaction_type", "type_version", "about"], name="latest_once"
            )
        ]
        indexes = [models.Index(fields=["as_of"], name="latest_age")]

    def __str__(self) -> str:
        return f"{self.transaction_type} {self.about}"
