"""Manufacturing orders: reading them, and both of their changes by PMS100MI/Reschedule.

- Reschedule demands the quantity and whether to load infinitely or finitely (WLDE), also where only days change. The
  quantity sent is the approved one; WLDE is the connection's choice (`wlde`), and without it nothing is planned.
- It asks with flags DSP1 to DSP8 ("operations have been started" ...). A flag accepts a warning; none is ever sent,
  so such an answer goes to a person.
- What becomes of the materials is told nowhere. `SelMaterials` says what each needs per unit (CNQT) and in all (REQT);
  a change of quantity is planned only for orders whose every line is just that product, so that it can be foretold.

`Get` tells a change number, day and user (CHNO, LMDT, CHID): no write can be made conditional on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from integrations.contract import Record, Rejected, Snapshot, Step, Unsupported
from integrations.infor_m3 import values
from integrations.infor_m3.client import Client

PROGRAM = "PMS100MI"


@dataclass(frozen=True)
class View:
    """An order and its materials, as M3 has them."""

    order: Mapping[str, str]
    materials: Sequence[Mapping[str, str]]


def _key_fields(key: str) -> dict[str, str]:
    parts = key.split("/", 2)
    if len(parts) != 3:  # noqa: PLR2004
        raise Rejected(f"A manufacturing order's key is facility/number/product; {key!r} is not.")
    facility, number, product = parts
    return {
        "FACI": values.part(facility, 3, "facility"),
        "PRNO": values.part(product, 15, "product"),
        "MFNO": values.part(number, 10, "manufacturing order"),
    }


def key(order: Mapping[str, str]) -> str:
    """An order's key: M3 counts its numbers by facility and product."""
    return f"{order['FACI']}/{order['MFNO']}/{order['PRNO']}"


def look(client: Client, order: str) -> View:
    """The order with its materials. Rejected when it is not there."""
    fields = _key_fields(order)
    found = values.only(client.read(PROGRAM, "Get", **fields), f"manufacturing order {order}")
    return View(found, client.read(PROGRAM, "SelMaterials", **fields))


def label(view: View) -> str:
    """The order's name for people."""
    return f"{view.order['MFNO']} {view.order.get('ITDS') or view.order['PRNO']}"


def state(order: Mapping[str, str]) -> str:
    """Our word for a status: 10 preliminary, 20 and 40 released, 60 work started, 80 reported, 90 closed."""
    status = int(values.number(order.get("WHST", "")))
    steps = ((20, "draft"), (60, "released"), (80, "started"))
    return next((name for until, name in steps if status < until), "done")


def stamps(view: View) -> dict[str, str]:
    """M3's change number and day, and a digest of all that it tells: three digits of a number come round again."""
    version = f"{view.order.get('LMDT', '')}.{view.order.get('CHNO', '')}"
    content = values.digest([dict(view.order), [dict(line) for line in view.materials]])
    return {f"manufacturing order {key(view.order)}": f"{version} {content}"}


def _materials(view: View) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for line in view.materials:
        product = line["MTNO"]
        before = Decimal(found[product]["quantity"]["value"]) if product in found else Decimal(0)
        found[product] = {
            "key": product,
            "label": line.get("ITDS") or product,
            "quantity": {
                "value": values.plain(before + values.number(line["REQT"])),
                "unit": line["PEUN"] or "?",
            },
        }
    return list(found.values())


def record(view: View, type_name: str) -> Record:
    """The order in the type's words."""
    order = view.order
    fields = {
        "number": order["MFNO"],
        "product": order.get("ITDS") or order["PRNO"],
        "state": state(order),
        "quantity": values.quantity(order["ORQA"], order["MAUN"]),
        "planned_start": values.day(order["STDT"]),
        "planned_finish": values.day(order["FIDT"]),
    }
    lines = {"materials": _materials(view)} if type_name == "production_order_quantity" else {}
    return Record(fields, lines)


def _bill(view: View) -> tuple[list[dict[str, Any]], str]:
    """What the materials are per unit, and why that cannot be relied on, if so."""
    made = values.number(view.order["ORQA"])
    bill: dict[str, dict[str, Any]] = {}
    for line in view.materials:
        per, needed = values.number(line["CNQT"]), values.number(line["REQT"])
        name = line.get("ITDS") or line["MTNO"]
        if line["MTNO"] in bill:
            return [], f"{name} is in it twice, so what it will need cannot be foretold"
        if per * made != needed:
            return [], f"{name} needs {needed}, not {per} for each, so what it will need cannot be foretold"
        bill[line["MTNO"]] = {
            "key": line["MTNO"],
            "label": name,
            "unit": line["PEUN"] or "?",
            "per_unit": values.plain(per),
            "digits": int(values.number(line.get("DCCD", ""))),
        }
    return list(bill.values()), ""


def snapshot(client: Client, type_name: str, payload: Any) -> Snapshot:
    """The order, and for a change of quantity its materials."""
    as_of = values.now()
    view = look(client, payload.order)
    context: dict[str, Any] = {"state": state(view.order)}
    if type_name == "production_order_quantity":
        context["bom"], why = _bill(view)
        if why:
            context["locked"] = why
    else:
        context["needed_by"] = None
    return Snapshot(
        target=key(view.order),
        label=label(view),
        record=record(view, type_name),
        context=context,
        stamps=stamps(view),
        as_of=as_of,
        source=values.SOURCE,
    )


def plan(type_name: str, payload: Any, seen: Snapshot, options: Mapping[str, Any]) -> tuple[Step, ...]:
    """One Reschedule. Unsupported when the connection does not say how to load."""
    if str(options.get("wlde", "")) == "":
        raise Unsupported("The connection's option wlde does not say whether to load infinitely or finitely.")
    old = seen.record.fields
    fields = {**_key_fields(seen.target), "WLDE": str(options["wlde"])}
    if type_name == "production_order_quantity":
        fields["ORQA"] = payload.quantity.value
        text = f"Reschedule to {payload.quantity.value} {payload.quantity.unit}"
        days = {"STDT": old["planned_start"], "FIDT": old["planned_finish"]}
        fields |= {name: day.replace("-", "") for name, day in days.items() if day}
    else:
        fields["ORQA"] = old["quantity"]["value"]
        fields |= {
            "STDT": values.as_m3(payload.planned_start),
            "FIDT": values.as_m3(payload.planned_finish),
        }
        text = f"Reschedule to {payload.planned_start} until {payload.planned_finish}"
    request = {"program": PROGRAM, "transaction": "Reschedule", "fields": fields}
    return (Step("reschedule", text, request),)
