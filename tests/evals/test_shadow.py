"""Shadow proposals are judged, never sent, and held against what people then did in their place."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection

from console import dispatch
from console.audit import WORKER
from console.catalogue import transaction_type
from console.evals import shadow
from console.models import AuditEntry, Did, Grant, Proposal, ShadowLook, State
from integrations.contract import Record
from tests.cast import Planner
from tests.lifecycle.corridor import assessed, fresh, promise, proposed, purchase, reschedule, story
from tests.sandbox import SandboxProcess

RESCHEDULE = "production_order_reschedule"
BEFORE = {"number": "MO-1", "state": "draft", "planned_start": "2026-12-01", "planned_finish": "2026-12-04"}
PROPOSED = {**BEFORE, "planned_start": "2026-12-08", "planned_finish": "2026-12-11"}


def held(now: dict[str, Any], proposed: dict[str, Any] = PROPOSED) -> shadow.Compared:
    """The header of a production order against what was proposed for it."""
    return shadow.compare(transaction_type(RESCHEDULE), Record(BEFORE), Record(proposed), Record(now))


@pytest.mark.parametrize(
    ("now", "did", "wrong"),
    [
        (BEFORE, Did.NOTHING, 2),
        (PROPOSED, Did.SAME, 0),
        ({**PROPOSED, "state": "released"}, Did.SAME, 0),
        ({**PROPOSED, "planned_finish": "2026-12-14"}, Did.OTHER, 1),
        ({**BEFORE, "planned_finish": "2026-12-14"}, Did.OTHER, 2),
        ({**BEFORE, "planned_start": None}, Did.OTHER, 2),
        ({**BEFORE, "state": "cancelled"}, Did.NOTHING, 2),
    ],
)
def test_what_people_did_is_the_same_something_else_or_nothing(
    now: dict[str, Any], did: Did, wrong: int
) -> None:
    found = held(now)
    assert (found.did, len(found.differences), found.fields) == (did, wrong, 2)
    assert ("State" in found.besides) == (now["state"] != "draft")


def test_a_field_the_agent_left_alone_and_people_changed_is_something_else() -> None:
    only_start = {**BEFORE, "planned_start": "2026-12-08"}
    assert held({**only_start, "planned_finish": "2026-12-30"}, only_start).did == Did.OTHER


def test_of_a_type_with_lines_it_is_said_that_it_cannot_be_told() -> None:
    type_ = transaction_type("purchase_order_create")
    empty = type_.sample_snapshot.record
    assert shadow.compare(type_, empty, empty, empty).did == Did.UNTOLD


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
class TestInTheCorridor:
    """With a real sandbox behind the connection."""

    @pytest.fixture
    def grant(self, planner: Planner) -> Grant:
        Grant.objects.filter(version=planner.version, kind="type").update(autonomy="shadow")
        return Grant.objects.get(version=planner.version, name=RESCHEDULE)

    def shadowed(self, planner: Planner, payload: dict[str, Any], type_name: str = RESCHEDULE) -> Proposal:
        found = assessed(proposed(planner, payload, type_name))
        assert found.state == State.SHADOWED, found.state_reason
        return found

    def over(self, patch: pytest.MonkeyPatch) -> None:
        """Every window is over."""
        patch.setattr(shadow, "WINDOW", dt.timedelta(0))

    def look(self, proposal: Proposal) -> ShadowLook | None:
        return shadow.look_back(fresh(proposal), actor=WORKER)

    def test_looks_follow_the_record_and_only_the_last_one_counts(
        self, grant: Grant, planner: Planner, erp: SandboxProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        payload = reschedule(erp)
        one = self.shadowed(planner, payload)
        record = f"production {payload['order']}"
        assert erp.effects(one.ref) == []
        seen = [self.look(one), self.look(one)]
        erp.edit(record, planned_start=payload["planned_start"], planned_finish=payload["planned_finish"])
        seen += [self.look(one), self.look(one)]
        assert [kept.did if kept else None for kept in seen] == [Did.NOTHING, None, Did.SAME, None]
        assert shadow.agreement(grant.pk) == shadow.Agreement(0, 0, 0, 0)
        erp.edit(record, planned_finish="2027-03-01")
        self.over(monkeypatch)
        last = self.look(one)
        assert last is not None
        assert (last.did, last.last, last.fields) == (Did.OTHER, True, 2)
        assert [d["done"] for d in last.differences] == ["2027-03-01"]
        assert self.look(one) is None
        assert shadow.agreement(grant.pk) == shadow.Agreement(same=0, other=1, nothing=0, untold=0)
        assert fresh(one).ring_at is None
        assert story(one).count("shadow.look") == 3
        assert erp.effects(one.ref) == []

    def test_nothing_done_counts_against_the_proposal_and_what_cannot_be_told_does_not(
        self, grant: Grant, planner: Planner, erp: SandboxProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        left = self.shadowed(planner, reschedule(erp))
        new = self.shadowed(planner, purchase(erp), "purchase_order_create")
        self.over(monkeypatch)
        assert (first := self.look(left)) is not None
        assert (second := self.look(new)) is not None
        assert (first.did, second.did) == (Did.NOTHING, Did.UNTOLD)
        assert "new document" in second.text
        assert shadow.agreement(grant.pk).told == 1
        assert shadow.agreement(new.grant_id) == shadow.Agreement(0, 0, 0, untold=1)

    def test_while_the_system_is_away_nothing_is_kept_until_patience_ends(
        self, grant: Grant, planner: Planner, erp: SandboxProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one = self.shadowed(planner, promise(erp), "sales_order_promise")
        self.over(monkeypatch)
        erp.down()
        assert self.look(one) is None
        assert not ShadowLook.objects.exists()
        monkeypatch.setattr(shadow, "GIVE_UP", dt.timedelta(0))
        kept = self.look(one)
        assert kept is not None
        assert (kept.did, kept.last) == (Did.UNTOLD, True)
        assert shadow.agreement(grant.pk).told == 0

    def test_a_look_rings_when_it_is_due_and_is_append_only(
        self, grant: Grant, planner: Planner, erp: SandboxProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        del grant
        one = self.shadowed(planner, reschedule(erp))
        rung: list[int] = []

        def ring(_task: str, pk: int) -> bool:
            rung.append(pk)
            return True

        monkeypatch.setattr(dispatch, "ring", ring)
        assert shadow.ring_due() == 0
        Proposal.objects.filter(pk=one.pk).update(ring_at=one.state_since)
        assert (shadow.ring_due(), shadow.ring_due(), rung) == (1, 0, [one.pk])
        self.look(one)
        assert AuditEntry.objects.filter(verb="shadow.look", proposal=one).count() == 1
        with connection.cursor() as cursor, pytest.raises(Exception, match="permission denied"):
            cursor.execute("UPDATE console_shadowlook SET did = 'same'")
