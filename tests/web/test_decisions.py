"""Decisions: taken once, on what was seen; refused, late and doubled ones lose nothing and say why."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.http import HttpResponse
from django.test import Client

from console.audit import WORKER
from console.lifecycle import review
from console.lifecycle.assess import assess
from console.models import Answer, Decision, KillSwitch, Proposal, Revision, Scope, State
from tests.cast import People
from tests.lifecycle.corridor import fresh, later, promise, purchase
from tests.sandbox import SandboxProcess
from tests.web.conftest import Make, seen

pytestmark = pytest.mark.django_db
Sign = Callable[[User], Client]


def answer(client: Client, proposal: Proposal, what: str, **sent: Any) -> HttpResponse:
    """Post a decision on what is on screen now, unless `sent` names another digest."""
    data = {"seen": seen(proposal).digest, "dwell_ms": "4200", **sent}
    return client.post(f"/proposals/{proposal.ref}/{what}", data)  # type: ignore[return-value]


def text_of(page: Any) -> str:
    """A page without its tags, with single spaces."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.content.decode()))


def test_the_confirm_step_repeats_what_changes_and_the_digest(
    people: People, waiting: Make, signed_in: Sign
) -> None:
    one = waiting()
    page = signed_in(people.ana).get(f"/proposals/{one.ref}/approve")
    said = text_of(page)
    assert "Planned start" in said
    assert one.label in said
    assert "at once" in said
    assert seen(one).digest[:4] in said
    assert fresh(one).state == State.IN_REVIEW


def test_approving_records_who_when_what_and_how_long_and_goes_to_the_next(
    people: People, waiting: Make, erp: SandboxProcess, signed_in: Sign
) -> None:
    one, other = waiting(), waiting(promise(erp), "sales_order_promise")
    page = answer(signed_in(people.ana), one, "approve")
    assert page.status_code == 302
    assert page["Location"] == f"/proposals/{other.ref}/"
    assert fresh(one).state == State.APPROVED
    decision = Decision.objects.get(proposal=one)
    assert (decision.by, decision.answer, decision.digest) == (people.ana, "approve", seen(one).digest)
    assert decision.dwell_ms == 4200


def test_the_last_decision_leads_to_the_queue(people: People, waiting: Make, signed_in: Sign) -> None:
    client = signed_in(people.ana)
    page = answer(client, waiting(), "approve")
    assert page["Location"] == "/"
    assert "last one that waits for you" in text_of(client.get("/"))


def test_without_javascript_the_time_is_taken_by_the_server(
    people: People, waiting: Make, signed_in: Sign
) -> None:
    one = waiting()
    client = signed_in(people.ana)
    form = client.get(f"/proposals/{one.ref}/approve").content.decode()
    opened = re.search(r'name="opened" value="([0-9]+)"', form)
    assert opened is not None
    answer(client, one, "approve", dwell_ms="", opened=str(int(opened.group(1)) - 3000))
    dwell = Decision.objects.get().dwell_ms
    assert dwell is not None
    assert dwell >= 3000


def test_a_second_click_finds_its_own_answer(people: People, waiting: Make, signed_in: Sign) -> None:
    one = waiting()
    client = signed_in(people.ana)
    digest = seen(one).digest
    first = answer(client, one, "approve", seen=digest)
    second = answer(client, one, "approve", seen=digest)
    assert (first.status_code, second.status_code) == (302, 302)
    assert Decision.objects.count() == 1
    assert "taken already" in text_of(client.get("/"))


def test_the_loser_of_a_race_is_told_who_and_when(people: People, waiting: Make, signed_in: Sign) -> None:
    one = waiting()
    digest = seen(one).digest
    answer(signed_in(people.ben), one, "reject", reason="not_needed")
    page = answer(signed_in(people.ana), one, "approve", seen=digest)
    assert page.status_code == 409
    said = text_of(page)
    assert "Your decision was not taken" in said
    assert "Ben Okafor" in said
    assert "UTC" in said
    assert not Decision.objects.filter(by=people.ana).exists()


