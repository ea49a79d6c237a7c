"""What people did in the place of an agent whose proposals are judged only."""

from __future__ import annotations

from django.db import models

from console.models.agent import Grant
from console.models.proposal import Proposal


class Did(models.TextChoices):
    """What the system shows of a shadow proposal's target, held against what was proposed."""

    SAME = "same", "The same as proposed"
    OTHER = "other", "Something else"
    NOTHING = "nothing", "Nothing"
    UNTOLD = "untold", "Cannot be told"


class ShadowLook(models.Model):
    """One look at the target of a shadow proposal, after it was judged. Append-only; kept when it shows anything new.

    `last`: its window is over, and this is what counts. `differences` lists path, label, before, proposed and done
    (JSON) of every field that does not read as proposed; `fields` counts what was compared. `text` says why it cannot
    be told, or what else moved.
    """

    proposal = models.ForeignKey(
        Proposal, on_delete=models.PROTECT, related_name="shadow_looks", db_index=False
    )
    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, related_name="shadow_looks", db_index=False)
    did = models.CharField(max_length=8, choices=Did.choices)
    last = models.BooleanField()
    text = models.CharField(max_length=500, blank=True)
    record = models.JSONField(null=True)
    differences = models.JSONField(default=list)
    fields = models.PositiveIntegerField(default=0)
    as_of = models.DateTimeField(null=True)
    """When the system was read; null where it could not be."""
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["proposal"], condition=models.Q(last=True), name="one_last_shadow_look"
            )
        ]
        indexes = [
            models.Index(fields=["proposal", "-id"], name="newest_shadow_look"),
            models.Index(fields=["grant", "did"], name="shadow_of_grant", condition=models.Q(last=True)),
        ]

    def __str__(self) -> str:
        return f"{self.proposal_id}: {self.did}"
