"""The middleware adapter against Node-RED: what is taken, what is refused, and what can be told from an answer.

The file is long because both directions of one protocol are tried on one flow.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pytest
from standardwebhooks import Webhook

from console.lifecycle.seen import compared
from integrations.contract import (
    Accepted,
    Account,
    AdapterError,
    EffectClass,
    Exhibit,
    InDoubt,
    OutOfScope,
    Rejected,
    Seen,
    Snapshot,
    Sought,
    Stale,
    Trace,
    TransactionType,
    Unavailable,
    Unsupported,
)
from integrations.middleware import addresses
from integrations.middleware.adapter import ADAPTER
from integrations.middleware.connection import MiddlewareWriter
from integrations.sandbox.connection import SandboxReader
from tests.integrations import conformance
from tests.integrations.conformance import (
    ADAPTER_CLAIMS,
    TYPES,
    AdapterClaim,
    Commit,
    Subject,
    TypeClaim,
    a_port_where_nothing_listens,
    ignore,
    named,
    prepare,
)
from tests.integrations.test_sandbox_conformance import missing, payload, touch
from tests.lifecycle.corridor import promise, purchase, reschedule
from tests.rigs.nodered import SEEN, NodeRed, whsec
from tests.sandbox import SandboxProcess

RESCHEDULE = "production_order_reschedule"


def quantity(erp: SandboxProcess) -> dict[str, Any]:
    """More of an order that is a draft still; its bill has a material that is counted in fractions."""
    order = erp.find("production", state="draft")
    return {"order": order["key"], "quantity": {"value": str(int(order["quantity"]) + 7), "unit": "Unit"}}


class SeenByTheErp(MiddlewareWriter):
    """A middleware's writer as the corridor uses it: looks go to the reader of the connection that verifies it."""

    def __init__(self, options: Mapping[str, Any], account: Account, *, erp: SandboxReader) -> None:
        super().__init__(options, account, types=ADAPTER.types)
        self._erp = erp

    def snapshot(self, type_: TransactionType, payload: Any) -> Snapshot:
        """The ERP's."""
        if type_.name not in ADAPTER.types:
            raise Unsupported(type_.name)
        return self._erp.snapshot(type_, payload)

    def find(self, sought: Sought) -> Trace:
        """The ERP's, compared as the corridor does."""
        if not sought.snapshot.target:
            return self._erp.seek(sought)
        return compared(sought, self._erp.snapshot(sought.type, sought.payload))


@pytest.fixture
def subject(nodered: NodeRed) -> Iterator[Subject]:
    erp = SandboxReader(nodered.erp.options(), nodered.erp.account("reader"))
    payloads: Mapping[str, Callable[[SandboxProcess], Mapping[str, Any]]] = {
        "production_order_quantity": quantity,
        RESCHEDULE: reschedule,
        "purchase_order_create": purchase,
        "purchase_order_line_change": partial(payload, type_name="purchase_order_line_change"),
        "sales_order_promise": promise,
    }
    unheard = f"http://127.0.0.1:{a_port_where_nothing_listens()}"
    yield Subject(
        adapter=ADAPTER.__class__(**{**vars(ADAPTER), "writer": partial(SeenByTheErp, erp=erp)}),
        options=nodered.options(),
        reader=Account("middleware", nodered.callback_secret),
        writers={name: nodered.account(name) for name in ADAPTER.types if name in SEEN},
        payload=lambda name: payloads[name](nodered.erp),
        arguments=lambda _tool: {},
        missing=missing,
        touch=lambda name, proposed: touch(nodered.erp, name, proposed),
        nowhere=lambda: nodered.options(endpoints=dict.fromkeys(ADAPTER.types, unheard)),
        count=lambda reference: len(nodered.erp.effects(reference)),
        cannot=("lose an answer", "answer at once", "be asked"),
    )
    erp.close()


