"""Epicor Kinetic over REST v2. Written from other people's material; nothing of it was ever run against Kinetic.

Options of a connection: see `client`.

How `find` decides. The stamps of before: absent. Else, when Kinetic names our user as the last who changed the line:
present, and the corridor compares the record. Anything else is for a person.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
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
from integrations.epicor import jobs, purchases, values
from integrations.epicor.client import Client
from integrations.epicor.values import SOURCE, now

SETTLE = dt.timedelta(minutes=2)
"""Kinetic shows a write at once; this covers one that was still at work when its answer was given up."""
CARRIED = "purchase_order_line_change"
BEYOND = ("Erp.BO.ARInvoiceSvc", "Erp.BO.APInvoiceSvc", "Erp.BO.VendorSvc", "Erp.BO.JobEntrySvc")
"""Services whose Update no account of ours may call; tried with an empty dataset, which writes nothing."""
NO_LIST = "What else the API key and the user may call cannot be listed; only a few things are tried."


def purchase_order(client: Client, arguments: Any) -> dict[str, Any]:
    """One purchase order with its lines."""
    company, number = client.company(arguments.order, "purchase order")
    found = purchases.dataset(client, company, purchases.order_number(number))
    header = values.row(found, "POHeader", f"purchase order {arguments.order}")
    lines = []
    total = Decimal(0)
    for line in found.get("PODetail") or ():
        releases = tuple(row for row in found.get("PORel") or () if row["POLine"] == line["POLine"])
        view = purchases.View(company, found, header, line, releases)
        told = purchases.record(view).fields
        received = sum((values.number(one.get("ReceivedQty")) for one in releases), Decimal(0))
        total += Decimal(told["amount"]["amount"])
        lines.append(
            {
                "key": str(line["POLine"]),
                "product": str(line.get("PartNum") or "") or None,
                "name": str(line.get("LineDesc") or line.get("PartNum") or ""),
                "quantity": told["quantity"],
                "received": values.quantity(received, told["quantity"]["unit"]),
                "unit_price": told["unit_price"],
                "amount": told["amount"],
                "delivery_date": told["delivery_date"],
            }
        )
    return {
        "key": f"{company}/{header['PONum']}",
        "number": str(header["PONum"]),
        "reference": "",
        "state": purchases.state(header),
        "supplier": f"{company}/{header['VendorNum']}",
        "supplier_name": str(header.get("VendorName") or ""),
        "ordered_on": values.day(header.get("OrderDate")),
        "total": values.money(total, values.currency(header["CurrencyCode"])),
        "lines": lines,
    }


TOOLS = {"purchase_order": purchase_order, "production_order": jobs.production_order}


class KineticReader:
    """Reads, and has nothing to write with."""

    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        self._client = Client(options, account)

    @values.known_form()
    def read(self, tool: ReadTool, arguments: Any) -> Reading:
        """Answer a read tool."""
        if tool.name not in TOOLS:
            raise Unsupported(f"Kinetic has no answer to {tool.name}.")
        as_of = now()
        return Reading(TOOLS[tool.name](self._client, arguments), as_of, SOURCE)

    @values.known_form()
    def snapshot(self, type_: TransactionType, payload: Any) -> Snapshot:
        """Read the target, and what the type's rules need."""
        _carried(type_)
        return purchases.snapshot(self._client, payload)

    def ping(self) -> None:
        """Return if Kinetic answers this account, in every company of the connection."""
        for company in _companies(self._client):
            self._client.page(
                company, f"{purchases.SERVICE}/POes", select=("PONum",), where="", order="PONum", top=1
            )

    def describe(self) -> Mapping[str, Any]:
        """What is known of it. Kinetic tells no version by these calls."""
        self.ping()
        return {"name": "Epicor Kinetic", "version": "api/v2", "account": self._client.login}

    def close(self) -> None:
        """Let go of the sockets."""
        self._client.close()


