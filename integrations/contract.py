"""The contract between the console and every ERP or MES.

An adapter is a folder beside this file that exports one `ADAPTER`. It answers in a closed set of ways;
what is safe to do next follows from the class of the answer alone, there is no "retry" flag:

    Receipt                 done, says the system; the corridor still reads back
    Accepted                taken, the answer comes later (middleware, batch jobs)
    AdapterError
    +-- Rejected            the system said no, finally; nothing of this step was written
    +-- Stale               the record moved under us; nothing of this step was written: assess again
    +-- NeedsPerson         the system asks a question that only a person may answer; nothing was written
    +-- Unavailable         no byte reached the system: nothing was sent
    +-- InDoubt             anything after the first byte that is not a clear answer: `find` before all else
    +-- OutOfScope          the service account may not do this; nothing was written
    +-- Unsupported         this adapter cannot carry it; known without asking the system

Values inside snapshots, records, readings and payloads are JSON: text, whole numbers, booleans, null, lists
and objects. Money and quantities are decimals in text together with their currency or unit. Dates are
ISO 8601 text. A float never appears.

The file is long because it is the seam: whoever writes an adapter reads this and nothing else.
"""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, WithJsonSchema


@dataclass(frozen=True)
class Exhibit:
    """Evidence that is no JSON, such as the picture of a screen; the console keeps it under its SHA-256.

    `name` says in a few words what it shows. It holds no secret: what is sensitive is masked. At most two megabytes.
    """

    name: str
    media_type: str
    content: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        """The digest of the content, in hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()


class AdapterError(Exception):
    """Any answer of an adapter that is not a receipt. The text is for people and holds no secret.

    `evidence` is JSON of the system's own words, already cut to size and cleaned. Under "alarm" it says in words for
    people what happened that must not happen; the console opens an incident for it.
    """

    def __init__(
        self,
        text: str,
        *,
        evidence: Mapping[str, Any] | None = None,
        exhibits: Sequence[Exhibit] = (),
    ) -> None:
        super().__init__(text)
        self.text = text
        self.evidence: Mapping[str, Any] = evidence or {}
        self.exhibits: tuple[Exhibit, ...] = tuple(exhibits)


class Rejected(AdapterError):
    """The system refused, finally. Do not send again; read back, then close as failed."""


class Stale(AdapterError):
    """The system refused because the record is no longer what was approved. Assess again."""


class NeedsPerson(AdapterError):
    """The system asked a question (a warning to accept, a second signature there). Put it to a person."""


class Unavailable(AdapterError):
    """Nothing was sent: the connection was never made. Safe to try again later."""


class InDoubt(AdapterError):
    """Sent, and we cannot tell. Call `find` before anything else; never send again blindly."""


class OutOfScope(AdapterError):
    """The service account is not allowed to do this. An administrator has to look."""


class Unsupported(AdapterError):
    """This adapter cannot carry the type, the field or the tool."""


class Level(enum.StrEnum):
    """How much a finding weighs. An error refuses the proposal before a person is asked."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """One message of one check.

    `id` is `check.message`, stable, for filters and tests. `field` is a path into the payload such as
    `planned_date` or `lines.0.quantity`, empty for the whole. `hint` says what would be right.
    """

    id: str
    level: Level
    text: str
    field: str = ""
    hint: str = ""


def _no_number(value: object) -> object:
    if isinstance(value, (int, float)):
        raise ValueError('write the number as text, such as "12.50"')  # noqa: TRY004 pydantic wants ValueError
    return value


DecimalText = Annotated[
    str,
    BeforeValidator(_no_number),
    StringConstraints(pattern=r"^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,6})?$", max_length=23),
    WithJsonSchema(
        {"type": "string", "pattern": r"^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,6})?$", "examples": ["12.50"]}
    ),
]
"""A decimal number in text: ASCII digits, no exponent, at most 15 before and 6 after the point."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
"""One line of text that a person will read."""

Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.,:/ #-]{0,63}$")]
"""A system's own name of a record: its document number or id."""


