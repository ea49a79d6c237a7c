"""The value ledger: what agents saved and what was caught, with method and n; and where baselines are written down."""

from __future__ import annotations

import csv
import io
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from console import access, audit
from console.audit_search import inert
from console.catalogue import specs, transaction_types
from console.errors import Refused
from console.evals import value
from console.evals.value import Ledger
from console.models import Baseline, Connection
from console.web import plots
from console.web.guards import actor, signed_in

WINDOWS = (30, 90, 365)
"""Days that can be looked at."""
NEWEST = 20
"""Baselines that the page shows of each type."""
COLUMNS = (
    "transaction_type",
    "connection",
    "days",
    "proposed",
    "judged",
    "committed",
    "reviewed",
    "baselines",
    "baseline_minutes",
    "reviews_measured",
    "review_minutes",
    "hours_saved",
    "hours_low",
    "hours_high",
    "insufficient_data",
)


def page(request: HttpRequest) -> HttpResponse:
    """Hours saved and errors caught, by transaction type and connection."""
    return _page(request)


def measure(request: HttpRequest) -> HttpResponse:
    """Write down one timed baseline. What was not right comes back as it was given, with what would be."""
    name, _, type_name = request.POST.get("what", "").partition(":")
    try:
        value.measure(
            transaction_type=type_name,
            connection=_connection(name),
            minutes=request.POST.get("minutes", ""),
            timed_on=request.POST.get("timed_on", ""),
            how=request.POST.get("how", ""),
            by=signed_in(request),
            actor=actor(request),
        )
    except Refused as refused:
        return _page(request, fault=refused, status=422)
    messages.success(request, "The baseline is written down.")
    return redirect("value")


def as_csv(request: HttpRequest) -> HttpResponse:
    """The same as a file for a spreadsheet. The export is itself an entry."""
    days = _days(request)
    kept = io.StringIO()
    writer = csv.writer(kept)
    kinds = [name for name, _, _ in value.KINDS]
    writer.writerow([*COLUMNS, *(f"caught_{name}" for name in kinds)])
    for one in value.ledger(days=days):
        writer.writerow([inert(cell) for cell in _cells(one)])
    audit.record_alone(
        "audit.export",
        actor=actor(request),
        chain="console",
        subject="the value ledger as csv",
        detail={"days": days},
    )
    response = HttpResponse(kept.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = (
        f'attachment; filename="countersign-value-{timezone.now():%Y%m%d-%H%M}.csv"'
    )
    return response


def _connection(name: str) -> Connection:
    found = Connection.objects.filter(name=name).first()
    if found is None or name not in specs():
        raise Refused("choose what was timed")
    return found


def _cells(one: Ledger) -> list[object]:
    hours = one.hours
    return [
        one.name,
        one.connection.name,
        one.days,
        one.proposed,
        one.judged,
        one.committed,
        one.reviewed,
        one.baseline.n,
        f"{one.baseline.mean:.2f}" if one.baseline.enough else "",
        one.review.n,
        f"{one.review.mean:.2f}" if one.review.enough else "",
        *((f"{each:.2f}" for each in (hours.saved, hours.low, hours.high)) if hours else ("", "", "")),
        one.missing,
        *(found.share.count for found in one.caught),
        *("" for _ in range(len(value.KINDS) - len(one.caught))),
    ]


def _page(request: HttpRequest, *, fault: Exception | None = None, status: int = 200) -> HttpResponse:
    days = _days(request)
    configures = bool(access.roles(request.user) & access.CONFIGURES)
    context = {
        "ledgers": [_shown(one) for one in value.ledger(days=days)],
        "enough": value.ENOUGH,
        "days": days,
        "windows": [(each, f"{each} days") for each in WINDOWS],
        "configures": configures,
        "choices": _choices() if configures else [],
        "fault": fault,
        "given": request.POST,
        "today": timezone.now().date().isoformat(),
    }
    return render(request, "figures/value.html", context, status=status)


def _shown(one: Ledger) -> dict[str, Any]:
    hours = one.hours
    timed = Baseline.objects.filter(transaction_type=one.name, connection=one.connection).select_related("by")
    return {
        "ledger": one,
        "told": f"{hours.saved:.1f} hours" if hours else "Insufficient data",
        "interval": f"{hours.low:.1f} to {hours.high:.1f} hours with 95 % confidence" if hours else "",
        "negative": hours is not None and hours.saved < 0,
        "baseline": f"{one.baseline.mean:.1f} min" if one.baseline.enough else "",
        "review": f"{one.review.mean:.1f} min" if one.review.enough else "",
        "caught": [
            (found, plots.share(found.title, found.share, "judged", found.method)) for found in one.caught
        ],
        "baselines": timed.order_by("-id")[:NEWEST],
    }


def _choices() -> list[tuple[str, str]]:
    """What can be timed: the value of the field, and its words."""
    types = transaction_types()
    return sorted(
        (
            (f"{connection.name}:{name}", f"{types[name].title}, {connection.title}")
            for connection in Connection.objects.all()
            if connection.name in specs()
            for name in specs()[connection.name].adapter.types
            if name in types
        ),
        key=lambda choice: choice[1],
    )


def _days(request: HttpRequest) -> int:
    given = request.GET.get("days", "")
    return int(given) if given.isascii() and given.isdigit() and int(given) in WINDOWS else WINDOWS[0]
