"""The sandbox as it is meant: changes guarded by stamps, new orders by a reference that is unique there."""

from __future__ import annotations

from integrations.contract import Carried, EffectClass
from integrations.sandbox.build import build, same
from integrations.sandbox.types.common import Way

ADAPTER = build(
    "sandbox",
    "Sandbox ERP",
    {**same(EffectClass.GUARDED), "purchase_order_create": Carried(EffectClass.UNIQUE_REFERENCE)},
    Way(unique_reference=True),
)
