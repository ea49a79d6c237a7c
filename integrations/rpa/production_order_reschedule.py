"""The reviewed script for `production_order_reschedule` at the screens of Tryton 8.0, version 2.

It moves an order that is in request or in draft: open, assert, evidence, fill, assert, evidence, note, one click,
assert, evidence. A released order would need three clicks, each a point of no return, so it is refused as locked.
The screen does not say by when a customer needs the order (`needed_by` is null) nor what it is worth.

Touch this file only together with its version, and have the screen certified anew.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from typing import Any

from integrations.contract import (
    Account,
    OutOfScope,
    Record,
    Rejected,
    Snapshot,
    Stale,
    Step,
)
from integrations.rpa import tryton_80 as screen
from integrations.rpa.browser import Otherwise, Sitting

NAME = "Tryton 8.0, production_order_reschedule, script 2"
MODEL = "production"
TITLE = "Production"
SOURCE = "screens of Tryton 8.0"
STATES = {
    "Request": "requested",
    "Draft": "draft",
    "Waiting": "released",
    "Assigned": "reserved",
    "Running": "started",
    "Done": "done",
    "Cancelled": "cancelled",
}
MOVABLE = ("requested", "draft")
FIELDS = {"planned_date": "Planned Date", "planned_start_date": "Planned Start Date"}
"""What is filled, in this order. Leaving the finish makes the screen propose a start; leaving the start makes it move a
finish that is nearer than the product's lead time, and such a pair cannot be typed: the rehearsal says so."""
SHOWN = (
    "Number",
    "Reference",
    "Product",
    "Quantity",
    "Unit",
    "State",
    "Planned Start Date",
    "Planned Date",
    "Company",
    "Warehouse",
)


def look(sitting: Sitting, where: Mapping[str, Any], account: Account, number: int) -> Mapping[str, str]:
    """Open the order and give what the screen steadily shows, label to text."""
    screen.open_record(sitting, str(where["url"]), str(where["database"]), account, MODEL, number)
    page = sitting.page
    shown = sitting.settled("the order", lambda: screen.values(page, SHOWN))
    if words := screen.dialog(page):
        raise Otherwise(f"a dialog says {words!r}")
    if not screen.signed_in_as(page).startswith(account.login):
        raise Otherwise(f"the screen is {screen.signed_in_as(page)!r}'s, not the robot's")
    company = str(where.get("company") or "")
    if company and shown["Company"] != company:
        raise Otherwise(f"the company is {shown['Company']!r}, expected is {company!r}")
    return shown


def fingerprint(sitting: Sitting) -> str:
    """A digest of the form's labels and roles: what this script was reviewed against."""
    labels = sitting.settled("the form's labels", lambda: screen.structure(sitting.page))
    return hashlib.sha256("\n".join(labels).encode()).hexdigest()


def snapshot(sitting: Sitting, where: Mapping[str, Any], account: Account, payload: Any) -> Snapshot:
    """The order as its screen shows it."""
    as_of = dt.datetime.now(dt.UTC)
    number = key(payload.order)
    shown = look(sitting, where, account, number)
    stamps = screen.stamps(sitting, MODEL, number) or {}
    print_ = fingerprint(sitting)
    sitting.keep("The order as it was read")
    record = record_of(shown)
    state = str(record.fields["state"])
    context: dict[str, Any] = {
        "state": state,
        "needed_by": None,
        "screen": {"script": NAME, "fingerprint": print_, "company": shown["Company"]},
    }
    if state == "released":
        context["locked"] = (
            "the robot moves orders in request or draft only; people move a released one there"
        )
    return Snapshot(
        target=str(number),
        label=f"{record.fields['number'] or number} {shown['Product']}",
        record=record,
        context=context,
        stamps=stamps,
        as_of=as_of,
        source=SOURCE,
        exhibits=tuple(sitting.exhibits),
    )


