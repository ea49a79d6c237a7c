"""Suppliers and what they sell: API_BUSINESS_PARTNER and API_INFORECORD_PROCESS_SRV (OData V2), only read.

Whether a supplier sells a material is said by its purchasing info record in the connection's purchasing organization
and plant; the price there is for a number of units, and is given here for one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from integrations.contract import Rejected
from integrations.odata.shapes import Entity
from integrations.sap.system import Sap, flag, money, number, plain, text

MOST_RECORDS = 200


def one(sap: Sap, key: str) -> tuple[Entity, dict[str, Any]] | None:
    """The supplier and {"key", "name", "currency", "active"}, None when there is none in this organization."""
    service = sap.service("supplier")
    found = service.one("A_Supplier", {"Supplier": key})
    organization = sap.wanted("purchasing_organization")
    where = {"Supplier": key, "PurchasingOrganization": organization}
    terms = service.one("A_SupplierPurchasingOrg", where) if found else None
    if found is None or terms is None:
        return None
    blocked = any(flag(found, name) for name in ("PurchasingIsBlocked", "DeletionIndicator"))
    blocked |= any(flag(terms, name) for name in ("PurchasingIsBlockedForSupplier", "DeletionIndicator"))
    about = {
        "key": text(found, "Supplier"),
        "name": text(found, "SupplierName"),
        "currency": text(terms, "PurchaseOrderCurrency"),
        "active": not blocked,
    }
    return found, about


def name_of(sap: Sap, key: str) -> str:
    """A supplier's name, its key where it has none."""
    found = sap.service("supplier").one("A_Supplier", {"Supplier": key})
    return (text(found, "SupplierName") if found else "") or key


def sold(sap: Sap, supplier: str, material: str = "") -> list[dict[str, Any]]:
    """What the supplier sells, by its info records: the entries of a catalogue, each with its `key`."""
    where = [("Supplier", "eq", supplier), *([("Material", "eq", material)] if material else [])]
    organization, plant = sap.wanted("purchasing_organization"), sap.wanted("plant")
    records = sap.service("info_record").rows(
        "A_PurchasingInfoRecord",
        where,
        expand=["to_PurgInfoRecdOrgPlantData"],
        order="PurchasingInfoRecord",
        most=MOST_RECORDS,
    )
    found = []
    for record in records.entities:
        terms = _terms(record.linked.get("to_PurgInfoRecdOrgPlantData", ()), organization, plant)
        if flag(record, "IsDeleted") or not text(record, "Material"):
            continue
        found.append(_entry(record, terms))
    return found


def _terms(lines: Iterable[Entity], organization: str, plant: str) -> Entity | None:
    """The plant's own terms, else those of the whole organization."""
    ours = [
        one
        for one in lines
        if text(one, "PurchasingOrganization") == organization
        and text(one, "Plant") in {plant, ""}
        and not flag(one, "IsMarkedForDeletion")
    ]
    return max(ours, key=lambda one: text(one, "Plant"), default=None)


def _entry(record: Entity, terms: Entity | None) -> dict[str, Any]:
    material, unit = text(record, "Material"), text(record, "PurgDocOrderQuantityUnit")
    entry: dict[str, Any] = {
        "key": material,
        "label": material,
        "unit": unit,
        "digits": None,
        "supplied": terms is not None,
        "last_price": None,
        "usual_quantity": None,
        "minimum": None,
        "lead_days": None,
    }
    if terms is None:
        return entry
    per = number(terms, "MaterialPriceUnitQty") or 1
    if text(terms, "PurchaseOrderPriceUnit") in {unit, ""} and number(terms, "NetPriceAmount"):
        entry["last_price"] = money(number(terms, "NetPriceAmount") / per, text(terms, "Currency"))
    for name, there in (
        ("usual_quantity", "StandardPurchaseOrderQuantity"),
        ("minimum", "MinimumPurchaseOrderQuantity"),
    ):
        entry[name] = plain(number(terms, there)) if number(terms, there) else None
    if days := number(terms, "MaterialPlannedDeliveryDurn"):
        entry["lead_days"] = int(days)
    return entry


def read(sap: Sap, arguments: Any) -> dict[str, Any]:
    """The read tool `supplier`."""
    found = one(sap, arguments.supplier)
    if found is None:
        raise Rejected(f"SAP has no supplier {arguments.supplier!r} in this purchasing organization.")
    about = found[1]
    return {
        **about,
        "products": [
            {
                "product": entry["key"],
                "code": entry["key"],
                "name": entry["label"],
                "unit": entry["unit"],
                "last_price": entry["last_price"],
                "usual_quantity": _quantity(entry["usual_quantity"], entry["unit"]),
                "minimum": _quantity(entry["minimum"], entry["unit"]),
                "lead_days": entry["lead_days"],
            }
            for entry in sold(sap, arguments.supplier)
            if entry["supplied"]
        ],
    }


def _quantity(value: str | None, unit: str) -> dict[str, str] | None:
    return {"value": value, "unit": unit} if value else None
