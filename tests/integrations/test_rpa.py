"""The robot at the screens of a real Tryton 8.0 keeps the adapter contract, and loses its nerve before its way.

Server, web client and browser are not ours. Playwright's own loop must not run twice in a thread, and other tests
have a browser too, so the robot works in a thread of its own here; in a Celery worker it does by itself.

The file is long because every way a screen may differ is one test on the same rig.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import hashlib
import http.client
import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest

from integrations.contract import (
    Account,
    AdapterError,
    Case,
    Exhibit,
    InDoubt,
    Level,
    OutOfScope,
    Rejected,
    Seen,
    Snapshot,
    Sought,
    Stale,
    Step,
    Unavailable,
    Unsupported,
)
from integrations.rpa.adapter import ADAPTER, CARRIES
from integrations.scan import transaction_types
from tests.integrations import conformance
from tests.integrations.conformance import Subject, a_port_where_nothing_listens, named
from tests.integrations.tryton import orders
from tests.rigs.sao import WebTryton

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("web-tryton")]

TYPE = transaction_types()[CARRIES]
T = TypeVar("T")


def apart(work: Callable[..., T], *arguments: Any, **named_: Any) -> T:
    """Do this in a thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work, *arguments, **named_).result()


def payload(web: WebTryton, *, state: str = "draft") -> dict[str, str]:
    """Other days for an order that nobody else touches."""
    return {
        "order": str(orders.production(web, state=state)),  # type: ignore[arg-type]
        "planned_start": orders.working_day(13).isoformat(),
        "planned_finish": orders.working_day(20).isoformat(),
    }


class Looks:
    """Orders in draft that were looked at and that nobody changed since: a look takes a sitting, ten seconds long.

    Whether one still holds is asked of the server, by another way than the screen. A claim that writes, or lets
    somebody write, thereby leaves a new order to the next one; a claim that nothing is written leaves its own.
    """

    def __init__(self, web: WebTryton) -> None:
        self.web = web
        self._wanted: dict[str, str] = {}
        self._known: dict[str, Snapshot] = {}

    def payload(self) -> dict[str, str]:
        """Other days for the order that was looked at last, or for a new one."""
        if not any(self._holds(one) for one in self._known.values()):
            self._known.clear()
            self._wanted = payload(self.web)
        return dict(self._wanted)

    def at(self, reader: Any, login: str, proposed: Any) -> Snapshot:
        """What an account sees of its order."""
        known = self._known.get(login)
        if known is None or known.target != proposed.order or not self._holds(known):
            self._known[login] = known = reader.snapshot(TYPE, proposed)
        return known

    def _holds(self, known: Snapshot) -> bool:
        domain = [("id", "=", int(known.target))]
        (row,) = self.web.admin.search_read("production", domain, ["_timestamp"])
        return dict(known.stamps) == {f"production,{known.target}": str(row["_timestamp"])}


@pytest.fixture(scope="module")
def looks(web_tryton: WebTryton) -> Looks:
    return Looks(web_tryton)


def touch(web: WebTryton, order: str) -> None:
    """Somebody writes to the order, and every date stays what it was."""
    (row,) = web.admin.search_read("production", [("id", "=", int(order))], ["planned_date"])
    web.admin.call("production", "write", [int(order)], {"planned_date": row["planned_date"]}, writes=True)


def dates(web: WebTryton, order: str) -> tuple[str, str]:
    """Start and finish as the server has them, by JSON-RPC: another way than the screen."""
    row = web.find("production", ("id", "=", int(order)), fields=("planned_start_date", "planned_date"))
    return row["planned_start_date"].isoformat(), row["planned_date"].isoformat()


