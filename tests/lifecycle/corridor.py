"""Steps through the corridor for tests: what an agent, a worker and a supervisor do, in one call each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User

from console.access import person as named
from console.audit import WORKER
from console.lifecycle import probe, review
from console.lifecycle.assess import assess
from console.lifecycle.commit import commit
from console.models import Assessment, Attempt, AuditEntry, Proposal, State
from tests.cast import Planner, envelope, propose

if TYPE_CHECKING:
    from tests.sandbox import SandboxProcess

SETTLED = {State.COMMITTED, State.COMMIT_FAILED}


def later(day: str, days: int) -> str:
    """An ISO day so many days after another, moved on from a weekend."""
    found = dt.date.fromisoformat(day) + dt.timedelta(days=days)
    while found.weekday() > 4:
        found += dt.timedelta(days=1)
    return found.isoformat()


def reschedule(erp: SandboxProcess, *, days: int = 14, **which: Any) -> dict[str, Any]:
    """A payload that moves a seeded production order; a draft one unless `which` says otherwise."""
    order = erp.find("production", **(which or {"state": "draft"}))
    return {
        "order": order["key"],
        "planned_start": later(order["planned_start"], days),
        "planned_finish": later(order["planned_finish"], days + 7),
    }


def promise(erp: SandboxProcess, *, days: int = 21, **which: Any) -> dict[str, Any]:
    """A payload that promises a seeded sales order for another day."""
    order = erp.find("sale", **(which or {"state": "confirmed"}))
    return {"order": order["key"], "promised_date": later(order["promised_date"], days)}


def purchase(
    erp: SandboxProcess, *, supplier: str = "Holzhandel Brenner", code: str = "RM-BEECH-27", more: int = 0
) -> dict[str, Any]:
    """A payload for a new purchase order of one line, as usual with this supplier: large enough for two people."""
    known = erp.find("supplier", name=supplier)
    product = erp.find("product", code=code)
    terms = known["sells"][product["key"]]
    return {
        "supplier": known["key"],
        "lines": [
            {
                "product": product["key"],
                "quantity": {"value": str(int(terms["usual"]) + more), "unit": product["unit"]},
                "unit_price": {"amount": terms["last_price"], "currency": known["currency"]},
                "delivery_date": later(dt.datetime.now(dt.UTC).date().isoformat(), 30),
            }
        ],
        "note": "For the spring orders",
    }


def proposed(
    by: Planner, payload: Mapping[str, Any], type_name: str = "production_order_reschedule", **more: Any
) -> Proposal:
    """A proposal as submitted."""
    return propose(by, envelope(type_name, payload=dict(payload), **more))


def fresh(proposal: Proposal) -> Proposal:
    """The row as it is now, with what a worker fetches with it."""
    return Proposal.objects.select_related("agent_version__agent", "connection__system", "grant").get(
        pk=proposal.pk
    )


def assessed(proposal: Proposal) -> Proposal:
    """What a worker does with a received proposal."""
    assess(fresh(proposal), actor=WORKER)
    return fresh(proposal)


def shown(proposal: Proposal) -> Assessment:
    """The assessment on a supervisor's screen."""
    found = review.current(fresh(proposal))
    assert found is not None
    return found


def approved(proposal: Proposal, *people: User) -> Proposal:
    """Everybody named approves what is on the screen, in turn."""
    for one in people:
        review.approve(fresh(proposal), by=one, seen=shown(proposal).digest, actor=named(one))
    return fresh(proposal)


def committed(proposal: Proposal) -> Proposal:
    """What a worker does with an approved proposal."""
    commit(fresh(proposal), actor=WORKER)
    return fresh(proposal)


def prove_accounts() -> None:
    """What a worker does once an hour."""
    probe.probe_all(actor=WORKER)


def in_review(
    by: Planner, payload: Mapping[str, Any], type_name: str = "production_order_reschedule"
) -> Proposal:
    """A proposal in front of a supervisor."""
    found = assessed(proposed(by, payload, type_name))
    assert found.state == State.IN_REVIEW, (found.state, found.state_reason)
    return found


def story(proposal: Proposal) -> list[str]:
    """The verbs of a proposal's audit entries, in order."""
    return list(AuditEntry.objects.filter(proposal=proposal).order_by("id").values_list("verb", flat=True))


def outcomes(proposal: Proposal) -> list[str]:
    """How its attempts ended, in order."""
    return list(
        Attempt.objects.filter(proposal=proposal).order_by("number").values_list("outcome", flat=True)
    )
