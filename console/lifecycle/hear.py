"""The systems' way in: prove whose message it is, keep its very bytes, ring for a worker. No system is asked.

What is not proven leaves nothing behind but a count and a few audit entries a minute. What is proven is kept before it
is answered, and what it says is a claim (`callback`).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import asdict

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models.functions import Now

from console import audit, connections, dispatch
from console.audit import Actor
from console.catalogue import specs
from console.errors import Denied, Exhausted, Held, Missing, Refused
from console.models import Callback, Connection, Proposal
from console.windows import count
from integrations.contract import AdapterError, Claim, OutOfScope, Rejected

MESSAGES_PER_MINUTE = 600
"""Proven messages that one connection may send in a minute; its sender repeats what is refused."""
ENTRIES_PER_MINUTE = 5
"""Refusals that are put on record in a minute, for each connection and kind: a flood of them fills no log."""
MOST = 50
"""Messages about one proposal that are kept; a system that has more to say of one transaction is out of order."""
KEPT_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
"""What one needs besides the bytes to prove again whose they are."""

log = logging.getLogger(__name__)


def hear(name: str, headers: Mapping[str, str], raw: bytes, *, address: str) -> Callback:
    """Keep one message to the connection `name`; the same one again is the one that is kept.

    `headers` by their names in lower case. Raises Missing (no such connection, or nothing of ours that it is about),
    Denied (not proven), Refused (proven, and not understood), Exhausted (too many), Held (cannot be proven now).
    """
    found = specs().get(name)
    connection = Connection.objects.filter(name=name).first() if found is not None else None
    if found is None or found.adapter.notifier is None or connection is None:
        raise Missing(f"no connection {name} takes callbacks", code="no_connection")
    try:
        ear = connections.notifier(name)
    except (AdapterError, ImproperlyConfigured) as fault:
        log.error("callbacks to %s cannot be proven: %s", name, fault)  # noqa: TRY400 the text is all of it
        raise Held("callbacks to this connection cannot be proven at present", code="no_secret") from None
    try:
        claim = ear.hear(headers, raw)
    except OutOfScope as no:
        _refused(connection, "unproven", no.text, address)
        raise Denied(no.text, code="unproven") from None
    except Rejected as no:
        _refused(connection, "not_understood", no.text, address)
        raise Refused(no.text, code="not_understood") from None
    window = count(f"callbacks:{connection.pk}", MESSAGES_PER_MINUTE)
    if not window.admitted:
        raise Exhausted(
            f"{window.limit} messages in a minute are used up", retry_after=window.seconds, code="too_many"
        )
    proposal = Proposal.objects.filter(ref=claim.reference, connection=connection).first()
    if proposal is None:
        _refused(connection, "unknown_reference", claim.reference, address)
        raise Missing(
            f"nothing was sent by {name} under the reference {claim.reference[:40]}", code="unknown"
        )
    return _keep(connection, proposal, claim, headers, raw)


def _keep(
    connection: Connection, proposal: Proposal, claim: Claim, headers: Mapping[str, str], raw: bytes
) -> Callback:
    digest = hashlib.sha256(raw).hexdigest()
    known = {"connection": connection, "message_id": claim.id, "digest": digest}
    if Callback.objects.filter(proposal=proposal).exclude(**known).count() >= MOST:
        raise Exhausted(f"{MOST} messages about {proposal.ref} are kept already", retry_after=3600)
    with transaction.atomic():
        callback, new = Callback.objects.get_or_create(
            **known,
            defaults={
                "proposal": proposal,
                "headers": {name: headers[name] for name in KEPT_HEADERS if name in headers},
                "raw": raw,
                "claim": asdict(claim),
                "received_at": Now(),
            },
        )
        if new:
            audit.record(
                "callback.hear",
                actor=_system(connection),
                chain=audit.proposal_chain(proposal),
                subject=proposal.ref,
                proposal=proposal,
                detail={
                    "message": claim.id,
                    "digest": digest,
                    "happened": claim.happened,
                    "document": claim.document,
                    "text": claim.text[:300],
                },
            )
    dispatch.ring("console.tasks.judge_callback", callback.pk)
    return callback


def _refused(connection: Connection, kind: str, why: str, address: str) -> None:
    """Count it, and put the first few of a minute on record."""
    if not count(f"callbacks:{connection.pk}:{kind}", ENTRIES_PER_MINUTE).admitted:
        return
    log.warning("a callback to %s was refused (%s)", connection.name, kind)
    audit.record_alone(
        "callback.refuse",
        actor=_system(connection),
        chain=f"connection:{connection.name}",
        subject=connection.name,
        detail={"kind": kind, "why": why[:200], "address": address},
    )


def _system(connection: Connection) -> Actor:
    return Actor(kind="system", id=connection.name, label=connection.title, via="callback")
