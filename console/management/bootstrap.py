"""Make `.venv` from a lock with hashes, again only when the lock or Python changed; then run a command in it.

    python3 console/management/bootstrap.py requirements.lock -- manage.py demo

Needs Python 3.11 with pip, and nothing else: it imports only the standard library and is run as a script.
uv does the installing where it is, or can be installed; otherwise pip does, with the same lock.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
OLDEST = (3, 11)
# uv does not read pip's configuration: where pip is told to use a mirror or none, pip installs.
OWN_INDEX = ("index-url", "find-links", "no-index", "proxy")


def _run(*command: str | Path, quiet: bool = False, **variables: str) -> int:
    output = subprocess.DEVNULL if quiet else None
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables}
    return subprocess.run(command, check=False, env=environment, stdout=output, stderr=output).returncode


def _pip() -> list[str | Path]:
    """The venv's pip, or the caller's aimed at the venv: Debian packs ensurepip apart."""
    if _run(PYTHON, "-m", "pip", "--version", quiet=True) == 0:
        return [PYTHON, "-m", "pip"]
    return [sys.executable, "-m", "pip", "--python", PYTHON]


def _pip_has_its_own_index() -> bool:
    listing = subprocess.run([*_pip(), "config", "list"], check=False, capture_output=True, text=True).stdout
    for line in listing.splitlines():
        name, _, value = line.partition("=")
        if value.strip("'\" ") and any(option in name for option in OWN_INDEX):
            return True
    return False


def _find_uv() -> str | Path | None:
    if found := shutil.which("uv"):
        return found
    if os.environ.get("NO_UV") or _pip_has_its_own_index():
        return None
    options = ("install", "--quiet", "--no-compile", "--only-binary", ":all:", "uv>=0.9")
    return VENV / "bin" / "uv" if _run(*_pip(), *options, quiet=True) == 0 else None


def install(lock: Path) -> str:
    """Install what the lock names, checking every hash; gives the name of the program that did it."""
    uv = _find_uv()
    if uv:
        command = (uv, "pip", "install", "--quiet", "--require-hashes", "-p", PYTHON, "-r", lock)
        # Trust what the system trusts, as pip does; where uv fails, pip says what is wrong.
        if _run(*command, quiet=True, UV_NO_CONFIG="1", UV_SYSTEM_CERTS="1") == 0:
            return "uv"
    if _run(*_pip(), "install", "--quiet", "--no-compile", "--no-deps", "--require-hashes", "-r", lock):
        raise SystemExit("Installing the dependencies failed, see above. Nothing was started.")
    return "pip"


def ensure(lock: Path) -> None:
    """Bring `.venv` to what the lock says; quick when it already is."""
    if sys.version_info < OLDEST:
        raise SystemExit(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}.")
    state = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:16]
    stamp = VENV / f".{lock.stem}-{state}"
    if stamp.exists() and PYTHON.exists():
        return
    started = time.monotonic()
    print("Setting up .venv, once ...", flush=True)
    if not PYTHON.exists() and _run(sys.executable, "-m", "venv", "--without-pip", VENV):
        raise SystemExit("python3 -m venv --without-pip failed, see above.")
    program = install(lock)
    for older in VENV.glob(f".{lock.stem}-*"):
        older.unlink()
    stamp.touch()
    print(f"... done with {program} in {time.monotonic() - started:.0f} s.", flush=True)


def main() -> NoReturn:
    """`bootstrap.py LOCK [-- ARGUMENTS OF PYTHON]`: ensure, then become that Python."""
    if len(sys.argv) < 2:  # noqa: PLR2004
        raise SystemExit("usage: bootstrap.py LOCK [-- ARGUMENTS OF PYTHON]")
    ensure(ROOT / sys.argv[1])
    if "--" not in sys.argv:
        raise SystemExit(0)
    os.environ.pop("__PYVENV_LAUNCHER__", None)
    os.execv(PYTHON, [str(PYTHON), *sys.argv[sys.argv.index("--") + 1 :]])  # noqa: S606


if __name__ == "__main__":
    main()
