"""Orphan writes: what the systems' own change logs say our accounts wrote, against what people countersigned.

Every step of a commit has a note that is durable before the first byte leaves. So a write in a system's log that no
note stands for was made with one of our accounts behind the console's back. It is told once, as an incident, with
record, time and account.

A write is taken for a countersigned one when an attempt of the same connection and transaction type was at work (from
its first note until its outcome was settled, while it is open without end) and
- the write carries its reference (never another one), or is on a record that the attempt names, or
- the attempt was sending just then: lines and side effects have names that nobody knows before.
The second is a gap of seconds around each commit. What is hidden in it has changed the very record that the read-back
compares, or another one at the same moment by the same account; the log cannot tell that apart.

Each look begins a while before the last one ended, because a log may show a write late, by a clock that is not ours.
While a log cannot be read nothing is taken for compared: the watch stays where it is and says so.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Max, Min, Q
from django.db.models.functions import Coalesce, Now

from console import connections
from console.audit import Actor
from console.canonical import canonical
from console.catalogue import READER, specs, transaction_types
from console.models import LIVE, Attempt, Connection, LogWatch, OrphanWrite
from console.registry import incidents
from integrations.contract import AdapterError, SystemChange, Unsupported

OVERLAP = dt.timedelta(minutes=10)
"""How far each look goes back behind the end of the last one."""
SKEW = dt.timedelta(seconds=60)
"""How far a system's clock may be from ours before its log is misread."""
BLIND_AFTER = dt.timedelta(days=1)
"""How long a log may stay unread before that is an incident itself."""
TOLD = 20


@dataclass(frozen=True)
class Work:
    """One attempt as far as it explains writes: when, on which records, under which reference.

    `sending` is until when it may have been sending, `open_until` until when its outcome was open; None: still.
    """

    reference: str
    names: frozenset[str]
    since: dt.datetime
    sending: dt.datetime | None
    open_until: dt.datetime | None

    def explains(self, change: SystemChange) -> bool:
        """Whether this attempt may have made this write."""
        told = change.detail.get("reference")
        if change.at < self.since - SKEW or (told and told != self.reference):
            return False
        if told or change.record in self.names:
            return self.open_until is None or change.at <= self.open_until + SKEW
        return self.sending is None or change.at <= self.sending + SKEW


def reconcile(*, actor: Actor) -> list[OrphanWrite]:
    """Compare the change log of every writing account that is switched on. Returns what was found and is new."""
    found: list[OrphanWrite] = []
    for connection in Connection.objects.filter(enabled=True, name__in=specs()).order_by("name"):
        for purpose in sorted(set(specs()[connection.name].accounts) - {READER}):
            if purpose in transaction_types():
                found += compare(connection, purpose, actor=actor)
    return found


def compare(connection: Connection, purpose: str, *, actor: Actor) -> list[OrphanWrite]:
    """Compare the change log of one account. Its watch says how far, or since when and why it cannot be read."""
    watch, _ = LogWatch.objects.get_or_create(
        connection=connection, purpose=purpose, defaults={"since": Now(), "seen_until": Now()}
    )
    watch = LogWatch.objects.annotate(begun=Now()).get(pk=watch.pk)
    since = max(watch.since, watch.seen_until - OVERLAP)
    try:
        changes = connections.writer(connection.name, purpose).changes(since)
    except AdapterError as fault:
        connections.drop(connection.name)
        _blind(watch, fault.text, actor, alarming=not isinstance(fault, Unsupported))
        return []
    except Exception as fault:  # noqa: BLE001 a log that cannot be read has not been compared
        connections.drop(connection.name)
        _blind(watch, f"the adapter broke off ({type(fault).__name__})", actor, alarming=True)
        return []
    # Read after the log: the note of a write that is in it was durable before.
    work = _work(connection, purpose, since)
    orphans = [
        change
        for change in changes
        if change.at >= watch.since and not any(one.explains(change) for one in work)
    ]
    made = _tell(connection, purpose, orphans, actor)
    LogWatch.objects.filter(pk=watch.pk, seen_until__lt=watch.begun).update(
        seen_until=watch.begun, error="", failing_since=None
    )
    return made


