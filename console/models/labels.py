"""Double-checks of labels: which cases a second person judges, and what they said. Beside a suite, never in it."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from console.models.evaluation import EvalCase, EvalSuite


class Judged(models.TextChoices):
    """What a second person says of an outcome, without knowing whether it is the one on record."""

    YES = "yes", "Acceptable"
    NO = "no", "Not acceptable"
    UNSURE = "unsure", "Cannot tell"


class LabelSample(models.Model):
    """The cases of one suite version that are double-checked, drawn once by a seed that nobody chose. Append-only.

    `items`, in the order they are judged: the id of a case, the `outcome` that is shown for it, and whether that is an
    acceptable one of the case (`kept`) or another beside which it must not be let through. See `evals.labels.drawn`.
    """

    suite = models.OneToOneField(EvalSuite, on_delete=models.PROTECT, related_name="label_sample")
    seed = models.CharField(max_length=32)
    items = models.JSONField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"labels of {self.suite_id}"


class LabelCheck(models.Model):
    """What a second person said of the outcome shown for one case of a sample. Append-only."""

    sample = models.ForeignKey(LabelSample, on_delete=models.PROTECT, related_name="checks", db_index=False)
    case = models.ForeignKey(EvalCase, on_delete=models.PROTECT, related_name="label_checks")
    kept = models.BooleanField()
    judged = models.CharField(max_length=6, choices=Judged.choices)
    words = models.CharField(max_length=500, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["sample", "case"], name="label_judged_once")]

    def __str__(self) -> str:
        return f"{self.case_id}: {self.judged}"

    @property
    def agrees(self) -> bool:
        """Whether the label says the same; an outcome that cannot be judged agrees with nothing."""
        return self.judged == (Judged.YES if self.kept else Judged.NO)
