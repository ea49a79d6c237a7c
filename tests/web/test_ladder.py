"""What stands beside a decision and a grant: evidence with its n, and what moves a grant up and down."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from console.audit import WORKER
from console.evals import shadow
from console.models import Grant, State
from tests.cast import People, Planner
from tests.lifecycle.corridor import assessed, fresh, proposed, reschedule
from tests.sandbox import SandboxProcess

pytestmark = pytest.mark.django_db

SignIn = Callable[[User], Client]
RESCHEDULE = "production_order_reschedule"


@pytest.fixture
def grant(planner: Planner) -> Grant:
    """The planner's grant to reschedule production orders."""
    return Grant.objects.get(version=planner.version, name=RESCHEDULE)


def test_a_shadow_proposal_has_its_own_group_and_says_what_people_did_in_its_place(
    people: People, grant: Grant, planner: Planner, erp: SandboxProcess, signed_in: SignIn
) -> None:
    Grant.objects.filter(pk=grant.pk).update(autonomy="shadow")
    payload = reschedule(erp)
    one = assessed(proposed(planner, payload))
    assert one.state == State.SHADOWED
    ana = signed_in(people.ana)
    assert "Nothing was looked at yet" in ana.get(f"/proposals/{one.ref}/").content.decode()
    erp.edit(f"production {payload['order']}", planned_start=payload["planned_start"])
    shadow.look_back(fresh(one), actor=WORKER)
    page = ana.get(f"/proposals/{one.ref}/").content.decode()
    for part in ("What people did in its place", "Something else", "Planned finish", "So far"):
        assert part in page
    assert "compared to the end yet" in page
    for group, there in (("shadow", True), ("done", False), ("mine", False), ("waiting", False)):
        assert (one.ref in ana.get("/", {"group": group}).content.decode()) is there, group
