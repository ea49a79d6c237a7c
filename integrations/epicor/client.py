"""Kinetic's REST API v2 over httpx: signing in, business objects' methods, and answers as the contract's errors.

Sources: an instance's own help as generated clients show it (Erp.BO.POSvc, Erp.BO.JobEntrySvc), other people's clients
of v2, and a page on its errors. No shape was seen on an instance, and each instance serves its own Swagger.

Every call carries an API key and a login; a key's access scope lists the methods it may call. The company is in the
URL, so it comes from the record that was approved (a key here is "company/number") and must be among those that the
connection names. What Kinetic says becomes:

    400, 404, 409 with an ErrorMessage      Rejected, or Stale when another user changed the row
    401, 403                                OutOfScope
    410                                     Unavailable: the session is gone and nothing was done
    429                                     Unavailable
    other 4xx                               Rejected
    anything else that is not the success asked for, or no answer
                                            InDoubt for a write; Unavailable for a read, which is safe

Methods named Get and Change... only hand a dataset back; `Update` alone writes, and is called only by `update`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx

from integrations.contract import (
    Account,
    OutOfScope,
    Rejected,
    Stale,
    Unavailable,
    Unsupported,
)
from integrations.rest.host import Host, safe

PAGE = 100
"""Rows asked for at a time. Unasked, Kinetic gives so many and says nothing of the rest."""
MOST_ROWS = 5000
COMPUTES = re.compile(r"^(GetByID|GetNew[A-Za-z]*|Change[A-Za-z]*)$")
"""Methods that hand a dataset back and write nothing."""
_STALE = re.compile(r"modified by another user|concurrency", re.IGNORECASE)
_LONGEST = 500


class Client:
    """One account's connection to one Kinetic instance.

    Args:
        options: `url` (such as https://host/instance), `companies` (those that may be spoken of), `timeout` in
            seconds (30).
        account: `login` is the Kinetic user, as "changed by" names it; `secret` is JSON with `password` and `api_key`.
    """

    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        self.url = safe(str(options["url"]))
        self.login = account.login
        self.companies: tuple[str, ...] = tuple(str(one) for one in options.get("companies", ()))
        self._account = account
        self._host = Host("Kinetic", options, account, at=self.url)

    def __repr__(self) -> str:
        return f"<Client {self.login} at {self.url}>"

    def close(self) -> None:
        """Let go of sockets. Safe to call twice."""
        self._host.close()

    def company(self, key: str, what: str) -> tuple[str, str]:
        """Company and number of a key such as "EPIC06/123". Rejected when it is no such key or company."""
        company, slash, number = key.partition("/")
        if not slash or not number:
            raise Rejected(f"A {what}'s key in Kinetic is company/number; {key!r} is not.")
        if company not in self.companies:
            raise Rejected(f"This connection does not speak of the company {company!r}.")
        return company, number

    def compute(
        self, company: str, service: str, method: str, arguments: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Call a method that hands a dataset back and writes nothing."""
        if not COMPUTES.fullmatch(method):
            raise Unsupported(f"{method} is not among the methods that only compute.")
        return self._call(company, f"{service}/{method}", arguments, writes=False)

    def update(self, company: str, service: str, dataset: Mapping[str, Any]) -> dict[str, Any]:
        """Write a dataset, once: the rows marked by RowMod, in one transaction there."""
        return self._call(company, f"{service}/Update", {"ds": dataset}, writes=True)

    def rows(
        self, company: str, entities: str, *, select: Sequence[str], where: str, order: str
    ) -> list[dict[str, Any]]:
        """Rows of an entity set in a unique order, page after page; Unavailable when there are too many."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.page(
                company, entities, select=select, where=where, order=order, top=PAGE, skip=len(found)
            )
            found += page
            if len(page) < PAGE:
                return found
            if len(found) >= MOST_ROWS:
                raise Unavailable(
                    f"Kinetic has more than {len(found)} rows to tell; the answer is incomplete."
                )

    def page(
        self,
        company: str,
        entities: str,
        *,
        select: Sequence[str],
        where: str,
        order: str,
        top: int,
        skip: int = 0,
    ) -> list[dict[str, Any]]:
        """At most `top` rows of an entity set."""
        query = {
            "$select": ",".join(select),
            "$orderby": order,
            "$top": str(top),
            "$skip": str(skip),
        }
        if where:
            query["$filter"] = where
        page = self._call(company, entities, None, writes=False, query=query).get("value")
        if not isinstance(page, list):
            self._host.unclear("a list has no rows", writes=False)
        return page

    # Inside

    def _call(
        self,
        company: str,
        path: str,
        arguments: Mapping[str, Any] | None,
        *,
        writes: bool,
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        login, headers = self._credentials()
        content = json.dumps(arguments, default=_number).encode() if arguments is not None else None
        if content is not None:
            headers["Content-Type"] = "application/json"
        answer = self._host.send(
            "POST" if content is not None else "GET",
            f"{self.url}/api/v2/odata/{quote(company, safe='')}/{path}",
            writes=writes,
            params=query,
            content=content,
            headers=headers,
            auth=login,
        )
        return self._content(answer, writes=writes)

    def _credentials(self) -> tuple[tuple[str, str], dict[str, str]]:
        try:
            secret = json.loads(self._account.secret)
            password, key = secret["password"], secret["api_key"]
            fits = isinstance(password, str) and isinstance(key, str) and key.isascii() and key.isprintable()
        except (ValueError, TypeError, KeyError):
            fits = False
        if not fits:
            raise OutOfScope(
                f"The secret of the account {self.login!r} is not what Kinetic needs: JSON with password and api_key."
            ) from None
        return (self.login, password), {"x-api-key": key, "Accept": "application/json"}

    def _content(self, answer: httpx.Response, *, writes: bool) -> dict[str, Any]:
        status = answer.status_code
        if status == httpx.codes.OK:
            try:
                found = json.loads(answer.content, parse_float=Decimal)
            except ValueError:
                found = None
            if not isinstance(found, dict):
                self._host.unclear("the answer is no JSON object", writes=writes)
            return found
        told = _told(answer)
        said = told.get("message") or f"HTTP {status}"
        if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise OutOfScope(f"Kinetic does not let {self.login!r} do this: {said}", evidence=told)
        if status in {httpx.codes.GONE, httpx.codes.TOO_MANY_REQUESTS}:
            raise Unavailable(f"Kinetic did nothing and says to come again (HTTP {status}).", evidence=told)
        if not httpx.codes.is_client_error(status):
            self._host.unclear(f"HTTP {status}", writes=writes)
        if _STALE.search(f"{said} {told.get('type', '')}"):
            raise Stale(f"Kinetic says: {said}", evidence=told)
        raise Rejected(f"Kinetic says: {said}", evidence=told)


def _told(answer: httpx.Response) -> dict[str, Any]:
    """What an error says, cut: status, message, type, the fields it is about, and the id of Kinetic's own log."""
    told: dict[str, Any] = {"status": answer.status_code}
    try:
        content = json.loads(answer.content)
        details = content.get("ErrorDetails") or ()
        told |= {
            "message": " ".join(str(content.get("ErrorMessage") or "").split())[:_LONGEST],
            "type": str(content.get("ErrorType") or "")[:200],
            "about": [f"{one.get('Table', '')}.{one.get('Field', '')}"[:100] for one in details[:5]],
            "correlation": str(content.get("CorrelationId") or "")[:100],
        }
    except (ValueError, TypeError, AttributeError):
        pass
    return told


def _number(value: object) -> float:
    if isinstance(value, Decimal):
        exact = float(value)
        if Decimal(repr(exact)) == value:
            return exact
        raise Unsupported(f"{value} has more digits than Kinetic's numbers keep.")
    raise TypeError(f"{type(value).__name__} cannot be sent to Kinetic")
