"""`manage.py demo_seed`: the demo's people, its agent, its key and its grants. Safe to run again and again."""

import argparse
import json
import os
import secrets
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db.models.functions import Now

from console import dispatch
from console.access import Role
from console.audit import OPERATOR, record_alone
from console.catalogue import specs
from console.environment import VAR
from console.models import Agent, AgentKey, AgentVersion, Autonomy, Grant
from console.registry import agents, connections, grants, keys, people

PEOPLE = {
    "ana": ("Ana", "Berg", [Role.SUPERVISOR], "supervisor, purchasing and planning"),
    "ben": ("Ben", "Okafor", [Role.SUPERVISOR], "supervisor, production"),
    "cleo": ("Cleo", "Marchetti", [Role.AUDITOR], "auditor"),
    "dora": ("Dora", "Lindqvist", [Role.ADMINISTRATOR], "administrator"),
    "tom": ("Tom", "Reyes", [Role.TECHNICIAN], "technician: sees tasks for the floor, nothing else"),
    "oskar": ("Oskar", "Nowak", [], "owner of the demo agent; may not decide"),
}
"""Login to given name, family name, roles, and what the terminal says of them."""

LOGINS = VAR / "demo-logins.json"
KEY = VAR / "demo-agent.key"


class Command(BaseCommand):
    """Make what is missing, and print the logins."""

    help = "Seed the demo: people, an agent with a key, and its grants on every connection."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--erp-ready", action="store_true", help="the ERP answers: grant on its connections"
        )

    def handle(self, *_: Any, erp_ready: bool, **__: Any) -> None:
        """Seed; without `--erp-ready` also print who can sign in."""
        if os.environ.get("COUNTERSIGN_MODE") not in {"demo", "test"}:
            raise CommandError("demo_seed makes people with known passwords; it runs in a demo only.")
        logins = _people()
        version = _agent(User.objects.get(username="oskar"))
        keep_key(version, KEY)
        # Before the ERP answers there are none, and a mirror would switch off those of the last start.
        if specs():
            _grants(version)
        if erp_ready:
            dispatch.ring("console.tasks.probe_accounts")
        else:
            for login, (_given, _family, _roles, what) in PEOPLE.items():
                if login != "oskar":
                    self.stdout.write(f"  {login:<5} {logins[login]:<22} {what}")
            self.stdout.write("")
            self.stdout.write(
                "  First: sign in as ana. The demo agent's proposals appear in the queue within minutes;"
            )
            self.stdout.write(
                "  open one, look at what would change, and approve it. Then see it in the audit log."
            )


def _people() -> dict[str, str]:
    known: dict[str, str] = json.loads(LOGINS.read_text()) if LOGINS.exists() else {}
    for login, (given, family, roles, _what) in PEOPLE.items():
        if not User.objects.exists():
            record_alone("console.start", actor=OPERATOR, chain="console", subject="the demo")
        user, made = User.objects.get_or_create(
            username=login, defaults={"first_name": given, "last_name": family}
        )
        if made or login not in known:
            known[login] = f"{login}-{secrets.token_hex(5)}"
            user.set_password(known[login])
            user.save(update_fields=["password"])
        if made:
            people.set_roles(user, roles, by=None, actor=OPERATOR)
    _write_private(LOGINS, json.dumps(known))
    return known


def _agent(owner: User) -> AgentVersion:
    agent = Agent.objects.filter(slug="order-keeper").first() or agents.register(
        slug="order-keeper",
        title="Order keeper",
        purpose="Finds orders in trouble and proposes repairs.",
        owner=owner,
        by=None,
        actor=OPERATOR,
    )
    return AgentVersion.objects.filter(agent=agent, label="1.0").first() or agents.add_version(
        agent, label="1.0", code="demo_agent", model="rules, no model", prompt="none", by=None, actor=OPERATOR
    )


def keep_key(version: AgentVersion, path: Path) -> None:
    """See that a version's key is in a file, a new one if that one is no good any more."""
    if path.exists():
        try:
            keys.authenticate(path.read_text().strip())
        except Exception:  # noqa: BLE001 whatever is wrong with the old key, a new one is made
            path.unlink()
        else:
            return
    for old in AgentKey.objects.filter(version=version, revoked_at__isnull=True, expires_at__gt=Now()):
        keys.revoke(old, by=None, actor=OPERATOR)
    _write_private(path, keys.issue(version, by=None, actor=OPERATOR, days=90).text)


def _grants(version: AgentVersion) -> None:
    for connection in connections.mirror(actor=OPERATOR):
        spec = specs()[connection.name]
        wanted = [(Grant.TOOL, name) for name in sorted(spec.adapter.tools)]
        wanted += [
            (Grant.TYPE, name)
            for name in sorted(spec.adapter.types)
            if spec.adapter.by_hand or name in spec.accounts
        ]
        for kind, name in wanted:
            known = Grant.objects.filter(
                version=version, kind=kind, name=name, connection=connection
            ).exists()
            if not known:
                grants.set_autonomy(
                    version,
                    kind=kind,
                    name=name,
                    connection=connection,
                    autonomy=Autonomy.PROPOSE,
                    by=None,
                    actor=OPERATOR,
                )


def _write_private(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(content)
