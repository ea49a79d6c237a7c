"""The pages of live answers: beside what was read, marked in one step, with the record it makes on the agent's page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page

from console import references
from console.catalogue import read_tools
from console.models import AcceptedCase, AnswerCited, AnswerMark, Connection, Incident, LiveAnswer, Reading
from tests.cast import People, Planner, agent, version

SignIn = Callable[[User], Client]
TOOL = "order_status_exceptions"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture
def answered(planner: Planner, plant: Connection) -> Callable[..., LiveAnswer]:
    """A factory of answers of the planner, each with one reading."""

    def make(question: str = "Which order is the most urgent?", by: Planner = planner) -> LiveAnswer:
        reading = Reading.objects.create(
            ref=references.new("RD"),
            agent_version=by.version,
            key_id="k",
            tool=TOOL,
            tool_version=1,
            connection=plant,
            arguments={"limit": 20},
            outcome="answered",
            answer=dict(read_tools()[TOOL].sample_answer),
            as_of=timezone.now(),
            source="Sandbox HTTP",
            quality="good",
            latency_ms=1,
            at=timezone.now(),
        )
        made = LiveAnswer.objects.create(
            ref=references.new("AN"),
            agent_version=by.version,
            key_id="k",
            tool=TOOL,
            tool_version=1,
            question=question,
            given={"order": "MO-0017 Oak table 180", "lacks": ["Oak board 40 mm", "Screw"], "found": 1},
            rationale="It stands first, and <b>nothing</b> else is worse.",
            key=references.new("KY"),
            fingerprint="",
            at=timezone.now(),
        )
        AnswerCited.objects.create(answer=made, reading=reading)
        return made

    return make


def text_of(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


@pytest.mark.django_db
def test_without_answers_the_pages_say_where_they_come_from(
    people: People, signed_in: SignIn, planner: Planner
) -> None:
    client = signed_in(people.ana)
    assert "POST /api/v1/answers" in text_of(client, "/evals/answers/")
    assert "Nothing is marked yet" in text_of(client, "/evals/answers/?show=marked")
    assert "POST /api/v1/answers" in text_of(client, f"/agents/{planner.agent.slug}/")
    assert client.get("/evals/answers/AN-000000000000/").status_code == 404


@pytest.mark.django_db
def test_a_supervisor_sees_the_reading_beside_the_answer_marks_it_and_goes_on_to_the_next(
    people: People, signed_in: SignIn, planner: Planner, answered: Callable[..., LiveAnswer]
) -> None:
    first, second = answered(), answered("Is anything late?")
    client = signed_in(people.ana)
    assert "2 to mark" in text_of(client, "/evals/")
    page = text_of(client, f"/evals/answers/{first.ref}/")
    assert "36 Square metre needed" in page
    assert "Oak board 40 mm, Screw" in page
    assert "&lt;b&gt;nothing" in page
    heads = re.findall(r'<th scope="col">([^<]*)', page)
    assert heads[:3] == ["label", "reason", "missing"], "what the answer is about comes first"
    assert heads[3:5] == ["kind", "key"]
    url = f"/evals/answers/{first.ref}/mark"
    refused = client.post(url, {"said": "wrong", "words": "It is MO-0012."})
    assert refused.status_code == 422
    assert "Choose what was wrong" in refused.content.decode()
    assert "It is MO-0012." in refused.content.decode(), "what was typed stays"
    sent = {"said": "wrong", "mistake": "misread", "words": "It is MO-0012."}
    after = client.post(url, sent, follow=True)
    assert after.redirect_chain[-1][0] == f"/evals/answers/{second.ref}/?marked={first.ref}"
    done = client.post(f"/evals/answers/{second.ref}/mark", {"said": "right"}, follow=True)
    assert "No other answer waits for you" in done.content.decode()
    marked = text_of(client, "/evals/answers/?show=marked")
    assert (">wrong</span>" in marked, ">right</span>" in marked) == (True, True)
    assert "It says something else than the reading" in text_of(client, f"/evals/answers/{first.ref}/")
    record = text_of(client, f"/agents/{planner.agent.slug}/")
    assert "1 of 2 right (9 to 91 % with 95 % confidence)" in record
    assert "Too few to tell. 92 more right ones" in record


@pytest.mark.django_db
def test_who_marks_the_answer_that_costs_an_agent_its_writes_sees_that_and_where_to_go(
    people: People, signed_in: SignIn, answered: Callable[..., LiveAnswer]
) -> None:
    first, second = answered(), answered("Is anything late?")
    client = signed_in(people.ana)
    sent = {"said": "wrong", "mistake": "misread", "words": "It is MO-0012."}
    client.post(f"/evals/answers/{first.ref}/mark", sent)
    after = client.post(f"/evals/answers/{second.ref}/mark", sent, follow=True)
    assert after.redirect_chain[-1][0] == f"/evals/answers/{second.ref}/"
    page = after.content.decode()
    assert "put what Planner 1.0 may write back into shadow" in page
    opened = Incident.objects.filter(kind="answers_wrong").first()
    assert opened is not None
    assert f'href="/administration/incidents/{opened.pk}/"' in page
    told = text_of(client, f"/administration/incidents/{opened.pk}/")
    assert "People marked 2 of 2 of its answers wrong, which rules out that 90 % are right." in told
    again = client.post(f"/evals/answers/{second.ref}/mark", sent)
    assert again["Location"].endswith(f"?marked={second.ref}"), "a mark that costs nothing more goes on"
    assert "back into shadow.</strong>" not in text_of(client, f"/evals/answers/{first.ref}/")


@pytest.mark.django_db
def test_an_owner_gets_no_form_and_is_not_led_to_their_own_agents_answers(
    people: People, signed_in: SignIn, planner: Planner, answered: Callable[..., LiveAnswer]
) -> None:
    anas = version(agent(people.ana, "anas"))
    answered()
    answered("Of Ana's own", by=replace(planner, agent=anas.agent, version=anas))
    other = answered()
    page = text_of(signed_in(people.oskar), f"/evals/answers/{other.ref}/")
    assert "You own the agent Planner" in page
    assert "Mark it" not in page
    refused = signed_in(people.oskar).post(f"/evals/answers/{other.ref}/mark", {"said": "right"})
    assert (refused.status_code, AnswerMark.objects.count()) == (403, 0)
    first = LiveAnswer.objects.earliest("id")
    after = signed_in(people.ana).post(f"/evals/answers/{first.ref}/mark", {"said": "unsure"})
    assert other.ref in after["Location"]


@pytest.mark.django_db
def test_a_marked_answer_is_made_a_case_and_bad_json_keeps_what_was_typed(
    people: People, signed_in: SignIn, answered: Callable[..., LiveAnswer]
) -> None:
    one = answered()
    client = signed_in(people.ana)
    url = f"/evals/answers/{one.ref}/case"
    assert "Nobody has said yet" in client.get(url).content.decode()
    client.post(
        f"/evals/answers/{one.ref}/mark", {"said": "wrong", "mistake": "other", "words": "No: MO-0012."}
    )
    sent = {"words": "Which?", "split": "public", "critical": "order", "right": '{"order": '}
    refused = client.post(url, sent)
    assert refused.status_code == 422
    assert "{&quot;order&quot;: " in refused.content.decode()
    done = client.post(url, {**sent, "right": '{"order": "MO-0012"}'}, follow=True)
    assert "It joins the next version of order-status-exceptions" in done.content.decode()
    assert AcceptedCase.objects.get(answer=one).body["acceptable"] == [{"order": "MO-0012"}]
    assert "is a case already" in text_of(client, url)


@pytest.mark.browser
@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_answers_have_no_barrier_in_either_theme_and_fit_a_phone(
    browse: Callable[..., Page],
    people: People,
    planner: Planner,
    answered: Callable[..., LiveAnswer],
    scheme: str,
    width: int,
    tmp_path: Any,
) -> None:
    first, second = answered(), answered("How many orders are in trouble, and which is the most urgent?")
    marked = {"answer": second, "mark": "wrong", "mistake": "misread", "words": "No.", "at": timezone.now()}
    AnswerMark.objects.create(by=people.ben, **marked)
    page = browse("ana", scheme=scheme, width=width)
    paths = (
        "/evals/answers/",
        f"/evals/answers/{first.ref}/",
        f"/evals/answers/{second.ref}/case",
        f"/agents/{planner.agent.slug}/",
        "/evals/",
    )
    for place, path in enumerate(paths):
        page.goto(path)
        page.screenshot(path=tmp_path / f"{place}-{scheme}-{width}.png", full_page=True)
        found = Axe().run(page, options=RULES)
        assert found.violations_count == 0, found.generate_report()
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is {wide} px wider than the screen"
    if width > 1000:
        page.goto("/evals/answers/")
        page.get_by_role("link", name="Look and mark").click()
        page.get_by_label("Right", exact=True).check()
        page.get_by_role("button", name="Mark it").click()
        page.get_by_text("No other answer waits for you").wait_for()
        assert set(first.marks.values_list("mark", flat=True)) == {"right"}
