"""Who asks: Basic, or OAuth 2.0 client credentials (RFC 6749, section 4.4) with the token kept until it is old."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from integrations.contract import Account, OutOfScope, Unavailable

EARLY_SECONDS = 30
"""A token is not used in the last seconds of its life: it might end on the way."""


def guarded(url: str) -> str:
    """An address that a secret may be sent to. ValueError for plain HTTP to another machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (
        parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost", "::1"}
    ):
        return url.rstrip("/")
    raise ValueError(f"{parts.scheme}://{parts.hostname} is not encrypted; give an https address")


class Basic:
    """Login and secret with every request."""

    def __init__(self, account: Account) -> None:
        proof = base64.b64encode(f"{account.login}:{account.secret}".encode()).decode()
        self._header = f"Basic {proof}"

    def __repr__(self) -> str:
        return "<Basic>"

    def header(self) -> str:
        """The value of `Authorization`."""
        return self._header

    def forget(self) -> bool:
        """There is nothing to get anew."""
        return False


class ClientCredentials:
    """A bearer token for the account, from a token endpoint.

    `options`: `token_url`, and `scope` where the server wants one. Raises OutOfScope when the server refuses
    the account, Unavailable when it does not answer: nothing was sent to the system itself then.
    """

    def __init__(self, options: Mapping[str, Any], account: Account, http: httpx.Client) -> None:
        self._url = guarded(str(options["token_url"]))
        self._scope = str(options.get("scope", ""))
        # RFC 6749, 2.3.1: both are form-encoded before they are joined.
        self._proof = (quote(account.login, safe=""), quote(account.secret, safe=""))
        self._login, self._hold, self._http = account.login, account.hold, http
        self._token, self._until = "", 0.0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<ClientCredentials at {self._url}>"

    def header(self) -> str:
        """The value of `Authorization`; asks for a token where there is none, or an old one."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._token, lifetime = self._ask()
                self._until = time.monotonic() + max(lifetime - EARLY_SECONDS, 1)
            return f"Bearer {self._token}"

    def forget(self) -> bool:
        """The system does not take the token: ask for another one the next time."""
        with self._lock:
            self._until = 0.0
        return True

    def _ask(self) -> tuple[str, float]:
        form = {"grant_type": "client_credentials", **({"scope": self._scope} if self._scope else {})}
        try:
            answer = self._http.post(
                self._url, data=form, auth=self._proof, headers={"Accept": "application/json"}
            )
        except httpx.HTTPError as error:
            raise Unavailable(f"The token server cannot be reached ({type(error).__name__}).") from None
        if answer.status_code in {400, 401, 403}:
            raise OutOfScope(f"The token server refuses the account {self._login!r}.", evidence=_said(answer))
        try:
            told = answer.json() if answer.status_code == httpx.codes.OK else {}
            token, lifetime = self._hold(str(told["access_token"])), float(told.get("expires_in", 300))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Unavailable(f"The token server answered {answer.status_code} without a token.") from None
        return token, lifetime


def _said(answer: httpx.Response) -> dict[str, Any]:
    """Only the registered words of an error: descriptions have been seen to repeat what was sent."""
    try:
        error = str(answer.json().get("error", ""))[:60]
    except (ValueError, AttributeError):
        error = ""
    return {"status": answer.status_code, "error": error}
