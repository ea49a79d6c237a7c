"""Audit entries, the tree over them, and its checkpoints."""

from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import F, Func

from console.models.proposal import Proposal

STRETCHES = (12, 15, 18, 21)
"""A stretch of the log is so many ids long: two to the power of 12, 15, ... Eight of a kind are one of the next."""

MARKS = {"verb": "v", "actor_kind": "k", "actor_id": "a"}
"""What begins a mark in `WORDS_AND_MARKS`, by column."""

WORDS_AND_MARKS = Func(
    F("words"),
    F("id"),
    F("verb"),
    F("actor_kind"),
    F("actor_id"),
    function="audit_found_by",
    output_field=SearchVectorField(),
)
"""What a search looks in: an entry's words, and marks: its stretches, verb, kind of actor and actor. A function of the
database. Marks begin with a blank, as no word does."""


class AuditEntry(models.Model):
    """One fact. Append-only, and the database holds the application to that.

    `body` is canonical JSON (RFC 8785) of everything recorded, so the other columns only repeat it for
    searching. The database sets `at`, `previous` (hash of the entry before in the same chain, or "") and
    `hash` = SHA-256 of `previous`, a newline, `at` in microseconds since 1970, a newline, `body`.
    """

    chain = models.CharField(max_length=80)
    proposal = models.ForeignKey(
        Proposal, on_delete=models.PROTECT, null=True, related_name="entries", db_index=False
    )
    proposal_version = models.PositiveIntegerField(null=True)
    verb = models.CharField(max_length=40)
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=64)
    actor_label = models.CharField(max_length=150)
    words = models.CharField(max_length=400)
    body = models.TextField()
    at = models.DateTimeField()
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        indexes = [
            models.Index(fields=["chain", "-id"], name="audit_chain"),
            models.Index(fields=["proposal", "id"], name="audit_story"),
            models.Index(fields=["verb", "-id"], name="audit_verb"),
            models.Index(fields=["actor_id", "-id"], name="audit_actor"),
            models.Index(fields=["at"], name="audit_at"),
            GinIndex(WORDS_AND_MARKS, name="audit_words"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["proposal", "proposal_version"],
                name="one_entry_per_change_of_state",
                condition=models.Q(proposal_version__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.verb}"


class AuditLeaf(models.Model):
    """The place of one entry in the global tree, given by the sequencer. Append-only."""

    index = models.BigIntegerField(primary_key=True)
    entry = models.OneToOneField(AuditEntry, on_delete=models.PROTECT, related_name="leaf")

    def __str__(self) -> str:
        return f"{self.index}"


class Checkpoint(models.Model):
    """A signed head of all facts so far. Append-only.

    `note` is a C2SP signed note over a tlog-checkpoint: origin, size, base64 root; `root` is hex.
    `frontier` are the roots of the perfect subtrees (RFC 9162) from which the next head is computed.
    """

    size = models.BigIntegerField(unique=True)
    root = models.CharField(max_length=64)
    frontier = models.JSONField()
    note = models.TextField()
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.size}"
