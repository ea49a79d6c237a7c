"""NetSuite over SuiteTalk REST. Written from the documentation; nothing of it was ever run against NetSuite.

Options of a connection: see `client`; besides, `order_defaults`: body fields that every new purchase order carries
(a OneWorld account needs {"subsidiary": {"id": "1"}}), shown to the approver like the rest.

How `find` decides. A created order is sought by our reference, which is its external id: absent or there. A change
is judged by the stamp and by who NetSuite says wrote last: the stamp of before (absent); our employee wrote last
(present, and the corridor compares the record); anything else is for a person.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integrations.contract import (
    Account,
    Adapter,
    Carried,
    EffectClass,
    Finding,
    InDoubt,
    Note,
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
    Unsupported,
)
from integrations.netsuite import probing, purchases, values, work_orders
from integrations.netsuite.client import Client, Repeated, identity
from integrations.netsuite.reads import TOOLS
from integrations.netsuite.values import SOURCE, now

SETTLE = dt.timedelta(minutes=16)
"""NetSuite lets a request run for 15 minutes; until then one whose answer was lost may still take effect."""
KEYS = uuid.UUID("6f0d1c0e-3f4b-5a59-9c52-0c9a2c2d7e11")
"""Our name space for idempotency keys."""
LOOKS: Mapping[str, Callable[[Client, str], dict[str, Any]]] = {
    purchases.KIND: purchases.look,
    work_orders.KIND: work_orders.look,
}
LABELS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    purchases.KIND: purchases.label,
    work_orders.KIND: work_orders.label,
}


@dataclass(frozen=True)
class Carrying:
    """How one transaction type is carried: the record, and the functions of its module."""

    kind: str
    record: Callable[[Client, Mapping[str, Any], Any], Record]
    snapshot: Callable[[Client, Any], Snapshot]
    plan: Callable[[Client, Any, Snapshot, str], tuple[Step, ...]] | None


CARRYING: Mapping[str, Carrying] = {
    "purchase_order_create": Carrying(
        purchases.KIND, purchases.record_created, purchases.snapshot_create, None
    ),
    "purchase_order_line_change": Carrying(
        purchases.KIND, purchases.record_line, purchases.snapshot_line, purchases.plan_line
    ),
    "production_order_reschedule": Carrying(
        work_orders.KIND, work_orders.record, work_orders.snapshot, work_orders.plan
    ),
}


class NetSuiteReader:
    """Reads, and has nothing to write with."""

    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        self._client = Client(options, account)

    @values.known_form()
    def read(self, tool: ReadTool, arguments: Any) -> Reading:
        """Answer a read tool."""
        if tool.name not in TOOLS:
            raise Unsupported(f"NetSuite has no answer to {tool.name}.")
        as_of = now()
        return Reading(TOOLS[tool.name](self._client, arguments), as_of, SOURCE)

    @values.known_form()
    def snapshot(self, type_: TransactionType, payload: Any) -> Snapshot:
        """Read the target, and what the type's rules need."""
        return _carrying(type_).snapshot(self._client, payload)

    def ping(self) -> None:
        """Return if NetSuite answers this account."""
        self._client.rows("SELECT id FROM currency WHERE id = 1 ORDER BY id")

    def describe(self) -> Mapping[str, Any]:
        """What is known of it. NetSuite tells no version by REST."""
        self.ping()
        return {"name": "NetSuite", "version": "record/v1", "account": self._client.login}

    def close(self) -> None:
        """Let go of the sockets."""
        self._client.close()


