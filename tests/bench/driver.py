"""The one who works: closed loops of propose, approve, wait, over plain sockets so that it costs little itself.

c loops at once, each with one agent's connection and one supervisor's. What becomes of a proposal is looked up by
one thread with one database connection for all loops: as the owner, so it is not counted as the console's.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import psycopg

HOST = "127.0.0.1"
PATIENCE_SECONDS = 60
LONGEST_HEAD = 65_536


class Http:
    """One HTTP/1.1 connection, kept open; a closed one is opened again."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._socket: socket.socket | None = None

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
    ) -> tuple[int, bytes]:
        """Status and body of the answer, which must have a length."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}:{self.port}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        raw = ("\r\n".join(lines) + "\r\n\r\n").encode() + body
        for last in (False, True):
            if self._socket is None:
                self._socket = socket.create_connection((HOST, self.port), timeout=PATIENCE_SECONDS)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                self._socket.sendall(raw)
                return self._answer(self._socket)
            except (ConnectionError, BrokenPipeError):
                self.close()
                if last:
                    raise
        raise ConnectionError("not reached")

    def _answer(self, stream: socket.socket) -> tuple[int, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = stream.recv(LONGEST_HEAD)
            if not piece:
                raise ConnectionResetError("the server hung up")
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        status = int(head[9:12])
        length = 0
        for line in head.lower().split(b"\r\n")[1:]:
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
            elif line.startswith(b"transfer-encoding:"):
                return status, self._chunks(stream, body)
        while len(body) < length:
            body += stream.recv(length - len(body))
        return status, body

    @staticmethod
    def _chunks(stream: socket.socket, data: bytes) -> bytes:
        body = b""
        while True:
            while b"\r\n" not in data:
                data += stream.recv(LONGEST_HEAD)
            size, _, data = data.partition(b"\r\n")
            wanted = int(size, 16) + 2
            while len(data) < wanted:
                data += stream.recv(LONGEST_HEAD)
            body, data = body + data[: wanted - 2], data[wanted:]
            if wanted == 2:
                return body

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Watch:
    """Tells loops what became of their proposals, by one statement every few milliseconds for all of them.

    `sql` takes an array of references and gives (reference, state, digest).
    """

    def __init__(self, url: str, sql: str, *, seconds: float) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self.backend = self._connection.info.backend_pid
        self._sql, self._seconds = sql, seconds
        self._waiting: dict[str, tuple[frozenset[str], threading.Event, list[str]]] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def wait(self, ref: str, *states: str) -> tuple[str, str]:
        """State and digest once it is in one of the states. RuntimeError when that takes too long."""
        event, told = threading.Event(), ["", ""]
        with self._lock:
            self._waiting[ref] = (frozenset(states), event, told)
        if not event.wait(PATIENCE_SECONDS):
            raise RuntimeError(f"{ref} did not become {' or '.join(states)}; it is {told[0] or 'unseen'}")
        return told[0], told[1]

    def close(self) -> None:
        """Stop looking."""
        self._ended.set()
        self._thread.join(5)
        self._connection.close()

    def _look(self) -> None:
        while not self._ended.wait(self._seconds):
            with self._lock:
                asked = list(self._waiting)
            if not asked:
                continue
            for ref, state, digest in self._connection.execute(self._sql, [asked]).fetchall():
                with self._lock:
                    states, event, told = self._waiting[ref]
                    told[:] = [state, digest or ""]
                    if state in states:
                        del self._waiting[ref]
                        event.set()


@dataclass
class Done:
    """What a run took: seconds in all, milliseconds of every call, references in order of completion."""

    works: int = 0
    seconds: float = 0.0
    propose_ms: list[float] = field(default_factory=list)
    approve_ms: list[float] = field(default_factory=list)
    refs: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Units of work per second."""
        return self.works / self.seconds if self.seconds else 0.0


Loop = Callable[[int, str], tuple[str, float, float]]
"""One unit of work: the loop's number and an order's key in; reference, ms to propose, ms to approve out."""


def run(loop: Loop, *, orders: Sequence[str], at_once: int, works: int, most_seconds: float) -> Done:
    """Do so many units of work, so many at once, each on an order of its own; stop early when time is up."""
    done = Done()
    taken: Iterator[str] = iter(orders[i % len(orders)] for i in range(works))
    lock = threading.Lock()
    deadline = time.monotonic() + most_seconds

    def work(number: int) -> None:
        while time.monotonic() < deadline:
            with lock:
                order = next(taken, None)
            if order is None:
                return
            try:
                ref, proposed, approved = loop(number, order)
            except (RuntimeError, OSError) as fault:
                with lock:
                    done.faults.append(str(fault)[:500])
                return
            with lock:
                done.refs.append(ref)
                done.propose_ms.append(proposed)
                done.approve_ms.append(approved)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(at_once)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.seconds, done.works = time.perf_counter() - began, len(done.refs)
    return done
