"""Frozen cases of the tests: promises of shipping dates, each with the order that was read."""

from __future__ import annotations

import copy
import datetime as dt
import json
from collections.abc import Iterable, Mapping
from typing import Any

from console.audit import OPERATOR
from console.catalogue import read_tools, transaction_types
from console.evals import runs, sitting, suites
from console.models import EvalRun, EvalSuite, Grant
from console.registry import gates
from tests.cast import Planner

AS_OF = "2026-10-02T07:30:00Z"
PROMISE = "sales_order_promise"
NAME = "promises"


def right_day(number: int) -> str:
    """The day that is right for this case: one that stands nowhere else."""
    return (dt.date(2031, 1, 1) + dt.timedelta(days=number)).isoformat()


def reading(tool: str = "sales_order", **changes: Any) -> dict[str, Any]:
    """A frozen answer of a read tool: its own sample."""
    found = read_tools()[tool]
    return {
        "tool": tool,
        "tool_version": found.version,
        "arguments": dict(found.sample),
        "answer": copy.deepcopy(dict(found.sample_answer)),
        "as_of": AS_OF,
        "source": "Sandbox HTTP",
        **changes,
    }


def case(number: int, **changes: Any) -> dict[str, Any]:
    """One case; every third one wants nothing done."""
    order = str(100 + number)
    wanted = {"order": order, "promised_date": right_day(number)}
    return {
        "id": f"order-{number}",
        "type": PROMISE,
        "started_by": {"words": f"The customer of order {order} asks when it ships.", "reading": None},
        "as_of": AS_OF,
        "readings": [reading(arguments={"order": order})],
        "snapshot": None,
        "acceptable": [None if number % 3 == 2 else wanted],
        "critical": ["promised_date"],
        "provenance": "made by hand for the tests",
        "label_confidence": "acted",
        "split": "holdout",
        **changes,
    }


def question(number: int, **changes: Any) -> dict[str, Any]:
    """One question to a read tool."""
    found = case(number, started_by={"words": "Which orders are in trouble, and how many?", "reading": 0})
    del found["type"]
    return found | {
        "tool": "order_status_exceptions",
        "readings": [reading("order_status_exceptions")],
        "acceptable": [{"orders": ["17", f"x{number}"], "found": "2"}],
        "critical": ["orders"],
        **changes,
    }


def lines(cases: Iterable[Mapping[str, Any]]) -> list[bytes]:
    """The cases as a file has them."""
    return [json.dumps(one).encode() for one in cases]


def suite(cases: Iterable[Mapping[str, Any]], name: str = NAME) -> EvalSuite:
    """An imported suite."""
    return suites.import_cases(name, lines(cases), source="tests", by=None, actor=OPERATOR).suite


def small_gate(about: str = PROMISE, **change: str) -> None:
    """A bar that six cases prove."""
    kind = Grant.TYPE if about in transaction_types() else Grant.TOOL
    gates.set_gate(kind, about, change={"bar": "0.5", **change}, by=None, actor=OPERATOR)


def sit(
    by: Planner, *, wrong: int = 0, harmless: int = 0, name: str = NAME, practice: bool = False
) -> EvalRun:
    """A finished run: the first `wrong` answers name another day, the next `harmless` leave undone what was right."""
    opened = runs.open_run(
        by.version, raw=json.dumps({"suite": name, "practice": practice}).encode(), actor=by.actor
    )
    run = opened.run
    slips = harmless
    for place in range(sitting.answered(run), run.sittings):
        now = sitting.current(run)
        right = now.case.acceptable[0]
        if place < wrong:
            order = now.case.readings[0].arguments["order"]
            right = {"order": order, "promised_date": "2029-01-01"}
        elif slips and right is not None:
            right, slips = None, slips - 1
        if right is None:
            sitting.nothing(run, raw=json.dumps({"case": place + 1}).encode())
            continue
        sent = {"transaction_type": now.case.type, "payload": right, "rationale": "Then it is ready."}
        sitting.propose(run, raw=json.dumps(sent).encode(), key=f"k{place}")
    return runs.finish(run, raw=b"{}", actor=by.actor)
