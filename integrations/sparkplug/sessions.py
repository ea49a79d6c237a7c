"""Who of a Sparkplug group is alive and what holds for them: births, data, deaths (Sparkplug 3.0.0, section 5).

Pure: topic and bytes in, samples and refusals out. A value counts from a birth on, as long as no message is missing
and nobody died:

- NBIRTH begins an edge node anew; what its devices said before is stale until their own births.
- Every message after it carries the next `seq` (0 to 255 and round again). A gap, or a message that cannot be
  read, means that something was missed: everything of that node is stale until its next birth. A reader may not
  ask for one, because that would be a command.
- NDEATH counts if its bdSeq is that of the birth; an old will that comes late changes nothing.
- A historical metric is not what holds now.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from integrations.contract import Quality, Sample
from integrations.sparkplug.payload import GOOD, Metric, Payload, decoded, typed

KINDS = ("NBIRTH", "NDEATH", "NDATA", "DBIRTH", "DDEATH", "DDATA")
"""What is listened to. Commands (NCMD, DCMD) and STATE are neither heard nor sent."""

ORDER = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.,:/ #-]{0,63}$")
SEQUENCE = 256
NODE_PARTS, DEVICE_PARTS = 4, 5


@dataclass(frozen=True)
class Names:
    """What a plant calls the metrics of a job, and how its words for a state translate."""

    order: str
    state: str
    good_count: str
    unit: str
    states: Mapping[str, str]


@dataclass
class _Value:
    value: Any
    datatype: int
    at: dt.datetime | None
    quality: int


@dataclass
class _Device:
    """A device, or an edge node's own metrics (named ""). `order` is the job it told about last."""

    alive: bool = False
    metrics: dict[str, _Value] = field(default_factory=dict)
    order: str = ""


@dataclass
class _Node:
    born: bool = False
    death: int | None = None
    seq: int = 0
    aliases: dict[int, str] = field(default_factory=dict)
    devices: dict[str, _Device] = field(default_factory=dict)


@dataclass
class Heard:
    """What one message means."""

    samples: list[Sample] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


