"""`verify_audit`: is the audit log whole? Says what is wrong and where; exit status 1 if anything is."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from console import audit_check


class Command(BaseCommand):
    """Re-hash every entry, follow every chain, rebuild the tree, compare every checkpoint and signature."""

    help = __doc__ or ""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """What to look at."""
        parser.add_argument("--chain", default="", help="only this chain, such as proposal:CS-8F2K9M4TX7QP")
        parser.add_argument(
            "--against",
            action="append",
            default=[],
            metavar="FILE",
            help="a checkpoint that was kept elsewhere; may be given more than once",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Check, print, and end with status 1 if something is wrong."""
        del args
        started = time.monotonic()
        if options["chain"]:
            if options["against"]:
                raise CommandError("--against compares the whole log; leave out --chain")
            report = audit_check.check_chain(options["chain"])
        else:
            report = audit_check.check(against=[_note(name) for name in options["against"]])
        for line in audit_check.words(report):
            self.stdout.write(line)
        took = time.monotonic() - started
        if report.faults:
            self.stderr.write(self.style.ERROR(f"The audit log is NOT whole. ({took:.1f} s)"))
            raise SystemExit(1)
        self.stdout.write(self.style.SUCCESS(f"The audit log is whole. ({took:.1f} s)"))


def _note(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"cannot read the checkpoint in {name}: {error}") from None
