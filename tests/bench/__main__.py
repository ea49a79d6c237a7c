"""`python -m tests.bench`: measures the goals P1 to P8 and how soon an alarm works, prints each beside its goal.

    --quick    two minutes: one round, small database          (also BENCH_QUICK=1)
    --full     1,000,000 proposals and 5,000,000 entries        (also BENCH_FULL=1); else a fifth of each
    --only     work, reads, pages, alarms: one or more, comma separated
    --strict   exit 1 when a goal is not met; else 0, because a busy machine is no fault

Everything runs on this machine: a stack of its own on free ports, with the demo's settings and fsync on. Figures
of a shared machine mean little by themselves; read the shares of the floor, which sees the same machine. The
whole is written to var/bench/latest.json. P6 (killed in the middle) is what tests/faults proves; P9 (verifying
the audit log) is `pytest -m bench`, which `make bench` runs as well.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import django

from console.environment import ROOT
from tests.bench import alarm, meters
from tests.bench.pages import Scale, measure
from tests.bench.stack import Stack, stack

HOME = ROOT / "var" / "bench"
WEB_WORKERS, WEB_THREADS, WORKER_THREADS = 1, 64, 4
"""The demo's."""
ORDERS = 3000
SECTIONS = ("work", "reads", "pages", "alarms")


