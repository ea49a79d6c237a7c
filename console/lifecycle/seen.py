"""What a system shows of an attempt: asked by the connection's own account, or by the one that verifies it.

A middleware, a screen or a person cannot be asked what is true. The connection that verifies them reads the record,
and the record alone decides: as it was before (absent), as it was approved (present), or neither (unclear). A new
document it looks for by our reference; one that cannot is refused at the start. Such a look proves what is there, not
who wrote it.
"""

from __future__ import annotations

from typing import cast

from console import connections, diff
from console.catalogue import spec
from integrations.contract import Receipt, Seeker, Seen, Snapshot, Sought, Trace


def through(connection_name: str, type_name: str) -> str:
    """The name of the connection that is asked about this type."""
    found = spec(connection_name)
    return found.verified_by if found.adapter.types[type_name].seen_elsewhere else connection_name


def look(connection_name: str, sought: Sought) -> Trace:
    """What is true of an attempt that went by this connection. Raises AdapterError; writes nothing anywhere."""
    found = spec(connection_name)
    if found.adapter.types[sought.type.name].seen_elsewhere:
        viewer = connections.viewer(connection_name, sought.type.name)
        if not sought.snapshot.target:
            return cast("Seeker", viewer).seek(sought)
        return compared(sought, viewer.snapshot(sought.type, sought.payload))
    trace = connections.writer(connection_name, sought.type.name).find(sought)
    if found.adapter.last_door and found.verified_by and trace.seen is Seen.PRESENT:
        return _seen_twice(found.verified_by, sought, trace)
    return trace


def _seen_twice(other: str, sought: Sought, trace: Trace) -> Trace:
    """What a robot read on the screen counts only if another path reads the same."""
    there = compared(sought, connections.reader(other).snapshot(sought.type, sought.payload))
    if there.seen is Seen.PRESENT:
        return trace
    text = f"The screen shows it, but {other} does not: {there.text or 'it reads as before'}"
    return Trace(Seen.UNCLEAR, record=there.record, stamps=there.stamps, text=text)


def compared(sought: Sought, now: Snapshot) -> Trace:
    """What a snapshot taken now says of an attempt at a change."""
    before = sought.snapshot
    wrong = diff.differences(sought.expected, now.record, sought.type.fields, base=before.record)
    unmoved = (
        all(now.stamps.get(name) == stamp for name, stamp in before.stamps.items())
        if before.stamps
        else now.record == before.record
    )
    if unmoved:
        return Trace(
            Seen.ABSENT,
            record=now.record,
            stamps=now.stamps,
            text=f"{now.source}: the record is that of before.",
        )
    if wrong:
        return Trace(
            Seen.UNCLEAR,
            record=now.record,
            stamps=now.stamps,
            text=f"{now.source} shows {now.label} neither as before nor as approved.",
        )
    receipt = Receipt(now.target, now.label, now.stamps, {"seen_by": now.source})
    return Trace(Seen.PRESENT, receipt, now.record, now.stamps)
