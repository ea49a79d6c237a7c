"""Drift of what comes in: the index by hand, how often chance exceeds a band, what a change does. Seeds are fixed."""

from __future__ import annotations

import random

import pytest
from django.db import connections
from django.test import Client

from console.access import person as named
from console.audit import WORKER
from console.catalogue import transaction_types
from console.evals import inputs, psi
from console.evals.psi import NEEDED, Seen
from console.lifecycle.frozen import record_json
from console.models import AuditEntry, Autonomy, Grant, Incident, InputDrift, Proposal
from console.registry import incidents
from tests.cast import People, Planner
from tests.evals.test_live import grant_of
from tests.lifecycle.corridor import in_review, reschedule
from tests.sandbox import SandboxProcess

SEED = 20261123
EVEN: list[Seen] = [float(one) for one in range(500)]
"""Fifty in each of ten bins: their edges are at 49.9, 99.8, 149.7 and so on."""


def drawn(*shares: int) -> list[Seen]:
    """So many values in each of the ten bins of EVEN."""
    return [50.0 * place + 10 for place, many in enumerate(shares) for _ in range(many)]


@pytest.mark.parametrize(
    ("recent", "by_hand"),
    [
        (drawn(*[50] * 10), 0.0),
        # (0.15 - 0.10) ln 1.5 + (0.05 - 0.10) ln 0.5
        (drawn(75, 25, *[50] * 8), 0.054931),
        # (0.20 - 0.10) ln 2 + (0.001 - 0.10) ln 0.01: nothing in a bin counts as half a case
        (drawn(100, 0, *[50] * 8), 0.525226),
        # everything in the first bin: (1 - 0.1) ln 10 + 9 (0.001 - 0.1) ln 0.01
        (drawn(500), 6.175533),
    ],
)
def test_the_index_is_what_it_is_by_hand(recent: list[Seen], by_hand: float) -> None:
    assert psi.index(EVEN, recent) == pytest.approx(by_hand, abs=1e-6)
    assert by_hand > 0.5 or psi.index(EVEN, recent * 3) == pytest.approx(by_hand, abs=1e-6)


def test_words_and_what_is_missing_have_bins_of_their_own() -> None:
    before: list[Seen] = [*["oak"] * 250, *["ash"] * 250]
    # (0.6 - 0.5) ln 1.2 + (0.4 - 0.5) ln 0.8
    assert psi.index(before, [*["oak"] * 300, *["ash"] * 200]) == pytest.approx(0.040547, abs=1e-6)
    # A word that was never there, and nothing at all, are changes like any other.
    for other in ("elm", None):
        assert psi.index(before, [*["oak"] * 250, *[other] * 250]) > psi.MUCH
    many: list[Seen] = [f"supplier {one}" for one in range(50) for _ in range(10)]
    assert psi.index(many, many) == 0
    # A number that is always the same makes one bin, and another number the second.
    assert psi.index([7.0] * 500, [7.0] * 500) == 0
    assert psi.index([7.0] * 500, [8.0] * 500) > psi.MUCH


def test_it_is_not_told_below_five_hundred_cases_in_either_window() -> None:
    for before, after in ((499, 500), (500, 499), (0, 5000)):
        found = psi.compare([1.0] * before, [2.0] * after)
        assert (found.index, found.much) == (None, False)
        assert found.words == f"insufficient data: {min(before, after)} of 500"
    found = psi.compare([1.0] * 500, [2.0] * 500)
    assert (found.much, found.words) == (True, "clear change")


@pytest.mark.parametrize(("cases", "least", "most"), [(50, 0.90, 1.0), (100, 0.70, 0.95), (500, 0.0, 0.015)])
def test_without_any_change_chance_exceeds_a_band_often_with_few_cases_and_hardly_ever_with_five_hundred(
    cases: int, least: float, most: float
) -> None:
    chance = random.Random(SEED)
    trials, some, much = 400, 0, 0
    for _ in range(trials):
        before: list[Seen] = [chance.lognormvariate(3, 1) for _ in range(cases)]
        after: list[Seen] = [chance.lognormvariate(3, 1) for _ in range(cases)]
        found = psi.index(before, after)
        some, much = some + (found > psi.SOME), much + (found > psi.MUCH)
    print(f"seed {SEED}, n {cases}: {some} of {trials} above 0.1, {much} above 0.25")  # noqa: T201 a simulation tells
    assert least <= some / trials <= most
    assert cases < NEEDED or much == 0


def test_a_doubled_mean_is_a_clear_change_nearly_always() -> None:
    chance = random.Random(SEED)
    for _ in range(100):
        before: list[Seen] = [chance.lognormvariate(3.0, 0.8) for _ in range(500)]
        after: list[Seen] = [chance.lognormvariate(3.7, 0.8) for _ in range(500)]
        assert psi.compare(before, after).much


