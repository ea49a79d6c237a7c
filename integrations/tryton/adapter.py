"""Tryton, 8.0 and later, over JSON-RPC: reading, and five transaction types with an account each.

Options of a connection: `url`, `database`, and `timeout` in seconds (20 unless given).

How `find` decides. A created order is sought by our reference. A change is judged by stamps and by Tryton's own log
(see `steps`): the stamps are those of before and the log shows none of our steps (absent); it shows all of them
(present, and the corridor compares the record); it shows the first of them and nobody else's hand (partial); anything
else is for a person.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integrations.contract import (
    Account,
    Adapter,
    Carried,
    EffectClass,
    Finding,
    ProbeReport,
    Reading,
    ReadTool,
    Receipt,
    Record,
    Seen,
    Snapshot,
    Sought,
    Step,
    SystemChange,
    Trace,
    TransactionType,
    Unsupported,
)
from integrations.tryton import harvest, probing, productions, purchases, sales, steps
from integrations.tryton.client import Client
from integrations.tryton.provision import SCOPES
from integrations.tryton.reads import TOOLS
from integrations.tryton.values import SOURCE

SETTLE = dt.timedelta(seconds=30)
"""Tryton shows a write at once; this covers one that was still at work when its answer was given up."""


@dataclass(frozen=True)
class Carrying:
    """How one transaction type is carried: the functions of its module."""

    look: Callable[[Client, int], steps.View]
    record: Callable[[steps.View, Any, str], Record]
    snapshot: Callable[[Client, str, Any], Snapshot]
    plan: Callable[[Client, TransactionType, Any, Snapshot, str], tuple[Step, ...]]
    resources: Callable[[steps.View], list[str]]


_PRODUCTION = Carrying(
    productions.look, productions.record, productions.snapshot, productions.plan, productions.resources
)
CARRYING: Mapping[str, Carrying] = {
    "production_order_reschedule": _PRODUCTION,
    "production_order_quantity": _PRODUCTION,
    "purchase_order_create": Carrying(
        purchases.look,
        purchases.record_created,
        purchases.snapshot_create,
        purchases.plan_create,
        purchases.resources,
    ),
    "purchase_order_line_change": Carrying(
        purchases.look,
        purchases.record_line,
        purchases.snapshot_line,
        purchases.plan_line,
        purchases.resources,
    ),
    "sales_order_promise": Carrying(sales.look, sales.record, sales.snapshot, sales.plan, sales.resources),
}
_LOOKS: Mapping[str, steps.Look] = {
    productions.MODEL: productions.look,
    purchases.MODEL: purchases.look,
    sales.MODEL: sales.look,
}


class TrytonReader:
    """Reads, and has nothing to write with."""

    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        self._client = Client(
            str(options["url"]),
            str(options["database"]),
            account.login,
            account.secret,
            timeout=float(options.get("timeout", 20)),
            hold=account.hold,
        )

    def read(self, tool: ReadTool, arguments: Any) -> Reading:
        """Answer a read tool."""
        if tool.name not in TOOLS:
            raise Unsupported(f"Tryton has no answer to {tool.name}.")
        as_of = self._client.now()
        return Reading(TOOLS[tool.name](self._client, arguments), as_of, SOURCE)

    def snapshot(self, type_: TransactionType, payload: Any) -> Snapshot:
        """Read the target, and what the type's rules need."""
        return _carrying(type_).snapshot(self._client, type_.name, payload)

    def seek(self, sought: Sought) -> Trace:
        """The order that has our reference, whoever made it."""
        return self._under_reference(sought)

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
        """Cases from what people did, by Tryton's own history."""
        return harvest.harvest(
            self._client,
            type_,
            since=since,
            until=until,
            left_out=left_out,
            fields=fields,
            ours=ours,
            prompted=prompted,
        )

    def _under_reference(self, sought: Sought, *, maker: int | None = None) -> Trace:
        carrying = _carrying(sought.type)
        rows = self._client.search_read(
            purchases.MODEL, [("reference", "=", sought.reference)], ["rec_name", "create_uid"]
        )
        if not rows:
            return Trace(Seen.ABSENT, text=f"Nothing there has the reference {sought.reference}.")
        view = carrying.look(self._client, rows[0]["id"])
        record = carrying.record(view, sought.payload, sought.type.name)
        if len(rows) > 1:
            names = ", ".join(row["rec_name"] for row in rows)
            return Trace(Seen.UNCLEAR, record=record, text=f"More than one has our reference: {names}.")
        if maker is not None and rows[0]["create_uid"] != maker:
            text = f"{view.label} has our reference, but somebody else made it."
            return Trace(Seen.UNCLEAR, record=record, stamps=view.stamps, text=text)
        return Trace(Seen.PRESENT, _receipt(purchases.MODEL, view), record, view.stamps)

    def ping(self) -> None:
        """Return if Tryton answers this account."""
        self._client.call("res.user", "get_preferences", True)

    def describe(self) -> Mapping[str, Any]:
        """What Tryton says of itself."""
        return {"name": "Tryton", "version": self._client.version(), "account": self._client.login}

    def close(self) -> None:
        """Let go of the sockets."""
        self._client.close()


