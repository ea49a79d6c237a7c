"""The sandbox as a system that can be asked and gives nothing more.

Its reference field may hold the same text twice, so a second send makes a second order. It does look at
stamps, but is taken as one where that is no proof (a look and a write that are not one step there), so
nothing is ever resent.
"""

from __future__ import annotations

from integrations.contract import EffectClass
from integrations.sandbox.build import build, same
from integrations.sandbox.types.common import Way

ADAPTER = build(
    "sandbox-read-back-only",
    "Sandbox ERP, read-back only",
    same(EffectClass.READ_BACK_ONLY, "A repeat may take effect a second time."),
    Way(),
)
