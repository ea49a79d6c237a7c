"""`manage.py probe`: have a worker try every service account, and say what was found."""

import argparse
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from console import dispatch
from console.catalogue import READER, specs
from console.models import Connection, Probe

WAIT_SECONDS = 120


class Command(BaseCommand):
    """Ring for the probe, wait for it, print one line per account; exit 1 if one is not fit to write."""

    help = "Prove that every service account is refused what it must be refused."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--wait", type=int, default=WAIT_SECONDS, help="seconds to wait for the worker")

    def handle(self, *_: Any, wait: int, **__: Any) -> None:
        """Ring, wait, print."""
        accounts = {
            (name, purpose)
            for name, spec in specs().items()
            for purpose in spec.accounts
            if purpose != READER
        }
        if not accounts:
            raise CommandError("No connection has a writing account; see CONNECTIONS.")
        off = set(Connection.objects.filter(enabled=False).values_list("name", flat=True))
        wanted = {(name, purpose) for name, purpose in accounts if name not in off}
        newest = Probe.objects.order_by("-id").values_list("pk", flat=True).first() or 0
        if not dispatch.ring("console.tasks.probe_accounts", True):
            raise CommandError("The broker does not answer, so no worker can be asked; see REDIS_URL.")
        until = time.monotonic() + wait
        found: dict[tuple[str, str], Probe] = {}
        while time.monotonic() < until and set(found) < wanted:
            time.sleep(0.5)
            for one in Probe.objects.filter(pk__gt=newest).select_related("connection"):
                found[one.connection.name, one.purpose] = one
        for name, purpose in sorted(accounts):
            if (name, purpose) not in wanted:
                self.stdout.write(f"{name:<16} {purpose:<32} switched off: not tried, and nothing is written")
                continue
            probe = found.get((name, purpose))
            if probe is None:
                self.stdout.write(f"{name:<16} {purpose:<32} no answer within {wait} s")
                continue
            faults = "; ".join([*probe.excess, *probe.findings])
            self.stdout.write(
                f"{name:<16} {purpose:<32} {'sound' if probe.sound else 'NOT FIT TO WRITE'} {faults}"
            )
        bad = [key for key in wanted if key not in found or not found[key].sound]
        if bad:
            raise CommandError(f"{len(bad)} of {len(wanted)} accounts are not proven; they commit nothing.")
