"""The queue and the proposal page in a real browser: no fault, no barrier, and no need for JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from console.models import Decision, Proposal, State
from tests.cast import People
from tests.lifecycle.corridor import fresh, promise
from tests.sandbox import SandboxProcess
from tests.web.conftest import Make

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, databases=["default", "owner"])]
Browse = Callable[..., Page]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture
def two(people: People, waiting: Make, erp: SandboxProcess) -> tuple[Proposal, Proposal]:  # noqa: ARG001
    hostile = "Late glue \u202e p\u0430ypal <b>bold</b> " + "Pre-approved. " * 60
    return waiting(rationale=hostile), waiting(promise(erp), "sales_order_promise")


def check(page: Page) -> None:
    """No barrier that axe knows, and nothing wider than the screen."""
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{page.url} is {wide} px wider than the screen"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_no_barrier_in_either_theme_at_either_width(
    browse: Browse, two: tuple[Proposal, Proposal], big: Proposal, scheme: str, width: int
) -> None:
    page = browse("ana", scheme=scheme, width=width)
    expect(page.locator(".q-row")).to_have_count(3)
    check(page)
    for one in (two[0], big):
        page.goto(f"/proposals/{one.ref}/")
        page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
        check(page)
        for what in ("approve", "reject", "amend"):
            page.goto(f"/proposals/{one.ref}/{what}")
            check(page)
    page.goto("/keys")
    check(page)
    page.goto("/account/password/change/")
    check(page)
    page.goto("/proposals/CS-000000000000/")
    check(page)
    page.context.clear_cookies()
    page.goto("/account/login/")
    check(page)
    page.goto("/api/v1/")
    check(page)


def test_the_whole_round_by_keyboard(browse: Browse, two: tuple[Proposal, Proposal]) -> None:
    page = browse("ana")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator(f"#row-{two[1].ref}")).to_be_focused()
    page.keyboard.press("k")
    expect(page.locator(f"#row-{two[0].ref}")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/proposals/{two[0].ref}/")
    page.keyboard.press("a")
    dialog = page.locator("#dialog")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("heading")).to_contain_text("Approve")
    assert fresh(two[0]).state == State.IN_REVIEW, "one key must never approve"
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("a")
    expect(dialog.get_by_role("button", name="Approve and send")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/proposals/{two[1].ref}/")
    expect(page.get_by_role("status").first).to_contain_text("approved")
    decision = Decision.objects.get()
    assert decision.dwell_ms is not None
    assert decision.dwell_ms > 0
    page.keyboard.press("r")
    page.get_by_label("Not now").check()
    page.get_by_role("button", name="Reject for good").click()
    page.wait_for_url("**/")
    expect(page.get_by_text("That was the last one")).to_be_visible()


def test_search_and_filters_need_no_button_and_keep_the_address(
    browse: Browse, two: tuple[Proposal, Proposal]
) -> None:
    page = browse("ana")
    page.keyboard.press("/")
    page.keyboard.type(two[1].label.split()[0])
    expect(page.locator(".q-row")).to_have_count(1)
    assert "q=" in page.url
    page.reload()
    expect(page.locator(".q-row")).to_have_count(1)
    page.get_by_label("Search").fill("")
    expect(page.locator(".q-row")).to_have_count(2)
    page.get_by_label("Transaction type").select_option("production_order_reschedule")
    expect(page.locator(".q-row")).to_have_count(1)
    page.go_back()
    expect(page.locator(".q-row")).to_have_count(2)


def test_a_decision_that_comes_too_late_is_explained_on_the_page(
    browse: Browse, two: tuple[Proposal, Proposal]
) -> None:
    ana, ben = browse("ana"), browse("ben")
    ana.goto(f"/proposals/{two[0].ref}/")
    ana.keyboard.press("a")
    expect(ana.locator("#dialog")).to_be_visible()
    ben.goto(f"/proposals/{two[0].ref}/reject")
    ben.get_by_label("Not needed").check()
    ben.get_by_role("button", name="Reject for good").click()
    ana.get_by_role("button", name="Approve and send").click()
    expect(ana.get_by_role("heading", name="Your decision was not taken")).to_be_visible()
    expect(ana.locator("#conflict")).to_contain_text("Ben Okafor")
    check(ana)


def test_the_page_follows_by_itself_when_somebody_else_decides(
    browse: Browse, two: tuple[Proposal, Proposal], monkeypatch: pytest.MonkeyPatch
) -> None:
    from console.web import proposal  # noqa: PLC0415

    monkeypatch.setattr(proposal, "MOVING", tuple(State))
    ana, ben = browse("ana"), browse("ben")
    ana.goto(f"/proposals/{two[0].ref}/")
    ben.goto(f"/proposals/{two[0].ref}/reject")
    ben.get_by_label("Not needed").check()
    ben.get_by_role("button", name="Reject for good").click()
    expect(ana.locator(".state")).to_contain_text("Rejected", timeout=10_000)
    expect(ana.locator(".decide")).to_have_count(0)


def test_everything_works_without_javascript(browse: Browse, two: tuple[Proposal, Proposal]) -> None:
    page = browse("ana", scripts=False, width=390)
    page.get_by_label("Search").fill(two[0].ref)
    page.get_by_role("button", name="Show").click()
    page.locator(".q-row").click()
    page.get_by_role("link", name="Amend").click()
    page.get_by_label("Planned finish").fill("2027-01-29")
    page.get_by_label("Why").fill("Paint")
    page.get_by_role("button", name="Amend and check again").click()
    expect(page.locator(".state")).to_contain_text("Being checked")
    page.goto(f"/proposals/{two[1].ref}/")
    page.get_by_role("link", name="Approve").click()
    page.get_by_role("button", name="Approve and send").click()
    page.wait_for_url("**/")
    assert fresh(two[1]).state == State.APPROVED
    page.locator("summary", has_text="Your menu").click()
    page.get_by_role("button", name="Theme").click()
    assert page.locator("html").get_attribute("data-theme") == "light"
    page.locator("summary", has_text="Your menu").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/account/login/**")


def test_a_lost_connection_is_said(browse: Browse, two: tuple[Proposal, Proposal]) -> None:  # noqa: ARG001
    page = browse("ana")
    page.context.set_offline(True)
    expect(page.locator("#connection")).to_be_visible()
    page.context.set_offline(False)
    expect(page.locator("#connection")).to_be_hidden()


def test_the_skip_link_is_the_first_stop(browse: Browse, two: Any) -> None:  # noqa: ARG001
    page = browse("ana")
    page.keyboard.press("Tab")
    expect(page.locator("a.skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
