"""Orders in trouble, for people: the read tool `order_status_exceptions`, asked live.

The one page that waits for a system. It asks at most once in `FRESH` seconds per connection and keeps the answer
for a day, so that with the system away people see the last one, with its age. A person's look makes no reading:
readings are what agents rest proposals on.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from console.catalogue import specs
from console.errors import CountersignError, Missing
from console.models import Connection, Reading
from console.reads.read import show
from console.web.guards import signed_in
from integrations.contract import AdapterError

TOOL = "order_status_exceptions"
MOST = 200
FRESH = 60
KEEP = 24 * 3600

KINDS = {
    "production": ("Production", "factory"),
    "purchase": ("Purchases", "shopping-cart"),
    "sale": ("Sales", "truck"),
}
PROBLEMS = {
    "late": ("Late", "clock-alert", "bad"),
    "short_of_material": ("Short of material", "package-x", "warn"),
    "unconfirmed": ("Unconfirmed", "circle-question-mark", "warn"),
    "blocked": ("Blocked", "ban", "bad"),
}


def page(request: HttpRequest) -> HttpResponse:
    """The exceptions of one connection, filtered by kind and problem. `fresh=1` asks the system again."""
    places = [
        one
        for one in Connection.objects.filter(enabled=True).select_related("system").order_by("title")
        if one.name in specs() and TOOL in specs()[one.name].adapter.tools
    ]
    name = request.GET.get("connection", "") or (places[0].name if places else "")
    place = next((one for one in places if one.name == name), None)
    if name and place is None:
        raise Missing(f"there is no connection {name} that can list exceptions")
    answer, why = _answer(request, place) if place is not None else (None, "")
    rows: list[dict[str, Any]] = answer["exceptions"] if answer is not None else []
    kind, problem = request.GET.get("kind", ""), request.GET.get("problem", "")
    context = {
        "places": places,
        "place": place,
        "answer": answer,
        "why": why,
        "kind": kind,
        "problem": problem,
        "kinds": _counted(KINDS, rows, "kind", problem=problem),
        "problems": _counted(PROBLEMS, rows, "problem", kind=kind),
        "rows": [
            {**row, "icon": KINDS[row["kind"]][1], "words": PROBLEMS[row["problem"]]}
            for row in rows
            if kind in {"", row["kind"]} and problem in {"", row["problem"]}
        ],
        "beyond": answer["found"] - len(rows) if answer is not None else 0,
    }
    return render(request, "exceptions/list.html" if request.htmx else "exceptions/page.html", context)  # type: ignore[attr-defined]


def _answer(request: HttpRequest, place: Connection) -> tuple[dict[str, Any] | None, str]:
    """The answer to show, and why it is not a new one ("" if it is)."""
    key = f"exceptions:{place.name}"
    kept: dict[str, Any] | None = cache.get(key)
    if kept is not None and "fresh" not in request.GET and _age(kept) < FRESH:
        return kept, ""
    try:
        found = show(signed_in(request), TOOL, {"limit": MOST}, connection=place)
    except (AdapterError, CountersignError) as fault:
        return kept or _last_reading(place), fault.text
    made = {**found.value, "as_of": found.as_of, "source": found.source, "quality": found.quality.value}
    made["asked_at"] = timezone.now()
    cache.set(key, made, KEEP)
    return made, ""


def _last_reading(place: Connection) -> dict[str, Any] | None:
    """What an agent was last told, when nobody has looked today."""
    last = (
        Reading.objects.filter(
            tool=TOOL, connection=place, outcome="answered", at__gt=timezone.now() - dt.timedelta(days=7)
        )
        .order_by("-id")
        .first()
    )
    if last is None or last.answer is None:
        return None
    return {
        **last.answer,
        "as_of": last.as_of,
        "source": last.source,
        "quality": last.quality,
        "asked_at": last.at,
    }


def _age(kept: dict[str, Any]) -> float:
    return float((timezone.now() - kept["asked_at"]).total_seconds())


def _counted(
    known: Mapping[str, tuple[str, ...]], rows: list[dict[str, Any]], name: str, **other: str
) -> list[dict[str, Any]]:
    count = Counter(row[name] for row in rows if all(value in {"", row[key]} for key, value in other.items()))
    return [{"name": one, "title": told[0], "count": count[one]} for one, told in known.items()]
