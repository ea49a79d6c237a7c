"""What every adapter must do, as functions over a description of one: the adapter contract, executable.

To run it on a new adapter, describe the adapter and its system as a `Subject` and call every claim:

    SUBJECT = Subject(adapter=ADAPTER, ...)

    @pytest.mark.parametrize("claim", ADAPTER_CLAIMS, ids=named)
    def test_adapter_keeps_the_contract(claim, subject):
        claim(subject)

    @pytest.mark.parametrize("claim", TYPE_CLAIMS, ids=named)
    @pytest.mark.parametrize("type_name", sorted(ADAPTER.types))
    def test_adapter_keeps_the_contract_for_each_type(claim, type_name, subject):
        claim(subject, type_name)

The system must be in a known state before each claim, or `payload` must find something fresh to propose each time.
What a system cannot be made to do (count its effects, lose an answer), its subject leaves out; those claims then
rest on the read-back alone, or hold trivially, and the subject says so in `cannot`.

The file is long because it is the contract, claim by claim.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from console.diff import differences
from integrations.contract import (
    Accepted,
    Account,
    Adapter,
    AdapterError,
    Case,
    EffectClass,
    InDoubt,
    Level,
    OutOfScope,
    Reader,
    Receipt,
    Record,
    Rejected,
    Seeker,
    Seen,
    Snapshot,
    Sought,
    Stale,
    Step,
    TransactionType,
    Unavailable,
    Unsupported,
    Writer,
)
from integrations.scan import read_tools, transaction_types

TYPES = transaction_types()
TOOLS = read_tools()


@dataclass(frozen=True)
class Subject:
    """An adapter, a system to run it against, and how to make that system do things.

    `options`, `reader`: connection options and the reading account. `writers`: the account of each type.
    `payload(type name)`: a payload that its rules find no error in, as JSON. `arguments(tool name)`: arguments that
    it can answer. `touch(type name, payload)`: somebody else changes what the snapshot stamped, keeping its
    meaning; False when that cannot be. `count(reference)`: effects in the system, or None when it cannot count.
    `lose_answer(type name)`: a context in which the next write takes effect and its answer is lost.
    `nowhere`: options of an address where nothing listens. `missing(tool name)`: arguments naming no record.
    `look(writer, type, payload)`: the snapshot that a claim starts from; where looking is slow, one that still holds.
    """

    adapter: Adapter
    options: Mapping[str, Any]
    reader: Account
    writers: Mapping[str, Account]
    payload: Callable[[str], Mapping[str, Any]]
    arguments: Callable[[str], Mapping[str, Any]]
    missing: Callable[[str], Mapping[str, Any]]
    touch: Callable[[str, Any], bool]
    nowhere: Callable[[], Mapping[str, Any]]
    count: Callable[[str], int | None] = lambda _reference: None
    lose_answer: Callable[[str], contextlib.AbstractContextManager[None]] | None = None
    look: Callable[[Writer, TransactionType, Any], Snapshot] = lambda writer, type_, payload: writer.snapshot(
        type_, payload
    )
    cannot: tuple[str, ...] = field(default=())

    def open_reader(self) -> contextlib.closing[Reader]:
        """A reader, closed at the end of the block."""
        return contextlib.closing(self.adapter.reader(self.options, self.reader))

    def open_writer(
        self, type_name: str, *, account: Account | None = None, options: Mapping[str, Any] | None = None
    ) -> contextlib.closing[Writer]:
        """A writer with a type's account, closed at the end of the block."""
        assert self.adapter.writer is not None
        opened = self.adapter.writer(options or self.options, account or self.writers[type_name])
        return contextlib.closing(opened)

    def secrets(self) -> set[str]:
        """What must be seen nowhere."""
        return {self.reader.secret, *(account.secret for account in self.writers.values())}


