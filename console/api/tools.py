"""What an agent version may read and propose, told so that a language model can use it as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from console import access
from console.api.envelope import (
    Call,
    Function,
    FunctionBody,
    FunctionCall,
    Functions,
    HeldGrant,
    ToolCard,
    Tools,
    TypeCard,
    Way,
)
from console.catalogue import read_tools, specs, transaction_types
from console.lifecycle.submit import Envelope
from console.models import AgentVersion, Autonomy, Grant

HOW = [
    "Read with POST /api/v1/reads/<tool>. Each answer has a reference: cite it when a proposal rests on it.",
    "Propose with POST /api/v1/proposals and a fresh Idempotency-Key; got no answer: the same call, the same key.",
    "A person asked, and you answered from what you read: POST /api/v1/answers with the readings. People mark it.",
    "POST /api/v1/proposals/validate judges a proposal and stores nothing.",
    "A person decides. Follow a proposal with GET and `Prefer: wait=30`; it is done when its state is committed.",
    "When changes are requested, read the note of the decision and send a new revision.",
    "Money and quantities are decimals in text with currency or unit; unknown fields are refused.",
]
AUTONOMIES = {
    Autonomy.SHADOW.value: "judged, recorded and compared with what people do; never written",
    Autonomy.PROPOSE.value: "every proposal is decided by people",
    Autonomy.SAMPLED.value: "covered by a rule that two people countersigned; some are still decided one by one",
}


def tools(version: AgentVersion) -> Tools:
    """Every read tool and transaction type with a grant that may be used now. One statement."""
    told = list(access.grants_told(version).order_by("connection__name"))
    return cards(
        version,
        _ways([grant for grant in told if _is_open(grant)]),
        [grant for grant in told if not _is_open(grant)],
    )


def cards(
    version: AgentVersion, ways: Mapping[tuple[str, str], list[Way]], held: Sequence[Grant] = ()
) -> Tools:
    """The tools and types that have a way, by kind and name; and the grants that are held."""
    return Tools(
        agent=version.agent.slug,
        version=version.label,
        how=HOW,
        autonomies=AUTONOMIES,
        held=[
            HeldGrant(
                kind="type" if grant.kind == Grant.TYPE else "tool",
                name=grant.name,
                connection=grant.connection.name,
                autonomy=grant.autonomy,
                why=access.rung(grant),
            )
            for grant in held
        ],
        read_tools=[
            ToolCard(
                name=name,
                version=tool.version,
                title=tool.title,
                summary=tool.summary,
                connections=ways[Grant.TOOL, name],
                arguments=schema(tool.arguments),
                answer=schema(tool.answer),
                sample=dict(tool.sample),
                sample_answer=dict(tool.sample_answer),
                call=Call(
                    method="POST",
                    path=f"/api/v1/reads/{name}",
                    headers={},
                    body={"arguments": dict(tool.sample), "connection": ways[Grant.TOOL, name][0].name},
                ),
            )
            for name, tool in sorted(read_tools().items())
            if (Grant.TOOL, name) in ways
        ],
        transaction_types=[
            TypeCard(
                name=name,
                version=type_.version,
                title=type_.title,
                summary=type_.summary,
                record=type_.record,
                connections=ways[Grant.TYPE, name],
                payload=schema(type_.payload),
                sample=dict(type_.sample),
                call=Call(
                    method="POST",
                    path="/api/v1/proposals",
                    headers={"Idempotency-Key": "a name of your own for this proposal"},
                    body={
                        "transaction_type": name,
                        "connection": ways[Grant.TYPE, name][0].name,
                        "payload": dict(type_.sample),
                        "rationale": "Why, in plain words for the person who decides.",
                        "readings": [],
                    },
                ),
            )
            for name, type_ in sorted(transaction_types().items())
            if (Grant.TYPE, name) in ways
        ],
    )


def functions(found: Tools) -> Functions:
    """The same as a list for function calling. Reads take the tool's arguments, proposals the whole envelope."""
    listed, calls = [], {}
    for tool in found.read_tools:
        name = f"read_{tool.name}"
        listed.append(_function(name, tool.summary, tool.arguments))
        calls[name] = FunctionCall(method="POST", path=tool.call.path, headers={}, arguments_at="arguments")
    for type_ in found.transaction_types:
        name = f"propose_{type_.name}"
        listed.append(_function(name, f"{type_.summary} A person decides.", _envelope_schema(type_)))
        calls[name] = FunctionCall(
            method="POST", path="/api/v1/proposals", headers={"Idempotency-Key": "fresh"}, arguments_at=""
        )
    return Functions(functions=listed, calls=calls)


@cache
def schema(model: Any) -> dict[str, Any]:
    """The JSON Schema (2020-12) of what a model accepts."""
    found: dict[str, Any] = model.model_json_schema(mode="validation")
    return found


def _is_open(grant: Grant) -> bool:
    return grant.frozen_at is None and grant.autonomy != Autonomy.OFF and not access.unproven(grant)


def _ways(grants: Sequence[Grant]) -> Mapping[tuple[str, str], list[Way]]:
    found: dict[tuple[str, str], list[Way]] = {}
    for grant in grants:
        spec = specs().get(grant.connection.name)
        if spec is None:
            continue
        carried = spec.adapter.types.get(grant.name) if grant.kind == Grant.TYPE else None
        if carried is None and (grant.kind == Grant.TYPE or grant.name not in spec.adapter.tools):
            continue
        found.setdefault((grant.kind, grant.name), []).append(
            Way(
                name=grant.connection.name,
                title=grant.connection.title,
                system=grant.connection.system.title,
                autonomy=grant.autonomy,
                effect=carried.effect.value if carried is not None else None,
                unsupported=sorted(carried.unsupported) if carried is not None else [],
                note=carried.note if carried is not None else "",
                standing=access.rung(grant),
            )
        )
    return found


def _function(name: str, description: str, parameters: dict[str, Any]) -> Function:
    return Function(
        type="function", function=FunctionBody(name=name, description=description, parameters=parameters)
    )


def _envelope_schema(card: TypeCard) -> dict[str, Any]:
    """The envelope's schema with this type's payload in it. Definitions move to the root, where refs look."""
    payload = dict(card.payload)
    definitions = payload.pop("$defs", {})
    envelope = schema(Envelope)
    return {
        **envelope,
        "properties": {
            **envelope["properties"],
            "transaction_type": {"type": "string", "const": card.name},
            "connection": {"type": "string", "enum": [way.name for way in card.connections]},
            "payload": payload,
        },
        **({"$defs": definitions} if definitions else {}),
    }
