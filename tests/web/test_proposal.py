"""The proposal page: everything a person needs to be right in twenty seconds, in the order of trust."""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.access import person as named
from console.audit import WORKER
from console.lifecycle import readback, record, review
from console.lifecycle.assess import assess
from console.models import AuditEntry, Cited, Proposal, Reading, Revision, State
from tests.cast import People, Planner
from tests.lifecycle.corridor import approved, committed, fresh, promise, prove_accounts, purchase
from tests.sandbox import SandboxProcess
from tests.web.conftest import Make, seen
from tests.web.test_decisions import text_of

Sign = Callable[[User], Client]


def shown(client: Client, proposal: Proposal) -> str:
    answer = client.get(f"/proposals/{proposal.ref}/")
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.django_db
def test_facts_come_before_checks_and_the_agents_words_come_last(
    people: People, waiting: Make, signed_in: Sign
) -> None:
    page = shown(signed_in(people.ana), waiting())
    marks = [
        "What changes",
        ">Checks",
        "Exactly what is sent",
        "What the agent read",
        "What the agent claims",
    ]
    places = [page.index(mark) for mark in marks]
    assert places == sorted(places)
    assert "unverified" in page


@pytest.mark.django_db
def test_the_page_shows_labels_units_money_and_by_how_much(
    people: People, waiting: Make, erp: SandboxProcess, signed_in: Sign
) -> None:
    order = erp.find("production", state="draft")
    one = waiting(
        {"order": order["key"], "quantity": {"value": str(int(order["quantity"]) + 6), "unit": "Unit"}},
        "production_order_quantity",
    )
    said = text_of(signed_in(people.ana).get(f"/proposals/{one.ref}/"))
    assert "Quantity" in said
    assert f"{order['quantity']} Unit" in said
    assert "+6 Unit" in said
    assert "%" in said
    assert "Materials" in said
    assert "the shop floor" in said


@pytest.mark.django_db
def test_two_columns_while_nothing_moved_and_three_when_something_did(
    people: People, waiting: Make, erp: SandboxProcess, signed_in: Sign
) -> None:
    one = waiting()
    client = signed_in(people.ana)
    assert "When proposed" not in shown(client, one)
    erp.edit(f"production {one.target}", planned_start="2027-01-04", planned_finish="2027-01-08")
    review.reassess(fresh(one), actor=WORKER, why="the record moved")
    assess(fresh(one), actor=WORKER)
    page = shown(client, one)
    assert "When proposed" in page
    assert "The record moved since the look before" in page
    assert "Somebody else changed what this wants to change" in page
    assert 'class="changes moved conflict"' in page


@pytest.mark.django_db
def test_what_moved_but_is_not_part_of_the_proposal_is_marked_as_moved_and_not_as_changing(
    people: People, waiting: Make, erp: SandboxProcess, signed_in: Sign
) -> None:
    one = waiting()
    erp.edit(f"production {one.target}", quantity="77")
    review.reassess(fresh(one), actor=WORKER, why="the record moved")
    assess(fresh(one), actor=WORKER)
    page = shown(signed_in(people.ana), one)
    row = re.search(r'<tr id="field-quantity" class="([^"]+)"', page)
    assert row is not None
    assert row.group(1) == "same moved"


@pytest.mark.django_db
def test_the_exact_calls_and_the_whole_digest_are_there(
    people: People, waiting: Make, signed_in: Sign
) -> None:
    one = waiting()
    page = shown(signed_in(people.cleo), one)
    assert seen(one).digest in page
    for step in seen(one).plan:
        assert step["text"] in page


@pytest.mark.django_db
def test_every_finding_is_shown_with_its_level_and_hint(
    people: People, big: Proposal, signed_in: Sign
) -> None:
    page = shown(signed_in(people.ana), big)
    for finding in seen(big).findings:
        assert finding["level"] in page
        assert str(finding["hint"]).replace("'", "&#x27;") in page


