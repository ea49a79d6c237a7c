"""Proving the robot's account at the screen: what Tryton must refuse it is tried, by rewriting its one write.

The robot opens a draft order, types and saves as ever. On its way out the write is made into one that changes nothing:
with a stamp of long ago it must be refused as stale, and to a party it must be refused as out of scope. What else the
account may do is told by the rights that the web client itself was given, for the models in `WATCHED` that it asked
about; the screens tell no more, so the account should be made by the script of another path, and proven there too.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from integrations.contract import Account, OutOfScope, ProbeReport, Rejected, Stale
from integrations.rpa import production_order_reschedule as script
from integrations.rpa import tryton_80 as screen
from integrations.rpa.browser import Sitting

WATCHED = (
    "account.invoice",
    "account.move",
    "ir.model.access",
    "party.party",
    "product.product",
    "product.template",
    "production",
    "production.bom",
    "purchase.purchase",
    "res.group",
    "res.user",
    "sale.sale",
    "stock.move",
    "stock.shipment.in",
    "stock.shipment.out",
)
"""Models that matter and that Tryton offers over the wire."""
_GRANTED = {(script.MODEL, "write")}
_OLD = "1.000000"


def probe(sitting: Sitting, where: Mapping[str, Any], account: Account) -> ProbeReport:
    """Try, compare, report."""
    findings: list[str] = []
    number = _draft(sitting, where, account)
    if number is None:
        findings.append("There is no draft order that a stale write could be tried on.")
        return ProbeReport(account.login, None, None, _excess(sitting, findings), tuple(findings))
    shown = script.look(sitting, where, account, number)
    kept = str(screen.day(shown["Planned Date"]) or dt.datetime.now(dt.UTC).date().isoformat())
    screen.fill(sitting, "Planned Date", screen.typed(_day_after(kept)))
    sitting.settled("the filled form", lambda: screen.value(sitting.page, "Planned Start Date") or "empty")
    stale = _refused(
        sitting,
        number,
        kept,
        _stale(number, screen.day(shown["Planned Date"])),
        Stale,
        findings,
        "a stale stamp",
    )
    out = _refused(sitting, number, kept, _party, OutOfScope, findings, "a party's record")
    return ProbeReport(account.login, stale, out, _excess(sitting, findings), tuple(findings))


def _day_after(day: str) -> str:
    return (dt.date.fromisoformat(day) + dt.timedelta(days=1)).isoformat()


def _draft(sitting: Sitting, where: Mapping[str, Any], account: Account) -> int | None:
    """The first draft order that the list shows."""
    domain = quote(json.dumps([["state", "=", "draft"]], separators=(",", ":")))
    url, database = str(where["url"]), str(where["database"])
    screen.open_address(sitting, url, database, account, f"model/{script.MODEL};domain={domain}")
    found = sitting.settled("the list of draft orders", lambda: _listed(sitting))
    return found[0] if found else None


def _listed(sitting: Sitting) -> list[int] | None:
    for one, response in reversed(sitting.heard):
        if one.method == f"model.{script.MODEL}.search":
            result = (screen.answer(response) or {}).get("result")
            return [int(number) for number in result] if isinstance(result, list) else None
    return None


def _stale(number: int, day: str | None) -> Callable[[str], str]:
    def rewrite(body: str) -> str:
        call = json.loads(body)
        context = {**call["params"][2], "_timestamp": {f"{script.MODEL},{number}": _OLD}}
        call["params"] = [[number], {"planned_date": _spoken(day)}, context]
        return json.dumps(call)

    return rewrite


def _spoken(day: str | None) -> Any:
    if day is None:
        return None
    found = dt.date.fromisoformat(day)
    return {"__class__": "date", "year": found.year, "month": found.month, "day": found.day}


def _party(body: str) -> str:
    call = json.loads(body)
    return json.dumps({**call, "method": "model.party.party.write", "params": [[1], {}, call["params"][2]]})


def _refused(
    sitting: Sitting,
    number: int,
    kept: str,
    trial: Callable[[str], str],
    by: type[Exception],
    findings: list[str],
    what: str,
) -> bool:
    start = screen.day(screen.value(sitting.page, "Planned Start Date"))
    expected = {
        "model": script.MODEL,
        "records": [number],
        "values": {"planned_date": _day_after(kept), "planned_start_date": start},
        "changed": ["planned_date"],
        "stamps": {},
    }
    sitting.gate.trial = trial
    try:
        screen.save(sitting, expected)
    except by:
        return True
    except (Stale, Rejected, OutOfScope) as other:
        findings.append(f"A write with {what} was refused, but not for that reason: {other.text}")
        return False
    finally:
        sitting.gate.trial = None
        screen.dismiss(sitting)
    findings.append(f"A write with {what} went through.")
    return False


def _excess(sitting: Sitting, findings: list[str]) -> tuple[str, ...]:
    told: dict[str, Mapping[str, Any]] = {}
    for one, response in sitting.heard:
        if one.method == "model.ir.model.access.get_access":
            told.update((screen.answer(response) or {}).get("result") or {})
    if unknown := [model for model in WATCHED if model not in told]:
        findings.append(
            f"The screen did not ask what it may do to {', '.join(unknown)}; prove it by another path."
        )
    return tuple(
        f"may {verb} {model}"
        for model in WATCHED
        for verb in ("write", "create", "delete")
        if told.get(model, {}).get(verb) and (model, verb) not in _GRANTED
    )