def a_port_where_nothing_listens() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Commit:
    """A payload with its snapshot and plan, ready to be sent under a reference of its own."""

    type: TransactionType
    payload: Any
    snapshot: Snapshot
    steps: tuple[Step, ...]
    reference: str
    since: dt.datetime

    @property
    def expected(self) -> Record:
        """The record as it must read afterwards."""
        return self.type.outcome(self.payload, self.snapshot)

    def sought(self, document: str = "") -> Sought:
        """What to look for."""
        return Sought(
            self.type,
            self.payload,
            self.reference,
            self.snapshot,
            self.expected,
            self.steps,
            self.since,
            document,
        )


def prepare(subject: Subject, writer: Writer, type_name: str) -> Commit:
    """Read the target and plan, as the corridor does."""
    type_ = TYPES[type_name]
    payload = type_.payload.model_validate_json(json.dumps(subject.payload(type_name)))
    since = dt.datetime.now(dt.UTC)
    snapshot = subject.look(writer, type_, payload)
    reference = f"CS-{uuid.uuid4().hex[:12].upper()}"
    return Commit(
        type_, payload, snapshot, writer.plan(type_, payload, snapshot, reference), reference, since
    )


def ignore(about: Mapping[str, Any], exhibits: Sequence[object] = ()) -> None:
    """A note that nobody keeps."""
    del about, exhibits


def send(
    writer: Writer, steps: Sequence[Step], expect: Mapping[str, str], reference: str
) -> Receipt | Accepted:
    """Do the steps, each expecting the stamps of the one before."""
    answer: Receipt | Accepted | None = None
    for step in steps:
        answer = writer.commit(step, expect=expect, reference=reference, note=ignore)
        if isinstance(answer, Receipt):
            expect = answer.stamps
    assert answer is not None
    return answer


def unlike(commit: Commit, found: Record | None) -> tuple[object, ...]:
    """Where a record is not what was approved, as the console's own read-back judges."""
    assert found is not None
    return differences(commit.expected, found, commit.type.fields, base=commit.snapshot.record)


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of a JSON value with its path."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from walk(inner, f"{path}.{name}")
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from walk(inner, f"{path}.{index}")
    else:
        yield path, value


def assert_plain_json(value: Any) -> None:
    """JSON without floats: text, whole numbers, booleans, null, lists and objects."""
    for path, leaf in walk(value):
        assert leaf is None or isinstance(leaf, (str, bool, int)), (
            f"{path} is a {type(leaf).__name__}: {leaf!r}"
        )
    json.dumps(value, allow_nan=False)


def assert_tells_no_secret(subject: Subject, *things: object) -> None:
    """No secret in how a thing is printed, nor in an error's evidence and causes."""
    for thing in things:
        seen = f"{thing!r} {thing}"
        if isinstance(thing, AdapterError):
            seen += f" {thing.text} {json.dumps(dict(thing.evidence), default=repr)} {thing.__cause__!r}"
        for secret in subject.secrets():
            assert secret not in seen


# Claims about an adapter as a whole


def static_data_names_only_known_types_and_tools(subject: Subject) -> None:
    adapter = subject.adapter
    assert set(adapter.types) <= set(TYPES)
    assert adapter.tools <= set(TOOLS)
    assert all(level in {3, 4} for level in adapter.levels)
    assert adapter.writer is not None or not adapter.types
    for name, carried in adapter.types.items():
        paths = {f.path if f.payload_path is None else f.payload_path for f in TYPES[name].fields}
        assert carried.unsupported <= paths


def a_reader_has_nothing_to_write_with(subject: Subject) -> None:
    with subject.open_reader() as reader:
        for verb in ("commit", "plan", "rehearse", "write", "create", "update", "delete", "execute", "post"):
            assert not hasattr(reader, verb), verb


def every_tool_answers_in_its_own_form(subject: Subject) -> None:
    with subject.open_reader() as reader:
        for name in sorted(subject.adapter.tools):
            tool = TOOLS[name]
            arguments = tool.arguments.model_validate_json(json.dumps(subject.arguments(name)))
            reading = reader.read(tool, arguments)
            assert_plain_json(reading.value)
            tool.answer.model_validate_json(json.dumps(reading.value))
            assert reading.as_of is not None
            assert reading.as_of.utcoffset() == dt.timedelta(0)
            assert reading.source


