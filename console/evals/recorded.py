"""Cases out of what agents read here while they could only read: for systems that keep no history.

The same record read twice tells what was done to it in between. One case for each change that nobody proposed here: as
of the last look before it, with what the same agent version had read in the hour until then, and the payload that
equals what people did. Where the order went on unchanged out of a trouble, nothing should have been done. What the
readings do not hold is left out and counted: a case is only as good as the agent was diligent.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from console.catalogue import transaction_type
from console.models import Attempt, Reading
from integrations.contract import TransactionType, Unsupported, split_of

LIST = "order_status_exceptions"
WINDOW = dt.timedelta(hours=1)
"""What was read so long before the last look belongs to the case."""

UNSETTLED = "it was done so lately that it may still be corrected"
NO_TROUBLE = "no list of exceptions was read in the hour before that showed it"
OURS = "it was proposed here"
SEVERAL = "several lines of the order changed between two looks"
NOT_WHOLE = "what was read does not hold everything that its payload needs"


@dataclass(frozen=True)
class Watched:
    """Where a read tool shows what a transaction type changes; `lines` where it changes a line of the record.

    `whole`: the payload takes all fields, also those that stayed.
    """

    tool: str
    fields: tuple[str, ...]
    lines: str = ""
    whole: bool = False


WATCHED: Mapping[str, Watched] = {
    "sales_order_promise": Watched("sales_order", ("promised_date",)),
    "purchase_order_line_change": Watched(
        "purchase_order", ("quantity", "unit_price", "delivery_date"), lines="lines"
    ),
    "production_order_reschedule": Watched(
        "production_order", ("planned_start", "planned_finish"), whole=True
    ),
    "production_order_quantity": Watched("production_order", ("quantity",)),
}


def harvest(
    connection: str,
    type_name: str,
    *,
    since: dt.datetime,
    until: dt.datetime | None = None,
    left_out: Counter[str],
    fields: Collection[str] = (),
    prompted: bool = True,
) -> Iterator[Mapping[str, Any]]:
    """Cases of one transaction type, as `reads.history.harvest`, from readings of any agent through a connection."""
    type_ = transaction_type(type_name)
    if type_name not in WATCHED:
        raise Unsupported(f"no read tool shows what {type_name} changes, so readings cannot tell of it")
    watched = WATCHED[type_name]
    looks: dict[str, list[Reading]] = {}
    for one in _answered(connection, since).filter(tool=watched.tool):
        looks.setdefault(str((one.answer or {})["key"]), []).append(one)
    for key, history in sorted(looks.items()):
        for before, after in itertools.pairwise(history):
            found, reason = _done(type_, watched, key, before, after, fields)
            if reason:
                left_out[reason] += 1
            if found is None:
                continue
            if until is not None and after.at >= until:
                left_out[UNSETTLED] += 1
                continue
            began = _began(connection, key, before)
            if began is None and (prompted or found == {}):
                left_out[NO_TROUBLE] += 1
            elif _ours(connection, key, before, after):
                left_out[OURS] += 1
            else:
                yield _case(type_, key, found or None, before, after, began)


def _answered(connection: str, since: dt.datetime) -> Any:
    rows = Reading.objects.filter(
        connection__name=connection, outcome="answered", quality="good", as_of__gte=since
    )
    return rows.order_by("as_of", "id")


def _done(
    type_: TransactionType,
    watched: Watched,
    key: str,
    before: Reading,
    after: Reading,
    wanted: Collection[str],
) -> tuple[dict[str, Any] | None, str]:
    """The payload of what was done between two looks; {} where the order went on as it was; None for neither."""
    old, new = before.answer or {}, after.answer or {}
    if watched.lines:
        pairs = {
            str(line["key"]): (line, other)
            for line in old[watched.lines]
            for other in new[watched.lines]
            if line["key"] == other["key"]
        }
    else:
        pairs = {"": (old, new)}
    changed = {
        line: [name for name in watched.fields if one[name] != other[name]]
        for line, (one, other) in pairs.items()
    }
    changed = {line: names for line, names in changed.items() if names}
    if not changed:
        return ({} if old["state"] != new["state"] else None), ""
    if len(changed) > 1:
        return None, SEVERAL
    ((line, names),) = changed.items()
    if wanted and not set(wanted) & set(names):
        return None, f"another field than {', '.join(sorted(wanted))} was changed"
    payload = {"order": key, **({"line": line} if line else {})}
    payload |= {name: pairs[line][1][name] for name in (watched.fields if watched.whole else names)}
    try:
        type_.payload.model_validate_json(json.dumps(payload))
    except ValidationError:
        return None, NOT_WHOLE
    return payload, ""


def _window(connection: str, before: Reading) -> Any:
    """What the same version had read until its last look at the record. Nothing of later: it may know the answer."""
    assert before.as_of is not None  # noqa: S101 asked for
    return _answered(connection, before.as_of - WINDOW).filter(
        agent_version=before.agent_version_id, as_of__lte=before.as_of
    )


def _began(connection: str, key: str, before: Reading) -> tuple[Reading, Mapping[str, Any]] | None:
    """The last list of exceptions before the look, and what it says of the record."""
    kind = before.tool.removesuffix("_order").replace("sales", "sale")
    for one in _window(connection, before).filter(tool=LIST).reverse():
        for trouble in (one.answer or {})["exceptions"]:
            if (trouble["kind"], trouble["key"]) == (kind, key):
                return one, trouble
        if one.arguments.get("kind") in {None, kind}:
            return None
    return None


def _ours(connection: str, key: str, before: Reading, after: Reading) -> bool:
    """Whether something was sent to this record from here in between: then it is no word of people's own."""
    sent = Attempt.objects.filter(proposal__connection__name=connection, proposal__target=key)
    assert before.as_of is not None  # noqa: S101 asked for
    return sent.filter(started_at__gt=before.as_of - WINDOW, started_at__lt=after.as_of).exists()


def _case(
    type_: TransactionType,
    key: str,
    payload: Mapping[str, Any] | None,
    before: Reading,
    after: Reading,
    began: tuple[Reading, Mapping[str, Any]] | None,
) -> dict[str, Any]:
    readings: dict[str, Reading] = {}
    for one in _window(before.connection.name, before):
        readings[f"{one.tool} {json.dumps(one.arguments, sort_keys=True)}"] = one
    # The one it began with is the first, also where the list was asked for again in another way.
    first = [began[0]] if began is not None else []
    kept = [*first, *(one for one in readings.values() if one not in first)]
    name = f"read:{before.connection.name}:{type_.name}:{key}:{before.ref}"
    asked = f"Somebody asks about {type_.record} {key}: does it stand as it is?"
    words = f"{began[1]['label']}: {began[1]['reason']}" if began is not None else asked
    return {
        "id": name,
        "type": type_.name,
        "started_by": {"words": words, "reading": 0 if began is not None else None},
        "as_of": _utc(before),
        "readings": [
            {
                "tool": one.tool,
                "tool_version": one.tool_version,
                "arguments": one.arguments,
                "answer": one.answer,
                "as_of": _utc(one),
                "source": one.source,
            }
            for one in kept
        ],
        "snapshot": None,
        "acceptable": [dict(payload) if payload is not None else None],
        "critical": sorted(set(payload or ()) - {"order", "line"}),
        "provenance": f"Read as {before.ref}, and otherwise as {after.ref} at {_utc(after)}; not from here.",
        "label_confidence": "acted",
        "split": split_of(name),
    }


def _utc(one: Reading) -> str:
    assert one.as_of is not None  # noqa: S101 asked for
    return one.as_of.astimezone(dt.UTC).isoformat()
