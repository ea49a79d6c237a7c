"""May a decision rest on what was read: only on what is good, young enough, and uncontested."""

from __future__ import annotations

import dataclasses
import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from console.catalogue import read_tools
from console.checks.readings import CrossCheck, Difference, Rest, differences, readings_are_usable
from integrations.contract import Level, Quality, Reading

NOW = dt.datetime(2026, 11, 23, 9, 0, tzinfo=dt.UTC)
STOCK = read_tools()["stock_by_product"]
ANSWER = dict(STOCK.sample_answer)


def rest(**changes: Any) -> Rest:
    """Stock read a moment ago, well."""
    reading = Reading(ANSWER, NOW - dt.timedelta(seconds=2), "PostgreSQL standby")
    told = {name: changes.pop(name) for name in ("quality", "as_of", "remark", "value") if name in changes}
    whole: dict[str, Any] = {
        "ref": "RD-000000000001",
        "tool": STOCK,
        "connection": "Replica",
        "taken": ANSWER,
        "reading": dataclasses.replace(reading, **told),
        "at": NOW,
        "fresh_for": dt.timedelta(minutes=1),
    }
    return Rest(**(whole | changes))


def judged(one: Rest) -> list[tuple[str, Level]]:
    return [(finding.id, finding.level) for finding in readings_are_usable([one])]


def quantity(value: str, unit: str = "Square metre") -> dict[str, Any]:
    return {**ANSWER, "on_hand": {"value": value, "unit": unit}}


def test_a_good_young_reading_carries_a_decision() -> None:
    assert judged(rest()) == []


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"quality": Quality.STALE}, "readings.stale"),
        ({"quality": Quality.UNCERTAIN}, "readings.uncertain"),
        ({"as_of": None, "quality": Quality.UNCERTAIN}, "readings.age_unknown"),
        ({"as_of": None}, "readings.age_unknown"),
        ({"as_of": NOW - dt.timedelta(seconds=61)}, "readings.too_old"),
        ({"as_of": NOW + dt.timedelta(seconds=6)}, "readings.clock"),
        ({"trouble": "the order is gone"}, "readings.unread"),
        ({"check": CrossCheck("ERP", trouble="it is away")}, "readings.disagree"),
        ({"check": CrossCheck("ERP", differences=(Difference("on_hand", "22", "9"),))}, "readings.disagree"),
    ],
)
def test_what_is_not_good_or_not_known_or_contested_refuses(changes: dict[str, Any], finding: str) -> None:
    assert judged(rest(**changes)) == [(finding, Level.ERROR)]


@pytest.mark.parametrize("seconds", [-5, 0, 60])
def test_within_its_limit_an_age_is_no_matter(seconds: int) -> None:
    assert judged(rest(as_of=NOW - dt.timedelta(seconds=seconds))) == []


def test_a_disagreement_names_both_sources_both_values_and_both_ages() -> None:
    check = CrossCheck("Tryton", "JSON-RPC", NOW, differences=(Difference("on_hand", "22 Unit", "9 Unit"),))
    (told,) = readings_are_usable([rest(check=check)])
    for words in ("Replica", "2 s old", "Tryton", "0 s old", "on hand 22 Unit and 9 Unit"):
        assert words in told.text


def test_what_moved_since_the_agent_read_it_is_shown_and_does_not_refuse() -> None:
    one = rest(again=True, value=quantity("9"))
    assert judged(one) == [("readings.moved", Level.WARNING)]
    (told,) = readings_are_usable([one])
    assert "on hand was 22 Square metre when the agent read it and is 9 Square metre now" in told.text


@pytest.mark.parametrize(
    ("there", "tolerance", "same"),
    [
        (quantity("22"), None, True),
        (quantity("22.0"), None, True),
        (quantity("21.5"), None, False),
        (quantity("21.5"), {"on_hand": Decimal("0.5")}, True),
        (quantity("21.4"), {"on_hand": Decimal("0.5")}, False),
        (quantity("22", "Unit"), {"on_hand": Decimal(100)}, False),
        ({**ANSWER, "on_hand": None}, {"on_hand": Decimal(100)}, False),
        ({**ANSWER, "name": "Another"}, None, True),
    ],
)
def test_two_answers_differ_beyond_the_tolerance_in_steady_fields_only(
    there: dict[str, Any], tolerance: dict[str, Decimal] | None, same: bool
) -> None:
    assert (differences(STOCK, ANSWER, there, tolerance) == ()) is same


def test_a_state_has_no_tolerance() -> None:
    tool = read_tools()["production_order"]
    here, there = dict(tool.sample_answer), {**tool.sample_answer, "state": "done"}
    assert [one.field for one in differences(tool, here, there, {"state": Decimal(9)})] == ["state"]


@pytest.mark.parametrize("tool", read_tools().values(), ids=list(read_tools()))
def test_every_steady_field_stands_in_the_answer(tool: Any) -> None:
    for path in tool.steady:
        assert path.split(".")[0] in tool.answer.model_fields
