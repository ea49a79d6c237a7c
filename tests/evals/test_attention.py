"""How well people look: rates with intervals, tightening by itself, shortest looks, and who approves everything."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client

from console.access import person as named
from console.audit import WORKER
from console.errors import Conflict, Refused
from console.evals import attention
from console.evals.attention import CatchRate
from console.lifecycle import limits, review
from console.models import (
    Answer,
    AuditEntry,
    Decision,
    Incident,
    LimitValue,
    Proposal,
    Risk,
    State,
    Widening,
)
from console.policy import LIMITS as POLICY
from console.policy import attention as asked
from console.registry.limits import set_value
from console.registry.widenings import confirm
from tests.cast import People, Planner
from tests.lifecycle.corridor import fresh, in_review, promise, purchase, reschedule, shown
from tests.sandbox import SandboxProcess

committing = pytest.mark.django_db(transaction=True, databases=["default", "owner"])


# The target


@pytest.mark.parametrize(
    ("caught", "tests", "meets"),
    [(55, 60, True), (54, 60, True), (53, 60, False), (30, 30, True), (27, 30, False), (90, 100, True)],
)
def test_the_target_is_nine_of_ten_and_eight_of_ten_for_sure(caught: int, tests: int, *, meets: bool) -> None:
    assert CatchRate(caught, tests).meets_target is meets


def answers_to_tests(planner: Planner, people: People, erp: SandboxProcess, *results: bool) -> None:
    """Answers to tests, as a long time would bring them: only the rows that rates are made of."""
    one = in_review(planner, reschedule(erp))
    seen = shown(one)
    for number, caught in enumerate(results):
        assessment = type(seen).objects.get(pk=seen.pk)
        assessment.pk, assessment.number = None, number + 100
        assessment.save()
        Decision.objects.create(
            proposal=one,
            assessment=assessment,
            by=people.ana,
            answer=Answer.REJECT if caught else Answer.APPROVE,
            digest=assessment.digest,
            name="Ana",
            role="supervisor",
            meaning="As it says.",
            caught=caught,
            at=Now(),
        )


@committing
def test_a_rate_is_hidden_below_its_number_and_a_person_s_own_is_for_nobody_else(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    answers_to_tests(planner, people, erp, *[True] * 29)
    assert attention.site() is None
    assert attention.own(people.ana) == (29, None)
    pages = {}
    for user in (people.ana, people.ben, people.cleo, people.dora):
        client = Client()
        client.force_login(user)
        pages[user.username] = client.get("/administration/").content.decode()
        assert "is shown from 30 on" in pages[user.username]
    assert "You answered 29 tests" in pages["ana"]
    assert "You answered 0 tests" in pages["ben"]
    assert "You answered" not in pages["dora"] + pages["cleo"]
    answers_to_tests(planner, people, erp, *[True] * 70, False)
    rate = attention.site()
    assert rate is not None
    assert (rate.caught, rate.tests, rate.low, rate.high) == (99, 100, 94, 100)
    for user in (people.ana, people.ben, people.dora):
        client = Client()
        client.force_login(user)
        page = client.get("/administration/").content.decode()
        assert "99 of the last 100 tests were noticed" in page
        assert ("You noticed 99 of your 100 tests" in page) is (user == people.ana)


@committing
def test_below_the_target_the_server_tightens_by_itself_and_loosening_takes_two(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    answers_to_tests(planner, people, erp, *[False] * 10, *[True] * 19)
    assert not attention.weigh(actor=WORKER)
    answers_to_tests(planner, people, erp, True)
    assert attention.weigh(actor=WORKER)
    assert not attention.weigh(actor=WORKER)
    assert limits.of_policy()["four_eyes"] == 1
    assert {name: limits.of_attention()[name] for name in asked.TIGHT} == asked.TIGHT
    told = AuditEntry.objects.filter(verb="limit.set", actor_kind="worker")
    assert told.count() == len(asked.TIGHT) + 1
    assert "20 of the last 30" in Incident.objects.get(kind="attention").lifts
    one = in_review(planner, reschedule(erp, days=40))
    assert any(
        verdict.requirement == "a_second_supervisor" and "two people look at everything" in verdict.text
        for verdict in review.standing(one, shown(one))
    )
    (four_eyes,) = (limit for limit in POLICY if limit.name == "four_eyes")
    less = set_value(four_eyes, owner="policy", value="0", by=people.dora, actor=named(people.dora))
    assert isinstance(less, Widening)
    assert not attention.weigh(actor=WORKER)
    confirm(less, by=people.ben, actor=named(people.ben))
    assert limits.of_policy()["four_eyes"] == 0
    assert not attention.weigh(actor=WORKER), "two people took it on themselves; only tests since then count"
    answers_to_tests(planner, people, erp, *[False] * 30)
    assert attention.weigh(actor=WORKER)
    assert limits.of_policy()["four_eyes"] == 1


# What is asked of who approves, whoever asks


def ask(**values: int) -> None:
    """What an administrator sets."""
    for name, value in values.items():
        LimitValue.objects.update_or_create(
            owner="attention", name=name, defaults={"value": Decimal(value), "changed_at": Now()}
        )


def client_of(people: People, who: str = "ana") -> Client:
    client = Client()
    client.force_login(getattr(people, who))
    return client


def post(client: Client, one: Proposal, **sent: Any) -> Any:
    """What a script would send as an approval, with whatever it claims of its own time."""
    data = {"seen": shown(one).digest, "dwell_ms": "86400000", "opened": "0", "unfolded": "|", **sent}
    return client.post(f"/proposals/{one.ref}/approve", data)


def opened_earlier(one: Proposal, people: People, seconds: int) -> None:
    """As if Ana had opened it so long ago: the log's clock is the database's, and nobody can set it back."""
    seen = shown(one)
    from django.db import connections, transaction  # noqa: PLC0415 only here

    from console import audit  # noqa: PLC0415 only here

    with transaction.atomic():
        audit.record(
            "proposal.view",
            actor=named(people.ana),
            chain=audit.proposal_chain(one),
            subject=one.ref,
            proposal=one,
            detail={"assessment": seen.number, "digest": seen.digest},
        )
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE console_auditentry DISABLE TRIGGER USER")
        cursor.execute(
            "UPDATE console_auditentry SET at = at - make_interval(secs => %s)"
            " WHERE verb = 'proposal.view' AND proposal_id = %s",
            [seconds, one.pk],
        )
        cursor.execute("ALTER TABLE console_auditentry ENABLE TRIGGER USER")


@committing
def test_no_script_gets_an_approval_past_the_shortest_look_and_nothing_typed_is_lost(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    ask(seconds_low=60, seconds_medium=60, seconds_high=60)
    one, other = in_review(planner, reschedule(erp)), in_review(planner, promise(erp), "sales_order_promise")
    ana = client_of(people)
    never = post(ana, one, note="I read all of it.")
    assert never.status_code == 422
    assert "You have not opened this proposal" in never.content.decode()
    ana.get(f"/proposals/{one.ref}/approve")  # the form alone is not the page
    assert "You have not opened" in post(ana, one).content.decode()
    ana.get(f"/proposals/{one.ref}/")
    for claim in ({}, {"dwell_ms": "999999999"}, {"dwell_ms": "-1"}, {"opened": "1"}, {"again": "x"}):
        refused = post(ana, one, note="I read all of it.", **claim)
        assert refused.status_code == 422
        assert "at least 60 seconds" in refused.content.decode()
        assert "I read all of it." in refused.content.decode()
    for headers in ({"HX-Request": "true"}, {"X-Forwarded-For": "127.0.0.1"}):
        sent = {"seen": shown(one).digest}
        assert ana.post(f"/proposals/{one.ref}/approve", sent, headers=headers).status_code == 422
    client_of(people, "ben").get(f"/proposals/{one.ref}/")  # somebody else's look is not Ana's
    with pytest.raises(Refused):
        review.approve(one, by=people.ana, seen=shown(one).digest, actor=named(people.ana))
    assert not Decision.objects.exists()
    assert fresh(one).state == State.IN_REVIEW
    # Many tabs opened at once and answered in a row are no way either.
    for each in (one, other):
        opened_earlier(each, people, 61)
    assert post(ana, one).status_code == 302
    late = post(ana, other)
    assert late.status_code == 422
    assert "from your last approval on" in late.content.decode()
    assert Decision.objects.count() == 1
    # Saying no is never held up.
    assert (
        ana.post(
            f"/proposals/{other.ref}/reject", {"seen": shown(other).digest, "reason": "bad_timing"}
        ).status_code
        == 302
    )


@committing
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (
            {"unfolded": "|What happened so far|Exactly what is sent"},
            ["What happened so far", "Exactly what is sent"],
        ),
        ({"unfolded": "|"}, []),
        ({"unfolded": ""}, None),
        ({}, None),
        ({"unfolded": "[[[["}, None),
        ({"unfolded": "|a\x00b\u2066|" + "x" * 5000}, ["ab", "x" * 60]),
    ],
)
def test_what_was_unfolded_is_kept_as_the_browser_said_and_unknown_without_a_script(
    sent: dict[str, str], kept: list[str] | None, planner: Planner, people: People, erp: SandboxProcess
) -> None:
    one = in_review(planner, reschedule(erp))
    data = {"seen": shown(one).digest, "reason": "bad_timing", **sent}
    assert client_of(people).post(f"/proposals/{one.ref}/reject", data).status_code == 302
    given = Decision.objects.get(proposal=one)
    assert (given.unfolded, given.edits, given.seeded) == (kept, [], False)


@committing
def test_another_assessment_has_to_be_looked_at_anew(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    ask(seconds_low=5, seconds_medium=5, seconds_high=5)
    one = in_review(planner, reschedule(erp))
    opened_earlier(one, people, 100)
    before = shown(one).digest
    review.reassess(one, actor=WORKER, why="The record moved.")
    from console.lifecycle.assess import assess  # noqa: PLC0415 only here

    LimitValue.objects.create(owner="policy", name="second_person_from", value=9999, changed_at=Now())
    assess(fresh(one), actor=WORKER)
    assert shown(one).digest != before
    with pytest.raises(Conflict):
        review.approve(one, by=people.ana, seen=before, actor=named(people.ana))
    with pytest.raises(Refused, match="look at it once more"):
        review.approve(one, by=people.ana, seen=shown(one).digest, actor=named(people.ana))


@committing
def test_the_value_that_matters_is_typed_again_where_the_risk_is_highest(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    ask(reenter=1)
    one = in_review(planner, purchase(erp), "purchase_order_create")
    assert one.risk == Risk.HIGH
    amount = one.value_amount
    assert amount is not None
    ana = client_of(people)
    form = ana.get(f"/proposals/{one.ref}/approve").content.decode()
    assert "Type it again: Money at stake" in form
    for wrong in ("", " ", "1", str(amount * 10), str(amount + 1), f"-{amount}", "NaN", "yes"):
        refused = post(ana, one, again=wrong, note="Kept.")
        assert refused.status_code == 422, wrong
        assert "Kept." in refused.content.decode()
    assert not Decision.objects.exists()
    assert post(ana, one, again=f"{amount:,.2f} EUR").status_code == 302
    low = in_review(planner, reschedule(erp))
    assert low.risk < Risk.HIGH
    assert "Type it again" not in ana.get(f"/proposals/{low.ref}/approve").content.decode()
    assert post(ana, low).status_code == 302


def test_there_is_no_address_that_approves_many() -> None:
    from console.web.urls import ROUTES  # noqa: PLC0415 the table of all pages

    approving = [route for route in ROUTES if "approve" in route.path or "bulk" in route.path]
    assert [route.path for route in approving] == ["proposals/<str:ref>/approve"]


@pytest.mark.parametrize(
    ("typed", "value", "same"),
    [
        ("1234.5", "1234.50", True),
        ("1,234.50", "1234.5", True),
        ("1.234,50 EUR", "1234.5", True),
        ("1 234.5", "1234.5", True),
        ("12345", "1234.5", False),
        ("", "0", False),
        ("1234.51", "1234.5", False),
    ],
)
def test_a_number_is_the_same_however_it_is_written(typed: str, value: str, *, same: bool) -> None:
    assert asked.same_number(typed, value) is same


@committing
def test_a_flag_is_a_matter_for_a_talk_and_only_for_administrators(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    answers_to_tests(planner, people, erp, *[False] * 5)
    pages: dict[str, str] = {
        who: client_of(people, who).get("/administration/").content.decode()
        for who in ("ana", "cleo", "dora")
    }
    assert "A matter for a talk: Ana Kovač" in pages["dora"]
    assert "no verdict" in pages["dora"]
    assert "A matter for a talk" not in pages["ana"] + pages["cleo"]


def looks(planner: Planner, erp: SandboxProcess, of: dict[User, int], many: int) -> None:
    """Approvals of a plain proposal by these people, each with a look of so many seconds, as weeks would bring them."""
    one = in_review(planner, reschedule(erp, days=45))
    seen, number = shown(one), 0
    for _ in range(many):
        for person, seconds in of.items():
            number += 1
            assessment = type(seen).objects.get(pk=seen.pk)
            assessment.pk, assessment.number = None, number + 500
            assessment.save()
            Decision.objects.create(
                proposal=one,
                assessment=assessment,
                by=person,
                answer=Answer.APPROVE,
                digest=assessment.digest,
                name=person.username,
                role="supervisor",
                meaning="As it says.",
                dwell_ms=seconds * 1000,
                at=Now(),
            )


def test_what_is_usual_is_what_the_others_say_to_the_same_and_little_data_is_as_the_rest() -> None:
    others = {1: (0, 1000), 2: (400, 1000), 3: (0, 2)}
    overall = (400 + 10) / (2002 + 100)
    assert attention.usual_of([], others) == pytest.approx(overall)
    assert attention.usual_of([1] * 60, others) == pytest.approx(50 * overall / 1050)
    assert attention.usual_of([2] * 60, others) == pytest.approx((400 + 50 * overall) / 1050)
    assert attention.usual_of([3], others) == pytest.approx(50 * overall / 52)
    assert attention.usual_of([4], others) == pytest.approx(overall)
    assert attention.usual_of([1, 2], others) < attention.usual_of([2], others)


@committing
def test_who_hardly_looks_is_told_of_and_an_expert_who_is_merely_fast_is_not(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    ask(seconds_low=3)
    looks(planner, erp, {people.ana: 4, people.ben: 63, people.oskar: 24}, 20)
    (flag,) = attention.flags()
    assert (flag.person, flag.run) == (people.ana, None)
    page = client_of(people, "dora").get("/administration/").content.decode()
    assert "A matter for a talk: Ana Kovač" in page
    assert "small part of the time that others take" in page
    assert "Approved the last" not in page


@committing
def test_the_console_says_how_soon_it_would_see_it_here_and_what_would_help(people: People) -> None:
    page = client_of(people, "dora").get("/administration/").content.decode()
    assert "noticed after <strong>46 decisions</strong> in 9 of 10 cases" in page
    assert "within 50" in page
    planted = attention.PRIOR_OVERRIDES
    try:
        attention.PRIOR_OVERRIDES = 3
        page = client_of(people, "dora").get("/administration/").content.decode()
    finally:
        attention.PRIOR_OVERRIDES = planted
    assert "<strong>120 decisions</strong>" in page
    assert "With 5 % tests of attention it would be 50 or fewer" in page
    assert "approves 50 proposals in a row 22 % of the time" in page
    assert (
        "How soon it would be seen" not in client_of(people, "ana").get("/administration/").content.decode()
    )
