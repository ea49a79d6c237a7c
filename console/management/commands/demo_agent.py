"""`manage.py demo_agent`: an agent like any other. Plain HTTP and a key; it imports nothing of the console.

It reads which orders are in trouble, looks closer, and proposes one repair for each, in plain rules instead of a
model. It proposes once per order and trouble, and orders a material once for all that lack it: its
Idempotency-Key is made of what it is about. Once a day it also answers what planners ask every morning, from what
it read; people mark those answers.

`--sit SUITE` lets the same rules sit an eval run: only the key is another one, and the day is the case's. `--hasty`
is a worse version of it, which promises five days whatever a supplier or the shop needs; it is there to be told apart.
"""

import argparse
import datetime as dt
import hashlib
import math
import os
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from django.core.management.base import BaseCommand, CommandError

ROUND_SECONDS = 60
AT_ONCE = 12
"""How many proposals it makes in one round: a queue that a person can read."""
HASTE = 5
"""Days that a supplier takes who says nothing of it."""
NOTICE = 7
"""Days from today to the first shipping day that can be promised anew."""


class Command(BaseCommand):
    """Read, propose, wait, again."""

    help = "Run the demo agent against a console, over HTTP, with its key."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--url", default=os.environ.get("COUNTERSIGN_URL", ""), help="the console's address"
        )
        parser.add_argument("--key-file", default="var/demo-agent.key", help="file with the agent's key")
        parser.add_argument("--once", action="store_true", help="one round, then end")
        parser.add_argument("--sit", default="", help="sit an eval run over this suite, then end")
        parser.add_argument("--practice", action="store_true", help="sit the public cases: opens no gate")
        parser.add_argument("--hasty", action="store_true", help="be a worse version: ignore lead times")

    def handle(
        self,
        *_: Any,
        url: str,
        key_file: str,
        once: bool,
        sit: str,
        practice: bool,
        hasty: bool,
        **__: Any,
    ) -> None:
        """Run until ended."""
        if not url:
            raise CommandError("Say where the console is: --url http://127.0.0.1:8000/")
        key = Path(key_file).read_text().strip()
        with httpx.Client(
            base_url=url.rstrip("/") + "/api/v1/", headers={"Authorization": f"Bearer {key}"}, timeout=60
        ) as http:
            if sit:
                self.stdout.write(_sit(http, sit, practice=practice, hasty=hasty))
                return
            while True:
                try:
                    for line in _round(http, hasty=hasty):
                        self.stdout.write(line)
                        self.stdout.flush()
                except httpx.HTTPError as error:
                    self.stdout.write(f"the console does not answer ({type(error).__name__}); trying again")
                if once:
                    return
                time.sleep(ROUND_SECONDS)


def _sit(http: httpx.Client, suite: str, *, practice: bool, hasty: bool) -> str:
    """Sit a run from where it stands to its end; gives what came of it in one line."""
    opened = _taken(_call(http, "POST", "runs", {"suite": suite, "practice": practice}))
    url = f"runs/{opened['run']['ref']}"
    key = {"Authorization": f"Bearer {opened['key']}"}
    with httpx.Client(base_url=http.base_url, headers=key, timeout=60) as frozen:
        for _ in range(opened["run"]["answered"], opened["run"]["sittings"]):
            _answer(frozen, url, hasty=hasty)
        run = _taken(_call(frozen, "POST", f"{url}/finish", {}))
    found = run["result"]
    low, high = math.floor(100 * float(found["low"])), math.ceil(100 * float(found["high"]))
    ends = f"{low} to {high} % with 95 % confidence"
    said = "passed" if found["passed"] else "did not pass: " + "; ".join(found["reasons"])
    return f"{run['ref']}: {found['right']} of {found['cases']} right ({ends}); {said}"


