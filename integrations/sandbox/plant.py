"""The plant behind the sandbox: its records, what may be written to them, and the ledger of what was.

A record is a JSON object under a name such as `production 17`; it is never changed in place, every write
makes a new one with a new stamp. Stamps are numbers of one sequence in text, so none is ever used twice.
Lines have stamps of their own, named `purchase line 31/2`.

On disk in `home`: `base.json` (the records as seeded) and `ledger.jsonl` (one line per effect, append-only).
Starting again replays the ledger over the base; a last line torn by a kill was never answered and is dropped.

The file is long because all rules of the plant act on the same records under one lock.
"""

from __future__ import annotations

import copy
import datetime as dt
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

Doc = dict[str, Any]

DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,6})?")
KINDS = ("production", "purchase", "sale", "product", "supplier")
DEEPEST_PAST = 50
"""How many earlier states of a record are kept for reads that lag."""


class Refused(Exception):
    """The plant says no. `code` is what a client may rely on, the text is for people."""

    def __init__(self, code: str, text: str, status: int, **more: Any) -> None:
        super().__init__(text)
        self.code, self.text, self.status, self.more = code, text, status, more


def rejected(text: str) -> Refused:
    """A final no of a business rule."""
    return Refused("rejected", text, 422)


class Plant:
    """All records, the accounts, and the ledger. Every method that touches them holds `lock`."""

    def __init__(self, home: Path, base: Mapping[str, Any], *, fsync: bool = False) -> None:
        self.home, self.fsync = home, fsync
        self.lock = threading.RLock()
        self.check_stamps = True
        self.check_scopes = True
        self.clock_offset = dt.timedelta(0)
        self._reading = threading.local()
        self.records: dict[str, Doc] = {}
        self.names: dict[str, dict[str, None]] = {kind: {} for kind in KINDS}
        self.past: dict[str, list[tuple[float, Doc | None]]] = {}
        self.keys: dict[tuple[str, str], tuple[str, Doc]] = {}
        self.references: dict[str, list[str]] = {}
        self.ledger: list[Doc] = []
        self.written: dict[str, list[Doc]] = {}
        self.seen_from: dict[int, float] = {}
        self.sequence = 0
        self.last_key = 0
        self.load(base)

    def load(self, base: Mapping[str, Any]) -> None:
        """Take the seeded records, then every effect of the ledger on disk."""
        self.records = dict(base["records"])
        for name in self.records:
            self.names[name.split(" ", 1)[0]][name] = None
        self.sequence = self.last_key = int(base["sequence"])
        path = self.home / "ledger.jsonl"
        whole = 0
        if path.exists():
            for line in path.read_bytes().splitlines(keepends=True):
                if not line.endswith(b"\n"):
                    break
                self._replay(json.loads(line))
                whole += len(line)
            os.truncate(path, whole)
        self._file = path.open("ab")

    def _replay(self, entry: Doc) -> None:
        self.sequence = max(self.sequence, entry["seq"])
        self._remember(entry, seen_from=0.0)

    def _remember(self, entry: Doc, *, seen_from: float) -> None:
        name, doc = entry["record"], entry["after"]
        self.ledger.append(entry)
        self.written.setdefault(name, []).append(entry)
        self.seen_from[entry["seq"]] = seen_from
        if entry["key"]:
            self.keys[entry["account"], entry["key"]] = (entry["request"], entry["answer"])
        self.names[name.split(" ", 1)[0]][name] = None
        self.past.setdefault(name, [(0.0, self.records.get(name))]).append((seen_from, doc))
        del self.past[name][:-DEEPEST_PAST]
        for reference in {(doc or {}).get(field, "") for field in ("reference", "unique_reference")} - {""}:
            names = self.references.setdefault(reference, [])
            if name not in names:
                names.append(name)
        if doc is None:
            self.records.pop(name, None)
            return
        self.records[name] = doc
        kind, key = name.split(" ", 1)
        if kind in {"production", "purchase", "sale"}:
            self.last_key = max(self.last_key, int(key))

    def now(self) -> dt.datetime:
        """The plant's clock, which may be wrong."""
        return dt.datetime.now(dt.UTC) + self.clock_offset

    @property
    def read_lag(self) -> float:
        """How many seconds late this thread sees writes."""
        return float(getattr(self._reading, "lag", 0.0))

    @read_lag.setter
    def read_lag(self, seconds: float) -> None:
        self._reading.lag = seconds

    def close(self) -> None:
        """Let go of the ledger's file."""
        self._file.close()

    def seen(self, name: str) -> Doc | None:
        """A record as readers see it: as it is, or as it was `read_lag` seconds ago."""
        if not self.read_lag or name not in self.past:
            return self.records.get(name)
        moment = time.monotonic() - self.read_lag
        visible = [doc for since, doc in self.past[name] if since <= moment]
        return visible[-1] if visible else None

    def all(self, kind: str) -> list[Doc]:
        """Every record of a kind as readers see it."""
        return [doc for name in self.names[kind] if (doc := self.seen(name)) is not None]

    def get(self, kind: str, key: str) -> Doc:
        """One record as it truly is. Refused `not_found`."""
        doc = self.records.get(f"{kind} {key}")
        if doc is None:
            raise Refused("not_found", f"There is no {kind} {key}.", 404)
        return doc

    def holder_of(self, unique: str) -> str | None:
        """The name of the record that holds this unique reference."""
        for name in self.references.get(unique, ()):
            if self.records.get(name, {}).get("unique_reference") == unique:
                return name
        return None

    def search(self, reference: str) -> list[Doc]:
        """The records with this reference in either field, as readers see them."""
        found = (self.seen(name) for name in self.references.get(reference, ()))
        return [d for d in found if d and reference in {d.get("reference"), d.get("unique_reference")}]

    def log(self, name: str, after: int) -> list[Doc]:
        """What was written to a record after the stamp `after`, oldest first, as readers see it."""
        moment = time.monotonic() - self.read_lag if self.read_lag else None
        return [
            entry
            for entry in self.written.get(name, ())
            if entry["seq"] > after and (moment is None or self.seen_from[entry["seq"]] <= moment)
        ]

    def changes(self, account: str, since: dt.datetime) -> list[Doc]:
        """What an account wrote since then by the plant's clock, oldest first."""
        found = []
        for entry in reversed(self.ledger):
            if dt.datetime.fromisoformat(entry["at"]) < since:
                break
            if entry["account"] == account:
                found.append(entry)
        return found[::-1]

    def next_stamp(self) -> str:
        """A stamp that no record ever had."""
        self.sequence += 1
        return str(self.sequence)

    def write(
        self,
        operation: str,
        body: Doc,
        *,
        account: str,
        scopes: Mapping[str, list[str]],
        headers: Mapping[str, str],
        fault: str = "",
        keep: int | None = None,
    ) -> Doc:
        """Do one write, as one transaction. Order: scope, key, stamps, reference, business rules, effect.

        `headers`: `reference` (recorded in the ledger), `key` (idempotency), `step`, `rehearse`. `fault` may be
        `ignored` or `partial_effect`: the answer then claims more than was done.
        """
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        rule = OPERATIONS[operation]
        with self.lock:
            self._check_scope(operation, body, scopes)
            key = headers.get("key", "")
            if key and (account, key) in self.keys:
                first, answer = self.keys[account, key]
                if first != digest:
                    raise Refused("key_reused", "This idempotency key was used for another request.", 422)
                return {**answer, "replayed": True}
            self._check_stamps(body)
            before, after = rule(self, body, account)
            name = f"{after['kind']} {after['key']}"
            if headers.get("rehearse") or fault == "ignored":
                return _answer(name, {**after, "stamp": self.next_stamp()})
            if fault == "partial_effect":
                after = _only_part(after, before, keep)
            after |= {
                "stamp": self.next_stamp(),
                "written_by": account,
                "written_at": self.now().isoformat(),
            }
            answer = _answer(name, after)
            self.record(
                operation,
                name,
                before,
                after,
                account=account,
                reference=headers.get("reference", ""),
                step=headers.get("step", ""),
                request=digest,
                key=key,
                answer=answer,
            )
            return answer

    def _check_scope(self, operation: str, body: Doc, scopes: Mapping[str, list[str]]) -> None:
        if not self.check_scopes:
            return
        if operation not in scopes:
            raise Refused("out_of_scope", f"This account may not call {operation}.", 403)
        beyond = sorted(set(body.get("values", {})) - set(scopes[operation]))
        if beyond:
            raise Refused("out_of_scope", f"This account may not write {', '.join(beyond)}.", 403)

    def _check_stamps(self, body: Doc) -> None:
        expect = body.get("expect", {})
        if not self.check_stamps:
            return
        for name, stamp in expect.items():
            if self._stamp_of(name) != stamp:
                raise Refused("stale", f"{name} was changed in the meantime.", 409)

    def _stamp_of(self, name: str) -> str | None:
        if " line " not in name:
            doc = self.records.get(name)
            return None if doc is None else doc["stamp"]
        kind, _, key = name.partition(" line ")
        order, _, line_key = key.partition("/")
        doc = self.records.get(f"{kind} {order}") or {}
        return next((line["stamp"] for line in doc.get("lines", ()) if line["key"] == line_key), None)

    def record(
        self,
        operation: str,
        name: str,
        before: Doc | None,
        after: Doc | None,
        *,
        account: str,
        reference: str = "",
        step: str = "",
        request: str = "",
        key: str = "",
        answer: Doc | None = None,
    ) -> None:
        """Make an effect true: into the ledger first, then into the records."""
        stamped = operation != "restore" and (after or {}).get("stamp") != (before or {}).get("stamp")
        entry = {
            # Its place in the log is the stamp it gave, so that "after this stamp" leaves it out.
            "seq": int(after["stamp"] if after and stamped else self.next_stamp()),
            "at": self.now().isoformat(),
            "reference": reference,
            "account": account,
            "operation": operation,
            "step": step,
            "record": name,
            "event": "restore" if operation == "restore" else "create" if before is None else "write",
            "before": before,
            "after": after,
            "request": request,
            "key": key,
            "answer": answer,
        }
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        if self.fsync:
            os.fsync(self._file.fileno())
        self._remember(entry, seen_from=time.monotonic())

    def edit(self, name: str, values: Doc, account: str) -> Doc:
        """Somebody changes a record past every rule. A value for `lines` is {line key: values}.

        A change to lines alone leaves the record's own stamp, as many systems do.
        """
        with self.lock:
            before = self.get(*name.split(" ", 1))
            after = copy.deepcopy(before)
            lines = values.pop("lines", {})
            for line_key, changed in lines.items():
                _line(after, line_key).update(changed, stamp=self.next_stamp())
            after.update(values)
            after |= {"written_by": account, "written_at": self.now().isoformat()}
            if values or not lines:
                after["stamp"] = self.next_stamp()
            self.record("edit", name, before, after, account=account)
            return after

    def vanish(self, name: str) -> None:
        """Undo a record's last effect and its stamp, as a restore from a backup does."""
        with self.lock:
            last = next((e for e in reversed(self.written.get(name, [])) if e["event"] != "restore"), None)
            if last is None:
                raise Refused("not_found", f"Nothing was written to {name}.", 404)
            self.record("restore", name, self.records.get(name), last["before"], account="restore")


