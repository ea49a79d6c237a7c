"""Tryton's own Python environment, from the hashed lock beside it; made once, again when the lock changes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"


class InstallError(RuntimeError):
    """The environment could not be made; the message says where the log is."""


def _uv() -> str | None:
    beside = Path(sys.executable).with_name("uv")
    return shutil.which("uv") or (str(beside) if beside.exists() else None)


def ensure(venv: Path, log: Path) -> Path:
    """Gives the environment's Python, installing what the lock names if it is not there yet.

    Raises:
        InstallError: neither uv nor pip could install the lock.
    """
    python = venv / "bin" / "python"
    stamp = venv / ("lock-" + hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:16])
    if stamp.exists() and python.exists():
        return python
    shutil.rmtree(venv, ignore_errors=True)
    uv = _uv()
    attempts: list[list[list[str]]] = []
    if uv:
        install = [
            uv,
            "pip",
            "install",
            "--quiet",
            "--python",
            str(python),
            "--require-hashes",
            "-r",
            str(LOCK),
        ]
        attempts.append([[uv, "venv", "--quiet", "--python", sys.executable, str(venv)], install])
    pip = ["install", "--quiet", "--no-deps", "--no-compile", "--require-hashes", "-r", str(LOCK)]
    attempts.append([[sys.executable, "-m", "venv", str(venv)], [str(python), "-m", "pip", *pip]])
    # Debian packs ensurepip apart: the caller's pip can still install into an environment without one.
    bare = [sys.executable, "-m", "venv", "--without-pip", str(venv)]
    attempts.append([bare, [sys.executable, "-m", "pip", "--python", str(python), *pip]])
    variables = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    for attempt in attempts:
        with log.open("ab") as output:
            if all(_runs(command, output.fileno(), variables) for command in attempt):
                stamp.touch()
                return python
        shutil.rmtree(venv, ignore_errors=True)
    raise InstallError(f"Tryton could not be installed; see {log}.")


def _runs(command: list[str], output: int, variables: dict[str, str]) -> bool:
    done = subprocess.run(command, check=False, stdout=output, stderr=output, env=variables)
    return done.returncode == 0
