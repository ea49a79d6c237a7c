"""What a robot saw at a screen: the pictures and trees of a proposal, each with the digest that the audit log names."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse

from console import access
from console.errors import Missing, Refused
from console.models import Exhibit, Proposal
from console.web.guards import signed_in

SHOWN = {"image/png": "image/png", "text/yaml": "text/plain; charset=utf-8"}
"""What is shown to a browser, as what; nothing else is."""


@dataclass(frozen=True)
class Screen:
    """One moment at a screen: its picture, its tree, and at which attempt it was (0: when it was read)."""

    name: str
    attempt: int
    picture: Exhibit | None
    tree: Exhibit | None


def of(proposal: Proposal) -> list[Screen]:
    """The screens of a proposal in the order they were seen."""
    found: list[Screen] = []
    rows = Exhibit.objects.filter(proposal=proposal).select_related("attempt").defer("content").order_by("id")
    for row in rows:
        attempt = row.attempt.number if row.attempt is not None else 0
        picture, tree = (row, None) if row.media_type == "image/png" else (None, row)
        last = found[-1] if found else None
        if tree and last and (last.name, last.attempt, last.tree) == (row.name, attempt, None):
            found[-1] = Screen(row.name, attempt, last.picture, tree)
        else:
            found.append(Screen(row.name, attempt, picture, tree))
    return found


def content(request: HttpRequest, ref: str, pk: int) -> HttpResponse:
    """The bytes of one exhibit. Refused when they do not have their digest any more."""
    mine = access.visible_to(signed_in(request)).select_related(None).filter(ref=ref)
    one = Exhibit.objects.filter(proposal__in=mine.values("pk"), pk=pk).first()
    if one is None:
        raise Missing(f"There is no such evidence of {ref}.")
    kept = bytes(one.content)
    if not kept:
        raise Missing("It was too large to be kept; the audit log has its digest.")
    if hashlib.sha256(kept).hexdigest() != one.sha256 or one.media_type not in SHOWN:
        raise Refused("What is kept does not have the digest that was recorded; tell the administrators.")
    response = HttpResponse(kept, content_type=SHOWN[one.media_type])
    response["Content-Disposition"] = "inline"
    response["X-Content-Type-Options"] = "nosniff"
    return response
