"""A pytest plugin: collects the live suite only where a vendor's system is named, and says what was not verified."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
UNVERIFIED = ("NETSUITE", "EPICOR", "INFOR_M3")
"""Adapters that were never run against their vendor's system; each waits for LIVE_<name>."""


def named() -> dict[str, Path]:
    """Lower-case names of the adapters that LIVE_... variables name, with their files."""
    return {
        variable.removeprefix("LIVE_").lower(): Path(value)
        for variable, value in sorted(os.environ.items())
        if variable.startswith("LIVE_") and value.endswith(".json")
    }


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Collect nothing here unless a system is named."""
    return True if collection_path.parent == HERE and not named() else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """At the end of a run that covers this folder, list the adapters that were not run against a vendor's system."""
    covered = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    if not any(path == HERE or path in HERE.parents for path in covered):
        return
    left = [name for name in UNVERIFIED if name.lower() not in named()]
    if left:
        terminalreporter.write_line(
            "not verified against a vendor system: "
            + ", ".join(f"{name.lower()} (LIVE_{name})" for name in left)
            + "; see tests/live/README.md"
        )
