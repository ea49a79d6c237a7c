"""A seeded test looks like any other proposal, is never sent by type, counts nowhere, and is revealed at once."""

from __future__ import annotations

import datetime as dt
import json
import re
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client

from console.access import person as named
from console.audit import WORKER
from console.errors import Denied, Refused
from console.evals import alarms, live, seeded, value
from console.evals import figures as live_figures
from console.evals.versions import of_agent
from console.lifecycle import limits, record, review
from console.lifecycle.commit import commit
from console.lifecycle.sweep import sweep
from console.models import (
    AuditEntry,
    Decision,
    Grant,
    LimitValue,
    OverrideChart,
    Proposal,
    SeededTest,
    State,
    Widening,
)
from console.policy import attention
from console.registry.limits import set_value
from console.registry.widenings import confirm
from tests.cast import People, Planner
from tests.lifecycle.corridor import (
    approved,
    assessed,
    committed,
    fresh,
    in_review,
    promise,
    prove_accounts,
    reschedule,
    shown,
    story,
)
from tests.sandbox import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

(SHARE,) = (one for one in attention.LIMITS if one.name == "seeded_share")


def switch_on(people: People, percent: str = "5") -> None:
    """What Dora does on the administration page."""
    set_value(SHARE, owner="attention", value=percent, by=people.dora, actor=named(people.dora))


def source(planner: Planner, people: People, erp: SandboxProcess) -> Proposal:
    """A real proposal that was committed."""
    prove_accounts()
    done = committed(approved(in_review(planner, promise(erp), "sales_order_promise"), people.ana))
    assert done.state == State.COMMITTED
    return done


def planted(people: People) -> SeededTest:
    """One that Dora asked for, as a worker leaves it."""
    test = seeded.ask(by=people.dora, actor=named(people.dora))
    found = assessed(test.proposal)
    assert found.state == State.IN_REVIEW, found.state_reason
    return SeededTest.objects.select_related("proposal", "source").get(pk=test.pk)


@pytest.fixture
def test(planner: Planner, people: People, erp: SandboxProcess) -> SeededTest:
    """A test in the queue, a wrong copy of what was committed a moment ago."""
    source(planner, people, erp)
    switch_on(people)
    return planted(people)


def answer(test: SeededTest, people: People, what: str) -> Proposal:
    """Ana's answer to what is on her screen."""
    told: dict[str, Any] = {
        "by": people.ana,
        "seen": shown(test.proposal).digest,
        "actor": named(people.ana),
        "look": review.Look(dwell_ms=4200, unfolded=("What happened so far",)),
    }
    if what == "approve":
        return review.approve(test.proposal, **told)
    if what == "reject":
        return review.reject(test.proposal, reason="wrong_value", **told)
    if what == "request_changes":
        return review.request_changes(test.proposal, reason="wrong_value", note="Look at the date.", **told)
    payload = json.loads(test.proposal.revisions.get().payload)
    return review.amend(test.proposal, payload={**payload, test.path: test.right}, **told)


def alike(page: str) -> str:
    """A page without what is each proposal's own: its name, digests, tokens and times of day."""
    for own, instead in (
        (r"CS-[0-9A-HJKMNP-TV-Z]{12}", "REF"),
        (r"\b[0-9a-f]{64}\b", "DIGEST"),
        (r"[0-9a-f]{4}(?: | )[0-9a-f]{4}(?: | )[0-9a-f]{4}|\b[0-9a-f]{8,20}\b", "SHORT"),
        (r'(csrfmiddlewaretoken" value="|X-CSRFToken":")[^"]*', "TOKEN"),
        (r'name="opened" value="\d+"', "OPENED"),
        (r"\d\d:\d\d(:\d\d)?([.]\d+)?", "TIME"),
        (r"\d+ seconds? ago|just now|now", "AGO"),
    ):
        page = re.sub(own, instead, page)
    return page


def figures(planner: Planner) -> dict[str, Any]:
    """Every figure that the console makes of proposals."""
    grants = Grant.objects.filter(version=planner.version, kind=Grant.TYPE)
    live.watch_all(actor=WORKER)
    return {
        "records": {one.name: record.of_version(planner.version.pk, one.name) for one in grants},
        "charts": list(
            OverrideChart.objects.order_by("grant_id").values_list(
                "grant_id", "level", "decided", "overridden"
            )
        ),
        "metrics": [
            line
            for line in Client().get("/metrics").content.decode().splitlines()
            if line.startswith(("countersign_proposals", "countersign_attempts"))
        ],
        "own": list(Client(headers=planner.headers).get("/api/v1/proposals").json()["proposals"]),
        "grants": [one for days in (7, 90) for one in live_figures.of_grants(list(grants), days=days)],
        "timelines": [live_figures.timeline(one, days=7) for one in grants],
        "burn": [alarms.standing(one) for one in grants],
        "reasons": [live_figures.reasons(one, days=7) for one in grants],
        "versions": of_agent(planner.agent.pk),
        "ledger": value.ledger(days=30),
    }


