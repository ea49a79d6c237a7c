"""What listeners heard: the last value of every point, and one row of life per connection. Overwritten, not kept.

The evidence is the readings: each answer of a read tool that was given from a sample is stored as it was given.
"""

from __future__ import annotations

from django.db import models

from console.models.system import Connection


class Sample(models.Model):
    """The last answer heard to one read tool with these arguments. `key` is the canonical JSON of `arguments`.

    `source_time` and `server_time` are the machine's and its server's clocks, `received_at` is the database's.
    `value` is null while only a quality was heard. `lasting`: silence means that it is still so while the
    connection lives.
    """

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="samples")
    tool = models.CharField(max_length=64)
    key = models.CharField(max_length=400)
    value = models.JSONField(null=True)
    quality = models.CharField(max_length=10)
    remark = models.CharField(max_length=300, blank=True)
    source_time = models.DateTimeField(null=True)
    server_time = models.DateTimeField(null=True)
    received_at = models.DateTimeField()
    lasting = models.BooleanField()
    mark = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "tool", "key"], name="sample_once"),
        ]

    def __str__(self) -> str:
        return f"{self.connection_id} {self.tool} {self.key}"


class Listening(models.Model):
    """How it goes with listening on one connection. All times are the database's.

    `alive_at` is the last proof of life; `lost_at` is set while the session is gone, and `lost_why` says how.
    `refused` counts what arrived and could not be used; `refused_why` is the newest reason.
    """

    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="listening")
    alive_at = models.DateTimeField(null=True)
    lost_at = models.DateTimeField(null=True)
    lost_why = models.CharField(max_length=300, blank=True)
    refused = models.PositiveIntegerField(default=0)
    refused_at = models.DateTimeField(null=True)
    refused_why = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return f"{self.connection_id}: {'lost' if self.lost_at else 'alive'}"
