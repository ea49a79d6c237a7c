"""What the M3 tests need: .ionapi files, accounts, and a conformance subject over our stand-in."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from integrations.contract import Account
from integrations.infor_m3.adapter import ADAPTER, M3Writer
from tests.integrations.conformance import Subject, a_port_where_nothing_listens
from tests.rigs.infor_m3 import M3, TENANT
from tests.rigs.oauth2 import OAuth2
from tests.rigs.shapes import Asked, working_day

NEEDED = {
    "purchase_order_line_change": "PPS200MI/UpdLine",
    "production_order_reschedule": "PMS100MI/Reschedule",
    "production_order_quantity": "PMS100MI/Reschedule",
}
USERS = {"READER": "reader", **{f"WRITER{n}": name for n, name in enumerate(NEEDED)}}
ORDER, LINE, MO = "7000017", "10", "A01/0002786/FG-TABLE-180"


def ionapi(user: str) -> dict[str, str]:
    """An .ionapi file's content."""
    return {
        "ti": TENANT,
        "cn": "countersign",
        "ci": f"{TENANT}~client",
        "cs": "client-secret-of-the-tests",
        "iu": "http://gateway.invalid",
        "pu": "http://tokens.invalid/as/",
        "oa": "authorization.oauth2",
        "ot": "token.oauth2",
        "saak": f"{TENANT}#{user}",
        "sask": f"sask-of-{user}",
    }


def account(user: str) -> Account:
    return Account(user, json.dumps(ionapi(user)))


@dataclass
class Rig:
    """The stand-in and the token server."""

    system: M3
    tokens: OAuth2

    def options(self, **more: Any) -> dict[str, Any]:
        addresses = {"gateway": f"{self.system.url}/{TENANT}", "tokens": self.tokens.token_url}
        return {**addresses, "timeout": 10, "wlde": "1", "order_line_mark": "OURR", "cono": "100", **more}

    def writer(self, type_name: str, **more: Any) -> contextlib.closing[M3Writer]:
        user = next(user for user, name in USERS.items() if name == type_name)
        return contextlib.closing(M3Writer(self.options(**more), account(user)))

    def subject(self) -> Subject:
        @contextlib.contextmanager
        def lose_answer(_type_name: str) -> Iterator[None]:
            self.system.lose = is_write
            yield
            self.system.lose = None

        def nowhere() -> Mapping[str, Any]:
            dead = f"http://127.0.0.1:{a_port_where_nothing_listens()}"
            return self.options(gateway=dead, tokens=f"{dead}/token")

        return Subject(
            adapter=ADAPTER,
            options=self.options(),
            reader=account("READER"),
            writers={name: account(user) for user, name in USERS.items() if name in NEEDED},
            payload=payload,
            arguments=lambda tool: {"order": ORDER if tool == "purchase_order" else MO},
            missing=lambda tool: {"order": "9999999" if tool == "purchase_order" else "A01/9999999/X"},
            touch=self.touch,
            nowhere=nowhere,
            lose_answer=lose_answer,
            cannot=("count",),
        )

    def touch(self, type_name: str, _proposed: Any) -> bool:
        if type_name == "purchase_order_line_change":
            self.system.touch_line(ORDER, LINE)
        else:
            self.system.touch_order("0002786")
        return True


def is_write(asked: Asked) -> bool:
    return asked.path.rpartition("/")[2] in {"UpdLine", "Reschedule"}


def payload(type_name: str) -> Mapping[str, Any]:
    if type_name == "purchase_order_line_change":
        return {
            "order": ORDER,
            "line": LINE,
            "quantity": {"value": "60", "unit": "PCS"},
            "unit_price": {"amount": "12.60", "currency": "EUR"},
            "delivery_date": working_day(25),
        }
    if type_name == "production_order_quantity":
        return {"order": MO, "quantity": {"value": "16", "unit": "PCS"}}
    return {"order": MO, "planned_start": working_day(9), "planned_finish": working_day(12)}
