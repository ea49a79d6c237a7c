"""A live connection to the sandbox: reading, and writing with one type's account.

How `find` decides. A create is sought by our reference. A change is judged by the record's stamps and by the
sandbox's own log since the snapshot: the stamps are those of before (absent); what the log shows is what our
account was to do and the record reads as approved (present); it is the beginning of that (partial); anything
else is for a person (unclear).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from types import ModuleType
from typing import Any

from integrations.contract import (
    Account,
    Finding,
    InDoubt,
    Kind,
    Level,
    NeedsPerson,
    ProbeReport,
    Reading,
    ReadTool,
    Receipt,
    Record,
    Rejected,
    Seen,
    Snapshot,
    Sought,
    Step,
    SystemChange,
    Trace,
    TransactionType,
    Unavailable,
    Unsupported,
)
from integrations.sandbox import probing
from integrations.sandbox.client import Duplicate, Erp
from integrations.sandbox.readings import READINGS
from integrations.sandbox.types import (
    production_order_quantity,
    production_order_release,
    production_order_reschedule,
    purchase_order_create,
    purchase_order_line_change,
    sales_order_promise,
)
from integrations.sandbox.types.common import SOURCE, Way

TYPES: Mapping[str, ModuleType] = {
    "production_order_reschedule": production_order_reschedule,
    "production_order_quantity": production_order_quantity,
    "production_order_release": production_order_release,
    "purchase_order_create": purchase_order_create,
    "purchase_order_line_change": purchase_order_line_change,
    "sales_order_promise": sales_order_promise,
}


class SandboxReader:
    """Reads, and has nothing to write with."""

    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        self._erp = Erp(options, account)

    def read(self, tool: ReadTool, arguments: Any) -> Reading:
        """Answer a read tool."""
        if tool.name not in READINGS:
            raise Unsupported(f"The sandbox has no answer to {tool.name}.")
        as_of = dt.datetime.now(dt.UTC)
        return Reading(READINGS[tool.name](self._erp, arguments), as_of, SOURCE)

    def snapshot(self, type_: TransactionType, payload: Any) -> Snapshot:
        """Read the target, and what the type's rules need."""
        found: Snapshot = _carried(type_).snapshot(self._erp, payload)
        return found

    def seek(self, sought: Sought) -> Trace:
        """The order that has our reference."""
        found = self._erp.get("search", reference=sought.reference)["found"]
        if not found:
            return Trace(Seen.ABSENT, text=f"Nothing there has the reference {sought.reference}.")
        view = found[0]
        record: Record = _carried(sought.type).record(view, sought.payload)
        if len(found) > 1:
            numbers = ", ".join(one["doc"]["number"] for one in found)
            return Trace(Seen.UNCLEAR, record=record, text=f"More than one has our reference: {numbers}.")
        if not reads_as(record, sought.expected, sought.type):
            text = f"{view['doc']['number']} has our reference, but is not as approved."
            return Trace(Seen.UNCLEAR, record=record, stamps=view["stamps"], text=text)
        return Trace(Seen.PRESENT, _receipt(view), record, view["stamps"])

    def ping(self) -> None:
        """Return if it answers."""
        self._erp.get("ping")

    def describe(self) -> Mapping[str, Any]:
        """What it says of itself."""
        me = self._erp.get("me")
        return {"name": me["name"], "version": me["version"], "account": me["login"]}

    def close(self) -> None:
        """Let go of the sockets."""
        self._erp.close()


