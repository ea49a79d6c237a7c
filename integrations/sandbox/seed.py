"""What a new sandbox holds: a furniture maker's orders, or thousands of orders for a bench.

Everything is the same in every seeding except the days, which count from the day of seeding.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

Doc = dict[str, Any]

# code, name, unit, digits, price, stock, reserved
BOUGHT = [
    ("RM-BEECH-27", "Beech board 27 mm", "Square metre", 2, "31.20", "118.5", "24"),
    ("RM-OAK-27", "Oak board 27 mm", "Square metre", 2, "46.80", "64", "12"),
    ("RM-OAK-40", "Oak board 40 mm", "Square metre", 2, "58.40", "22", "0"),
    ("RM-BIRCH-PLY", "Birch plywood 18 mm", "Square metre", 2, "24.90", "140", "30"),
    ("RM-OIL-HARD", "Hard wax oil", "Litre", 2, "19.80", "46", "4"),
    ("RM-GLUE-D3", "Wood glue D3", "Kilogram", 2, "6.40", "85", "10"),
    ("RM-SCREW-560", "Wood screw 5x60", "Unit", 0, "0.0405", "14600", "800"),
    ("RM-DOWEL-10", "Beech dowel 10x40", "Unit", 0, "0.0180", "22000", "1200"),
    ("RM-RUN-450", "Drawer runner 450", "Unit", 0, "12.40", "36", "20"),
    ("RM-HINGE-35", "Cup hinge 35", "Unit", 0, "2.15", "420", "40"),
    ("RM-LEG-STEEL", "Steel table leg 710", "Unit", 0, "17.90", "58", "16"),
    ("RM-FAB-GREY", "Seat fabric, grey", "Metre", 2, "14.60", "95", "12"),
]
# code, name, price, materials per unit
MADE = [
    ("FG-TABLE-180", "Oak table 180", "790", {"RM-OAK-40": "3", "RM-LEG-STEEL": "4", "RM-OIL-HARD": "0.35"}),
    (
        "FG-TABLE-140",
        "Beech table 140",
        "520",
        {"RM-BEECH-27": "2.2", "RM-LEG-STEEL": "4", "RM-OIL-HARD": "0.25"},
    ),
    (
        "FG-CHAIR-LENA",
        "Dining chair Lena",
        "129",
        {"RM-BEECH-27": "0.4", "RM-DOWEL-10": "12", "RM-GLUE-D3": "0.05", "RM-FAB-GREY": "0.6"},
    ),
    ("FG-SHELF-5", "Shelf Stav, 5 boards", "248", {"RM-BIRCH-PLY": "2.4", "RM-SCREW-560": "24"}),
    (
        "FG-DRESSER",
        "Dresser Mara",
        "685",
        {"RM-OAK-27": "3.6", "RM-RUN-450": "8", "RM-SCREW-560": "36", "RM-HINGE-35": "4"},
    ),
    ("FG-BENCH", "Hall bench Ida", "310", {"RM-OAK-27": "1.1", "RM-DOWEL-10": "16", "RM-OIL-HARD": "0.2"}),
]
# name, currency, lead days, active, {code: (last price, usual, minimum)}
SUPPLIERS: list[tuple[str, str, int, bool, dict[str, tuple[str, str, str | None]]]] = [
    (
        "Holzhandel Brenner",
        "EUR",
        12,
        True,
        {
            "RM-BEECH-27": ("31.20", "60", "10"),
            "RM-OAK-27": ("46.80", "40", "10"),
            "RM-OAK-40": ("58.40", "40", "10"),
            "RM-BIRCH-PLY": ("24.90", "80", "20"),
        },
    ),
    (
        "Beschlag & Co",
        "EUR",
        7,
        True,
        {
            "RM-SCREW-560": ("0.0405", "10000", "1000"),
            "RM-RUN-450": ("12.40", "60", None),
            "RM-HINGE-35": ("2.15", "400", "50"),
            "RM-DOWEL-10": ("0.0180", "20000", "1000"),
        },
    ),
    (
        "Farben Lindqvist",
        "EUR",
        5,
        True,
        {"RM-OIL-HARD": ("19.80", "40", None), "RM-GLUE-D3": ("6.40", "50", "5")},
    ),
    ("Stahlform Kovač", "EUR", 21, True, {"RM-LEG-STEEL": ("17.90", "80", "20")}),
    ("Nordic Textiles", "SEK", 18, True, {"RM-FAB-GREY": ("168.00", "80", "10")}),
    ("Altholz Meyer", "EUR", 10, False, {"RM-OAK-27": ("39.00", "20", None)}),
]
# product, quantity, state, start, finish (days from today), needed by, locked
PRODUCTIONS: list[tuple[str, str, str, int | None, int | None, int | None, str]] = [
    ("FG-TABLE-180", "12", "released", -6, -3, 14, ""),
    ("FG-CHAIR-LENA", "24", "draft", 9, 11, 20, ""),
    ("FG-CHAIR-LENA", "48", "released", 12, 16, 25, ""),
    ("FG-SHELF-5", "10", "released", 5, 8, None, ""),
    ("FG-DRESSER", "6", "released", -2, 4, 10, ""),
    ("FG-BENCH", "15", "draft", 20, 24, None, ""),
    ("FG-TABLE-140", "8", "requested", 15, 18, 30, ""),
    ("FG-TABLE-140", "4", "started", -4, -1, 3, ""),
    ("FG-DRESSER", "3", "done", -20, -15, None, ""),
    ("FG-SHELF-5", "20", "reserved", 3, 6, 9, ""),
    ("FG-BENCH", "5", "cancelled", -10, -8, None, ""),
    ("FG-SHELF-5", "6", "released", 8, 10, None, "Drawing under revision by the construction office"),
    ("FG-CHAIR-LENA", "60", "draft", 30, 36, None, ""),
    ("FG-TABLE-180", "4", "draft", 25, 28, 35, ""),
]
# supplier, state, ordered (days from today), lines (code, quantity, price, due in days, received)
PURCHASES: list[tuple[str, str, int, list[tuple[str, str, str, int | None, str]]]] = [
    (
        "Beschlag & Co",
        "quotation",
        -10,
        [("RM-RUN-450", "40", "12.40", 11, "0"), ("RM-HINGE-35", "200", "2.15", 11, "0")],
    ),
    (
        "Holzhandel Brenner",
        "processing",
        -20,
        [("RM-OAK-40", "30", "58.40", -4, "0"), ("RM-OAK-27", "40", "46.80", 9, "0")],
    ),
    ("Stahlform Kovač", "confirmed", -5, [("RM-LEG-STEEL", "80", "17.90", 16, "0")]),
    ("Farben Lindqvist", "draft", -1, [("RM-OIL-HARD", "40", "19.80", 8, "0")]),
    ("Nordic Textiles", "processing", -25, [("RM-FAB-GREY", "80", "168.00", -2, "35")]),
    ("Holzhandel Brenner", "done", -60, [("RM-BEECH-27", "60", "31.20", -45, "60")]),
    ("Beschlag & Co", "cancelled", -40, [("RM-SCREW-560", "10000", "0.0405", -30, "0")]),
]
# customer, state, ordered, requested, promised, waits for (index of a production), lines, shipped
SALES: list[tuple[str, str, int, int | None, int | None, list[int], list[tuple[str, str, str]], str]] = [
    ("Hotel Seeblick", "confirmed", -30, 16, 7, [0], [("FG-TABLE-180", "12", "720.00")], "0"),
    ("Café Morgen", "processing", -25, 20, 18, [1, 2], [("FG-CHAIR-LENA", "24", "119.00")], "0"),
    ("Stadtbücherei", "confirmed", -15, 12, -2, [3], [("FG-SHELF-5", "10", "239.00")], "0"),
    ("Wohnhaus Lind", "quotation", -12, 30, None, [4], [("FG-DRESSER", "6", "685.00")], "0"),
    ("Praxis Dr. Aydin", "draft", -2, 40, 45, [], [("FG-BENCH", "4", "310.00")], "0"),
    ("Schule am Park", "processing", -35, 4, 5, [7], [("FG-TABLE-140", "4", "505.00")], "0"),
    ("Hotel Seeblick", "done", -70, -20, -18, [], [("FG-DRESSER", "3", "660.00")], "3"),
]


def base(home: Path, seed: str = "furniture", orders: int = 5000) -> Mapping[str, Any]:
    """The records of this home: those on disk, or freshly seeded ones, which are then on disk.

    Asking for another seed than the one on disk seeds anew; the same seed from another day is kept.
    """
    path = home / "base.json"
    name = f"{seed} {orders}" if seed == "bulk" else seed
    if path.exists():
        known: Mapping[str, Any] = json.loads(path.read_text())
        if known["seed"] == name:
            return known
    fresh = {"seed": name, **SEEDS[seed](dt.datetime.now(dt.UTC).date(), orders)}
    new = path.with_suffix(".new")
    new.write_text(json.dumps(fresh))
    new.replace(path)
    return fresh


def furniture(today: dt.date, _orders: int = 0) -> Doc:
    """A furniture maker with orders in every state, some late, some short of material, some blocked."""
    return _Seeding(today).all(PRODUCTIONS, PURCHASES, SALES)


def bulk(today: dt.date, orders: int) -> Doc:
    """So many drafted production orders with a purchase and a sale for every two, none in trouble."""
    made = [code for code, *_ in MADE]
    productions = [
        (made[i % len(made)], str(10 + i % 30), "draft", 10 + i % 60, 14 + i % 60, None, "")
        for i in range(orders)
    ]
    sold = [
        (name, code, price)
        for name, _, _, active, sells in SUPPLIERS
        if active
        for code, (price, *_) in sells.items()
    ]
    purchases = [
        (name, "draft", -1, [(code, str(100 + i % 300), price, 10 + i % 60, "0")])
        for i in range(orders // 2)
        for name, code, price in [sold[i % len(sold)]]
    ]
    sales: list[Any] = [
        ("Hotel Seeblick", "confirmed", -5, 70, 65 + i % 20, [], [(made[i % len(made)], "2", "500.00")], "0")
        for i in range(orders // 2)
    ]
    return _Seeding(today).all(productions, purchases, sales)  # type: ignore[arg-type] # inferred too narrowly


SEEDS: Mapping[str, Callable[[dt.date, int], Doc]] = {"furniture": furniture, "bulk": bulk}


class _Seeding:
    """Turns the tables into records; keys and stamps count up through all of them."""

    def __init__(self, today: dt.date) -> None:
        self.today = today
        self.number = 0
        self.records: dict[str, Doc] = {}
        self.products: dict[str, str] = {}
        self.suppliers: dict[str, str] = {}

    def all(
        self,
        productions: list[tuple[str, str, str, int | None, int | None, int | None, str]],
        purchases: list[tuple[str, str, int, list[tuple[str, str, str, int | None, str]]]],
        sales: list[tuple[str, str, int, int | None, int | None, list[int], list[tuple[str, str, str]], str]],
    ) -> Doc:
        for code, name, unit, digits, price, stock, reserved in BOUGHT:
            self._product(code, name, unit, digits, price, stock, reserved, {})
        for code, name, price, bom in MADE:
            self._product(code, name, "Unit", 0, price, "2", "0", bom)
        for name, currency, lead, active, sells in SUPPLIERS:
            self._supplier(name, currency, lead, sells, active=active)
        made = [self._production(*row) for row in productions]
        for row in purchases:
            self._purchase(*row)
        for customer, state, ordered, requested, promised, waits, lines, shipped in sales:
            self._sale(
                customer, state, ordered, requested, promised, [made[i] for i in waits], lines, shipped
            )
        return {"records": self.records, "sequence": self.number}

    def _put(self, kind: str, **fields: Any) -> str:
        self.number += 1
        doc = {"kind": kind, "key": str(self.number), **fields, "stamp": str(self.number)}
        if "number" in doc:
            doc["number"] += f"-{self.number:05d}"
        self.records[f"{kind} {self.number}"] = doc
        return str(self.number)

    def _stamp(self) -> str:
        self.number += 1
        return str(self.number)

    def _day(self, offset: int | None) -> str | None:
        """A day counted from today; a Saturday or Sunday becomes the Monday after."""
        if offset is None:
            return None
        day = self.today + dt.timedelta(days=offset)
        return (day + dt.timedelta(days=max(7 - day.weekday(), 0) if day.weekday() > 4 else 0)).isoformat()  # noqa: PLR2004 Friday is 4

    def _product(
        self,
        code: str,
        name: str,
        unit: str,
        digits: int,
        price: str,
        stock: str,
        reserved: str,
        bom: dict[str, str],
    ) -> None:
        self.products[code] = self._put(
            "product",
            code=code,
            name=name,
            unit=unit,
            digits=digits,
            price={"amount": price, "currency": "EUR"},
            reserved=reserved,
            stock=[{"location": "Finished goods" if bom else "Material store", "value": stock}],
            bom=[{"product": self.products[c], "per_unit": per} for c, per in bom.items()],
        )

    def _supplier(
        self,
        name: str,
        currency: str,
        lead: int,
        sells: dict[str, tuple[str, str, str | None]],
        *,
        active: bool,
    ) -> None:
        self.suppliers[name] = self._put(
            "supplier",
            name=name,
            currency=currency,
            active=active,
            sells={
                self.products[code]: {
                    "last_price": price,
                    "usual": usual,
                    "minimum": least,
                    "lead_days": lead,
                }
                for code, (price, usual, least) in sells.items()
            },
        )

    def _production(
        self,
        code: str,
        quantity: str,
        state: str,
        start: int | None,
        finish: int | None,
        needed: int | None,
        locked: str,
    ) -> str:
        product = self.records[f"product {self.products[code]}"]
        lines = [
            {
                "key": str(i),
                "product": part["product"],
                "quantity": _times(part["per_unit"], quantity),
                "stamp": self._stamp(),
            }
            for i, part in enumerate(product["bom"], 1)
        ]
        key = self._put(
            "production",
            number="MO",
            reference="",
            state=state,
            product=product["key"],
            quantity=quantity,
            planned_start=self._day(start),
            planned_finish=self._day(finish),
            needed_by=self._day(needed),
            locked=locked,
            lines=lines,
        )
        return f"production {key}"

    def _purchase(
        self, supplier: str, state: str, ordered: int, lines: list[tuple[str, str, str, int | None, str]]
    ) -> None:
        found = self.records[f"supplier {self.suppliers[supplier]}"]
        made = [
            {
                "key": str(i),
                "product": self.products[code],
                "quantity": quantity,
                "unit_price": price,
                "delivery_date": self._day(due),
                "received": received,
                "stamp": self._stamp(),
            }
            for i, (code, quantity, price, due, received) in enumerate(lines, 1)
        ]
        self._put(
            "purchase",
            number="PO",
            reference="",
            unique_reference="",
            state=state,
            supplier=found["key"],
            currency=found["currency"],
            note="",
            ordered_on=self._day(ordered),
            lines=made,
        )

    def _sale(
        self,
        customer: str,
        state: str,
        ordered: int,
        requested: int | None,
        promised: int | None,
        waits_for: list[str],
        lines: list[tuple[str, str, str]],
        shipped: str,
    ) -> None:
        made = [
            {
                "key": str(i),
                "product": self.products[code],
                "quantity": quantity,
                "unit_price": price,
                "shipped": shipped,
                "stamp": self._stamp(),
            }
            for i, (code, quantity, price) in enumerate(lines, 1)
        ]
        self._put(
            "sale",
            number="SO",
            reference="",
            state=state,
            customer=customer,
            currency="EUR",
            ordered_on=self._day(ordered),
            requested_date=self._day(requested),
            promised_date=self._day(promised),
            waits_for=waits_for,
            lines=made,
        )


def _times(per_unit: str, quantity: str) -> str:
    text = format(Decimal(per_unit) * Decimal(quantity), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
