"""What a robot saw at a screen, and which screens people have looked at and found right."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from console.models.assessment import Assessment
from console.models.attempt import Attempt
from console.models.proposal import Proposal
from console.models.system import Connection

MOST_BYTES = 2 * 1024 * 1024


class Exhibit(models.Model):
    """One piece of evidence that is no JSON: a picture or a tree of a screen. Append-only.

    In the database, so that every worker and every page has it. `sha256` is what the audit entry names; a page that
    shows it computes it anew. `content` is missing where it was larger than it may be.
    """

    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="exhibits")
    assessment = models.ForeignKey(Assessment, on_delete=models.PROTECT, null=True, related_name="exhibits")
    attempt = models.ForeignKey(Attempt, on_delete=models.PROTECT, null=True, related_name="exhibits")
    name = models.CharField(max_length=100)
    media_type = models.CharField(max_length=40)
    sha256 = models.CharField(max_length=64)
    content = models.BinaryField()
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["proposal", "id"], name="exhibits_in_order")]

    def __str__(self) -> str:
        return f"{self.proposal_id} {self.name}"


class CertifiedScreen(models.Model):
    """A screen that two people looked at and found to be the one its script was written for. Append-only.

    `fingerprint` is the digest of the screen's labels and roles; `script` the script with its version.
    """

    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="certified_screens")
    transaction_type = models.CharField(max_length=64)
    script = models.CharField(max_length=100)
    fingerprint = models.CharField(max_length=64)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "transaction_type", "script", "fingerprint"],
                name="screen_certified_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.script} {self.fingerprint[:12]}"
