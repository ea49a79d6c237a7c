"""Labels double-checked: a second person judges outcomes without seeing which is on record, and agreement is counted.

A tenth of a suite's cases, at least ten where there are as many, is shown with an outcome that its label accepts;
about as many others are shown with one that it does not: doing nothing, or the label with one value changed. So "yes"
and "no" are both worth saying, chance agreement is about one half, and kappa is defined whatever the labels are.
What is disputed stays in the frozen suite and is marked in its next version.
"""

from __future__ import annotations

import copy
import datetime as dt
import hashlib
import json
import math
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from pydantic import ValidationError

from console import access, audit
from console.audit import Actor
from console.canonical import canonical, text_digest
from console.catalogue import transaction_types
from console.errors import Conflict, Denied, Refused
from console.evals.kappa import Kappa, kappa
from console.evals.scoring import score, score_answer
from console.models import (
    AcceptedCase,
    Agent,
    EvalCase,
    EvalRun,
    EvalSuite,
    Grant,
    Judged,
    LabelCheck,
    LabelSample,
)
from integrations.contract import Kind

SHARE = 10
"""One in so many cases has its label double-checked."""
LEAST = 10
"""And at least so many, where there are twice as many cases."""
ENOUGH = 20
"""Judgements below which no kappa is told."""
GOAL = 0.8
DAYS = (-14, -7, -3, 3, 7, 14)
FACTORS = (Decimal("0.5"), Decimal("0.9"), Decimal("1.1"), Decimal(2))
LONGEST = 500
INTEGER = re.compile(r"-?[0-9]{1,15}")


@dataclass(frozen=True)
class Checked:
    """What came of double-checking the labels of one suite version.

    `cases`: all of them; `labels`: those whose own outcome was judged, in this version or with the same digest in
    another; `judged` of `drawn` items have an answer, `unsure` of them that it cannot be told. `kappa` is None until
    every item is judged. `disputed`: what a second person would have otherwise.
    """

    sample: LabelSample | None
    cases: int
    labels: int
    drawn: int
    judged: int
    unsure: int
    kappa: Kappa | None
    disputed: tuple[LabelCheck, ...]

    @property
    def enough(self) -> bool:
        """Whether there is enough to tell a kappa of."""
        return self.kappa is not None and self.kappa.n >= ENOUGH

    @property
    def good(self) -> bool:
        """Whether kappa reaches its goal."""
        return self.kappa is not None and self.kappa.value is not None and self.kappa.value >= GOAL


def size(cases: int) -> int:
    """How many of so many cases have their own outcome judged."""
    return max(math.ceil(cases / SHARE), min(LEAST, math.ceil(cases / 2)))


