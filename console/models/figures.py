"""What people made of proposals, counted as it happens: the ground of live figures."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from console.models.agent import Grant
from console.models.proposal import Proposal
from console.models.system import Connection

COUNTED = "NOT p.seeded"
"""Which proposals `p` every live figure is about, in SQL: no seeded test."""


class Decided(models.Model):
    """One proposal that people have decided on, once: approved as it was, or overridden.

    `overridden`: rejected, or amended before it was approved. Seeded tests never get one. Derived from decisions:
    it may be emptied and counted anew.
    """

    proposal = models.OneToOneField(Proposal, on_delete=models.CASCADE, related_name="decided")
    grant = models.ForeignKey(Grant, on_delete=models.CASCADE, related_name="decided")
    overridden = models.BooleanField()
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["grant", "id"], name="decided_of_grant")]

    def __str__(self) -> str:
        return f"{self.proposal_id}: {'overridden' if self.overridden else 'as proposed'}"


class OverrideChart(models.Model):
    """Where the override chart of one grant stands: see `evals.drift`. Begins anew when the grant is raised.

    `level` is in natural log units, 0 at the start; `seen` the last `Decided` in it, `decision` the last decision
    that was there when it was counted; `alarmed_at` when it demoted the grant.
    """

    grant = models.OneToOneField(Grant, on_delete=models.CASCADE, related_name="chart")
    level = models.FloatField(default=0.0)
    seen = models.BigIntegerField(default=0)
    decision = models.BigIntegerField(default=0)
    decided = models.PositiveIntegerField(default=0)
    overridden = models.PositiveIntegerField(default=0)
    since = models.DateTimeField()
    alarmed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.grant_id}: {self.overridden} of {self.decided}"


class InputDrift(models.Model):
    """How far one value of what comes in on a grant has moved: see `evals.inputs`. Derived, replaced by each look.

    `index` is the population stability index of `recent` cases against `reference` ones.
    """

    grant = models.ForeignKey(Grant, on_delete=models.CASCADE, related_name="input_drift", db_index=False)
    label = models.CharField(max_length=150)
    index = models.FloatField()
    reference = models.PositiveIntegerField()
    recent = models.PositiveIntegerField()
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["grant", "label"], name="input_drift_once")]

    def __str__(self) -> str:
        return f"{self.grant_id}: {self.label} {self.index:.2f}"


class Baseline(models.Model):
    """How long one piece of work took by hand, timed once: what hours saved are measured against. Append-only.

    `minutes` of work, without waiting; `timed_on` the day; `how` in words who did what and how it was timed.
    """

    transaction_type = models.CharField(max_length=64)
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="baselines")
    minutes = models.DecimalField(max_digits=7, decimal_places=2)
    timed_on = models.DateField()
    how = models.CharField(max_length=300)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["transaction_type", "connection", "-id"], name="baselines_of_type")]
        constraints = [
            models.CheckConstraint(condition=models.Q(minutes__gt=0), name="baseline_takes_time"),
        ]

    def __str__(self) -> str:
        return f"{self.transaction_type}: {self.minutes} min"
