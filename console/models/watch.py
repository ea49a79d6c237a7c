"""Watching the systems' own change logs: how far each was read, and the writes in them that nobody countersigned."""

from __future__ import annotations

from django.db import models

from console.models.control import Incident
from console.models.system import Connection


class LogWatch(models.Model):
    """How far the change log of one account was read.

    `since`: when the watch began; what the account did before is nobody's business here. `seen_until`: everything
    before has been compared, on our database's clock; it only moves on when the log could be read. `error` says
    since `failing_since` why it could not; both are empty when all is well.
    """

    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="watches")
    purpose = models.CharField(max_length=64)
    """The transaction type whose account this is."""
    since = models.DateTimeField()
    seen_until = models.DateTimeField()
    error = models.CharField(max_length=300, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "purpose"], name="one_watch_per_account")
        ]

    def __str__(self) -> str:
        return f"{self.connection_id} {self.purpose} until {self.seen_until:%Y-%m-%d %H:%M}"


class OrphanWrite(models.Model):
    """One write in a system's own log, by an account of ours, that nobody countersigned. Append-only.

    `key` is the log's own name of it, so that one write is told once however often the log is read.
    """

    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="orphan_writes")
    purpose = models.CharField(max_length=64)
    key = models.CharField(max_length=64)
    account = models.CharField(max_length=150)
    record = models.CharField(max_length=200)
    event = models.CharField(max_length=64)
    at = models.DateTimeField()
    """When, by the system's log."""
    detail = models.JSONField(default=dict)
    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="orphan_writes")
    found_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "purpose", "key"], name="orphan_write_once")
        ]

    def __str__(self) -> str:
        return f"{self.record}: {self.event} by {self.account}"
