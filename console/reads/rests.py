"""What a proposal rests on, looked at again: the readings its newest revision cites.

A reading that came by the proposal's own connection is judged as it was taken: the record itself is read again
anyway. One that came another way (a replica, an MES) or that has a cross-check is read again at every look, with
the arguments of before, and so once more right before a commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.db import connection
from django.utils import timezone
from pydantic import ValidationError

from console.canonical import canonical
from console.catalogue import read_tool, spec
from console.checks.readings import Rest, at, differences
from console.errors import Denied, Held, Refused
from console.models import Proposal, Reading, Revision
from console.reads import cross_check
from console.reads.asking import ask
from console.reads.listen import fresh_for
from integrations import contract
from integrations.contract import AdapterError, InDoubt, Quality, Unavailable

CITED = """
SELECT c.reading_id FROM console_cited c WHERE c.revision_id = (
    SELECT r.id FROM console_revision r
    WHERE r.proposal_id = %s AND r.number <= %s AND r.by_agent_id IS NOT NULL ORDER BY r.number DESC LIMIT 1)
ORDER BY c.id
"""
"""By SQL, because most proposals cite little and every assessment and commit asks."""


def look_again(proposal: Proposal, revision: Revision) -> tuple[Rest, ...]:
    """Every reading that this revision rests on, the first cited first. Writes nothing.

    A reviewer's amendment rests on what the agent's revision before it did. Raises Held while a source is away or
    stopped: nothing can be said then, and it is asked again later.
    """
    with connection.cursor() as cursor:
        cursor.execute(CITED, [proposal.pk, revision.number])
        wanted = [pk for (pk,) in cursor.fetchall()]
    if not wanted:
        return ()
    found = {
        one.pk: one for one in Reading.objects.filter(pk__in=wanted).select_related("connection__system")
    }
    return tuple(_rest(proposal, found[pk]) for pk in wanted)


def as_taken(readings: Sequence[Reading]) -> tuple[Rest, ...]:
    """The same of readings as the agent took them; no system is asked."""
    return tuple(_taken(one) for one in readings)


def frozen(rests: Sequence[Rest]) -> list[dict[str, Any]]:
    """As an assessment keeps them: steady fields only, with source, age and quality."""
    return [
        {
            "ref": one.ref,
            "tool": one.tool.name,
            "connection": one.connection,
            "values": {path: at(one.reading.value, path) for path in one.tool.steady},
            "source": one.reading.source,
            "as_of": one.reading.as_of.isoformat() if one.reading.as_of is not None else None,
            "quality": one.reading.quality.value,
            "remark": one.trouble or one.reading.remark,
            "at": one.at.isoformat(),
            "again": one.again,
            "cross_check": cross_check.as_json(one.check),
        }
        for one in rests
    ]


def moved(before: Sequence[Mapping[str, Any]], now: Sequence[Rest]) -> str:
    """What is no longer as it was frozen, in words; "" where everything still holds."""
    known = {one["ref"]: one for one in before}
    for rest in now:
        if rest.ref not in known:
            return f"it rests on {rest.tool.title} ({rest.ref}), which nobody saw"
        kept = known[rest.ref]["values"]
        if found := differences(rest.tool, _nested(kept), rest.reading.value):
            one = found[0]
            what = one.field.replace("_", " ").replace(".", ", ")
            return f"{rest.tool.title} ({rest.ref}): {what} was {one.here} and is {one.there} now"
    return ""


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for path, value in values.items():
        place, names = made, path.split(".")
        for name in names[:-1]:
            place = place.setdefault(name, {})
        place[names[-1]] = value
    return made


def _rest(proposal: Proposal, cited: Reading) -> Rest:
    taken = _taken(cited)
    other_path = cited.connection_id != proposal.connection_id
    if other_path or taken.tool.name in spec(cited.connection.name).cross_checks:
        return _again(taken, cited)
    return taken


def _taken(cited: Reading) -> Rest:
    place = cited.connection
    try:
        tool = read_tool(cited.tool)
        fresh = fresh_for(place.name, tool)
    except (Denied, Refused) as gone:
        raise Held(f"what it rests on cannot be read again: {gone.text}", code="rest_gone") from None
    told = contract.Reading(
        value=cited.answer or {},
        as_of=cited.as_of,
        source=cited.source,
        quality=Quality(cited.quality) if cited.quality else Quality.UNCERTAIN,
        remark=cited.remark,
    )
    return Rest(
        ref=cited.ref,
        tool=tool,
        connection=place.title,
        taken=told.value,
        reading=told,
        at=cited.at,
        fresh_for=fresh,
        check=cross_check.from_json(cited.cross_check),
        trouble="" if cited.outcome == "answered" else f"it was never answered ({cited.text})",
    )


def _again(taken: Rest, cited: Reading) -> Rest:
    place, tool = cited.connection, taken.tool
    if taken.trouble:
        return taken
    if why := cross_check.stopped(place, tool):
        raise Held(f"what it rests on cannot be read again: {why}", code="rest_stopped")
    try:
        arguments = tool.arguments.model_validate_json(canonical(cited.arguments))
        answer = ask(place, tool, arguments)
        check = cross_check.compare(place, tool, arguments, answer)
    except (Unavailable, InDoubt) as away:
        raise Held(
            f"{place.title}, which it rests on, does not answer ({away.text}); it is asked again",
            code="rest_away",
        ) from None
    except ValidationError:
        trouble = (
            f"version {tool.version} of the tool takes other arguments than version {cited.tool_version}"
        )
        return replace(taken, trouble=trouble, at=timezone.now())
    except AdapterError as refusal:
        return replace(taken, trouble=refusal.text, at=timezone.now())
    return replace(
        taken, reading=cross_check.weighed(answer, check), check=check, at=timezone.now(), again=True
    )
