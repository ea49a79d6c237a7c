"""What there is: connections from the settings, transaction types and read tools by scanning. Data, no I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from console.errors import Denied, Refused
from integrations import connect, scan
from integrations.contract import Adapter, Case, Level, ReadTool, Record, TransactionType

READER = "reader"
"""The purpose of the account that only reads; the others are named by their transaction type."""


_USERINFO = re.compile(r"://[^/?#@\s]*:[^/?#@\s]*@")


@dataclass(frozen=True)
class Crossing:
    """One tool of a connection is answered by a second one too: which, and how far the two may differ by field."""

    other: str
    tolerance: Mapping[str, Decimal]


@dataclass(frozen=True)
class Spec:
    """One entry of the CONNECTIONS setting, checked: see `console/settings.py` for its form."""

    name: str
    title: str
    system: str
    system_title: str
    level: int
    adapter_path: str
    adapter: Adapter
    options: Mapping[str, Any]
    accounts: Mapping[str, Mapping[str, str]]
    """"reader" or a transaction type's name, to {"login", "secret": name of the secret}; none where people do it."""
    verified_by: str
    cross_checks: Mapping[str, Crossing] = field(default_factory=dict)
    """By the name of the read tool."""


@cache
def specs() -> dict[str, Spec]:
    """Every configured connection by name. ImproperlyConfigured names the entry and what would be right."""
    found = {}
    for name, entry in settings.CONNECTIONS.items():
        try:
            adapter = connect.adapter(str(entry["adapter"]))
            level = int(entry.get("isa95_level", 4))
            accounts = _accounts(adapter, entry)
            adapter = _narrowed(adapter, entry)
        except (KeyError, ImportError, TypeError, ValueError) as error:
            raise ImproperlyConfigured(f"CONNECTIONS[{name!r}]: {type(error).__name__}: {error}") from None
        if level not in adapter.levels:
            raise ImproperlyConfigured(
                f"CONNECTIONS[{name!r}]: level {level} is none of its adapter's ({sorted(adapter.levels)})"
            )
        if adapter.writer is None and len(accounts) > 1:
            raise ImproperlyConfigured(f"CONNECTIONS[{name!r}]: its adapter only reads, so it has no writers")
        if strange := set(accounts) - {READER} - set(adapter.types):
            raise ImproperlyConfigured(
                f"CONNECTIONS[{name!r}]: its adapter does not carry {', '.join(sorted(strange))}"
            )
        _check_seen(name, entry, adapter)
        if place := _with_a_password(entry.get("options", {}), "options"):
            raise ImproperlyConfigured(
                f"CONNECTIONS[{name!r}][{place}] has a password in an address, where pages and errors show it; give "
                "it as the account's secret"
            )
        found[name] = Spec(
            name=name,
            title=str(entry.get("title", name)),
            system=str(entry.get("system", name)),
            system_title=str(entry.get("system_title", entry.get("title", name))),
            level=level,
            adapter_path=str(entry["adapter"]),
            adapter=adapter,
            options=dict(entry.get("options", {})),
            accounts=accounts,
            verified_by=str(entry.get("verified_by") or ""),
        )
    for one in found.values():
        if why := closed_door(found, one):
            raise ImproperlyConfigured(f"CONNECTIONS[{one.name!r}]: {why}")
    return _with_seekers(_with_crossings(found))


def _with_a_password(value: Any, place: str) -> str:
    """Where in the options an address such as https://user:password@host stands; "" where there is none."""
    if isinstance(value, str):
        return place if _USERINFO.search(value) else ""
    inner = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    )
    return next((found for name, one in inner if (found := _with_a_password(one, f"{place}.{name}"))), "")


