"""Our own stand-in for NetSuite: the documented shapes of SuiteTalk REST, awkward where the documentation says so.

All of it is ours and proves nothing about NetSuite. Deliberately awkward: PATCH of a sublist appends what has no line
number it knows, a misspelt field is dropped unless the request forbids it, a line's amount rules its rate, SuiteQL
wants `Prefer: transient` and gives small pages, no write can be conditional. SuiteQL is run by PostgreSQL on
temporary tables. Tokens are those of `tests.rigs.oauth2`.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from typing import Any

import jwt
import psycopg

from tests.rigs.oauth2 import subject_of
from tests.rigs.shapes import Answer, Asked, StandIn

BODY_FIELDS = {
    "purchaseOrder": {"externalId", "entity", "memo", "item", "subsidiary"},
    "workOrder": {"externalId", "startDate", "endDate", "quantity", "memo", "item"},
}
LINE_FIELDS = {"line", "item", "quantity", "rate", "amount", "expectedReceiptDate", "description", "units"}
LINE_FIELDS |= {"isClosed", "department", "custcol_cost_centre"}
NUMBERS = {"quantity", "rate", "amount"}
PAGE = 2
TYPES = {"purchaseOrder": ("PurchOrd", "Purchase Order"), "workOrder": ("WorkOrd", "Work Order")}

CURRENCIES = {1: "USD", 2: "EUR"}
VENDORS = {
    5: {"entityid": "V5", "companyname": "Holzhandel Brenner", "isinactive": "F", "currency": 2},
    6: {"entityid": "V6", "companyname": "Beschlag & Co", "isinactive": "F", "currency": 2},
}
ITEMS = {
    3: {"itemid": "RM-OAK-40", "displayname": "Oak board 40 mm", "purchaseunit": "m2"},
    8: {"itemid": "RM-RUN-450", "displayname": "Drawer runner 450", "purchaseunit": "Pair"},
    9: {"itemid": "RM-HINGE-35", "displayname": "Hinge 35", "purchaseunit": "Piece"},
}
SOLD = {(3, 5): "58.40", (8, 6): "12.40", (9, 6): "2.10"}


def reference(number: int, name: str) -> dict[str, Any]:
    """A reference to another record as NetSuite writes one."""
    return {"id": str(number), "refName": name, "links": [{"rel": "self", "href": "about:blank"}]}


class NetSuite(StandIn):
    """The stand-in. `people`: client id to (id of the employee, what its role may do: "create purchaseOrder" ...).

    `effects`: idempotency key of every write that took effect. `remembers_keys`: answer a repeated key with
    IDEMPOTENCY_ERROR, as documented for asynchronous requests.
    """

    def __init__(self, people: Mapping[str, tuple[str, frozenset[str]]], keys: list[jwt.PyJWK]) -> None:
        super().__init__()
        self.people, self._keys = dict(people), keys
        self.effects: list[str] = []
        self.remembers_keys = False
        self.vendors = {number: dict(vendor) for number, vendor in VENDORS.items()}
        self.orders: dict[tuple[str, int], dict[str, Any]] = {}
        self._next = 100
        self._database: psycopg.Connection | None = None
        self._seed()

    def _seed(self) -> None:
        for days, price in ((-30, 12.4), (-3, 12.4)):
            made = self._new("purchaseOrder", entity=6, status="Pending Receipt")
            made["item"] = [
                self._line(1, 8, 40, price, 30 + days, quantityReceived=0, department={"id": "7"}),
                self._line(2, 9, 300, 2.1, 31 + days, quantityReceived=0, custcol_cost_centre="K-12"),
            ]
        for _ in range(3):
            order = self._new("workOrder", entity=0, status="Released")
            order |= {
                "assemblyItem": reference(21, "Oak table 180"),
                "quantity": 12,
                "startDate": _days(4),
                "endDate": _days(7),
                "item": [self._line(1, 3, 36, 0, 4)],
            }

    def _new(self, kind: str, *, entity: int, status: str, external: str = "") -> dict[str, Any]:
        self._next += 1
        prefix = {"purchaseOrder": "PO", "workOrder": "WO"}[kind]
        order: dict[str, Any] = {
            "id": str(self._next),
            "tranId": f"{prefix}{self._next}",
            "externalId": external,
            "status": {"id": "x", "refName": status},
            "createdDate": _moment(),
            "lastModifiedDate": _moment(),
            "tranDate": _days(0),
            "lastmodifiedby": "1",
            "item": [],
        }
        if entity:
            order["entity"] = reference(entity, str(self.vendors[entity]["companyname"]))
            order["currency"] = reference(int(str(self.vendors[entity]["currency"])), "Euro")
        self.orders[kind, self._next] = order
        return order

    def _line(self, line: int, item: int, many: float, rate: float, due: int, **more: Any) -> dict[str, Any]:
        made = {
            "line": line,
            "item": reference(item, str(ITEMS[item]["displayname"])),
            "quantity": many,
            "rate": rate,
            "amount": round(many * rate, 2),
            "expectedReceiptDate": _days(due),
            "units": {"id": "1", "refName": ITEMS[item]["purchaseunit"]},
        }
        return {**made, **more}

    def touch(self, kind: str, number: int) -> None:
        """Somebody else saves the record, changing a word of it."""
        order = self.orders[kind, number]
        order |= {"memo": f"touched {len(order.get('memo', ''))}", "lastmodifiedby": "1"}
        order["lastModifiedDate"] = _moment()

    # Answers

    def respond(self, asked: Asked) -> Answer:
        """The true answer."""
        who = subject_of(asked.header("Authorization").removeprefix("Bearer "), self._keys)
        if who not in self.people:
            return _error(401, "INVALID_LOGIN", "Invalid login attempt.")
        path = asked.path.removeprefix("/services/rest/")
        if path == "query/v1/suiteql":
            return self._suiteql(asked)
        _, _, kind, *rest = path.split("/")
        if asked.method == "GET":
            order = self._find(kind, rest[0])
            if order is None:
                return _error(404, "NONEXISTENT_ID", "That record does not exist.")
            shown = {name: value for name, value in order.items() if name != "lastmodifiedby"}
            shown["item"] = {
                "items": order["item"],
                "totalResults": len(order["item"]),
                "hasMore": False,
                "links": [],
            }
            return Answer(200, shown)
        return self._write(asked, kind, rest[0] if rest else "", *self.people[who])

    def _find(self, kind: str, key: str) -> dict[str, Any] | None:
        if key.startswith("eid:"):
            named = [
                order
                for (of, _), order in self.orders.items()
                if of == kind and order["externalId"] == key[4:]
            ]
            return named[0] if named else None
        return self.orders.get((kind, int(key)))

    def _write(self, asked: Asked, kind: str, key: str, employee: str, may: frozenset[str]) -> Answer:
        exists = bool(key) and self._find(kind, key) is not None
        if f"{'edit' if exists else 'create'} {kind}" not in may:
            return _error(403, "INSUFFICIENT_PERMISSION", f"You need the permission to do this with {kind}.")
        if not asked.body:
            return _error(400, "USER_ERROR", "Please enter value(s) for: mandatory fields.")
        name = asked.header("X-NetSuite-Idempotency-Key")
        if self.remembers_keys and name in self.effects:
            job = {"Location": f"{self.url}/services/rest/async/v1/job/7"}
            return _error(400, "IDEMPOTENCY_ERROR", "Conflict", job)
        body = dict(asked.body)
        if fault := self._check(
            kind, body, strict=asked.header("X-NetSuite-PropertyNameValidation") == "Error"
        ):
            return fault
        order = self._find(kind, key)
        if order is None and asked.method == "PUT":
            order = self._new(
                kind,
                entity=int(body["entity"]["id"]),
                status="Pending Supervisor Approval",
                external=key[4:],
            )
        elif order is None:
            return _error(404, "NONEXISTENT_ID", "That record does not exist.")
        if "item" in body:
            order["item"] = self._lines(
                order["item"], body["item"]["items"], replace=asked.query.get("replace") == "item"
            )
        order |= {part: value for part, value in body.items() if part not in {"item", "entity"}}
        order |= {"lastModifiedDate": _moment(), "lastmodifiedby": employee}
        self.effects.append(name)
        return Answer(204, None, {"Location": f"{self.url}/services/rest/record/v1/{kind}/{order['id']}"})

    def _check(self, kind: str, body: dict[str, Any], *, strict: bool) -> Answer | None:
        for fields, allowed in [
            (body, BODY_FIELDS[kind]),
            *((line, LINE_FIELDS) for line in body.get("item", {}).get("items", ())),
        ]:
            for part in set(fields) - allowed:
                if strict:
                    return _error(400, "INVALID_CONTENT", f"Unknown reference or field {part}.")
                del fields[part]
            for part in NUMBERS & set(fields):
                if not isinstance(fields[part], (int, float)):
                    return _error(400, "INVALID_CONTENT", f"{part} must be a number.")
        return None

    def _lines(
        self, old: list[dict[str, Any]], new: list[dict[str, Any]], *, replace: bool
    ) -> list[dict[str, Any]]:
        kept = [] if replace else [dict(line) for line in old]
        for line in new:
            item = int(line["item"]["id"]) if "item" in line else 0
            known = next((one for one in kept if one["line"] == line.get("line")), None)
            if known is None:
                before = next((one for one in old if one["line"] == line.get("line")), {})
                known = self._line(
                    max((one["line"] for one in kept), default=0) + 1,
                    item,
                    line.get("quantity", 0),
                    line.get("rate", 0),
                    0,
                )
                known["quantityReceived"] = before.get("quantityReceived", 0)
                kept.append(known)
            known |= {part: value for part, value in line.items() if part not in {"item", "units"}}
            if "amount" in line:
                known["rate"] = line["amount"] / known["quantity"]
            known["amount"] = round(known["quantity"] * known["rate"], 2)
        return kept

    # SuiteQL

    def _suiteql(self, asked: Asked) -> Answer:
        if asked.header("Prefer") != "transient":
            return _error(
                400, "INVALID_HEADER", "The required request header 'Prefer' is missing or not 'transient'."
            )
        offset = int(asked.query.get("offset", "0"))
        rows = self.query(asked.body["q"])
        page = rows[offset : offset + min(PAGE, int(asked.query.get("limit", "1000")))]
        more = offset + len(page) < len(rows)
        return Answer(
            200,
            {
                "items": page,
                "hasMore": more,
                "count": len(page),
                "offset": offset,
                "totalResults": len(rows),
                "links": [],
            },
        )

    def query(self, text: str) -> list[dict[str, str]]:
        """The rows of a query: everything text, what is null left out."""
        if self._database is None:
            self._database = psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True)
            self._database.execute(_TABLES)
        with self._database.cursor() as cursor:
            for table, rows in self._tables().items():
                cursor.execute(f"TRUNCATE {table}".encode())
                marks = ", ".join(["%s"] * len(rows[0]))
                cursor.executemany(f"INSERT INTO {table} VALUES ({marks})".encode(), rows)
            cursor.execute(text.replace("BUILTIN.DF(", "pg_temp.df(").encode())
            names = [column.name for column in cursor.description or ()]
            return [
                {name: str(value) for name, value in zip(names, row, strict=True) if value is not None}
                for row in cursor.fetchall()
            ]

    def __exit__(self, *how: object) -> None:
        super().__exit__(*how)
        if self._database is not None:
            self._database.close()

    def _tables(self) -> dict[str, list[tuple[Any, ...]]]:
        orders, lines = [], []
        for (kind, number), order in self.orders.items():
            type_, title = TYPES[kind]
            entity, currency = order.get("entity", {}).get("id"), order.get("currency", {}).get("id")
            status = f"{title} : {order['status']['refName']}"
            by, at = order["lastmodifiedby"], order["lastModifiedDate"]
            orders.append((number, order["tranId"], type_, status, entity, currency, by, at, None))
            lines.append((0, number, None, None, None, None, "F", "T", "F", None, None))
            lines += [
                (
                    line["line"],
                    number,
                    line["item"]["id"],
                    line["quantity"],
                    line["rate"],
                    line.get("quantityReceived", 0),
                    *("F", "F", "F"),
                    line["expectedReceiptDate"],
                    line["units"]["refName"],
                )
                for line in order["item"]
            ]
        vendors = [(number, *vendor.values()) for number, vendor in self.vendors.items()]
        items = [(n, i["itemid"], i["displayname"], "F", i["purchaseunit"]) for n, i in ITEMS.items()]
        return {
            "currency": list(CURRENCIES.items()),
            "vendor": vendors,
            "item": items,
            "itemvendor": [(item, vendor, price) for (item, vendor), price in SOLD.items()],
            "transaction": orders,
            "transactionline": lines,
        }


_TABLES = b"""
CREATE FUNCTION pg_temp.df(anyelement) RETURNS text LANGUAGE sql AS 'SELECT $1::text';
CREATE TEMP TABLE currency (id int, symbol text);
CREATE TEMP TABLE vendor (id int, entityid text, companyname text, isinactive text, currency int);
CREATE TEMP TABLE item (id int, itemid text, displayname text, isinactive text, purchaseunit text);
CREATE TEMP TABLE itemvendor (item int, vendor int, purchaseprice numeric);
CREATE TEMP TABLE transaction (id int, tranid text, type text, status text, entity int, currency int,
    lastmodifiedby int, lastmodifieddate timestamptz, shipdate date);
CREATE TEMP TABLE transactionline (id int, transaction int, item int, quantity numeric, rate numeric,
    quantityshiprecv numeric, isclosed text, mainline text, taxline text, expectedreceiptdate date, units text);
"""


def _error(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> Answer:
    body = {
        "type": "about:blank",
        "title": "Refused",
        "status": status,
        "o:errorDetails": [{"detail": detail, "o:errorCode": code}],
    }
    return Answer(status, body, headers or {})


def _moment() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _days(ahead: int) -> str:
    return (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=ahead)).isoformat()
