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
from typing import Any

from django.contrib.auth.models import User
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
    Assessment,
    Connection,
    KillSwitch,
    Proposal,
    Risk,
    Scope,
    State,
)
from console.models.loading import Fetch
from console.web import context, showing
from console.web.guards import signed_in
from console.web.listing import CAP, Condition, after, asked, count, found_sql, in_states, key_of, keys

PAGE = 25
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
    Group(
        "done",
        "Done",
        tuple(state for state in FINAL if state != State.SHADOWED),
        "Nothing has come to an end yet.",
        counted=False,
    ),
    Group(
        "shadow",
        "Shadow",
        (State.SHADOWED,),
        "No agent is in shadow, or none has proposed anything yet. What is judged there is never sent.",
        counted=False,
    ),
)
ENDED = {"done", "shadow"}
"""Groups that only grow."""
VERSIONS = "SELECT v.id FROM console_agentversion v JOIN console_agent a ON a.id = v.agent_id"
NEWEST_OF = """(
    SELECT DISTINCT ON (n.proposal_id) n.id FROM console_assessment n WHERE n.proposal_id = ANY(%s)
    ORDER BY n.proposal_id, n.number DESC)
"""
ANSWERED = """
SELECT d.proposal_id FROM console_decision d JOIN console_proposal q ON q.id = d.proposal_id AND q.state = 'in_review'
WHERE d.by_id = %s AND d.assessment_id = (
    SELECT n.id FROM console_assessment n WHERE n.proposal_id = d.proposal_id ORDER BY n.number DESC LIMIT 1)
"""
OTHERS = f"""
SELECT count(*) FROM (
    SELECT p.id FROM ({VERSIONS} WHERE a.owner_id = %s) mine
        JOIN console_proposal p ON p.agent_version_id = mine.id AND p.state = 'in_review'
    UNION {ANSWERED}) others
"""  # noqa: S608 our own words
CLOSED = """
coalesce((SELECT array_agg(g.id) FROM console_grant g JOIN console_connection c ON c.id = g.connection_id
    WHERE g.frozen_at IS NOT NULL OR g.autonomy = 'off' OR NOT c.enabled OR g.valid_until <= statement_timestamp()),
    '{}'),
coalesce((SELECT array_agg(id) FROM console_grant WHERE autonomy = 'shadow'), '{}')
"""
LOOKING = """
SELECT c.proposal_id, coalesce(nullif(trim(u.first_name || ' ' || u.last_name), ''), u.username)
FROM console_claim c JOIN auth_user u ON u.id = c.by_id
WHERE c.proposal_id = ANY(%s) AND c.by_id <> %s AND c.until > statement_timestamp()
"""
REFERENCE = Fetch(Proposal)
ROW = Fetch(Proposal, "agent_version__agent", "connection__system", "grant__connection")
NEWEST = Fetch(
    Assessment,
    asks="(SELECT count(*) FROM console_decision d WHERE d.assessment_id = t.id AND d.answer = 'approve')",
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
    if group.name in ENDED | {"under-way"}:
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


def next_for(user: User, *, without: Proposal | None = None, sort: str = "risk") -> Proposal | None:
    """The next proposal that waits for this person."""
    conditions = [Condition("p.state = 'in_review'"), *_for(user)]
    if without is not None:
        conditions.append(Condition("p.id <> %s", without.pk))
    first = keys(conditions, sort if sort in SORTS else "risk", 1)
    return REFERENCE.one("t.id = %s", first) if first else None


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
    counts, held = _counts(user, chosen, stops)
    conditions = _conditions(user, chosen, held)
    found = keys([*conditions, *after(chosen.after, chosen.sort)], chosen.sort, PAGE + 1)
    rows = {row.pk: row for row in ROW.all("t.id = ANY(%s)", [found])} if found else {}
    more = rows[found[PAGE - 1]] if len(found) > PAGE else None
    total = count(conditions) if chosen.narrowed or chosen.group.name in ENDED else counts[chosen.group.name]
    return {
        "filter": chosen,
        "groups": [(group, _capped(counts.get(group.name))) for group in GROUPS],
        "total": _capped(total),
        "one": total == 1,
        "rows": _rows([rows[key] for key in found[:PAGE] if key in rows], user, stops),
        "next_key": key_of(more, chosen.sort) if more is not None else "",
        "window": WINDOW if chosen.text and chosen.group.name in ENDED else 0,
        "sort_text": SORTS[chosen.sort],
    }


def _rows(proposals: list[Proposal], user: User, stops: list[KillSwitch]) -> list[dict[str, Any]]:
    listed = [proposal.pk for proposal in proposals]
    newest = {one.proposal_id: one for one in NEWEST.all("t.id IN " + NEWEST_OF, [listed])} if listed else {}
    looking = dict(asked(LOOKING, [Condition("", listed, user.pk)])) if listed else {}
    today = timezone.now().date()
    rows = []
    for proposal in proposals:
        assessment = newest.get(proposal.pk)
        rows.append(
            {
                "proposal": proposal,
                "line": _line(proposal, assessment, today),
                "warnings": sum(one["level"] == "warning" for one in assessment.findings)
                if assessment
                else 0,
                "agreed": assessment.asked if assessment else 0,
                "needed": _needed(assessment),
                "held": held_by(proposal, stops),
                "looking": looking.get(proposal.pk),
                "risk": Risk(proposal.risk).label,
            }
        )
    return rows


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


def _conditions(user: User, chosen: Filter, held: list[Condition]) -> list[Condition]:
    """What a filter asks for, without the place to go on from."""
    if REF.match(chosen.text.upper()):
        return [Condition("p.ref = %s", chosen.text.upper())]
    found = [in_states(*chosen.group.states)]
    if chosen.group.name == "mine":
        found += _for(user)
    if chosen.group.name == "held":
        found += held
    if chosen.type:
        found.append(Condition("p.transaction_type = %s", chosen.type))
    if chosen.agent:
        found.append(Condition(f"p.agent_version_id IN ({VERSIONS} WHERE a.slug = %s)", chosen.agent))
    if chosen.connection:
        found.append(
            Condition(
                "p.connection_id = (SELECT id FROM console_connection WHERE name = %s)", chosen.connection
            )
        )
    if chosen.text:
        found += _search(chosen)
    return found


def _for(user: User) -> list[Condition]:
    """Without what this person may not decide or has answered already."""
    return [
        Condition(f"p.agent_version_id NOT IN ({VERSIONS} WHERE a.owner_id = %s)", user.pk),
        Condition(f"p.id NOT IN ({ANSWERED})", user.pk),
    ]


def _held(closed: list[int], shadow: list[int], stops: list[KillSwitch]) -> list[Condition]:
    """What holds a proposal where it is: a grant that is not open, or is in shadow again, or a kill switch."""
    either = [
        Condition("p.grant_id = ANY(%s)", closed),
        Condition("p.autonomy <> 'shadow' AND p.grant_id = ANY(%s)", shadow),
    ]
    for thrown in stops:
        if thrown.scope == Scope.EVERYTHING:
            return []
        if thrown.scope == Scope.SYSTEM:
            systems = "SELECT c.id FROM console_connection c JOIN console_system s ON s.id = c.system_id"
            either.append(Condition(f"p.connection_id IN ({systems} WHERE s.slug = %s)", thrown.value))
        elif thrown.scope == Scope.TYPE:
            either.append(Condition("p.transaction_type = %s", thrown.value))
        elif thrown.scope == Scope.AGENT:
            either.append(Condition(f"p.agent_version_id IN ({VERSIONS} WHERE a.slug = %s)", thrown.value))
    sql = " OR ".join(one.sql for one in either)
    return [Condition(f"({sql})", *(value for one in either for value in one.values))]


def _search(chosen: Filter) -> list[Condition]:
    """By words of reference, target or label within the group."""
    like = chosen.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    found = [
        Condition(
            "(p.label ILIKE %s OR upper(p.target) = upper(%s) OR p.ref LIKE %s)",
            f"%{like}%",
            chosen.text,
            f"%{like.upper()}%",
        )
    ]
    if chosen.group.name in ENDED:
        states = in_states(*chosen.group.states).sql
        oldest = (
            f"SELECT p.id FROM console_proposal p WHERE {states} ORDER BY p.id DESC LIMIT 1 OFFSET {WINDOW}"  # noqa: S608 our own words
        )
        found.append(Condition(f"p.id > coalesce(({oldest}), 0)"))
    return found


def _counts(user: User, chosen: Filter, stops: list[KillSwitch]) -> tuple[dict[str, int], list[Condition]]:
    """How many each tab holds, up to CAP + 1, as its list would show them; and what its held ones have in common."""
    states = [state for state in State if state not in FINAL]
    each = ", ".join(
        f"(SELECT count(*) FROM (SELECT FROM {found_sql([in_states(s)])} LIMIT {CAP + 1}) few)"  # noqa: S608 the same
        for s in states
    )
    *numbers, closed, shadow = asked(f"SELECT {each}, {CLOSED}", [])[0]
    by_state = dict(zip(states, numbers, strict=True))
    counts = {
        group.name: sum(by_state[state] for state in group.states)
        for group in GROUPS
        if group.counted and group.name not in {"mine", "held"}
    }
    if Role.SUPERVISOR in access.roles(user) or chosen.group.name == "mine":
        counts["mine"] = _mine(user, by_state[State.IN_REVIEW])
    held = _held(closed, shadow, stops)
    counts["held"] = count([in_states(*HOLDABLE), *held]) if closed or shadow or stops else 0
    return counts, held


def _mine(user: User, waiting: int) -> int:
    """What waits for this person: all that waits, without the few that do not, when all are counted."""
    if waiting > CAP:
        return count([in_states(State.IN_REVIEW), *_for(user)])
    ((others,),) = asked(OTHERS, [Condition("", user.pk, user.pk)])
    return waiting - int(others)


def _capped(count: int | None) -> str:
    return "" if count is None else "10,000+" if count > CAP else f"{count:,}"
