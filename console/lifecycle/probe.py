"""Proving the accounts: a worker tries what every service account must be refused, and stores what it saw.

An account without a sound probe commits nothing; see `commit`.
"""

from __future__ import annotations

import datetime as dt
import time

from django.db import transaction
from django.db.models.functions import Now

from console import audit, connections
from console.audit import Actor
from console.catalogue import READER, Spec, specs, transaction_type
from console.models import Connection, Probe
from console.registry import incidents
from integrations.contract import AdapterError, InDoubt, ProbeReport, Unavailable

FRESH = dt.timedelta(minutes=50)
"""A probe younger than this is not repeated unless asked for."""


def probe_all(*, actor: Actor, again: bool = False) -> list[Probe]:
    """Probe every writing account of every connection that is switched on and configured.

    A system that is away leaves the last probe standing; the connection shows the error.
    """
    found = []
    for connection in Connection.objects.filter(enabled=True, name__in=specs()).order_by("name"):
        found += _probe_accounts(connection, actor=actor, again=again)
    return found


def test(name: str, *, actor: Actor) -> list[Probe]:
    """Ask one connection whether it answers, and probe all its writing accounts now. Nothing if it is switched off."""
    connection = Connection.objects.filter(enabled=True, name=name, name__in=specs()).first()
    if connection is None or ping(connection):
        return []
    return _probe_accounts(connection, actor=actor, again=True)


def _probe_accounts(connection: Connection, *, actor: Actor, again: bool) -> list[Probe]:
    spec = specs()[connection.name]
    found = []
    for purpose in sorted(set(spec.accounts) - {READER}):
        if not again and _is_fresh(connection, purpose):
            continue
        if (probe := probe_one(connection, spec, purpose, actor=actor)) is not None:
            found.append(probe)
    return found


def probe_one(connection: Connection, spec: Spec, purpose: str, *, actor: Actor) -> Probe | None:
    """Probe one account; None when the system does not answer."""
    type_ = transaction_type(purpose)
    try:
        report = connections.writer(connection.name, purpose).probe([type_])
    except (Unavailable, InDoubt) as fault:
        connections.drop(connection.name)
        Connection.objects.filter(pk=connection.pk).update(last_error=fault.text[:300], last_error_at=Now())
        return None
    except AdapterError as fault:
        connections.drop(connection.name)
        report = ProbeReport(spec.accounts[purpose].get("login", ""), None, None, (), (fault.text[:300],))
    except Exception as fault:  # noqa: BLE001 an account that cannot be proven is not proven
        connections.drop(connection.name)
        login = spec.accounts[purpose].get("login", "")
        report = ProbeReport(login, None, None, (), (f"The probe broke off ({type(fault).__name__}).",))
    last = Probe.objects.filter(connection=connection, purpose=purpose).order_by("-id").first()
    with transaction.atomic():
        probe = Probe.objects.create(
            connection=connection,
            purpose=purpose,
            account=report.account[:150],
            sound=report.sound,
            stale_refused=report.stale_refused,
            out_of_scope_refused=report.out_of_scope_refused,
            excess=list(report.excess)[:50],
            findings=list(report.findings)[:50],
            at=Now(),
        )
        Connection.objects.filter(pk=connection.pk).update(last_ok_at=Now(), last_error="")
        if last is None or last.sound != report.sound:
            audit.record(
                "connection.probe",
                actor=actor,
                chain=f"connection:{connection.name}",
                subject=f"{connection.name} {purpose}",
                detail={
                    "sound": report.sound,
                    "stale_refused": report.stale_refused,
                    "out_of_scope_refused": report.out_of_scope_refused,
                    "excess": list(report.excess)[:20],
                },
            )
    if not report.sound and (last is None or last.sound):
        incidents.open_incident(
            kind="account",
            title=f"The account {report.account} on {connection.title} is not fit to write",
            dedupe=f"account:{connection.name}:{purpose}:{probe.pk}",
            lifts="The connection's page shows what the test found: mend the account in the system, then test again.",
            connection=connection,
            actor=actor,
        )
    return probe


def ping_all() -> dict[str, str]:
    """Ask every connection whether it answers; name to "" or what is wrong. Remembered on the connection."""
    return {
        connection.name: ping(connection)
        for connection in Connection.objects.filter(enabled=True, name__in=specs()).order_by("name")
    }


def ping(connection: Connection) -> str:
    """Ask one whether it answers: "" or what is wrong. A look at health is no fact of the business: no entry."""
    row = Connection.objects.filter(pk=connection.pk)
    began = time.monotonic()
    try:
        connections.reader(connection.name).ping()
    except AdapterError as fault:
        connections.drop(connection.name)
        row.update(last_error=fault.text[:300], last_error_at=Now())
        return fault.text
    except Exception as fault:  # noqa: BLE001 an adapter that breaks off does not answer
        connections.drop(connection.name)
        text = f"the adapter broke off ({type(fault).__name__})"
        row.update(last_error=text, last_error_at=Now())
        return text
    row.update(last_ok_at=Now(), last_error="", latency_ms=int((time.monotonic() - began) * 1000))
    return ""


def _is_fresh(connection: Connection, purpose: str) -> bool:
    return Probe.objects.filter(
        connection=connection, purpose=purpose, sound=True, at__gt=Now() - FRESH
    ).exists()
