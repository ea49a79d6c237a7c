"""From the bytes of a B2MML message to what holds for its jobs. Pure: bytes in, reports out, or a refusal in words.

The Business To Manufacturing Markup Language (B2MML) is used courtesy of MESA International. Its schemas are in no
package registry, so messages are not validated against them: what is read here is checked here (verb, noun, names,
times, states, quantities), the rest is passed over. Verbs: ISA-95 part 5; nouns and elements: B2MML V0700.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from integrations.contract import Quality, Sample

NAMESPACE = "http://www.mesa.org/xml/B2MML"
MOST_BYTES = 5_000_000

HEARD = ("Show", "Sync", "Respond")
VERBS = ("Get", "Show", "Sync", "Process", "Change", "Cancel", "Acknowledge", "Respond", "Confirm")
NOUNS = ("WorkPerformance", "JobResponse", "OperationsPerformance")

STATES = {
    "waiting": "waiting",
    "notallowedtostart": "waiting",
    "ready": "ready",
    "allowedtostart": "ready",
    "running": "running",
    "held": "interrupted",
    "suspended": "interrupted",
    "interrupted": "interrupted",
    "paused": "interrupted",
    "completed": "ended",
    "closed": "ended",
    "ended": "ended",
    "aborted": "aborted",
    "cancelled": "aborted",
}
"""A message's word for a state, without spaces and in small letters, to the tool's."""

PRODUCED = {"produced", "materialproduced"}
ORDER = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.,:/ #-]{0,63}$")
NUMBER = re.compile(r"^\d{1,15}(\.\d{1,6})?$")


class Refused(ValueError):
    """The message cannot be used: what was wrong, where, and what would be right."""


@dataclass(frozen=True)
class Message:
    """One accepted message."""

    ident: str
    created_at: dt.datetime
    samples: tuple[Sample, ...]


def message(raw: bytes, states: Mapping[str, str] = STATES) -> Message:
    """Read one message. Refused says why it cannot be."""
    if len(raw) > MOST_BYTES:
        raise Refused(f"it has {len(raw):,} bytes; at most {MOST_BYTES:,} are read")
    try:
        root = fromstring(raw, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    except DefusedXmlException:
        raise Refused(
            "it has a document type or entities; a message needs none, and none is resolved"
        ) from None
    except (ParseError, ValueError, LookupError) as error:
        raise Refused(f"it is not well-formed XML ({error})"[:200]) from None
    noun = _noun(root)
    area = _one(root, "ApplicationArea")
    created_at = _time(_text(_one(area, "CreationDateTime")), "ApplicationArea/CreationDateTime")
    data = _one(root, "DataArea")
    verb = _name(root).removesuffix(noun)
    if [_name(child) for child in data][:1] != [verb]:
        raise Refused(f"DataArea begins with something else than <{verb}>, the verb of the message")
    found: dict[str, Sample] = {}
    for job in _jobs(data, noun):
        sample = _sample(job, created_at, states)
        order = str(sample.arguments["order"])
        if order in found:
            raise Refused(f"it tells of the job {order} twice; which one holds?")
        found[order] = sample
    ident = area.findtext(f"{{{NAMESPACE}}}BODID") or ""
    return Message(ident.strip()[:100], created_at, tuple(found.values()))


def _noun(root: Element) -> str:
    """The noun of an accepted message; Refused names the verb of any other."""
    name = _name(root)
    if root.tag != f"{{{NAMESPACE}}}{name}":
        raise Refused(f"<{name[:60]}> is not in the namespace {NAMESPACE}")
    verb = next((one for one in VERBS if name.startswith(one)), "")
    noun = name.removeprefix(verb)
    if not verb:
        raise Refused(f"<{name[:60]}> has no verb; accepted are {_accepted()}")
    if verb not in HEARD:
        raise Refused(f"the verb {verb} is refused (<{name[:60]}>); accepted are {_accepted()}")
    if noun not in NOUNS:
        raise Refused(f"{noun[:60]} is no noun that is read; accepted are {_accepted()}")
    return noun


def _accepted() -> str:
    return f"{', '.join(HEARD)} of {', '.join(NOUNS)}"


@dataclass(frozen=True)
class _Job:
    """What of a message tells one job; `where` is its place for people."""

    where: str
    order: str
    state: str
    started: str | None
    ended: str | None
    materials: tuple[Element, ...]


def _jobs(data: Element, noun: str) -> Iterator[_Job]:
    nouns = [child for child in data if _name(child) == noun]
    if not nouns:
        raise Refused(f"DataArea holds no <{noun}>")
    for one in nouns:
        if noun == "OperationsPerformance":
            for response in _all(one, "OperationsResponse"):
                materials = (
                    material
                    for part in (response, *_all(response, "SegmentResponse"))
                    for material in _all(part, "MaterialActual")
                )
                yield _job(response, "OperationsRequestID", "ResponseState", tuple(materials))
            continue
        for response in (
            [one]
            if noun == "JobResponse"
            else [job for work in _all(one, "WorkResponse") for job in _all(work, "JobResponse")]
        ):
            yield _job(response, "JobOrderID", "JobState", tuple(_all(response, "MaterialActual")))


def _job(response: Element, order: str, state: str, materials: tuple[Element, ...]) -> _Job:
    ident = (response.findtext(f"{{{NAMESPACE}}}ID") or "").strip()
    where = f"{_name(response)} {ident[:40]}".strip()
    return _Job(
        where=where,
        order=_text(_one(response, order), where),
        state=_text(_one(response, state), where),
        started=response.findtext(f"{{{NAMESPACE}}}StartTime"),
        ended=response.findtext(f"{{{NAMESPACE}}}EndTime"),
        materials=materials,
    )


def _sample(job: _Job, created_at: dt.datetime, states: Mapping[str, str]) -> Sample:
    if not ORDER.match(job.order):
        raise Refused(f"{job.where}: {job.order[:40]!r} is no id that an order can have")
    word = states.get(re.sub(r"\W", "", job.state).lower(), "")
    if not word:
        raise Refused(f"{job.where}: the state {job.state[:40]!r} is none of {', '.join(sorted(states))}")
    value: dict[str, Any] = {
        "order": job.order,
        "state": word,
        "detail": job.state[:60],
        "good_count": _produced(job),
        "started_at": _shown(job.started, f"{job.where}: StartTime"),
        "ended_at": _shown(job.ended, f"{job.where}: EndTime"),
    }
    return Sample(
        "job_state",
        {"order": job.order},
        value,
        source_time=created_at,
        quality=Quality.GOOD,
        lasting=False,
    )


def _produced(job: _Job) -> dict[str, str] | None:
    """What was made, where the message says it in one unit."""
    total, units = Decimal(0), set()
    for material in job.materials:
        use = re.sub(r"\W", "", material.findtext(f"{{{NAMESPACE}}}MaterialUse") or "").lower()
        if use not in PRODUCED:
            continue
        for quantity in _all(material, "Quantity"):
            text = (quantity.findtext(f"{{{NAMESPACE}}}QuantityString") or "").strip()
            if not NUMBER.match(text):
                raise Refused(f"{job.where}: the quantity {text[:30]!r} is no plain decimal such as 12.5")
            total += Decimal(text)
            units.add((quantity.findtext(f"{{{NAMESPACE}}}UnitOfMeasure") or "").strip())
    if len(units) != 1:
        return None
    text = format(total, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return {"value": text, "unit": units.pop()[:32] or "piece"}


# Elements


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _all(parent: Element, name: str) -> list[Element]:
    return parent.findall(f"{{{NAMESPACE}}}{name}")


def _one(parent: Element, name: str) -> Element:
    found = _all(parent, name)
    if len(found) != 1:
        many = "no" if not found else f"{len(found)} times"
        raise Refused(f"<{_name(parent)}> has {many} <{name}>; exactly one is needed")
    return found[0]


def _text(element: Element, where: str = "") -> str:
    text = (element.text or "").strip()
    if not text:
        raise Refused(f"{where + ': ' if where else ''}<{_name(element)}> is empty")
    return text


def _time(text: str, where: str) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise Refused(f"{where} is {text[:40]!r}, no time as ISO 8601 writes it") from None
    if found.tzinfo is None:
        raise Refused(f"{where} is {text[:40]!r}, without a time zone; write 2026-11-22T10:00:00Z") from None
    return found.astimezone(dt.UTC)


def _shown(text: str | None, where: str) -> str | None:
    if text is None or not text.strip():
        return None
    return _time(text.strip(), where).strftime("%Y-%m-%dT%H:%M:%SZ")
