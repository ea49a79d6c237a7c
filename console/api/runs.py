"""Eval runs by API: an agent opens one with its own key, and sits it with the key it gets.

The addresses for reading, proposing and listing tools are those of live work; `views` asks here when a call comes
with the key of a run.
"""

from __future__ import annotations

import re

from django.http import HttpResponse
from rest_framework.request import Request

from console.api.describe import described
from console.api.door import Either, SitsRun, door
from console.api.envelope import (
    CaseView,
    Fault,
    PlanView,
    PowerView,
    ReadingAnswer,
    Received,
    ResultView,
    RunOpened,
    RunView,
    Took,
    ToolsAnswer,
    Validation,
    Way,
)
from console.api.request import actor_of, answered, body_of, key_of, run_of
from console.api.tools import cards, functions
from console.catalogue import read_tools, transaction_types
from console.errors import Missing
from console.evals import runs, sitting
from console.evals.bounds import wilson
from console.evals.gate import share_text
from console.models import Autonomy, EvalRun, GateDecision, Grant, RunReading
from integrations.contract import Quality

ADDRESS = "/api/v1/runs"
REF = re.compile(r"^ER-[0-9A-HJKMNP-TV-Z]{12}$")
HOW = [
    "Use this key for everything until the run is finished; it reaches this run and nothing else.",
    "GET {url}/case gives the case whose turn it is; it stays the same until it is answered.",
    "Read with POST /api/v1/reads/<tool> as always: the answers are those of then. What was not read then is 404.",
    "Answer with POST /api/v1/proposals as always, or POST {url}/nothing when nothing should be done.",
    "A question about what was read is answered with POST {url}/answer, citing readings.",
    "Then the next case. POST {url}/finish when all are answered. Opening the run again gives a new key to go on.",
]


@described(
    "open_run",
    "Open an eval run",
    {201: RunOpened, 200: RunOpened},
    body=runs.Opening,
    problems=(400, 404, 411, 413, 415, 422),
)
@door("POST")
def open_run(request: Request) -> HttpResponse:
    """Open a run for your version, or go on with the one that is open. An attempt's cost is spent by opening it."""
    made = runs.open_run(key_of(request).version, raw=body_of(request), actor=actor_of(request))
    found = view(made.run)
    body = RunOpened(
        run=found, key=made.key, resumed=made.resumed, how=[line.format(url=found.url) for line in HOW]
    )
    return answered(request, body, 200 if made.resumed else 201, {"Location": found.url})


@described("get_run", "Follow a run", {200: RunView}, problems=(404,))
@door("GET", who=Either)
def show(request: Request, ref: str) -> HttpResponse:
    """How far it is, and what came of it."""
    return answered(request, view(_run(request, ref)))


@described("get_case", "Get the case whose turn it is", {200: CaseView}, problems=(404, 409))
@door("GET", who=SitsRun)
def case(request: Request, ref: str) -> HttpResponse:
    """What started it. The same until it is answered."""
    run = _run(request, ref)
    now = sitting.current(run)
    began = sitting.started_by(run, now)
    return answered(
        request,
        CaseView(
            number=now.place + 1,
            of=run.sittings,
            about=run.about,
            words=now.case.started_by.words,
            as_of=now.case.as_of,
            reading=reading(began) if began is not None else None,
        ),
    )


@described(
    "answer_nothing",
    "Say that nothing should be done",
    {202: Took},
    body=sitting.Nothing,
    problems=(400, 404, 409, 411, 413, 415, 422),
)
@door("POST", who=SitsRun)
def nothing(request: Request, ref: str) -> HttpResponse:
    """An answer like any other. The same again changes nothing."""
    run = _run(request, ref)
    return _took(request, run, sitting.nothing(run, raw=body_of(request)))


@described(
    "answer_question",
    "Answer a question about what was read",
    {202: Took},
    body=sitting.Answer,
    problems=(400, 404, 409, 411, 413, 415, 422),
)
@door("POST", who=SitsRun)
def answer(request: Request, ref: str) -> HttpResponse:
    """For suites about a read tool. The same again changes nothing."""
    run = _run(request, ref)
    return _took(request, run, sitting.answer(run, raw=body_of(request)))


@described(
    "finish_run",
    "Finish a run",
    {200: RunView},
    body=runs.Finish,
    problems=(400, 404, 409, 411, 413, 415, 422),
)
@door("POST", who=Either)
def finish(request: Request, ref: str) -> HttpResponse:
    """Count it and let the gate judge it. Finishing twice changes nothing."""
    return answered(
        request, view(runs.finish(_run(request, ref), raw=body_of(request), actor=actor_of(request)))
    )


def read(request: Request, run: EvalRun, tool: str) -> HttpResponse:
    """A read with the key of a run."""
    return answered(request, reading(sitting.read(run, tool, raw=body_of(request))))


