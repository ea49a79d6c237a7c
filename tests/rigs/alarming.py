"""The sandbox behind a robot that sees what must not happen: it notes with a picture, writes, and raises the alarm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from integrations.contract import Account, Exhibit, InDoubt, Note, Receipt, Step, Writer
from integrations.sandbox.adapter import ADAPTER as SANDBOX

FILLED = Exhibit("Filled: what is about to be saved", "image/png", b"\x89PNG filled")
ENDED = Exhibit("Where it ended", "image/png", b"\x89PNG ended")
ALARM = "The screen wanted to send what nobody approved: model.party.party.write."


class _Alarming:
    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        assert SANDBOX.writer is not None
        self._inner: Writer = SANDBOX.writer(options, account)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def commit(self, step: Step, *, expect: Mapping[str, str], reference: str, note: Note) -> Receipt:
        def noted(about: Mapping[str, Any], exhibits: Any = ()) -> None:
            note(about, (*exhibits, FILLED))

        self._inner.commit(step, expect=expect, reference=reference, note=noted)
        raise InDoubt("The screen does not confirm it.", evidence={"alarm": ALARM}, exhibits=[ENDED])


ADAPTER = replace(SANDBOX, name="alarming", writer=_Alarming, last_door=True)
