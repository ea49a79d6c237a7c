"""Transaction types and read tools: what there is, under which rules and limits, and who may use it."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from console import access, policy
from console.catalogue import Spec, read_tool, read_tools, specs, transaction_type, transaction_types
from console.errors import Missing, Refused
from console.models import Autonomy, Connection, Grant, Widening
from console.policy import attention
from console.reads.listen import freshness, in_words
from console.registry import capabilities as registry
from console.registry import limits
from console.web.guards import actor, signed_in
from integrations.contract import Closed

POLICY = "policy"


def page(request: HttpRequest) -> HttpResponse:
    """Every type and tool, and the limits of policy."""
    return render(
        request,
        "types/page.html",
        {
            "types": [
                (type_, _carriers(name, "types")) for name, type_ in sorted(transaction_types().items())
            ],
            "tools": [(tool, _carriers(name, "tools")) for name, tool in sorted(read_tools().items())],
            **_limits(request, POLICY),
        },
    )


def capabilities(request: HttpRequest) -> HttpResponse:
    """What can be done over which path, with which guarantee: connected, or shipped and not connected yet."""
    found = registry.capabilities(registry.switches())
    return render(
        request,
        "types/capabilities.html",
        {
            "groups": [
                ("Transaction types", "pen-line", [one for one in found if one.kind == "type"]),
                ("Read tools", "book-open", [one for one in found if one.kind == "tool"]),
            ],
            "meanings": [(effect.value, words) for effect, words in registry.MEANS.items()],
            "missing": sorted(registry.not_loaded().items()),
        },
    )


def type_(request: HttpRequest, name: str) -> HttpResponse:
    """One transaction type."""
    try:
        found = transaction_type(name)
    except Refused as refused:
        raise Missing(refused.text) from None
    context = {
        "type": found,
        "payload": _fields(found.payload),
        "rules": [_in_words(rule) for rule in found.rules],
        "sample": json.dumps(found.sample, indent=2, ensure_ascii=False),
        "grants": _grants(Grant.TYPE, name),
        "carriers": _carriers(name, "types"),
        "waiting": Widening.objects.filter(decided_at__isnull=True, kind="limit", change__owner=name),
        **_limits(request, name),
    }
    return render(request, "types/type.html", context)


def tool(request: HttpRequest, name: str) -> HttpResponse:
    """One read tool."""
    try:
        found = read_tool(name)
    except Refused as refused:
        raise Missing(refused.text) from None
    context = {
        "tool": found,
        "arguments": _fields(found.arguments),
        "answer": _fields(found.answer),
        "sample": json.dumps(found.sample, indent=2, ensure_ascii=False),
        "sample_answer": json.dumps(found.sample_answer, indent=2, ensure_ascii=False),
        "grants": _grants(Grant.TOOL, name),
        "fresh_for": in_words(found.fresh_for),
        "carriers": [
            {**one, "fresh": freshness(str(one["name"]), found)} for one in _carriers(name, "tools")
        ],
        "closed": [
            (spec.title, spec.adapter.closed[name])
            for spec in specs().values()
            if name in spec.adapter.closed
        ],
    }
    return render(request, "types/tool.html", context)


def set_limit(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Set one limit: tighter at once, wider when a second person confirms."""
    declared = (
        policy.LIMITS
        if owner == POLICY
        else attention.LIMITS
        if owner == attention.OWNER
        else transaction_types()[owner].limits
        if owner in transaction_types()
        else ()
    )
    limit = next((one for one in declared if one.name == name), None)
    if limit is None:
        raise Missing(f"{owner} has no limit {name}")
    done = limits.set_value(
        limit,
        owner=owner,
        value=request.POST.get("value", "").strip().replace("\u202f", ""),
        by=signed_in(request),
        actor=actor(request),
    )
    if isinstance(done, Widening):
        messages.info(request, f"Asked for: {done.text}. A second person has to confirm it.")
    elif owner == attention.OWNER:
        messages.success(request, f"{limit.label} is set.")
    else:
        messages.success(
            request, f"{limit.label} is set. What is approved and not yet sent is assessed again."
        )
    if owner == attention.OWNER:
        return redirect("administration")
    return redirect("types") if owner == POLICY else redirect("type", name=owner)


def _limits(request: HttpRequest, owner: str) -> dict[str, object]:
    return {
        "limits": [one for one in limits.in_force(policy=policy.LIMITS) if one.owner == owner],
        "configures": bool(access.roles(request.user) & access.CONFIGURES),
    }


def _carriers(name: str, what: str) -> list[dict[str, object]]:
    titles = dict(Connection.objects.values_list("name", "title"))
    return [
        {
            "name": connection,
            "title": titles.get(connection, spec.title),
            "effect": _guarantee(spec, name) if what == "types" else "",
            "account": spec.accounts.get(name, {}).get("login", ""),
        }
        for connection, spec in sorted(specs().items())
        if name in getattr(spec.adapter, what) and connection in titles
    ]


def _guarantee(spec: Spec, name: str) -> str:
    return "not available" if name in spec.adapter.closed else spec.adapter.types[name].effect.value


def _grants(kind: str, name: str) -> list[Grant]:
    return list(
        Grant.objects.filter(kind=kind, name=name)
        .exclude(autonomy=Autonomy.OFF)
        .select_related("version__agent__owner", "connection")
        .order_by("version__agent__title", "-version_id")
    )


def _fields(model: type[Closed]) -> list[dict[str, Any]]:
    """The top fields of a form: name, type in words, whether it must be there, what it means."""
    schema = model.model_json_schema()
    return [
        {
            "name": name,
            "type": _type(one, schema.get("$defs", {})),
            "required": name in schema.get("required", ()),
            "text": one.get("description", ""),
        }
        for name, one in schema.get("properties", {}).items()
    ]


def _type(one: dict[str, Any], known: dict[str, Any]) -> str:
    if "$ref" in one:
        name = str(one["$ref"]).rsplit("/", 1)[-1]
        inside = known.get(name, {}).get("properties", {})
        return f"{name.lower()} ({', '.join(inside)})" if inside else name.lower()
    if "anyOf" in one:
        return " or ".join(_type(part, known) for part in one["anyOf"]).replace("null", "nothing")
    if "enum" in one:
        return "one of " + ", ".join(str(value).replace("_", " ") for value in one["enum"])
    if one.get("type") == "array":
        return "list of " + _type(one.get("items", {}), known)
    name = str(one.get("type", "anything"))
    plain = {"string": str(one.get("format", "text")), "integer": "whole number", "boolean": "yes or no"}
    return plain.get(name, name)


def _in_words(rule: Any) -> str:
    """A rule by its docstring, else by its name: they are named after what must hold."""
    told = (getattr(rule, "__doc__", "") or "").strip().split("\n")[0]
    name = str(getattr(rule, "__name__", "rule")).strip("_").replace("_", " ")
    return told or name.capitalize()