def a_record_that_is_not_there_is_rejected(subject: Subject) -> None:
    with subject.open_reader() as reader:
        for name in sorted(subject.adapter.tools - {"order_status_exceptions"}):
            tool = TOOLS[name]
            arguments = tool.arguments.model_validate_json(json.dumps(subject.missing(name)))
            with pytest.raises(Rejected) as refusal:
                reader.read(tool, arguments)
            assert_tells_no_secret(subject, refusal.value)


def a_tool_that_is_not_carried_is_unsupported(subject: Subject) -> None:
    tool = dataclasses.replace(next(iter(TOOLS.values())), name="unheard_of")
    with subject.open_reader() as reader, pytest.raises(Unsupported):
        reader.read(tool, tool.arguments.model_validate_json(json.dumps(tool.sample)))


def it_says_who_it_is(subject: Subject) -> None:
    with subject.open_reader() as reader:
        reader.ping()
        told = reader.describe()
        assert {"name", "version"} <= set(told)
        assert_plain_json(dict(told))
        assert_tells_no_secret(subject, told)


def closing_twice_does_no_harm(subject: Subject) -> None:
    with subject.open_reader() as reader:
        reader.ping()
        reader.close()


def a_wrong_secret_is_out_of_scope_and_not_repeated(subject: Subject) -> None:
    wrong = Account(subject.reader.login, "wrong-" + subject.reader.secret[::-1])
    with (
        contextlib.closing(subject.adapter.reader(subject.options, wrong)) as reader,
        pytest.raises(OutOfScope) as refusal,
    ):
        reader.ping()
    assert wrong.secret not in f"{refusal.value!r} {refusal.value.text} {refusal.value.evidence}"
    assert_tells_no_secret(subject, refusal.value)


def nothing_listening_is_unavailable_for_a_reader(subject: Subject) -> None:
    with contextlib.closing(subject.adapter.reader(subject.nowhere(), subject.reader)) as reader:
        with pytest.raises(Unavailable) as away:
            reader.ping()
        assert_tells_no_secret(subject, away.value, reader)


def nothing_that_is_printed_shows_a_secret(subject: Subject) -> None:
    with subject.open_reader() as reader:
        assert_tells_no_secret(subject, reader, vars(reader), subject.reader, subject.adapter)
    for name in subject.adapter.types:
        with subject.open_writer(name) as writer:
            assert_tells_no_secret(subject, writer, vars(writer))


# Claims about one transaction type of an adapter


def a_snapshot_is_in_the_types_own_words(subject: Subject, type_name: str) -> None:
    with subject.open_writer(type_name) as writer:
        commit = prepare(subject, writer, type_name)
    type_, snapshot = commit.type, commit.snapshot
    assert_plain_json(
        {"fields": snapshot.record.fields, "lines": snapshot.record.lines, "context": snapshot.context}
    )
    declared = {f.path for f in type_.fields}
    assert set(snapshot.record.fields) <= declared
    for name, lines in snapshot.record.lines.items():
        for line in lines:
            assert line["key"]
            assert {f"{name}[].{part}" for part in set(line) - {"key", "label"}} <= declared
    assert snapshot.target == (type_.target(commit.payload) or "")
    assert snapshot.as_of.utcoffset() == dt.timedelta(0)
    assert snapshot.label
    assert snapshot.stamps or not snapshot.target
    assert all(name and stamp for name, stamp in snapshot.stamps.items())
    assert_plain_json(dict(snapshot.stamps))


def its_rules_can_judge_the_snapshot(subject: Subject, type_name: str) -> None:
    with subject.open_writer(type_name) as writer:
        commit = prepare(subject, writer, type_name)
    type_ = commit.type
    limits = {limit.name: limit.default for limit in type_.limits}
    case = Case(commit.payload, commit.snapshot, limits, dt.datetime.now(dt.UTC).date())
    found = [finding for rule in type_.rules for finding in rule(case)]
    assert not [finding for finding in found if finding.level is Level.ERROR]
    type_.facts(case)
    back = type_.reversal(commit.payload, commit.snapshot)
    if back is not None:
        type_.payload.model_validate_json(json.dumps(back))