class Closed(BaseModel):
    """The form of everything strangers send: unknown fields refused, nothing coerced, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Quantity(Closed):
    """An amount with its unit, as the system names the unit."""

    value: DecimalText
    unit: Annotated[str, StringConstraints(min_length=1, max_length=32)]


class Money(Closed):
    """An amount with its ISO 4217 currency code."""

    amount: DecimalText
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class Kind(enum.StrEnum):
    """How a field is compared and shown."""

    TEXT = "text"
    DATE = "date"
    QUANTITY = "quantity"
    MONEY = "money"
    REFERENCE = "reference"
    CHOICE = "choice"


@dataclass(frozen=True)
class Field:
    """One field of a transaction type's record, for the diff, the amend form and the read-back.

    `path` is the name in `Record.fields`, or `<lines>[].<name>` for a field of every line.
    `payload_path` is where the payload carries it (the same unless given), so that findings and amendments
    meet it; empty when the payload does not carry it. `amendable`: a reviewer may change it. `critical`: an
    eval allows no error in it. `tolerance`: largest difference that still counts as equal in a read-back.
    """

    path: str
    label: str
    kind: Kind = Kind.TEXT
    payload_path: str | None = None
    amendable: bool = False
    critical: bool = False
    tolerance: Decimal = Decimal(0)
    help: str = ""


@dataclass(frozen=True)
class Record:
    """A business record in the type's own words.

    `fields`: name to JSON value (quantities as {"value", "unit"}, money as {"amount", "currency"}).
    `lines`: name of a list to its lines; each line is an object whose "key" is the system's id of the line,
    or "" for a line still to be made; "label" names it for people.
    """

    fields: Mapping[str, Any]
    lines: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """The target as the system had it.

    `target` is the system's key (empty for a create), `label` its name for people, `record` what the diff
    shows, `context` what rules need besides (last price, catalogue, open duplicates, order state),
    `stamps` the system's version of the record and of every line shown, keyed by the system's record name.
    `as_of` is aware and in UTC; `source` names the connection's path, such as "Tryton 8.2 JSON-RPC".
    """

    target: str
    label: str
    record: Record
    context: Mapping[str, Any]
    stamps: Mapping[str, str]
    as_of: dt.datetime
    source: str
    exhibits: tuple[Exhibit, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Facts:
    """What policy may know of a proposal.

    `value` is the money at stake (the whole order for a new one, the change for a change). `reversible`:
    a correcting entry can undo it, until `reversible_until` when that is given. `floor`: somebody on the
    shop floor acts on it. `books`: it reaches the ledger. `due`: when the effect is wanted, for urgency.
    """

    value: Money | None
    reversible: bool
    reversible_until: dt.date | None = None
    floor: bool = False
    books: bool = False
    counterparty: str = ""
    due: dt.date | None = None


@dataclass(frozen=True)
class Limit:
    """A number in a rule that administrators set, within `least` and `most`.

    `wider` is the direction that allows more: "up" or "down". Widening takes two people.
    """

    name: str
    label: str
    default: Decimal
    unit: str
    wider: str = "up"
    least: Decimal = Decimal(0)
    most: Decimal = Decimal(1000000000)


@dataclass(frozen=True)
class Case:
    """What a rule judges: the parsed payload, the snapshot, the limits in force, and the plant's today."""

    payload: Any
    snapshot: Snapshot
    limits: Mapping[str, Decimal]
    today: dt.date


Rule = Callable[[Case], Iterable[Finding]]


