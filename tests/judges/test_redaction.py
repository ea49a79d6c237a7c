"""Whatever a system repeats of what it was sent, no form of the secret is passed on, and no record is changed."""

from __future__ import annotations

import base64
import datetime as dt
import html
import json
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from console.discreet import REPEATED, discreet
from console.reads.listen import Board
from console.redaction import HIDDEN, UNTOLD, Hider
from integrations.contract import (
    Account,
    AdapterError,
    Claim,
    Exhibit,
    Finding,
    InDoubt,
    Level,
    OutOfScope,
    ProbeReport,
    Reading,
    Receipt,
    Record,
    Rejected,
    Sample,
    Seen,
    Sink,
    Snapshot,
    Step,
    SystemChange,
    Trace,
)

SECRET = 'a "secret" <of> the\\account/%+ü of the ERP'
PASSES = "the-token-of-an-hour-9f27c4"
NOW = dt.datetime(2026, 10, 2, 7, 30, tzinfo=dt.UTC)
CALLS: list[str] = []

Say = Callable[[str], str]


def plainly(secret: str) -> str:
    return secret


WRITTEN: Mapping[str, Say] = {
    "plain": plainly,
    "address": quote,
    "address, strictly": lambda secret: quote(secret, safe=""),
    "form": quote_plus,
    "address, small": lambda secret: quote(secret, safe="").lower(),
    "HTML": html.escape,
    "JSON": lambda secret: json.dumps(secret)[1:-1],
    "JSON, not ASCII": lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    "hexadecimal": lambda secret: secret.encode().hex(),
    "HEXADECIMAL": lambda secret: secret.encode().hex().upper(),
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "login": lambda secret: base64.b64encode(f"login:{secret}".encode()).decode(),
    "longer login": lambda secret: base64.urlsafe_b64encode(f"a-login:{secret}".encode()).decode(),
    "first half": lambda secret: secret[:20],
    "last half": lambda secret: secret[-20:],
}
"""Of these the place is known, so the rest of the words stays."""
UNPLACED: Mapping[str, Say] = {
    "folded": lambda secret: secret.upper().replace(" ", "\n  "),
    "twice in an address": lambda secret: quote(quote(secret, safe=""), safe=""),
    "JSON in HTML": lambda secret: html.escape(json.dumps(secret)),
    "first half, loud": lambda secret: secret[:20].upper(),
    "base64 in lines": lambda secret: "\n".join(_cut(base64.b64encode(secret.encode()).decode(), 16)),
}


def _cut(text: str, size: int) -> Iterator[str]:
    return (text[at : at + size] for at in range(0, len(text), size))


@pytest.mark.parametrize("form", WRITTEN)
def test_every_form_of_a_secret_is_taken_out_of_words(form: str) -> None:
    told = Hider(SECRET)(f"before {WRITTEN[form](SECRET)} after")
    assert told == f"before {HIDDEN} after"


@pytest.mark.parametrize("form", UNPLACED)
def test_words_with_a_secret_in_no_known_place_are_hidden_whole(form: str) -> None:
    assert Hider(SECRET)({"said": f"before {UNPLACED[form](SECRET)} after", "status": "400"}) == {
        "said": UNTOLD,
        "status": "400",
    }


@pytest.mark.parametrize("code", [plainly, WRITTEN["base64"], WRITTEN["hexadecimal"]])
def test_of_secrets_that_begin_or_end_alike_the_longest_piece_is_hidden(code: Say) -> None:
    alike = [f"the-same-start-{one}-the-same-end" for one in ("first-of-two", "other-of-two", "x")]
    hide = Hider(*alike)
    for one in map(code, alike):
        assert hide(f"before {one[:-5]}; after") == f"before {HIDDEN}; after"
        assert hide(f"before: {one[5:]} after") == f"before: {HIDDEN} after"


def test_parts_of_a_secret_that_has_several_are_hidden_each() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\nAgEGCCqGSM49AwEHBG0w\n-----END PRIVATE KEY-----"
    secret = json.dumps({"client_id": "an-id-of-ours", "private_key": key, "at": "https://erp.example.com"})
    hide = Hider(secret)
    assert hide("MIGHAgEAMBMGByqGSM49 AgEGCCqGSM49AwEHBG0w") == f"{HIDDEN} {HIDDEN}"
    words = '{"client_id": "another", at https://erp.example.com} -----BEGIN PRIVATE KEY-----'
    assert hide(words) == words
    assert Hider("whsec_b2xkLW9sZA whsec_bmV3LW5ldw")("b2xkLW9sZA, bmV3LW5ldw") == f"{HIDDEN}, {HIDDEN}"


def test_a_token_that_stands_for_the_secret_is_hidden_and_other_words_are_not() -> None:
    hide = Hider("another secret")
    assert hide(f"Authorization: Bearer {'x' * 40}") == f"Authorization: Bearer {HIDDEN}"
    token = ".".join(base64.urlsafe_b64encode(b'{"alg":"ES256"}').decode().rstrip("=") for _ in range(2))
    assert hide(f"assertion {token}.c2ln") == f"assertion {HIDDEN}"
    words = "Basic authentication is off; the session expired; another one"
    assert hide(words) == words


