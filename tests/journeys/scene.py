"""One day at a plant: the product running, its people at their browsers, an agent with its key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from playwright.sync_api import Browser

from console.models import AuditEntry, Connection
from tests import cast
from tests.cast import People, Planner
from tests.journeys.agent import Agent
from tests.journeys.house import House
from tests.journeys.person import Person
from tests.lifecycle.conftest import check_told_once


@dataclass
class Scene:
    """One plant on one day. `agent` is Oskar's planner; `come(user)` opens a browser for a person."""

    house: House
    people: People
    planner: Planner
    connection: Connection
    agent: Agent
    browser: Browser
    present: list[Person] = field(default_factory=list)

    def come(self, user: User, *, sign_in: bool = False, **browser: Any) -> Person:
        """A person with a browser of their own; `browser` are options of its window."""
        context = self.browser.new_context(**{"locale": "en-GB", "reduced_motion": "reduce", **browser})
        person = Person(context, self.house.url, user)
        self.present.append(person)
        if sign_in:
            person.sign_in()
        else:
            person.arrive()
        return person

    def story(self, ref: str) -> list[str]:
        """The verbs of a proposal's audit entries but for who looked, in order."""
        found = AuditEntry.objects.filter(proposal__ref=ref).exclude(verb="proposal.view").order_by("id")
        return list(found.values_list("verb", flat=True))


def open_scene(
    running: House, people: People, browser: Browser, name: str, system: str, title: str
) -> Iterator[Scene]:
    """Make the rows of a plant, prove its accounts, and tidy up after the journey."""
    one = cast.version(cast.agent(people.oskar))
    connection = cast.connection(name, system, title)
    cast.grant_all(one, connection)
    planner = Planner(agent=one.agent, version=one, key=cast.key(one))
    running.prove_accounts()
    agent = Agent(running.url, planner.key, running.sweep)
    scene = Scene(running, people, planner, connection, agent, browser)
    yield scene
    agent.close()
    for person in scene.present:
        person.context.close()
    running.wake_worker()
    running.wait_until_idle()
    check_told_once()
    for person in scene.present:
        assert not person.faults, (person.user.username, person.faults)
