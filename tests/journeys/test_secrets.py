"""Secrets stay in: recognisable ones are planted everywhere, a busy and unlucky day passes, and nothing tells them.

The file is long because it is one day at which everything goes wrong, told in order.
"""

from __future__ import annotations

import base64
import datetime as dt
import html
import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

import httpx
import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.models.functions import Now
from django.urls import Resolver404, resolve
from playwright.sync_api import Browser

from console import catalogue, references
from console.audit import OPERATOR
from console.catalogue import read_tools
from console.discreet import REPEATED
from console.models import Connection, Listening, Probe
from console.redaction import HIDDEN
from console.registry.connections import mirror
from integrations.connect import adapter
from integrations.contract import Account, AdapterError
from integrations.middleware import signing
from integrations.sandbox.plant import SCOPES
from integrations.scan import adapters
from tests import cast
from tests.cast import People
from tests.conftest import Worker
from tests.conftest import test_database_environment as database_environment
from tests.journeys import planted as plants
from tests.journeys.agent import Agent
from tests.journeys.house import WAIT_SECONDS, House, Street, house
from tests.journeys.person import Person, cookies
from tests.journeys.planted import ENTRIES, KEY_LINES, MARK, MIDDLE, TAIL, Teller, planted, teller
from tests.journeys.scene import Scene, open_scene
from tests.lifecycle.corridor import reschedule
from tests.rigs.epicor import READING, WRITING, Kinetic, Known
from tests.rigs.shapes import Asked, working_day
from tests.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
]

PASSWORD = f"{MARK}of a person"
ENDS = (MARK[:13], TAIL[-13:])
BLANK = re.compile(r"(\\+[nrt]|[\s+])+")
MISTAKEN = "mistaken"
OF_A_KIND = 2
"""How many pages of one route are looked at, but for those of the connections: they are made by the same template."""

RESCHEDULE = "production_order_reschedule"
LINE_CHANGE = "purchase_order_line_change"
KINETIC = "kinetic"
FLOWS = "middleware-told"
WRITTEN = {(KINETIC, LINE_CHANGE): "cs-lines", (FLOWS, RESCHEDULE): "production-order-reschedule"}
"""What is written through besides the sandbox, with which account; nobody proves these before it is said so."""

LAST_PROBED = "tryton-told"
"""Of those whose account can be judged, the last by name."""


def tells(text: str, *more: str) -> list[str]:
    """What this text gives away: mark, middle, tail, or one of `more`, plain, quoted, in hexadecimal or in base64.

    The beginning of the mark and the end of the tail are found in any case, encoded over again, and in several lines.
    """
    squeezed = BLANK.sub("", unquote(unquote(html.unescape(text)))).lower()
    found = [one for one in (*ENDS, MIDDLE) if one.lower() in squeezed]
    for one in (*ENDS, MIDDLE, MARK, TAIL, MARK.upper(), TAIL.upper(), *KEY_LINES, *more):
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
        secret[:14].upper(),
        json.dumps(secret[:10] + "\n   " + secret[10:20]),
        quote(quote(f"... {TAIL[5:]}")),
    ):
        assert tells(form), form
    assert not tells("Nothing to see here, the canary in the mine is well.")


