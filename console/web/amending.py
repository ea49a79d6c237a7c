"""The amend form: which fields a reviewer may change, what they hold, and the payload that was typed."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone
from django.utils.safestring import SafeString

from console.catalogue import transaction_types
from console.errors import Refused
from console.lifecycle import review
from console.models import Assessment, Proposal, Revision
from console.web import rendering, showing
from integrations.contract import Field, Finding, Kind, TransactionType

TYPED = "payload."
"""What the names of an amend form's inputs begin with: a payload may have a field called `note` too."""


@dataclass(frozen=True)
class Input:
    """One field of the amend form. `path` is its place in the payload, `name` its name in the form.

    `was` is the system's value in words, `asked` the proposed one.
    """

    path: str
    name: str
    label: str
    kind: str
    value: str
    unit: str
    was: SafeString
    asked: SafeString
    help: str
    critical: bool
    errors: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class InputGroup:
    """Inputs that belong together: the header, or one line."""

    title: str
    inputs: list[Input]


def _payload(found: Proposal) -> dict[str, Any]:
    text = (
        Revision.objects.filter(proposal=found, number=found.revision).values_list("payload", flat=True).get()
    )
    payload: dict[str, Any] = json.loads(text)
    return payload


def inputs(
    type_: TransactionType,
    found: Proposal,
    assessment: Assessment,
    posted: Mapping[str, str],
    refused: Refused | None,
) -> list[InputGroup]:
    """The fields a reviewer may change, with what they hold; after a refusal, with what was typed and the faults."""
    payload = _payload(found)
    now = showing.record_of(assessment.snapshot["record"])
    expected = showing.record_of(assessment.expected)
    faults = refused.findings if refused is not None else ()
    today = timezone.now().date()

    def one(spec: Field, path: str, value: Any, present: Any, was: Any) -> Input:
        shown, unit = _parts(value, present)
        name = f"{TYPED}{path}"
        return Input(
            path=path,
            name=name,
            label=spec.label,
            kind=spec.kind.value,
            value=posted.get(name, shown),
            unit=unit,
            was=rendering.words(was, spec.kind, today=today),
            asked=rendering.words(value, spec.kind, today=today),
            help=spec.help,
            critical=spec.critical,
            errors=[
                fault
                for fault in faults
                if fault.field == f"payload.{path}" or fault.field.startswith(f"payload.{path}.")
            ],
        )

    header = [
        one(
            spec,
            path,
            payload.get(path),
            now.fields.get(spec.path) or expected.fields.get(spec.path),
            now.fields.get(spec.path),
        )
        for spec in type_.fields
        if spec.amendable and "[]." not in spec.path and (path := spec.payload_path or spec.path)
    ]
    groups = [InputGroup("", header)] if header else []
    for spec_list in dict.fromkeys(spec.path.split("[].")[0] for spec in type_.fields if "[]." in spec.path):
        columns = [
            spec for spec in type_.fields if spec.amendable and spec.path.startswith(f"{spec_list}[].")
        ]
        after = expected.lines.get(spec_list, ())
        for place, line in enumerate(payload.get(spec_list) or () if columns else ()):
            known = after[place] if place < len(after) else {}
            groups.append(
                InputGroup(
                    str(known.get("label") or f"Line {place + 1}"),
                    [
                        one(
                            spec,
                            f"{spec_list}.{place}.{(column := spec.path.split('[].')[1])}",
                            line.get(column),
                            known.get(column),
                            None,
                        )
                        for spec in columns
                    ],
                )
            )
    return groups


def _parts(value: Any, present: Any) -> tuple[str, str]:
    """What stands in the box, and the unit or currency beside it."""
    for number, unit in (("value", "unit"), ("amount", "currency")):
        for one in (value, present):
            if isinstance(one, Mapping) and number in one:
                return (str(value[number]) if isinstance(value, Mapping) else "", str(one.get(unit, "")))
    return (str(value) if value is not None else "", "")


def amended(found: Proposal, posted: Mapping[str, str]) -> dict[str, Any]:
    """The whole payload with what was typed. An emptied optional field is left out, as agents leave it out."""
    type_ = transaction_types()[found.transaction_type]
    assessment = review.current(found)
    payload = _payload(found)
    if assessment is None:
        return payload
    changed = copy.deepcopy(payload)
    for group in inputs(type_, found, assessment, {}, None):
        for one in group.inputs:
            if one.name not in posted:
                continue
            typed = posted[one.name].strip().replace(rendering.NARROW, "").replace("\N{NO-BREAK SPACE}", "")
            *path, last = one.path.split(".")
            place: Any = changed
            for part in path:
                place = place[int(part)] if isinstance(place, list) else place[part]
            if typed == one.value:
                continue
            if not typed:
                place.pop(last, None)
            elif one.kind == Kind.QUANTITY.value:
                place[last] = {"value": typed, "unit": one.unit}
            elif one.kind == Kind.MONEY.value:
                place[last] = {"amount": typed, "currency": one.unit}
            else:
                place[last] = typed
    return changed
