"""Speaks to the sandbox over HTTP, and turns every way it can answer into one class of answer.

What the classes rest on: a connection that was never made sent nothing (Unavailable). From the first byte on,
only an answer in the system's own words is clear; a time-out, a cut answer, a gateway's page, a 5xx or a 429
is not (InDoubt).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from integrations.contract import (
    Account,
    AdapterError,
    InDoubt,
    NeedsPerson,
    OutOfScope,
    Rejected,
    Stale,
    Unavailable,
)

LONGEST_EVIDENCE = 2000

CLEAR: Mapping[tuple[int, str], type[AdapterError]] = {
    (400, "bad_request"): Rejected,
    (401, "unauthorised"): OutOfScope,
    (403, "out_of_scope"): OutOfScope,
    (404, "not_found"): Rejected,
    (409, "stale"): Stale,
    (409, "needs_person"): NeedsPerson,
    (409, "duplicate"): Rejected,
    (422, "rejected"): Rejected,
    (422, "key_reused"): Rejected,
}
"""Status and code together; one without the other may come from anything in between."""


class Duplicate(Rejected):
    """Our own reference is in the system already; `evidence["record"]` names the record that has it."""


class Erp:
    """A connection to one sandbox under one account, kept alive between calls. Safe to share by threads."""

    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        url = str(options["url"])
        if urlsplit(url).hostname not in {"127.0.0.1", "localhost", "::1"}:
            raise ValueError("the sandbox is spoken to on the loopback interface only")
        self.login = account.login
        self._base = f"{url}/api/"
        proof = base64.b64encode(f"{account.login}:{account.secret}".encode()).decode()
        self._headers = {"Authorization": f"Basic {proof}", "Host": urlsplit(url).netloc}
        patience = int(options.get("timeout_ms", 5000)) / 1000
        self._timeout = httpx.Timeout(patience).as_dict()
        # The transport alone: a client's cookies, redirects and proxies double the cost of a call and have no use.
        # Plain HTTP on the loopback interface: not verifying spares loading certificates.
        self._http = httpx.HTTPTransport(trust_env=False, verify=False)

    def get(self, operation: str, **given: str) -> dict[str, Any]:
        """Ask. Raises AdapterError."""
        return self._answer(self._send("GET", operation, params=given))

    def post(self, operation: str, body: Mapping[str, Any], **headers: str) -> dict[str, Any]:
        """Write, once. `headers` with underscores for hyphens. Raises AdapterError."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._answer(self._send("POST", operation, json=body, headers=named))

    def close(self) -> None:
        """Let go of the sockets."""
        self._http.close()

    def _send(
        self, method: str, operation: str, headers: Mapping[str, str] | None = None, **content: Any
    ) -> httpx.Response:
        try:
            response = self._http.handle_request(
                httpx.Request(
                    method,
                    self._base + operation,
                    headers={**self._headers, **(headers or {})},
                    extensions={"timeout": self._timeout},
                    **content,
                )
            )
            response.read()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Unavailable(f"The sandbox is not reachable ({type(error).__name__}).") from None
        except httpx.TimeoutException:
            raise InDoubt(f"The sandbox did not answer {operation} in time.") from None
        except httpx.HTTPError as error:
            raise InDoubt(f"The sandbox's answer to {operation} was lost ({type(error).__name__}).") from None
        return response

    def _answer(self, response: httpx.Response) -> dict[str, Any]:
        evidence = {"status": response.status_code, "body": response.text[:LONGEST_EVIDENCE]}
        if wait := response.headers.get("Retry-After"):
            evidence["retry_after"] = wait[:32]
        try:
            content = json.loads(response.content)
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise InDoubt(f"The sandbox answered {response.status_code} without sense.", evidence=evidence)
        if response.status_code == httpx.codes.OK:
            return content
        error = content.get("error")
        code = error.get("code") if isinstance(error, dict) else None
        clear = CLEAR.get((response.status_code, str(code)))
        if clear is None or not isinstance(error, dict):
            raise InDoubt(f"The sandbox answered {response.status_code}.", evidence=evidence)
        if code == "duplicate":
            raise Duplicate(str(error.get("message")), evidence={**evidence, "record": error.get("record")})
        raise clear(str(error.get("message"))[:LONGEST_EVIDENCE], evidence=evidence)