# The reading account signs nothing that is sent: what its secret is good for, callbacks show.
HELD_BY_CALLBACKS = {
    "a_wrong_secret_is_out_of_scope_and_not_repeated",
    "nothing_that_is_printed_shows_a_secret",
}

TYPE_CLAIMS: tuple[TypeClaim, ...] = (
    conformance.its_rules_can_judge_the_snapshot,
    conformance.a_plan_is_what_is_shown_and_the_same_every_time,
    conformance.planning_and_rehearsing_write_nothing,
    conformance.committing_twice_is_one_effect,
    conformance.a_stale_stamp_is_refused,
    conformance.without_a_stamp_nothing_is_sent,
    conformance.a_note_is_kept_before_anything_is_sent,
    conformance.another_types_account_is_out_of_scope,
    conformance.a_type_that_is_not_carried_is_unsupported,
    conformance.its_account_is_proven_narrow,
)
"""The claims that can be made of what only takes messages. The others need an answer at once, or a log."""


@pytest.mark.parametrize(
    "claim", [one for one in ADAPTER_CLAIMS if one.__name__ not in HELD_BY_CALLBACKS], ids=named
)
def test_the_adapter(claim: AdapterClaim, subject: Subject) -> None:
    claim(subject)


@pytest.mark.parametrize("type_name", SEEN)
@pytest.mark.parametrize("claim", TYPE_CLAIMS, ids=named)
def test_the_adapter_for_a_type(claim: TypeClaim, type_name: str, subject: Subject) -> None:
    claim(subject, type_name)


def test_nothing_that_is_printed_shows_a_secret(subject: Subject) -> None:
    with subject.open_writer(RESCHEDULE) as writer:
        conformance.assert_tells_no_secret(subject, writer, vars(writer))


def commit(subject: Subject, options: Mapping[str, Any] | None = None) -> tuple[Commit, Accepted]:
    """Send a reschedule."""
    with subject.open_writer(RESCHEDULE, options=options) as writer:
        found = prepare(subject, writer, RESCHEDULE)
        answer = writer.commit(
            found.steps[0], expect=found.snapshot.stamps, reference=found.reference, note=ignore
        )
    assert isinstance(answer, Accepted)
    return found, answer


def test_what_is_taken_is_accepted_and_nothing_more(subject: Subject, nodered: NodeRed) -> None:
    found, answer = commit(subject)
    assert answer.handle == found.reference
    assert answer.wait == dt.timedelta(seconds=60)
    assert nodered.told()["jobs"] == {found.reference: RESCHEDULE}
    nodered.wait_for_answers()
    assert [effect["reference"] for effect in nodered.erp.ledger()] == [found.reference]


@pytest.mark.parametrize("type_name", SEEN)
def test_the_flow_writes_what_was_approved_and_the_erp_reads_so(
    type_name: str, subject: Subject, nodered: NodeRed
) -> None:
    with subject.open_writer(type_name) as writer:
        found = prepare(subject, writer, type_name)
        answer = writer.commit(
            found.steps[0], expect=found.snapshot.stamps, reference=found.reference, note=ignore
        )
        assert isinstance(answer, Accepted)
        nodered.wait_for_answers()
        trace = writer.find(found.sought())
    assert trace.seen is Seen.PRESENT, (trace.text, trace.record, found.sought().expected)


def test_the_same_message_twice_has_one_id_and_one_effect_there(subject: Subject, nodered: NodeRed) -> None:
    with subject.open_writer(RESCHEDULE) as writer:
        found = prepare(subject, writer, RESCHEDULE)
        answers = [
            writer.commit(
                found.steps[0], expect=found.snapshot.stamps, reference=found.reference, note=ignore
            )
            for _ in range(2)
        ]
    said = [json.loads(one.evidence["answer"]["body"])["duplicate"] for one in answers]
    assert said == [False, True]
    nodered.wait_for_answers()
    assert len(nodered.erp.effects(found.reference)) == 1


