"""Sampling rules: what may be committed without a person, who countersigned that, and what came of each draw."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from console.models.agent import Grant
from console.models.assessment import Assessment
from console.models.proposal import Proposal


class SamplingRule(models.Model):
    """What two people countersigned for one grant. The newest counts, while the grant is at sampled. Append-only.

    Up to `most` (in `currency`) at stake a proposal may go without a person, unless a draw picks it: `share` percent
    are picked. `digest` is the SHA-256 over the canonical form of all that; it is what the two people countersigned.
    """

    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, related_name="sampling_rules")
    type_version = models.PositiveIntegerField()
    most = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3)
    share = models.PositiveSmallIntegerField()
    digest = models.CharField(max_length=64)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    confirmed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(asked_by=models.F("confirmed_by")), name="sampling_rule_needs_two_people"
            ),
            models.CheckConstraint(
                condition=models.Q(share__gte=10, share__lte=100), name="sampling_share_in_range"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.grant_id}: up to {self.most} {self.currency}, {self.share} % reviewed"


class Sampled(models.Model):
    """One draw over one assessment. `picked`: a person has to look; else the rule agreed in a person's place.

    `draw` is 0 to 99, and below the rule's share it is picked. `digest` repeats the assessment's. Append-only.
    """

    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="draws")
    assessment = models.OneToOneField(Assessment, on_delete=models.PROTECT, related_name="draw")
    rule = models.ForeignKey(SamplingRule, on_delete=models.PROTECT, related_name="draws")
    digest = models.CharField(max_length=64)
    draw = models.PositiveSmallIntegerField()
    picked = models.BooleanField()
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.proposal_id}: {'picked for a person' if self.picked else 'passed by the rule'}"
