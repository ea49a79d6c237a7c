"""Purchase orders: reading them, and `purchase_order_line_change`.

What other people's material says, and what follows from it:

- PATCH of an entity writes past the methods that a screen runs, and the last writer wins. So a change is done as the
  screen does it: GetByID, the Change... methods on a copy of the row marked RowMod "U", its original beside it, then
  Update with the dataset. `SysRevID`, "incremented upon each write", goes back untouched in every row: Kinetic refuses
  a row that somebody else has written since.
- The unit price is read from the screen's field, DocScrUnitCost, by ChangeUnitPrice; set elsewhere it is ignored. A
  message from ChangeUnitPriceConfirmOverride is a question for a person.
- GetByID may hand rows of other orders back; they are left out.
- An approved order cannot be updated: somebody there has to take the approval back, so it is locked. So are lines with
  more than one release, because a date or a quantity would have to be spread over them, and lines bought and priced in
  different units.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from integrations.contract import NeedsPerson, Record, Rejected, Snapshot, Step
from integrations.epicor import values
from integrations.epicor.client import Client

SERVICE = "Erp.BO.POSvc"
CHANGED = "U"


@dataclass(frozen=True)
class View:
    """An order with one of its lines and the line's releases, and the dataset that they are rows of."""

    company: str
    dataset: Mapping[str, Any]
    header: Mapping[str, Any]
    line: Mapping[str, Any]
    releases: tuple[Mapping[str, Any], ...]

    @property
    def key(self) -> str:
        """The order's key."""
        return f"{self.company}/{self.header['PONum']}"


def order_number(text: str) -> int:
    """An order's number. Rejected when it cannot be one."""
    if not text.isascii() or not text.isdecimal() or len(text) > 9:  # noqa: PLR2004 a 32-bit integer
        raise Rejected(f"Kinetic has no purchase order {text!r}.")
    return int(text)


def dataset(client: Client, company: str, number: int) -> dict[str, Any]:
    """The order's dataset without rows of other orders."""
    answer = client.compute(company, SERVICE, "GetByID", {"poNum": number})
    found = answer.get("returnObj")
    if not isinstance(found, Mapping):
        raise Rejected(f"Kinetic gives no dataset of purchase order {number}.")
    return {
        table: [row for row in rows if _is_of(row, number)] if isinstance(rows, list) else rows
        for table, rows in found.items()
    }


def _is_of(row: Mapping[str, Any], number: int) -> bool:
    named = row.get("PONum", row.get("PONUM", number))
    return bool(named == number)


def look(client: Client, order: str, line: str) -> View:
    """The order and the line. Rejected when either is not there."""
    company, number = client.company(order, "purchase order")
    found = dataset(client, company, order_number(number))
    header = values.row(found, "POHeader", f"purchase order {order}")
    rows = [row for row in found.get("PODetail") or () if str(row["POLine"]) == line]
    if not rows:
        raise Rejected(f"Purchase order {order} has no line {line!r}.")
    releases = tuple(row for row in found.get("PORel") or () if str(row["POLine"]) == line)
    return View(company, found, header, rows[0], releases)


def label(view: View) -> str:
    """The order's name for people."""
    return f"PO {view.header['PONum']} {view.header.get('VendorName') or ''}".strip()


def state(header: Mapping[str, Any]) -> str:
    """Our word for the order's flags."""
    if header.get("VoidOrder"):
        return "cancelled"
    if not header.get("OpenOrder"):
        return "done"
    return "confirmed" if header.get("Approve") else "draft"


def _locked(view: View) -> str:
    line = view.line
    if view.header.get("Approve"):
        return "it is approved, and somebody there has to take the approval back first"
    if len(view.releases) != 1:
        return f"the line has {len(view.releases)} releases"
    if not line.get("OpenLine", True):
        return "the line is closed"
    if line.get("PUM") != line.get("IUM"):
        return f"it is bought in {line.get('PUM')} and counted in {line.get('IUM')}"
    if line.get("CostPerCode", "E") != "E":
        return "its price is not for one unit"
    return ""


def stamps(view: View) -> dict[str, str]:
    """SysRevID of the order, the line and its releases."""
    found = {f"PO {view.key}": str(view.header["SysRevID"])}
    found[f"PO line {view.key}/{view.line['POLine']}"] = str(view.line["SysRevID"])
    for release in view.releases:
        found[f"PO release {view.key}/{view.line['POLine']}/{release['PORelNum']}"] = str(release["SysRevID"])
    return found


def due(view: View) -> str | None:
    """The day the line is to arrive: its release's, else its own."""
    days = sorted(day for release in view.releases if (day := values.day(release.get("DueDate"))))
    return days[0] if days else values.day(view.line.get("DueDate"))