@dataclass(frozen=True)
class TransactionType:
    """One kind of write. One file in `transaction_types/` exports one as `TYPE`.

    Published fields may only gain defaults; anything else is a new `version`.

    `payload`: a `Closed` model. `target(payload)`: the system's key, or None for a create.
    `fields`: every field of the record, in the order a reviewer reads. `rules`: pure, in order.
    `facts(case)`: for policy. `outcome(payload, snapshot)`: the record as it must read after the commit;
    the diff compares it with the snapshot, the read-back with the system. `reversal(payload, snapshot)`: the
    payload of the correcting entry, or None where there is none. `sample` is a payload that is right for
    `sample_snapshot`; docs, conformance and tests use both.
    """

    name: str
    version: int
    title: str
    summary: str
    record: str
    payload: type[Closed]
    target: Callable[[Any], str | None]
    fields: tuple[Field, ...]
    rules: tuple[Rule, ...]
    limits: tuple[Limit, ...]
    facts: Callable[[Case], Facts]
    outcome: Callable[[Any, Snapshot], Record]
    reversal: Callable[[Any, Snapshot], Mapping[str, Any] | None]
    sample: Mapping[str, Any]
    sample_snapshot: Snapshot


@dataclass(frozen=True)
class ReadTool:
    """One thing an agent may read. One file in `read_tools/` exports one as `TOOL`.

    `arguments` and `answer` are `Closed` models; `sample` arguments and `sample_answer` are right for them.
    `fresh_for`: how old the last proof that an answer is so may be for a decision to rest on it; a connection's
    option `fresh_for` (tool to seconds) goes before it. `steady`: fields of the answer that must read the same
    when a proposal that rests on it is committed, and from both sources of a cross-check, with the largest
    difference that still counts as the same (0 for anything but numbers); other fields may move.
    """

    name: str
    version: int
    title: str
    summary: str
    arguments: type[Closed]
    answer: type[Closed]
    sample: Mapping[str, Any]
    sample_answer: Mapping[str, Any]
    fresh_for: dt.timedelta = dt.timedelta(minutes=1)
    steady: Mapping[str, Decimal] = field(default_factory=dict)


class Quality(enum.StrEnum):
    """How far a reading may be relied on."""

    GOOD = "good"
    STALE = "stale"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True)
class Reading:
    """One answer of a read tool: `value` fits the tool's `answer` model.

    `as_of`: the last proof that it is so; None where the path gives none, and then nothing may rest on it.
    `source_time`, `server_time`: since when the machine says it is so, and its server's clock then, where the path
    tells. `remark`: why the quality is not good, in words for people.
    """

    value: Mapping[str, Any]
    as_of: dt.datetime | None
    source: str
    quality: Quality = Quality.GOOD
    source_time: dt.datetime | None = None
    server_time: dt.datetime | None = None
    remark: str = ""


@dataclass(frozen=True)
class Sample:
    """What a listener heard: the answer of one read tool to these arguments from now on.

    `value` fits the tool's `answer` model; None when only the quality changed and the last value stands. Times
    are aware, UTC. `lasting`: while the session lives, silence means that it is still so; False: it is known as of
    `source_time` and no later. `mark`: the protocol's own place of it (sequence number, file), for the record.
    """

    tool: str
    arguments: Mapping[str, Any]
    value: Mapping[str, Any] | None
    source_time: dt.datetime | None = None
    server_time: dt.datetime | None = None
    quality: Quality = Quality.GOOD
    remark: str = ""
    lasting: bool = True
    mark: str = ""


class EffectClass(enum.StrEnum):
    """What the system gives us against doing a thing twice (DESIGN of the contract: the rule for resending).

    keyed: it enforces an idempotency key. unique reference: it refuses our reference a second time. guarded:
    it enforces the stamp, so a repeat is refused as stale. read-back only: it can be asked, nothing more;
    one automatic send and never a second. by hand: nothing is sent, a person does it and says so. none: no commit
    at all.
    """

    KEYED = "keyed"
    UNIQUE_REFERENCE = "unique reference"
    GUARDED = "guarded"
    READ_BACK_ONLY = "read-back only"
    BY_HAND = "by hand"
    NONE = "none"

    @property
    def may_resend(self) -> bool:
        """Whether a second send is harmless once the read-back saw no effect."""
        return self in {EffectClass.KEYED, EffectClass.UNIQUE_REFERENCE, EffectClass.GUARDED}


