"""What the demo's furniture maker makes, buys and sells: plain data, read by `seed`.

Prices are euro in text. Quantities of a bill of materials are per piece.
"""

from __future__ import annotations

from typing import NamedTuple

COMPANY = "Alder & Ash Furniture"


class Bought(NamedTuple):
    """A purchased material: cost and list price per unit, opening stock."""

    code: str
    name: str
    unit: str
    cost: str
    price: str
    stock: float


class Made(NamedTuple):
    """A finished good: list price, routing, days to make, opening stock, bill of materials."""

    code: str
    name: str
    price: str
    routing: str
    days: int
    stock: float
    parts: dict[str, float]


class Supplier(NamedTuple):
    """A supplier, its usual lead time in days and the codes it delivers."""

    name: str
    city: str
    lead_days: int
    codes: tuple[str, ...]


BOUGHT = (
    Bought("RM-OAK-18", "Oak panel 18 mm", "Unit", "34.50", "52", 190),
    Bought("RM-OAK-27", "Oak panel 27 mm", "Unit", "58.00", "84", 120),
    Bought("RM-PLY-06", "Plywood back 6 mm", "Unit", "11.20", "18", 160),
    Bought("RM-LEG-45", "Chair leg 45 cm, turned", "Unit", "4.80", "8", 640),
    Bought("RM-LEG-72", "Table leg 72 cm, turned", "Unit", "9.60", "15", 260),
    Bought("RM-RAIL-OAK", "Apron rail, oak", "Unit", "6.40", "10", 300),
    Bought("RM-SEAT", "Moulded seat and back", "Unit", "21.00", "32", 150),
    # Few on purpose: the shelves of the demo are short of them.
    Bought("RM-HINGE-35", "Concealed hinge 35 mm", "Unit", "2.15", "4", 10),
    Bought("RM-RUNNER-45", "Drawer runner pair 450 mm", "Unit", "12.80", "21", 60),
    Bought("RM-HANDLE", "Handle, brushed steel", "Unit", "3.40", "6", 140),
    Bought("RM-SCREW-440", "Screw 4 x 40", "Unit", "0.03", "0.08", 24000),
    Bought("RM-DOWEL-8", "Dowel 8 mm", "Unit", "0.02", "0.05", 18000),
    Bought("RM-LACQ-MAT", "Lacquer, matt", "Liter", "14.90", "24", 90),
    Bought("RM-GLUE-D3", "Wood glue D3", "Kilogram", "6.30", "11", 60),
)
MADE = (
    Made(
        "FG-CHAIR",
        "Chair Aria",
        "189",
        "joinery",
        2,
        24,
        {
            "RM-LEG-45": 4,
            "RM-SEAT": 1,
            "RM-RAIL-OAK": 2,
            "RM-SCREW-440": 12,
            "RM-DOWEL-8": 8,
            "RM-GLUE-D3": 0.05,
            "RM-LACQ-MAT": 0.15,
        },
    ),
    Made(
        "FG-TABLE",
        "Table Brage 180",
        "890",
        "joinery",
        3,
        8,
        {
            "RM-OAK-27": 2,
            "RM-LEG-72": 4,
            "RM-RAIL-OAK": 4,
            "RM-SCREW-440": 16,
            "RM-DOWEL-8": 16,
            "RM-GLUE-D3": 0.2,
            "RM-LACQ-MAT": 0.6,
        },
    ),
    Made(
        "FG-DESK",
        "Desk Lund",
        "640",
        "joinery",
        3,
        6,
        {
            "RM-OAK-18": 2,
            "RM-LEG-72": 4,
            "RM-RUNNER-45": 1,
            "RM-HANDLE": 1,
            "RM-SCREW-440": 24,
            "RM-GLUE-D3": 0.15,
            "RM-LACQ-MAT": 0.5,
        },
    ),
    Made(
        "FG-SHELF",
        "Shelf Tarn, with doors",
        "420",
        "panel",
        2,
        5,
        {
            "RM-OAK-18": 3,
            "RM-PLY-06": 1,
            "RM-HINGE-35": 4,
            "RM-HANDLE": 2,
            "RM-SCREW-440": 20,
            "RM-DOWEL-8": 16,
            "RM-LACQ-MAT": 0.4,
        },
    ),
)
ROUTINGS = {
    "joinery": ("Cutting", "Machining", "Assembly", "Finishing"),
    "panel": ("Cutting", "Assembly", "Finishing"),
}
CENTRES = {
    "Cutting": (("Panel saw 1", 44), ("Panel saw 2", 44)),
    "Machining": (("CNC router", 58),),
    "Assembly": (("Assembly bench A", 36), ("Assembly bench B", 36)),
    "Finishing": (("Spray booth", 41),),
}
SUPPLIERS = (
    Supplier("Skogen Timber", "Elverum", 14, ("RM-OAK-18", "RM-OAK-27", "RM-PLY-06")),
    Supplier("Bergdal Turnings", "Kongsberg", 10, ("RM-LEG-45", "RM-LEG-72", "RM-RAIL-OAK", "RM-SEAT")),
    Supplier(
        "Norfast Fittings",
        "Moss",
        5,
        ("RM-RUNNER-45", "RM-HANDLE", "RM-SCREW-440", "RM-DOWEL-8", "RM-HINGE-35"),
    ),
    Supplier("Lindholm Coatings", "Fredrikstad", 7, ("RM-LACQ-MAT", "RM-GLUE-D3")),
)
CUSTOMERS = (
    ("Nordlys Hotels", "Tromso"),
    ("Municipality of Halden", "Halden"),
    ("Kaffebar Group", "Oslo"),
    ("Fjell Interiors", "Bergen"),
    ("Studio Hem", "Gothenburg"),
)
