"""The auditor's pages: find, read, prove, hand out; and nothing that could change anything."""

from __future__ import annotations

import csv
import io
import json
import runpy
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import transaction
from django.http import StreamingHttpResponse
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from console import audit, audit_check, audit_search, audit_tree
from console.audit import OPERATOR, WORKER, Actor
from console.canonical import canonical
from console.environment import ROOT
from console.models import AuditEntry
from tests.cast import People, Planner, propose

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]
AGENT = Actor(kind="agent", id="planner@1.0", label="Planner 1.0", via="key")


def facts(count: int, actor: Actor = OPERATOR, subject: str = "fact") -> None:
    with transaction.atomic():
        for number in range(count):
            audit.record("console.start", actor=actor, chain="console", subject=f"{subject} {number}")


def numbers(want: audit_search.Wanted, **place: int) -> list[int]:
    return [entry.pk for entry in audit_search.page(want, size=7, **place).entries]


def test_pages_go_back_and_forth_without_a_gap_or_a_repeat() -> None:
    facts(30)
    everything = list(AuditEntry.objects.order_by("-pk").values_list("pk", flat=True))
    want = audit_search.Wanted()
    seen: list[int] = []
    page = audit_search.page(want, size=7)
    pages = [page]
    seen += [entry.pk for entry in page.entries]
    while page.older:
        page = audit_search.page(want, older=page.older, size=7)
        pages.append(page)
        seen += [entry.pk for entry in page.entries]
    assert seen == everything
    for before, after in zip(reversed(pages[:-1]), reversed(pages[1:]), strict=True):
        back = audit_search.page(want, newer=after.newer, size=7)
        assert [entry.pk for entry in back.entries] == [entry.pk for entry in before.entries]
    assert pages[0].newer == 0


@settings(deadline=None, max_examples=300)
@given(st.integers(1, 1 << 27), st.integers(0, 1 << 26), st.booleans())
def test_the_parts_of_a_search_have_every_id_once_and_are_few_stretches_each(
    first: int, more: int, forward: bool
) -> None:
    last = first + more
    parts = list(audit_search.windows(first, last, forward=forward))
    ordered = parts if forward else parts[::-1]
    assert [ordered[0][1], ordered[-1][2]] == [first, last]
    assert all(before[2] + 1 == after[1] for before, after in pairwise(ordered))
    assert all((high >> bits) - (low >> bits) < 8 for bits, low, high in parts)
    assert len(parts) <= 5 + (more >> 24)