class TrytonWriter(TrytonReader):
    """Reads and writes, with the account of one transaction type."""

    def plan(
        self, type_: TransactionType, payload: Any, snapshot: Snapshot, reference: str
    ) -> tuple[Step, ...]:
        """The steps that will be sent; Tryton is asked what else its screens would fill in."""
        return _carrying(type_).plan(self._client, type_, payload, snapshot, reference)

    def rehearse(self, step: Step) -> tuple[Finding, ...]:
        """Tryton cannot say what it would do without doing it."""
        del step
        return ()

    def commit(
        self,
        step: Step,
        *,
        expect: Mapping[str, str],
        reference: str,
        note: Callable[[Mapping[str, Any]], None],
    ) -> Receipt:
        """Do one step, once. Refuses to send without stamps: Tryton would then compare nothing."""
        model = str(step.request["document"]).partition(",")[0]
        if model not in _LOOKS:
            raise Unsupported(f"Tryton does not carry a step on {model!r}.")
        return steps.send(
            self._client, step, look=_LOOKS[model], expect=expect, reference=reference, note=note
        )

    def find(self, sought: Sought) -> Trace:
        """What is true in Tryton."""
        if sought.type.target(sought.payload) is None:
            return self._find_created(sought)
        return self._find_changed(sought)

    def _find_created(self, sought: Sought) -> Trace:
        return self._under_reference(sought, maker=self._client.user)

    def _find_changed(self, sought: Sought) -> Trace:
        carrying, before = _carrying(sought.type), sought.snapshot.stamps
        view = carrying.look(self._client, int(sought.snapshot.target))
        record = carrying.record(view, sought.payload, sought.type.name)
        marks = steps.marks(
            self._client,
            sought.steps,
            before=before,
            reference=sought.reference,
            # Tryton refuses to tell the log of records that are gone, and a change deletes lines.
            resources=sorted(
                {*carrying.resources(view), *(name for name in before if not name.startswith("stock.move,"))}
            ),
        )
        model = str(sought.steps[0].request["document"]).partition(",")[0] if sought.steps else ""
        if sought.steps and marks.done == len(sought.steps):
            return Trace(Seen.PRESENT, _receipt(model, view), record, view.stamps)
        if marks.done and not marks.others:
            said = ", ".join(step.text for step in sought.steps[: marks.done])
            rest = sought.steps[marks.done :]
            return Trace(Seen.PARTIAL, None, record, view.stamps, rest, f"Done so far: {said}.")
        if not marks.done and all(view.stamps.get(name) == stamp for name, stamp in before.items()):
            return Trace(
                Seen.ABSENT, record=record, stamps=view.stamps, text="The stamps are those of before."
            )
        text = f"{view.label} is neither as before nor as approved"
        who = f"; {', '.join(marks.others)} wrote to it" if marks.others else ""
        return Trace(Seen.UNCLEAR, None, record, view.stamps, text=f"{text}{who}.")

    def changes(self, since: dt.datetime) -> Sequence[SystemChange]:
        """What Tryton's log and its records' makers tell of this account, by Tryton's clock.

        Its log can only be asked record by record, so it is asked of every record that was written since. A record
        that was deleted afterwards is not told of; no account of ours may delete one but a draft's lines.
        """
        user, moment = self._client.user, since.astimezone(dt.UTC).replace(tzinfo=None)
        found: list[SystemChange] = []
        for model in sorted({model for scope in SCOPES.values() for model in scope.models}):
            rows = self._client.search_read(
                model,
                ["OR", ("write_date", ">=", moment), ("create_date", ">=", moment)],
                ["create_uid", "create_date", "rec_name"],
            )
            found += [
                self._change(
                    f"{model},{row['id']}", "create", row["create_date"], {}, f"create {model},{row['id']}"
                )
                for row in rows
                if row["create_uid"] == user and row["create_date"] >= moment
            ]
            names = [f"{model},{row['id']}" for row in rows]
            for start in range(0, len(names), 500):
                log = self._client.search_read(
                    "ir.model.log",
                    [
                        ("resource", "in", names[start : start + 500]),
                        ("user", "=", user),
                        ("create_date", ">=", moment),
                        ("event", "!=", "transition"),
                    ],
                    ["resource", "event", "target", "create_date"],
                )
                found += [
                    self._change(
                        entry["resource"],
                        entry["event"],
                        entry["create_date"],
                        {"of": entry["target"]},
                        f"log {entry['id']}",
                    )
                    for entry in log
                ]
        return tuple(sorted(found, key=lambda change: (change.at, change.record)))

    def _change(
        self, record: str, event: str, at: dt.datetime, detail: Mapping[str, Any], key: str
    ) -> SystemChange:
        return SystemChange(record, event, self._client.login, at.replace(tzinfo=dt.UTC), dict(detail), key)

    def probe(self, types: Sequence[TransactionType]) -> ProbeReport:
        """Try what must be refused, and compare what the account may do with its scope."""
        if unknown := [type_.name for type_ in types if type_.name not in SCOPES]:
            raise Unsupported(f"Tryton does not carry {', '.join(unknown)}.")
        return probing.probe(self._client, types)


