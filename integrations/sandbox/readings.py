"""What the sandbox answers to each read tool: one function a tool, from arguments to the answer's value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from integrations.sandbox.client import Erp

Value = dict[str, Any]


def quantity(value: str, unit: str) -> Value:
    """A quantity in the contract's form."""
    return {"value": value, "unit": unit}


def money(amount: str, currency: str) -> Value:
    """Money in the contract's form."""
    return {"amount": amount, "currency": currency}


def times(many: str, each: str, currency: str) -> Value:
    """Quantity times price, in cents."""
    return money(
        str((Decimal(many) * Decimal(each)).quantize(Decimal("0.01"), rounding="ROUND_HALF_UP")), currency
    )


def total(lines: list[Value], currency: str) -> Value:
    """The sum of the lines' amounts."""
    return money(
        str(
            sum(
                (Decimal(times(x["quantity"], x["unit_price"], currency)["amount"]) for x in lines),
                Decimal("0.00"),
            )
        ),
        currency,
    )


def materials(view: Value) -> list[Value]:
    """A production order's materials, lines of one product summed, in the order of the lines."""
    summed: dict[str, Decimal] = {}
    for line in view["doc"]["lines"]:
        summed[line["product"]] = summed.get(line["product"], Decimal(0)) + Decimal(line["quantity"])
    return [
        {
            "key": key,
            "label": view["products"][key]["name"],
            "quantity": quantity(str(value), view["products"][key]["unit"]),
        }
        for key, value in summed.items()
    ]


def order_status_exceptions(erp: Erp, arguments: Any) -> Value:
    """Orders in trouble."""
    return erp.get(
        "exceptions", kind=arguments.kind or "", problem=arguments.problem or "", limit=str(arguments.limit)
    )


def production_order(erp: Erp, arguments: Any) -> Value:
    """A production order and its materials."""
    view = erp.get("record", kind="production", key=arguments.order)
    doc, products = view["doc"], view["products"]
    product = products[doc["product"]]
    return {
        **{name: doc[name] for name in ("key", "number", "reference", "state", "product")},
        "product_name": product["name"],
        "quantity": quantity(doc["quantity"], product["unit"]),
        **{name: doc[name] for name in ("planned_start", "planned_finish", "needed_by")},
        "materials": [
            {
                "product": line["key"],
                "code": products[line["key"]]["code"],
                "name": line["label"],
                "needed": line["quantity"],
                "available": quantity(products[line["key"]]["free"], products[line["key"]]["unit"]),
            }
            for line in materials(view)
        ],
    }


def purchase_order(erp: Erp, arguments: Any) -> Value:
    """A purchase order and its lines."""
    view = erp.get("record", kind="purchase", key=arguments.order)
    doc = view["doc"]
    return {
        **{name: doc[name] for name in ("key", "number", "reference", "state", "supplier", "ordered_on")},
        "supplier_name": view["supplier"]["name"],
        "total": total(doc["lines"], doc["currency"]),
        "lines": [_line(view, line, "received") for line in doc["lines"]],
    }


def sales_order(erp: Erp, arguments: Any) -> Value:
    """A sales order and its lines."""
    view = erp.get("record", kind="sale", key=arguments.order)
    doc = view["doc"]
    names = (
        "key",
        "number",
        "reference",
        "state",
        "customer",
        "ordered_on",
        "requested_date",
        "promised_date",
    )
    return {
        **{name: doc[name] for name in names},
        "ready_date": view["ready_date"],
        "total": total(doc["lines"], doc["currency"]),
        "lines": [_line(view, line, "shipped") for line in doc["lines"]],
    }


def _line(view: Value, line: Value, moved: str) -> Value:
    product, currency = view["products"][line["product"]], view["doc"]["currency"]
    value = {
        "key": line["key"],
        "product": line["product"],
        "name": product["name"],
        "quantity": quantity(line["quantity"], product["unit"]),
        moved: quantity(line[moved], product["unit"]),
        "unit_price": money(line["unit_price"], currency),
        "amount": times(line["quantity"], line["unit_price"], currency),
    }
    return value | ({"delivery_date": line["delivery_date"]} if "delivery_date" in line else {})


def stock_by_product(erp: Erp, arguments: Any) -> Value:
    """The stock of a product."""
    found = erp.get("product", key=arguments.product or "", code=arguments.code or "")
    unit = found["unit"]
    return {
        "product": found["key"],
        "code": found["code"],
        "name": found["name"],
        "on_hand": quantity(found["on_hand"], unit),
        "reserved": quantity(found["reserved"], unit),
        "forecast": quantity(found["forecast"], unit),
        "locations": [
            {"location": place["location"], "on_hand": quantity(place["value"], unit)}
            for place in found["stock"]
        ],
        "suppliers": [
            {
                "supplier": s["key"],
                "name": s["name"],
                "last_price": money(s["last_price"], s["currency"]) if s["last_price"] else None,
                "lead_days": s["lead_days"],
            }
            for s in found["suppliers"]
        ],
    }


def supplier(erp: Erp, arguments: Any) -> Value:
    """A supplier and what it sells."""
    found = erp.get("supplier", key=arguments.supplier)
    doc, products = found["supplier"], found["products"]
    return {
        **{name: doc[name] for name in ("key", "name", "currency", "active")},
        "products": [
            {
                "product": key,
                "code": products[key]["code"],
                "name": products[key]["name"],
                "unit": products[key]["unit"],
                "last_price": money(terms["last_price"], doc["currency"]) if terms["last_price"] else None,
                "usual_quantity": quantity(terms["usual"], products[key]["unit"]) if terms["usual"] else None,
                "minimum": quantity(terms["minimum"], products[key]["unit"]) if terms["minimum"] else None,
                "lead_days": terms["lead_days"],
            }
            for key, terms in doc["sells"].items()
        ],
    }


READINGS: Mapping[str, Callable[[Erp, Any], Value]] = {
    "order_status_exceptions": order_status_exceptions,
    "production_order": production_order,
    "purchase_order": purchase_order,
    "sales_order": sales_order,
    "stock_by_product": stock_by_product,
    "supplier": supplier,
}
