"""The queue: what waits for a person, and what became of the rest.

Every list is one index range with a key to go on from, so a page costs the same among a million proposals as
among ten. Counts stop at 10,000 and say so. Searching by words looks at the newest 20,000 of a group that only
grows, and says so too; a reference is found wherever it is.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib.auth.models import User
from django.core import signing
from django.db import connection
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils import timezone

from console import access
from console.access import Role
from console.catalogue import transaction_types
from console.errors import CountersignError
from console.models import (
    FINAL,
    Agent,
    AgentVersion,
    Answer,
    Assessment,
    Connection,
    Decision,
    Grant,
    KillSwitch,
    Proposal,
    Risk,
    Scope,
    State,
)
from console.web import context, showing
from console.web.guards import signed_in

PAGE = 25
CAP = 10_000
WINDOW = 20_000
REF = re.compile(r"^[A-Z]{2}-[0-9A-HJKMNP-TV-Z]{12}$")
UNDER_WAY = (
    State.RECEIVED,
    State.APPROVED,
    State.COMMITTING,
    State.AWAITING_SYSTEM,
    State.AWAITING_PERSON,
)
HOLDABLE = (State.RECEIVED, State.IN_REVIEW, State.APPROVED)


@dataclass(frozen=True)
class Group:
    """One tab: the states it shows, and what it says when there is nothing."""

    name: str
    text: str
    states: tuple[State, ...]
    empty: str
    counted: bool = True


GROUPS = (
    Group(
        "mine",
        "For me",
        (State.IN_REVIEW,),
        "Nothing waits for your decision. It will appear here by itself.",
    ),
    Group("waiting", "Waiting", (State.IN_REVIEW,), "No proposal waits for a decision."),
    Group("held", "Held", HOLDABLE, "Nothing is held by a kill switch or a freeze."),
    Group("unknown", "Outcome unknown", (State.OUTCOME_UNKNOWN,), "Every outcome is known."),
    Group("under-way", "Under way", UNDER_WAY, "Nothing is being checked or committed right now."),
    Group("back", "With agents", (State.CHANGES_REQUESTED,), "No agent has been asked for changes."),
    Group("done", "Done", FINAL, "Nothing has come to an end yet.", counted=False),
)
SORTS = {"risk": "Risk", "money": "Money at stake", "time": "Time left", "newest": "Newest"}


@dataclass(frozen=True)
class Filter:
    """What a list shows, read from the URL; wrong values fall back to what shows most."""

    group: Group
    sort: str
    text: str
    type: str
    agent: str
    connection: str
    after: str

    @property
    def narrowed(self) -> bool:
        """Whether anything but the tab leaves proposals out."""
        return bool(self.text or self.type or self.agent or self.connection)


def read_filter(parameters: Mapping[str, str], user: User) -> Filter:
    """The filter of a query string. Supervisors begin with what waits for them."""
    first = "mine" if Role.SUPERVISOR in access.roles(user) else "waiting"
    groups = {group.name: group for group in GROUPS}
    group = groups.get(parameters.get("group", ""), groups[first])
    sort = parameters.get("sort", "")
    if group.name in {"done", "under-way"}:
        sort = "newest"
    return Filter(
        group=group,
        sort=sort if sort in SORTS else "risk",
        text=parameters.get("q", "").strip()[:100],
        type=parameters.get("type", "")[:64],
        agent=parameters.get("agent", "")[:50],
        connection=parameters.get("connection", "")[:50],
        after=parameters.get("after", "")[:300],
    )


def page(request: HttpRequest) -> HttpResponse:
    """The queue; to htmx only its list, or 304 when nothing changed."""
    user = signed_in(request)
    if not access.roles(user) & access.READS:
        if access.roles(user) & access.DOES:
            return redirect("tasks")
        return render(request, "queue/no_role.html")
    chosen = read_filter(request.GET, user)
    stops = context.stops(request)
    inner = render_to_string("queue/rows.html", _list(user, chosen, stops), request)
    etag = hashlib.sha256(inner.encode()).hexdigest()[:20]
    shown = {"inner": inner, "etag": etag, "filter": chosen}
    if request.htmx and not request.htmx.history_restore_request:  # type: ignore[attr-defined]
        if request.headers.get("If-None-Match") == etag:
            return HttpResponseNotModified()
        return render(request, "queue/list.html", shown)
    choices = {
        "types": sorted((type_.title, name) for name, type_ in transaction_types().items()),
        "agents": list(Agent.objects.order_by("title").values_list("title", "slug")[:200]),
        "connections": list(Connection.objects.order_by("title").values_list("title", "name")[:200]),
        "sorts": SORTS,
    }
    return render(request, "queue/page.html", {**shown, **choices})


def select(user: User, chosen: Filter, stops: list[KillSwitch]) -> QuerySet[Proposal]:
    """The proposals of a filter, in its order, without its place to go on from."""
    found = access.visible_to(user).filter(state__in=chosen.group.states)
    if chosen.group.name == "mine":
        found = _for(user, found)
    if chosen.group.name == "held":
        found = found.filter(_held(stops))
    if chosen.type:
        found = found.filter(transaction_type=chosen.type)
    if chosen.agent:
        versions = AgentVersion.objects.filter(agent__slug=chosen.agent).values_list("pk", flat=True)
        found = found.filter(agent_version__in=list(versions))
    if chosen.connection:
        found = found.filter(connection__name=chosen.connection)
    if chosen.text:
        found = _search(user, found, chosen)
    return found.order_by(*_order(chosen.sort))


def next_for(user: User, *, without: Proposal | None = None, sort: str = "risk") -> Proposal | None:
    """The next proposal that waits for this person."""
    found = _for(user, access.visible_to(user).filter(state=State.IN_REVIEW)).select_related(None)
    if without is not None:
        found = found.exclude(pk=without.pk)
    if sort == "money":
        with_value = found.filter(value_amount__isnull=False).order_by(*_order(sort)).first()
        return with_value if with_value is not None else found.order_by("id").first()
    return found.order_by(*_order(sort if sort in SORTS else "risk")).first()


def held_by(proposal: Proposal, stops: list[KillSwitch]) -> str:
    """Why a proposal is held where it is, in words, or "" when nothing holds it."""
    if proposal.state not in HOLDABLE:
        return ""
    covered = {
        (Scope.EVERYTHING.value, ""),
        (Scope.SYSTEM.value, proposal.connection.system.slug),
        (Scope.TYPE.value, proposal.transaction_type),
        (Scope.AGENT.value, proposal.agent_version.agent.slug),
    }
    thrown = next((one for one in stops if (one.scope, one.value) in covered), None)
    if thrown is not None:
        return f"A kill switch stops it: {thrown.reason}"
    try:
        access.check_open(proposal.grant)
        access.check_not_narrowed(proposal, proposal.grant)
    except CountersignError as held:
        return held.text
    return ""


def _list(user: User, chosen: Filter, stops: list[KillSwitch]) -> dict[str, Any]:
    found = select(user, chosen, stops)
    rows = _page(user, found, chosen)
    more = rows[PAGE - 1] if len(rows) > PAGE else None
    rows = rows[:PAGE]
    counts = _counts(user, chosen, stops)
    total = (
        found.order_by().select_related(None)[: CAP + 1].count()
        if chosen.narrowed or chosen.group.name == "done"
        else counts[chosen.group.name]
    )
    return {
        "filter": chosen,
        "groups": [(group, _capped(counts.get(group.name))) for group in GROUPS],
        "total": _capped(total),
        "one": total == 1,
        "rows": _rows(rows, user, stops),
        "next_key": _key(more, chosen.sort) if more is not None else "",
        "window": WINDOW if chosen.text and chosen.group.name == "done" else 0,
        "sort_text": SORTS[chosen.sort],
    }


def _page(user: User, found: QuerySet[Proposal], chosen: Filter) -> list[Proposal]:
    """One page and one row more. The keys first, from the index alone; then the few rows with what they need.

    By money, what has a value comes first and is read from its index; what has none follows by age.
    """
    keys = _after(found, chosen).select_related(None).values_list("pk", flat=True)
    if chosen.sort == "money":
        chosen_keys = list(keys.filter(value_amount__isnull=False)[: PAGE + 1])
        if len(chosen_keys) <= PAGE:
            rest = keys.filter(value_amount__isnull=True).order_by("id")
            chosen_keys += rest[: PAGE + 1 - len(chosen_keys)]
    else:
        chosen_keys = list(keys[: PAGE + 1])
    rows = access.visible_to(user).select_related("grant__connection", "claim__by").in_bulk(chosen_keys)
    return [rows[key] for key in chosen_keys if key in rows]


def _rows(proposals: list[Proposal], user: User, stops: list[KillSwitch]) -> list[dict[str, Any]]:
    newest = _newest(proposals)
    now = timezone.now()
    rows = []
    for proposal in proposals:
        assessment = newest.get(proposal.pk)
        claim = getattr(proposal, "claim", None)
        rows.append(
            {
                "proposal": proposal,
                "line": _line(proposal, assessment, now.date()),
                "warnings": sum(one["level"] == "warning" for one in assessment.findings)
                if assessment
                else 0,
                "agreed": assessment.agreed if assessment else 0,  # type: ignore[attr-defined]
                "needed": _needed(assessment),
                "held": held_by(proposal, stops),
                "looking": claim.by
                if claim is not None and claim.until > now and claim.by_id != user.pk
                else None,
                "risk": Risk(proposal.risk).label,
            }
        )
    return rows


def _newest(proposals: list[Proposal]) -> dict[int, Assessment]:
    agreed = (
        Decision.objects.filter(assessment=OuterRef("pk"), answer=Answer.APPROVE)
        .order_by()
        .values("assessment")
        .annotate(n=Count("pk"))
        .values("n")
    )
    found = (
        Assessment.objects.filter(proposal__in=proposals)
        .order_by("proposal_id", "-number")
        .distinct("proposal_id")
        .defer("plan", "moved")
        .annotate(agreed=Subquery(agreed))
    )
    return {one.proposal_id: one for one in found}


def _line(proposal: Proposal, assessment: Assessment | None, today: dt.date) -> str:
    type_ = transaction_types().get(proposal.transaction_type)
    if assessment is None or type_ is None:
        return proposal.state_reason or "Not assessed yet"
    return showing.one_line(type_, assessment, today=today)


def _needed(assessment: Assessment | None) -> int:
    if assessment is None:
        return 1
    second = next((one for one in assessment.verdicts if one["requirement"] == "a_second_supervisor"), None)
    return 1 if second is None or second["status"] == "not_applicable" else 2


def _for(user: User, found: QuerySet[Proposal]) -> QuerySet[Proposal]:
    """Without what this person may not decide or has answered already."""
    owned = list(AgentVersion.objects.filter(agent__owner=user).values_list("pk", flat=True))
    newest = Assessment.objects.filter(proposal=OuterRef("proposal")).order_by("-number").values("pk")[:1]
    answered = list(
        Decision.objects.filter(by=user, proposal__state=State.IN_REVIEW)
        .annotate(newest=Subquery(newest))
        .filter(assessment=F("newest"))
        .order_by("-id")
        .values_list("proposal_id", flat=True)[:2000]
    )
    if owned:
        found = found.exclude(agent_version__in=owned)
    return found.exclude(pk__in=answered) if answered else found


def _held(stops: list[KillSwitch]) -> Q:
    grants = Grant.objects.filter(
        Q(frozen_at__isnull=False)
        | Q(autonomy="off")
        | Q(connection__enabled=False)
        | Q(valid_until__lte=timezone.now())
    ).values("pk")
    held = Q(grant__in=grants) | Q(grant__autonomy="shadow") & ~Q(autonomy="shadow")
    for thrown in stops:
        if thrown.scope == Scope.EVERYTHING:
            return Q()
        if thrown.scope == Scope.SYSTEM:
            held |= Q(connection__system__slug=thrown.value)
        elif thrown.scope == Scope.TYPE:
            held |= Q(transaction_type=thrown.value)
        elif thrown.scope == Scope.AGENT:
            held |= Q(agent_version__agent__slug=thrown.value)
    return held


def _search(user: User, found: QuerySet[Proposal], chosen: Filter) -> QuerySet[Proposal]:
    """By reference anywhere; by target or label within the group."""
    if REF.match(chosen.text.upper()):
        return access.visible_to(user).filter(ref=chosen.text.upper())
    if chosen.group.name == "done":
        group = Proposal.objects.filter(state__in=chosen.group.states).order_by("-id")
        oldest = group.values_list("pk", flat=True)[WINDOW : WINDOW + 1].first()
        if oldest is not None:
            found = found.filter(pk__gt=oldest)
    return found.filter(
        Q(label__icontains=chosen.text)
        | Q(target__iexact=chosen.text)
        | Q(ref__icontains=chosen.text.upper())
    )


def _order(sort: str) -> list[Any]:
    orders: dict[str, list[Any]] = {
        "risk": ["-risk", "id"],
        "money": ["-value_amount", "id"],  # nulls are read apart, see _page
        "time": ["expires_at", "id"],
        "newest": ["-id"],
    }
    return orders[sort]


def _key(last: Proposal, sort: str) -> str:
    """Where the next page begins: the sort's value and the id, signed so that it cannot be made up."""
    value = {
        "risk": str(last.risk),
        "money": str(last.value_amount) if last.value_amount is not None else "",
        "time": last.expires_at.isoformat(),
        "newest": "",
    }[sort]
    return signing.dumps([sort, value, last.pk], salt="queue", compress=False)


