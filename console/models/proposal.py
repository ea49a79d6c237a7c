"""Proposals, their revisions, and the keys that make submitting repeatable."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from django.conf import settings
from django.db import models
from django.db.models.functions import Coalesce

from console.models.agent import AgentVersion, Grant
from console.models.system import Connection


class State(models.TextChoices):
    """Where a proposal stands. The arrows between them are in `lifecycle/states.py` and the README."""

    RECEIVED = "received", "Received"
    IN_REVIEW = "in_review", "In review"
    CHANGES_REQUESTED = "changes_requested", "Changes requested"
    APPROVED = "approved", "Approved"
    COMMITTING = "committing", "Committing"
    AWAITING_SYSTEM = "awaiting_system", "Awaiting the system"
    AWAITING_PERSON = "awaiting_person", "Awaiting a person"
    OUTCOME_UNKNOWN = "outcome_unknown", "Outcome unknown"
    COMMITTED = "committed", "Committed"
    COMMIT_FAILED = "commit_failed", "Commit failed"
    REFUSED = "refused", "Refused"
    REJECTED = "rejected", "Rejected"
    WITHDRAWN = "withdrawn", "Withdrawn"
    EXPIRED = "expired", "Expired"
    SHADOWED = "shadowed", "Shadowed"
    REVEALED = "revealed", "Revealed"


FINAL = (
    State.COMMITTED,
    State.COMMIT_FAILED,
    State.REFUSED,
    State.REJECTED,
    State.WITHDRAWN,
    State.EXPIRED,
    State.SHADOWED,
    State.REVEALED,
)
"""States that nothing leaves."""

PENDING = (State.RECEIVED, State.IN_REVIEW, State.CHANGES_REQUESTED)
"""States that count against an agent's cap of pending proposals."""

LIVE = tuple(state for state in State if state not in FINAL)

SEEDED = (
    State.RECEIVED,
    State.IN_REVIEW,
    State.REVEALED,
    State.REFUSED,
    State.EXPIRED,
)
"""The only states that a seeded test can have: the database refuses all others, and with them every attempt."""

UNSEEDED = tuple(state for state in State if state != State.REVEALED)


IN_REVIEW = models.Q(state="in_review")
NO_VALUE = Decimal(10) ** 15
"""What stands for no value in the order by money: beyond every value, so it comes last."""


class Risk(models.IntegerChoices):
    """How much care an item wants, from the assessment; the queue sorts by it."""

    LOW = 0, "Low"
    MEDIUM = 1, "Medium"
    HIGH = 2, "High"


class Proposal(models.Model):
    """What an agent wants done: one transaction type on one target.

    `ref` is ours and goes into the system's document: random, so that a restored backup cannot give the same
    name twice. `version` counts changes of state; `fence` counts claims; both only grow. `lease_until` and
    `ring_at` are on the database's clock. Only `lifecycle.states` writes `state` and `version`.
    """

    ref = models.CharField(max_length=20)
    agent_version = models.ForeignKey(
        AgentVersion, on_delete=models.PROTECT, related_name="proposals", db_index=False
    )
    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, related_name="proposals", db_index=False)
    connection = models.ForeignKey(
        Connection, on_delete=models.PROTECT, related_name="proposals", db_index=False
    )
    transaction_type = models.CharField(max_length=64)
    type_version = models.PositiveIntegerField()
    autonomy = models.CharField(max_length=8)
    target = models.CharField(max_length=100, blank=True)
    label = models.CharField(max_length=200, blank=True)

    state = models.CharField(max_length=20, choices=State.choices, default=State.RECEIVED)
    version = models.PositiveIntegerField(default=0)
    state_since = models.DateTimeField()
    state_reason = models.CharField(max_length=500, blank=True)
    """Why it is where it is, in words, when that is not plain from the state."""
    revision = models.PositiveIntegerField(default=1)

    risk = models.PositiveSmallIntegerField(choices=Risk.choices, default=Risk.LOW)
    value_amount = models.DecimalField(max_digits=21, decimal_places=6, null=True, blank=True)
    value_currency = models.CharField(max_length=3, blank=True)
    due = models.DateField(null=True, blank=True)

    submitted_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    fence = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    ring_at = models.DateTimeField(null=True, blank=True)
    """When the sweep rings again; null when no worker has anything to do."""
    attempts_made = models.PositiveSmallIntegerField(default=0)
    traceparent = models.CharField(max_length=55, blank=True, default="", db_default="")
    """The span that it was proposed in (W3C Trace Context), where traces are made; "" else. See `console.tracing`."""
    seeded = models.BooleanField(default=False, db_default=False)
    """A test of attention, known to be wrong: see `SeededTest`. It is never approved, and counts in no figure."""
    reverses = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="reversals", db_index=False
    )
    db_now: dt.datetime
    """The database's clock when the row was read, where `models.loading` read it."""
    asked: str
    """The fingerprint of its key, where `lifecycle.submit` read it."""

    class Meta:
        # The queue's orders are written so that a page goes on from a row by one comparison (see web.queue), and
        # hold what is in review only: every index that a state is part of costs a write for each change of state.
        indexes = [
            models.Index(models.F("risk") * -1, "id", name="queue_by_risk", condition=IN_REVIEW),
            models.Index("expires_at", "id", name="queue_by_time", condition=IN_REVIEW),
            models.Index(
                Coalesce(models.F("value_amount") * -1, models.Value(NO_VALUE)),
                "id",
                name="queue_by_money",
                condition=IN_REVIEW,
            ),
            models.Index(fields=["state", "-id"], name="proposal_state_newest"),
            models.Index(
                fields=["agent_version"], name="pending_of_version", condition=models.Q(state__in=PENDING)
            ),
            models.Index(fields=["agent_version", "transaction_type", "state"], name="record_of_version"),
            models.Index(fields=["connection", "transaction_type", "target"], name="same_target"),
            models.Index(fields=["grant", "-submitted_at"], name="newest_of_grant"),
            models.Index(
                fields=["ring_at"],
                name="shadow_to_ring",
                condition=models.Q(state="shadowed", ring_at__isnull=False),
            ),
            models.Index(fields=["reverses"], name="reversals", condition=models.Q(reverses__isnull=False)),
        ]
        constraints = [
            models.UniqueConstraint(fields=["ref"], name="proposal_ref_once"),
            models.CheckConstraint(
                condition=models.Q(seeded=False, state__in=UNSEEDED)
                | models.Q(seeded=True, state__in=SEEDED),
                name="seeded_is_never_approved",
            ),
        ]

    def __str__(self) -> str:
        return self.ref

    @property
    def is_final(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.state in FINAL


class Revision(models.Model):
    """One version of a proposal's payload. Append-only.

    `payload` is the canonical JSON text (RFC 8785) and `digest` its SHA-256 in hex: bytes, not a parsed value,
    because the bytes are what was shown and what is sent.
    """

    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="revisions", db_index=False)
    number = models.PositiveIntegerField()
    payload = models.TextField()
    digest = models.CharField(max_length=64)
    rationale = models.TextField(blank=True)
    by_agent = models.ForeignKey(
        AgentVersion, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    by_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["proposal", "number"], name="revision_once"),
            models.CheckConstraint(
                condition=models.Q(by_agent__isnull=False) ^ models.Q(by_user__isnull=False),
                name="revision_has_one_author",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.proposal_id} r{self.number}"


