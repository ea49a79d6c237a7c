"""What agents read while they could only read becomes cases: of what was readable then, and of what people did."""

from __future__ import annotations

import copy
import datetime as dt
import itertools
import json
from collections import Counter
from typing import Any

import pytest

from console.catalogue import read_tools
from console.evals import recorded, suites
from console.models import Connection, Reading
from tests.cast import Planner

pytestmark = pytest.mark.django_db

PROMISE = "sales_order_promise"
START = dt.datetime(2026, 10, 2, 7, 30, tzinfo=dt.UTC)
_numbers = itertools.count(1)


class Book:
    """What one version read, at minutes after START."""

    def __init__(self, planner: Planner, plant: Connection) -> None:
        self.version, self.connection = planner.version, plant

    def reads(self, minute: int, tool: str, arguments: dict[str, Any], **changes: Any) -> Reading:
        found = read_tools()[tool]
        at = START + dt.timedelta(minutes=minute)
        return Reading.objects.create(
            ref=f"RD-{next(_numbers):012}",
            agent_version=self.version,
            key_id="k",
            tool=tool,
            tool_version=found.version,
            connection=self.connection,
            arguments=arguments,
            outcome="answered",
            answer={**copy.deepcopy(dict(found.sample_answer)), **changes},
            as_of=at,
            source="Sandbox HTTP",
            quality="good",
            latency_ms=1,
            at=at,
        )

    def lists(self, minute: int) -> Reading:
        """Order 44 is late."""
        (one,) = read_tools()["order_status_exceptions"].sample_answer["exceptions"]
        late = {**one, "kind": "sale", "key": "44", "problem": "late", "label": "SO-0044", "missing": []}
        return self.reads(minute, "order_status_exceptions", {"limit": 100}, exceptions=[late])

    def looks(self, minute: int, promised: str, **changes: Any) -> Reading:
        """At order 44."""
        return self.reads(minute, "sales_order", {"order": "44"}, promised_date=promised, **changes)


@pytest.fixture
def book(planner: Planner, plant: Connection) -> Book:
    return Book(planner, plant)


def harvested(book: Book, **options: Any) -> tuple[list[Any], Counter[str]]:
    left_out: Counter[str] = Counter()
    since = START - dt.timedelta(days=1)
    found = recorded.harvest(book.connection.name, PROMISE, since=since, left_out=left_out, **options)
    return list(found), left_out


def test_a_record_read_before_and_after_people_changed_it_is_a_case(book: Book) -> None:
    began, before = book.lists(0), book.looks(1, "2026-10-05")
    book.looks(30, "2026-10-12")
    (case,), left_out = harvested(book)
    assert case["acceptable"] == [{"order": "44", "promised_date": "2026-10-12"}]
    assert [one["as_of"] for one in case["readings"]] == [
        one.as_of.isoformat() for one in (began, before) if one.as_of is not None
    ]
    assert "2026-10-12" not in json.dumps(case["readings"])
    assert not +left_out
    (line,) = suites.read([json.dumps(case).encode()])
    assert line.case.id == case["id"]


def test_an_order_that_went_on_unchanged_out_of_a_trouble_asks_for_nothing(book: Book) -> None:
    book.lists(0)
    book.looks(1, "2026-10-05", state="quotation")
    book.looks(90, "2026-10-05", state="confirmed")
    (case,), _ = harvested(book)
    assert case["acceptable"] == [None]


def test_what_was_not_read_is_not_made_up(book: Book) -> None:
    book.looks(0, "2026-10-05")
    book.lists(1)  # too late: it may have known of the change already
    book.looks(30, "2026-10-12")
    cases, left_out = harvested(book)
    assert cases == []
    assert left_out == {recorded.NO_TROUBLE: 1}
    (case,), _ = harvested(book, prompted=False)
    assert case["started_by"]["reading"] is None
    assert [one["tool"] for one in case["readings"]] == ["sales_order"]