@pytest.mark.parametrize("what", ["approve", "reject", "request_changes", "amend"])
def test_every_answer_reveals_it_at_once_with_what_was_wrong_and_nothing_reaches_the_erp(
    what: str, test: SeededTest, people: People, erp: SandboxProcess
) -> None:
    before = len(erp.ledger())
    done = answer(test, people, what)
    assert done.state == State.REVEALED
    assert len(erp.ledger()) == before
    given = Decision.objects.get(proposal=done)
    assert (given.answer, given.caught, given.seeded) == (what, what != "approve", True)
    assert (given.dwell_ms, given.unfolded) == (4200, ["What happened so far"])
    assert given.edits == ([test.path] if what == "amend" else [])
    told = json.loads(AuditEntry.objects.get(proposal=done, verb="proposal.reveal").body)["detail"]
    assert (told["seeded"], told["source"], told["caught"]) == (True, test.source.ref, what != "approve")
    assert done.revisions.count() == 1


def test_an_amendment_beside_the_wrong_value_did_not_notice_it(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    prove_accounts()
    committed(approved(in_review(planner, reschedule(erp)), people.ana))
    switch_on(people)
    test = planted(people)
    payload = json.loads(test.proposal.revisions.get().payload)
    other = "planned_start" if test.path == "planned_finish" else "planned_finish"
    moved = dt.date.fromisoformat(payload[other]) + dt.timedelta(days=-1 if other == "planned_start" else 1)
    review.amend(
        test.proposal,
        by=people.ana,
        seen=shown(test.proposal).digest,
        actor=named(people.ana),
        payload={**payload, other: moved.isoformat()},
    )
    assert Decision.objects.get(proposal=test.proposal).caught is False


def test_until_it_is_answered_nothing_on_any_page_or_in_any_entry_tells_it_from_others(
    test: SeededTest, planner: Planner, people: People
) -> None:
    real = in_review(planner, json.loads(test.proposal.revisions.get().payload), "sales_order_promise")
    ana = Client()
    ana.force_login(people.ana)
    words = re.compile("seeded|test of attention|attention test|reveal", re.IGNORECASE)
    for path in ("", "approve", "reject", "changes", "amend", "status?version=1"):
        real_page, its_page = (
            ana.get(f"/proposals/{one.ref}/{path}").content.decode() for one in (real, test.proposal)
        )
        assert alike(real_page) == alike(its_page)
        assert not words.search(its_page)
    rows = re.findall(r"<li\b.*?</li>", ana.get("/").content.decode().partition("<main")[2], re.DOTALL)
    assert len({alike(row) for row in rows if real.ref in row or test.proposal.ref in row}) == 1
    entries = [
        [
            {
                **json.loads(entry.body),
                "subject": "",
                "chain": "",
                "request": "",
                "proposal": "",
                "detail": "",
            }
            for entry in AuditEntry.objects.filter(proposal=one).exclude(verb="proposal.view").order_by("id")
        ]
        for one in (real, test.proposal)
    ]
    assert entries[0] == entries[1]
    details = [
        json.loads(AuditEntry.objects.get(proposal=one, verb="proposal.submit").body)["detail"].keys()
        for one in (real, test.proposal)
    ]
    assert details[0] == details[1]
    for path in ("", "audit/", "audit/?verb=seeding.ask", f"audit/proposals/{test.proposal.ref}/"):
        page = ana.get(f"/{path}").content.decode().partition("<main")[2]
        page = re.sub(r"<form\b.*?</form>", "", page, flags=re.DOTALL)
        assert not words.search(page.replace("attention.seeded_share", "")), path
    asked = AuditEntry.objects.get(verb="seeding.ask")
    assert test.proposal.ref not in asked.body
    assert ana.get(f"/audit/{asked.pk}/").status_code == 404
    cleo = Client()
    cleo.force_login(people.cleo)
    assert cleo.get(f"/audit/{asked.pk}/").status_code == 200


def test_a_test_is_never_approved_by_type_whatever_the_code_wants(
    test: SeededTest, planner: Planner, erp: SandboxProcess
) -> None:
    real = in_review(planner, reschedule(erp))
    pk = test.proposal.pk
    for state in ("approved", "committing", "committed", "rejected", "outcome_unknown"):
        with pytest.raises(DatabaseError, match="seeded_is_never_approved"), transaction.atomic():
            Proposal.objects.filter(pk=pk).update(state=state)
    with pytest.raises(DatabaseError, match="cannot be changed"), transaction.atomic():
        Proposal.objects.filter(pk=pk).update(seeded=False)
    assessment = shown(test.proposal)
    with (
        pytest.raises(DatabaseError, match="seeded test"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "INSERT INTO console_attempt (proposal_id, assessment_id, number, fence, adapter, account, digest,"
            " payload_digest, steps, step, stamps, outcome, text, document, label, handle, evidence, started_at)"
            " VALUES (%s, %s, 1, 1, 'a', 'a', %s, '', '[]', 0, '{}', 'sending', '', '', '', '', '{}', now())",
            [pk, assessment.pk, assessment.digest],
        )
    with pytest.raises(Denied, match="never sent"):
        commit(fresh(test.proposal), actor=WORKER)
    with pytest.raises(DatabaseError, match="seeded_is_never_approved"), transaction.atomic():
        Proposal.objects.filter(pk=real.pk).update(state="revealed")
    with pytest.raises(DatabaseError, match=r"append-only|permission denied"), transaction.atomic():
        SeededTest.objects.filter(pk=test.pk).update(told="")


def test_no_figure_moves_by_a_test_neither_before_nor_after_it_is_answered(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    source(planner, people, erp)
    switch_on(people)
    before = figures(planner)
    tests = []
    for what in ("approve", "reject"):
        test = planted(people)
        assert figures(planner) == before
        answer(test, people, what)
        assert figures(planner) == before
        tests.append(test)
        LimitValue.objects.filter(name="seeded_share").update(value=5)
        erp_source = in_review(planner, promise(erp, days=35), "sales_order_promise")
        before = figures(planner)
        assert erp_source.seeded is False
    assert Proposal.objects.filter(seeded=True, state=State.REVEALED).count() == len(tests)


def test_the_agent_neither_sees_it_nor_is_held_up_by_it(
    test: SeededTest, planner: Planner, erp: SandboxProcess
) -> None:
    api = Client(headers=planner.headers)
    assert api.get(f"/api/v1/proposals/{test.proposal.ref}").status_code == 404
    assert test.proposal.ref not in api.get("/api/v1/proposals").content.decode()
    taken = api.post(
        f"/api/v1/proposals/{test.proposal.ref}/withdraw",
        json.dumps({"reason": "Mine?"}),
        content_type="application/json",
    )
    assert taken.status_code == 404
    planner.agent.pending_cap = 1
    planner.agent.save()
    assert in_review(planner, reschedule(erp)).state == State.IN_REVIEW


def test_tests_are_off_until_an_administrator_sets_their_share_and_less_takes_two(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    source(planner, people, erp)
    assert not seeded.due()
    assert seeded.plant() is None
    with pytest.raises(Refused, match="are off"):
        seeded.ask(by=people.dora, actor=named(people.dora))
    with pytest.raises(Denied, match="administrator"):
        seeded.ask(by=people.ana, actor=named(people.ana))
    switch_on(people)
    assert limits.of_attention()["seeded_share"] == Decimal(5)
    assert AuditEntry.objects.filter(verb="limit.set", chain="limit:attention.seeded_share").exists()
    less = set_value(SHARE, owner="attention", value="0", by=people.dora, actor=named(people.dora))
    assert isinstance(less, Widening)
    assert limits.of_attention()["seeded_share"] == Decimal(5)
    confirm(less, by=people.ben, actor=named(people.ben))
    assert limits.of_attention()["seeded_share"] == 0


def test_who_decides_may_not_ask_for_one_even_as_an_administrator(test: SeededTest, people: People) -> None:
    assert test.asked_by == people.dora
    people.dora.groups.add(people.ana.groups.get())
    del people.dora._countersign_roles  # type: ignore[attr-defined]
    with pytest.raises(Denied, match="would know the test"):
        seeded.ask(by=people.dora, actor=named(people.dora))


def test_the_share_holds_in_the_long_run_and_the_next_gap_cannot_be_told_from_the_last() -> None:
    for share in (0.02, 0.05):
        gaps = [seeded.gap(share, last) for last in range(4000)]
        mean = sum(gaps) / len(gaps)
        assert abs(1 / (1 + mean) - share) < share / 10, (share, mean)
        together = [one * two for one, two in pairwise(gaps)]
        assert abs(sum(together) / len(together) - mean * mean) < 0.15 * mean * mean


def test_beat_plants_one_when_as_many_came_as_chance_wanted_and_never_two(
    planner: Planner, people: People, erp: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch_on(people)
    monkeypatch.setattr(seeded, "gap", lambda _share, _last: 2)
    first = in_review(planner, promise(erp), "sales_order_promise")
    assert not seeded.due()
    second = in_review(planner, reschedule(erp))
    assert seeded.due()
    test = seeded.plant()
    assert test is not None
    assert test.source.pk in {first.pk, second.pk}
    assert seeded.plant() is None
    assert test.asked_by is None
    monkeypatch.setattr(seeded, "gap", lambda _share, _last: 0)
    assert not seeded.due(), "one waits already, and the queue is short"


def test_a_test_that_nobody_answers_expires_and_the_log_says_then_what_it_was(test: SeededTest) -> None:
    Proposal.objects.filter(pk=test.proposal.pk).update(expires_at=dt.datetime.now(dt.UTC))
    sweep(actor=WORKER)
    assert fresh(test.proposal).state == State.EXPIRED
    assert seeded.close(actor=WORKER) == 1
    assert seeded.close(actor=WORKER) == 0
    assert story(test.proposal)[-1] == "seeding.end"
    told = json.loads(AuditEntry.objects.get(verb="seeding.end").body)["detail"]
    assert (told["seeded"], told["path"]) == (True, test.path)
