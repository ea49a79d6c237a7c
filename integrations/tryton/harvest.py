"""Frozen cases from what people did: Tryton's own history as the truth, and as everything that was readable then.

For every change that a person made to a purchase order line (date, quantity, price) or to the shipping date of a sale
not yet processed: one case as of just before it, with the trouble as `order_status_exceptions` would have told it
then, the readings an agent needs, the snapshot, and the payload that equals what people did. For an order that was in
trouble and that people sent on without changing it: a case in which nothing should be done.

What cannot be reconstructed or is no fair question is left out and counted by its reason. Pure Tryton: no Django, an
account that only reads, and every read of then through `history.AsOf`.

The file is long because every reason to leave a change out stands beside the reading that shows it.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from integrations.contract import (
    Case,
    Level,
    ReadTool,
    Rejected,
    Snapshot,
    TransactionType,
    Unsupported,
    split_of,
)
from integrations.read_tools import order_status_exceptions, purchase_order, sales_order, supplier
from integrations.tryton import exceptions, purchases, sales
from integrations.tryton.client import Client
from integrations.tryton.history import AsOf, Proofs, Unproven
from integrations.tryton.reads import TOOLS
from integrations.tryton.values import SOURCE, iso, money, quantity

TYPES = frozenset({"purchase_order_line_change", "sales_order_promise"})
CORRECTED_WITHIN = dt.timedelta(days=2)
"""A change that people changed again so soon is disputed: either may have been right."""
_JUST_BEFORE = dt.timedelta(microseconds=1)
_AT_ONCE = 500
_LIST_ARGUMENTS: tuple[dict[str, Any], ...] = ({"limit": 100}, {}, {"limit": 200})

NO_TROUBLE = "nothing that was readable said why"
UNSETTLED = "it was done so lately that it may still be corrected"
OURS = "a service account of ours wrote it"
SAME_MOMENT = "several lines of the order were changed in the same moment"
DELETED = "what was changed has been deleted since"
NOT_CARRIED = "something was changed with it that the type does not carry"
REFUSED = "our own checks would have refused what people did"
MOVES = "the change was to a stock move or shipment, which has no history"


@dataclass(frozen=True)
class Version:
    """One version of a record: `row` as Tryton had it from `at` (naive UTC) on, written by user `by`."""

    at: dt.datetime
    by: int | None
    row: Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """What a person did at `at` (naive UTC): to `order`, and what equals it; None for sending it on as it was."""

    order: int
    at: dt.datetime
    by: int | None
    payloads: tuple[Mapping[str, Any] | None, ...]
    told: str
    line: int | None = None


def harvest(
    client: Client,
    type_: TransactionType,
    *,
    since: dt.datetime,
    until: dt.datetime | None = None,
    left_out: Counter[str],
    fields: Collection[str] = (),
    ours: Collection[str] = (),
    prompted: bool = True,
) -> Iterator[dict[str, Any]]:
    """Cases of one type, oldest first, in the form of a suite's file (see `console/evals/suites.py`).

    Args:
        client: an account that reads.
        type_: one of `TYPES`.
        since: aware; what was done before is not looked at.
        until: aware; what was done then or later is left out: it may still be corrected. None for nothing.
        left_out: gets a count for every reason why something is no case.
        fields: of the payload; changes of others are left out. Empty for all that the type carries.
        ours: logins of service accounts: what they wrote is what agents proposed.
        prompted: only what the list of exceptions showed then; else the case is started by words.

    Raises Unsupported for a type that Tryton's history does not tell of, and the contract's other errors.
    """
    if type_.name not in TYPES:
        known = ", ".join(sorted(TYPES))
        raise Unsupported(f"Tryton keeps no history that tells of {type_.name}; it does of {known}.")
    numbers = {
        row["id"] for row in client.search_read("res.user", [("login", "in", sorted(ours))], ["login"])
    }
    found = _PEOPLE_DID[type_.name](client, since.astimezone(dt.UTC).replace(tzinfo=None), left_out)
    proofs = Proofs()
    for change in sorted(found, key=lambda one: (one.at, one.order, one.line or 0)):
        if until is not None and change.at.replace(tzinfo=dt.UTC) >= until:
            left_out[UNSETTLED] += 1
            continue
        if change.by in numbers:
            left_out[OURS] += 1
            continue
        if fields and any(one is not None and not set(fields) & set(one) for one in change.payloads):
            left_out[f"another field than {', '.join(sorted(fields))} was changed"] += 1
            continue
        try:
            yield _frozen(client, proofs, type_, change, prompted=prompted)
        except (Unproven, Rejected) as reason:
            left_out[str(reason)] += 1


# What people did


def _line_changes(client: Client, since: dt.datetime, left_out: Counter[str]) -> Iterator[Change]:
    orders = client.search_read(
        purchases.MODEL,
        ["OR", ("create_date", ">=", since), ("write_date", ">=", since)],
        ["lines", "currency.code"],
    )
    of = {line: row for row in orders for line in row["lines"]}
    left_out[DELETED] += _deleted(client, "purchase.line", sorted(of), since)
    left_out[MOVES] += _logged(client, "stock.move", "planned_date", since)
    fields = (
        "product",
        "unit",
        "quantity",
        "unit_price",
        "delivery_date_edit",
        "delivery_date_store",
        "type",
    )
    versions = _versions(client, "purchase.line", sorted(of), (*fields, "unit.name", "unit.digits"))
    changed: dict[int, list[tuple[int, Version, Version]]] = {}
    for number, history in versions.items():
        for before, after in itertools.pairwise(history):
            if after.at >= since and _payload(of[number], number, before.row, after.row):
                changed.setdefault(of[number]["id"], []).append((number, before, after))
    for row in orders:
        mine = changed.get(row["id"], [])
        moments = Counter(after.at for _, _, after in mine)
        for number, before, after in mine:
            if moments[after.at] > 1:
                left_out[SAME_MOMENT] += 1
            elif any(before.row[name] != after.row[name] for name in ("product", "unit", "type")):
                left_out[NOT_CARRIED] += 1
            else:
                payload = _payload(row, number, before.row, after.row)
                later = [
                    _payload(row, number, before.row, again.row)
                    for other, _, again in mine
                    if other == number and after.at < again.at <= after.at + CORRECTED_WITHIN
                ]
                told = ", ".join(name for name in payload if name not in {"order", "line"})
                payloads = [payload, *(one for one in later if set(one) == set(payload) and one != payload)]
                yield Change(
                    row["id"], after.at, after.by, tuple(payloads), f"{told} of line {number}", line=number
                )
    untouched = [row["id"] for row in orders if row["id"] not in changed]
    yield from _sent_as_it_was(client, purchases.MODEL, untouched, since)


def _payload(
    order: Mapping[str, Any], line: int, before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, Any]:
    """The payload that makes the line so, empty when nothing that the type carries is different."""
    found: dict[str, Any] = {}
    if before["type"] != "line" or not after.get("unit."):
        return found
    if before["quantity"] != after["quantity"]:
        found["quantity"] = quantity(after["quantity"], after["unit."])
    if before["unit_price"] != after["unit_price"]:
        found["unit_price"] = money(after["unit_price"], order["currency."]["code"])
    days = [row["delivery_date_store"] if row["delivery_date_edit"] else None for row in (before, after)]
    if days[0] != days[1] and days[1] is not None:
        found["delivery_date"] = iso(days[1])
    return {"order": str(order["id"]), "line": str(line), **found} if found else {}


def _promises(client: Client, since: dt.datetime, left_out: Counter[str]) -> Iterator[Change]:
    orders = client.search_read(
        sales.MODEL, ["OR", ("create_date", ">=", since), ("write_date", ">=", since)], ["number"]
    )
    numbers = [row["id"] for row in orders]
    left_out[MOVES] += _logged(client, sales.SHIPMENT, "planned_date", since)
    left_out[DELETED] += _deleted(client, sales.MODEL, numbers, since)
    untouched = []
    for number, history in _versions(client, sales.MODEL, numbers, ("shipping_date", "state")).items():
        moves = [
            (before, after)
            for before, after in itertools.pairwise(history)
            if before.row["shipping_date"] != after.row["shipping_date"]
            and after.row["shipping_date"] is not None
        ]
        if not moves:
            untouched.append(number)
        for _, after in moves:
            if after.at < since:
                continue
            days = [after.row["shipping_date"]]
            days += [
                again.row["shipping_date"]
                for _, again in moves
                if after.at < again.at <= after.at + CORRECTED_WITHIN
            ]
            payloads = [{"order": str(number), "promised_date": iso(day)} for day in dict.fromkeys(days)]
            yield Change(number, after.at, after.by, tuple(payloads), "promised_date")
    yield from _sent_as_it_was(client, sales.MODEL, untouched, since)


def _sent_as_it_was(
    client: Client, model: str, orders: Sequence[int], since: dt.datetime
) -> Iterator[Change]:
    """Orders nobody changed before they went from quotation to the other side: somebody looked and let them be."""
    for number, history in _versions(client, model, orders, ("state",)).items():
        for before, after in itertools.pairwise(history):
            if before.row["state"] == "quotation" and after.row["state"] in {"confirmed", "processing"}:
                if after.at >= since:
                    yield Change(number, after.at, after.by, (None,), "sent on as it was")
                break


def _versions(
    client: Client, model: str, numbers: Sequence[int], fields: Sequence[str]
) -> dict[int, list[Version]]:
    """Every version of these records, oldest first; each moment is read once for all that changed in it."""
    moments: dict[dt.datetime, set[int]] = {}
    for start in range(0, len(numbers), _AT_ONCE):
        for at, number, _ in client.call(model, "history_revisions", list(numbers[start : start + _AT_ONCE])):
            moments.setdefault(at, set()).add(number)
    found: dict[int, list[Version]] = {number: [] for number in numbers}
    for at in sorted(moments):
        rows = client.search_read(
            model, [("id", "in", sorted(moments[at]))], [*fields, "write_uid", "create_uid"], _datetime=at
        )
        for row in rows:
            found[row["id"]].append(Version(at, row["write_uid"] or row["create_uid"], row))
    return found


def _deleted(client: Client, model: str, known: Sequence[int], since: dt.datetime) -> int:
    """How many records of between these numbers are gone: only their history knows of them."""
    if not known:
        return 0
    gone = 0
    for start in range(known[0], known[-1] + 1, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, known[-1] + 1))
        there = client.search_read(model, [("id", "in", list(numbers))], ["id"])
        missing = sorted(set(numbers) - {row["id"] for row in there})
        revisions = client.call(model, "history_revisions", missing) if missing else []
        gone += len({number for at, number, _ in revisions if at >= since})
    return gone


def _logged(client: Client, model: str, field: str, since: dt.datetime) -> int:
    """How often people wrote a field of a model without history, by Tryton's log; it is asked record by record."""
    rows = client.search_read(model, [("write_date", ">=", since)], ["id"])
    names = [f"{model},{row['id']}" for row in rows]
    counted = 0
    for start in range(0, len(names), _AT_ONCE):
        domain = [
            ("resource", "in", names[start : start + _AT_ONCE]),
            ("event", "=", "write"),
            ("target", "like", f"%{field}%"),
            ("create_date", ">=", since),
        ]
        counted += client.call("ir.model.log", "search_count", domain)
    return counted