def test_a_search_for_words_goes_back_and_forth_over_the_borders_of_its_parts(
    planner: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    propose(planner)
    facts(12, AGENT, "sofa")
    facts(12)
    facts(12, AGENT, "sofa")
    last = AuditEntry.objects.latest("pk").pk

    def small(first: int, last: int, *, forward: bool) -> Iterator[tuple[int, int, int]]:
        parts = [(12, low, min(low + 4, last)) for low in range(first, last + 1, 5)]
        return iter(parts if forward else parts[::-1])

    monkeypatch.setattr(audit_search, "windows", small)
    everything = list(
        AuditEntry.objects.filter(words__contains="sofa").order_by("-pk").values_list("pk", flat=True)
    )
    for want in (
        audit_search.Wanted(text="sofa"),
        audit_search.Wanted(text="sofa", kind="agent", verb="console."),
        audit_search.Wanted(verb="console.start", kind="agent"),
        audit_search.Wanted(agent="planner", verb="console.start"),
    ):
        seen, page = [], audit_search.page(want, size=7)
        while page.entries:
            seen += [entry.pk for entry in page.entries]
            if not page.older:
                break
            page = audit_search.page(want, older=page.older, size=7)
        assert seen == everything, want
        back = audit_search.page(want, newer=everything[-1] - 1, size=7)
        assert [entry.pk for entry in back.entries] == everything[-7:]
        assert len(list(audit_search.ndjson(want))) == len(everything)
    for nothing in (
        audit_search.Wanted(text="!!"),
        audit_search.Wanted(text="sofa", kind="person"),
        audit_search.Wanted(text="sofa", agent="nobody"),
        audit_search.Wanted(text="sofa", verb="grant."),
        audit_search.Wanted(agent="planner", verb="grant.set"),
        audit_search.Wanted(text="12." + str(last >> 12)),
        audit_search.Wanted(text="' kagent'"),
        audit_search.Wanted(text="sofa' || %s %(x)s ' {}"),
    ):
        assert audit_search.page(nothing).entries == [], nothing


def test_entries_are_found_by_words_verb_kind_agent_proposal_and_day(planner: Planner) -> None:
    one = propose(planner)
    facts(2, AGENT, "sofa Łódź")
    facts(3)
    today = AuditEntry.objects.latest("pk").at.date().isoformat()

    def found(**given: str) -> int:
        return len(audit_search.page(audit_search.wanted(given)).entries)

    everything = AuditEntry.objects.count()
    assert found(text="sofa") == 2
    assert found(text="łódź 1") == 1
    assert found(text=one.ref.lower()) == 1
    assert found(verb="proposal.submit") == 1
    assert found(verb="console.") == 5
    assert found(kind="agent") == 3
    assert found(agent="planner") == 3
    assert found(proposal=one.ref.lower()) == 1
    assert found(chain="console") == 5
    assert found(since=today, until=today) == everything
    assert found(until="2026-01-01") == 0
    assert found(since="2099-01-01") == 0
    assert found(verb="console.", kind="agent", since=today) == 2


def test_a_search_that_cannot_be_understood_says_every_reason(people: People, signed_in: SignIn) -> None:
    answer = signed_in(people.cleo).get(
        "/audit/", {"since": "2026-13-45", "kind": "robot", "verb": "proposal.eat"}
    )
    assert answer.status_code == 422
    text = answer.content.decode()
    for part in ("2026-13-45 is not a date", "no kind of actor robot", "no audit verb proposal.eat"):
        assert part in text


def test_an_entry_shows_its_body_its_hash_its_place_and_gives_a_receipt(
    people: People, signed_in: SignIn
) -> None:
    facts(3)
    entry = AuditEntry.objects.earliest("pk")
    cleo = signed_in(people.cleo)
    waiting = cleo.get(f"/audit/{entry.pk}/").content.decode()
    assert "waits for its place" in waiting
    assert cleo.get(f"/audit/{entry.pk}/receipt").status_code == 404
    audit_tree.sequence(actor=WORKER)
    page = cleo.get(f"/audit/{entry.pk}/").content.decode()
    for part in (entry.hash, "matches its hash", "number 0", "fact 0", audit_tree.verifier_key()):
        assert part in page
    receipt = cleo.get(f"/audit/{entry.pk}/receipt")
    assert "attachment" in receipt["Content-Disposition"]
    verify = runpy.run_path(str(ROOT / "static" / "verify_receipt.py"))["verify"]
    assert verify(receipt.content.decode(), audit_tree.verifier_key())["entry"]["subject"] == "fact 0"
    note = cleo.get("/audit/checkpoint").content.decode()
    assert audit_check.check(against=[note]).faults == []


def test_the_story_of_a_proposal_is_one_page(people: People, planner: Planner, signed_in: SignIn) -> None:
    one = propose(planner)
    page = signed_in(people.cleo).get(f"/audit/proposals/{one.ref}/").content.decode()
    for part in (
        one.ref,
        "Planner 1.0",
        "proposed",
        "planned_start",
        "The material arrives three days later",
    ):
        assert part in page


def test_what_an_agent_wrote_stays_text(people: People, signed_in: SignIn) -> None:
    facts(1, AGENT, "<script>alert(1)</script>\u202e")
    answer = signed_in(people.cleo).get("/audit/").content.decode()
    assert "<script>alert" not in answer
    assert "\u202e" not in answer
    assert "U+202E" in answer


def exported(answer: object) -> str:
    assert isinstance(answer, StreamingHttpResponse)
    return b"".join(answer.streaming_content).decode()  # type: ignore[arg-type]


def test_an_export_is_complete_inert_and_itself_an_entry(people: People, signed_in: SignIn) -> None:
    facts(2, OPERATOR, "=HYPERLINK(1)")
    facts(1, OPERATOR, 'plain, with "quotes"')
    text = exported(signed_in(people.cleo).get("/audit/export", {"format": "csv", "verb": "console.start"}))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["subject"] for row in rows] == [
        "'=HYPERLINK(1) 0",
        "'=HYPERLINK(1) 1",
        'plain, with "quotes" 0',
    ]
    entry = AuditEntry.objects.get(verb="audit.export")
    assert entry.actor_id == str(people.cleo.pk)
    assert json.loads(entry.body)["detail"] == {"verb": "console.start"}


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\uff1d1"])
def test_no_cell_of_a_csv_is_a_formula(start: str) -> None:
    assert audit_search.inert(start) == f"'{start}"
    assert audit_search.inert("a=1") == "a=1"


def test_every_line_of_an_ndjson_export_can_be_proven_again(people: People, signed_in: SignIn) -> None:
    facts(3, OPERATOR, "Ünïcödé \u2028")
    text = exported(signed_in(people.cleo).get("/audit/export", {"format": "ndjson"}))
    lines = [json.loads(line) for line in text.split("\n") if line]
    assert [line["id"] for line in lines] == list(
        AuditEntry.objects.order_by("pk").values_list("pk", flat=True)
    )
    for line in lines:
        body = canonical(line["body"])
        assert audit.entry_hash(line["previous"], int(line["at_microseconds"]), body) == line["hash"]


def test_only_auditors_export(people: People, signed_in: SignIn) -> None:
    for user, status in ((people.ana, 403), (people.dora, 403), (people.cleo, 200)):
        assert signed_in(user).get("/audit/export?format=csv").status_code == status
    assert signed_in(people.cleo).get("/audit/export?format=xls").status_code == 422


def test_the_page_says_when_the_sequencer_does_not_run(people: People, signed_in: SignIn) -> None:
    facts(1)
    assert "No checkpoint yet" in signed_in(people.cleo).get("/audit/").content.decode()
    audit_tree.sequence(actor=WORKER)
    assert "1 entries are sealed" in signed_in(people.cleo).get("/audit/").content.decode().replace(
        "\u202f", ""
    )


def test_the_command_line_hands_out_the_same(people: People, signed_in: SignIn) -> None:
    facts(2)
    for form in ("csv", "ndjson"):
        said = io.StringIO()
        call_command("export_audit", format=form, verb="console.start", stdout=said)
        asked = {"format": form, "verb": "console.start"}
        assert said.getvalue() == exported(signed_in(people.cleo).get("/audit/export", asked))
    assert AuditEntry.objects.filter(verb="audit.export", actor_kind="operator").count() == 2
    with pytest.raises(CommandError, match="2026-99-99 is not a date"):
        call_command("export_audit", since="2026-99-99")
