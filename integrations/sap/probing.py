"""Proving an account: what SAP must refuse it is tried, and what it can do is compared with what its types need.

Every attempt is one that changes nothing where SAP lets it through: a value that is there already, under an ETag
that never was; or a key that is not there. Release, close, discard and their like are never tried on an order that
is there, and those that are refused by name are not tried at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from integrations.contract import (
    AdapterError,
    InDoubt,
    OutOfScope,
    ProbeReport,
    Stale,
    TransactionType,
    Unavailable,
)
from integrations.odata.shapes import Entity
from integrations.sap import productions, purchases
from integrations.sap.system import REFUSED, Sap

NEVER = 'W/"00000000000000"'
"""An ETag that no record has."""

NOBODY = "999999999999"
"""An order number that is looked up before it is used; where there is one, nothing is tried."""


@dataclass(frozen=True)
class Trial:
    """A set that the account may or may not write, and a property of it to write as it is."""

    service: str
    set: str
    property: str


ORDER = Trial("production", productions.SET, "TotalQuantity")
HEADER = Trial("purchase", purchases.SET, "PurchasingGroup")
ITEM = Trial("purchase", purchases.ITEMS, "OrderQuantity")
LINE = Trial("purchase", purchases.LINES, "ScheduleLineDeliveryDate")

WRITES: dict[str, tuple[Trial, ...]] = {
    "production_order_reschedule": (ORDER,),
    "production_order_quantity": (ORDER,),
    "production_order_release": (),
    "purchase_order_create": (),
    "purchase_order_line_change": (ITEM, LINE),
}
"""What each type changes. A release is a call, a new order is a creation: neither needs a change."""

CALLS = {"production_order_release": productions.RELEASE}


def probe(sap: Sap, types: Sequence[TransactionType]) -> ProbeReport:
    """Try, compare, report. Unavailable when SAP does not answer."""
    findings: list[str] = []
    needed = {trial for type_ in types for trial in WRITES[type_.name]}
    calls = {CALLS[type_.name] for type_ in types if type_.name in CALLS}
    stale = [_stale(sap, trial, findings) for trial in sorted(needed or {ORDER}, key=lambda one: one.set)]
    if any(type_.name in CALLS for type_ in types):
        findings.append("A release carries no ETag: what was approved is compared right before it, here.")
    if any(type_.name == "purchase_order_create" for type_ in types):
        findings.append("A creation has nothing to be stale: the supplier is compared right before it, here.")
    apart = [one for one in (ORDER, HEADER, ITEM, LINE) if one not in needed]
    beyond = [_out_of_scope(sap, trial, findings) for trial in apart]
    excess = [f"may call {name}" for name in sorted(_callable(sap, findings) - calls)]
    return ProbeReport(
        account=sap.login,
        stale_refused=None if None in stale else all(stale),
        out_of_scope_refused=None if None in beyond else all(beyond),
        excess=tuple(excess),
        findings=tuple(findings),
    )


def _sample(sap: Sap, trial: Trial) -> tuple[Entity, dict[str, Any]] | None:
    service = sap.service(trial.service)
    found = service.rows(trial.set, most=1).entities
    if not found:
        return None
    return found[0], {name: found[0].values[name] for name in service.entity_set(trial.set).type.keys}


def _stale(sap: Sap, trial: Trial, findings: list[str]) -> bool | None:
    """Write what is there already under an ETag that never was; an account that may not write lets nothing through."""
    sample = _sample(sap, trial)
    if sample is None:
        findings.append(f"There is no {trial.set} that a stale write could be tried on.")
        return None
    entity, key = sample
    if not entity.etag:
        findings.append(f"SAP gives no ETag for {trial.set}, so it cannot refuse a stale write.")
        return False
    values = {trial.property: entity.values[trial.property]}
    return _refused(
        lambda: sap.service(trial.service).change(trial.set, key, values, etag=NEVER),
        (Stale, OutOfScope),
        f"A stale write to {trial.set} went through.",
        findings,
    )


def _out_of_scope(sap: Sap, trial: Trial, findings: list[str]) -> bool | None:
    sample = _sample(sap, trial)
    if sample is None:
        findings.append(f"There is no {trial.set} that a write out of scope could be tried on.")
        return None
    entity, key = sample
    values = {trial.property: entity.values[trial.property]}
    return _refused(
        # Where the account may write after all, the ETag refuses it: nothing is changed either way.
        lambda: sap.service(trial.service).change(trial.set, key, values, etag=NEVER),
        (OutOfScope,),
        f"A write to {trial.set} went through.",
        findings,
    )


def _refused(
    attempt: Callable[[], Any], by: tuple[type[Exception], ...], otherwise: str, findings: list[str]
) -> bool:
    try:
        attempt()
    except by:
        return True
    except (Unavailable, InDoubt):
        raise
    except AdapterError as other:
        findings.append(f"It was refused, but not for that reason: {other.text}")
        return False
    findings.append(otherwise)
    return False


def _callable(sap: Sap, findings: list[str]) -> set[str]:
    """The operations that SAP lets this account call, tried on an order that is not there."""
    service = sap.service("production")
    if service.one(productions.SET, {productions.KEY: NOBODY}) is not None:
        findings.append(f"There is an order {NOBODY}, so what else the account may call was not tried.")
        return set()
    found = set()
    for name, operation in service.model.operations.items():
        if name in REFUSED or set(operation.parameters) != {productions.KEY}:
            continue
        try:
            service.call(name, {productions.KEY: NOBODY})
        except OutOfScope:
            continue
        except (Unavailable, InDoubt):
            raise
        except AdapterError:
            # It refused the order, not the account.
            found.add(name)
        else:
            found.add(name)
    untried = sorted(REFUSED & set(service.model.operations))
    if untried:
        findings.append(f"Not tried, because never called from here: {', '.join(untried)}.")
    return found
