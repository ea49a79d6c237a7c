"""Sampled: a rule that two people countersigned, and everything that keeps a proposal from going by it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import DatabaseError

from console import catalogue
from console.access import person as named
from console.errors import Conflict, Denied, Held, Refused
from console.lifecycle import record, sampling
from console.models import AuditEntry, Autonomy, Grant, Proposal, Sampled, SamplingRule, State, Widening
from console.registry import grants, kill, widenings
from console.registry import sampling as rules
from integrations.contract import Money
from tests.cast import People, Planner
from tests.lifecycle.corridor import (
    approved,
    assessed,
    committed,
    fresh,
    later,
    outcomes,
    proposed,
    prove_accounts,
    reschedule,
    shown,
    story,
)
from tests.sandbox import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

PROMISE = "sales_order_promise"


@pytest.fixture
def grant(planner: Planner, settings: LazySettings, erp: SandboxProcess) -> Grant:
    """The planner's grant to promise dates, where the console is set up for sampling."""
    del erp
    settings.SAMPLED_APPROVAL = True
    return Grant.objects.select_related("connection", "version__agent").get(
        version=planner.version, kind=Grant.TYPE, name=PROMISE
    )


def asked(grant: Grant, by: User, *, most: str = "900", share: int = 10, currency: str = "EUR") -> Widening:
    return rules.ask(grant, most=most, currency=currency, share=share, by=by, actor=named(by))


def ruled(grant: Grant, people: People, **rule: Any) -> SamplingRule:
    """Dora asks for it, Ana confirms it."""
    widenings.confirm(asked(grant, people.dora, **rule), by=people.ana, actor=named(people.ana))
    return SamplingRule.objects.latest("pk")


def small(erp: SandboxProcess, *, days: int = 21) -> dict[str, Any]:
    """A promise that no check has a word about, on an order worth little."""
    order = erp.find("sale", state="confirmed")
    first, *others = order["lines"]
    cheap = {"unit_price": "80.00", "quantity": "2"}
    nothing = {"unit_price": "0.01", "quantity": "1"}
    day = later(order["promised_date"], days)
    erp.edit(
        f"sale {order['key']}",
        requested_date=later(day, 30),
        lines={first["key"]: cheap, **{line["key"]: nothing for line in others}},
    )
    return {"order": order["key"], "promised_date": day}


@pytest.fixture
def draw(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Say what is drawn: below the rule's share it is picked for a person."""

    def say(value: int) -> None:
        monkeypatch.setattr(secrets, "randbelow", lambda _: value)

    return say


def test_what_the_rule_covers_is_committed_without_a_person_and_everything_says_so(
    grant: Grant,
    planner: Planner,
    people: People,
    erp: SandboxProcess,
    draw: Callable[[int], None],
) -> None:
    prove_accounts()
    rule = ruled(grant, people)
    draw(10)
    one = assessed(proposed(planner, small(erp), PROMISE))
    assert one.state == State.APPROVED, (one.state_reason, shown(one).findings, shown(one).facts)
    done = committed(one)
    assert done.state == State.COMMITTED, (done.state_reason, story(done))
    assert len(erp.effects(one.ref)) == 1
    assert story(done)[:3] == ["proposal.submit", "proposal.assess", "proposal.sample"]
    told = AuditEntry.objects.get(proposal=done, verb="proposal.sample")
    assert rule.digest in told.body
    assert '"countersigned_by":["dora","ana"]' in told.body
    assert not done.decisions.exists()
    counted = record.of_version(planner.version.pk, PROMISE)
    assert (counted.sampled, counted.approved, counted.decided, counted.committed) == (1, 0, 0, 1)


def test_what_the_draw_picks_waits_for_a_person_and_is_never_drawn_again(
    grant: Grant, planner: Planner, people: People, erp: SandboxProcess, draw: Callable[[int], None]
) -> None:
    ruled(grant, people)
    draw(9)
    one = assessed(proposed(planner, small(erp), PROMISE))
    assert one.state == State.IN_REVIEW
    assert "proposal.pick" in story(one)
    draw(99)
    order = shown(one).snapshot["record"]["fields"]["number"]
    assert order
    moved = approved(one, people.ana)
    assert moved.state == State.APPROVED
    assert Sampled.objects.filter(proposal=one).count() == 1
    assert record.of_version(planner.version.pk, PROMISE).sampled == 0


BOOKS: dict[str, Any] = {"books": True}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"facts": {"floor": True}}, "shop floor"),
        ({"facts": BOOKS}, "books"),
        ({"facts": {"reversible": False}}, "cannot be reversed"),
        ({"facts": {"value": None}}, "no value"),
        ({"rule": {"most": "1"}}, "is at stake, the rule goes to"),
        ({"rule": {"currency": "USD"}}, "no value in USD"),
        ({"days": 400}, "a check warns"),
    ],
    ids=["floor", "books", "not reversible", "no value", "value above", "other currency", "a warning"],
)
def test_what_the_rule_does_not_cover_waits_for_a_person(
    grant: Grant,
    planner: Planner,
    people: People,
    erp: SandboxProcess,
    draw: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    why: str,
) -> None:
    ruled(grant, people, **change.get("rule", {}))
    if "facts" in change:
        type_ = catalogue.transaction_type(PROMISE)
        other = replace(type_, facts=lambda case: replace(type_.facts(case), **change["facts"]))
        # The rule was countersigned while the type said otherwise: the case itself has to be looked at.
        monkeypatch.setattr("console.registry.reach.transaction_type", lambda _: type_)
        monkeypatch.setitem(catalogue.transaction_types(), PROMISE, other)
    draw(99)
    one = assessed(proposed(planner, small(erp, days=change.get("days", 21)), PROMISE))
    assert one.state == State.IN_REVIEW
    told = AuditEntry.objects.get(proposal=one, verb="proposal.not_sampled")
    assert why in told.body
    assert not Sampled.objects.exists()


