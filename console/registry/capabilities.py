"""What can be done over which path, and with which guarantee: to be looked at before an agent is built.

For every transaction type and read tool: the connections that carry it, and the shipped adapters that would, if a
system were connected. It is all static data; no system is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from console.catalogue import Spec, adapters, read_tools, specs, transaction_types
from console.models import Connection
from integrations.contract import Adapter, Carried, EffectClass

MEANS = {
    EffectClass.KEYED: "The system enforces an idempotency key: a second send has no second effect.",
    EffectClass.UNIQUE_REFERENCE: "The system refuses our reference a second time.",
    EffectClass.GUARDED: "The system enforces the record's stamp: a repeat is refused as stale.",
    EffectClass.READ_BACK_ONLY: "One automatic send and never a second; then the system is asked.",
    EffectClass.BY_HAND: "Nothing is sent: a person does it and confirms it.",
    EffectClass.NONE: "Nothing is committed here.",
}
"""What each guarantee against doing a thing twice means, in words."""

STRENGTH = tuple(MEANS)
"""The strongest guarantee first."""


@dataclass(frozen=True)
class Way:
    """One path that carries one type or tool.

    `connection` is empty for a shipped adapter that no connection uses. `guarantee` is an effect class, empty for a
    read. `ready`: it can be used as things stand; `lacks` says what is missing if not. `closed`: why it is not
    available on this system at all; empty where it is. `verified`: what the adapter was tried against, empty if
    nothing but our own stand-in.
    """

    connection: str
    title: str
    system: str
    adapter: str
    path: str
    level: int
    guarantee: str
    means: str
    unsupported: tuple[str, ...]
    note: str
    verified: str
    verified_by: str
    ready: bool
    lacks: str
    closed: str

    @property
    def checked(self) -> str:
        """How far the path was tried, in words; "" where there is no system behind it."""
        if self.guarantee == EffectClass.BY_HAND.value:
            return ""
        return (
            f"verified against {self.verified}" if self.verified else "not verified against a vendor system"
        )


@dataclass(frozen=True)
class Capability:
    """One transaction type or read tool, and its ways: those that are connected first, the strongest first."""

    kind: str
    name: str
    version: int
    title: str
    summary: str
    ways: tuple[Way, ...]

    @property
    def connected(self) -> tuple[Way, ...]:
        """The ways that a connection offers."""
        return tuple(way for way in self.ways if way.connection)

    @property
    def possible(self) -> tuple[Way, ...]:
        """The ways that would be there if the system were connected."""
        return tuple(way for way in self.ways if not way.connection)


def switches() -> dict[str, bool]:
    """Whether each connection is switched on, by name."""
    return dict(Connection.objects.values_list("name", "enabled"))


def capabilities(switched: Mapping[str, bool] | None = None) -> list[Capability]:
    """Every transaction type and then every read tool, by name.

    `switched` as `switches` gives it; without it nothing is known of that, and it is told as the settings have it.
    """
    return [
        *(
            Capability("type", name, one.version, one.title, one.summary, _ways("type", name, switched))
            for name, one in sorted(transaction_types().items())
        ),
        *(
            Capability("tool", name, one.version, one.title, one.summary, _ways("tool", name, switched))
            for name, one in sorted(read_tools().items())
        ),
    ]


def not_loaded() -> dict[str, str]:
    """Shipped adapters that cannot be loaded here, by path, with the reason."""
    return dict(adapters()[1])


def _ways(kind: str, name: str, switched: Mapping[str, bool] | None) -> tuple[Way, ...]:
    connected = [
        _of_connection(kind, name, spec, switched)
        for spec in specs().values()
        if _carries(spec.adapter, kind, name)
    ]
    used = {spec.adapter_path for spec in specs().values()}
    possible = [
        _way(kind, name, path, adapter)
        for path, adapter in sorted(adapters()[0].items())
        if path not in used and _carries(adapter, kind, name)
    ]
    return (*_sorted(connected), *_sorted(possible))


def _sorted(ways: Sequence[Way]) -> list[Way]:
    order = [one.value for one in STRENGTH]
    return sorted(
        ways,
        key=lambda way: (
            not way.ready,
            order.index(way.guarantee) if way.guarantee else 0,
            way.connection,
            way.adapter,
        ),
    )


def _carries(adapter: Adapter, kind: str, name: str) -> bool:
    return name in (adapter.types if kind == "type" else adapter.tools) or name in adapter.closed


def _of_connection(kind: str, name: str, spec: Spec, switched: Mapping[str, bool] | None) -> Way:
    lacks = ""
    if switched is not None and spec.name not in switched:
        lacks = "it is in the settings and not taken over yet"
    elif switched is not None and not switched[spec.name]:
        lacks = "it is switched off"
    elif kind == "type" and not spec.adapter.by_hand and name not in spec.accounts:
        lacks = "it has no service account for this type"
    return _way(kind, name, spec.adapter_path, spec.adapter, spec=spec, lacks=lacks)


def _way(
    kind: str,
    name: str,
    path: str,
    adapter: Adapter,
    *,
    spec: Spec | None = None,
    lacks: str = "not connected",
) -> Way:
    carried: Carried | None = adapter.types.get(name) if kind == "type" else None
    closed = adapter.closed.get(name, "")
    if closed:
        lacks = "not available on this system"
    return Way(
        connection=spec.name if spec is not None else "",
        title=spec.title if spec is not None else adapter.title,
        system=spec.system_title if spec is not None else "",
        adapter=path.removeprefix("integrations.").removesuffix(".adapter"),
        path=adapter.path,
        level=spec.level if spec is not None else min(adapter.levels),
        guarantee=carried.effect.value if carried is not None else "",
        means=MEANS[carried.effect] if carried is not None else "",
        unsupported=tuple(sorted(carried.unsupported)) if carried is not None else (),
        note=carried.note if carried is not None else "",
        verified=adapter.verified,
        verified_by=spec.verified_by
        if spec is not None and carried is not None and carried.seen_elsewhere
        else "",
        ready=not lacks,
        lacks=lacks,
        closed=closed,
    )
