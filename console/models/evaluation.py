"""Evals: frozen cases, the runs that agents sit over them, and what a gate made of a run."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import models

from console.models.agent import AgentVersion
from console.models.answers import LiveAnswer
from console.models.proposal import Proposal


class Split(models.TextChoices):
    """Who may know a case: everybody (for practice), or nobody who builds the agent (for the gate)."""

    PUBLIC = "public", "Public"
    HOLDOUT = "holdout", "Hold-out"


class Confidence(models.TextChoices):
    """How sure it is that the acceptable outcomes are the right ones. A disputed case is never drawn."""

    ACTED = "acted", "People did so"
    CURATED = "curated", "Looked at by a curator"
    DISPUTED = "disputed", "Disputed"


class EvalSuite(models.Model):
    """One version of a set of frozen cases about one transaction type or read tool. Append-only.

    `kind` and `about` are as on a grant; `type_version` is the version of the type or tool that the cases fit.
    `digest` is the SHA-256 over the digests of its cases: the same cases are the same suite.
    """

    name = models.SlugField(max_length=60)
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=4)
    about = models.CharField(max_length=64)
    type_version = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    holdout = models.PositiveIntegerField()
    """How many cases the gate may draw from: hold-out and not disputed."""
    public = models.PositiveIntegerField()
    disputed = models.PositiveIntegerField()
    source = models.CharField(max_length=300, blank=True)
    made_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "number"], name="suite_version_once")]
        indexes = [models.Index(fields=["kind", "about", "-id"], name="suites_about")]

    def __str__(self) -> str:
        return f"{self.name} {self.number}"


class EvalCase(models.Model):
    """One item of a suite: what started it, what was readable then, and what would have been right. Append-only.

    `body` is the case as in its file (see `evals.suites.Case`), `digest` the SHA-256 over its canonical form. An
    agent never sees `body`: `evals.runs` hands out what started it and the readings it asks for, nothing else.
    """

    suite = models.ForeignKey(EvalSuite, on_delete=models.PROTECT, related_name="cases")
    name = models.CharField(max_length=120)
    body = models.JSONField()
    digest = models.CharField(max_length=64)
    split = models.CharField(max_length=8, choices=Split.choices)
    confidence = models.CharField(max_length=8, choices=Confidence.choices)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["suite", "name"], name="case_once_in_suite")]

    def __str__(self) -> str:
        return self.name


class AcceptedCase(models.Model):
    """A decided proposal, or an answer that people marked, of which a curator made a case. Append-only.

    It joins the next version of a suite. One of `proposal` and `answer` is null.
    """

    proposal = models.OneToOneField(
        Proposal, on_delete=models.PROTECT, null=True, related_name="accepted_case"
    )
    answer = models.OneToOneField(
        LiveAnswer, on_delete=models.PROTECT, null=True, related_name="accepted_case"
    )
    suite = models.SlugField(max_length=60)
    body = models.JSONField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(proposal__isnull=True, answer__isnull=False)
                | models.Q(proposal__isnull=False, answer__isnull=True),
                name="case_of_one_thing",
            )
        ]

    def __str__(self) -> str:
        return f"{self.body['id']} for {self.suite}"


class Gate(models.Model):
    """What a version must show before it may propose one transaction type (or be trusted with one read tool).

    `bar`: share of cases that must be right, 0 to 1, proven with 95 % confidence over all attempts of an agent.
    `wrong`: how many wrong ones one attempt may have. `cases`: the fewest to sit, 0 for as few as prove the bar.
    `repeats`: how often each case is sat; `consistency`: the share that must be right every time. A critical field
    allows no error, ever. `number` grows with every change: evidence counts for the gate it was given under.
    """

    kind = models.CharField(max_length=4)
    about = models.CharField(max_length=64)
    suite = models.ForeignKey(EvalSuite, on_delete=models.PROTECT, related_name="gates")
    bar = models.DecimalField(max_digits=5, decimal_places=4)
    wrong = models.PositiveSmallIntegerField()
    cases = models.PositiveSmallIntegerField(default=0)
    repeats = models.PositiveSmallIntegerField(default=1)
    consistency = models.DecimalField(max_digits=5, decimal_places=4)
    max_age_days = models.PositiveSmallIntegerField()
    number = models.PositiveIntegerField(default=1)
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "about"], name="gate_once")]

    def __str__(self) -> str:
        return f"gate of {self.about}"


class EvalRun(models.Model):
    """One sitting of an agent version over cases of a suite. Its plan, cost and power are fixed before it starts.

    `practice`: over the public cases, costs nothing and opens nothing. `cost`: what it spends of the agent's lifetime
    error for this type, whatever comes of it; `left_before`: what was left. `power`: share right to the likelihood of
    passing, as text. `drawn`: the ids of its cases in the order they are sat, `repeats` times over. `known`: how many
    of them this agent had sat before. `result` is null until it is finished.
    """

    ref = models.CharField(max_length=20, unique=True)
    version = models.ForeignKey(AgentVersion, on_delete=models.PROTECT, related_name="runs")
    suite = models.ForeignKey(EvalSuite, on_delete=models.PROTECT, related_name="runs")
    suite_digest = models.CharField(max_length=64)
    kind = models.CharField(max_length=4)
    about = models.CharField(max_length=64)
    type_version = models.PositiveIntegerField()
    practice = models.BooleanField()
    gate_number = models.PositiveIntegerField()
    bar = models.DecimalField(max_digits=5, decimal_places=4)
    cases = models.PositiveIntegerField()
    wrong = models.PositiveSmallIntegerField()
    repeats = models.PositiveSmallIntegerField()
    consistency = models.DecimalField(max_digits=5, decimal_places=4)
    max_age_days = models.PositiveSmallIntegerField()
    cost = models.FloatField()
    left_before = models.FloatField()
    power = models.JSONField()
    drawn = models.JSONField()
    known = models.PositiveIntegerField(default=0)
    key_id = models.CharField(max_length=16, unique=True)
    secret_hash = models.CharField(max_length=64)
    started_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    result = models.JSONField(null=True)
    db_now: dt.datetime
    """The database's clock when the row was read, where `models.loading` read it."""

    class Meta:
        indexes = [models.Index(fields=["kind", "about", "-id"], name="runs_about")]

    def __str__(self) -> str:
        return self.ref

    @property
    def sittings(self) -> int:
        """How many answers it takes."""
        return self.cases * self.repeats