def switched_off(grant: Grant, people: People, settings: LazySettings) -> None:
    del grant, people
    settings.SAMPLED_APPROVAL = False


def put_down(grant: Grant, people: People, settings: LazySettings) -> None:
    del settings
    grant.refresh_from_db()
    grants.step_down(grant, reason="Too quick.", by=people.ben, actor=named(people.ben))


def no_sandbox(grant: Grant, people: People, settings: LazySettings) -> None:
    del people, settings
    found = catalogue.specs()
    found[grant.connection.name] = replace(
        found[grant.connection.name], adapter_path="integrations.tryton.adapter"
    )


def another_rule(grant: Grant, people: People, settings: LazySettings) -> None:
    put_down(grant, people, settings)
    grant.refresh_from_db()
    ruled(grant, people, most="800")


@pytest.mark.parametrize("gone", [switched_off, put_down, no_sandbox, another_rule])
def test_what_the_rule_let_pass_goes_back_to_people_when_the_rule_is_gone_before_the_commit(
    grant: Grant,
    planner: Planner,
    people: People,
    erp: SandboxProcess,
    draw: Callable[[int], None],
    settings: LazySettings,
    gone: Callable[[Grant, People, LazySettings], None],
) -> None:
    prove_accounts()
    ruled(grant, people)
    draw(99)
    one = assessed(proposed(planner, small(erp), PROMISE))
    assert one.state == State.APPROVED
    gone(grant, people, settings)
    draw(0)
    one = committed(one)
    assert one.state == State.RECEIVED
    assert assessed(one).state == State.IN_REVIEW
    assert erp.effects(one.ref) == []


def test_a_grant_put_down_between_claim_and_send_stops_what_the_rule_let_pass(
    grant: Grant,
    planner: Planner,
    people: People,
    erp: SandboxProcess,
    draw: Callable[[int], None],
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prove_accounts()
    ruled(grant, people)
    draw(99)
    one = assessed(proposed(planner, small(erp), PROMISE))
    monkeypatch.setattr(
        "console.lifecycle.commit.reach",
        lambda name: put_down(grant, people, settings) if name == "S6" else None,
    )
    one = committed(one)
    assert (one.state, outcomes(one), erp.effects(one.ref)) == (State.APPROVED, ["not_sent"], [])
    assert "does not cover it any more" in one.state_reason


def test_a_kill_switch_holds_what_the_rule_let_pass(
    grant: Grant, planner: Planner, people: People, erp: SandboxProcess, draw: Callable[[int], None]
) -> None:
    prove_accounts()
    ruled(grant, people)
    draw(99)
    one = assessed(proposed(planner, small(erp), PROMISE))
    kill.throw(scope="everything", reason="smoke", by=people.ben, actor=named(people.ben))
    held = committed(one)
    assert (held.state, erp.effects(one.ref)) == (State.APPROVED, [])
    assert "kill switch" in held.state_reason
    with pytest.raises(Held, match="kill switch"):
        proposed(planner, small(erp, days=28), PROMISE)


@pytest.mark.parametrize(
    "facts",
    [{"floor": True}, BOOKS, {"reversible": False}, {"value": Money(amount="901", currency="EUR")}],
    ids=str,
)
def test_where_the_judge_of_the_rule_says_yes_to_everything_the_database_still_refuses(
    grant: Grant,
    planner: Planner,
    people: People,
    erp: SandboxProcess,
    draw: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    facts: dict[str, Any],
) -> None:
    prove_accounts()
    ruled(grant, people)
    type_ = catalogue.transaction_type(PROMISE)
    other = replace(type_, facts=lambda case: replace(type_.facts(case), **facts))
    monkeypatch.setattr("console.registry.reach.transaction_type", lambda _: type_)
    monkeypatch.setitem(catalogue.transaction_types(), PROMISE, other)
    monkeypatch.setattr(sampling, "against", lambda *_: [])
    draw(99)
    one = assessed(proposed(planner, small(erp), PROMISE))
    assert one.state == State.APPROVED
    assert committed(one).state == State.APPROVED
    assert (one.attempts.count(), erp.effects(one.ref)) == (0, [])


# Who may have a rule at all


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"off": True}, "sampled_unreachable"),
        ({"grant": {"autonomy": "shadow"}}, "not_at_propose"),
        ({"type": "production_order_reschedule"}, "sampled_unreachable"),
        ({"type": "purchase_order_create"}, "sampled_unreachable"),
        ({"adapter": "integrations.tryton.adapter"}, "sampled_unreachable"),
        ({"most": "1000.01"}, "most_out_of_range"),
        ({"most": "NaN"}, "most_out_of_range"),
        ({"most": "a lot"}, "most_out_of_range"),
        ({"share": 9}, "share_out_of_range"),
        ({"currency": "euro"}, "currency_unknown"),
    ],
    ids=str,
)
def test_a_rule_that_may_not_stand_is_refused_when_it_is_asked_for(
    grant: Grant, people: People, settings: LazySettings, change: dict[str, Any], code: str
) -> None:
    if change.pop("off", False):
        settings.SAMPLED_APPROVAL = False
    if name := change.pop("type", ""):
        grant = Grant.objects.select_related("connection", "version__agent").get(
            version=grant.version, kind=Grant.TYPE, name=name
        )
    for field, value in change.pop("grant", {}).items():
        setattr(grant, field, value)
    if path := change.pop("adapter", ""):
        found = catalogue.specs()
        found[grant.connection.name] = replace(found[grant.connection.name], adapter_path=path)
    with pytest.raises(Refused) as refused:
        asked(grant, people.dora, **change)
    assert refused.value.code == code
    assert not Widening.objects.exists()