@dataclass(frozen=True)
class Line:
    """One goal: its number, what it says, what was measured, whether that meets it (None: not measured)."""

    goal: str
    wanted: str
    measured: str
    met: bool | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write. Exit status 0, or with --strict 1 when a goal is not met."""
    given = _arguments(arguments)
    signal.signal(signal.SIGTERM, _leave)
    HOME.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    found: dict[str, Any] = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "load_before": os.getloadavg(),
        "quick": given.quick,
        "full": given.full,
    }
    _say(f"load before: {found['load_before'][0]:.1f} on {os.cpu_count()} cores")
    lines: list[Line] = []
    with stack(HOME, orders=ORDERS) as made:
        made.new_database()
        made.manage("migrate", "--verbosity", "0")
        os.environ["DJANGO_SETTINGS_MODULE"] = "console.settings"
        django.setup()
        for section in given.only:
            lines += SECTION[section](made, given, found)
    found["load_after"] = os.getloadavg()
    found["seconds"] = round(time.monotonic() - began)
    found["goals"] = [asdict(line) for line in lines]
    _print(lines, found)
    out = HOME / "latest.json"
    out.write_text(json.dumps(found, indent=1))
    out.with_name(f"{found['at'].replace(':', '')}.json").write_text(out.read_text())
    return 1 if given.strict and any(line.met is False for line in lines) else 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tests.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", default=os.environ.get("BENCH_QUICK") == "1")
    parser.add_argument("--full", action="store_true", default=os.environ.get("BENCH_FULL") == "1")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(SECTIONS))
    given = parser.parse_args(arguments)
    if unknown := set(given.only) - set(SECTIONS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; choose from {', '.join(SECTIONS)}")
    return given


def _leave(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


def _say(text: str) -> None:
    print(f"  {text}", flush=True)  # noqa: T201 a terminal is the place to print


def _work(made: Stack, given: argparse.Namespace, found: dict[str, Any]) -> list[Line]:
    from tests.bench.people import workforce  # noqa: PLC0415 needs Django to be set up
    from tests.bench.work import Bench, Size  # noqa: PLC0415 the same

    size = Size({1: 30, 8: 100, 32: 200}, 3, 25)
    if given.quick:
        size = Size({1: 20, 8: 60, 32: 120}, 1, 15)
    force = workforce(supervisors=max(size.works))
    made.start_web(workers=WEB_WORKERS, threads=WEB_THREADS)
    made.start_worker(threads=WORKER_THREADS)
    bench = Bench(made, force, size)
    try:
        bench.start_floor()
        bench.measure(_say)
    finally:
        bench.close()
        made.end("web", "worker", "beat")
    console = {at: bench.console.figures(at) for at in size.works}
    least = {at: bench.floor.figures(at) for at in size.works}
    counted = {
        name: {key: meters.middle([one[key] for one in costs.database]) for key in costs.database[0]}
        for name, costs in (("console", bench.console), ("floor", bench.floor))
    }
    found["work"] = {
        "console": console,
        "floor": least,
        "database": counted,
        "statements": bench.console.statements,
    }
    return _work_lines(console, least, counted)


def _work_lines(
    console: dict[int, dict[str, Any]], least: dict[int, dict[str, Any]], counted: dict[str, dict[str, float]]
) -> list[Line]:
    ours = sum(value for role, value in console[8]["cpu_ms"].items() if role != "erp")
    floors = sum(value for role, value in least[8]["cpu_ms"].items() if role != "erp")
    parts = ", ".join(f"{role} {value:.1f}" for role, value in console[8]["cpu_ms"].items())
    share = console[32]["per_second"] / least[32]["per_second"]
    one, eight = console[1], console[8]
    beyond = [
        one["between_p50_ms"] - one["erp_ms"],
        one["between_p95_ms"] - one["erp_ms"],
        eight["between_p95_ms"] - eight["erp_ms"],
    ]
    need, floor_need = counted["console"], counted["floor"]
    return [
        Line(
            "P1 CPU per W, c=8, without the ERP's",
            "<= 20 ms",
            f"{ours:.1f} ms ({ours / floors:.1f} x the floor's {floors:.1f}); {parts}",
            ours <= 20,
        ),
        Line(
            "P2 W/s at c=32, share of the floor",
            ">= 0.14",
            f"{share:.3f} ({console[32]['per_second']:.1f} of {least[32]['per_second']:.1f})",
            share >= 0.14,
        ),
        Line(
            "P3 propose, approve p50, c=1",
            "<= 8, <= 10 ms",
            f"{one['propose_p50_ms']:.1f}, {one['approve_p50_ms']:.1f} ms "
            f"(floor {least[1]['propose_p50_ms']:.1f}, {least[1]['approve_p50_ms']:.1f})",
            one["propose_p50_ms"] <= 8 and one["approve_p50_ms"] <= 10,
        ),
        Line(
            "P4 approve to committed beyond the ERP: c=1 p50, p95; c=8 p95",
            "<= 15, 30; 80 ms",
            f"{beyond[0]:.1f}, {beyond[1]:.1f}; {beyond[2]:.1f} ms (the ERP's own {one['erp_ms']:.1f})",
            beyond[0] <= 15 and beyond[1] <= 30 and beyond[2] <= 80,
        ),
        Line(
            "P5 per W: syncs, statements, WAL",
            "<= 8, 45, 20 KB",
            f"{need['syncs']:.1f}, {need['statements']:.1f} (and {need['borders']:.1f} BEGIN and the like), "
            f"{need['wal_bytes'] / 1024:.1f} KB (floor {floor_need['syncs']:.1f}, "
            f"{floor_need['statements']:.1f}, {floor_need['wal_bytes'] / 1024:.1f} KB)",
            need["syncs"] <= 8 and need["statements"] <= 45 and need["wal_bytes"] <= 20 * 1024,
        ),
        Line("P6 killed in the middle", "0 / 0", "proven by tests/faults, not measured here", None),
    ]


def _reads(made: Stack, given: argparse.Namespace, found: dict[str, Any]) -> list[Line]:
    from tests.bench.reads import measure  # noqa: PLC0415 needs Django to be set up

    got = measure(made, calls=60 if given.quick else 300, web=(WEB_WORKERS, WEB_THREADS))
    found["reads"] = got
    return [
        Line(
            "P8 read-through beyond the ERP: p50, CPU",
            "<= 5, 4 ms",
            f"{got['added_p50_ms']:.1f} ms, {got['cpu_ms']:.1f} ms CPU "
            f"(agent {got['agent_p50_ms']:.1f}, ERP's own {got['erp_ms']:.1f}; {got['recorded']} of "
            f"{got['calls']} recorded)",
            got["added_p50_ms"] <= 5 and got["cpu_ms"] <= 4 and got["recorded"] == got["calls"],
        )
    ]


def _scale(given: argparse.Namespace) -> Scale:
    if given.full:
        return Scale(1_000_000, 10_000, 5_000_000)
    return Scale(20_000, 2_000, 100_000) if given.quick else Scale(200_000, 10_000, 1_000_000)


def _alarms(made: Stack, given: argparse.Namespace, found: dict[str, Any]) -> list[Line]:
    web, trials = (WEB_WORKERS, WEB_THREADS), 5 if given.quick else 20
    got = alarm.measure(made, _scale(given), web=web, threads=WORKER_THREADS, trials=trials, say=_say)
    found["alarms"] = got
    return [
        Line(
            "from the refusal that is one too many to shadow",
            "<= 5 s",
            f"{got['p50']:.1f} s p50, {got['most']:.1f} s at most, of {trials}",
            got["most"] <= 5,
        )
    ]


def _pages(made: Stack, given: argparse.Namespace, found: dict[str, Any]) -> list[Line]:
    scale = _scale(given)
    got = measure(made, scale, web=(WEB_WORKERS, WEB_THREADS), repeat=10 if given.quick else 30, say=_say)
    found["pages"] = got
    lines = []
    for name, limit in (("queue", 50.0), ("audit", 300.0)):
        mine = {page: one for page, one in got["pages"].items() if page.startswith(name)}
        if not mine:
            lines.append(Line(f"P7 {name}", f"<= {limit:.0f} ms p95", "there is no such page yet", None))
            continue
        lines += [
            Line(
                f"P7 {page}",
                f"<= {limit:.0f} ms p95",
                f"{one['p95_ms']:.0f} ms p95, {one['p50_ms']:.0f} p50, {one['cpu_ms']:.0f} CPU, "
                f"{one['statements']} statements",
                one["p95_ms"] <= limit and one["status"] == 200,
            )
            for page, one in mine.items()
        ]
    return lines


SECTION = {"work": _work, "reads": _reads, "pages": _pages, "alarms": _alarms}


def _print(lines: Sequence[Line], found: dict[str, Any]) -> None:
    width = max(len(line.goal) for line in lines)
    wide = max(len(line.wanted) for line in lines)
    print()  # noqa: T201
    for line in lines:
        word = {True: "met", False: "NOT MET", None: "-"}[line.met]
        print(f"{line.goal:{width}}  {line.wanted:{wide}}  {word:7}  {line.measured}")  # noqa: T201
    load = ", ".join(f"{value:.1f}" for value in found["load_after"])
    print(f"\nTook {found['seconds']} s. Load after: {load} on {os.cpu_count()} cores.")  # noqa: T201
    print(f"All figures: {Path(HOME / 'latest.json').relative_to(ROOT)}")  # noqa: T201


if __name__ == "__main__":
    raise SystemExit(main())
