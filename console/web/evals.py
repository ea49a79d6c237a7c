"""Evals: suites of frozen cases, the gates that rest on them, and the runs that agents sat, case by case."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db.models import Count, F, Max, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from console import access
from console.catalogue import transaction_types
from console.errors import CountersignError, Missing, Refused
from console.evals import accepting, answers, gate, labels, runs
from console.evals.bounds import wilson
from console.models import (
    AcceptedCase,
    EvalCase,
    EvalRun,
    EvalSuite,
    Gate,
    GateDecision,
    Grant,
    Proposal,
    RunAnswer,
    RunReading,
    Split,
    Widening,
)
from console.registry import evidence, gates
from console.web import labels as labels_page
from console.web import rendering
from console.web.guards import actor, signed_in
from integrations.contract import Kind

RECENT = 12
PAGE = 50
PLACE = re.compile(r"\.[0-9]+\.")
SETTINGS = ("suite", "bar", "wrong", "cases", "repeats", "consistency", "max_age_days")


def page(request: HttpRequest) -> HttpResponse:
    """Every gate with what its next first attempt takes and who is through, every suite, the newest runs."""
    newest = EvalSuite.objects.filter(
        pk__in=EvalSuite.objects.values("name").annotate(last=Max("id")).values("last")
    ).order_by("name")
    found = Gate.objects.select_related("suite").order_by("kind", "about")
    return render(
        request,
        "evals/page.html",
        {
            "gates": [_gate(one) for one in found],
            "suites": newest,
            "runs": _runs(EvalRun.objects.all())[:RECENT],
            "required": settings.GATES_REQUIRED,
            "reads_needed": evidence.READS_NEEDED,
            "to_mark": answers.unmarked().count(),
        },
    )


def suite(request: HttpRequest, name: str) -> HttpResponse:
    """One suite: its versions, its cases, the gate that rests on it, and the runs over it."""
    return render(request, "evals/suite.html", _suite_context(request, name))


def set_gate(request: HttpRequest, about: str) -> HttpResponse:
    """Ask for another gate. What was typed stays on the page where it is not right."""
    found = Gate.objects.select_related("suite").filter(about=about).first()
    if found is None:
        raise Missing(f"there is no gate of {about}")
    given = {name: request.POST.get(name, "").strip() for name in SETTINGS}
    try:
        done = gates.set_gate(found.kind, about, change=given, by=signed_in(request), actor=actor(request))
    except Refused as refused:
        context = _suite_context(request, found.suite.name) | {"fault": refused, "given": given}
        return render(request, "evals/suite.html", context, status=422)
    if isinstance(done, Widening):
        messages.info(request, f"Asked for: {done.text}. A second person has to confirm it.")
    return redirect("eval-suite", name=found.suite.name)


def next_version(request: HttpRequest, name: str) -> HttpResponse:
    """Freeze the accepted cases with those of the last version."""
    made = accepting.next_version(name, by=signed_in(request), actor=actor(request))
    messages.success(request, f"{made.suite} is frozen. The gate rests on it when two people set it so.")
    return redirect("eval-suite", name=name)


def case(request: HttpRequest, pk: int) -> HttpResponse:
    """One frozen case with its truth, for people, and how it was answered."""
    found = EvalCase.objects.select_related("suite").filter(pk=pk).first()
    if found is None:
        raise Missing("there is no such case")
    answers = (
        RunAnswer.objects.filter(case__digest=found.digest)
        .select_related("run__version__agent")
        .order_by("-id")[:RECENT]
    )
    return render(
        request,
        "evals/case.html",
        {"case": found, "body": found.body, "answers": [_answer(one) for one in answers]},
    )


def run(request: HttpRequest, run: str) -> HttpResponse:
    """One run: plan, cost and power as they were fixed; how far it is; what came of it; what was wrong."""
    found = EvalRun.objects.select_related("version__agent", "suite").filter(ref=run).first()
    if found is None:
        raise Missing(f"there is no run {run}")
    shown = request.GET.get("show", "")
    rows = RunAnswer.objects.filter(run=found).select_related("case").order_by("place")
    if shown != "all":
        rows = rows.filter(right=False)
    first = _number(request.GET.get("from", ""))
    listed = list(rows[first : first + PAGE + 1])
    answered = RunAnswer.objects.filter(run=found).count()
    compared = runs.compared(found) if found.finished_at is not None else None
    [row] = _runs(EvalRun.objects.filter(pk=found.pk))
    return render(
        request,
        "evals/run.html",
        {
            "run": found,
            "row": row,
            "answered": answered,
            "left": found.sittings - answered,
            "spent": _cost(found.cost),
            "left_before": _cost(found.left_before),
            "left_after": _cost(max(0.0, found.left_before - found.cost)),
            "bar": _percent(found.bar),
            "consistency": _percent(found.consistency),
            "power": _power(found.power),
            "consistent": _share(found.result["consistent"], found.result["cases"]) if found.result else "",
            "decision": GateDecision.objects.filter(run=found).first(),
            "not_frozen": list(
                RunReading.objects.filter(run=found, frozen=None)
                .values("tool")
                .annotate(n=Count("id"))
                .order_by("-n")
            ),
            "compared": compared,
            "chance": _chance(compared.chance) if compared is not None else "",
            "worse": _worse(found, compared),
            "answers": [_answer(one) for one in listed[:PAGE]],
            "show": shown,
            "first": first,
            "more": first + PAGE if len(listed) > PAGE else None,
            "before": max(0, first - PAGE) if first else None,
        },
    )


def accept(request: HttpRequest, ref: str) -> HttpResponse:
    """Make a case of a decided proposal."""
    proposal = access.visible_to(request.user).filter(ref=ref).first()
    if proposal is None:
        raise Missing(f"there is no proposal {ref}")
    fault: CountersignError | None = None
    words = request.POST.get("words", _words(proposal))
    if request.method == "POST":
        try:
            made = accepting.accept(
                proposal,
                words=words,
                split=request.POST.get("split", ""),
                by=signed_in(request),
                actor=actor(request),
            )
        except Refused as refused:
            fault = refused
        else:
            messages.success(request, f"{ref} is a case now. It joins the next version of {made.suite}.")
            return redirect("proposal", ref=ref)
    try:
        body: Mapping[str, Any] | None = accepting.body_of(proposal, words=words, split=Split.HOLDOUT)
    except Refused as refused:
        body, fault = None, refused
    context = {
        "proposal": proposal,
        "body": body,
        "fault": fault,
        "words": words,
        "suite": accepting.suite_of(proposal.transaction_type),
        "known": AcceptedCase.objects.filter(proposal=proposal).first(),
    }
    return render(request, "evals/accept.html", context, status=422 if fault is not None else 200)


def _suite_context(request: HttpRequest, name: str) -> dict[str, Any]:
    number = _number(request.GET.get("number", ""))
    versions = list(EvalSuite.objects.filter(name=name).order_by("-number"))
    found = next((one for one in versions if one.number == number), versions[0] if versions else None)
    if found is None:
        raise Missing(f"there is no suite {name}")
    guarded = Gate.objects.select_related("suite").get(kind=found.kind, about=found.about)
    first = _number(request.GET.get("from", ""))
    cases = list(
        found.cases.annotate(
            sat=Count("answers", filter=Q(answers__place__lt=F("answers__run__cases"))),
            was_right=Count(
                "answers", filter=Q(answers__right=True, answers__place__lt=F("answers__run__cases"))
            ),
        ).order_by("name")[first : first + PAGE + 1]
    )
    mine = access.roles(request.user)
    return {
        "suite": found,
        "versions": versions,
        "gate": _gate(guarded),
        "on_gate": guarded.suite_id == found.pk,
        "asked": Widening.objects.filter(
            decided_at__isnull=True, kind="gate", change__gate=guarded.pk
        ).select_related("asked_by"),
        "choices": list(
            EvalSuite.objects.filter(kind=found.kind, about=found.about).order_by("name", "-number")
        ),
        "given": {
            "suite": str(guarded.suite),
            "bar": gate.share_text(guarded.bar),
            "consistency": gate.share_text(guarded.consistency),
            "wrong": guarded.wrong,
            "cases": guarded.cases,
            "repeats": guarded.repeats,
            "max_age_days": guarded.max_age_days,
        },
        "resting": Grant.objects.filter(
            kind=found.kind, name=found.about, valid_until__gt=timezone.now()
        ).count(),
        "cases": cases[:PAGE],
        "first": first,
        "more": first + PAGE if len(cases) > PAGE else None,
        "before": max(0, first - PAGE) if first else None,
        "runs": _runs(EvalRun.objects.filter(suite__name=name))[:RECENT],
        "accepted": len(accepting.waiting(name)),
        "disputed": len(labels.disputed(versions[0])),
        "labels": labels_page.told(found),
        "may_judge": bool(mine & access.CONFIRMS),
        "configures": bool(mine & access.CONFIGURES),
        "required": settings.GATES_REQUIRED,
    }


def _gate(found: Gate) -> dict[str, Any]:
    """A gate in words, with what the first attempt of an agent takes and which versions stand where."""
    told = gate.plan_of(found, 0)
    newest = (
        GateDecision.objects.filter(kind=found.kind, about=found.about)
        .select_related("version__agent", "run__suite")
        .order_by("version_id", "-id")
        .distinct("version_id")
    )
    return {
        "row": found,
        "bar": _percent(found.bar),
        "consistency": _percent(found.consistency),
        "plan": told["plan"],
        "cost": _cost(told["cost"]),
        "left_after": _cost(told["left_after"]),
        "lifetime": _percent(told["left"]),
        "power": _power(told["power"]),
        "enough": told["enough"],
        "labels": labels_page.told(found.suite),
        "versions": [
            {
                "decision": one,
                "told": _share(one.right, one.cases),
                "why": evidence.why_closed(one),
            }
            for one in newest
        ],
    }


def _runs(found: Any) -> list[dict[str, Any]]:
    rows = found.select_related("version__agent", "suite").annotate(answered=Count("answers")).order_by("-id")
    return [_row(one) for one in rows[: RECENT + 1]]


def _row(one: Any) -> dict[str, Any]:
    if one.result is not None:
        passed = one.result["passed"]
        state, tone = ("passed", "good") if passed else ("did not pass", "warn")
        told = _share(one.result["right"], one.result["cases"])
    else:
        over = one.ends_at <= timezone.now()
        state, tone = ("ended unfinished", "warn") if over else ("open", "info")
        told = f"{one.answered} of {one.sittings} answered"
    return {"run": one, "state": state, "tone": tone, "told": told}


def _answer(one: RunAnswer) -> dict[str, Any]:
    type_ = transaction_types().get(one.run.about) if one.run.kind == Grant.TYPE else None
    fields = type_.fields if type_ is not None else ()
    kinds = {spec.path if spec.payload_path is None else spec.payload_path: spec.kind for spec in fields}
    return {
        "answer": one,
        "number": one.place + 1,
        "words": one.case.body["started_by"]["words"],
        "said": "nothing should be done" if one.given is None else "",
        "did": _did(one, kinds),
        "differences": [
            difference
            | {side: _value(difference, side, kinds) for side in ("wanted", "given")}
            | {"critical": one.critical and difference["critical"]}
            for difference in one.differences
        ],
    }


def _did(one: RunAnswer, kinds: Mapping[str, Kind]) -> list[tuple[str, Any]]:
    """What was proposed where nothing should have been done: no field of it has a right value to stand beside."""
    if one.given is None or any(difference["path"] for difference in one.differences) or one.right:
        return []
    return [
        (name, len(value) if isinstance(value, list) else rendering.words(value, kinds.get(name, Kind.TEXT)))
        for name, value in one.given.items()
    ]


def _value(difference: Mapping[str, Any], side: str, kinds: Mapping[str, Kind]) -> Any:
    kind = kinds.get(PLACE.sub("[].", str(difference["path"])), Kind.TEXT)
    return rendering.words(difference[side], kind)


def _worse(found: EvalRun, compared: runs.Comparison | None) -> Sequence[dict[str, Any]]:
    if compared is None or not compared.worse:
        return []
    rows = RunAnswer.objects.filter(run=found, place__in=compared.worse).select_related("case", "run")
    return [_answer(one) for one in rows.order_by("place")[:RECENT]]


def _power(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    return [
        {"share": _percent(one["share"]), "passes": _chance(one["passes"]), "strict": _chance(one["strict"])}
        for one in rows
    ]


def _share(right: int, cases: int) -> str:
    low, high = wilson(right, cases)
    return f"{right} of {cases} right ({math.floor(100 * low)} to {math.ceil(100 * high)} % with 95 % confidence)"


def _percent(share: Any) -> str:
    return f"{100 * float(share):.4g}\N{NO-BREAK SPACE}%"


def _cost(share: float) -> str:
    return f"{100 * share:.2f}\N{NO-BREAK SPACE}%"


def _chance(text: Any) -> str:
    value = float(text)
    told = "under 1" if value < 0.01 else "over 99" if value > 0.99 else f"{100 * value:.0f}"  # noqa: PLR2004
    return f"{told}\N{NO-BREAK SPACE}%"


def _words(proposal: Proposal) -> str:
    about = proposal.label or proposal.target or proposal.transaction_type.replace("_", " ")
    return f"Look at {about} and do what is right, if anything is."


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0
