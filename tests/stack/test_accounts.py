"""How a person's session ends."""

import pytest
from allauth.account.adapter import get_adapter
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, override_settings
from django.urls import path

from console.accounts import SEEN_AT, SIGNED_IN_AT

pytestmark = pytest.mark.django_db


def who(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.user.get_username())


urlpatterns = [path("who", who)]


@pytest.fixture
def person(client: Client) -> Client:
    client.force_login(User.objects.create_user("ada"))
    assert answer(client) == "ada"
    return client


def answer(client: Client, **headers: str) -> str:
    with override_settings(ROOT_URLCONF=__name__):
        return client.get("/who", headers=headers).content.decode()


def age(client: Client, **seconds: int) -> None:
    session = client.session
    for name, older in seconds.items():
        session[name] -= older
    session.save()


def test_an_idle_session_ends(person: Client) -> None:
    age(person, **{SEEN_AT: 31 * 60})
    assert answer(person) == ""


def test_a_session_in_use_ends_after_twelve_hours(person: Client) -> None:
    age(person, **{SIGNED_IN_AT: 12 * 3600 + 1})
    assert answer(person) == ""


def test_a_person_who_works_stays_signed_in(person: Client) -> None:
    age(person, **{SEEN_AT: 29 * 60})
    assert answer(person) == "ada"
    age(person, **{SEEN_AT: 29 * 60})
    assert answer(person) == "ada"


@pytest.mark.parametrize("header", [{"X-Background": "1"}, {"Accept": "text/event-stream"}])
def test_a_page_that_refreshes_itself_keeps_nobody_signed_in(person: Client, header: dict[str, str]) -> None:
    age(person, **{SEEN_AT: 29 * 60})
    assert answer(person, **header) == "ada"
    age(person, **{SEEN_AT: 2 * 60})
    assert answer(person) == ""


def test_reading_pages_does_not_write_the_session_each_time(
    person: Client, django_assert_num_queries: pytest.FixtureRequest
) -> None:
    with django_assert_num_queries(2):  # type: ignore[operator]  # the session and the person, no update
        answer(person)


def test_nobody_signs_up(rf: RequestFactory) -> None:
    assert not get_adapter().is_open_for_signup(rf.get("/"))
