"""Agents, their versions, keys and grants."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import models

from console.models.system import Connection


class Agent(models.Model):
    """An AI caller with a human owner. Keys and grants belong to its versions."""

    slug = models.SlugField(unique=True)
    title = models.CharField(max_length=100)
    purpose = models.CharField(max_length=300, blank=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="owned_agents")
    pending_cap = models.PositiveIntegerField(default=100)
    """How many proposals may wait for a person at once."""
    calls_per_minute = models.PositiveIntegerField(default=600)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.title


class AgentVersion(models.Model):
    """Code, model and prompt of an agent as one label. A changed label is another version."""

    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="versions")
    label = models.CharField(max_length=60)
    code = models.CharField(max_length=100, blank=True)
    model = models.CharField(max_length=100, blank=True)
    prompt = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "label"], name="version_label_once")]

    def __str__(self) -> str:
        return f"{self.agent.title} {self.label}"


class AgentKey(models.Model):
    """A credential of one agent version. Only the SHA-256 of its 256-bit secret is kept."""

    version = models.ForeignKey(AgentVersion, on_delete=models.PROTECT, related_name="keys")
    key_id = models.CharField(max_length=16, unique=True)
    secret_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    db_now: dt.datetime
    """The database's clock when the row was read, where `models.loading` read it."""

    def __str__(self) -> str:
        return self.key_id


class Autonomy(models.TextChoices):
    """How far a grant goes. The order is the ladder."""

    OFF = "off", "Off"
    SHADOW = "shadow", "Shadow"
    PROPOSE = "propose", "Propose"
    SAMPLED = "sampled", "Sampled"

    @property
    def rung(self) -> int:
        """Its place on the ladder, off is 0."""
        return list(Autonomy).index(self)


class Grant(models.Model):
    """Agent version x (transaction type or read tool) x connection, at a level of autonomy.

    The gate's answer is written here by whoever judged the evidence and read at submit, approve and claim:
    `evidence` in words, `valid_until` when it ages out, `demoted_at` when live figures or a person closed it and
    `demoted_reason` why.
    """

    TYPE, TOOL = "type", "tool"

    version = models.ForeignKey(AgentVersion, on_delete=models.PROTECT, related_name="grants")
    kind = models.CharField(max_length=4, choices=[(TYPE, "Transaction type"), (TOOL, "Read tool")])
    name = models.CharField(max_length=64)
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="grants")
    autonomy = models.CharField(max_length=8, choices=Autonomy.choices, default=Autonomy.OFF)
    frozen_at = models.DateTimeField(null=True, blank=True)
    frozen_reason = models.CharField(max_length=300, blank=True)
    evidence = models.CharField(max_length=300, blank=True)
    valid_until = models.DateTimeField(null=True, blank=True)
    evidence_version = models.PositiveIntegerField(null=True, blank=True)
    """The version of the transaction type that the evidence is about."""
    demoted_at = models.DateTimeField(null=True, blank=True)
    demoted_reason = models.CharField(max_length=300, blank=True, default="", db_default="")
    changed_at = models.DateTimeField(auto_now=True)
    asked: bool
    """Whether any kill switch is in force, where `access` read the row."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["version", "kind", "name", "connection"], name="grant_once"),
        ]

    def __str__(self) -> str:
        return f"{self.version}: {self.name} on {self.connection.name} ({self.autonomy})"


class CallWindow(models.Model):
    """How often something was called since a moment: the counter behind a limit per minute.

    `name` is "agent:<id>", or what else is limited; the set of names is bounded. The table is unlogged: after a
    crash of the database every window begins anew.
    """

    name = models.CharField(max_length=80, primary_key=True)
    since = models.DateTimeField()
    calls = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.name}: {self.calls}"
