"""Wrong copies of proposals: every type has some that its checks let through, and they come into the queue."""

from __future__ import annotations

import json
import pkgutil
from dataclasses import replace

import pytest

import integrations.transaction_types
from console.catalogue import transaction_types
from console.evals import seeded, slips
from console.lifecycle.frozen import snapshot_json
from console.models import Assessment, Proposal
from integrations.sandbox.adapter import ADAPTER as SANDBOX
from tests.cast import People, Planner
from tests.evals.test_seeded import planted, switch_on
from tests.integrations.test_sandbox_conformance import payload
from tests.lifecycle.corridor import in_review
from tests.sandbox import SandboxProcess


@pytest.mark.parametrize("name", sorted(slips.SLIPS))
def test_every_type_of_the_house_has_a_slip_that_its_checks_let_through(name: str) -> None:
    type_ = transaction_types()[name]
    assessment = Assessment(snapshot=snapshot_json(type_.sample_snapshot))
    found = slips.variants(
        type_,
        json.loads(json.dumps(type_.sample)),
        assessment=assessment,
        of_type={limit.name: limit.default for limit in type_.limits},
        others=["19", "20"],
        today=type_.sample_snapshot.as_of.date(),
    )
    assert found, name
    for one in found:
        assert one.right != one.slip.wrong
        type_.payload.model_validate_json(json.dumps(one.payload))
        assert one.label
        assert one.look
    assert [one.warnings for one in found] == sorted(one.warnings for one in found)


def test_every_transaction_type_that_is_shipped_has_its_slips() -> None:
    shipped = {one.name for one in pkgutil.iter_modules(integrations.transaction_types.__path__)} - {
        "shared_rules"
    }
    assert shipped & set(transaction_types())
    assert set(slips.SLIPS) >= shipped & set(transaction_types())


def test_a_type_that_says_nowhere_how_it_goes_wrong_is_named_as_one_without_tests() -> None:
    known = transaction_types()["sales_order_promise"]
    assert slips.ways(known)
    assert slips.ways(replace(known, name="a_plants_own")), "by the kinds of its critical fields"
    assert not slips.ways(replace(known, name="a_plants_own", fields=known.fields[:2]))


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_a_test_of_every_type_that_is_written_comes_into_the_queue(
    planner: Planner, people: People, erp: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch_on(people)
    # Another order that waits for its release: of a released one it would be refused before anybody saw it.
    first = erp.find("production", state="draft")["key"]
    other = next(
        key
        for key in map(str, range(int(first) + 1, 5000))
        if (found := erp.record(f"production {key}")) is not None and found["state"] == "draft"
    )
    in_review(planner, {"order": other}, "production_order_release")
    for name in sorted(SANDBOX.types):
        source = in_review(planner, payload(erp, name), name)
        monkeypatch.setattr(seeded, "_sources", lambda found=source: [found])
        test = planted(people)
        assert (test.proposal.transaction_type, test.source) == (name, source)
        assert test.right != test.wrong
        assert test.told
    assert Proposal.objects.filter(seeded=True).count() == len(SANDBOX.types)
