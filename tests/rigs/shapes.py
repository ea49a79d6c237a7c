"""The ground that our own stand-ins for vendors' systems stand on: a small HTTP server in a thread.

A stand-in answers in a vendor's documented shapes and is written by us from the same pages as the adapter; passing
against it proves that the adapter keeps its own word, and nothing about the vendor's system.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any

    def header(self, name: str) -> str:
        """A header by its name in any case; "" when it is not there."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), "")


@dataclass(frozen=True)
class Answer:
    """One answer; `body` is JSON, or text that is none."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class StandIn:
    """A server on a free loopback port that answers by `respond`. Used as a context.

    `lose`: the next requests for which it says yes are carried out and their answers lost. `fail`: answers given
    instead of the true ones, oldest first, each with the requests it is for. `asked`: every request so far.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.lose: Callable[[Asked], bool] | None = None
        self.fail: list[tuple[Callable[[Asked], bool], Answer]] = []
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                with contextlib.suppress(ConnectionError):
                    super().handle_one_request()

            def answer(self) -> None:
                outer.serve(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 the library's names

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 the library's name
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def respond(self, asked: Asked) -> Answer:
        """The true answer; each stand-in has its own."""
        raise NotImplementedError

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Read one request, do what it says, and answer, unless the answer is to be lost."""
        parts = urlsplit(handler.path)
        content = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        asked = Asked(
            handler.command,
            parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            dict(handler.headers.items()),
            json.loads(content) if content else None,
        )
        with self._lock:
            self.asked.append(asked)
            planned = next((one for one in self.fail if one[0](asked)), None)
            if planned is not None:
                self.fail.remove(planned)
            answer = planned[1] if planned is not None else self.respond(asked)
            lost = self.lose is not None and self.lose(asked)
        if lost:
            self.lose = None
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        body = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        sent = b"" if answer.body is None else body.encode()
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(sent)))
        handler.end_headers()
        handler.wfile.write(sent)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def working_day(ahead: int) -> str:
    """The first Monday to Friday so many days ahead or later, as a payload names it."""
    day = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=ahead)
    return (day + dt.timedelta(days=max(7 - day.weekday(), 0) if day.weekday() > 4 else 0)).isoformat()
