"""The Celery application. PostgreSQL is the queue; Celery is only the bell that says "look now"."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES, redis

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")


class Channel(redis.Channel):
    """kombu's own, with one Redis client for all it says.

    kombu makes a client anew for every message taken, acknowledged and rung, which costs more than the command
    itself. A client is safe to share: it takes a connection of the pool for each command.
    """

    @cached_property
    def _kept(self) -> Any:
        return super()._create_client()  # type: ignore[misc]  # the types leave it out

    def _create_client(self, asynchronous: bool = False) -> Any:  # noqa: FBT002 kombu's signature
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[misc]  # the same
        return self._kept


class Transport(redis.Transport):
    """kombu's transport for Redis, with that channel."""

    Channel = Channel


TRANSPORT_ALIASES |= dict.fromkeys(("redis", "rediss"), "console.celery:Transport")

app = Celery("console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
