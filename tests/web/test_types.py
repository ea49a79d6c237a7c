"""Transaction types, read tools and their limits."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client

from console.catalogue import read_tools, transaction_type, transaction_types
from console.lifecycle import limits
from console.models import LimitValue, Widening
from integrations.sandbox.adapter import ADAPTER as SANDBOX
from tests.cast import People, Planner, use_connections

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]
LIMIT = "/limits/production_order_reschedule/usual_move_days"


@pytest.mark.parametrize("name", sorted(SANDBOX.types))
def test_every_type_has_a_page_with_its_rules_fields_and_grants(
    name: str, people: People, planner: Planner, signed_in: SignIn
) -> None:
    del planner
    page = signed_in(people.cleo).get(f"/types/{name}/").content.decode()
    type_ = transaction_types()[name]
    for part in (
        type_.title,
        type_.fields[0].label,
        "Planner 1.0",
        "Plant",
        *(one.label for one in type_.limits),
    ):
        assert part in page


@pytest.mark.parametrize("name", sorted(read_tools()))
def test_every_read_tool_has_a_page(name: str, people: People, planner: Planner, signed_in: SignIn) -> None:
    del planner
    page = signed_in(people.cleo).get(f"/tools/{name}/").content.decode()
    assert read_tools()[name].title in page
    assert "Planner 1.0" in page


def value() -> Decimal:
    return limits.of_type(transaction_type("production_order_reschedule"))["usual_move_days"]


def test_a_limit_is_tightened_at_once_and_widened_by_two(people: People, signed_in: SignIn) -> None:
    dora = signed_in(people.dora)
    dora.post(LIMIT, {"value": "30"})
    assert value() == 30
    dora.post(LIMIT, {"value": "31"})
    assert value() == 30
    signed_in(people.ana).post(f"/administration/widenings/{Widening.objects.get().pk}/confirm")
    assert value() == 31


@pytest.mark.parametrize("wrong", ["", "soon", "0", "NaN", "1e99"])
def test_a_limit_that_makes_no_sense_is_refused(wrong: str, people: People, signed_in: SignIn) -> None:
    assert signed_in(people.dora).post(LIMIT, {"value": wrong}).status_code == 422
    assert not LimitValue.objects.exists()


def test_what_is_not_there_is_not_found(people: People, signed_in: SignIn) -> None:
    for path in ("/types/none/", "/tools/none/"):
        assert signed_in(people.ana).get(path).status_code == 404
    assert signed_in(people.dora).post("/limits/policy/none", {"value": "1"}).status_code == 404


def test_a_tool_says_how_old_its_answers_may_be_and_where_that_is_set(
    people: People,
    planner: Planner,
    signed_in: SignIn,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    del planner
    client = signed_in(people.cleo)
    pages = ("/tools/sales_order/", "/systems/plant/")
    for page in pages:
        assert "fresh for 60 s: the tool&#x27;s own" in client.get(page).content.decode(), page
    entry = settings.CONNECTIONS["plant"]
    options = {**entry["options"], "fresh_for": {"sales_order": 600}}
    use_connections(settings, monkeypatch, {"plant": {**entry, "options": options}}, {})
    for page in pages:
        assert "fresh for 10 min: option fresh_for of plant" in client.get(page).content.decode(), page
