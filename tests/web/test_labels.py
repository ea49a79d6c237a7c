"""The pages of double-checked labels: drawn by one, judged blind by another, told with n when all is judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Page

from console.access import person as named
from console.evals import labels
from console.models import EvalSuite, LabelCheck, LabelSample
from tests.cast import People
from tests.evals.frozen import NAME, case, suite

SignIn = Callable[[User], Client]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
LABELS = f"/evals/suites/{NAME}/1/labels"


@pytest.fixture
def cases(people: People) -> EvalSuite:
    """Forty cases: a sample of twenty."""
    assert people.ana.is_active
    return suite(case(number) for number in range(40))


def text_of(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


@pytest.mark.django_db
def test_a_sample_is_drawn_judged_blind_and_told_on_the_pages_of_suite_and_gate(
    people: People, signed_in: SignIn, cases: EvalSuite
) -> None:
    dora, ana = signed_in(people.dora), signed_in(people.ana)
    assert "10 cases with theirs" in text_of(dora, f"/evals/suites/{NAME}/")
    assert dora.get(LABELS).status_code == 404
    assert dora.post(f"{LABELS}/draw").status_code == 302
    sample = LabelSample.objects.get()
    assert sample.seed not in text_of(dora, f"/evals/suites/{NAME}/"), "it tells which outcomes are on record"
    page = text_of(ana, LABELS)
    assert "1 of 20" in page
    first = labels.upcoming(sample, people.ana)
    assert first is not None
    assert "acted" not in page, "not how sure the label is"
    kept = next(one["kept"] for one in sample.items if one["case"] == first[0].pk)
    truth = str((first[0].body["acceptable"][0] or {}).get("promised_date"))
    assert (truth in page) == (kept and first[1] is not None), (
        "the label stands there as the outcome or not at all"
    )
    refused = ana.post(LABELS, {"case": first[0].pk, "words": "Because."})
    assert refused.status_code == 422
    assert "Because." in refused.content.decode()
    for item in sample.items:
        assert "Insufficient" not in text_of(ana, f"/evals/suites/{NAME}/")
        said = "yes" if item["kept"] else "no"
        assert ana.post(LABELS, {"case": item["case"], "said": said}).status_code == 302
    assert "All judged" in text_of(ana, LABELS)
    again = ana.post(LABELS, {"case": first[0].pk, "said": "yes"}, follow=True)
    assert "Somebody judged this one" in again.content.decode()
    told = "Agreed on 20 of 20 outcomes. Cohen&#x27;s kappa 1.00 (0.67 to 1.00 with 95 % confidence); 0.8 is the goal."
    for path in (f"/evals/suites/{NAME}/", "/evals/"):
        page = text_of(dora, path)
        assert told in page
        assert "10 of 40 double-checked (25 %)" in page
    assert sample.seed in text_of(dora, f"/evals/suites/{NAME}/")
    assert labels.checked(cases).disputed == ()


@pytest.mark.django_db
def test_what_is_disputed_is_named_with_the_way_to_the_next_version(
    people: People, signed_in: SignIn, cases: EvalSuite
) -> None:
    sample = labels.draw(cases, by=people.dora, actor=named(people.dora))
    for item in sample.items:
        labels.judge(
            sample, item["case"], said="yes", words="It will do.", by=people.ana, actor=named(people.ana)
        )
    dora = signed_in(people.dora)
    page = text_of(dora, f"/evals/suites/{NAME}/")
    assert "below the goal of 0.8" in page
    assert "10 labels are disputed" in page
    assert "Another outcome was acceptable" in page
    assert "It will do." in page
    done = dora.post(f"/evals/suites/{NAME}/next", follow=True)
    assert "promises 2 is frozen" in done.content.decode()
    assert EvalSuite.objects.get(name=NAME, number=2).disputed == 10


@pytest.mark.browser
@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_labels_have_no_barrier_in_either_theme_and_fit_a_phone(
    browse: Callable[..., Page],
    people: People,
    cases: EvalSuite,
    scheme: str,
    width: int,
    tmp_path: Any,
) -> None:
    sample = labels.draw(cases, by=people.dora, actor=named(people.dora))
    page = browse("ana", scheme=scheme, width=width)
    for place, path in enumerate((LABELS, f"/evals/suites/{NAME}/")):
        page.goto(path)
        page.screenshot(path=tmp_path / f"{place}-{scheme}-{width}.png", full_page=True)
        found = Axe().run(page, options=RULES)
        assert found.violations_count == 0, found.generate_report()
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is {wide} px wider than the screen"
    page.get_by_role("link", name="Judge the next").click()
    page.get_by_label("Not acceptable").check()
    page.get_by_role("button", name="Next").click()
    page.get_by_text("2 of 20", exact=True).first.wait_for()
    assert LabelCheck.objects.get(sample=sample).judged == "no"
