"""The people, agents and connections of the tests: plain functions that make rows, and fixtures that name them.

Ana and Ben are supervisors, Cleo is an auditor, Dora an administrator, Oskar a supervisor who owns the agent
`planner` and so may not decide on its proposals. Everybody's password is PASSWORD.

`plant` is a connection whose system is away: nothing listens there. Asking for the fixture `erp` as well starts
the sandbox behind the same connection. `planner` has a version, a key, and a grant for every type and tool.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Group, User

from console import catalogue, connections, references
from console.access import agent_actor
from console.audit import OPERATOR, Actor
from console.catalogue import read_tools
from console.lifecycle.submit import submit
from console.models import Agent, AgentVersion, Connection, Grant, Proposal, System
from console.registry import keys
from integrations.sandbox.adapter import ADAPTER as SANDBOX

if TYPE_CHECKING:
    from tests.sandbox import SandboxProcess

PASSWORD = "a furnace is no place for secrets"
PLANT = "plant"
AWAY = "http://127.0.0.1:9"
"""Nothing listens on the discard port: a connection is refused at once."""


@dataclass(frozen=True)
class People:
    """The fixed cast."""

    ana: User
    ben: User
    cleo: User
    dora: User
    oskar: User


@dataclass(frozen=True)
class Planner:
    """An agent, one version of it, and a key as the agent holds it."""

    agent: Agent
    version: AgentVersion
    key: str

    @property
    def headers(self) -> dict[str, str]:
        """What an agent sends to say who it is."""
        return {"Authorization": f"Bearer {self.key}"}

    @property
    def actor(self) -> Actor:
        """This version as an audit entry names it."""
        return agent_actor(self.version, key_id=self.key.split("_")[1], request_id="test")


def person(username: str, *roles: str, name: str = "") -> User:
    """A person with these roles (supervisor, auditor, administrator)."""
    first, _, last = (name or username.capitalize()).partition(" ")
    made = User.objects.create_user(username, password=PASSWORD, first_name=first, last_name=last)
    for role in roles:
        made.groups.add(Group.objects.get_or_create(name=role)[0])
    return made


def agent(owner: User, slug: str = "planner", **fields: Any) -> Agent:
    """An agent with generous limits, unless `fields` say otherwise."""
    defaults: dict[str, Any] = {
        "title": slug.replace("-", " ").capitalize(),
        "purpose": "Keeps orders on their dates.",
        "calls_per_minute": 100_000,
        "pending_cap": 10_000,
    }
    return Agent.objects.create(slug=slug, owner=owner, **(defaults | fields))


def version(of: Agent, label: str = "1.0") -> AgentVersion:
    """A version of an agent."""
    return AgentVersion.objects.create(agent=of, label=label, code="1", model="sandbox-1", prompt="p1")


def key(of: AgentVersion) -> str:
    """A fresh key of a version, as shown once."""
    return keys.issue(of, by=None, actor=OPERATOR).text


def connection(name: str = PLANT, system: str = "sandbox", title: str = "Plant") -> Connection:
    """The row of a connection. The settings need an entry of the same name: see the fixture `plant`."""
    owner, _ = System.objects.get_or_create(slug=system, defaults={"title": "Sandbox ERP", "level": 4})
    return Connection.objects.create(
        name=name,
        title=title,
        system=owner,
        adapter="integrations.sandbox.adapter",
        path="Sandbox HTTP",
        verified="the sandbox",
    )


def grant(of: AgentVersion, kind: str, name: str, on: Connection, autonomy: str = "propose") -> Grant:
    """One grant; `kind` is "type" or "tool"."""
    return Grant.objects.create(version=of, kind=kind, name=name, connection=on, autonomy=autonomy)


def grant_all(of: AgentVersion, on: Connection, autonomy: str = "propose") -> None:
    """A grant for every read tool there is, and for every transaction type that the sandbox carries."""
    for name in SANDBOX.types:
        grant(of, "type", name, on, autonomy)
    for name in read_tools():
        grant(of, "tool", name, on, autonomy)


def envelope(transaction_type: str = "production_order_reschedule", **changes: Any) -> dict[str, Any]:
    """What an agent sends to propose: the type's own sample as payload, unless `changes` say otherwise."""
    return {
        "transaction_type": transaction_type,
        "payload": dict(catalogue.transaction_type(transaction_type).sample),
        "rationale": "The material arrives three days later than planned.",
        **changes,
    }


def propose(
    by: Planner, sent: Mapping[str, Any] | None = None, *, key: str = "", actor: Actor | None = None
) -> Proposal:
    """A submitted proposal, as the API would store it. It is received; nothing has looked at it yet."""
    raw = json.dumps(sent if sent is not None else envelope()).encode()
    made = submit(by.version, raw=raw, key=key or references.new("KY"), actor=actor or by.actor).proposal
    made.refresh_from_db()
    return made


def use_connections(
    settings: LazySettings,
    patch: pytest.MonkeyPatch,
    entries: Mapping[str, Any],
    secrets: Mapping[str, str],
) -> None:
    """Make these the CONNECTIONS, here and in every process started from here on."""
    for name in {*entries, *settings.CONNECTIONS}:
        connections.drop(name)
    settings.CONNECTIONS = dict(entries)
    patch.setenv("CONNECTIONS", json.dumps(entries))
    for name, secret in secrets.items():
        patch.setenv(name, secret)
    catalogue.specs.cache_clear()


@pytest.fixture
def people(db: None) -> People:  # noqa: ARG001 it makes rows
    """Ana, Ben, Cleo, Dora and Oskar."""
    return People(
        ana=person("ana", "supervisor", name="Ana Kovač"),
        ben=person("ben", "supervisor", name="Ben Okafor"),
        cleo=person("cleo", "auditor", name="Cleo Marsh"),
        dora=person("dora", "administrator", name="Dora Lind"),
        oskar=person("oskar", "supervisor", name="Oskar Weiss"),
    )


@pytest.fixture
def plant(db: None, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:  # noqa: ARG001
    """The connection "plant". Its system is away unless the test asks for `erp` too."""
    entry = {
        "adapter": "integrations.sandbox.adapter",
        "system": "sandbox",
        "system_title": "Sandbox ERP",
        "title": "Plant",
        "isa95_level": 4,
        "options": {"url": AWAY, "timeout_ms": 500},
        "reader": {"login": "reader", "secret": "PLANT_SECRET"},
        "writers": {name: {"login": name, "secret": "PLANT_SECRET"} for name in SANDBOX.types},
    }
    use_connections(settings, monkeypatch, {PLANT: entry}, {"PLANT_SECRET": "away"})
    yield connection()
    connections.drop(PLANT)
    catalogue.specs.cache_clear()


@pytest.fixture
def erp(
    plant: Connection,  # noqa: ARG001 the connection it stands behind
    sandbox: SandboxProcess,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> SandboxProcess:
    """The sandbox, freshly seeded, behind the connection "plant"."""
    entry, secrets = sandbox.settings()
    use_connections(settings, monkeypatch, {PLANT: entry}, secrets)
    return sandbox


@pytest.fixture
def planner(people: People, plant: Connection) -> Planner:
    """Oskar's agent, version 1.0, with a key and every grant on "plant"."""
    one = version(agent(people.oskar))
    grant_all(one, plant)
    return Planner(agent=one.agent, version=one, key=key(one))
