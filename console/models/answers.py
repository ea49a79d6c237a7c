"""What agents answered people live, from which readings, and whether people say that it was right."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from console.models.agent import AgentVersion
from console.models.proposal import Reading


class Mark(models.TextChoices):
    """What a person says of an answer, having looked at the readings beside it."""

    RIGHT = "right", "Right"
    WRONG = "wrong", "Wrong"
    UNSURE = "unsure", "Cannot tell"


class Mistake(models.TextChoices):
    """What was wrong with an answer, as far as counting goes; the person's words say the rest."""

    MISREAD = "misread", "It says something else than the reading"
    LEFT_OUT = "left_out", "It leaves out what the reading has"
    INVENTED = "invented", "It says what no reading has"
    OTHER_QUESTION = "other_question", "It answers another question"
    NOT_SO = "not_so", "The reading itself is not how things are"
    OTHER = "other", "Something else"


class LiveAnswer(models.Model):
    """An agent version's answer to a question of a person, resting on its own readings. Append-only.

    `tool` is the read tool that the question is about; at least one cited reading is its. `given` has the same form as
    an answer in an eval run. `key` is the client's Idempotency-Key, `fingerprint` the SHA-256 of what came with it.
    Nothing of an eval run is ever here, nor of a test of attention: neither makes a reading.
    """

    ref = models.CharField(max_length=20, unique=True)
    agent_version = models.ForeignKey(
        AgentVersion, on_delete=models.PROTECT, related_name="answers", db_index=False
    )
    key_id = models.CharField(max_length=16)
    tool = models.CharField(max_length=64)
    tool_version = models.PositiveIntegerField()
    question = models.CharField(max_length=500)
    given = models.JSONField()
    rationale = models.TextField(blank=True)
    key = models.CharField(max_length=128)
    fingerprint = models.CharField(max_length=64)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["agent_version", "key"], name="version_answer_key_once")
        ]
        indexes = [models.Index(fields=["agent_version", "-id"], name="answers_of_version")]

    def __str__(self) -> str:
        return self.ref


class AnswerCited(models.Model):
    """A reading that an answer rests on. Append-only."""

    answer = models.ForeignKey(LiveAnswer, on_delete=models.PROTECT, related_name="cited", db_index=False)
    reading = models.ForeignKey(Reading, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["answer", "reading"], name="answer_cites_once")]

    def __str__(self) -> str:
        return f"{self.answer_id} rests on {self.reading_id}"


class AnswerMark(models.Model):
    """One person's word on an answer. Append-only: who thinks again marks again, and their newest mark counts.

    `mistake` is empty unless the mark is wrong.
    """

    answer = models.ForeignKey(LiveAnswer, on_delete=models.PROTECT, related_name="marks", db_index=False)
    mark = models.CharField(max_length=6, choices=Mark.choices)
    mistake = models.CharField(max_length=16, choices=Mistake.choices, blank=True)
    words = models.CharField(max_length=500, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(mark="wrong", words__gt="") & ~models.Q(mistake="")
                | ~models.Q(mark="wrong") & models.Q(mistake=""),
                name="wrong_says_what",
            )
        ]
        indexes = [models.Index(fields=["answer", "by", "-id"], name="marks_of_answer")]

    def __str__(self) -> str:
        return f"{self.answer_id}: {self.mark}"
