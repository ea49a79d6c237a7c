"""One account's way into one S/4HANA: its services by the names this adapter uses, and what their modules share.

Options of a connection: `url` (scheme, host, port), `client` (three digits, where the host serves several),
`timeout` in seconds (20 unless given), `oauth2` {"token_url", "scope"} for accounts of a token server, `services`
{name: path} where a path differs from SAP's, `users` {login: SAP user} where an account's user is called otherwise
inside, and for purchasing `company_code`, `purchasing_organization`, `purchasing_group`, `plant`, `order_type` (NB).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from integrations.contract import Account, Kind, Record, Rejected, Stale, Step, TransactionType, Unsupported
from integrations.odata.client import Service
from integrations.odata.host import Http
from integrations.odata.shapes import Entity

SOURCE = "SAP S/4HANA OData"

REFUSED = frozenset(
    {"OrderReleasedByMES", "CloseOrder", "DeletionFlagOrder", "DeletionIndOrder", "DiscardOrder"}
)
"""Never called, for nobody: a fact that only the shop floor knows, and what cannot be taken back."""

PATHS: Mapping[str, str] = {
    "production": "/sap/opu/odata/sap/API_PRODUCTION_ORDER_2_SRV",
    "purchase": "/sap/opu/odata4/sap/api_purchaseorder_2/srvd_a2x/sap/purchaseorder/0001",
    "supplier": "/sap/opu/odata/sap/API_BUSINESS_PARTNER",
    "info_record": "/sap/opu/odata/sap/API_INFORECORD_PROCESS_SRV",
}


def request_of(reference: str, step: Step) -> str:
    """The identifier of one step's request, the same whenever it is sent: 32 hexadecimal digits."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"countersign:{reference}/{step.name}").hex


class Sap:
    """The services of one system, for one account."""

    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        client = str(options.get("client") or "")
        parameters = {"parameters": {"sap-client": client}} if client else {}
        self.options = options
        self.http = Http({**options, **parameters}, account)
        self.user = str((options.get("users") or {}).get(account.login, account.login))
        paths = {**PATHS, **(options.get("services") or {})}
        self._services = {name: Service(self.http, path, refused=REFUSED) for name, path in paths.items()}

    def __repr__(self) -> str:
        return f"<Sap {self.http!r}>"

    def service(self, name: str) -> Service:
        """A service by the name this adapter uses. Unsupported for another name."""
        if name not in self._services:
            raise Unsupported(f"SAP has no service {name!r} here.")
        return self._services[name]

    def wanted(self, name: str) -> str:
        """An option that purchasing needs. Unsupported when the connection's settings lack it."""
        if not self.options.get(name):
            raise Unsupported(
                f"The connection's options lack {name!r}, which SAP wants for a purchase order."
            )
        return str(self.options[name])

    @property
    def login(self) -> str:
        """The account."""
        return self.http.login


@dataclass(frozen=True)
class View:
    """A document as it is: what it is called, its entities by stamp's name, and the root of them."""

    label: str
    root: Entity
    parts: Mapping[str, Entity]

    @property
    def stamps(self) -> dict[str, str]:
        """The stamps of the document and of every line shown."""
        return {name: stamp(entity) for name, entity in self.parts.items()}


COMPARED = "values "
"""How a stamp begins that is ours: the system gave no ETag, so what it shows is compared."""


def stamp(entity: Entity) -> str:
    """The entity's ETag, or where it has none a digest of all its values."""
    if entity.etag:
        return entity.etag
    shown = json.dumps(dict(entity.values), sort_keys=True, default=str)
    return COMPARED + hashlib.sha256(shown.encode()).hexdigest()[:32]


def guard(name: str, expect: Mapping[str, str]) -> str:
    """The ETag to send for a part: "" where the stamp is a comparison. Rejected without any stamp."""
    if not expect.get(name):
        raise Rejected(f"There is no stamp to compare with for {name}, so nothing was sent.")
    return "" if expect[name].startswith(COMPARED) else expect[name]


def compare(view: View, expect: Mapping[str, str]) -> None:
    """Refuse what has moved already, before anything is sent; what moves after this look, the ETag sent guards."""
    moved = sorted(name for name, value in expect.items() if view.stamps.get(name) != value)
    if moved:
        raise Stale(f"{view.label} is not what was approved any more.", evidence={"moved": moved[:20]})


def now() -> dt.datetime:
    """When a reading was taken."""
    return dt.datetime.now(dt.UTC)


def text(entity: Entity, name: str) -> str:
    """A text; SAP's "" and " " and a missing one are the same."""
    return str(entity.values.get(name) or "").strip()


def flag(entity: Entity, name: str) -> bool:
    """A flag, as a truth value or as SAP's X."""
    value = entity.values.get(name)
    return value if isinstance(value, bool) else text(entity, name) == "X"


def number(entity: Entity, name: str) -> Decimal:
    """A number; nothing is zero."""
    return Decimal(str(entity.values.get(name) or 0))


def day(entity: Entity, name: str) -> str | None:
    """A day in ISO 8601, however the service writes it."""
    value = text(entity, name)
    return value[:10] if value else None


def plain(value: Decimal) -> str:
    """A decimal in text, without exponent and trailing zeros."""
    words = format(value, "f")
    return words.rstrip("0").rstrip(".") if "." in words else words


def money(amount: Decimal, currency: str) -> dict[str, str]:
    """Money with at least two and at most six decimal places."""
    words = plain(amount.quantize(Decimal("0.000001")))
    places = len(words.partition(".")[2])
    return {"amount": words if places >= 2 else f"{amount:.2f}", "currency": currency}  # noqa: PLR2004 cents


def reads_as(found: Record, expected: Record, type_: TransactionType) -> bool:
    """Whether a record is as expected: field by field by its kind, lines in their order."""
    fields = {one.path: one for one in type_.fields}
    if not all(
        _equal(found.fields.get(name), expected.fields.get(name), one.kind, one.tolerance)
        for name, one in fields.items()
        if "[]." not in name
    ):
        return False
    for name, wanted in expected.lines.items():
        there: Sequence[Mapping[str, Any]] = found.lines.get(name, ())
        if len(there) != len(wanted):
            return False
        for path, one in fields.items():
            part = path.removeprefix(f"{name}[].")
            if part != path and not all(
                _equal(a.get(part), b.get(part), one.kind, one.tolerance)
                for a, b in zip(there, wanted, strict=True)
            ):
                return False
    return True


def _equal(found: Any, expected: Any, kind: Kind, tolerance: Decimal) -> bool:
    if kind not in {Kind.QUANTITY, Kind.MONEY} or found is None or expected is None:
        return bool(found == expected)
    value, unit = ("value", "unit") if kind is Kind.QUANTITY else ("amount", "currency")
    near = abs(Decimal(found[value]) - Decimal(expected[value])) <= tolerance
    return near and bool(found[unit] == expected[unit])
