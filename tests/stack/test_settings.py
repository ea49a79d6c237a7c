"""Settings: what production refuses, and how values are found."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from console import environment
from console.environment import ROOT

FIT = {
    "COUNTERSIGN_MODE": "production",
    "SECRET_KEY": "k3y" * 20,
    "ALLOWED_HOSTS": "console.example",
    "DATABASE_URL": "postgresql://app:one@db/countersign",
    "DATABASE_OWNER_URL": "postgresql://owner:two@db/countersign",
    "REDIS_URL": "redis://broker:6379/0",
    "AUDIT_SIGNING_KEY": "only-that-it-is-there-is-looked-at",
    "DEBUG": "0",
    "CONNECTIONS": json.dumps({"erp": {"adapter": "integrations.tryton.adapter"}}),
}


def settings(monkeypatch: pytest.MonkeyPatch, **changes: str | None) -> dict[str, Any]:
    for name, value in {**FIT, **changes}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    return runpy.run_path(str(ROOT / "console" / "settings.py"))


def test_production_starts_when_everything_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(monkeypatch)
    assert found["SESSION_COOKIE_NAME"].startswith("__Host-")
    assert found["SESSION_COOKIE_SECURE"]
    assert found["CSRF_COOKIE_SECURE"]
    assert found["GATES_REQUIRED"], "who leaves it out in production gets the gate"
    assert not any(
        "unsafe" in source
        for row in found["CONTENT_SECURITY_POLICY"]["DIRECTIVES"].values()
        for source in row
    )


def test_production_is_the_mode_nobody_has_to_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings(monkeypatch, COUNTERSIGN_MODE=None)["PRODUCTION"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"SECRET_KEY": None}, "SECRET_KEY"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY"),
        ({"SECRET_KEY": "only-for-tests-and-demos-" + "x" * 32}, "SECRET_KEY"),
        ({"AUDIT_SIGNING_KEY": None}, "AUDIT_SIGNING_KEY"),
        ({"AUDIT_ORIGIN": "two words"}, "AUDIT_ORIGIN is 'two words'"),
        ({"DEBUG": "1"}, "DEBUG"),
        ({"DEBUG": "perhaps"}, "DEBUG is 'perhaps'; say 1 or 0"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS"),
        ({"ALLOWED_HOSTS": None}, "ALLOWED_HOSTS"),
        (
            {"DATABASE_OWNER_URL": "postgresql://app:one@db/countersign"},
            "DATABASE_URL and DATABASE_OWNER_URL",
        ),
        ({"DATABASE_URL": "sqlite:///file"}, "PostgreSQL only"),
        ({"CONNECTIONS": '{"erp": {"adapter": "integrations.sandbox.adapter"}}'}, "sandbox"),
        ({"CONNECTIONS": "{"}, "CONNECTIONS is not JSON"),
        ({"CONNECTIONS": "[]"}, "CONNECTIONS is not a JSON object"),
        ({"SECRET_KEY": None, "SECRET_KEY_FILE": "/nowhere/at/all"}, "SECRET_KEY_FILE names /nowhere/at/all"),
        ({"COUNTERSIGN_MODE": "staging"}, "production, demo or test"),
    ],
)
def test_production_refuses_what_is_unfit_and_names_it(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str | None], named: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match=named.replace("*", r"\*")) as refusal:
        settings(monkeypatch, **changes)
    assert FIT["SECRET_KEY"] not in str(refusal.value)


def test_all_faults_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        settings(monkeypatch, SECRET_KEY="short", DEBUG="1", ALLOWED_HOSTS="*")
    assert all(name in str(refusal.value) for name in ("SECRET_KEY", "DEBUG", "ALLOWED_HOSTS"))


def test_commands_that_need_no_database_find_settings_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(monkeypatch, DATABASE_URL=None, DATABASE_OWNER_URL=None, REDIS_URL=None)
    assert found["DATABASES"]["default"]["ENGINE"] == "django.db.backends.dummy"


def test_a_secret_may_be_in_a_file_and_is_read_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    monkeypatch.setenv("ERP_WRITER_FILE", str(file))
    file.write_text("first\n")
    assert environment.secret("ERP_WRITER") == "first"
    file.write_text("rotated\n")
    assert environment.secret("ERP_WRITER") == "rotated"


@pytest.mark.parametrize("content", [None, ""])
def test_a_missing_or_empty_secret_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    if content is not None:
        monkeypatch.setenv("ERP_WRITER", content)
    with pytest.raises(ImproperlyConfigured, match="ERP_WRITER"):
        environment.secret("ERP_WRITER")


def test_the_file_of_a_dead_demo_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environment, "LOCK_FILE", tmp_path / "demo.lock")
    monkeypatch.setattr(environment, "RUNTIME_FILE", tmp_path / "runtime.json")
    (tmp_path / "demo.lock").touch()
    (tmp_path / "runtime.json").write_text('{"SECRETS": {"ERP_WRITER": "stale"}}')
    assert environment.read_runtime() == {}
    with pytest.raises(ImproperlyConfigured):
        environment.secret("ERP_WRITER")