class SandboxWriter(SandboxReader):
    """Reads and writes, guarded in one way."""

    def __init__(self, options: Mapping[str, Any], account: Account, way: Way) -> None:
        super().__init__(options, account)
        self._way = way

    def plan(
        self, type_: TransactionType, payload: Any, snapshot: Snapshot, reference: str
    ) -> tuple[Step, ...]:
        """The steps to send."""
        steps: tuple[Step, ...] = _carried(type_).plan(payload, snapshot, reference, self._way)
        return steps

    def rehearse(self, step: Step) -> tuple[Finding, ...]:
        """Ask what the sandbox would say. A later step of a plan cannot be asked before the first is done."""
        try:
            self._send(step, expect={}, rehearse="1")
        except (Rejected, NeedsPerson) as no:
            if step.name in {"write", "release"} and step.request["operation"].startswith("production."):
                return ()
            return (Finding("rehearsal.refused", Level.ERROR, no.text, hint="Ask the system's own people."),)
        return ()

    def commit(
        self,
        step: Step,
        *,
        expect: Mapping[str, str],
        reference: str,
        note: Callable[[Mapping[str, Any]], None],
    ) -> Receipt:
        """Do one step, once. Refuses to send without stamps, because the sandbox then checks none."""
        if not expect:
            raise Rejected("There is no stamp to compare with, so nothing was sent.")
        note({"step": step.name, "sends": step.request["operation"]})
        key = {"Idempotency_Key": f"{reference} {step.name}"} if self._way.keys else {}
        try:
            answer = self._send(step, expect=expect, Reference=reference, **key)
        except Duplicate as taken:
            return self._receipt_of_taken(taken, reference)
        return Receipt(answer["key"], answer["number"], answer["stamps"], {"answer": answer})

    def _send(self, step: Step, *, expect: Mapping[str, str], **headers: str) -> dict[str, Any]:
        body = {name: value for name, value in step.request.items() if name != "operation"}
        answer = self._erp.post(
            step.request["operation"], {**body, "expect": dict(expect)}, Step=step.name, **headers
        )
        if not {"key", "number", "stamps"} <= set(answer):
            raise probing.unclear_answer(answer)
        return answer

    def _receipt_of_taken(self, taken: Duplicate, reference: str) -> Receipt:
        """The document that already has our reference: the same reference twice is the same document."""
        try:
            found = self._erp.get("search", reference=reference)["found"]
        except Unavailable as away:
            # Our first call did reach the system, so "nothing was sent" would be untrue of this commit.
            raise InDoubt("Our reference is taken; what has it could not be read.") from away
        if len(found) != 1:
            raise InDoubt(taken.text, evidence=taken.evidence)
        doc = found[0]["doc"]
        return Receipt(doc["key"], doc["number"], found[0]["stamps"], {"answer": dict(taken.evidence)})

    def find(self, sought: Sought) -> Trace:
        """What is true in the sandbox."""
        if sought.type.target(sought.payload) is None:
            return self.seek(sought)
        return self._find_changed(sought)

    def _find_changed(self, sought: Sought) -> Trace:
        carried = _carried(sought.type)
        target, before = sought.snapshot.target, sought.snapshot.stamps
        view = self._erp.get("record", kind=carried.KIND, key=target)
        record: Record = carried.record(view, sought.payload)
        stamps = view["stamps"]
        if all(stamps.get(name) == stamp for name, stamp in before.items()):
            return Trace(Seen.ABSENT, record=record, stamps=stamps, text="The stamps are those of before.")
        log = self._erp.get(
            "log", record=f"{carried.KIND} {target}", after=str(max(map(int, before.values())))
        )
        done = [entry["operation"] for entry in log["log"] if entry["account"] == self._erp.login]
        meant = [step.request["operation"] for step in sought.steps]
        alone = len(done) == len(log["log"])
        if done == meant and reads_as(record, sought.expected, sought.type):
            return Trace(Seen.PRESENT, _receipt(view), record, stamps)
        if alone and 0 < len(done) < len(meant) and done == meant[: len(done)]:
            written = "production.write" in done
            on_the_way = sought.expected if written else sought.snapshot.record
            if reads_as(record, on_the_way, sought.type, apart_from="state"):
                text = f"Done so far: {', '.join(step.text for step in sought.steps[: len(done)])}."
                rest = sought.steps[len(done) :]
                return Trace(Seen.PARTIAL, None, record, stamps, rest, text)
        who = sorted({entry["account"] for entry in log["log"]} - {self._erp.login})
        text = f"{view['doc']['number']} is neither as before nor as approved"
        return Trace(
            Seen.UNCLEAR, None, record, stamps, text=f"{text}{f'; {who} wrote to it' if who else ''}."
        )

    def changes(self, since: dt.datetime) -> Sequence[SystemChange]:
        """The sandbox's own log of this account. Its clock may be wrong, so days are counted by ours."""
        ahead = dt.datetime.fromisoformat(self._erp.get("ping")["now"]) - dt.datetime.now(dt.UTC)
        found = self._erp.get("changes", since=(since + ahead).isoformat())["changes"]
        return tuple(
            SystemChange(
                record=entry["record"],
                event=entry["event"],
                account=entry["account"],
                at=dt.datetime.fromisoformat(entry["at"]) - ahead,
                detail={
                    "operation": entry["operation"],
                    "changed": _changed(entry),
                    "reference": entry["reference"],
                },
                key=str(entry["seq"]),
            )
            for entry in found
        )

    def probe(self, types: Sequence[TransactionType]) -> ProbeReport:
        """Try what must be refused."""
        return probing.probe(self._erp, types)


def _carried(type_: TransactionType) -> ModuleType:
    if type_.name not in TYPES:
        raise Unsupported(f"The sandbox does not carry {type_.name}.")
    return TYPES[type_.name]


def _receipt(view: Mapping[str, Any]) -> Receipt:
    doc = view["doc"]
    seen = {"written_by": doc.get("written_by", ""), "written_at": doc.get("written_at", "")}
    return Receipt(doc["key"], doc["number"], view["stamps"], {"found": seen})


def _changed(entry: Mapping[str, Any]) -> list[str]:
    before, after = entry["before"] or {}, entry["after"] or {}
    apart = {"stamp", "written_by", "written_at"}
    return sorted(n for n in set(before) | set(after) if before.get(n) != after.get(n) and n not in apart)


def reads_as(found: Record, expected: Record, type_: TransactionType, apart_from: str = "") -> bool:
    """Whether a record is as expected: field by field by kind, lines by key or, where none is known, in order."""
    fields = {f.path: f for f in type_.fields if f.path != apart_from}
    plain = (name for name in fields if "[]." not in name)
    if not all(
        _equal(found.fields.get(n), expected.fields.get(n), fields[n].kind, fields[n].tolerance)
        for n in plain
    ):
        return False
    for name, wanted in expected.lines.items():
        there = found.lines.get(name, ())
        if len(there) != len(wanted):
            return False
        by_key = {line["key"]: line for line in there}
        paired = [
            (by_key.get(line["key"]) if line["key"] else there[index], line)
            for index, line in enumerate(wanted)
        ]
        for path, field in fields.items():
            if not path.startswith(f"{name}[]."):
                continue
            part = path.removeprefix(f"{name}[].")
            for is_, should in paired:
                if is_ is None or not _equal(is_.get(part), should.get(part), field.kind, field.tolerance):
                    return False
    return True


def _equal(found: Any, expected: Any, kind: Kind, tolerance: Decimal) -> bool:
    if kind not in {Kind.QUANTITY, Kind.MONEY} or found is None or expected is None:
        return bool(found == expected)
    number, unit = ("value", "unit") if kind is Kind.QUANTITY else ("amount", "currency")
    near = abs(Decimal(found[number]) - Decimal(expected[number])) <= tolerance
    return near and found[unit] == expected[unit]
