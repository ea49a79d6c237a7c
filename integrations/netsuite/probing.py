"""What can be proven of a NetSuite account by REST, and what cannot.

A role's permissions cannot be listed, so what an account must not do is tried: an empty record of each kind, which
NetSuite refuses to every role, but for the reason of permission only where there is none. No operation of NetSuite's
takes a stamp, so no stale write is ever refused there; the report of an account that may change records says so, and
such an account is not sound. One that may only create has no stale write to let through, which is tried.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from integrations.contract import AdapterError, InDoubt, OutOfScope, ProbeReport, TransactionType, Unavailable
from integrations.netsuite.client import Client

BEYOND = ("journalEntry", "vendorBill", "vendorPayment", "customerPayment", "check")
"""Kinds of record that no account of ours may make: they move money."""
NO_STAMPS = (
    "NetSuite refuses no stale write, on no operation: it keeps no version that a write could name. Records are "
    "compared right before they are written, and read back."
)


def probe(client: Client, types: Sequence[TransactionType]) -> ProbeReport:
    """Try what must be refused. Unavailable when NetSuite does not answer."""
    findings: list[str] = []
    kinds = {"workOrder" if type_.record == "production order" else "purchaseOrder" for type_ in types}
    beyond = (*BEYOND, *sorted({"workOrder", "purchaseOrder"} - kinds))
    may = [words for kind in beyond if (words := _may_create(client, kind, findings))]
    creates_only = {type_.name for type_ in types} == {"purchase_order_create"}
    if not creates_only:
        findings.append(NO_STAMPS)
    return ProbeReport(
        account=client.login,
        stale_refused=_may_not_change(client, findings) if creates_only else None,
        out_of_scope_refused=not may,
        excess=tuple(may),
        findings=tuple(findings),
    )


def _may_create(client: Client, kind: str, findings: list[str]) -> str:
    try:
        client.create_nothing(kind)
    except OutOfScope:
        return ""
    except (Unavailable, InDoubt):
        raise
    except AdapterError as other:
        findings.append(f"{kind}: {other.text}"[:300])
        return f"may create {kind}: an empty one was refused, but not for want of permission"
    return f"may create {kind}, and did: delete the empty one"


def _may_not_change(client: Client, findings: list[str]) -> bool | None:
    """Write an order's memo as it is. An account that may not write it has no stale write to let through."""
    rows = client.rows("SELECT id FROM transaction WHERE type = 'PurchOrd' ORDER BY id")
    order = client.record("purchaseOrder", str(rows[-1]["id"])) if rows else None
    if order is None:
        findings.append("There is no purchase order that a change could be tried on.")
        return None
    try:
        client.write(
            "PATCH",
            "purchaseOrder",
            str(order["id"]),
            {"memo": str(order.get("memo") or "")},
            idempotency=str(uuid.uuid4()),
        )
    except OutOfScope:
        return True
    except (Unavailable, InDoubt):
        raise
    except AdapterError as other:
        findings.append(f"A change was refused, but not for want of permission: {other.text}"[:300])
        return False
    findings.append("It may change purchase orders, also stale ones; give its role Create, not Edit.")
    return False
