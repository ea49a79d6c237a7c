"""While a demo's ERP is being set up, every page says how far it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.test import Client

from tests.cast import People

NOW = {
    "phase": "Installing modules",
    "done": 9,
    "total": 111,
    "core_ready": False,
    "ready": False,
    "error": None,
}


@pytest.fixture
def demo(settings: LazySettings, tmp_path: Path) -> Path:
    settings.MODE = "demo"
    settings.VAR = tmp_path
    (tmp_path / "tryton").mkdir()
    return tmp_path / "tryton" / "progress.json"


@pytest.mark.django_db
def test_a_page_of_a_demo_shows_how_far_the_erp_is_and_asks_again(
    demo: Path, client: Client, people: People
) -> None:
    demo.write_text(json.dumps(NOW))
    client.force_login(people.ana)
    page = client.get("/").content.decode()
    assert "Setting up the demo ERP: Installing modules" in page
    assert '<progress max="111" value="9">' in page
    assert 'hx-get="/setting-up"' in page


@pytest.mark.django_db
def test_the_strip_ends_when_the_erp_is_ready(demo: Path, client: Client, people: People) -> None:
    demo.write_text(json.dumps({**NOW, "core_ready": True, "ready": True}))
    client.force_login(people.ana)
    strip = client.get("/setting-up").content.decode()
    assert "nowhere else" in strip
    assert "hx-get" not in strip


@pytest.mark.django_db
def test_a_set_up_that_failed_says_why(demo: Path, client: Client, people: People) -> None:
    demo.write_text(json.dumps({**NOW, "error": "the disk is full"}))
    client.force_login(people.ana)
    assert "could not be set up: the disk is full" in client.get("/").content.decode()