def propose(request: Request, run: EvalRun, key: str) -> HttpResponse:
    """A proposal with the key of a run: taken as the answer to its case, and stored nowhere else."""
    taken = sitting.propose(run, raw=body_of(request), key=key)
    body = Received(
        ref=run.ref,
        state="received",
        transaction_type=run.about,
        connection=sitting.CONNECTION,
        url=f"{ADDRESS}/{run.ref}",
    )
    headers = {"Location": body.url} | ({"Idempotent-Replayed": "true"} if taken.replayed else {})
    return answered(request, body, 202, headers)


def judge(request: Request, run: EvalRun) -> HttpResponse:
    """A validation with the key of a run: of the form alone."""
    faults = sitting.form_faults(run, raw=body_of(request))
    text = (
        "Its form is not right."
        if faults
        else "Its form is right. In a run nothing else is judged before it counts."
    )
    return answered(
        request,
        Validation(
            sound=not faults,
            findings=[Fault.model_validate({**vars(one), "level": one.level.value}) for one in faults],
            requirements=[],
            against=None,
            text=text,
        ),
    )


def list_tools(request: Request, run: EvalRun, shown: str) -> HttpResponse:
    """The tools of a run: every read tool that any case of its suite froze, and the type that it is about."""
    frozen = runs.tools_of(run)
    names = [(Grant.TOOL, name) for name in sorted(frozen & set(read_tools()))]
    if run.kind == Grant.TYPE and run.about in transaction_types():
        names.append((Grant.TYPE, run.about))
    way = Way(
        name=sitting.CONNECTION,
        title="Frozen cases",
        system=f"Run {run.ref}",
        autonomy=Autonomy.PROPOSE.value,
        effect=None,
        unsupported=[],
        note="Answered from what the case froze; proposals are scored and go nowhere.",
        standing="",
    )
    found = cards(run.version, {name: [way] for name in names})
    return answered(request, ToolsAnswer(functions(found) if shown == "functions" else found))


def reading(one: sitting.FrozenRead) -> ReadingAnswer:
    """A frozen reading, in the form of a live one."""
    return ReadingAnswer(
        reading=one.ref,
        tool=one.tool.name,
        tool_version=one.tool.version,
        connection=sitting.CONNECTION,
        value=dict(one.reading.answer),
        as_of=one.reading.as_of,
        source=one.reading.source,
        quality=Quality.GOOD.value,
        remark="",
        cross_check=None,
        source_time=None,
        latency_ms=0,
    )


def view(run: EvalRun) -> RunView:
    """A run as its agent may know it."""
    ended = run.finished_at is None and run.ends_at <= run.db_now
    return RunView(
        ref=run.ref,
        version=run.version.label,
        suite=run.suite.name,
        suite_version=run.suite.number,
        suite_digest=run.suite_digest,
        kind="type" if run.kind == Grant.TYPE else "tool",
        about=run.about,
        practice=run.practice,
        state="finished" if run.finished_at is not None else "ended" if ended else "open",
        answered=sitting.answered(run),
        sittings=run.sittings,
        not_frozen=RunReading.objects.filter(run=run, frozen=None).count(),
        plan=PlanView(
            cases=run.cases,
            wrong=run.wrong,
            bar=share_text(run.bar),
            repeats=run.repeats,
            consistency=share_text(run.consistency),
            cost=f"{run.cost:.6f}",
            left_before=f"{run.left_before:.6f}",
            left_after=f"{max(0.0, run.left_before - run.cost):.6f}",
            known=run.known,
            power=[PowerView(**one) for one in run.power],
        ),
        started_at=run.started_at,
        ends_at=run.ends_at,
        finished_at=run.finished_at,
        result=_result(run),
        url=f"{ADDRESS}/{run.ref}",
    )


def _result(run: EvalRun) -> ResultView | None:
    if run.result is None:
        return None
    counted = run.result
    low, high = wilson(counted["right"], counted["cases"])
    opened = GateDecision.objects.filter(run=run, opened=True).first()
    return ResultView(
        right=counted["right"],
        cases=counted["cases"],
        low=f"{low:.4f}",
        high=f"{high:.4f}",
        consistent=counted["consistent"],
        critical=counted["critical"],
        passed=counted["passed"],
        reasons=counted["reasons"],
        valid_until=opened.valid_until if opened is not None else None,
    )


def _run(request: Request, ref: str) -> EvalRun:
    """The run that this call may reach: its own with the key of a run, any of its agent with a live key."""
    own = run_of(request)
    if own is not None and own.ref == ref:
        return own
    if own is not None or not REF.match(ref):
        raise Missing("you have no run of this reference")
    return runs.own(key_of(request).version, ref)


def _took(request: Request, run: EvalRun, taken: sitting.Taken) -> HttpResponse:
    body = Took(
        number=taken.place + 1,
        left=run.sittings - sitting.answered(run),
        url=f"{ADDRESS}/{run.ref}/case",
    )
    return answered(request, body, 202, {"Idempotent-Replayed": "true"} if taken.replayed else None)
