"""Before it may write: the agent sits what people did last quarter, as the ERP's own history has it."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from console.models import EvalCase, EvalRun, GateDecision, Proposal, RunReading
from tests import cast
from tests.journeys.scene import Scene

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
    pytest.mark.xdist_group("tryton"),
]

LINE, PROMISE = "purchase_order_line_change", "sales_order_promise"


@pytest.mark.parametrize(
    ("type_name", "kind", "options", "never_a_case"),
    [
        (
            LINE,
            "purchase",
            ("--fields", "delivery_date"),
            "several lines of the order were changed in the same moment",
        ),
        (PROMISE, "sale", (), "nothing that was readable said why"),
    ],
)
def test_the_same_agent_passes_on_harvested_cases_and_a_worse_version_does_not(
    plant_on_tryton: Scene,
    tmp_path: Path,
    type_name: str,
    kind: str,
    options: tuple[str, ...],
    never_a_case: str,
) -> None:
    house, planner = plant_on_tryton.house, plant_on_tryton.planner
    file, since = tmp_path / "dates.jsonl", dt.datetime.now(dt.UTC).date() - dt.timedelta(days=40)
    said = house.manage(
        *("harvest", "tryton", "--type", type_name, *options),
        *("--since", since.isoformat(), "--to", str(file)),
    )
    assert f"left out: {never_a_case}" in said
    _check([json.loads(line) for line in file.read_text().splitlines()], kind)
    assert "dates 1: " in house.manage("evals", "import", "dates", str(file))
    assert EvalCase.objects.filter(split="holdout", confidence="acted").count() >= 20
    # Fewer cases than a plant would ask for, so that the test is short.
    house.manage("evals", "gate", type_name, "--bar", "0.8")

    def sits(key: str, *options: str) -> str:
        path = tmp_path / "agent.key"
        path.write_text(key)
        return house.manage(
            *("demo_agent", "--url", house.url, "--key-file", str(path), "--sit", "dates"), *options
        )

    good = sits(planner.key)
    assert "passed" in good
    worse = cast.version(planner.agent, "0.9-hasty")
    assert "did not pass" in sits(cast.key(worse), "--hasty")
    decisions = GateDecision.objects.order_by("id")
    assert [one.opened for one in decisions] == [True, False]
    assert decisions[0].right == decisions[0].cases == EvalRun.objects.get(version=planner.version).cases
    assert decisions[1].critical > 0
    # Everything that it asked for had been frozen, and nothing of it became a proposal.
    assert not RunReading.objects.filter(frozen=None).exists()
    assert not Proposal.objects.exists()
    run = EvalRun.objects.get(version=planner.version).ref
    assert "comes out the same" in house.manage("evals", "rescore", run)


def _check(cases: list[dict[str, Any]], kind: str) -> None:
    """Cases of both splits, of doing and of letting be; and what was told of the order then has no answer in it."""
    assert {case["split"] for case in cases} == {"public", "holdout"}
    assert {case["acceptable"][0] is None for case in cases} == {True, False}
    for case in cases:
        lists = [one["answer"]["exceptions"] for one in case["readings"] if "exceptions" in one["answer"]]
        (order,) = [one["answer"] for one in case["readings"] if "lines" in one["answer"]]
        told = [one for found in lists for one in found if (one["kind"], one["key"]) == (kind, order["key"])]
        assert told, case["id"]
        wanted = [one[name] for one in case["acceptable"] if one is not None for name in case["critical"]]
        if len(order["lines"]) == 1:  # of two, one was as far ahead as the other was then put
            assert all(day not in json.dumps([order, told]) for day in wanted), case["id"]
