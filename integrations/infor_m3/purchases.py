"""Purchase orders: reading them, and `purchase_order_line_change` by PPS200MI/UpdLine.

Neither PPS200MI/GetHead nor GetLine tells a version or who changed a record, so the stamp is a digest of what they
tell, compared right before the write. To prove afterwards that a change is ours, the connection may name a field of
the line that takes our mark (`order_line_mark`, such as OURR, "our reference number"): the last ten characters of our
reference. Without it a change that was made is never provably ours, and a person has to say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from integrations.contract import Record, Rejected, Snapshot, Step, Unsupported
from integrations.infor_m3 import values
from integrations.infor_m3.client import Client

PROGRAM = "PPS200MI"
MARKS = frozenset({"OURR"})
"""Fields of a line that may take our mark: wide enough, read by GetLine and written by UpdLine."""


@dataclass(frozen=True)
class View:
    """An order's head and one of its lines, as M3 has them."""

    head: Mapping[str, str]
    line: Mapping[str, str]


def number(text: str) -> str:
    """An order's number."""
    return values.part(text, 10, "purchase order")


def line_key(line: Mapping[str, str]) -> str:
    """A line's number, with its subnumber where it has one."""
    return line["PNLI"] if line.get("PNLS", "0") in {"", "0"} else f"{line['PNLI']}-{line['PNLS']}"


def _line_fields(key: str) -> dict[str, str]:
    whole, _, sub = key.partition("-")
    if not (whole.isascii() and whole.isdecimal() and (sub or "0").isdecimal()) or len(key) > 7:  # noqa: PLR2004
        raise Rejected(f"M3 has no purchase order line {key!r}.")
    return {"PNLI": whole, "PNLS": sub or "0"}


def look(client: Client, order: str, line: str) -> View:
    """The head and the line. Rejected when either is not there."""
    fields = _line_fields(line)
    head = values.only(client.read(PROGRAM, "GetHead", PUNO=number(order)), f"purchase order {order}")
    found = values.only(
        client.read(PROGRAM, "GetLine", PUNO=head["PUNO"], **fields), f"line {line} in {order}"
    )
    return View(head, found)


def label(view: View) -> str:
    """The order's name for people."""
    return f"{view.head['PUNO']} {view.head['SUNO']}"


def state(line: Mapping[str, str]) -> str:
    """Our word for a line's lowest status: below 20 it is not printed, from 50 goods have come, from 75 all have."""
    status = int(values.number(line.get("PUSL", "")))
    steps = ((20, "draft"), (50, "confirmed"), (75, "processing"))
    return next((name for until, name in steps if status < until), "done")


def price(view: View) -> dict[str, str]:
    """The price of one unit: M3's is for `PUCD` of them."""
    per = values.number(view.line.get("PUCD", "")) or Decimal(1)
    return values.money(values.number(view.line["PUPR"]) / per, view.head["CUCD"])


def _locked(view: View) -> str:
    if values.number(view.line.get("PUCD", "")) not in {Decimal(0), Decimal(1)}:
        return f"its price is for {view.line['PUCD']} units"
    if view.line.get("PPUN") and view.line["PPUN"] != view.line["PUUN"]:
        return f"it is priced in {view.line['PPUN']} and bought in {view.line['PUUN']}"
    if view.line.get("OEND") == "1":
        return "the line is flagged as completed"
    return ""


def stamps(view: View) -> dict[str, str]:
    """What stands for versions: digests of all that M3 tells of the head and the line."""
    key = f"{view.head['PUNO']} {line_key(view.line)}"
    return {
        f"purchase order {view.head['PUNO']}": values.digest(dict(view.head)),
        f"purchase order line {key}": values.digest(dict(view.line)),
    }


def record(view: View) -> Record:
    """The line and its order's head in the type's words."""
    many, each = values.quantity(view.line["ORQA"], view.line["PUUN"]), price(view)
    return Record(
        {
            "number": view.head["PUNO"],
            "supplier_name": view.head["SUNO"],
            "state": state(view.line),
            "product": view.line.get("PITD") or view.line.get("ITDS") or view.line["ITNO"],
            "quantity": many,
            "unit_price": each,
            "amount": values.amount(many, each),
            "delivery_date": values.day(view.line["DWDT"]),
        }
    )


def snapshot(client: Client, payload: Any) -> Snapshot:
    """The line and what has arrived of it. M3 is not asked what was paid before."""
    as_of = values.now()
    view = look(client, payload.order, payload.line)
    context: dict[str, Any] = {
        "state": state(view.line),
        "currency": view.head["CUCD"],
        "received": values.quantity(view.line["RVQA"], view.line["PUUN"]),
        "last_price": None,
    }
    if why := _locked(view):
        context["locked"] = why
    return Snapshot(
        target=view.head["PUNO"],
        label=label(view),
        record=record(view),
        context=context,
        stamps=stamps(view),
        as_of=as_of,
        source=values.SOURCE,
    )


def mark(reference: str) -> str:
    """Our mark in a field of ten characters."""
    return reference.replace("-", "")[-10:]


def plan(payload: Any, seen: Snapshot, reference: str, options: Mapping[str, Any]) -> tuple[Step, ...]:
    """One UpdLine with the fields that change, and our mark where the connection names a field for it."""
    fields = {"PUNO": seen.target, **_line_fields(payload.line)}
    words = []
    if payload.quantity is not None:
        fields["ORQA"] = payload.quantity.value
        words.append(f"quantity {payload.quantity.value} {payload.quantity.unit}")
    if payload.unit_price is not None:
        fields["PUPR"] = payload.unit_price.amount
        words.append(f"unit price {payload.unit_price.amount} {payload.unit_price.currency}")
    if payload.delivery_date is not None:
        fields["DWDT"] = values.as_m3(payload.delivery_date)
        words.append(f"delivery on {payload.delivery_date}")
    if field := str(options.get("order_line_mark") or ""):
        if field not in MARKS:
            raise Unsupported(f"order_line_mark may be {', '.join(sorted(MARKS))}, not {field!r}.")
        fields[field] = mark(reference)
        words.append(f"our mark {fields[field]} in {field}")
    request = {"program": PROGRAM, "transaction": "UpdLine", "fields": fields}
    return (Step("write", f"Write line {payload.line}: {', '.join(words)}", request),)
