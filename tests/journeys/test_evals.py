"""How an agent earns a write: people freeze cases, it sits them with its own program, two people raise its grant."""

from __future__ import annotations

import pytest

from console.models import Autonomy, Grant, Proposal, Reading
from tests.evals.frozen import PROMISE, case, right_day, small_gate, suite
from tests.journeys.agent import Agent
from tests.journeys.scene import Scene

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
]


def sit(scene: Scene, opened: dict[str, object], answers: int) -> None:
    """The agent's own program, with the run's key in place of its own: read, then propose or leave it."""
    agent = Agent(scene.house.url, str(opened["key"]), scene.house.sweep)
    run = opened["run"]
    assert isinstance(run, dict)
    address = run["url"].removeprefix("/api/v1/")
    for _ in range(answers):
        now = agent.http.get(f"{address}/case").json()
        order = now["words"].split()[4]
        read = agent.read("sales_order", order=order)
        number = int(order) - 100
        if number % 3 == 2:
            said = agent.http.post(f"{address}/nothing", json={"case": now["number"]})
            assert said.status_code == 202
        else:
            payload = {"order": order, "promised_date": right_day(number)}
            agent.propose(PROMISE, payload, readings=[read["reading"]])
    agent.close()


def test_an_agent_sits_frozen_cases_and_two_people_raise_it_on_what_it_showed(scene: Scene) -> None:
    suite(case(number) for number in range(6))
    small_gate()
    grant = Grant.objects.get(version=scene.planner.version, kind=Grant.TYPE, name=PROMISE)
    Grant.objects.filter(pk=grant.pk).update(autonomy=Autonomy.SHADOW)
    dora, ana = scene.come(scene.people.dora), scene.come(scene.people.ana)
    dora.go("evals/")
    dora.sees("A first attempt takes 6 of its 6 hold-out cases", "closed to every version")

    opened = scene.agent.http.post("runs", json={"suite": "promises"}).json()
    sit(scene, opened, 4)
    dora.go("evals/")
    dora.page.get_by_role("link", name="Planner 1.0").click()
    dora.sees("4 of 6 answered", "2 to go", "Spends", "If it is truly right in")

    again = scene.agent.http.post("runs", json={"suite": "promises"}).json()
    assert again["resumed"]
    sit(scene, again, 2)
    address = again["run"]["url"].removeprefix("/api/v1/")
    done = scene.agent.http.post(f"{address}/finish", json={}).json()
    assert done["result"]["passed"]
    assert not Proposal.objects.exists()
    assert not Reading.objects.exists()

    dora.page.reload()
    dora.sees("6 of 6 right (60 to 100 % with 95 % confidence)", "It opened the gate")
    dora.page.get_by_role("link", name="The agent").click()
    dora.sees("6 of 6 right")
    row = dora.page.get_by_role("listitem").filter(has=dora.page.locator(f"#level-{grant.pk}"))
    row.get_by_label("Level for").select_option("Propose")
    row.get_by_role("button", name="Ask for it").click()
    dora.sees("A second person has to confirm it.")
    ana.go("administration/")
    ana.page.get_by_role("button", name="Confirm").click()
    ana.sees("Nothing waits.")
    grant.refresh_from_db()
    assert grant.autonomy == Autonomy.PROPOSE
    assert grant.evidence.startswith("6 of 6 right")
