"""The demo ERP from the command line.

    python -m integrations.tryton.demo up --home DIR --database-uri postgresql://role@/?host=DIR [--port N]
    python -m integrations.tryton.demo build ...     like up, ends when everything is there; keeps a template
    python -m integrations.tryton.demo reset ...     the seeded state again, in seconds

`up` stays in the foreground and ends with everything it started on SIGTERM or SIGINT. `DIR/progress.json` says
how far it is.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from integrations.tryton.client import AdapterError
from integrations.tryton.demo.environment import InstallError
from integrations.tryton.demo.stack import DemoError, Stack, Stopped


def main(arguments: list[str] | None = None) -> int:
    """0 when it did what was asked or was stopped, 1 when it failed."""
    parser = argparse.ArgumentParser(prog="python -m integrations.tryton.demo")
    parser.add_argument("command", choices=["up", "build", "reset"])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--database-uri", default=os.environ.get("COUNTERSIGN_TRYTON_DATABASE_URI"))
    parser.add_argument("--database", default="countersign")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--fresh", action="store_true", help="build: seed again, with dates around today")
    options = parser.parse_args(arguments)
    if not options.database_uri:
        parser.error("--database-uri is missing: a PostgreSQL whose role may create databases")
    stack = Stack(
        options.home,
        database_uri=options.database_uri,
        database=options.database,
        port=options.port,
        workers=options.workers,
    )

    def stop(_number: int, _frame: FrameType | None) -> None:
        stack.ask_to_stop()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    stack.tell("Starting", steps=0)
    try:
        if options.command == "reset":
            stack.prepare()
            stack.reset()
            return 0
        if options.command == "build" and options.fresh:
            stack.prepare()
            stack.forget()
        stack.up()
        if options.command == "build":
            stack.stop()
            stack.keep_template()
            return 0
        sys.stdout.write(f"{stack.url}\n")
        sys.stdout.flush()
        stack.watch()
    except Stopped:
        pass
    except (DemoError, InstallError, AdapterError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        stack.fail(str(error))
        return 1
    finally:
        stack.stop()
    stack.ended()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
