"""The audit log: one entry per change of state, one tree over all, and no change that stays unseen.

The file is long because every way to change a log unseen is tried here.
"""

import io
import runpy
import threading
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction

from console import audit, audit_check, audit_tree
from console.audit import OPERATOR, WORKER
from console.environment import ROOT, VAR
from console.errors import Conflict, Missing
from console.lifecycle.submit import withdraw
from console.models import AuditEntry, AuditLeaf, Checkpoint
from tests.cast import Planner, propose

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])


def note_facts(count: int, chain: str = "console") -> None:
    """Entries that go with no change of state, over several chains."""
    with transaction.atomic():
        for number in range(count):
            audit.record(
                "console.start",
                actor=OPERATOR,
                chain=f"{chain}:{number % 3}",
                subject=f"fact {number} \u2014 Kovač",
            )


def as_owner(*statements: str) -> None:
    """What the owner of the tables can do once all triggers are off."""
    with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
        for table in ("console_auditentry", "console_auditleaf", "console_checkpoint"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        for statement in statements:
            cursor.execute(statement)
        for table in ("console_auditentry", "console_auditleaf", "console_checkpoint"):
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")


def faults() -> str:
    return "\n".join(audit_check.check().faults)


def test_every_change_of_state_has_one_entry_and_the_log_is_whole(planner: Planner) -> None:
    one = propose(planner)
    withdraw(one, planner.version, reason="not needed", actor=planner.actor)
    assert [(entry.verb, entry.proposal_version) for entry in one.entries.order_by("id")] == [
        ("proposal.submit", 0),
        ("proposal.withdraw", 1),
    ]
    audit_tree.sequence(actor=WORKER)
    report = audit_check.check()
    assert report.faults == []
    assert (report.entries, report.waiting) == (AuditEntry.objects.count(), 0)


def test_a_change_of_state_without_an_entry_is_named(planner: Planner) -> None:
    one = propose(planner)
    with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE console_proposal DISABLE TRIGGER ALL")
        cursor.execute(
            "UPDATE console_proposal SET state = 'approved', version = 1 WHERE ref = %s", [one.ref]
        )
        cursor.execute("ALTER TABLE console_proposal ENABLE TRIGGER ALL")
    assert faults() == f"proposal {one.ref} changed its state 2 times and has 1 entries of that"


def test_the_tree_grows_from_its_frontier_and_every_earlier_head_is_a_prefix() -> None:
    for count in (1, 2, 5, 8, 17):
        note_facts(count)
        assert audit_tree.sequence(actor=WORKER, batch=7) == count
    assert audit_tree.sequence(actor=WORKER) == 0
    hashes = [
        audit_tree.leaf_hash(bytes.fromhex(one))
        for one in AuditEntry.objects.order_by("id").values_list("hash", flat=True)
    ]
    heads = list(Checkpoint.objects.order_by("size"))
    assert [head.size for head in heads] == [1, 3, 8, 15, 16, 23, 30, 33]
    for head in heads:
        assert audit_tree.root_of(hashes[: head.size]).hex() == head.root
        assert audit_tree.read_note(head.note, [audit_tree.verifier_key()]).size == head.size
    assert audit_check.check().faults == []


def test_a_late_committer_is_waited_for_and_keeps_its_place() -> None:
    wrote, go_on = threading.Event(), threading.Event()

    def write_slowly() -> None:
        try:
            with transaction.atomic():
                audit.record("console.start", actor=OPERATOR, chain="slow", subject="first")
                wrote.set()
                go_on.wait(20)
        finally:
            connection.close()

    slow = threading.Thread(target=write_slowly)
    slow.start()
    try:
        assert wrote.wait(20)
        note_facts(2)
        assert AuditEntry.objects.count() == 2
        assert audit_tree.sequence(actor=WORKER, patience=0.1) == 0
    finally:
        go_on.set()
        slow.join(20)
    assert audit_tree.sequence(actor=WORKER) == 3
    places = AuditLeaf.objects.order_by("index").values_list("entry__chain", flat=True)
    assert list(places) == ["slow", "console:0", "console:1"]


def test_who_writes_after_the_look_is_not_waited_for() -> None:
    note_facts(1)
    wrote, go_on = threading.Event(), threading.Event()
    settled: list[int] = []

    def write_later() -> None:
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:  # a transaction that is open, but has taken no number
                    cursor.execute("SELECT pg_current_xact_id()")
                wrote.set()
                go_on.wait(20)
        finally:
            connection.close()

    later = threading.Thread(target=write_later)
    later.start()
    try:
        assert wrote.wait(20)
        settled.append(audit_tree.sequence(actor=WORKER, patience=0.1))
    finally:
        go_on.set()
        later.join(20)
    assert settled == [1]


def test_many_writers_of_one_chain_make_one_chain() -> None:
    def write() -> None:
        try:
            for number in range(20):
                audit.record_alone("console.start", actor=OPERATOR, chain="busy", subject=f"{number}")
        finally:
            connection.close()

    writers = [threading.Thread(target=write) for _ in range(6)]
    for one in writers:
        one.start()
    placed = 0
    while any(one.is_alive() for one in writers):
        placed += audit_tree.sequence(actor=WORKER)
    placed += audit_tree.sequence(actor=WORKER)
    assert placed == 120
    assert audit_check.check().faults == []
    assert not list(audit.broken("busy"))


def test_two_sequencers_place_every_entry_once() -> None:
    note_facts(300)
    placed: list[int] = []

    def run() -> None:
        try:
            placed.append(audit_tree.sequence(actor=WORKER, batch=20))
        finally:
            connection.close()

    both = [threading.Thread(target=run) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(30)
    placed.append(audit_tree.sequence(actor=WORKER))
    assert sum(placed) == 300
    assert audit_check.check().faults == []


FIFTH = "(SELECT id FROM console_auditentry ORDER BY id OFFSET 4 LIMIT 1)"
COLUMNS = (
    "proposal_id, proposal_version, verb, actor_kind, actor_id, actor_label, words, body, at, previous, hash"
)
INSERT_BEFORE_FIFTH = (
    f"INSERT INTO console_auditentry (id, chain, {COLUMNS}) SELECT id - 1, 'other', {COLUMNS}"
    f" FROM console_auditentry WHERE id = {FIFTH}"
)
REHASHED = (
    "encode(sha256(convert_to(previous || E'\\n' || (extract(epoch FROM at) * 1000000)::bigint || E'\\n' || body,"
    " 'UTF8')), 'hex')"
)


@pytest.mark.parametrize(
    ("statements", "told"),
    [
        pytest.param(
            [f"UPDATE console_auditentry SET body = replace(body, 'fact 4', 'fact 5') WHERE id = {FIFTH}"],
            "does not match its hash",
            id="edit",
        ),
        pytest.param(
            [f"UPDATE console_auditentry SET at = at - interval '1 microsecond' WHERE id = {FIFTH}"],
            "does not match its hash",
            id="date back",
        ),
        pytest.param(
            [f"UPDATE console_auditentry SET actor_label = 'Somebody else' WHERE id = {FIFTH}"],
            "is listed as something that its body does not say",
            id="edit the listing only",
        ),
        pytest.param(
            [
                f"DELETE FROM console_auditleaf WHERE entry_id = {FIFTH}",
                f"DELETE FROM console_auditentry WHERE id = {FIFTH}",
            ],
            "does not name the entry before it",
            id="delete",
        ),
        pytest.param(
            [f"DELETE FROM console_auditleaf WHERE entry_id = {FIFTH}"],
            "has no place in the tree, though later ones have",
            id="hide from the tree",
        ),
        pytest.param(
            [INSERT_BEFORE_FIFTH],
            "it was put in afterwards",
            id="insert dated back",
        ),
        pytest.param(
            [
                "DELETE FROM console_auditleaf",
                f"UPDATE console_auditentry SET id = id + 1000000 WHERE id = {FIFTH}",
            ],
            "does not name the entry before it",
            id="reorder entries",
        ),
        pytest.param(
            [
                "CREATE TEMPORARY TABLE two AS SELECT index, entry_id FROM console_auditleaf WHERE index IN (4, 6)",
                "DELETE FROM console_auditleaf WHERE index IN (4, 6)",
                "INSERT INTO console_auditleaf (index, entry_id) SELECT 10 - index, entry_id FROM two",
                "DROP TABLE two",
            ],
            "by its order it is number 4",
            id="reorder the tree",
        ),
        pytest.param(
            [
                "DELETE FROM console_auditleaf WHERE index >= 8",
                "DELETE FROM console_auditentry WHERE id NOT IN (SELECT entry_id FROM console_auditleaf)",
            ],
            "covers 12 entries, but only 8 stand in the tree",
            id="cut the tail",
        ),
        pytest.param(
            [
                "UPDATE console_auditentry SET body = replace(body, 'fact 11', 'fact 12')",
                f"UPDATE console_auditentry SET hash = {REHASHED}",
            ],
            "the first 12 entries do not lead to the root that checkpoint",
            id="edit the last and hash it again",
        ),
        pytest.param(
            ["UPDATE console_checkpoint SET root = repeat('0', 64)"],
            "or the roots differ",
            id="edit a checkpoint's row",
        ),
        pytest.param(
            ["UPDATE console_checkpoint SET note = replace(note, E'\\n12\\n', E'\\n11\\n'), size = 11"],
            "the signature of countersign does not match",
            id="edit a checkpoint's note",
        ),
    ],
)
def test_tampering_by_the_owner_is_found(statements: list[str], told: str) -> None:
    note_facts(12)
    audit_tree.sequence(actor=WORKER)
    assert faults() == ""
    as_owner(*statements)
    assert told in faults()


def test_a_log_rewritten_without_the_key_does_not_agree_with_its_checkpoint() -> None:
    note_facts(12)
    audit_tree.sequence(actor=WORKER)
    rewrite()
    assert faults() != ""
    assert "does not match its hash" not in faults()
    assert "do not lead to the root" in faults()


def rewrite() -> None:
    """Change one entry and hash its whole chain again, as anybody can who has the database."""
    as_owner(
        f"UPDATE console_auditentry SET body = replace(body, 'fact 4', 'fact 5') WHERE id = {FIFTH}",
        f"""
        DO $$ DECLARE e record; before text; BEGIN
            FOR e IN SELECT id, chain FROM console_auditentry ORDER BY id LOOP
                SELECT hash INTO before FROM console_auditentry
                    WHERE chain = e.chain AND id < e.id ORDER BY id DESC LIMIT 1;
                UPDATE console_auditentry SET previous = coalesce(before, '') WHERE id = e.id;
                UPDATE console_auditentry SET hash = {REHASHED} WHERE id = e.id;
            END LOOP;
        END $$""",
    )


def test_a_checkpoint_kept_elsewhere_finds_a_log_rewritten_with_the_key(tmp_path: Path) -> None:
    note_facts(12)
    audit_tree.sequence(actor=WORKER)
    kept = tmp_path / "checkpoint"
    kept.write_text(Checkpoint.objects.get().note)
    note_facts(3)
    audit_tree.sequence(actor=WORKER)
    call_command("verify_audit", against=[str(kept)], stdout=io.StringIO())
    rewrite()
    as_owner("DELETE FROM console_checkpoint", "DELETE FROM console_auditleaf")
    audit_tree.sequence(actor=WORKER)
    assert faults() == ""
    said = io.StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("verify_audit", against=[str(kept)], stdout=said, stderr=io.StringIO())
    assert end.value.code == 1
    assert "do not lead to the root that the checkpoint kept elsewhere (number 1) signed" in said.getvalue()


def test_a_log_restored_from_an_older_backup_is_found_by_a_checkpoint_kept_elsewhere() -> None:
    note_facts(5)
    audit_tree.sequence(actor=WORKER)
    first = Checkpoint.objects.get()
    note_facts(5)
    audit_tree.sequence(actor=WORKER)
    kept = Checkpoint.objects.order_by("-size")[0].note
    as_owner(
        f"DELETE FROM console_checkpoint WHERE size > {first.size}",
        f"DELETE FROM console_auditleaf WHERE index >= {first.size}",
        "DELETE FROM console_auditentry WHERE id NOT IN (SELECT entry_id FROM console_auditleaf)",
    )
    assert faults() == ""
    assert "covers 10 entries, but only 5" in "\n".join(audit_check.check(against=[kept]).faults)


def test_nothing_is_signed_while_the_tree_contradicts_its_checkpoint() -> None:
    note_facts(4)
    audit_tree.sequence(actor=WORKER)
    note_facts(1)
    as_owner("DELETE FROM console_auditleaf WHERE index = 3")
    with pytest.raises(Conflict, match="the last checkpoint covers 4 entries, but the tree ends at 3"):
        audit_tree.sequence(actor=WORKER)
    assert Checkpoint.objects.count() == 1


def test_one_chain_can_be_checked_alone() -> None:
    note_facts(6)
    said = io.StringIO()
    call_command("verify_audit", chain="console:1", stdout=said)
    assert "2 entries in 1 chains" in said.getvalue()
    as_owner("UPDATE console_auditentry SET body = replace(body, 'fact 4', 'fact 9')")
    call_command("verify_audit", chain="console:0", stdout=io.StringIO())
    with pytest.raises(SystemExit):
        call_command("verify_audit", chain="console:1", stdout=said, stderr=io.StringIO())
    assert "of chain console:1 does not match its hash" in said.getvalue()
    with pytest.raises(SystemExit):
        call_command("verify_audit", chain="no such", stdout=said, stderr=io.StringIO())


def check_receipt(receipt: str) -> dict[str, object]:
    script = runpy.run_path(str(ROOT / "static" / "verify_receipt.py"))
    told: dict[str, object] = script["verify"](receipt, audit_tree.verifier_key())
    return told


def test_every_entry_has_a_receipt_that_a_standard_library_script_accepts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit_tree, "_READ_LEAVES", 4)  # so that this small log has subtrees to look up
    for count in (3, 9, 1, 20, 6, 30):
        note_facts(count)
        audit_tree.sequence(actor=WORKER, batch=8)
    for entry in AuditEntry.objects.order_by("id"):
        receipt = audit_tree.receipt(entry)
        assert len(receipt) < 2048
        assert check_receipt(receipt)["number"] == entry.leaf.index
    altered = receipt.replace("\nindex 68\n", "\nindex 67\n")
    assert altered != receipt
    with pytest.raises(Exception, match="does not lead to the signed root"):
        check_receipt(altered)


def test_an_entry_without_a_place_has_no_receipt_yet() -> None:
    note_facts(1)
    with pytest.raises(Missing, match="has no place in the tree yet"):
        audit_tree.receipt(AuditEntry.objects.get())


def test_no_receipt_is_given_for_an_entry_that_was_changed() -> None:
    note_facts(5)
    audit_tree.sequence(actor=WORKER)
    rewrite()
    with pytest.raises(Conflict, match="run verify_audit"):
        audit_tree.receipt(AuditEntry.objects.order_by("id")[4])


def test_the_signing_key_is_nobodys_but_the_consoles(monkeypatch: pytest.MonkeyPatch) -> None:
    audit_tree.signing_key()
    assert (VAR / "audit_signing_key").stat().st_mode & 0o077 == 0
    monkeypatch.setenv("AUDIT_SIGNING_KEY", "c2hvcnQ=")
    with pytest.raises(Exception, match="AUDIT_SIGNING_KEY is not 32 bytes in base64") as error:
        audit_tree.signing_key()
    assert "c2hvcnQ" not in str(error.value)
