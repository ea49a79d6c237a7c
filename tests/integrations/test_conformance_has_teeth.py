"""An adapter that breaks the contract fails the suite: each planted bug is caught by the claim about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from integrations.contract import (
    Account,
    InDoubt,
    OutOfScope,
    Reading,
    ReadTool,
    Receipt,
    Rejected,
    Seen,
    Snapshot,
    Sought,
    Stale,
    Step,
    Trace,
    TransactionType,
    Unavailable,
    Writer,
)
from integrations.sandbox.connection import SandboxWriter
from integrations.sandbox.types.common import Way
from tests.integrations import conformance
from tests.integrations.test_sandbox_conformance import subject_of
from tests.sandbox import SandboxProcess

PROMISE = "sales_order_promise"
RESCHEDULE = "production_order_reschedule"
CREATE = "purchase_order_create"


class TellsTheSecret(SandboxWriter):
    def __init__(self, options: Mapping[str, Any], account: Account, way: Way) -> None:
        super().__init__(options, account, way)
        self._said = account.secret

    def __repr__(self) -> str:
        return f"<writer with {self._said}>"


class CallsALostAnswerUnavailable(SandboxWriter):
    def commit(self, step: Step, **how: Any) -> Receipt:
        try:
            return super().commit(step, **how)
        except InDoubt as doubt:
            raise Unavailable(doubt.text) from None


class CallsNothingListeningInDoubt(SandboxWriter):
    def commit(self, step: Step, **how: Any) -> Receipt:
        try:
            return super().commit(step, **how)
        except Unavailable as away:
            raise InDoubt(away.text) from None


class SendsNoStamp(SandboxWriter):
    def _send(
        self,
        step: Step,
        *,
        expect: Mapping[str, str],  # noqa: ARG002 dropping it is the bug
        **headers: str,
    ) -> dict[str, Any]:
        return super()._send(step, expect={}, **headers)


class SendsAgainOnItsOwn(SandboxWriter):
    def _send(self, step: Step, *, expect: Mapping[str, str], **headers: str) -> dict[str, Any]:
        super()._send(step, expect=expect, **headers)
        return super()._send(step, expect={}, **headers)


class NotesTooLate(SandboxWriter):
    def commit(
        self,
        step: Step,
        *,
        expect: Mapping[str, str],
        reference: str,
        note: Callable[[Mapping[str, Any]], None],
    ) -> Receipt:
        receipt = super().commit(step, expect=expect, reference=reference, note=conformance.ignore)
        note({})
        return receipt


class FindsWhateverWasSought(SandboxWriter):
    def find(self, sought: Sought) -> Trace:
        return Trace(Seen.PRESENT, Receipt("1", "1", {}, {}), sought.expected)


class FindsNothing(SandboxWriter):
    def find(self, sought: Sought) -> Trace:
        super().find(sought)
        return Trace(Seen.ABSENT)


class WritesHalf(SandboxWriter):
    def plan(
        self, type_: TransactionType, payload: Any, snapshot: Snapshot, reference: str
    ) -> tuple[Step, ...]:
        first, *rest = super().plan(type_, payload, snapshot, reference)
        values = dict(first.request["values"])
        values["lines"] = values["lines"][:1]
        return dataclasses.replace(first, request={**first.request, "values": values}), *rest


class PlansDifferentlyEachTime(SandboxWriter):
    plans = 0

    def plan(
        self, type_: TransactionType, payload: Any, snapshot: Snapshot, reference: str
    ) -> tuple[Step, ...]:
        self.plans += 1
        return (*super().plan(type_, payload, snapshot, reference)[:-1], Step(f"{self.plans}", "x", {"n": 1}))


class RehearsesInEarnest(SandboxWriter):
    def rehearse(self, step: Step) -> tuple[()]:
        self._send(step, expect={}, Reference="CS-REHEARSED")
        return ()


class ShowsAnUndeclaredField(SandboxWriter):
    def snapshot(self, type_: TransactionType, payload: Any) -> Snapshot:
        found = super().snapshot(type_, payload)
        record = dataclasses.replace(found.record, fields={**found.record.fields, "colour": "oak"})
        return dataclasses.replace(found, record=record)


class ShowsAFloat(SandboxWriter):
    def snapshot(self, type_: TransactionType, payload: Any) -> Snapshot:
        found = super().snapshot(type_, payload)
        return dataclasses.replace(found, context={**found.context, "weight": 1.5})


class ForgetsTheContext(SandboxWriter):
    def snapshot(self, type_: TransactionType, payload: Any) -> Snapshot:
        return dataclasses.replace(super().snapshot(type_, payload), context={})


class CallsOutOfScopeRejected(SandboxWriter):
    def commit(self, step: Step, **how: Any) -> Receipt:
        try:
            return super().commit(step, **how)
        except OutOfScope as no:
            raise Rejected(no.text) from None


class CallsStaleRejected(SandboxWriter):
    def commit(self, step: Step, **how: Any) -> Receipt:
        try:
            return super().commit(step, **how)
        except Stale as no:
            raise Rejected(no.text) from None


class ForgetsWhatIsLeft(SandboxWriter):
    def find(self, sought: Sought) -> Trace:
        return dataclasses.replace(super().find(sought), remaining=())


BUGS: list[tuple[type[SandboxWriter], conformance.TypeClaim, str]] = [
    (CallsALostAnswerUnavailable, conformance.a_lost_reply_is_in_doubt_and_then_found, PROMISE),
    (CallsNothingListeningInDoubt, conformance.nothing_listening_is_unavailable, PROMISE),
    (SendsNoStamp, conformance.a_stale_stamp_is_refused, PROMISE),
    (SendsNoStamp, conformance.committing_twice_is_one_effect, PROMISE),
    (SendsAgainOnItsOwn, conformance.what_is_found_after_a_commit_is_the_outcome, PROMISE),
    (NotesTooLate, conformance.a_note_is_kept_before_anything_is_sent, PROMISE),
    (FindsWhateverWasSought, conformance.what_is_found_after_a_commit_is_the_outcome, PROMISE),
    (FindsNothing, conformance.what_is_found_after_a_commit_is_the_outcome, CREATE),
    (WritesHalf, conformance.what_is_found_after_a_commit_is_the_outcome, CREATE),
    (PlansDifferentlyEachTime, conformance.a_plan_is_what_is_shown_and_the_same_every_time, PROMISE),
    (RehearsesInEarnest, conformance.planning_and_rehearsing_write_nothing, PROMISE),
    (ShowsAnUndeclaredField, conformance.a_snapshot_is_in_the_types_own_words, PROMISE),
    (ShowsAFloat, conformance.a_snapshot_is_in_the_types_own_words, PROMISE),
    (ForgetsTheContext, conformance.its_rules_can_judge_the_snapshot, PROMISE),
    (CallsOutOfScopeRejected, conformance.another_types_account_is_out_of_scope, PROMISE),
    (CallsStaleRejected, conformance.a_stale_stamp_is_refused, PROMISE),
    (ForgetsWhatIsLeft, conformance.every_step_can_be_the_last_before_a_crash, RESCHEDULE),
]


def with_writer(sandbox: SandboxProcess, writer: type[SandboxWriter]) -> conformance.Subject:
    """The sandbox's subject with another writer in it."""
    subject = subject_of("integrations.sandbox.adapter", sandbox)

    def opened(options: Mapping[str, Any], account: Account) -> Writer:
        return writer(options, account, Way(unique_reference=True))

    return dataclasses.replace(subject, adapter=dataclasses.replace(subject.adapter, writer=opened))


