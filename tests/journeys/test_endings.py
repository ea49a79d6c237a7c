"""Each way a proposal can end, lived by its people, on an ERP that can be told how to go wrong."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from django.db.models.functions import Now
from playwright.sync_api import expect

from console.models import Grant, Proposal
from tests.journeys.scene import Scene
from tests.lifecycle.corridor import later, purchase, reschedule
from tests.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
]

RESCHEDULE = "production_order_reschedule"
LOOKS_BEFORE_THE_SEND = 1
"""Reads of the ERP between the approval and the send: the look that compares the record with what was approved."""


def test_a_rule_refuses_it_before_anybody_is_asked(scene: Scene, erp: SandboxProcess) -> None:
    ref = scene.agent.propose(RESCHEDULE, {**reschedule(erp), "planned_start": "2020-01-06"})
    told = scene.agent.follow(ref, "refused")
    assert any(
        one["field"] == "planned_start" and one["level"] == "error" for one in told["assessment"]["findings"]
    )
    ana = scene.come(scene.people.ana)
    ana.go("")
    ana.sees("Nothing waits for your decision")
    ana.open(ref)
    ana.sees_state("Refused")
    ana.sees("Nothing: a check said no before a call was planned.")
    assert erp.ledger() == []


def test_a_rejection_reaches_the_agent_with_its_reason(scene: Scene, erp: SandboxProcess) -> None:
    ref = scene.agent.propose(RESCHEDULE, reschedule(erp))
    label = scene.agent.follow(ref, "in_review")["label"]
    ana = scene.come(scene.people.ana)
    ana.open_from_queue(label)
    ana.reject("Not needed, or already done", "The customer cancelled on Friday.")
    ana.sees("That was the last one that waits for you")
    told = scene.agent.follow(ref, "rejected")
    assert (told["decisions"][0]["reason"], told["decisions"][0]["note"]) == (
        "not_needed",
        "The customer cancelled on Friday.",
    )
    ana.open(ref)
    ana.sees_state("Rejected")
    assert erp.ledger() == []


def test_it_goes_back_for_changes_and_comes_again_as_the_same_case(scene: Scene, erp: SandboxProcess) -> None:
    payload = reschedule(erp)
    ref = scene.agent.propose(RESCHEDULE, payload)
    scene.agent.follow(ref, "in_review")
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    ana.ask_for_changes("Not now", "A week later, please.")
    assert scene.agent.follow(ref, "changes_requested")["decisions"][0]["note"] == "A week later, please."
    better = {name: day if name == "order" else later(day, 7) for name, day in payload.items()}
    scene.agent.revise(ref, better, "A week later, as asked.")
    scene.agent.follow(ref, "in_review")
    ana.open(ref)
    ana.sees("A week later, as asked.", "asked for changes", "of an earlier look")
    ana.approve()
    scene.agent.follow(ref, "committed")
    ana.open(ref)
    ana.sees_state("Committed")
    record = erp.record(f"production {payload['order']}")
    assert record is not None
    assert record["planned_start"] == better["planned_start"]


def test_what_a_supervisor_amends_somebody_else_has_to_agree_to(scene: Scene, erp: SandboxProcess) -> None:
    payload = reschedule(erp)
    other = later(payload["planned_finish"], 7)
    ref = scene.agent.propose(RESCHEDULE, payload)
    scene.agent.follow(ref, "in_review")
    ana, ben = scene.come(scene.people.ana), scene.come(scene.people.ben)
    ana.open(ref)
    ana.amend({"Planned finish": other}, "The oven is free only then.")
    ana.sees("amended. It is being checked again; then it needs agreement.")
    scene.agent.follow(ref, "in_review")
    ana.open(ref)
    ana.approve(last=False)
    ana.sees("you agreed. Somebody else has to as well.")
    ben.open(ref)
    ben.sees("What Ana Kovač wrote when amending", "The oven is free only then.")
    ben.sees("Somebody who did not change the proposal has to agree as well.")
    ben.approve()
    told = scene.agent.follow(ref, "committed")
    assert [one["by"] for one in told["revisions"]] == ["agent", "reviewer"]
    record = erp.record(f"production {payload['order']}")
    assert record is not None
    assert record["planned_finish"] == other


def test_the_agent_takes_it_back_and_nobody_can_approve_it_any_more(
    scene: Scene, erp: SandboxProcess
) -> None:
    ref = scene.agent.propose(RESCHEDULE, reschedule(erp))
    scene.agent.follow(ref, "in_review")
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    scene.agent.withdraw(ref, "The customer changed their mind.")
    ana.sees_state("Withdrawn")
    ana.sees("The customer changed their mind.")
    ana.misses("A supervisor has to agree. Approve")
    assert erp.ledger() == []


def test_an_answer_that_comes_after_it_was_withdrawn_is_not_taken_and_says_why(
    scene: Scene, erp: SandboxProcess
) -> None:
    ref = scene.agent.propose(RESCHEDULE, reschedule(erp))
    scene.agent.follow(ref, "in_review")
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    ana.choose("Approve")
    scene.agent.withdraw(ref, "The customer changed their mind.")
    ana.answer("Approve and send")
    ana.sees("Your decision was not taken", "withdrawn now", "Planner 1.0")
    ana.sees_state("Withdrawn")
    ana.was_refused(409)
    assert erp.ledger() == []


def test_what_nobody_decides_in_time_expires(scene: Scene, erp: SandboxProcess) -> None:
    ref = scene.agent.propose(RESCHEDULE, reschedule(erp), expires_in_minutes=5)
    scene.agent.follow(ref, "in_review")
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    # The five minutes pass.
    Proposal.objects.filter(ref=ref).update(expires_at=Now() - dt.timedelta(seconds=1))
    scene.agent.follow(ref, "expired")
    ana.open(ref)
    ana.sees_state("Expired")
    ana.sees("Nobody decided in time.")
    assert erp.ledger() == []


def test_a_clear_no_of_the_erp_ends_as_failed_with_the_proof(scene: Scene, erp: SandboxProcess) -> None:
    ref = scene.agent.propose(RESCHEDULE, reschedule(erp))
    scene.agent.follow(ref, "in_review")
    erp.fail("reject", operation="write", message="The period is closed.")
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    ana.approve()
    told = scene.agent.follow(ref, "commit_failed")
    assert told["outcome"]["committed"] is False
    ana.open(ref)
    ana.sees_state("Commit failed")
    ana.sees("The period is closed.", "The system does not show it")
    assert erp.effects(ref) == []


def test_an_erp_that_falls_silent_leaves_a_question_that_answers_itself_when_it_is_back(
    scene: Scene, erp: SandboxProcess
) -> None:
    ref = scene.agent.propose(RESCHEDULE, reschedule(erp))
    scene.agent.follow(ref, "in_review")
    erp.fail("timeout_after_effect", operation="write", seconds=4)
    erp.fail("unavailable", operation="read", after=LOOKS_BEFORE_THE_SEND, times=None)
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    ana.approve()
    scene.agent.follow(ref, "outcome_unknown")
    ana.open(ref)
    ana.sees_state("Outcome unknown")
    ana.sees("nothing is sent a second time")
    erp.heal()
    scene.agent.follow(ref, "committed")
    ana.sees_state("Committed")
    assert len(erp.effects(ref)) == 1
    assert erp.duplicates() == []


def test_a_yes_without_an_effect_is_settled_by_a_person_who_looked(scene: Scene, erp: SandboxProcess) -> None:
    ref = scene.agent.propose(RESCHEDULE, reschedule(erp))
    scene.agent.follow(ref, "in_review")
    erp.fail("ignored", operation="write")
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    ana.approve()
    scene.agent.follow(ref, "outcome_unknown")
    ana.go("?group=unknown")
    ana.row("Outcome unknown").click()
    ana.sees_state("Outcome unknown")
    ana.choose("Settle it by hand")
    ana.page.get_by_label("No, it is not").check()
    ana.page.get_by_label("How you know").fill("no")
    ana.answer("Settle")
    ana.sees("The note is too short.")
    ana.was_refused(422)
    ana.page.get_by_label("How you know").fill(
        "The order in the ERP still has its old dates, I looked at 9:40."
    )
    ana.answer("Settle")
    ana.sees_state("Commit failed")
    assert scene.agent.look(ref)["state_reason"].startswith("The order in the ERP still has its old dates")
    assert scene.story(ref)[-2:] == ["commit.unknown", "commit.settle"]


def test_a_shadow_is_judged_and_recorded_and_asks_nobody(scene: Scene, erp: SandboxProcess) -> None:
    Grant.objects.filter(name=RESCHEDULE).update(autonomy="shadow")
    ref = scene.agent.propose(RESCHEDULE, reschedule(erp))
    scene.agent.follow(ref, "shadowed")
    ana = scene.come(scene.people.ana)
    ana.go("")
    ana.sees("Nothing waits for your decision")
    ana.open(ref)
    ana.sees_state("Shadowed")
    ana.sees("Nothing is written.")
    assert erp.ledger() == []


def test_much_money_takes_a_second_supervisor(scene: Scene, erp: SandboxProcess) -> None:
    payload = purchase(erp, supplier="Nordic Textiles", code="RM-FAB-GREY")
    ref = scene.agent.propose("purchase_order_create", payload)
    scene.agent.follow(ref, "in_review")
    ana, ben = scene.come(scene.people.ana), scene.come(scene.people.ben)
    ana.open(ref)
    ana.sees("Two supervisors have to agree: 13440.00 SEK is at stake, the limit for one is 10000")
    ana.approve(last=False)
    ana.open(ref)
    ana.sees("You answered this. Now somebody else has to.")
    assert erp.ledger() == []
    ben.open(ref)
    ben.approve()
    scene.agent.follow(ref, "committed")
    assert [one["operation"] for one in erp.effects(ref)] == ["purchase.create"]
    assert scene.story(ref)[2:4] == ["proposal.agree", "proposal.approve"]


def test_a_kill_switch_holds_it_until_two_people_let_it_go_on(scene: Scene, erp: SandboxProcess) -> None:
    ref = scene.agent.propose(RESCHEDULE, reschedule(erp))
    scene.agent.follow(ref, "in_review")
    ana, ben = scene.come(scene.people.ana), scene.come(scene.people.ben)
    dora = scene.come(scene.people.dora)
    ana.open(ref)
    scene.house.pause_worker()
    ana.approve()
    ben.go("stop/")
    ben.page.get_by_label("What to stop").select_option("Everything")
    ben.page.get_by_label("Why", exact=True).fill("Water in the server room.")
    ben.answer("Stop…")
    ben.sees("1 open proposal stays where it is.")
    ben.answer("Stop now")
    ben.sees("Stopped: everything")
    scene.house.wake_worker()
    ana.open(ref)
    ana.sees_state("Approved")
    ana.sees("Held.", "Water in the server room.")
    expect(ana.page.get_by_role("complementary", name="Kill switch")).to_contain_text(
        "Water in the server room."
    )
    scene.house.sweep()
    scene.house.wait_until_idle()
    told = scene.agent.look(ref)
    assert (told["state"], "Water in the server room." in told["held"]) == ("approved", True)
    assert erp.ledger() == []
    ben.unfold("Ask to lift it")
    ben.page.get_by_label("Why it is safe again").fill("It is dry again.")
    ben.answer("Ask a second person")
    ben.sees("A second person has to confirm it.")
    assert scene.agent.look(ref)["state"] == "approved"
    dora.go("administration/")
    dora.page.get_by_role("button", name=re.compile("^Confirm.*Lift the kill switch")).click()
    scene.agent.follow(ref, "committed")
    ana.sees_state("Committed")
    assert len(erp.effects(ref)) == 1
