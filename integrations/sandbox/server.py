"""The sandbox's two doors: the ERP itself, and the control by which tests tell it what to do.

They listen on ports of their own, so that the ERP can be down while its control answers. Both are plain
HTTP/1.1 with keep-alive on the loopback interface.

The file is long because both doors share one way of speaking HTTP and of failing at it.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime as dt
import hmac
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from integrations.sandbox import reports, seed
from integrations.sandbox.faults import AFTER, Faults, Rule
from integrations.sandbox.plant import OPERATIONS, SCOPES, Doc, Plant, Refused

VERSION = "1"
LARGEST_BODY = 2_000_000
CALLS_KEPT = 20_000

STATUS: Mapping[str, tuple[int, str, str]] = {
    "unavailable": (503, "unavailable", "The system is being maintained."),
    "rate_limited": (429, "rate_limited", "Too many calls; wait."),
    "unauthorised": (401, "unauthorised", "The account is not known, or its secret is wrong."),
    "forbidden": (403, "out_of_scope", "This account may not do this."),
    "reject": (422, "rejected", "The period is closed."),
    "needs_person": (409, "needs_person", "The credit limit is exceeded. Accept?"),
}


class Sandbox:
    """One sandbox: its plant, its accounts, its faults, and the journal of calls."""

    def __init__(
        self, home: Path, secrets: Mapping[str, str], *, fsync: bool, base: Mapping[str, Any]
    ) -> None:
        self.home, self.secrets, self.fsync = home, secrets, fsync
        self.scopes: dict[str, dict[str, list[str]]] = {name: dict(may) for name, may in SCOPES.items()}
        self.faults = Faults()
        self.calls: deque[Doc] = deque(maxlen=CALLS_KEPT)
        self.plant = Plant(home, base, fsync=fsync)
        self._known: dict[str, str] = {}

    def reset(self, base: Mapping[str, Any]) -> None:
        """Forget every effect, fault and call; keep the old ledger under another name."""
        with self.plant.lock:
            self.plant.close()
            ledger = self.home / "ledger.jsonl"
            if ledger.stat().st_size:
                ledger.replace(self.home / f"ledger.{time.time_ns()}.jsonl")
            else:
                ledger.unlink()
            self.plant = Plant(self.home, base, fsync=self.fsync)
        self.scopes = {name: dict(may) for name, may in SCOPES.items()}
        self.faults.clear()
        self.calls.clear()

    def account(self, authorization: str) -> str:
        """The login a Basic authorization proves. Refused `unauthorised`."""
        if login := self._known.get(authorization):
            return login
        scheme, _, coded = authorization.partition(" ")
        with contextlib.suppress(ValueError, binascii.Error):
            login, _, secret = base64.b64decode(coded).decode().partition(":")
            known = self.secrets.get(login, "")
            if scheme == "Basic" and known and hmac.compare_digest(known.encode(), secret.encode()):
                self._known[authorization] = login
                return login
        raise Refused("unauthorised", "The account is not known, or its secret is wrong.", 401)


class Handler(BaseHTTPRequestHandler):
    """What both doors share: reading a request, and answering in one piece."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    sandbox: ClassVar[Sandbox]

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the library's name
        """Say nothing: calls are in the journal, effects in the ledger."""

    def body(self) -> Doc:
        """The JSON object of the request, {} without one."""
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 <= length <= LARGEST_BODY:
            self.close_connection = True
            raise Refused("bad_request", "The request is too large.", 413)
        try:
            found = json.loads(self.rfile.read(length) or b"{}")
        except ValueError:
            raise Refused("bad_request", "The request is not JSON.", 400) from None
        if not isinstance(found, dict):
            raise Refused("bad_request", "The request is not a JSON object.", 400)
        return found

    def answer(self, status: int, content: Any, *, headers: Mapping[str, str] | None = None) -> None:
        """Send an answer as JSON."""
        raw = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)
        self.wfile.flush()

    def refuse(self, no: Refused, *, headers: Mapping[str, str] | None = None) -> None:
        """Send a refusal."""
        self.answer(no.status, {"error": {"code": no.code, "message": no.text, **no.more}}, headers=headers)

    def version_string(self) -> str:
        """Name the program only."""
        return "sandbox"


