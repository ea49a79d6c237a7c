"""Tasks: what is countersigned and then done by a person. The verbs of the people who do it.

A worker hands over what was approved (`commit`), somebody takes it on, does it, and says what became of it. Where no
connection can read it, that person's word settles it, under their name. Where one can, it is a claim: a worker
reads it back before it counts (`task_check`).
"""

from __future__ import annotations

import datetime as dt

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now

from console import access, audit, dispatch, tracing
from console.audit import Actor
from console.catalogue import specs, transaction_type
from console.errors import Conflict, Denied, Missing, Refused
from console.findings import Finding, Level
from console.lifecycle import limits
from console.lifecycle.review import SHORTEST_NOTE, agreements, current
from console.lifecycle.states import locked, move, moved_on
from console.lifecycle.submit import BELL
from console.models import Assessment, Claim, Confirmation, Done, Proposal, Revision, State
from integrations.contract import EffectClass

LEAST = dt.timedelta(hours=1)
"""How long somebody has at least, also for what is due today."""
WITHOUT_DUE = dt.timedelta(days=3)

MEANINGS = {
    Done.DONE: "I did exactly this, or saw it done, and looked as the task says.",
    Done.NOT_DONE: "It was not done, and it will not be.",
    Done.UNSURE: "I cannot say for sure; somebody has to look.",
}
"""What a confirmation says, in words that stand beside the name and the time (21 CFR 11.50)."""


def is_task(proposal: Proposal) -> bool:
    """Whether a person does it by hand: the connection sends nothing for this type."""
    found = specs().get(proposal.connection.name)
    carried = found.adapter.types.get(proposal.transaction_type) if found is not None else None
    return carried is not None and carried.effect is EffectClass.BY_HAND


def deadline(due: dt.date | None, since: dt.datetime) -> dt.datetime:
    """Until when somebody has to say what became of it: the end of the day it is due, in UTC."""
    if due is None:
        return since + WITHOUT_DUE
    end = dt.datetime.combine(due + dt.timedelta(days=1), dt.time(), dt.UTC)
    return max(end, since + LEAST)


def is_read_back(proposal: Proposal) -> bool:
    """Whether another connection can be asked what is true: it reads the records of this type, and this is one."""
    found = specs().get(proposal.connection.name)
    carried = found.adapter.types.get(proposal.transaction_type) if found is not None else None
    return carried is not None and carried.seen_elsewhere and bool(proposal.target)


@tracing.step("take")
def take(proposal: Proposal, *, by: User, actor: Actor) -> Proposal:
    """Say "I do it": others see who has it.

    Raises Denied (may not do it), Held (stopped meanwhile), Conflict (not waiting any more, or somebody has it).
    """
    with transaction.atomic():
        row = _for_doing(proposal, by)
        access.check_may_go_on(row)
        _not_somebody_elses(row, by)
        until = deadline(row.due, row.state_since)
        Claim.objects.update_or_create(proposal=row, defaults={"by": by, "until": until})
        _record("task.take", row, actor)
    return row


def give_back(proposal: Proposal, *, by: User, actor: Actor) -> Proposal:
    """Leave it to somebody else. Who has it may, and any supervisor. Conflict when nobody has it."""
    with transaction.atomic():
        row = _waiting(proposal)
        held = holder(row)
        if held is None:
            raise Conflict(f"nobody has taken on {row.ref}", code="not_taken")
        if held.pk != by.pk and not access.roles(by) & access.DECIDES:
            raise Denied("only who took it on, or a supervisor, can give it back")
        Claim.objects.filter(proposal=row).delete()
        _record("task.give_back", row, actor)
    return row


@tracing.step("confirm")
def confirm(proposal: Proposal, *, by: User, answer: str, note: str, seen: str, actor: Actor) -> Proposal:
    """Say what became of it, under one's name. `seen` is the digest on screen, `note` what one did and saw.

    Settles it where nothing can be read back; else a worker reads first. Also possible while a kill switch is thrown:
    what was done was done. Raises Denied, Refused (no such answer, no note), Conflict (moved on, somebody else has it
    or said so already, not what was countersigned).
    """
    said = _answer(answer, note)
    with transaction.atomic():
        row = _for_doing(proposal, by)
        _not_somebody_elses(row, by)
        assessment = current(row)
        if assessment is None or assessment.digest != seen:
            raise Conflict(f"{row.ref} is not what you saw any more; look again", code="not_what_you_saw")
        _check_is_another(row, assessment, by)
        if (before := said_of(row)) is not None:
            raise Conflict(f"{before.name} has said already what became of {row.ref}", code="already_said")
        Confirmation.objects.create(
            proposal=row,
            assessment=assessment,
            by=by,
            answer=said,
            note=note.strip()[:1000],
            digest=assessment.digest,
            name=by.get_full_name() or by.username,
            role=", ".join(sorted(role.value for role in access.roles(by) & access.DOES)),
            meaning=MEANINGS[said],
            at=Now(),
        )
        Claim.objects.filter(proposal=row).delete()
        return _settle(row, said, note.strip(), assessment, actor)


