"""Labels double-checked: the draw is the seed's, the second person sees no label, and kappa is Cohen's."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from console.access import person as named
from console.errors import Conflict, Denied, Refused
from console.evals import accepting, labels
from console.evals.kappa import kappa
from console.models import EvalCase, EvalSuite, LabelCheck, LabelSample
from tests.cast import People, Planner
from tests.evals.frozen import case, question, sit, small_gate, suite


def pairs(table: dict[tuple[str, str], int]) -> list[tuple[str, str]]:
    return [pair for pair, count in table.items() for _ in range(count)]


@pytest.mark.parametrize(
    ("table", "chance", "value"),
    [
        # The three tables of the encyclopedia article "Cohen's kappa" (grant proposals; same agreement, other margins).
        ({("y", "y"): 20, ("y", "n"): 5, ("n", "y"): 10, ("n", "n"): 15}, 0.5, 0.4),
        ({("y", "y"): 45, ("y", "n"): 15, ("n", "y"): 25, ("n", "n"): 15}, 0.54, 0.1304),
        ({("y", "y"): 25, ("y", "n"): 35, ("n", "y"): 5, ("n", "n"): 35}, 0.46, 0.2593),
        # The example in the manual of scikit-learn's cohen_kappa_score, three categories.
        ({("2", "0"): 1, ("0", "0"): 2, ("2", "2"): 2, ("1", "2"): 1}, 5 / 12, 0.4286),
        ({("y", "n"): 4, ("n", "y"): 4}, 0.5, -1.0),
    ],
)
def test_kappa_is_that_of_published_examples(
    table: dict[tuple[str, str], int], chance: float, value: float
) -> None:
    found = kappa(pairs(table))
    assert found.chance == pytest.approx(chance, abs=1e-4)
    assert found.value == pytest.approx(value, abs=5e-5)
    assert None not in {found.low, found.value, found.high}
    assert (found.low or 0.0) <= (found.value or 0.0) <= (found.high or 0.0) <= 1.0


def test_kappa_is_undefined_where_chance_explains_everything_and_its_interval_is_never_a_point() -> None:
    assert kappa([]).value is None
    one_category = kappa([("y", "y")] * 50)
    assert (one_category.value, one_category.low, one_category.agreed) == (None, None, 50)
    full = kappa([("y", "y")] * 10 + [("n", "n")] * 10)
    assert full.value == 1.0
    assert full.low is not None
    assert full.low < 0.8, "20 of 20 is no certainty"
    assert kappa([("y", "n")] * 5).value == 0.0, "each of one category, but not of the same"


def bodies(of: EvalSuite) -> list[tuple[int, dict[str, Any]]]:
    return list(of.cases.order_by("name").values_list("pk", "body"))


@pytest.mark.django_db
@pytest.mark.parametrize(("cases", "kept"), [(15, 8), (40, 10), (130, 13)])
def test_a_seed_draws_a_tenth_and_as_many_rivals_that_no_label_accepts(cases: int, kept: int) -> None:
    made = suite(case(number) for number in range(cases))
    rows = bodies(made)
    items = labels.drawn("s1", rows)
    assert items == labels.drawn("s1", list(reversed(rows))), "by the seed and the names alone"
    assert items != labels.drawn("s2", rows)
    assert sum(one["kept"] for one in items) == kept
    assert len({one["case"] for one in items}) == len(items)
    assert 0 < sum(not one["kept"] for one in items) <= kept
    known = dict(rows)
    for one in items:
        accepted = labels._accepted(known[one["case"]], one["outcome"])
        assert accepted == one["kept"], one
    shown = {(one["kept"], one["outcome"] is None) for one in items}
    assert shown == {(True, True), (True, False), (False, True), (False, False)}, "the form tells nothing"


@pytest.mark.django_db
def test_a_question_has_rivals_too() -> None:
    made = suite((question(number) for number in range(12)), "questions")
    items = labels.drawn("s", bodies(made))
    others = [one["outcome"] for one in items if not one["kept"]]
    assert len(others) == 6
    assert all(one is None or len(one["orders"]) == 1 or one["found"] in {"1", "3"} for one in others)
    assert any(one is not None for one in others)


def judge(sample: LabelSample, item: dict[str, Any], by: User, said: str, words: str = "") -> LabelCheck:
    return labels.judge(sample, item["case"], said=said, words=words, by=by, actor=named(by))


@pytest.mark.django_db
def test_agreement_is_told_when_all_is_judged_and_what_is_disputed_is_so_in_the_next_version(
    people: People,
) -> None:
    made = suite(case(number) for number in range(40))
    sample = labels.draw(made, by=people.dora, actor=named(people.dora))
    assert labels.drawn(sample.seed, bodies(made)) == sample.items
    with pytest.raises(Conflict):
        labels.draw(made, by=people.dora, actor=named(people.dora))
    wrong = next(one for one in sample.items if one["kept"])
    *most, last = sample.items
    for item in most:
        yes = item["kept"] and item != wrong
        judge(sample, item, people.ana, "yes" if yes else "no", "It cannot be.")
    assert labels.checked(made).kappa is None, "nothing is told before all are judged"
    assert labels.disputed(made) == set()
    with pytest.raises(Conflict):
        judge(sample, most[0], people.ben, "no")
    judge(sample, last, people.ben, "unsure")
    found = labels.checked(made)
    assert (found.unsure, found.judged, found.kappa is not None and found.kappa.n) == (1, 20, 19)
    assert not found.enough
    assert found.kappa is not None
    assert found.kappa.agreed == 18
    name = EvalCase.objects.get(pk=wrong["case"]).name
    assert labels.disputed(made) == {name}
    after = accepting.next_version(made.name, by=people.dora, actor=named(people.dora)).suite
    assert (after.number, after.disputed, after.holdout) == (2, 1, 39)
    assert after.cases.get(confidence="disputed").name == name
    assert made.cases.get(name=name).confidence == "acted", "a frozen suite stays as it is"
    kept = sum(one["kept"] for one in sample.items if one != last)
    assert labels.checked(made).labels == kept
    assert labels.checked(after).labels == kept - 1, "the disputed one is another case now"
    with pytest.raises(Refused, match="no case was accepted"):
        accepting.next_version(made.name, by=people.dora, actor=named(people.dora))


@pytest.mark.django_db
def test_who_made_the_case_or_owns_an_agent_that_sat_it_judges_nothing_of_it(
    people: People, planner: Planner
) -> None:
    made = suite(case(number) for number in range(12))
    small_gate()
    sample = labels.draw(made, by=people.ben, actor=named(people.ben))
    with pytest.raises(Denied, match="supervisors and administrators"):
        judge(sample, sample.items[0], people.cleo, "yes")
    assert labels.may_not_judge(people.oskar, made) == ""
    sit(planner)
    with pytest.raises(Denied, match="own the agent"):
        judge(sample, sample.items[0], people.oskar, "yes")
    with pytest.raises(Refused):
        judge(sample, sample.items[0], people.ana, "maybe")
    with pytest.raises(Refused):
        judge(sample, {"case": 0}, people.ana, "yes")
    assert not LabelCheck.objects.exists()
