"""`manage.py capabilities`: what every path carries, told before anything is connected."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from console.catalogue import read_tools, transaction_types
from console.environment import ROOT
from console.models import Connection
from integrations import scan
from tests import cast


def told(*arguments: str) -> str:
    said = StringIO()
    call_command("capabilities", *arguments, stdout=said, stderr=StringIO())
    return said.getvalue()


def block(text: str, name: str) -> str:
    """What is said of one type or tool."""
    return text.split(f"{name}  (", 1)[1].split("\n", 1)[1].split("(", 1)[0].rsplit("\n", 1)[0]


@pytest.mark.django_db
@pytest.mark.usefixtures("plant")
def test_every_type_and_tool_is_told_with_every_shipped_adapter_and_its_guarantee() -> None:
    text = told()
    for name in (*transaction_types(), *read_tools()):
        assert f"{name}  (" in text
    found, missing = scan.adapters()
    assert not missing, "the tests install everything"
    for path, adapter in found.items():
        for name, carried in adapter.types.items():
            [line] = [
                one for one in block(text, name).splitlines() if f"adapter {path.split('.')[1]} " in one
            ]
            assert carried.effect.value in line
            for missed in carried.unsupported:
                assert missed in line
            if not adapter.verified and not adapter.by_hand:
                assert "not verified against a vendor system" in line


@pytest.mark.django_db
@pytest.mark.usefixtures("plant")
def test_a_connection_says_what_it_lacks(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "connection plant" in told("sales_order_promise")
    assert "switched off" not in told("sales_order_promise")
    Connection.objects.update(enabled=False)
    assert "it is switched off" in told("sales_order_promise")
    Connection.objects.update(enabled=True)
    entry: dict[str, Any] = {**settings.CONNECTIONS[cast.PLANT], "writers": {}}
    cast.use_connections(settings, monkeypatch, {cast.PLANT: entry}, {})
    assert "it has no service account for this type" in told("sales_order_promise")


@pytest.mark.django_db
@pytest.mark.usefixtures("plant")
def test_it_can_be_read_by_a_program_and_asked_of_one_type() -> None:
    [one] = json.loads(told("floor_task", "--json"))
    assert [way["guarantee"] for way in one["ways"]] == ["by hand"]
    with pytest.raises(CommandError, match="There is no open_the_furnace"):
        told("open_the_furnace")


def test_it_needs_neither_database_nor_broker_nor_any_system() -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE", "REDIS"))}
    ran = subprocess.run(
        [sys.executable, "manage.py", "capabilities", "sales_order_promise"],
        cwd=ROOT,
        env=bare,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert "guarded" in ran.stdout
    assert "not known what is switched off" in ran.stderr
