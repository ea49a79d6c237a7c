"""A worker's look at a target for those who only want to validate: the newest snapshot, replaced each time."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

from django.db.models.functions import Now

from console import connections
from console.catalogue import transaction_type
from console.lifecycle.frozen import about, snapshot_json
from console.models import Connection, LatestSnapshot
from integrations.contract import AdapterError, InDoubt, Unavailable

log = logging.getLogger(__name__)

KEEP = dt.timedelta(days=1)


def refresh(connection: Connection, *, type_name: str, raw: str) -> None:
    """Take a snapshot of what the payload `raw` (JSON, already found right by its model) is about, and keep it.

    A system that does not answer leaves the one before. Writes nothing to any system.
    """
    if not connection.enabled:
        return
    type_ = transaction_type(type_name)
    payload = type_.payload.model_validate_json(raw)
    kept: dict[str, Any]
    try:
        snapshot = connections.viewer(connection.name, type_.name).snapshot(type_, payload)
        kept = {"snapshot": snapshot_json(snapshot), "refused": "", "as_of": snapshot.as_of}
    except (Unavailable, InDoubt) as away:
        connections.drop(connection.name)
        log.info("no snapshot for a validation: %s does not answer (%s)", connection.name, away.text)
        return
    except AdapterError as refusal:
        kept = {"snapshot": None, "refused": refusal.text[:500], "as_of": dt.datetime.now(dt.UTC)}
    LatestSnapshot.objects.update_or_create(
        connection=connection,
        transaction_type=type_.name,
        type_version=type_.version,
        about=about(type_, payload),
        defaults=kept,
    )
    LatestSnapshot.objects.filter(as_of__lt=Now() - KEEP).delete()
