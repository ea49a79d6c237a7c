"""Notices of incidents by e-mail, chat and webhook: each incident told once to each address when it opens and closes.

`NOTICE_URLS` holds names; what a name holds, as every secret (`environment.secret`), is an address in apprise's form,
such as `mailtos://user:password@example.com?to=shift@example.com`, `slack://...` or `jsons://host/hook`. An address
is a secret: it is in no log, error, page, audit entry or row; the name stands for it.

A row is written before the first try, and a try is counted before it is made, so that no notice is forgotten. When a
worker dies in the moment between the address taking a notice and the row saying so, it is told once more.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

import apprise
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from console import environment
from console.models import Incident, Notice

NEWS = dt.timedelta(days=1)
"""What happened longer ago is no news to an address that is added today."""
AGAIN = dt.timedelta(seconds=30)
"""A try that failed is made again after so long, then after twice as long, and so on,"""
SELDOM = dt.timedelta(hours=1)
"""but at least so often."""
MOST_TRIES = 60
"""About two and a half days. Then the incident's page says for good that it could not be told."""
BATCH = 50

log = logging.getLogger(__name__)

PLAN = """
INSERT INTO console_notice (incident_id, event, address, tries, due_at, fault)
SELECT i.id, e.event, a.address, 0, statement_timestamp(), ''
FROM console_incident i
CROSS JOIN LATERAL (VALUES ('opened', i.opened_at), ('closed', i.lifted_at)) AS e (event, at)
CROSS JOIN unnest(%(addresses)s::text[]) AS a (address)
WHERE e.at > statement_timestamp() - %(news)s
ON CONFLICT (incident_id, event, address) DO NOTHING
"""


def tell_all() -> int:
    """Write down what is to be told, and tell what is due. Returns how many notices were taken."""
    addresses = list(settings.NOTICE_URLS)
    if not addresses:
        return 0
    values: dict[str, Any] = {"addresses": addresses, "news": NEWS}
    with connection.cursor() as cursor:
        cursor.execute(PLAN, values)
    told = 0
    for _ in range(BATCH):
        notice = _claim(addresses)
        if notice is None:
            break
        told += _tell(notice)
    return told


def _claim(addresses: list[str]) -> Notice | None:
    """The next one that is due, with this try counted; nobody else takes it before the next is due."""
    with transaction.atomic():
        found = (
            Notice.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("incident__connection")
            .filter(told_at__isnull=True, due_at__lte=Now(), address__in=addresses, tries__lt=MOST_TRIES)
            .order_by("due_at")
            .first()
        )
        if found is not None:
            later = min(AGAIN * 2 ** min(found.tries, 10), SELDOM)
            Notice.objects.filter(pk=found.pk).update(tries=F("tries") + 1, due_at=Now() + later)
    return found


def _tell(notice: Notice) -> bool:
    """One try. What went wrong is told in our own words: the library's would hold the address."""
    fault = ""
    try:
        if not _send(environment.secret(notice.address), notice):
            fault = "The address did not take it."
    except ImproperlyConfigured:
        fault = f"{notice.address} is not set, or cannot be read."
    except ValueError:
        fault = f"What {notice.address} holds is no address that can be used."
    except Exception as error:  # noqa: BLE001 a library for a hundred services may raise anything
        fault = f"It could not be sent ({type(error).__name__})."
    if fault:
        log.warning("a notice of incident %s to %s failed: %s", notice.incident_id, notice.address, fault)
        Notice.objects.filter(pk=notice.pk).update(fault=fault[:200])
        return False
    Notice.objects.filter(pk=notice.pk).update(told_at=Now(), fault="")
    return True


def _send(address: str, notice: Notice) -> bool:
    # Nothing is kept on disk, and the library loads no plugin from anywhere else.
    asset = apprise.AppriseAsset(
        app_id="Countersign",
        app_desc="Countersign",
        app_url="",
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        plugin_paths=[],
    )
    service = apprise.Apprise(asset=asset)
    if not service.add(address):
        raise ValueError
    opened = notice.event == Notice.OPENED
    return bool(
        service.notify(
            title=f"Incident {notice.incident_id} {'opened' if opened else 'closed'}",
            body=text(notice.incident, opened=opened),
            notify_type=apprise.NotifyType.WARNING if opened else apprise.NotifyType.SUCCESS,
            body_format=apprise.NotifyFormat.TEXT,
        )
    )


def text(incident: Incident, *, opened: bool) -> str:
    """What a notice says: what happened, what would lift it, where to look."""
    lines = [incident.title]
    if opened and incident.lifts:
        lines.append(incident.lifts)
    if incident.connection is not None:
        lines.append(f"Connection: {incident.connection.title}")
    if settings.CONSOLE_URL:
        lines.append(f"{settings.CONSOLE_URL.rstrip('/')}/administration/incidents/{incident.pk}/")
    return "\n".join(lines)
