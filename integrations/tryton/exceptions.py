"""The read tool `order_status_exceptions`: which orders are in trouble, and why, in words.

Late: a production whose finish is over, or whose start is over and that has not begun; a purchase with something
still to come that was due; a sale whose agreed day is over, not shipped, with no later day promised.

Short of material: a production, draft or released, that free stock does not reach; orders are served by their start.

Unconfirmed: a draft production that is to start within 5 days; a purchase that is a draft or a quotation, or a sale
that is a quotation, due within 14 days.

Blocked: an order with an exception of its shipments or invoices that a person has to settle.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from integrations.tryton import purchases, sales
from integrations.tryton.client import Client
from integrations.tryton.stock import incoming, on_hand
from integrations.tryton.values import exact, iso, quantity, state

START_SOON = 5
DUE_SOON = 14
_URGENT_DAYS = 3
_SEVERITIES = {"high": 0, "medium": 1, "low": 2}


def order_status_exceptions(client: Client, arguments: Any) -> dict[str, Any]:
    """The exceptions asked for, worst first."""
    wanted = [arguments.kind] if arguments.kind else list(KINDS)
    return listed((one for kind in wanted for one in troubles(client, kind)), arguments)


def troubles(client: Client, kind: str) -> Iterator[dict[str, Any]]:
    """Every exception of one kind of order, in no order."""
    yield from KINDS[kind](client, client.now().date())


def listed(found: Iterable[dict[str, Any]], arguments: Any) -> dict[str, Any]:
    """The tool's answer, from the exceptions of the kinds asked for."""
    found = [one for one in found if arguments.problem in {None, one["problem"]}]
    found.sort(
        key=lambda one: (_SEVERITIES[one["severity"]], -one["days_late"], one["due"] or "", one["label"])
    )
    return {"exceptions": found[: arguments.limit], "found": len(found)}