class Reading(models.Model):
    """One call of a read tool: who, which, with what, answered by whom, as of when. Append-only.

    `answer` is null unless `outcome` is "answered". `digest` is the SHA-256 of the canonical answer. `as_of` is the
    last proof that it is so; `source_time` and `server_time` are the machine's clock and its server's, where the
    path tells them; `remark` says why the quality is not good.
    """

    ref = models.CharField(max_length=20, unique=True)
    agent_version = models.ForeignKey(
        AgentVersion, on_delete=models.PROTECT, related_name="readings", db_index=False
    )
    key_id = models.CharField(max_length=16)
    tool = models.CharField(max_length=64)
    tool_version = models.PositiveIntegerField()
    connection = models.ForeignKey(
        Connection, on_delete=models.PROTECT, related_name="readings", db_index=False
    )
    arguments = models.JSONField()
    outcome = models.CharField(max_length=20)
    """answered, rejected, unavailable, in_doubt, out_of_scope, unsupported, error (the adapter itself failed)"""
    text = models.CharField(max_length=300, blank=True)
    answer = models.JSONField(null=True)
    digest = models.CharField(max_length=64, blank=True)
    as_of = models.DateTimeField(null=True)
    source = models.CharField(max_length=100, blank=True)
    quality = models.CharField(max_length=10, blank=True)
    source_time = models.DateTimeField(null=True)
    server_time = models.DateTimeField(null=True)
    remark = models.CharField(max_length=300, blank=True)
    cross_check = models.JSONField(null=True)
    """What a second source said, where the connection names one: see `reads.cross_check`."""
    latency_ms = models.PositiveIntegerField()
    at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["agent_version", "-id"], name="reading_of_version"),
            models.Index(fields=["tool", "-id"], name="reading_of_tool"),
        ]

    def __str__(self) -> str:
        return f"{self.ref} {self.tool}"


class Cited(models.Model):
    """A reading that a revision rests on. Append-only."""

    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="cited")
    reading = models.ForeignKey(Reading, on_delete=models.PROTECT, related_name="cited")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["revision", "reading"], name="cited_once")]

    def __str__(self) -> str:
        return f"{self.revision_id} cites {self.reading_id}"


class IdempotencyKey(models.Model):
    """One `Idempotency-Key` of one agent (draft-ietf-httpapi-idempotency-key-header).

    `fingerprint` is the SHA-256 of method, path and raw body; `status` and `body` are the first answer, null
    while that is being made. Kept at least thirty days.
    """

    agent = models.ForeignKey("console.Agent", on_delete=models.PROTECT, related_name="+", db_index=False)
    key = models.CharField(max_length=128)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.TextField(null=True)  # noqa: DJ001 null means "still running", which "" could not say
    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "key"], name="idempotency_key_once")]

    def __str__(self) -> str:
        return self.key
