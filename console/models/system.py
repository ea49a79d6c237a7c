"""Systems, the connections into them and what the probe found out about their accounts."""

from __future__ import annotations

from django.db import models


class System(models.Model):
    """An ERP or MES out there. `level` is its ISA-95 level: 4 for an ERP, 3 for an MES (read only)."""

    slug = models.SlugField(unique=True)
    title = models.CharField(max_length=100)
    level = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(level__in=(3, 4)), name="system_level_3_or_4"),
        ]

    def __str__(self) -> str:
        return self.title


class Connection(models.Model):
    """One configured way into one system, mirrored from the settings. People switch it, never type paths."""

    name = models.SlugField(unique=True)
    title = models.CharField(max_length=100)
    system = models.ForeignKey(System, on_delete=models.PROTECT, related_name="connections")
    adapter = models.CharField(max_length=200)
    path = models.CharField(max_length=60)
    verified = models.CharField(max_length=200, blank=True)
    verified_by = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="verifies"
    )
    enabled = models.BooleanField(default=True)
    last_ok_at = models.DateTimeField(null=True, blank=True)
    latency_ms = models.PositiveIntegerField(null=True, blank=True)
    """How long the last ping took."""
    last_error = models.CharField(max_length=300, blank=True)
    last_error_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.title


class Probe(models.Model):
    """One look at one account by a worker. The newest decides whether it may write. Append-only."""

    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="probes")
    purpose = models.CharField(max_length=64)
    """The transaction type whose account this is."""
    account = models.CharField(max_length=150)
    sound = models.BooleanField()
    stale_refused = models.BooleanField(null=True)
    out_of_scope_refused = models.BooleanField(null=True)
    excess = models.JSONField(default=list)
    findings = models.JSONField(default=list)
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["connection", "purpose", "-id"], name="probe_newest")]

    def __str__(self) -> str:
        return f"{self.account}: {'sound' if self.sound else 'not sound'}"
