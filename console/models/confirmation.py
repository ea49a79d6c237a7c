"""Confirmations: what a person says of something that was theirs to do by hand."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from console.models.assessment import Assessment
from console.models.proposal import Proposal


class Done(models.TextChoices):
    """What a person can say of a task."""

    DONE = "done", "Done, as countersigned"
    NOT_DONE = "not_done", "Not done, and it will not be"
    UNSURE = "unsure", "Not sure, or done otherwise"


class Confirmation(models.Model):
    """One person's word on one task, bound to the digest that was countersigned. Append-only.

    `name`, `role` and `meaning` are in words, for the record of a signature (21 CFR 11.50). Where another
    connection can be asked, it is a claim until that one was.
    """

    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="confirmations")
    assessment = models.ForeignKey(Assessment, on_delete=models.PROTECT, related_name="confirmations")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="confirmations")
    answer = models.CharField(max_length=10, choices=Done.choices)
    note = models.CharField(max_length=1000)
    digest = models.CharField(max_length=64)
    name = models.CharField(max_length=150)
    role = models.CharField(max_length=30)
    meaning = models.CharField(max_length=200)
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["proposal", "-id"], name="newest_confirmation")]

    def __str__(self) -> str:
        return f"{self.proposal_id}: {self.answer} by {self.name}"
