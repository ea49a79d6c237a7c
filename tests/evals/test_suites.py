"""Suites: nothing wrong gets in, everything that is wrong is told at once, and what is in never changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connections, transaction

from console.audit import OPERATOR
from console.errors import Denied, Refused
from console.evals import suites
from console.models import AuditEntry, EvalCase, EvalSuite, Gate
from tests.cast import People
from tests.evals.frozen import NAME, PROMISE, case, lines, question, reading, suite

pytestmark = pytest.mark.django_db

FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"surprise": 1}, "surprise", "no such field"),
    ({"type": None}, "", "one of the two"),
    ({"tool": "sales_order"}, "", "one of the two"),
    ({"type": "no_such_type"}, "type", "There is no no_such_type"),
    ({"acceptable": []}, "acceptable", "at least 1"),
    ({"acceptable": [{"order": "17"}]}, "acceptable.0.promised_date", "missing"),
    (
        {"acceptable": [None, {"order": 17, "promised_date": "2026-10-09"}]},
        "acceptable.1.order",
        "valid string",
    ),
    ({"critical": ["colour"]}, "critical", "no field colour"),
    ({"as_of": "2026-10-02T07:30:00"}, "as_of", "timezone"),
    ({"label_confidence": "sure"}, "label_confidence", "acted"),
    ({"split": "private"}, "split", "public"),
    ({"started_by": {"words": "x", "reading": 3}}, "", "there are 1"),
    (
        {"readings": [reading(tool_version=9)]},
        "readings.0.tool_version",
        "9",
    ),
    ({"readings": [reading(as_of="2026-10-02T07:30:01Z")]}, "readings.0.as_of", "read after the case began"),
    ({"readings": [reading(answer={"order": "17"})]}, "readings.0.answer", "missing"),
    ({"readings": [reading(arguments={"ordre": "17"})]}, "readings.0.arguments", "no such field"),
    ({"id": "two words"}, "id", "pattern"),
]


@pytest.mark.parametrize(
    ("change", "field", "text"), FAULTS, ids=[field or text for _, field, text in FAULTS]
)
def test_what_is_wrong_with_a_case_is_told_with_line_and_field(
    change: dict[str, Any], field: str, text: str
) -> None:
    with pytest.raises(Refused) as refused:
        suites.read(lines([case(1), case(2, **change)]))
    told = [one for one in refused.value.findings if one.field.startswith(f"line 2: {field}".rstrip(": "))]
    assert any(text in one.text for one in told), refused.value.findings


def test_every_fault_of_every_line_is_told_at_once_and_nothing_is_imported() -> None:
    broken = [
        b"{",
        b'{"a": 1.5}',
        *lines([case(1), case(1), question(4), case(5, split="x", critical=["y"])]),
    ]
    with pytest.raises(Refused) as refused:
        suites.import_cases(NAME, broken, source="", by=None, actor=OPERATOR)
    assert [one.field.partition(":")[0] for one in refused.value.findings] == [
        "line 1",
        "line 2",
        "line 4",
        "line 5",
        "line 6",
    ]
    assert not EvalSuite.objects.exists()


def test_an_empty_file_is_a_fault() -> None:
    with pytest.raises(Refused, match="one fault"):
        suites.read([b"", b"  "])


def test_what_is_exported_is_the_same_suite_when_it_is_imported() -> None:
    made = suite([case(1), case(2, split="public"), case(3, label_confidence="disputed")])
    assert (made.holdout, made.public, made.disputed) == (1, 1, 1)
    again = suites.import_cases(
        NAME, [one.encode() for one in suites.export(made)][::-1], source="", by=None, actor=OPERATOR
    )
    assert (again.suite.pk, again.new) == (made.pk, False)
    other = suites.import_cases(
        "other", [one.encode() for one in suites.export(made)], source="", by=None, actor=OPERATOR
    )
    assert other.suite.digest == made.digest


def test_other_cases_are_the_next_version_and_the_gate_stays_on_the_one_it_was_set_to() -> None:
    first, second = suite([case(1)]), suite([case(1, as_of="2026-10-02T07:30:01Z")])
    assert (first.number, second.number) == (1, 2)
    assert first.digest != second.digest
    assert Gate.objects.get(about=PROMISE).suite == first
    with pytest.raises(Refused, match="about sales_order_promise"):
        suite([question(1)])


def test_the_audit_log_names_the_suite_and_its_digest() -> None:
    made = suite([case(1)])
    body = json.loads(AuditEntry.objects.get(verb="suite.import").body)
    assert (body["subject"], body["detail"]["digest"]) == (f"{NAME} 1", made.digest)


def test_only_an_administrator_imports(people: People) -> None:
    for person in (people.ana, people.cleo):
        with pytest.raises(Denied):
            suites.import_cases(NAME, lines([case(1)]), source="", by=person, actor=OPERATOR)
    assert suites.import_cases(NAME, lines([case(1)]), source="", by=people.dora, actor=OPERATOR).new


@pytest.mark.django_db(databases=["default", "owner"], transaction=True)
@pytest.mark.parametrize("table", ["console_evalsuite", "console_evalcase"])
@pytest.mark.parametrize("alias", ["default", "owner"])
def test_a_frozen_case_can_be_neither_changed_nor_deleted(table: str, alias: str) -> None:
    suite([case(1)])
    for statement in (f"UPDATE {table} SET digest = 'x'", f"DELETE FROM {table}"):
        with (
            pytest.raises(DatabaseError, match=r"permission denied|append-only"),
            transaction.atomic(using=alias),
            connections[alias].cursor() as cursor,
        ):
            cursor.execute(statement)
    assert EvalCase.objects.get().body == case(1)


def test_five_hundred_cases_are_imported_in_a_few_statements(django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(20):
        suite(case(number) for number in range(500))


def test_the_command_imports_sets_exports_and_lists(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_bytes(b"\n".join(lines([case(1), case(2, split="public")])))
    call_command("evals", "import", NAME, str(path))
    call_command("evals", "gate", PROMISE, "--bar", "0.9", "--max-age-days", "30")
    call_command("evals", "export", NAME, "--split", "public", "--to", str(tmp_path / "out.jsonl"))
    call_command("evals", "list")
    assert [json.loads(one) for one in (tmp_path / "out.jsonl").read_text().splitlines()] == [
        case(2, split="public")
    ]
    said = capsys.readouterr().out
    assert "1 hold-out, 1 public" in said
    assert "0.9 right, 0 wrong allowed, 1 times, 30 days" in said
    path.write_bytes(b'{"id": "x"}')
    with pytest.raises(CommandError, match=r"line 1: as_of: This field is missing"):
        call_command("evals", "import", NAME, str(path))
