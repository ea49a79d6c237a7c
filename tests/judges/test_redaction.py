"""Whatever a system repeats of what it was sent, no form of the secret is left in it."""

from __future__ import annotations

import base64
import html
import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from console.redaction import HIDDEN, discreet, hider
from integrations.contract import Finding, Level, ProbeReport, Receipt, Rejected, Seen, Trace

SECRET = 'a "secret" <of> the\\account/%+ü'
CALLS: list[str] = []


class Careless:
    """An adapter whose system repeats everything."""

    def ping(self) -> None:
        raise Rejected(f"It says: {SECRET}", evidence={"said": [{"words": f"password={SECRET}"}]})

    def commit(self, step: str, *, expect: str) -> Receipt:
        CALLS.append(f"{step} {expect}")
        return Receipt("17", "MO-17", {"production 17": "3"}, {"said": SECRET})

    def find(self) -> Trace:
        return Trace(Seen.ABSENT, text=SECRET)

    def probe(self) -> ProbeReport:
        return ProbeReport("reader", True, True, (), (f"{SECRET} is wrong",))

    def rehearse(self) -> tuple[Finding, ...]:
        return (Finding("x", Level.WARNING, SECRET),)


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        html.escape(SECRET),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        SECRET.encode().hex(),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"login:{SECRET}".encode()).decode(),
        base64.urlsafe_b64encode(f"a-login:{SECRET}".encode()).decode(),
    ],
)
def test_every_form_of_a_secret_is_hidden(form: str) -> None:
    told = hider(SECRET)(f"before {form} after")
    assert told.startswith("before ")
    assert told.endswith(" after")
    assert HIDDEN in told
    # What is left of base64 is what it shares with its neighbours.
    assert len(told) <= len(f"before {HIDDEN} after") + 16


def test_parts_of_a_secret_that_has_several_are_hidden_each() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\nAgEGCCqGSM49AwEHBG0w\n-----END PRIVATE KEY-----"
    hide = hider(json.dumps({"client_id": "an-id", "private_key": key}))
    assert hide("MIGHAgEAMBMGByqGSM49 AgEGCCqGSM49AwEHBG0w") == f"{HIDDEN} {HIDDEN}"
    assert hider("whsec_b2xkLW9sZA whsec_bmV3LW5ldw")("b2xkLW9sZA, bmV3LW5ldw") == f"{HIDDEN}, {HIDDEN}"


def test_a_token_that_stands_for_the_secret_is_hidden_and_other_words_are_not() -> None:
    hide = hider("another secret")
    assert hide(f"Authorization: Bearer {'x' * 40}") == f"Authorization: Bearer {HIDDEN}"
    words = "Basic authentication is off; the session expired; another one"
    assert hide(words) == words


def test_a_short_password_hides_nothing_by_chance() -> None:
    assert hider("one", "")("one and one") == "one and one"


def test_a_live_adapter_keeps_its_secret_and_everything_else_passes() -> None:
    live: Any = discreet(Careless(), SECRET, {"endpoints": {"x": "https://flows/x?code=of-the-flow"}})
    with pytest.raises(Rejected) as refusal:
        live.ping()
    told = f"{refusal.value} {refusal.value.text} {refusal.value.args} {refusal.value.evidence}"
    assert SECRET not in told
    assert refusal.value.evidence == {"said": [{"words": f"password={HIDDEN}"}]}
    assert live.commit("write", expect="3").evidence == {"said": HIDDEN}
    assert CALLS == ["write 3"]
    trace = live.find()
    assert (trace.seen, trace.text) == (Seen.ABSENT, HIDDEN)
    assert trace.seen is Seen.ABSENT
    assert live.probe().sound
    assert live.probe().findings == (f"{HIDDEN} is wrong",)
    [found] = live.rehearse()
    assert (found.level is Level.WARNING, found.text) == (True, HIDDEN)
    assert hider("x", *["of-the-flow"])("of-the-flow") == HIDDEN
