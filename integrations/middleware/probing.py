"""Finds out whether an endpoint refuses what it must, by messages that can do nothing: their payload is empty.

Tried: a record's stamp that never was, another transaction type, a signature by another key, a message of six
minutes ago. What the middleware's own account may do in the ERP cannot be seen from here, and the report says so.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from standardwebhooks import Webhook

from integrations.contract import AdapterError, InDoubt, OutOfScope, ProbeReport, Stale, Unavailable

NEVER = {"countersign probe": "0"}
"""A record that no system has, at a stamp that no record has."""

OTHER = "countersign_probe"
"""A transaction type that no endpoint serves."""

OLD = dt.timedelta(minutes=6)
UNSEEN = "What the middleware's own account may do in the ERP cannot be seen from here: look there."


def message(type_name: str, reference: str) -> dict[str, Any]:
    """A message of this type that can do nothing."""
    return {"type": type_name, "data": {"reference": reference, "target": "", "payload": {}, "expect": NEVER}}


def probe(login: str, type_name: str, send: Callable[..., object]) -> ProbeReport:
    """Try what must be refused. `send(id, body, by=, at=)` answers or raises AdapterError.

    Unavailable and InDoubt go to the caller: an endpoint that gives no clear answer is not proven.
    """
    findings = [UNSEEN]

    def refused(words: str, wanted: type[AdapterError], as_type: str = type_name, **how: Any) -> bool:
        reference = f"probe-{secrets.token_hex(8)}"
        try:
            send(reference, message(as_type, reference), **how)
        except wanted:
            return True
        except (Unavailable, InDoubt):
            raise
        except AdapterError as error:
            findings.append(f"It refused {words} for another reason: {error.text}")
            return False
        findings.append(f"It took {words}.")
        return False

    stale = refused("a message for a record that was never so", Stale)
    beyond = refused("a message of another type", OutOfScope, OTHER)
    ways: Mapping[str, Mapping[str, Any]] = {
        "a message that somebody else signed": {"by": (Webhook(secrets.token_bytes(32)),)},
        "a message of six minutes ago": {"at": dt.datetime.now(dt.UTC) - OLD},
    }
    excess = tuple(
        f"Its endpoint does not refuse {words}."
        for words, how in ways.items()
        if not refused(words, OutOfScope, **how)
    )
    return ProbeReport(login, stale, beyond, excess, tuple(findings))
