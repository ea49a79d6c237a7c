"""What a system says may repeat what it was sent: nothing here passes on a secret of the accounts at that system.

An error page that shows the request's headers, a proxy that quotes the body, a log line that stands in a record: the
adapters keep systems' words as evidence, and people, agents and auditors read them. The rule, by what it is:

- Words lose the secret and keep the rest: errors and their evidence, findings, reports of probes, change logs, notes
  and pages' texts, what a listener lost or refused.
- Records, and what is acted on (snapshots, readings, samples, cases for evals, a receipt's document and stamps, a
  handle), are refused as a whole: in doubt when something may have been written, else for an administrator to look at.
- A step that would send a secret, or what was taken out before, is refused.
- A callback, whose bytes are kept as they came, is refused, and nothing of it is kept.
- A picture is masked by who takes it; nothing can be done here.

A record is never changed. A price or an order number that holds a short password by chance would be shown and compared
as another one, and might be sent back. So it is the whole answer or none of it, and the refusal says what to do.

Secrets are those of all accounts at one system as they were when the connection was opened, because it may show one of
them what another sent, and what it gave this account instead (`Account.issued`). How they are found says `redaction`.

What agents and people type is not judged by this: the answer would tell somebody who guesses that he guessed right.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

from console.redaction import HIDDEN, Hider, Repeated, in_addresses, leaves
from integrations.contract import (
    Account,
    AdapterError,
    Exhibit,
    InDoubt,
    Note,
    OutOfScope,
    Rejected,
    Sample,
    Sink,
)

T = TypeVar("T")

REPEATED = (
    "What the system answers holds a secret of our accounts there, so nothing of it is shown or kept. Find out how it "
    "came there and give the account a new one, of a dozen characters or more that are no words."
)

_REFUSAL: Mapping[str, type[AdapterError]] = {
    "commit": InDoubt,
    "find": InDoubt,
    "seek": InDoubt,
    "plan": Rejected,
    "hear": Rejected,
}
"""What it is called when a record repeats a secret, by what may have been written; OutOfScope for who only reads."""


def discreet(live: T, account: Account, others: Sequence[Account], options: Mapping[str, Any]) -> T:
    """A live adapter as it is, but nothing that comes out of it repeats a secret; see the module for what happens.

    `others`: further accounts at the same system. What stands behind a question mark in an address among its `options`
    is a secret too: some systems want a credential there.
    """
    return cast("T", _Discreet(live, account, others, tuple(in_addresses(options))))


class _Discreet:
    """What stands before a live adapter: it passes on every call, and judges what comes back."""

    def __init__(
        self, live: Any, account: Account, others: Sequence[Account], further: tuple[str, ...]
    ) -> None:
        self._live, self._account = live, account
        self._secrets = (account.secret, *(one.secret for one in others), *further)
        self._logins = (account.login, *(one.login for one in others))
        self._known: tuple[tuple[str, ...], Hider] | None = None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._live, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            if name == "run":
                arguments = (_Quiet(arguments[0], self._hide), *arguments[1:])
            if note := named.get("note"):
                named["note"] = self._noting(note)
            with self._quietly(name):
                answer = found(*arguments, **named)
                if isinstance(answer, Iterator):
                    return self._each(name, answer)
                if name == "hear":  # headers and bytes
                    self._hider().refuse((arguments[0], arguments[1].decode(errors="replace")))
                return self._judged(name, answer)

        return call

    def __repr__(self) -> str:
        return repr(self._live)

    def _hide(self, told: Any) -> Any:
        return self._hider()(told)

    def _hider(self) -> Hider:
        secrets = (*self._secrets, *tuple(self._account.issued))
        if self._known is None or self._known[0] != secrets:
            self._known = secrets, Hider(*secrets, logins=self._logins)
        return self._known[1]

    def _judged(self, name: str, answer: Any) -> Any:
        if name == "plan" and any(HIDDEN in leaf for leaf in leaves(answer)):
            raise Rejected(
                f"What would be sent says {HIDDEN} where a secret was taken out; nothing was sent."
            )
        if name == "harvest":
            self._hider().refuse(answer)
            return answer
        return self._hide(answer)

    def _each(self, name: str, answers: Iterator[Any]) -> Iterator[Any]:
        with self._quietly(name):
            for one in answers:
                yield self._judged(name, one)

    def _noting(self, note: Note) -> Callable[..., None]:
        def quiet(about: Mapping[str, Any], exhibits: Sequence[Exhibit] = ()) -> None:
            note(self._hide(about), self._hide(tuple(exhibits)))

        return quiet

    @contextlib.contextmanager
    def _quietly(self, name: str) -> Iterator[None]:
        try:
            yield
        except Repeated:
            raise _REFUSAL.get(name, OutOfScope)(REPEATED) from None
        except AdapterError as error:
            hide = self._hider()
            error.text, error.evidence = hide(error.text), hide(error.evidence)
            error.args, error.exhibits = (error.text,), hide(error.exhibits)
            # What it was raised from would be told with it by whoever logs it.
            error.__cause__, error.__suppress_context__ = None, True
            raise
        except Exception as fault:
            if self._hider().is_in_words("".join(traceback.format_exception(fault))):
                raise RuntimeError(self._hide(f"{type(fault).__name__}: {fault}")) from None
            raise


class _Quiet:
    """A listener's sink that is told no secret."""

    def __init__(self, sink: Sink, hide: Callable[[Any], Any]) -> None:
        self._sink, self._hide = sink, hide

    def heard(self, sample: Sample) -> None:
        """Pass it on, or say that it cannot be used."""
        try:
            self._sink.heard(self._hide(sample))
        except Repeated:
            self._sink.refused(REPEATED)

    def alive(self) -> None:
        """Pass it on."""
        self._sink.alive()

    def lost(self, why: str) -> None:
        """Pass the words on."""
        self._sink.lost(self._hide(why))

    def refused(self, why: str) -> None:
        """Pass the words on."""
        self._sink.refused(self._hide(why))
