"""What the database itself refuses, whatever the code above it does: direct SQL as the application's role."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from console.models import APPEND_ONLY, Decision, Proposal, State
from tests.cast import People, Planner, propose
from tests.lifecycle.corridor import approved, committed, in_review, prove_accounts, reschedule, shown
from tests.sandbox import SandboxProcess

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "owner"]),
    pytest.mark.usefixtures("told_once"),
]


def run(sql: str, *values: str | int) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, values)


def test_a_state_cannot_change_without_an_audit_entry(planner: Planner) -> None:
    one = propose(planner)
    for change in (
        "state = 'approved'",
        "state = 'approved', version = version + 1",
        "version = version + 1",
    ):
        with pytest.raises(DatabaseError):
            run(f"UPDATE console_proposal SET {change} WHERE id = %s", one.pk)
    one.refresh_from_db()
    assert (one.state, one.version) == (State.RECEIVED, 0)


def test_a_proposal_cannot_appear_without_an_audit_entry(planner: Planner) -> None:
    one = propose(planner)
    with pytest.raises(DatabaseError):
        Proposal.objects.create(
            ref="CS-FORGED000000",
            agent_version=one.agent_version,
            grant=one.grant,
            connection=one.connection,
            transaction_type=one.transaction_type,
            type_version=1,
            autonomy="propose",
            state_since=one.state_since,
            submitted_at=one.submitted_at,
            expires_at=one.expires_at,
        )
    assert Proposal.objects.count() == 1


def test_an_old_entry_does_not_cover_a_new_change(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    one = approved(in_review(planner, reschedule(erp)), people.ana)
    with pytest.raises(DatabaseError):
        run("UPDATE console_proposal SET state = 'received', version = 0 WHERE id = %s", one.pk)
    with pytest.raises(DatabaseError):
        run("UPDATE console_proposal SET state = 'received' WHERE id = %s", one.pk)


def test_nothing_leaves_a_final_state(planner: Planner, people: People, erp: SandboxProcess) -> None:
    prove_accounts()
    one = committed(approved(in_review(planner, reschedule(erp)), people.ana))
    assert one.state == State.COMMITTED
    with pytest.raises(DatabaseError, match="final"):
        run("UPDATE console_proposal SET state = 'approved', version = version + 1 WHERE id = %s", one.pk)


ATTEMPT = (
    "INSERT INTO console_attempt (proposal_id, assessment_id, number, fence, adapter, account, digest,"
    " payload_digest, steps, step, stamps, outcome, text, document, label, handle, evidence, started_at)"
    " VALUES (%s, %s, 9, 9, '', '', %s, '', '[]', 0, '{}', 'sending', '', '', '', '', '{}', now())"
)


def test_an_attempt_without_an_approval_is_refused(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    one = in_review(planner, reschedule(erp))
    seen = shown(one)
    with pytest.raises(DatabaseError, match="nobody approved"):
        run(ATTEMPT, one.pk, seen.pk, seen.digest)
    approved(one, people.ana)
    with pytest.raises(DatabaseError, match="not committing"):
        run(ATTEMPT, one.pk, seen.pk, seen.digest)


def test_one_persons_second_answer_to_one_assessment_is_refused(
    planner: Planner, people: People, erp: SandboxProcess
) -> None:
    one = approved(in_review(planner, reschedule(erp)), people.ana)
    first = Decision.objects.get(proposal=one)
    first.pk = None
    with pytest.raises(DatabaseError):
        first.save(force_insert=True)


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_append_only_means_neither_update_nor_delete_nor_truncate(table: str) -> None:
    column = "size" if table == "console_checkpoint" else "index" if table == "console_auditleaf" else "id"
    for sql in (f'UPDATE {table} SET "{column}" = 1', f"DELETE FROM {table}", f"TRUNCATE {table}"):
        with pytest.raises(DatabaseError):
            run(sql)


def test_a_trigger_cannot_be_switched_off_by_the_application() -> None:
    for sql in (
        "ALTER TABLE console_auditentry DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "DROP TRIGGER console_audit_chain ON console_auditentry",
    ):
        with pytest.raises(DatabaseError):
            run(sql)
