"""One account's sockets to one system that speaks JSON over HTTP, and what a broken connection means.

Reads keep connections open. Every write opens its own: on a kept one, a server that closes it just then would leave
us in doubt for nothing. Redirects are not followed, and the machine's own proxies are not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx

from integrations.contract import Account, InDoubt, Unavailable, Unsupported

SECONDS = 30
"""How long one call may take unless the connection's option `timeout` says otherwise."""

CONNECT_SECONDS = 5


class Host:
    """The sockets. `name` is what people call the system, `at` the address that they are told when it is away."""

    def __init__(self, name: str, options: Mapping[str, Any], account: Account, *, at: str = "") -> None:
        self._name, self._hold = name, account.hold
        self._place = f"{name} at {at}" if at else name
        patience = httpx.Timeout(float(options.get("timeout", SECONDS)), connect=CONNECT_SECONDS)
        trusted = httpx.create_ssl_context(trust_env=False)
        self._reads = httpx.Client(timeout=patience, trust_env=False, verify=trusted)
        self._writes = httpx.Client(
            timeout=patience,
            trust_env=False,
            verify=trusted,
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def close(self) -> None:
        """Let go of the sockets. Safe to call twice."""
        self._reads.close()
        self._writes.close()

    def send(self, method: str, url: str, *, writes: bool, **how: Any) -> httpx.Response:
        """One request, whatever its answer; `how` as httpx takes it. Unavailable when no connection was made."""
        try:
            answer = (self._writes if writes else self._reads).request(method, url, **how)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Unavailable(f"{self._place} cannot be reached ({type(error).__name__}).") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self.unclear(f"the connection broke ({type(error).__name__})", writes=writes)
        for cookie in answer.cookies.values():
            self._hold(cookie)
        return answer

    def unclear(self, words: str, *, writes: bool) -> NoReturn:
        """No clear answer: InDoubt for a write, Unavailable for a read, which is safe to ask again."""
        if writes:
            raise InDoubt(f"{self._name} was asked to write and gave no clear answer: {words}.")
        raise Unavailable(f"{self._name} gave no clear answer to a read: {words}.")


def safe(url: str) -> str:
    """The address, if a secret may be sent there: by TLS, or to this machine. Unsupported otherwise."""
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
        raise Unsupported(f"{parts.scheme}://{parts.hostname} is not https, so no secret is sent there.")
    return url.rstrip("/")