def test_a_short_password_hides_nothing_by_chance() -> None:
    assert Hider("one", "")("one and one") == "one and one"


@pytest.mark.parametrize(
    ("secret", "there", "found"),
    [
        ("oak-40", "oak-40", True),
        ("oak-40", "by oak-40.", True),
        ("oak-40", "RM-oak-400", False),
        ("oak-40", "Oak-40", False),
        ("100001", 100001, True),
        ("100001", "1000010", False),
        ("Sunflower Works 1", "SUNFLOWER WORKS", False),
        ("Sunflower Works 1", "Sunflower Wo", True),
        ("Sunflower Works 1", "sunflower  works 1", True),
        ("another one", "Basic Hydroxyethylcellulose-H250", False),
        ("another one", {"log": f"Authorization: Basic {'x' * 30}"}, True),
    ],
)
def test_in_a_record_a_word_of_the_business_is_no_secret(secret: str, there: object, found: bool) -> None:
    live = careful(lambda: reading(there), secret)
    if found:
        with pytest.raises(OutOfScope, match="holds a secret"):
            live.answer()
    else:
        assert live.answer().value == {"product": there}


def test_a_login_in_a_password_is_no_piece_of_it() -> None:
    account = Account("countersign-reader", "countersign-reader-of-2026")
    live: Any = discreet(Careless(lambda: reading("by countersign-reader")), account, [], {})
    assert live.answer().value == {"product": "by countersign-reader"}
    for there in ("countersign-reader-of-2026", "ader-of-2026: end"):
        live = discreet(Careless(partial(reading, there)), account, [], {})
        with pytest.raises(OutOfScope):
            live.answer()
    report = ProbeReport("of-another-account", stale_refused=True, out_of_scope_refused=True, excess=())
    assert careful(lambda: report).probe() == report