def test_every_shipped_adapter_has_secrets_planted_in_it() -> None:
    shipped, missing = adapters()
    assert not missing
    covered = {f"integrations.{way.adapter}.adapter" for way in ENTRIES.values()}
    assert covered == {*shipped, "integrations.sandbox.adapter"}, (
        "a new adapter takes a line in planted.ENTRIES"
    )
    entries, secrets = planted(1, Path())
    accounts = {
        (name, account["secret"])
        for name, entry in entries.items()
        for account in (entry.get("reader") or {}, *entry.get("writers", {}).values())
        if account
    }
    assert {variable for _, variable in accounts} == set(secrets)
    assert [variable for variable, secret in secrets.items() if not tells(secret)] == []
    without = {f"{name}-away" for name, way in ENTRIES.items() if not way.keyless} - {
        name for name, _ in accounts
    }
    assert not without, "it takes a secret, and none is planted"


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("sap-basic", {"cookie"}),
        ("sap-oauth2", {"cookie", "token"}),
        ("netsuite", {"cookie", "token", "assertion"}),
        ("epicor", {"cookie"}),
        ("infor-m3", {"cookie", "token"}),
        ("tryton", {"session"}),
    ],
)
def test_an_adapter_tells_what_it_was_given_for_its_secret(
    name: str, given: set[str], tmp_path: Path
) -> None:
    way = ENTRIES[name]
    with teller() as telling:
        account = Account("reader", way.secret(name, telling.port))
        live = plants.adapter_of(way.adapter).reader(way.options(telling.port, tmp_path), account)
        for _ in range(2):
            with suppress(AdapterError):
                live.ping()
        live.close()
    known = {one.removeprefix(MARK).removesuffix(TAIL): one for one in account.issued}
    assert {one if known[one].startswith(MARK) else "assertion" for one in known} == given


