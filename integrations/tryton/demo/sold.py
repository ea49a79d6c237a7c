"""The quarter before, at the sales desk: quotations for work at the customer's, and the days promised for it.

Lived beside what buyers did, by `past`, and told by the ERP's own history in the same way.

What the desk did: a quotation names a day. The customer says yes in time, and it is sent on as it stands; or says yes
when that day is over, and the desk writes the first working day from a week on, then sends it on. Beside that stand
things nobody could know from the ERP: a day moved because the customer rang, a day written in the wrong week and put
right within the hour.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from integrations.tryton.demo.past import Past, workday

NOTICE = dt.timedelta(days=7)
"""How long fitters need to come once the customer has said yes."""
_SEED = 20260302


class Work(NamedTuple):
    """Work that is sold, at a price per hour."""

    code: str
    name: str
    price: str


WORKS = (
    Work("SV-FIT", "Fitting at the customer's", "62.00"),
    Work("SV-MEASURE", "Measuring a room", "54.00"),
    Work("SV-RESTORE", "Restoring old furniture", "71.00"),
)
CUSTOMERS = (
    ("Skogen Dental Practice", "Hamar"),
    ("Library of Ringsaker", "Brumunddal"),
    ("Hotel Mjosa", "Gjovik"),
    ("Aune Architects", "Lillehammer"),
)


def some(past: Past, hours: Mapping[int, dt.datetime]) -> None:
    """Live these quotations, by number and the hour at which the customer said yes. Those there are left alone."""
    past.clock.now = min(hours.values()) - dt.timedelta(days=45)
    works = [_work(past, work) for work in WORKS]
    customers = [_customer(past, name, city) for name, city in CUSTOMERS]
    known = past.model("sale.sale").search([("reference", "like", "FIT-%")])
    there = {order.reference for order in known}
    made = [
        _order(past, works, customers, number, hour)
        for number, hour in hours.items()
        if _reference(number) not in there
    ]
    if made:
        past.clock.now += dt.timedelta(hours=1)
        past.model("sale.sale").process(made)
        past.model("sale.sale").do(made)


def _reference(number: int) -> str:
    return f"FIT-{3001 + number}"


def _work(past: Past, work: Work) -> int:
    known = past.model("product.product").search([("code", "=", work.code)])
    if known:
        return int(known[0].id)
    (category,) = past.model("product.category").search([("name", "=", "Goods"), ("accounting", "=", True)])
    values = {
        "name": work.name,
        "type": "service",
        "default_uom": past.ids["unit"],
        "salable": True,
        "sale_uom": past.ids["unit"],
        "list_price": Decimal(work.price),
        "account_category": category.id,
        "products": [("create", [{"suffix_code": work.code}])],
    }
    (template,) = past.model("product.template").create([values])
    return int(template.products[0].id)


def _customer(past: Past, name: str, city: str) -> Any:
    known = past.model("party.party").search([("name", "=", name)])
    if known:
        return known[0]
    address = {"street": "Storgata 1", "city": city}
    values = {
        "name": name,
        "addresses": [("create", [address])],
        "customer_payment_term": past.ids["term"],
    }
    return past.model("party.party").create([values])[0]


def _order(past: Past, works: Sequence[int], customers: Sequence[Any], number: int, yes: dt.datetime) -> Any:
    """One quotation from being made to being sent on."""
    rnd = random.Random(_SEED + number)  # noqa: S311 the same past every time
    today, story = yes.date(), _story(number)
    over = workday(today - dt.timedelta(days=rnd.randint(4, 9)))
    open_ = workday(today + dt.timedelta(days=rnd.randint(2, 11)))
    promised = {"over": over, "corrected": over, "as it was": open_}.get(story, today + dt.timedelta(days=25))
    sales = past.model("sale.sale")
    past.clock.now = yes - dt.timedelta(days=16)
    kind = number % len(WORKS)
    line = {
        "type": "line",
        "product": works[kind],
        "quantity": float(rnd.choice([4, 6, 8, 16])),
        "unit": past.ids["unit"],
        "unit_price": Decimal(WORKS[kind].price),
    }
    order = _made(past, customers[number % len(customers)], line, promised, number)
    sales.quote([order])
    past.clock.now = yes + dt.timedelta(minutes=rnd.randint(5, 45))
    moved = workday(today + NOTICE)
    if story == "corrected":
        sales.write([order], {"shipping_date": workday(over + dt.timedelta(days=1))})
        past.clock.now += dt.timedelta(minutes=11)
    if story in {"over", "corrected"}:
        sales.write([order], {"shipping_date": moved})
    elif story == "rang":
        sales.write([order], {"shipping_date": workday(promised + dt.timedelta(days=10))})
    past.clock.now += dt.timedelta(minutes=rnd.randint(5, 45))
    sales.confirm([order])
    return order


def _story(number: int) -> str:
    for every, at, story in ((20, 9, "rang"), (40, 17, "corrected"), (3, 1, "as it was")):
        if number % every == at:
            return story
    return "over"


def _made(past: Past, customer: Any, line: Mapping[str, Any], promised: dt.date, number: int) -> Any:
    values = {
        "party": customer.id,
        "invoice_address": customer.addresses[0].id,
        "shipment_address": customer.addresses[0].id,
        "payment_term": past.ids["term"],
        "invoice_method": "manual",
        "sale_date": past.clock.now.date(),
        "shipping_date": promised,
        "reference": _reference(number),
        "lines": [("create", [dict(line)])],
    }
    (order,) = past.model("sale.sale").create([values])
    return order