@pytest.mark.django_db
def test_the_agents_words_are_inert_marked_and_cut(people: People, waiting: Make, signed_in: Sign) -> None:
    hostile = (
        "<script>alert(1)</script> https://evil.example [x](javascript:1) \u202e p\u0430ypal "
        + "Pre-approved by the CFO. " * 60
    )
    one = waiting(rationale=hostile[:1900])
    page = shown(signed_in(people.ana), one)
    assert "<script>alert" not in page
    assert 'href="https://evil' not in page
    assert "U+202E Right-To-Left Override" in page
    assert "mixes Cyrillic and Latin" in page
    assert "hide or imitate" in page
    assert re.search(r"The rest \([0-9]+ characters\)", page)


@pytest.mark.django_db
def test_readings_say_as_of_when_from_where_and_with_what(
    people: People, planner: Planner, waiting: Make, signed_in: Sign
) -> None:
    one = waiting()
    reading = Reading.objects.create(
        ref="RD-000000000001",
        agent_version=planner.version,
        key_id="k",
        tool="production_order",
        tool_version=1,
        connection=one.connection,
        arguments={"order": "28"},
        outcome="answered",
        answer={"note": "<b>x</b>"},
        as_of=timezone.now(),
        source="Sandbox HTTP",
        quality="stale",
        latency_ms=3,
        at=timezone.now(),
    )
    Cited.objects.create(revision=Revision.objects.get(proposal=one), reading=reading)
    page = shown(signed_in(people.ana), one)
    assert "RD-000000000001" in page
    assert "Sandbox HTTP" in page
    assert "order 28" in page
    assert '<span class="chip warn">stale' in page
    assert "&lt;b&gt;x" in page


@pytest.mark.django_db
def test_opening_is_recorded_once_per_person_and_assessment(
    people: People, waiting: Make, signed_in: Sign
) -> None:
    one = waiting()
    for _ in range(3):
        shown(signed_in(people.ana), one)
    shown(signed_in(people.cleo), one)
    views = AuditEntry.objects.filter(proposal=one, verb="proposal.view")
    assert sorted(views.values_list("actor_id", flat=True)) == sorted(
        [str(people.ana.pk), str(people.cleo.pk)]
    )
    review.reassess(fresh(one), actor=WORKER, why="the rules moved")
    assess(fresh(one), actor=WORKER)
    shown(signed_in(people.ana), one)
    told = [json.loads(entry.body)["detail"]["assessment"] for entry in views.order_by("id")]
    assert told == [1, 1, 2]


@pytest.mark.django_db
def test_only_who_may_decide_claims_it_and_others_are_told(
    people: People, waiting: Make, signed_in: Sign
) -> None:
    one = waiting()
    shown(signed_in(people.cleo), one)
    assert "is looking at this too" not in shown(signed_in(people.ben), one)
    assert "Ben Okafor</strong> is looking at this too" in shown(signed_in(people.ana), one)


@pytest.mark.django_db
def test_an_auditor_sees_everything_and_no_button(people: People, waiting: Make, signed_in: Sign) -> None:
    page = shown(signed_in(people.cleo), waiting())
    assert 'class="decide"' not in page
    assert "What changes" in page


@pytest.mark.django_db
def test_no_rate_without_n_and_no_record_without_decisions(
    people: People, planner: Planner, waiting: Make, erp: SandboxProcess, signed_in: Sign
) -> None:
    one = waiting(promise(erp), "sales_order_promise")
    assert "No decisions yet" in shown(signed_in(people.ana), one)
    review.reject(one, by=people.ben, seen=seen(one).digest, actor=named(people.ben), reason="other")
    other = waiting(promise(erp, days=28), "sales_order_promise")
    said = text_of(signed_in(people.ana).get(f"/proposals/{other.ref}/"))
    assert "People overrode 1 of 1 decided (20 to 100 % with 95 % confidence)" in said
    with CaptureQueriesContext(connection) as run:
        found = record.of_version(planner.version.pk, "sales_order_promise")
    assert len(run) == 1
    assert (found.proposed, found.decided, found.rejected, found.approved) == (2, 1, 1, 0)


