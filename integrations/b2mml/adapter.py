"""B2MML files in a folder: a listener that reads each once it is whole, and leaves it where it lies.

Options: `folder`, `pattern` (default *.xml), `beat` (seconds between looks), `days` (older files are passed over),
`states` (the plant's word for a state, to waiting, ready, running, interrupted, ended or aborted).
"""

from __future__ import annotations

import datetime as dt
import os
import stat
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from integrations.b2mml.messages import HEARD, MOST_BYTES, NOUNS, STATES, Refused, message
from integrations.contract import (
    Account,
    Adapter,
    OutOfScope,
    Reading,
    ReadTool,
    Sink,
    Snapshot,
    TransactionType,
    Unavailable,
    Unsupported,
)

DAY = 86_400

Mark = tuple[int, int]
"""Size and time of the last change: what tells one version of a file from another."""


class Floor:
    """One folder. See `contract.Listener`."""

    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        del account  # a folder asks for none; who may read it is the operating system's business
        self._folder = Path(str(options["folder"]))
        self._pattern = str(options.get("pattern", "*.xml"))
        self._beat = float(options.get("beat", 2))
        self._days = float(options.get("days", 7))
        given = {str(word).lower(): str(state) for word, state in options.get("states", {}).items()}
        self._states = STATES | given

    def run(self, sink: Sink, stop: threading.Event) -> None:
        """Look again and again. A file counts once two looks found it unchanged, so that no half is read."""
        read: dict[str, Mark] = {}
        before: dict[str, Mark] = {}
        newest: dict[str, dt.datetime] = {}
        while not stop.is_set():
            now = self._files()
            for name, mark in sorted(now.items(), key=lambda one: (one[1][1], one[0])):
                if before.get(name) == mark and read.get(name) != mark:
                    read[name] = mark
                    self._read(name, sink, newest)
            read = {name: mark for name, mark in read.items() if name in now}
            before = now
            sink.alive()
            stop.wait(self._beat)

    def ping(self) -> None:
        """Return if the folder can be listed."""
        self._files()

    def describe(self) -> Mapping[str, Any]:
        """Where, and how many files there are."""
        return {
            "folder": str(self._folder),
            "files": len(self._files()),
            "verbs": list(HEARD),
            "nouns": list(NOUNS),
        }

    def read(self, tool: ReadTool, arguments: Any) -> Reading:
        """Not from here: the console answers from what was heard."""
        del arguments
        raise Unsupported(f"{tool.name} is answered from what `manage.py listen` heard")

    def snapshot(self, type_: TransactionType, payload: Any) -> Snapshot:
        """Nothing is written on the floor, so there is nothing to take a snapshot for."""
        del payload
        raise Unsupported(f"a folder of reports carries no {type_.name}: it is only read")

    def close(self) -> None:
        """Nothing is held open."""

    def _files(self) -> dict[str, Mark]:
        """Every regular file of the pattern that is young enough, by name."""
        found = {}
        oldest = time.time() - self._days * DAY
        try:
            for path in self._folder.glob(self._pattern):
                seen = path.stat(follow_symlinks=False)
                if stat.S_ISREG(seen.st_mode) and seen.st_mtime >= oldest:
                    found[path.relative_to(self._folder).as_posix()] = (seen.st_size, seen.st_mtime_ns)
            if not found and not self._folder.is_dir():
                raise Unavailable(f"the folder {self._folder} is not there")
        except PermissionError:
            raise OutOfScope(f"the folder {self._folder} may not be read") from None
        except OSError as error:
            raise Unavailable(f"the folder {self._folder} cannot be read ({error.strerror})") from None
        return found

    def _read(self, name: str, sink: Sink, newest: dict[str, dt.datetime]) -> None:
        try:
            handle = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(handle, "rb") as file:
                told = message(file.read(MOST_BYTES + 1), self._states)
        except Refused as refusal:
            sink.refused(f"{name}: {refusal}")
            return
        except OSError as error:
            sink.refused(f"{name}: it cannot be read ({error.strerror})")
            return
        for sample in told.samples:
            order = str(sample.arguments["order"])
            if order in newest and newest[order] > told.created_at:
                continue  # a report that came late says what was, not what is
            newest[order] = told.created_at
            sink.heard(replace(sample, mark=f"{name} {told.ident}".strip()[:200]))


ADAPTER = Adapter(
    name="b2mml",
    title="B2MML files",
    path="B2MML files",
    levels=frozenset({3}),
    tools=frozenset({"job_state"}),
    types={},
    settle=dt.timedelta(0),
    verified="",
    reader=Floor,
    listener=Floor,
)