def _work(connection: Connection, purpose: str, since: dt.datetime) -> list[Work]:
    attempts = (
        Attempt.objects.filter(
            Q(proposal__state__in=LIVE) | Q(proposal__state_since__gte=since - SKEW - OVERLAP),
            proposal__connection=connection,
            proposal__transaction_type=purpose,
            notes__isnull=False,
        )
        .annotate(first=Min("notes__at"), last=Max("notes__at"))
        .select_related("proposal", "assessment")
    )
    return [
        Work(
            reference=one.proposal.ref,
            names=frozenset({*one.assessment.snapshot["stamps"], *one.stamps, *_texts(one.evidence)}),
            since=one.first,
            sending=max(one.answered_at, one.last) if one.answered_at is not None else None,
            open_until=one.proposal.state_since if one.proposal.is_final else None,
        )
        for one in attempts
    ]


def _texts(value: Any) -> Iterable[str]:
    """Every text in a piece of evidence: the system's names of what it wrote are among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


def _tell(
    connection: Connection, purpose: str, changes: Sequence[SystemChange], actor: Actor
) -> list[OrphanWrite]:
    """One incident for everything that is new at this look."""
    by_key = {_key(change): change for change in changes}
    known = OrphanWrite.objects.filter(connection=connection, purpose=purpose, key__in=list(by_key))
    told = set(known.values_list("key", flat=True))
    new = {key: change for key, change in by_key.items() if key not in told}
    if not new:
        return []
    first = next(iter(new.values()))
    more = f" and {len(new) - 1} more" if len(new) > 1 else ""
    listed = [
        {"record": one.record, "event": one.event, "account": one.account, "at": one.at.isoformat()}
        for one in new.values()
    ]
    dedupe = hashlib.sha256("\n".join(sorted(new)).encode()).hexdigest()
    try:
        with transaction.atomic():
            incident = incidents.open_incident(
                kind="orphan_write",
                title=f"Nobody countersigned: {first.event} of {first.record}{more} by {first.account} on"
                f" {connection.title}",
                dedupe=f"orphan:{connection.name}:{purpose}:{dedupe}"[:150],
                lifts="Find out who used the account and undo what is wrong. Give the account a new secret, then"
                " close this.",
                connection=connection,
                actor=actor,
                detail={"connection": connection.name, "writes": listed[:TOLD], "count": len(new)},
            )
            return OrphanWrite.objects.bulk_create(
                OrphanWrite(
                    connection=connection,
                    purpose=purpose,
                    key=key,
                    account=one.account[:150],
                    record=one.record[:200],
                    event=one.event[:64],
                    at=one.at,
                    detail=dict(one.detail),
                    incident=incident,
                    found_at=Now(),
                )
                for key, one in new.items()
            )
    except IntegrityError:
        return []  # another worker looked at the same moment and has told it


def _key(change: SystemChange) -> str:
    if change.key:
        return change.key[:64]
    told = [change.record, change.event, change.at.isoformat(), dict(change.detail)]
    return hashlib.sha256(canonical(told).encode()).hexdigest()


def _blind(watch: LogWatch, why: str, actor: Actor, *, alarming: bool) -> None:
    LogWatch.objects.filter(pk=watch.pk).update(
        error=why[:300] or "no reason was given", failing_since=Coalesce(F("failing_since"), Now())
    )
    failing = LogWatch.objects.filter(pk=watch.pk, failing_since__lt=Now() - BLIND_AFTER).first()
    if failing is None or not alarming or failing.failing_since is None:
        return
    connection = watch.connection
    incidents.open_incident(
        kind="log_unread",
        title=f"The change log of {connection.title} for {watch.purpose} has not been read for a day",
        dedupe=f"log:{connection.name}:{watch.purpose}:{failing.failing_since:%Y%m%d%H%M%S}",
        lifts="Let the account read the system's log again; what was written meanwhile is then compared.",
        connection=connection,
        actor=actor,
        detail={"why": why[:300]},
    )