def _answer(frozen: httpx.Client, url: str, *, hasty: bool) -> None:
    """Answer the case whose turn it is, by the rules of every day."""
    case = _taken(_call(frozen, "GET", f"{url}/case"))
    began = case["reading"]
    listed = began["value"].get("exceptions", []) if began else []
    trouble = next((one for one in listed if one["label"] in case["words"]), None)
    proposal = _repair(frozen, trouble, began, hasty=hasty) if trouble is not None else None
    if proposal is None or proposal["transaction_type"] != case["about"]:
        said = {"case": case["number"], "rationale": "By what was read it can stay as it is."}
        _taken(_call(frozen, "POST", f"{url}/nothing", said))
    else:
        _taken(_call(frozen, "POST", "proposals", proposal, key=f"case-{case['number']}"))


def _taken(answer: httpx.Response) -> dict[str, Any]:
    """The answer's body. CommandError with the console's own words where it said no."""
    body: dict[str, Any] = answer.json()
    if answer.is_error:
        raise CommandError(
            f"The console says: {body.get('detail') or body.get('title') or answer.status_code}"
        )
    return body


def _call(
    http: httpx.Client, method: str, path: str, body: dict[str, Any] | None = None, *, key: str = ""
) -> httpx.Response:
    """One call; told that it calls too often, it waits as long as it is told to."""
    headers = {"Idempotency-Key": key} if key else {}
    while True:
        answer = http.request(method, path, json=body, headers=headers)
        if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
            return answer
        time.sleep(float(answer.headers.get("Retry-After", "1")))


def _round(http: httpx.Client, *, hasty: bool) -> Iterator[str]:
    found = _read(http, "order_status_exceptions", {"limit": 100})
    if found is None:
        yield "could not read which orders are in trouble; trying again later"
        return
    for question, known in _asked_every_morning(found["value"]):
        if _tell(http, question, known, found["reading"]):
            yield f"answered: {question}"
    made = 0
    lacking = _lacking(found["value"]["exceptions"])
    for trouble in found["value"]["exceptions"]:
        if made >= AT_ONCE:
            break
        about = f"{trouble['kind']}-{trouble['key']}-{trouble['problem']}"
        if trouble["problem"] == "short_of_material":
            material = trouble["missing"][0]["product"] if trouble["missing"] else ""
            if material not in lacking:
                continue
            trouble = lacking.pop(material)  # noqa: PLW2901 one order for all that lack it
            about = f"material-{material}"
        proposal = _repair(http, trouble, found, hasty=hasty)
        if proposal is None:
            continue
        answer = _propose(http, proposal, about)
        if answer is None:
            continue
        made += 1
        yield f"proposed {answer['ref']}: {proposal['transaction_type']} for {trouble['label']}"


