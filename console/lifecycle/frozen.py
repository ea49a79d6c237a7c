"""The JSON in which an assessment freezes what it saw, and what its digest is made of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from console.canonical import digest
from console.models import Proposal, Revision
from integrations.contract import Facts, Money, Record, Snapshot, Step, TransactionType


def approved_form(
    proposal: Proposal,
    revision: Revision,
    type_: TransactionType,
    snapshot: Snapshot,
    expected: Record,
    plan: tuple[Step, ...],
    policy_version: str,
) -> dict[str, Any]:
    """What a digest is made of: the exact bytes to be sent, the stamps they hold for, and what judged them."""
    return {
        "ref": proposal.ref,
        "transaction_type": type_.name,
        "type_version": type_.version,
        "connection": proposal.connection.name,
        "target": snapshot.target,
        "revision": revision.digest,
        "stamps": dict(snapshot.stamps),
        "expected": record_json(expected),
        "plan": [step_json(step) for step in plan],
        "policy_version": policy_version,
    }


def about(type_: TransactionType, payload: Any) -> str:
    """What a snapshot for this payload is of: the target, or for a new document the digest of the payload."""
    return type_.target(payload) or digest(payload.model_dump(mode="json"))


def record_json(record: Record) -> dict[str, Any]:
    """A record as JSON."""
    return {
        "fields": dict(record.fields),
        "lines": {name: [dict(line) for line in lines] for name, lines in record.lines.items()},
    }


def record_from(value: Mapping[str, Any]) -> Record:
    """A record from its JSON."""
    return Record(
        fields=value["fields"], lines={name: tuple(lines) for name, lines in value["lines"].items()}
    )


def step_json(step: Step) -> dict[str, Any]:
    """A step as JSON."""
    return {"name": step.name, "text": step.text, "request": dict(step.request)}


def step_from(value: Mapping[str, Any]) -> Step:
    """A step from its JSON."""
    return Step(name=value["name"], text=value["text"], request=value["request"])


def snapshot_json(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot as JSON."""
    return {
        "target": snapshot.target,
        "label": snapshot.label,
        "record": record_json(snapshot.record),
        "context": dict(snapshot.context),
        "stamps": dict(snapshot.stamps),
        "as_of": snapshot.as_of.isoformat(),
        "source": snapshot.source,
    }


def snapshot_from(value: Mapping[str, Any]) -> Snapshot:
    """A snapshot from its JSON."""
    return Snapshot(
        target=value["target"],
        label=value["label"],
        record=record_from(value["record"]),
        context=value["context"],
        stamps=value["stamps"],
        as_of=dt.datetime.fromisoformat(value["as_of"]),
        source=value["source"],
    )


def facts_json(facts: Facts) -> dict[str, Any]:
    """Facts as JSON."""
    return {
        **asdict(facts),
        "value": facts.value.model_dump() if facts.value is not None else None,
        "reversible_until": facts.reversible_until.isoformat() if facts.reversible_until else None,
        "due": facts.due.isoformat() if facts.due else None,
    }


def facts_from(value: Mapping[str, Any]) -> Facts:
    """Facts from their JSON."""
    return Facts(
        **{
            **value,
            "value": Money(**value["value"]) if value["value"] else None,
            "reversible_until": dt.date.fromisoformat(value["reversible_until"])
            if value["reversible_until"]
            else None,
            "due": dt.date.fromisoformat(value["due"]) if value["due"] else None,
        }
    )
