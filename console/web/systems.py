"""Systems: the connections into them, what each carries, and what the probe proved about its accounts."""

from __future__ import annotations

import datetime as dt

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from console import access, dispatch
from console.catalogue import READER, Spec, read_tools, specs, transaction_types
from console.errors import Missing, Refused
from console.models import Connection, Incident, LogWatch, Probe, Reading, System
from console.reads.listen import freshness
from console.registry import connections as registry
from console.registry.capabilities import MEANS
from console.web.guards import actor, signed_in

SILENCE = dt.timedelta(minutes=1)
"""A connection that is listened on and gives no proof of life for so long is shown as silent."""

PATIENCE = dt.timedelta(seconds=90)
"""How long a page waits for a test of the accounts before it says that no worker answered."""


def page(request: HttpRequest) -> HttpResponse:
    """Every connection under its system."""
    found = [
        _with_proofs(_with_health(one))
        for one in Connection.objects.select_related("system", "verified_by", "listening").order_by("title")
    ]
    systems = [
        (system, [one for one in found if one.system_id == system.pk])
        for system in System.objects.order_by("-level", "title")
    ]
    return render(request, "systems/page.html", {"systems": systems, "configures": _configures(request)})


def connection(request: HttpRequest, name: str) -> HttpResponse:
    """One connection. With `tested=<time>` it waits for probes newer than that."""
    one = _with_health(_connection(name))
    context = {
        "connection": one,
        "configures": _configures(request),
        "incidents": Incident.objects.filter(connection=one, lifted_at__isnull=True).order_by("-id"),
        "newest": _newest(one),
        "by_hand": one.spec is not None and one.spec.adapter.by_hand,  # type: ignore[attr-defined]
        **_accounts(request, one),
    }
    return render(request, "systems/accounts.html" if request.htmx else "systems/connection.html", context)  # type: ignore[attr-defined]


def test(request: HttpRequest, name: str) -> HttpResponse:
    """Ring for a worker that asks whether it answers, and tries what its accounts must be refused."""
    one = _connection(name)
    if not one.enabled:
        raise Refused(f"{one.title} is switched off; switch it on first")
    if not dispatch.ring("console.tasks.test_connection", name):
        messages.error(
            request, "No worker could be called: the broker does not answer. It is tried again every hour."
        )
        return redirect("system", name=name)
    return redirect(f"{reverse('system', kwargs={'name': name})}?tested={timezone.now():%Y-%m-%dT%H:%M:%SZ}")


def disable(request: HttpRequest, name: str) -> HttpResponse:
    """Switch it off, at once."""
    reason = request.POST.get("reason", "").strip()
    if not reason:
        raise Refused("say why; everybody sees it")
    one = registry.disable(_connection(name), reason=reason, by=signed_in(request), actor=actor(request))
    messages.warning(request, f"{one.title} is switched off. Nothing is read or written through it.")
    return redirect("system", name=name)


def enable(request: HttpRequest, name: str) -> HttpResponse:
    """Ask a second person to switch it on."""
    asked = registry.enable(_connection(name), by=signed_in(request), actor=actor(request))
    messages.info(request, f"Asked for: {asked.text}. A second person has to confirm it.")
    return redirect("system", name=name)


def _connection(name: str) -> Connection:
    found = Connection.objects.select_related("system", "verified_by", "listening").filter(name=name).first()
    if found is None:
        raise Missing(f"there is no connection {name}")
    return found


def _with_health(one: Connection) -> Connection:
    """Put on a connection what its page says of it: `spec`, `listens`, `health` and `tone`."""
    spec: Spec | None = specs().get(one.name)
    one.spec = spec  # type: ignore[attr-defined]
    ok, bad = one.last_ok_at, one.last_error_at if one.last_error else None
    if spec is None:
        health, tone = "No longer in the settings", "bad"
    elif not one.enabled:
        health, tone = "Switched off", "warn"
    elif spec.adapter.by_hand:
        health, tone = "By hand", "info"
    elif bad is not None and (ok is None or bad > ok):
        health, tone = "Does not answer as it should", "bad"
    elif ok is not None:
        health, tone = "Answers", "good"
    else:
        health, tone = "Not asked yet", ""
    one.listens = spec is not None and spec.adapter.listener is not None  # type: ignore[attr-defined]
    if one.listens and one.enabled:  # type: ignore[attr-defined]
        health, tone = _heard(one)
    one.health, one.tone = health, tone  # type: ignore[attr-defined]
    one.carries = [] if spec is None else _carries(spec)  # type: ignore[attr-defined]
    one.tools = (  # type: ignore[attr-defined]
        []
        if spec is None
        else sorted(
            (read_tools()[tool].title, tool, *freshness(one.name, read_tools()[tool]))
            for tool in spec.adapter.tools
            if tool in read_tools()
        )
    )
    one.closed_tools = (  # type: ignore[attr-defined]
        []
        if spec is None
        else sorted(
            (read_tools()[tool].title, tool, why)
            for tool, why in spec.adapter.closed.items()
            if tool in read_tools()
        )
    )
    return one


