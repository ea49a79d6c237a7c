"""The read tools that M3 answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from integrations.contract import Rejected
from integrations.infor_m3 import productions, purchases, values
from integrations.infor_m3.client import MOST_RECORDS, Client


def purchase_order(client: Client, arguments: Any) -> dict[str, Any]:
    """One purchase order with its lines."""
    order = purchases.number(arguments.order)
    head = values.only(client.read(purchases.PROGRAM, "GetHead", PUNO=order), f"purchase order {order}")
    rows = client.read(purchases.PROGRAM, "LstLine", PUNO=order)
    if len(rows) >= MOST_RECORDS:
        raise Rejected(f"Purchase order {order} has more lines than M3 tells at once.")
    lines = []
    total = Decimal(0)
    for row in rows:
        view = purchases.View(head, row)
        many, price = values.quantity(row["ORQA"], row["PUUN"]), purchases.price(view)
        lines.append(
            {
                "key": purchases.line_key(row),
                "product": row["ITNO"] or None,
                "name": row.get("PITD") or row.get("ITDS") or row["ITNO"],
                "quantity": many,
                "received": values.quantity(row["RVQA"], row["PUUN"]),
                "unit_price": price,
                "amount": values.amount(many, price),
                "delivery_date": values.day(row["DWDT"]),
            }
        )
        total += Decimal(values.amount(many, price)["amount"])
    states = [purchases.state(row) for row in rows]
    ranked = ("draft", "confirmed", "processing", "done")
    return {
        "key": head["PUNO"],
        "number": head["PUNO"],
        "reference": head.get("YRE1", ""),
        "state": min(states, key=ranked.index) if states else "draft",
        "supplier": head["SUNO"],
        "supplier_name": head["SUNO"],
        "ordered_on": values.day(head["PUDT"]),
        "total": values.money(total, head["CUCD"]),
        "lines": lines,
    }


def production_order(client: Client, arguments: Any) -> dict[str, Any]:
    """One manufacturing order with its materials."""
    view = productions.look(client, arguments.order)
    told = productions.record(view, "production_order_quantity")
    return {
        "key": productions.key(view.order),
        "number": view.order["MFNO"],
        "reference": view.order.get("RORN", ""),
        "state": told.fields["state"],
        "product": view.order["PRNO"],
        "product_name": told.fields["product"],
        "quantity": told.fields["quantity"],
        "planned_start": told.fields["planned_start"],
        "planned_finish": told.fields["planned_finish"],
        "needed_by": None,
        "materials": [
            {
                "product": line["key"],
                "code": line["key"],
                "name": line["label"],
                "needed": line["quantity"],
                "available": None,
            }
            for line in told.lines["materials"]
        ],
    }


TOOLS: Mapping[str, Callable[[Client, Any], dict[str, Any]]] = {
    "purchase_order": purchase_order,
    "production_order": production_order,
}