def test_it_takes_an_administrator_and_another_person_and_the_very_rule_that_was_asked_for(
    grant: Grant, people: People
) -> None:
    with pytest.raises(Denied):
        asked(grant, people.ana)
    one = asked(grant, people.dora)
    with pytest.raises(Denied):
        widenings.confirm(one, by=people.dora, actor=named(people.dora))
    Widening.objects.filter(pk=one.pk).update(change={**one.change, "most": "1000000.00"})
    one.refresh_from_db()
    with pytest.raises(Conflict, match="ask anew"):
        widenings.confirm(one, by=people.ana, actor=named(people.ana))
    grant.refresh_from_db()
    assert grant.autonomy == Autonomy.PROPOSE
    assert not SamplingRule.objects.exists()


def test_a_rule_that_may_not_stand_any_more_is_refused_when_it_is_confirmed(
    grant: Grant, people: People, settings: LazySettings
) -> None:
    one = asked(grant, people.dora)
    settings.SAMPLED_APPROVAL = False
    with pytest.raises(Refused, match="not set up for it"):
        widenings.confirm(one, by=people.ana, actor=named(people.ana))
    settings.SAMPLED_APPROVAL = True
    Grant.objects.filter(pk=grant.pk).update(autonomy=Autonomy.SHADOW)
    with pytest.raises(Conflict, match="the grant or the type has changed"):
        widenings.confirm(one, by=people.ana, actor=named(people.ana))
    assert not SamplingRule.objects.exists()


def test_a_rule_and_a_draw_cannot_be_changed_afterwards(grant: Grant, people: People) -> None:
    rule = ruled(grant, people)
    with pytest.raises(DatabaseError, match="permission denied"):
        SamplingRule.objects.filter(pk=rule.pk).update(most="5")
    assert sampling.agreed(Proposal(autonomy="propose"), None) == ""  # type: ignore[arg-type]  # asked nothing


def test_a_floor_proposal_is_never_drawn_for(
    grant: Grant, planner: Planner, people: People, erp: SandboxProcess, draw: Callable[[int], None]
) -> None:
    ruled(grant, people)
    # Past every door: the grant of a floor type is put at sampled in the database, with a rule.
    floor = Grant.objects.get(version=planner.version, name="production_order_reschedule")
    rule = SamplingRule.objects.get()
    SamplingRule.objects.create(
        grant=floor,
        type_version=1,
        most="1000",
        currency="EUR",
        share=10,
        digest=rule.digest,
        asked_by=people.dora,
        confirmed_by=people.ana,
        at=rule.at,
    )
    Grant.objects.filter(pk=floor.pk).update(autonomy="sampled")
    draw(99)
    one = assessed(proposed(planner, reschedule(erp)))
    assert (fresh(one).state, Sampled.objects.count()) == (State.IN_REVIEW, 0)
