"""Tryton's JSON-RPC over httpx, and its answers as the contract's closed tree of errors.

Shapes measured on Tryton 8.2. `200 OK` is not success: errors come as `{"error": [...]}` with status 200, and a
button answers null whether or not the state moved. What Tryton says becomes:

    ConcurrencyException                             Stale
    UserWarning                                      NeedsPerson (a worker never accepts a warning)
    UserError: not allowed to access, button, rule   OutOfScope
    UserError: anything else                         Rejected
    a bug or a bad value in the call                 Rejected: the whole call was rolled back
    HTTP 401 on a call                               signed in once more, then OutOfScope
    HTTP 403 (unknown or private method)             OutOfScope
    HTTP 422, 400, 404, 413                          Rejected: refused before anything ran
    HTTP 429 and refused connections                 Unavailable
    anything after the first byte that is unclear    InDoubt for a write; Unavailable for a read, which is safe

Sessions cost the server a third of a second of password hashing, so they are kept per account for the life of
the process. Writes open a connection of their own: on a kept one, a server that closes it just then leaves
us in doubt for nothing.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import itertools
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from types import TracebackType
from typing import Any, NoReturn, Self

import httpx

from integrations.contract import (
    AdapterError,
    InDoubt,
    NeedsPerson,
    OutOfScope,
    Rejected,
    Stale,
    Unavailable,
)

__all__ = ["AdapterError", "Client", "decode", "encode"]

_LONGEST = 500
_NOT_ALLOWED = re.compile(
    r"^You are not allowed to (access|execute|search|create records|write to records|delete records|read records)"
    r"|^Calling button .* is not allowed\.$",
    re.DOTALL,
)
_sessions: dict[tuple[str, str, str, str], tuple[str, int]] = {}
_contexts: dict[tuple[str, str, str, str], dict[str, Any]] = {}
_signing_in = threading.Lock()


def encode(value: object) -> object:
    """A value JSON has no word for, as Tryton writes it."""
    if isinstance(value, dt.datetime):
        parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
        return {"__class__": "datetime", **{part: getattr(value, part) for part in parts}}
    if isinstance(value, dt.date):
        return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}
    if isinstance(value, dt.timedelta):
        return {"__class__": "timedelta", "seconds": value.total_seconds()}
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": str(value)}
    raise TypeError(f"{type(value).__name__} cannot be sent to Tryton")


def decode(value: dict[str, Any]) -> Any:
    """Tryton's written values as Python's; datetimes are naive and in UTC, as Tryton keeps them."""
    match value.get("__class__"):
        case "datetime":
            parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
            return dt.datetime(*(value[part] for part in parts))  # noqa: DTZ001 Tryton's are naive UTC
        case "date":
            return dt.date(value["year"], value["month"], value["day"])
        case "timedelta":
            return dt.timedelta(seconds=value["seconds"])
        case "Decimal":
            return Decimal(value["decimal"])
    return value


def _cut(text: object) -> str:
    words = str(text)
    return words if len(words) <= _LONGEST else words[:_LONGEST] + " ..."


class Client:
    """One account's connection to one Tryton database.

    Args:
        url: the server's address.
        database: the database's name.
        login: the account.
        secret: its password; never in an error, a repr or a log.
        timeout: seconds to wait for an answer; connecting waits at most five.
        hold: told the key of every session that is used, which proves as much as the secret.
    """

    def __init__(
        self,
        url: str,
        database: str,
        login: str,
        secret: str,
        *,
        timeout: float = 20,
        hold: Callable[[str], object] = str,
    ) -> None:
        self.url, self.database, self.login = url.rstrip("/"), database, login
        self._secret, self._hold = secret, hold
        # A session is found again only by who knows the secret.
        self._key = (self.url, database, login, hashlib.sha256(secret.encode()).hexdigest())
        patience = httpx.Timeout(timeout, connect=min(timeout, 5))
        self._reads = httpx.Client(timeout=patience, trust_env=False)
        self._writes = httpx.Client(
            timeout=patience, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )
        self._numbers = itertools.count(1)

    def __repr__(self) -> str:
        return f"<Client {self.login} at {self.url}/{self.database}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of sockets. Safe to call twice."""
        self._reads.close()
        self._writes.close()

    # Calls

    def rpc(self, method: str, *parameters: Any, writes: bool = False) -> Any:
        """One call. `parameters` end with the context for every method of a model.

        Raises the contract's errors; see the module for which answer is which.
        """
        for _ in range(2):
            token, _user = self._session()
            answer = self._post(method, parameters, token=token, writes=writes)
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                return self._result(answer, writes=writes)
            # The session is gone; the call was refused before anything ran.
            with _signing_in:
                if _sessions.get(self._key, ("", 0))[0] == token:
                    _sessions.pop(self._key, None)
        raise OutOfScope(f"Tryton does not accept the account {self.login!r} any more.")

    def call(
        self,
        model: str,
        method: str,
        *parameters: Any,
        writes: bool = False,
        stamps: Mapping[str, str] | None = None,
        **context: Any,
    ) -> Any:
        """A model's method with this account's context; `stamps` ("production,8" to text) must still hold."""
        full = {**self.context(), **context}
        if stamps:
            full["_timestamp"] = dict(stamps)
        return self.rpc(f"model.{model}.{method}", *parameters, full, writes=writes)

    def search_read(
        self,
        model: str,
        domain: Sequence[Any],
        fields: Sequence[str],
        *,
        limit: int | None = None,
        order: Sequence[tuple[str, str]] | None = None,
        offset: int = 0,
        **context: Any,
    ) -> list[dict[str, Any]]:
        """Rows of a model; related fields come under "name."."""
        rows: list[dict[str, Any]] = self.call(
            model, "search_read", list(domain), offset, limit, order, list(fields), **context
        )
        return rows

    def now(self) -> dt.datetime:
        """The moment that what is read is true of (aware, UTC)."""
        return dt.datetime.now(dt.UTC)

    def version(self) -> str:
        """The server's series, such as "8.2"; needs no account."""
        body = json.dumps({"id": next(self._numbers), "method": "common.server.version", "params": []})
        answer = self._send(self._reads, f"{self.url}/rpc/", body, {}, writes=False)
        return str(self._result(answer, writes=False))

    @property
    def user(self) -> int:
        """The account's number in this database."""
        return self._session()[1]

    def context(self) -> dict[str, Any]:
        """The account's company and language, asked once."""
        if self._key not in _contexts:
            token, _ = self._session()
            answer = self._post("model.res.user.get_preferences", (True, {}), token=token, writes=False)
            preferences = self._result(answer, writes=False)
            wanted = ("company", "employee", "groups")
            kept = {name: preferences[name] for name in wanted if preferences.get(name) is not None}
            # Refusals are told apart by their English words, so English is asked for.
            _contexts[self._key] = {**kept, "language": "en"}
        return dict(_contexts[self._key])

    # Inside

    def _session(self) -> tuple[str, int]:
        with _signing_in:
            known = _sessions.get(self._key)
            if known is None:
                known = _sessions[self._key] = self._sign_in()
                _contexts.pop(self._key, None)
        self._hold(_key_of(known[0]))
        return known

    def _sign_in(self) -> tuple[str, int]:
        parameters = (self.login, {"password": self._secret}, "en")
        answer = self._post("common.db.login", parameters, token=None, writes=False)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise OutOfScope(
                f"Tryton refuses the account {self.login!r}: wrong password, or no such account."
            )
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise Unavailable(f"Tryton has no database {self.database!r} at {self.url}.")
        result = self._result(answer, writes=False)
        token = base64.b64encode(f"{self.login}:{result[0]}:{result[1]}".encode()).decode()
        return f"Session {token}", int(result[0])

    def _post(
        self, method: str, parameters: Sequence[Any], *, token: str | None, writes: bool
    ) -> httpx.Response:
        number = next(self._numbers)
        body = json.dumps({"id": number, "method": method, "params": list(parameters)}, default=encode)
        headers = {"Authorization": token} if token else {}
        client = self._writes if writes else self._reads
        return self._send(client, f"{self.url}/{self.database}/rpc/", body, headers, writes=writes)

    def _send(
        self, client: httpx.Client, url: str, body: str, headers: Mapping[str, str], *, writes: bool
    ) -> httpx.Response:
        try:
            return client.post(url, content=body, headers={"Content-Type": "application/json", **headers})
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Unavailable(f"Tryton at {self.url} cannot be reached ({type(error).__name__}).") from None
        except httpx.HTTPError as error:
            self._unclear(f"the connection broke ({type(error).__name__})", writes=writes)

    def _unclear(self, words: str, *, writes: bool) -> NoReturn:
        if writes:
            raise InDoubt(f"Tryton was asked to write and gave no clear answer: {words}.")
        raise Unavailable(f"Tryton gave no clear answer to a read: {words}.")

    def _result(self, answer: httpx.Response, *, writes: bool) -> Any:
        status = answer.status_code
        if status == httpx.codes.TOO_MANY_REQUESTS:
            raise Unavailable("Tryton lets nobody sign in for the moment: too many attempts.")
        if status == httpx.codes.FORBIDDEN:
            raise OutOfScope("Tryton does not offer this method to the account.")
        if 400 <= status < 500:  # noqa: PLR2004 refused before anything ran
            raise Rejected(f"Tryton refused the call (HTTP {status}).", evidence={"status": status})
        if status != httpx.codes.OK:
            self._unclear(f"HTTP {status}", writes=writes)
        try:
            data = json.loads(answer.text, object_hook=decode)
        except (ValueError, KeyError):
            self._unclear("the answer is not JSON", writes=writes)
        if not isinstance(data, dict) or ("result" not in data and "error" not in data):
            self._unclear("the answer has neither result nor error", writes=writes)
        if "error" in data:
            _raise(data["error"])
        return data["result"]


