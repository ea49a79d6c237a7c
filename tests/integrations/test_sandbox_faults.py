"""The sandbox fails as it is told to, and its adapter puts every failure into the right class.

The file is long because the faults are many, and one process serves them all.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import httpx
import pytest

from integrations.connect import adapter
from integrations.contract import (
    AdapterError,
    InDoubt,
    NeedsPerson,
    OutOfScope,
    Receipt,
    Rejected,
    Seen,
    Stale,
    Unavailable,
    Writer,
)
from tests.integrations.conformance import TYPES, Commit, ignore, prepare, send
from tests.integrations.test_sandbox_conformance import subject_of
from tests.sandbox import SandboxProcess

ADAPTER = adapter("integrations.sandbox.adapter")
RESCHEDULE = "production_order_reschedule"
CREATE = "purchase_order_create"
PROMISE = "sales_order_promise"


def writer_of(sandbox: SandboxProcess, type_name: str, path: str = "integrations.sandbox.adapter") -> Writer:
    opened = adapter(path).writer
    assert opened is not None
    return opened(sandbox.options(timeout_ms=400), sandbox.account(type_name))


@pytest.fixture
def creating(sandbox: SandboxProcess) -> Iterator[tuple[Writer, Commit]]:
    """A purchase order ready to be created."""
    with closing(writer_of(sandbox, CREATE)) as writer:
        yield writer, prepare(subject_of("integrations.sandbox.adapter", sandbox), writer, CREATE)


@pytest.fixture
def promising(sandbox: SandboxProcess) -> Iterator[tuple[Writer, Commit]]:
    """A promised date ready to be written, in one guarded step."""
    with closing(writer_of(sandbox, PROMISE)) as writer:
        yield writer, prepare(subject_of("integrations.sandbox.adapter", sandbox), writer, PROMISE)


FAULTS: list[tuple[str, type[AdapterError], int]] = [
    ("unavailable", InDoubt, 0),
    ("timeout_before_effect", InDoubt, 0),
    ("reset_before_effect", InDoubt, 0),
    ("rate_limited", InDoubt, 0),
    ("unauthorised", OutOfScope, 0),
    ("forbidden", OutOfScope, 0),
    ("reject", Rejected, 0),
    ("needs_person", NeedsPerson, 0),
    ("timeout_after_effect", InDoubt, 1),
    ("reset_after_effect", InDoubt, 1),
    ("cut_after_effect", InDoubt, 1),
    ("error_after_effect", InDoubt, 1),
    ("truncated_body", InDoubt, 1),
    ("wrong_body", InDoubt, 1),
    ("empty_body", InDoubt, 1),
]


@pytest.mark.parametrize(("kind", "answer", "effects"), FAULTS)
def test_each_fault_has_its_class_its_effects_and_is_found_out_afterwards(
    kind: str,
    answer: type[AdapterError],
    effects: int,
    sandbox: SandboxProcess,
    creating: tuple[Writer, Commit],
) -> None:
    writer, commit = creating
    sandbox.fail(kind, operation=commit.steps[0].request["operation"], seconds=3)
    with pytest.raises(answer) as fault:
        send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
    assert type(fault.value) is answer or issubclass(answer, Rejected)
    assert len(sandbox.effects(commit.reference)) == effects
    assert writer.find(commit.sought()).seen is (Seen.PRESENT if effects else Seen.ABSENT)
    assert isinstance(send(writer, commit.steps, commit.snapshot.stamps, commit.reference), Receipt)
    assert len(sandbox.effects(commit.reference)) == 1
    assert sandbox.duplicates() == []


def test_a_fault_is_used_up_after_so_many_calls_and_only_by_those_it_names(
    sandbox: SandboxProcess, promising: tuple[Writer, Commit]
) -> None:
    writer, commit = promising
    sandbox.fail("reject", operation="sale.write", step="write", account=PROMISE, times=2, after=1)
    sandbox.fail("reject", operation="production.write")
    sandbox.fail("reject", operation="sale.write", step="other")
    sandbox.fail("reject", operation="sale.write", account="reader")
    receipt = send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
    assert isinstance(receipt, Receipt)
    for _ in range(2):
        with pytest.raises(Rejected):
            send(writer, commit.steps, receipt.stamps, "CS-TWO")
    assert isinstance(send(writer, commit.steps, receipt.stamps, "CS-THREE"), Receipt)
    assert [call["fault"] for call in sandbox.calls() if call["operation"] == "sale.write"] == [
        "",
        "reject",
        "reject",
        "",
    ]


def test_its_words_reach_the_person(sandbox: SandboxProcess, promising: tuple[Writer, Commit]) -> None:
    writer, commit = promising
    sandbox.fail("reject", operation="write", message="Period 2026-11 is closed.")
    with pytest.raises(Rejected, match="Period 2026-11 is closed"):
        send(writer, commit.steps, commit.snapshot.stamps, commit.reference)


def test_how_long_to_wait_is_in_the_evidence(
    sandbox: SandboxProcess, promising: tuple[Writer, Commit]
) -> None:
    writer, commit = promising
    sandbox.fail("rate_limited", operation="write", seconds=17)
    with pytest.raises(InDoubt) as doubt:
        send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
    assert doubt.value.evidence["retry_after"] == "17"


def test_an_effect_may_come_after_the_answer_was_given_up(
    sandbox: SandboxProcess, promising: tuple[Writer, Commit]
) -> None:
    writer, commit = promising
    sandbox.fail("slow", operation="write", seconds=1)
    with pytest.raises(InDoubt):
        send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
    assert writer.find(commit.sought()).seen is Seen.ABSENT
    wait_until(partial(is_present, writer, commit))
    assert len(sandbox.effects(commit.reference)) == 1


def test_two_hundred_is_not_success(
    sandbox: SandboxProcess, promising: tuple[Writer, Commit], creating: tuple[Writer, Commit]
) -> None:
    for writer, commit in (promising, creating):
        sandbox.fail("ignored", operation="write")
        assert isinstance(send(writer, commit.steps, commit.snapshot.stamps, commit.reference), Receipt)
        assert sandbox.effects(commit.reference) == []
        assert writer.find(commit.sought()).seen is Seen.ABSENT


@pytest.mark.parametrize("keep", [0, 1])
def test_part_of_an_order_is_unclear_and_shown(
    keep: int, sandbox: SandboxProcess, creating: tuple[Writer, Commit]
) -> None:
    writer, commit = creating
    sandbox.fail("partial_effect", operation="purchase.create", keep=keep)
    send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
    trace = writer.find(commit.sought())
    assert trace.seen is Seen.UNCLEAR
    assert trace.record is not None
    assert len(trace.record.lines["lines"]) == keep


def test_a_quantity_without_its_materials_is_unclear(sandbox: SandboxProcess) -> None:
    subject = subject_of("integrations.sandbox.adapter", sandbox)
    with closing(writer_of(sandbox, "production_order_quantity")) as writer:
        commit = prepare(subject, writer, "production_order_quantity")
        sandbox.fail("partial_effect", operation="production.write")
        expect = commit.snapshot.stamps
        for step in commit.steps[:2]:
            answer = writer.commit(step, expect=expect, reference=commit.reference, note=ignore)
            assert isinstance(answer, Receipt)
            expect = answer.stamps
        assert writer.find(commit.sought()).seen is Seen.UNCLEAR


def test_a_lagging_read_back_shows_the_past_and_then_the_truth(
    sandbox: SandboxProcess, creating: tuple[Writer, Commit], promising: tuple[Writer, Commit]
) -> None:
    sandbox.fail("stale_reads", operation="read", seconds=1, times=None)
    for writer, commit in (creating, promising):
        send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        assert writer.find(commit.sought()).seen is Seen.ABSENT
        wait_until(partial(is_present, writer, commit))


def test_a_record_edited_on_the_way_is_unclear_and_says_who(sandbox: SandboxProcess) -> None:
    subject = subject_of("integrations.sandbox.adapter", sandbox)
    with closing(writer_of(sandbox, RESCHEDULE)) as writer:
        commit = prepare(subject, writer, RESCHEDULE)
        answer = writer.commit(
            commit.steps[0], expect=commit.snapshot.stamps, reference=commit.reference, note=ignore
        )
        assert isinstance(answer, Receipt)
        sandbox.edit(f"production {commit.snapshot.target}", account="meyer", planned_start="2026-12-30")
        with pytest.raises(Stale):
            writer.commit(commit.steps[1], expect=answer.stamps, reference=commit.reference, note=ignore)
        trace = writer.find(commit.sought())
        assert trace.seen is Seen.UNCLEAR
        assert "meyer" in trace.text


def test_two_orders_with_one_reference_are_unclear(sandbox: SandboxProcess) -> None:
    path = "integrations.sandbox.read_back_only"
    with closing(writer_of(sandbox, CREATE, path)) as writer:
        commit = prepare(subject_of(path, sandbox), writer, CREATE)
        send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        assert writer.find(commit.sought()).seen is Seen.UNCLEAR
    assert sandbox.duplicates() == [(commit.reference, "purchase.create")]


def test_a_key_is_not_reused_for_another_request(sandbox: SandboxProcess) -> None:
    path = "integrations.sandbox.keyed"
    with closing(writer_of(sandbox, PROMISE, path)) as writer:
        commit = prepare(subject_of(path, sandbox), writer, PROMISE)
        send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        other = TYPES[PROMISE].payload.model_validate_json(
            f'{{"order": "{commit.snapshot.target}", "promised_date": "2027-03-01"}}'
        )
        steps = writer.plan(commit.type, other, commit.snapshot, commit.reference)
        with pytest.raises(Rejected, match="another request"):
            send(writer, steps, commit.snapshot.stamps, commit.reference)
    assert len(sandbox.effects(commit.reference)) == 1


def test_eight_writers_with_one_stamp_have_one_winner(
    sandbox: SandboxProcess, promising: tuple[Writer, Commit]
) -> None:
    _, commit = promising
    outcomes: list[str] = []
    start = threading.Barrier(8)

    def race(number: int) -> None:
        with closing(writer_of(sandbox, PROMISE)) as writer:
            start.wait()
            try:
                send(writer, commit.steps, commit.snapshot.stamps, f"CS-{number}")
                outcomes.append("won")
            except Stale:
                outcomes.append("stale")

    threads = [threading.Thread(target=race, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["stale"] * 7 + ["won"]
    assert len(sandbox.ledger()) == 1


def test_a_system_that_is_down_is_unavailable_and_comes_back(
    sandbox: SandboxProcess, promising: tuple[Writer, Commit]
) -> None:
    writer, commit = promising
    sandbox.down()
    for _ in range(3):
        with pytest.raises(Unavailable):
            send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
    sandbox.up()
    assert isinstance(send(writer, commit.steps, commit.snapshot.stamps, commit.reference), Receipt)
    assert len(sandbox.effects(commit.reference)) == 1


def test_what_vanishes_is_absent_again(sandbox: SandboxProcess, creating: tuple[Writer, Commit]) -> None:
    writer, commit = creating
    receipt = send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
    assert isinstance(receipt, Receipt)
    sandbox.vanish(f"purchase {receipt.document}")
    assert writer.find(commit.sought()).seen is Seen.ABSENT


@pytest.mark.parametrize("days", [-1, 1])
def test_a_wrong_clock_of_the_system_changes_no_verdict(
    days: int, sandbox: SandboxProcess, promising: tuple[Writer, Commit]
) -> None:
    writer, commit = promising
    sandbox.configure(clock_offset=days * 86400)
    before = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
    assert writer.find(commit.sought()).seen is Seen.ABSENT
    send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
    assert writer.find(commit.sought()).seen is Seen.PRESENT
    (change,) = writer.changes(before)
    assert before < change.at < before + dt.timedelta(minutes=5)
    assert writer.changes(before + dt.timedelta(minutes=5)) == ()
    sandbox.configure(clock_offset=0)


def test_a_killed_sandbox_comes_back_with_every_effect_and_no_torn_one(own_sandbox: SandboxProcess) -> None:
    subject = subject_of("integrations.sandbox.keyed", own_sandbox)
    with closing(writer_of(own_sandbox, CREATE, "integrations.sandbox.keyed")) as writer:
        commit = prepare(subject, writer, CREATE)
        first = send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        before = own_sandbox.ledger()
        own_sandbox.kill()
        with (own_sandbox.home / "ledger.jsonl").open("ab") as ledger:
            ledger.write(b'{"seq": 99, "torn')
        own_sandbox.start()
        assert own_sandbox.ledger() == before
        assert isinstance(first, Receipt)
        assert own_sandbox.record(f"purchase {first.document}") == before[-1]["after"]
        again = send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        assert isinstance(again, Receipt)
        assert again.document == first.document
        assert len(own_sandbox.effects(commit.reference)) == 1
        promise = prepare(subject_of("integrations.sandbox.adapter", own_sandbox), writer, CREATE)
        assert isinstance(send(writer, promise.steps, promise.snapshot.stamps, promise.reference), Receipt)
        stamps = [entry["seq"] for entry in own_sandbox.ledger()]
        assert stamps == sorted(set(stamps))


def test_a_sandbox_that_looks_at_no_stamp_is_reported(sandbox: SandboxProcess) -> None:
    sandbox.configure(check_stamps=False)
    for name in ADAPTER.types:
        with closing(writer_of(sandbox, name)) as writer:
            report = writer.probe([TYPES[name]])
            assert report.stale_refused is False, name
            assert not report.sound
    assert all(entry["event"] != "create" for entry in sandbox.ledger())


def test_a_sandbox_that_looks_at_no_scope_is_reported(sandbox: SandboxProcess) -> None:
    sandbox.configure(check_scopes=False)
    for name in ADAPTER.types:
        with closing(writer_of(sandbox, name)) as writer:
            report = writer.probe([TYPES[name]])
            assert report.out_of_scope_refused is False, name
            assert report.excess
            assert not report.sound


def test_an_account_that_may_do_too_much_is_reported(sandbox: SandboxProcess) -> None:
    sandbox.widen(PROMISE, {"purchase.create": ["supplier"], "sale.write": ["promised_date", "reference"]})
    with closing(writer_of(sandbox, PROMISE)) as writer:
        report = writer.probe([TYPES[PROMISE]])
    assert not report.sound
    assert len(report.excess) == 2
    assert "purchase.create" in " ".join(report.excess)
    assert "reference" in " ".join(report.excess)


def test_an_account_for_two_types_needs_what_both_need(sandbox: SandboxProcess) -> None:
    with closing(writer_of(sandbox, PROMISE)) as writer:
        assert writer.probe([TYPES[PROMISE], TYPES[RESCHEDULE]]).excess == ()


def test_a_probe_on_a_system_that_is_away_proves_nothing(sandbox: SandboxProcess) -> None:
    with closing(writer_of(sandbox, PROMISE)) as writer:
        sandbox.fail("unavailable", operation="probe", times=None)
        report = writer.probe([TYPES[PROMISE]])
    assert report.stale_refused is None
    assert not report.sound
    assert report.findings


def test_a_rehearsal_tells_what_the_system_would_refuse(sandbox: SandboxProcess) -> None:
    subject = subject_of("integrations.sandbox.adapter", sandbox)
    with closing(writer_of(sandbox, CREATE)) as writer:
        commit = prepare(subject, writer, CREATE)
        assert writer.rehearse(commit.steps[0]) == ()
        sandbox.edit(f"supplier {commit.payload.supplier}", active=False)
        findings = writer.rehearse(commit.steps[0])
        assert [finding.id for finding in findings] == ["rehearsal.refused"]
    assert sandbox.effects(commit.reference) == []


def test_only_the_loopback_interface_is_spoken_to(sandbox: SandboxProcess) -> None:
    with pytest.raises(ValueError, match="loopback"):
        ADAPTER.reader({"url": "http://192.0.2.1:80"}, sandbox.account("reader"))


def test_bad_requests_are_refused_and_written_nowhere(sandbox: SandboxProcess) -> None:
    login = CREATE
    for raw in (b"{", b"[]", b'{"values": {"lines": 3}}', b'{"values": {}, "expect": []}', b"\xff"):
        answer = httpx.post(
            f"{sandbox.url}/api/purchase.create", content=raw, auth=(login, sandbox.accounts[login])
        )
        assert 400 <= answer.status_code < 500, raw
        assert answer.json()["error"]["code"] in {"bad_request", "rejected", "not_found"}
    assert sandbox.ledger() == []


def test_the_accounts_file_is_for_its_owner_only(sandbox: SandboxProcess) -> None:
    assert (sandbox.home / "accounts.json").stat().st_mode & 0o777 == 0o600


def test_a_bulk_seed_has_as_many_orders_as_asked_for(own_sandbox: SandboxProcess) -> None:
    own_sandbox.reset(seed="bulk", orders=1000)
    with closing(ADAPTER.reader(own_sandbox.options(), own_sandbox.account("reader"))) as reader:
        order = own_sandbox.find("production")
        type_ = TYPES[RESCHEDULE]
        day = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=40)).isoformat()
        payload = type_.payload.model_validate_json(
            f'{{"order": "{order["key"]}", "planned_start": "{day}", "planned_finish": "{day}"}}'
        )
        assert reader.snapshot(type_, payload).context["state"] == "draft"


def is_present(writer: Writer, commit: Commit) -> bool:
    """Whether the effect is seen."""
    return writer.find(commit.sought()).seen is Seen.PRESENT


def wait_until(true: Callable[[], bool]) -> None:
    """Ask until it is so, at most ten seconds."""
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
