"""Two sources for one question: the second is asked too, and where they disagree neither is picked.

A connection's setting `cross_checks` names the other source and the tolerances. Whatever keeps the second one from
answering well (away, stopped, stale) counts as no agreement.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from django.utils import timezone

from console import access
from console.catalogue import spec
from console.checks.readings import AHEAD, CrossCheck, Difference, differences
from console.errors import Held
from console.models import Connection
from console.reads.asking import ask
from console.reads.listen import fresh_for
from integrations import contract
from integrations.contract import AdapterError, Quality, ReadTool


def compare(
    connection: Connection, tool: ReadTool, arguments: Any, here: contract.Reading
) -> CrossCheck | None:
    """What the second source says to the same question; None where the connection names none for this tool."""
    crossing = spec(connection.name).cross_checks.get(tool.name)
    if crossing is None:
        return None
    other = Connection.objects.select_related("system").filter(name=crossing.other).first()
    if other is None:
        return CrossCheck(crossing.other, trouble="it is not registered")
    if trouble := stopped(other, tool):
        return CrossCheck(other.title, trouble=trouble)
    try:
        there = ask(other, tool, arguments)
    except AdapterError as fault:
        return CrossCheck(other.title, trouble=fault.text)
    told = CrossCheck(other.title, source=there.source, as_of=there.as_of)
    if trouble := _unfit(there, fresh_for(other.name, tool)):
        return replace(told, trouble=trouble)
    found = differences(tool, here.value, there.value, crossing.tolerance)
    return replace(told, differences=found)


def weighed(here: contract.Reading, check: CrossCheck | None) -> contract.Reading:
    """The answer with what the second source makes of it: uncertain unless the two agree."""
    if check is None or check.agrees or here.quality is not Quality.GOOD:
        return here
    if check.trouble:
        remark = f"the cross-check with {check.connection} could not be made: {check.trouble}"
    else:
        told = ", ".join(one.field.replace("_", " ") for one in check.differences)
        remark = f"{here.source} and {check.source} of {check.connection} disagree on {told}"
    return replace(here, quality=Quality.UNCERTAIN, remark=remark)


def stopped(connection: Connection, tool: ReadTool) -> str:
    """Why this connection may not be asked just now, in words; "" if it may."""
    if not connection.enabled:
        return f"connection {connection.title} is switched off"
    try:
        access.check_not_stopped(system=connection.system.slug, type_name=tool.name, agent="")
    except Held as held:
        return held.text
    return ""


def as_json(check: CrossCheck | None) -> dict[str, Any] | None:
    """For a row and for an answer: the other source, its age, whether it agrees, and where it does not."""
    if check is None:
        return None
    return {
        **asdict(check),
        "as_of": check.as_of.isoformat() if check.as_of is not None else None,
        "differences": [asdict(one) for one in check.differences],
        "agrees": check.agrees,
    }


def from_json(value: Mapping[str, Any] | None) -> CrossCheck | None:
    """The other way."""
    if value is None:
        return None
    return CrossCheck(
        connection=value["connection"],
        source=value["source"],
        as_of=dt.datetime.fromisoformat(value["as_of"]) if value["as_of"] else None,
        differences=tuple(Difference(**one) for one in value["differences"]),
        trouble=value["trouble"],
    )


def _unfit(there: contract.Reading, limit: dt.timedelta) -> str:
    now = timezone.now()
    if there.quality is not Quality.GOOD:
        return there.remark or f"its answer is {there.quality.value}"
    if there.as_of is None:
        return "nobody can say as of when its answer is"
    if now - there.as_of > limit:
        return f"its answer is {int((now - there.as_of).total_seconds())} s old"
    if there.as_of - now > AHEAD:
        return "its clock is ahead of ours"
    return ""