def _after(found: QuerySet[Proposal], chosen: Filter) -> QuerySet[Proposal]:
    if not chosen.after:
        return found
    try:
        sort, value, pk = signing.loads(chosen.after, salt="queue")
        if sort != chosen.sort:
            return found
        if sort == "newest":
            return found.filter(pk__lt=pk)
        if sort == "risk":
            return found.filter(Q(risk__lt=int(value)) | Q(risk=int(value), pk__gt=pk))
        if sort == "time":
            at = dt.datetime.fromisoformat(value)
            return found.filter(expires_at__gte=at).filter(Q(expires_at__gt=at) | Q(pk__gt=pk))
        if value == "":
            return found.filter(value_amount__isnull=True, pk__gt=pk)
        amount = Decimal(value)
        return found.filter(
            Q(value_amount__lt=amount) | Q(value_amount=amount, pk__gt=pk) | Q(value_amount__isnull=True)
        )
    except (signing.BadSignature, ValueError, TypeError, InvalidOperation):
        return found


def _counts(user: User, chosen: Filter, stops: list[KillSwitch]) -> dict[str, int]:
    """How many each tab holds, up to CAP + 1, as its list would show them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s, (SELECT count(*) FROM (SELECT 1 FROM console_proposal WHERE state = s LIMIT %s) few)"
            " FROM unnest(%s::text[]) s",
            [CAP + 1, [state.value for state in State if state not in FINAL]],
        )
        by_state = dict(cursor.fetchall())
    counts = {
        group.name: sum(by_state[state.value] for state in group.states)
        for group in GROUPS
        if group.counted and group.name not in {"mine", "held"}
    }
    everything = access.visible_to(user).order_by()
    if Role.SUPERVISOR in access.roles(user) or chosen.group.name == "mine":
        mine = _for(user, everything.filter(state=State.IN_REVIEW))
        counts["mine"] = mine.select_related(None)[: CAP + 1].count()
    held = everything.filter(_held(stops), state__in=HOLDABLE)
    counts["held"] = held.select_related(None)[: CAP + 1].count()
    return counts


def _capped(count: int | None) -> str:
    return "" if count is None else "10,000+" if count > CAP else f"{count:,}"
