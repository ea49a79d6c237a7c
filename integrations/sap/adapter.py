"""SAP S/4HANA over its public OData services: reading, and five transaction types with an account each.

How `find` decides. A created order is sought by our own key. A change is judged by stamps and by what the record
reads: the stamps are those of before (absent); the record reads as approved (present); anything else is for a
person. SAP's services do not say who changed a record, so a change that reads exactly as approved counts as ours.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from integrations.contract import (
    Account,
    Adapter,
    Carried,
    EffectClass,
    Finding,
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
    Step,
    SystemChange,
    Trace,
    TransactionType,
    Unsupported,
)
from integrations.sap import probing, productions, purchase_lines, purchases, suppliers
from integrations.sap.system import SOURCE, Sap, View, now, reads_as, text

SETTLE = dt.timedelta(seconds=60)
"""SAP shows a write once its update task is through; this also covers one whose answer was given up."""

TOOLS: Mapping[str, Callable[[Sap, Any], dict[str, Any]]] = {
    "production_order": productions.read,
    "purchase_order": purchases.read,
    "supplier": suppliers.read,
}
CREATE, LINE = "purchase_order_create", "purchase_order_line_change"
TYPES: Mapping[str, Carried] = {
    "production_order_reschedule": Carried(
        EffectClass.GUARDED, note="Refused where SAP gives no ETag for the order."
    ),
    "production_order_quantity": Carried(
        EffectClass.GUARDED,
        note="SAP works out the components anew; they are neither shown nor read back.",
    ),
    "production_order_release": Carried(
        EffectClass.READ_BACK_ONLY,
        note="A function import without any condition: what was approved is compared right before.",
    ),
    CREATE: Carried(
        EffectClass.READ_BACK_ONLY,
        frozenset({"note"}),
        note='Our reference stands in "Your Reference", which SAP does not enforce.',
    ),
    LINE: Carried(
        EffectClass.READ_BACK_ONLY,
        note="Item and schedule line in one group; with their ETags where SAP gives them, compared where not.",
    ),
}


class SapReader:
    """Reads, and has nothing to write with."""

    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        self._sap = Sap(options, account)

    def read(self, tool: ReadTool, arguments: Any) -> Reading:
        """Answer a read tool."""
        if tool.name not in TOOLS:
            raise Unsupported(f"SAP has no answer to {tool.name} here.")
        as_of = now()
        return Reading(TOOLS[tool.name](self._sap, arguments), as_of, SOURCE)

    def snapshot(self, type_: TransactionType, payload: Any) -> Snapshot:
        """Read the target, and what the type's rules need."""
        _carried(type_)
        if type_.name == CREATE:
            return purchases.snapshot_create(self._sap, payload)
        if type_.name == LINE:
            return purchase_lines.snapshot_line(self._sap, payload)
        return productions.snapshot(self._sap, type_, payload)

    def ping(self) -> None:
        """Return if SAP answers this account."""
        service = self._sap.service("production")
        service.rows(productions.SET, most=1)

    def describe(self) -> Mapping[str, Any]:
        """What the services say of themselves; SAP's release is not among it."""
        service = self._sap.service("production")
        return {
            "name": "SAP S/4HANA",
            "version": f"OData V{service.model.version}, {service.root.rpartition('/')[2]}",
            "account": self._sap.login,
        }

    def close(self) -> None:
        """Let go of the sockets."""
        self._sap.http.close()


