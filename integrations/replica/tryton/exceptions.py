"""The read tool `order_status_exceptions` on Tryton's tables; what counts as which problem is the tool's own summary.

Late: a production whose finish is over, or whose start is over and that has not begun; a purchase with something
still to come that was due; a sale whose agreed day is over, not shipped, with no later day promised. Short of
material: a production, draft or released, that free stock does not reach; orders are served by their start.
Unconfirmed: a draft production that is to start within 5 days; a purchase that is a draft or a quotation, or a sale
that is a quotation, due within 14 days. Blocked: a shipment or invoice that a person has to settle.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from integrations.replica.standby import Rows
from integrations.replica.tryton.records import STATES, promised
from integrations.replica.values import counted, iso, quantity

START_SOON = 5
DUE_SOON = 14
_URGENT_DAYS = 3
_SEVERITIES = {"high": 0, "medium": 1, "low": 2}
_CALLED = {
    "draft": "a draft",
    "waiting": "only released",
    "running": "still in work",
    "assigned": "not started",
}


def order_status_exceptions(rows: Rows, arguments: Any) -> dict[str, Any]:
    """The exceptions asked for, worst first."""
    kinds = {"production": _productions, "purchase": _purchases, "sale": _sales}
    wanted = [arguments.kind] if arguments.kind else list(kinds)
    found = [one for kind in wanted for one in kinds[kind](rows)]
    if arguments.problem:
        found = [one for one in found if one["problem"] == arguments.problem]
    found.sort(
        key=lambda one: (_SEVERITIES[one["severity"]], -one["days_late"], one["due"] or "", one["label"])
    )
    return {"exceptions": found[: arguments.limit], "found": len(found)}


class _About:
    """An order in trouble: what all its exceptions say alike."""

    def __init__(
        self, kind: str, row: Mapping[str, Any], today: dt.date, *, partner: str = "", product: str
    ) -> None:
        self.kind, self.row, self.today, self.partner, self.product = kind, row, today, partner, product

    def says(
        self,
        problem: str,
        reason: str,
        *,
        due: dt.date | None,
        since: dt.date | None = None,
        missing: Sequence[Mapping[str, Any]] = (),
    ) -> dict[str, Any]:
        """One exception."""
        days = (due - self.today).days if due is not None else None
        late = max(-days, 0) if days is not None and problem in {"late", "short_of_material"} else 0
        near = days is not None and days <= _URGENT_DAYS
        if problem == "unconfirmed":
            severity = "medium" if near else "low"
        else:
            severity = "high" if late >= _URGENT_DAYS or problem == "blocked" or near else "medium"
        return {
            "kind": self.kind,
            "key": str(self.row["id"]),
            "number": self.row["number"],
            "label": f"{_called(self.row)} {self.partner or self.product}",
            "partner": self.partner,
            "product": self.product,
            "state": STATES.get(self.row["state"], self.row["state"]),
            "problem": problem,
            "reason": reason,
            "since": iso(since),
            "due": iso(due),
            "days_late": late,
            "severity": severity,
            "missing": list(missing),
        }


def _called(row: Mapping[str, Any]) -> str:
    """An order as Tryton names it: number with its revision, our reference in brackets, else its id."""
    number = f"{row['number']}/{row['revision']}" if row["number"] and row["revision"] else row["number"]
    words = [number, f"[{row['reference']}]" if row["reference"] else ""]
    return " ".join(word for word in words if word) or f"({row['id']})"


def _productions(rows: Rows) -> Iterator[dict[str, Any]]:
    today: dt.date = rows.always["today"]
    orders = rows.all("productions_open")
    for row in orders:
        about = _About("production", row, today, product=row["product_name"])
        start, finish = row["planned_start_date"], row["planned_date"]
        now = _CALLED.get(row["state"], STATES.get(row["state"], row["state"]))
        if finish is not None and finish < today:
            reason = f"It was to be finished on {finish} and is {now}."
            yield about.says("late", reason, due=finish, since=finish)
        elif start is not None and start < today and row["state"] != "running":
            reason = f"It was to start on {start} and has not; it is to be finished on {finish}."
            yield about.says("late", reason, due=start, since=start)
        if row["state"] in {"draft", "request"} and start is not None and (start - today).days <= START_SOON:
            yield about.says("unconfirmed", f"It is to start on {start} and is still {now}.", due=start)
    yield from _short(rows, [row for row in orders if row["state"] in {"draft", "request", "waiting"}])


def _short(rows: Rows, orders: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Serve the orders by their start with what is free; who gets less is short."""
    moves = by(rows.all("materials", orders=[row["id"] for row in orders]), "production")
    needed = sorted({move["product"] for listed in moves.values() for move in listed})
    stock = {one["product"]: one for one in rows.all("stock", products=needed)}
    free = {product: Decimal(counted(row["free"], row["digits"])) for product, row in stock.items()}
    coming = by(rows.all("incoming", products=needed), "product")
    today: dt.date = rows.always["today"]
    for row in orders:
        sentences, missing = [], []
        for move in moves.get(row["id"], ()):
            product, wanted = move["product"], move["internal_quantity"] or Decimal(0)
            if move["state"] != "draft" or product not in free:
                continue
            lacks = wanted - max(free[product], Decimal(0))
            free[product] -= wanted
            if lacks <= 0:
                continue
            unit, digits, name = (stock[product][part] for part in ("unit", "digits", "name"))
            first = coming.get(product)
            arrival = f"next delivery {max(first[0]['day'], today)}" if first else "no delivery planned"
            sentences.append(
                f"{name}: {counted(wanted, digits)} {unit} needed, {counted(wanted - lacks, digits)} left for it, "
                f"{arrival}"
            )
            missing.append({"product": str(product), "name": name, "missing": quantity(lacks, unit, digits)})
        if missing:
            about = _About("production", row, today, product=row["product_name"])
            reason = "; ".join(sentences) + "."
            yield about.says("short_of_material", reason, due=row["planned_start_date"], missing=missing)


