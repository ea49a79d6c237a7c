"""Marks count by the newest of each person, and prove something only where looking often cannot have caused it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from console import references
from console.access import person as named
from console.errors import Denied, Refused
from console.evals import accepting, answers, labels
from console.models import (
    AnswerCited,
    AuditEntry,
    Autonomy,
    Connection,
    EvalCase,
    Grant,
    Incident,
    LiveAnswer,
    Mark,
    Reading,
)
from console.registry import evidence, marks
from console.registry.marks import Marked
from tests import cast
from tests.cast import People, Planner
from tests.evals.frozen import question, suite

TOOL = "order_status_exceptions"
TYPE = "production_order_reschedule"


@pytest.mark.parametrize(
    ("right", "wrong", "proven", "disproven"),
    [
        (0, 0, False, False),
        (68, 0, False, False),
        (69, 0, True, False),
        (93, 1, True, False),
        (92, 1, False, False),
        (0, 1, False, False),
        (0, 2, False, True),
        (1, 2, False, False),
        (4, 4, False, True),
    ],
)
def test_what_so_many_marks_prove(right: int, wrong: int, proven: bool, disproven: bool) -> None:
    told = Marked(right + wrong, right, wrong, 0)
    assert (told.proven, told.disproven) == (proven, disproven)


def test_a_version_exactly_at_the_bar_is_seldom_told_apart_however_often_one_looks() -> None:
    seed = 20261123
    drawn = random.Random(seed)
    lives = 400
    told = 0
    for _ in range(lives):
        right = 0
        for n in range(1, 401):
            right += drawn.random() < marks.BAR
            if marks.tells(right, n):
                told += 1
                break
    assert told / lives <= 0.05, f"{told} of {lives} lives, seed {seed}"


def answered(by: Planner, on: Connection, number: int) -> LiveAnswer:
    """An answer with one reading, as the door would store it."""
    reading = Reading.objects.create(
        ref=references.new("RD"),
        agent_version=by.version,
        key_id="k",
        tool=TOOL,
        tool_version=1,
        connection=on,
        arguments={},
        outcome="answered",
        answer={"exceptions": [], "found": number},
        as_of=timezone.now(),
        source="Sandbox HTTP",
        quality="good",
        latency_ms=1,
        at=timezone.now(),
    )
    made = LiveAnswer.objects.create(
        ref=references.new("AN"),
        agent_version=by.version,
        key_id="k",
        tool=TOOL,
        tool_version=1,
        question="How many orders are in trouble?",
        given={"found": str(number)},
        key=f"k{number}",
        fingerprint="",
        at=timezone.now(),
    )
    AnswerCited.objects.create(answer=made, reading=reading)
    return made


def said(answer: LiveAnswer, by: User, mark: str) -> None:
    wrong = {"mistake": "misread", "words": "There are four."} if mark == Mark.WRONG else {}
    answers.mark(answer, said=mark, by=by, actor=named(by), **({"mistake": "", "words": ""} | wrong))


@pytest.mark.django_db
def test_of_each_person_the_newest_mark_counts_and_one_wrong_outweighs_the_rest(
    people: People, planner: Planner, plant: Connection
) -> None:
    one, other, third, last = (answered(planner, plant, number) for number in range(4))
    for who, mark in ((people.ana, "wrong"), (people.ben, "right"), (people.ana, "unsure")):
        said(one, who, mark)
    for who, mark in ((people.ana, "right"), (people.ben, "wrong")):
        said(other, who, mark)
    said(third, people.ana, "unsure")
    counted = marks.of_versions([planner.version.pk])[planner.version.pk]
    assert counted == Marked(answers=4, right=1, wrong=1, unsure=1)
    for answer, came in ((one, "right"), (other, "wrong"), (third, "unsure"), (last, "")):
        assert answers.standing(list(answer.marks.order_by("id"))) == came
    assert AuditEntry.objects.filter(verb="answer.mark").count() == one.marks.count() + 3
    assert answers.unmarked().get() == last


@pytest.mark.django_db
def test_neither_the_owner_nor_who_does_not_decide_marks_and_wrong_says_in_what(
    people: People, planner: Planner, plant: Connection
) -> None:
    one = answered(planner, plant, 1)
    for who, why in (
        (people.oskar, "own the agent"),
        (people.cleo, "supervisors"),
        (people.dora, "supervisors"),
    ):
        with pytest.raises(Denied, match=why):
            said(one, who, "right")
    with pytest.raises(Refused) as refused:
        answers.mark(one, said="wrong", mistake="", words=" ", by=people.ana, actor=named(people.ana))
    assert {fault.field for fault in refused.value.findings} == {"mistake", "words"}
    with pytest.raises(Refused):
        answers.mark(one, said="", mistake="", words="", by=people.ana, actor=named(people.ana))
    assert not one.marks.exists()


@pytest.mark.django_db
def test_answers_marked_wrong_take_a_version_its_record_of_reliable_reads(
    people: People, planner: Planner, plant: Connection
) -> None:
    made = [answered(planner, plant, number) for number in range(20)]
    assert evidence.lacks_reads(planner.version) == "", "twenty answered reads"
    said(made[0], people.ana, "wrong")
    assert evidence.lacks_reads(planner.version) == "", "one wrong answer proves nothing"
    said(made[1], people.ana, "wrong")
    assert "2 of 2 of its answers wrong" in evidence.lacks_reads(planner.version)
    for one in made[2:]:
        said(one, people.ben, "right")
    assert evidence.lacks_reads(planner.version) == "", "18 right ones beside them: not proven any more"


@pytest.mark.django_db
def test_the_wrong_mark_that_disproves_its_reading_takes_a_version_its_writes_and_opens_incidents(
    people: People, planner: Planner, plant: Connection
) -> None:
    made = [answered(planner, plant, number) for number in range(5)]
    other = cast.version(planner.agent, "2.0")
    cast.grant(other, "type", TYPE, plant)
    writes = Grant.objects.filter(version=planner.version, kind=Grant.TYPE, autonomy=Autonomy.PROPOSE)
    before = writes.count()
    assert before
    said(made[0], people.ana, "wrong")
    assert (writes.count(), Incident.objects.count()) == (before, 0), "one wrong answer proves nothing"
    said(made[1], people.ben, "wrong")
    assert not writes.exists()
    told = Incident.objects.filter(kind="answers_wrong")
    assert told.count() == before
    fell = Grant.objects.filter(version=planner.version, kind=Grant.TYPE, autonomy=Autonomy.SHADOW).first()
    assert fell is not None
    assert "2 of 2 of its answers wrong" in fell.demoted_reason
    assert answers.fallen(list(made[1].marks.all())) == list(told.order_by("pk"))
    assert not answers.fallen(list(made[0].marks.all()))
    assert AuditEntry.objects.filter(verb="grant.demote").count() == before
    assert Grant.objects.get(version=other, name=TYPE).autonomy == Autonomy.PROPOSE, "it marks this version"
    said(made[2], people.ana, "wrong")
    assert Incident.objects.count() == before, "what is in shadow falls no further"
    Grant.objects.filter(pk=fell.pk).update(autonomy=Autonomy.PROPOSE)
    said(made[3], people.ana, "right")
    assert marks.of_versions([planner.version.pk])[planner.version.pk].disproven
    assert writes.get() == fell, "raised again by two people, it falls by another wrong answer only"
    said(made[4], people.ana, "wrong")
    assert not writes.exists()


@pytest.mark.django_db
def test_a_marked_answer_becomes_a_case_of_its_tools_suite_with_what_was_right(
    people: People, planner: Planner, plant: Connection
) -> None:
    suite((question(number) for number in range(3)), "questions")
    right, wrong = answered(planner, plant, 1), answered(planner, plant, 2)
    more: Any = {"words": "How many?", "split": "holdout", "critical": ["found"]}
    with pytest.raises(Refused, match="nobody has said"):
        answers.accept(right, right=[], by=people.ana, actor=named(people.ana), **more)
    said(right, people.ana, "right")
    said(wrong, people.ana, "wrong")
    with pytest.raises(Refused, match="say what would have been right"):
        answers.accept(wrong, right=[], by=people.ana, actor=named(people.ana), **more)
    with pytest.raises(Denied, match="own the agent"):
        answers.accept(right, right=[], by=people.oskar, actor=named(people.oskar), **more)
    answers.accept(right, right=[{"found": "9"}], by=people.ana, actor=named(people.ana), **more)
    answers.accept(wrong, right=[{"found": "4"}], by=people.dora, actor=named(people.dora), **more)
    made = accepting.next_version("questions", by=people.dora, actor=named(people.dora)).suite
    kept = {one.name: one.body for one in EvalCase.objects.filter(suite=made)}
    assert len(kept) == 5
    assert kept[right.ref]["acceptable"] == [{"found": "1"}], (
        "what people called right, whatever the curator types"
    )
    assert kept[wrong.ref]["acceptable"] == [{"found": "4"}]
    assert kept[wrong.ref]["readings"][0]["answer"]["found"] == 2
    sample = labels.draw(made, by=people.ben, actor=named(people.ben))
    own = kept[right.ref]["id"]
    item = next(one for one in sample.items if made.cases.get(pk=one["case"]).name == own)
    with pytest.raises(Denied, match="you made this case"):
        labels.judge(sample, item["case"], said="yes", words="", by=people.ana, actor=named(people.ana))
    shown = labels.upcoming(sample, people.ana)
    assert shown is not None
    assert shown[0].name != own, "it is not even shown to whoever made it"
