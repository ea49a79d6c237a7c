"""Who must not decide cannot: not with an agent's key, not as its owner, not after a role or a session is gone."""

from __future__ import annotations

import re
import select
import socket

import httpx
import pytest
from django.contrib.sessions.models import Session

from console.access import DECIDES
from console.models import AuditEntry, Decision, Proposal
from console.web.urls import ROUTES
from tests.cast import People
from tests.journeys.person import Person, cookies
from tests.journeys.scene import Scene
from tests.lifecycle.corridor import reschedule
from tests.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
]


def waiting(scene: Scene, erp: SandboxProcess) -> tuple[str, str]:
    """A proposal in front of a supervisor: its reference and the digest on screen."""
    ref = scene.agent.propose("production_order_reschedule", reschedule(erp))
    digest: str = scene.agent.follow(ref, "in_review")["assessment"]["digest"]
    return ref, digest


def nothing_was_decided(ref: str) -> None:
    """It waits, as before."""
    assert Proposal.objects.get(ref=ref).state == "in_review"
    assert not Decision.objects.exists()


def answers(digest: str) -> dict[str, str]:
    """A form that fits every decision."""
    return {"seen": digest, "reason": "not_needed", "note": "It is not needed any more.", "happened": "yes"}


def test_an_agents_key_opens_no_door_to_a_decision(scene: Scene, erp: SandboxProcess) -> None:
    ref, digest = waiting(scene, erp)
    paths = [route.path.replace("<str:ref>", ref) for route in ROUTES if route.post == DECIDES]
    doors = [
        re.sub(r"<int:\w+>", "1", re.sub(r"<(str|slug):\w+>", "AN-000000000000", path)) for path in paths
    ]
    assert len(doors) >= 5
    for headers in (scene.planner.headers, {"Cookie": f"countersign_session={scene.planner.key}"}):
        with httpx.Client(base_url=scene.house.url, headers=headers, trust_env=False) as outside:
            for path in doors:
                assert outside.get(f"/{path}").status_code in {302, 405}
                assert outside.post(f"/{path}", data=answers(digest)).status_code in {302, 403}
    for verb in ("approve", "reject", "changes", "amend", "settle", "decisions"):
        told = scene.agent.http.post(f"proposals/{ref}/{verb}", json=answers(digest))
        assert told.status_code == 404, verb
        assert told.headers["Content-Type"] == "application/problem+json"
    nothing_was_decided(ref)


def test_a_refusal_never_cuts_the_line_while_the_message_is_on_its_way(scene: Scene) -> None:
    address = httpx.URL(scene.house.url)
    body = b'{"reason": "late"}'
    head = f"POST /api/v1/no/such/door HTTP/1.1\r\nHost: {address.host}:{address.port}\r\n"
    with (
        socket.create_connection((address.host, address.port or 80), timeout=20) as line,
        line.makefile("rb") as answers_of,
    ):
        for _ in range(2):
            line.sendall(
                f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            )
            # An answer that does not wait for the message would be here by then.
            assert select.select([line], [], [], 1)[0] == []
            line.sendall(body)
            assert b" 404 " in answers_of.readline()
            length = 0
            while (header := answers_of.readline().strip()) != b"":
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            assert b"nothing at this address" in answers_of.read(length)


def test_who_owns_the_agent_is_told_so_and_cannot_decide(scene: Scene, erp: SandboxProcess) -> None:
    ref, digest = waiting(scene, erp)
    oskar = scene.come(scene.people.oskar)
    oskar.go("")
    oskar.sees("Nothing waits for your decision")
    oskar.open(ref)
    oskar.sees("You own the agent Planner; somebody else has to decide.")
    assert oskar.page.get_by_role("link", name="Approve").count() == 0
    oskar.go(f"proposals/{ref}/approve")
    oskar.sees("You own the agent Planner; somebody else has to decide.")
    oskar.was_refused(403)
    told = by_hand(scene, oskar, ref, digest)
    assert (told.status_code, "You own the agent Planner" in told.text) == (403, True)
    nothing_was_decided(ref)


def by_hand(scene: Scene, person: Person, ref: str, digest: str) -> httpx.Response:
    """What a person sends who does not wait for a button: the form of an approval, with their own cookies."""
    known = cookies(person)
    return httpx.post(
        f"{scene.house.url}/proposals/{ref}/approve",
        data=answers(digest),
        headers={"X-CSRFToken": known["countersign_csrf"], "Referer": scene.house.url},
        cookies=known,
        trust_env=False,
    )


def test_an_auditor_and_an_administrator_see_it_and_cannot_decide(scene: Scene, erp: SandboxProcess) -> None:
    ref, digest = waiting(scene, erp)
    for user in (scene.people.cleo, scene.people.dora):
        person = scene.come(user)
        person.open(ref)
        person.sees_state("In review")
        assert person.page.get_by_role("link", name="Approve").count() == 0
        told = by_hand(scene, person, ref, digest)
        assert (told.status_code, "with the role supervisor may approve" in told.text) == (403, True)
    nothing_was_decided(ref)


def test_a_form_from_elsewhere_decides_nothing(scene: Scene, erp: SandboxProcess) -> None:
    ref, digest = waiting(scene, erp)
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    session = {"countersign_session": cookies(ana)["countersign_session"]}
    for more in ({}, {"countersign_csrf": "made-up"}):
        answer = httpx.post(
            f"{scene.house.url}/proposals/{ref}/approve",
            data=answers(digest),
            headers={"Origin": "http://elsewhere.example", "X-CSRFToken": "made-up"},
            cookies={**session, **more},
            trust_env=False,
        )
        assert answer.status_code == 403
    nothing_was_decided(ref)


def test_an_answer_after_the_session_was_ended_is_not_taken(scene: Scene, erp: SandboxProcess) -> None:
    ref, _ = waiting(scene, erp)
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    ana.choose("Approve")
    Session.objects.all().delete()
    ana.answer("Approve and send")
    ana.sees("Nothing is written that a person did not countersign.")
    nothing_was_decided(ref)


def test_an_answer_after_the_role_was_taken_away_is_not_taken_and_is_told(
    scene: Scene, people: People, erp: SandboxProcess
) -> None:
    ref, _ = waiting(scene, erp)
    ana = scene.come(people.ana)
    ana.open(ref)
    ana.choose("Approve")
    people.ana.groups.clear()
    ana.answer("Approve and send")
    ana.sees("Only a person with the role supervisor may approve.")
    ana.was_refused(403)
    nothing_was_decided(ref)
    refused = AuditEntry.objects.get(verb="access.refused")
    assert (refused.actor_label, refused.actor_kind) == ("Ana Kovač", "person")


def test_what_was_not_on_screen_cannot_be_approved(scene: Scene, erp: SandboxProcess) -> None:
    ref, digest = waiting(scene, erp)
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    for seen in ("", "0" * 64, digest[:-1]):
        assert by_hand(scene, ana, ref, seen).status_code == 409
    nothing_was_decided(ref)
    assert by_hand(scene, ana, ref, digest).status_code == 302
    scene.agent.follow(ref, "committed")