def stamps_of(doc: Doc) -> dict[str, str]:
    """The stamps of a record and of all its lines, by name."""
    found = {f"{doc['kind']} {doc['key']}": doc["stamp"]}
    for line in doc.get("lines", ()):
        found[f"{doc['kind']} line {doc['key']}/{line['key']}"] = line["stamp"]
    return found


def _answer(name: str, doc: Doc) -> Doc:
    return {
        "record": name,
        "key": doc["key"],
        "number": doc["number"],
        "state": doc["state"],
        "stamps": stamps_of(doc),
    }


def _only_part(after: Doc, before: Doc | None, keep: int | None) -> Doc:
    """What is left of a write that broke in the middle: fewer lines, or the lines as they were."""
    part = copy.deepcopy(after)
    if before is None:
        part["lines"] = part["lines"][: keep if keep is not None else max(len(part["lines"]) - 1, 0)]
    else:
        part["lines"] = copy.deepcopy(before.get("lines", []))
    return part


def _line(doc: Doc, key: str) -> Doc:
    for line in doc.get("lines", ()):
        if line["key"] == key:
            found: Doc = line
            return found
    raise Refused("not_found", f"There is no line {key} in {doc['number']}.", 404)


def _date(value: Any, name: str) -> str:
    try:
        return dt.date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        raise rejected(f"{name} must be a date such as 2026-12-01.") from None