def _one(
    kind: str,
    row: Mapping[str, Any],
    *,
    problem: str,
    reason: str,
    partner: str,
    product: str,
    due: dt.date | None,
    since: dt.date | None,
    today: dt.date,
    soon: int = _URGENT_DAYS,
    missing: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    late = max((today - due).days, 0) if due is not None and problem in {"late", "short_of_material"} else 0
    near = due is not None and (due - today).days <= soon
    severity = "high" if late >= _URGENT_DAYS or problem == "blocked" or (near and problem != "unconfirmed") else (
        "medium" if near or problem != "unconfirmed" else "low"
    )  # fmt: skip
    return {
        "kind": kind,
        "key": str(row["id"]),
        "number": row["number"] or "",
        "label": f"{row['rec_name']} {partner or product}",
        "partner": partner,
        "product": product,
        "state": state(row["state"]),
        "problem": problem,
        "reason": reason,
        "since": iso(since),
        "due": iso(due),
        "days_late": late,
        "severity": severity,
        "missing": list(missing),
    }


def _productions(client: Client, today: dt.date) -> Iterator[dict[str, Any]]:
    rows = client.search_read(
        "production",
        [("state", "in", ["request", "draft", "waiting", "assigned", "running"])],
        [
            "number",
            "rec_name",
            "state",
            "planned_start_date",
            "planned_date",
            "product.rec_name",
            "inputs.product",
            "inputs.internal_quantity",
            "inputs.state",
        ],
        order=[("planned_start_date", "ASC"), ("id", "ASC")],
    )
    for row in rows:
        words: dict[str, Any] = {"partner": "", "product": row["product."]["rec_name"], "today": today}
        start, finish = row["planned_start_date"], row["planned_date"]
        if finish is not None and finish < today:
            reason = f"It was to be finished on {finish} and is {_called(row['state'])}."
            yield _one("production", row, problem="late", reason=reason, due=finish, since=finish, **words)
        elif start is not None and start < today and row["state"] != "running":
            reason = f"It was to start on {start} and has not; it is to be finished on {finish}."
            yield _one("production", row, problem="late", reason=reason, due=start, since=start, **words)
        if row["state"] in {"draft", "request"} and start is not None and (start - today).days <= START_SOON:
            reason = f"It is to start on {start} and is still {_called(row['state'])}."
            yield _one(
                "production", row, problem="unconfirmed", reason=reason, due=start, since=None, **words
            )
    yield from _short(client, [row for row in rows if row["state"] in {"draft", "request", "waiting"}], today)


def _called(name: str) -> str:
    words = {"released": "only released", "started": "still in work", "reserved": "not started"}
    return words.get(state(name), f"a {state(name)}" if name == "draft" else state(name))


def _short(client: Client, rows: Sequence[Mapping[str, Any]], today: dt.date) -> Iterator[dict[str, Any]]:
    """Serve the orders by their start with what is free; who gets less is short."""
    needed = sorted({move["product"] for row in rows for move in row["inputs."]})
    stock = on_hand(client, needed)
    free = {product: exact(row["quantity"]) for product, row in stock.items()}
    arrivals: dict[int, str] = {}
    for row in rows:
        lacking = []
        for move in row["inputs."]:
            if move["state"] != "draft" or move["product"] not in free:
                continue
            product, wanted = move["product"], exact(move["internal_quantity"])
            lacks = wanted - max(free[product], Decimal(0))
            free[product] -= wanted
            if lacks > 0:
                lacking.append((product, wanted, wanted - lacks, lacks))
        if not lacking:
            continue
        sentences, missing = [], []
        for product, wanted, got, lacks in lacking:
            unit, name = stock[product]["default_uom."], stock[product]["rec_name"]
            if product not in arrivals:
                coming = incoming(client, product)
                arrivals[product] = f"next delivery {coming[0][0]}" if coming else "no delivery planned"
            sentences.append(
                f"{name}: {quantity(wanted, unit)['value']} {unit['name']} needed, "
                f"{quantity(got, unit)['value']} left for it, {arrivals[product]}"
            )
            missing.append({"product": str(product), "name": name, "missing": quantity(lacks, unit)})
        start = row["planned_start_date"]
        yield _one(
            "production",
            row,
            problem="short_of_material",
            reason="; ".join(sentences) + ".",
            partner="",
            product=row["product."]["rec_name"],
            due=start,
            since=None,
            today=today,
            missing=missing,
        )


def _purchases(client: Client, today: dt.date) -> Iterator[dict[str, Any]]:
    rows = client.search_read(
        "purchase.purchase",
        [("state", "in", ["draft", "quotation", "confirmed", "processing"])],
        [
            "number",
            "rec_name",
            "state",
            "party.rec_name",
            "shipment_state",
            "invoice_state",
            "delivery_date",
            "lines.product.rec_name",
            "lines.description",
            "lines.type",
            "lines.quantity",
            "lines.unit.name",
            "lines.unit.digits",
            "lines.delivery_date",
            "lines.moves.state",
            "lines.moves.shipment",
            "lines.moves.planned_date",
            "lines.moves.quantity",
        ],
        order=[("id", "ASC")],
    )
    for row in rows:
        lines = [line for line in row["lines."] if line["type"] == "line" and line.get("unit.")]
        days = sorted(day for line in lines if (day := purchases.delivery(line)) is not None)
        names = ", ".join(purchases.name_of(line) for line in lines[:3])
        words: dict[str, Any] = {"partner": row["party."]["rec_name"], "product": names, "today": today}
        if row["state"] == "processing":
            # Tryton forgets a day that was over when the order was processed; the order itself keeps it.
            coming = [
                (day, line, move)
                for line in lines
                for move in line["moves."]
                if move["state"] in {"draft", "assigned"}
                and (day := move["planned_date"] or row["delivery_date"])
                and day < today
            ]
            if coming:
                due = min(day for day, _, _ in coming)
                late = ", ".join(
                    f"{quantity(move['quantity'], line['unit.'])['value']} {line['unit.']['name']} "
                    f"{purchases.name_of(line)}"
                    for _, line, move in coming[:3]
                )
                reason = f"{late} should have arrived on {due}."
                yield _one("purchase", row, problem="late", reason=reason, due=due, since=due, **words)
        elif row["state"] in {"draft", "quotation"} and days and (days[0] - today).days <= DUE_SOON:
            reason = (
                f"It is wanted on {days[0]} and is still a {row['state']}; the supplier does not know of it."
            )
            yield _one(
                "purchase", row, problem="unconfirmed", reason=reason, due=days[0], since=None, **words
            )
        if reason := _exception(row):
            due = days[0] if days else None
            yield _one("purchase", row, problem="blocked", reason=reason, due=due, since=None, **words)


def _exception(row: Mapping[str, Any]) -> str:
    if row["shipment_state"] == "exception":
        return "A delivery of it was cancelled; somebody has to say whether it is delivered again."
    if row["invoice_state"] == "exception":
        return "An invoice of it was cancelled; somebody has to say whether it is invoiced again."
    return ""


def _sales(client: Client, today: dt.date) -> Iterator[dict[str, Any]]:
    rows = client.search_read(
        "sale.sale",
        [("state", "in", ["draft", "quotation", "confirmed", "processing"])],
        [
            "number",
            "rec_name",
            "state",
            "party.rec_name",
            "shipping_date",
            "shipment_state",
            "invoice_state",
            "shipments.state",
            "shipments.planned_date",
            "lines.product.rec_name",
            "lines.description",
        ],
        order=[("id", "ASC")],
    )
    for row in rows:
        still = [s for s in row["shipments."] if s["state"] not in {"done", "cancelled", "shipped"}]
        promised = sales.promised({**row, "open": still})
        agreed = row["shipping_date"]
        names = ", ".join(purchases.name_of(line) for line in row["lines."][:3])
        words: dict[str, Any] = {"partner": row["party."]["rec_name"], "product": names, "today": today}
        if row["state"] == "processing" and still and agreed is not None and agreed < today:
            if promised is None or promised <= today:
                reason = f"It was to ship on {agreed}, has not, and no later day was promised."
                yield _one("sale", row, problem="late", reason=reason, due=agreed, since=agreed, **words)
        elif row["state"] == "quotation" and agreed is not None and (agreed - today).days <= DUE_SOON:
            due = "was to ship" if agreed < today else "is to ship"
            reason = f"It {due} on {agreed} and is still a quotation."
            yield _one("sale", row, problem="unconfirmed", reason=reason, due=agreed, since=None, **words)
        if reason := _exception(row):
            yield _one("sale", row, problem="blocked", reason=reason, due=agreed, since=None, **words)


KINDS: Mapping[str, Callable[[Client, dt.date], Iterator[dict[str, Any]]]] = {
    "production": _productions,
    "purchase": _purchases,
    "sale": _sales,
}
