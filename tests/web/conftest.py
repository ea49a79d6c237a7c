"""Proposals in the states that pages show, and browsers that are signed in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page
from pytest_django.live_server_helper import LiveServer

from console.audit import WORKER
from console.lifecycle.assess import assess
from console.lifecycle.review import current
from console.models import Assessment, Proposal
from tests.cast import PASSWORD, Planner, envelope, propose
from tests.lifecycle.corridor import purchase, reschedule
from tests.sandbox import SandboxProcess

Make = Callable[..., Proposal]


@pytest.fixture
def waiting(planner: Planner, erp: SandboxProcess) -> Make:
    """A factory of proposals in review: a draft production order moved by two weeks, unless told otherwise."""

    def make(
        payload: dict[str, Any] | None = None, type_name: str = "production_order_reschedule", **more: Any
    ) -> Proposal:
        sent = envelope(type_name, payload=payload or reschedule(erp), **more)
        return assess(propose(planner, sent), actor=WORKER)

    return make


@pytest.fixture
def big(waiting: Make, erp: SandboxProcess) -> Proposal:
    """A purchase order that takes two supervisors: it reaches the books and cannot be reversed."""
    return waiting(purchase(erp), "purchase_order_create")


def seen(proposal: Proposal) -> Assessment:
    """The assessment a decision is about."""
    found = current(proposal)
    assert found is not None
    return found


@pytest.fixture
def signed_in() -> Callable[[User], Client]:
    """A client per person."""

    def make(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return make


def refused_on_purpose(said: ConsoleMessage) -> bool:
    """Whether this is only the browser's note that a proposal's page answered 404, 409 or 422."""
    refused = re.search(r"status of (404|409|422)", said.text) is not None
    return refused and "/proposals/" in said.location["url"]


@pytest.fixture
def browse(browser: Browser, live_server: LiveServer) -> Iterator[Callable[..., Page]]:
    """Pages signed in through the sign-in page; a console error, a script error or a foreign request fails.

    `browse("ana", scheme="dark", width=390, scripts=False)`; paths are relative to the live server.
    """
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def open_page(
        name: str = "ana", *, scheme: Any = "light", width: int = 1280, scripts: bool = True
    ) -> Page:
        context = browser.new_context(
            base_url=live_server.url,
            viewport={"width": width, "height": 844},
            color_scheme=scheme,
            java_script_enabled=scripts,
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console",
            lambda said: (
                faults.append(said.text) if said.type == "error" and not refused_on_purpose(said) else None
            ),
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "request",
            lambda sent: None if sent.url.startswith((live_server.url, "data:")) else faults.append(sent.url),
        )
        page.goto("/account/login/")
        page.get_by_label("User name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults, faults
