"""Finds transaction types and read tools: every module of a package that exports `TYPE` or `TOOL`."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterable
from typing import TypeVar

import integrations
from integrations.contract import Adapter, ReadTool, TransactionType

T = TypeVar("T", TransactionType, ReadTool)

STAND_IN = "integrations.sandbox"
"""The system that tests fail on purpose. It is a way into no plant."""


def transaction_types(packages: Iterable[str] = ()) -> dict[str, TransactionType]:
    """Every transaction type by name, ours and those of `packages`. ValueError on a duplicate name."""
    return _scan(("integrations.transaction_types", *packages), "TYPE", TransactionType)


def read_tools(packages: Iterable[str] = ()) -> dict[str, ReadTool]:
    """Every read tool by name, ours and those of `packages`. ValueError on a duplicate name."""
    return _scan(("integrations.read_tools", *packages), "TOOL", ReadTool)


def adapters() -> tuple[dict[str, Adapter], dict[str, str]]:
    """Every adapter that is shipped, by its dotted path; and those that cannot be loaded here, with the reason.

    An adapter is the `ADAPTER` of `integrations.<system>.adapter`. Some need packages that are installed only where
    they are used.
    """
    found: dict[str, Adapter] = {}
    missing: dict[str, str] = {}
    for info in pkgutil.iter_modules(integrations.__path__, prefix="integrations."):
        path = f"{info.name}.adapter"
        if not info.ispkg or info.name == STAND_IN:
            continue
        try:
            if importlib.util.find_spec(path) is None:
                continue
            adapter = getattr(importlib.import_module(path), "ADAPTER", None)
        except ImportError as error:
            missing[path] = f"{error.name or error} is not installed here"
            continue
        if isinstance(adapter, Adapter):
            found[path] = adapter
    return found, missing


def _scan(packages: Iterable[str], export: str, kind: type[T]) -> dict[str, T]:
    found: dict[str, T] = {}
    for package in packages:
        module = importlib.import_module(package)
        for info in pkgutil.iter_modules(module.__path__, prefix=f"{package}."):
            value = getattr(importlib.import_module(info.name), export, None)
            if value is None:
                continue
            if not isinstance(value, kind):
                raise TypeError(f"{info.name}.{export} is not a {kind.__name__}")
            if value.name in found:
                raise ValueError(f"{info.name}: the name {value.name!r} is already taken by another {export}")
            found[value.name] = value
    return found