class Careless:
    """An adapter whose system answers with what it was told to."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self._answer = answer

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *_, **__: self._answer()

    def commit(self, step: str, *, expect: str, note: Callable[..., None]) -> Any:
        note({"saw": SECRET}, (Exhibit(f"by {SECRET}", "text/yaml", f"- said: {SECRET}\n- ok".encode()),))
        CALLS.append(f"{step} {expect}")
        return self._answer()

    def harvest(self) -> Iterator[Any]:
        yield {"id": "1"}
        yield self._answer()

    def run(self, sink: Sink, stop: threading.Event) -> None:
        del stop
        self._answer_to(sink)

    def _answer_to(self, sink: Sink) -> None:
        sink.heard(sample("MO-17"))
        sink.heard(sample(SECRET))
        sink.refused(f"it says {SECRET[:25]}")
        sink.lost(f"the server refuses {SECRET}")


def careful(answer: Callable[[], Any], secret: str = SECRET, **options: Any) -> Any:
    account = Account("reader", secret)
    account.hold(PASSES)
    return discreet(Careless(answer), account, [Account("another-login", "of-another-account")], options)


def reading(there: object) -> Reading:
    return Reading({"product": there}, NOW, "the ERP")


def sample(there: str) -> Sample:
    return Sample("job_state", {"order": "17"}, {"product": there})


def snapshot(**changed: Any) -> Snapshot:
    told = {"target": "17", "label": "MO-17", "stamps": {"17": "3"}, "context": {}}
    record = Record({"planned_date": "2026-10-05"}, {"lines": [{"key": "1", "text": "oak"}]})
    return Snapshot(**{**told, "record": record, **changed}, as_of=NOW, source="the ERP")


def refusal(kind: type[AdapterError]) -> Any:
    evidence = {"said": [{"words": f"password={SECRET}"}]}
    raise kind(f"It says: {SECRET}", evidence=evidence) from ValueError(SECRET)


def test_errors_and_reports_keep_the_secret_and_everything_else_passes() -> None:
    live = careful(lambda: refusal(Rejected))
    with pytest.raises(Rejected) as refused:
        live.ping()
    assert SECRET not in "".join(traceback.format_exception(refused.value))
    assert (refused.value.text, refused.value.args) == (f"It says: {HIDDEN}", (f"It says: {HIDDEN}",))
    assert refused.value.evidence == {"said": [{"words": f"password={HIDDEN}"}]}
    report = careful(lambda: ProbeReport("reader", True, True, (), (f"{SECRET} is wrong",))).probe()
    assert (report.sound, report.findings) == (True, (f"{HIDDEN} is wrong",))
    [found] = careful(lambda: (Finding("x", Level.WARNING, SECRET),)).rehearse()
    assert (found.level is Level.WARNING, found.text) == (True, HIDDEN)
    [change] = careful(
        lambda: [SystemChange("17", "write", "reader", NOW, {"header": f"x-api-key {SECRET}"})]
    ).changes()
    assert (change.record, change.detail) == ("17", {"header": f"x-api-key {HIDDEN}"})
    told = careful(lambda: {"version": "8.2", "by": SECRET}).describe()
    assert told == {"version": "8.2", "by": HIDDEN}
    same = snapshot()
    assert careful(lambda: same).snapshot() is same


def test_a_fault_of_an_adapter_is_logged_without_the_secret() -> None:
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        careful(lambda: 1 / 0).ping()
    with pytest.raises(RuntimeError, match="ValueError") as fault:
        careful(lambda: int(SECRET)).ping()
    assert SECRET not in "".join(traceback.format_exception(fault.value))


@pytest.mark.parametrize("secret", [SECRET, PASSES, "of-another-account", "in-the-address"])
def test_whatever_proves_who_asks_is_a_secret(secret: str) -> None:
    live = careful(lambda: f"cookie {secret}", flows={"x": "https://flows/x?code=in-the-address"})
    assert live.describe() == f"cookie {HIDDEN}"


@pytest.mark.parametrize(
    "poisoned",
    [
        {"label": SECRET},
        {"target": SECRET},
        {"stamps": {"17": SECRET}},
        {"context": {"log": [f"x-api-key: {SECRET}"]}},
        {"record": Record({}, {"lines": [{"key": "1", "text": base64.b64encode(SECRET.encode()).decode()}]})},
        {"record": Record({"text": SECRET[:14]})},
        {"record": Record({PASSES: "1"})},
    ],
)
def test_a_snapshot_with_a_secret_in_it_is_refused_and_never_changed(poisoned: Mapping[str, Any]) -> None:
    with pytest.raises(OutOfScope) as refused:
        careful(lambda: snapshot(**poisoned)).snapshot()
    assert refused.value.text == REPEATED
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    ("call", "answer", "kind"),
    [
        ("read", reading(SECRET), OutOfScope),
        ("find", Trace(Seen.PRESENT, record=Record({"text": SECRET})), InDoubt),
        ("find", Trace(Seen.PRESENT, Receipt(SECRET, "", {}, {})), InDoubt),
        ("seek", Trace(Seen.PRESENT, stamps={"17": SECRET}), InDoubt),
        ("plan", (Step("send", "Send it", {"text": SECRET}),), Rejected),
        ("plan", (Step("send", "Send it", {"text": f"as before, {HIDDEN}"}),), Rejected),
    ],
)
def test_what_is_acted_on_is_refused_as_a_whole(call: str, answer: Any, kind: type[AdapterError]) -> None:
    with pytest.raises(kind):
        getattr(careful(lambda: answer), call)()


def test_a_receipt_keeps_its_document_or_is_in_doubt() -> None:
    noted: list[Any] = []

    def commit(answer: Any) -> Any:
        def note(about: Any, exhibits: Any = ()) -> None:
            noted.append((about, exhibits))

        return careful(lambda: answer).commit("write", expect="3", note=note)

    receipt = commit(Receipt("17", f"MO-17 {SECRET}", {"17": "4"}, {"said": SECRET}))
    assert (receipt.document, receipt.stamps) == ("17", {"17": "4"})
    assert (receipt.label, receipt.evidence) == (f"MO-17 {HIDDEN}", {"said": HIDDEN})
    assert CALLS[-1] == "write 3"
    [(about, (exhibit,))] = noted
    assert about == {"saw": HIDDEN}
    assert (exhibit.name, exhibit.content) == (f"by {HIDDEN}", f"- said: {HIDDEN}\n- ok".encode())
    with pytest.raises(InDoubt):
        commit(Receipt("17", "MO-17", {"17": SECRET}, {}))
    trace = careful(lambda: Trace(Seen.ABSENT, text=SECRET)).find()
    assert (trace.seen is Seen.ABSENT, trace.text) == (True, HIDDEN)


def test_a_callback_with_a_secret_in_it_is_refused_since_its_bytes_are_kept() -> None:
    live = careful(lambda: Claim("1", "CS-1", happened=True, text="done"))
    assert live.hear({}, b'{"text": "done"}').reference == "CS-1"
    for headers, raw in (({}, json.dumps({"more": SECRET}).encode()), ({"webhook-id": PASSES}, b"{}")):
        with pytest.raises(Rejected, match="nothing of it is"):
            live.hear(headers, raw)


def test_cases_from_the_past_are_given_up_at_the_first_secret() -> None:
    cases = careful(lambda: {"snapshot": {"text": SECRET}}).harvest()
    assert next(cases) == {"id": "1"}
    with pytest.raises(OutOfScope):
        next(cases)


def test_what_a_listener_heard_lost_and_refused_tells_no_secret() -> None:
    board = Board(threading.Event())
    careful(lambda: None).run(board, threading.Event())
    heard = board.take()
    [told] = heard.samples.values()
    assert told.value == {"product": "MO-17"}
    assert heard.refused == [REPEATED[:300], f"it says {HIDDEN}"]
    assert (heard.lost, heard.error) == (f"the server refuses {HIDDEN}",) * 2
