"""What may leave the robot's browser, and what ends a sitting. The pages here are ours; the browser is not."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from integrations.contract import Account
from integrations.rpa.browser import Otherwise, Sitting, sit
from integrations.rpa.gate import Gate
from integrations.rpa.tryton_80 import SPEECH
from tests.integrations.test_rpa import apart

ORIGIN = "http://127.0.0.1:8000"
RPC = f"{ORIGIN}/plant/rpc/"
EXPECTED = {
    "model": "production",
    "records": [17],
    "values": {"planned_date": "2026-12-10", "planned_start_date": "2026-12-07"},
    "changed": ["planned_date"],
    "stamps": {"production,17": "1795.5"},
}


def day(number: int) -> dict[str, Any]:
    """A day of December 2026 as the web client writes it."""
    return {"__class__": "date", "year": 2026, "month": 12, "day": number}


def write() -> dict[str, Any]:
    """The one write that was approved."""
    values = {"planned_date": day(10), "planned_start_date": day(7)}
    context = {"language": "en", "_timestamp": {"production,17": "1795.5", "stock.move,3": "9.1"}}
    return {"id": 1, "method": "model.production.write", "params": [[17], values, context]}


def gate(expected: dict[str, Any] | None = None) -> Gate:
    """A gate, open for this write."""
    return Gate(ORIGIN, SPEECH, expected)


def test_the_approved_write_passes_once() -> None:
    one, body = gate(EXPECTED), json.dumps(write())
    assert one.judge(RPC, "POST", body) == body
    assert one.judge(RPC, "POST", body) is None
    assert [said.method for said in one.passed] == ["model.production.write"]
    assert one.held == ["model.production.write"]


def test_a_write_may_leave_out_what_does_not_change() -> None:
    less = write()
    del less["params"][1]["planned_start_date"]
    assert gate(EXPECTED).judge(RPC, "POST", json.dumps(less)) is not None


def changed(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """The approved write with one thing otherwise."""
    found = copy.deepcopy(write())
    change(found)
    return found


OTHERWISE: dict[str, dict[str, Any]] = {
    "another day": changed(lambda w: w["params"][1].update(planned_date=day(11))),
    "one field more": changed(lambda w: w["params"][1].update(quantity=3)),
    "the change left out": changed(lambda w: w["params"][1].pop("planned_date")),
    "another record": changed(lambda w: w["params"].__setitem__(0, [18])),
    "a second record": changed(lambda w: w["params"].__setitem__(0, [17, 18])),
    "another stamp": changed(lambda w: w["params"][2].update(_timestamp={"production,17": "1796.0"})),
    "no stamp, as Write Anyway sends it": changed(lambda w: w["params"][2].pop("_timestamp")),
    "another method": changed(lambda w: w.update(method="model.production.delete")),
    "a button": changed(lambda w: w.update(method="model.production.wait")),
    "a wizard": changed(lambda w: w.update(method="wizard.production.create")),
    "another model": changed(lambda w: w.update(method="model.party.party.write")),
    "more arguments": changed(lambda w: w["params"].append({})),
}


@pytest.mark.parametrize("what", OTHERWISE)
def test_whatever_else_is_held_back_and_told(what: str) -> None:
    one = gate(EXPECTED)
    assert one.judge(RPC, "POST", json.dumps(OTHERWISE[what])) is None
    assert one.held
    assert one.passed == []
    assert one.expected is None


def test_without_an_approved_write_none_passes() -> None:
    one = gate()
    assert one.judge(RPC, "POST", json.dumps(write())) is None
    assert one.held == ["model.production.write"]


@pytest.mark.parametrize(
    ("url", "verb", "body"),
    [
        ("http://elsewhere.example/x.js", "GET", ""),
        ("http://127.0.0.1:8001/plant/rpc/", "POST", "{}"),
        ("https://127.0.0.1:8000/", "GET", ""),
        (f"{ORIGIN}/plant/data/production", "POST", "{}"),
        (f"{ORIGIN}/plant/production/17", "PUT", "{}"),
        (RPC, "POST", "no json"),
        (RPC, "POST", "[]"),
    ],
)
def test_other_hosts_and_unknown_calls_are_held_back(url: str, verb: str, body: str) -> None:
    one = gate(EXPECTED)
    assert one.judge(url, verb, body) is None
    assert one.held


def test_reading_passes_and_the_clients_taste_is_dropped_without_a_word() -> None:
    one = gate()
    for method in ("model.production.read", "common.db.login", "model.production.on_change_planned_date"):
        body = json.dumps({"id": 1, "method": method, "params": [[17], {}]})
        assert one.judge(RPC, "POST", body) == body
    taste = json.dumps({"id": 2, "method": "model.ir.ui.view_tree_state.set", "params": []})
    assert one.judge(RPC, "POST", taste) is None
    assert one.judge(f"{ORIGIN}/index.html", "GET", "") == ""
    assert one.held == []


PAGES = {
    "a question of the browser": (
        "<script>setTimeout(() => alert('Sure?'), 10)</script>",
        "asked a question",
    ),
    "a further window": (
        "<script>setTimeout(() => window.open('about:blank'), 10)</script>",
        "further window",
    ),
    "another host": ("<img src='http://127.0.0.1:9/spy.png'>", "a request to http://127.0.0.1:9"),
    "a download": (
        "<a id=a download=x href='data:text/plain,x'>x</a><script>setTimeout(() => a.click(), 10)</script>",
        "a download was offered",
    ),
}


@contextmanager
def sitting() -> Iterator[Sitting]:
    """A robot before an empty page."""
    with sit({"timeout": 15}, Account("nobody", "nothing"), gate()) as one:
        yield one


@pytest.mark.browser
@pytest.mark.parametrize("what", PAGES)
def test_what_no_script_expects_ends_the_sitting(what: str) -> None:
    page, words = PAGES[what]

    def look() -> None:
        with sitting() as one:
            one.page.set_content(f"<label>Name: <input value=x></label>{page}")
            for _ in range(50):
                one.page.wait_for_timeout(100)
                one.calm()

    with pytest.raises(Otherwise, match=words):
        apart(look)


@pytest.mark.browser
def test_a_value_counts_only_when_it_stays() -> None:
    """A form shows defaults before its data: here the right value is there for a moment, and then it is not."""

    def look() -> None:
        with sitting() as one:
            one.page.set_content(
                "<input id=v value=draft><script>setTimeout(() => { v.value = 'done' }, 150)</script>"
            )
            one.hold("the state", lambda: one.page.locator("#v").input_value(), "draft")

    with pytest.raises(Otherwise, match="the screen shows 'done', expected is 'draft'"):
        apart(look)
