"""A connection by every shipped adapter, with secrets planted in it, and a server that tells everything back.

`ENTRIES` has one way or more for each adapter that `integrations` ships: what a connection by it looks like, with every
secret that it can take. Each is made three times: where nothing listens, at the server that tells everything back, and
with secrets that are not what the adapter needs.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from integrations.connect import adapter

MARK = "CANARY-do-not-tell-anybody-"
"""How every planted secret begins; a part of one is found as well."""

MIDDLE = "CANARY-sings-of-"
"""What stands before the part that no two have in common."""

TAIL = "-nor-this-end-of-the-CANARY"
"""How it ends."""

CLOSED = 9
"""Nothing listens on the discard port."""

AWKWARD = "\"\\/&<'>%+ ="
"""Characters that every way of writing a secret down writes otherwise."""


def private_key() -> str:
    """A true key, so that it is used; what of it could be told is looked for by `keys`."""
    made = generate_private_key(SECP256R1())
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


KEY = private_key()
KEY_LINES = tuple(line for line in KEY.splitlines() if not line.startswith("-----"))


def _text(whose: str) -> str:
    return f"{MARK}of {whose} {AWKWARD}{_own(whose)}"


def _own(whose: str) -> str:
    return f"{MIDDLE}{hashlib.sha256(whose.encode()).hexdigest()[:12]}{TAIL}"


def _json(*names: str, **true: str) -> Callable[[str], str]:
    return lambda whose: json.dumps({name: _text(f"{whose} {name}") for name in names} | true)


def _signing(whose: str) -> str:
    def one(which: str) -> str:
        return "whsec_" + base64.b64encode(f"{MARK}{which} {whose} {_own(which + whose)}".encode()).decode()

    return f"{one('old')} {one('new')}"


def _ionapi(port: int) -> Callable[[str], str]:
    true = {
        "iu": f"http://127.0.0.1:{port}",
        "pu": f"http://127.0.0.1:{port}/",
        "ot": "token.oauth2",
        "ti": "PLANT",
    }
    return _json("cn", "ci", "cs", "saak", "sask", **true)


@dataclass(frozen=True)
class Way:
    """How one adapter is connected: `options` for a port of this machine, `secret` for the name of an account.

    `form`: the secret has one, so another way has secrets without it. `keyless`: it takes no secret at all.
    """

    adapter: str
    options: Callable[[int, Path], Mapping[str, Any]]
    secret: Callable[[str, int], str] = lambda whose, _port: _text(whose)
    form: bool = False
    keyless: bool = False
    entry: Mapping[str, Any] = field(default_factory=dict)


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


SAP = {
    "company_code": "1010",
    "purchasing_organization": "1010",
    "purchasing_group": "001",
    "plant": "1010",
}

FLOOR = {"system": "floor", "system_title": "One MES by three ways"}
"""What it was sent by one way it may tell by another."""

ENTRIES: Mapping[str, Way] = {
    "sandbox": Way("sandbox", lambda port, _: {"url": _url(port), "timeout_ms": 500}),
    "tryton": Way("tryton", lambda port, _: {"url": _url(port), "database": "plant", "timeout": 3}),
    "sap-basic": Way("sap", lambda port, _: {**SAP, "url": _url(port), "timeout": 3}),
    "sap-oauth2": Way(
        "sap",
        lambda port, _: {
            **SAP,
            "url": _url(port),
            "timeout": 3,
            "oauth2": {"token_url": f"{_url(port)}/oauth/token"},
        },
    ),
    "netsuite": Way(
        "netsuite",
        lambda port, _: {"url": _url(port), "timeout": 3},
        lambda whose, _: _json("client_id", "certificate_id", private_key=KEY)(whose),
        form=True,
    ),
    "epicor": Way(
        "epicor",
        lambda port, _: {"url": f"{_url(port)}/instance", "companies": ["EPIC06"], "timeout": 3},
        lambda whose, _: _json("password", "api_key")(whose),
        form=True,
    ),
    "infor-m3": Way(
        "infor_m3",
        lambda _, __: {"cono": "100", "divi": "AAA", "wlde": "1", "timeout": 3},
        lambda whose, port: _ionapi(port)(whose),
        form=True,
    ),
    "middleware": Way(
        "middleware",
        lambda port, _: {
            "endpoints": {
                name: f"{_url(port)}/{name}?code={MARK}in-the-address{TAIL}"
                for name in adapter_of("middleware").types
            },
            "own_network": True,
            "timeout": 3,
        },
        lambda whose, _: _signing(whose),
        form=True,
        entry={"system": "sandbox", "verified_by": "plant"},
    ),
    "replica": Way(
        "replica",
        lambda port, _: {
            "host": "127.0.0.1",
            "port": port,
            "database": "erp",
            "schema": "tryton",
            "sslmode": "disable",
            "heartbeat": {"table": "countersign_heartbeat", "column": "beat"},
            "timeout": 3,
        },
    ),
    "rpa": Way("rpa", lambda port, _: {"url": _url(port), "database": "plant", "timeout": 2}),
    "opcua": Way(
        "opcua",
        lambda port, _: {"url": f"opc.tcp://127.0.0.1:{port}/", "security": "none", "timeout": 2},
        entry=FLOOR,
    ),
    "sparkplug": Way(
        "sparkplug",
        lambda port, _: {
            "host": "127.0.0.1",
            "port": port,
            "tls": "none",
            "group": "Plant1",
            "metrics": {"order": "JobOrder", "state": "State", "good_count": "GoodCount", "unit": "Unit"},
            "states": {"RUNNING": "running"},
            "beat": 1,
        },
        entry=FLOOR,
    ),
    "b2mml": Way("b2mml", lambda _, folder: {"folder": str(folder), "beat": 1}, keyless=True, entry=FLOOR),
    "by-hand": Way("by_hand", lambda _, __: {}, keyless=True),
}


def adapter_of(name: str) -> Any:
    """The shipped adapter in this folder."""
    return adapter(f"integrations.{name}.adapter")


def planted(port: int, folder: Path) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Entries for CONNECTIONS and their secrets; `port` is that of the server that tells everything back."""
    entries: dict[str, dict[str, Any]] = {}
    secrets: dict[str, str] = {}
    for name, way in ENTRIES.items():
        for where, at in (("away", CLOSED), ("told", port), ("odd", port)):
            if where == "odd" and not way.form:
                continue
            entry = entries[f"{name}-{where}"] = _entry(name, way, where, way.options(at, folder))
            for account in (entry.get("reader", {}), *entry.get("writers", {}).values()):
                if "secret" in account:
                    whose = f"{name} {account['login']}"
                    secrets[account["secret"]] = _text(whose) if where == "odd" else way.secret(whose, at)
    return entries, secrets


