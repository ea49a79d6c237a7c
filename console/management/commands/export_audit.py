"""`export_audit`: audit entries to standard output, as NDJSON or CSV. The export is itself an entry."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from console import audit, audit_search
from console.errors import Refused


class Command(BaseCommand):
    """Stream what fits, oldest first, so that a log of any length needs little memory."""

    help = __doc__ or ""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """What to hand out."""
        parser.add_argument("--format", choices=("ndjson", "csv"), default="ndjson")
        for name, text in (
            ("since", "first day, such as 2026-01-31 (UTC)"),
            ("until", "last day"),
            ("verb", "such as proposal.approve, or proposal. for all of them"),
            ("kind", "person, agent, worker or operator"),
            ("agent", "an agent's slug"),
            ("proposal", "a proposal's reference"),
            ("chain", "one chain"),
            ("text", "words of the subject or the target"),
        ):
            parser.add_argument(f"--{name}", default="", help=text)

    def handle(self, *args: Any, **options: Any) -> None:
        """Record the export, then stream."""
        del args
        names = ("since", "until", "verb", "kind", "agent", "proposal", "chain", "text")
        try:
            want = audit_search.wanted({name: options[name] for name in names})
        except Refused as refused:
            raise CommandError("; ".join(f"{one.text} {one.hint}" for one in refused.findings)) from None
        audit.record_alone(
            "audit.export",
            actor=audit.OPERATOR,
            chain="console",
            subject=f"the audit log as {options['format']}",
            detail=want.said(),
        )
        lines = audit_search.csv_lines if options["format"] == "csv" else audit_search.ndjson
        for line in lines(want):
            self.stdout.write(line, ending="")
