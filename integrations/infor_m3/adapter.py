"""Infor M3 over ION API. Written from documentation and other people's clients; never run against M3.

Options of a connection: see `client`; besides, `wlde` (see `productions`) and `order_line_mark` (see `purchases`).

How `find` decides. The stamps of before: absent. Else a manufacturing order is ours when M3's "changed by" names our
user, and a purchase order's line when it carries our mark; then the corridor compares the record (present). Anything
else is for a person.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from integrations.contract import (
    Account,
    Adapter,
    AdapterError,
    Carried,
    EffectClass,
    Finding,
    InDoubt,
    Note,
    OutOfScope,
    ProbeReport,
    Reading,
    ReadTool,
    Receipt,
    Record,
    Rejected,
    Seen,
    Snapshot,
    Sought,
    Stale,
    Step,
    SystemChange,
    Trace,
    TransactionType,
    Unavailable,
    Unsupported,
)
from integrations.infor_m3 import productions, purchases, values
from integrations.infor_m3.client import TRIALS, WRITES, Client
from integrations.infor_m3.reads import TOOLS
from integrations.infor_m3.values import SOURCE, now

SETTLE = dt.timedelta(minutes=5)
"""The gateway gives an answer up after a minute; M3 may still be at work."""
NEEDS = {
    "purchase_order_line_change": ("PPS200MI", "UpdLine"),
    "production_order_reschedule": ("PMS100MI", "Reschedule"),
    "production_order_quantity": ("PMS100MI", "Reschedule"),
}
NO_STAMPS = (
    "M3 refuses no stale write: no transaction takes the change number of what it changes. Records are compared right "
    "before they are written, and read back."
)
NO_LIST = "What else the user may do is in M3's own authority tables, which are not read; only a few things are tried."


class M3Reader:
    """Reads, and has nothing to write with."""

    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        self._client = Client(options, account)

    @values.known_form()
    def read(self, tool: ReadTool, arguments: Any) -> Reading:
        """Answer a read tool."""
        if tool.name not in TOOLS:
            raise Unsupported(f"M3 has no answer to {tool.name}.")
        as_of = now()
        return Reading(TOOLS[tool.name](self._client, arguments), as_of, SOURCE)

    @values.known_form()
    def snapshot(self, type_: TransactionType, payload: Any) -> Snapshot:
        """Read the target, and what the type's rules need."""
        if _carried(type_) == "purchase_order_line_change":
            return purchases.snapshot(self._client, payload)
        return productions.snapshot(self._client, type_.name, payload)

    def ping(self) -> None:
        """Return if M3 answers this account."""
        self._client.read("GENERAL", "GetServerTime")

    def describe(self) -> Mapping[str, Any]:
        """What is known of it. M3 tells no version by these transactions."""
        self.ping()
        return {"name": "Infor M3", "version": "m3api-rest/v2", "account": self._client.login}

    def close(self) -> None:
        """Let go of the sockets."""
        self._client.close()


