"""What the modules of several types need: the way the adapter sends, and snapshots in one form."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from integrations.contract import Record, Snapshot

SOURCE = "Sandbox ERP HTTP"


@dataclass(frozen=True)
class Way:
    """How an adapter guards what it sends: by idempotency keys, by unique references, or by neither."""

    keys: bool = False
    unique_reference: bool = False


def taken(
    *,
    target: str,
    label: str,
    record: Record,
    context: Mapping[str, Any],
    stamps: Mapping[str, str],
    as_of: dt.datetime,
) -> Snapshot:
    """A snapshot of the sandbox."""
    return Snapshot(target, label, record, context, stamps, as_of, SOURCE)


def changeable(view: dict[str, Any]) -> dict[str, Any]:
    """The context every change needs: the state, and why the record is locked if it is."""
    doc = view["doc"]
    return {"state": doc["state"], **({"locked": doc["locked"]} if doc.get("locked") else {})}