def a_plan_is_what_is_shown_and_the_same_every_time(subject: Subject, type_name: str) -> None:
    with subject.open_writer(type_name) as writer:
        commit = prepare(subject, writer, type_name)
        again = writer.plan(commit.type, commit.payload, commit.snapshot, commit.reference)
    assert commit.steps
    assert commit.steps == again
    for step in commit.steps:
        assert step.name
        assert step.text
        assert_plain_json(step.request)
        assert_tells_no_secret(subject, step)


def planning_and_rehearsing_write_nothing(subject: Subject, type_name: str) -> None:
    with subject.open_writer(type_name) as writer:
        commit = prepare(subject, writer, type_name)
        for step in commit.steps:
            writer.rehearse(step)
        assert writer.find(commit.sought()).seen is Seen.ABSENT
    assert subject.count(commit.reference) in {0, None}


def what_is_found_after_a_commit_is_the_outcome(subject: Subject, type_name: str) -> None:
    with subject.open_writer(type_name) as writer:
        commit = prepare(subject, writer, type_name)
        assert writer.find(commit.sought()).seen is Seen.ABSENT
        receipt = send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        assert isinstance(receipt, Receipt)
        assert_plain_json(dict(receipt.evidence))
        trace = writer.find(commit.sought(receipt.document))
        assert trace.seen is Seen.PRESENT, trace.text
        assert trace.receipt is not None
        assert trace.receipt.document == receipt.document
        assert unlike(commit, trace.record) == ()
    assert subject.count(commit.reference) in {len(commit.steps), None}


def a_reader_sees_the_outcome_too(subject: Subject, type_name: str) -> None:
    with subject.open_writer(type_name) as writer, subject.open_reader() as reader:
        commit = prepare(subject, writer, type_name)
        send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        if commit.snapshot.target:
            assert unlike(commit, reader.snapshot(commit.type, commit.payload).record) == ()


def a_reader_that_seeks_finds_what_was_made(subject: Subject, type_name: str) -> None:
    if type_name not in subject.adapter.seeks:
        return
    with subject.open_writer(type_name) as writer, subject.open_reader() as reader:
        seeker = cast("Seeker", reader)
        commit = prepare(subject, writer, type_name)
        assert seeker.seek(commit.sought()).seen is Seen.ABSENT
        receipt = send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        assert isinstance(receipt, Receipt)
        trace = seeker.seek(commit.sought())
        assert trace.seen is Seen.PRESENT, trace.text
        assert trace.receipt is not None
        assert trace.receipt.document == receipt.document
        assert unlike(commit, trace.record) == ()


def committing_twice_is_one_effect(subject: Subject, type_name: str) -> None:
    effect = subject.adapter.types[type_name].effect
    assert effect is not EffectClass.NONE
    if not effect.may_resend:
        # Nothing to prove of the system: the corridor never sends a second time.
        return
    with subject.open_writer(type_name) as writer:
        commit = prepare(subject, writer, type_name)
        first = send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        before = subject.count(commit.reference)
        again: Receipt | Accepted | None = None
        with contextlib.suppress(Stale, Rejected):
            again = writer.commit(
                commit.steps[0], expect=commit.snapshot.stamps, reference=commit.reference, note=ignore
            )
        if isinstance(first, Receipt) and isinstance(again, Receipt):
            assert again.document == first.document
        assert subject.count(commit.reference) == before
        assert writer.find(commit.sought()).seen is Seen.PRESENT


