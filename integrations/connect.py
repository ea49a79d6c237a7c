"""From a dotted path in the settings to an adapter."""

from __future__ import annotations

import importlib

from integrations.contract import Adapter

MES_LEVEL = 3
"""ISA-95: manufacturing operations. Read only; what is below it is never spoken to."""


def adapter(path: str) -> Adapter:
    """The adapter named by a dotted path such as `integrations.tryton.adapter`.

    Raises ImportError when there is no such module, TypeError when it exports no `ADAPTER`, ValueError when
    its levels and its writer contradict ISA-95: level 3 is read only, level 2 and below is never spoken to.
    """
    found = getattr(importlib.import_module(path), "ADAPTER", None)
    if not isinstance(found, Adapter):
        raise TypeError(f"{path} exports no ADAPTER; an adapter module needs one of type contract.Adapter")
    if any(level < MES_LEVEL for level in found.levels):
        raise ValueError(f"{path} claims ISA-95 level 2 or below; only levels 3 and 4 may be connected")
    if MES_LEVEL in found.levels and found.writer is not None:
        raise ValueError(f"{path} has a writer and claims ISA-95 level 3, which is read only")
    return found
