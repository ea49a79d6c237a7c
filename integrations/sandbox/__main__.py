"""Serve a sandbox: `python -m integrations.sandbox --port 0 --home DIR`.

Writes `port.json` (where it listens) and keeps `accounts.json` (logins and secrets, readable by its owner
only), `base.json` and `ledger.jsonl` in the home. The same home is the same plant again.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import sys
import threading
from pathlib import Path

from integrations.sandbox import seed
from integrations.sandbox.plant import SCOPES
from integrations.sandbox.server import Doors, Sandbox


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m integrations.sandbox", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder for its data")
    parser.add_argument("--port", type=int, default=0, help="port of the ERP; 0 asks the kernel")
    parser.add_argument("--control-port", type=int, default=0, help="port of its control; 0 asks the kernel")
    parser.add_argument("--seed", choices=sorted(seed.SEEDS), default="furniture", help="data of a new home")
    parser.add_argument("--orders", type=int, default=5000, help="production orders of a bulk seed")
    parser.add_argument("--fsync", action="store_true", help="force every ledger line to disk")
    given = parser.parse_args()
    given.home.mkdir(parents=True, exist_ok=True)
    base = seed.base(given.home, seed=given.seed, orders=given.orders)
    sandbox = Sandbox(given.home, _accounts(given.home), fsync=given.fsync, base=base)
    doors = Doors(sandbox, given.port, given.control_port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=doors.stop).start())
    _write(
        given.home / "port.json",
        {
            "port": doors.port,
            "control_port": doors.control_port,
            "url": f"http://127.0.0.1:{doors.port}",
            "control_url": f"http://127.0.0.1:{doors.control_port}",
            "pid": os.getpid(),
        },
    )
    print(json.dumps({"port": doors.port, "control_port": doors.control_port}), flush=True)  # noqa: T201 for callers
    doors.serve()
    sandbox.plant.close()
    (given.home / "port.json").unlink(missing_ok=True)
    sys.exit(0)


def _accounts(home: Path) -> dict[str, str]:
    path = home / "accounts.json"
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    if set(known) != set(SCOPES):
        known = {login: known.get(login) or secrets.token_urlsafe(24) for login in SCOPES}
        _write(path, known)
    return known


def _write(path: Path, content: dict[str, object] | dict[str, str]) -> None:
    """Put a file there whole, readable by its owner only."""
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(json.dumps(content))
    new.replace(path)


if __name__ == "__main__":
    main()
