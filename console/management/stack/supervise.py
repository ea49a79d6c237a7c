"""A small supervisor: start in order, keep logs, bring back what died, stop in reverse, leave nothing behind.

Every child has a session of its own, so Ctrl-C reaches only the supervisor, which then stops them in order.
On Linux a child is told to end when the supervisor ends, even by `kill -9`. Standard library only.
"""

import contextlib
import functools
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from console.management.stack.postgres import die_with_parent

# What a person at the terminal must see; everything else is in the log file.
IMPORTANT = re.compile(r"\b(ERROR|CRITICAL|FATAL|PANIC)\b")
MAX_STARTS = 5
CALM_SECONDS = 60.0
LAST_LINES = 20


@dataclass
class Child:
    """One process to keep alive.

    Attributes:
        name: shown to people, and the name of its log file.
        launch: starts it and gives the process; called again after it died.
        stop_signal: what asks it to end.
        grace: seconds it may take for that.
        restart: bring it back when it ends by itself. False for work that ends.
        essential: everything ends when it cannot be kept alive. False: the rest goes on without it.
    """

    name: str
    launch: Callable[[], subprocess.Popen[bytes]]
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 10.0
    restart: bool = True
    essential: bool = True
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    starts: int = field(default=0, init=False)
    since: float = field(default=0.0, init=False)
    finished: bool = field(default=False, init=False)

    def start(self) -> None:
        """Launch it, from the main thread: its life is tied to the thread that starts it."""
        self.starts += 1
        self.since = time.monotonic()
        self.process = self.launch()

    def stop(self) -> None:
        """Ask it to end, wait for its grace, then end whatever is left of its process group."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(self.grace)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Supervisor:
    """Keeps children until it is told to stop.

    Args:
        logs: folder for `<name>.log`.
        say: prints one line for the person at the terminal.
    """

    def __init__(self, logs: Path, say: Callable[[str], None]) -> None:
        self.logs, self.say = logs, say
        self.children: list[Child] = []
        self.stopping = threading.Event()
        self.why = ""
        logs.mkdir(parents=True, exist_ok=True)

    def install_signals(self) -> None:
        """Let SIGINT, SIGTERM and SIGHUP ask for an orderly end; a second one changes nothing."""

        def ask(number: int, _: FrameType | None) -> None:
            self.why = self.why or signal.Signals(number).name
            self.stopping.set()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, ask)

    def add(self, child: Child) -> Child:
        """Start a child; the later it was added, the earlier it is stopped."""
        child.start()
        self.children.append(child)
        return child

    def run(
        self,
        name: str,
        command: Sequence[str | Path],
        env: Mapping[str, str],
        *,
        grace: float = 10.0,
        restart: bool = True,
        essential: bool = True,
        aloud: bool = False,
    ) -> Child:
        """Add a child by its command line; its output goes to its log, important lines (`aloud`: all) to the person."""
        launch = functools.partial(self._spawn, name, [str(word) for word in command], dict(env), aloud=aloud)
        return self.add(Child(name, launch, grace=grace, restart=restart, essential=essential))

    def _spawn(
        self, name: str, command: list[str], env: dict[str, str], *, aloud: bool
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=functools.partial(die_with_parent, signal.SIGTERM),  # noqa: PLW1509
        )
        threading.Thread(target=self._write_log, args=(name, process, aloud), daemon=True).start()
        return process

    def _write_log(self, name: str, process: subprocess.Popen[bytes], aloud: bool) -> None:
        if process.stdout is None:
            return
        with process.stdout as lines, (self.logs / f"{name}.log").open("ab", buffering=0) as log:
            for line in lines:
                log.write(line)
                text = line.decode(errors="replace").rstrip()
                if aloud or IMPORTANT.search(text):
                    self.say(f"{name}: {text[:300]}")

    def watch(self, every: Callable[[], None] | None = None) -> int:
        """Bring back what dies, with growing pauses, until told to stop. Gives the exit status.

        An essential child that ends five times, each within a minute, ends everything: something is wrong
        with it that a restart does not cure. `every` is called a few times a second, between looks.
        """
        while not self.stopping.wait(0.25):
            for child in self.children:
                if not self._look_after(child):
                    return 1
            if every is not None:
                every()
        return 0

    def _look_after(self, child: Child) -> bool:
        if child.finished or child.process is None or child.process.poll() is None:
            return True
        status = child.process.returncode
        if not child.restart:
            child.finished = True
            if status:
                self.say(f"{child.name} ended with {status}; see {self.logs / child.name}.log")
            return True
        if time.monotonic() - child.since > CALM_SECONDS:
            child.starts = 0
        if child.starts >= MAX_STARTS:
            why = f"{child.name} ended with {status} again and again; see {self.logs / child.name}.log"
            if not child.essential:
                child.finished = True
                self.say(why)
                return True
            self.why = why
            self.stopping.set()
            return False
        self.say(f"{child.name} ended with {status}; starting it again")
        self.stopping.wait(min(0.5 * 2 ** (child.starts - 1), 8.0) if child.starts else 0.1)
        if not self.stopping.is_set():
            child.start()
        return True

    def restart(self, *names: str) -> None:
        """Stop and start these children, so that they read their settings anew."""
        for child in self.children:
            if child.name in names:
                child.stop()
                child.starts = 0
                child.start()

    def stop(self) -> None:
        """Stop all children, the last one added first."""
        for child in reversed(self.children):
            child.stop()

    def last_words(self, name: str) -> str:
        """The last lines of a child's log."""
        try:
            lines = (self.logs / f"{name}.log").read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join(lines[-LAST_LINES:])
