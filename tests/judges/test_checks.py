"""Is it sound: every rule asked, in order; a rule that crashes is an error and never a pass."""

import dataclasses
import datetime as dt
from collections.abc import Iterator

import pytest

from console import checks
from console.catalogue import transaction_types
from integrations.contract import Case, Finding, Level, Record, TransactionType

TYPES = sorted(transaction_types().values(), key=lambda type_: type_.name)
TODAY = dt.date(2026, 11, 23)


def case(type_: TransactionType) -> Case:
    return Case(
        payload=type_.payload.model_validate(dict(type_.sample), strict=False),
        snapshot=type_.sample_snapshot,
        limits=checks.limits_in_force(type_, {}),
        today=TODAY,
    )


def crashes(_: Case) -> Iterator[Finding]:
    yield Finding("crashes.first", Level.INFO, "So far so good.")
    raise ZeroDivisionError("secret-in-a-message")


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.name)
def test_a_rule_that_crashes_is_an_error_and_the_others_are_still_asked(type_: TransactionType) -> None:
    whole = checks.run(type_, case(type_))
    broken = dataclasses.replace(type_, rules=(crashes, *type_.rules))
    found = checks.run(broken, case(type_))
    assert found[0].id == "crashes.crashed"
    assert found[0].level is Level.ERROR
    assert "secret" not in found[0].text
    assert found[1:] == whole
    assert checks.worst(found) is Level.ERROR


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.name)
def test_what_changes_nothing_is_an_error_for_every_type(type_: TransactionType) -> None:
    same = dataclasses.replace(type_, rules=(), outcome=lambda _, snapshot: snapshot.record)
    assert [finding.id for finding in checks.run(same, case(type_))] == ["changes.nothing"]


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.name)
def test_an_outcome_that_cannot_be_computed_is_an_error(type_: TransactionType) -> None:
    def broken(*_: object) -> Record:
        raise KeyError("x")

    found = checks.run(dataclasses.replace(type_, rules=(), outcome=broken), case(type_))
    assert checks.worst(found) is Level.ERROR


def test_the_heaviest_level_wins_and_none_is_info() -> None:
    levels = [Level.WARNING, Level.ERROR, Level.INFO]
    assert checks.worst([Finding("a.b", level, "") for level in levels]) is Level.ERROR
    assert checks.worst([]) is Level.INFO


def test_a_limit_holds_until_somebody_sets_another() -> None:
    for type_ in TYPES:
        assert checks.limits_in_force(type_, {}) == {limit.name: limit.default for limit in type_.limits}
        for limit in type_.limits:
            assert checks.limits_in_force(type_, {limit.name: limit.most})[limit.name] == limit.most
