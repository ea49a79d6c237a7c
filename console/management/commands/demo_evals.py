"""`manage.py demo_evals`: the demo agent, and a worse version of it, sit cases of the ERP's last quarter. Once.

Cases are harvested from the ERP's own history, frozen as a suite, and sat over plain HTTP, as any agent would. What is
there already is not done again. One line for each thing that happens.
"""

import argparse
import datetime as dt
import io
import os
from collections import Counter
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from console.audit import OPERATOR
from console.canonical import canonical
from console.environment import VAR
from console.errors import CountersignError
from console.evals import suites
from console.management.commands import demo_seed
from console.models import Agent, AgentVersion, EvalRun, EvalSuite
from console.reads import history
from console.registry import agents
from integrations.contract import AdapterError

SUITES: dict[str, tuple[str, tuple[str, ...], str]] = {
    "purchase-dates": ("purchase_order_line_change", ("delivery_date",), "buyers"),
    "sales-promises": ("sales_order_promise", (), "the sales desk"),
}
"""Name to the transaction type, the fields of it (empty for all), and who did what it asks for."""
QUARTER, SETTLED = dt.timedelta(days=120), dt.timedelta(days=2)
HASTY_KEY = VAR / "demo-hasty.key"


class Command(BaseCommand):
    """Harvest, freeze, sit, tell."""

    help = "Let the demo agent and a worse version of it sit an eval run on the demo ERP's past."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--url", default=os.environ.get("COUNTERSIGN_URL", ""), help="the console's address"
        )
        parser.add_argument("--connection", default="tryton", help="whose past (default: %(default)s)")

    def handle(self, *_: Any, url: str, connection: str, **__: Any) -> None:
        """Do what is not done yet."""
        if os.environ.get("COUNTERSIGN_MODE") not in {"demo", "test"}:
            raise CommandError("demo_evals makes an agent that is bad on purpose; it runs in a demo only.")
        good, hasty = AgentVersion.objects.get(agent__slug="order-keeper", label="1.0"), _hasty()
        for name in SUITES:
            try:
                suite = suites.newest(name) or self._harvested(name, connection)
            except (CountersignError, AdapterError) as error:
                raise CommandError(error.text) from None
            self._sit(suite, good, demo_seed.KEY, url, hasty=False)
            self._sit(suite, hasty, HASTY_KEY, url, hasty=True)

    def _harvested(self, name: str, connection: str) -> EvalSuite:
        type_name, fields, who = SUITES[name]
        self._say(f"reading what {who} did last quarter out of the ERP's history")
        left_out: Counter[str] = Counter()
        since = dt.datetime.now(dt.UTC) - QUARTER
        until = dt.datetime.now(dt.UTC) - SETTLED
        found = history.harvest(
            connection, type_name, since=since, until=until, left_out=left_out, fields=fields
        )
        lines = [canonical(dict(case)).encode() for case in found]
        source = f"the history of {connection} since {since.date()}"
        suite = suites.import_cases(name, lines, source=source, by=None, actor=OPERATOR).suite
        self._say(
            f"{len(lines)} cases frozen as {suite}; {left_out.total()} changes left out, each for a reason"
        )
        return suite

    def _sit(self, suite: EvalSuite, version: AgentVersion, key: Path, url: str, *, hasty: bool) -> None:
        if EvalRun.objects.filter(
            version=version, suite=suite, practice=False, finished_at__isnull=False
        ).exists():
            return
        said = io.StringIO()
        call_command("demo_agent", sit=suite.name, key_file=str(key), url=url, hasty=hasty, stdout=said)
        self._say(f"{version}: {said.getvalue().strip()}")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _hasty() -> AgentVersion:
    """An agent of its own: what it spends of its attempts is not the good one's."""
    agent = Agent.objects.filter(slug="hasty-keeper").first() or agents.register(
        slug="hasty-keeper",
        title="Hasty keeper",
        purpose="Promises five days whatever a supplier needs. It is here to be told apart by its evals.",
        owner=User.objects.get(username="oskar"),
        by=None,
        actor=OPERATOR,
    )
    version = AgentVersion.objects.filter(agent=agent, label="0.9").first() or agents.add_version(
        agent,
        label="0.9",
        code="demo_agent --hasty",
        model="rules, no model",
        prompt="none",
        by=None,
        actor=OPERATOR,
    )
    demo_seed.keep_key(version, HASTY_KEY)
    return version
