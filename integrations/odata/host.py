"""One account's connection to one host: sign-in, cookies, CSRF tokens, and one request after the other.

Reads keep connections open. Every write opens its own: on a kept one, a server that closes it just then would leave
us in doubt for nothing. Redirects are not followed: a service redirects to where people sign in.
"""

from __future__ import annotations

import http.cookiejar
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from integrations.contract import Account, OutOfScope, Unavailable
from integrations.odata.answers import FORBIDDEN, UNAUTHORISED, Answer, content, refusal, unclear
from integrations.odata.signin import Basic, ClientCredentials, guarded
from integrations.odata.values import encoded

CONNECT_SECONDS = 5


class Http:
    """Speaks to the host of `options`.

    `options`: `url` (scheme, host and port), `timeout` in seconds (20 unless given), `parameters` that every request
    carries in its query (such as a client number), `oauth2` with `token_url` and `scope` where the account is one of
    a token server. ValueError for plain HTTP to another machine.
    """

    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        self.base = guarded(str(options["url"]))
        self.login, self._hold = account.login, account.hold
        self.parameters: Mapping[str, str] = dict(options.get("parameters") or {})
        seconds = float(options.get("timeout", 20))
        patience = httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))
        jar = http.cookiejar.CookieJar()
        self._reads = httpx.Client(timeout=patience, trust_env=False, cookies=jar)
        self._writes = httpx.Client(
            timeout=patience, trust_env=False, cookies=jar, limits=httpx.Limits(max_keepalive_connections=0)
        )
        # A token server is another house: it gets none of this one's cookies.
        self._tokens = httpx.Client(timeout=patience, trust_env=False)
        oauth2 = options.get("oauth2")
        self._who = ClientCredentials(oauth2, account, self._tokens) if oauth2 else Basic(account)
        self._csrf: dict[str, str] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Http {self.login} at {self.base}>"

    def close(self) -> None:
        """Let go of the sockets. Safe to call twice."""
        for client in (self._reads, self._writes, self._tokens):
            client.close()

    def origin(self, url: str) -> bool:
        """Whether an address is on our host, by scheme, host and port."""
        ours, theirs = urlsplit(self.base), urlsplit(url)
        return (ours.scheme, ours.hostname, _port(ours)) == (theirs.scheme, theirs.hostname, _port(theirs))

    def read(self, target: str, what: str, headers: Mapping[str, str]) -> Answer:
        """GET a path with its query. Raises unless it is a success or 404, which the caller judges."""
        answer = self._signed("GET", target, headers, b"", what, writes=False)
        if not answer.ok and answer.status != httpx.codes.NOT_FOUND:
            raise self._refused(answer, what, writes=False)
        return answer

    def write(
        self, root: str, method: str, target: str, headers: Mapping[str, str], body: bytes, what: str
    ) -> Answer:
        """Send one write with the CSRF token of the service at `root`; gives any answer but a refused token.

        A 403 that says that the token is required did nothing, so one new token and one more send are safe.
        """
        token = self._token(root, what)
        answer = self._signed(method, target, {**headers, **token}, body, what, writes=True)
        if answer.status == FORBIDDEN and answer.headers.get("x-csrf-token", "").lower() == "required":
            with self._lock:
                self._csrf.pop(root, None)
            token = self._token(root, what)
            answer = self._signed(method, target, {**headers, **token}, body, what, writes=True)
        return answer

    def _token(self, root: str, what: str) -> dict[str, str]:
        """The header with the service's CSRF token; none where the service gives none. Nothing was written yet."""
        with self._lock:
            if root not in self._csrf:
                # With the slash: without it some answer with a redirect.
                headers = {"Accept": "application/json", "X-CSRF-Token": "Fetch"}
                answer = self._signed("GET", f"{root}/", headers, b"", what, writes=False)
                token = answer.headers.get("x-csrf-token", "")
                if token.lower() == "required" or (not answer.ok and not token):
                    raise self._refused(answer, what, writes=False)
                if not token and answer.is_page:
                    content(answer, what, writes=False)
                if "set-cookie" in answer.headers:
                    # A session has begun, and its cookie goes with every write: tokens of the one before are void.
                    self._csrf.clear()
                self._csrf[root] = self._hold(token)
            token = self._csrf[root]
        return {"X-CSRF-Token": token} if token else {}

    def _signed(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, what: str, *, writes: bool
    ) -> Answer:
        answer = self._send(method, target, headers, body, what, writes=writes)
        # Refused before anything ran; a bearer token may just have ended.
        if answer.status == UNAUTHORISED and self._who.forget():
            answer = self._send(method, target, headers, body, what, writes=writes)
        return answer

    def _send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, what: str, *, writes: bool
    ) -> Answer:
        signed = {"Authorization": self._who.header(), "Accept-Language": "en", **headers}
        query = "&".join(f"{encoded(name)}={encoded(value)}" for name, value in self.parameters.items())
        joint = "&" if "?" in target else "?"
        url = f"{self.base}{target}{joint}{query}" if query else f"{self.base}{target}"
        try:
            answer = self._ask(method, url, signed, body, writes=writes)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Unavailable(f"{self.base} cannot be reached ({type(error).__name__}).") from None
        except httpx.HTTPError as error:
            words = f"The connection broke ({type(error).__name__}) when asked to {what}."
            raise unclear(words, writes=writes) from None
        for cookie in answer.cookies.values():
            self._hold(cookie)
        named = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status_code, named, answer.content)

    def _ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, writes: bool
    ) -> httpx.Response:
        if writes:
            return self._writes.request(method, url, headers=headers, content=body or None)
        try:
            return self._reads.request(method, url, headers=headers)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            # The server closed a connection that was kept: a read may be asked again.
            return self._reads.request(method, url, headers=headers)

    def _refused(self, answer: Answer, what: str, *, writes: bool) -> Exception:
        if httpx.codes.is_redirect(answer.status):
            where = urlsplit(answer.headers.get("location", "")).hostname or "elsewhere"
            return OutOfScope(
                f"The system sends this account to {where} to sign in.", evidence={"status": answer.status}
            )
        return refusal(answer, what, writes=writes)


def _port(parts: Any) -> int | None:
    return parts.port or {"http": 80, "https": 443}.get(parts.scheme)
