"""The quarter before: work that the furniture maker bought, and the delivery dates that its buyers moved.

What was sold then is in `sold`. Run by `seed` when everything else is there. Each order is lived from beginning to
end, one after the other, with the ERP's clock (in this process only) set to the hour that is told of: made, quoted,
looked at, sent, done. So the ERP's own history tables say, over months, who changed what when, as those of a plant do;
`harvest` reads them.

What the buyers did: they asked for a day; where the supplier's lead time does not allow it they wrote the first
working day that it does; where it does they sent the order as it was. Beside that stand things nobody could know from
the ERP: prices agreed on the phone, two lines changed in one go, a day written and corrected within the hour.
"""

from __future__ import annotations

import datetime as dt
import importlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

ORDERS = 150
STEPS = 8
"""How often it says how far it is."""
_FIRST_DAY = -115
_SEED = 20260301


class Service(NamedTuple):
    """Work that is bought, at a price per piece."""

    code: str
    name: str
    price: str


class Shop(NamedTuple):
    """Who does it, in how many days."""

    name: str
    city: str
    lead_days: int
    services: tuple[Service, ...]


SHOPS = (
    Shop(
        "Haug Powder Coating",
        "Hamar",
        8,
        (
            Service("SV-COAT-FRAME", "Powder coating, table frame", "18.50"),
            Service("SV-COAT-LEG", "Powder coating, leg", "4.20"),
        ),
    ),
    Shop(
        "Sletten Veneer Press",
        "Lillehammer",
        12,
        (
            Service("SV-VENEER-OAK", "Veneering, oak", "22.00"),
            Service("SV-VENEER-ASH", "Veneering, ash", "21.00"),
        ),
    ),
    Shop("Oppland Grinding", "Gjovik", 4, (Service("SV-SHARPEN", "Saw blade sharpening", "9.80"),)),
    Shop(
        "Glassverket Moss",
        "Moss",
        9,
        (
            Service("SV-GLASS-6", "Glass shelf 6 mm, cut", "14.00"),
            Service("SV-GLASS-8", "Glass top 8 mm, cut", "39.00"),
        ),
    ),
)


class Clock:
    """The ERP's clock in this process: its model layer's time of writing, and its day."""

    def __init__(self, pool: Any) -> None:
        self._models: Any = importlib.import_module("trytond.model.modelsql")
        self._literal = importlib.import_module("sql").Literal
        self._dates = pool.get("ir.date")
        self.now = dt.datetime(1970, 1, 1)  # noqa: DTZ001 Tryton's are naive UTC

    @contextmanager
    def kept(self) -> Iterator[None]:
        """While this lasts, what is written is written at `now` (naive UTC)."""
        real, today = self._models.CurrentTimestamp, self._dates.today
        self._models.CurrentTimestamp = lambda: self._literal(self.now)
        self._dates.today = staticmethod(lambda timezone=None: self.now.date())  # noqa: ARG005 the ERP's own form
        try:
            yield
        finally:
            self._models.CurrentTimestamp, self._dates.today = real, today


@dataclass
class Past:
    """What living it needs: the ERP's models by name, and what was made for it."""

    model: Callable[[str], Any]
    clock: Clock
    ids: dict[str, int]
    """Numbers of shops, of services by their code, and of "unit" and "term"."""


def workday(day: dt.date) -> dt.date:
    """That day, or the Monday after a weekend."""
    return day + dt.timedelta(days=7 - day.weekday() if day.weekday() > 4 else 0)  # noqa: PLR2004


