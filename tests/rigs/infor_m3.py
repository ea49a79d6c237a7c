"""Our own stand-in for Infor M3 behind its ION API gateway, in the shapes that other people's clients show.

All of it is ours and proves nothing about M3. Deliberately awkward: it writes on GET, a failure is HTTP 200, values
are padded with blanks, a field it does not know is ignored, dates come as YYMMDD unless asked otherwise, warnings are
errors that a flag would accept. Tokens are those of `tests.rigs.oauth2`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import jwt

from tests.rigs.oauth2 import subject_of
from tests.rigs.shapes import Answer, Asked, StandIn

TENANT = "ACME_TST"
READ_ONLY = frozenset({"GetServerTime", "GetHead", "GetLine", "LstLine", "Get", "SelMaterials"})
DATES = frozenset({"DWDT", "PUDT", "STDT", "FIDT", "LMDT"})
LENGTHS = {
    "PUNO": 10,
    "SUNO": 10,
    "ITNO": 15,
    "PITD": 30,
    "MFNO": 10,
    "PRNO": 15,
    "ITDS": 30,
    "CHID": 10,
    "OURR": 10,
}


class M3(StandIn):
    """The stand-in. `users`: token's subject to (M3 user, transactions it may write by).

    `effects`: user and transaction of every write that took effect.
    """

    def __init__(self, users: Mapping[str, tuple[str, frozenset[str]]], keys: list[jwt.PyJWK]) -> None:
        super().__init__()
        self.users, self._keys = dict(users), keys
        self.effects: list[tuple[str, str]] = []
        self.heads = {
            "7000017": {
                "PUNO": "7000017",
                "SUNO": "BESCHLAG",
                "CUCD": "EUR",
                "PUDT": _day(-9),
                "YRE1": "",
            }
        }
        self.lines = {
            ("7000017", number, "0"): {
                "PUNO": "7000017",
                "PNLI": number,
                "PNLS": "0",
                "ITNO": item,
                "PITD": name,
                "PUUN": "PCS",
                "PPUN": "PCS",
                "PUCD": "1",
                "PUPR": price,
                "ORQA": many,
                "RVQA": "0",
                "DWDT": _day(30),
                "PUSL": "20",
                "PUST": "20",
                "OEND": "0",
                "OURR": "",
                "PITT": "",
            }
            for number, item, name, price, many in (
                ("10", "RM-RUN-450", "Drawer runner 450", "12.40", "40"),
                ("20", "RM-HINGE-35", "Hinge 35", "2.1", "300"),
            )
        }
        self.orders = {
            ("A01", "FG-TABLE-180", "0002786"): {
                "FACI": "A01",
                "PRNO": "FG-TABLE-180",
                "MFNO": "0002786",
                "ITDS": "Oak table 180",
                "ORQA": "12",
                "MAUN": "PCS",
                "STDT": _day(4),
                "FIDT": _day(7),
                "WHST": "20",
                "PRIO": "5",
                "RORN": "",
                "LMDT": _day(-2),
                "CHNO": "7",
                "CHID": "PLANNER",
            }
        }
        self.materials = [
            {"MTNO": "RM-OAK-40", "ITDS": "Oak board 40 mm", "CNQT": "3.25", "PEUN": "M2", "DCCD": "2"},
            {"MTNO": "RM-SCREW", "ITDS": "Wood screw 5x60", "CNQT": "48", "PEUN": "PCS", "DCCD": "0"},
        ]

    def touch_line(self, order: str, line: str) -> None:
        """Somebody else writes to a line."""
        self.lines[order, line, "0"]["PITT"] += "x"

    def touch_order(self, number: str) -> None:
        """Somebody else writes to a manufacturing order."""
        order = next(order for order in self.orders.values() if order["MFNO"] == number)
        order |= {"CHNO": str(int(order["CHNO"]) + 1), "CHID": "PLANNER", "LMDT": _day(0)}

    # Answers

    def respond(self, asked: Asked) -> Answer:
        """The true answer."""
        who = subject_of(asked.header("Authorization").removeprefix("Bearer "), self._keys)
        if who not in self.users:
            return Answer(401, {"error": "invalid token"})
        prefix = f"/{TENANT}/M3/m3api-rest/v2/execute/"
        if not asked.path.startswith(prefix) or asked.method != "GET":
            return Answer(404, {"error": "no such API"})
        program, transaction = asked.path.removeprefix(prefix).split("/")
        user, may = self.users[who]
        if transaction not in READ_ONLY and f"{program}/{transaction}" not in may:
            return _failed(transaction, f"User {user} is not authorized to {program}", "XAU0001")
        do = getattr(self, f"_{transaction.lower()}", None)
        if do is None:
            return _failed(transaction, "Supplier number must be entered" + " " * 40, "WSU0102", "SUNO")
        outcome: Answer | list[dict[str, str]] = do(asked.query, user)
        if isinstance(outcome, Answer):
            return outcome
        return _done(transaction, [_padded(record, asked.query) for record in outcome])

    def _getservertime(self, _query: Mapping[str, str], _user: str) -> list[dict[str, str]]:
        return [{"DATE": _day(0), "TIME": "101500"}]

    def _gethead(self, query: Mapping[str, str], _user: str) -> Answer | list[dict[str, str]]:
        head = self.heads.get(query.get("PUNO", ""))
        return (
            [head] if head else _failed("GetHead", "Purchase order number does not exist", "WPU0103", "PUNO")
        )

    def _getline(self, query: Mapping[str, str], _user: str) -> Answer | list[dict[str, str]]:
        line = self.lines.get((query.get("PUNO", ""), query.get("PNLI", ""), query.get("PNLS", "0")))
        return [line] if line else _failed("GetLine", "Record does not exist", "XRE0103", "PNLI")

    def _lstline(self, query: Mapping[str, str], _user: str) -> list[dict[str, str]]:
        return [line for (order, _, _), line in self.lines.items() if order == query.get("PUNO")]

    def _get(self, query: Mapping[str, str], _user: str) -> Answer | list[dict[str, str]]:
        order = self._order(query)
        return [order] if order else _failed("Get", "Record does not exist", "XRE0103")

    def _order(self, query: Mapping[str, str]) -> dict[str, str] | None:
        return self.orders.get((query.get("FACI", ""), query.get("PRNO", ""), query.get("MFNO", "")))

    def _selmaterials(self, query: Mapping[str, str], _user: str) -> list[dict[str, str]]:
        order = self._order(query)
        made = Decimal(order["ORQA"]) if order else Decimal(0)
        return [
            {**line, "REQT": line.get("REQT") or str(Decimal(line["CNQT"]) * made)} for line in self.materials
        ]

    def _updline(self, query: Mapping[str, str], user: str) -> Answer | list[dict[str, str]]:
        line = self.lines.get((query.get("PUNO", ""), query.get("PNLI", ""), query.get("PNLS", "0")))
        if line is None:
            return _failed("UpdLine", "Purchase order number must be entered", "WPU0102", "PUNO")
        if Decimal(query.get("ORQA", "1")) <= 0:
            return _failed("UpdLine", "Ordered quantity is invalid", "WOR0201", "ORQA")
        line |= {name: query[name] for name in ("ORQA", "PUPR", "DWDT", "OURR", "PITT") if name in query}
        self.effects.append((user, "UpdLine"))
        return []

    def _reschedule(self, query: Mapping[str, str], user: str) -> Answer | list[dict[str, str]]:
        order = self._order(query)
        if order is None or "ORQA" not in query or "WLDE" not in query:
            return _failed("Reschedule", "Manufacturing order number must be entered", "WMF0102", "MFNO")
        if int(order["WHST"]) >= 60 and query.get("DSP6") != "1":
            return _failed("Reschedule", "WARNING - Operations have been started", "PM10006", "DSP6")
        order |= {name: query[name] for name in ("ORQA", "STDT", "FIDT") if name in query}
        order |= {"CHNO": str((int(order["CHNO"]) + 1) % 1000), "CHID": user, "LMDT": _day(0)}
        self.effects.append((user, "Reschedule"))
        return []


def _done(transaction: str, records: list[dict[str, str]]) -> Answer:
    result = {"transaction": transaction, "records": records}
    return Answer(
        200,
        {
            "results": [result],
            "wasTerminated": False,
            "nrOfSuccessfullTransactions": 1,
            "nrOfFailedTransactions": 0,
        },
    )


def _failed(transaction: str, message: str, code: str, field: str = "") -> Answer:
    result: dict[str, Any] = {
        "transaction": transaction,
        "errorMessage": message.ljust(120),
        "errorType": "ServerReturnedNOK",
        "errorCode": code,
        "errorField": field,
    }
    return Answer(
        200,
        {
            "results": [result],
            "wasTerminated": False,
            "nrOfSuccessfullTransactions": 0,
            "nrOfFailedTransactions": 1,
        },
    )


def _padded(record: Mapping[str, str], query: Mapping[str, str]) -> dict[str, str]:
    """As M3 gives it: text filled up with blanks, a date in six digits unless eight are asked for."""
    eight = query.get("dateformat") == "YMD8"
    return {
        name: (value[2:] if name in DATES and not eight else value).ljust(LENGTHS.get(name, 0))
        for name, value in record.items()
    }


def _day(ahead: int) -> str:
    return (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=ahead)).strftime("%Y%m%d")
