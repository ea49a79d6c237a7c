"""The sandbox as a system that enforces an idempotency key on every write."""

from __future__ import annotations

from integrations.contract import EffectClass
from integrations.sandbox.build import build, same
from integrations.sandbox.types.common import Way

ADAPTER = build("sandbox-keyed", "Sandbox ERP, keyed", same(EffectClass.KEYED), Way(keys=True))
