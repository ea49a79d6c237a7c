"""Labels double-checked: one outcome after the other, without saying which is the one on record."""

from __future__ import annotations

import math
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from console.catalogue import read_tools
from console.errors import Conflict, Missing, Refused
from console.evals import labels
from console.evals.kappa import Kappa
from console.models import EvalSuite, LabelSample
from console.web.answers import shown
from console.web.guards import actor, signed_in


def page(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """The next outcome that this person may judge; POST judges it and shows the one after."""
    suite = _suite(name, number)
    sample = LabelSample.objects.select_related("suite").filter(suite=suite).first()
    if sample is None:
        raise Missing(f"the labels of {suite} are not drawn yet; its page has the button")
    fault: Refused | None = None
    if request.method == "POST":
        case = request.POST.get("case", "")
        try:
            labels.judge(
                sample,
                int(case) if case.isdecimal() else 0,
                said=request.POST.get("said", ""),
                words=request.POST.get("words", ""),
                by=signed_in(request),
                actor=actor(request),
            )
        except Refused as refused:
            fault = refused
        except Conflict as first:
            messages.warning(request, f"{first.text[:1].upper()}{first.text[1:]}.")
            return redirect("labels", name=name, number=number)
        else:
            return redirect("labels", name=name, number=number)
    why_not = labels.may_not_judge(signed_in(request), suite)
    found = labels.upcoming(sample, signed_in(request)) if not why_not else None
    done = sample.checks.count()
    context: dict[str, Any] = {
        "suite": suite,
        "why_not": why_not,
        "done": done,
        "drawn": len(sample.items),
        "left": len(sample.items) - done,
        "fault": fault,
        "words": request.POST.get("words", "") if fault is not None else "",
    }
    if found is not None:
        case_row, outcome = found
        context |= {
            "case": case_row,
            "body": case_row.body,
            "readings": [{"reading": one, "value": _read(one)} for one in case_row.body["readings"]],
            "nothing": outcome is None,
            "outcome": shown(outcome) if outcome is not None else None,
            "question": "tool" in case_row.body,
        }
    return render(request, "evals/labels.html", context, status=422 if fault is not None else 200)


def draw(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Draw the sample of a suite version."""
    made = labels.draw(_suite(name, number), by=signed_in(request), actor=actor(request))
    messages.success(request, f"{len(made.items)} cases are drawn. A second person judges them, one by one.")
    return redirect("labels", name=name, number=number)


def told(suite: EvalSuite) -> dict[str, Any]:
    """How much of a suite was double-checked and what came of it, in words for a page; never kappa without n."""
    found = labels.checked(suite)
    percent = 100 * found.labels / found.cases if found.cases else 0.0
    share = f"{found.labels} of {found.cases} double-checked ({percent:.3g} %)"
    text, tone = _said(found)
    first = labels.size(suite.holdout + suite.public)
    return {"checked": found, "share": share, "text": text, "tone": tone, "first": first}


def _said(found: labels.Checked) -> tuple[str, str]:
    if found.sample is None:
        return "", "open"
    if found.kappa is None:
        return f"{found.judged} of {found.drawn} outcomes judged; agreement is told when all are.", "open"
    unsure = f" {found.unsure} could not be told." if found.unsure else ""
    agreed = f"Agreed on {found.kappa.agreed} of {found.kappa.n} outcomes."
    if not found.enough:
        return f"{agreed} Insufficient data for kappa: it takes {labels.ENOUGH}.{unsure}", "open"
    kappa = found.kappa
    if kappa.value is None:
        return (
            f"{agreed} Kappa is undefined: both sides said one and the same of every outcome.{unsure}",
            "open",
        )
    goal = f"{labels.GOAL:g} is the goal" if found.good else f"below the goal of {labels.GOAL:g}"
    return f"{agreed} Cohen's kappa {_kappa(kappa)}; {goal}.{unsure}", "good" if found.good else "bad"


def _kappa(found: Kappa) -> str:
    low, high = math.floor(100 * (found.low or 0.0)) / 100, math.ceil(100 * (found.high or 0.0)) / 100
    return f"{found.value:.2f} ({low:.2f} to {high:.2f} with 95 % confidence)"


def _read(reading: dict[str, Any]) -> dict[str, Any]:
    tool = read_tools().get(reading["tool"])
    return shown(reading["answer"], tool.sample_answer if tool is not None else None)


def _suite(name: str, number: int) -> EvalSuite:
    found = EvalSuite.objects.filter(name=name, number=number).first()
    if found is None:
        raise Missing(f"there is no suite {name} {number}")
    return found
