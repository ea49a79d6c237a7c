"""What a plant's collector is to us: an OTLP receiver over HTTP, on a port of its own, that keeps what it is sent."""

from __future__ import annotations

import http.server
import threading
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Seen:
    """One span as it came in. `trace`, `id`, `parent` in hexadecimal; `links` are (trace, id)."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    said: dict[str, Any]
    links: tuple[tuple[str, str], ...]
    failed: bool
    status_text: str
    events: int
    seconds: float


@dataclass
class Collector:
    """Begins to listen at `open`; until then its port is free, and nobody answers there."""

    port: int
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    _server: http.server.ThreadingHTTPServer | None = None

    def open(self) -> None:
        """Take what is sent from now on."""
        kept = self

        class Door(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                kept.headers.append({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
                kept.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Door)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def spans(self) -> list[Seen]:
        """Everything that came in."""
        found = []
        for body in self.bodies:
            for of_service in ExportTraceServiceRequest.FromString(body).resource_spans:
                told = {one.key: _value(one.value) for one in of_service.resource.attributes}
                for scope in of_service.scope_spans:
                    found += [_seen(str(told["service.name"]), span) for span in scope.spans]
        return found


def _seen(service: str, span: Any) -> Seen:
    return Seen(
        service=service,
        name=span.name,
        kind=type(span).SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        said={one.key: _value(one.value) for one in span.attributes},
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        failed=span.status.code == 2,
        status_text=span.status.message,
        events=len(span.events),
        seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
    )


def _value(told: Any) -> Any:
    return getattr(told, told.WhichOneof("value"))
