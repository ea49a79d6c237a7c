"""The live suite runs against what it is pointed at, finds fault with it, and is silent without a system.

What it is pointed at here is our own stand-in for Kinetic, which says nothing about Kinetic.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rigs.epicor import WRITING, Kinetic, Known
from tests.services import LEAN

ROOT = Path(__file__).resolve().parent.parent.parent
SECRET = "the-password-of-the-live-test"


@pytest.fixture
def system() -> Iterator[Kinetic]:
    reading = {method for method in WRITING if "/Change" not in method and "/Update" not in method}
    users = {
        user: Known(SECRET, f"key-of-{user}", frozenset(scope))
        for user, scope in (("reader", reading), ("lines", WRITING), ("else", WRITING))
    }
    with Kinetic(users) as one:
        yield one


def described(system: Kinetic, folder: Path, **changed: Any) -> Path:
    """A file that describes the stand-in as the live suite's README says."""
    accounts = {}
    for user in system.users:
        secret = folder / f"{user}.json"
        secret.write_text(json.dumps({"password": SECRET, "api_key": f"key-of-{user}"}))
        accounts[user] = {"login": user, "secret_file": str(secret)}
    line = {"order": "EPIC06/1001", "line": "1"}
    told = {
        "i_may_write_to_this_system": True,
        "options": {"url": f"{system.url}/instance", "companies": ["EPIC06"]},
        "reader": accounts["reader"],
        "writers": {"purchase_order_line_change": accounts["lines"]},
        "somebody_else": accounts["else"],
        "payloads": {
            "purchase_order_line_change": [
                {**line, "quantity": {"value": many, "unit": "EA"}} for many in ("60", "61")
            ]
        },
        "arguments": {
            "purchase_order": {"order": "EPIC06/1001"},
            "production_order": {"order": "EPIC06/J1001"},
        },
        "missing": {name: {"order": "EPIC06/9999"} for name in ("purchase_order", "production_order")},
        **changed,
    }
    file = folder / "epicor.json"
    file.write_text(json.dumps(told))
    return file


def run(file: Path | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The live suite in a process of its own."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("LIVE_", "PYTEST_"))
    }
    if file is not None:
        environment["LIVE_EPICOR"] = str(file)
    command = [sys.executable, "-m", "pytest", "-q", *LEAN, "tests/live", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180, check=False
    )


def test_it_runs_against_the_system_that_is_named(system: Kinetic, tmp_path: Path) -> None:
    done = run(described(system, tmp_path), "-rA")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "a_stale_stamp_is_refused" in done.stdout
    assert "its_account_is_proven_narrow" in done.stdout
    assert '"sound": true' in done.stdout
    assert "not verified against a vendor system: netsuite (LIVE_NETSUITE), infor_m3" in done.stdout
    assert system.effects
    assert SECRET not in done.stdout + done.stderr


def test_it_finds_fault_with_a_system_that_guards_nothing(system: Kinetic, tmp_path: Path) -> None:
    system.guards = False
    done = run(described(system, tmp_path), "-k", "its_account_is_proven_narrow")
    assert (done.returncode, "1 failed" in done.stdout) == (1, True)


def test_it_writes_nothing_unless_somebody_says_that_it_may(system: Kinetic, tmp_path: Path) -> None:
    done = run(described(system, tmp_path, i_may_write_to_this_system=False))
    assert done.returncode == 1
    assert system.effects == []


def test_without_a_system_it_collects_nothing_and_says_what_is_not_verified() -> None:
    done = run(None, "--collect-only")
    assert done.returncode == 5
    assert "no tests collected" in done.stdout
    for name in ("netsuite (LIVE_NETSUITE)", "epicor (LIVE_EPICOR)", "infor_m3 (LIVE_INFOR_M3)"):
        assert name in done.stdout