def closed_door(found: Mapping[str, Spec], one: Spec) -> str:
    """Why a robot at screens may not be used here: another connection to the same system carries its type. Or ""."""
    if not one.adapter.last_door:
        return ""
    for other in found.values():
        both = (set(one.accounts) & set(other.accounts)) - {READER}
        if both and other.name != one.name and other.system == one.system and not other.adapter.last_door:
            return (
                f"it is the last door, a robot at screens, and connection {other.name!r} has an account for "
                f"{', '.join(sorted(both))} in the same system; take the robot's account away"
            )
    return ""


def _with_crossings(found: dict[str, Spec]) -> dict[str, Spec]:
    """The same with their cross-checks, which name one another."""
    made = {}
    for name, one in found.items():
        asked = settings.CONNECTIONS[name].get("cross_checks", {})
        try:
            crossings = {str(tool): _crossing(found, one, str(tool), entry) for tool, entry in asked.items()}
        except (AttributeError, KeyError, TypeError, ValueError, InvalidOperation) as error:
            raise ImproperlyConfigured(
                f"CONNECTIONS[{name!r}]['cross_checks']: {type(error).__name__}: {error}; it is a tool's name to "
                "{'with': a connection, 'tolerance': {field: decimal in text}}"
            ) from None
        made[name] = replace(one, cross_checks=crossings)
    return made


def _crossing(found: Mapping[str, Spec], one: Spec, tool: str, entry: Mapping[str, Any]) -> Crossing:
    other, steady = str(entry["with"]), read_tools()[tool].steady
    tolerance = {str(path): Decimal(allowed) for path, allowed in entry.get("tolerance", {}).items()}
    if strange := set(entry) - {"with", "tolerance"}:
        raise ValueError(f"{tool}: there is no {', '.join(sorted(map(str, strange)))}")
    if other == one.name or other not in found:
        raise ValueError(f"{tool}: {other!r} is no other connection")
    for place in (one.name, other):
        if tool not in found[place].adapter.tools:
            raise ValueError(f"{tool}: connection {place} does not carry it")
    if not steady:
        raise ValueError(f"{tool}: it names no steady field that two sources could be held to")
    if strange := set(tolerance) - set(steady):
        raise ValueError(
            f"{tool}: {', '.join(sorted(strange))} is none of its steady fields {sorted(steady)}"
        )
    if any(allowed.is_nan() or allowed < 0 for allowed in tolerance.values()):
        raise ValueError(f"{tool}: a tolerance is a decimal of 0 or more")
    return Crossing(other, tolerance)