class RunReading(models.Model):
    """One read of a run: answered from what its case froze, or not, which is on record too. Append-only.

    `frozen` is the place of the reading in the case, null where the case did not freeze it.
    """

    run = models.ForeignKey(EvalRun, on_delete=models.PROTECT, related_name="readings")
    place = models.PositiveIntegerField()
    ref = models.CharField(max_length=20, unique=True)
    tool = models.CharField(max_length=64)
    arguments = models.JSONField()
    frozen = models.PositiveIntegerField(null=True)
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["run", "place"], name="readings_of_sitting")]

    def __str__(self) -> str:
        return f"{self.ref} {self.tool}"


class RunAnswer(models.Model):
    """What an agent answered to one case of a run, and its score. Append-only.

    `place` counts the sittings of a run from 0. `given` is the payload or the answer, null for "nothing should be
    done". `key` and `fingerprint` make a repeated call harmless. `differences` are those of `evals.scoring`, for
    people only. `nearest` is the acceptable outcome it was held against, `fields` how many fields were.
    """

    run = models.ForeignKey(EvalRun, on_delete=models.PROTECT, related_name="answers")
    place = models.PositiveIntegerField()
    case = models.ForeignKey(EvalCase, on_delete=models.PROTECT, related_name="answers")
    key = models.CharField(max_length=128)
    fingerprint = models.CharField(max_length=64)
    given = models.JSONField(null=True)
    rationale = models.TextField(blank=True)
    cited = models.JSONField(default=list)
    right = models.BooleanField()
    critical = models.BooleanField()
    """Whether something is wrong in it that allows no error."""
    differences = models.JSONField()
    fields = models.PositiveIntegerField()
    nearest = models.PositiveIntegerField()
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "place"], name="one_answer_per_sitting"),
            models.UniqueConstraint(fields=["run", "key"], name="run_key_once"),
        ]
        indexes = [models.Index(fields=["case", "run"], name="answers_of_case")]

    def __str__(self) -> str:
        return f"{self.run_id} {self.place}: {'right' if self.right else 'wrong'}"


class GateDecision(models.Model):
    """What the gate made of a finished run, with everything it went by. Append-only.

    It counts while the agent version, type version and gate (by `gate_number`, which also fixes the suite) are what
    they were, and until `valid_until`. `reasons`: why it did not open, in words; empty when it did.
    """

    run = models.OneToOneField(EvalRun, on_delete=models.PROTECT, related_name="decision")
    version = models.ForeignKey(AgentVersion, on_delete=models.PROTECT, related_name="gate_decisions")
    kind = models.CharField(max_length=4)
    about = models.CharField(max_length=64)
    type_version = models.PositiveIntegerField()
    suite_digest = models.CharField(max_length=64)
    gate_number = models.PositiveIntegerField()
    opened = models.BooleanField()
    reasons = models.JSONField()
    evidence = models.CharField(max_length=300)
    right = models.PositiveIntegerField()
    cases = models.PositiveIntegerField()
    critical = models.PositiveIntegerField()
    consistent = models.PositiveIntegerField()
    cost = models.FloatField()
    at = models.DateTimeField()
    valid_until = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["version", "kind", "about", "-id"], name="decisions_of_gate")]

    def __str__(self) -> str:
        return f"{self.about}: {'opened' if self.opened else 'stays closed'}"