class SapWriter(SapReader):
    """Reads and writes, with the account of one transaction type."""

    def plan(
        self, type_: TransactionType, payload: Any, snapshot: Snapshot, reference: str
    ) -> tuple[Step, ...]:
        """The steps that will be sent, checked against the service's metadata."""
        _carried(type_)
        if type_.name == CREATE:
            return purchases.plan_create(self._sap, payload, reference)
        if type_.name == LINE:
            return purchase_lines.plan_line(self._sap, payload, snapshot)
        return productions.plan(self._sap, type_, payload, snapshot, reference)

    def rehearse(self, step: Step) -> tuple[Finding, ...]:
        """SAP cannot say what it would do without doing it."""
        del step
        return ()

    def commit(
        self,
        step: Step,
        *,
        expect: Mapping[str, str],
        reference: str,
        note: Note,
    ) -> Receipt:
        """Do one step, once. Refuses to send without stamps."""
        if not expect:
            raise Rejected("There is no stamp to compare with, so nothing was sent.")
        request = step.request
        if request.get("service") == "production":
            return productions.send(self._sap, step, expect, reference, note)
        if request.get("service") == "purchase" and "changes" in request:
            return purchase_lines.send(self._sap, step, expect, reference, note)
        if request.get("service") == "purchase":
            return purchases.send_create(self._sap, step, expect, reference, note)
        raise Unsupported(f"SAP does not carry a step for {request.get('service')!r}.")

    def find(self, sought: Sought) -> Trace:
        """What is true in SAP."""
        _carried(sought.type)
        if sought.type.name == CREATE:
            return self._find_created(sought)
        view, record = self._look(sought)
        if all(view.stamps.get(name) == stamp for name, stamp in sought.snapshot.stamps.items()):
            return Trace(
                Seen.ABSENT, record=record, stamps=view.stamps, text="The stamps are those of before."
            )
        if reads_as(record, sought.expected, sought.type):
            found = Receipt(sought.snapshot.target, view.label, view.stamps, {"found": dict(view.stamps)})
            return Trace(Seen.PRESENT, found, record, view.stamps)
        words = f"{view.label} is neither as before nor as approved."
        return Trace(Seen.UNCLEAR, None, record, view.stamps, text=words)

    def _look(self, sought: Sought) -> tuple[View, Record]:
        if sought.type.name == LINE:
            view, item = purchase_lines.parts(self._sap, sought.payload.order, sought.payload.line)
            return view, purchase_lines.changed(self._sap, view.root, item)
        view = productions.look(self._sap, sought.payload)
        return view, productions.record(view, sought.payload, sought.type.name)

    def _find_created(self, sought: Sought) -> Trace:
        found = purchases.ours(self._sap, sought.reference)
        if not found:
            return Trace(Seen.ABSENT, text=f"Nothing there has the reference {sought.reference}.")
        names = [text(one, purchases.KEY) for one in found]
        record = purchases.created(self._sap, found[0])
        stamps = {f"purchase order {names[0]}": found[0].etag} if found[0].etag else {}
        if len(found) > 1:
            words = f"More than one has our reference: {', '.join(names)}."
            return Trace(Seen.UNCLEAR, record=record, stamps=stamps, text=words)
        maker = text(found[0], "CreatedByUser")
        if maker and maker != self._sap.user:
            words = f"{names[0]} has our reference, but {maker} made it."
            return Trace(Seen.UNCLEAR, record=record, stamps=stamps, text=words)
        receipt = Receipt(names[0], names[0], stamps, {"found": {"document": names[0], "by": maker}})
        return Trace(Seen.PRESENT, receipt, record, stamps)

    def changes(self, since: dt.datetime) -> Sequence[SystemChange]:
        """The purchase orders that this account made since then; the hour is that of their last change.

        These services do not say who changed an order. An account that never made one is therefore not told to have
        written nothing: Unsupported.
        """
        moment = since.astimezone(dt.UTC)
        service, ours = self._sap.service("purchase"), ("CreatedByUser", "eq", self._sap.user)
        if not service.rows(purchases.SET, [ours], most=1).entities:
            raise Unsupported("SAP's services say who made a purchase order, and not who changed an order.")
        found = service.rows(
            purchases.SET,
            [
                ours,
                ("CreationDate", "ge", moment.date().isoformat()),
                ("LastChangeDateTime", "ge", moment.isoformat()),
            ],
        )
        changes = [
            SystemChange(
                record=f"purchase order {text(one, purchases.KEY)}",
                event="create",
                account=self._sap.login,
                at=dt.datetime.fromisoformat(text(one, "LastChangeDateTime")),
                detail={"reference": text(one, purchases.REFERENCE)},
            )
            for one in found.entities
        ]
        return tuple(sorted(changes, key=lambda change: (change.at, change.record)))

    def probe(self, types: Sequence[TransactionType]) -> ProbeReport:
        """Try what must be refused, and compare what the account may do with what these types need."""
        for type_ in types:
            _carried(type_)
        return probing.probe(self._sap, types)


def _carried(type_: TransactionType) -> Carried:
    if type_.name not in TYPES:
        raise Unsupported(f"SAP does not carry {type_.name}.")
    return TYPES[type_.name]


ADAPTER = Adapter(
    name="sap",
    title="SAP S/4HANA",
    path=SOURCE,
    levels=frozenset({4}),
    tools=frozenset(TOOLS),
    types=TYPES,
    settle=SETTLE,
    closed={
        "order_status_exceptions": "It lists trouble over production, purchase and sales orders with the reason and "
        "the missing material. The services used here show no stock, no requirements and no sales orders, so a list of "
        "theirs would leave out what it does not say that it leaves out; read the orders one by one."
    },
    verified="SAP CAP 9 with a model after SAP's public APIs; no S/4HANA so far",
    reader=SapReader,
    writer=SapWriter,
)
