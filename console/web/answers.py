"""Live answers for people: the question, what the agent read, what it said; and whether that is right."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from console import access
from console.catalogue import read_tools
from console.checks.shape import parse
from console.errors import CountersignError, Missing, Refused
from console.evals import answers
from console.evals.accepting import suite_about
from console.evals.bounds import wilson
from console.models import (
    AcceptedCase,
    AgentVersion,
    AnswerCited,
    AnswerMark,
    Grant,
    LiveAnswer,
    Mark,
    Mistake,
    Reading,
    Split,
)
from console.registry import marks
from console.registry.marks import Marked
from console.web import rendering
from console.web.guards import actor, signed_in
from integrations.contract import Kind

PAGE = 20
TONES = {Mark.RIGHT: "good", Mark.WRONG: "bad", Mark.UNSURE: "warn"}
REF = re.compile(r"^AN-[0-9A-HJKMNP-TV-Z]{12}$")
SHORTEST_SAID = 3
"""Shorter texts of an answer stand in many columns by chance."""
ENOUGH = 5000
"""Right answers beyond which it is not told how many more it takes."""


def page(request: HttpRequest) -> HttpResponse:
    """Answers that nobody has marked, the oldest first; with `?show=marked` the others, the newest first."""
    shown = "marked" if request.GET.get("show") == "marked" else ""
    waiting = answers.unmarked()
    rows = answers.found().filter(marks__isnull=False).distinct().order_by("-id") if shown else waiting
    if slug := request.GET.get("agent", ""):
        rows = rows.filter(agent_version__agent__slug=slug)
    first = _number(request.GET.get("from", ""))
    listed = list(_with_readings(rows)[first : first + PAGE + 1])
    context = {
        "rows": [_row(one, signed_in(request)) for one in listed[:PAGE]],
        "show": shown,
        "agent": slug,
        "waiting": waiting.count(),
        "any": LiveAnswer.objects.exists(),
        "more": first + PAGE if len(listed) > PAGE else None,
        "before": max(0, first - PAGE) if first else None,
    }
    return render(request, "answers/page.html", context)


def answer(request: HttpRequest, answer: str) -> HttpResponse:
    """One answer beside its readings, with its marks and the form to mark it."""
    return render(request, "answers/answer.html", _context(request, _found(answer)))


def mark(request: HttpRequest, answer: str) -> HttpResponse:
    """Mark it, and go on to the next one. What was typed stays where it is not complete.

    A mark that took the agent its writes is shown with what it did, before anything else.
    """
    found = _found(answer)
    given = {name: request.POST.get(name, "") for name in ("said", "mistake", "words")}
    try:
        made = answers.mark(found, **given, by=signed_in(request), actor=actor(request))
    except Refused as refused:
        context = _context(request, found) | {"fault": refused, "given": given}
        return render(request, "answers/answer.html", context, status=422)
    if answers.fallen([made]):
        return redirect("answer", found.ref)
    after = _next(signed_in(request))
    done = reverse("answers") if after is None else reverse("answer", args=[after.ref])
    return redirect(f"{done}?marked={found.ref}")


def accept(request: HttpRequest, answer: str) -> HttpResponse:
    """Make a case of an answer that people marked."""
    found = _found(answer)
    wrong = answers.standing(_marks(found)) == Mark.WRONG
    given = {
        "words": request.POST.get("words", found.question),
        "right": request.POST.get("right", json.dumps(found.given, indent=2, ensure_ascii=False)),
        "critical": request.POST.get("critical", ""),
    }
    fault: CountersignError | None = None
    if request.method == "POST":
        try:
            made = answers.accept(
                found,
                words=given["words"],
                split=request.POST.get("split", ""),
                right=[_typed(given["right"])] if wrong else [],
                critical=[name for name in re.split(r"[,\s]+", given["critical"]) if name],
                by=signed_in(request),
                actor=actor(request),
            )
        except Refused as refused:
            fault = refused
        else:
            return redirect(f"{reverse('answer', args=[found.ref])}?case={made.suite}")
    try:
        answers.body_of(found, words="", split=Split.HOLDOUT, right=[{}])
    except Refused as refused:
        fault = refused
    context = {
        "answer": found,
        "fault": fault,
        "given": given,
        "wrong": wrong,
        "suite": suite_about(Grant.TOOL, found.tool),
        "ready": answers.standing(_marks(found)) in {Mark.RIGHT, Mark.WRONG},
        "known": AcceptedCase.objects.filter(answer=found).first(),
    }
    return render(request, "answers/accept.html", context, status=422 if fault is not None else 200)


def records(versions: Sequence[AgentVersion]) -> list[dict[str, Any]]:
    """For an agent's page: each version that has answers, with its counts, interval, and what they say."""
    counted = marks.of_versions([one.pk for one in versions])
    return [
        {"version": one, "marked": counted[one.pk], **_said(counted[one.pk])}
        for one in versions
        if counted[one.pk].answers
    ]


def _said(marked: Marked) -> dict[str, str]:
    if not marked.n:
        return {"share": "", "tone": "open", "told": "Nobody has said of one that it is right or wrong."}
    low, high = wilson(marked.right, marked.n)
    ends = f"{math.floor(100 * low)} to {math.ceil(100 * high)} % with 95 % confidence"
    share = f"{marked.right} of {marked.n} right ({ends})"
    if marked.disproven:
        told = (
            f"So many wrong rule out that {100 * marks.BAR:.0f} % are right: this version can get no write."
        )
        return {"share": share, "tone": "bad", "told": told}
    if marked.proven:
        told = f"That proves more than {100 * marks.BAR:.0f} % right: its reads count as reliable."
        return {"share": share, "tone": "good", "told": told}
    more = next((n for n in range(1, ENOUGH) if Marked(0, marked.right + n, marked.wrong, 0).proven), ENOUGH)
    told = f"Too few to tell. {more} more right ones, and no wrong one, would prove {100 * marks.BAR:.0f} %."
    return {"share": share, "tone": "open", "told": told}


