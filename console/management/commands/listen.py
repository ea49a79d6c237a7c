"""`manage.py listen`: hold the subscriptions of every connection that can only be subscribed to."""

import signal
import threading
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand

from console.reads.listen import listen, listeners


class Command(BaseCommand):
    """Listen until SIGTERM or Ctrl-C; one process for all connections, one thread each."""

    help = "Listen to what can only be subscribed to (OPC UA, Sparkplug B, B2MML), until told to stop."

    def handle(self, *_: Any, **__: Any) -> None:
        """Say on what, listen, end every session."""
        stop = threading.Event()

        def ask(_: int, __: FrameType | None) -> None:
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, ask)
        if not listeners():
            self.stdout.write("No connection in the settings can be listened on; see CONNECTIONS.")
            return
        listen(stop, say=self._say)
        self._say("stopped listening")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