def test_a_record_that_moved_is_shown_and_nothing_is_decided(
    people: People, waiting: Make, erp: SandboxProcess, signed_in: Sign
) -> None:
    one = waiting()
    digest = seen(one).digest
    erp.edit(f"production {one.target}", planned_finish="2026-12-31")
    review.reassess(fresh(one), actor=WORKER, why="the record moved")
    assess(fresh(one), actor=WORKER)
    page = answer(signed_in(people.ana), one, "approve", seen=digest)
    assert page.status_code == 409
    said = text_of(page)
    assert "Since you looked" in said
    assert "Thu 31 Dec" in said
    assert "conflict" in said
    assert Decision.objects.count() == 0
    assert fresh(one).state == State.IN_REVIEW


def test_a_digest_that_was_never_shown_decides_nothing(
    people: People, waiting: Make, signed_in: Sign
) -> None:
    page = answer(signed_in(people.ana), waiting(), "approve", seen="0" * 64)
    assert page.status_code == 409
    assert Decision.objects.count() == 0


def test_two_people_have_to_agree_where_much_is_at_stake(
    people: People, big: Proposal, signed_in: Sign
) -> None:
    form = text_of(signed_in(people.ana).get(f"/proposals/{big.ref}/approve"))
    assert "not the last agreement" in form
    answer(signed_in(people.ana), big, "approve")
    assert fresh(big).state == State.IN_REVIEW
    own = signed_in(people.ana).get(f"/proposals/{big.ref}/")
    assert "You answered this" in text_of(own)
    assert "cannot be reversed afterwards" in text_of(
        signed_in(people.ben).get(f"/proposals/{big.ref}/approve")
    )
    answer(signed_in(people.ben), big, "approve")
    assert fresh(big).state == State.APPROVED


def test_the_owner_of_the_agent_is_told_why_not(people: People, waiting: Make, signed_in: Sign) -> None:
    one = waiting()
    client = signed_in(people.oskar)
    for method in (client.get, client.post):
        page = method(f"/proposals/{one.ref}/approve", {"seen": seen(one).digest})
        assert page.status_code == 403
        assert b"You own the agent" in page.content
    assert b"You own the agent" in client.get(f"/proposals/{one.ref}/").content


def test_a_kill_switch_holds_an_approval_and_says_so(people: People, waiting: Make, signed_in: Sign) -> None:
    one = waiting()
    KillSwitch.objects.create(
        scope=Scope.EVERYTHING, reason="Stocktaking", thrown_by=people.dora, thrown_at=Now()
    )
    page = answer(signed_in(people.ana), one, "approve")
    assert page.status_code == 409
    assert "Stocktaking" in text_of(page)
    assert fresh(one).state == State.IN_REVIEW


@pytest.mark.parametrize("what", ["reject", "changes"])
def test_without_a_reason_the_form_comes_back_with_what_was_typed(
    people: People, waiting: Make, signed_in: Sign, what: str
) -> None:
    one = waiting()
    page = answer(signed_in(people.ana), one, what, note="The <b>glue</b> is late", reason="")
    assert page.status_code == 422
    assert "There is no such reason" in text_of(page)
    assert "The &lt;b&gt;glue&lt;/b&gt; is late" in page.content.decode()
    assert fresh(one).state == State.IN_REVIEW


def test_changes_are_requested_with_a_note_for_the_agent(
    people: People, waiting: Make, signed_in: Sign
) -> None:
    one = waiting()
    client = signed_in(people.ana)
    assert answer(client, one, "changes", reason="bad_timing", note=" ").status_code == 422
    assert answer(client, one, "changes", reason="bad_timing", note="Two days later").status_code == 302
    assert fresh(one).state == State.CHANGES_REQUESTED
    assert Decision.objects.get().note == "Two days later"


def test_rejecting_is_final_and_keeps_the_reason(people: People, waiting: Make, signed_in: Sign) -> None:
    one = waiting()
    answer(signed_in(people.ana), one, "reject", reason="wrong_target", note="Other order")
    assert fresh(one).state == State.REJECTED
    assert "Wrong order or record" in text_of(signed_in(people.cleo).get(f"/proposals/{one.ref}/"))


