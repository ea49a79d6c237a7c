"""`manage.py evals`: suites of frozen cases from and to files, gates, and scoring what is stored once more."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from console.audit import OPERATOR
from console.errors import CountersignError, Refused
from console.evals import gate, runs, suites
from console.models import EvalRun, EvalSuite, Gate, Split
from console.registry import gates

SETTINGS = ("suite", "bar", "wrong", "cases", "repeats", "consistency", "max-age-days")


class Command(BaseCommand):
    """Import and export JSONL, set a gate, list, rescore."""

    help = "Suites of frozen cases, and the gates that rest on them."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """One word for what to do."""
        doing = parser.add_subparsers(dest="do", required=True)
        one = doing.add_parser("import", help="freeze the cases of a file as a suite's next version")
        one.add_argument("suite", help="short name, such as promises-2026q3")
        one.add_argument("file", type=Path)
        one.add_argument("--source", default="", help="where the cases come from, in words")
        one = doing.add_parser("export", help="write a suite's cases as lines of JSON")
        one.add_argument("suite")
        one.add_argument("--number", type=int, help="its version; the newest if left out")
        one.add_argument("--split", choices=Split.values, default="", help="only these; all if left out")
        one.add_argument("--to", type=Path, help="a file; the terminal if left out")
        one = doing.add_parser("gate", help="set what a gate asks for; evidence given before counts no more")
        one.add_argument("about", help="a transaction type or read tool that has a suite")
        for name in SETTINGS:
            one.add_argument(f"--{name}", default="")
        doing.add_parser("list", help="suites and gates")
        one = doing.add_parser("rescore", help="score a run's stored answers again and compare")
        one.add_argument("run", help="reference of the run, ER-...")

    def handle(self, *_: Any, do: str, **options: Any) -> None:
        """Do it."""
        doing = {
            "import": self._import,
            "export": self._export,
            "gate": self._gate,
            "list": self._list,
            "rescore": self._rescore,
        }
        try:
            doing[do](options)
        except Refused as refused:
            faults = [f"  {one.field}: {one.text} {one.hint}".rstrip() for one in refused.findings]
            raise CommandError("\n".join([refused.text, *faults])) from None
        except CountersignError as error:
            raise CommandError(error.text) from None

    def _import(self, options: dict[str, Any]) -> None:
        path: Path = options["file"]
        try:
            lines = path.read_bytes().splitlines()
        except OSError as fault:
            raise CommandError(f"{path} cannot be read: {fault.strerror}") from None
        made = suites.import_cases(
            options["suite"], lines, source=options["source"] or path.name, by=None, actor=OPERATOR
        )
        suite = made.suite
        told = f"{suite.holdout} hold-out, {suite.public} public, {suite.disputed} disputed"
        if not made.new:
            self.stdout.write(f"{suite} has these cases already ({told}).")
            return
        self.stdout.write(f"{suite}: {told}, about {suite.about} {suite.type_version}; {suite.digest[:12]}.")
        used = Gate.objects.select_related("suite").get(kind=suite.kind, about=suite.about)
        if used.suite_id != suite.pk:
            self.stdout.write(
                f"The gate of {suite.about} still rests on {used.suite}. To change that, and close what rests on it: "
                f'manage.py evals gate {suite.about} --suite "{suite}"'
            )

    def _export(self, options: dict[str, Any]) -> None:
        number = options["number"]
        found = (
            suites.newest(options["suite"])
            if number is None
            else EvalSuite.objects.filter(name=options["suite"], number=number).first()
        )
        if found is None:
            raise CommandError(f"There is no suite {options['suite']} {number or ''}".rstrip() + ".")
        text = "".join(f"{line}\n" for line in suites.export(found, options["split"]))
        if options["to"] is not None:
            options["to"].write_text(text)
        else:
            self.stdout.write(text, ending="")

    def _gate(self, options: dict[str, Any]) -> None:
        found = Gate.objects.filter(about=options["about"]).first()
        if found is None:
            raise CommandError(f"{options['about']} has no gate: import a suite about it first.")
        change = {name.replace("-", "_"): options[name.replace("-", "_")] for name in SETTINGS}
        gates.set_gate(found.kind, found.about, change=change, by=None, actor=OPERATOR)
        found.refresh_from_db()
        self.stdout.write(self._told(found))

    def _list(self, _: dict[str, Any]) -> None:
        for suite in EvalSuite.objects.order_by("name", "number"):
            self.stdout.write(
                f"{suite}: about {suite.about} {suite.type_version}, {suite.holdout} hold-out, {suite.public} public, "
                f"{suite.disputed} disputed; {suite.digest[:12]}"
            )
        for found in Gate.objects.select_related("suite").order_by("about"):
            self.stdout.write(self._told(found))

    def _rescore(self, options: dict[str, Any]) -> None:
        run = EvalRun.objects.select_related("suite").filter(ref=options["run"]).first()
        if run is None:
            raise CommandError(f"There is no run {options['run']}.")
        if moved := runs.rescored(run):
            raise CommandError(f"{run}: {len(moved)} answers score otherwise than stored: {moved[:20]}")
        self.stdout.write(f"{run}: every stored score comes out the same.")

    def _told(self, found: Gate) -> str:
        plan = gate.next_plan(found, 0.0)
        return (
            f"gate of {found.about}: {gate.share_text(found.bar)} right, {found.wrong} wrong allowed, "
            f"{found.repeats} times, {found.max_age_days} days, suite {found.suite}; a first attempt takes "
            f"{plan.cases} of its {found.suite.holdout} hold-out cases"
        )
