"""Our own stand-in for Epicor Kinetic's REST v2, in the shapes that other people's clients and pages show.

All of it is ours and proves nothing about Kinetic. Deliberately awkward: GetByID hands a row of another order back, the
Change... methods refresh a row's version, a price set anywhere but in the screen's field is lost, Update refuses a row
with an old SysRevID and any row of an approved order, a list ends at its page without a word.
"""

from __future__ import annotations

import base64
import copy
import datetime as dt
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.rigs.shapes import Answer, Asked, StandIn

READING = frozenset(
    {
        "Erp.BO.POSvc/GetByID",
        "Erp.BO.POSvc/POes",
        "Erp.BO.POSvc/PODetails",
        "Erp.BO.JobEntrySvc/GetByID",
    }
)
WRITING = READING | {
    "Erp.BO.POSvc/ChangeDetailCalcOurQty",
    "Erp.BO.POSvc/ChangeUnitPriceConfirmOverride",
    "Erp.BO.POSvc/ChangeUnitPrice",
    "Erp.BO.POSvc/Update",
}


@dataclass(frozen=True)
class Known:
    """A user with an API key, and what the key may call: "service/method"."""

    password: str
    api_key: str
    scope: frozenset[str]


class Kinetic(StandIn):
    """The stand-in. `effects`: user and order of every Update that wrote. `question`: asked when a price changes.

    `written_down`: what a careless system writes of a request into an order that it shows, by the order's key.
    """

    def __init__(self, users: Mapping[str, Known]) -> None:
        super().__init__()
        self.users = dict(users)
        self.effects: list[tuple[str, str]] = []
        self.question = ""
        self.written_down: dict[tuple[str, int], Callable[[Asked], str]] = {}
        self.guards = True
        self._revision = 880000
        self.orders: dict[tuple[str, int], dict[str, list[dict[str, Any]]]] = {}
        for company, name in (("EPIC06", "Beschlag & Co"), ("EPIC07", "Another company's supplier")):
            for number in (1001, 1002):
                self.orders[company, number] = self._order(company, number, name)
        self.jobs = {("EPIC06", "J1001"): self._job()}

    def _row(self, **fields: Any) -> dict[str, Any]:
        self._revision += 7
        return {**fields, "SysRevID": self._revision, "SysRowID": str(uuid.uuid4()), "RowMod": ""}

    def _order(self, company: str, number: int, name: str) -> dict[str, list[dict[str, Any]]]:
        header = self._row(
            Company=company,
            PONum=number,
            OpenOrder=True,
            VoidOrder=False,
            Approve=False,
            VendorNum=6,
            VendorName=name,
            CurrencyCode="EUR",
            OrderDate=_day(-9),
        )
        lines, releases = [], []
        for line, part, price, many in ((1, "RM-RUN-450", 12.4, 40.0), (2, "RM-HINGE-35", 2.1, 300.0)):
            lines.append(
                self._row(
                    Company=company,
                    PONUM=number,
                    POLine=line,
                    PartNum=part,
                    LineDesc=f"{part} as ordered",
                    OrderQty=many,
                    XOrderQty=many,
                    CalcOurQty=many,
                    PUM="EA",
                    IUM="EA",
                    CostPerCode="E",
                    UnitCost=price,
                    DocUnitCost=price,
                    ScrUnitCost=price,
                    DocScrUnitCost=price,
                    OpenLine=True,
                    DueDate=_day(30),
                    ChangedBy="buyer",
                    ChangeDate=_moment(),
                )
            )
            releases.append(
                self._row(
                    Company=company,
                    PONum=number,
                    POLine=line,
                    PORelNum=1,
                    RelQty=many,
                    ReceivedQty=0,
                    DueDate=_day(30),
                )
            )
        return {"POHeader": [header], "PODetail": lines, "PORel": releases}

    def _job(self) -> dict[str, list[dict[str, Any]]]:
        head = self._row(
            JobNum="J1001",
            PartNum="FG-TABLE-180",
            PartDescription="Oak table 180",
            ProdQty=12.0,
            QtyCompleted=0,
            IUM="EA",
            StartDate=_day(4),
            DueDate=_day(7),
            ReqDueDate=_day(20),
            JobReleased=True,
            JobFirm=True,
            JobClosed=False,
        )
        material = self._row(PartNum="RM-OAK-40", Description="Oak board 40 mm", RequiredQty=39.0, IUM="M2")
        return {"JobHead": [head], "JobMtl": [material]}

    def touch(self, company: str, number: int, line: int) -> None:
        """Somebody else saves the line as it is."""
        row = next(row for row in self.orders[company, number]["PODetail"] if row["POLine"] == line)
        self._revision += 7
        row |= {"SysRevID": self._revision, "ChangedBy": "buyer", "ChangeDate": _moment()}

    # Answers

    def respond(self, asked: Asked) -> Answer:
        """The true answer."""
        user = self._user(asked)
        if user is None:
            return _error(401, "", "Invalid username or password.")
        match = re.fullmatch(r"/instance/api/v2/odata/([^/]+)/([A-Za-z.]+)/([A-Za-z]+)", asked.path)
        if match is None:
            return _error(404, "Epicor.RESTApi.ErrorHandling.ApiException", "Service not found.")
        company, service, method = match.groups()
        if f"{service}/{method}" not in self.users[user].scope:
            return _error(403, "System.UnauthorizedAccessException", "Access denied by the key's scope.")
        if service == "Erp.BO.JobEntrySvc" and method == "GetByID":
            return self._get(self.jobs, (company, asked.body["jobNum"]), [])
        if service != "Erp.BO.POSvc":
            return Answer(200, {"parameters": {"ds": {}}})
        if asked.method == "GET":
            return self._list(company, method, asked.query)
        if method == "GetByID":
            others = [
                row for (of, _), order in self.orders.items() if of == company for row in order["PODetail"]
            ]
            key = company, asked.body["poNum"]
            if key in self.written_down:
                self.orders[key]["POHeader"][0]["VendorName"] = self.written_down[key](asked)
            return self._get(self.orders, key, others)
        if method == "Update":
            return self._update(company, user, asked.body["ds"])
        return self._compute(company, method, asked.body)

    def _user(self, asked: Asked) -> str | None:
        try:
            name, _, password = (
                base64.b64decode(asked.header("Authorization").removeprefix("Basic ")).decode().partition(":")
            )
        except ValueError:
            return None
        known = self.users.get(name)
        fits = known is not None and known.password == password and known.api_key == asked.header("x-api-key")
        return name if fits else None

    def _get(self, records: Mapping[Any, Any], key: Any, others: list[dict[str, Any]]) -> Answer:
        if key not in records:
            return _error(404, "Ice.Common.RecordNotFoundException", "Record not found.")
        found = copy.deepcopy(records[key])
        if "PODetail" in found:
            found["PODetail"] += [row for row in others if row["PONUM"] != key[1]][:1]
        return Answer(200, {"returnObj": found})

    def _list(self, company: str, entities: str, query: Mapping[str, str]) -> Answer:
        mine = [order for (of, _), order in sorted(self.orders.items()) if of == company]
        where = query.get("$filter", "")
        if entities == "POes":
            rows = [order["POHeader"][0] for order in mine]
            if where == "OpenOrder eq true and Approve eq false":
                rows = [row for row in rows if row["OpenOrder"] and not row["Approve"]]
        else:
            rows = [row for order in mine for row in order["PODetail"]]
            user, since = re.fullmatch(r"ChangedBy eq '(.+)' and ChangeDate ge (\S+)", where).groups()  # type: ignore[union-attr]
            after = dt.datetime.fromisoformat(since)
            rows = [
                row
                for row in rows
                if row["ChangedBy"] == user and dt.datetime.fromisoformat(row["ChangeDate"]) >= after
            ]
        skip, top = int(query.get("$skip", "0")), min(int(query.get("$top", "100")), 100)
        return Answer(200, {"odata.metadata": "about:blank", "value": rows[skip : skip + top]})

    def _compute(self, company: str, method: str, body: dict[str, Any]) -> Answer:
        dataset = body["ds"]
        told: dict[str, Any] = {"ds": dataset}
        for row in dataset["PODetail"]:
            if row["RowMod"] != "U":
                continue
            if method == "ChangeDetailCalcOurQty":
                row.update(dict.fromkeys(("CalcOurQty", "OrderQty", "XOrderQty"), body["newCalcOurQty"]))
            if method == "ChangeUnitPrice":
                row.update({"DocUnitCost": row["DocScrUnitCost"], "UnitCost": row["ScrUnitCost"]})
            if method == "ChangeUnitPriceConfirmOverride":
                told["confirmMsg"] = self.question
            stored = self._stored(company, row)
            row["SysRevID"] = stored["SysRevID"] if stored else 0
        return Answer(200, {"parameters": told})

    def _stored(self, company: str, row: Mapping[str, Any]) -> dict[str, Any] | None:
        tables = [rows for (of, _), order in self.orders.items() if of == company for rows in order.values()]
        return next((one for rows in tables for one in rows if one["SysRowID"] == row["SysRowID"]), None)

    def _update(self, company: str, user: str, dataset: Mapping[str, Any]) -> Answer:
        written = []
        for table in ("PODetail", "PORel"):
            rows = dataset.get(table, [])
            for row in (row for row in rows if row.get("RowMod") == "U"):
                stored = self._stored(company, row)
                beside = [one for one in rows if one["SysRowID"] == row["SysRowID"] and not one.get("RowMod")]
                if stored is None or not beside:
                    return _error(400, "Ice.Common.BusinessObjectException", "The row's original is missing.")
                if self.guards and stored["SysRevID"] != row["SysRevID"]:
                    words = "Record has been modified by another user and cannot be updated."
                    return _error(400, "Ice.Common.BusinessObjectException", words, table)
                header = self.orders[company, int(stored.get("PONum") or stored["PONUM"])]["POHeader"][0]
                if header["Approve"]:
                    return _error(
                        400, "Ice.Common.BusinessObjectException", "PO is approved, cannot update.", table
                    )
                written.append((table, stored, row, header["PONum"]))
        for table, stored, row, number in written:
            names = ("OrderQty", "XOrderQty", "DocUnitCost", "UnitCost", "DueDate")
            stored |= {
                name: row[name]
                for name in names
                if name in row and (table == "PODetail" or name == "DueDate")
            }
            self._revision += 7
            stored |= {"SysRevID": self._revision, "RowMod": ""}
            if table == "PODetail":
                stored |= {"ChangedBy": user, "ChangeDate": _moment()}
                self.effects.append((user, f"{company}/{number}"))
        return Answer(200, {"parameters": {"ds": dict(dataset)}})


def _error(status: int, kind: str, message: str, table: str = "") -> Answer:
    return Answer(
        status,
        {
            "HttpStatus": status,
            "ReasonPhrase": "REST API Exception",
            "ErrorMessage": message,
            "ErrorType": kind,
            "ErrorDetails": [{"Message": message, "Type": "Error", "Table": table, "Field": ""}],
            "CorrelationId": "11111111-2222-3333-4444-555555555555",
        },
    )


def _day(ahead: int) -> str:
    return f"{(dt.datetime.now(dt.UTC).date() + dt.timedelta(days=ahead)).isoformat()}T00:00:00"


def _moment() -> str:
    return dt.datetime.now(dt.UTC).isoformat()
