"""What every listener must do, as functions over a description of one, and an ear to hear it with.

The listener's half of `conformance.py`: describe a listener and its system as a `Heard`, and call every claim.
"""

from __future__ import annotations

import inspect
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from console.canonical import canonical
from integrations import connect
from integrations.contract import (
    Account,
    Adapter,
    AdapterError,
    Listener,
    OutOfScope,
    Quality,
    Sample,
    Unavailable,
    Unsupported,
)
from integrations.scan import read_tools, transaction_types

WAIT_SECONDS = 20


class Ear:
    """A sink that keeps everything, and the fault that ended the session, if one did."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.faults: list[str] = []
        self.lives = 0
        self.end: AdapterError | None = None

    def heard(self, sample: Sample) -> None:
        """Keep it."""
        self.samples.append(sample)

    def alive(self) -> None:
        """Count it."""
        self.lives += 1

    def lost(self, why: str) -> None:
        """Keep it with the faults."""
        self.faults.append(why)

    def refused(self, why: str) -> None:
        """Keep it with the faults."""
        self.faults.append(why)

    @property
    def last(self) -> Sample | None:
        """The newest."""
        return self.samples[-1] if self.samples else None

    def of(self, order: str) -> Sample | None:
        """The newest of this job."""
        return next((one for one in reversed(self.samples) if one.arguments == {"order": order}), None)

    def good(self) -> Sample | None:
        """The newest, if it is good."""
        return self.last if self.last is not None and self.last.quality is Quality.GOOD else None

    def bad(self) -> Sample | None:
        """The newest, if it is not good."""
        return self.last if self.last is not None and self.last.quality is not Quality.GOOD else None


def until(holds: Callable[[], Any], what: str) -> Any:
    """What it gives, as soon as it gives something; `what` is said when it never does."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := holds()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


@contextmanager
def listening(adapter: Adapter, options: Mapping[str, Any], account: Account) -> Iterator[Ear]:
    """Listen in a thread, as the console does, until the end of the block."""
    assert adapter.listener is not None
    ear, stop, live = Ear(), threading.Event(), adapter.listener(options, account)

    def run() -> None:
        try:
            live.run(ear, stop)
        except AdapterError as fault:
            ear.end = fault

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield ear
    finally:
        stop.set()
        thread.join(WAIT_SECONDS)
        live.close()
        assert not thread.is_alive(), "it does not stop when it is told to"


@dataclass(frozen=True)
class Heard:
    """A listener and its system. `says(order)`: the system tells that this job runs and made something.

    `nowhere`: options of a place where nothing is. `account` is right; `wrong` is not, or None where there is none.
    `did`: everything that anybody did to the system but read and listen.
    """

    adapter: Adapter
    path: str
    options: Mapping[str, Any]
    account: Account
    says: Callable[[str], None]
    nowhere: Mapping[str, Any]
    did: Callable[[], list[Any]]
    wrong: Account | None = None

    def open(self) -> Listener:
        """A live one."""
        assert self.adapter.listener is not None
        return self.adapter.listener(self.options, self.account)


def its_static_data_can_only_read(heard: Heard) -> None:
    """Level 3, no writer, no type, only known tools; and the registry takes it."""
    adapter = heard.adapter
    assert connect.adapter(heard.path) is adapter
    assert adapter.levels == {3}
    assert adapter.writer is None
    assert not adapter.types
    assert adapter.tools <= set(read_tools())
    assert adapter.listener is not None


def it_has_no_method_that_writes(heard: Heard) -> None:
    """Its public face is the contract's, no more."""
    face = inspect.getmembers(type(heard.open()), inspect.isfunction)
    public = {name for name, _ in face if not name.startswith("_")}
    assert public == {"run", "ping", "describe", "read", "snapshot", "close"}


