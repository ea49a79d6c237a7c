"""Who may do what. One choke point for web, API, workers and command line.

People have one role or more: supervisor, technician, auditor, administrator. Agents have grants. Everything is denied
unless a line here allows it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db import connection as database
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from console.audit import Actor
from console.catalogue import transaction_types
from console.errors import Denied, Held
from console.models import (
    AgentVersion,
    Autonomy,
    Confirmation,
    Connection,
    Grant,
    KillSwitch,
    Proposal,
    Scope,
    State,
)
from console.models.loading import Fetch


class Role(enum.StrEnum):
    """What a person is in the console; a Django group of the same name."""

    SUPERVISOR = "supervisor"
    TECHNICIAN = "technician"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"


DECIDES = frozenset({Role.SUPERVISOR})
DOES = frozenset({Role.SUPERVISOR, Role.TECHNICIAN})
"""Who does by hand what was countersigned, and says so. A technician sees tasks and nothing else."""
CONFIGURES = frozenset({Role.ADMINISTRATOR})
CONFIRMS = frozenset({Role.ADMINISTRATOR, Role.SUPERVISOR})
STOPS = frozenset({Role.SUPERVISOR, Role.ADMINISTRATOR})
READS = frozenset({Role.SUPERVISOR, Role.AUDITOR, Role.ADMINISTRATOR})
AUDITS = frozenset({Role.AUDITOR, Role.SUPERVISOR, Role.ADMINISTRATOR})
EXPORTS = frozenset({Role.AUDITOR})


GROUPS = """
SELECT g.name FROM auth_group g JOIN auth_user_groups of ON of.group_id = g.id WHERE of.user_id = %s
"""


def roles(user: AbstractBaseUser | AnonymousUser) -> frozenset[Role]:
    """The roles of a person; none for one who is not signed in or no longer active. Read once per object."""
    if not isinstance(user, User) or not user.is_active:
        return frozenset()
    kept: frozenset[Role] | None = getattr(user, "_countersign_roles", None)
    if kept is None:
        with database.cursor() as cursor:
            cursor.execute(GROUPS, [user.pk])
            names = {name for (name,) in cursor.fetchall()}
        kept = frozenset(role for role in Role if role.value in names)
        user._countersign_roles = kept  # type: ignore[attr-defined]  # noqa: SLF001 a cache for one request
    return kept


def require(user: AbstractBaseUser | AnonymousUser, allowed: frozenset[Role], doing: str) -> User:
    """The person, if one of their roles is allowed. Denied says which role it takes."""
    if isinstance(user, User) and roles(user) & allowed:
        return user
    names = " or ".join(sorted(role.value for role in allowed))
    raise Denied(f"only a person with the role {names} may {doing}")


def person(user: User, *, request_id: str = "") -> Actor:
    """A person as an audit entry names them."""
    return Actor(
        kind="person",
        id=str(user.pk),
        label=user.get_full_name() or user.username,
        via="session",
        request_id=request_id,
    )


def may_not_decide(user: User, proposal: Proposal) -> str:
    """Why this person may not decide this proposal, in words, or "" if they may.

    Supervisors decide; nobody decides on a proposal of an agent they own. Whoever amended it may agree, but is
    not enough alone: that is a requirement of policy.
    """
    if Role.SUPERVISOR not in roles(user):
        return "Only supervisors decide."
    if proposal.agent_version.agent.owner_id == user.pk:
        return f"You own the agent {proposal.agent_version.agent.title}; somebody else has to decide."
    return ""


def may_not_do(user: User, proposal: Proposal) -> str:
    """Why this person may not do this task by hand and confirm it, in words, or "" if they may.

    Whoever owns the agent wants it done, and so is not the one to say that it was. Whoever approved it may do it,
    unless a limit of policy says otherwise: see `lifecycle.by_hand`.
    """
    if not roles(user) & DOES:
        return "Only supervisors and technicians do tasks."
    if proposal.agent_version.agent.owner_id == user.pk:
        return (
            f"You own the agent {proposal.agent_version.agent.title}; somebody else has to do it and say so."
        )
    return ""


def visible_to(user: AbstractBaseUser | AnonymousUser) -> QuerySet[Proposal]:
    """The proposals a person may see: all, for anybody with a role; none otherwise."""
    found = Proposal.objects.select_related("agent_version__agent", "connection__system")
    return found if roles(user) & READS else found.none()


def tasks_of(user: AbstractBaseUser | AnonymousUser) -> QuerySet[Proposal]:
    """The tasks a person may see: those that wait for somebody, and those of which somebody said something."""
    found = Proposal.objects.select_related("agent_version__agent", "connection__system", "grant__connection")
    if not roles(user) & (READS | DOES):
        return found.none()
    return found.filter(
        Q(state=State.AWAITING_PERSON) | Exists(Confirmation.objects.filter(proposal=OuterRef("pk")))
    )


def own(version: AgentVersion) -> QuerySet[Proposal]:
    """The proposals an agent may see: those of any version of the same agent, and no test made in its name."""
    return Proposal.objects.filter(agent_version__agent=version.agent_id, seeded=False).select_related(
        "agent_version__agent", "connection__system"
    )


GRANT = Fetch(
    Grant,
    "connection__system",
    "version__agent",
    asks="EXISTS (SELECT FROM console_killswitch WHERE lifted_at IS NULL)",
)
IN_FORCE = Fetch(KillSwitch)


@dataclass(frozen=True)
class Use:
    """What somebody wants to use: a transaction type or read tool of one agent version on one connection."""

    version: AgentVersion
    kind: str
    name: str
    connection: Connection


def grants_told(version: AgentVersion) -> QuerySet[Grant]:
    """What an agent is told of, on connections that are switched on: grants in force, frozen, or put down to off."""
    return (
        Grant.objects.filter(version=version, connection__enabled=True)
        .exclude(autonomy=Autonomy.OFF, demoted_at__isnull=True, frozen_at__isnull=True)
        .select_related("connection__system", "version__agent")
    )


def granted(version: AgentVersion, kind: str, name: str, connection: str) -> Grant:
    """The grant that lets this version use this, or Denied with the reason and what would be right.

    `connection` may be empty when the version has exactly one grant for it.
    """
    found = list(
        GRANT.all(
            "t.version_id = %s AND t.kind = %s AND t.name = %s AND (connection.name = %s OR %s = '') ORDER BY t.id",
            [version.pk, kind, name, connection, connection],
        )
    )
    what = "transaction type" if kind == Grant.TYPE else "read tool"
    live = [grant for grant in found if grant.autonomy != Autonomy.OFF]
    if not live:
        where = f" on connection {connection}" if connection else ""
        raise Denied(
            f"{version} has no grant for the {what} {name}{where}; its owner can ask for one", code="no_grant"
        )
    if len(live) > 1:
        names = ", ".join(sorted(grant.connection.name for grant in live))
        raise Denied(
            f"{name} is granted on several connections; name one of: {names}", code="which_connection"
        )
    check_open(live[0])
    return live[0]


def check_open(grant: Grant) -> None:
    """Return if the grant may be used now: not off, not frozen, evidence not out of date, connection on."""
    if grant.autonomy == Autonomy.OFF:
        raise Denied(f"the grant for {grant.name} is off{_lowered(grant)}", code="grant_off")
    if grant.frozen_at is not None:
        raise Held(f"the grant for {grant.name} is frozen: {grant.frozen_reason}", code="grant_frozen")
    if grant.kind == Grant.TYPE and grant.autonomy != Autonomy.SHADOW:
        _check_evidence(grant)
    if not grant.connection.enabled:
        raise Held(f"connection {grant.connection.name} is switched off", code="connection_off")


def _check_evidence(grant: Grant) -> None:
    """Return if what the grant rests on still counts, by the database's clock."""
    old = (
        grant.valid_until is not None
        and not Grant.objects.filter(pk=grant.pk, valid_until__gt=Now()).exists()
    )
    if why := _unproven(grant, old=old):
        raise Held(why, code="gate_closed")


