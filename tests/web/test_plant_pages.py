"""The pages beside the queue in a real browser: in both themes, on a phone, by everybody's assistive technology."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from console import audit_tree
from console.access import person
from console.audit import WORKER
from console.lifecycle import probe
from console.models import AuditEntry, Grant, KillSwitch, Widening
from console.registry import grants, incidents, kill
from tests.cast import People, Planner
from tests.sandbox import SandboxProcess
from tests.web.conftest import Make

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

Browse = Callable[..., Page]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture
def paths(people: People, planner: Planner, erp: SandboxProcess, waiting: Make) -> list[str]:
    """Every page, in a plant where something of everything happens."""
    one = waiting()
    erp.widen("sales_order_promise", {"sale.write": ["customer"]})
    probe.probe_all(actor=WORKER)
    grant = Grant.objects.filter(version=planner.version, kind="type").earliest("pk")
    grants.freeze(grant, reason="Too many wrong dates", by=people.ana, actor=person(people.ana))
    grants.unfreeze(grant, by=people.dora, actor=person(people.dora))
    kill.throw(
        scope="type",
        value="purchase_order_create",
        reason="Prices are wrong",
        by=people.ana,
        actor=person(people.ana),
    )
    incident = incidents.open_incident(
        kind="account", title="Too much", dedupe="x", proposal=one, actor=WORKER
    )
    audit_tree.sequence(actor=WORKER)
    entry = AuditEntry.objects.filter(verb="proposal.assess").earliest("pk")
    return [
        "/exceptions/",
        "/agents/",
        "/agents/planner/",
        "/agents/new",
        "/systems/",
        "/systems/plant/",
        "/types/",
        "/types/production_order_reschedule/",
        "/tools/order_status_exceptions/",
        "/audit/",
        f"/audit/{entry.pk}/",
        f"/audit/proposals/{one.ref}/",
        "/stop/",
        "/administration/",
        f"/administration/incidents/{incident.pk}/",
        "/help/",
    ]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_pages_are_accessible_and_fit_the_screen(
    paths: list[str], browse: Browse, scheme: str, width: int
) -> None:
    page = browse("dora", scheme=scheme, width=width)
    faults: list[str] = []
    for path in paths:
        answer = page.goto(path)
        assert answer is not None
        if not answer.ok:
            faults.append(f"{path} gave {answer.status}")
            continue
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            faults.append(f"{path} is wider than the screen")
        faults += [
            f"{path}: {one['id']} at {one['nodes'][0]['html'][:150]}"
            for one in Axe().run(page, options=RULES).response["violations"]
        ]
    assert not faults


def test_a_supervisor_stops_an_agent_from_its_page_without_scripts(
    paths: list[str], people: People, browse: Browse
) -> None:
    del paths
    page = browse("ana", width=390, scripts=False)
    page.goto("/agents/planner/")
    page.get_by_role("link", name="Stop this agent").click()
    page.get_by_label("Why", exact=True).fill("Wrong dates")
    page.get_by_role("button", name="Stop…").click()
    page.get_by_role("button", name="Stop now").click()
    page.get_by_text("Nothing it covers is sent any more").wait_for()
    assert KillSwitch.objects.get(scope="agent").thrown_by == people.ana


def test_the_audit_list_narrows_as_one_chooses(paths: list[str], browse: Browse) -> None:
    del paths
    page = browse("cleo")
    page.goto("/audit/")
    page.get_by_label("What happened").select_option("kill.throw")
    page.wait_for_url("**/audit/?*verb=kill.throw*")
    rows = page.locator(".audit-row")
    assert rows.count() == 1
    rows.first.click()
    page.get_by_text("matches its hash").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Take a receipt").click()
    assert "c2sp.org/tlog-proof" in download.value.path().read_text()


def test_a_widening_is_confirmed_with_one_click_by_another_person(paths: list[str], browse: Browse) -> None:
    del paths
    page = browse("ben", width=390)
    page.goto("/administration/")
    page.get_by_role("button", name="Confirm").click()
    page.get_by_text("It is in force").wait_for()
    assert Widening.objects.get().confirmed
