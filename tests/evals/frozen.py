"""Frozen cases of the tests: promises of shipping dates, each with the order that was read."""

from __future__ import annotations

import copy
import datetime as dt
import json
from collections.abc import Iterable, Mapping
from typing import Any

from console.audit import OPERATOR
from console.catalogue import read_tools
from console.evals import suites
from console.models import EvalSuite

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