_PEOPLE_DID = {"purchase_order_line_change": _line_changes, "sales_order_promise": _promises}


# What was readable then


def _frozen(
    client: Client, proofs: Proofs, type_: TransactionType, change: Change, *, prompted: bool
) -> dict[str, Any]:
    moment = change.at.replace(tzinfo=dt.UTC) - _JUST_BEFORE
    lists, trouble = _lists(AsOf(client, moment, proofs, lenient=True), type_, change, moment)
    if trouble is None and (prompted or change.payloads == (None,)):
        raise Unproven(NO_TROUBLE)
    then = AsOf(client, moment, proofs)
    readings = [*lists, *_readings(then, type_, change, moment)]
    snapshot = None
    if (first := change.payloads[0]) is not None:
        snapshot = _sound(type_, then, first, moment)
    number = f"{change.order}-{change.line}" if change.line else str(change.order)
    name = f"tryton:{type_.name}:{number}:{change.at:%Y%m%dT%H%M%S%f}"
    label = trouble["label"] if trouble else snapshot.label if snapshot else f"order {change.order}"
    words = (
        f"{label}: {trouble['reason']}"
        if trouble
        else f"Somebody asks about {label}: does it stand as it is?"
    )
    return {
        "id": name,
        "type": type_.name,
        "started_by": {"words": words, "reading": 0 if trouble else None},
        "as_of": moment.isoformat(),
        "readings": readings,
        "snapshot": _plain(snapshot) if snapshot else None,
        "acceptable": [dict(one) if one is not None else None for one in change.payloads],
        "critical": sorted(
            {one for payload in change.payloads if payload for one in payload} - {"order", "line"}
        ),
        "provenance": f"Tryton's history: user {change.by} at {change.at} UTC: {change.told}.",
        "label_confidence": "acted" if len(change.payloads) == 1 else "disputed",
        "split": split_of(name),
    }