def key(text: str) -> int:
    """The order's number. Rejected when it cannot be one."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:  # noqa: PLR2004 PostgreSQL's integer
        raise Rejected(f"Tryton has no production order {text!r}.")
    return int(text)


def record_of(shown: Mapping[str, str]) -> Record:
    """What the screen shows, in the type's words. Otherwise for a state or a date that it does not know."""
    if shown["State"] not in STATES:
        raise Otherwise(f"the state is {shown['State']!r}, which this script does not know")
    return Record(
        {
            "number": shown["Number"] or shown["Reference"],
            "product": shown["Product"],
            "quantity": {"value": shown["Quantity"].replace(",", ""), "unit": shown["Unit"]},
            "state": STATES[shown["State"]],
            "planned_start": screen.day(shown["Planned Start Date"]),
            "planned_finish": screen.day(shown["Planned Date"]),
        }
    )


def plan(payload: Any, seen: Snapshot) -> tuple[Step, ...]:
    """One step: what the robot must find, what it types, what it clicks, and the one write the click may send."""
    number = int(seen.target)
    old = seen.record.fields
    values = {
        "planned_date": payload.planned_finish.isoformat(),
        "planned_start_date": payload.planned_start.isoformat(),
    }
    before = {"planned_date": old["planned_finish"], "planned_start_date": old["planned_start"]}
    about = seen.context["screen"]
    request = {
        "document": f"{MODEL},{number}",
        "model": MODEL,
        "method": "write",
        "records": [number],
        "values": values,
        "screen": {
            "script": about["script"],
            "fingerprint": about["fingerprint"],
            "address": f"#model/{MODEL}/{number}",
        },
        "must_show": {**old, "company": about["company"]},
        "type": {label: screen.typed(values[name]) for name, label in FIELDS.items()},
        "changed": sorted(name for name, value in values.items() if value != before[name]),
        "click": "Save",
    }
    text = f"At the screen: start {values['planned_start_date']}, finish {values['planned_date']}, Save"
    return (Step("screen", text, request),)


def assert_shown(sitting: Sitting, where: Mapping[str, Any], account: Account, step: Step) -> None:
    """Open the order; the system, the user, the company, the order, its state and every old value must be as approved.

    Stale when a value is another; Rejected when the screen itself is.
    """
    request = step.request
    number = int(request["records"][0])
    shown = look(sitting, where, account, number)
    if (found := fingerprint(sitting)) != request["screen"]["fingerprint"]:
        raise Rejected(
            f"The screen is not the one that was approved (fingerprint {found[:12]}, approved"
            f" {str(request['screen']['fingerprint'])[:12]}); nothing was written."
        )
    now = {**record_of(shown).fields, "company": shown["Company"]}
    wrong = [
        f"{name} is {now.get(name)!r}, approved was {value!r}"
        for name, value in request["must_show"].items()
        if now.get(name) != value
    ]
    if wrong:
        raise Stale(f"The screen does not show what was approved: {'; '.join(wrong)}.")
    for label in FIELDS.values():
        if not screen.field(sitting.page, label).is_editable():
            raise OutOfScope(f"The screen does not let the robot's account change {label}.")
    logs = screen.logs(sitting, TITLE)
    if (logs.model, logs.number) != (MODEL, str(number)):
        raise Otherwise(f"the logs are of {logs.model} {logs.number}, expected are those of {MODEL} {number}")
    sitting.keep("Before: the order as it stood")


def type_in(sitting: Sitting, step: Step) -> None:
    """Fill what was approved; every field must then steadily show it, and nothing else may have changed."""
    page = sitting.page
    others = [label for label in SHOWN if label not in FIELDS.values()]
    before = screen.values(page, others)
    for label, text in step.request["type"].items():
        screen.fill(sitting, label, text)
        sitting.hold(label, lambda label=label: screen.value(page, label), text)  # type: ignore[misc]
    wanted = {**before, **step.request["type"]}
    sitting.hold(
        "the screen makes something else of what is typed",
        lambda: screen.values(page, wanted),
        wanted,
    )
    if words := screen.dialog(page):
        raise Otherwise(f"a dialog says {words!r}")
    sitting.keep("Filled: what is about to be saved")
