"""What stands beside a decision and a grant: evidence with its n, and what moves a grant up and down."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client

from console.audit import WORKER
from console.evals import shadow
from console.evals.drift import OVERRIDES
from console.evals.versions import Overridden, told_apart
from console.models import Autonomy, Grant, Incident, State, Widening
from tests.cast import People, Planner
from tests.evals.frozen import case, sit, small_gate, suite
from tests.lifecycle.corridor import assessed, fresh, in_review, promise, proposed, reschedule
from tests.lifecycle.test_sampling import small
from tests.sandbox import SandboxProcess

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]
RESCHEDULE = "production_order_reschedule"
PROMISE = "sales_order_promise"


@pytest.fixture
def grant(planner: Planner) -> Grant:
    """The planner's grant to reschedule production orders."""
    return Grant.objects.get(version=planner.version, name=RESCHEDULE)


def test_a_shadow_proposal_has_its_own_group_and_says_what_people_did_in_its_place(
    people: People, grant: Grant, planner: Planner, erp: SandboxProcess, signed_in: SignIn
) -> None:
    Grant.objects.filter(pk=grant.pk).update(autonomy="shadow")
    payload = reschedule(erp)
    one = assessed(proposed(planner, payload))
    assert one.state == State.SHADOWED
    ana = signed_in(people.ana)
    assert "Nothing was looked at yet" in ana.get(f"/proposals/{one.ref}/").content.decode()
    erp.edit(f"production {payload['order']}", planned_start=payload["planned_start"])
    shadow.look_back(fresh(one), actor=WORKER)
    page = ana.get(f"/proposals/{one.ref}/").content.decode()
    for part in ("What people did in its place", "Something else", "Planned finish", "So far"):
        assert part in page
    assert "compared to the end yet" in page
    for group, there in (("shadow", True), ("done", False), ("mine", False), ("waiting", False)):
        assert (one.ref in ana.get("/", {"group": group}).content.decode()) is there, group


def test_the_ladder_says_who_raised_it_and_why_what_the_next_rung_takes_and_what_would_put_it_down(
    people: People, grant: Grant, planner: Planner, signed_in: SignIn
) -> None:
    Grant.objects.filter(pk=grant.pk).update(autonomy="shadow")
    dora = signed_in(people.dora)
    form = {"version": planner.version.pk, "what": f"type:{RESCHEDULE}", "connection": "plant"}
    dora.post("/agents/planner/grants", {**form, "autonomy": "propose", "reason": "Three weeks in shadow."})
    signed_in(people.ben).post(f"/administration/widenings/{Widening.objects.get().pk}/confirm")
    page = signed_in(people.cleo).get("/agents/planner/").content.decode()
    for part in (
        "From shadow to propose",
        f"asked for by {people.dora.get_full_name()}, confirmed by {people.ben.get_full_name()}",
        "Three weeks in shadow.",
        f"{OVERRIDES.to_alarm(0.0)} decisions in a row that people override",
        "In shadow, no proposal of this grant has been compared to the end yet.",
        "every proposal is decided by people, and stays so",
    ):
        assert part in page, part
    assert "Down to shadow" not in page


def test_anybody_with_the_right_puts_a_grant_down_at_once_and_everybody_is_told(
    people: People, grant: Grant, planner: Planner, erp: SandboxProcess, signed_in: SignIn, client: Client
) -> None:
    waiting = in_review(planner, reschedule(erp))
    ana = signed_in(people.ana)
    url = f"/agents/planner/grants/{grant.pk}/down"
    assert ana.post(url, {"reason": " "}).status_code == 422
    grant.refresh_from_db()
    assert grant.autonomy == Autonomy.PROPOSE
    assert ana.post(url, {"reason": "It moves orders that are on the floor."}).status_code == 302
    grant.refresh_from_db()
    assert (grant.autonomy, grant.demoted_reason) == (
        Autonomy.SHADOW,
        "It moves orders that are on the floor.",
    )
    page = ana.get("/agents/planner/").content.decode()
    assert page.count("It moves orders that are on the floor.") >= 2
    assert "Back in shadow" in page
    assert "Down to off" in page
    told = client.get("/api/v1/tools", headers=planner.headers).json()
    card = next(one for one in told["transaction_types"] if one["name"] == RESCHEDULE)
    (way,) = card["connections"]
    assert way["autonomy"] == "shadow"
    assert "It moves orders that are on the floor" in way["standing"]
    held = client.get(f"/api/v1/proposals/{waiting.ref}", headers=planner.headers).json()
    assert "in shadow again" in held["held"]
    assert "It moves orders that are on the floor" in held["held"]
    later = assessed(proposed(planner, reschedule(erp, days=28)))
    assert later.state == State.SHADOWED
    assert "It moves orders that are on the floor" in later.state_reason
    incident = Incident.objects.get()
    assert incident.grant == grant
    shown = ana.get(f"/administration/incidents/{incident.pk}/").content.decode()
    assert "It moves orders that are on the floor." in shown
    # off: the agent may not use it any more, and reads why
    assert ana.post(url, {"reason": "Not this month."}).status_code == 302
    told = client.get("/api/v1/tools", headers=planner.headers).json()
    assert RESCHEDULE not in [one["name"] for one in told["transaction_types"]]
    (off,) = told["held"]
    assert (off["name"], off["autonomy"]) == (RESCHEDULE, "off")
    assert "Not this month" in off["why"]
    assert ana.post(url, {"reason": "Again."}).status_code == 422