def a_stale_stamp_is_refused(subject: Subject, type_name: str) -> None:
    with subject.open_writer(type_name) as writer:
        commit = prepare(subject, writer, type_name)
        if not subject.touch(type_name, commit.payload):
            assert commit.snapshot.target == "", "only a create may have nothing that can go stale"
            return
        with pytest.raises(Stale) as refusal:
            writer.commit(
                commit.steps[0], expect=commit.snapshot.stamps, reference=commit.reference, note=ignore
            )
        assert_tells_no_secret(subject, refusal.value)
        if commit.snapshot.target:
            assert writer.find(commit.sought()).seen is Seen.UNCLEAR
    assert subject.count(commit.reference) in {0, None}


def without_a_stamp_nothing_is_sent(subject: Subject, type_name: str) -> None:
    with subject.open_writer(type_name) as writer:
        commit = prepare(subject, writer, type_name)
        if not commit.snapshot.target:
            return
        with pytest.raises(AdapterError):
            writer.commit(commit.steps[0], expect={}, reference=commit.reference, note=ignore)
        assert writer.find(commit.sought()).seen is Seen.ABSENT


def a_lost_reply_is_in_doubt_and_then_found(subject: Subject, type_name: str) -> None:
    if subject.lose_answer is None:
        assert "lose an answer" in subject.cannot
        return
    with subject.open_writer(type_name) as writer:
        commit = prepare(subject, writer, type_name)
        expect = commit.snapshot.stamps
        with subject.lose_answer(type_name), pytest.raises(InDoubt) as doubt:
            writer.commit(commit.steps[0], expect=expect, reference=commit.reference, note=ignore)
        assert_tells_no_secret(subject, doubt.value)
        trace = writer.find(commit.sought())
        if len(commit.steps) == 1:
            assert trace.seen is Seen.PRESENT, trace.text
        else:
            assert trace.seen is Seen.PARTIAL, trace.text
            assert trace.remaining == commit.steps[1:]
            send(writer, trace.remaining, trace.stamps, commit.reference)
            assert writer.find(commit.sought()).seen is Seen.PRESENT


def every_step_can_be_the_last_before_a_crash(subject: Subject, type_name: str) -> None:
    with subject.open_writer(type_name) as writer:
        commit = prepare(subject, writer, type_name)
        if len(commit.steps) == 1:
            return
        expect: Mapping[str, str] = commit.snapshot.stamps
        for place, step in enumerate(commit.steps, 1):
            answer = writer.commit(step, expect=expect, reference=commit.reference, note=ignore)
            assert isinstance(answer, Receipt)
            trace = writer.find(commit.sought())
            if place < len(commit.steps):
                assert trace.seen is Seen.PARTIAL, trace.text
                assert trace.remaining == commit.steps[place:]
                expect = trace.stamps
            else:
                assert trace.seen is Seen.PRESENT, trace.text


def nothing_listening_is_unavailable(subject: Subject, type_name: str) -> None:
    with subject.open_writer(type_name) as writer:
        commit = prepare(subject, writer, type_name)
    with subject.open_writer(type_name, options=subject.nowhere()) as away:
        with pytest.raises(Unavailable) as refusal:
            away.commit(
                commit.steps[0], expect=commit.snapshot.stamps, reference=commit.reference, note=ignore
            )
        assert_tells_no_secret(subject, refusal.value)
        with pytest.raises((Unavailable, InDoubt)):
            away.find(commit.sought())


def a_note_is_kept_before_anything_is_sent(subject: Subject, type_name: str) -> None:
    noted: list[int | None] = []
    with subject.open_writer(type_name) as writer:
        commit = prepare(subject, writer, type_name)

        def refuse(about: Mapping[str, Any], exhibits: Sequence[object] = ()) -> None:
            del exhibits
            assert_plain_json(dict(about))
            noted.append(subject.count(commit.reference))
            raise RuntimeError("the database is away")

        with pytest.raises(RuntimeError, match="the database is away"):
            writer.commit(
                commit.steps[0], expect=commit.snapshot.stamps, reference=commit.reference, note=refuse
            )
        assert noted in ([0], [None])
        assert writer.find(commit.sought()).seen is Seen.ABSENT