@pytest.mark.parametrize("name", sorted(transaction_types()))
def test_every_type_has_values_to_compare(name: str) -> None:
    type_ = transaction_types()[name]
    record = record_json(type_.sample_snapshot.record)["fields"]
    found = inputs.values(type_, type_.sample, record, {"value": {"amount": "12.50"}}, "2026-11-01T08:00:00Z")
    assert found["Value at stake"] == 12.5
    assert len(found) >= 2, f"nothing of {name} would be compared"
    assert all(isinstance(value, str | float) for value in found.values())


MADE = """
WITH source AS (SELECT * FROM console_proposal WHERE id = %(source)s),
made AS (
    INSERT INTO console_proposal (ref, agent_version_id, grant_id, connection_id, transaction_type, type_version,
        autonomy, target, label, state, version, state_since, state_reason, revision, risk, value_currency,
        submitted_at, expires_at, fence, attempts_made, seeded)
    SELECT %(mark)s || g, agent_version_id, grant_id, connection_id, transaction_type, type_version, autonomy, target,
        label, 'expired', 1, now(), '', 1, 0, '', now() + g * interval '1 microsecond', now(), 0, 0, %(seeded)s
    FROM source, generate_series(1, %(many)s) g RETURNING id
), written AS (
    INSERT INTO console_revision (proposal_id, number, payload, digest, rationale, by_agent_id, created_at)
    SELECT made.id, 1, r.payload, r.digest, '', r.by_agent_id, now()
    FROM made, console_revision r WHERE r.proposal_id = %(source)s RETURNING id, proposal_id
)
INSERT INTO console_assessment (proposal_id, revision_id, number, type_version, policy_version, snapshot, expected,
    plan, facts, findings, verdicts, moved, rests, digest, as_of, created_at)
SELECT written.proposal_id, written.id, 1, 1, '', a.snapshot, a.expected, '[]',
    jsonb_build_object('value', jsonb_build_object('amount', (%(least)s + written.proposal_id %% 97)::text)),
    '[]', '[]', '[]', '[]', a.digest, now(), now()
FROM written, console_assessment a WHERE a.proposal_id = %(source)s
"""


def made(source: Proposal, mark: str, many: int, *, least: int, seeded: bool = False) -> None:
    """So many judged proposals like one, as months would bring them; at stake are `least` and up to 96 more."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        try:
            cursor.execute(
                MADE, {"source": source.pk, "mark": mark, "many": many, "least": least, "seeded": seeded}
            )
        finally:
            cursor.execute("SET session_replication_role = origin")


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_a_clear_change_opens_one_incident_puts_nothing_down_and_closing_it_begins_anew(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    source = in_review(planner, reschedule(erp))
    ana = Client()
    ana.force_login(people.ana)
    made(source, "A", NEEDED - 1, least=100)
    made(source, "S", NEEDED, least=9000, seeded=True)
    assert not inputs.watch(grant_of(planner), actor=WORKER)
    assert (inputs.of_grant(grant_of(planner)).reference, inputs.of_grant(grant_of(planner)).recent) == (
        500,
        0,
    )
    page = ana.get("/agents/planner/figures").content.decode()
    assert "0 of 500 newer ones" in page
    assert "countersign_agent_input_psi{" not in Client().get("/metrics").content.decode()
    made(source, "B", NEEDED, least=100)
    assert inputs.watch(grant_of(planner), actor=WORKER)
    assert not Incident.objects.exists()
    page = ana.get("/agents/planner/figures").content.decode()
    assert "little change" in page
    assert "convention, not law" in page
    scraped = Client().get("/metrics").content.decode()
    assert 'countersign_agent_input_psi{agent="planner"' in scraped
    made(source, "C", NEEDED, least=150)
    for _ in range(2):
        assert inputs.watch_all(actor=WORKER) == 1
    incident = Incident.objects.get()
    assert (incident.kind, incident.grant) == ("input_drift", grant_of(planner))
    assert "value at stake" in incident.lifts
    assert grant_of(planner).autonomy == Autonomy.PROPOSE
    assert not AuditEntry.objects.filter(verb__in=["grant.demote", "grant.lower"]).exists()
    assert "clear change" in ana.get("/agents/planner/figures").content.decode()
    incidents.lift(incident, note="We sell larger tables now.", by=people.ana, actor=named(people.ana))
    with connections["owner"].cursor() as cursor:
        cursor.execute("UPDATE console_incident SET lifted_at = now() + interval '1 hour'")
    assert not inputs.watch(grant_of(planner), actor=WORKER)
    assert not InputDrift.objects.exists()
    assert inputs.of_grant(grant_of(planner)).reference == 0
    assert Incident.objects.count() == 1
    assert Grant.objects.filter(demoted_at__isnull=False).count() == 0
