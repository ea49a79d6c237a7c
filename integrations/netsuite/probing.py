"""What can be proven of a NetSuite account by REST, and what cannot.

A role's permissions cannot be listed, so what an account must not do is tried: an empty record of each kind, which
NetSuite refuses to every role, but for the reason of permission only where there is none. No operation of NetSuite's
takes a stamp, so no stale write is ever refused there; the report says so, and such an account is not sound.
"""

from __future__ import annotations

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
    findings = [NO_STAMPS]
    kinds = {"workOrder" if type_.record == "production order" else "purchaseOrder" for type_ in types}
    needless = sorted({"workOrder", "purchaseOrder"} - kinds)
    may: list[str] = []
    refused = 0
    for kind in (*BEYOND, *needless):
        try:
            client.create_nothing(kind)
        except OutOfScope:
            refused += 1
        except (Unavailable, InDoubt):
            raise
        except AdapterError as other:
            may.append(f"may create {kind}: an empty one was refused, but not for want of permission")
            findings.append(f"{kind}: {other.text}"[:300])
        else:
            may.append(f"may create {kind}, and did: delete the empty one")
    return ProbeReport(
        account=client.login,
        stale_refused=None,
        out_of_scope_refused=refused == len(BEYOND) + len(needless),
        excess=tuple(may),
        findings=tuple(findings),
    )
