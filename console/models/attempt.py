"""Attempts to commit, their notes, and what the read-back saw."""

from __future__ import annotations

from django.db import models

from console.models.assessment import Assessment
from console.models.proposal import Proposal


class Outcome(models.TextChoices):
    """How an attempt stands. `SENDING` with no worker on it means: nobody knows, look."""

    SENDING = "sending", "Sending"
    ANSWERED = "answered", "Answered"
    ACCEPTED = "accepted", "Accepted, answer to come"
    REJECTED = "rejected", "Rejected by the system"
    STALE = "stale", "Refused as stale"
    NEEDS_PERSON = "needs_person", "The system asks a question"
    OUT_OF_SCOPE = "out_of_scope", "Refused: out of the account's scope"
    NOT_SENT = "not_sent", "Nothing was sent"
    IN_DOUBT = "in_doubt", "Answer lost"


class Attempt(models.Model):
    """One try to commit, written before the first byte leaves.

    `digest` is the approved one; `payload_digest` the SHA-256 of the canonical steps as sent. `step` is the
    one being sent (0-based) and `stamps` what it expects; with `fence` they say who may go on.
    """

    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="attempts", db_index=False)
    assessment = models.ForeignKey(
        Assessment, on_delete=models.PROTECT, related_name="attempts", db_index=False
    )
    number = models.PositiveSmallIntegerField()
    fence = models.PositiveIntegerField()
    adapter = models.CharField(max_length=200)
    account = models.CharField(max_length=150)
    digest = models.CharField(max_length=64)
    payload_digest = models.CharField(max_length=64)
    steps = models.JSONField()
    step = models.PositiveSmallIntegerField(default=0)
    stamps = models.JSONField(default=dict)
    outcome = models.CharField(max_length=16, choices=Outcome.choices, default=Outcome.SENDING)
    text = models.CharField(max_length=500, blank=True)
    document = models.CharField(max_length=100, blank=True)
    label = models.CharField(max_length=200, blank=True)
    handle = models.CharField(max_length=200, blank=True)
    deadline = models.DateTimeField(null=True, blank=True)
    evidence = models.JSONField(default=dict)
    started_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["proposal", "number"], name="attempt_once")]

    def __str__(self) -> str:
        return f"{self.proposal_id} attempt {self.number}: {self.outcome}"


class AttemptNote(models.Model):
    """What the adapter was about to do, durable before it did it. Append-only."""

    attempt = models.ForeignKey(Attempt, on_delete=models.PROTECT, related_name="notes")
    step = models.PositiveSmallIntegerField()
    detail = models.JSONField()
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.attempt_id} step {self.step}"


class ReadBack(models.Model):
    """One look at the system after an attempt. Append-only.

    `seen`: absent, present, partial, unclear (the adapter's words) or error. `differences` lists path, label,
    expected and found for every changed field that does not read as approved.
    """

    attempt = models.ForeignKey(Attempt, on_delete=models.PROTECT, related_name="read_backs", db_index=False)
    seen = models.CharField(max_length=10)
    text = models.CharField(max_length=500, blank=True)
    record = models.JSONField(null=True)
    differences = models.JSONField(default=list)
    connection = models.CharField(max_length=50)
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["attempt", "id"], name="read_back_order")]

    def __str__(self) -> str:
        return f"{self.attempt_id}: {self.seen}"
