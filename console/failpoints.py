"""Named places where a test kills or stops the process. They do nothing unless the environment says so.

COUNTERSIGN_FAILPOINTS names a folder; the file `<folder>/<name>` holds what to do: "kill" ends the process with
SIGKILL, "stop" with SIGSTOP, and the file is removed first, so that it happens once. Refused in production.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

_FOLDER = os.environ.get("COUNTERSIGN_FAILPOINTS", "")

SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def reach(name: str) -> None:
    """Say that this place is reached."""
    if not _FOLDER or os.environ.get("COUNTERSIGN_MODE") != "test":
        return
    place = Path(_FOLDER) / name
    try:
        taken = place.with_suffix(f".{os.getpid()}")
        place.rename(taken)
    except OSError:
        return
    os.kill(os.getpid(), SIGNALS[taken.read_text().strip()])
