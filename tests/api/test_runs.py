"""A run: the same agent, the same addresses, frozen answers; nothing live is reached, and no truth is told.

The file is long because it is one run, from its opening to what no key of it may reach.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext

from console.audit import OPERATOR
from console.evals import runs, sitting
from console.models import (
    AuditEntry,
    EvalRun,
    GateDecision,
    Grant,
    Proposal,
    Reading,
    RunAnswer,
    RunReading,
)
from console.registry import gates
from tests.api.conftest import Caller, document, told
from tests.cast import Planner, agent, envelope, key, version
from tests.evals.frozen import NAME, PROMISE, case, question, right_day, small_gate, suite

pytestmark = pytest.mark.django_db

OPEN = {"suite": NAME}
Sit = Callable[[Caller, dict[str, Any], bool], None]


@pytest.fixture
def six() -> None:
    """Six hold-out cases and two public ones; a first attempt takes the six."""
    suite([case(number) for number in range(6)] + [case(number, split="public") for number in (6, 7)])
    small_gate()


def opened(call: Caller, body: dict[str, Any] | None = None, status: int = 201) -> tuple[str, str]:
    """The address and the key of a run."""
    response = call("POST", "runs", body or OPEN)
    assert response.status_code == status, response.content
    return told(response)["run"]["url"], told(response)["key"]


def wanted(words: str) -> dict[str, Any] | None:
    """What is right for the case with these words."""
    order = words.split()[4]
    number = int(order) - 100
    return None if number % 3 == 2 else {"order": order, "promised_date": right_day(number)}


def answer_one(call: Caller, url: str, run_key: str, *, wrong: bool = False) -> HttpResponse:
    """Sit the case whose turn it is: read the order, then propose or leave it."""
    now = told(call("GET", f"{url}/case", key=run_key))
    order = now["words"].split()[4]
    read = told(call("POST", "reads/sales_order", {"arguments": {"order": order}}, key=run_key))
    right = wanted(now["words"])
    if wrong:
        right = {"order": order, "promised_date": "2033-03-03"}
    if right is None:
        return call(
            "POST", f"{url}/nothing", {"case": now["number"], "rationale": "It is in time."}, key=run_key
        )
    sent = {
        "transaction_type": PROMISE,
        "connection": read["connection"],
        "payload": right,
        "rationale": "Everything is there then.",
        "readings": [read["reading"]],
    }
    return call("POST", "proposals", sent, {"Idempotency-Key": f"case-{now['number']}"}, key=run_key)


@pytest.mark.usefixtures("six")
def test_a_version_sits_a_run_and_hears_how_many_were_right(call: Caller, planner: Planner) -> None:
    response = call("POST", "runs", OPEN)
    body = told(response)
    plan = body["run"]["plan"]
    assert (plan["cases"], plan["wrong"], plan["bar"]) == (6, 0, "0.5")
    assert float(plan["cost"]) == 0.5**6
    assert float(plan["left_before"]) == 0.05
    assert [one["share"] for one in plan["power"]] == ["0.95", "0.97", "0.98", "0.99", "0.995"]
    assert float(plan["power"][3]["passes"]) == pytest.approx(0.99**6, abs=0.001)
    url, run_key = body["run"]["url"], body["key"]
    for number in range(6):
        assert answer_one(call, url, run_key, wrong=number == 5).status_code == 202
        assert told(call("GET", url))["answered"] == number + 1
    done = told(call("POST", f"{url}/finish", {}, key=run_key))
    assert done["state"] == "finished"
    assert (done["result"]["right"], done["result"]["cases"], done["result"]["critical"]) == (5, 6, 1)
    assert done["result"]["passed"] is False
    assert float(done["result"]["low"]) < 5 / 6 < float(done["result"]["high"])
    assert told(call("POST", f"{url}/finish", {}))["result"] == done["result"]
    assert GateDecision.objects.count() == 1
    assert not Proposal.objects.exists()
    assert not Reading.objects.exists()
    assert list(
        AuditEntry.objects.filter(chain=f"run:{done['ref']}").order_by("id").values_list("verb", flat=True)
    ) == ["run.open", "run.finish"]
    assert planner.version.runs.count() == 1


@pytest.mark.usefixtures("six")
def test_a_perfect_run_opens_the_gate_and_says_until_when(call: Caller, planner: Planner) -> None:
    url, run_key = opened(call)
    for _ in range(6):
        answer_one(call, url, run_key)
    last = RunAnswer.objects.filter(given__isnull=False).latest("place")
    sent = {
        "transaction_type": PROMISE,
        "connection": "frozen",
        "payload": last.given,
        "rationale": last.rationale,
        "readings": last.cited,
    }
    again = call("POST", "proposals", sent, {"Idempotency-Key": last.key}, key=run_key)
    assert again["Idempotent-Replayed"] == "true", "also when every case is answered"
    done = told(call("POST", f"{url}/finish", {}, key=run_key))["result"]
    assert (done["right"], done["passed"], done["reasons"]) == (6, True, [])
    grant = Grant.objects.get(version=planner.version, name=PROMISE)
    assert grant.evidence.startswith("6 of 6 right")
    assert grant.valid_until is not None
    assert done["valid_until"] == grant.valid_until.isoformat().replace("+00:00", "Z")


@pytest.mark.usefixtures("six")
def test_an_agent_is_told_that_its_gate_is_closed_and_what_would_open_it(
    call: Caller, settings: LazySettings
) -> None:
    settings.GATES_REQUIRED = True
    found = told(call("GET", "tools"))
    assert found["transaction_types"] == []
    why = {one["name"]: one["why"] for one in found["held"]}
    assert "it has to pass its gate" in why[PROMISE]
    body = envelope(PROMISE, payload={"order": "1", "promised_date": "2031-01-01"})
    refused = call("POST", "proposals", body, {"Idempotency-Key": "k"})
    assert (refused.status_code, told(refused)["code"]) == (409, "gate_closed")
    url, run_key = opened(call)
    for _ in range(6):
        answer_one(call, url, run_key)
    call("POST", f"{url}/finish", {}, key=run_key)
    assert [one["name"] for one in told(call("GET", "tools"))["transaction_types"]] == [PROMISE]
    assert call("POST", "proposals", body, {"Idempotency-Key": "k"}).status_code == 202


@pytest.mark.usefixtures("six")
def test_opening_again_goes_on_where_it_was_with_a_new_key_and_costs_nothing(call: Caller) -> None:
    url, first = opened(call)
    answer_one(call, url, first)
    again, second = opened(call, status=200)
    assert again == url
    assert call("GET", f"{url}/case", key=first).status_code == 401
    assert told(call("GET", f"{url}/case", key=second))["number"] == 2
    assert EvalRun.objects.count() == 1


@pytest.mark.usefixtures("six")
def test_practice_is_over_the_public_cases_costs_nothing_and_opens_nothing(
    call: Caller, planner: Planner
) -> None:
    url, run_key = opened(call, {**OPEN, "practice": True})
    plan = told(call("GET", url))["plan"]
    assert (plan["cases"], float(plan["cost"])) == (2, 0.0)
    for _ in range(2):
        answer_one(call, url, run_key)
    assert told(call("POST", f"{url}/finish", {}, key=run_key))["result"]["passed"] is True
    assert not GateDecision.objects.exists()
    assert Grant.objects.get(version=planner.version, name=PROMISE).valid_until is None


@pytest.mark.usefixtures("six")
def test_a_read_that_the_case_did_not_freeze_is_recorded_and_said_so(call: Caller) -> None:
    url, run_key = opened(call)
    response = call("POST", "reads/sales_order", {"arguments": {"order": "9999"}}, key=run_key)
    assert (response.status_code, told(response)["code"]) == (404, "not_frozen")
    assert RunReading.objects.get().frozen is None
    assert told(call("GET", url))["not_frozen"] == 1
    for tool, body, code in (
        ("no_such", {}, "unknown_tool"),
        ("sales_order", {"arguments": {"ordre": "1"}}, "shape"),
    ):
        assert told(call("POST", f"reads/{tool}", body, key=run_key))["code"] == code


@pytest.mark.usefixtures("six")
def test_arguments_that_mean_the_same_get_the_same_frozen_answer(call: Caller) -> None:
    suite([question(1)], "questions")
    small_gate("order_status_exceptions", bar="0.5")
    suite([question(n) for n in range(6)], "questions")
    gates.set_gate(
        "tool", "order_status_exceptions", change={"suite": "questions 2"}, by=None, actor=OPERATOR
    )
    url, run_key = opened(call, {"suite": "questions"})
    began = told(call("GET", f"{url}/case", key=run_key))["reading"]
    assert began["reading"] == told(call("GET", f"{url}/case", key=run_key))["reading"]["reading"]
    spelled = {"arguments": {"limit": 20, "kind": "production", "problem": None}}
    assert (
        told(call("POST", "reads/order_status_exceptions", spelled, key=run_key))["value"] == began["value"]
    )


def test_a_question_is_answered_with_the_readings_it_rests_on(call: Caller) -> None:
    suite([question(n) for n in range(6)], "questions")
    small_gate("order_status_exceptions")
    url, run_key = opened(call, {"suite": "questions"})
    for number in range(1, 7):
        now = told(call("GET", f"{url}/case", key=run_key))
        right = RunAnswer.objects.count()
        name = EvalRun.objects.get().drawn[right]
        sent = {"case": number, "answer": {"found": 2, "orders": [f"X{_number(name)}", "17"]}, "readings": []}
        assert told(call("POST", f"{url}/answer", sent, key=run_key))["code"] == "shape"
        sent["readings"] = ["RD-000000000000"]
        assert told(call("POST", f"{url}/answer", sent, key=run_key))["code"] == "unknown_reading"
        sent["readings"] = [now["reading"]["reading"]]
        assert call("POST", f"{url}/answer", sent, key=run_key).status_code == 202
    assert told(call("POST", f"{url}/finish", {}, key=run_key))["result"]["passed"] is True
    response = call("POST", "proposals", envelope(), {"Idempotency-Key": "x"}, key=run_key)
    assert told(response)["code"] == "unknown_type"


def _number(pk: int) -> str:
    return str(EvalRun.objects.get().suite.cases.get(pk=pk).name.rpartition("-")[2])


@pytest.mark.usefixtures("six")
def test_an_answer_repeated_is_one_answer_and_another_under_its_name_is_refused(call: Caller) -> None:
    url, run_key = opened(call)
    now = told(call("GET", f"{url}/case", key=run_key))
    sent = envelope(PROMISE, payload={"order": "1", "promised_date": "2031-01-01"})
    first = call("POST", "proposals", sent, {"Idempotency-Key": "k"}, key=run_key)
    again = call("POST", "proposals", sent, {"Idempotency-Key": "k"}, key=run_key)
    assert again.content == first.content
    assert again["Idempotent-Replayed"] == "true"
    other = call("POST", "proposals", {**sent, "rationale": "Other."}, {"Idempotency-Key": "k"}, key=run_key)
    assert told(other)["code"] == "key_reused"
    assert call("POST", "proposals", sent, key=run_key).status_code == 400
    assert RunAnswer.objects.count() == now["number"] == 1
    late = call("POST", f"{url}/nothing", {"case": 1}, key=run_key)
    assert (late.status_code, told(late)["code"]) == (409, "run_moved_on")
    said = [call("POST", f"{url}/nothing", {"case": 2}, key=run_key) for _ in range(2)]
    assert [one.get("Idempotent-Replayed") for one in said] == [None, "true"]
    assert RunAnswer.objects.count() == 2


@pytest.mark.usefixtures("six")
def test_a_proposal_that_is_wrong_in_form_is_told_as_live_and_is_no_answer(call: Caller) -> None:
    _, run_key = opened(call)
    wrong = envelope(PROMISE, payload={"order": 1})
    live = call("POST", "proposals", wrong, {"Idempotency-Key": "k"})
    sat = call("POST", "proposals", wrong, {"Idempotency-Key": "k"}, key=run_key)
    assert (sat.status_code, told(sat)["errors"]) == (live.status_code, told(live)["errors"])
    judged = told(call("POST", "proposals/validate", wrong, key=run_key))
    assert (judged["sound"], judged["findings"]) == (False, told(live)["errors"])
    assert not RunAnswer.objects.exists()


@pytest.mark.usefixtures("six")
def test_a_run_is_finished_when_all_is_answered_or_given_up_and_then_takes_nothing_more(call: Caller) -> None:
    url, run_key = opened(call)
    answer_one(call, url, run_key)
    early = call("POST", f"{url}/finish", {}, key=run_key)
    assert (early.status_code, told(early)["code"]) == (409, "run_unfinished")
    done = told(call("POST", f"{url}/finish", {"give_up": True}, key=run_key))
    assert (done["result"]["right"], done["result"]["cases"]) == (1, 6)
    for method, address, body in (
        ("GET", f"{url}/case", None),
        ("POST", f"{url}/nothing", {"case": 2}),
        ("POST", "reads/sales_order", {"arguments": {"order": "1"}}),
    ):
        assert told(call(method, address, body, key=run_key))["code"] == "run_over"


@pytest.mark.usefixtures("six")
def test_every_attempt_spends_and_in_the_end_takes_more_cases_than_there_are(call: Caller) -> None:
    for left_before in ("0.050000", "0.034375"):
        url, run_key = opened(call)
        assert told(call("GET", url))["plan"]["left_before"] == left_before
        call("POST", f"{url}/finish", {"give_up": True}, key=run_key)
    response = call("POST", "runs", OPEN)
    assert (response.status_code, told(response)["code"]) == (422, "too_few_cases")
    assert told(response)["detail"] == "this takes 7 hold-out cases, and promises 1 has 6"
    assert EvalRun.objects.count() == 2


@pytest.mark.usefixtures("six")
def test_a_suite_that_is_not_there_or_not_the_gates_is_told_apart(call: Caller) -> None:
    assert told(call("POST", "runs", {"suite": "none-such"}))["code"] == "no_suite"
    suite([case(1)], "other")
    assert told(call("POST", "runs", {"suite": "other"}))["code"] == "other_suite"


@pytest.mark.usefixtures("six")
def test_a_run_is_nobody_elses(call: Caller, planner: Planner) -> None:
    url, run_key = opened(call)
    stranger = key(version(agent(planner.agent.owner, "stranger")))
    assert call("GET", url, key=stranger).status_code == 404
    assert call("POST", f"{url}/finish", {"give_up": True}, key=stranger).status_code == 404
    other = told(call("POST", "runs", OPEN, key=stranger))
    assert call("GET", f"{url}/case", key=other["key"]).status_code == 404
    assert call("GET", f"{other['run']['url']}/case", key=run_key).status_code == 404


LIVE_ONLY = [
    ("GET", "capabilities"),
    ("GET", "proposals"),
    ("GET", "proposals/{ref}"),
    ("POST", "proposals/{ref}/withdraw"),
    ("POST", "proposals/{ref}/revisions"),
    ("POST", "answers"),
    ("POST", "runs"),
]
RUN_ONLY = [("GET", "{url}/case"), ("POST", "{url}/nothing"), ("POST", "{url}/answer")]


@pytest.mark.usefixtures("six")
def test_a_run_key_reaches_nothing_live_and_a_live_key_no_case(call: Caller) -> None:
    live = told(call("POST", "proposals", envelope(), {"Idempotency-Key": "live"}))["ref"]
    url, run_key = opened(call)
    for method, address in LIVE_ONLY:
        response = call(method, address.format(ref=live), {} if method == "POST" else None, key=run_key)
        assert (response.status_code, told(response)["code"]) == (403, "run_key"), address
    for method, address in RUN_ONLY:
        response = call(method, address.format(url=url), {} if method == "POST" else None)
        assert (response.status_code, told(response)["code"]) == (403, "live_key"), address
    every = {
        (method.upper(), path.removeprefix("/api/v1/"))
        for path, operations in document()["paths"].items()
        for method in operations
    }
    either = {
        ("GET", "tools"),
        ("POST", "reads/{tool}"),
        ("POST", "proposals"),
        ("POST", "proposals/validate"),
        ("GET", "runs/{ref}"),
        ("POST", "runs/{ref}/finish"),
        ("GET", "problems/{code}"),
    }
    run_only = {(method, address.replace("{url}", "runs/{ref}")) for method, address in RUN_ONLY}
    assert every == set(LIVE_ONLY) | run_only | either


@pytest.mark.usefixtures("six")
def test_no_address_tells_the_run_key_what_would_be_right(call: Caller) -> None:
    url, run_key = opened(call)
    secrets = [right_day(number).encode() for number in range(8)]
    heard: list[HttpResponse] = []
    for place in range(6):
        order = told(call("GET", f"{url}/case", key=run_key))["words"].split()[4]
        sent = envelope(PROMISE, payload={"order": order, "promised_date": "2029-01-01"})
        for method, address, body, headers in (
            ("GET", f"{url}/case", None, {}),
            ("GET", url, None, {}),
            ("GET", "tools", None, {}),
            ("GET", "tools?format=functions", None, {}),
            ("GET", "capabilities", None, {}),
            ("GET", "proposals", None, {}),
            ("GET", f"proposals/{url.rpartition('/')[2]}", None, {}),
            ("POST", "reads/sales_order", {"arguments": {"order": order}}, {}),
            ("POST", "reads/production_order", {"arguments": {"order": order}}, {}),
            ("POST", "proposals/validate", sent, {}),
            ("POST", "proposals", {**sent, "payload": {}}, {"Idempotency-Key": "bad"}),
            ("POST", f"{url}/answer", {"case": place + 1, "answer": {}}, {}),
            ("POST", f"{url}/nothing", {"case": 999}, {}),
            ("POST", f"{url}/finish", {}, {}),
            ("POST", "proposals", sent, {"Idempotency-Key": f"k{place}"}),
            ("POST", "proposals", sent, {"Idempotency-Key": f"k{place}"}),
        ):
            heard.append(call(method, address, body, headers, key=run_key))
    heard.append(call("POST", f"{url}/finish", {"give_up": True}, key=run_key))
    heard.append(call("GET", url, key=run_key))
    heard.append(call("GET", url))
    assert RunAnswer.objects.count() == 6
    stored = json.dumps(list(RunAnswer.objects.values_list("differences", flat=True))).encode()
    assert any(one in stored for one in secrets), "the truth is stored, so it could be told"
    for response in heard:
        everything = response.content + str(response.headers).encode()
        assert not any(one in everything for one in secrets), everything


@pytest.mark.usefixtures("six")
def test_the_tools_of_a_run_are_what_its_cases_froze_and_its_type(call: Caller) -> None:
    _, run_key = opened(call)
    found = told(call("GET", "tools", key=run_key))
    assert [one["name"] for one in found["read_tools"]] == ["sales_order"]
    assert [one["name"] for one in found["transaction_types"]] == [PROMISE]
    assert found["transaction_types"][0]["connections"][0]["name"] == "frozen"


def test_a_run_of_five_hundred_cases_is_answered_counted_and_gated_in_a_few_statements_each(
    call: Caller, planner: Planner
) -> None:
    suite(case(number) for number in range(500))
    small_gate(cases="500")
    url, run_key = opened(call)
    run = EvalRun.objects.get()
    assert run.cases == 500
    spent = []
    for _ in range(2):
        now = told(call("GET", f"{url}/case", key=run_key))
        order = now["words"].split()[4]
        body = {"arguments": {"order": order}}
        with CaptureQueriesContext(connection) as reading:
            call("POST", "reads/sales_order", body, key=run_key)
        payload = {"order": order, "promised_date": "2031-01-01"}
        with CaptureQueriesContext(connection) as answering:
            sent = envelope(PROMISE, payload=payload)
            call("POST", "proposals", sent, {"Idempotency-Key": order}, key=run_key)
        spent.append((len(reading), len(answering)))
    assert spent[0] == spent[1]
    assert max(spent[0]) <= 10, spent
    rows = {row.pk: row for row in run.suite.cases.all()}
    for place in range(2, 500):
        row = rows[run.drawn[place]]
        frozen_case = sitting.case_of(row)
        given = frozen_case.acceptable[0]
        RunAnswer.objects.create(
            run=run,
            place=place,
            case=row,
            key=f"bulk {place}",
            fingerprint="",
            given=given,
            at=run.started_at,
            **sitting.judged(run, frozen_case, given),
        )
    with CaptureQueriesContext(connection) as finishing:
        done = told(call("POST", f"{url}/finish", {}, key=run_key))
    assert done["result"]["cases"] == 500
    assert len(finishing) <= 25, len(finishing)
    assert planner.version.gate_decisions.count() == 1
    with CaptureQueriesContext(connection) as rescoring:
        assert runs.rescored(run) == []
    assert len(rescoring) <= 5


@pytest.mark.usefixtures("six")
def test_scoring_what_is_stored_again_gives_the_same(call: Caller) -> None:
    url, run_key = opened(call)
    for number in range(6):
        answer_one(call, url, run_key, wrong=number % 2 == 0)
    call("POST", f"{url}/finish", {}, key=run_key)
    run = EvalRun.objects.get()
    assert run.result is not None
    assert runs.rescored(run) == []
    assert {name: run.result[name] for name in ("right", "critical")} == {
        name: vars(runs.tallied(run))[name] for name in ("right", "critical")
    }
