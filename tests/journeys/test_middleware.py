"""By a middleware: agent, approve, accepted, callback, committed; and what people see where it goes otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser

from console.models import Connection, Incident
from tests import cast
from tests.cast import People
from tests.journeys.house import Street, house
from tests.journeys.scene import Scene, open_scene
from tests.journeys.test_secrets import dump, tells
from tests.lifecycle.corridor import reschedule
from tests.rigs.nodered import ON_WORD, SEEN, NodeRed
from tests.rigs.plant_types.notice import SAMPLE
from tests.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
]

RESCHEDULE = "production_order_reschedule"
MIDDLEWARE = "middleware"
NOTICES = "notices"
CODE = "a-credential-in-an-address"
ANSWERS_WITHIN = 12
"""Long enough for every callback of these stories, short enough to wait for its absence."""


@dataclass
class Flows:
    """A plant whose ERP is written to by flows."""

    scene: Scene
    nodered: NodeRed

    def behave(self, mode: str, connection: str = MIDDLEWARE) -> None:
        """How the flow answers from now on."""
        self.nodered.behave(mode, callback=f"{self.scene.house.url}/callbacks/{connection}")

    def propose(self, erp: SandboxProcess) -> str:
        """A reschedule in front of a supervisor."""
        ref = self.scene.agent.propose(RESCHEDULE, reschedule(erp), connection=MIDDLEWARE)
        self.scene.agent.follow(ref, "in_review")
        return ref

    def tell_no_secret(self) -> None:
        """Neither what was stored nor what was logged, all that can be, shows a key or the address's credential."""
        keys = [*self.nodered.secrets.values(), self.nodered.callback_secret]
        secrets = [CODE, *(key.removeprefix("whsec_") for key in keys)]
        said = {"log": self.scene.house.said(), **dict(dump())}
        assert {place: found for place, text in said.items() if (found := tells(text, *secrets))} == {}
        assert "awaiting_system" in said["console_auditentry"]


@pytest.fixture
def flows(
    street: Street,
    sandbox: SandboxProcess,
    nodered: NodeRed,
    people: People,
    browser: Browser,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Flows]:
    """The product with three connections: the ERP for reading only, flows that it verifies, and notices."""
    plant, secrets = sandbox.settings(timeout_ms=2000)
    entry, more = nodered.settings(cast.PLANT, answers_within=ANSWERS_WITHIN)
    notices, most = nodered.settings("", [ON_WORD], answers_within=ANSWERS_WITHIN)
    entries = {
        cast.PLANT: {**plant, "writers": {}},
        MIDDLEWARE: entry,
        NOTICES: {**notices, "title": "Notices"},
    }
    for one in (entry, notices):  # as some middleware writes a credential into the address of a flow
        one["options"]["endpoints"] = {
            name: f"{url}?code={CODE}" for name, url in one["options"]["endpoints"].items()
        }
    told = {"TRANSACTION_TYPE_PACKAGES": "tests.rigs.plant_types", "LOG_LEVEL": "DEBUG"}
    running = street.at(
        "middleware",
        lambda: house(tmp_path_factory.mktemp("house"), entries, {**secrets, **more, **most}, told),
    )
    rows = {
        name: cast.connection(name, "sandbox", str(entries[name]["title"])) for name in (MIDDLEWARE, NOTICES)
    }
    for scene in open_scene(running, people, browser, cast.PLANT, "sandbox", "Plant"):
        for name in SEEN:
            cast.grant(scene.planner.version, "type", name, rows[MIDDLEWARE])
        cast.grant(scene.planner.version, "type", ON_WORD, rows[NOTICES])
        found = Flows(scene, nodered)
        found.behave("ok")
        yield found
        found.tell_no_secret()


def test_it_is_accepted_called_back_and_committed_before_her_eyes(
    flows: Flows, sandbox: SandboxProcess
) -> None:
    scene = flows.scene
    flows.behave("slow")
    ref = flows.propose(sandbox)
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    ana.sees("Planned start", "Send a message to")
    ana.approve()
    told = scene.agent.follow(ref, "awaiting_system")
    assert not told["final"]
    ana.open(ref)
    ana.sees_state("Awaiting the system")
    ana.sees("the answer is read back before it counts", "Accepted, answer to come")
    scene.agent.follow(ref, "committed")
    ana.sees_state("Committed")
    ana.sees(
        "The system told us later that it was done",
        "Taken as a claim; the read-back decides",
        "The system shows it",
    )
    assert scene.story(ref)[-4:] == ["commit.note", "commit.accepted", "callback.hear", "commit.committed"]
    assert len(sandbox.effects(ref)) == 1


def test_what_the_flow_refuses_ends_as_failed_with_its_words(flows: Flows, sandbox: SandboxProcess) -> None:
    scene = flows.scene
    flows.behave("reject")
    ref = flows.propose(sandbox)
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    ana.approve()
    scene.agent.follow(ref, "commit_failed")
    ana.open(ref)
    ana.sees_state("Commit failed")
    ana.sees("The approver of the flow said no.", "not done")
    assert sandbox.ledger() == []


def test_silence_ends_in_front_of_a_person_who_settles_it(flows: Flows, sandbox: SandboxProcess) -> None:
    scene = flows.scene
    flows.behave("silent")
    ref = flows.propose(sandbox)
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    ana.approve()
    scene.agent.follow(ref, "outcome_unknown")
    ana.open(ref)
    ana.sees_state("Outcome unknown")
    ana.sees("does not show it when it should")
    ana.settle(happened=False, note="The run stands in the flow's error queue; deleted it there.")
    assert scene.agent.follow(ref, "commit_failed")["final"]
    assert list(flows.nodered.told()["jobs"]) == [ref]


def test_the_opposite_said_later_opens_an_incident_that_people_find(
    flows: Flows, sandbox: SandboxProcess
) -> None:
    scene = flows.scene
    flows.behave("contradict")
    ref = flows.propose(sandbox)
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    ana.approve()
    scene.agent.follow(ref, "committed")
    flows.nodered.wait_for_answers(2)
    scene.house.wait_until_idle()
    ana.open(ref)
    ana.sees_state("Committed")
    ana.sees("The opposite of what is known")
    incident = Incident.objects.get(proposal__ref=ref)
    assert "that is not what is known" in incident.title
    assert Connection.objects.get(name=MIDDLEWARE) == incident.connection


def test_what_nothing_shows_says_that_it_ended_on_the_middlewares_word(flows: Flows) -> None:
    scene = flows.scene
    flows.behave("ok", NOTICES)
    ref = scene.agent.propose(ON_WORD, SAMPLE, connection=NOTICES)
    scene.agent.follow(ref, "in_review")
    ana = scene.come(scene.people.ana)
    ana.open(ref)
    ana.approve()
    scene.agent.follow(ref, "committed")
    ana.open(ref)
    ana.sees_state("Committed")
    ana.sees("It ended on the system's word", "On the word of Notices: nothing can be read back.")
    ana.misses("what was approved is what is there")