class KineticWriter(KineticReader):
    """Reads and writes, with the account of one transaction type."""

    @values.known_form()
    def plan(
        self, type_: TransactionType, payload: Any, snapshot: Snapshot, reference: str
    ) -> tuple[Step, ...]:
        """The one step that will be sent."""
        del reference
        _carried(type_)
        return purchases.plan(payload, snapshot)

    def rehearse(self, step: Step) -> tuple[Finding, ...]:
        """The Change... methods are asked only at the commit: they belong to one dataset."""
        del step
        return ()

    def commit(self, step: Step, *, expect: Mapping[str, str], reference: str, note: Note) -> Receipt:
        """Do the step, once. Looks first; what moves after that look, Kinetic refuses by SysRevID."""
        del reference
        request = step.request
        if request.get("service") != purchases.SERVICE:
            raise Unsupported(f"Kinetic does not carry a step on {request.get('service')!r}.")
        if not expect:
            raise Rejected("There is no stamp to compare with, so nothing was sent.")
        with values.known_form():
            order, line = f"{request['company']}/{request['order']}", str(request["line"])
            view = purchases.look(self._client, order, line)
            there = purchases.stamps(view)
            moved = sorted(name for name, stamp in expect.items() if there.get(name) != stamp)
            if moved:
                raise Stale(
                    f"{purchases.label(view)} is not what was approved any more.", evidence={"moved": moved}
                )
            dataset = purchases.changed(self._client, view, request["changes"])
        note({"step": step.name, "sends": f"{purchases.SERVICE}/Update", "order": order})
        self._client.update(view.company, purchases.SERVICE, dataset)
        evidence = {"sent": f"{purchases.SERVICE}/Update", "calls": list(request["calls"])}
        try:
            view = purchases.look(self._client, order, line)
            return Receipt(view.key, purchases.label(view), purchases.stamps(view), evidence)
        except Exception as fault:
            raise InDoubt("Kinetic took the write and could not be read afterwards.") from fault

    @values.known_form()
    def find(self, sought: Sought) -> Trace:
        """What is true in Kinetic."""
        _carried(sought.type)
        view = purchases.look(self._client, sought.snapshot.target, sought.payload.line)
        record, stamps = purchases.record(view), purchases.stamps(view)
        if stamps == dict(sought.snapshot.stamps):
            return Trace(Seen.ABSENT, record=record, stamps=stamps, text="The stamps are those of before.")
        last = str(view.line.get("ChangedBy") or "")
        if last.casefold() == self._client.login.casefold():
            receipt = Receipt(view.key, purchases.label(view), stamps, {"last": last})
            return Trace(Seen.PRESENT, receipt, record, stamps)
        text = f"{purchases.label(view)} has been changed, its line last by {last or 'somebody'}."
        return Trace(Seen.UNCLEAR, None, record, stamps, text=text)

    @values.known_form()
    def changes(self, since: dt.datetime) -> Sequence[SystemChange]:
        """Lines that this account wrote last since then; one that somebody wrote over is not told of.

        Kinetic's times are asked for from a day before, and compared by their own zone.
        """
        day = (since.astimezone(dt.UTC) - dt.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        login = self._client.login.replace("'", "''")
        found = []
        for company in _companies(self._client):
            rows = self._client.rows(
                company,
                f"{purchases.SERVICE}/PODetails",
                select=("PONUM", "POLine", "ChangedBy", "ChangeDate"),
                where=f"ChangedBy eq '{login}' and ChangeDate ge {day}",
                order="PONUM,POLine",
            )
            for row in rows:
                at = values.moment(row["ChangeDate"])
                if at >= since:
                    record = f"PO line {company}/{row['PONUM']}/{row['POLine']}"
                    found.append(SystemChange(record, "write", self._client.login, at, {}))
        return tuple(sorted(found, key=lambda change: (change.at, change.record)))

    def probe(self, types: Sequence[TransactionType]) -> ProbeReport:
        """Try what must be refused; say what cannot be known. Unavailable when Kinetic does not answer."""
        for type_ in types:
            _carried(type_)
        findings = [NO_LIST]
        company = _companies(self._client)[0]
        may = []
        for service in BEYOND:
            try:
                self._client.update(company, service, {})
            except OutOfScope:
                continue
            except (Unavailable, InDoubt):
                raise
            except AdapterError as other:
                findings.append(f"{service}: {other.text}"[:300])
            may.append(f"may call {service}/Update")
        return ProbeReport(
            account=self._client.login,
            stale_refused=self._stale(company, findings),
            out_of_scope_refused=not may,
            excess=tuple(may),
            findings=tuple(findings),
        )

    def _stale(self, company: str, findings: list[str]) -> bool | None:
        """Write an open draft's line as it is, under a version it had before."""
        orders = self._client.page(
            company,
            f"{purchases.SERVICE}/POes",
            select=("PONum",),
            where="OpenOrder eq true and Approve eq false",
            order="PONum",
            top=1,
        )
        dataset = purchases.dataset(self._client, company, int(orders[0]["PONum"])) if orders else {}
        if not dataset.get("PODetail"):
            findings.append("There is no unapproved purchase order that a stale write could be tried on.")
            return None
        line = {**dataset["PODetail"][0]}
        line["SysRevID"] = int(line["SysRevID"]) - 1
        try:
            self._client.update(
                company,
                purchases.SERVICE,
                {**dataset, "PODetail": [line, {**line, "RowMod": purchases.CHANGED}]},
            )
        except Stale:
            return True
        except (Unavailable, InDoubt):
            raise
        except AdapterError as other:
            findings.append(f"A stale write was refused, but not for that reason: {other.text}"[:300])
            return False
        findings.append("A write with a stale SysRevID went through.")
        return False


def _companies(client: Client) -> tuple[str, ...]:
    if not client.companies:
        raise Unsupported("The connection's option companies names no company.")
    return client.companies


def _carried(type_: TransactionType) -> None:
    if type_.name != CARRIED:
        raise Unsupported(f"Kinetic does not carry {type_.name}.")


ADAPTER = Adapter(
    name="epicor",
    title="Epicor Kinetic",
    path=SOURCE,
    levels=frozenset({4}),
    tools=frozenset(TOOLS),
    types={
        CARRIED: Carried(
            EffectClass.GUARDED,
            note="As the screen does it, on orders that are not approved; SysRevID guards every row written.",
        )
    },
    settle=SETTLE,
    verified="",
    reader=KineticReader,
    writer=KineticWriter,
)