def test_amending_makes_a_revision_of_typed_values(people: People, waiting: Make, signed_in: Sign) -> None:
    one = waiting()
    client = signed_in(people.ana)
    day = later("2026-12-20", 10)
    page = answer(client, one, "amend", **{"payload.planned_finish": day, "note": "Glue"})
    assert page.status_code == 302
    revision = Revision.objects.get(proposal=one, number=2)
    assert f'"planned_finish":"{day}"' in revision.payload
    assert (revision.by_user, revision.rationale) == (people.ana, "Glue")
    assert fresh(one).state == State.RECEIVED
    again = assess(fresh(one), actor=WORKER)
    assert again.state == State.IN_REVIEW
    answer(client, again, "approve")
    assert fresh(one).state == State.IN_REVIEW, "the amender alone is not enough"
    answer(signed_in(people.ben), again, "approve")
    assert fresh(one).state == State.APPROVED


def test_a_line_is_amended_in_its_own_unit_and_the_note_to_the_supplier_is_not_mine(
    people: People, big: Proposal, signed_in: Sign
) -> None:
    client = signed_in(people.ana)
    form = client.get(f"/proposals/{big.ref}/amend").content.decode()
    assert 'name="payload.lines.0.quantity"' in form
    assert 'name="payload.note"' in form
    answer(client, big, "amend", **{"payload.lines.0.quantity": "77", "note": "Fewer"})
    revision = Revision.objects.get(proposal=big, number=2)
    assert '"quantity":{"unit":"Square metre","value":"77"}' in revision.payload
    assert '"note":"For the spring orders"' in revision.payload
    assert revision.rationale == "Fewer"


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("payload.lines.0.quantity", "12,5", ""),
        ("payload.lines.0.quantity", "1e3", ""),
        ("payload.lines.0.quantity", "NaN", ""),
        ("payload.lines.0.unit_price", "twelve", ""),
        ("payload.lines.0.delivery_date", "31.12.2026", ""),
    ],
)
def test_a_value_that_does_not_fit_is_named_at_its_field_and_kept(
    people: People, big: Proposal, signed_in: Sign, field: str, typed: str, said: str
) -> None:
    page = answer(signed_in(people.ana), big, "amend", **{field: typed})
    assert page.status_code == 422, said
    html = page.content.decode()
    shown = re.search(
        rf'<input[^>]*name="{field}"[^>]*value="{re.escape(typed)}"[^>]*aria-invalid="true"', html
    )
    assert shown is not None
    assert 'class="error"' in html
    assert Revision.objects.filter(proposal=big).count() == 1


def test_fields_that_may_not_be_amended_have_no_input_and_are_ignored(
    people: People, big: Proposal, signed_in: Sign
) -> None:
    client = signed_in(people.ana)
    assert 'name="payload.supplier"' not in client.get(f"/proposals/{big.ref}/amend").content.decode()
    page = answer(client, big, "amend", **{"payload.supplier": "999"})
    assert page.status_code == 422
    assert "othing was changed" in text_of(page)


def test_an_empty_amendment_is_refused(people: People, waiting: Make, signed_in: Sign) -> None:
    page = answer(signed_in(people.ana), waiting(), "amend")
    assert page.status_code == 422


def test_get_never_decides(people: People, waiting: Make, signed_in: Sign) -> None:
    one = waiting()
    client = signed_in(people.ana)
    for what in ("approve", "reject", "changes", "amend"):
        client.get(f"/proposals/{one.ref}/{what}", {"seen": seen(one).digest, "reason": "not_needed"})
    assert Decision.objects.count() == 0
    assert fresh(one).state == State.IN_REVIEW


def test_a_forged_form_from_elsewhere_decides_nothing(people: People, waiting: Make) -> None:
    one = waiting()
    client = Client(enforce_csrf_checks=True)
    client.force_login(people.ana)
    assert answer(client, one, "approve").status_code == 403
    assert Decision.objects.count() == 0


def test_a_note_in_answers_is_inert_wherever_it_is_shown(
    people: People, waiting: Make, signed_in: Sign
) -> None:
    one = waiting()
    answer(signed_in(people.ana), one, "reject", reason="other", note="<script>x</script>\u202e")
    page = signed_in(people.cleo).get(f"/proposals/{one.ref}/").content.decode()
    assert "<script>x" not in page
    assert "U+202E" in page


def test_after_a_decision_the_chosen_order_is_kept(
    people: People, waiting: Make, erp: SandboxProcess, signed_in: Sign
) -> None:
    one = waiting()
    waiting(purchase(erp), "purchase_order_create")
    page = answer(signed_in(people.ana), one, "reject", reason="other", sort="money")
    assert page["Location"].endswith("?sort=money")
    assert Decision.objects.get().answer == Answer.REJECT