def by(found: Iterable[Mapping[str, Any]], name: str) -> dict[Any, list[Mapping[str, Any]]]:
    """Rows by the value of one column, in the order they came."""
    made: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for row in found:
        made[row[name]].append(row)
    return dict(made)


def _purchases(rows: Rows) -> Iterator[dict[str, Any]]:
    today: dt.date = rows.always["today"]
    orders = rows.all("purchases", order=None)
    numbers = [row["id"] for row in orders]
    lines = by(rows.all("purchase_lines", orders=numbers), "purchase")
    due_moves = by(rows.all("purchase_moves_due", orders=numbers), "purchase")
    for row in orders:
        ordered = [
            line for line in lines.get(row["id"], ()) if line["type"] == "line" and line["unit"] is not None
        ]
        days = sorted(line["delivery_date"] for line in ordered if line["delivery_date"] is not None)
        names = ", ".join(line["name"] for line in ordered[:3])
        about = _About("purchase", row, today, partner=row["party_name"], product=names)
        if late := due_moves.get(row["id"]):
            known = {line["id"]: line for line in ordered}
            due = min(move["day"] for move in late)
            said = ", ".join(_arrival(known[move["line"]], move) for move in late[:3])
            yield about.says("late", f"{said} should have arrived on {due}.", due=due, since=due)
        elif row["state"] in {"draft", "quotation"} and days and (days[0] - today).days <= DUE_SOON:
            reason = (
                f"It is wanted on {days[0]} and is still a {row['state']}; the supplier does not know of it."
            )
            yield about.says("unconfirmed", reason, due=days[0])
        if reason := _exception(row):
            yield about.says("blocked", reason, due=days[0] if days else None)


def _arrival(line: Mapping[str, Any], move: Mapping[str, Any]) -> str:
    return f"{counted(move['quantity'], line['digits'])} {line['unit']} {line['name']}"


def _exception(row: Mapping[str, Any]) -> str:
    if row["shipment_state"] == "exception":
        return "A delivery of it was cancelled; somebody has to say whether it is delivered again."
    if row["invoice_state"] == "exception":
        return "An invoice of it was cancelled; somebody has to say whether it is invoiced again."
    return ""


def _sales(rows: Rows) -> Iterator[dict[str, Any]]:
    today: dt.date = rows.always["today"]
    orders = rows.all("sales", order=None)
    numbers = [row["id"] for row in orders]
    lines = by(rows.all("sale_lines", orders=numbers), "sale")
    shipments = by(rows.all("open_shipments", orders=numbers), "sale")
    for row in orders:
        still, agreed = shipments.get(row["id"], []), row["shipping_date"]
        names = ", ".join(line["name"] for line in lines.get(row["id"], ())[:3])
        about = _About("sale", row, today, partner=row["party_name"], product=names)
        if row["state"] == "processing" and still and agreed is not None and agreed < today:
            promise = promised(row, still)
            if promise is None or promise <= today:
                reason = f"It was to ship on {agreed}, has not, and no later day was promised."
                yield about.says("late", reason, due=agreed, since=agreed)
        elif row["state"] == "quotation" and agreed is not None and (agreed - today).days <= DUE_SOON:
            due = "was to ship" if agreed < today else "is to ship"
            reason = f"It {due} on {agreed} and is still a quotation."
            yield about.says("unconfirmed", reason, due=agreed)
        if reason := _exception(row):
            yield about.says("blocked", reason, due=agreed)
