"""What takes effect: the plain changes behind the registry's verbs, with their audit entries. Not asked for rights."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group, User
from django.db.models import F
from django.db.models.functions import Now

from console import audit
from console.access import Role
from console.audit import Actor
from console.canonical import digest
from console.catalogue import transaction_type
from console.errors import Conflict
from console.models import (
    Agent,
    AgentVersion,
    Autonomy,
    CertifiedScreen,
    Connection,
    Gate,
    Grant,
    KillSwitch,
    LimitValue,
    SamplingRule,
)
from console.registry import evidence
from console.registry.reach import check_reachable


def grant(change: Mapping[str, Any], actor: Actor) -> None:
    """Raise a grant, or make it: version (id), kind, name, connection (id), autonomy. With the evidence it rests on.

    Refused where a gate is required and the evidence is gone since it was asked for. Conflict where this would put it
    down, which is `grants.lower`, or where it fell since it was asked for (`fell`): whoever confirms cannot know.
    """
    version = AgentVersion.objects.select_related("agent").get(pk=change["version"])
    given = None
    if change["kind"] == Grant.TYPE:
        evidence.check_may_write(version, change["name"], change["autonomy"])
        given = evidence.evidence(version, Grant.TYPE, change["name"])
    before = Grant.objects.filter(
        version_id=change["version"],
        kind=change["kind"],
        name=change["name"],
        connection_id=change["connection"],
    ).first()
    stands = Autonomy(before.autonomy if before is not None else Autonomy.OFF)
    wanted = Autonomy(change["autonomy"])
    if wanted.rung < stands.rung:
        raise Conflict(
            f"the grant stands at {stands.label.lower()} by now; put it down with a reason, if that is meant",
            code="grant_moved",
        )
    if change.get("fell", fell(before)) != fell(before):
        raise Conflict("the grant was put down since this was asked for; ask anew", code="grant_moved")
    marks = {"demoted_at": None, "demoted_reason": ""} if wanted.rung > stands.rung else {}
    found, _ = Grant.objects.update_or_create(
        version_id=change["version"],
        kind=change["kind"],
        name=change["name"],
        connection_id=change["connection"],
        defaults={
            "autonomy": change["autonomy"],
            **marks,
            "evidence": given.evidence if given is not None else "",
            "valid_until": given.valid_until if given is not None else None,
            "evidence_version": given.type_version if given is not None else None,
        },
    )
    audit.record(
        "grant.set",
        actor=actor,
        chain=f"grant:{found.pk}",
        subject=str(found),
        detail={
            "kind": found.kind,
            "name": found.name,
            "autonomy": found.autonomy,
            "version": str(version),
            "evidence": found.evidence,
            "from": stands.value,
            "asked_by": change.get("asked_by", ""),
            "reason": change.get("reason", ""),
        },
    )


def fell(grant: Grant | None) -> str:
    """When a grant was last put down, as a change keeps it; "" where it was not since it was raised."""
    return grant.demoted_at.isoformat() if grant is not None and grant.demoted_at is not None else ""


def gate(change: Mapping[str, Any], actor: Actor) -> None:
    """Set what a gate (id) asks for. Grants that rest on evidence given before are closed with it."""
    found = Gate.objects.select_for_update().get(pk=change["gate"])
    Gate.objects.filter(pk=found.pk).update(
        suite_id=change["suite"],
        bar=Decimal(change["bar"]),
        consistency=Decimal(change["consistency"]),
        wrong=change["wrong"],
        cases=change["cases"],
        repeats=change["repeats"],
        max_age_days=change["max_age_days"],
        number=F("number") + 1,
        changed_at=Now(),
    )
    closed = Grant.objects.filter(kind=found.kind, name=found.about, valid_until__gt=Now()).update(
        valid_until=Now()
    )
    audit.record(
        "gate.set",
        actor=actor,
        chain=f"gate:{found.about}",
        subject=found.about,
        detail={**change, "closed": closed},
    )


def sampling(change: Mapping[str, Any], actor: Actor) -> None:
    """Countersign a sampling rule (grant id, type_version, most, currency, share, digest) and raise its grant.

    `asked_by` asked, `confirmed_by` confirms. Refused or Conflict where it is not what was asked for any more.
    """
    found = Grant.objects.select_for_update(of=("self",)).select_related("connection").get(pk=change["grant"])
    form = {name: change[name] for name in ("grant", "type_version", "most", "currency", "share")}
    version = transaction_type(found.name).version
    if (
        digest(form) != change["digest"]
        or found.autonomy != Autonomy.PROPOSE
        or version != form["type_version"]
    ):
        raise Conflict(
            "the grant or the type has changed since it was asked for; ask anew", code="rule_moved"
        )
    check_reachable(found)
    SamplingRule.objects.create(
        grant=found,
        **{name: form[name] for name in ("type_version", "most", "currency", "share")},
        digest=change["digest"],
        asked_by_id=change["asked_by"],
        confirmed_by_id=int(actor.id),
        at=Now(),
    )
    asker = User.objects.get(pk=change["asked_by"])
    named = asker.get_full_name() or asker.username
    grant(
        {
            "version": found.version_id,
            "kind": found.kind,
            "name": found.name,
            "connection": found.connection_id,
            "autonomy": Autonomy.SAMPLED.value,
            "asked_by": named,
            "reason": f"By sampling rule {change['digest'][:12]}.",
            "fell": change["fell"],
        },
        actor,
    )
    audit.record(
        "grant.sampling",
        actor=actor,
        chain=f"grant:{found.pk}",
        subject=str(found),
        detail={**form, "digest": change["digest"], "asked_by": named},
    )


def unfreeze(change: Mapping[str, Any], actor: Actor) -> None:
    """Lift the freeze of a grant (id)."""
    found = Grant.objects.get(pk=change["grant"])
    Grant.objects.filter(pk=found.pk).update(frozen_at=None, frozen_reason="")
    audit.record("grant.unfreeze", actor=actor, chain=f"grant:{found.pk}", subject=str(found))


def limit(change: Mapping[str, Any], actor: Actor) -> None:
    """Set a limit: owner, name, value (text)."""
    LimitValue.objects.update_or_create(
        owner=change["owner"],
        name=change["name"],
        defaults={"value": Decimal(change["value"]), "changed_at": Now()},
    )
    audit.record(
        "limit.set",
        actor=actor,
        chain=f"limit:{change['owner']}.{change['name']}",
        subject=f"{change['owner']}.{change['name']} = {change['value']}",
        detail=dict(change),
    )


def enable_connection(change: Mapping[str, Any], actor: Actor) -> None:
    """Switch a connection (id) on."""
    found = Connection.objects.get(pk=change["connection"])
    Connection.objects.filter(pk=found.pk).update(enabled=True)
    audit.record("connection.enable", actor=actor, chain=f"connection:{found.name}", subject=found.name)


def certify_screen(change: Mapping[str, Any], actor: Actor) -> None:
    """Let a robot's script work at a screen: connection (id), transaction_type, script, fingerprint; `by` who asked."""
    found = Connection.objects.get(pk=change["connection"])
    screen, made = CertifiedScreen.objects.get_or_create(
        connection=found,
        transaction_type=change["transaction_type"],
        script=change["script"],
        fingerprint=change["fingerprint"],
        defaults={"by_id": change["by"], "at": Now()},
    )
    if not made:
        raise Conflict("this screen is certified already", code="already_certified")
    audit.record(
        "screen.certify",
        actor=actor,
        chain=f"connection:{found.name}",
        subject=str(screen),
        detail={name: change[name] for name in ("transaction_type", "script", "fingerprint")},
    )


