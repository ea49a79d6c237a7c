"""A person as the way into the plant: nothing is sent, somebody does it by hand and says so.

It has no writer, so there is nothing that could send. A `floor_task` is about no record of any system, so its snapshot
is made here and holds nothing. Every other type is about a record: the connection that verifies this one reads it,
before people decide and again when somebody says that it is done.

Options of a connection: `types`, the names of the transaction types to be done by hand (`floor_task` unless given).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from integrations.contract import (
    Account,
    Adapter,
    Carried,
    EffectClass,
    Reading,
    ReadTool,
    Record,
    Snapshot,
    TransactionType,
    Unsupported,
)

SOURCE = "by hand"
FLOOR_TASK = "floor_task"
OTHERS = (
    "production_order_quantity",
    "production_order_release",
    "production_order_reschedule",
    "purchase_order_create",
    "purchase_order_line_change",
    "sales_order_promise",
)
"""What somebody can also enter at the system's own screens."""


class ByHand:
    """Reads nothing: there is no system behind it."""

    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        del options, account

    def read(self, tool: ReadTool, arguments: Any) -> Reading:
        """There is nothing to ask."""
        del arguments
        raise Unsupported(f"A person does not answer {tool.name}; use a connection into a system.")

    def snapshot(self, type_: TransactionType, payload: Any) -> Snapshot:
        """The empty record of something that is still to be done."""
        if type_.name != FLOOR_TASK:
            raise Unsupported(
                f"{type_.name} is about a record of a system; the verifying connection reads it."
            )
        return Snapshot(
            target="",
            label=f"{payload.place}: {payload.title}"[:200],
            record=Record({}),
            context={},
            stamps={},
            as_of=dt.datetime.now(dt.UTC),
            source=SOURCE,
        )

    def ping(self) -> None:
        """There is nothing that could be away."""

    def describe(self) -> Mapping[str, Any]:
        """What it is."""
        return {"name": "A person, by hand", "version": "", "account": ""}

    def close(self) -> None:
        """There is nothing to let go of."""


ADAPTER = Adapter(
    name="by_hand",
    title="A person, by hand",
    path="by hand",
    levels=frozenset({4}),
    tools=frozenset(),
    types={
        FLOOR_TASK: Carried(EffectClass.BY_HAND, note="Somebody does it on the floor and confirms it here."),
        **{
            name: Carried(
                EffectClass.BY_HAND,
                note="Somebody enters it at the system's own screen; another connection reads it back.",
                seen_elsewhere=True,
            )
            for name in OTHERS
        },
    },
    settle=dt.timedelta(seconds=30),
    verified="",
    reader=ByHand,
)