def record(view: View) -> Record:
    """The line and its order's header in the type's words."""
    line = view.line
    many = values.quantity(line["OrderQty"], str(line.get("PUM") or ""))
    each = values.money(line["DocUnitCost"], values.currency(view.header["CurrencyCode"]))
    return Record(
        {
            "number": str(view.header["PONum"]),
            "supplier_name": str(view.header.get("VendorName") or ""),
            "state": state(view.header),
            "product": str(line.get("PartNum") or line.get("LineDesc") or ""),
            "quantity": many,
            "unit_price": each,
            "amount": values.amount(many, each),
            "delivery_date": due(view),
        }
    )


def snapshot(client: Client, payload: Any) -> Snapshot:
    """The line and what has arrived of it. Kinetic is not asked what was paid before."""
    as_of = values.now()
    view = look(client, payload.order, payload.line)
    received = sum((values.number(release.get("ReceivedQty")) for release in view.releases), values.number(0))
    context: dict[str, Any] = {
        "state": state(view.header),
        "currency": values.currency(view.header["CurrencyCode"]),
        "received": values.quantity(received, str(view.line.get("PUM") or "")),
        "last_price": None,
    }
    if why := _locked(view):
        context["locked"] = why
    return Snapshot(
        target=view.key,
        label=label(view),
        record=record(view),
        context=context,
        stamps=stamps(view),
        as_of=as_of,
        source=values.SOURCE,
    )


def plan(payload: Any, seen: Snapshot) -> tuple[Step, ...]:
    """One change as the screen does it: several calls that compute, and one Update."""
    company, _, number = seen.target.partition("/")
    changes: dict[str, str] = {}
    calls = ["GetByID"]
    if payload.quantity is not None:
        changes["quantity"] = payload.quantity.value
        calls.append("ChangeDetailCalcOurQty")
    if payload.unit_price is not None:
        changes["unit_price"] = payload.unit_price.amount
        calls += ["ChangeUnitPriceConfirmOverride", "ChangeUnitPrice"]
    if payload.delivery_date is not None:
        changes["delivery_date"] = payload.delivery_date.isoformat()
    request = {
        "company": company,
        "service": SERVICE,
        "order": int(number),
        "line": int(payload.line),
        "changes": changes,
        "calls": [*calls, "Update"],
    }
    words = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in changes.items())
    return (Step("update", f"Write line {payload.line}: {words}", request),)


def changed(client: Client, view: View, changes: Mapping[str, str]) -> dict[str, Any]:
    """The dataset to write: the line's row as it was, and a copy with the changes marked for update.

    The Change... methods are asked, and nothing is written. NeedsPerson when one of them asks a question.
    """
    new = {**copy.deepcopy(dict(view.line)), "RowMod": CHANGED}
    told = {**copy.deepcopy(dict(view.dataset)), "PODetail": [dict(view.line), new]}
    told["PORel"] = [dict(release) for release in view.releases]
    if "quantity" in changes:
        many = values.number(changes["quantity"])
        told = _compute(client, view, "ChangeDetailCalcOurQty", {"newCalcOurQty": many, "ds": told})
    if "unit_price" in changes:
        row = _marked(told)
        row["DocScrUnitCost"] = row["ScrUnitCost"] = values.number(changes["unit_price"])
        told = _compute(client, view, "ChangeUnitPriceConfirmOverride", {"ds": told})
        told = _compute(client, view, "ChangeUnitPrice", {"ds": told})
    if "delivery_date" in changes:
        day = f"{changes['delivery_date']}T00:00:00"
        _marked(told)["DueDate"] = day
        (release,) = view.releases
        marked = next((dict(row) for row in told["PORel"] if row.get("RowMod") == CHANGED), dict(release))
        told["PORel"] = [dict(release), {**marked, "DueDate": day, "RowMod": CHANGED}]
    return told


def _compute(client: Client, view: View, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    answer = client.compute(view.company, SERVICE, method, arguments)
    given = answer.get("parameters")
    told = given.get("ds") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or not isinstance(told, dict):
        raise Rejected(f"{method} handed no dataset back, so nothing was written.")
    if question := " ".join(str(given.get("confirmMsg") or "").split()):
        raise NeedsPerson(f"Kinetic asks: {question}"[:500])
    versions = {row["SysRowID"]: row["SysRevID"] for row in (view.line, *view.releases)}
    for table in ("PODetail", "PORel"):
        told[table] = [row for row in told.get(table) or () if row["SysRowID"] in versions]
        for row in told[table]:
            # The version that was approved goes back, whatever a method makes of it.
            row["SysRevID"] = versions[row["SysRowID"]]
    return told


def _marked(told: Mapping[str, Any]) -> dict[str, Any]:
    rows = [row for row in told["PODetail"] if row.get("RowMod") == CHANGED]
    if len(rows) != 1:
        raise Rejected("Kinetic handed the changed line back unmarked, so nothing was written.")
    found: dict[str, Any] = rows[0]
    return found
