"""Kill switches, limits, incidents, and changes that wait for a second person."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Scope(models.TextChoices):
    """What a kill switch stops."""

    EVERYTHING = "everything", "Everything"
    SYSTEM = "system", "One system"
    TYPE = "type", "One transaction type"
    AGENT = "agent", "One agent"


class KillSwitch(models.Model):
    """A thrown stop. In force from the moment its transaction commits until `lifted_at`."""

    scope = models.CharField(max_length=10, choices=Scope.choices)
    value = models.CharField(max_length=64, blank=True)
    """The system's slug, the type's name or the agent's slug; empty for everything."""
    reason = models.CharField(max_length=300)
    thrown_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    thrown_at = models.DateTimeField()
    lifted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["scope"], name="kill_in_force", condition=models.Q(lifted_at__isnull=True))
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.value}".strip()


class LimitValue(models.Model):
    """The value in force of one limit, where an administrator set one; else the type's default holds.

    `owner` is a transaction type's name, or "policy".
    """

    owner = models.CharField(max_length=64)
    name = models.CharField(max_length=64)
    value = models.DecimalField(max_digits=21, decimal_places=6)
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="limit_once")]

    def __str__(self) -> str:
        return f"{self.owner}.{self.name} = {self.value}"


class Widening(models.Model):
    """A change that allows more. It takes effect when a second person confirms it, and never by one alone.

    `kind` names the verb in `registry`; `change` is its arguments as JSON; `text` says it in words.
    """

    kind = models.CharField(max_length=30)
    change = models.JSONField()
    text = models.CharField(max_length=300)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    confirmed = models.BooleanField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(decided_by__isnull=True)
                | models.Q(confirmed=False)
                | ~models.Q(decided_by=models.F("asked_by")),
                name="widening_needs_two_people",
            )
        ]

    def __str__(self) -> str:
        return self.text


class Incident(models.Model):
    """Something that must not happen did, or might have. Its timeline is its audit chain."""

    kind = models.CharField(max_length=40)
    title = models.CharField(max_length=200)
    lifts = models.CharField(max_length=300, blank=True)
    """What would lift it, in words."""
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    connection = models.ForeignKey(
        "console.Connection", on_delete=models.PROTECT, null=True, blank=True, related_name="incidents"
    )
    proposal = models.ForeignKey(
        "console.Proposal", on_delete=models.PROTECT, null=True, blank=True, related_name="incidents"
    )
    grant = models.ForeignKey(
        "console.Grant", on_delete=models.PROTECT, null=True, blank=True, related_name="incidents"
    )
    """Whose figures opened it, where it was a grant's."""
    dedupe = models.CharField(max_length=150, unique=True)
    """The same fact opens one incident, however often it is seen."""
    opened_at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.title


class Notice(models.Model):
    """One notice of one incident to one address, told once.

    `event` is opened or closed; `address` the *name* of the setting that holds the address, never the address.
    `due_at` is when it is tried (again), `told_at` when the address took it; `fault` says in our own words why the
    last try failed. `tries` grows before a try: one that a worker died in counts.
    """

    OPENED, CLOSED = "opened", "closed"

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="notices")
    event = models.CharField(max_length=6, choices=[(OPENED, "Opened"), (CLOSED, "Closed")])
    address = models.CharField(max_length=64)
    tries = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField()
    told_at = models.DateTimeField(null=True, blank=True)
    fault = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["incident", "event", "address"], name="notice_once"),
        ]
        indexes = [
            models.Index(fields=["due_at"], name="notice_due", condition=models.Q(told_at__isnull=True))
        ]

    def __str__(self) -> str:
        return f"{self.incident_id} {self.event} to {self.address}"
