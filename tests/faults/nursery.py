"""A process that forks Celery workers cheaply: everything is imported once, then each worker is a fork.

Reads one JSON object a line: {"queue", "failpoints", "log", "threads"}; answers with the pid of a real worker
process on that queue. Ends, with everything it forked, when its input ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys


def main() -> None:
    """Serve."""
    import django  # noqa: PLC0415 the fork's whole point is that this happened before

    django.setup()
    from console import tasks  # noqa: PLC0415
    from console.catalogue import specs, transaction_types  # noqa: PLC0415

    specs(), transaction_types()
    del tasks
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps; a dead worker's pid is gone
    forked: list[int] = []
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become_worker(order)
        forked.append(pid)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
    for pid in forked:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _become_worker(order: dict[str, str]) -> None:
    from console.celery import app  # noqa: PLC0415

    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ["COUNTERSIGN_FAILPOINTS"] = order["failpoints"]
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    app.worker_main(
        [
            *("worker", "--loglevel", "INFO", "--queues", order["queue"], "--concurrency", order["threads"]),
            *("--hostname", f"{order['queue']}-{os.getpid()}@%h"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ]
    )
    os._exit(0)


if __name__ == "__main__":
    main()