def _entry(name: str, way: Way, where: str, options: Mapping[str, Any]) -> dict[str, Any]:
    shipped = adapter_of(way.adapter)
    writes = shipped.writer is not None and not shipped.by_hand

    def account(purpose: str) -> dict[str, str]:
        variable = f"{name}_{where}_{purpose}".upper().replace("-", "_")
        return {} if way.keyless else {"login": purpose.replace("_", "-"), "secret": f"PLANTED_{variable}"}

    return {
        "adapter": f"integrations.{way.adapter}.adapter",
        "system": f"{name}-{where}",
        "title": f"{name} ({where})",
        "isa95_level": min(shipped.levels),
        "options": dict(options),
        **({} if shipped.by_hand else {"reader": account("reader")}),
        **({"writers": {kind: account(kind) for kind in written(shipped)}} if writes else {}),
        **way.entry,
    }


def written(shipped: Any) -> list[str]:
    """The types that a connection by it has accounts for; a new record that nobody could look for is left out."""
    return sorted(
        kind
        for kind, carried in shipped.types.items()
        if not (carried.seen_elsewhere and kind.endswith("_create"))
    )


REPEATED: tuple[Callable[[str], str], ...] = (
    str,
    lambda text: text[: len(text) // 2],
    lambda text: text[len(text) // 2 :],
    str.upper,
    lambda text: quote(quote(text)),
    lambda text: "\n  ".join(text[at : at + 10] for at in range(0, len(text), 10)),
)
"""How systems repeat: as it was, cut short, in capitals, encoded over again, in lines of a column."""


class Teller:
    """A server whose every answer repeats what it was sent, in the words of every system that we speak to.

    It gives a cookie and a CSRF token, and tells them back too.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        teller = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            error_message_format = "%(message)s"

            def tell(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode(errors="replace")
                teller.asked.append(self.path)
                names = ("Authorization", "x-api-key", "Cookie", "X-CSRF-Token")
                heard = [*(self.headers.get(name, "") for name in names), body[:300], self.path[:200]]
                repeated = REPEATED[len(teller.asked) // 5 % len(REPEATED)]
                said = " ".join(repeated(one) for one in heard)
                status, answer = teller.answer(urlsplit(self.path).path, body, said)
                sent = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(sent)))
                self.send_header("Set-Cookie", f"session={MARK}cookie{TAIL}")
                self.send_header("X-CSRF-Token", f"{MARK}csrf{TAIL}")
                self.send_header("sap-message", json.dumps({"code": "X/1", "message": said}))
                self.send_header("Location", quote(f"/elsewhere?for={said}"))
                self.end_headers()
                self.wfile.write(sent)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = tell  # noqa: N815 the library's names

            def log_message(self, *_: Any) -> None:
                """The test is what listens."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, path: str, body: str, said: str) -> tuple[int, Any]:
        """Status and body. Signing in works, so that what comes of it is told back too."""
        if "grant_type" in body:
            return 200, {"access_token": f"{MARK}token{TAIL}", "expires_in": "3600", "error": said}
        if "common.db.login" in body:
            return 200, {"result": [1, f"{MARK}session{TAIL}"]}
        if path.endswith("/rpc/"):
            return 200, {"error": ["UserError", [said, said]]}
        if "m3api-rest" in path:
            failed = {"errorMessage": said, "errorCode": "XX", "errorField": "X"}
            return 200, {"nrOfFailedTransactions": 1, "results": [failed]}
        if path == "/production_order_reschedule":
            return 422, {"error": {"code": "rejected", "message": said}}
        status = (400, 403, 500, 422, 409)[len(self.asked) % 5]
        words = {"lang": "en", "value": said} if len(self.asked) % 2 else said
        return status, {
            "o:errorDetails": [{"detail": said, "o:errorCode": "X"}],
            "ErrorMessage": said,
            "ErrorType": "Ice.Common.BusinessObjectException",
            "ErrorDetails": [],
            "error": {"code": "rejected", "message": words, "details": [{"code": "X", "message": said}]},
        }

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def teller() -> Iterator[Teller]:
    """One, listening."""
    made = Teller()
    try:
        yield made
    finally:
        made.close()