def _positive(value: Any, name: str) -> str:
    if not isinstance(value, str) or not DECIMAL.fullmatch(value) or Decimal(value) <= 0:
        raise rejected(f"{name} must be a number above zero, in text.")
    return value


def _production(plant: Plant, body: Doc, *states: str) -> tuple[Doc, Doc]:
    before = plant.get("production", str(body.get("key")))
    if before["state"] not in states:
        raise rejected(
            f"{before['number']} is {before['state']}; this is possible only when {' or '.join(states)}."
        )
    if before.get("locked"):
        raise rejected(f"{before['number']} is locked: {before['locked']}")
    return before, copy.deepcopy(before)


def production_draft(plant: Plant, body: Doc, _account: str) -> tuple[Doc, Doc]:
    """Take a released order back to a draft."""
    before, after = _production(plant, body, "released")
    after["state"] = "draft"
    return before, after


def production_write(plant: Plant, body: Doc, _account: str) -> tuple[Doc, Doc]:
    """Write fields of a draft. A quantity alone leaves the materials as they are."""
    before, after = _production(plant, body, "draft", "requested")
    for name, value in body.get("values", {}).items():
        if name in {"planned_start", "planned_finish"}:
            after[name] = _date(value, name)
        elif name == "quantity":
            after[name] = _positive(value, name)
        elif name == "materials":
            after["lines"] = [
                {
                    "key": str(index),
                    "product": plant.get("product", str(line["product"]))["key"],
                    "quantity": _positive(line["quantity"], "quantity"),
                    "stamp": plant.next_stamp(),
                }
                for index, line in enumerate(value, 1)
            ]
        elif name == "reference":
            after[name] = str(value)
        else:
            raise rejected(f"A production order has no writable field {name!r}.")
    return before, after