class ErpHandler(Handler):
    """The ERP: reads by GET, writes by POST, each under an account."""

    def do_GET(self) -> None:
        """Answer a read."""
        self._serve(writes=False)

    def do_POST(self) -> None:
        """Do a write."""
        self._serve(writes=True)

    def _serve(self, *, writes: bool) -> None:
        box = self.sandbox
        url = urlsplit(self.path)
        operation = url.path.removeprefix("/api/")
        step = self.headers.get("Step", "")
        call: Doc = {"operation": operation, "step": step, "reference": self.headers.get("Reference", "")}
        call |= {"account": "", "at": time.time(), "seconds": 0.0, "status": 0, "fault": ""}
        box.calls.append(call)
        try:
            self._serve_call(call, operation, step, url.query, writes=writes)
        finally:
            call["seconds"] = time.time() - call["at"]

    def _serve_call(self, call: Doc, operation: str, step: str, query: str, *, writes: bool) -> None:
        box = self.sandbox
        try:
            body = self.body()
            call["account"] = login = box.account(self.headers.get("Authorization", ""))
            rule = box.faults.take(self._called(operation, step), writes=writes, step=step, account=login)
            call["fault"] = rule.kind if rule else ""
            if rule and self._fail_before(rule):
                return
            box.plant.read_lag = rule.seconds if rule and rule.kind == "stale_reads" else 0.0
            content = (
                self._write(operation, body, login, rule) if writes else self._read(operation, query, login)
            )
        except Refused as no:
            call["status"] = no.status
            self.refuse(no)
            return
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError):
            call["status"] = 422
            self.refuse(Refused("rejected", "The request lacks something, or has it in a wrong form.", 422))
            return
        call["status"] = 200
        if rule and rule.kind in AFTER:
            self._fail_after(rule, content)
        else:
            self.answer(200, content)

    def _called(self, operation: str, step: str) -> str:
        """The operation as fault rules name it: a rehearsal or a probe is not the write it looks like."""
        return "rehearse" if self.headers.get("Rehearse") else "probe" if step == "probe" else operation

    def _write(self, operation: str, body: Doc, login: str, rule: Rule | None) -> Doc:
        if operation not in OPERATIONS:
            raise Refused("not_found", f"There is no operation {operation}.", 404)
        names = ("Reference", "Step", "Rehearse")
        return self.sandbox.plant.write(
            operation,
            body,
            account=login,
            scopes=self.sandbox.scopes.get(login, {}),
            headers={
                **{name.lower(): self.headers.get(name, "") for name in names},
                "key": self.headers.get("Idempotency-Key", ""),
            },
            fault=rule.kind if rule else "",
            keep=rule.keep if rule else None,
        )

    def _read(self, operation: str, query: str, login: str) -> Doc:
        given = {name: values[0] for name, values in parse_qs(query).items()}
        plant = self.sandbox.plant
        if operation == "me":
            scopes = self.sandbox.scopes.get(login, {}) if plant.check_scopes else "all"
            return {"login": login, "scopes": scopes, "name": "Sandbox ERP", "version": VERSION}
        if operation not in reports.READS:
            raise Refused("not_found", f"There is no read {operation}.", 404)
        with plant.lock:
            return reports.READS[operation](plant, {**given, "login": login})

    def _fail_before(self, rule: Rule) -> bool:
        """Fail without an effect; False when the call shall go on."""
        if rule.kind == "slow":
            time.sleep(rule.seconds)
            return False
        if rule.kind in {"timeout_before_effect", "reset_before_effect"}:
            self._hang_up(rule.seconds if rule.kind == "timeout_before_effect" else 0)
            return True
        if rule.kind in STATUS:
            status, code, text = STATUS[rule.kind]
            wait = {"Retry-After": str(int(rule.seconds))} if status in {429, 503} else None
            self.refuse(Refused(code, rule.message or text, status), headers=wait)
            return True
        return False

    def _fail_after(self, rule: Rule, content: Doc) -> None:
        """The effect is true; the answer is lost, broken or wrong."""
        raw = json.dumps(content).encode()
        match rule.kind:
            case "timeout_after_effect":
                self._hang_up(rule.seconds)
            case "reset_after_effect":
                self._hang_up(0)
            case "cut_after_effect":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Ty")
                self.wfile.flush()
                self._hang_up(0)
            case "truncated_body":
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw[: len(raw) // 2])
                self.wfile.flush()
                self.close_connection = True
            case "error_after_effect":
                self.answer(
                    500, {"error": {"code": "internal", "message": rule.message or "Something broke."}}
                )
            case "wrong_body":
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", "19")
                self.end_headers()
                self.wfile.write(b"<html>proxy</html>\n")
            case _:
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

    def _hang_up(self, seconds: float) -> None:
        """Keep silent, then reset the connection. Ends early when the sandbox goes down."""
        self.close_connection = True
        deadline = time.monotonic() + seconds
        server = self.server
        while time.monotonic() < deadline and not getattr(server, "is_down", False):
            self.connection.settimeout(max(min(deadline - time.monotonic(), 0.2), 0.001))
            try:
                if self.connection.recv(1, socket.MSG_PEEK) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


class ErpServer(ThreadingHTTPServer):
    """The ERP's listener, which can go down and take its connections with it."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], handler: type[Handler]) -> None:
        self.is_down = False
        self._open: set[socket.socket] = set()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, to cut it when going down."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left is no news."""

    def go_down(self) -> None:
        """Refuse connections and cut those there are."""
        self.is_down = True
        self.shutdown()
        self.server_close()
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


class ControlHandler(Handler):
    """The control: what to fail at, what to change behind everybody's back, and what happened."""

    doors: ClassVar[Doors]

    def do_GET(self) -> None:
        """Tell the ledger, the calls, a record or the rules."""
        box = self.sandbox
        path = unquote(urlsplit(self.path).path)
        with box.plant.lock:
            if path == "/control/ledger":
                self.answer(200, box.plant.ledger)
            elif path == "/control/calls":
                self.answer(200, list(box.calls))
            elif path == "/control/rules":
                self.answer(200, [vars(rule) for rule in box.faults.rules])
            elif path.startswith("/control/records/"):
                self.answer(200, box.plant.records.get(path.removeprefix("/control/records/")))
            else:
                self.answer(404, {"error": {"code": "not_found", "message": f"There is no {path}."}})

    def do_DELETE(self) -> None:
        """Be well again."""
        self.sandbox.faults.clear()
        self.answer(200, {})

    def do_POST(self) -> None:
        """Do what a test asks for."""
        try:
            self.answer(200, self._told(urlsplit(self.path).path, self.body()))
        except Refused as no:
            self.refuse(no)
        except (KeyError, TypeError, ValueError) as wrong:
            self.refuse(Refused("bad_request", str(wrong), 400))

    def _told(self, path: str, body: Doc) -> Any:
        box = self.sandbox
        verbs: Mapping[str, Callable[[], Any]] = {
            "/control/rules": lambda: vars(box.faults.add(**body)),
            "/control/edit": lambda: box.plant.edit(
                body["record"], body["values"], body.get("account", "someone")
            ),
            "/control/vanish": lambda: box.plant.vanish(body["record"]),
            "/control/accounts": lambda: box.scopes[body["login"]].update(body["scopes"]),
            "/control/configure": lambda: self._configure(**body),
            "/control/down": self.doors.down,
            "/control/up": self.doors.up,
            "/control/reset": lambda: self._reset(body),
        }
        if path not in verbs:
            raise Refused("not_found", f"There is no {path}.", 404)
        return verbs[path]()

    def _reset(self, body: Doc) -> None:
        self.doors.up()
        self.sandbox.reset(seed.base(self.sandbox.home, **body))

    def _configure(
        self,
        *,
        check_stamps: bool | None = None,
        check_scopes: bool | None = None,
        clock_offset: float | None = None,
    ) -> None:
        plant = self.sandbox.plant
        if check_stamps is not None:
            plant.check_stamps = check_stamps
        if check_scopes is not None:
            plant.check_scopes = check_scopes
        if clock_offset is not None:
            plant.clock_offset = dt.timedelta(seconds=clock_offset)


class Doors:
    """Both listeners. The ERP's can be closed and opened again on the same port."""

    def __init__(self, sandbox: Sandbox, port: int, control_port: int) -> None:
        self._erp_handler = type("BoundErpHandler", (ErpHandler,), {"sandbox": sandbox})
        control = type("BoundControlHandler", (ControlHandler,), {"sandbox": sandbox, "doors": self})
        self._erp: ErpServer | None = ErpServer(("127.0.0.1", port), self._erp_handler)
        self.port: int = self._erp.server_address[1]
        self.control = ErpServer(("127.0.0.1", control_port), control)
        self.control_port: int = self.control.server_address[1]
        self._lock = threading.Lock()

    def serve(self) -> None:
        """Serve until `stop`, the control in this thread."""
        self._start()
        self.control.serve_forever(poll_interval=0.05)

    def _start(self) -> None:
        if self._erp is not None:
            threading.Thread(target=self._erp.serve_forever, args=(0.05,), daemon=True).start()

    def down(self) -> None:
        """The ERP is not there: connections are refused, open ones are cut."""
        with self._lock:
            if self._erp is not None:
                self._erp.go_down()
                self._erp = None

    def up(self) -> None:
        """The ERP is there again, on its old port."""
        with self._lock:
            if self._erp is None:
                self._erp = ErpServer(("127.0.0.1", self.port), self._erp_handler)
                self._start()

    def stop(self) -> None:
        """End `serve`, from another thread."""
        self.down()
        self.control.shutdown()
