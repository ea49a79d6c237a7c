"""One read: who may, what exactly, the system's answer, and a reading of it that stays.

A refusal by us (no grant, a kill switch) is an audit entry. A call that went out is a reading, whatever came of it.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from django.db.models.functions import Now
from django.utils import timezone
from pydantic import Field, StringConstraints

from console import access, audit, references, tracing
from console.access import Role
from console.audit import Actor
from console.canonical import canonical, text_digest
from console.catalogue import read_tool
from console.checks.readings import CrossCheck
from console.checks.shape import parse, validated
from console.errors import Denied, Held, Missing, Refused
from console.models import AgentVersion, Connection, Grant, Reading
from console.models.loading import Insert
from console.reads import cross_check
from console.reads.asking import ask
from integrations import contract
from integrations.contract import (
    AdapterError,
    Closed,
    InDoubt,
    OutOfScope,
    ReadTool,
    Rejected,
    Unavailable,
    Unsupported,
)

READING = Insert(Reading, now=("at",))

log = logging.getLogger(__name__)

NAME = re.compile(r"^[a-z][a-z0-9_]{1,63}$")
REMARK = dt.timedelta(minutes=1)
"""How often a connection's row is told that it answers."""

OUTCOMES: Mapping[type[AdapterError], str] = {
    Rejected: "rejected",
    Unavailable: "unavailable",
    InDoubt: "in_doubt",
    OutOfScope: "out_of_scope",
    Unsupported: "unsupported",
}
"""What a reading is called when the system did not answer it. Anything else is "error": a fault of the adapter."""


class Envelope(Closed):
    """What an agent sends to read: the arguments of the tool, and through which connection."""

    arguments: dict[str, Any] = Field(
        default_factory=dict, description="Fits the `arguments` schema that `tools` gives for the tool."
    )
    connection: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,50}$")] | None = Field(
        default=None,
        description="The connection to read through; may be left out if you have only one for this tool.",
    )


@dataclass(frozen=True)
class Read:
    """What a read gave: the stored reading's reference and the answer as the agent gets it."""

    ref: str
    tool: ReadTool
    connection: Connection
    answer: contract.Reading
    latency_ms: int
    check: CrossCheck | None = None


def read(version: AgentVersion, name: str, *, raw: bytes, actor: Actor) -> Read:
    """Answer one read tool for an agent, and record it.

    `name` is the tool's, `raw` the request's body. Raises Refused (every fault at once), Denied (no grant), Held
    (frozen or stopped), Missing (no such tool), and the AdapterError of the system: Rejected (no such record),
    Unavailable, InDoubt (no answer in time), OutOfScope, Unsupported, or a bare one when the adapter failed.
    """
    if not NAME.match(name):
        raise Missing("there is no read tool of this name; `tools` lists yours", code="unknown_tool")
    parse(raw)
    envelope = validated(Envelope, raw.decode())
    grant = _authorised(version, name, envelope.connection or "", actor)
    tool = read_tool(name)
    text = _canonical_arguments(envelope.arguments)
    arguments = validated(tool.arguments, text, "arguments")
    started = time.perf_counter()
    try:
        told = ask(grant.connection, tool, arguments)
        check = cross_check.compare(grant.connection, tool, arguments, told)
        answer = cross_check.weighed(told, check)
        value = canonical(answer.value)
    except AdapterError as fault:
        outcome = OUTCOMES.get(type(fault), "error")
        _record(version, actor, tool, grant.connection, envelope, started, outcome=outcome, text=fault.text)
        _remark(grant.connection, fault)
        raise
    except Exception as fault:
        # Whatever goes wrong in an adapter is its own fault, not the agent's, and is on record too.
        log.exception("read tool %s on %s failed", name, grant.connection.name)
        text = f"the adapter of {grant.connection.name} failed ({type(fault).__name__})"
        _record(version, actor, tool, grant.connection, envelope, started, outcome="error", text=text)
        raise AdapterError(text) from None
    made = _record(
        version,
        actor,
        tool,
        grant.connection,
        envelope,
        started,
        outcome="answered",
        answer=answer,
        value=value,
        check=check,
    )
    _remark(grant.connection, None)
    tracing.tell(reading=made.ref)
    return Read(made.ref, tool, grant.connection, answer, made.latency_ms, check)


def show(user: Any, name: str, arguments: Mapping[str, Any], *, connection: Connection) -> contract.Reading:
    """Answer one read tool for a page. Readings are what proposals rest on, so a person's look makes none.

    Raises Denied (no role), Held (switched off or stopped), Refused (wrong arguments), and AdapterError.
    """
    access.require(user, frozenset(Role), "read from a system")
    tool = read_tool(name)
    if not connection.enabled:
        raise Held(f"connection {connection.name} is switched off", code="connection_off")
    access.check_not_stopped(system=connection.system.slug, type_name=name, agent="")
    parsed = validated(tool.arguments, _canonical_arguments(arguments), "arguments")
    return ask(connection, tool, parsed)


def _authorised(version: AgentVersion, name: str, connection: str, actor: Actor) -> Grant:
    try:
        grant = access.granted(version, Grant.TOOL, name, connection)
        if grant.asked:
            access.check_not_stopped(
                system=grant.connection.system.slug, type_name=name, agent=version.agent.slug
            )
    except (Denied, Held) as refusal:
        if refusal.code != "which_connection":
            audit.record_alone(
                "read.refused",
                actor=actor,
                chain=f"agent:{version.agent.slug}",
                subject=name,
                detail={"code": refusal.code, "connection": connection},
            )
        raise
    return grant


def _canonical_arguments(arguments: Mapping[str, Any]) -> str:
    try:
        return canonical(dict(arguments))
    except ValueError as error:
        raise Refused(str(error), code="not_canonical") from None


def _record(
    version: AgentVersion,
    actor: Actor,
    tool: ReadTool,
    connection: Connection,
    envelope: Envelope,
    started: float,
    *,
    outcome: str,
    text: str = "",
    answer: contract.Reading | None = None,
    value: str = "",
    check: CrossCheck | None = None,
) -> Reading:
    return READING.one(
        ref=references.new("RD"),
        agent_version=version,
        key_id=actor.via,
        tool=tool.name,
        tool_version=tool.version,
        connection=connection,
        arguments=envelope.arguments,
        outcome=outcome,
        text=text[:300],
        answer=dict(answer.value) if answer is not None else None,
        digest=text_digest(value) if value else "",
        as_of=answer.as_of if answer is not None else None,
        source=answer.source[:100] if answer is not None else "",
        quality=answer.quality.value if answer is not None else "",
        source_time=answer.source_time if answer is not None else None,
        server_time=answer.server_time if answer is not None else None,
        remark=answer.remark[:300] if answer is not None else "",
        cross_check=cross_check.as_json(check),
        latency_ms=int((time.perf_counter() - started) * 1000),
    )


def _remark(connection: Connection, fault: AdapterError | None) -> None:
    """Tell the connection's row how it goes, at most once a minute while it goes well."""
    row = Connection.objects.filter(pk=connection.pk)
    if isinstance(fault, (Unavailable, InDoubt, OutOfScope)):
        row.update(last_error=fault.text[:300], last_error_at=Now())
    elif fault is None and (connection.last_ok_at is None or timezone.now() - connection.last_ok_at > REMARK):
        row.update(last_ok_at=Now())