def test_a_frozen_grant_is_told_to_its_agent(
    people: People, grant: Grant, planner: Planner, signed_in: SignIn, client: Client
) -> None:
    signed_in(people.ana).post(f"/agents/planner/grants/{grant.pk}/freeze", {"reason": "wrong dates"})
    (held,) = client.get("/api/v1/tools", headers=planner.headers).json()["held"]
    assert (held["kind"], held["name"]) == ("type", RESCHEDULE)
    assert "wrong dates" in held["why"]


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        ([("2", 1, 10), ("1", 4, 10)], "The intervals overlap"),
        ([("2", 2, 100), ("1", 40, 100)], "2 was overridden less often than 1"),
        ([("2", 40, 100), ("1", 2, 100)], "1 was overridden less often than 2"),
        ([("2", 0, 3), ("1", 0, 0)], ""),
    ],
)
def test_versions_are_told_apart_only_where_their_intervals_do_not_overlap(
    figures: list[tuple[str, int, int]], told: str
) -> None:
    said = told_apart([Overridden(*one) for one in figures])
    assert len(said) == bool(told)
    assert all(one.startswith(told) for one in said)


def test_the_last_eval_stands_beside_a_decision_and_on_the_ladder_with_n_interval_and_date(
    people: People, planner: Planner, erp: SandboxProcess, signed_in: SignIn
) -> None:
    one = in_review(planner, promise(erp), PROMISE)
    ana = signed_in(people.ana)
    page = ana.get(f"/proposals/{one.ref}/").content.decode()
    assert "has sat no eval run on this type" in page
    Grant.objects.filter(version=planner.version, name=PROMISE).update(autonomy="shadow")
    assert "This type has no gate yet" in ana.get("/agents/planner/").content.decode()
    suite(case(number) for number in range(6))
    small_gate()
    assert "a run over 6 cases, without a fault" in ana.get("/agents/planner/").content.decode()
    sit(planner)
    for url in (f"/proposals/{one.ref}/", "/agents/planner/"):
        page = ana.get(url).content.decode()
        assert "<strong>6 of 6 right</strong> (60 to 100 % with 95 % confidence)" in page
        assert "gate open" in page
    assert "a run over 6 cases" not in page
    sit(planner, wrong=1)
    page = ana.get(f"/proposals/{one.ref}/").content.decode()
    assert "<strong>5 of 6 right</strong>" in page
    assert "gate closed" in page
    assert "See the 1 it got wrong" in page


def test_a_rule_is_offered_only_where_it_may_stand_and_what_it_passed_says_so_on_every_page(
    people: People,
    grant: Grant,
    planner: Planner,
    erp: SandboxProcess,
    signed_in: SignIn,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dora, ana = signed_in(people.dora), signed_in(people.ana)
    promises = Grant.objects.get(version=planner.version, name=PROMISE)
    url = f"/agents/planner/grants/{promises.pk}/sampling"
    form = {"most": "900", "currency": "EUR", "share": "10"}
    assert "Ask for the rule" not in dora.get("/agents/planner/").content.decode()
    assert dora.post(url, form).status_code == 422
    settings.SAMPLED_APPROVAL = True
    offered = dora.get("/agents/planner/").content.decode()
    assert url in offered
    assert f"/agents/planner/grants/{grant.pk}/sampling" not in offered
    dora.post(url, form)
    asked = Widening.objects.get()
    assert (
        "without a person up to 900.00 EUR; 10 % are picked" in ana.get("/administration/").content.decode()
    )
    ana.post(f"/administration/widenings/{asked.pk}/confirm")
    page = ana.get("/agents/planner/").content.decode()
    for part in ("Up to 900.00 EUR it goes without a person", "From propose to sampled", ">Sampled</li>"):
        assert part in page, part
    monkeypatch.setattr(secrets, "randbelow", lambda _: 50)
    one = assessed(proposed(planner, small(erp), PROMISE))
    assert one.state == State.APPROVED
    page = ana.get(f"/proposals/{one.ref}/").content.decode()
    assert "Passed without a person." in page
    assert "draw 50, picked below 10" in page
    assert "1 more passed by a sampling rule, without a person; they are in no rate." in page
    assert "1 passed by a rule, without a person" in ana.get("/agents/planner/").content.decode()