def test_an_address_with_a_password_in_it_is_refused_at_the_start(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, secrets = planted(1, Path())
    entry = entries["sap-oauth2-away"]
    entry["options"]["oauth2"]["token_url"] = "https://erp:do-not-tell@127.0.0.1/oauth/token"
    cast.use_connections(settings, monkeypatch, {"sap": entry}, secrets)
    with pytest.raises(ImproperlyConfigured, match=r"options\.oauth2\.token_url") as refused:
        catalogue.specs()
    assert "do-not-tell" not in str(refused.value)
    settings.CONNECTIONS = {}
    catalogue.specs.cache_clear()


@contextmanager
def careless_house(folder: Path, erp: SandboxProcess, at: Plantation) -> Iterator[House]:
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
    entries = {cast.PLANT: entry, MISTAKEN: mistaken, **at.entries}
    with house(folder, entries, {**secrets, **at.secrets}, env) as running:
        yield running


@dataclass
class Plantation:
    """Connections by every adapter with marked secrets, the server that tells everything back, and one that works."""

    entries: dict[str, dict[str, Any]]
    secrets: dict[str, str]
    teller: Teller
    kinetic: Kinetic


@pytest.fixture
def plantation(tmp_path: Path) -> Iterator[Plantation]:
    """As it is said there; the one that works is our stand-in for Kinetic, with marked passwords."""
    people = {"cs-reader": READING, "cs-lines": WRITING}
    users = {
        login: Known(f"{MARK}password of {login}", f"{MARK}key-of-{login}", scope)
        for login, scope in people.items()
    }
    (tmp_path / "messages").mkdir()
    with teller() as telling, Kinetic(users) as kinetic:
        entries, secrets = planted(telling.port, tmp_path / "messages")
        # What another way into the same system has for a password, in the name of a broken report.
        name = secrets["PLANTED_SPARKPLUG_TOLD_READER"][:40]
        (tmp_path / "messages" / f"{name}.xml").write_text("<ShowWorkPerformance><this is no XML")
        entries[KINETIC] = {
            "adapter": "integrations.epicor.adapter",
            "title": "Kinetic",
            "options": {"url": f"{kinetic.url}/instance", "companies": ["EPIC06"]},
            "reader": {"login": "cs-reader", "secret": "KINETIC_READER"},
            "writers": {LINE_CHANGE: {"login": "cs-lines", "secret": "KINETIC_LINES"}},
        }
        for login, variable in (("cs-reader", "KINETIC_READER"), ("cs-lines", "KINETIC_LINES")):
            known = users[login]
            secrets[variable] = json.dumps({"password": known.password, "api_key": known.api_key})
        yield Plantation(entries, secrets, telling, kinetic)


@pytest.fixture
def marked_erp(tmp_path: Path) -> Iterator[SandboxProcess]:
    """A sandbox whose accounts have marked passwords."""
    home = tmp_path / "erp"
    home.mkdir()
    (home / "accounts.json").write_text(json.dumps({login: f"{MARK}of {login}{TAIL}" for login in SCOPES}))
    process = SandboxProcess(home)
    process.start()
    yield process
    process.close()


@pytest.fixture
def careless(
    marked_erp: SandboxProcess,
    plantation: Plantation,
    tmp_path: Path,
    people: People,
    browser: Browser,
    street: Street,
) -> Iterator[Scene]:
    """A day in the careless house; everybody's password is marked too."""
    for user in User.objects.all():
        user.set_password(PASSWORD)
        user.save()
    folder = tmp_path / "house"
    folder.mkdir()
    street.close()
    with careless_house(folder, marked_erp, plantation) as running:
        yield from open_scene(running, people, browser, cast.PLANT, "sandbox", "Plant")


def test_nothing_tells_a_secret(
    careless: Scene,
    marked_erp: SandboxProcess,
    plantation: Plantation,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene, heard = careless, Heard()
    agent = heard.from_agent(scene.agent)
    _, key_id, secret = scene.planner.key.split("_")
    secret = secret[:20]

    unlucky_reads(scene, agent, marked_erp)
    strangers(scene, heard)
    ref = unlucky_commits(scene, agent, marked_erp)
    cast.use_connections(settings, monkeypatch, {**scene.house.entries}, {})
    mirror(actor=OPERATOR)
    writes_where_everything_is_told_back(scene, agent, marked_erp)
    records_that_repeat_what_was_sent(scene, agent, plantation.kinetic)
    a_callback_that_repeats_its_key(heard, scene, plantation)
    every_connection_is_asked(scene, agent, heard, plantation)
    console_without_rights(scene, heard)

    for user in (scene.people.ana, scene.people.cleo, scene.people.dora):
        person = scene.come(user, sign_in=False)
        person.sign_in(PASSWORD)
        heard.crawl(scene.house.url, person, ref)
    heard.note("capabilities", scene.house.manage("capabilities"))
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
    assert len(heard.texts) > 300
    assert len(plantation.teller.asked) > 30
    assert HIDDEN in said["console_probe"]
    assert HIDDEN in said["console_attempt"]
    assert said["console_reading"].count(REPEATED) >= len(plants.REPEATED)
    assert HIDDEN in said["console_listening"]
    assert {f"GET /systems/{name}/" for name in plantation.entries} <= set(said)


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
                if (
                    path in known
                    or (seen[kind] >= OF_A_KIND and kind != "system")
                    or kind == "account_logout"
                ):
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


def every_connection_is_asked(scene: Scene, agent: Agent, heard: Heard, at: Plantation) -> None:
    """Every tool read and every type proposed over every connection, every account probed, every line listened on."""
    with closing_listener(scene.house.listen()) as listening:
        refs = ask_all(scene, agent, at)
        scene.house.wait_until_idle()
        for ref in refs:  # what is away would be tried again and again
            agent.http.post(f"proposals/{ref}/withdraw", json={"reason": "It was tried."})
        heard.note("probe", scene.house.manage("probe", "--wait", "5"))
        wait_until(lambda: Probe.objects.filter(connection__name=LAST_PROBED).exists())
        wait_until(lambda: Listening.objects.exclude(lost_why="").count() >= 4)
        wait_until(lambda: Listening.objects.filter(refused__gt=0).exists())
    heard.note("listen", listening.said())


@contextmanager
def closing_listener(listening: Worker) -> Iterator[Worker]:
    """It ends with this."""
    try:
        yield listening
    finally:
        listening.stop()


def ask_all(scene: Scene, agent: Agent, at: Plantation) -> list[str]:
    """By the agents' door; gives the proposals that were received."""
    refs = []
    version = scene.planner.version
    for name, entry in at.entries.items():
        shipped = adapter(entry["adapter"])
        connection = Connection.objects.get(name=name)
        # Where nothing comes back, one of each tells as much as all of them.
        most = None if name.endswith("-told") else 1
        for tool in sorted(shipped.tools)[:most]:
            cast.grant(version, "tool", tool, connection)
            body = {"connection": name, "arguments": dict(read_tools()[tool].sample)}
            agent.http.post(f"reads/{tool}", json=body)
        for kind in sorted(entry.get("writers", {}))[:most]:
            if (name, kind) not in WRITTEN:
                cast.grant(version, "type", kind, connection)
                sent = {**cast.envelope(kind), "connection": name}
                key = {"Idempotency-Key": references.new("KY")}
                answer = agent.http.post("proposals", json=sent, headers=key)
                # 422: the type's sample has a field that this system cannot carry.
                assert answer.status_code in {202, 422}, answer.text
                refs += [answer.json()["ref"]] if answer.status_code == 202 else []
    return refs


def writes_where_everything_is_told_back(scene: Scene, agent: Agent, erp: SandboxProcess) -> None:
    """A write that works, with a password in every call; and one at the server that tells everything back."""
    for (name, kind), login in WRITTEN.items():
        connection = Connection.objects.get(name=name)
        cast.grant(scene.planner.version, "type", kind, connection)
        Probe.objects.create(
            connection=connection,
            purpose=kind,
            account=login,
            sound=True,
            stale_refused=True,
            out_of_scope_refused=True,
            at=Now(),
        )
    change = {
        "order": "EPIC06/1001",
        "line": "1",
        "quantity": {"value": "60", "unit": "EA"},
        "delivery_date": working_day(25),
    }
    ana = scene.present[-1]
    for kind, payload, where, ends in (
        (LINE_CHANGE, change, KINETIC, "committed"),
        (RESCHEDULE, reschedule(erp, days=49), FLOWS, "commit_failed"),
    ):
        ref = agent.propose(kind, payload, connection=where)
        agent.follow(ref, "in_review")
        ana.open(ref)
        ana.approve()
        agent.follow(ref, ends)
    ana.page.goto("about:blank")


def records_that_repeat_what_was_sent(scene: Scene, agent: Agent, kinetic: Kinetic) -> None:
    """A system that writes into an order with which header it was asked, in every way of writing it down."""
    connection = Connection.objects.get(name=KINETIC)
    cast.grant(scene.planner.version, "tool", "purchase_order", connection)
    body = {"connection": KINETIC, "arguments": {"order": "EPIC06/1002"}}
    agent.http.post("reads/purchase_order", json=body).raise_for_status()
    for repeated in plants.REPEATED:
        for header in ("Authorization", "x-api-key"):
            kinetic.written_down["EPIC06", 1002] = partial(_written, repeated, header)
            assert agent.http.post("reads/purchase_order", json=body).status_code >= 400
    change = {"order": "EPIC06/1002", "line": "1", "delivery_date": working_day(25)}
    ref = agent.propose(LINE_CHANGE, change, connection=KINETIC)
    assert agent.follow(ref, "refused")["state_reason"] == REPEATED


def _written(repeated: Callable[[str], str], header: str, asked: Asked) -> str:
    return repeated(asked.header(header))


def a_callback_that_repeats_its_key(heard: Heard, scene: Scene, at: Plantation) -> None:
    """It is proven to be the middleware's, and not kept."""
    key = at.secrets[at.entries[FLOWS]["reader"]["secret"]]
    data = {"reference": "CS-1", "text": key.split()[-1]}
    body = json.dumps({"type": "transaction.committed", "data": data}).encode()
    headers = signing.sign(signing.keys(key), str(uuid.uuid4()), body, dt.datetime.now(dt.UTC))
    answer = httpx.post(
        f"{scene.house.url}/callbacks/{FLOWS}", content=body, headers=headers, trust_env=False
    )
    assert answer.status_code == 422
    heard.answer(answer)


def wait_until(true: Callable[[], bool]) -> None:
    """Until it is so."""
    # Dozens of accounts are tried meanwhile, two of them by a robot with a browser of its own.
    deadline = time.monotonic() + 4 * WAIT_SECONDS
    while not true():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.1)


def console_without_rights(scene: Scene, heard: Heard) -> None:
    """The console itself breaks: its role may not read a table for a moment."""
    role = connections["default"].settings_dict["USER"]
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