class NetSuiteWriter(NetSuiteReader):
    """Reads and writes, with the account of one transaction type."""

    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        super().__init__(options, account)
        self._defaults: Mapping[str, Any] = dict(options.get("order_defaults") or {})

    @values.known_form()
    def plan(
        self, type_: TransactionType, payload: Any, snapshot: Snapshot, reference: str
    ) -> tuple[Step, ...]:
        """The one step that will be sent."""
        carrying = _carrying(type_)
        if carrying.plan is None:
            return purchases.plan_create(payload, snapshot, reference, self._defaults)
        return carrying.plan(self._client, payload, snapshot, reference)

    def rehearse(self, step: Step) -> tuple[Finding, ...]:
        """NetSuite cannot say what it would do without doing it; that numbers can be sent exactly is seen here."""
        values.spoken(step.request["body"], frozenset(step.request["numbers"]))
        return ()

    def commit(
        self,
        step: Step,
        *,
        expect: Mapping[str, str],
        reference: str,
        note: Note,
    ) -> Receipt:
        """Do the step, once. Looks first and compares itself, because NetSuite compares nothing."""
        request = step.request
        kind, key = str(request["record"]), str(request["key"])
        if kind not in LOOKS:
            raise Unsupported(f"NetSuite does not carry a step on {kind!r}.")
        if not expect:
            raise Rejected("There is no stamp to compare with, so nothing was sent.")
        creates = key.startswith("eid:")
        with values.known_form():
            if creates:
                if not reference or key != f"eid:{reference}":
                    raise Rejected("The step does not carry our reference, so nothing was sent.")
                _compare(self._vendor_stamp(request), expect, "the vendor")
                if (there := self._client.record(kind, key)) is not None:
                    return _receipt(kind, there, {"found": "it has our reference already"})
            else:
                before = LOOKS[kind](self._client, key)
                _compare(values.stamp(kind, before), expect, LABELS[kind](before))
            body = values.spoken(request["body"], frozenset(request["numbers"]))
        note({"step": step.name, "sends": f"{request['method']} {kind}", "key": key})
        evidence: dict[str, Any] = {"sent": f"{request['method']} {kind}"}
        try:
            self._client.write(
                request["method"],
                kind,
                key,
                body,
                replace=request["replace"],
                idempotency=str(uuid.uuid5(KEYS, f"{reference} {step.name}")),
            )
        except Repeated as again:
            # Our own request came there before; whether as approved is for the read-back to see.
            evidence |= {"repeated": True, **again.evidence}
        return self._after(kind, key, evidence)

    def _vendor_stamp(self, request: Mapping[str, Any]) -> dict[str, str]:
        number = str(request["body"]["entity"]["id"])
        return {f"vendor {number}": values.digest(purchases.supplier(self._client, number))}

    def _after(self, kind: str, key: str, evidence: Mapping[str, Any]) -> Receipt:
        """The receipt once a write has gone through. Not being able to read now is no refusal of the write."""
        try:
            found = self._client.record(kind, key)
            receipt = _receipt(kind, found, evidence) if found is not None else None
        except Exception as fault:
            raise InDoubt("NetSuite took the write and could not be read afterwards.") from fault
        if receipt is None:
            raise InDoubt("NetSuite took the write and shows no record of it.")
        return receipt

    @values.known_form()
    def find(self, sought: Sought) -> Trace:
        """What is true in NetSuite."""
        carrying = _carrying(sought.type)
        if sought.type.target(sought.payload) is None:
            order = self._client.record(carrying.kind, f"eid:{sought.reference}")
            if order is None:
                return Trace(Seen.ABSENT, text=f"Nothing there has the reference {sought.reference}.")
            record = carrying.record(self._client, order, sought.payload)
            return Trace(
                Seen.PRESENT, _receipt(carrying.kind, order, {}), record, values.stamp(carrying.kind, order)
            )
        order = LOOKS[carrying.kind](self._client, sought.snapshot.target)
        record = carrying.record(self._client, order, sought.payload)
        stamps = values.stamp(carrying.kind, order)
        if stamps == dict(sought.snapshot.stamps):
            return Trace(Seen.ABSENT, record=record, stamps=stamps, text="The stamp is that of before.")
        last = self._last_writer(str(order["id"]))
        if last == self._client.login:
            return Trace(Seen.PRESENT, _receipt(carrying.kind, order, {"last": last}), record, stamps)
        text = f"{LABELS[carrying.kind](order)} has been changed, last by employee {last or 'unknown'}."
        return Trace(Seen.UNCLEAR, None, record, stamps, text=text)

    def _last_writer(self, number: str) -> str:
        rows = self._client.rows(
            f"SELECT id, lastmodifiedby FROM transaction WHERE id = {identity(number)} ORDER BY id"  # noqa: S608
        )
        return str(rows[0].get("lastmodifiedby") or "") if rows else ""

    @values.known_form()
    def changes(self, since: dt.datetime) -> Sequence[SystemChange]:
        """Orders that this account wrote last since then.

        SuiteQL's dates are in the user's time zone, so it is asked for a day more and the record's own time in UTC
        decides. A write that somebody else wrote over afterwards is not told of.
        """
        day = (since.astimezone(dt.UTC) - dt.timedelta(days=1)).strftime("%Y-%m-%d")
        rows = self._client.rows(
            "SELECT id, type FROM transaction WHERE type IN ('PurchOrd', 'WorkOrd') "  # noqa: S608 a number, a date
            f"AND lastmodifiedby = {identity(self._client.login, 'employee')} "
            f"AND lastmodifieddate >= TO_DATE('{day}', 'YYYY-MM-DD') ORDER BY id"
        )
        found = []
        for row in rows:
            kind = purchases.KIND if row["type"] == "PurchOrd" else work_orders.KIND
            order = LOOKS[kind](self._client, str(row["id"]))
            at = _moment(order.get("lastModifiedDate"))
            if at >= since:
                made = _moment(order.get("createdDate")) >= since
                detail = {"number": str(order.get("tranId") or "")}
                found.append(
                    SystemChange(
                        f"{kind} {row['id']}", "create" if made else "write", self._client.login, at, detail
                    )
                )
        return tuple(sorted(found, key=lambda change: (change.at, change.record)))

    def probe(self, types: Sequence[TransactionType]) -> ProbeReport:
        """Try what must be refused."""
        for type_ in types:
            _carrying(type_)
        return probing.probe(self._client, types)


