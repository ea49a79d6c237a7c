"""Every route x method x role: the table in `console.web.urls` is what the server does, and there is no other page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from console.access import Role, roles
from console.models import AuditEntry, Proposal
from console.web.guards import NOBODY, SIGNED_IN, Route
from console.web.urls import ROUTES
from tests.cast import People, person
from tests.web.conftest import Make

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
REFUSED = {403, 405}
OTHER_DOORS = ("api/", "account/", "live", "ready", "metrics", "static/", "hooks/", "callbacks/")
"""Doors with tests of their own, and allauth's pages, which decide for themselves."""

ARGUMENTS: dict[str, dict[str, Any]] = {}
"""URL name -> arguments, for routes that want others than the proposal's reference or a made-up name."""


def arguments(route: Route, proposal: Proposal) -> dict[str, Any]:
    """Something to put into a route's path: the proposal where one is wanted, else what does not exist."""
    if route.name in ARGUMENTS:
        return ARGUMENTS[route.name]
    found: dict[str, Any] = {}
    for name, converter in route.pattern().pattern.converters.items():
        kind = type(converter).__name__
        found[name] = proposal.ref if name == "ref" else 999_999 if kind == "IntConverter" else "none-such"
    return found


@pytest.fixture
def everybody(people: People) -> dict[str, User | None]:
    return {
        "anonymous": None,
        "no role": person("nora"),
        "supervisor": people.ana,
        "technician": person("tina", "technician"),
        "auditor": people.cleo,
        "administrator": people.dora,
    }


@pytest.mark.django_db
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_the_server_does_what_the_table_says(
    route: Route, everybody: dict[str, User | None], waiting: Make
) -> None:
    url = reverse(route.name, kwargs=arguments(route, waiting()))
    for who, user in everybody.items():
        for method in METHODS:
            client = Client(raise_request_exception=True)
            if user is not None:
                client.force_login(user)
            status = client.generic(method, url).status_code
            held = roles(user) if user is not None else frozenset()
            what = f"{who} {method} {url} gave {status}"
            if method not in route.methods:
                assert status == 405, what
            elif route.allows(method, held, signed_in=user is not None):
                assert status not in REFUSED, what
            elif user is None:
                assert status == 302, what
            else:
                assert status == 403, what


def patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Every pattern there is, with its whole path."""
    for one in resolver.url_patterns:
        path = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from patterns(one, path)
        else:
            yield path, one


def test_there_is_no_page_outside_the_table() -> None:
    declared = {route.path for route in ROUTES}
    for path, pattern in patterns(get_resolver()):
        if path.startswith(OTHER_DOORS):
            continue
        assert path in declared, f"{path} is not a Route"
        assert getattr(pattern.callback, "route", None) in ROUTES, f"{path} is not guarded"


def test_a_route_that_does_not_say_who_may_use_it_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not say who may use it"):
        Route("forgotten", lambda _: HttpResponse(), "forgotten")


def test_only_supervisors_decide_and_auditors_change_nothing() -> None:
    for route in ROUTES:
        allowed = route.methods.get("POST", NOBODY)
        if route.name in {"approve", "reject", "request-changes", "amend", "settle"}:
            assert allowed == {Role.SUPERVISOR}, route.name
        if Role.AUDITOR in allowed:
            assert "export" in route.name, f"{route.name} lets auditors post"
        assert allowed != SIGNED_IN, f"{route.name} lets people without a role post"


@pytest.mark.django_db
def test_names_in_the_table_are_used_once() -> None:
    names = [route.name for route in ROUTES]
    assert len(names) == len(set(names))


@pytest.mark.django_db
def test_a_refusal_says_who_may_and_is_recorded(
    people: People, waiting: Make, signed_in: Callable[[User], Client]
) -> None:
    proposal = waiting()
    answer = signed_in(people.cleo).post(reverse("approve", args=[proposal.ref]), {"seen": "x"})
    assert answer.status_code == 403
    assert b"supervisor" in answer.content
    entry = AuditEntry.objects.get(verb="access.refused")
    assert entry.actor_id == str(people.cleo.pk)
    proposal.refresh_from_db()
    assert proposal.state == "in_review"


@pytest.mark.django_db
def test_pages_are_kept_by_nobody(people: People, signed_in: Callable[[User], Client]) -> None:
    answer = signed_in(people.ana).get("/")
    assert "no-store" in answer["Cache-Control"]
    assert "private" in answer["Cache-Control"]


@pytest.mark.django_db
def test_people_who_are_not_signed_in_come_back_to_where_they_wanted(client: Client) -> None:
    answer = client.get("/proposals/CS-000000000000/")
    assert answer.status_code == 302
    assert answer["Location"] == "/account/login/?next=/proposals/CS-000000000000/"
    partial = client.get("/", headers={"HX-Request": "true"})
    assert partial["HX-Redirect"] == "/account/login/"


@pytest.mark.django_db
def test_a_proposal_that_is_not_there_is_a_page_that_says_so(
    people: People, signed_in: Callable[[User], Client]
) -> None:
    answer = signed_in(people.ana).get("/proposals/CS-000000000000/")
    assert answer.status_code == 404
    assert b"There is no proposal CS-000000000000" in answer.content
