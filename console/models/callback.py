"""Callbacks: what systems told us later, as they told it, and what was made of it."""

from __future__ import annotations

from django.db import models

from console.models.attempt import Attempt
from console.models.proposal import Proposal
from console.models.system import Connection


class Callback(models.Model):
    """One message of a system about something that it accepted: the very bytes, proven to be its own. Append-only.

    `message_id` is the sender's; `digest` the SHA-256 of `raw` in hex: the same message twice is one row, the same id
    with other bytes is another. `headers` are those that the proof needs. `claim` is what the bytes say, as JSON of
    `integrations.contract.Claim`.
    """

    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="callbacks")
    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="callbacks")
    message_id = models.CharField(max_length=128)
    headers = models.JSONField()
    raw = models.BinaryField()
    digest = models.CharField(max_length=64)
    claim = models.JSONField()
    received_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "message_id", "digest"], name="callback_once")
        ]
        indexes = [models.Index(fields=["received_at"], name="callback_age")]

    def __str__(self) -> str:
        return f"{self.message_id} about {self.proposal_id}"


class Heard(models.TextChoices):
    """What a worker made of a callback."""

    TAKEN = "taken", "Taken as a claim; the read-back decides"
    ON_WORD = "on_word", "Taken at its word: nothing else can be asked"
    REPEATED = "repeated", "Said before"
    CONTRADICTS = "contradicts", "The opposite of what is known"
    UNTIMELY = "untimely", "Nothing was sent that it could be about"


class Hearing(models.Model):
    """A worker's judgement of one callback; a callback without one waits for it. Append-only.

    `happened`: what was claimed. `attempt`: the one that it is about, if there is one.
    """

    callback = models.OneToOneField(Callback, on_delete=models.PROTECT, related_name="hearing")
    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="hearings")
    attempt = models.ForeignKey(Attempt, on_delete=models.PROTECT, null=True, related_name="hearings")
    happened = models.BooleanField()
    result = models.CharField(max_length=12, choices=Heard.choices)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.callback_id}: {self.result}"
