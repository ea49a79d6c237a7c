"""Decisions: one person's answer, bound to one assessment's digest."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from console.models.assessment import Assessment
from console.models.proposal import Proposal


class Answer(models.TextChoices):
    """What a person can say."""

    APPROVE = "approve", "Approve"
    REJECT = "reject", "Reject"
    REQUEST_CHANGES = "request_changes", "Request changes"
    AMEND = "amend", "Amend"


class Reason(models.TextChoices):
    """Why a proposal was not approved as it was. Fixed, so that figures can be made of it."""

    WRONG_VALUE = "wrong_value", "A value is wrong"
    WRONG_TARGET = "wrong_target", "Wrong order or record"
    NOT_NEEDED = "not_needed", "Not needed, or already done"
    BAD_TIMING = "bad_timing", "Not now"
    MISSING_INFORMATION = "missing_information", "Something is missing"
    AGAINST_POLICY = "against_policy", "Against how we work"
    OTHER = "other", "Something else"


class Decision(models.Model):
    """Who answered what, of which assessment, when, and what it means. Append-only.

    `digest` repeats the assessment's, as it was on the person's screen. `name` and `meaning` are in words, for
    the record of a signature (21 CFR 11.50). `dwell_ms` is how long the page was open, and `unfolded` which folded
    parts of it were opened, by the browser's word; null where it did not say. `edits` are the payload's paths that an
    amendment changed. `caught`: of a seeded test, whether it was noticed; null for every other proposal.
    """

    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="decisions")
    assessment = models.ForeignKey(
        Assessment, on_delete=models.PROTECT, related_name="decisions", db_index=False
    )
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="decisions", db_index=False
    )
    answer = models.CharField(max_length=16, choices=Answer.choices)
    digest = models.CharField(max_length=64)
    reason = models.CharField(max_length=24, choices=Reason.choices, blank=True)
    note = models.CharField(max_length=1000, blank=True)
    name = models.CharField(max_length=150)
    role = models.CharField(max_length=30)
    meaning = models.CharField(max_length=200)
    dwell_ms = models.PositiveIntegerField(null=True)
    unfolded = models.JSONField(null=True)
    edits = models.JSONField(null=True)
    caught = models.BooleanField(null=True)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["assessment", "by"], name="one_answer_per_person_and_assessment"),
        ]
        indexes = [
            models.Index(fields=["by", "-id"], name="decisions_of_person"),
            models.Index(fields=["-id"], name="answers_to_tests", condition=models.Q(caught__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.proposal_id}: {self.answer} by {self.name}"

    @property
    def seeded(self) -> bool:
        """Whether it answered a seeded test."""
        return self.caught is not None


class SeededTest(models.Model):
    """What is wrong with a proposal that was put into the queue to see whether somebody notices. Append-only.

    `source` is the real proposal that it is a wrong copy of, `rule` the slip. `path` is the payload's place of the
    wrong value, `right` and `wrong` the values there (JSON); `told` says in words what is wrong, `look` what to look
    at. `asked_by` is null where the console chose by itself.
    """

    proposal = models.OneToOneField(Proposal, on_delete=models.PROTECT, related_name="test")
    source = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="+", db_index=False)
    rule = models.CharField(max_length=40)
    path = models.CharField(max_length=100)
    label = models.CharField(max_length=100)
    right = models.JSONField()
    wrong = models.JSONField()
    told = models.CharField(max_length=300)
    look = models.CharField(max_length=300)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    planted_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.proposal_id}: {self.rule}"


class Claim(models.Model):
    """Somebody is looking at it: a soft lock that only warns, until `until` on the database's clock."""

    proposal = models.OneToOneField(Proposal, on_delete=models.CASCADE, related_name="claim")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.proposal_id} held by {self.by_id}"
