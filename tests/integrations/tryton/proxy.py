"""A small proxy before Tryton that can lose the answer to the next write, after Tryton has carried it out."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx

_WRITES = ("write", "create", "delete", "draft", "wait", "quote", "validate_amendment")


class Proxy:
    """Forwards to `url`. `losing()` is the time in which answers to writes are lost."""

    def __init__(self, url: str) -> None:
        self.target = url
        self.losing_answers = False
        self._upstream = httpx.Client(timeout=60, trust_env=False)
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                kept = {
                    name: self.headers[name]
                    for name in ("Authorization", "Content-Type")
                    if self.headers[name]
                }
                answer = proxy._upstream.post(proxy.target + self.path, content=body, headers=kept)
                if proxy.losing_answers and json.loads(body)["method"].rpartition(".")[2] in _WRITES:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(answer.status_code)
                self.send_header("Content-Type", answer.headers.get("Content-Type", "text/plain"))
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def log_message(self, *_: Any) -> None:
                """Tests are quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @contextlib.contextmanager
    def losing(self) -> Iterator[None]:
        """In here answers to writes do not arrive."""
        self.losing_answers = True
        try:
            yield
        finally:
            self.losing_answers = False

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._upstream.close()
