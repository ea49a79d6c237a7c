"""What the sandbox tells readers: records with what belongs to them, stock, terms, and exceptions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from integrations.sandbox.plant import Doc, Plant, Refused, stamps_of

OPEN_PRODUCTION = {"draft", "requested", "released", "reserved", "started"}
OPEN_ORDER = {"draft", "quotation", "confirmed", "processing"}
VERY_LATE = 7
"""Days after which being late is of high severity."""


def _seen(plant: Plant, kind: str, key: str) -> Doc:
    doc = plant.seen(f"{kind} {key}")
    if doc is None:
        raise Refused("not_found", f"There is no {kind} {key}.", 404)
    return doc


def _text(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def on_hand(product: Doc) -> Decimal:
    """All that lies anywhere."""
    return sum((Decimal(place["value"]) for place in product["stock"]), Decimal(0))


def _free(product: Doc) -> str:
    return _text(on_hand(product) - Decimal(product["reserved"]))


def _product(product: Doc) -> Doc:
    return {
        **{
            name: product[name]
            for name in ("key", "code", "name", "unit", "digits", "price", "bom", "reserved")
        },
        "on_hand": _text(on_hand(product)),
        "free": _free(product),
    }


def _ready(plant: Plant, sale: Doc) -> str | None:
    days = []
    for name in sale["waits_for"]:
        doc = plant.seen(name)
        if doc is None or doc["state"] in {"done", "cancelled"}:
            continue
        if doc["kind"] == "production" and doc["planned_finish"]:
            days.append(doc["planned_finish"])
        days += [line["delivery_date"] for line in doc["lines"] if line.get("delivery_date")]
    return max(days, default=None)


def record(plant: Plant, kind: str, key: str) -> Doc:
    """A record, its stamps, and the products, partner and days that belong to it."""
    doc = _seen(plant, kind, key)
    keys = {line["product"] for line in doc.get("lines", ())} | (
        {doc["product"]} if "product" in doc else set()
    )
    products = {k: _product(_seen(plant, "product", k)) for k in sorted(keys)}
    answer: Doc = {"doc": doc, "stamps": stamps_of(doc), "products": products}
    if kind == "production":
        answer["bom"] = [products_part(plant, part) for part in products[doc["product"]]["bom"]]
    if kind == "purchase":
        answer["supplier"] = _seen(plant, "supplier", doc["supplier"])
    if kind == "sale":
        answer["ready_date"] = _ready(plant, doc)
    return answer


def products_part(plant: Plant, part: Doc) -> Doc:
    """A line of a bill of materials with the product it names."""
    return {**_product(_seen(plant, "product", part["product"])), "per_unit": part["per_unit"]}


def terms(plant: Plant, supplier: str, products: list[str]) -> Doc:
    """What is needed to order: the supplier, its terms for these products, and its open orders of them."""
    found = plant.seen(f"supplier {supplier}")
    catalogue = {}
    for key in products:
        product = plant.seen(f"product {key}")
        if product is not None:
            catalogue[key] = {
                **_product(product),
                "terms": None if found is None else found["sells"].get(key),
            }
    orders = [
        {"number": doc["number"], "state": doc["state"], "line": line}
        for doc in plant.all("purchase")
        if doc["supplier"] == supplier and doc["state"] in OPEN_ORDER
        for line in doc["lines"]
        if line["product"] in products
    ]
    return {"supplier": found, "catalogue": catalogue, "open_orders": orders}


def product(plant: Plant, key: str, code: str) -> Doc:
    """A product by key or code, its forecast stock and who sells it."""
    if code:
        doc = next((d for d in plant.all("product") if d["code"] == code), None)
        if doc is None:
            raise Refused("not_found", f"There is no product with the code {code}.", 404)
    else:
        doc = _seen(plant, "product", key)
    forecast = on_hand(doc)
    for order in plant.all("purchase"):
        if order["state"] in OPEN_ORDER:
            forecast += sum(
                (
                    Decimal(line["quantity"]) - Decimal(line["received"])
                    for line in order["lines"]
                    if line["product"] == doc["key"]
                ),
                Decimal(0),
            )
    for order in plant.all("production"):
        if order["state"] in OPEN_PRODUCTION:
            forecast -= sum(
                (Decimal(line["quantity"]) for line in order["lines"] if line["product"] == doc["key"]),
                Decimal(0),
            )
            if order["product"] == doc["key"]:
                forecast += Decimal(order["quantity"])
    for order in plant.all("sale"):
        if order["state"] in OPEN_ORDER:
            forecast -= sum(
                (
                    Decimal(line["quantity"]) - Decimal(line["shipped"])
                    for line in order["lines"]
                    if line["product"] == doc["key"]
                ),
                Decimal(0),
            )
    sources = [
        {"key": s["key"], "name": s["name"], "currency": s["currency"], **s["sells"][doc["key"]]}
        for s in plant.all("supplier")
        if doc["key"] in s["sells"]
    ]
    return {
        **_product(doc),
        "stock": doc["stock"],
        "forecast": _text(forecast),
        "suppliers": sorted(sources, key=lambda s: int(s["key"])),
    }


def supplier(plant: Plant, key: str) -> Doc:
    """A supplier and the products it sells."""
    doc = _seen(plant, "supplier", key)
    return {"supplier": doc, "products": {k: _product(_seen(plant, "product", k)) for k in doc["sells"]}}


def sample(plant: Plant, kind: str) -> Doc:
    """Any record of a kind that is still open, for a probe. Refused `not_found`."""
    doc = next((d for d in plant.all(kind) if d.get("state") in OPEN_PRODUCTION | OPEN_ORDER), None)
    if doc is None:
        raise Refused("not_found", f"There is no open {kind}.", 404)
    return record(plant, kind, doc["key"])


def exceptions(plant: Plant, kind: str, problem: str, limit: int) -> Doc:
    """Orders in trouble, worst first. `kind` and `problem` empty: all of them."""
    today = plant.now().date()
    found: list[Doc] = []
    if kind in {"", "production"}:
        found += [
            e
            for d in plant.all("production")
            if d["state"] in OPEN_PRODUCTION
            for e in _of_production(plant, d, today)
        ]
    if kind in {"", "purchase"}:
        found += [
            e
            for d in plant.all("purchase")
            if d["state"] in OPEN_ORDER
            for e in _of_purchase(plant, d, today)
        ]
    if kind in {"", "sale"}:
        found += [e for d in plant.all("sale") if d["state"] in OPEN_ORDER for e in _of_sale(plant, d, today)]
    found = [e for e in found if problem in {"", e["problem"]}]
    rank = {"high": 0, "medium": 1, "low": 2}
    found.sort(key=lambda e: (rank[e["severity"]], -e["days_late"], e["kind"], int(e["key"])))
    return {"exceptions": found[:limit], "found": len(found)}


def _of_production(plant: Plant, doc: Doc, today: dt.date) -> list[Doc]:
    product = _seen(plant, "product", doc["product"])
    finish = _day(doc["planned_finish"])
    start = _day(doc["planned_start"])
    late = max((today - finish).days, 0) if finish else 0
    started = doc["state"] == "started"
    found = []

    def exception(problem: str, reason: str, **more: Any) -> None:
        found.append(
            _exception(
                doc,
                problem,
                reason,
                today,
                due=finish,
                late=late,
                partner="",
                product=product["name"],
                **more,
            )
        )

    if late:
        exception(
            "late",
            f"Planned to be finished on {finish}, {late} days ago, and is {doc['state']}.",
            since=finish,
        )
    elif start and start < today and not started:
        exception("late", f"Planned to start on {start} and is still {doc['state']}.", since=start)
    missing = []
    for line in doc["lines"]:
        part = _seen(plant, "product", line["product"])
        short = Decimal(line["quantity"]) - Decimal(_free(part))
        if short > 0 and doc["state"] in {"draft", "requested", "released"}:
            missing.append(
                {
                    "product": part["key"],
                    "name": part["name"],
                    "missing": {"value": _text(short), "unit": part["unit"]},
                    "words": f"{part['name']}: {line['quantity']} {part['unit']} needed, {_free(part)} free",
                }
            )
    if missing:
        exception(
            "short_of_material",
            "; ".join(m["words"] for m in missing) + ".",
            since=start,
            missing=[{k: v for k, v in m.items() if k != "words"} for m in missing],
        )
    if doc.get("locked"):
        exception("blocked", str(doc["locked"]), since=None)
    return found


def _of_purchase(plant: Plant, doc: Doc, today: dt.date) -> list[Doc]:
    supplier = _seen(plant, "supplier", doc["supplier"])
    open_lines = [x for x in doc["lines"] if Decimal(x["received"]) < Decimal(x["quantity"])]
    days = [d for x in open_lines if (d := _day(x["delivery_date"]))]
    due = min(days, default=None)
    late = max((today - due).days, 0) if due else 0
    names = ", ".join(_seen(plant, "product", x["product"])["name"] for x in doc["lines"][:2])
    found = []

    def exception(problem: str, reason: str, since: dt.date | None) -> None:
        found.append(
            _exception(
                doc,
                problem,
                reason,
                today,
                due=due,
                late=late,
                partner=supplier["name"],
                product=names,
                since=since,
            )
        )

    if late:
        exception(
            "late", f"Delivery was due on {due}, {late} days ago; {len(open_lines)} lines are open.", due
        )
    ordered = _day(doc["ordered_on"])
    if doc["state"] == "quotation" and ordered and (today - ordered).days > VERY_LATE:
        exception("unconfirmed", f"{supplier['name']} has not confirmed since {ordered}.", ordered)
    if doc.get("locked"):
        exception("blocked", str(doc["locked"]), None)
    return found


def _of_sale(plant: Plant, doc: Doc, today: dt.date) -> list[Doc]:
    promised = _day(doc["promised_date"])
    ready = _day(_ready(plant, doc))
    late = max((today - promised).days, 0) if promised else 0
    names = ", ".join(_seen(plant, "product", x["product"])["name"] for x in doc["lines"][:2])
    found = []

    def exception(problem: str, reason: str, since: dt.date | None) -> None:
        found.append(
            _exception(
                doc,
                problem,
                reason,
                today,
                due=promised,
                late=late,
                partner=doc["customer"],
                product=names,
                since=since,
            )
        )

    if late:
        exception("late", f"Promised for {promised}, {late} days ago, and not shipped.", promised)
    elif promised and ready and ready > promised:
        exception("late", f"Promised for {promised}, but what it waits for is there on {ready}.", None)
    if doc["state"] == "quotation":
        exception("unconfirmed", f"{doc['customer']} has not confirmed.", _day(doc["ordered_on"]))
    if doc.get("locked"):
        exception("blocked", str(doc["locked"]), None)
    return found


def _exception(
    doc: Doc,
    problem: str,
    reason: str,
    today: dt.date,
    *,
    due: dt.date | None,
    late: int,
    partner: str,
    product: str,
    since: dt.date | None,
    missing: list[Doc] | None = None,
) -> Doc:
    soon = due is not None and (due - today).days <= VERY_LATE
    severity = "high" if late > VERY_LATE else "medium" if late or problem == "blocked" or soon else "low"
    return {
        "kind": doc["kind"],
        "key": doc["key"],
        "number": doc["number"],
        "label": f"{doc['number']} {partner or product}",
        "partner": partner,
        "product": product,
        "state": doc["state"],
        "problem": problem,
        "reason": reason,
        "since": since.isoformat() if since else None,
        "due": due.isoformat() if due else None,
        "days_late": late,
        "severity": severity,
        "missing": missing or [],
    }


def _day(value: str | None) -> dt.date | None:
    return dt.date.fromisoformat(value) if value else None


READS: Mapping[str, Callable[[Plant, Mapping[str, str]], Doc]] = {
    "ping": lambda plant, _given: {"now": plant.now().isoformat()},
    "record": lambda plant, given: record(plant, given["kind"], given["key"]),
    "sample": lambda plant, given: sample(plant, given["kind"]),
    "terms": lambda plant, given: terms(plant, given["supplier"], given.get("products", "").split(",")),
    "product": lambda plant, given: product(plant, given.get("key", ""), given.get("code", "")),
    "supplier": lambda plant, given: supplier(plant, given["key"]),
    "exceptions": lambda plant, given: exceptions(
        plant, given.get("kind", ""), given.get("problem", ""), int(given["limit"])
    ),
    "search": lambda plant, given: {
        "found": [record(plant, d["kind"], d["key"]) for d in plant.search(given["reference"])]
    },
    "log": lambda plant, given: {"log": plant.log(given["record"], int(given["after"]))},
    "changes": lambda plant, given: {
        "changes": plant.changes(given["login"], dt.datetime.fromisoformat(given["since"]))
    },
}
"""Every read by name. `login` is who asks; the rest is given."""
