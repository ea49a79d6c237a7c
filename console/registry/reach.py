"""Where a sampling rule may stand at all: nowhere unless switched on, only on a sandbox, never on floor or books."""

from __future__ import annotations

import json

from django.conf import settings

from console.catalogue import spec, transaction_type
from console.errors import Refused
from console.models import Grant
from integrations.contract import Case

SANDBOX = "integrations.sandbox."


def check_reachable(grant: Grant) -> None:
    """Return if a rule may stand on this grant at all; Refused says why not."""
    if why := unreachable(grant):
        raise Refused(why, code="sampled_unreachable")


def unreachable(grant: Grant) -> str:
    """Why no rule may stand on this grant, in words; "" where one may."""
    if not settings.SAMPLED_APPROVAL:
        return "sampled approval is not available: this console is not set up for it"
    if grant.kind != Grant.TYPE:
        return "a sampling rule is about a transaction type"
    if not spec(grant.connection.name).adapter_path.startswith(SANDBOX):
        return "sampled approval is not available on this connection: only a sandbox may be written without a person"
    type_ = transaction_type(grant.name)
    payload = type_.payload.model_validate_json(json.dumps(type_.sample))
    limits = {limit.name: limit.default for limit in type_.limits}
    taken = type_.sample_snapshot
    facts = type_.facts(Case(payload, taken, limits, taken.as_of.date()))
    if facts.floor or facts.books:
        return f"{type_.title}: it reaches the {'shop floor' if facts.floor else 'books'}, so a person decides, always"
    return ""