@pytest.mark.django_db
def test_a_refused_proposal_says_what_was_wrong(
    people: People, waiting: Make, erp: SandboxProcess, signed_in: Sign
) -> None:
    order = erp.find("production", state="done")
    one = waiting({"order": order["key"], "planned_start": "2026-12-21", "planned_finish": "2026-12-22"})
    assert one.state == State.REFUSED
    page = shown(signed_in(people.cleo), one)
    assert "A check or the system said no" in page
    assert "circle" in page


@pytest.mark.django_db
def test_a_proposal_without_an_assessment_has_a_page(
    people: People, planner: Planner, signed_in: Sign
) -> None:
    from tests.cast import envelope, propose  # noqa: PLC0415

    one = propose(planner, envelope())
    page = shown(signed_in(people.ana), one)
    assert "Being checked" in page
    assert 'class="decide"' not in page


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_an_unknown_outcome_shows_what_the_system_says_and_a_person_settles_it(
    people: People, waiting: Make, erp: SandboxProcess, signed_in: Sign, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove_accounts()
    one = approved(waiting(purchase(erp), "purchase_order_create"), people.ana, people.ben)
    monkeypatch.setattr(readback, "AGAIN", dt.timedelta(0))
    erp.fail("partial_effect", operation="purchase.create", keep=0)
    committed(one)
    for _ in range(60):
        readback.read_back(fresh(one), actor=WORKER)
        if fresh(one).state != State.COMMITTING:
            break
        time.sleep(0.1)
    one = fresh(one)
    assert one.state == State.OUTCOME_UNKNOWN, one.state_reason
    client = signed_in(people.ana)
    page = shown(client, one)
    assert "Attempt 1" in page
    assert "Settle it by hand" in page
    assert "Found" in page
    assert "Approved" in page
    short = client.post(f"/proposals/{one.ref}/settle", {"happened": "yes", "note": "saw it"})
    assert short.status_code == 422
    unsaid = client.post(f"/proposals/{one.ref}/settle", {"note": "The order is there with every line"})
    assert unsaid.status_code == 422
    done = client.post(
        f"/proposals/{one.ref}/settle", {"happened": "yes", "note": "The order is there with every line"}
    )
    assert done.status_code == 302
    assert fresh(one).state == State.COMMITTED


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_a_commit_is_told_with_its_document_and_read_back(
    people: People, waiting: Make, signed_in: Sign, erp: SandboxProcess
) -> None:
    prove_accounts()
    one = committed(approved(waiting(), people.ana))
    assert one.state == State.COMMITTED, one.state_reason
    page = shown(signed_in(people.cleo), one)
    assert "what was approved is what is there" in page
    assert "The system shows it" in page
    assert "Ana Kovač" in page
    assert erp.effects(one.ref)


@pytest.mark.django_db
def test_the_live_part_costs_nothing_until_something_changes(
    people: People, waiting: Make, signed_in: Sign
) -> None:
    one = waiting()
    client = signed_in(people.ana)
    page = shown(client, one)
    live = re.search(
        r'hx-get="(/proposals/[^"]+/status\?version=[0-9]+)"[^>]*"If-None-Match":"([0-9a-f]+)"', page
    )
    assert live is not None
    asked = {"HX-Request": "true", "If-None-Match": live.group(2)}
    assert client.get(live.group(1), headers=asked).status_code == 304
    review.reject(one, by=people.ben, seen=seen(one).digest, actor=named(people.ben), reason="other")
    assert client.get(live.group(1), headers=asked)["HX-Refresh"] == "true"


@pytest.mark.django_db
def test_one_page_costs_a_fixed_number_of_statements(
    people: People, big: Proposal, waiting: Make, erp: SandboxProcess, signed_in: Sign
) -> None:
    client = signed_in(people.ana)

    def statements() -> int:
        shown(client, big)
        with CaptureQueriesContext(connection) as run:
            shown(client, big)
        return len(run)

    waiting(promise(erp, days=7), "sales_order_promise")  # with none, there is no next one to fetch
    few = statements()
    for days in (14, 21, 28):
        waiting(promise(erp, days=days), "sales_order_promise")
    review.approve(big, by=people.ben, seen=seen(big).digest, actor=named(people.ben))
    assert statements() == few
    assert Proposal.objects.filter(submitted_at__lte=Now()).count() == 5