def unproven(grant: Grant) -> str:
    """Why a grant to write is closed for want of evidence, to be told; "" if it is not. `check_open` decides."""
    if grant.kind != Grant.TYPE or grant.autonomy in {Autonomy.OFF, Autonomy.SHADOW}:
        return ""
    return _unproven(grant, old=grant.valid_until is not None and grant.valid_until <= timezone.now())


def _unproven(grant: Grant, *, old: bool) -> str:
    # A grant without evidence is open where no gate is required.
    if grant.valid_until is None:
        # Without the version's name: a queue of many rows would ask for each.
        told = f"nothing shows that this agent version is ready for {grant.name}; it has to pass its gate"
        return told if settings.GATES_REQUIRED else ""
    if old:
        return f"the evidence for {grant.name} is out of date; its evals have to be run again"
    known = transaction_types().get(grant.name)
    if grant.evidence_version is not None and known is not None and known.version != grant.evidence_version:
        return (
            f"the evidence is about {grant.name} {grant.evidence_version}, and {known.version} is in force; its "
            "evals have to be run again"
        )
    return ""


def stops(*, system: str, type_name: str, agent: str) -> list[KillSwitch]:
    """Kill switches in force that stop this. Asks the database each time: it must hold within a second."""
    return [
        thrown
        for thrown in IN_FORCE.all("t.lifted_at IS NULL ORDER BY t.id", [])
        if (thrown.scope, thrown.value)
        in {
            (Scope.EVERYTHING.value, ""),
            (Scope.SYSTEM.value, system),
            (Scope.TYPE.value, type_name),
            (Scope.AGENT.value, agent),
        }
    ]