class Group:
    """Every edge node of one group, as heard since the session began."""

    def __init__(self, name: str, names: Names) -> None:
        self._name, self._names = name, names
        self._nodes: dict[str, _Node] = {}
        self._told: set[str] = set()

    def hear(self, topic: str, raw: bytes, *, retained: bool = False) -> Heard:
        """One message."""
        heard = Heard()
        parts = topic.split("/")
        device = parts[4] if len(parts) == DEVICE_PARTS else ""
        kind = parts[2] if len(parts) >= NODE_PARTS else ""
        if kind not in KINDS or len(parts) != (DEVICE_PARTS if kind[0] == "D" else NODE_PARTS):
            return heard
        where = "/".join(parts[1:2] + parts[3:])
        node = self._nodes.setdefault(parts[3], _Node())
        if retained:
            self._once(
                heard, where, f"{kind} of {where} was kept by the broker; only what is said now counts"
            )
            return heard
        try:
            payload = decoded(raw)
        except ValueError as error:
            heard.refused.append(f"{kind} of {where}: {error}")
            self._break(heard, node, f"a {kind} could not be read")
            return heard
        if kind == "NBIRTH":
            self._node_birth(heard, node, payload)
        elif kind == "NDEATH":
            self._node_death(heard, node, payload)
        elif not node.born:
            self._once(
                heard, where, f"{kind} of {where} came before its birth; it counts from the next one on"
            )
        elif self._in_order(heard, node, payload, where):
            self._message(heard, node, kind, device, payload, where)
        return heard

    def _message(
        self, heard: Heard, node: _Node, kind: str, device: str, payload: Payload, where: str
    ) -> None:
        one = node.devices.setdefault(device, _Device())
        if kind == "DDEATH":
            one.alive = False
            self._spoil(heard, one, Quality.STALE, "the device is dead (DDEATH)")
        elif kind == "DBIRTH":
            one.alive, one.metrics = True, {}
            self._take(node, one, payload, born=True)
            self._tell(heard, one, payload)
        elif not one.alive:
            self._once(
                heard, where, f"{kind} of {where} came before its birth; it counts from the next one on"
            )
        else:
            for name in self._take(node, one, payload, born=False):
                heard.refused.append(f"{kind} of {where} has {name}, which its birth did not name")
            self._tell(heard, one, payload)

    # Nodes

    def _node_birth(self, heard: Heard, node: _Node, payload: Payload) -> None:
        for device in node.devices.values():
            device.alive = False
            self._spoil(heard, device, Quality.STALE, "its edge node was born anew; the device is not yet")
        node.born, node.seq, node.aliases = True, payload.seq or 0, {}
        node.death = _death_number(payload)
        own = node.devices.setdefault("", _Device())
        own.alive, own.metrics = True, {}
        self._take(node, own, payload, born=True)
        self._tell(heard, own, payload)

    def _node_death(self, heard: Heard, node: _Node, payload: Payload) -> None:
        number = _death_number(payload)
        if node.born and number is not None and node.death is not None and number != node.death:
            return
        self._break(heard, node, "the edge node is dead (NDEATH)")

    def _in_order(self, heard: Heard, node: _Node, payload: Payload, where: str) -> bool:
        expected = (node.seq + 1) % SEQUENCE
        if payload.seq == expected:
            node.seq = expected
            return True
        heard.refused.append(
            f"{where}: message {payload.seq} came after {node.seq}; something was missed, its next birth mends it"
        )
        self._break(heard, node, f"a message was missed ({payload.seq} after {node.seq})")
        return False

    def _break(self, heard: Heard, node: _Node, why: str) -> None:
        node.born = False
        for device in node.devices.values():
            device.alive = False
            self._spoil(heard, device, Quality.STALE, why)

    def _once(self, heard: Heard, where: str, why: str) -> None:
        """Refuse it, but not again and again: data before a birth comes every second."""
        if (mark := f"{where} {why}") not in self._told:
            self._told.add(mark)
            heard.refused.append(why)

    # Metrics

    def _take(self, node: _Node, device: _Device, payload: Payload, *, born: bool) -> list[str]:
        """Put the metrics in; gives those that no birth named."""
        strange = []
        for metric in payload.metrics:
            name = metric.name or (node.aliases.get(metric.alias, "") if metric.alias is not None else "")
            if born and metric.name and metric.alias is not None:
                node.aliases[metric.alias] = metric.name
            known = device.metrics.get(name)
            if not born and known is None:
                strange.append(f"the metric {name[:60]!r}" if name else f"the alias {metric.alias}")
            elif not metric.historical:
                datatype = metric.datatype or (known.datatype if known is not None else 0)
                device.metrics[name] = _Value(
                    _value(metric, datatype), datatype, metric.at or payload.at, metric.quality
                )
        return strange

    def _tell(self, heard: Heard, device: _Device, payload: Payload) -> None:
        found = {
            what: device.metrics.get(name)
            for what, name in (
                ("order", self._names.order),
                ("state", self._names.state),
                ("good_count", self._names.good_count),
                ("unit", self._names.unit),
            )
            if name
        }
        order, state = found.get("order"), found.get("state")
        if order is None or state is None:
            return
        name = str(order.value if order.value is not None else "").strip()
        if device.order and name != device.order:
            self._spoil(heard, device, Quality.UNCERTAIN, "the machine works on another job now")
            device.order = ""
        if not name:
            return
        if not ORDER.match(name):
            heard.refused.append(f"the job id {name[:40]!r} is none that an order can have")
            return
        device.order = name
        heard.samples.append(self._sample(name, found, payload))

    def _sample(self, name: str, found: Mapping[str, _Value | None], payload: Payload) -> Sample:
        parts = [one for one in found.values() if one is not None]
        times = [one.at for one in parts if one.at is not None]
        base = Sample(
            "job_state",
            {"order": name},
            None,
            source_time=max(times, default=None),
            server_time=payload.at,
            mark=f"seq {payload.seq}",
        )
        bad = next((one for one in parts if one.quality != GOOD), None)
        if bad is not None:
            return replace(
                base, quality=Quality.UNCERTAIN, remark=f"the machine gives it the quality {bad.quality}"
            )
        state = found["state"]
        word = str(state.value if state is not None and state.value is not None else "")
        if word.upper() not in self._names.states:
            return replace(
                base,
                quality=Quality.UNCERTAIN,
                remark=f"the state {word[:60]!r} is none that the option `states` translates",
            )
        unit = found.get("unit")
        return replace(
            base,
            value={
                "order": name,
                "state": self._names.states[word.upper()],
                "detail": word[:60],
                "good_count": _count(found.get("good_count"), unit),
                "started_at": None,
                "ended_at": None,
            },
        )

    def _spoil(self, heard: Heard, device: _Device, quality: Quality, why: str) -> None:
        if device.order:
            heard.samples.append(
                Sample("job_state", {"order": device.order}, None, quality=quality, remark=why)
            )


def _value(metric: Metric, datatype: int) -> Any:
    return typed(metric, datatype) if datatype else None


def _death_number(payload: Payload) -> int | None:
    found = next((one for one in payload.metrics if one.name == "bdSeq"), None)
    return int(found.value) if found is not None and isinstance(found.value, int) else None


def _count(found: _Value | None, unit: _Value | None) -> dict[str, str] | None:
    if found is None or isinstance(found.value, bool) or not isinstance(found.value, (int, Decimal)):
        return None
    number = Decimal(found.value)
    if not number.is_finite() or abs(number) >= Decimal(10) ** 15:
        return None
    text = format(round(number, 6).normalize(), "f")
    word = str(unit.value) if unit is not None and unit.value else "piece"
    return {"value": text, "unit": word[:32]}
