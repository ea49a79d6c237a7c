"""Builds the sandbox's adapters: one server, four ways of being guarded against doing a thing twice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import partial

from integrations.contract import Adapter, Carried, EffectClass
from integrations.sandbox.connection import SandboxReader, SandboxWriter
from integrations.sandbox.readings import READINGS
from integrations.sandbox.types.common import Way

SETTLE = dt.timedelta(seconds=1)
"""A write is visible at once; this covers one that was still being worked on when the answer was given up."""


def build(name: str, title: str, types: Mapping[str, Carried], way: Way) -> Adapter:
    """An adapter that carries these types, sending in this way."""
    return Adapter(
        name=name,
        title=title,
        path="Sandbox ERP HTTP",
        levels=frozenset({4}),
        tools=frozenset(READINGS),
        types=types,
        settle=SETTLE,
        verified="",
        reader=SandboxReader,
        seeks=frozenset({"purchase_order_create"}),
        writer=partial(SandboxWriter, way=way),
    )


def same(effect: EffectClass, note: str = "") -> dict[str, Carried]:
    """Every type carried with the same class of effect."""
    names = (
        "production_order_reschedule",
        "production_order_quantity",
        "production_order_release",
        "purchase_order_create",
        "purchase_order_line_change",
        "sales_order_promise",
    )
    return {name: Carried(effect, note=note) for name in names}