def drawn(seed: str, cases: Sequence[tuple[int, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Which cases (id and body) are judged, with which outcome, in which order. The same seed draws the same.

    A case's place is by the SHA-256 of the seed and its name, so that it depends on nothing else.
    """
    order = sorted(cases, key=lambda one: _hash(seed, str(one[1]["id"])))
    first = size(len(order))
    items = [
        {"case": pk, "outcome": _pick(seed, body, list(body["acceptable"])), "kept": True}
        for pk, body in order[:first]
    ]
    others: list[dict[str, Any]] = []
    for pk, body in order[first:]:
        if len(others) == first:
            break
        if found := list(rivals(seed, body)):
            others.append({"case": pk, "outcome": _pick(seed, body, found), "kept": False})
    return sorted(items + others, key=lambda one: _hash(seed, f"order {one['case']}"))


def rivals(seed: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any] | None]:
    """Outcomes of a case that its label does not accept: doing nothing, or an accepted one with one value changed."""
    label = _pick(seed, body, list(body["acceptable"]))
    changed = _changed_payloads if body.get("type") else _changed_answers
    for one in (None, *(changed(seed, body, label) if label is not None else ())):
        if not _accepted(body, one):
            yield one


def draw(suite: EvalSuite, *, by: User, actor: Actor) -> LabelSample:
    """Draw the sample of a suite version, once. Conflict when it is drawn, Refused when its type is not here."""
    access.require(by, access.CONFIRMS, "have labels double-checked")
    if suite.kind == Grant.TYPE and suite.about not in transaction_types():
        raise Refused(f"there is no {suite.about} here any more, so nothing can be held against its cases")
    cases = list(suite.cases.exclude(confidence="disputed").order_by("name").values_list("pk", "body"))
    seed = secrets.token_hex(8)
    try:
        with transaction.atomic():
            made = LabelSample.objects.create(
                suite=suite, seed=seed, items=drawn(seed, cases), by=by, at=Now()
            )
            audit.record(
                "labels.draw",
                actor=actor,
                chain=f"suite:{suite.name}",
                subject=str(suite),
                # The seed itself would tell which outcomes are on record; its page shows it when all is judged.
                detail={"seed_sha256": text_digest(seed), "items": len(made.items)},
            )
    except IntegrityError:
        raise Conflict(f"the labels of {suite} are drawn already", code="labels_drawn") from None
    return made


def upcoming(sample: LabelSample, user: User) -> tuple[EvalCase, dict[str, Any] | None] | None:
    """The next case that this person may judge, with the outcome to judge; None when there is none for them."""
    done = set(sample.checks.values_list("case_id", flat=True))
    mine = set(
        AcceptedCase.objects.filter(suite=sample.suite.name, by=user).values_list("body__id", flat=True)
    )
    for item in sample.items:
        if item["case"] in done:
            continue
        case = EvalCase.objects.select_related("suite").get(pk=item["case"])
        if case.name not in mine:
            return case, item["outcome"]
    return None


def judge(sample: LabelSample, case: int, *, said: str, words: str, by: User, actor: Actor) -> LabelCheck:
    """Say whether the outcome shown for a case is acceptable. Once a case.

    Raises Denied for who made the label or owns an agent that sat the suite, Conflict when somebody was first,
    Refused for an answer that is none.
    """
    if why := may_not_judge(by, sample.suite):
        raise Denied(why)
    item = next((one for one in sample.items if one["case"] == case), None)
    if item is None:
        raise Refused("this case is not among those to judge; take the one that is shown")
    if said not in Judged.values or len(words.strip()) > LONGEST:
        raise Refused(f"say yes, no, or that it cannot be told, with at most {LONGEST} characters of words")
    row = EvalCase.objects.get(pk=case)
    if AcceptedCase.objects.filter(suite=sample.suite.name, body__id=row.name, by=by).exists():
        raise Denied("you made this case; somebody else has to judge its label")
    try:
        with transaction.atomic():
            made = LabelCheck.objects.create(
                sample=sample,
                case=row,
                kept=item["kept"],
                judged=said,
                words=words.strip(),
                by=by,
                at=Now(),
            )
            audit.record(
                "labels.judge",
                actor=actor,
                chain=f"suite:{sample.suite.name}",
                subject=str(sample.suite),
                detail={"case": row.name, "judged": said},
            )
    except IntegrityError:
        raise Conflict("somebody judged this one just now; take the next", code="label_judged") from None
    return made


def may_not_judge(user: User, suite: EvalSuite) -> str:
    """Why this person may not judge labels of a suite, in words; "" if they may."""
    if not access.roles(user) & access.CONFIRMS:
        return "Only supervisors and administrators judge labels."
    sat = EvalRun.objects.filter(suite__name=suite.name).values("version__agent")
    owned = Agent.objects.filter(pk__in=sat, owner=user).first()
    if owned is not None:
        return f"You own the agent {owned.title}, which sat this suite; somebody else has to judge."
    return ""


def checked(suite: EvalSuite) -> Checked:
    """What came of it for one suite version."""
    digests = suite.cases.values("digest")
    labels = (
        LabelCheck.objects.filter(kept=True, case__digest__in=digests)
        .exclude(judged=Judged.UNSURE)
        .values("case__digest")
        .distinct()
        .count()
    )
    sample = LabelSample.objects.filter(suite=suite).first()
    done = list(sample.checks.select_related("case", "by").order_by("id")) if sample is not None else []
    told = [one for one in done if one.judged != Judged.UNSURE]
    finished = sample is not None and len(done) == len(sample.items)
    return Checked(
        sample=sample,
        cases=suite.cases.count(),
        labels=labels,
        drawn=len(sample.items) if sample is not None else 0,
        judged=len(done),
        unsure=len(done) - len(told),
        kappa=kappa([("yes" if one.kept else "no", one.judged) for one in told]) if finished else None,
        disputed=tuple(one for one in told if not one.agrees) if finished else (),
    )


def disputed(suite: EvalSuite) -> set[str]:
    """Names of its cases whose labels a second person disputes and that do not say so yet, once all are judged."""
    found = checked(suite).disputed
    return {one.case.name for one in found if one.case.confidence != "disputed"}


def marked(line: str, names: set[str]) -> str:
    """A case's line for the next version: said to be disputed if it is among these."""
    body = json.loads(line)
    return canonical({**body, "label_confidence": "disputed"}) if body["id"] in names else line


def _accepted(body: Mapping[str, Any], outcome: Mapping[str, Any] | None) -> bool:
    if not body.get("type"):
        return score_answer(outcome, body["acceptable"], body["critical"]).right
    return score(transaction_types()[body["type"]], outcome, body["acceptable"]).right


def _changed_payloads(
    seed: str, body: Mapping[str, Any], label: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The payload with one date, quantity or amount changed, for each of them that it has."""
    type_ = transaction_types()[body["type"]]
    for field in type_.fields:
        path = field.path if field.payload_path is None else field.payload_path
        made = copy.deepcopy(dict(label))
        holder, name = _holder(made, path)
        if holder is None or holder.get(name) is None:
            continue
        value, choose = holder[name], _hash(seed, f"{body['id']} {path}")
        if field.kind is Kind.DATE:
            day = dt.date.fromisoformat(value) + dt.timedelta(days=DAYS[choose % len(DAYS)])
            holder[name] = day.isoformat()
        elif field.kind in {Kind.QUANTITY, Kind.MONEY}:
            part = "value" if field.kind is Kind.QUANTITY else "amount"
            moved = Decimal(value[part]) * FACTORS[choose % len(FACTORS)]
            cents = moved.quantize(Decimal("0.01"))
            holder[name] = {**value, part: format(cents, "f").removesuffix(".00")}
        else:
            continue
        try:
            type_.payload.model_validate_json(canonical(made))
        except ValidationError:
            continue
        yield made


def _changed_answers(
    seed: str, body: Mapping[str, Any], label: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The answer with one number moved by one, or one item left out of a list."""
    for name, value in label.items():
        up = 1 if _hash(seed, f"{body['id']} {name}") % 2 else -1
        if isinstance(value, list) and len(value) > 1:
            yield {**label, name: value[:-1]}
        elif isinstance(value, int) and not isinstance(value, bool):
            yield {**label, name: value + up}
        elif isinstance(value, str) and INTEGER.fullmatch(value):
            yield {**label, name: str(int(value) + up)}


def _holder(payload: dict[str, Any], path: str) -> tuple[dict[str, Any] | None, str]:
    """The object that holds the field at a path such as `promised_date` or `lines[].quantity` (the first line)."""
    *way, name = path.split(".")
    place: Any = payload
    for step in way:
        place = place.get(step.removesuffix("[]")) if isinstance(place, dict) else None
        if step.endswith("[]"):
            place = place[0] if place else None
    return (place, name) if isinstance(place, dict) else (None, name)


def _pick(seed: str, body: Mapping[str, Any], among: Sequence[Any]) -> Any:
    return among[_hash(seed, f"which {body['id']}") % len(among)]


def _hash(seed: str, text: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {text}".encode()).digest()[:8])
