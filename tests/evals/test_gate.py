"""The gate: what an attempt costs and can do, what opens it, and everything that closes it again.

The file is long because a gate has many ways to be closed, and each is a claim of its own.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from django.conf import LazySettings
from django.utils import timezone

from console import access, catalogue
from console.access import person as named
from console.audit import OPERATOR
from console.errors import Denied, Held, Refused
from console.evals import gate, runs
from console.evals.bounds import LIFETIME_ERROR, Plan, left, lower_bound
from console.evals.gate import Tally
from console.models import (
    AgentVersion,
    AuditEntry,
    Autonomy,
    EvalRun,
    Gate,
    GateDecision,
    Grant,
    Reading,
    Widening,
)
from console.registry import evidence, gates, grants, widenings
from tests.cast import People, Planner, version
from tests.evals.frozen import NAME, PROMISE, case, question, sit, small_gate, suite

SEED = 20261123


def of(bar: str, wrong: int, cases: int = 0) -> Gate:
    return Gate(kind="type", about=PROMISE, bar=Decimal(bar), wrong=wrong, cases=cases)


# The arithmetic


@pytest.mark.parametrize(("bar", "wrong"), [("0.95", 0), ("0.95", 2), ("0.9", 1), ("0.98", 0)])
def test_an_agent_exactly_at_the_bar_passes_at_most_five_times_in_a_hundred_lives(
    bar: str, wrong: int
) -> None:
    chance = np.random.default_rng(SEED)
    lives, spent = 10_000, 0.0
    passed = np.zeros(lives, dtype=bool)
    for _ in range(12):
        plan = gate.next_plan(of(bar, wrong), spent)
        passed |= chance.binomial(plan.cases, 1 - float(bar), lives) <= plan.wrong
        spent += plan.cost
        assert spent <= LIFETIME_ERROR
    assert passed.any()
    assert lower_bound(int(passed.sum()), lives) <= LIFETIME_ERROR, f"seed {SEED}: {passed.sum()} of {lives}"


def test_there_is_always_another_attempt_and_it_takes_a_few_more_cases() -> None:
    spent, sizes = 0.0, []
    for _ in range(30):
        plan = gate.next_plan(of("0.95", 0), spent)
        sizes.append(plan.cases)
        spent += plan.cost
    assert sizes[:4] == [72, 86, 99, 112]
    assert all(0 <= later - sooner <= 14 for sooner, later in itertools.pairwise(sizes))
    with pytest.raises(Refused, match="for life"):
        gate.next_plan(of("0.95", 0), LIFETIME_ERROR)


def test_a_gate_that_wants_more_cases_gets_them_and_costs_less() -> None:
    plan = gate.next_plan(of("0.95", 0, cases=100), 0.0)
    assert plan.cases == 100
    assert plan.cost < gate.next_plan(of("0.95", 0), 0.0).cost


def test_the_power_that_is_stated_is_the_power_it_has() -> None:
    chance = np.random.default_rng(SEED)
    lives = 20_000
    for plan, repeats, consistency, share in (
        (Plan(124, 2, 0.95), 1, 0.9, 0.99),
        (Plan(72, 0, 0.95), 1, 0.9, 0.995),
        (Plan(60, 2, 0.9), 3, 0.95, 0.98),
        (Plan(60, 2, 0.9), 4, 0.9, 0.97),
    ):
        right = chance.random((lives, plan.cases, repeats), dtype=np.float32) < share
        first = (~right[:, :, 0]).sum(axis=1) <= plan.wrong
        steady = right.all(axis=2).sum(axis=1) >= np.ceil(consistency * plan.cases - 1e-9)
        told = gate.power(plan, repeats, consistency, share)
        assert told == pytest.approx((first & steady).mean(), abs=0.012), f"seed {SEED}: {plan}, {repeats}"
    assert gate.power(Plan(124, 2, 0.95), 1, 0.9, 0.99) >= 0.87


@pytest.mark.parametrize(
    ("tally", "said"),
    [
        (Tally(10, 10, 10, 0), []),
        (Tally(10, 9, 9, 0), []),
        (Tally(10, 8, 8, 0), ["2 wrong of 10; 1 may be"]),
        (Tally(10, 9, 9, 1), ["1 answer is wrong in what allows no error"]),
        (Tally(10, 10, 7, 0), ["7 of 10 right all 3 times; 8 have to be"]),
        (Tally(10, 8, 7, 2), ["2 wrong", "2 answers are wrong", "7 of 10"]),
        (Tally(11, 11, 8, 0), ["8 of 11 right all 3 times; 9 have to be"]),
    ],
)
def test_everything_that_keeps_it_closed_is_said(tally: Tally, said: list[str]) -> None:
    run = EvalRun(wrong=1, repeats=3, consistency=Decimal("0.8"))
    found = gate.faults(run, tally)
    assert len(found) == len(said)
    assert all(one.startswith(words) for one, words in zip(found, said, strict=True))


# What opens and what closes it


@pytest.fixture
def six(planner: Planner) -> Planner:
    suite(case(number) for number in range(6))
    small_gate()
    return planner


def promise(by: Planner) -> Grant:
    return Grant.objects.select_related("version__agent", "connection").get(
        version=by.version, kind=Grant.TYPE, name=PROMISE
    )


def is_open(by: Planner) -> bool:
    try:
        access.check_open(promise(by))
    except Held as held:
        return held.code != "gate_closed"
    return True


@pytest.mark.django_db
def test_a_run_without_a_fault_opens_it_and_the_standing_says_so_with_n_and_interval(six: Planner) -> None:
    assert gate.standing(six.version, PROMISE) is None
    assert gate.missing(six.version, PROMISE) == 6
    run = sit(six)
    found = gate.standing(six.version, PROMISE)
    assert found is not None
    assert (found.right, found.n, found.low, found.high, found.open, found.why) == (6, 6, 60, 100, True, "")
    assert (found.suite, found.run, found.id) == (f"{NAME} 1", run.ref, run.pk)
    assert gate.missing(six.version, PROMISE) == 0
    assert promise(six).evidence_version == 1
    assert AuditEntry.objects.filter(verb="gate.open", chain=f"gate:{PROMISE}").count() == 1


@pytest.mark.django_db
def test_one_wrong_answer_keeps_it_closed_and_a_newer_no_replaces_a_yes(six: Planner) -> None:
    sit(six)
    assert is_open(six)
    sit(six, wrong=1)
    assert not is_open(six)
    found = gate.standing(six.version, PROMISE)
    assert found is not None
    assert (found.right, found.open) == (5, False)
    assert "1 wrong of 6; 0 may be" in found.why
    assert "allows no error" in found.why


@pytest.mark.django_db
def test_what_is_left_undone_is_wrong_but_breaks_no_field(six: Planner) -> None:
    small_gate(wrong="1", cases="6", bar="0.5")
    suite([case(number) for number in range(30)], NAME)
    gates.set_gate("type", PROMISE, change={"suite": NAME}, by=None, actor=OPERATOR)
    run = sit(six, harmless=1)
    assert run.result is not None
    assert (run.result["right"], run.result["critical"]) == (run.cases - 1, 0)
    assert run.result["passed"] is True


@pytest.mark.django_db
def test_a_case_that_is_not_right_every_time_shows_in_the_consistency(six: Planner) -> None:
    small_gate(repeats="2", consistency="1")
    run = sit(six, wrong=1)
    assert run.result is not None
    assert run.sittings == 12
    assert (run.result["right"], run.result["consistent"]) == (5, 5)
    assert "5 of 6 right all 2 times; 6 have to be" in run.result["reasons"]


@pytest.mark.django_db
def test_evidence_is_for_one_version_of_the_agent(six: Planner) -> None:
    sit(six)
    other = version(six.agent, "2.0")
    assert gate.standing(other, PROMISE) is None
    assert evidence.evidence(other, Grant.TYPE, PROMISE) is None


@pytest.mark.django_db
def test_another_version_of_the_type_closes_it(six: Planner, monkeypatch: pytest.MonkeyPatch) -> None:
    sit(six)
    known = catalogue.transaction_types()
    monkeypatch.setitem(known, PROMISE, replace(known[PROMISE], version=2))
    assert not is_open(six)
    found = gate.standing(six.version, PROMISE)
    assert found is not None
    assert "another version" in found.why
    with pytest.raises(Refused, match="fits version 1"):
        sit(six)


@pytest.mark.django_db
@pytest.mark.parametrize("change", [{"bar": "0.51"}, {"suite": NAME}])
def test_another_gate_or_suite_closes_it(six: Planner, change: dict[str, str]) -> None:
    sit(six)
    suite(case(number) for number in range(7))
    assert is_open(six), "a new version of the suite alone changes nothing"
    gates.set_gate("type", PROMISE, change=change, by=None, actor=OPERATOR)
    assert not is_open(six)
    found = gate.standing(six.version, PROMISE)
    assert found is not None
    assert "changed since" in found.why
    entry = AuditEntry.objects.filter(verb="gate.set").latest("id")
    assert json.loads(entry.body)["detail"]["closed"] == 1


@pytest.mark.django_db
def test_a_gate_that_changes_during_a_run_is_not_opened_by_it(six: Planner) -> None:
    opened = runs.open_run(six.version, raw=b'{"suite": "promises"}', actor=six.actor)
    small_gate(bar="0.52")
    sit(six)
    decision = GateDecision.objects.get(run=opened.run)
    assert decision.reasons == ["the gate or its suite has changed since the run began"]


@pytest.mark.django_db
def test_a_type_that_changes_during_a_run_is_not_opened_by_it(
    six: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs.open_run(six.version, raw=b'{"suite": "promises"}', actor=six.actor).run
    known = catalogue.transaction_types()
    monkeypatch.setitem(known, PROMISE, replace(known[PROMISE], version=2))
    decision = gate.decide(run, Tally(6, 6, 6, 0), actor=six.actor)
    assert decision.reasons == [f"{PROMISE} has another version since the run began"]
    assert not decision.opened


@pytest.mark.django_db
def test_evidence_ends_on_its_day_whatever_the_grants_say(six: Planner) -> None:
    run = runs.open_run(six.version, raw=b'{"suite": "promises"}', actor=six.actor).run
    run.max_age_days = 0
    decision = gate.decide(run, Tally(6, 6, 6, 0), actor=six.actor)
    assert decision.opened
    assert evidence.why_closed(decision) == "the evidence is out of date"
    assert evidence.evidence(six.version, Grant.TYPE, PROMISE) is None


@pytest.mark.django_db
def test_old_evidence_closes_it(six: Planner) -> None:
    small_gate(max_age_days="30")
    sit(six)
    until = promise(six).valid_until
    assert until is not None
    assert dt.timedelta(days=29) < until - timezone.now() <= dt.timedelta(days=30)
    Grant.objects.filter(pk=promise(six).pk).update(valid_until=timezone.now())
    assert not is_open(six)


@pytest.mark.django_db
def test_practice_opens_nothing(six: Planner) -> None:
    suite([case(number, split="public") for number in range(6)], "open")
    run = sit(six, name="open", practice=True)
    assert run.result is not None
    assert (run.result["passed"], run.cost) == (True, 0.0)
    assert gate.standing(six.version, PROMISE) is None
    assert gate.spent(six.agent.pk, Grant.TYPE, PROMISE) == 0.0


@pytest.mark.django_db
def test_attempts_are_counted_over_all_versions_of_an_agent_and_for_each_type_alone(six: Planner) -> None:
    sit(six, wrong=1)
    later = replace(six, version=AgentVersion.objects.create(agent=six.agent, label="2.0"))
    run = sit(later)
    assert run.left_before == pytest.approx(left(0.5**6))
    assert run.known == 6
    assert gate.spent(six.agent.pk, Grant.TOOL, PROMISE) == 0.0


# Where a gate is required


def raised(by: Planner, people: People) -> Grant | Widening:
    grant = promise(by)
    return grants.set_autonomy(
        by.version,
        kind=Grant.TYPE,
        name=PROMISE,
        connection=grant.connection,
        autonomy=Autonomy.PROPOSE,
        by=people.dora,
        actor=named(people.dora),
    )


def reads(by: Planner, answered: int, missed: int = 0, outcome: str = "rejected") -> None:
    on = Grant.objects.filter(name=PROMISE).latest("pk").connection
    for number in range(answered + missed):
        Reading.objects.create(
            ref=f"RD-{by.version.pk}-{Reading.objects.count()}",
            agent_version=by.version,
            key_id="k",
            tool="sales_order",
            tool_version=1,
            connection=on,
            arguments={},
            outcome="answered" if number < answered else outcome,
            latency_ms=1,
            at=timezone.now(),
        )


@pytest.mark.django_db
def test_where_a_gate_is_required_nothing_is_written_without_evidence(
    six: Planner, people: People, settings: LazySettings
) -> None:
    assert is_open(six), "a demo does not ask"
    settings.GATES_REQUIRED = True
    assert not is_open(six)
    Grant.objects.filter(pk=promise(six).pk).update(autonomy=Autonomy.SHADOW)
    assert is_open(six), "shadow writes nothing"
    with pytest.raises(Refused) as refused:
        raised(six, people)
    assert refused.value.code == "read_before_write"
    for level in (Autonomy.PROPOSE, Autonomy.SAMPLED):
        with pytest.raises(Refused, match="0 answered readings"):
            evidence.check_may_write(six.version, PROMISE, level)
    evidence.check_may_write(six.version, PROMISE, Autonomy.SHADOW)
    reads(replace(six, version=version(six.agent, "2.0")), 20)
    reads(six, 19)
    with pytest.raises(Refused, match="19 answered readings"):
        raised(six, people)


@pytest.mark.django_db
def test_evidence_and_reliable_reads_let_two_people_raise_it(
    six: Planner, people: People, settings: LazySettings
) -> None:
    settings.GATES_REQUIRED = True
    Grant.objects.filter(pk=promise(six).pk).update(autonomy=Autonomy.SHADOW)
    reads(six, 20)
    with pytest.raises(Refused) as refused:
        raised(six, people)
    assert refused.value.code == "no_evidence"
    sit(six)
    asked = raised(six, people)
    assert isinstance(asked, Widening)
    small_gate(bar="0.6")
    with pytest.raises(Refused, match="no evidence"):
        widenings.confirm(asked, by=people.ana, actor=named(people.ana))
    assert promise(six).autonomy == Autonomy.SHADOW
    small_gate(bar="0.5")
    sit(six)
    widenings.confirm(asked, by=people.ana, actor=named(people.ana))
    grant = promise(six)
    assert (grant.autonomy, grant.evidence_version) == (Autonomy.PROPOSE, 1)
    assert is_open(six)


@pytest.mark.django_db
@pytest.mark.parametrize("outcome", ["rejected", "out_of_scope", "unsupported"])
def test_an_agent_that_asks_for_what_is_not_there_does_not_read_reliably(six: Planner, outcome: str) -> None:
    reads(six, 27, missed=3, outcome=outcome)
    assert evidence.lacks_reads(six.version) == ""
    reads(six, 0, missed=1, outcome=outcome)
    assert "4 of its 31 readings" in evidence.lacks_reads(six.version)


@pytest.mark.django_db
def test_a_read_tool_whose_gate_is_open_counts_as_reliable_reads(planner: Planner) -> None:
    suite((question(number) for number in range(6)), "questions")
    small_gate("order_status_exceptions")
    assert "0 answered readings" in evidence.lacks_reads(planner.version)
    run = runs.open_run(planner.version, raw=b'{"suite": "questions"}', actor=planner.actor).run
    gate.decide(run, Tally(6, 6, 6, 0), actor=planner.actor)
    assert evidence.lacks_reads(planner.version) == ""


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        {"bar": "1"},
        {"bar": "x"},
        {"wrong": "-1"},
        {"repeats": "0"},
        {"max_age_days": "9999"},
        {"suite": "none"},
    ],
)
def test_a_gate_that_makes_no_sense_is_refused(six: Planner, change: dict[str, str]) -> None:
    before = Gate.objects.values().get()
    with pytest.raises(Refused):
        gates.set_gate("type", PROMISE, change=change, by=None, actor=six.actor)
    assert Gate.objects.values().get() == before


@pytest.mark.django_db
def test_a_gate_is_set_by_two_people(six: Planner, people: People) -> None:
    with pytest.raises(Denied):
        gates.set_gate("type", PROMISE, change={"bar": "0.6"}, by=people.ana, actor=named(people.ana))
    suite((case(number) for number in range(7)), "others")
    wanted = {
        "suite": "others",
        "bar": "0.6",
        "cases": "7",
        "wrong": "1",
        "repeats": "2",
        "consistency": "0.75",
        "max_age_days": "40",
    }
    before = Gate.objects.values().get()
    asked = gates.set_gate("type", PROMISE, change=wanted, by=people.dora, actor=named(people.dora))
    assert isinstance(asked, Widening)
    assert Gate.objects.values().get() == before
    widenings.confirm(asked, by=people.ana, actor=named(people.ana))
    found = Gate.objects.get()
    assert found.suite.name == "others"
    for name, value in wanted.items():
        assert name == "suite" or getattr(found, name) == Decimal(value), name
    assert six.version.runs.count() == 0
