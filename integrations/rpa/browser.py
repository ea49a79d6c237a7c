"""One sitting of the robot: a Chromium of its own, one page, everything that leaves it judged, and then it is closed.

A sitting starts from nothing (no profile, no cookies, nothing kept), with a fixed window, language and time zone, no
downloads, no permissions and no service workers. One robot account sits at one screen at a time: two would show each
other their half-done work. That holds for the workers of one machine; see the README.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

from playwright.sync_api import Browser, Dialog, Page, Response, Route, sync_playwright
from playwright.sync_api import Error as BrowserError

from integrations.contract import Account, Exhibit, Unavailable
from integrations.rpa.gate import Gate, Said

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
STEADY = 4
"""How many looks in a row must show the same before it counts: a form shows defaults before its data arrives."""
PAUSE = 0.1
"""Seconds between two looks."""

T = TypeVar("T")


class Otherwise(Exception):
    """The screen is not what the script expects. The text says where, what was expected and what is shown."""


@dataclass
class Sitting:
    """The robot at the screen.

    `patience`: seconds to wait for anything. `masked`: labels of fields that no evidence may show. `exhibits`: the
    evidence so far. `heard`: every call of the page that was answered, with the answer. `oddities`: what no script
    expects.
    """

    page: Page
    gate: Gate
    patience: float
    masked: Sequence[str] = ()
    exhibits: list[Exhibit] = field(default_factory=list)
    heard: list[tuple[Said, Response]] = field(default_factory=list)
    oddities: list[str] = field(default_factory=list)
    signed_in: bool = False

    def keep(self, name: str) -> None:
        """Take a picture and the tree of what is on the screen, with the sensitive parts masked."""
        fields = [self.page.get_by_label(f"{label}:", exact=True) for label in self.masked]
        picture = self.page.screenshot(mask=fields, animations="disabled", caret="hide")
        tree = self.page.locator("body").aria_snapshot()
        for label in self.masked:
            tree = re.sub(rf'(- \w+ "{re.escape(label)}:"[^\n:]*): [^\n]*', r"\1: (masked)", tree)
        self.exhibits.append(Exhibit(name, "image/png", picture))
        self.exhibits.append(Exhibit(name, "text/yaml", tree.encode()))

    def hold(self, what: str, read: Callable[[], T], expected: T) -> None:
        """Wait until `read` gives what is expected several times in a row. Otherwise when it does not."""
        deadline = time.monotonic() + self.patience / 2
        steady, found = 0, None
        while steady < STEADY:
            found = self._read(read)
            steady = steady + 1 if found == expected else 0
            if time.monotonic() > deadline and not steady:
                raise Otherwise(f"{what}: the screen shows {found!r}, expected is {expected!r}")
            self.page.wait_for_timeout(PAUSE * 1000)
        self.calm()

    def settled(self, what: str, read: Callable[[], T]) -> T:
        """Wait until `read` gives one and the same several times in a row, and give that."""
        deadline = time.monotonic() + self.patience
        steady, last = 0, self._read(read)
        while steady < STEADY:
            self.page.wait_for_timeout(PAUSE * 1000)
            found = self._read(read)
            steady, last = (steady + 1, found) if found == last and found is not None else (0, found)
            if time.monotonic() > deadline and not steady:
                raise Otherwise(f"{what}: the screen does not settle")
        self.calm()
        if last is None:
            raise Otherwise(f"{what}: the screen does not show it")
        return last

    def calm(self) -> None:
        """Otherwise when something happened that no script expects."""
        if self.gate.held:
            raise Otherwise(f"the screen wanted to send what nobody approved: {'; '.join(self.gate.held)}")
        if self.oddities:
            raise Otherwise(f"the screen did what the script does not know: {'; '.join(self.oddities)}")

    def _read(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except BrowserError:
            return None


def first_line(error: BaseException) -> str:
    """The first line of what the browser says; the rest is its log."""
    return str(error).partition("\n")[0][:200]


def find_chromium(named: str = "") -> str:
    """The browser's program: as configured, CHROMIUM_PATH, or one on the PATH. Unavailable where there is none."""
    for candidate in (named, os.environ.get("CHROMIUM_PATH", "")):
        if candidate:
            return candidate
    for name in NAMES:
        if found := shutil.which(name):
            return found
    raise Unavailable(
        "There is no Chromium on this worker: install one, set CHROMIUM_PATH, or name it in the connection's options."
    )