def lift_kill(change: Mapping[str, Any], actor: Actor) -> None:
    """Lift a kill switch (id) with its reason; `by` is who asked."""
    lifted = KillSwitch.objects.filter(pk=change["kill"], lifted_at__isnull=True).update(
        lifted_at=Now(), lifted_by_id=change["by"], lifted_reason=change["reason"]
    )
    if lifted != 1:
        raise Conflict("it was lifted already", code="already_lifted")
    found = KillSwitch.objects.get(pk=change["kill"])
    audit.record(
        "kill.lift",
        actor=actor,
        chain="kill",
        subject=str(found),
        detail={"reason": change["reason"], "kill": found.pk},
    )


def caps(change: Mapping[str, Any], actor: Actor) -> None:
    """Set an agent's (id) pending_cap and calls_per_minute."""
    found = Agent.objects.get(pk=change["agent"])
    values = {"pending_cap": change["pending_cap"], "calls_per_minute": change["calls_per_minute"]}
    Agent.objects.filter(pk=found.pk).update(**values)
    audit.record("agent.change", actor=actor, chain=f"agent:{found.slug}", subject=found.slug, detail=values)


def roles(change: Mapping[str, Any], actor: Actor) -> None:
    """Give a person (id) exactly these roles."""
    person = User.objects.get(pk=change["user"])
    groups = [Group.objects.get_or_create(name=name)[0] for name in change["roles"]]
    others = person.groups.exclude(name__in=[role.value for role in Role])
    person.groups.set([*groups, *others])
    audit.record(
        "person.roles",
        actor=actor,
        chain=f"person:{person.pk}",
        subject=person.username,
        detail={"roles": list(change["roles"])},
    )
