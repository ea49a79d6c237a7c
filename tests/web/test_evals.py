"""The pages of evals: what an attempt takes before it starts, what came of it, case by case; readable by everybody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Page

from console.access import person as named
from console.errors import Conflict, Denied, Refused
from console.evals import accepting
from console.lifecycle import review
from console.models import EvalCase, EvalRun, Gate, RunAnswer, State, Widening
from console.web import evals
from tests.cast import People, Planner, version
from tests.evals.frozen import NAME, PROMISE, case, right_day, sit, small_gate, suite
from tests.lifecycle.corridor import approved, committed, in_review, prove_accounts, reschedule
from tests.sandbox import SandboxProcess
from tests.web.conftest import Make, seen

SignIn = Callable[[User], Client]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture
def sat(planner: Planner) -> tuple[EvalRun, EvalRun]:
    """Two versions over the same eight cases: the first without a fault, the second with one wrong and one left."""
    suite(
        [case(number) for number in range(8)]
        + [case(8, split="public"), case(9, label_confidence="disputed")]
    )
    small_gate(cases="8", repeats="2", consistency="0.5")
    first = sit(planner)
    return first, sit(replace(planner, version=version(planner.agent, "2.0")), wrong=1, harmless=1)


def page_of(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status
    return answer.content.decode()


@pytest.mark.django_db
def test_without_a_suite_the_page_says_how_to_get_one_and_that_no_gate_is_required(
    people: People, signed_in: SignIn, settings: Any
) -> None:
    page = page_of(signed_in(people.ana), "/evals/")
    assert "manage.py evals import" in page
    assert "No gate is required here" in page
    settings.GATES_REQUIRED = True
    assert "No gate is required here" not in page_of(signed_in(people.ana), "/evals/")


@pytest.mark.django_db
def test_a_suite_tells_what_an_attempt_takes_costs_and_can_do_before_anybody_starts(
    people: People, signed_in: SignIn, planner: Planner
) -> None:
    suite(case(number) for number in range(5))
    page = page_of(signed_in(people.ana), f"/evals/suites/{NAME}/")
    assert "72 cases" in page
    assert "and there are 5" in page
    assert "It spends 2.49\u00a0% of the 5\u00a0%" in page
    assert "not sat yet" in page
    assert "48\u00a0%" in page, "power of an agent that is right in 99 of 100"
    assert planner.version.runs.count() == 0


@pytest.mark.django_db
def test_what_was_proposed_is_shown_also_where_nothing_should_have_been_done(
    people: People, signed_in: SignIn, planner: Planner
) -> None:
    suite(case(number) for number in range(2, 26, 3))
    small_gate(cases="8")
    run = sit(planner, wrong=1)
    wrong = run.answers.filter(right=False).get()
    client = signed_in(people.cleo)
    for path in (f"/evals/cases/{wrong.case_id}/", f"/evals/runs/{run.ref}/"):
        assert "promised date Mon 1 Jan 2029" in page_of(client, path)


def test_lines_that_were_proposed_for_nothing_are_counted() -> None:
    one = RunAnswer(given={"supplier": "7", "lines": [{}, {}]}, right=False, differences=[])
    assert dict(evals._did(one, {})) == {"supplier": "7", "lines": 2}


@pytest.mark.django_db
def test_a_run_shows_rate_with_interval_what_was_wrong_and_what_got_worse(
    people: People, signed_in: SignIn, sat: tuple[EvalRun, EvalRun]
) -> None:
    first, second = sat
    client = signed_in(people.cleo)
    page = page_of(client, f"/evals/runs/{first.ref}/")
    assert "8 of 8 right (67 to 100 % with 95 % confidence)" in page
    assert "It opened the gate" in page
    assert "every answer so far was right" in page
    page = page_of(client, f"/evals/runs/{second.ref}/")
    assert "of 8 right (" in page
    assert "The gate stays closed" in page
    assert "1 answer wrong in what allows no error" in page
    assert "8 of them this agent had sat before" in page
    assert "Of 8 cases that both sat" in page
    assert "got worse" in page
    wrong = second.answers.filter(right=False, critical=True).get()
    number = int(wrong.case.name.rpartition("-")[2])
    assert ("nothing" if number % 3 == 2 else right_day(number)[:4]) in page
    every = page_of(client, f"/evals/runs/{second.ref}/?show=all")
    assert every.count(">right</span> <a") == second.answers.filter(right=True).count() == 14
    assert "2029" in page_of(client, f"/evals/cases/{wrong.case_id}/")
    overview = page_of(client, "/evals/")
    assert overview.count("closed</span>") == overview.count("open</span>") == 1


@pytest.mark.django_db
def test_another_gate_is_asked_for_and_what_is_not_right_stays_typed(
    people: People, signed_in: SignIn, sat: tuple[EvalRun, EvalRun]
) -> None:
    client = signed_in(people.dora)
    assert "1 grant rests" in page_of(client, f"/evals/suites/{NAME}/")
    answer = client.post(f"/evals/gates/{PROMISE}", {"bar": "1.5", "wrong": "1"})
    assert answer.status_code == 422
    assert 'value="1.5"' in answer.content.decode()
    assert "bar is a share from 0.5 to 0.999" in answer.content.decode()
    answer = client.post(f"/evals/gates/{PROMISE}", {"bar": "0.6", "wrong": "1"}, follow=True)
    assert "A second person has to confirm it" in answer.content.decode()
    assert (Widening.objects.get().kind, Gate.objects.get().bar == sat[0].bar) == ("gate", True)


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_a_decided_proposal_becomes_a_case_of_the_next_version(
    people: People, signed_in: SignIn, planner: Planner, erp: SandboxProcess
) -> None:
    prove_accounts()
    done = committed(approved(in_review(planner, reschedule(erp)), people.ana))
    assert done.state == State.COMMITTED
    client = signed_in(people.ana)
    assert "Use as a case" in page_of(client, f"/proposals/{done.ref}/")
    assert "What would be right" in page_of(client, f"/proposals/{done.ref}/case")
    sent = {"words": "Look at it.", "split": "holdout"}
    answer = client.post(f"/proposals/{done.ref}/case", sent, follow=True)
    assert "It joins the next version of production-order-reschedule" in answer.content.decode()
    with pytest.raises(Conflict):
        accepting.accept(done, by=people.ben, actor=named(people.ben), **sent)
    with pytest.raises(Denied, match="own the agent"):
        accepting.accept(done, by=people.oskar, actor=named(people.oskar), **sent)
    made = accepting.next_version("production-order-reschedule", by=people.dora, actor=named(people.dora))
    kept = EvalCase.objects.get(suite=made.suite)
    assert kept.body["acceptable"][0]["order"] == done.target
    assert (kept.confidence, kept.split, kept.body["id"]) == ("curated", "holdout", done.ref)
    with pytest.raises(Refused, match="no case was accepted"):
        accepting.next_version("production-order-reschedule", by=people.dora, actor=named(people.dora))


@pytest.mark.django_db
@pytest.mark.parametrize(("reason", "right"), [("not_needed", [None]), ("wrong_value", None)])
def test_a_rejection_shows_what_is_right_only_where_it_was_not_needed(
    people: People, waiting: Make, erp: SandboxProcess, reason: str, right: list[None] | None
) -> None:
    one = waiting(reschedule(erp))
    review.reject(
        one, by=people.ana, seen=seen(one).digest, actor=named(people.ana), reason=reason, note="No."
    )
    one.refresh_from_db()
    if right is not None:
        assert accepting.acceptable(one) == right
        return
    with pytest.raises(Refused, match="nobody said what would have been right"):
        accepting.acceptable(one)


@pytest.mark.browser
@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_evals_have_no_barrier_in_either_theme_and_fit_a_phone(
    browse: Callable[..., Page],
    people: People,
    sat: tuple[EvalRun, EvalRun],
    scheme: str,
    width: int,
    tmp_path: Any,
) -> None:
    assert people.dora.is_active
    page = browse("dora", scheme=scheme, width=width)
    wrong = sat[1].answers.filter(right=False).earliest("place").case_id
    for place, path in enumerate(
        ("/evals/", f"/evals/suites/{NAME}/", f"/evals/runs/{sat[1].ref}/", f"/evals/cases/{wrong}/")
    ):
        page.goto(path)
        page.evaluate("document.querySelectorAll('main details').forEach(one => one.open = true)")
        page.screenshot(path=tmp_path / f"{place}-{scheme}-{width}.png", full_page=True)
        found = Axe().run(page, options=RULES)
        assert found.violations_count == 0, found.generate_report()
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is {wide} px wider than the screen"