@contextlib.contextmanager
def sit(
    options: Mapping[str, Any],
    account: Account,
    gate: Gate,
) -> Iterator[Sitting]:
    """A fresh browser with one page. Unavailable when it cannot be started or the account's place is taken."""
    patience = float(options.get("timeout", 20))
    program = find_chromium(str(options.get("chromium") or ""))
    with _alone(gate.origin, account.login, patience), contextlib.ExitStack() as stack:
        try:
            driver = stack.enter_context(sync_playwright())
            browser = driver.chromium.launch(
                executable_path=program,
                headless=True,
                # Chromium's own walls do not stand for root.
                chromium_sandbox=os.geteuid() != 0,
                args=["--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"],
                timeout=patience * 1000,
            )
        except BrowserError as error:
            raise Unavailable(f"The robot's browser does not start: {first_line(error)}") from None
        stack.callback(_close, browser)
        yield _seated(browser, gate, account, patience, tuple(options.get("masked", ())))


def _seated(
    browser: Browser, gate: Gate, account: Account, patience: float, masked: Sequence[str]
) -> Sitting:
    context = browser.new_context(
        viewport={"width": 1280, "height": 1000},
        locale="en-US",
        timezone_id="UTC",
        accept_downloads=False,
        service_workers="block",
        permissions=[],
        reduced_motion="reduce",
    )
    context.set_default_timeout(patience * 1000)

    def judge(route: Route) -> None:
        request = route.request
        body = request.post_data or ""
        # What the screen shows the system instead of the password.
        account.hold(request.headers.get("authorization", "").rpartition(" ")[2])
        allowed = gate.judge(request.url, request.method, body)
        if allowed is None:
            route.abort("blockedbyclient")
        elif allowed == body:
            route.continue_()
        else:
            route.continue_(post_data=allowed)

    context.route(re.compile(rf"^(?!{re.escape(gate.origin)}{gate.speech.files})"), judge)
    context.route_web_socket("**/*", lambda socket: socket.close())
    page = context.new_page()
    sitting = Sitting(page, gate, patience, masked)

    def asked(dialog: Dialog) -> None:
        if dialog.type == "beforeunload":
            # Leaving a form drops what was typed and not saved, which is what leaving is for.
            dialog.accept()
            return
        sitting.oddities.append("the browser was asked a question")
        dialog.dismiss()

    def hear(response: Response) -> None:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            if (said := gate.speech.said(response.url, response.request.post_data or "")) is not None:
                sitting.heard.append((said, response))

    page.on("dialog", asked)
    page.on("response", hear)
    page.on("download", lambda _: sitting.oddities.append("a download was offered"))
    context.on("page", lambda _: sitting.oddities.append("a further window opened"))
    return sitting


def _close(browser: Browser) -> None:
    with contextlib.suppress(BrowserError):
        browser.close()


@contextlib.contextmanager
def _alone(origin: str, login: str, patience: float) -> Iterator[None]:
    """This account's only place at this system's screens, on this machine."""
    name = hashlib.sha256(f"{origin} {login} {os.geteuid()}".encode()).hexdigest()[:24]
    deadline = time.monotonic() + patience
    with (Path(tempfile.gettempdir()) / f"countersign-robot-{name}").open("w") as place:
        while not _taken(place):
            if time.monotonic() > deadline:
                raise Unavailable(f"The robot {login!r} is at a screen already; one account works at one.")
            time.sleep(PAUSE)
        yield


def _taken(place: IO[str]) -> bool:
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