class LosingProxy:
    """Passes everything on to the server; while `losing`, the answer to a write does not come back."""

    def __init__(self, target: str) -> None:
        self.losing = False
        host = urlsplit(target).netloc
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._pass(b"")

            def do_POST(self) -> None:
                self._pass(self.rfile.read(int(self.headers["Content-Length"] or 0)))

            def _pass(self, body: bytes) -> None:
                with contextlib.closing(http.client.HTTPConnection(host, timeout=60)) as upstream:
                    self._through(upstream, body)

            def _through(self, upstream: http.client.HTTPConnection, body: bytes) -> None:
                kept = {k: v for k, v in self.headers.items() if k.lower() not in {"host", "connection"}}
                upstream.request(
                    self.command, self.path, body or None, {**kept, "Host": self.headers["Host"]}
                )
                answer = upstream.getresponse()
                content = answer.read()
                if proxy.losing and b'.write"' in body:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in {"transfer-encoding", "content-length", "connection"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Tests are quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def proxy(web_tryton: WebTryton) -> Iterator[LosingProxy]:
    made = LosingProxy(web_tryton.url)
    yield made
    made.close()


@pytest.fixture
def subject(web_tryton: WebTryton, proxy: LosingProxy, looks: Looks) -> Subject:
    @contextlib.contextmanager
    def losing(_type: str) -> Iterator[None]:
        proxy.losing = True
        try:
            yield
        finally:
            proxy.losing = False

    def touched(_type: str, proposed: Any) -> bool:
        touch(web_tryton, proposed.order)
        return True

    accounts = web_tryton.accounts
    options = {**web_tryton.options, "url": proxy.url}
    return Subject(
        adapter=ADAPTER,
        options=options,
        reader=accounts["reader"],
        writers={CARRIES: accounts[CARRIES]},
        payload=lambda _type: looks.payload(),
        arguments=lambda _tool: {},
        missing=lambda _tool: {},
        touch=touched,
        nowhere=lambda: {**options, "url": f"http://127.0.0.1:{a_port_where_nothing_listens()}"},
        lose_answer=losing,
        look=lambda writer, _type, proposed: looks.at(writer, accounts[CARRIES].login, proposed),
        cannot=("count its effects: a production has no field for our reference", "tell an account's writes"),
    )


ADAPTER_CLAIMS = (
    conformance.static_data_names_only_known_types_and_tools,
    conformance.a_reader_has_nothing_to_write_with,
    conformance.a_tool_that_is_not_carried_is_unsupported,
    conformance.it_says_who_it_is,
    conformance.nothing_listening_is_unavailable_for_a_reader,
    conformance.nothing_that_is_printed_shows_a_secret,
)
"""All but those about read tools, of which the robot has none, closing, as it keeps nothing open, and signing in for a
ping, which it does not; a wrong secret is tried below."""

LEFT_OUT = {
    "its_rules_can_judge_the_snapshot",  # below, together with what the screen shows
    "the_systems_own_log_tells_of_the_commit",  # the screens show no such log
    "every_step_can_be_the_last_before_a_crash",  # there is one step
    "a_reader_sees_the_outcome_too",  # below, by another path
}
TYPE_CLAIMS = tuple(claim for claim in conformance.TYPE_CLAIMS if claim.__name__ not in LEFT_OUT)


@pytest.mark.parametrize("claim", ADAPTER_CLAIMS, ids=named)
def test_the_robot_keeps_the_contract(claim: Callable[[Subject], None], subject: Subject) -> None:
    apart(claim, subject)


@pytest.mark.parametrize("claim", TYPE_CLAIMS, ids=named)
def test_the_robot_keeps_the_contract_for_its_type(
    claim: Callable[[Subject, str], None], subject: Subject
) -> None:
    apart(claim, subject, CARRIES)


# What a robot at a screen owes besides


@dataclasses.dataclass
class Robot:
    """A robot before an order: what it read, what it would do, and what it told on the way."""

    web: WebTryton
    wanted: Mapping[str, str]
    snapshot: Snapshot
    steps: tuple[Step, ...]
    account: Account
    noted: list[tuple[Mapping[str, Any], Sequence[Exhibit]]] = dataclasses.field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None

    def note(self, about: Mapping[str, Any], exhibits: Sequence[Exhibit] = ()) -> None:
        """Keep it; what happens between the last look and the click happens here."""
        self.noted.append((about, exhibits))
        self.meanwhile()

    def writer(self, **options: Any) -> Any:
        """A writer with the account of the type."""
        assert ADAPTER.writer is not None
        return ADAPTER.writer({**self.web.options, **options}, self.account)

    def commit(self, **options: Any) -> Any:
        """Do the step."""
        return apart(
            self.writer(**options).commit,
            self.steps[0],
            expect=self.snapshot.stamps,
            reference="CS-TEST",
            note=self.note,
        )

    def find(self) -> Any:
        """Look, in a new sitting."""
        sought = Sought(
            type=TYPE,
            payload=self.parsed,
            reference="CS-TEST",
            snapshot=self.snapshot,
            expected=TYPE.outcome(self.parsed, self.snapshot),
            steps=self.steps,
            since=dt.datetime.now(dt.UTC),
        )
        return apart(self.writer().find, sought)

    @property
    def parsed(self) -> Any:
        """The payload."""
        return TYPE.payload.model_validate_json(json.dumps(self.wanted))


def robot(looks: Looks) -> Robot:
    """A robot whose reader has looked at an order in draft."""
    web = looks.web
    wanted = looks.payload()
    parsed = TYPE.payload.model_validate_json(json.dumps(wanted))
    account = web.accounts["reader"]
    snapshot = apart(looks.at, ADAPTER.reader(web.options, account), account.login, parsed)
    made = Robot(web, wanted, snapshot, (), web.accounts[CARRIES])
    made.steps = made.writer().plan(TYPE, parsed, snapshot, "CS-TEST")
    return made


def test_one_click_writes_what_was_approved_and_its_evidence_tells_the_whole_way(
    web_tryton: WebTryton,
    looks: Looks,
) -> None:
    one = robot(looks)
    before = dates(web_tryton, one.wanted["order"])
    seen_at_the_note: list[tuple[str, str]] = []
    one.meanwhile = lambda: seen_at_the_note.append(dates(web_tryton, one.wanted["order"]))
    receipt = one.commit()
    assert seen_at_the_note == [before]
    assert dates(web_tryton, one.wanted["order"]) == (
        one.wanted["planned_start"],
        one.wanted["planned_finish"],
    )
    exhibits = [*one.noted[0][1], *receipt.exhibits]
    assert one.account.issued, "the console has to know by what the browser is signed in"
    trees = "".join(exhibit.content.decode() for exhibit in exhibits if exhibit.media_type == "text/yaml")
    assert not any(secret in trees for secret in (one.account.secret, *one.account.issued))
    shown = [exhibit.name for exhibit in exhibits if exhibit.media_type == "image/png"]
    assert shown == [
        "The record's logs",
        "Before: the order as it stood",
        "Filled: what is about to be saved",
        "After: the order as it was saved",
    ]
    told = [entry["sha256"] for entry in receipt.evidence["evidence"]]
    assert told == [hashlib.sha256(exhibit.content).hexdigest() for exhibit in exhibits]
    filled, after = (tree(exhibits, name) for name in ("Filled", "After"))
    typed = dt.date.fromisoformat(one.wanted["planned_start"]).strftime("%m/%d/%Y")
    assert f'textbox "Planned Start Date:": {typed}' in filled
    assert "Record saved." in after
    assert receipt.evidence["sent"] == ["model.production.write"]


def tree(exhibits: Sequence[Exhibit], name: str) -> str:
    """The tree of one screen."""
    (found,) = [e for e in exhibits if e.name.startswith(name) and e.media_type == "text/yaml"]
    return found.content.decode()


def test_a_change_between_the_last_look_and_the_click_is_refused_by_the_server(
    web_tryton: WebTryton, looks: Looks
) -> None:
    one = robot(looks)
    before = dates(web_tryton, one.wanted["order"])
    one.meanwhile = lambda: touch(web_tryton, one.wanted["order"])
    with pytest.raises(Stale) as refusal:
        one.commit()
    assert len(one.noted) == 1
    assert dates(web_tryton, one.wanted["order"]) == before
    # The web client asked whether to write anyway; the robot let it ask.
    assert "Write Anyway" in tree(refusal.value.exhibits, "Where it ended")


def test_a_lost_answer_is_in_doubt_with_its_evidence_and_the_screen_tells_later(
    web_tryton: WebTryton, looks: Looks, proxy: LosingProxy
) -> None:
    one = robot(looks)
    one.meanwhile = lambda: setattr(proxy, "losing", True)
    try:
        with pytest.raises(InDoubt) as doubt:
            one.commit(url=proxy.url)
    finally:
        proxy.losing = False
    assert doubt.value.exhibits
    trace = one.find()
    assert trace.seen is Seen.PRESENT, trace.text
    assert trace.receipt.evidence["changed_by"] == web_tryton.accounts[CARRIES].login


def test_another_hand_on_the_order_is_no_outcome_of_ours(web_tryton: WebTryton, looks: Looks) -> None:
    one = robot(looks)
    finish = dt.date.fromisoformat(one.wanted["planned_finish"])
    start = dt.date.fromisoformat(one.wanted["planned_start"])
    values = {"planned_date": finish, "planned_start_date": start}
    web_tryton.admin.call("production", "write", [int(one.wanted["order"])], values, writes=True)
    trace = one.find()
    assert trace.seen is Seen.UNCLEAR
    assert "Administrator" in trace.text


def test_a_released_order_is_left_to_people(web_tryton: WebTryton) -> None:
    parsed = TYPE.payload.model_validate_json(json.dumps(payload(web_tryton, state="waiting")))
    reader = ADAPTER.reader(web_tryton.options, web_tryton.accounts["reader"])
    limits = {limit.name: limit.default for limit in TYPE.limits}
    case = Case(parsed, apart(reader.snapshot, TYPE, parsed), limits, dt.datetime.now(dt.UTC).date())
    found = [finding for rule in TYPE.rules for finding in rule(case)]
    (locked,) = [finding for finding in found if finding.level is Level.ERROR]
    assert "people move a released one there" in locked.text


def test_what_the_screen_shows_satisfies_the_rules_of_the_type(web_tryton: WebTryton, looks: Looks) -> None:
    one = robot(looks)
    limits = {limit.name: limit.default for limit in TYPE.limits}
    case = Case(one.parsed, one.snapshot, limits, dt.datetime.now(dt.UTC).date())
    found = [finding for rule in TYPE.rules for finding in rule(case)]
    assert not [finding for finding in found if finding.level is Level.ERROR]
    fields = one.snapshot.record.fields
    assert (fields["planned_start"], fields["planned_finish"]) == dates(web_tryton, one.wanted["order"])


def test_no_evidence_shows_a_secret_or_what_is_masked(web_tryton: WebTryton, looks: Looks) -> None:
    one = robot(looks)
    told = "".join(e.content.decode() for e in one.snapshot.exhibits if e.media_type == "text/yaml")
    assert 'textbox "Cost:": (masked)' in told
    cost = web_tryton.find("production", ("id", "=", int(one.wanted["order"])), fields=("cost",))["cost"]
    assert str(cost.normalize()) not in told
    assert web_tryton.accounts["reader"].secret not in told


@contextlib.contextmanager
def renamed(web: WebTryton, label: str) -> Iterator[None]:
    """The ERP's administrator calls a field of the form otherwise."""
    (view,) = web.admin.search_read(
        "ir.ui.view",
        [("model", "=", "production"), ("type", "=", "form"), ("inherit", "=", None)],
        ["id"],
        limit=1,
    )
    changed = (
        f'<data><xpath expr="//label[@name=\'bom\']" position="replace">'
        f'<label name="bom" string="{label}"/></xpath></data>'
    )
    values = {"model": "production", "inherit": view["id"], "data": changed, "module": "production"}
    (made,) = web.admin.call("ir.ui.view", "create", [values], writes=True)
    try:
        yield
    finally:
        web.admin.call("ir.ui.view", "delete", [made], writes=True)


def test_a_screen_that_changed_is_not_worked_at(web_tryton: WebTryton, looks: Looks) -> None:
    one = robot(looks)
    before = dates(web_tryton, one.wanted["order"])
    with renamed(web_tryton, "Where it is made"), pytest.raises(Rejected) as refusal:
        one.commit()
    assert "not" in refusal.value.text
    assert one.noted == []
    assert dates(web_tryton, one.wanted["order"]) == before
    assert any(exhibit.media_type == "image/png" for exhibit in refusal.value.exhibits)


def test_what_the_screen_makes_something_else_of_is_refused_at_the_rehearsal(
    web_tryton: WebTryton, looks: Looks
) -> None:
    """Tryton moves a finish that is nearer to the start than the product's lead time."""
    one = robot(looks)
    near = dt.date.fromisoformat(one.wanted["planned_start"]) + dt.timedelta(days=1)
    one.wanted = {**one.wanted, "planned_finish": near.isoformat()}
    (step,) = one.writer().plan(TYPE, one.parsed, one.snapshot, "CS-TEST")
    before = dates(web_tryton, one.wanted["order"])
    with pytest.raises(Rejected, match="makes something else of what is typed"):
        apart(one.writer().rehearse, step)
    assert dates(web_tryton, one.wanted["order"]) == before


def test_another_company_on_the_screen_stops_the_robot(looks: Looks) -> None:
    one = robot(looks)
    with pytest.raises(Rejected, match="the company is"):
        one.commit(company="Somebody Else Ltd")
    assert one.noted == []


def test_one_account_sits_at_one_screen(web_tryton: WebTryton, looks: Looks) -> None:
    one = robot(looks)
    order, raised = one.wanted["order"], []

    def second() -> None:
        try:
            one.writer(timeout=1).rehearse(one.steps[0])
        except AdapterError as error:
            raised.append(error)

    one.meanwhile = lambda: apart(second)
    one.commit()
    assert isinstance(raised[0], Unavailable)
    assert "at a screen already" in raised[0].text
    assert dates(web_tryton, order)[1] == one.wanted["planned_finish"]


def test_a_wrong_secret_is_out_of_scope_and_not_told(web_tryton: WebTryton) -> None:
    parsed = TYPE.payload.model_validate_json(json.dumps(payload(web_tryton)))
    wrong = Account(web_tryton.accounts["reader"].login, "a-wrong-secret")
    with pytest.raises(OutOfScope) as refusal:
        apart(ADAPTER.reader(web_tryton.options, wrong).snapshot, TYPE, parsed)
    told = "".join(e.content.decode() for e in refusal.value.exhibits if e.media_type == "text/yaml")
    assert "a-wrong-secret" not in refusal.value.text + told


def test_it_has_no_log_of_its_writes_and_says_so(web_tryton: WebTryton) -> None:
    assert ADAPTER.writer is not None
    account = Account("nobody", "nothing")
    with pytest.raises(Unsupported, match="another path"):
        ADAPTER.writer(web_tryton.options, account).changes(dt.datetime.now(dt.UTC))
