"""The nearest past cases beside a decision: near by record, partner, product or money, and never more than five."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from console.access import person as named
from console.evals import nearest
from console.lifecycle import review
from console.models import Grant, Proposal, State
from tests.cast import People, Planner
from tests.lifecycle.corridor import assessed, fresh, in_review, promise, proposed, reschedule, shown
from tests.sandbox import SandboxProcess

pytestmark = pytest.mark.django_db

PROMISE = "sales_order_promise"


def found(proposal: Proposal) -> list[nearest.Near]:
    return nearest.nearest(fresh(proposal), shown(proposal))


def ended(proposal: Proposal, people: People) -> Proposal:
    """A supervisor said no."""
    review.reject(
        proposal, by=people.ana, seen=shown(proposal).digest, actor=named(people.ana), reason="bad_timing"
    )
    return fresh(proposal)


def sales_orders(erp: SandboxProcess) -> list[dict[str, str]]:
    """Seeded orders that can be promised, with customer and total."""
    seeded = json.loads((erp.home / "base.json").read_text())["records"].values()
    return [one for one in seeded if one["kind"] == "sale" and one["state"] == "confirmed"]


def test_the_same_record_comes_first_then_partner_and_what_has_not_ended_or_is_another_type_never(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    orders = sales_orders(erp)
    first, other = orders[:2]
    erp.edit(f"sale {other['key']}", customer="Hotel Anew")
    by_partner = ended(in_review(planner, promise(erp, key=other["key"]), PROMISE), people)
    by_record = ended(in_review(planner, promise(erp, key=first["key"]), PROMISE), people)
    erp.edit(f"sale {first['key']}", customer="Hotel Anew")
    in_review(planner, promise(erp, key=first["key"], days=28), PROMISE)
    ended(in_review(planner, reschedule(erp)), people)
    now = in_review(planner, promise(erp, key=first["key"], days=35), PROMISE)
    told = found(now)
    assert [one.ref for one in told[:2]] == [by_record.ref, by_partner.ref]
    assert {one.ref for one in told} == {by_record.ref, by_partner.ref}
    assert "same record" in told[0].near
    assert "same partner" in told[1].near
    assert "same record" not in told[1].near
    assert (told[0].state, told[0].reason) == (State.REJECTED, "Not now")


def test_at_most_five_are_told_by_one_statement(
    planner: Planner, people: People, erp: SandboxProcess, django_assert_num_queries: Any
) -> None:
    for days in range(7, 56, 7):
        ended(in_review(planner, reschedule(erp, days=days)), people)
    now = fresh(in_review(planner, reschedule(erp, days=70)))
    assessment = shown(now)
    with django_assert_num_queries(1):
        told = nearest.nearest(now, assessment)
    assert len(told) == nearest.SHOWN


def test_about_the_same_money_is_near_and_ten_times_as_much_is_not(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    orders = sales_orders(erp)
    erp.edit(f"sale {orders[1]['key']}", customer="Somebody else")
    now = in_review(planner, promise(erp, key=orders[0]["key"]), PROMISE)
    past = ended(in_review(planner, promise(erp, key=orders[1]["key"]), PROMISE), people)
    money = fresh(now).value_amount or Decimal(0)
    Proposal.objects.filter(pk=past.pk).update(value_amount=money * Decimal("1.9"))
    assert [case.near for case in found(now)] == [("about the same money",)]
    Proposal.objects.filter(pk=past.pk).update(value_amount=money * 10)
    assert found(now) == []


def test_what_was_only_judged_in_shadow_is_no_case(planner: Planner, erp: SandboxProcess) -> None:
    grants = Grant.objects.filter(version=planner.version, name="production_order_reschedule")
    grants.update(autonomy="shadow")
    assert assessed(proposed(planner, reschedule(erp))).state == State.SHADOWED
    grants.update(autonomy="propose")
    assert found(in_review(planner, reschedule(erp, days=28))) == []