@pytest.mark.parametrize(
    ("bug", "claim", "type_name"), BUGS, ids=[f"{b.__name__}-{c.__name__}" for b, c, _ in BUGS]
)
def test_a_planted_bug_fails_the_claim_about_it(
    bug: type[SandboxWriter], claim: conformance.TypeClaim, type_name: str, sandbox: SandboxProcess
) -> None:
    claim(with_writer(sandbox, SandboxWriter), type_name)
    sandbox.reset()
    with pytest.raises((Exception, pytest.fail.Exception)):
        claim(with_writer(sandbox, bug), type_name)


def test_a_printed_secret_fails_the_claim_about_it(sandbox: SandboxProcess) -> None:
    with pytest.raises(AssertionError):
        conformance.nothing_that_is_printed_shows_a_secret(with_writer(sandbox, TellsTheSecret))


def test_a_reader_that_can_write_fails_the_claim_about_it(sandbox: SandboxProcess) -> None:
    subject = subject_of("integrations.sandbox.adapter", sandbox)
    writing = dataclasses.replace(
        subject.adapter, reader=lambda options, account: SandboxWriter(options, account, Way())
    )
    with pytest.raises(AssertionError):
        conformance.a_reader_has_nothing_to_write_with(dataclasses.replace(subject, adapter=writing))


def test_an_answer_in_another_form_fails_the_claim_about_it(sandbox: SandboxProcess) -> None:
    class AnswersTooMuch(SandboxWriter):
        commit = plan = rehearse = None  # type: ignore[assignment] # only read here

        def read(self, tool: ReadTool, arguments: Any) -> Reading:
            reading = super().read(tool, arguments)
            return dataclasses.replace(reading, value={**reading.value, "stamp": "7"})

    subject = subject_of("integrations.sandbox.adapter", sandbox)
    talkative = dataclasses.replace(
        subject.adapter, reader=lambda options, account: AnswersTooMuch(options, account, Way())
    )
    with pytest.raises(ValueError, match="stamp"):
        conformance.every_tool_answers_in_its_own_form(dataclasses.replace(subject, adapter=talkative))
