"""Steps: their form, sending one, and what of a plan Tryton's own log shows.

A step's request is plain JSON:

    {"document": "production,5",             the record that the whole change is about
     "model": "production", "method": "write", "records": [5],
     "values": {"planned_date": "2026-12-01"}}      dates, decimals and quantities in text

`method` is write, create, or a button. `records` are numbers, or, where the ERP makes the record in an earlier step
of the same plan, how it is found: {"description": "<our reference>"} for the amendment, {"origin": "purchase.line,6"}
for the moves it made anew.

Tryton keeps `ir.model.log`: every write and every change of state, who and when, in order. A step that was done
left its mark there: a write its fields, a button the state reached (a click alone proves nothing: with a rule for
two persons Tryton takes the first click and waits).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from integrations.contract import InDoubt, NeedsPerson, Receipt, Rejected, Stale, Step
from integrations.tryton.client import Client
from integrations.tryton.values import stamped_at

REACHED = {"draft": "draft", "wait": "waiting", "quote": "quotation", "validate_amendment": "validated"}
"""The state each button leads to."""

_DATES = frozenset({"planned_date", "planned_start_date", "delivery_date_store", "shipping_date"})
_DECIMALS = frozenset({"unit_price"})
_FLOATS = frozenset({"quantity"})


@dataclass(frozen=True)
class View:
    """A document as it is: its row, and stamps and last writers of the record and every line shown."""

    row: Mapping[str, Any]
    label: str
    stamps: Mapping[str, str]
    writers: Mapping[str, int | None]


Look = Callable[[Client, int], View]


def step(
    name: str, text: str, *, document: str, model: str, method: str, records: Any, values: Any = None
) -> Step:
    """A step with its request."""
    request = {"document": document, "model": model, "method": method, "records": records}
    return Step(name, text, {**request, "values": values} if values is not None else request)


def spoken(value: Any, name: str = "") -> Any:
    """A request's plain value as Tryton wants it spoken, by the name of its field."""
    if isinstance(value, Mapping):
        return {inner: spoken(part, inner) for inner, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [spoken(part, name) for part in value]
    if isinstance(value, str):
        if name in _DATES:
            return dt.date.fromisoformat(value)
        if name in _DECIMALS:
            return Decimal(value)
        if name in _FLOATS:
            return float(value)
    return value


def send(
    client: Client,
    step: Step,
    *,
    look: Look,
    expect: Mapping[str, str],
    reference: str,
    note: Callable[[Mapping[str, Any]], None],
) -> Receipt:
    """Do one step; the receipt's stamps are what the next step must expect.

    Reads first and notes last, so that what fails before the note was never sent.
    """
    request = step.request
    model, method = request["model"], request["method"]
    document, _, number = request["document"].partition(",")
    if method == "create":
        return _create(client, step, look=look, expect=expect, reference=reference, note=note)
    _compare(look(client, int(number)), expect)
    records, expect = _records(client, request, expect)
    _demand_stamps(model, records, request, expect)
    note({"step": step.name, "sends": f"{model}.{method}", "records": list(records)})
    parameters = [spoken(request["values"])] if method == "write" else []
    client.call(model, method, list(records), *parameters, writes=True, stamps=expect)
    view, states = _after(client, look, int(number), model, records if method in REACHED else ())
    if any(state != REACHED[method] for state in states):
        raise NeedsPerson(f"Tryton took {step.text!r} and did not do it: somebody there has to agree.")
    return _receipt(client, document, number, view, expect, {"sent": f"{model}.{method}"})


def _create(
    client: Client,
    step: Step,
    *,
    look: Look,
    expect: Mapping[str, str],
    reference: str,
    note: Callable[[Mapping[str, Any]], None],
) -> Receipt:
    model, values = step.request["model"], step.request["values"]
    named = {"purchase.purchase": "reference", "purchase.amendment": "description"}[model]
    if not reference or values[named] != reference:
        raise Rejected("The step does not carry our reference, so nothing was sent.")
    if not expect:
        raise Rejected("There is no stamp to compare with, so nothing was sent.")
    document, _, number = step.request["document"].partition(",")
    if number:
        _compare(look(client, int(number)), expect)
    found = client.search_read(model, [(named, "=", reference)], ["id"])
    if not found:
        note({"step": step.name, "sends": f"{model}.create", "reference": reference})
        made = client.call(model, "create", [spoken(values)], writes=True)
        found = [{"id": made[0]}]
    view, _ = _after(client, look, int(number or found[0]["id"]), model, ())
    evidence = {"sent": f"{model}.create", "number": str(found[0]["id"])}
    return _receipt(client, document, number or str(found[0]["id"]), view, expect, evidence)


def _compare(view: View, expect: Mapping[str, str]) -> None:
    """Refuse what has moved already, before anything is sent.

    Tryton compares only the stamps of records that the call writes; taking a quotation back to a draft does not
    write the line that is about to be changed. What moves after this look is refused by Tryton where it is written.
    """
    moved = sorted(name for name, stamp in expect.items() if view.stamps.get(name) != stamp)
    if moved and expect:
        raise Stale(f"{view.label} is not what was approved any more.", evidence={"moved": moved[:20]})


def _after(
    client: Client, look: Look, number: int, model: str, records: Sequence[int]
) -> tuple[View, list[str]]:
    """The document and the records' states, once a write has gone through.

    Not being able to read now is no refusal of the write, so every fault is a doubt.
    """
    try:
        rows = client.search_read(model, [("id", "in", list(records))], ["state"]) if records else []
        return look(client, number), [row["state"] for row in rows]
    except Exception as fault:
        raise InDoubt("Tryton took the write and could not be read afterwards.") from fault


def _receipt(
    client: Client,
    model: str,
    number: str,
    view: View,
    expected: Mapping[str, str],
    evidence: Mapping[str, Any],
) -> Receipt:
    # A stamp that moved by somebody else's hand is not adopted: the next step is then refused as stale.
    adopted = {
        name: stamp if view.writers.get(name) == client.user or name not in expected else expected[name]
        for name, stamp in view.stamps.items()
    }
    told = {**evidence, "account": client.login, "document": f"{model},{number}"}
    return Receipt(number, view.label, adopted, told)


def _records(
    client: Client, request: Mapping[str, Any], expect: Mapping[str, str]
) -> tuple[list[int], Mapping[str, str]]:
    wanted = request["records"]
    if isinstance(wanted, (list, tuple)):
        return [int(number) for number in wanted], expect
    model = request["model"]
    domain = [(name, "=", value) for name, value in wanted.items()]
    if model == "stock.move":
        domain += [("state", "=", "draft"), ("shipment", "=", None)]
    rows = client.search_read(model, domain, ["_timestamp", "create_uid"], order=[("id", "ASC")])
    if not rows:
        raise Rejected(f"Tryton has no {model} of {', '.join(map(str, wanted.values()))} any more.")
    # Made by the step before, so nobody was shown its stamp; it must still be as we made it.
    made = {f"{model},{row['id']}": row["_timestamp"] for row in rows if row["create_uid"] == client.user}
    return [row["id"] for row in rows], {**made, **expect}


def _demand_stamps(
    model: str, records: Sequence[int], request: Mapping[str, Any], expect: Mapping[str, str]
) -> None:
    written = [f"{model},{number}" for number in records]
    lines = (request.get("values") or {}).get("lines", []) if model == "purchase.purchase" else []
    written += [f"purchase.line,{number}" for line in lines if line[0] == "write" for number in line[1]]
    for name in written:
        if not expect.get(name):
            # Without the stamp Tryton would let the write through unlooked at.
            raise Rejected(f"There is no stamp to compare with for {name}, so nothing was sent.")


# What Tryton's log shows


@dataclass(frozen=True)
class Marks:
    """How many of a plan's steps our account has done, in order; who else wrote; and when we began."""

    done: int
    others: tuple[str, ...]


def marks(
    client: Client,
    steps: Sequence[Step],
    *,
    before: Mapping[str, str],
    reference: str,
    resources: Sequence[str],
) -> Marks:
    """Match the plan with Tryton's log since the stamps of `before`."""
    since = max(stamped_at(stamp) for stamp in before.values())
    amendments = _amendments(client, steps, reference)
    watched = sorted({*resources, *(f"purchase.amendment,{number}" for number in amendments)})
    log = client.search_read(
        "ir.model.log",
        [("resource", "in", watched), ("create_date", ">", since)],
        ["resource", "event", "target", "user", "user.login"],
        order=[("id", "ASC")],
    )
    ours = [entry for entry in log if entry["user"] == client.user]
    others = {
        (entry.get("user.") or {}).get("rec_name") or "somebody"
        for entry in log
        if entry["user"] not in {client.user, None, 0} and entry["event"] != "transition"
    }
    place = done = 0
    for one in steps:
        request = one.request
        if request["method"] == "create":
            if not amendments:
                break
            done += 1
            continue
        found = next((n for n in range(place, len(ours)) if _is_mark(ours[n], request, amendments)), None)
        if found is None:
            break
        place, done = found + 1, done + 1
    return Marks(done, tuple(sorted(others)))


def _amendments(client: Client, steps: Sequence[Step], reference: str) -> list[int]:
    if not any(one.request["model"] == "purchase.amendment" for one in steps):
        return []
    domain = [("description", "=", reference), ("create_uid", "=", client.user)]
    return [row["id"] for row in client.search_read("purchase.amendment", domain, ["id"])]


def _is_mark(entry: Mapping[str, Any], request: Mapping[str, Any], amendments: Sequence[int]) -> bool:
    model, method, records = request["model"], request["method"], request["records"]
    of, _, number = str(entry["resource"] or "").partition(",")
    if of != model:
        return False
    if isinstance(records, (list, tuple)):
        if number != str(records[0]):
            return False
    elif model == "purchase.amendment" and number not in {str(one) for one in amendments}:
        return False
    if method == "write":
        written = set(str(entry["target"]).split(","))
        return entry["event"] == "write" and written == set(request["values"])
    return (entry["event"], entry["target"]) == ("transition", f"state:{REACHED[method]}")