def _key_of(token: str) -> str:
    """The server's own key in what is sent with every call."""
    return base64.b64decode(token.partition(" ")[2]).decode().rpartition(":")[2]


def _raise(error: Any) -> NoReturn:
    name, rest = (error[0], error[1:]) if isinstance(error, list) and error else (str(error), [])
    words = rest[0] if rest and isinstance(rest[0], list) else [rest[0] if rest else ""]
    evidence = {"kind": _cut(name), "said": [_cut(word) for word in words[:2]]}
    if name == "ConcurrencyException":
        raise Stale("Tryton says the record was changed in the meantime.", evidence=evidence)
    if name == "UserWarning":
        question = " ".join(_cut(word) for word in words[1:3] if word)
        raise NeedsPerson(f"Tryton asks: {question}", evidence=evidence)
    if name == "UserError":
        said = str(words[0])
        if _NOT_ALLOWED.search(said):
            raise OutOfScope(f"Tryton refuses the account: {_cut(said)}", evidence=evidence)
        raise Rejected(f"Tryton says: {_cut(said)}", evidence=evidence)
    if name == "LoginException":
        raise OutOfScope("Tryton asks this account for more than a password.", evidence=evidence)
    raise Rejected(f"Tryton could not carry out the call: {_cut(name)}", evidence=evidence)
