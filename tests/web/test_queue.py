"""The queue: what it shows, in which order, what it counts, and what it costs."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.access import person as named
from console.lifecycle import review
from console.models import Agent, KillSwitch, Proposal, Risk, Scope, State
from tests.cast import People, Planner, version
from tests.lifecycle.corridor import promise
from tests.sandbox import SandboxProcess
from tests.web.conftest import Make, seen

pytestmark = pytest.mark.django_db
Sign = Callable[[User], Client]


def rows(client: Client, query: str = "") -> list[str]:
    """The references in the list, in order."""
    answer = client.get(f"/{query}")
    assert answer.status_code == 200
    return re.findall(r'id="row-(CS-[0-9A-Z]{12})"', answer.content.decode())


def spread(planner: Planner, count: int) -> list[Proposal]:
    """Rows in review with different risk, value and time, without the ERP: only the list reads them.

    Written by SQL in one go with their audit entries, because the database refuses a state without one.
    """
    grant = planner.version.grants.get(name="production_order_reschedule")
    made = [
        Proposal(
            ref=f"CS-{place:012d}",
            agent_version=planner.version,
            grant=grant,
            connection=grant.connection,
            transaction_type=grant.name,
            type_version=1,
            autonomy="propose",
            label=f"MO-{place:05d} Table",
            state=State.IN_REVIEW,
            state_since=Now(),
            risk=place % 3,
            value_amount=Decimal(place * 7 % 11) if place % 4 else None,
            value_currency="EUR" if place % 4 else "",
            submitted_at=Now(),
            expires_at=timezone.now() + dt.timedelta(minutes=60 + place * 13 % 17),
        )
        for place in range(count)
    ]
    Proposal.objects.bulk_create(made)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO console_auditentry (chain, proposal_id, proposal_version, verb, actor_kind, actor_id,"
            " actor_label, words, body, at, previous, hash) SELECT 'proposal:' || ref, id, 0, 'proposal.submit',"
            " 'operator', 'operator', 'Operator', ref, '{}', now(), '', '' FROM console_proposal p"
            " WHERE NOT EXISTS (SELECT 1 FROM console_auditentry e WHERE e.proposal_id = p.id)"
        )
    return list(Proposal.objects.order_by("id"))


def walk(client: Client, sort: str) -> list[str]:
    """Every page of a sort, one after the other."""
    found, query = [], f"?group=waiting&sort={sort}"
    for _ in range(50):
        answer = client.get(f"/{query}").content.decode()
        found += re.findall(r'id="row-(CS-[0-9A-Z]{12})"', answer)
        following = re.search(r'href="(\?[^"]*after=[^"]+)">Next', answer)
        if following is None:
            return found
        query = following.group(1).replace("&amp;", "&")
    raise AssertionError("the pages never end")


@pytest.mark.parametrize("sort", ["risk", "money", "time", "newest"])
def test_every_page_together_is_the_whole_list_once_and_in_order(
    planner: Planner, people: People, signed_in: Sign, sort: str
) -> None:
    made = spread(planner, 83)
    lowest = Decimal(-1)
    order = {
        "risk": lambda p: (-p.risk, p.pk),
        "money": lambda p: (-(p.value_amount if p.value_amount is not None else lowest), p.pk),
        "time": lambda p: (p.expires_at, p.pk),
        "newest": lambda p: -p.pk,
    }[sort]
    assert walk(signed_in(people.ana), sort) == [p.ref for p in sorted(made, key=order)]


def test_a_made_up_place_to_go_on_from_shows_the_start(
    planner: Planner, people: People, signed_in: Sign
) -> None:
    spread(planner, 3)
    assert len(rows(signed_in(people.ana), "?group=waiting&after=forged")) == 3


def test_counts_are_what_the_lists_show(
    people: People, waiting: Make, erp: SandboxProcess, signed_in: Sign
) -> None:
    made = [waiting(), waiting(promise(erp), "sales_order_promise")]
    review.approve(made[0], by=people.ben, seen=seen(made[0]).digest, actor=named(people.ben))
    client = signed_in(people.ana)
    page = client.get("/?group=waiting").content.decode()
    for group, count in re.findall(
        r'href="\?group=([a-z-]+)[^"]*"[^>]*>[^<]+<span class="count[^"]*">([0-9,+]+)</span>', page
    ):
        assert len(rows(client, f"?group={group}")) == int(count), group


def test_my_list_leaves_out_what_i_answered_and_what_my_agents_propose(
    people: People, big: Proposal, signed_in: Sign
) -> None:
    assert rows(signed_in(people.ana)) == [big.ref]
    review.approve(big, by=people.ana, seen=seen(big).digest, actor=named(people.ana))
    assert rows(signed_in(people.ana)) == []
    assert rows(signed_in(people.ben)) == [big.ref]
    assert rows(signed_in(people.oskar)) == [], "he owns the agent"
    assert rows(signed_in(people.oskar), "?group=waiting") == [big.ref]
    assert b"1 of 2" in signed_in(people.ben).get("/").content


def test_the_line_says_what_changes(
    people: People, waiting: Make, erp: SandboxProcess, signed_in: Sign
) -> None:
    order = erp.find("sale", state="confirmed")
    waiting({"order": order["key"], "promised_date": "2026-12-18"}, "sales_order_promise")
    page = signed_in(people.ana).get("/").content.decode()
    assert "Fri 18 Dec" in page
    assert order["number"] in page
    assert "→" in page


@pytest.mark.parametrize("words", ["ref", "label", "target"])
def test_search_finds_by_reference_label_and_target(
    people: People, waiting: Make, signed_in: Sign, words: str
) -> None:
    one = waiting()
    text = {"ref": one.ref.lower(), "label": one.label.split()[0].lower(), "target": one.target}[words]
    client = signed_in(people.ana)
    assert rows(client, f"?q={text}") == [one.ref]
    assert rows(client, "?q=no-such-thing") == []


def test_a_whole_reference_is_found_from_every_tab(people: People, waiting: Make, signed_in: Sign) -> None:
    one = waiting()
    review.reject(one, by=people.ana, seen=seen(one).digest, actor=named(people.ana), reason="not_needed")
    assert rows(signed_in(people.ana), f"?group=waiting&q={one.ref}") == [one.ref]
    assert rows(signed_in(people.ana), f"?group=done&q={one.label.split()[0]}") == [one.ref]


def test_filters_narrow_by_type_agent_and_system(
    people: People, waiting: Make, erp: SandboxProcess, signed_in: Sign
) -> None:
    one, other = waiting(), waiting(promise(erp), "sales_order_promise")
    client = signed_in(people.ana)
    assert rows(client, "?type=sales_order_promise") == [other.ref]
    assert set(rows(client, "?agent=planner&connection=plant")) == {one.ref, other.ref}
    assert rows(client, "?agent=somebody-else") == []


def test_wrong_parameters_show_the_list_instead_of_an_error(
    people: People, waiting: Make, signed_in: Sign
) -> None:
    one = waiting()
    assert rows(signed_in(people.ana), "?group=x&sort=y&after=z&type=&q=") == [one.ref]


def test_a_thrown_switch_is_on_the_page_and_its_proposals_are_held(
    people: People, waiting: Make, signed_in: Sign
) -> None:
    one = waiting()
    client = signed_in(people.cleo)
    assert rows(client, "?group=held") == []
    KillSwitch.objects.create(
        scope=Scope.TYPE,
        value=one.transaction_type,
        reason="Wrong dates <b>since</b> noon",
        thrown_by=people.dora,
        thrown_at=Now(),
    )
    assert rows(client, "?group=held") == [one.ref]
    page = client.get("/keys").content.decode()
    assert "Wrong dates &lt;b&gt;since&lt;/b&gt; noon" in page
    assert "Dora Lind" in page


def test_a_frozen_grant_holds_its_proposals(people: People, waiting: Make, signed_in: Sign) -> None:
    one = waiting()
    one.grant.frozen_at, one.grant.frozen_reason = timezone.now(), "too many overrides"
    one.grant.save()
    assert rows(signed_in(people.ana), "?group=held") == [one.ref]
    assert b"too many overrides" in signed_in(people.ana).get(f"/proposals/{one.ref}/").content


def test_somebody_else_looking_is_shown(people: People, waiting: Make, signed_in: Sign) -> None:
    one = waiting()
    signed_in(people.ben).get(f"/proposals/{one.ref}/")
    assert b"Ben Okafor" in signed_in(people.ana).get("/").content
    assert b"is looking" not in signed_in(people.ben).get("/").content


def test_an_unchanged_list_costs_no_bytes(people: People, waiting: Make, signed_in: Sign) -> None:
    one = waiting()
    client = signed_in(people.ana)
    first = client.get("/", headers={"HX-Request": "true"})
    assert b"<html" not in first.content
    etag = re.search(r'"If-None-Match":"([0-9a-f]+)"', first.content.decode())
    assert etag is not None
    asked = {"HX-Request": "true", "If-None-Match": etag.group(1)}
    assert client.get("/", headers=asked).status_code == 304
    review.reject(one, by=people.ben, seen=seen(one).digest, actor=named(people.ben), reason="not_needed")
    assert client.get("/", headers=asked).status_code == 200


def test_the_list_costs_as_many_statements_for_many_as_for_few(
    planner: Planner, people: People, waiting: Make, signed_in: Sign
) -> None:
    waiting()
    client = signed_in(people.ana)

    def statements() -> int:
        with CaptureQueriesContext(connection) as run:
            assert client.get("/").status_code == 200
        return len(run)

    statements()
    few = statements()
    spread(planner, 60)
    version(Agent.objects.create(slug="other", title="Other", owner=people.oskar))
    assert statements() == few
    assert few <= 16


def test_somebody_without_a_role_sees_nothing_of_the_plant(waiting: Make, signed_in: Sign) -> None:
    one = waiting()
    page = signed_in(User.objects.create_user("nora")).get("/")
    assert page.status_code == 200
    assert one.ref.encode() not in page.content
    assert b"no role yet" in page.content


def test_labels_from_the_system_are_inert(planner: Planner, people: People, signed_in: Sign) -> None:
    spread(planner, 1)
    Proposal.objects.update(label="<img src=x onerror=alert(1)>\u202eevil")
    page = signed_in(people.ana).get("/?group=waiting").content.decode()
    assert "<img src=x" not in page
    assert "U+202E" in page


def test_risks_are_in_words(planner: Planner, people: People, signed_in: Sign) -> None:
    spread(planner, 3)
    page = signed_in(people.ana).get("/?group=waiting").content.decode()
    for risk in Risk:
        assert f"{risk.label} risk" in page