def _compare(now_there: Mapping[str, str], expect: Mapping[str, str], what: str) -> None:
    moved = sorted(name for name, stamp in expect.items() if now_there.get(name) != stamp)
    if moved:
        raise Stale(f"{what} is not what was approved any more.", evidence={"moved": moved})


def _receipt(kind: str, order: Mapping[str, Any], evidence: Mapping[str, Any]) -> Receipt:
    # `document` is the name that `changes` gives the record, so that a write can be told from one behind our back.
    told = {**evidence, "document": f"{kind} {order['id']}"}
    return Receipt(str(order["id"]), LABELS[kind](order), values.stamp(kind, order), told)


def _moment(text: Any) -> dt.datetime:
    found = dt.datetime.fromisoformat(str(text)) if text else dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)


def _carrying(type_: TransactionType) -> Carrying:
    if type_.name not in CARRYING:
        raise Unsupported(f"NetSuite does not carry {type_.name}.")
    return CARRYING[type_.name]


NEVER_STALE = (
    "NetSuite takes no version on any operation, so it cannot refuse a write to a record that somebody else has "
    "changed since it was approved; no account can be proven sound for it, and nothing is committed."
)
ADAPTER = Adapter(
    name="netsuite",
    title="NetSuite",
    path=SOURCE,
    levels=frozenset({4}),
    tools=frozenset(TOOLS),
    types={
        "purchase_order_create": Carried(
            EffectClass.KEYED,
            note="PUT on our reference as external id: the same reference twice is one order.",
        ),
        "purchase_order_line_change": Carried(
            EffectClass.READ_BACK_ONLY,
            note="All lines are written back.",
        ),
        "production_order_reschedule": Carried(
            EffectClass.READ_BACK_ONLY,
            note="Start and end date.",
        ),
    },
    settle=SETTLE,
    closed=dict.fromkeys(("purchase_order_line_change", "production_order_reschedule"), NEVER_STALE),
    verified="",
    reader=NetSuiteReader,
    writer=NetSuiteWriter,
)