def test_that_a_repeat_is_dropped_is_a_promise_so_nothing_is_ever_sent_twice() -> None:
    assert {carried.effect for carried in ADAPTER.types.values()} == {EffectClass.READ_BACK_ONLY}


@pytest.mark.parametrize("mode", ["redirect", "busy", "bad_gateway", "page"])
def test_what_is_no_clear_answer_is_in_doubt(subject: Subject, nodered: NodeRed, mode: str) -> None:
    nodered.behave(mode)
    with pytest.raises(InDoubt) as doubt:
        commit(subject)
    assert (
        doubt.value.evidence["status"]
        == {"redirect": 302, "busy": 429, "bad_gateway": 502, "page": 200}[mode]
    )
    assert doubt.value.evidence.get("retry_after") == ("7" if mode == "busy" else None)


def test_a_replaced_secret_works_as_long_as_one_of_the_two_is_known_there(
    subject: Subject, nodered: NodeRed
) -> None:
    both = Account("countersign", f"{whsec()} {nodered.secrets[RESCHEDULE]}")
    with subject.open_writer(RESCHEDULE, account=both) as writer:
        found = prepare(subject, writer, RESCHEDULE)
        answer = writer.commit(
            found.steps[0], expect=found.snapshot.stamps, reference=found.reference, note=ignore
        )
    assert isinstance(answer, Accepted)


def test_a_message_of_another_key_or_of_long_ago_is_refused_there(subject: Subject, nodered: NodeRed) -> None:
    with subject.open_writer(RESCHEDULE) as writer:
        report = writer.probe([TYPES[RESCHEDULE]])
    assert (report.stale_refused, report.out_of_scope_refused, report.excess) == (True, True, ())
    assert any("cannot be seen from here" in one for one in report.findings)
    assert nodered.told()["jobs"] == {}


