"""Incidents: what happened and what waits on one page, and people told of them where they want to be told."""

from __future__ import annotations

import http.server
import json
import logging
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db.models.functions import Now
from django.test import Client
from playwright.sync_api import Page

from console import audit, environment, notices
from console.access import person as named
from console.audit import WORKER
from console.errors import Denied
from console.evals import live
from console.lifecycle import review
from console.models import AuditEntry, Connection, Grant, Incident, Notice
from console.registry import grants, incidents
from tests.cast import People, Planner
from tests.lifecycle.corridor import approved, proposed, reschedule
from tests.sandbox import SandboxProcess
from tests.web.conftest import Make, seen

SignIn = Callable[[User], Client]
SECRET = "a-token-that-nobody-may-read"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@contextmanager
def served(server: socketserver.TCPServer) -> Iterator[int]:
    """A server of ours on a free port of loopback, in a thread, until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Receiver:
    """What a webhook's receiver heard; it answers with `status`."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.status = 200


@pytest.fixture
def receiver() -> Iterator[tuple[Receiver, int]]:
    kept = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            kept.heard.append(json.loads(raw))
            kept.paths.append(self.path)
            self.send_response(kept.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with served(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield kept, port


def opened(**more: Any) -> Incident:
    return incidents.open_incident(
        kind="account",
        title="The account can do too much",
        dedupe="x",
        lifts="Narrow it.",
        actor=WORKER,
        **more,
    )


def due() -> None:
    """Time passes until the next try."""
    Notice.objects.update(due_at=Now())


@pytest.mark.django_db
def test_each_incident_is_told_once_to_each_address_when_it_opens_and_when_it_closes(
    people: People,
    receiver: tuple[Receiver, int],
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept, port = receiver
    settings.NOTICE_URLS, settings.CONSOLE_URL = ["SHIFT_HOOK", "PLANT_HOOK"], "https://console.example.com/"
    for name in settings.NOTICE_URLS:
        monkeypatch.setenv(name, f"json://127.0.0.1:{port}/{name}/{SECRET}")
    one = opened()
    assert notices.tell_all() == 2
    due()
    assert notices.tell_all() == 0
    assert sorted(path.split("/")[1] for path in kept.paths) == ["PLANT_HOOK", "SHIFT_HOOK"]
    assert kept.heard[0]["title"] == f"Incident {one.pk} opened"
    assert kept.heard[0]["message"].splitlines() == [
        "The account can do too much",
        "Narrow it.",
        f"https://console.example.com/administration/incidents/{one.pk}/",
    ]
    incidents.lift(one, note="It was narrowed.", by=people.ana, actor=named(people.ana))
    assert notices.tell_all() == 2
    assert kept.heard[-1]["title"] == f"Incident {one.pk} closed"
    due()
    assert notices.tell_all() == 0
    assert len(kept.heard) == 4


@pytest.mark.django_db
def test_what_could_not_be_told_is_on_the_page_and_tried_again_and_the_address_is_nowhere(
    people: People,
    receiver: tuple[Receiver, int],
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
    signed_in: SignIn,
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept, port = receiver
    settings.NOTICE_URLS = ["SHIFT_HOOK", "MISSPELT", "NOT_SET", "NOBODY_THERE"]
    monkeypatch.setenv("SHIFT_HOOK", f"json://user:{SECRET}@127.0.0.1:{port}/{SECRET}")
    monkeypatch.setenv("MISSPELT", f"htp:/{SECRET}")
    monkeypatch.setenv("NOBODY_THERE", f"json://127.0.0.1:9/{SECRET}")
    monkeypatch.delenv("NOT_SET", raising=False)
    kept.status = 500
    one = opened()
    with caplog.at_level(logging.DEBUG):
        assert notices.tell_all() == 0
    page = signed_in(people.cleo).get(f"/administration/incidents/{one.pk}/").content.decode()
    assert "that it was opened: The address did not take it." in page
    assert "NOT_SET is not set, or cannot be read." in page
    assert "What MISSPELT holds is no address that can be used." in page
    assert page.count("not told, 1 try") == 4
    assert notices.tell_all() == 0, "it waits before it tries again"
    kept.status = 200
    due()
    with caplog.at_level(logging.DEBUG):
        assert notices.tell_all() == 1
    assert len(kept.heard) == 2
    assert SECRET in kept.paths[0]
    page = signed_in(people.cleo).get(f"/administration/incidents/{one.pk}/").content.decode()
    assert page.count('chip good">told') == 1
    Notice.objects.filter(told_at=None).update(tries=notices.MOST_TRIES)
    due()
    assert notices.tell_all() == 0
    tries = Notice.objects.filter(told_at=None).values_list("tries", flat=True)
    assert set(tries) == {notices.MOST_TRIES}, "it is not tried for ever"
    stored = "".join(str(row) for row in Notice.objects.values_list("address", "fault"))
    said = "".join(entry.body for entry in AuditEntry.objects.all())
    for place, text in {"log": caplog.text, "page": page, "rows": stored, "audit": said}.items():
        assert SECRET not in text, place


@pytest.mark.django_db
def test_a_notice_goes_by_mail(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    letters: list[str] = []

    class Mail(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 ours\r\n")
            letter: list[str] | None = None
            for raw in self.rfile:
                line = raw.decode().rstrip("\r\n")
                if letter is not None:
                    if line != ".":
                        letter.append(line)
                        continue
                    letters.append("\n".join(letter))
                    letter = None
                if line.upper() == "DATA":
                    letter = []
                said = (
                    "354 go on" if letter is not None else "221 bye" if line.upper() == "QUIT" else "250 fine"
                )
                self.wfile.write(f"{said}\r\n".encode())

    with served(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail)) as port:
        settings.NOTICE_URLS = ["SHIFT_MAIL"]
        monkeypatch.setenv(
            "SHIFT_MAIL",
            f"mailto://127.0.0.1:{port}?from=console@example.com&to=shift@example.com&mode=insecure",
        )
        opened()
        assert notices.tell_all() == 1
    (letter,) = letters
    assert "To: shift@example.com" in letter
    assert "The account can do too much" in letter


@pytest.mark.django_db
def test_an_old_incident_is_no_news_and_nothing_is_written_where_nobody_is_told(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = opened()
    assert notices.tell_all() == 0
    assert not Notice.objects.exists()
    Incident.objects.filter(pk=one.pk).update(opened_at=Now() - 2 * notices.NEWS)
    settings.NOTICE_URLS = ["NOBODY_THERE"]
    monkeypatch.setenv("NOBODY_THERE", "json://127.0.0.1:9/")
    assert notices.tell_all() == 0
    assert not Notice.objects.exists()


def test_an_address_in_the_place_of_its_name_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NOTICE_URLS", "SHIFT_HOOK, PLANT_HOOK")
    assert environment.names("NOTICE_URLS") == ["SHIFT_HOOK", "PLANT_HOOK"]
    monkeypatch.setenv("NOTICE_URLS", f"SHIFT_HOOK,json://host/{SECRET}")
    with pytest.raises(ImproperlyConfigured, match=r"the 2\. is none") as refused:
        environment.names("NOTICE_URLS")
    assert SECRET not in str(refused.value)


def demoted(waiting: Make, people: People, erp: SandboxProcess) -> Incident:
    """Five rejections in a row, while one is approved and one waits."""
    approved(waiting(reschedule(erp, days=80)), people.ana)
    waiting(reschedule(erp, days=90))
    for place in range(5):
        one = waiting(reschedule(erp, days=14 + 7 * place))
        about: dict[str, Any] = {"by": people.ana, "seen": seen(one).digest, "actor": named(people.ana)}
        review.reject(one, reason="wrong_value", note="The date is wrong.", **about)
    live.watch_all(actor=WORKER)
    return Incident.objects.get()


@pytest.mark.django_db
def test_the_page_says_what_happened_what_waits_who_owns_it_and_what_the_agent_reads(
    people: People, planner: Planner, waiting: Make, erp: SandboxProcess, signed_in: SignIn
) -> None:
    one = demoted(waiting, people, erp)
    assert one.grant == Grant.objects.get(version=planner.version, name="production_order_reschedule")
    address = f"/administration/incidents/{one.pk}/"
    page = signed_in(people.cleo).get(address).content.decode()
    assert "overrode 5 of 6" in page
    assert "put grant Planner 1.0: production_order_reschedule on plant" in page
    assert "1 in review" in page
    assert "1 approved" in page
    proposed(planner, reschedule(erp, days=100))
    assert "received" not in signed_in(people.cleo).get(address).content.decode(), "in shadow nothing waits"
    assert "Oskar Weiss" in page
    assert "nobody yet" in page
    assert "The agent reads in each of them: “" in page
    assert "shadow" in page.split("The agent reads in each of them")[1][:200]
    assert "<form" not in page.split("<main")[1]
    ana = signed_in(people.ana)
    ana.post(f"{address}take")
    page = ana.get(address).content.decode()
    assert "<dt>Owner</dt><dd>Ana Kovač</dd>" in page
    assert "took on incident" in page
    ana.post(f"{address}close", {"note": "The agent was taught the calendar."})
    assert ana.post(f"{address}take").status_code == 409
    page = ana.get(address).content.decode()
    assert "The agent was taught the calendar." in page
    told = planner.headers
    answer = Client().get("/api/v1/tools", headers=told).json()
    levels = {
        way["autonomy"]
        for card in answer["transaction_types"]
        if card["name"] == "production_order_reschedule"
        for way in card["connections"]
    }
    assert levels == {"shadow"}


@pytest.mark.django_db
def test_its_timeline_begins_shortly_before_it_and_ends_when_it_is_closed(
    people: People, planner: Planner, plant: Connection, signed_in: SignIn
) -> None:
    grant = Grant.objects.get(version=planner.version, name="production_order_reschedule", connection=plant)
    chain = f"grant:{grant.pk}"
    for number in range(5):
        audit.record("grant.unfreeze", actor=WORKER, chain=chain, subject=f"earlier {number}")
    grants.step_down(grant, reason="It was wrong.", by=people.ana, actor=named(people.ana))
    one = Incident.objects.get()
    address = f"/administration/incidents/{one.pk}/"
    with pytest.raises(Denied):
        incidents.lift(one, note="It was looked at.", by=people.cleo, actor=named(people.cleo))
    incidents.lift(one, note="It was looked at.", by=people.ana, actor=named(people.ana))
    audit.record("grant.unfreeze", actor=WORKER, chain=chain, subject="much later")
    page = signed_in(people.cleo).get(address).content.decode()
    assert [number for number in range(5) if f"earlier {number}" in page] == [2, 3, 4]
    assert "put grant Planner 1.0" in page
    assert "much later" not in page


@pytest.mark.django_db
def test_it_is_said_that_closing_raises_nothing_until_two_people_have_raised_the_grant(
    people: People, planner: Planner, plant: Connection, signed_in: SignIn
) -> None:
    grant = Grant.objects.get(version=planner.version, name="production_order_reschedule", connection=plant)
    Grant.objects.filter(pk=grant.pk).update(autonomy="sampled")
    grant.refresh_from_db()
    fell = grants.step_down(grant, reason="Once is enough.", by=people.ana, actor=named(people.ana))
    assert fell.autonomy == "propose"
    page = f"/administration/incidents/{Incident.objects.get().pk}/"
    ana = signed_in(people.ana)
    assert "Closing it does not raise the grant" in ana.get(page).content.decode()
    Grant.objects.filter(pk=grant.pk).update(demoted_at=None)
    assert "Closing it does not raise the grant" not in ana.get(page).content.decode()


@pytest.mark.browser
@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_an_incident_has_no_barrier_and_fits_a_phone(
    browse: Callable[..., Page], people: People, waiting: Make, erp: SandboxProcess
) -> None:
    one = demoted(waiting, people, erp)
    page = browse("ana", scheme="dark", width=390)
    page.goto(f"/administration/incidents/{one.pk}/")
    page.get_by_role("button", name="I see to it").click()
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0
