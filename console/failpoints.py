"""Named places where a test kills or stops the process. They do nothing unless the environment says so.

COUNTERSIGN_FAILPOINTS names a folder; the file `<folder>/<name>` holds what to do: "kill" ends the process with
SIGKILL, "stop" with SIGSTOP, and the file is renamed to `<name>.<pid>` first, so that it happens once. A number
after the word lets the place be passed before: "kill 3" is the third time. Only in test mode.

S0 an approval is about to be committed · S1 a bell is about to be rung · S2 a worker heard it · S4 it looked at
the record · S3 its claim is about to be committed · S5 it is · S6 a step is about to be noted · S6b it is, no
byte has left · S8 the system's answer arrived · S9 the answer is stored · R1 the system is about to be asked ·
R2 it answered · S10 the task is done and not yet acknowledged. Between S6b and S8 the bytes are with the system.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def reach(name: str) -> None:
    """Say that this place is reached."""
    folder = os.environ.get("COUNTERSIGN_FAILPOINTS")
    if not folder or os.environ.get("COUNTERSIGN_MODE") != "test":
        return
    place = Path(folder) / name
    try:
        what, _, times = place.read_text().strip().partition(" ")
    except OSError:
        return
    if times and int(times) > 1:
        place.write_text(f"{what} {int(times) - 1}")
        return
    place.rename(place.with_suffix(f".{os.getpid()}"))
    os.kill(os.getpid(), SIGNALS[what])