def said_of(proposal: Proposal) -> Confirmation | None:
    """What was said of it last, if somebody has."""
    return Confirmation.objects.filter(proposal=proposal).order_by("-id").first()


def holder(proposal: Proposal) -> User | None:
    """Who has taken it on, if somebody has."""
    held = Claim.objects.filter(proposal=proposal, until__gt=Now()).select_related("by").first()
    return held.by if held is not None else None


def words(proposal: Proposal) -> Revision:
    """The revision that was countersigned: the task in the words of whoever wrote it."""
    return Revision.objects.get(proposal=proposal, number=proposal.revision)


def _settle(row: Proposal, said: Done, note: str, assessment: Assessment, actor: Actor) -> Proposal:
    detail = {"digest": assessment.digest, "note": note, "said": said.value, "meaning": MEANINGS[said]}
    if said is Done.UNSURE:
        return move(
            row,
            State.OUTCOME_UNKNOWN,
            actor=actor,
            verb="task.unsure",
            reason=note,
            detail=detail,
            ring_at=None,
        )
    if is_read_back(row):
        Proposal.objects.filter(pk=row.pk).update(
            ring_at=Now() + BELL, state_reason="Somebody said what became of it; it is being read back."
        )
        _record("task.say", row, actor, **detail)
        dispatch.after_commit("console.tasks.check_task", row.pk)
        return row
    if said is Done.DONE:
        return move(row, State.COMMITTED, actor=actor, verb="task.done", detail=detail, ring_at=None)
    return move(
        row,
        State.COMMIT_FAILED,
        actor=actor,
        verb="task.not_done",
        reason=note,
        detail=detail,
        ring_at=None,
    )


def _answer(answer: str, note: str) -> Done:
    faults = []
    if answer not in Done.values:
        choices = ", ".join(Done.values)
        faults.append(
            Finding(
                "answer.unknown",
                Level.ERROR,
                "Say what became of it.",
                field="answer",
                hint=f"One of: {choices}.",
            )
        )
    if len(note.strip()) < SHORTEST_NOTE:
        faults.append(
            Finding(
                "note.short",
                Level.ERROR,
                "The note is too short.",
                field="note",
                hint="Say what you did and what you saw; an auditor reads this.",
            )
        )
    if faults:
        raise Refused("say what became of it, and how you know", findings=faults, code="not_told")
    return Done(answer)


def _waiting(proposal: Proposal) -> Proposal:
    row = locked(proposal)
    if row is None:
        raise Missing(f"there is no proposal {proposal.ref}")
    if row.state != State.AWAITING_PERSON:
        raise moved_on(row)
    return row


def _for_doing(proposal: Proposal, by: User) -> Proposal:
    row = _waiting(proposal)
    if why := access.may_not_do(by, row):
        raise Denied(why)
    return row


def _not_somebody_elses(row: Proposal, by: User) -> None:
    held = holder(row)
    if held is not None and held.pk != by.pk:
        name = held.get_full_name() or held.username
        raise Conflict(f"{name} has taken on {row.ref}; they can give it back", code="taken")


def _check_is_another(row: Proposal, assessment: Assessment, by: User) -> None:
    if limits.in_force(transaction_type(row.transaction_type)).of_policy["approver_may_do"] >= 1:
        return
    if {one.person for one in agreements(row, assessment)} == {by.pk}:
        raise Denied("you are the only one who approved it; by our limits somebody else does it and says so")


def _record(verb: str, row: Proposal, actor: Actor, **detail: str) -> None:
    audit.record(
        verb,
        actor=actor,
        chain=audit.proposal_chain(row),
        subject=row.ref,
        proposal=row,
        detail=detail,
    )
