"""Secrets stay in: recognisable ones are planted everywhere, a busy and unlucky day passes, and nothing tells them."""

from __future__ import annotations

import base64
import html
import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import httpx
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connections
from django.urls import Resolver404, resolve
from playwright.sync_api import Browser

from integrations.sandbox.plant import SCOPES
from tests import cast
from tests.cast import People
from tests.conftest import test_database_environment as database_environment
from tests.journeys.agent import Agent
from tests.journeys.house import House, Street, house
from tests.journeys.person import Person, cookies
from tests.journeys.scene import Scene, open_scene
from tests.lifecycle.corridor import reschedule
from tests.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
]

MARK = "CANARY-do-not-tell-anybody-"
"""How every planted secret begins; a part of one is found as well."""

PASSWORD = f"{MARK}of a person"
MISTAKEN = "mistaken"
OF_A_KIND = 2
"""How many pages of one route are looked at: they are made by the same template."""

RESCHEDULE = "production_order_reschedule"


def tells(text: str, *more: str) -> list[str]:
    """What this text gives away: the mark, or one of `more`, plain, quoted, in hexadecimal or in base64."""
    secrets = [MARK[:13], MARK, *more]
    found = []
    for one in secrets:
        raw = one.encode()
        forms = {one, quote(one), html.escape(one), raw.hex(), json.dumps(one)[1:-1]}
        if len(raw) >= len(MARK):
            for skipped in range(3):
                whole = raw[skipped : skipped + (len(raw) - skipped) // 3 * 3]
                forms |= {base64.b64encode(whole).decode(), base64.urlsafe_b64encode(whole).decode()}
        found += [form for form in forms if form in text]
    return found


def test_a_secret_is_found_in_every_form() -> None:
    secret = f"{MARK}of the reader"
    for form in (
        f"password={secret}!",
        base64.b64encode(f"reader:{secret}".encode()).decode(),
        base64.b64encode(f"a-reader:{secret}".encode()).decode(),
        base64.urlsafe_b64encode(f"of-reader:{secret}".encode()).decode(),
        secret.encode().hex(),
        f"?key={quote(secret)}",
    ):
        assert tells(form)
    assert not tells("Nothing to see here, the canary in the mine is well.")


@contextmanager
def careless_house(folder: Path, erp: SandboxProcess) -> Iterator[House]:
    """A console whose every secret is marked, with one connection whose passwords are wrong, logging all it can."""
    entry, secrets = erp.settings(timeout_ms=1000)
    wrong = {name: f"MISTAKEN_{name}" for name in secrets}
    mistaken = json.loads(json.dumps(entry))
    for account in (mistaken["reader"], *mistaken["writers"].values()):
        account["secret"] = wrong[account["secret"]]
    database = urlsplit(database_environment()["DATABASE_URL"])
    role, _, host = database.netloc.rpartition("@")
    known = role if ":" in role else f"{role}:{MARK}database"
    env = {
        "SECRET_KEY": f"{MARK}of the console itself {'x' * 40}",
        "AUDIT_SIGNING_KEY": base64.b64encode(f"{MARK}sign".ljust(32, "!")[:32].encode()).decode(),
        "DATABASE_URL": urlunsplit(database._replace(netloc=f"{known}@{host}")),
        "LOG_LEVEL": "DEBUG",
        **{name: f"{MARK}and wrong of {name}" for name in wrong.values()},
    }
    with house(folder, {cast.PLANT: entry, MISTAKEN: mistaken}, secrets, env) as running:
        yield running


@pytest.fixture
def marked_erp(tmp_path: Path) -> Iterator[SandboxProcess]:
    """A sandbox whose accounts have marked passwords."""
    home = tmp_path / "erp"
    home.mkdir()
    (home / "accounts.json").write_text(json.dumps({login: f"{MARK}of {login}" for login in SCOPES}))
    process = SandboxProcess(home)
    process.start()
    yield process
    process.close()


@pytest.fixture
def careless(
    marked_erp: SandboxProcess, tmp_path: Path, people: People, browser: Browser, street: Street
) -> Iterator[Scene]:
    """A day in the careless house; everybody's password is marked too."""
    for user in User.objects.all():
        user.set_password(PASSWORD)
        user.save()
    folder = tmp_path / "house"
    folder.mkdir()
    street.close()
    with careless_house(folder, marked_erp) as running:
        yield from open_scene(running, people, browser, cast.PLANT, "sandbox", "Plant")


def test_nothing_tells_a_secret(careless: Scene, marked_erp: SandboxProcess) -> None:
    scene, heard = careless, Heard()
    agent = heard.from_agent(scene.agent)
    _, key_id, secret = scene.planner.key.split("_")
    secret = secret[:20]

    unlucky_reads(scene, agent, marked_erp)
    strangers(scene, heard)
    ref = unlucky_commits(scene, agent, marked_erp)
    console_without_rights(scene, heard)

    for user in (scene.people.ana, scene.people.cleo, scene.people.dora):
        person = scene.come(user, sign_in=False)
        person.sign_in(PASSWORD)
        heard.crawl(scene.house.url, person, ref)
    heard.note("probe", scene.house.manage("probe", "--wait", "5"))
    for form in ("csv", "ndjson"):
        heard.note(form, scene.house.manage("export_audit", "--format", form))
    heard.note("verify", scene.house.manage("verify_audit"))
    scene.house.wait_until_idle()
    heard.note("worker", scene.house.worker.said())
    heard.note("web", scene.house.web.said())
    for table, text in dump():
        heard.note(table, text)

    told = {place: found for place, text in heard.texts if (found := tells(text, secret))}
    assert told == {}
    # What was searched is what there is to find: the day did happen, and it is told.
    said = dict(heard.texts)
    assert key_id in said["console_agentkey"]
    assert "its secret is wrong" in said["console_reading"]
    assert "permission denied for table console_proposal" in said["web"]
    assert len(heard.texts) > 100


class Heard:
    """Every text that left the console, with the place where it was heard."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []

    def note(self, place: str, text: str) -> None:
        """Keep it."""
        self.texts.append((place, text))

    def answer(self, answer: httpx.Response) -> None:
        """Keep all of an answer: status, headers, body."""
        answer.read()
        self.note(f"{answer.request.method} {answer.request.url.path}", f"{answer.headers}\n{answer.text}")

    def from_agent(self, agent: Agent) -> Agent:
        """Keep what this agent is answered."""
        agent.http.event_hooks["response"].append(self.answer)
        return agent

    def crawl(self, url: str, person: Person, ref: str) -> None:
        """Pages of every kind that a person can reach by links, but for the way out."""
        to_see = [
            "/",
            f"/proposals/{ref}/",
            f"/audit/proposals/{ref}/",
            "/ready",
            "/metrics",
            "/live",
            "/no/such/page",
        ]
        seen: Counter[str] = Counter()
        known: set[str] = set()
        with httpx.Client(base_url=url, cookies=cookies(person), trust_env=False, timeout=30) as there:
            while to_see:
                path = to_see.pop(0)
                kind = kind_of(path)
                if path in known or seen[kind] >= OF_A_KIND or kind == "account_logout":
                    continue
                known.add(path)
                seen[kind] += 1
                answer = there.get(path)
                self.answer(answer)
                if answer.headers.get("Content-Type", "").startswith("text/html"):
                    links = re.findall(r'<a [^>]*href="([^"#]+)', answer.text)
                    to_see += [
                        urljoin(path, html.unescape(link)) for link in links if not link.startswith("http")
                    ]
        assert set(seen) >= {"queue", "proposal", "audit", "agent", "system", "type", "stops", "exceptions"}


def kind_of(path: str) -> str:
    """The route of an address, with the form of an export."""
    try:
        name = resolve(urlsplit(path).path).url_name or ""
    except Resolver404:
        return path
    return path if "export" in name else name


def unlucky_reads(scene: Scene, agent: Agent, erp: SandboxProcess) -> None:
    """The ERP is away, refuses, answers nonsense; and a connection with wrong passwords."""
    mistaken = cast.connection(MISTAKEN, "sandbox", "Mistaken")
    cast.grant_all(scene.planner.version, mistaken)
    body: dict[str, Any] = {"connection": cast.PLANT, "arguments": {}}
    agent.http.post("reads/order_status_exceptions", json=body).raise_for_status()
    for kind in ("unauthorised", "unavailable", "wrong_body", "truncated_body", "reset_before_effect"):
        erp.fail(kind, operation="read")
        assert agent.http.post("reads/order_status_exceptions", json=body).status_code >= 500, kind
        erp.heal()
    erp.down()
    assert agent.http.post("reads/order_status_exceptions", json=body).status_code >= 500
    erp.up()
    body["connection"] = MISTAKEN
    assert agent.http.post("reads/order_status_exceptions", json=body).status_code >= 500
    ref = agent.propose(RESCHEDULE, reschedule(erp), connection=MISTAKEN)
    assert agent.follow(ref, "refused")["state_reason"]


def strangers(scene: Scene, heard: Heard) -> None:
    """Keys that are nearly right, and a password in the wrong box."""
    for key in (scene.planner.key[:-1], scene.planner.key + "0", scene.planner.key.replace("cs_", "ct_")):
        with closing(heard.from_agent(Agent(scene.house.url, key, scene.house.sweep))) as stranger:
            assert stranger.http.get("tools").status_code == 401
    somebody = scene.come(scene.people.oskar)
    somebody.context.clear_cookies()
    somebody.go("")
    for name, password in (("oskar", f"{PASSWORD}, wrong"), (f"{MARK}in the wrong box", "oskar")):
        somebody.try_to_sign_in(name, password)
        somebody.page.get_by_role("alert").wait_for()


def unlucky_commits(scene: Scene, agent: Agent, erp: SandboxProcess) -> str:
    """An answer lost in a 500, a refusal, an account without rights. Gives the first one's reference."""
    ana = scene.come(scene.people.ana, sign_in=False)
    ana.sign_in(PASSWORD)
    refs: list[str] = []
    for kind, end in (
        ("error_after_effect", "committed"),
        ("unauthorised", "commit_failed"),
        ("reject", "commit_failed"),
    ):
        ref = agent.propose(RESCHEDULE, reschedule(erp, days=14 + 7 * len(refs)), connection=cast.PLANT)
        agent.follow(ref, "in_review")
        erp.fail(kind, operation="write")
        ana.open(ref)
        ana.approve()
        agent.follow(ref, end)
        erp.heal()
        refs.append(ref)
    ana.page.goto("about:blank")  # nothing on her screen asks while the console is broken
    return refs[0]


def console_without_rights(scene: Scene, heard: Heard) -> None:
    """The console itself breaks: its role may not read a table for a moment."""
    role = settings.DATABASES["default"]["USER"]
    with connections["owner"].cursor() as owner:
        owner.execute(f'REVOKE SELECT ON console_proposal FROM "{role}"')
        try:
            ana = scene.present[-1]
            with httpx.Client(cookies=cookies(ana), trust_env=False, timeout=30) as browser:
                answer = browser.get(f"{scene.house.url}/")
            assert answer.status_code == 500
            heard.answer(answer)
            answer = scene.agent.http.get("proposals")
            assert answer.status_code >= 500
        finally:
            owner.execute(f'GRANT SELECT ON console_proposal TO "{role}"')


def dump() -> Iterator[tuple[str, str]]:
    """Every table's rows as text."""
    with connections["owner"].cursor() as owner:
        owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        for (table,) in owner.fetchall():
            owner.execute(f'SELECT row_to_json(t)::text FROM "{table}" t')
            yield table, "\n".join(row for (row,) in owner.fetchall())