def _receipt(model: str, view: steps.View) -> Receipt:
    number = str(view.row["id"])
    written = {"document": f"{model},{number}", "stamp": view.stamps.get(f"{model},{number}", "")}
    return Receipt(number, view.label, view.stamps, {"found": written})


def _carrying(type_: TransactionType) -> Carrying:
    if type_.name not in CARRYING:
        raise Unsupported(f"Tryton does not carry {type_.name}.")
    return CARRYING[type_.name]


ADAPTER = Adapter(
    name="tryton",
    title="Tryton",
    path=SOURCE,
    levels=frozenset({4}),
    tools=frozenset(TOOLS),
    types={
        "production_order_reschedule": Carried(
            EffectClass.GUARDED, note="A released order is taken back to a draft, written and released again."
        ),
        "production_order_quantity": Carried(
            EffectClass.GUARDED, note="The material lines are made anew; their stamps are guarded too."
        ),
        "purchase_order_create": Carried(
            EffectClass.READ_BACK_ONLY,
            note="A draft with our reference, which Tryton does not enforce; a person takes it on there.",
        ),
        "purchase_order_line_change": Carried(
            EffectClass.GUARDED,
            note="A quotation goes through draft; an order under way is changed by Tryton's amendment.",
        ),
        "sales_order_promise": Carried(
            EffectClass.GUARDED, note="Once processed, the promise is the planned date of the open shipments."
        ),
    },
    settle=SETTLE,
    verified="Tryton 8.2",
    reader=TrytonReader,
    seeks=frozenset({"purchase_order_create"}),
    harvests=harvest.TYPES,
    writer=TrytonWriter,
)
