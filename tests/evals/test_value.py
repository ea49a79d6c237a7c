"""The value ledger: measured baseline less measured review, errors of fixed kinds, and silence otherwise."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from scipy import stats

from console.access import person as named
from console.audit import WORKER
from console.errors import Denied, Refused
from console.evals import live, value
from console.evals.value import Ledger, Measured
from console.lifecycle import review
from console.lifecycle.commit import commit
from console.models import AuditEntry, Baseline, Connection, State
from tests.cast import People, Planner
from tests.lifecycle.corridor import (
    assessed,
    fresh,
    in_review,
    later,
    proposed,
    prove_accounts,
    reschedule,
    shown,
)
from tests.sandbox import SandboxProcess

RESCHEDULE = "production_order_reschedule"


def timed(people: People, plant: Connection, minutes: str, **changes: Any) -> Baseline:
    """Dora writes down a baseline."""
    given: dict[str, Any] = {
        "transaction_type": RESCHEDULE,
        "connection": plant,
        "minutes": minutes,
        "timed_on": "2026-03-02",
        "how": "A planner, with a stop watch.",
        "by": people.dora,
        "actor": named(people.dora),
    }
    return value.measure(**(given | changes))


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_hours_are_the_baseline_of_what_was_committed_less_all_review_and_each_error_counts_once(
    planner: Planner, people: People, erp: SandboxProcess, plant: Connection
) -> None:
    prove_accounts()
    about: dict[str, Any] = {"by": people.ana, "actor": named(people.ana)}
    for days, dwell in ((40, 60_000), (50, 120_000), (60, 60_000), (70, 120_000)):
        one = in_review(planner, reschedule(erp, days=days))
        review.approve(one, seen=shown(one).digest, look=review.Look(dwell_ms=dwell), **about)
        done = commit(fresh(one), actor=WORKER)
        assert done.state == State.COMMITTED, done.state_reason
    no = in_review(planner, reschedule(erp, days=80))
    long = review.Look(dwell_ms=180_000)
    review.reject(no, seen=shown(no).digest, reason="wrong_value", note="No.", look=long, **about)
    assert assessed(proposed(planner, reschedule(erp) | {"order": "none"})).state == State.REFUSED
    # How long somebody looked is not known of the next three decisions.
    other = reschedule(erp, days=90)
    amended = in_review(planner, other)
    mended = other | {"planned_finish": later(other["planned_finish"], 7)}
    review.amend(amended, payload=mended, seen=shown(amended).digest, **about)
    moved = in_review(planner, reschedule(erp, days=100))
    review.approve(moved, seen=shown(moved).digest, **about)
    assert assessed(amended).state == State.IN_REVIEW
    review.approve(
        fresh(amended), seen=shown(amended).digest, by=people.ben, actor=named(people.ben)
    )  # who amended it may not
    erp.edit(f"production {other['order']}", planned_start=later(other["planned_start"], -1))
    for one in (amended, moved):
        assert commit(fresh(one), actor=WORKER).state == State.RECEIVED
        assert assessed(one).state == State.IN_REVIEW
    live.watch_all(actor=WORKER)
    (before,) = value.ledger(days=30)
    assert (before.committed, before.reviewed, before.hours) == (4, 7, None)
    assert before.missing == "0 of 5 baselines timed"
    for minutes in ("20", "25", "30", "35", "40"):
        timed(people, plant, minutes)
    (found,) = value.ledger(days=30)
    assert (found.baseline.n, found.baseline.mean, found.review.n) == (5, 30.0, 5)
    assert found.review.mean == pytest.approx(1.8)  # (1 + 2 + 1 + 2 + 3) / 5
    assert found.hours is not None
    assert found.hours.saved == pytest.approx((4 * 30 - 7 * 1.8) / 60)
    spread = stats.t.ppf(0.975, 4) * ((4 * 7.905694 / 5**0.5) ** 2 + (7 * 0.83666 / 5**0.5) ** 2) ** 0.5 / 60
    assert found.hours.high - found.hours.saved == pytest.approx(spread, rel=0.002)
    assert {one.name: one.share.count for one in found.caught} == {
        "refused": 1,
        "rejected": 1,
        "amended": 1,
        "stale": 1,
    }
    assert {one.share.n for one in found.caught} == {8}
    assert found.unmeasured == 3


def test_nothing_is_told_from_too_little_and_a_costly_review_is_told_as_a_loss() -> None:
    few = Ledger(
        RESCHEDULE,
        Connection(),
        30,
        committed=9,
        reviewed=9,
        baseline=Measured(4, 30.0),
        review=Measured(9, 1.0),
    )
    assert few.hours is None
    assert few.missing == "4 of 5 baselines timed"
    slow = Ledger(
        RESCHEDULE,
        Connection(),
        30,
        committed=1,
        reviewed=60,
        baseline=Measured(5, 6.0, 1.0),
        review=Measured(60, 2.0),
    )
    assert slow.hours is not None
    assert slow.hours.saved == pytest.approx(-1.9)
    # As sure as the smaller of the two samples lets it be.
    half = stats.t.ppf(0.975, 4) * 1.0 / 5**0.5 / 60
    assert slow.hours.high - slow.hours.saved == pytest.approx(half, rel=0.002)


def test_students_t_is_what_scipy_says() -> None:
    for freedom in (4, 5, 9, 29, 200):
        assert value.student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-3)


@pytest.mark.django_db
def test_a_baseline_is_written_by_an_administrator_and_stays(people: People, plant: Connection) -> None:
    made = timed(people, plant, "12.5")
    assert AuditEntry.objects.filter(verb="value.baseline", actor_id=str(people.dora.pk)).count() == 1
    for change in ("UPDATE console_baseline SET minutes = 1", "DELETE FROM console_baseline"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(change)
    assert Baseline.objects.get() == made
    with pytest.raises(Denied):
        timed(people, plant, "12.5", by=people.ana)
    tomorrow = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=2)).isoformat()
    for wrong in (
        {"minutes": "0"},
        {"minutes": "NaN"},
        {"minutes": "1e9"},
        {"minutes": "soon"},
        {"timed_on": tomorrow},
        {"timed_on": "2 March"},
        {"how": "a watch"},
        {"transaction_type": "none_such"},
        {"transaction_type": "floor_task"},
    ):
        with pytest.raises(Refused):
            timed(people, plant, **({"minutes": "5"} | wrong))
    assert Baseline.objects.count() == 1


@pytest.mark.django_db
def test_the_page_keeps_what_was_given_and_the_file_has_every_figure(
    people: People,
    planner: Planner,  # noqa: ARG001 its grants
    erp: SandboxProcess,  # noqa: ARG001 the connection's adapter
) -> None:
    dora, cleo = Client(), Client()
    dora.force_login(people.dora)
    cleo.force_login(people.cleo)
    empty = cleo.get("/figures/value/").content.decode()
    assert "Insufficient data" in empty
    assert "<form" not in empty.split("<main")[1]
    given = {
        "what": f"plant:{RESCHEDULE}",
        "minutes": "none",
        "timed_on": "2026-03-02",
        "how": "A planner, timed.",
    }
    refused = dora.post("/figures/value/baselines", given)
    assert refused.status_code == 422
    page = refused.content.decode()
    assert "minutes are a number above 0" in page
    assert 'value="A planner, timed."' in page
    assert dora.post("/figures/value/baselines", given | {"minutes": "18"}).status_code == 302
    assert "1 of 5 baselines timed" in cleo.get("/figures/value/").content.decode()
    (row,) = csv.DictReader(io.StringIO(cleo.get("/figures/value.csv?days=90").content.decode()))
    assert (row["transaction_type"], row["days"], row["baselines"]) == (RESCHEDULE, "90", "1")
    assert (row["hours_saved"], row["insufficient_data"]) == (
        "",
        "1 of 5 baselines timed and 0 of 5 reviews measured",
    )
    assert AuditEntry.objects.filter(verb="audit.export").count() == 1
