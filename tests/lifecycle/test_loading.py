"""Rows that are read by SQL written once are the rows the ORM reads."""

from __future__ import annotations

import pytest
from django.db.models import Model
from django.db.models.functions import Now

from console.lifecycle.states import PROPOSAL, reload
from console.lifecycle.submit import withdraw
from console.models import Connection, Grant, Proposal, Reading
from console.models.loading import Fetch
from tests import cast
from tests.cast import Planner

pytestmark = pytest.mark.django_db


def columns(row: Model) -> dict[str, object]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def test_a_fetched_proposal_and_its_keys_are_what_the_orm_gives(planner: Planner) -> None:
    made = cast.propose(planner)
    by_orm = Proposal.objects.select_related("agent_version__agent", "connection__system", "grant").get(
        pk=made.pk
    )
    fetched = PROPOSAL.one("t.id = %s", [made.pk])
    assert fetched is not None
    assert columns(fetched) == columns(by_orm)
    for path in ("agent_version", "connection", "grant"):
        assert columns(getattr(fetched, path)) == columns(getattr(by_orm, path))
    assert columns(fetched.agent_version.agent) == columns(by_orm.agent_version.agent)
    assert columns(fetched.connection.system) == columns(by_orm.connection.system)


def test_json_is_parsed_as_the_orm_parses_it(planner: Planner) -> None:
    made = Reading.objects.create(
        ref="RD-000000000001",
        agent_version=planner.version,
        tool="supplier",
        tool_version=1,
        connection=Connection.objects.get(name=cast.PLANT),
        arguments={"supplier": "3", "deep": [{"one": None}]},
        outcome="unavailable",
        latency_ms=1,
        at=Now(),
    )
    fetched = Fetch(Reading, "connection").one("t.id = %s", [made.pk])
    assert fetched is not None
    assert fetched.arguments == {"supplier": "3", "deep": [{"one": None}]}
    assert columns(fetched) == columns(Reading.objects.get(pk=made.pk))


def test_what_is_not_there_is_none(planner: Planner) -> None:
    del planner
    assert PROPOSAL.one("t.id = %s", [0]) is None


def test_a_key_that_may_be_null_is_refused() -> None:
    with pytest.raises(ValueError, match="may be null"):
        Fetch(Connection, "verified_by").one("t.id = %s", [0])


def test_the_database_says_what_time_it_is_and_what_was_asked(planner: Planner) -> None:
    fetch = Fetch(Grant, asks="t.autonomy = 'propose'")
    first, second = list(fetch.all("t.version_id = %s ORDER BY t.id LIMIT 2", [planner.version.pk]))
    assert first.asked is True
    assert first.db_now <= second.db_now  # type: ignore[attr-defined]


def test_after_a_move_the_object_reads_as_the_row(planner: Planner) -> None:
    made = cast.propose(planner)
    moved = withdraw(made, planner.version, reason="Not needed any more.", actor=planner.actor)
    assert columns(moved) == columns(Proposal.objects.get(pk=made.pk))
    assert columns(reload(made)) == columns(moved)
