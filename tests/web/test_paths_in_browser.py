"""The pages of tasks, systems and capabilities in a real browser: no fault, no barrier, nothing cut off."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.conf import LazySettings
from playwright.sync_api import Page, expect

from console.audit import WORKER
from console.lifecycle import probe
from console.lifecycle.reconcile import reconcile
from tests.cast import People, Planner
from tests.sandbox import SandboxProcess
from tests.web.test_in_browser import check
from tests.web.test_tasks import make_task

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, databases=["default", "owner"])]


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1200), ("dark", 390), ("dark", 1280), ("light", 390)]
)
def test_no_barrier_and_nothing_is_cut_off(
    browse: Callable[..., Page],
    people: People,
    planner: Planner,
    erp: SandboxProcess,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    width: int,
) -> None:
    erp.widen("sales_order_promise", {"sale.write": ["customer"]})
    hostile = "Open <b>the</b> p\u0430nel " + "W" * 60
    task = make_task(people, planner, settings, monkeypatch, title=hostile)
    probe.probe_all(actor=WORKER)
    probe.ping_all()
    reconcile(actor=WORKER)
    page = browse("ana", scheme=scheme, width=width)
    for path in (
        "/tasks/",
        f"/tasks/{task.ref}/",
        f"/proposals/{task.ref}/",
        "/systems/",
        "/systems/plant/",
        "/systems/floor/",
        "/capabilities/",
    ):
        page.goto(path)
        page.evaluate("document.querySelectorAll('details:not(.menu)').forEach(one => { one.open = true; })")
        check(page)
        if width >= 1200:
            for link in page.get_by_role("navigation", name="Main").get_by_role("link").all():
                expect(link).to_be_in_viewport(ratio=1)
