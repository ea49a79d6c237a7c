"""What stands beside a decision and a grant: how good this agent version has been here, always with n."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from console.audit import VERBS
from console.errors import Refused
from console.evals import gate, shadow
from console.evals.drift import OVERRIDES
from console.evals.versions import of_agent, told_apart
from console.lifecycle import sampling
from console.models import (
    AgentVersion,
    Assessment,
    AuditEntry,
    Autonomy,
    Grant,
    OverrideChart,
    Proposal,
    Sampled,
    ShadowLook,
    State,
)
from console.registry import evidence, reach
from console.registry import sampling as rules
from console.registry.grants import below
from console.web import rendering
from integrations.contract import Kind, TransactionType

HISTORY = 12
"""Turns of a grant that its ladder shows; the log has them all."""
TURNS = {
    "grant.freeze": "frozen",
    "grant.unfreeze": "unfrozen",
    "grant.demote": "back in shadow, by its figures",
    "grant.lower": "put down",
    "grant.sampling": "sampling rule countersigned",
}


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


def by_rule(proposal: Proposal, assessment: Assessment | None) -> str:
    """By which rule it passed without a person, in words; "" where people decided. Asks only of sampled grants."""
    if proposal.autonomy != Autonomy.SAMPLED or assessment is None:
        return ""
    drawn = Sampled.objects.filter(assessment=assessment, picked=False).select_related("rule").first()
    return sampling.words(drawn.rule, drawn.draw) if drawn is not None else ""


@dataclass(frozen=True)
class Turn:
    """One line of a grant's history: what was done to it, by whom, at whose asking, and why."""

    at: dt.datetime
    pk: int
    sentence: str
    tone: str
    who: str
    asked_by: str
    why: str


def of_grants(grants: Sequence[Grant]) -> None:
    """Put on every grant of a transaction type what its ladder shows.

    `history` newest first; `agreed` in shadow; `eval`, its last run; `alarm_after`: overrides in a row that would put
    it down now; `next_rung` with `missing`, what it takes in sentences; `upward`, what can be asked for; `rule` in
    force, and whether one `may_sample` at all. On every grant, `lower_rung`: where the button leads.
    """
    for grant in grants:
        down = below(grant)
        grant.__dict__["lower_rung"] = down.label.lower() if down is not None else ""
    typed = [grant for grant in grants if grant.kind == Grant.TYPE]
    agreed = shadow.agreements([grant.pk for grant in typed])
    levels = dict(OverrideChart.objects.filter(grant__in=typed).values_list("grant_id", "level"))
    history = _history(typed)
    evals = _evals(typed)
    for grant in typed:
        level = OVERRIDES.to_alarm(levels.get(grant.pk, 0.0))
        after = _next_rung(grant)
        grant.__dict__.update(
            history=history.get(grant.pk, []),
            agreed=agreed[grant.pk],
            eval=evals.get((grant.version_id, grant.name)),
            alarm_after=level or OVERRIDES.to_alarm(0.0),
            next_rung=after.label if after is not None else "",
            missing=_missing(grant, after),
            upward=_upward(grant),
            rule=rules.in_force(grant) if grant.autonomy == Autonomy.SAMPLED else None,
            may_sample=grant.autonomy == Autonomy.PROPOSE and not reach.unreachable(grant),
        )


def versions(agent_id: int) -> list[dict[str, Any]]:
    """Types on which people decided on two versions of an agent or more: each version's figures, and what they say."""
    return [
        {"name": name, "versions": found, "told": told_apart(found)}
        for name, found in of_agent(agent_id).items()
        if len(found) > 1
    ]


def _evals(grants: Sequence[Grant]) -> dict[tuple[int, str], gate.Standing]:
    names: dict[AgentVersion, list[str]] = {}
    for grant in grants:
        names.setdefault(grant.version, []).append(grant.name)
    return {
        (version.pk, name): standing
        for version, wanted in names.items()
        for name, standing in gate.standings(version, wanted).items()
    }


def _history(grants: Sequence[Grant]) -> dict[int, list[Turn]]:
    chains = {f"grant:{grant.pk}": grant.pk for grant in grants}
    found: dict[int, list[Turn]] = {}
    entries = AuditEntry.objects.filter(chain__in=list(chains)).order_by("-id")[
        : HISTORY * max(1, len(chains))
    ]
    for one in entries:
        detail = json.loads(one.body)["detail"]
        turns = found.setdefault(chains[one.chain], [])
        if len(turns) < HISTORY:
            turns.append(_turn(one, detail))
    return found


def _turn(entry: AuditEntry, detail: Mapping[str, Any]) -> Turn:
    level = str(detail.get("autonomy") or "")
    before = str(detail.get("from") or "")
    names = {one.value: one.label.lower() for one in Autonomy}
    if entry.verb == "grant.set":
        sentence = f"from {names[before]} to {names[level]}" if before in names else f"set to {names[level]}"
    else:
        sentence = TURNS.get(entry.verb, "changed")
        sentence += f" to {names[level]}" if entry.verb == "grant.lower" and level in names else ""
    return Turn(
        at=entry.at,
        pk=entry.pk,
        sentence=sentence,
        tone=VERBS[entry.verb].tone if entry.verb in VERBS else "plain",
        who=entry.actor_label,
        asked_by=str(detail.get("asked_by") or ""),
        why=str(detail.get("reason") or ""),
    )


def _next_rung(grant: Grant) -> Autonomy | None:
    """The rung above, up to `propose`: what is beyond it is no step that a page offers."""
    after = {Autonomy.OFF: Autonomy.SHADOW, Autonomy.SHADOW: Autonomy.PROPOSE}
    return after.get(Autonomy(grant.autonomy))


def _upward(grant: Grant) -> list[Autonomy]:
    levels = [Autonomy.OFF, Autonomy.SHADOW, Autonomy.PROPOSE]
    return levels[levels.index(Autonomy(grant.autonomy)) + 1 :] if grant.autonomy in levels else []


def _missing(grant: Grant, after: Autonomy | None) -> list[str]:
    """What the next rung takes, in sentences."""
    if after is None:
        return []
    found = ["Somebody looks into what put it down."] if grant.demoted_at is not None else []
    if after is Autonomy.PROPOSE:
        found += _evidence_missing(grant)
    return [*found, "Two people: an administrator asks, another person confirms."]


def _evidence_missing(grant: Grant) -> list[str]:
    """What it has to show before it may propose: reads before writes, then its gate."""
    found = []
    if lack := evidence.lacks_reads(grant.version):
        found.append(f"Reads before writes: {lack}.")
    try:
        cases = gate.missing(grant.version, grant.name)
    except Refused as used_up:
        return [*found, f"{used_up.text[:1].upper()}{used_up.text[1:]}."]
    if cases is None:
        found.append("This type has no gate yet: somebody has to set one before anything can be shown.")
    elif cases:
        found.append(f"Its gate: a run over {cases} cases, without a fault.")
    if found and not settings.GATES_REQUIRED:
        found.append("This console does not insist on evidence: two people may raise it without.")
    return found
