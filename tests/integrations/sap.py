"""What the tests of the SAP adapter share: a commit of one's own, and what happens meanwhile."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from integrations.contract import Note, Writer
from integrations.scan import transaction_types
from tests.integrations.conformance import Commit, Subject, prepare
from tests.integrations.test_sap_conformance import subject
from tests.rigs.cap import Cap

RESCHEDULE, QUANTITY = "production_order_reschedule", "production_order_quantity"
RELEASE, CREATE, LINE = "production_order_release", "purchase_order_create", "purchase_order_line_change"
TYPES = transaction_types()
WRITES = {"POST", "PATCH", "MERGE", "PUT", "DELETE"}


def proposing(server: Cap, payload: Mapping[str, Any]) -> Subject:
    """The subject, proposing just this."""
    return dataclasses.replace(subject(server), payload=lambda _name: payload)


@contextlib.contextmanager
def prepared(
    server: Cap, type_name: str, payload: Mapping[str, Any] | None = None
) -> Iterator[tuple[Writer, Commit]]:
    """A writer and a commit of this payload, or of one that is right."""
    described = proposing(server, payload) if payload is not None else subject(server)
    with described.open_writer(type_name) as writer:
        yield writer, prepare(described, writer, type_name)


def written(server: Cap, before: int) -> list[str]:
    """The writes that arrived after the first so many calls."""
    return [f"{one['method']} {one['path']}" for one in server.calls()[before:] if one["method"] in WRITES]


def meanwhile(happens: Callable[[], None]) -> Note:
    """A note in which something else happens, right before the write."""

    def note(about: Mapping[str, Any], exhibits: Sequence[object] = ()) -> None:
        del about, exhibits
        happens()

    return note