def a_question_past_the_listener_is_unsupported(heard: Heard) -> None:
    """Answers come from what was heard; there is nothing to take a snapshot for."""
    live = heard.open()
    for tool in heard.adapter.tools:
        with pytest.raises(Unsupported):
            live.read(read_tools()[tool], None)
    for type_ in transaction_types().values():
        with pytest.raises(Unsupported):
            live.snapshot(type_, None)


def it_answers_a_ping_and_says_who_it_is(heard: Heard) -> None:
    """In JSON, without a secret; closing twice does no harm."""
    live = heard.open()
    live.ping()
    told = json.dumps(live.describe())
    assert not heard.account.secret or heard.account.secret not in told + repr(live)
    live.close()
    live.close()


def what_it_hears_is_an_answer_in_the_tools_own_form(heard: Heard) -> None:
    """Canonical JSON, no float, aware times; and life is proven."""
    with listening(heard.adapter, heard.options, heard.account) as ear:
        until(lambda: ear.lives or ear.end, "it never came to listen")
        heard.says("17")
        got = until(
            lambda: (one := ear.of("17")) and one.value and one.value["good_count"] and one,
            f"the job was never heard with its count: {ear.faults} {ear.end}",
        )  # a system that tells state and count apart may be heard between the two
        lives = ear.lives
        until(lambda: ear.lives > lives, "life was never proven again")
    assert got.quality is Quality.GOOD, got.remark
    tool = read_tools()[got.tool]
    arguments = tool.arguments.model_validate_json(canonical(dict(got.arguments)))
    assert arguments.model_dump(mode="json") == dict(got.arguments)
    answer = tool.answer.model_validate_json(canonical(dict(got.value)))
    assert answer.model_dump(mode="json") == dict(got.value)
    assert got.value["state"] == "running"
    for when in (got.source_time, got.server_time):
        assert when is None or when.utcoffset() is not None
    assert got.source_time is not None


def it_stops_when_it_is_told_to(heard: Heard) -> None:
    """Soon, also when nothing happens."""
    with listening(heard.adapter, heard.options, heard.account) as ear:
        until(lambda: ear.lives, "it never came to listen")
    assert ear.end is None


def where_nothing_is_it_is_unavailable(heard: Heard) -> None:
    """Its ping and its run; nothing was heard."""
    assert heard.adapter.listener is not None
    live = heard.adapter.listener(heard.nowhere, heard.account)
    with pytest.raises(Unavailable):
        live.ping()
    ear = Ear()
    with pytest.raises(Unavailable):
        live.run(ear, threading.Event())
    assert (ear.samples, ear.lives) == ([], 0)


def a_wrong_secret_is_out_of_scope_and_not_repeated(heard: Heard) -> None:
    """Not in the error, and not in what is printed of it."""
    if heard.wrong is None:
        return
    assert heard.adapter.listener is not None
    live = heard.adapter.listener(heard.options, heard.wrong)
    with pytest.raises(OutOfScope, match="refuses the account") as caught:
        live.ping()
    with pytest.raises(OutOfScope) as ran:
        live.run(Ear(), threading.Event())
    for fault in (caught.value, ran.value):
        assert heard.wrong.secret not in repr(fault) + json.dumps(dict(fault.evidence))


def nothing_was_done_to_the_system(heard: Heard) -> None:
    """Through a whole session: nothing called, nothing written, nothing published."""
    before = len(heard.did())
    what_it_hears_is_an_answer_in_the_tools_own_form(heard)
    assert heard.did()[before:] == []


LISTENER_CLAIMS: tuple[Callable[[Heard], None], ...] = (
    its_static_data_can_only_read,
    it_has_no_method_that_writes,
    a_question_past_the_listener_is_unsupported,
    it_answers_a_ping_and_says_who_it_is,
    what_it_hears_is_an_answer_in_the_tools_own_form,
    it_stops_when_it_is_told_to,
    where_nothing_is_it_is_unavailable,
    a_wrong_secret_is_out_of_scope_and_not_repeated,
    nothing_was_done_to_the_system,
)