@dataclass(frozen=True)
class Carried:
    """How an adapter carries one transaction type: static data, known without asking the system.

    `unsupported`: payload paths that it cannot carry; a proposal that uses one is refused at submission.
    `seen_elsewhere`: this path cannot read the record; the connection that verifies it does, before and after.
    """

    effect: EffectClass
    unsupported: frozenset[str] = frozenset()
    note: str = ""
    seen_elsewhere: bool = False
    on_word: bool = False
    """Nothing shows the record, neither here nor elsewhere: the outcome rests on what the system tells us later."""


@dataclass(frozen=True)
class Step:
    """One call to the system, one transaction there. A plan is a tuple of them, in order.

    `request` is JSON: exactly what will be sent, without credentials; it is shown to the approver and is
    part of the digest. Stamps are not in it: they travel as `expect`.
    """

    name: str
    text: str
    request: Mapping[str, Any]


@dataclass(frozen=True)
class Receipt:
    """What the system answered: its key and name of the document, its stamps, its words (cut, cleaned)."""

    document: str
    label: str
    stamps: Mapping[str, str]
    evidence: Mapping[str, Any]
    exhibits: tuple[Exhibit, ...] = field(default=(), compare=False)


class Note(Protocol):
    """The corridor's note: durable when it returns. It says what is about to be done, and what was seen so far."""

    def __call__(self, about: Mapping[str, Any], exhibits: Sequence[Exhibit] = ()) -> None:
        """Keep it, or raise: then nothing may be sent."""


@dataclass(frozen=True)
class Accepted:
    """The system took it and will answer later: its handle, and how long to wait."""

    handle: str
    wait: dt.timedelta
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sought:
    """What `find` looks for: our reference, and how the record read before (`snapshot`) and must read after.

    `since`: when the attempt was written (aware, UTC). `steps`: the plan as sent. `document`: the key from a
    receipt, when there was one.
    """

    type: TransactionType
    payload: Any
    reference: str
    snapshot: Snapshot
    expected: Record
    steps: tuple[Step, ...]
    since: dt.datetime
    document: str = ""


class Seen(enum.StrEnum):
    """What the system shows of an attempt."""

    ABSENT = "absent"
    """Proven: no document with our reference; or the record still has the stamps it had before."""
    PRESENT = "present"
    """The effect is there and is ours."""
    PARTIAL = "partial"
    """Some steps happened and are ours; `Trace.remaining` are the others, safe to send with `stamps`."""
    UNCLEAR = "unclear"
    """The record is neither as before nor as approved, or not provably ours. A person has to look."""