def another_types_account_is_out_of_scope(subject: Subject, type_name: str) -> None:
    others = [name for name in subject.writers if TYPES[name].record != TYPES[type_name].record]
    account = subject.writers[others[0]] if others else subject.reader
    with subject.open_writer(type_name) as writer:
        commit = prepare(subject, writer, type_name)
    with subject.open_writer(type_name, account=account) as stranger:
        with pytest.raises(OutOfScope) as refusal:
            stranger.commit(
                commit.steps[0], expect=commit.snapshot.stamps, reference=commit.reference, note=ignore
            )
        assert_tells_no_secret(subject, refusal.value)
    assert subject.count(commit.reference) in {0, None}


def a_type_that_is_not_carried_is_unsupported(subject: Subject, type_name: str) -> None:
    foreign = dataclasses.replace(TYPES[type_name], name="unheard_of")
    with subject.open_writer(type_name) as writer:
        commit = prepare(subject, writer, type_name)
        with pytest.raises(Unsupported):
            writer.snapshot(foreign, commit.payload)
        with pytest.raises(Unsupported):
            writer.plan(foreign, commit.payload, commit.snapshot, commit.reference)


def the_systems_own_log_tells_of_the_commit(subject: Subject, type_name: str) -> None:
    with subject.open_writer(type_name) as writer:
        start = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=2)
        commit = prepare(subject, writer, type_name)
        send(writer, commit.steps, commit.snapshot.stamps, commit.reference)
        try:
            changes = writer.changes(start)
        except Unsupported:
            assert commit.snapshot.target, "who made a record must be told"
            assert "tell who changed a record" in subject.cannot
            return
        assert changes
        assert [c.at for c in changes] == sorted(c.at for c in changes)
        assert all(c.account and c.record and c.event for c in changes)
        for change in changes:
            assert_plain_json(dict(change.detail))


def its_account_is_proven_narrow(subject: Subject, type_name: str) -> None:
    with subject.open_writer(type_name) as writer:
        commit = prepare(subject, writer, type_name)
        report = writer.probe([TYPES[type_name]])
        assert report.sound, report
        assert writer.find(commit.sought()).seen is Seen.ABSENT
        assert_tells_no_secret(subject, report)


AdapterClaim = Callable[[Subject], None]
TypeClaim = Callable[[Subject, str], None]

ADAPTER_CLAIMS: tuple[AdapterClaim, ...] = (
    static_data_names_only_known_types_and_tools,
    a_reader_has_nothing_to_write_with,
    every_tool_answers_in_its_own_form,
    a_record_that_is_not_there_is_rejected,
    a_tool_that_is_not_carried_is_unsupported,
    it_says_who_it_is,
    closing_twice_does_no_harm,
    a_wrong_secret_is_out_of_scope_and_not_repeated,
    nothing_listening_is_unavailable_for_a_reader,
    nothing_that_is_printed_shows_a_secret,
)

TYPE_CLAIMS: tuple[TypeClaim, ...] = (
    a_snapshot_is_in_the_types_own_words,
    its_rules_can_judge_the_snapshot,
    a_plan_is_what_is_shown_and_the_same_every_time,
    planning_and_rehearsing_write_nothing,
    what_is_found_after_a_commit_is_the_outcome,
    a_reader_sees_the_outcome_too,
    a_reader_that_seeks_finds_what_was_made,
    committing_twice_is_one_effect,
    a_stale_stamp_is_refused,
    without_a_stamp_nothing_is_sent,
    a_lost_reply_is_in_doubt_and_then_found,
    every_step_can_be_the_last_before_a_crash,
    nothing_listening_is_unavailable,
    a_note_is_kept_before_anything_is_sent,
    another_types_account_is_out_of_scope,
    a_type_that_is_not_carried_is_unsupported,
    the_systems_own_log_tells_of_the_commit,
    its_account_is_proven_narrow,
)


def named(claim: Callable[..., None]) -> str:
    """A claim's name, for the test's."""
    return claim.__name__
