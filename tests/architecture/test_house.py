"""Rules of the house that import contracts cannot say: who writes a state, what is recorded, what is declared."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db.migrations.loader import MigrationLoader

from console import audit, models
from console.celery import app
from console.environment import ROOT
from console.models import APPEND_ONLY
from console.registry import widenings

CODE = sorted((ROOT / "console").rglob("*.py")) + sorted((ROOT / "integrations").rglob("*.py"))
MODELS = {model.__name__: model for model in apps.get_app_config("console").get_models()}
STATE_WRITERS = {"console/lifecycle/states.py"}
STATE_IN_SQL = re.compile(
    r"UPDATE\s+console_proposal\b(?:(?!\bWHERE\b).)*\b(?:state|version|state_since)\s*=",
    re.DOTALL | re.IGNORECASE,
)
TERMINALS = (
    "console/management/",
    "integrations/sandbox/__main__.py",
    "integrations/tryton/provision.py",
    "integrations/tryton/demo/",
)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))


def called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def texts(path: Path) -> set[str]:
    return {
        node.value
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def production() -> list[Path]:
    return [path for path in CODE if "/migrations/" not in path.as_posix()]


def test_only_one_function_writes_a_state_or_a_version() -> None:
    found = {name(path) for path in production() if any(map(STATE_IN_SQL.search, texts(path)))}
    for path in production():
        for node in ast.walk(tree(path)):
            if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(
                    isinstance(target, ast.Attribute) and target.attr in {"state", "version", "state_since"}
                    for target in targets
                    if not (isinstance(target, ast.Attribute) and getattr(target.value, "id", "") == "self")
                ):
                    found.add(name(path))
            if isinstance(node, ast.Call) and called(node) in {"update", "bulk_update"}:
                keywords = {keyword.arg for keyword in node.keywords}
                listed = {part for argument in node.args for part in ast.walk(argument)}
                strings = {part.value for part in listed if isinstance(part, ast.Constant)}
                if called(node) == "update" and keywords & {"state", "state_since"}:
                    found.add(name(path))
                if called(node) == "bulk_update" and strings & {"state", "version"}:
                    found.add(name(path))
    assert found == STATE_WRITERS


def test_only_the_door_down_and_the_widening_write_how_far_a_grant_goes() -> None:
    writers = {"update", "update_or_create", "bulk_update"}
    found = {
        name(path)
        for path in production()
        for node in ast.walk(tree(path))
        if (
            isinstance(node, ast.Call)
            and called(node) in writers
            and any(
                isinstance(part, ast.Constant) and part.value == "autonomy"
                for keyword in node.keywords
                for part in (ast.Constant(keyword.arg), *ast.walk(keyword.value))
            )
        )
        or (
            isinstance(node, ast.Assign | ast.AugAssign)
            and any(
                isinstance(target, ast.Attribute) and target.attr == "autonomy"
                for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            )
        )
    }
    assert found == {"console/registry/apply.py", "console/registry/grants.py"}


def test_nobody_saves_a_proposal_past_the_guard() -> None:
    found = {
        name(path)
        for path in production()
        for call in calls(path)
        if called(call) == "save" and isinstance(call.func, ast.Attribute)
        if getattr(call.func.value, "id", "") in {"proposal", "row", "one", "current"}
    }
    assert found == set()


def test_every_model_is_a_noun_of_the_package() -> None:
    assert set(MODELS) <= set(models.__all__)


def test_the_append_only_list_is_what_the_migrations_guard() -> None:
    guarded: set[str] = set()
    for path in sorted((ROOT / "console/migrations").glob("0*.py")):
        module = import_module(f"console.migrations.{path.stem}")
        guarded |= set(getattr(module, "APPEND_ONLY", ()))
    assert guarded == set(APPEND_ONLY)
    assert set(APPEND_ONLY) <= {model._meta.db_table for model in MODELS.values()}


def test_every_noun_that_says_append_only_is() -> None:
    said = {model._meta.db_table for model in MODELS.values() if "Append-only" in (model.__doc__ or "")}
    assert said == set(APPEND_ONLY)


@pytest.mark.django_db(databases=["default", "owner"])
def test_the_migrations_are_complete() -> None:
    call_command("makemigrations", "console", check=True, dry_run=True, verbosity=0)


def test_the_migrations_are_one_line() -> None:
    loader = MigrationLoader(None)
    ours = {key: node for key, node in loader.disk_migrations.items() if key[0] == "console"}
    assert len(loader.graph.leaf_nodes("console")) == 1
    for migration in ours.values():
        assert len([one for one in migration.dependencies if one[0] == "console"]) <= 1


def test_every_task_that_is_rung_exists_and_every_task_is_rung() -> None:
    app.loader.import_default_modules()
    there = {task for task in app.tasks if task.startswith("console.")}
    rung = {
        text
        for path in [*production()]
        for text in texts(path)
        if re.fullmatch(r"console\.tasks\.[a-z_]+", text)
        if name(path) != "console/tasks.py"
    }
    assert rung == there


def test_every_verb_that_is_recorded_is_known_and_every_known_one_is_recorded() -> None:
    spoken = {text for path in production() if name(path) != "console/audit.py" for text in texts(path)}
    assert set(audit.VERBS) - spoken == set()
    for path in production():
        for call in calls(path):
            if called(call) in {"record", "record_alone"} and call.args:
                verb = call.args[0]
                if isinstance(verb, ast.Constant) and isinstance(verb.value, str) and "." in verb.value:
                    assert verb.value in audit.VERBS, f"{name(path)} records {verb.value}"
            for keyword in call.keywords:
                if (
                    keyword.arg == "verb"
                    and isinstance(keyword.value, ast.Constant)
                    and called(call) == "move"
                ):
                    assert keyword.value.value in audit.VERBS


def test_every_verb_reads_as_a_sentence_with_a_tone() -> None:
    for verb, words in audit.VERBS.items():
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", verb)
        assert words.tone in {"plain", "good", "warn", "bad"}
        assert "{" not in words.sentence.replace("{subject}", "")


def test_every_widening_that_is_asked_for_can_be_confirmed() -> None:
    asked = {
        argument.value
        for path in (ROOT / "console").rglob("*.py")
        for call in calls(path)
        if called(call) == "ask" and call.args
        for argument in [call.args[0]]
        if isinstance(argument, ast.Constant)
    }
    assert asked == set(widenings.KINDS)


def test_nothing_prints_but_what_talks_to_a_terminal() -> None:
    found = {
        name(path)
        for path in production()
        for call in calls(path)
        if isinstance(call.func, ast.Name) and call.func.id == "print"
    }
    assert {path for path in found if not path.startswith(TERMINALS)} == set()


def test_no_signals_no_eager_tasks_no_atomic_requests_no_sqlite() -> None:
    for path in production():
        source = path.read_text()
        imported = {
            f"{node.module}.{alias.name}"
            for node in ast.walk(tree(path))
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }
        assert not {
            one for one in imported if one.startswith(("django.dispatch", "django.db.models.signals"))
        }, path
        for word in ("TASK_ALWAYS_EAGER", "task_always_eager", "ATOMIC_REQUESTS =", "sqlite3"):
            assert word not in source, (path, word)


def test_nothing_here_swallows_an_error_without_saying_why() -> None:
    for path in production():
        lines = path.read_text().splitlines()
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ExceptHandler) and (
                node.type is None or getattr(node.type, "id", "") in {"Exception", "BaseException"}
            ):
                logs = any(
                    called(call) in {"exception", "error"}
                    for call in ast.walk(node)
                    if isinstance(call, ast.Call)
                )
                raises = any(isinstance(part, ast.Raise) for part in ast.walk(node))
                assert "noqa: BLE001" in lines[node.lineno - 1] or logs or raises, (
                    f"{name(path)}:{node.lineno}"
                )