def _accounts(adapter: Adapter, entry: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    if adapter.by_hand:
        return {}
    return {READER: dict(entry["reader"])} | {
        str(kind): dict(account) for kind, account in entry.get("writers", {}).items()
    }


def _narrowed(adapter: Adapter, entry: Mapping[str, Any]) -> Adapter:
    """People could do anything by hand: such a connection carries what its option `types` names, no more."""
    if not adapter.by_hand:
        return adapter
    wanted = entry.get("options", {}).get("types", ["floor_task"])
    if strange := sorted(set(wanted) - set(adapter.types)):
        raise ValueError(
            f"options.types: {', '.join(strange)} cannot be done by hand; there are {', '.join(sorted(adapter.types))}"
        )
    return replace(adapter, types={name: adapter.types[name] for name in wanted})


def _check_seen(name: str, entry: Mapping[str, Any], adapter: Adapter) -> None:
    """What cannot be read through a connection itself needs another one, into the same system, that verifies it."""
    other = entry.get("verified_by")
    verifying = settings.CONNECTIONS.get(other or "")
    if other and (verifying is None or other == name):
        raise ImproperlyConfigured(
            f"CONNECTIONS[{name!r}]: verified_by names {other!r}, which is no other connection"
        )
    if verifying is not None and verifying.get("system", other) != entry.get("system", name):
        raise ImproperlyConfigured(
            f"CONNECTIONS[{name!r}]: verified_by names {other!r}, which is a way into another system; give both the "
            "same `system`"
        )
    used = adapter.types if adapter.by_hand else entry.get("writers", {})
    blind = sorted(kind for kind in used if adapter.types[kind].seen_elsewhere)
    if blind and not other:
        raise ImproperlyConfigured(
            f"CONNECTIONS[{name!r}]: {', '.join(blind)} cannot be read through it; name in `verified_by` the "
            "connection that can"
        )


def _with_seekers(found: dict[str, Spec]) -> dict[str, Spec]:
    """The same, if whoever verifies a connection can look for the new records that are made through it.

    And if what goes on a system's word can be judged without a record.
    """
    for one in found.values():
        words = [kind for kind in one.accounts if kind != READER and one.adapter.types[kind].on_word]
        if needy := sorted(kind for kind in words if _needs_a_record(kind)):
            raise ImproperlyConfigured(
                f"CONNECTIONS[{one.name!r}]: {', '.join(needy)} cannot go on the system's word: its rules need the "
                "record; let the adapter carry it as seen elsewhere, and name in `verified_by` what reads it"
            )
        if one.adapter.by_hand or one.verified_by not in found:
            continue
        able = found[one.verified_by].adapter.seeks
        blind = [kind for kind in one.accounts if kind != READER and one.adapter.types[kind].seen_elsewhere]
        if unsought := sorted(kind for kind in blind if kind not in able and _makes_a_record(kind)):
            raise ImproperlyConfigured(
                f"CONNECTIONS[{one.name!r}]: {', '.join(unsought)} makes a new record, and {one.verified_by!r} cannot "
                "look for one; name in `verified_by` a connection that can, or leave the type out"
            )
    return found


def _needs_a_record(kind: str) -> bool:
    """Whether a type's own sample cannot be judged where nothing is known of its record."""
    type_ = transaction_types().get(kind)
    if type_ is None:
        return True
    payload = type_.payload.model_validate_json(json.dumps(type_.sample))
    nothing = replace(type_.sample_snapshot, record=Record({}), context={}, stamps={})
    limits = {limit.name: limit.default for limit in type_.limits}
    case = Case(payload, nothing, limits, nothing.as_of.date())
    try:
        type_.facts(case)
        type_.outcome(payload, nothing)
        return any(one.level is Level.ERROR for rule in type_.rules for one in rule(case))
    except Exception:  # noqa: BLE001 whatever it misses, it needs
        return True


def _makes_a_record(kind: str) -> bool:
    found = transaction_types().get(kind)
    return found is not None and not found.target(found.payload.model_validate_json(json.dumps(found.sample)))


@cache
def transaction_types() -> dict[str, TransactionType]:
    """Every transaction type by name, ours and the deployment's."""
    return scan.transaction_types(settings.TRANSACTION_TYPE_PACKAGES)


@cache
def read_tools() -> dict[str, ReadTool]:
    """Every read tool by name, ours and the deployment's."""
    return scan.read_tools(settings.READ_TOOL_PACKAGES)


@cache
def adapters() -> tuple[dict[str, Adapter], dict[str, str]]:
    """Every shipped adapter by its dotted path, connected or not; and those that cannot be loaded here, with why."""
    return scan.adapters()


def spec(name: str) -> Spec:
    """The connection of this name. Denied if the settings have none."""
    if (found := specs().get(name)) is None:
        raise Denied(f"there is no connection {name!r} in the settings", code="no_connection")
    return found


def transaction_type(name: str) -> TransactionType:
    """The transaction type of this name. Refused if there is none; what others may use is not told."""
    if (found := transaction_types().get(name)) is None:
        raise Refused(
            f"there is no transaction type {name!r}; `tools` lists those that you may use",
            code="unknown_type",
        )
    return found


def read_tool(name: str) -> ReadTool:
    """The read tool of this name. Refused if there is none; what others may use is not told."""
    if (found := read_tools().get(name)) is None:
        raise Refused(
            f"there is no read tool {name!r}; `tools` lists those that you may use", code="unknown_tool"
        )
    return found