class M3Writer(M3Reader):
    """Reads and writes, with the account of one transaction type."""

    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        super().__init__(options, account)
        self._options = dict(options)

    @values.known_form()
    def plan(
        self, type_: TransactionType, payload: Any, snapshot: Snapshot, reference: str
    ) -> tuple[Step, ...]:
        """The one step that will be sent."""
        if _carried(type_) == "purchase_order_line_change":
            return purchases.plan(payload, snapshot, reference, self._options)
        return productions.plan(type_.name, payload, snapshot, self._options)

    def rehearse(self, step: Step) -> tuple[Finding, ...]:
        """M3 cannot say what it would do without doing it."""
        del step
        return ()

    def commit(self, step: Step, *, expect: Mapping[str, str], reference: str, note: Note) -> Receipt:
        """Do the step, once. Looks first and compares itself, because M3 compares nothing."""
        del reference
        called = (str(step.request["program"]), str(step.request["transaction"]))
        fields: Mapping[str, str] = step.request["fields"]
        if called not in WRITES:
            raise Unsupported(f"M3 does not carry a step on {'/'.join(called)}.")
        if not expect:
            raise Rejected("There is no stamp to compare with, so nothing was sent.")
        with values.known_form():
            label, there, _ = self._look(called, fields)
        moved = sorted(name for name, stamp in expect.items() if there.get(name) != stamp)
        if moved:
            raise Stale(f"{label} is not what was approved any more.", evidence={"moved": moved})
        note({"step": step.name, "sends": "/".join(called)})
        self._client.write(*called, fields)
        try:
            label, stamps, document = self._look(called, fields)
        except Exception as fault:
            raise InDoubt("M3 took the write and could not be read afterwards.") from fault
        return Receipt(document, label, stamps, {"sent": "/".join(called)})

    def _look(self, called: tuple[str, str], fields: Mapping[str, str]) -> tuple[str, Mapping[str, str], str]:
        """The name, the stamps and the key of what a step is about."""
        if called[0] == purchases.PROGRAM:
            line = purchases.look(self._client, fields["PUNO"], purchases.line_key(fields))
            return purchases.label(line), purchases.stamps(line), line.head["PUNO"]
        order = productions.look(self._client, f"{fields['FACI']}/{fields['MFNO']}/{fields['PRNO']}")
        return productions.label(order), productions.stamps(order), productions.key(order.order)

    @values.known_form()
    def find(self, sought: Sought) -> Trace:
        """What is true in M3."""
        record: Record
        if _carried(sought.type) == "purchase_order_line_change":
            line = purchases.look(self._client, sought.snapshot.target, sought.payload.line)
            record, stamps, label = purchases.record(line), purchases.stamps(line), purchases.label(line)
            field = str(self._options.get("order_line_mark") or "")
            ours = bool(field) and line.line.get(field) == purchases.mark(sought.reference)
            whose = "it carries no mark of ours"
        else:
            order = productions.look(self._client, sought.snapshot.target)
            record, stamps = productions.record(order, sought.type.name), productions.stamps(order)
            label, last = productions.label(order), order.order.get("CHID", "")
            ours = bool(last) and last.casefold() == self._client.login.casefold()
            whose = f"{last or 'somebody'} changed it last"
        if stamps == dict(sought.snapshot.stamps):
            return Trace(Seen.ABSENT, record=record, stamps=stamps, text="The stamps are those of before.")
        if ours:
            receipt = Receipt(sought.snapshot.target, label, stamps, {})
            return Trace(Seen.PRESENT, receipt, record, stamps)
        return Trace(Seen.UNCLEAR, None, record, stamps, text=f"{label} has been changed, and {whose}.")

    @values.known_form()
    def changes(self, since: dt.datetime) -> Sequence[SystemChange]:
        """Cannot be known: none of the transactions called here lists records by who changed them."""
        del since
        raise Unsupported("M3 does not tell, by the transactions used here, what an account has written.")

    def probe(self, types: Sequence[TransactionType]) -> ProbeReport:
        """Try what must be refused; say what cannot be known. Unavailable when M3 does not answer."""
        findings = [NO_STAMPS, NO_LIST]
        needed = {NEEDS[_carried(type_)] for type_ in types}
        may = []
        for called in sorted(TRIALS | (WRITES - needed)):
            try:
                self._client.attempt(*called)
            except OutOfScope:
                continue
            except (Unavailable, InDoubt):
                raise
            except AdapterError as other:
                findings.append(f"{'/'.join(called)}: {other.text}"[:300])
            may.append(f"may call {'/'.join(called)}")
        return ProbeReport(
            account=self._client.login,
            stale_refused=None,
            out_of_scope_refused=not may,
            excess=tuple(may),
            findings=tuple(findings),
        )


def _carried(type_: TransactionType) -> str:
    if type_.name not in NEEDS:
        raise Unsupported(f"M3 does not carry {type_.name}.")
    return type_.name


NEVER_STALE = (
    "No MI transaction takes a change number, so M3 cannot refuse a write to a record that somebody else has changed "
    "since it was approved; no account can be proven sound for it, and nothing is committed."
)
ADAPTER = Adapter(
    name="infor_m3",
    title="Infor M3",
    path=SOURCE,
    levels=frozenset({4}),
    tools=frozenset(TOOLS),
    types={
        "purchase_order_line_change": Carried(
            EffectClass.READ_BACK_ONLY,
            note="PPS200MI/UpdLine.",
        ),
        "production_order_reschedule": Carried(
            EffectClass.READ_BACK_ONLY,
            note="PMS100MI/Reschedule.",
        ),
        "production_order_quantity": Carried(
            EffectClass.READ_BACK_ONLY,
            note="PMS100MI/Reschedule, where materials are a plain multiple.",
        ),
    },
    settle=SETTLE,
    closed=dict.fromkeys(
        ("purchase_order_line_change", "production_order_reschedule", "production_order_quantity"),
        NEVER_STALE,
    ),
    verified="",
    reader=M3Reader,
    writer=M3Writer,
)