def _asked_every_morning(told: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What planners ask, with the answer, of what `order_status_exceptions` told."""
    listed = told["exceptions"]
    if not listed:
        yield "Is any order in trouble?", {"found": told["found"]}
        return
    worst = listed[0]
    yield (
        "How many orders are in trouble, and which is the most urgent?",
        {"found": told["found"], "most_urgent": worst["label"], "reason": worst["reason"]},
    )
    late = max(listed, key=lambda one: one["days_late"])
    yield "Which order is the longest overdue?", {"order": late["label"], "days_late": late["days_late"]}
    short = [one["label"] for one in listed if one["problem"] == "short_of_material"]
    if short:
        yield (
            "Which orders lack material, and what does the most urgent of them lack?",
            {
                "orders": short[:AT_ONCE],
                "lacks": next((lack["name"] for one in listed for lack in one["missing"]), "nothing"),
            },
        )


def _tell(http: httpx.Client, question: str, answer: dict[str, Any], reading: str) -> bool:
    """Post an answer to a person's question, once a day. Whether it was taken now."""
    today = dt.datetime.now(dt.UTC).date().isoformat()
    key = hashlib.sha256(f"{question} {today}".encode()).hexdigest()[:40]
    body = {"tool": "order_status_exceptions", "question": question, "answer": answer, "readings": [reading]}
    # Told that people have enough to mark it does not wait, as `_call` would.
    said = http.post("answers", json=body, headers={"Idempotency-Key": key})
    return said.status_code == httpx.codes.CREATED


def _lacking(exceptions: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Product to the first trouble that lacks it, with what all of them lack together."""
    found: dict[str, dict[str, Any]] = {}
    for trouble in exceptions:
        if trouble["problem"] != "short_of_material" or not trouble["missing"]:
            continue
        lack = trouble["missing"][0]
        if (first := found.get(lack["product"])) is None:
            found[lack["product"]] = {**trouble, "missing": [lack], "others": 0}
            continue
        before = first["missing"][0]["missing"]
        total = Decimal(before["value"]) + Decimal(lack["missing"]["value"])
        first["missing"] = [{**lack, "missing": {**before, "value": format(total.normalize(), "f")}}]
        first["others"] += 1
    return found


def _repair(
    http: httpx.Client, trouble: dict[str, Any], found: dict[str, Any], *, hasty: bool
) -> dict[str, Any] | None:
    """A proposal for one trouble, None when nothing should be done. `found` is the reading that told of it."""
    reading, today = found["reading"], dt.datetime.fromisoformat(found["as_of"]).date()
    match trouble["kind"], trouble["problem"]:
        case "production", "late" if trouble["state"] in {"draft", "requested", "released"}:
            return _move_production(http, trouble, reading, today)
        case "production", "late" if trouble["state"] == "started":
            return _have_looked_at(http, trouble, reading, today)
        case "production", "short_of_material":
            return _order_material(http, trouble, reading, today)
        case "sale", "late" | "unconfirmed":
            return _promise(http, trouble, reading, today, hasty=hasty)
        case "purchase", "late" | "unconfirmed":
            return _later_delivery(http, trouble, reading, today, hasty=hasty)
    return None


def _move_production(
    http: httpx.Client, trouble: dict[str, Any], reading: str, today: dt.date
) -> dict[str, Any] | None:
    order = _read(http, "production_order", {"order": trouble["key"]})
    if order is None or not order["value"]["planned_start"] or not order["value"]["planned_finish"]:
        return None
    value = order["value"]
    days = dt.date.fromisoformat(value["planned_finish"]) - dt.date.fromisoformat(value["planned_start"])
    start = _workday(today + dt.timedelta(days=4))
    finish = _workday(start + max(days, dt.timedelta(days=1)))
    return {
        "transaction_type": "production_order_reschedule",
        "payload": {
            "order": trouble["key"],
            "planned_start": start.isoformat(),
            "planned_finish": finish.isoformat(),
        },
        "rationale": f"{trouble['reason']} The next free start outside the frozen days is {start}; the order keeps "
        f"its {max(days.days, 1)} days.",
        "readings": [reading, order["reading"]],
    }


def _have_looked_at(
    http: httpx.Client, trouble: dict[str, Any], reading: str, today: dt.date
) -> dict[str, Any] | None:
    """What has begun cannot be moved any more; somebody has to go and look."""
    order = _read(http, "production_order", {"order": trouble["key"]})
    if order is None:
        return None
    name = str(trouble["label"])
    due = _workday(today + dt.timedelta(days=1))
    return {
        "transaction_type": "floor_task",
        "payload": {
            "place": "Workshop",
            "title": f"Find out what holds {name} up"[:120],
            "instruction": f"Go to where {name} is made. Ask what holds it up and when it will be finished. "
            "If material or a machine is missing, tell planning today.",
            "check": "Planning knows the cause and a day on which the order will be finished.",
            "reason": trouble["reason"],
            "due": due.isoformat(),
        },
        "rationale": f"{trouble['reason']} Its work has begun, so its days cannot be changed in the ERP; "
        "whoever stands beside it can say what is wrong.",
        "readings": [reading, order["reading"]],
    }


def _order_material(
    http: httpx.Client, trouble: dict[str, Any], reading: str, today: dt.date
) -> dict[str, Any] | None:
    if not trouble["missing"]:
        return None
    lack = trouble["missing"][0]
    stock = _read(http, "stock_by_product", {"product": lack["product"]})
    if stock is None or not stock["value"]["suppliers"]:
        return None
    source = stock["value"]["suppliers"][0]
    supplier = _read(http, "supplier", {"supplier": source["supplier"]})
    if supplier is None:
        return None
    sold = next((one for one in supplier["value"]["products"] if one["product"] == lack["product"]), None)
    if sold is None or sold["last_price"] is None:
        return None
    wanted = Decimal(lack["missing"]["value"])
    for floor in (sold["usual_quantity"], sold["minimum"]):
        if floor is not None:
            wanted = max(wanted, Decimal(floor["value"]))
    arrival = _workday(today + dt.timedelta(days=(sold["lead_days"] or 14) + 1))
    return {
        "transaction_type": "purchase_order_create",
        "payload": {
            "supplier": source["supplier"],
            "lines": [
                {
                    "product": lack["product"],
                    "quantity": {"value": format(wanted.normalize(), "f"), "unit": sold["unit"]},
                    "unit_price": sold["last_price"],
                    "delivery_date": arrival.isoformat(),
                }
            ],
        },
        "rationale": f"{trouble['label']}: {trouble['reason']} "
        + (
            f"{trouble['others']} more orders lack it too; this covers all of them. "
            if trouble["others"]
            else ""
        )
        + f"{supplier['value']['name']} sells it and delivers in {sold['lead_days'] or 14} days.",
        "readings": [reading, stock["reading"], supplier["reading"]],
    }


def _promise(
    http: httpx.Client, trouble: dict[str, Any], reading: str, today: dt.date, *, hasty: bool
) -> dict[str, Any] | None:
    """A new day where the promised one is over; a quotation whose day is still to come stands as it is."""
    order = _read(http, "sales_order", {"order": trouble["key"]})
    if order is None:
        return None
    promised = order["value"]["promised_date"]
    if trouble["problem"] == "unconfirmed" and (promised is None or dt.date.fromisoformat(promised) >= today):
        return None
    day = _workday(today + dt.timedelta(days=HASTE if hasty else NOTICE))
    return {
        "transaction_type": "sales_order_promise",
        "payload": {"order": trouble["key"], "promised_date": day.isoformat()},
        "rationale": f"{trouble['reason']} {day} can be kept; the customer should hear of it now.",
        "readings": [reading, order["reading"]],
    }


def _later_delivery(
    http: httpx.Client, trouble: dict[str, Any], reading: str, today: dt.date, *, hasty: bool
) -> dict[str, Any] | None:
    order = _read(http, "purchase_order", {"order": trouble["key"]})
    if order is None:
        return None
    readings = [reading, order["reading"]]
    days: dict[str | None, int] = {}
    if not hasty:
        supplier = _read(http, "supplier", {"supplier": order["value"]["supplier"]})
        if supplier is None:
            return None
        readings.append(supplier["reading"])
        days = {one["product"]: one["lead_days"] or HASTE for one in supplier["value"]["products"]}
    for line in order["value"]["lines"]:
        takes = days.get(line["product"], HASTE)
        day = _workday(today + dt.timedelta(days=takes))
        if line["delivery_date"] is not None and dt.date.fromisoformat(line["delivery_date"]) >= day:
            continue
        return {
            "transaction_type": "purchase_order_line_change",
            "payload": {"order": trouble["key"], "line": line["key"], "delivery_date": day.isoformat()},
            "rationale": f"{trouble['reason']} It takes {takes} days, so {day} is the first day that planning can "
            "rely on.",
            "readings": readings,
        }
    return None


def _read(http: httpx.Client, tool: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
    answer = _call(http, "POST", f"reads/{tool}", {"arguments": arguments})
    found: dict[str, Any] | None = answer.json() if answer.status_code == httpx.codes.OK else None
    return found


def _propose(http: httpx.Client, proposal: dict[str, Any], about: str) -> dict[str, Any] | None:
    today = dt.datetime.now(dt.UTC).date().isoformat()
    key = hashlib.sha256(f"{about} {today}".encode()).hexdigest()[:40]
    answer = _call(http, "POST", "proposals", proposal, key=key)
    if answer.status_code != httpx.codes.ACCEPTED or answer.headers.get("Idempotent-Replayed") == "true":
        return None
    made: dict[str, Any] = answer.json()
    return made


def _workday(day: dt.date) -> dt.date:
    """That day, or the Monday after a weekend."""
    return day + dt.timedelta(days=max(0, 7 - day.weekday()) if day.weekday() > 4 else 0)  # noqa: PLR2004
