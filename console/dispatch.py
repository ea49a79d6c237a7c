"""Ringing the bell. A bell may be lost: the sweep rings again, the database is the queue.

Tasks are named, not imported, so that the corridor does not know the workers' door.
"""

from __future__ import annotations

import logging

from celery import current_app
from django.db import transaction

from console import tracing
from console.failpoints import reach

log = logging.getLogger(__name__)


def after_commit(task: str, *args: int | str) -> None:
    """Send a task by name once the transaction in hand is committed; now, if there is none."""
    transaction.on_commit(lambda: ring(task, *args))


def ring(task: str, *args: int | str | bool, after: float = 0) -> bool:
    """Send a task by name, to be done `after` so many seconds.

    False when the broker does not take it: the sweep will ring again.
    """
    reach("S1")
    try:
        with tracing.rung(task):
            current_app.send_task(task, args=list(args), ignore_result=True, countdown=after or None)
    except Exception as error:  # noqa: BLE001 whatever the broker raises, the work is safe in the database
        log.warning("bell %s not rung (%s); the sweep will ring again", task, type(error).__name__)
        return False
    return True
