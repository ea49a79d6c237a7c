"""`manage.py capabilities`: what can be done over which path, and with which guarantee, before an agent is built."""

import argparse
import json
from dataclasses import asdict
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from console.registry.capabilities import Capability, Way, capabilities, not_loaded, switches


class Command(BaseCommand):
    """Print every transaction type and read tool with the connections and shipped adapters that carry it."""

    help = "Which path carries what, and with which guarantee; also adapters that are not connected yet."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("names", nargs="*", help="only these transaction types or read tools")
        parser.add_argument("--json", action="store_true", help="as JSON")

    def handle(self, *_: Any, names: list[str], json: bool, **__: Any) -> None:
        """Print."""
        try:
            switched = switches()
        except (ImproperlyConfigured, OperationalError):
            switched = None
            self.stderr.write("The database does not answer, so it is not known what is switched off.")
        every = capabilities(switched)
        if strange := sorted(set(names) - {one.name for one in every}):
            known = ", ".join(one.name for one in every)
            raise CommandError(f"There is no {', '.join(strange)}. There are: {known}.")
        found = [one for one in every if not names or one.name in names]
        self.stdout.write(_as_json(found) if json else "\n".join(_as_text(found)))


def _as_json(found: list[Capability]) -> str:
    return json.dumps([asdict(one) for one in found], indent=2, ensure_ascii=False)


def _as_text(found: list[Capability]) -> list[str]:
    lines = []
    for one in found:
        lines.append(f"{one.name}  ({'transaction type' if one.kind == 'type' else 'read tool'})")
        lines += [f"    {_line(way)}" for way in one.ways] or ["    carried by nothing that is shipped"]
    for path, why in sorted(not_loaded().items()):
        lines.append(f"{path} could not be looked at: {why}")
    return lines


def _line(way: Way) -> str:
    where = f"connection {way.connection}" if way.connection else f"adapter {way.adapter}"
    parts = [f"{where:<28} {way.guarantee or 'read':<17} {way.path}"]
    if way.closed:
        parts.append(f"{way.lacks}: {way.closed.removesuffix('.')}")
    elif way.lacks:
        parts.append(way.lacks)
    if way.unsupported:
        parts.append(f"cannot carry {', '.join(way.unsupported)}")
    if way.verified_by:
        parts.append(f"read back through {way.verified_by}")
    parts += [way.checked] if way.checked else []
    return "; ".join(parts)
