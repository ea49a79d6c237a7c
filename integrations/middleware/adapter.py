"""Middleware and iPaaS that speak Standard Webhooks: a message out, 202, and an answer later.

`build` makes an adapter for other types than these: a deployment's own module with `ADAPTER = build({...})`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import partial

from integrations.contract import Adapter, Carried, EffectClass
from integrations.middleware.claims import Ear
from integrations.middleware.connection import MiddlewareReader, MiddlewareWriter

SETTLE = dt.timedelta(minutes=2)
"""How long a message whose answer was lost may still be on its way through queues."""

PROMISE = "That it drops a repeated message is its promise: one send and never a second."


def seen_by_another() -> Carried:
    """How a type is carried whose record another connection reads, before and after."""
    return Carried(EffectClass.READ_BACK_ONLY, note=PROMISE, seen_elsewhere=True)


def on_its_word() -> Carried:
    """How a type is carried that nothing shows: it ends as the middleware says, and the console tells so."""
    return Carried(
        EffectClass.READ_BACK_ONLY,
        note=f"On the middleware's word: nothing shows it. {PROMISE}",
        on_word=True,
    )


def build(types: Mapping[str, Carried], *, settle: dt.timedelta = SETTLE, verified: str = "") -> Adapter:
    """An adapter that carries these types."""
    return Adapter(
        name="middleware",
        title="Middleware, Standard Webhooks",
        path="Standard Webhooks",
        levels=frozenset({4}),
        tools=frozenset(),
        types=types,
        settle=settle,
        verified=verified,
        reader=partial(MiddlewareReader, types=types),
        writer=partial(MiddlewareWriter, types=types),
        notifier=Ear,
    )


ADAPTER = build(
    {
        name: seen_by_another()
        for name in (
            "production_order_quantity",
            "production_order_reschedule",
            "purchase_order_create",
            "purchase_order_line_change",
            "sales_order_promise",
        )
    },
    verified="Node-RED 4.1; the flow in it is ours",
)
