"""Who must agree: never the owner, never the author alone, two where much is at stake, and no on every doubt."""

import random
from decimal import Decimal
from typing import Any

import pytest

from console import policy
from console.findings import Finding, Level, Status, Verdict
from console.policy import Agreement, Situation
from integrations.contract import Facts, Money

LIMITS = {limit.name: limit.default for limit in policy.LIMITS}
SMALL = Facts(value=Money(amount="100", currency="EUR"), reversible=True)


def agreement(person: int, *, shaped: bool = False, owns: bool = False) -> Agreement:
    return Agreement(person, f"Person {person}", shaped, owns)


def situation(*agreements: Agreement, facts: Facts = SMALL, findings: Any = ()) -> Situation:
    return Situation(facts, findings, agreements, LIMITS)


def passes(*agreements: Agreement, facts: Facts = SMALL, findings: Any = ()) -> bool:
    return policy.passes(policy.judge(situation(*agreements, facts=facts, findings=findings)))


def of_value(amount: str) -> Facts:
    return Facts(value=Money(amount=amount, currency="EUR"), reversible=True)


def test_nobody_agreed_is_not_enough() -> None:
    assert not passes()


def test_one_supervisor_is_enough_for_little() -> None:
    assert passes(agreement(1))


def test_the_owner_of_the_agent_counts_for_nothing() -> None:
    assert not passes(agreement(1, owns=True))
    assert not passes(agreement(1, owns=True), agreement(2), facts=of_value("10000"))


def test_whoever_shaped_it_is_not_enough_alone_but_one_of_two() -> None:
    assert not passes(agreement(1, shaped=True))
    assert not passes(agreement(1, shaped=True), agreement(2, shaped=True), facts=of_value("10000"))
    assert passes(agreement(1, shaped=True), agreement(2))
    assert passes(agreement(1, shaped=True), agreement(2), facts=of_value("10000"))


@pytest.mark.parametrize(("amount", "needed"), [("9999.99", 1), ("10000", 2), ("-10000", 2), ("100000", 2)])
def test_a_second_person_from_a_value_on(amount: str, needed: int) -> None:
    facts = of_value(amount)
    people = [agreement(number) for number in range(3)]
    assert [passes(*people[:count], facts=facts) for count in range(3)] == [
        count >= needed for count in range(3)
    ]


def test_the_same_person_twice_is_one_person() -> None:
    assert not passes(agreement(1), agreement(1), facts=of_value("10000"))


def test_what_reaches_the_books_for_good_needs_two() -> None:
    facts = Facts(value=None, reversible=False, books=True)
    assert not passes(agreement(1), facts=facts)
    assert passes(agreement(1), agreement(2), facts=facts)


@pytest.mark.parametrize(("amount", "needed"), [("999.99", 1), ("1000", 2), ("-1000", 2)])
def test_a_small_value_that_reaches_the_books_for_good_needs_one(amount: str, needed: int) -> None:
    facts = Facts(value=Money(amount=amount, currency="EUR"), reversible=False, books=True)
    assert passes(agreement(1), facts=facts) is (needed == 1)
    assert passes(agreement(1), agreement(2), facts=facts)


def test_nobody_can_approve_what_a_check_found_wrong() -> None:
    wrong = [Finding("a.b", Level.ERROR, "No.")]
    assert not passes(agreement(1), agreement(2), findings=wrong)
    assert passes(agreement(1), findings=[Finding("a.b", Level.WARNING, "Hm.")])


def test_a_requirement_that_crashes_is_an_error_and_not_satisfied() -> None:
    broken = Situation(SMALL, (), [agreement(1)], {})
    verdicts = {verdict.requirement: verdict for verdict in policy.judge(broken)}
    assert verdicts["a_second_supervisor"].status is Status.ERROR
    assert not policy.passes(tuple(verdicts.values()))


def test_no_requirement_that_applies_is_a_failure() -> None:
    assert not policy.passes(())
    nothing = Verdict("x", Status.NOT_APPLICABLE, "")
    assert not policy.passes((nothing,))


def test_every_verdict_says_why_and_an_open_one_says_who() -> None:
    for agreements in ((), (agreement(1, shaped=True),), (agreement(1),)):
        for verdict in policy.judge(situation(*agreements, facts=of_value("20000"))):
            assert verdict.text
            assert verdict.who or verdict.status.passes


def test_in_a_thousand_random_plants_nobody_approves_their_own() -> None:
    """S12: whatever the roles, whoever alone owns or shaped it is never enough, and two are two different people."""
    dice = random.Random(20816)
    own = 0
    for _ in range(1000):
        people = range(dice.randint(1, 6))
        owner = dice.choice(people)
        shapers = {person for person in people if dice.random() < 0.4}
        agreeing = [person for person in people for _ in range(dice.randint(0, 2))]
        dice.shuffle(agreeing)
        facts = Facts(
            value=Money(amount=str(Decimal(dice.randint(0, 2_000_000)) / 100), currency="EUR"),
            reversible=dice.random() < 0.5,
            books=dice.random() < 0.5,
        )
        agreements = [
            agreement(person, shaped=person in shapers, owns=person == owner) for person in agreeing
        ]
        if passes(*agreements, facts=facts):
            others = set(agreeing) - {owner}
            assert others - shapers
            assert facts.value is not None
            if Decimal(facts.value.amount) >= LIMITS["second_person_from"] or (
                facts.books
                and not facts.reversible
                and Decimal(facts.value.amount) >= LIMITS["second_person_irreversible_from"]
            ):
                assert len(others) >= 2
        elif set(agreeing) <= {owner} | shapers:
            own += 1
    assert own > 50
