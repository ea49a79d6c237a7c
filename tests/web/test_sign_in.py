"""Signing in and out: recorded, throttled by allauth, telling nothing to strangers."""

from __future__ import annotations

import pytest
from django.test import Client

from console.models import AuditEntry
from tests.cast import PASSWORD, People

pytestmark = pytest.mark.django_db
WRONG = "not the password at all"


def told(verb: str) -> list[tuple[str, str]]:
    """Whom entries of this verb are about, and what their text is."""
    return list(AuditEntry.objects.filter(verb=verb).order_by("id").values_list("actor_label", "body"))


def test_signing_in_and_out_is_recorded(people: People, client: Client) -> None:
    page = client.post("/account/login/", {"login": people.ana.username, "password": PASSWORD})
    assert page.status_code == 302
    assert [who for who, _ in told("person.sign_in")] == ["Ana Kovač"]
    client.post("/account/logout/")
    assert [who for who, _ in told("person.sign_out")] == ["Ana Kovač"]
    assert client.get("/").status_code == 302


def test_a_failure_is_recorded_without_what_was_typed(people: People, client: Client) -> None:
    client.post("/account/login/", {"login": people.ana.username, "password": WRONG})
    client.post("/account/login/", {"login": "hunter2-typed-in-the-wrong-box", "password": WRONG})
    entries = told("person.sign_in_failed")
    assert [who for who, _ in entries] == ["ana", "a name that nobody has"]
    assert not any(WRONG in body or "hunter2" in body for _, body in entries)


def test_a_wrong_name_and_a_wrong_password_look_the_same(people: People, client: Client) -> None:
    known = client.post("/account/login/", {"login": people.ana.username, "password": WRONG})
    unknown = client.post("/account/login/", {"login": "ann", "password": WRONG})
    assert known.status_code == unknown.status_code == 200
    wrong = [list(page.context["form"].non_field_errors()) for page in (known, unknown)]
    assert wrong[0] == wrong[1]
    assert wrong[0]


def test_nobody_signs_up(client: Client) -> None:
    page = client.post(
        "/account/signup/", {"username": "mallory", "password1": PASSWORD, "password2": PASSWORD}
    )
    assert b"closed" in page.content.lower()


def test_the_sign_in_page_shows_nothing_of_the_plant(people: People, client: Client) -> None:
    page = client.get("/account/login/").content.decode()
    assert people.ana.username not in page
    assert "Kill switch" not in page
    assert 'class="nav"' not in page


def test_a_page_after_sign_in_elsewhere_is_refused(people: People, client: Client) -> None:
    page = client.post(
        "/account/login/?next=https://evil.example/", {"login": people.ana.username, "password": PASSWORD}
    )
    assert page.status_code == 302
    assert "evil" not in page["Location"]


def test_the_theme_is_kept_in_a_cookie_and_goes_nowhere_else(people: People, client: Client) -> None:
    client.force_login(people.ana)
    page = client.post("/theme", {"theme": "dark", "back": "https://evil.example/"})
    assert page["Location"] == "/"
    assert 'data-theme="dark"' in client.get("/").content.decode()
    client.post("/theme", {"theme": "<script>", "back": "/"})
    assert 'data-theme="auto"' in client.get("/").content.decode()
