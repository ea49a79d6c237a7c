"""What stands beside a decision and a grant: how good this agent version has been here, always with n."""

from __future__ import annotations

from typing import Any

from console.evals import shadow
from console.models import Proposal, ShadowLook, State
from console.web import rendering
from integrations.contract import Kind, TransactionType


def in_shadow(proposal: Proposal, type_: TransactionType | None) -> dict[str, Any] | None:
    """What people did in the place of a shadow proposal, in words; None for any other. Two statements."""
    if proposal.state != State.SHADOWED:
        return None
    look = ShadowLook.objects.filter(proposal=proposal).order_by("-id").first()
    kinds = {one.path: one.kind for one in type_.fields} if type_ is not None else {}
    rows = [
        {"label": one["label"]}
        | {
            side: rendering.words(one[side], kinds.get(str(one["path"]), Kind.TEXT))
            for side in ("before", "proposed", "done")
        }
        for one in (look.differences if look is not None else ())
    ]
    return {
        "look": look,
        "rows": rows,
        "ends": proposal.state_since + shadow.WINDOW,
        "agreed": shadow.agreement(proposal.grant_id),
    }
