"""The pages of figures: a rate with n and interval or the words "insufficient data", readable by everybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Page, expect

from console.access import person as named
from console.audit import WORKER
from console.evals import live
from console.evals.figures import Column, Share, Spread
from console.lifecycle import review
from console.models import Grant
from console.web import plots
from tests.cast import People, Planner
from tests.lifecycle.corridor import reschedule
from tests.sandbox import SandboxProcess
from tests.web.conftest import Make, seen

SignIn = Callable[[User], Client]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def decide(waiting: Make, people: People, erp: SandboxProcess, approve: int, reject: int) -> None:
    """So many decided, and counted."""
    for place in range(approve + reject):
        one = waiting(reschedule(erp, days=14 + 7 * place))
        about: dict[str, Any] = {
            "by": people.ana,
            "seen": seen(one).digest,
            "actor": named(people.ana),
            "look": review.Look(dwell_ms=45_000),
        }
        if place < reject:
            review.reject(one, reason="wrong_value", note="The date is wrong.", **about)
        else:
            review.approve(one, **about)
    live.watch_all(actor=WORKER)


@pytest.mark.django_db
def test_a_rate_comes_with_n_and_interval_and_too_little_data_is_said_in_words(
    people: People, waiting: Make, erp: SandboxProcess, signed_in: SignIn
) -> None:
    cleo = signed_in(people.cleo)
    before = cleo.get("/agents/planner/figures").content.decode()
    assert "Nothing was proposed in this time" in before
    decide(waiting, people, erp, approve=7, reject=2)
    few = cleo.get("/figures/").content.decode()
    assert "2 of 9 decided; a rate is told from 10 on" in few
    decide(waiting, people, erp, approve=3, reject=0)
    page = cleo.get("/agents/planner/figures?days=7").content.decode()
    assert "2 of 12 decided, 4 to 45\u00a0% with 95\u00a0% confidence" in page
    assert "A value is wrong</span> <strong>2</strong>" in page
    assert "half within 45\u00a0s; n = 12" in page
    assert "measured on 12 proposals" in page
    assert "<polyline" in page
    assert "0 of 0 sent; a rate is told from 10 on" in page
    assert "0 of 12 in 3 days: too few for a rate" in page
    assert "Errors: Calm" in page
    assert cleo.get("/agents/none/figures").status_code == 404
    assert "The agent" in page


@pytest.mark.django_db
def test_a_demoted_grant_says_so_at_a_glance_and_one_that_is_off_is_not_shown(
    people: People, planner: Planner, signed_in: SignIn
) -> None:
    one = Grant.objects.get(version=planner.version, name="production_order_reschedule")
    Grant.objects.filter(kind="type").exclude(pk=one.pk).update(autonomy="off")
    one.demoted_at, one.autonomy = one.changed_at, "shadow"
    one.save()
    scraped = Client().get("/metrics").content.decode()
    who = 'agent="planner",connection="plant",stage="assess",type="production_order_reschedule",version="1.0"'
    assert f"countersign_agent_measured{{{who}}} 0.0" in scraped
    assert scraped.count('what="overridden"') == 1
    page = signed_in(people.ana).get("/figures/").content.decode()
    assert page.count('class="fig-who"') == 1
    assert "Demoted: back in shadow" in page


@pytest.mark.browser
@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_figures_have_no_barrier_in_either_theme_and_fit_a_phone(
    browse: Callable[..., Page],
    people: People,
    waiting: Make,
    erp: SandboxProcess,
    planner: Planner,  # noqa: ARG001 its grants
    scheme: str,
    width: int,
) -> None:
    decide(waiting, people, erp, approve=9, reject=2)
    page = browse("ana", scheme=scheme, width=width)
    for path in ("/figures/", "/agents/planner/figures"):
        page.goto(path)
        expect(page.locator("svg.fig-plot").first).to_be_visible()
        found = Axe().run(page, options=RULES)
        assert found.violations_count == 0, found.generate_report()
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is {wide} px wider than the screen"


def test_a_plot_never_draws_what_the_words_do_not_tell() -> None:
    assert plots.share("x", Share(1, 9), "decided").told == "Insufficient data"
    told = plots.share("x", Share(1, 20), "decided")
    assert (told.told, told.detail) == (
        "5\u00a0%",
        "1 of 20 decided, 0 to 24\u00a0% with 95\u00a0% confidence",
    )
    assert plots.spread("x", Spread(4)).bar is None
    assert plots.spread("x", Spread(25, 60.0, 3600.0)).told == "60\u00a0s"
    drawn = plots.columns([Column(4, 1, 1), Column(0, 0, 0)], 30)
    assert [(bar.kind, bar.height) for bar in drawn.bars] == [
        ("wrong", "14.5"),
        ("overridden", "14.5"),
        ("rest", "29.0"),
    ]
    assert plots.level([0.0]) is None
