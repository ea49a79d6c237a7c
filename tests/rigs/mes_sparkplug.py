"""Starts Mosquitto with an access list, and Eclipse's Sparkplug client from npm as an edge node behind it.

Ours: the access list, the accounts, and what the edge node is told to publish. Not ours: broker and edge node.
"""

from __future__ import annotations

import getpass
import json
import queue
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.rigs import npm

START_SECONDS = 30
SECRETS = {
    "edge": "rig secret edge",
    "reader": "rig secret reader",
    "witness": "rig secret witness",
    "engineer": "rig secret engineer",
}
"""The edge node; our reader; one who sees everything; one who may send commands."""

ACCESS = """
user edge
topic write spBv1.0/Plant1/NBIRTH/#
topic write spBv1.0/Plant1/NDEATH/#
topic write spBv1.0/Plant1/NDATA/#
topic write spBv1.0/Plant1/DBIRTH/#
topic write spBv1.0/Plant1/DDATA/#
topic write spBv1.0/Plant1/DDEATH/#
topic read spBv1.0/Plant1/NCMD/#
topic read spBv1.0/Plant1/DCMD/#
user reader
topic read spBv1.0/Plant1/#
user witness
topic read #
user engineer
topic write spBv1.0/Plant1/DCMD/#
"""


class Broker:
    """A running Mosquitto."""

    def __init__(self, folder: Path, program: str, port: int, keys: Path | None) -> None:
        self.port = port
        self._command = [program, "-c", str(folder / "mosquitto.conf")]
        self._process: subprocess.Popen[bytes] | None = None
        accounts = folder / "accounts"
        accounts.write_text("")
        accounts.chmod(0o600)
        for name, secret in SECRETS.items():
            subprocess.run(
                [_program("mosquitto_passwd"), "-b", str(accounts), name, secret],
                check=True,
                capture_output=True,
            )
        (folder / "access").write_text(ACCESS)
        (folder / "access").chmod(0o600)
        (folder / "mosquitto.conf").write_text(
            f"listener {port} 127.0.0.1\n{_tls(keys)}allow_anonymous false\npassword_file {accounts}\n"
            f"acl_file {folder / 'access'}\npersistence false\nlog_dest none\nuser {getpass.getuser()}\n"
        )

    def start(self) -> None:
        """Start, and return when it listens."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, "Mosquitto ended"
            assert time.monotonic() < deadline, "Mosquitto does not listen"
            time.sleep(0.05)

    def stop(self) -> None:
        """End it. It may still publish the last wills of those it disconnects."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def die(self) -> None:
        """As by a power cut: it publishes nothing more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    @property
    def options(self) -> Mapping[str, Any]:
        """A connection's options for it."""
        return {"host": "127.0.0.1", "port": self.port, "tls": "none", "group": "Plant1", "beat": 1}

    def settings(self) -> tuple[dict[str, Any], dict[str, str]]:
        """The CONNECTIONS entry for it, and the secrets that it names."""
        entry = {
            "adapter": "integrations.sparkplug.adapter",
            "system": "line",
            "system_title": "Line 1",
            "title": "Line 1",
            "isa95_level": 3,
            "options": dict(self.options),
            "reader": {"login": "reader", "secret": "LINE_SECRET"},
        }
        return entry, {"LINE_SECRET": SECRETS["reader"]}


class Edge:
    """A running edge node. `commands` is every command that reached it."""

    def __init__(self, home: Path, port: int) -> None:
        self._command = [npm.node(), str(home / "edge.js"), str(port), SECRETS["edge"]]
        self._home = home
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self._process: subprocess.Popen[str] | None = None
        self.commands: list[dict[str, Any]] = []

    def start(self) -> None:
        """Start, and return when its node is born."""
        self._process = subprocess.Popen(
            self._command, cwd=self._home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._hear, args=(self._process,), daemon=True).start()
        self._wait("up")

    def _hear(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                told = json.loads(line)
                if "command" in told:
                    self.commands.append(told)
                else:
                    self._lines.put(told)

    def _wait(self, word: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"the edge node never said {word!r}") from None
            assert "error" not in line, line
            if word in line:
                return

    def tell(self, **told: Any) -> None:
        """Publish: birth={name: [type, value]}, data={...}, ddeath, skip, rebirth, alias, historical, quality, at."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        self._wait("done")

    def die(self) -> None:
        """As by a power cut: the broker publishes its last will."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)
            if self._process.stdin is not None:
                self._process.stdin.close()


@contextmanager
def broker(folder: Path, port: int, keys: Path | None = None) -> Iterator[Broker]:
    """Mosquitto on this port; with `keys`, a folder with server.crt and server.pem, it speaks TLS only."""
    one = Broker(folder, _program("mosquitto"), port, keys)
    one.start()
    try:
        yield one
    finally:
        one.stop()


@contextmanager
def edge(of: Broker) -> Iterator[Edge]:
    """An edge node, born."""
    one = Edge(npm.installed("sparkplug"), of.port)
    one.start()
    try:
        yield one
    finally:
        one.die()


def _program(name: str) -> str:
    """Where this program of Mosquitto is; not everybody has the system's folders on their path."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if found is None:
        npm.missing("Mosquitto", "install it (apt-get install mosquitto)")
    return found


def _tls(keys: Path | None) -> str:
    return "" if keys is None else f"certfile {keys / 'server.crt'}\nkeyfile {keys / 'server.pem'}\n"
