"""Installs the npm packages of a rig, once, outside the checkout's tracked files.

A rig is a folder beside this file with a `package.json` and a `package-lock.json`. Its packages go to
`var/rigs/<name>-<hash of both>`, which git ignores; workers of pytest-xdist wait for each other by a file lock.
Without Node the test is skipped with a reason, or fails where REQUIRE_RIGS=1 says that rigs must be there.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
INSTALL_SECONDS = 600


def missing(what: str, needs: str) -> NoReturn:
    """Skip this test because a program is not there; fail where REQUIRE_RIGS=1 demands it."""
    reason = f"{what} is missing: {needs}"
    if os.environ.get("REQUIRE_RIGS") == "1":
        pytest.fail(f"REQUIRE_RIGS=1 and {reason}")
    pytest.skip(reason)


def node() -> str:
    """The path of Node."""
    found = shutil.which("node")
    if found is None or shutil.which("npm") is None:
        missing("Node with npm", "install Node 20 or later (apt-get install nodejs npm)")
    return found


def installed(name: str) -> Path:
    """The folder in which the rig's packages and its own files are; installs them when they are not there yet."""
    node()
    source = HERE / name
    files = sorted(path for path in source.iterdir() if path.is_file())
    key = hashlib.sha256(b"".join((source / n).read_bytes() for n in ("package.json", "package-lock.json")))
    home = ROOT / "var" / "rigs" / f"{name}-{key.hexdigest()[:12]}"
    home.mkdir(parents=True, exist_ok=True)
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / ".done").exists():
            for file in ("package.json", "package-lock.json"):
                shutil.copy2(source / file, home / file)
            done = subprocess.run(
                ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],  # noqa: S607
                cwd=home,
                timeout=INSTALL_SECONDS,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                missing(f"the npm packages of the rig {name}", f"npm ci failed: {done.stderr[-400:]}")
            (home / ".done").touch()
        for path in files:
            if not (home / path.name).exists() or (home / path.name).read_bytes() != path.read_bytes():
                shutil.copy2(path, home / path.name)
    return home
