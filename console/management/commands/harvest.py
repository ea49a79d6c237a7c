"""`manage.py harvest`: frozen cases for evals, from what people did at a plant."""

import argparse
import datetime as dt
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from console.canonical import canonical
from console.catalogue import specs
from console.errors import CountersignError
from console.evals import recorded
from console.reads import history
from integrations.contract import AdapterError

QUARTER = 92
SETTLED = 2


class Command(BaseCommand):
    """Write one case a line; say at the end how many, and what was left out for which reason."""

    help = (
        "Cases for an eval suite, one JSON object a line, from a system's history or from recorded readings."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("connection", help="where people did it, such as erp")
        parser.add_argument("--type", required=True, help="the transaction type, such as sales_order_promise")
        parser.add_argument(
            "--since", type=dt.date.fromisoformat, help=f"YYYY-MM-DD; {QUARTER} days ago if left out"
        )
        parser.add_argument(
            "--until",
            type=dt.date.fromisoformat,
            help=f"YYYY-MM-DD; {SETTLED} days ago if left out: what is newer may still be corrected",
        )
        parser.add_argument("--fields", default="", help="only changes of these fields, with commas between")
        parser.add_argument(
            "--unprompted",
            action="store_true",
            help="also what no list of exceptions showed: started by words",
        )
        parser.add_argument(
            "--recorded", action="store_true", help="from what agents read here, for systems without history"
        )
        parser.add_argument("--to", type=Path, help="a file; the terminal if left out")

    def handle(self, *_: Any, to: Path | None, **options: Any) -> None:
        """Harvest."""
        left_out: Counter[str] = Counter()
        try:
            cases = list(self._cases(options, left_out))
        except CountersignError as error:
            raise CommandError(error.text) from None
        except AdapterError as error:
            raise CommandError(f"{options['connection']}: {error.text}") from None
        text = "".join(f"{canonical(dict(case))}\n" for case in cases)
        if to is not None:
            to.write_text(text)
        else:
            sys.stdout.write(text)
        splits = Counter(case["split"] for case in cases)
        self.stderr.write(
            f"{len(cases)} cases: {splits['holdout']} hold-out, {splits['public']} public; "
            f"in {sum(case['acceptable'] == [None] for case in cases)} of them nothing should be done."
        )
        for reason, many in left_out.most_common():
            if many:
                self.stderr.write(f"  {many:>4} left out: {reason}")

    def _cases(self, options: Mapping[str, Any], left_out: Counter[str]) -> Iterator[Mapping[str, Any]]:
        if options["connection"] not in specs():
            known = ", ".join(sorted(specs())) or "none"
            raise CommandError(f"There is no connection {options['connection']}; there are: {known}.")
        today = dt.datetime.now(dt.UTC).date()
        day = options["since"] or today - dt.timedelta(days=QUARTER)
        last = options["until"] or today - dt.timedelta(days=SETTLED)
        harvest = recorded.harvest if options["recorded"] else history.harvest
        return harvest(
            options["connection"],
            options["type"],
            since=dt.datetime.combine(day, dt.time(), dt.UTC),
            until=dt.datetime.combine(last, dt.time(), dt.UTC),
            left_out=left_out,
            fields=[name for name in options["fields"].split(",") if name],
            prompted=not options["unprompted"],
        )