@pytest.mark.parametrize("secret", ["", "hunter2", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64!"])
def test_a_secret_that_is_none_is_refused_and_not_shown(nodered: NodeRed, secret: str) -> None:
    assert ADAPTER.writer is not None
    with pytest.raises(OutOfScope) as no:
        ADAPTER.writer(nodered.options(), Account("countersign", secret))
    if secret and secret != "whsec_":
        assert secret not in f"{no.value!r} {no.value.text}"


def test_nothing_listening_is_unavailable_and_nothing_was_sent(subject: Subject) -> None:
    with subject.open_writer(RESCHEDULE, options=subject.nowhere()) as writer:
        found = prepare(subject, writer, RESCHEDULE)
        with pytest.raises(Unavailable):
            writer.commit(
                found.steps[0], expect=found.snapshot.stamps, reference=found.reference, note=ignore
            )


def test_of_several_addresses_the_first_that_can_be_reached_gets_the_message_once(
    subject: Subject, nodered: NodeRed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name with an address where nobody listens (loopback is a whole network), and the one of the flow."""
    truly = socket.getaddrinfo

    def told(host: str, *more: Any, **how: Any) -> Any:
        if host != "flows.example":
            return truly(host, *more, **how)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, nodered.port))
            for ip in ("127.9.9.9", "127.0.0.1")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", told)
    endpoints = {RESCHEDULE: f"http://flows.example:{nodered.port}/erp/{RESCHEDULE}"}
    commit_, _ = commit(subject, nodered.options(endpoints=endpoints))
    assert list(nodered.told()["jobs"]) == [commit_.reference]


def test_an_endpoint_that_changed_since_the_approval_gets_nothing(subject: Subject, nodered: NodeRed) -> None:
    with subject.open_writer(RESCHEDULE) as writer:
        found = prepare(subject, writer, RESCHEDULE)
    other = nodered.options()["endpoints"] | {RESCHEDULE: f"http://127.0.0.1:{nodered.port}/erp/other"}
    with (
        subject.open_writer(RESCHEDULE, options=nodered.options(endpoints=other)) as writer,
        pytest.raises(Rejected, match="another now"),
    ):
        writer.commit(found.steps[0], expect=found.snapshot.stamps, reference=found.reference, note=ignore)
    assert nodered.told()["jobs"] == {}


def test_what_may_be_a_credential_in_an_address_is_not_in_what_people_see(
    subject: Subject, nodered: NodeRed
) -> None:
    url = f"http://name:word@127.0.0.1:{nodered.port}/erp/{RESCHEDULE}?sig=very-secret"
    options = nodered.options(endpoints={RESCHEDULE: url})
    with subject.open_writer(RESCHEDULE, options=options) as writer:
        (step,) = prepare(subject, writer, RESCHEDULE).steps
    assert step.request["to"] == f"http://127.0.0.1:{nodered.port}/erp/{RESCHEDULE}"
    assert "very-secret" not in f"{step!r}"
    assert "word" not in f"{step!r}"


# Where a message may go


def test_a_private_address_is_refused_unless_it_is_said_to_be_the_plants_own(
    subject: Subject, nodered: NodeRed
) -> None:
    endpoints = {RESCHEDULE: f"https://127.0.0.1:{nodered.port}/erp/{RESCHEDULE}"}
    noted: list[Mapping[str, Any]] = []

    def note(about: Mapping[str, Any], exhibits: Sequence[Exhibit] = ()) -> None:
        del exhibits
        noted.append(about)

    with subject.open_writer(RESCHEDULE) as writer:
        found = prepare(subject, writer, RESCHEDULE)
    options = nodered.options(endpoints=endpoints, own_network=False)
    with subject.open_writer(RESCHEDULE, options=options) as writer:
        (step,) = writer.plan(found.type, found.payload, found.snapshot, found.reference)
        with pytest.raises(Unavailable, match="own_network"):
            writer.commit(step, expect=found.snapshot.stamps, reference=found.reference, note=note)
    assert noted == []


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.3.4",
        "192.168.1.1",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 an address to be refused
        "224.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
    ],
)
def test_an_address_that_is_not_public_is_refused_in_every_spelling(address: str) -> None:
    url = f"https://[{address}]/x" if ":" in address else f"https://{address}/x"
    with pytest.raises(Unavailable, match="public internet"):
        addresses.resolved(url, own_network=False)


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:5db8:d70e"]
)
def test_a_public_address_is_spoken_to(address: str) -> None:
    url = f"https://[{address}]/x" if ":" in address else f"https://{address}/x"
    assert addresses.resolved(url, own_network=False) == (address,)


def test_the_public_internet_is_not_spoken_to_without_tls() -> None:
    with pytest.raises(Unavailable, match="TLS"):
        addresses.resolved("http://93.184.215.14/x", own_network=False)


# What is heard


def heard(secret: str) -> Any:
    """An ear that knows this secret."""
    assert ADAPTER.notifier is not None
    return ADAPTER.notifier({}, Account("middleware", secret))


def signed(
    secret: str,
    raw: bytes,
    instead: Mapping[str, str] | None = None,
    *,
    message_id: str = "cb_1",
    at: dt.datetime | None = None,
) -> dict[str, str]:
    """The headers of a message, some of them replaced after it was signed."""
    at = at or dt.datetime.now(dt.UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, at, raw.decode()),
        **(instead or {}),
    }


def said(type_: str = "transaction.committed", **data: Any) -> bytes:
    """A callback's body."""
    return json.dumps({"type": type_, "data": {"reference": "CS-1", **data}}).encode()


def test_a_callback_is_read_as_a_claim() -> None:
    secret = whsec()
    raw = said("transaction.rejected", code="ME/083", text="Enter supplier", run=7)
    claim = heard(secret).hear(signed(secret, raw), raw)
    assert (claim.id, claim.reference, claim.happened) == ("cb_1", "CS-1", False)
    assert claim.text == "ME/083: Enter supplier"


def test_one_of_several_secrets_is_enough_on_either_side() -> None:
    old, new = whsec(), whsec()
    raw = said()
    assert heard(f"{new} {old}").hear(signed(old, raw), raw).happened
    both = signed(whsec(), raw)["webhook-signature"] + " " + signed(new, raw)["webhook-signature"]
    assert heard(new).hear(signed(new, raw, {"webhook-signature": f"v1a,AAAA {both}"}), raw).happened


SECRET = whsec()


@pytest.mark.parametrize(
    "message",
    [
        lambda: (signed(SECRET, said()), said(document="another")),
        lambda: (signed(whsec(), said()), said()),
        lambda: (signed(SECRET, said(), at=dt.datetime.now(dt.UTC) - dt.timedelta(minutes=6)), said()),
        lambda: (signed(SECRET, said(), at=dt.datetime.now(dt.UTC) + dt.timedelta(minutes=6)), said()),
        lambda: (signed(SECRET, said(), message_id="cb.1"), said()),
        lambda: (signed(SECRET, said(), {"webhook-id": "cb_2"}), said()),
        lambda: (signed(SECRET, said(), {"webhook-signature": "v1"}), said()),
        lambda: (signed(SECRET, said(), {"webhook-signature": "v1,???"}), said()),
        lambda: (signed(SECRET, said(), {"webhook-timestamp": "nan"}), said()),
        lambda: (signed(SECRET, said()), b"\xff" + said()),
        lambda: ({}, said()),
    ],
    ids=[
        "tampered",
        "other key",
        "old",
        "early",
        "full stop",
        "other id",
        "cut",
        "no base64",
        "no time",
        "no text",
        "bare",
    ],
)
def test_what_is_not_proven_is_out_of_scope(message: Callable[[], tuple[dict[str, str], bytes]]) -> None:
    headers, raw = message()  # signed now: what was signed when the tests were collected is old by itself
    with pytest.raises(OutOfScope) as no:
        heard(SECRET).hear(headers, raw)
    assert SECRET not in f"{no.value!r} {no.value.text}"


@pytest.mark.parametrize(
    "raw",
    [
        said("transaction.approved"),
        said("approve"),
        b'{"type": "transaction.committed"}',
        b'{"type": "transaction.rejected", "type": "transaction.committed", "data": {"reference": "CS-1"}}',
        b"[]",
        b"done",
        b"",
        b'{"type": "transaction.committed", "data": {"reference": 1}}',
        b"[" * 20000,
    ],
)
def test_what_is_proven_and_says_nothing_known_is_rejected_also_an_approval(raw: bytes) -> None:
    with pytest.raises(Rejected):
        heard(SECRET).hear(signed(SECRET, raw), raw)


def test_every_refusal_of_the_endpoint_has_a_class_of_its_own(subject: Subject, nodered: NodeRed) -> None:
    assert ADAPTER.writer is not None
    with contextlib.closing(ADAPTER.writer(nodered.options(), nodered.account(RESCHEDULE))) as writer:
        found = prepare(subject, writer_of(subject), RESCHEDULE)
        empty = {**found.steps[0].request["body"]["data"], "payload": {}}
        step = type(found.steps[0])(
            "send", "", {**found.steps[0].request, "body": {"type": RESCHEDULE, "data": empty}}
        )
        with pytest.raises(Rejected, match="no payload"):
            writer.commit(step, expect=found.snapshot.stamps, reference=found.reference, note=ignore)
        never = dict.fromkeys(found.snapshot.stamps, "0")
        with pytest.raises(Stale):
            writer.commit(found.steps[0], expect=never, reference=found.reference, note=ignore)
    assert issubclass(Stale, AdapterError)


def writer_of(subject: Subject) -> Any:
    """A writer that is left open: it keeps nothing open."""
    assert subject.adapter.writer is not None
    return subject.adapter.writer(subject.options, subject.writers[RESCHEDULE])