def live(
    config: Any,
    today: dt.date,
    tell: Callable[[], None],
    *,
    beside: Callable[[Past, Mapping[int, dt.datetime]], None],
) -> None:
    """Live it, a few weeks in a transaction; `tell` is called after each. Orders that are there are left alone.

    `config` is proteus's of this database, `today` the plant's day. `beside` lives what else happened, given numbers
    of orders and their hours.
    """
    transactions = importlib.import_module("trytond.transaction")
    clock = Clock(config.pool)
    hours = list(_hours(today))[:ORDERS]
    context = {**config.context, "_skip_warnings": True, "_log": True}
    size = -(-ORDERS // STEPS)
    with clock.kept():
        for part in range(0, ORDERS, size):
            with transactions.Transaction().start(
                config.database_name, config.user, context=context
            ) as going:
                clock.now = hours[0] - dt.timedelta(days=7)
                past = _prepared(config.pool.get, clock)
                known = past.model("purchase.purchase").search([("reference", "like", "WRK-%")])
                there = {order.reference for order in known}
                missing = [
                    number
                    for number in range(part, min(part + size, ORDERS))
                    if _reference(number) not in there
                ]
                made = [_order(past, number, hours[number]) for number in missing]
                if made:
                    _finish(past, made)
                beside(past, {number: hours[number] for number in range(part, min(part + size, ORDERS))})
                # What the ERP put off until later is done.
                going.tasks.clear()
                past.model("ir.queue").delete(past.model("ir.queue").search([("dequeued_at", "=", None)]))
            tell()


def _reference(number: int) -> str:
    return f"WRK-{2001 + number}"


def _hours(today: dt.date) -> Iterator[dt.datetime]:
    """When orders were made: twice every working day."""
    for offset in range(_FIRST_DAY, 0):
        day = today + dt.timedelta(days=offset)
        if workday(day) == day:
            yield dt.datetime.combine(day, dt.time(7, 10))
            yield dt.datetime.combine(day, dt.time(12, 20))


def _prepared(model: Callable[[str], Any], clock: Clock) -> Past:
    """Suppliers, what they do, and at which price: found, or made."""
    (unit,) = model("product.uom").search([("name", "=", "Unit")])
    (term,) = model("account.invoice.payment_term").search([], limit=1)
    past = Past(model, clock, {"unit": unit.id, "term": term.id})
    for shop in SHOPS:
        known = model("party.party").search([("name", "=", shop.name)])
        past.ids[shop.name] = known[0].id if known else _shop(past, shop)
        for service in shop.services:
            known = model("product.product").search([("code", "=", service.code)])
            past.ids[service.code] = known[0].id if known else _service(past, shop, service)
    return past


def _shop(past: Past, shop: Shop) -> int:
    address = {"street": "Industrigata 1", "city": shop.city}
    values = {
        "name": shop.name,
        "addresses": [("create", [address])],
        "supplier_payment_term": past.ids["term"],
    }
    (party,) = past.model("party.party").create([values])
    return int(party.id)


def _service(past: Past, shop: Shop, service: Service) -> int:
    (category,) = past.model("product.category").search([("name", "=", "Goods"), ("accounting", "=", True)])
    values = {
        "name": service.name,
        "type": "service",
        "default_uom": past.ids["unit"],
        "purchasable": True,
        "purchase_uom": past.ids["unit"],
        "list_price": Decimal(service.price) * 2,
        "account_category": category.id,
        "products": [("create", [{"suffix_code": service.code}])],
    }
    (template,) = past.model("product.template").create([values])
    (product,) = template.products
    offer = {
        "template": template.id,
        "product": product.id,
        "party": past.ids[shop.name],
        "lead_time": dt.timedelta(days=shop.lead_days),
        "prices": [("create", [{"quantity": 0.0, "unit_price": Decimal(service.price)}])],
    }
    past.model("purchase.product_supplier").create([offer])
    return int(product.id)


def _order(past: Past, number: int, hour: dt.datetime) -> Any:
    """One order from being made to being sent."""
    shop, rnd = SHOPS[number % len(SHOPS)], random.Random(_SEED + number)  # noqa: S311 the same past every time
    today = hour.date()
    possible = workday(today + dt.timedelta(days=shop.lead_days))
    story = _story(number)
    early = workday(today + dt.timedelta(days=rnd.randint(1, shop.lead_days - 1)))
    if early >= possible:
        early = workday(today + dt.timedelta(days=1))
    days = [today + dt.timedelta(days=days) for days in range(shop.lead_days, 15)]
    sound = rnd.choice([day for day in days if workday(day) == day and day >= possible])
    wanted = {
        "moved": [early],
        "second line moved": [sound, early],
        "as it was": [sound],
        "both lines moved": [early, early],
        "corrected": [early],
        "price agreed": [workday(today + dt.timedelta(days=30))],
    }[story][: len(shop.services)]
    purchases = past.model("purchase.purchase")
    past.clock.now = hour
    order = _made(past, shop, wanted, _reference(number), today, float(rnd.choice([10, 20, 30, 40])))
    purchases.quote([order])
    past.clock.now = hour + dt.timedelta(minutes=rnd.randint(20, 90))
    late = [line for line, day in zip(order.lines, wanted, strict=True) if day < possible]
    if story == "price agreed":
        purchases.draft([order])
        price = (order.lines[0].unit_price * Decimal("0.97")).quantize(Decimal("0.0001"))
        _write(past, order, [order.lines[0]], {"unit_price": price})
        purchases.quote([order])
    elif story == "corrected":
        _write(past, order, late, {"delivery_date_store": workday(early + dt.timedelta(days=1))})
        past.clock.now += dt.timedelta(minutes=17)
    if late:
        _write(past, order, late, {"delivery_date_store": possible})
    past.clock.now += dt.timedelta(minutes=rnd.randint(20, 90))
    purchases.confirm([order])
    return order


def _story(number: int) -> str:
    for every, at, story in (
        (20, 7, "price agreed"),
        (20, 13, "both lines moved"),
        (40, 21, "corrected"),
        (3, 2, "as it was"),
        (4, 1, "second line moved"),
    ):
        if number % every == at:
            return story
    return "moved"


def _made(
    past: Past, shop: Shop, wanted: Sequence[dt.date], reference: str, today: dt.date, many: float
) -> Any:
    party = past.model("party.party")(past.ids[shop.name])
    lines = [
        {
            "type": "line",
            "product": past.ids[service.code],
            "quantity": many,
            "unit": past.ids["unit"],
            "unit_price": Decimal(service.price),
            "delivery_date_edit": True,
            "delivery_date_store": day,
        }
        for service, day in zip(shop.services, wanted, strict=False)
    ]
    values = {
        "party": party.id,
        "invoice_address": party.addresses[0].id,
        "payment_term": past.ids["term"],
        "invoice_method": "manual",
        "purchase_date": today,
        "reference": reference,
        "lines": [("create", lines)],
    }
    (order,) = past.model("purchase.purchase").create([values])
    return order


def _write(past: Past, order: Any, lines: Sequence[Any], values: dict[str, Any]) -> None:
    """As the ERP's own screen does it: through the order."""
    written = ("write", [line.id for line in lines], values)
    past.model("purchase.purchase").write([order], {"lines": [written]})


def _finish(past: Past, orders: Sequence[Any]) -> None:
    """Sent orders are done: what comes of them is nobody's trouble any more."""
    purchases = past.model("purchase.purchase")
    past.clock.now += dt.timedelta(hours=1)
    purchases.process(orders)
    purchases.do(orders)
