"""NetSuite's SuiteTalk REST over httpx: signing in, records, SuiteQL, and its answers as the contract's errors.

Sources: NetSuite online help, "OAuth 2.0 Client Credentials Flow" (section_162730264820 ff.), "REST Web Services
Request Processing" (chapter_161251386312), "Error Handling" (section_156570709583), "Executing SuiteQL Queries"
(section_157909186990). No shape was seen on a NetSuite account.

What NetSuite says becomes:

    400 IDEMPOTENCY_ERROR                       Repeated: it has had this request before, which is a success
    400 RCRD_HAS_BEEN_CHANGED                   Stale
    401 on a call                               a new token, once; again 401: Unavailable (see below)
    401, 400 at the token endpoint              OutOfScope: client, certificate or its mapping is not accepted
    403                                         OutOfScope
    429                                         Unavailable
    other 4xx                                   Rejected: refused before anything was written
    anything else that is not the success asked for, or no answer
                                                InDoubt for a write; Unavailable for a read, which is safe

Over its limit of concurrent requests NetSuite may call a good login invalid. A token that its own token endpoint has
just given is not wrong, so that answer is "not now", never "this account is refused".
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import httpx
import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from integrations.contract import (
    Account,
    AdapterError,
    OutOfScope,
    Rejected,
    Stale,
    Unavailable,
)
from integrations.rest.host import Host, safe

TOKEN_PATH = "/services/rest/auth/oauth2/v1/token"  # noqa: S105 a path
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PAGE = 1000
"""Rows of SuiteQL in one page: the most that NetSuite gives."""
MOST_ROWS = 5000
"""A query that finds more is called incomplete. NetSuite itself ends at 100,000."""
_LONGEST = 500
_WRITE_HEADERS = {
    # The default is Warning: a misspelt field is dropped and the call succeeds.
    "X-NetSuite-PropertyNameValidation": "Error",
    "X-NetSuite-PropertyValueValidation": "Error",
}


class Repeated(Rejected):
    """NetSuite has had a request with this idempotency key before."""


class Client:
    """One account's connection to one NetSuite account.

    Args:
        options: `url` (such as https://123456.suitetalk.api.netsuite.com), `token_url` where it is elsewhere,
            `timeout` in seconds (30).
        account: `login` is the internal id of the employee that the certificate is mapped to, as NetSuite's own
            records name who wrote; `secret` is JSON with `client_id`, `certificate_id` and `private_key` (PEM).
    """

    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        self.url = safe(str(options["url"]))
        self.login = account.login
        self._token_url = safe(str(options.get("token_url") or f"{self.url}{TOKEN_PATH}"))
        self._account = account
        self._token: tuple[str, float] | None = None
        self._currencies: dict[str, str] = {}
        self._host = Host("NetSuite", options, account, at=self.url)

    def __repr__(self) -> str:
        return f"<Client {self.login} at {self.url}>"

    def close(self) -> None:
        """Let go of sockets. Safe to call twice."""
        self._host.close()

    # Records

    def record(self, kind: str, key: str) -> dict[str, Any] | None:
        """A record with its sublists, by its id or `eid:<external id>`; None when there is none.

        Rejected when a sublist is not shown whole: writing back part of a list would delete the rest.
        """
        try:
            found = self._json(self._call("GET", f"record/v1/{kind}/{key}?expandSubResources=true"))
        except Rejected as no:
            if no.evidence.get("status") == httpx.codes.NOT_FOUND:
                return None
            raise
        for name, value in found.items():
            if isinstance(value, Mapping) and isinstance(value.get("items"), list):
                shown = len(value["items"])
                if value.get("hasMore") or value.get("totalResults", shown) != shown:
                    raise Rejected(f"NetSuite does not show all of {kind} {key}'s {name} at once.")
        return found

    def write(
        self,
        method: str,
        kind: str,
        key: str,
        body: Mapping[str, Any],
        *,
        replace: str = "",
        idempotency: str,
    ) -> None:
        """PUT or PATCH one record, once. Repeated when NetSuite had it before; see the module for the errors."""
        query = f"?replace={replace}" if replace else ""
        headers = {**_WRITE_HEADERS, "X-NetSuite-Idempotency-Key": idempotency}
        answer = self._call(method, f"record/v1/{kind}/{key}{query}", body=body, headers=headers, writes=True)
        if answer.status_code not in {httpx.codes.OK, httpx.codes.CREATED, httpx.codes.NO_CONTENT}:
            self._host.unclear(f"HTTP {answer.status_code}", writes=True)

    def create_nothing(self, kind: str) -> None:
        """Ask for an empty record, which a scope refuses and which no record's mandatory fields allow."""
        self._call("POST", f"record/v1/{kind}", body={}, headers=_WRITE_HEADERS, writes=True)

    # SuiteQL

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Every row of a SuiteQL query, which must end in a unique ORDER BY: pages of others repeat rows."""
        if " ORDER BY " not in query:
            raise ValueError("a paged query needs a unique ORDER BY")
        return [row for page in self._pages(query) for row in page]

    def _pages(self, query: str) -> Iterator[list[dict[str, Any]]]:
        offset = 0
        while True:
            answer = self._call(
                "POST",
                f"query/v1/suiteql?limit={PAGE}&offset={offset}",
                body={"q": query},
                headers={"Prefer": "transient"},
            )
            page = self._json(answer)
            items = page.get("items")
            if not isinstance(items, list):
                self._host.unclear("a query's answer has no rows", writes=False)
            yield items
            offset += len(items)
            if not page.get("hasMore"):
                return
            if not items or offset > MOST_ROWS:
                raise Unavailable(f"NetSuite has more than {offset} rows to tell; the answer is incomplete.")

    def currency(self, number: str) -> str:
        """The ISO code of a currency by its internal id."""
        if number not in self._currencies:
            rows = self.rows(f"SELECT id, symbol FROM currency WHERE id = {identity(number)} ORDER BY id")  # noqa: S608
            if not rows:
                raise Rejected(f"NetSuite does not tell the currency {number}.")
            self._currencies[number] = str(rows[0]["symbol"])
        return self._currencies[number]

    # Inside

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        writes: bool = False,
    ) -> httpx.Response:
        content = json.dumps(body).encode() if body is not None else None
        typed = {"Content-Type": "application/json"} if content is not None else {}
        for last in (False, True):
            token = self._bearer(fresh=last)
            answer = self._host.send(
                method,
                f"{self.url}/services/rest/{path}",
                content=content,
                headers={
                    "Authorization": f"Bearer {token}",
                    "Accept": "application/json",
                    **typed,
                    **(headers or {}),
                },
                writes=writes,
            )
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                self._check(answer, writes=writes)
                return answer
        raise Unavailable(
            "NetSuite calls a login invalid that it accepted a moment ago, as it does over its limit of "
            "concurrent requests. Nothing was done.",
            evidence=_told(answer),
        )

    def _check(self, answer: httpx.Response, *, writes: bool) -> None:
        status = answer.status_code
        if httpx.codes.is_success(status):
            return
        told = _told(answer)
        codes = {part["code"] for part in told.get("said", ())}
        said = "; ".join(part["detail"] for part in told.get("said", ())) or f"HTTP {status}"
        if status == httpx.codes.TOO_MANY_REQUESTS:
            raise Unavailable("NetSuite has too many requests at once; nothing was done.", evidence=told)
        if status == httpx.codes.FORBIDDEN:
            raise OutOfScope(f"NetSuite does not let {self.login} do this: {said}", evidence=told)
        if not httpx.codes.is_client_error(status):
            self._host.unclear(f"HTTP {status}", writes=writes)
        if "IDEMPOTENCY_ERROR" in codes:
            raise Repeated("NetSuite has had this request before.", evidence=told)
        if "RCRD_HAS_BEEN_CHANGED" in codes:
            raise Stale("NetSuite says the record has been changed in the meantime.", evidence=told)
        raise Rejected(f"NetSuite says: {said}", evidence=told)

    def _json(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            found = json.loads(answer.content, parse_float=Decimal)
        except ValueError:
            self._host.unclear("the answer is not JSON", writes=False)
        if not isinstance(found, dict):
            self._host.unclear("the answer is no object", writes=False)
        return found

    def _bearer(self, *, fresh: bool) -> str:
        if self._token is None or fresh or self._token[1] <= time.monotonic():
            self._token = self._sign_in()
        return self._token[0]

    def _sign_in(self) -> tuple[str, float]:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION,
            "client_assertion": self._assertion(),
        }
        answer = self._host.send("POST", self._token_url, data=form, writes=False)
        if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.BAD_REQUEST, httpx.codes.FORBIDDEN}:
            raise OutOfScope(
                f"NetSuite gives the account {self.login!r} no token: its client, its certificate or the "
                "certificate's mapping is not accepted. A sandbox loses its mappings when it is refreshed."
            )
        if answer.status_code != httpx.codes.OK:
            self._host.unclear(f"HTTP {answer.status_code} at the token endpoint", writes=False)
        token = self._json(answer)
        if not isinstance(token.get("access_token"), str):
            self._host.unclear("the token endpoint gave no token", writes=False)
        # NetSuite's own page shows the seconds in quotes. A minute less, so that none ends on its way.
        lives = float(str(token.get("expires_in") or 0)) - 60
        return self._account.hold(token["access_token"]), time.monotonic() + lives

    def _assertion(self) -> str:
        try:
            secret = json.loads(self._account.secret)
            key = load_pem_private_key(secret["private_key"].encode(), password=None)
            issuer, certificate = str(secret["client_id"]), str(secret["certificate_id"])
        except (ValueError, TypeError, KeyError, AttributeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, (RSAPrivateKey, EllipticCurvePrivateKey)):
            raise OutOfScope(
                f"The secret of the account {self.login!r} is not what NetSuite needs: JSON with client_id, "
                "certificate_id and private_key (an RSA or EC key in PEM)."
            ) from None
        # RS256 is not accepted.
        algorithm = "PS256" if isinstance(key, RSAPrivateKey) else "ES256"
        moment = int(time.time())
        claims = {
            "iss": issuer,
            "scope": ["rest_webservices"],
            "aud": self._token_url,
            "iat": moment,
            "exp": moment + 300,
        }
        return self._account.hold(jwt.encode(claims, key, algorithm=algorithm, headers={"kid": certificate}))


def _told(answer: httpx.Response) -> dict[str, Any]:
    """What an error says, cut: `status`, `said` (NetSuite's o:errorDetails), `location` of a request it had before."""
    told: dict[str, Any] = {"status": answer.status_code}
    if where := answer.headers.get("Location"):
        told["location"] = where[:_LONGEST]
    try:
        details = json.loads(answer.content)["o:errorDetails"]
        told["said"] = [
            {
                "code": str(one.get("o:errorCode", ""))[:100],
                "detail": str(one.get("detail", ""))[:_LONGEST],
                "at": str(one.get("o:errorPath") or one.get("o:errorQueryParam") or "")[:200],
            }
            for one in details[:5]
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return told


def identity(text: str, what: str = "record") -> int:
    """An internal id as the number it is; Rejected when it cannot be one. Nothing else enters a path or a query."""
    if not text.isascii() or not text.isdecimal() or len(text) > 12:  # noqa: PLR2004
        raise Rejected(f"NetSuite has no {what} {text!r}.")
    return int(text)


__all__ = ["AdapterError", "Client", "Repeated", "identity"]
