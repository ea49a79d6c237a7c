"""What tests of processes share: which are left, and waiting for a fact."""

import time
from collections.abc import Callable
from pathlib import Path


def wait_until(fact: Callable[[], object], timeout: float = 20) -> None:
    """Wait until `fact()` is true, or fail."""
    deadline = time.monotonic() + timeout
    while not fact():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.05)


def alive(marker: str) -> list[str]:
    """Command lines of living processes, not zombies, with the marker in it or in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
            state = (process / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if state != "Z" and marker.encode() in command + environment:
            found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found
