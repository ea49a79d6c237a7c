"""Finds transaction types and read tools: every module of a package that exports `TYPE` or `TOOL`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from typing import TypeVar

from integrations.contract import ReadTool, TransactionType

T = TypeVar("T", TransactionType, ReadTool)


def transaction_types(packages: Iterable[str] = ()) -> dict[str, TransactionType]:
    """Every transaction type by name, ours and those of `packages`. ValueError on a duplicate name."""
    return _scan(("integrations.transaction_types", *packages), "TYPE", TransactionType)


def read_tools(packages: Iterable[str] = ()) -> dict[str, ReadTool]:
    """Every read tool by name, ours and those of `packages`. ValueError on a duplicate name."""
    return _scan(("integrations.read_tools", *packages), "TOOL", ReadTool)


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