def production_release(plant: Plant, body: Doc, _account: str) -> tuple[Doc, Doc]:
    """Release a draft."""
    before, after = _production(plant, body, "draft")
    after["state"] = "released"
    return before, after


def purchase_create(plant: Plant, body: Doc, _account: str) -> tuple[None, Doc]:
    """Make a draft purchase order. `unique_reference` is refused a second time; `reference` is not."""
    values = body.get("values", {})
    unique = values.get("unique_reference", "")
    taken = plant.holder_of(unique) if unique else None
    if taken is not None:
        raise Refused("duplicate", f"The reference {unique} is taken by {taken}.", 409, record=taken)
    supplier = plant.get("supplier", str(values.get("supplier")))
    if not supplier["active"]:
        raise rejected(f"{supplier['name']} is not an active supplier.")
    if not values.get("lines"):
        raise rejected("An order needs at least one line.")
    lines = []
    for index, line in enumerate(values["lines"], 1):
        product = plant.get("product", str(line["product"]))
        if line["unit"] != product["unit"]:
            raise rejected(f"{product['name']} is bought by the {product['unit']}.")
        if line["currency"] != supplier["currency"]:
            raise rejected(f"{supplier['name']} is paid in {supplier['currency']}.")
        lines.append(
            {
                "key": str(index),
                "product": product["key"],
                "quantity": _positive(line["quantity"], "quantity"),
                "unit_price": _positive(line["unit_price"], "unit_price"),
                "delivery_date": _date(line["delivery_date"], "delivery_date"),
                "received": "0",
                "stamp": plant.next_stamp(),
            }
        )
    plant.last_key += 1
    key = str(plant.last_key)
    return None, {
        "kind": "purchase",
        "key": key,
        "number": f"PO-{int(key):05d}",
        "reference": str(values.get("reference", "")),
        "unique_reference": unique,
        "state": "draft",
        "supplier": supplier["key"],
        "currency": supplier["currency"],
        "note": str(values.get("note", "")),
        "ordered_on": plant.now().date().isoformat(),
        "lines": lines,
    }


def purchase_write_line(plant: Plant, body: Doc, _account: str) -> tuple[Doc, Doc]:
    """Change a line of an order that is not done."""
    before = plant.get("purchase", str(body.get("key")))
    if before["state"] in {"done", "cancelled"}:
        raise rejected(f"{before['number']} is {before['state']}; nothing of it can be changed.")
    after = copy.deepcopy(before)
    line = _line(after, str(body.get("line")))
    for name, value in body.get("values", {}).items():
        if name == "delivery_date":
            line[name] = _date(value, name)
        elif name in {"quantity", "unit_price"}:
            line[name] = _positive(value, name)
        else:
            raise rejected(f"A purchase order line has no writable field {name!r}.")
    if Decimal(line["quantity"]) < Decimal(line["received"]):
        raise rejected(f"{line['received']} have been received already.")
    line["stamp"] = plant.next_stamp()
    return before, after


def sale_write(plant: Plant, body: Doc, _account: str) -> tuple[Doc, Doc]:
    """Write fields of an order that is not done."""
    before = plant.get("sale", str(body.get("key")))
    if before["state"] in {"done", "cancelled"}:
        raise rejected(f"{before['number']} is {before['state']}; nothing of it can be changed.")
    after = copy.deepcopy(before)
    for name, value in body.get("values", {}).items():
        if name == "promised_date":
            after[name] = _date(value, name)
        elif name == "reference":
            after[name] = str(value)
        else:
            raise rejected(f"A sales order has no writable field {name!r}.")
    return before, after


OPERATIONS: Mapping[str, Callable[[Plant, Doc, str], tuple[Doc | None, Doc]]] = {
    "production.draft": production_draft,
    "production.write": production_write,
    "production.release": production_release,
    "purchase.create": purchase_create,
    "purchase.write_line": purchase_write_line,
    "sale.write": sale_write,
}

SCOPES: Mapping[str, Mapping[str, list[str]]] = {
    "reader": {},
    "production_order_reschedule": {
        "production.draft": [],
        "production.write": ["planned_start", "planned_finish"],
        "production.release": [],
    },
    "production_order_quantity": {
        "production.draft": [],
        "production.write": ["quantity", "materials"],
        "production.release": [],
    },
    "production_order_release": {"production.release": []},
    "purchase_order_create": {
        "purchase.create": ["supplier", "lines", "note", "reference", "unique_reference"],
    },
    "purchase_order_line_change": {"purchase.write_line": ["quantity", "unit_price", "delivery_date"]},
    "sales_order_promise": {"sale.write": ["promised_date"]},
}
"""What each account may write: operation to fields. An account is named after its transaction type."""
