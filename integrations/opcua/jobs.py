"""From the lists of OPC 10031-4 to answers of `job_state`. Pure: structures in, samples out.

A job is told by the job list, by its job responses, or by both; where both tell it, they must tell the same.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from integrations.contract import Quality, Sample
from integrations.opcua.structures import JobOrderAndState, JobResponse, Material, State

STATES = {1: "waiting", 2: "ready", 3: "running", 4: "interrupted", 5: "ended", 6: "aborted"}
"""StateNumber of the top-level state (OPC 10031-4, ISA95JobOrderReceiverObjectType) to the tool's word."""

PRODUCED = {"material produced", "produced"}
"""MaterialUse of what a job made (ISA-95 part 2)."""

ORDER = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.,:/ #-]{0,63}$")
LONGEST_NUMBER = 22


@dataclass(frozen=True)
class Told:
    """One list as the server last told it. `status` is the name of its OPC UA status code."""

    status: str = "Good"
    source_time: dt.datetime | None = None
    server_time: dt.datetime | None = None
    orders: tuple[JobOrderAndState, ...] = ()
    responses: tuple[JobResponse, ...] = ()
    faults: tuple[str, ...] = field(default=())

    @property
    def quality(self) -> Quality:
        """Good only if the server says Good and everything in it could be read."""
        return Quality.GOOD if self.status == "Good" and not self.faults else Quality.UNCERTAIN

    @property
    def remark(self) -> str:
        """Why it is not good."""
        return (
            self.faults[0] if self.faults else "" if self.status == "Good" else f"OPC UA says {self.status}"
        )


def samples(told: Iterable[Told], known: Iterable[str]) -> dict[str, Sample]:
    """What holds for every job that any list names, and for every `known` one that none names any more."""
    parts: dict[str, list[tuple[Told, JobOrderAndState | None, list[JobResponse]]]] = {}
    told = list(told)
    for one in told:
        for order in one.orders:
            parts.setdefault(str(order.JobOrder.JobOrderID), []).append((one, order, []))
        found: dict[str, list[JobResponse]] = {}
        for response in one.responses:
            found.setdefault(str(response.JobOrderID), []).append(response)
        for name, responses in found.items():
            parts.setdefault(name, []).append((one, None, responses))
    made = {name: _sample(name, here) for name, here in parts.items() if ORDER.match(name)}
    bad = next((one for one in told if one.quality is not Quality.GOOD), None)
    for name in set(known) - set(made):
        why = bad.remark if bad is not None else "the MES lists this job no longer"
        made[name] = Sample("job_state", {"order": name}, None, quality=Quality.UNCERTAIN, remark=why)
    return made


def strangers(told: Iterable[Told]) -> set[str]:
    """Job ids that no proposal could name, cut for showing."""
    names = {str(o.JobOrder.JobOrderID) for one in told for o in one.orders}
    names |= {str(r.JobOrderID) for one in told for r in one.responses}
    return {name[:40] for name in names if not ORDER.match(name)}


def _sample(name: str, parts: list[tuple[Told, JobOrderAndState | None, list[JobResponse]]]) -> Sample:
    orders = [order for _, order, _ in parts if order is not None]
    responses = [one for _, _, found in parts for one in found]
    states = {_state(order.State)[0] for order in orders} | {_state(one.JobState)[0] for one in responses}
    times = [told.source_time for told, _, _ in parts if told.source_time is not None]
    clocks = [told.server_time for told, _, _ in parts if told.server_time is not None]
    base = Sample(
        "job_state",
        {"order": name},
        None,
        source_time=max(times, default=None),
        server_time=max(clocks, default=None),
        mark=str(responses[0].JobResponseID)[:200] if len(responses) == 1 else "",
    )
    bad = next((told for told, _, _ in parts if told.quality is not Quality.GOOD), None)
    if len(states) > 1 or len(orders) > 1:
        words = " and ".join(sorted(states))
        return replace(
            base, quality=Quality.UNCERTAIN, remark=f"the MES contradicts itself: this job is {words}"
        )
    if "" in states:
        return replace(
            base, quality=Quality.UNCERTAIN, remark="the MES tells a state that the standard has not"
        )
    state, detail = _state(orders[0].State if orders else responses[0].JobState)
    only = responses[0] if len(responses) == 1 else None
    value: dict[str, Any] = {
        "order": name,
        "state": state,
        "detail": detail,
        "good_count": _produced(only.MaterialActuals or ()) if only is not None else None,
        "started_at": _time(only.StartTime) if only is not None else None,
        "ended_at": _time(only.EndTime) if only is not None else None,
    }
    return replace(
        base,
        value=value,
        quality=bad.quality if bad is not None else Quality.GOOD,
        remark=bad.remark if bad is not None else "",
    )


def _state(states: Sequence[State] | None) -> tuple[str, str]:
    """The tool's word, and the finer one of the last substate; "" for a number that the standard has not."""
    if not states:
        return "", ""
    detail = str(states[-1].StateText.Text or "")[:60] if len(states) > 1 else ""
    return STATES.get(int(states[0].StateNumber), ""), detail


def _produced(materials: Iterable[Material]) -> dict[str, str] | None:
    """What was made, if the response says it in one unit; None where it does not say."""
    total, units = Decimal(0), set()
    for one in materials:
        if str(one.MaterialUse or "").strip().lower() not in PRODUCED:
            continue
        text = str(one.Quantity or "").strip()
        try:
            total += Decimal(text) if len(text) <= LONGEST_NUMBER else Decimal("NaN")
        except InvalidOperation:
            return None
        unit = one.EngineeringUnits
        units.add(str(unit.DisplayName.Text or unit.UnitId) if unit is not None else "")
    if len(units) != 1 or not total.is_finite():
        return None
    text = format(total, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return {"value": text, "unit": units.pop()[:32] or "piece"}


def _time(value: dt.datetime | None) -> str | None:
    """ISO 8601 in UTC. OPC UA writes "no time" as the year 1601."""
    if value is None or value.year <= 1601:  # noqa: PLR2004
        return None
    aware = value if value.tzinfo is not None else value.replace(tzinfo=dt.UTC)
    return aware.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
