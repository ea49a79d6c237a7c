"""Starts SAP's CAP with the cap-js community's OData V2 adapter, from npm: servers of OData that we did not write.

Ours are the model after SAP's public APIs, who may do what (CAP enforces it), the CSRF gate, the function imports'
handlers and the faults; see `cap/`. The rig's `admin` plays other people; the product never has that account.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from integrations.contract import Account, Step
from integrations.sap.system import request_of
from tests.rigs import npm
from tests.rigs.oauth2 import OAuth2

START_SECONDS = 60
V2 = "/sap/opu/odata/sap"
PRODUCTION = f"{V2}/API_PRODUCTION_ORDER_2_SRV"
PARTNER = f"{V2}/API_BUSINESS_PARTNER"
PURCHASE = "/sap/opu/odata4/sap/api_purchaseorder_2/srvd_a2x/sap/purchaseorder/0001"
ROLES: Mapping[str, list[str]] = {
    "reader": [],
    "production_order_reschedule": ["ProductionOrder.Change"],
    "production_order_quantity": ["ProductionOrder.Change"],
    "production_order_release": ["ProductionOrder.Release"],
    "purchase_order_create": ["PurchaseOrder.Create"],
    "purchase_order_line_change": ["PurchaseOrder.Change"],
    "admin": [
        "Everything",
        "ProductionOrder.Change",
        "ProductionOrder.Release",
        "PurchaseOrder.Create",
        "PurchaseOrder.Change",
    ],
}
STEPS = ("write", "release", "create")
"""The names of the adapter's steps."""


