"""Tryton as it was at a moment: the questions of the read tools, answered from its own history tables.

Orders and their lines keep every version (`sale_history`, `purchase_history`): asked with `_datetime`, Tryton answers
with the one of then. Everything else has only its present row and the times of its making and its last write, so a row
counts as it is if nobody wrote it since, is left out if it was made later, and is otherwise not proven. What was
deleted without history leaves no trace; so nothing is proven of what is on its way of an order being processed, which
Tryton keeps in stock moves and shipments that it deletes and makes anew.

Taken for granted: that nobody renamed a unit, a currency, a place or the company (`STANDING`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from integrations.contract import Rejected
from integrations.tryton.client import Client

STANDING = frozenset({"product.uom", "currency.currency", "company.company", "stock.location"})
IDENTITY = frozenset({"id", "product", "template", "party", "origin"})
"""Fields of records without history that nobody changes: a question by them had the same records then."""
_MOVING = frozenset({"moves", "shipments"})
_UNDER_WAY = frozenset({"processing", "done"})
_STOCK = frozenset({"quantity", "forecast_quantity"})
_KINDS = ("many2one", "one2many", "many2many")


@dataclass
class Proofs:
    """What was asked once, for many moments: what fields lead to, which models keep history, what was written when."""

    relations: dict[tuple[str, str], tuple[str, str] | None] = field(default_factory=dict)
    versioned: dict[str, bool] = field(default_factory=dict)
    written: dict[str, list[tuple[dt.datetime, dt.datetime]]] = field(default_factory=dict)


class Unproven(Exception):
    """What was so then cannot be told. The text says why, in words that are the same for the same reason."""


class AsOf(Client):
    """A client whose reads are of `moment` (aware). It cannot write.

    `lenient`: records of a list that cannot be proven are left out of it, and `left_out` says so, instead of ending
    the read with Unproven.
    """

    def __init__(self, live: Client, moment: dt.datetime, proofs: Proofs, *, lenient: bool = False) -> None:
        # The same session and sockets.
        vars(self).update(vars(live))
        self.moment, self.lenient, self.left_out = moment.astimezone(dt.UTC), lenient, False
        self._then, self._seen = self.moment.replace(tzinfo=None), proofs
        self._known: dict[str, list[dict[str, Any]]] = {}

    def now(self) -> dt.datetime:
        """The moment."""
        return self.moment

    def rpc(self, method: str, *parameters: Any, writes: bool = False) -> Any:
        """One call, of which none may write."""
        if writes:
            raise Rejected("The past cannot be written.")
        return super().rpc(method, *parameters)

    def search_read(
        self,
        model: str,
        domain: Sequence[Any],
        fields: Sequence[str],
        *,
        limit: int | None = None,
        order: Sequence[tuple[str, str]] | None = None,
        offset: int = 0,
        **context: Any,
    ) -> list[dict[str, Any]]:
        """Rows as they were; Unproven where that cannot be told."""
        asked = repr((model, domain, fields, limit, order, offset, sorted(context.items())))
        if asked not in self._known:
            self._whole(model, domain)
            rows = self._rows(model, domain, fields, order, context)
            rows = [row for row in rows if self._stood(model, row)]
            if model == "product.product" and _STOCK & set(fields):
                self._stock_stood([row["id"] for row in rows], forecast="forecast_quantity" in fields)
            self._known[asked] = rows[offset:][:limit]
        return self._known[asked]

    def _rows(
        self,
        model: str,
        domain: Sequence[Any],
        fields: Sequence[str],
        order: Sequence[tuple[str, str]] | None,
        context: dict[str, Any],
    ) -> list[dict[str, Any]]:
        cut = {**context, **_cut(self._then)}
        if model in STANDING or not self._keeps_history(model):
            if model not in STANDING:
                domain = [list(domain), ("create_date", "<=", self._then)]
            return super().search_read(model, domain, self._proofs(model, fields), order=order, **cut)
        # Tryton joins histories in a time that grows with their square: so it is asked for few records, by what is
        # theirs alone; what is asked of others through them, and the order, are looked at here.
        own = [clause for clause in domain if "." not in clause[0]]
        others = [clause for clause in domain if "." in clause[0]]
        maybe = [("create_date", "<=", self._then), ["OR", ("write_date", ">", self._then), own]]
        known = super().search_read(model, maybe, ["id"])
        wanted = [*fields, *(clause[0] for clause in others), *(name for name, _ in order or ())]
        rows = super().search_read(
            model, [*own, ("id", "in", [row["id"] for row in known])], self._proofs(model, wanted), **cut
        )
        rows = [row for row in rows if all(_fits(row, clause) for clause in others)]
        for name, way in reversed(order or ()):
            rows.sort(key=lambda row: _sortable(_at(row, name)), reverse=way == "DESC")
        return rows

    # What proves it

    def _proofs(self, model: str, fields: Sequence[str]) -> list[str]:
        """The fields, and when every record on the way to them was made and written."""
        wanted = dict.fromkeys([*fields, "create_date", "write_date"])
        prefixes = {name.rsplit(".", depth)[0] for name in fields for depth in range(1, name.count(".") + 1)}
        for prefix in sorted({"", *prefixes}):
            here = f"{prefix}." if prefix else ""
            wanted |= dict.fromkeys([f"{here}create_date", f"{here}write_date"])
            at = self._model_at(model, prefix)
            if at == "purchase.line" and f"{here}delivery_date" in fields:
                more = (
                    "delivery_date_edit",
                    "delivery_date_store",
                    "moves.create_date",
                    "purchase.delivery_date",
                )
                wanted |= dict.fromkeys(f"{here}{name}" for name in more)
            if at == "product.product" and here + "rec_name" in fields:
                wanted |= dict.fromkeys([f"{here}template.create_date", f"{here}template.write_date"])
        return list(wanted)

    def _stood(self, model: str, row: dict[str, Any]) -> bool:
        """Whether the record was there, with what hangs on it put right. Unproven where that cannot be told."""
        try:
            return self._put_right(model, row)
        except Unproven:
            if not self.lenient:
                raise
            self.left_out = True
            return False

    def _put_right(
        self, model: str, row: dict[str, Any], *, linked: bool = False, under_way: bool = False
    ) -> bool:
        if model not in STANDING and not self._keeps_history(model):
            # What a record of then points to was there then, whatever its time of making says.
            if not linked and row["create_date"] > self._then:
                return False
            if row["write_date"] is not None and row["write_date"] > self._then:
                raise Unproven(f"it needs what was written since and has no history: {model}")
        under_way = under_way or row.get("state") in _UNDER_WAY
        if under_way and _MOVING & {name.rstrip(".") for name in row}:
            raise Unproven(
                "it was being processed: what is on its way is in stock moves, which have no history"
            )
        if model == "purchase.line" and "delivery_date_store" in row:
            _date(row, self._then)
        for name in [name for name in row if name.endswith(".") and row[name]]:
            kind, to = self._relation(model, name[:-1]) or ("", "")
            if kind == "many2one":
                self._put_right(to, row[name], linked=True)
                continue
            row[name] = [one for one in row[name] if self._put_right(to, one, under_way=under_way)]
            row[name[:-1]] = [one["id"] for one in row[name]]
        return True

    def _whole(self, model: str, domain: Sequence[Any]) -> None:
        """That no record without history was written since which the question might have found then."""
        if model in STANDING or self._keeps_history(model):
            return
        question = [*_by_identity(domain), ("write_date", "!=", None)]
        asked = repr((model, question))
        if asked not in self._seen.written:
            rows = super().search_read(model, question, ["create_date", "write_date"])
            self._seen.written[asked] = [(row["create_date"], row["write_date"]) for row in rows]
        if not any(made <= self._then < last for made, last in self._seen.written[asked]):
            return
        if not self.lenient:
            raise Unproven(f"it needs what was written since and has no history: {model}")
        self.left_out = True

    def _stock_stood(self, products: Sequence[int], *, forecast: bool) -> None:
        """That no stock move which counts was booked, moved or taken back since."""
        later: list[Any] = [("create_date", ">", self._then)]
        if not forecast:
            # What was made later counts then only if it was dated back.
            today = self.moment.date()
            dated = [("effective_date", "=", None), ("planned_date", "<=", today)]
            later.append(["OR", ("effective_date", "<=", today), dated])
        changed = [("create_date", "<=", self._then), ("write_date", ">", self._then)]
        domain = [("product", "in", list(products)), ["OR", later, changed]]
        if self.call("stock.move", "search_count", domain):
            raise Unproven("it needs stock that was booked since: stock moves have no history")

    # What the ERP says of its models

    def _model_at(self, model: str, path: str) -> str:
        for name in path.split(".") if path else ():
            found = self._relation(model, name)
            if found is None:
                return ""
            model = found[1]
        return model

    def _relation(self, model: str, name: str) -> tuple[str, str] | None:
        """Kind and model that a field leads to, None for a plain one."""
        known = self._seen.relations
        if (model, name) not in known:
            told = self.call(model, "fields_get", [name]).get(name, {})
            leads = told.get("type") in _KINDS and told.get("relation")
            known[model, name] = (told["type"], told["relation"]) if leads else None
        return known[model, name]

    def _keeps_history(self, model: str) -> bool:
        known = self._seen.versioned
        if model not in known:
            try:
                self.call(model, "history_revisions", [0])
            except Rejected:
                known[model] = False
            else:
                known[model] = True
        return known[model]


def _cut(then: dt.datetime) -> dict[str, Any]:
    """The cut: everything that Tryton keeps history of is read as it was at `then` (naive UTC)."""
    return {"_datetime": then}


def _at(row: dict[str, Any], path: str) -> Any:
    """A field of a row, or of the one that it points to."""
    *before, last = path.split(".")
    for name in before:
        row = row.get(f"{name}.") or {}
    return row.get(last)


def _sortable(value: Any) -> tuple[bool, Any]:
    return value is not None, value


def _fits(row: dict[str, Any], clause: Sequence[Any]) -> bool:
    path, operator, wanted = clause
    if operator == "in":
        return _at(row, path) in wanted
    if operator == "=":
        return bool(_at(row, path) == wanted)
    raise ValueError(f"{operator} is not asked of the past")


def _date(line: dict[str, Any], then: dt.datetime) -> None:
    """A line's day of delivery as it was: Tryton takes it from stock moves as soon as there are some."""
    if all(move["create_date"] <= then for move in line.get("moves.") or []):
        return
    if line["delivery_date_edit"]:
        line["delivery_date"] = line["delivery_date_store"]
    elif (line.get("purchase.") or {}).get("delivery_date"):
        line["delivery_date"] = line["purchase."]["delivery_date"]
    else:
        raise Unproven("its day of delivery was computed and never written")


def _by_identity(domain: Sequence[Any]) -> list[Any]:
    """The part of a question that had the same answer then."""
    return [
        clause
        for clause in domain
        if isinstance(clause, (tuple, list)) and clause and clause[0] in IDENTITY and len(clause) > 2  # noqa: PLR2004
    ]
