"""What goes into a service and comes out of it, in plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Plain = Mapping[str, Any]
Condition = tuple[str, str, Any]
"""Property, operator (eq, ne, gt, ge, lt, le), plain value."""


@dataclass(frozen=True)
class Entity:
    """An entity as read: `values` plain, by name, what was expanded inside as entities; `etag` "" for none."""

    set: str
    values: Plain
    etag: str
    linked: Mapping[str, tuple[Entity, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Rows:
    """What a query gave. `complete` is False when the budget of rows or pages ended before the answers did."""

    entities: tuple[Entity, ...]
    complete: bool


@dataclass(frozen=True)
class Written:
    """The answer to a write: the status, the new entity and ETag where it told them, and what it said besides."""

    status: int
    entity: Entity | None
    etag: str
    location: str
    evidence: Plain


@dataclass(frozen=True)
class Change:
    """A change to one entity, for a batch."""

    set: str
    key: Plain
    values: Plain
    etag: str
