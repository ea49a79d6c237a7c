"""The sandbox as a system whose only guard is a reference it refuses a second time; it only creates."""

from __future__ import annotations

from integrations.contract import Carried, EffectClass
from integrations.sandbox.build import build
from integrations.sandbox.types.common import Way

ADAPTER = build(
    "sandbox-unique-reference",
    "Sandbox ERP, unique references",
    {"purchase_order_create": Carried(EffectClass.UNIQUE_REFERENCE)},
    Way(unique_reference=True),
)