def _lists(
    then: AsOf, type_: TransactionType, change: Change, moment: dt.datetime
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """The list of exceptions as it was, asked in the usual ways; and the trouble that the change was about."""
    kind = "purchase" if type_.name == "purchase_order_line_change" else "sale"
    found: list[dict[str, Any]] = []
    missing = []
    for one in exceptions.KINDS:
        try:
            found += list(exceptions.troubles(then, one))
        except Unproven:
            missing.append(one)
    source = f"{SOURCE}, history"
    if missing or then.left_out:
        # An agent must not take the list for whole.
        source += "; other orders are left out that cannot be told any more"
    trouble = next((one for one in found if (one["kind"], one["key"]) == (kind, str(change.order))), None)
    asked = [*_LIST_ARGUMENTS, {"kind": kind}]
    if trouble is not None:
        asked.append({"kind": kind, "problem": trouble["problem"]})
    tool = order_status_exceptions.TOOL
    readings = []
    for arguments in asked:
        parsed: Any = tool.arguments.model_validate(arguments)
        mine = [one for one in found if parsed.kind in {None, one["kind"]}]
        readings.append(_reading(tool, arguments, exceptions.listed(mine, parsed), moment, source))
    return readings, trouble


def _readings(
    then: AsOf, type_: TransactionType, change: Change, moment: dt.datetime
) -> Iterator[dict[str, Any]]:
    order = {"order": str(change.order)}
    if type_.name == "sales_order_promise":
        yield _read(then, sales_order.TOOL, order, moment)
        return
    found = _read(then, purchase_order.TOOL, order, moment)
    yield found
    yield _read(then, supplier.TOOL, {"supplier": found["answer"]["supplier"]}, moment)


def _read(then: AsOf, tool: ReadTool, arguments: Mapping[str, Any], moment: dt.datetime) -> dict[str, Any]:
    answer = TOOLS[tool.name](then, tool.arguments.model_validate(arguments))
    return _reading(tool, arguments, answer, moment, f"{SOURCE}, history")


def _reading(
    tool: ReadTool, arguments: Mapping[str, Any], answer: Mapping[str, Any], moment: dt.datetime, source: str
) -> dict[str, Any]:
    tool.answer.model_validate_json(json.dumps(answer))
    return {
        "tool": tool.name,
        "tool_version": tool.version,
        "arguments": dict(arguments),
        "answer": dict(answer),
        "as_of": moment.isoformat(),
        "source": source,
    }


def _sound(type_: TransactionType, then: AsOf, payload: Mapping[str, Any], moment: dt.datetime) -> Snapshot:
    """The snapshot of then. Unproven when the type, or its checks, would not have let through what people did."""
    try:
        parsed = type_.payload.model_validate_json(json.dumps(payload))
    except ValidationError:
        raise Unproven(REFUSED) from None
    look = purchases.snapshot_line if type_.name == "purchase_order_line_change" else sales.snapshot
    snapshot = look(then, type_.name, parsed)
    limits: dict[str, Decimal] = {one.name: one.default for one in type_.limits}
    case = Case(payload=parsed, snapshot=snapshot, limits=limits, today=moment.date())
    if any(finding.level is Level.ERROR for rule in type_.rules for finding in rule(case)):
        raise Unproven(REFUSED)
    return snapshot


def _plain(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "target": snapshot.target,
        "label": snapshot.label,
        "record": {
            "fields": dict(snapshot.record.fields),
            "lines": {name: [dict(line) for line in lines] for name, lines in snapshot.record.lines.items()},
        },
        "context": dict(snapshot.context),
        "stamps": dict(snapshot.stamps),
        "as_of": snapshot.as_of.isoformat(),
        "source": snapshot.source,
    }