@dataclass(frozen=True)
class Trace:
    """One answer of `find`. `record` is what the system has now, in the type's words, when there is one."""

    seen: Seen
    receipt: Receipt | None = None
    record: Record | None = None
    stamps: Mapping[str, str] = field(default_factory=dict)
    remaining: tuple[Step, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class SystemChange:
    """One write in the system's own change log made by one of our accounts.

    `record` is the system's record name, as in the stamps of a snapshot. `key` is the log's own name of the entry;
    where the log has none, leave it empty: record, event, time and detail then have to be the same at every look.
    """

    record: str
    event: str
    account: str
    at: dt.datetime
    detail: Mapping[str, Any]
    key: str = ""


@dataclass(frozen=True)
class ProbeReport:
    """What a worker found out about an account. Usable for writes only if `sound`.

    `stale_refused`, `out_of_scope_refused`: the system refused the attempt (None: could not be tried, with
    the reason in `findings`). `excess`: what the account could do beyond its types. All in words for people.
    """

    account: str
    stale_refused: bool | None
    out_of_scope_refused: bool | None
    excess: tuple[str, ...]
    findings: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Proven to refuse a stale and an out-of-scope write, and to do no more than needed."""
        return self.stale_refused is True and self.out_of_scope_refused is True and not self.excess


MOST_ISSUED, SHORTEST_ISSUED = 32, 16


@dataclass(frozen=True)
class Account:
    """A service account's login and secret. Its `repr` shows neither the secret nor its length.

    `issued`: the newest of what the system gave it to show in place of the secret (tokens, sessions, cookies). An
    adapter tells them by `hold`, so that nothing that a system repeats of them is passed on.
    """

    login: str
    secret: str = field(repr=False)
    issued: deque[str] = field(
        default_factory=lambda: deque(maxlen=MOST_ISSUED), init=False, repr=False, compare=False
    )

    def hold(self, given: str) -> str:
        """Remember what the system gave, and give it back. What is short proves nothing: a language, a number."""
        if len(given) >= SHORTEST_ISSUED and given not in self.issued:
            self.issued.append(given)
        return given


class Reader(Protocol):
    """A live connection that can only read. Every call has its own timeout and may raise AdapterError."""

    def read(self, tool: ReadTool, arguments: Any) -> Reading:
        """Answer one read tool; `arguments` is the parsed model. Rejected if there is no such record."""

    def snapshot(self, type_: TransactionType, payload: Any) -> Snapshot:
        """The target of this payload (for a create, the context its rules need). Rejected if it is not there."""

    def ping(self) -> None:
        """Return if the system answers this account."""

    def describe(self) -> Mapping[str, Any]:
        """Name, version and account as the system tells them, for the connection's page."""

    def close(self) -> None:
        """Let go of sockets. Safe to call twice."""


class Seeker(Reader, Protocol):
    """A reader that can also look for a new document: it verifies what another connection was to make."""

    def seek(self, sought: Sought) -> Trace:
        """What the system shows under our reference. It proves what is there, not who made it. Never writes."""


HOLDOUT_PERCENT = 75
"""The share of an eval suite's cases that nobody who builds an agent may know: a gate draws only from them."""


def split_of(case: str) -> str:
    """Public or hold-out ("public", "holdout"), by the case's id alone: harvesting again never moves a case."""
    place = int(hashlib.sha256(case.encode()).hexdigest()[:8], 16) % 100
    return "holdout" if place < HOLDOUT_PERCENT else "public"


class Historian(Reader, Protocol):
    """A reader of a system that keeps what its records were: it tells cases for evals from what people did."""

    def harvest(
        self,
        type_: TransactionType,
        *,
        since: dt.datetime,
        until: dt.datetime | None = None,
        left_out: Counter[str],
        fields: Collection[str] = (),
        ours: Collection[str] = (),
        prompted: bool = True,
    ) -> Iterator[Mapping[str, Any]]:
        """Cases in the form of a suite's file, oldest first, each with everything that was readable then, of then.

        `since`, `until`: aware; what was done before is not looked at, what was done later is left out. `left_out`
        gets a count for every reason why something that people did is no case. `fields`: of the payload; changes of
        others are left out; empty for all. `ours`: logins of service accounts, whose writes are no people's.
        `prompted`: only where the list of exceptions showed trouble then. Unsupported for a type of which the system
        keeps no history.
        """


class Sink(Protocol):
    """Where a listener puts what it hears. Every method returns at once and may be called from any thread."""

    def heard(self, sample: Sample) -> None:
        """This is so from now on."""

    def alive(self) -> None:
        """Proof of life: the session stands, and what was heard and not taken back still holds."""

    def lost(self, why: str) -> None:
        """The session is gone: nothing heard is usable until there is life again. In words, without a secret."""

    def refused(self, why: str) -> None:
        """Something arrived that cannot be used: what was wrong, where, what would be right."""


class Listener(Reader, Protocol):
    """A live connection to what can only be subscribed to. It has no method that writes.

    The console keeps what `run` hears and answers read tools from that; `read` itself is Unsupported.
    """

    def run(self, sink: Sink, stop: threading.Event) -> None:
        """Listen until `stop` is set. Raises AdapterError when the session cannot be made or ends."""


@dataclass(frozen=True)
class Claim:
    """What a system tells us later of something that it accepted. A claim: it counts when it was read back.

    `id`: the message's own; the same id with the same content is the same message, however often it comes.
    `reference`: ours, as it was sent with the step. `happened`: it says that it was done; else that it was not and
    will not be. `document`, `label`: the system's key and name of the record, where it tells them. `text`: its words
    for people, cut to size. `evidence`: JSON of what else it tells.
    """

    id: str
    reference: str
    happened: bool
    document: str = ""
    label: str = ""
    text: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


class Notifier(Protocol):
    """What understands the messages of a system that answers later."""

    def hear(self, headers: Mapping[str, str], raw: bytes) -> Claim:
        """Make sure that the message is the system's, of these very bytes and of now; then read it. No I/O.

        `headers` by their names in lower case. OutOfScope: it is not, or cannot be proven to be. Rejected: it is,
        but says nothing that can be understood.
        """


class Writer(Reader, Protocol):
    """A live connection for one transaction type, with that type's service account."""

    def plan(
        self, type_: TransactionType, payload: Any, snapshot: Snapshot, reference: str
    ) -> tuple[Step, ...]:
        """The steps that will be sent. No write. Unsupported if a field cannot be carried."""

    def rehearse(self, step: Step) -> tuple[Finding, ...]:
        """What the system says of the step without doing it; empty where it cannot say."""

    def commit(
        self,
        step: Step,
        *,
        expect: Mapping[str, str],
        reference: str,
        note: Note,
    ) -> Receipt | Accepted:
        """Do one step, once. `expect`: stamps the record must still have; Stale if it has not.

        `note` is the corridor's: durable before it returns; call it before each thing that cannot be undone.
        The receipt's `stamps` are what the next step must expect.
        """

    def find(self, sought: Sought) -> Trace:
        """What is true in the system. Never writes. Unavailable or InDoubt when it cannot tell."""

    def changes(self, since: dt.datetime) -> Sequence[SystemChange]:
        """The system's own log of writes by this account since then, oldest first."""

    def probe(self, types: Sequence[TransactionType]) -> ProbeReport:
        """Try what must be refused, and compare what the account can do with what these types need."""


@dataclass(frozen=True)
class Adapter:
    """One kind of system. `integrations.<system>.adapter` exports one as `ADAPTER`: static data, no I/O.

    `levels`: ISA-95 levels it may be registered at; 3 must have no `writer`. `settle`: how long after an
    attempt the system may still show the old state, or still be working on what we sent; before that,
    absence proves nothing. `verified`: what the conformance suite ran against, empty if nothing but our own
    stand-in. `reader`, `writer`, `listener`: open a live connection; `options` are the connection's settings.
    One with a `listener` is heard by `manage.py listen`, and its tools are answered from what was heard.
    `notifier`: what understands this system's later answers, with the secret of the reading account; the console
    takes them at `/callbacks/<connection>`. `seeks`: types whose new documents its reader finds (`Seeker`).
    """

    name: str
    title: str
    path: str
    levels: frozenset[int]
    tools: frozenset[str]
    types: Mapping[str, Carried]
    settle: dt.timedelta
    verified: str
    reader: Callable[[Mapping[str, Any], Account], Reader]
    writer: Callable[[Mapping[str, Any], Account], Writer] | None = None
    listener: Callable[[Mapping[str, Any], Account], Listener] | None = None
    last_door: bool = False
    """A robot at the screens that people use: refused where another connection to the same system has an account for
    the type, and shown as what it is."""
    notifier: Callable[[Mapping[str, Any], Account], Notifier] | None = None
    seeks: frozenset[str] = frozenset()
    harvests: frozenset[str] = frozenset()
    """Types whose past its reader tells cases of (`Historian`)."""
    closed: Mapping[str, str] = field(default_factory=dict)
    """Types and tools that are not available on this system as things stand, with the reason in words: told before an
    agent is built. A type in it that is carried too can be judged and rehearsed; no account of it is ever proven sound,
    so nothing is committed through it."""

    @property
    def by_hand(self) -> bool:
        """Whether a person is its only writer: it needs no accounts, and nothing is ever sent."""
        return bool(self.types) and all(one.effect is EffectClass.BY_HAND for one in self.types.values())