def _heard(one: Connection) -> tuple[str, str]:
    """How it goes with listening. An answer to a test says nothing of what is heard."""
    life = getattr(one, "listening", None)
    if life is None:
        return "Nobody listens", "bad"
    if life.lost_at is not None or life.alive_at is None:
        return "Nothing is heard", "bad"
    if timezone.now() - life.alive_at > SILENCE:
        return "No sign of life", "bad"
    return "Listening", "good"


def _with_proofs(one: Connection) -> Connection:
    """Put on a connection how many of its writing accounts are proven, and the newest reading through it."""
    spec: Spec | None = one.spec  # type: ignore[attr-defined]
    purposes = set(spec.accounts) - {READER} if spec is not None else set()
    newest = {
        probe.purpose: probe
        for probe in Probe.objects.filter(connection=one, purpose__in=purposes)
        .order_by("purpose", "-id")
        .distinct("purpose")
    }
    one.writing = len(purposes)  # type: ignore[attr-defined]
    one.proven = sum(probe.sound for probe in newest.values())  # type: ignore[attr-defined]
    one.proven_at = min((probe.at for probe in newest.values()), default=None)  # type: ignore[attr-defined]
    one.newest = _newest(one)  # type: ignore[attr-defined]
    return one


def _newest(one: Connection) -> Reading | None:
    return Reading.objects.filter(connection=one, outcome="answered").order_by("-id").first()


def _carries(spec: Spec) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, carried in sorted(spec.adapter.types.items()):
        type_ = transaction_types().get(name)
        rows.append(
            {
                "name": name,
                "title": type_.title if type_ is not None else name,
                "effect": carried.effect.value,
                "means": MEANS[carried.effect],
                "note": carried.note,
                "unsupported": sorted(carried.unsupported),
                "closed": spec.adapter.closed.get(name, ""),
                "account": spec.accounts.get(name, {}).get("login", ""),
            }
        )
    return rows


def _accounts(request: HttpRequest, one: Connection) -> dict[str, object]:
    spec = specs().get(one.name)
    accounts = spec.accounts if spec is not None else {}
    purposes = sorted(set(accounts) - {READER})
    newest = {
        purpose: Probe.objects.filter(connection=one, purpose=purpose).order_by("-id").first()
        for purpose in purposes
    }
    watches = {watch.purpose: watch for watch in LogWatch.objects.filter(connection=one)}
    rows = [
        {
            "purpose": purpose,
            "login": accounts[purpose].get("login", ""),
            "probe": newest[purpose],
            "watch": watches.get(purpose),
        }
        for purpose in purposes
    ]
    since = _moment(request.GET.get("tested", ""))
    done = waiting = 0
    answered: bool | None = None
    if since is not None:
        done = sum(found is not None and found.at >= since for found in newest.values())
        failed = bool(one.last_error) and one.last_error_at is not None and one.last_error_at >= since
        pinged = one.last_ok_at is not None and one.last_ok_at >= since
        answered = False if failed else True if pinged else None
        waiting = 0 if failed else len(rows) - done + (not pinged)
    late = since is not None and timezone.now() - since > PATIENCE
    return {
        "accounts": rows,
        "reader": accounts[READER].get("login", "") if READER in accounts else "",
        "tested": request.GET.get("tested", "") if since is not None else "",
        "done": done,
        "answered": answered,
        "waiting": waiting > 0 and not late,
        "gave_up": waiting > 0 and late,
    }


def _moment(text: str) -> dt.datetime | None:
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def _configures(request: HttpRequest) -> bool:
    return bool(access.roles(request.user) & access.CONFIGURES)
