"""Starts the OPC UA server of `opcua/server.py` and tells it what to say; hears what it saw."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.rigs import npm
from tests.sandbox import ROOT

LOGIN, SECRET = "floor-reader", "rig secret floor"
START_SECONDS = 60


class Mes:
    """A running server. `seen` is what anybody called, wrote or asked, oldest first."""

    def __init__(self, nodeset: Path, port: int, flags: Sequence[str]) -> None:
        self.port, self.seen = port, list[dict[str, Any]]()
        self._command = [
            sys.executable,
            str(ROOT / "tests/rigs/opcua/server.py"),
            str(nodeset),
            str(port),
            *flags,
        ]
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self._process: subprocess.Popen[str] | None = None
        self._told: dict[str, Any] = {}

    def start(self) -> None:
        """Start, or start again on the same port, and return when it answers."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        threading.Thread(target=self._hear, args=(self._process,), daemon=True).start()
        self._wait("up")

    def _hear(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._lines.put(json.loads(line))

    def _wait(self, word: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"the OPC UA server never said {word!r}") from None
            if word in line:
                return
            self.seen.append(line)

    def tell(self, **told: Any) -> None:
        """Say this from now on: jobs={id: [[number, text], ...]}, responses=[...], status, age, ahead, strange."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        self._wait("done")

    def was_asked_to(self) -> list[dict[str, Any]]:
        """What it saw up to now that was more than reading."""
        while not self._lines.empty():
            self.seen.append(self._lines.get())
        return [one for one in self.seen if "called" in one or "wrote" in one]

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            if self._process.stdin is not None:
                self._process.stdin.close()

    @property
    def options(self) -> Mapping[str, Any]:
        """A connection's options for it."""
        return {"url": f"opc.tcp://127.0.0.1:{self.port}/mes/", "security": "none", "beat": 1, "timeout": 5}

    def settings(self) -> tuple[dict[str, Any], dict[str, str]]:
        """The CONNECTIONS entry for it, and the secrets that it names."""
        entry = {
            "adapter": "integrations.opcua.adapter",
            "system": "mes",
            "system_title": "Floor MES",
            "title": "Floor",
            "isa95_level": 3,
            "options": dict(self.options),
            "reader": {"login": LOGIN, "secret": "FLOOR_SECRET"},
        }
        return entry, {"FLOOR_SECRET": SECRET}


@contextmanager
def mes(port: int, *flags: str) -> Iterator[Mes]:
    """A server on this port; `no-list` leaves out JobOrderResponseList, so that responses must be asked for."""
    home = npm.installed("opcua")
    nodeset = home / "node_modules/node-opcua-nodesets/nodesets/opc.ua.isa95-jobcontrol.nodeset2.xml"
    one = Mes(nodeset, port, flags)
    one.start()
    try:
        yield one
    finally:
        one.kill()
