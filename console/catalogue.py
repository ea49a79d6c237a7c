"""What there is: connections from the settings, transaction types and read tools by scanning. Data, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from console.errors import Denied, Refused
from integrations import connect, scan
from integrations.contract import Adapter, ReadTool, TransactionType

READER = "reader"
"""The purpose of the account that only reads; the others are named by their transaction type."""


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
    """"reader" or a transaction type's name, to {"login", "secret": name of the secret}."""
    verified_by: str


@cache
def specs() -> dict[str, Spec]:
    """Every configured connection by name. ImproperlyConfigured names the entry and what would be right."""
    found = {}
    for name, entry in settings.CONNECTIONS.items():
        try:
            adapter = connect.adapter(str(entry["adapter"]))
            level = int(entry.get("isa95_level", 4))
            accounts = {READER: dict(entry["reader"])} | {
                str(kind): dict(account) for kind, account in entry.get("writers", {}).items()
            }
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
    return found


@cache
def transaction_types() -> dict[str, TransactionType]:
    """Every transaction type by name, ours and the deployment's."""
    return scan.transaction_types(settings.TRANSACTION_TYPE_PACKAGES)


@cache
def read_tools() -> dict[str, ReadTool]:
    """Every read tool by name, ours and the deployment's."""
    return scan.read_tools(settings.READ_TOOL_PACKAGES)


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
