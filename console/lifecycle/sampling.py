"""Agreement by a rule in a person's place: two people countersigned it beforehand, and a draw decides who is looked at.

A proposal is drawn for once per assessment, in the transaction that puts it in review. Whatever speaks against the
rule leaves it there for a person. At the commit everything is judged again: a rule that would not cover it any more
has not agreed.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.db.models.functions import Now

from console import access, audit, dispatch, policy
from console.audit import Actor
from console.catalogue import transaction_type
from console.findings import Finding, Level
from console.lifecycle.frozen import facts_from
from console.lifecycle.states import move
from console.lifecycle.submit import BELL
from console.models import Assessment, Autonomy, Grant, Proposal, Sampled, SamplingRule, State
from console.registry import sampling
from integrations.contract import Facts


def against(rule: SamplingRule, proposal: Proposal, facts: Facts, findings: Sequence[Finding]) -> list[str]:
    """What speaks against agreeing by this rule, in words; nothing where it covers the proposal."""
    found = []
    if transaction_type(proposal.transaction_type).version != rule.type_version:
        found.append("the rule is about another version of the type")
    if facts.floor or facts.books:
        found.append(f"it reaches the {'shop floor' if facts.floor else 'books'}")
    today = dt.datetime.now(dt.UTC).date()
    if not facts.reversible or (facts.reversible_until is not None and facts.reversible_until < today):
        found.append("it cannot be reversed")
    if facts.value is None or facts.value.currency != rule.currency:
        found.append(f"no value in {rule.currency} is at stake that could be compared")
    elif abs(Decimal(facts.value.amount)) > rule.most:
        found.append(f"{facts.value.amount} {facts.value.currency} is at stake, the rule goes to {rule.most}")
    if any(finding.level is not Level.INFO for finding in findings):
        found.append("a check warns")
    if proposal.revision != 1:
        found.append("it was sent back or amended")
    return found


def consider(
    row: Proposal,
    assessment: Assessment,
    facts: Facts,
    findings: Sequence[Finding],
    limits: Mapping[str, Decimal],
    *,
    actor: Actor,
) -> None:
    """Draw for a proposal that was just put in review, in the caller's transaction, if a rule covers it.

    Not picked, it is approved by the rule; picked once, it stays with people whatever happens to it.
    """
    rule = sampling.in_force(_grant(row))
    if rule is None or row.seeded or Sampled.objects.filter(proposal=row, picked=True).exists():
        return
    detail: dict[str, Any] = {"rule": rule.pk, "rule_digest": rule.digest, "digest": assessment.digest}
    if reasons := against(rule, row, facts, findings):
        _tell("proposal.not_sampled", row, actor, {**detail, "text": f"For a person: {'; '.join(reasons)}."})
        return
    draw = secrets.randbelow(100)
    picked = draw < rule.share
    detail |= {"draw": draw, "share": rule.share}
    Sampled.objects.create(
        proposal=row,
        assessment=assessment,
        rule=rule,
        digest=assessment.digest,
        draw=draw,
        picked=picked,
        at=Now(),
    )
    verdicts = policy.judge(
        policy.Situation(facts, findings, (), limits, rule="" if picked else words(rule, draw))
    )
    if picked or not policy.passes(verdicts):
        _tell("proposal.pick", row, actor, {**detail, "text": "The draw picked it for a person."})
        return
    move(
        row,
        State.APPROVED,
        actor=actor,
        verb="proposal.sample",
        reason=words(rule, draw),
        detail={
            **detail,
            "countersigned_by": [rule.asked_by.username, rule.confirmed_by.username],
        },
        ring_at=Now() + BELL,
    )
    dispatch.after_commit("console.tasks.commit", row.pk)


def agreed(proposal: Proposal, assessment: Assessment) -> str:
    """What a rule says of this assessment in a person's place, in words; "" where none agrees (any more)."""
    if proposal.autonomy != Autonomy.SAMPLED:
        return ""
    drawn = Sampled.objects.filter(assessment=assessment, picked=False).select_related("rule").first()
    rule = sampling.in_force(_grant(proposal)) if drawn is not None else None
    if drawn is None or rule is None or rule.digest != drawn.rule.digest or drawn.digest != assessment.digest:
        return ""
    findings = [Finding(**{**one, "level": Level(one["level"])}) for one in assessment.findings]
    return "" if against(rule, proposal, facts_from(assessment.facts), findings) else words(rule, drawn.draw)


def words(rule: SamplingRule, draw: int) -> str:
    """The agreement of a rule, for people."""
    return (
        f"No person looked at it: sampling rule {rule.digest[:12]}, countersigned by two people, agreed "
        f"(draw {draw}, picked below {rule.share})."
    )


def _grant(proposal: Proposal) -> Grant:
    found = access.GRANT.one("t.id = %s", [proposal.grant_id])
    return found if found is not None else proposal.grant


def _tell(verb: str, row: Proposal, actor: Actor, detail: dict[str, Any]) -> None:
    audit.record(
        verb, actor=actor, chain=audit.proposal_chain(row), subject=row.ref, proposal=row, detail=detail
    )
