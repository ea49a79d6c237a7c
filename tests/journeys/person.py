"""A person at a browser: signs in, looks, decides. What they click they find by its visible words, as people do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.cast import PASSWORD
from tests.conftest import watch_for_faults

PATIENCE_MS = 30_000
"""For what comes after a worker's work; the machine of a test is busy."""


class Person:
    """One person's browser window. `faults` is what went wrong in it; refusals that a story expects are taken off."""

    def __init__(self, context: BrowserContext, url: str, user: User) -> None:
        self.context, self.url, self.user = context, url, user
        context.set_default_timeout(PATIENCE_MS)
        self.page: Page = context.new_page()
        self.faults = watch_for_faults(self.page)

    # Coming in

    def sign_in(self, password: str = PASSWORD) -> None:
        """By the sign-in page, with name and password."""
        self.page.goto(f"{self.url}/")
        self.try_to_sign_in(self.user.username, password)
        expect(self.page.get_by_role("heading", name="Queue", level=1)).to_be_visible()

    def try_to_sign_in(self, name: str, password: str) -> None:
        """Fill in the sign-in page, right or wrong."""
        self.page.get_by_label("User name").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()

    def arrive(self) -> None:
        """Signed in already, from earlier today."""
        client = Client()
        client.force_login(self.user)
        name = settings.SESSION_COOKIE_NAME
        self.context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": self.url}])

    # Looking

    def go(self, path: str) -> None:
        """To an address of the console."""
        self.page.goto(f"{self.url}/{path.lstrip('/')}")

    def open(self, ref: str) -> None:
        """A proposal, from a link somebody sent."""
        self.go(f"proposals/{ref}/")

    def open_from_queue(self, words: str) -> None:
        """A proposal, from the queue."""
        self.go("")
        self.row(words).click()
        expect(self.page).to_have_url(re.compile("/proposals/"))

    def row(self, words: str) -> Locator:
        """The line of the queue that says this."""
        rows = self.page.get_by_role("region", name="Proposals").get_by_role("listitem").get_by_role("link")
        return rows.filter(has_text=words)

    @property
    def main(self) -> Locator:
        """What the page is about."""
        return self.page.get_by_role("main")

    def sees(self, *words: str | re.Pattern[str]) -> None:
        """These words stand on the page, now or in a moment, by themselves."""
        for one in words:
            expect(self.main).to_contain_text(one, timeout=PATIENCE_MS)

    def sees_state(self, words: str) -> None:
        """Where the proposal stands, as its page says it; the page gets there by itself."""
        expect(self.main.get_by_text(f"{words}.", exact=True)).to_be_visible(timeout=PATIENCE_MS)

    def misses(self, *words: str) -> None:
        """These words do not stand there."""
        for one in words:
            expect(self.main).not_to_contain_text(one)

    def unfold(self, summary: str) -> None:
        """Open a part of the page that is folded."""
        self.main.locator("summary").filter(has_text=summary).first.click()

    # Deciding

    def approve(self, *, last: bool = True) -> None:
        """Approve what is on screen. `last`: theirs is the last agreement needed."""
        self.choose("Approve")
        self.answer("Approve and send" if last else "Agree")

    def reject(self, reason: str, note: str) -> None:
        """For good."""
        self.choose("Reject")
        self.page.get_by_label(reason).check()
        self.page.get_by_label("Note").fill(note)
        self.answer("Reject for good")

    def ask_for_changes(self, reason: str, note: str) -> None:
        """Back to the agent."""
        self.choose("Ask for changes")
        self.page.get_by_label(reason).check()
        self.page.get_by_label("What should change").fill(note)
        self.answer("Send it back")

    def amend(self, fields: Mapping[str, str], note: str) -> None:
        """Other values, by their labels."""
        self.choose("Amend")
        for label, value in fields.items():
            self.page.get_by_label(label).fill(value)
        self.page.get_by_label("Why").fill(note)
        self.answer("Amend and check again")

    def settle(self, *, happened: bool, note: str) -> None:
        """What they found in the system."""
        self.choose("Settle it by hand")
        self.page.get_by_label("Yes, it is there" if happened else "No, it is not").check()
        self.page.get_by_label("How you know").fill(note)
        self.answer("Settle")

    def choose(self, what: str) -> None:
        """Open the form of a decision: in a dialog, or as a page where there is no script."""
        self.page.get_by_role("link", name=re.compile(rf"^{what}")).click()
        expect(self.page.get_by_role("link", name="Not now")).to_be_visible()

    def answer(self, what: str) -> None:
        """Press the button that sends the form in hand."""
        self.page.get_by_role("button", name=what, exact=True).click()

    # Faults

    def was_refused(self, status: int) -> None:
        """The browser's own line about an answer with this status is what the story expects."""
        lines = [one for one in self.faults if f"the server responded with a status of {status}" in one]
        assert lines, (status, self.faults)
        for one in lines:
            self.faults.remove(one)


def cookies(person: Person) -> dict[str, Any]:
    """The cookies of a person's browser, name to value."""
    return {str(one["name"]): one["value"] for one in person.context.cookies()}
