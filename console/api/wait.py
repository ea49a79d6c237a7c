"""`Prefer: wait=N` (RFC 7240): the answer is held back until the proposal moved, N seconds at most.

A waiting call holds a thread of the web server, so only some may wait in one process, and no database connection
between two looks. Who finds no place is answered at once, without `Preference-Applied`.
"""

from __future__ import annotations

import re
import threading
import time

from django.db import connection

from console.models import Proposal

LONGEST = 30
WAITERS = 24
FIRST, SLOWEST = 0.25, 1.0
"""Seconds between two looks: from a quarter, growing to one."""

WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})\"?(?=$|[,;\s])")

_places = threading.BoundedSemaphore(WAITERS)


def asked(prefer: str) -> int:
    """How many seconds a `Prefer` header asks for, at most LONGEST; 0 when it asks for none, or not clearly."""
    found = WAIT.search(prefer.lower())
    return min(int(found[1]), LONGEST) if found is not None else 0


def for_change(proposal: Proposal, state: str, seconds: int) -> bool:
    """Return when the proposal is not in `state` any more, or after `seconds`. False when there was no place."""
    if proposal.state != state:
        return True
    if not _places.acquire(blocking=False):
        return False
    try:
        deadline = time.monotonic() + seconds
        pause = FIRST
        while (left := deadline - time.monotonic()) > 0:
            if not connection.in_atomic_block:
                connection.close()
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, SLOWEST)
            if not Proposal.objects.filter(pk=proposal.pk, state=state).exists():
                break
    finally:
        _places.release()
    return True