def check_not_stopped(*, system: str, type_name: str, agent: str) -> None:
    """Return if no kill switch stops this; Held says which, and why it was thrown."""
    if thrown := stops(system=system, type_name=type_name, agent=agent):
        raise Held(
            f"stopped by the kill switch ({_named(thrown[0])}): {thrown[0].reason}", code="kill_switch"
        )


def stops_for(proposal: Proposal) -> list[KillSwitch]:
    """Kill switches in force that hold this proposal."""
    return stops(
        system=proposal.connection.system.slug,
        type_name=proposal.transaction_type,
        agent=proposal.agent_version.agent.slug,
    )


def check_may_go_on(proposal: Proposal) -> None:
    """Return if neither a kill switch nor its grant holds this proposal where it is; else Held, saying which.

    A grant that was narrowed since the proposal came holds it too: off, or back to shadow.
    """
    check_grant_holds(proposal, GRANT.one("t.id = %s", [proposal.grant_id]))


def check_grant_holds(proposal: Proposal, grant: Grant | None) -> None:
    """The same, for who has read the proposal's grant just now, with `asked`."""
    if grant is None:
        raise Held("its grant is gone", code="no_grant")
    if grant.asked:
        check_not_stopped(
            system=proposal.connection.system.slug,
            type_name=proposal.transaction_type,
            agent=proposal.agent_version.agent.slug,
        )
    try:
        check_open(grant)
    except Denied as off:
        raise Held(off.text, code=off.code) from None
    check_not_narrowed(proposal, grant)


def check_not_narrowed(proposal: Proposal, grant: Grant) -> None:
    """Return unless its grant went back to shadow since the proposal came, by somebody or by its figures."""
    if grant.autonomy == Autonomy.SHADOW and proposal.autonomy != Autonomy.SHADOW:
        raise Held(
            f"the grant for {grant.name} is in shadow again: nothing is committed{_lowered(grant)}",
            code="grant_shadow",
        )


def rung(grant: Grant) -> str:
    """Why a grant stands lower than it did or is held, for people and for its agent; "" where it is neither."""
    if grant.frozen_at is not None:
        return f"Frozen since {grant.frozen_at:%Y-%m-%d %H:%M} UTC: {grant.frozen_reason}"
    if why := unproven(grant):
        return f"The gate is closed: {why}"
    if grant.demoted_at is not None:
        return (
            f"Put down to {Autonomy(grant.autonomy).label.lower()} on {grant.demoted_at:%Y-%m-%d %H:%M} UTC"
            f"{_lowered(grant)}. Two people can raise it again."
        )
    return ""


def agent_actor(version: AgentVersion, *, key_id: str, request_id: str = "") -> Actor:
    """An agent as an audit entry names it: the version, and the key it came with."""
    return Actor(
        kind="agent",
        id=f"{version.agent.slug}@{version.label}",
        label=str(version),
        via=key_id,
        request_id=request_id,
    )


def _lowered(grant: Grant) -> str:
    return f" ({grant.demoted_reason.rstrip('.')})" if grant.demoted_at and grant.demoted_reason else ""


def _named(thrown: KillSwitch) -> str:
    return (
        "everything"
        if thrown.scope == Scope.EVERYTHING
        else f"{Scope(thrown.scope).label.lower()}: {thrown.value}"
    )