def _context(request: HttpRequest, found: LiveAnswer) -> dict[str, Any]:
    given = _marks(found)
    came = answers.standing(given)
    marked = request.GET.get("marked", "")
    mine = access.roles(request.user)
    owns = found.agent_version.agent.owner_id == request.user.pk
    return {
        "answer": found,
        "value": shown(found.given),
        "readings": [{"reading": one, "value": _as_read(one, found.given)} for one in answers.cited(found)],
        "marks": [{"mark": one, "tone": TONES[Mark(one.mark)]} for one in reversed(given)],
        "came": Mark(came).label.lower() if came else "",
        "tone": TONES[Mark(came)] if came else "",
        "why_not": answers.may_not_mark(signed_in(request), found),
        "mistakes": Mistake.choices,
        "waiting": answers.unmarked().count(),
        "before": marked if REF.match(marked) else "",
        "fell": answers.fallen(given),
        "case": AcceptedCase.objects.filter(answer=found).first(),
        "may_accept": bool(mine & access.CONFIRMS) and not owns and came in {Mark.RIGHT, Mark.WRONG},
        "given": {},
    }


def shown(value: Mapping[str, Any], like: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """JSON of one level or two for reading: single values as pairs, lists of records as tables, the rest in text.

    In the order of `like`, a sample of the same form. Columns with nothing in them are left out.
    """
    facts, tables = [], []
    sample = like or {}
    for name in [*(one for one in sample if one in value), *(one for one in value if one not in sample)]:
        part = value[name]
        if isinstance(part, list) and part and all(isinstance(one, Mapping) for one in part):
            first = next((one for one in sample.get(name) or () if isinstance(one, Mapping)), {})
            filled = {key for one in part for key, cell in one.items() if cell not in (None, "", [])}
            columns = [key for key in dict.fromkeys([*first, *sorted(filled)]) if key in filled]
            rows = [[_cell(one.get(key)) for key in columns] for one in part]
            tables.append({"name": name, "columns": columns, "rows": rows})
        else:
            facts.append((name, _cell(part)))
    return {"facts": facts, "tables": tables}


def _as_read(reading: Reading, given: Mapping[str, Any]) -> dict[str, Any]:
    """A reading, with the columns in front that the agent's answer is about: the wide rest is seldom looked for."""
    tool, answer = read_tools().get(reading.tool), reading.answer or {}
    value = shown(answer, tool.sample_answer if tool is not None else None)
    parts = [one for part in given.values() for one in (part if isinstance(part, list) else [part])]
    said = [text for text in map(_text, parts) if len(text) >= SHORTEST_SAID]
    for table in value["tables"]:
        cells = {
            name: [_text(one.get(name, "")) for one in answer[table["name"]]] for name in table["columns"]
        }
        beside = [
            name not in given and not any(text in cell for text in said for cell in cells[name])
            for name in table["columns"]
        ]
        order = sorted(range(len(beside)), key=beside.__getitem__)
        table["columns"] = [table["columns"][place] for place in order]
        table["rows"] = [[row[place] for place in order] for row in table["rows"]]
    return value


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return rendering.plain(", ".join(_text(one) for one in value) or rendering.EMPTY)
    if isinstance(value, Mapping) and not {"amount", "value"} & set(value):
        return rendering.plain(_text(value))
    return rendering.words(value, Kind.TEXT)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(_text(part) for part in value.values() if part not in (None, ""))
    return ", ".join(_text(one) for one in value) if isinstance(value, list) else str(value)


def _row(one: LiveAnswer, person: Any) -> dict[str, Any]:
    came = answers.standing(sorted(one.marks.all(), key=lambda mark: mark.pk))
    return {
        "answer": one,
        "value": shown(one.given),
        "readings": [cited.reading for cited in one.cited.all()],
        "came": Mark(came).label.lower() if came else "",
        "tone": TONES[Mark(came)] if came else "",
        "may": not answers.may_not_mark(person, one),
    }


def _with_readings(rows: QuerySet[LiveAnswer]) -> QuerySet[LiveAnswer]:
    cited = AnswerCited.objects.select_related("reading__connection").defer("reading__answer").order_by("id")
    return rows.prefetch_related(Prefetch("cited", cited), "marks")


def _marks(found: LiveAnswer) -> list[AnswerMark]:
    return list(found.marks.select_related("by").order_by("id"))


def _next(person: Any) -> LiveAnswer | None:
    return answers.unmarked().exclude(agent_version__agent__owner=person).first()


def _found(ref: str) -> LiveAnswer:
    found = answers.found().filter(ref=ref).first() if REF.match(ref) else None
    if found is None:
        raise Missing(f"there is no answer {ref}")
    return found


def _typed(text: str) -> dict[str, Any] | None:
    if not text.strip():
        return None
    value = parse(text.encode())
    if not isinstance(value, dict):
        raise Refused(
            "what would be right is a JSON object with the fields of the answer, or empty", code="shape"
        )
    return value


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0
