"""Cases for evals, out of what a system keeps of its own past."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

from console import connections
from console.catalogue import spec, specs, transaction_type
from integrations.contract import Historian, Unsupported


def harvest(
    connection: str,
    type_name: str,
    *,
    since: dt.datetime,
    until: dt.datetime | None = None,
    left_out: Counter[str],
    fields: Collection[str] = (),
    prompted: bool = True,
) -> Iterator[Mapping[str, Any]]:
    """Cases of one transaction type from what people did, read with the connection's reading account.

    See `Historian.harvest` for the arguments. Raises Missing for an unknown type, Unsupported where the system keeps no
    history that tells of it, and the adapter's errors on the way.
    """
    found, type_ = spec(connection), transaction_type(type_name)
    if type_name not in found.adapter.harvests:
        known = ", ".join(sorted(found.adapter.harvests)) or "nothing"
        raise Unsupported(
            f"{connection} keeps no history that tells of {type_name} (of {known}); "
            "what agents read while they were read-only may: --recorded"
        )
    ours = {account.get("login", "") for one in specs().values() for account in one.accounts.values()}
    historian = cast("Historian", connections.reader(connection))
    return historian.harvest(
        type_,
        since=since,
        until=until,
        left_out=left_out,
        fields=fields,
        ours=ours - {""},
        prompted=prompted,
    )
