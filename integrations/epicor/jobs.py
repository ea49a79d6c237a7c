"""Jobs: reading them only.

Kinetic's own field help says of JobHead.StartDate and DueDate that they are "not directly user maintainable" but
calculated by scheduling, and of ProdQty that it is "not directly maintainable" but follows the job's demand. So neither
`production_order_reschedule` nor `production_order_quantity` has a call that does just what a person approved.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from integrations.epicor import values
from integrations.epicor.client import Client

SERVICE = "Erp.BO.JobEntrySvc"


def state(head: Mapping[str, Any]) -> str:
    """Our word for a job's flags."""
    if head.get("JobClosed") or head.get("JobComplete"):
        return "done"
    if values.number(head.get("QtyCompleted")) > 0:
        return "started"
    if head.get("JobReleased"):
        return "released"
    return "requested" if head.get("JobFirm") else "draft"


def production_order(client: Client, arguments: Any) -> dict[str, Any]:
    """One job with its materials."""
    company, number = client.company(arguments.order, "job")
    answer = client.compute(company, SERVICE, "GetByID", {"jobNum": number})
    found = answer.get("returnObj") or {}
    head = values.row(found, "JobHead", f"job {arguments.order}")
    materials: dict[str, dict[str, Any]] = {}
    for row in found.get("JobMtl") or ():
        part = str(row["PartNum"])
        before = Decimal(materials[part]["needed"]["value"]) if part in materials else Decimal(0)
        needed = values.quantity(before + values.number(row.get("RequiredQty")), str(row.get("IUM") or ""))
        materials[part] = {
            "product": part,
            "code": part,
            "name": str(row.get("Description") or part),
            "needed": needed,
            "available": None,
        }
    return {
        "key": f"{company}/{head['JobNum']}",
        "number": str(head["JobNum"]),
        "reference": str(head.get("JobCode") or ""),
        "state": state(head),
        "product": str(head["PartNum"]),
        "product_name": str(head.get("PartDescription") or head["PartNum"]),
        "quantity": values.quantity(head["ProdQty"], str(head.get("IUM") or "")),
        "planned_start": values.day(head.get("StartDate")),
        "planned_finish": values.day(head.get("DueDate")),
        "needed_by": values.day(head.get("ReqDueDate")),
        "materials": list(materials.values()),
    }
