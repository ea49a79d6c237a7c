"""The kill switch's page: two clicks to stop, two people to go on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from console.errors import Held
from console.models import KillSwitch, Widening
from tests.cast import People, Planner, propose

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]


def test_the_first_click_asks_back_with_what_it_would_hold(
    people: People, planner: Planner, signed_in: SignIn
) -> None:
    propose(planner)
    answer = signed_in(people.ana).post("/stop/", {"what": "agent:planner", "reason": "wrong dates"})
    assert "Stop agent Planner?" in answer.content.decode()
    assert "1 open proposal stays where it is" in answer.content.decode()
    assert not KillSwitch.objects.exists()


def test_the_second_click_stops_and_every_page_says_so(
    people: People, planner: Planner, signed_in: SignIn
) -> None:
    ana = signed_in(people.ana)
    ana.post("/stop/", {"what": "agent:planner", "reason": "wrong dates", "sure": "1"})
    with pytest.raises(Held, match="wrong dates"):
        propose(planner)
    assert "wrong dates" in signed_in(people.cleo).get("/agents/").content.decode()


def test_it_goes_on_only_when_a_second_person_confirms(
    people: People, planner: Planner, signed_in: SignIn
) -> None:
    ana, ben = signed_in(people.ana), signed_in(people.ben)
    ana.post("/stop/", {"what": "everything:", "reason": "fire", "sure": "1"})
    thrown = KillSwitch.objects.get()
    ana.post(f"/stop/{thrown.pk}/lift", {"reason": "the fire is out"})
    asked = Widening.objects.get()
    assert ana.post(f"/administration/widenings/{asked.pk}/confirm").status_code == 403
    with pytest.raises(Held):
        propose(planner)
    ben.post(f"/administration/widenings/{asked.pk}/confirm")
    propose(planner)
    page = ben.get("/stop/").content.decode()
    assert "Nothing is stopped" in page
    assert "the fire is out" in page


@pytest.mark.parametrize(
    "form", [{"what": "everything:"}, {"reason": "x"}, {"what": "moon:x", "reason": "x"}]
)
def test_a_stop_without_what_or_why_says_so_and_stops_nothing(
    form: dict[str, str], people: People, signed_in: SignIn
) -> None:
    assert signed_in(people.ana).post("/stop/", {**form, "sure": "1"}).status_code == 422
    assert not KillSwitch.objects.exists()


def test_auditors_see_and_cannot_throw(people: People, signed_in: SignIn) -> None:
    cleo = signed_in(people.cleo)
    assert "Throw the kill switch" not in cleo.get("/stop/").content.decode()
    assert cleo.post("/stop/", {"what": "everything:", "reason": "x", "sure": "1"}).status_code == 403