@dataclass
class Cap:
    """A running server. `secrets` by login; `oauth2`: the token server that its accounts are of, if any."""

    url: str
    secrets: Mapping[str, str] = field(repr=False)
    oauth2: OAuth2 | None = None
    _admin: httpx.Client | None = field(default=None, repr=False)

    def options(self, **extra: Any) -> dict[str, Any]:
        """The options of a connection."""
        return {
            "url": self.url,
            "timeout": 10,
            "company_code": "1010",
            "purchasing_organization": "1010",
            "purchasing_group": "001",
            "plant": "1010",
            **({"oauth2": {"token_url": self.oauth2.token_url}} if self.oauth2 else {}),
            **extra,
        }

    def account(self, login: str) -> Account:
        """A service account; logins are `reader` and the names of transaction types."""
        return Account(login, self.secrets[login])

    def settings(self) -> tuple[dict[str, Any], dict[str, str]]:
        """An entry for CONNECTIONS, and the secrets it names, for the environment."""
        names = {login: f"SAP_{login.upper()}" for login in ROLES if login != "admin"}
        accounts = {login: {"login": login, "secret": name} for login, name in names.items()}
        entry = {
            "adapter": "integrations.sap.adapter",
            "system": "sap",
            "system_title": "SAP S/4HANA",
            "title": "SAP",
            "isa95_level": 4,
            "options": self.options(),
            "reader": accounts.pop("reader"),
            "writers": accounts,
            "verified_by": None,
        }
        return entry, {name: self.secrets[login] for login, name in names.items()}

    # What the server saw

    def calls(self) -> list[dict[str, Any]]:
        """Every request that arrived: method, path, headers without credentials, status, fault."""
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/control/calls", trust_env=False).json()
        return found

    def effects(self) -> list[dict[str, Any]]:
        """Everything that was changed and kept: what, key, account, request, at."""
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/control/effects", trust_env=False).json()
        return found

    def count(self, reference: str) -> int:
        """How often our reference took effect: twice the same thing counts twice."""
        ours = {request_of(reference, Step(name, "", {})) for name in STEPS}
        counted = Counter(one["what"] for one in self.effects() if one["request"] in ours)
        return max(counted.values(), default=0)

    def fail(
        self, kind: str, *, times: int = 1, reads: bool = False, path: str = "", method: str = ""
    ) -> None:
        """Fail the next so many writes (or reads), of paths with these words in them, by this method."""
        rule = {"kind": kind, "times": times, "reads": reads, "path": path, "method": method}
        httpx.post(f"{self.url}/control/fail", json=rule, trust_env=False).raise_for_status()

    def heal(self) -> None:
        """Fail no more."""
        httpx.post(f"{self.url}/control/heal", trust_env=False).raise_for_status()

    # Other people

    def admin(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What somebody else does there; gives the JSON of the answer."""
        if self._admin is None:
            self._admin = httpx.Client(base_url=self.url, trust_env=False, timeout=20)
        headers = {"Accept": "application/json", **self._signed()}
        if method != "GET":
            service = path.rpartition("/")[0]
            fetched = self._admin.get(f"{service}/", headers={**headers, "X-CSRF-Token": "Fetch"})
            headers["X-CSRF-Token"] = fetched.headers["x-csrf-token"]
            if method == "PATCH":
                there = self._admin.get(path, headers=headers)
                headers["If-Match"] = there.headers.get("etag", "*")
        answer = self._admin.request(method, path, headers=headers, json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def production(self, **fields: Any) -> str:
        """A production order of its own; gives its number."""
        given = {
            "Material": "FG126",
            "TotalQuantity": "120.000",
            "MfgOrderPlannedStartDate": self.v2_day(9),
            "MfgOrderPlannedEndDate": self.v2_day(12),
            **fields,
        }
        made = self.admin("POST", f"{PRODUCTION}/A_ProductionOrder_2", given)["d"]
        number = str(made["ManufacturingOrder"])
        part = {
            "Reservation": number[-7:],
            "ReservationItem": "0001",
            "ManufacturingOrder": number,
            "Material": "RM122",
            "BaseUnit": "PC",
            "RequiredQuantity": "240.000",
            "ConfirmedAvailableQuantity": "200.000",
        }
        self.admin("POST", f"{PRODUCTION}/A_ProductionOrderComponent_4", part)
        return number

    def order(self, number: str) -> dict[str, Any]:
        """A production order as it truly is."""
        found: dict[str, Any] = self.admin("GET", f"{PRODUCTION}/A_ProductionOrder_2('{number}')")["d"]
        return found

    def edit(self, number: str, **fields: Any) -> None:
        """Somebody changes a production order."""
        self.admin("PATCH", f"{PRODUCTION}/A_ProductionOrder_2('{number}')", fields)

    def purchase(self, **item: Any) -> str:
        """A purchase order of its own with one item; gives its number."""
        given = {
            "Material": "RM122",
            "Plant": "1010",
            "OrderQuantity": 200,
            "PurchaseOrderQuantityUnit": "PC",
            "NetPriceAmount": 12.5,
            "_PurchaseOrderScheduleLineTP": [{"ScheduleLineDeliveryDate": day(21)}],
            **item,
        }
        order = {
            "CompanyCode": "1010",
            "PurchasingOrganization": "1010",
            "PurchasingGroup": "001",
            "Supplier": "17300001",
            "DocumentCurrency": "EUR",
            "_PurchaseOrderItem": [given],
        }
        return str(self.admin("POST", f"{PURCHASE}/PurchaseOrder", order)["PurchaseOrder"])

    def _signed(self) -> dict[str, str]:
        if self.oauth2 is None:
            client = httpx.BasicAuth("admin", self.secrets["admin"])
            request = next(client.auth_flow(httpx.Request("GET", self.url)))
            return {"Authorization": request.headers["Authorization"]}
        form = {"grant_type": "client_credentials"}
        auth = ("admin", self.secrets["admin"])
        answer = httpx.post(self.oauth2.token_url, data=form, auth=auth, trust_env=False)
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    @staticmethod
    def v2_day(ahead: int) -> str:
        """A day so many days ahead, as OData V2 writes it."""
        return f"/Date({(int(time.time()) // 86400 + ahead) * 86400000})/"


def day(ahead: int) -> str:
    """A day so many days ahead, in ISO 8601."""
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() + ahead * 86400))


def clients() -> dict[str, str]:
    """A new secret for every account."""
    return {login: secrets.token_urlsafe(18) for login in ROLES}


@contextlib.contextmanager
def cap(
    folder: Path, *, known: Mapping[str, str] | None = None, oauth2: OAuth2 | None = None
) -> Iterator[Cap]:
    """A server of its own, empty but for its seed, ended at the end of the block."""
    home = npm.installed("cap")
    given = known or clients()
    # The script itself: `npx cds-serve` would leave a process behind.
    serve = home / "node_modules" / "@sap" / "cds" / "bin" / "serve.js"
    environment = {
        "ACCOUNTS": json.dumps({n: {"secret": s, "roles": ROLES[n]} for n, s in given.items()}),
        "PORT": "0",
        "NODE_ENV": "test",
        **({"JWKS": f"{oauth2.url}/jwks"} if oauth2 else {}),
    }
    with served(folder, home, serve, environment) as port:
        server = Cap(f"http://127.0.0.1:{port}", given, oauth2)
        yield server
        if server._admin is not None:
            server._admin.close()


@contextlib.contextmanager
def served(folder: Path, home: Path, script: Path, told: Mapping[str, str]) -> Iterator[int]:
    """The port of a script of Node's that writes {"port", "pid"} to READY once it listens; ended with the block."""
    ready, log = folder / "ready.json", folder / "node.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [npm.node(), str(script)],
            cwd=home,
            env={**os.environ, **told, "READY": str(ready)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not (ready.exists() and ready.read_text().endswith("}")):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{script.name} did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.05)
        found = json.loads(ready.read_text())
        assert found["pid"] == process.pid
        yield int(found["port"])
    finally:
        process.terminate()
        process.wait(10)
