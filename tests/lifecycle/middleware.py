"""A connection by a middleware for tests of the corridor: Node-RED in front of the sandbox, which verifies it."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from django.conf import LazySettings
from pytest_django.live_server_helper import LiveServer
from standardwebhooks import Webhook

from console import catalogue
from console.audit import WORKER
from console.lifecycle import callback, readback
from console.models import Callback, Connection, Hearing, Proposal, State
from tests import cast
from tests.cast import PLANT, Planner, use_connections
from tests.lifecycle.corridor import fresh
from tests.rigs.nodered import SEEN, NodeRed
from tests.sandbox import SandboxProcess

MIDDLEWARE = "middleware"
WAIT_SECONDS = 30


@dataclass
class Way:
    """The way by the middleware. `console` is where this console listens."""

    nodered: NodeRed
    erp: SandboxProcess
    console: str
    connection: Connection
    set_up: Callable[..., None]

    @property
    def address(self) -> str:
        """Where it is called back."""
        return f"{self.console}/callbacks/{MIDDLEWARE}"

    def behave(self, mode: str) -> None:
        """How the flow answers from now on."""
        self.nodered.behave(mode, callback=self.address)

    def call_back(
        self,
        reference: str,
        *,
        done: bool = True,
        message_id: str = "cb_test",
        secret: str = "",
        at: dt.datetime | None = None,
        sent: Callable[[bytes], bytes] = lambda raw: raw,
        **data: Any,
    ) -> httpx.Response:
        """A callback as the middleware would send it; `sent` changes the bytes after they were signed."""
        at = at or dt.datetime.now(dt.UTC)
        type_ = "transaction.committed" if done else "transaction.rejected"
        raw = json.dumps({"type": type_, "data": {"reference": reference, **data}}).encode()
        signature = Webhook(secret or self.nodered.callback_secret).sign(message_id, at, raw.decode())
        return httpx.post(
            self.address,
            content=sent(raw),
            headers={
                "webhook-id": message_id,
                "webhook-timestamp": str(int(at.timestamp())),
                "webhook-signature": signature,
            },
            timeout=30,
            trust_env=False,
        )

    def hear(self, count: int = 1) -> list[Hearing | None]:
        """Wait for so many callbacks, and do what a worker does with those that nobody has judged."""
        self.nodered.wait_for_answers(count)
        return judged()


def judged() -> list[Hearing | None]:
    """What a worker makes of every callback that nobody has judged."""
    waiting = list(Callback.objects.filter(hearing__isnull=True).select_related("proposal").order_by("pk"))
    return [callback.judge(one, actor=WORKER) for one in waiting]


def looked(proposal: Proposal, *states: State) -> Proposal:
    """Ring for the read-back until it is in one of these states."""
    deadline = time.monotonic() + WAIT_SECONDS
    while (now := fresh(proposal)).state not in states:
        assert time.monotonic() < deadline, (now.state, now.state_reason)
        readback.read_back(now, actor=WORKER)
        time.sleep(0.1)
    return now


@pytest.fixture
def way(
    planner: Planner,
    erp: SandboxProcess,
    nodered: NodeRed,
    live_server: LiveServer,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Way]:
    """The connection "middleware", verified by "plant"; the planner may use both."""
    direct, secrets = erp.settings()

    def set_up(**options: Any) -> None:
        entry, more = nodered.settings(PLANT, **options)
        use_connections(settings, monkeypatch, {PLANT: direct, MIDDLEWARE: entry}, {**secrets, **more})

    set_up()
    row = cast.connection(MIDDLEWARE, "sandbox", "Middleware")
    for name in SEEN:
        cast.grant(planner.version, "type", name, row)
    found = Way(nodered, erp, live_server.url, row, set_up)
    found.behave("ok")
    yield found
    catalogue.specs.cache_clear()
