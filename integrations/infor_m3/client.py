"""M3's MI transactions by ION API over httpx: signing in, what may be called, and answers as the contract's errors.

Sources: Infor ION API documentation, "Register your backend application" (.ionapi file, password grant with a service
account); for M3's REST shapes only third parties' clients and pages. No shape was seen on an M3 system.

Every MI transaction is called by GET, also those that write, so the HTTP method says nothing. What a call does is in
its name: only the pairs listed here are ever called, `READS` by `read` and `WRITES` by `write`. `EXPORTMI` (raw SQL)
and everything else is Unsupported.

What M3 says becomes:

    200, nrOfFailedTransactions > 0     it failed: see below
      not authorised                    OutOfScope
      a warning (field DSP1 to DSP8)    NeedsPerson: the flag that accepts it is never sent
      anything else                     Rejected
    200, wasTerminated, or without a success for the transaction that was asked
                                        InDoubt for a write; Unavailable for a read
    401                                 a new token, once; again 401: OutOfScope
    403                                 OutOfScope
    429                                 Unavailable
    other 4xx                           Rejected: the gateway refused it before M3 saw it
    anything else, or no answer         InDoubt for a write; Unavailable for a read, which is safe
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import quote

import httpx

from integrations.contract import (
    Account,
    NeedsPerson,
    OutOfScope,
    Rejected,
    Unavailable,
    Unsupported,
)
from integrations.rest.host import Host, safe

READS = frozenset(
    {
        ("GENERAL", "GetServerTime"),
        ("PPS200MI", "GetHead"),
        ("PPS200MI", "GetLine"),
        ("PPS200MI", "LstLine"),
        ("PMS100MI", "Get"),
        ("PMS100MI", "SelMaterials"),
    }
)
WRITES = frozenset({("PPS200MI", "UpdLine"), ("PMS100MI", "Reschedule")})
TRIALS = frozenset({("CRS620MI", "ChgBasicData"), ("MMS200MI", "UpdItmBasic")})
"""Called by the probe alone, without the key they demand: refused to everybody, and for the right reason to us."""
MOST_RECORDS = 1000
_LONGEST = 500
_NOT_AUTHORISED = re.compile(r"not authori[sz]ed|no authority|authority (check|is missing)", re.IGNORECASE)
_WARNING = re.compile(r"^DSP[1-9]$")


class Client:
    """One account's connection to one M3 company.

    Args:
        options: `cono` and `divi` (company and division) where the account's defaults are not meant; `timeout` in
            seconds (30); `tokens` and `gateway`, addresses to use instead of those in the .ionapi file.
        account: `login` is the M3 user that the service account works as, as M3's "changed by" names it; `secret` is
            the content of the .ionapi file.
    """

    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        self.login = account.login
        self._account = account
        self._company = {
            name: str(options[name]) for name in ("cono", "divi") if options.get(name) not in {None, ""}
        }
        self._tokens, self._gateway = str(options.get("tokens") or ""), str(options.get("gateway") or "")
        self._token: tuple[str, float] | None = None
        self._host = Host("M3", options, account)

    def __repr__(self) -> str:
        return f"<Client {self.login}>"

    def close(self) -> None:
        """Let go of sockets. Safe to call twice."""
        self._host.close()

    def read(self, program: str, transaction: str, /, **fields: str) -> list[dict[str, str]]:
        """The records of a transaction that reads, without the blanks M3 pads with."""
        if (program, transaction) not in READS:
            raise Unsupported(
                f"{program}/{transaction} is not among the transactions that this adapter reads by."
            )
        return self._execute(program, transaction, fields, writes=False)

    def write(self, program: str, transaction: str, fields: Mapping[str, str]) -> list[dict[str, str]]:
        """Call a transaction that writes, once."""
        if (program, transaction) not in WRITES:
            raise Unsupported(
                f"{program}/{transaction} is not among the transactions that this adapter writes by."
            )
        return self._execute(program, transaction, fields, writes=True)

    def attempt(self, program: str, transaction: str) -> None:
        """Call a transaction that writes without the key it demands, so that it can write nothing."""
        if (program, transaction) not in WRITES | TRIALS:
            raise Unsupported(f"{program}/{transaction} is not among the transactions that are tried.")
        self._execute(program, transaction, {}, writes=True)

    # Inside

    def _execute(
        self, program: str, transaction: str, fields: Mapping[str, str], *, writes: bool
    ) -> list[dict[str, str]]:
        credentials = self._credentials()
        gateway = safe(self._gateway or f"{credentials['iu'].rstrip('/')}/{quote(credentials['ti'])}")
        query = {
            **fields,
            **self._company,
            "dateformat": "YMD8",
            "excludeempty": "false",
            "righttrim": "true",
            "maxrecs": str(MOST_RECORDS),
        }
        for last in (False, True):
            token = self._bearer(credentials, fresh=last)
            answer = self._host.send(
                "GET",
                f"{gateway}/M3/m3api-rest/v2/execute/{program}/{transaction}",
                params=query,
                headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
                writes=writes,
            )
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                return self._records(answer, transaction, writes=writes)
        raise OutOfScope(f"The ION API gateway does not accept the account {self.login!r}.")

    def _records(self, answer: httpx.Response, transaction: str, *, writes: bool) -> list[dict[str, str]]:
        status = answer.status_code
        if status == httpx.codes.FORBIDDEN:
            raise OutOfScope(f"The ION API gateway does not let {self.login!r} call {transaction}.")
        if status == httpx.codes.TOO_MANY_REQUESTS:
            raise Unavailable("The ION API gateway has too many requests at once; nothing was done.")
        if httpx.codes.is_client_error(status):
            raise Rejected(
                f"The ION API gateway refused {transaction} (HTTP {status}).", evidence={"status": status}
            )
        if status != httpx.codes.OK:
            self._host.unclear(f"HTTP {status}", writes=writes)
        try:
            content = json.loads(answer.content)
            failed = int(content["nrOfFailedTransactions"])
            results = content["results"]
            result = results[0] if results else {}
            terminated = bool(content.get("wasTerminated"))
        except (ValueError, KeyError, TypeError, AttributeError):
            self._host.unclear("the answer is not in M3's form", writes=writes)
        if failed or result.get("errorMessage"):
            _refuse(result)
        if terminated or len(results) != 1 or result.get("transaction") != transaction:
            self._host.unclear("the answer does not say that the transaction was carried out", writes=writes)
        return [
            {str(name): str(value).strip() for name, value in record.items()}
            for record in result.get("records") or ()
        ]

    def _credentials(self) -> dict[str, str]:
        try:
            found = json.loads(self._account.secret)
            needed = [
                name for name in ("ti", "ci", "cs", "iu", "pu", "ot") if not isinstance(found[name], str)
            ]
        except (ValueError, TypeError, KeyError):
            needed = ["ti"]
        if needed:
            raise OutOfScope(
                f"The secret of the account {self.login!r} is not the content of an .ionapi file: JSON with ti, ci, "
                "cs, iu, pu and ot, and saak and sask for a service account."
            ) from None
        return dict(found)

    def _bearer(self, credentials: Mapping[str, str], *, fresh: bool) -> str:
        if self._token is None or fresh or self._token[1] <= time.monotonic():
            self._token = self._sign_in(credentials)
        return self._token[0]

    def _sign_in(self, credentials: Mapping[str, str]) -> tuple[str, float]:
        form = {"grant_type": "client_credentials"}
        if credentials.get("saak"):
            form = {
                "grant_type": "password",
                "username": credentials["saak"],
                "password": credentials.get("sask", ""),
            }
        answer = self._host.send(
            "POST",
            safe(self._tokens or f"{credentials['pu'].rstrip('/')}/{credentials['ot'].lstrip('/')}"),
            data=form,
            auth=(credentials["ci"], credentials["cs"]),
            writes=False,
        )
        if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.BAD_REQUEST, httpx.codes.FORBIDDEN}:
            raise OutOfScope(
                f"Infor gives the account {self.login!r} no token: wrong client or service account."
            )
        try:
            token = json.loads(answer.content) if answer.status_code == httpx.codes.OK else {}
            lives = float(token.get("expires_in") or 0) - 60
            bearer = token["access_token"]
        except (ValueError, KeyError, TypeError, AttributeError):
            self._host.unclear(f"HTTP {answer.status_code} at the token endpoint", writes=False)
        return self._account.hold(str(bearer)), time.monotonic() + lives


def _refuse(result: Mapping[str, Any]) -> NoReturn:
    said = " ".join(str(result.get("errorMessage") or "").split())[:_LONGEST]
    evidence = {
        "said": said,
        "code": str(result.get("errorCode") or "").strip()[:40],
        "field": str(result.get("errorField") or "").strip()[:40],
    }
    if _NOT_AUTHORISED.search(said):
        raise OutOfScope(f"M3 says: {said}", evidence=evidence)
    if _WARNING.match(evidence["field"]) or said.upper().startswith("WARNING"):
        raise NeedsPerson(f"M3 asks: {said}", evidence=evidence)
    raise Rejected(f"M3 says: {said}", evidence=evidence)
