"""The people's door: approve, reject, request changes, amend; and settle what nobody else can.

Every verb names the digest that was on the person's screen. A newer assessment, a lost race or a moved rule is a
Conflict that says what changed; nothing is decided by accident.

The file is long because the answers share their guards, and read best side by side.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models.functions import Now

from console import access, audit, dispatch, policy, tracing
from console.audit import Actor
from console.canonical import canonical, text_digest
from console.catalogue import transaction_type
from console.checks.shape import validated
from console.errors import Conflict, Denied, Missing, Refused
from console.failpoints import reach
from console.findings import Finding, Level, Verdict
from console.lifecycle import attention, limits, sampling
from console.lifecycle.frozen import facts_from
from console.lifecycle.states import locked, move, moved_on
from console.lifecycle.submit import BELL, check_carried
from console.models import Answer, Assessment, Claim, Proposal, Reason, Revision, SeededTest, State
from console.models.loading import Fetch

MEANINGS = {
    Answer.APPROVE: "I have seen what changes and I want exactly this written.",
    Answer.REJECT: "I have seen what changes and it must not be written.",
    Answer.REQUEST_CHANGES: "I have seen what changes and it needs another revision.",
    Answer.AMEND: "I changed it; it has to be assessed and agreed again.",
}
"""What a decision says, in words that stand beside the name and the time (21 CFR 11.50)."""

SHORTEST_NOTE = 10

LOOKING = dt.timedelta(minutes=3)

ASSESSMENT = Fetch(Assessment, "revision")
DECIDE = """
WITH given AS (
    INSERT INTO console_decision (proposal_id, assessment_id, by_id, answer, digest, reason, note, name, role, meaning,
        dwell_ms, unfolded, edits, caught, at)
    VALUES (%(proposal)s, %(assessment)s, %(by)s, %(answer)s, %(digest)s, %(reason)s, %(note)s, %(name)s, 'supervisor',
        %(meaning)s, %(dwell)s, %(unfolded)s::jsonb, %(edits)s::jsonb, %(caught)s, statement_timestamp())
    ON CONFLICT (assessment_id, by_id) DO NOTHING RETURNING id, by_id, name, answer
), answers AS (
    SELECT * FROM given UNION ALL
    SELECT id, by_id, name, answer FROM console_decision WHERE assessment_id = %(assessment)s
)
SELECT by_id, name, EXISTS (SELECT FROM console_revision r WHERE r.proposal_id = %(proposal)s AND r.by_user_id = by_id),
    answer, id IN (SELECT id FROM given)
FROM answers ORDER BY id
"""
"""One person's answer, if it is their first to this assessment; and all there are now."""
AGREED = """
SELECT d.by_id, d.name,
    EXISTS (SELECT FROM console_revision r WHERE r.proposal_id = %s AND r.by_user_id = d.by_id)
FROM console_decision d WHERE d.assessment_id = %s AND d.answer = %s ORDER BY d.id
"""


@dataclass(frozen=True)
class Look:
    """How somebody looked before they answered, by their browser's word: it is kept, and nothing rests on it.

    `dwell_ms`: how long the page was open; `unfolded`: the folded parts they opened, by name. None: unknown.
    """

    dwell_ms: int | None = None
    unfolded: tuple[str, ...] | None = None


UNSEEN = Look()


@tracing.step("approve")
def approve(
    proposal: Proposal,
    *,
    by: User,
    seen: str,
    actor: Actor,
    note: str = "",
    look: Look = UNSEEN,
    typed: str = "",
) -> Proposal:
    """Countersign the assessment with digest `seen`.

    Becomes approved when every requirement is satisfied; until then it stays in review, with this agreement kept.
    A seeded test is revealed instead, here and in every answer below. `typed` is the value that the person typed
    again, where `attention` asks for it.
    Raises Denied (may not decide), Conflict (moved on, not what was seen, already answered), Held (stopped), Refused
    (not looked at long enough, or another value typed).
    """
    with transaction.atomic():
        row, assessment = _for_decision(proposal, by, seen)
        grant, now = limits.ground(row)
        access.check_grant_holds(row, grant)
        changed = _rules_moved(row, assessment, now)
        if not changed:
            attention.check(row, assessment, by, now.of_attention, typed=typed)
            if row.seeded:
                return _reveal(row, assessment, by, Answer.APPROVE, actor=actor, note=note, look=look)
            given = _decide(row, assessment, by, Answer.APPROVE, note=note, look=look)
            verdicts = standing(row, assessment, now, given)
            detail = {
                "digest": assessment.digest,
                "assessment": assessment.number,
                "meaning": MEANINGS[Answer.APPROVE],
                "note": note,
            }
            if policy.passes(verdicts):
                move(
                    row,
                    State.APPROVED,
                    actor=actor,
                    verb="proposal.approve",
                    detail=detail,
                    ring_at=Now() + BELL,
                )
                dispatch.after_commit("console.tasks.commit", row.pk)
                reach("S0")
            else:
                audit.record(
                    "proposal.agree",
                    actor=actor,
                    chain=audit.proposal_chain(row),
                    subject=row.ref,
                    proposal=row,
                    detail=detail,
                )
    if changed:
        reassess(proposal, actor=actor, why=changed)
        raise Conflict(f"{changed}; it is being assessed again. Look at it anew.", code="rules_moved")
    return row


@tracing.step("reject")
def reject(
    proposal: Proposal,
    *,
    by: User,
    seen: str,
    actor: Actor,
    reason: str,
    note: str = "",
    look: Look = UNSEEN,
) -> Proposal:
    """Say no, for good, with a reason code. Raises as `approve` does; Refused for an unknown reason."""
    code = _reason(reason)
    with transaction.atomic():
        row, assessment = _for_decision(proposal, by, seen)
        if row.seeded:
            return _reveal(row, assessment, by, Answer.REJECT, actor=actor, reason=code, note=note, look=look)
        _decide(row, assessment, by, Answer.REJECT, reason=code, note=note, look=look)
        dispatch.after_commit("console.tasks.watch", row.grant_id)
        return move(
            row,
            State.REJECTED,
            actor=actor,
            verb="proposal.reject",
            reason=code.label,
            detail={
                "digest": assessment.digest,
                "assessment": assessment.number,
                "code": code.value,
                "note": note,
                "meaning": MEANINGS[Answer.REJECT],
            },
            ring_at=None,
        )


@tracing.step("request_changes")
def request_changes(
    proposal: Proposal,
    *,
    by: User,
    seen: str,
    actor: Actor,
    reason: str,
    note: str,
    look: Look = UNSEEN,
) -> Proposal:
    """Send it back to the agent as the same case. The note says what would be right and must not be empty."""
    code = _reason(reason)
    if not note.strip():
        raise Refused(
            "say what should change; the agent reads this note",
            findings=[
                Finding(
                    "note.empty",
                    Level.ERROR,
                    "The note is empty.",
                    field="note",
                    hint="Say what should change.",
                )
            ],
            code="note_empty",
        )
    with transaction.atomic():
        row, assessment = _for_decision(proposal, by, seen)
        if row.seeded:
            return _reveal(
                row, assessment, by, Answer.REQUEST_CHANGES, actor=actor, reason=code, note=note, look=look
            )
        _decide(row, assessment, by, Answer.REQUEST_CHANGES, reason=code, note=note, look=look)
        return move(
            row,
            State.CHANGES_REQUESTED,
            actor=actor,
            verb="proposal.request_changes",
            reason=note,
            detail={
                "digest": assessment.digest,
                "assessment": assessment.number,
                "code": code.value,
                "note": note,
                "meaning": MEANINGS[Answer.REQUEST_CHANGES],
            },
            ring_at=None,
        )


@tracing.step("amend")
def amend(
    proposal: Proposal,
    *,
    by: User,
    seen: str,
    actor: Actor,
    payload: Mapping[str, Any],
    note: str = "",
    look: Look = UNSEEN,
) -> Proposal:
    """Change allowed fields. Makes a new revision by this person, who can then not be its only approver.

    `payload` is the whole new payload. Raises Refused when it does not fit the schema or touches a field that may
    not be amended, with every fault at once; else as `approve` does.
    """
    type_ = transaction_type(proposal.transaction_type)
    try:
        text = canonical(dict(payload))
    except ValueError as error:
        raise Refused(str(error), code="not_canonical") from None
    with transaction.atomic():
        row, assessment = _for_decision(proposal, by, seen)
        before = Revision.objects.get(proposal=row, number=row.revision)
        parsed = validated(type_.payload, text, "payload")
        old = type_.payload.model_validate_json(before.payload)
        if text == before.payload:
            raise Refused(
                "nothing was changed; approve it as it is, or change a value", code="nothing_amended"
            )
        edits = _changed(old.model_dump(mode="json"), parsed.model_dump(mode="json"), "")
        if faults := _not_amendable(type_, edits):
            raise Refused("these fields may not be amended", findings=faults, code="not_amendable")
        check_carried(type_, row.connection.name, parsed)
        if row.seeded:
            return _reveal(row, assessment, by, Answer.AMEND, actor=actor, note=note, look=look, edits=edits)
        _decide(row, assessment, by, Answer.AMEND, note=note, look=look, edits=edits)
        dispatch.after_commit("console.tasks.watch", row.grant_id)
        revision = Revision.objects.create(
            proposal=row,
            number=row.revision + 1,
            payload=text,
            digest=text_digest(text),
            rationale=note,
            by_user=by,
            created_at=Now(),
        )
        move(
            row,
            State.RECEIVED,
            actor=actor,
            verb="proposal.amend",
            reason="Amended; it is being assessed again.",
            detail={
                "digest": assessment.digest,
                "revision": revision.number,
                "revision_digest": revision.digest,
                "note": note,
                "meaning": MEANINGS[Answer.AMEND],
            },
            revision=revision.number,
            ring_at=Now() + BELL,
        )
        dispatch.after_commit("console.tasks.assess", row.pk)
        return row


def reassess(proposal: Proposal, *, actor: Actor, why: str) -> Proposal:
    """Send it back to be assessed, because the record or the rules moved. Voids what was agreed so far."""
    with transaction.atomic():
        row = locked(proposal)
        if row is None:
            raise Missing(f"there is no proposal {proposal.ref}")
        if State(row.state) not in {State.IN_REVIEW, State.APPROVED}:
            return row
        move(row, State.RECEIVED, actor=actor, verb="proposal.moved", reason=why, ring_at=Now() + BELL)
        dispatch.after_commit("console.tasks.assess", row.pk)
        return row


@tracing.step("settle")
def settle(proposal: Proposal, *, by: User, happened: bool, note: str, actor: Actor) -> Proposal:
    """A person who looked in the system says what an unknown outcome was. The note says how they know.

    Raises Denied, Refused (no note), Conflict (it is not unknown any more).
    """
    if why := access.may_not_decide(by, proposal):
        raise Denied(why)
    if len(note.strip()) < SHORTEST_NOTE:
        raise Refused(
            "say how you know; an auditor reads this",
            findings=[
                Finding(
                    "note.short",
                    Level.ERROR,
                    "The note is too short.",
                    field="note",
                    hint="Name the document and what you saw in it.",
                )
            ],
            code="note_short",
        )
    with transaction.atomic():
        row = locked(proposal)
        if row is None or row.state != State.OUTCOME_UNKNOWN:
            raise moved_on(proposal)
        return move(
            row,
            State.COMMITTED if happened else State.COMMIT_FAILED,
            actor=actor,
            verb="commit.settle",
            reason=note,
            detail={"happened": happened, "note": note},
            ring_at=None,
        )


def claim(proposal: Proposal, *, by: User) -> Claim | None:
    """Say that this person is looking at it, for three minutes. Somebody else's running claim is returned as it is.

    A soft lock: it warns and never refuses.
    """
    with transaction.atomic():
        held = (
            Claim.objects.select_for_update()
            .filter(proposal=proposal, until__gt=Now())
            .select_related("by")
            .first()
        )
        if held is not None and held.by_id != by.pk:
            return held
        Claim.objects.update_or_create(proposal=proposal, defaults={"by": by, "until": Now() + LOOKING})
    return None


def current(proposal: Proposal) -> Assessment | None:
    """The newest assessment of the newest revision: the one a decision is about."""
    return ASSESSMENT.one(
        "t.proposal_id = %s AND revision.number = %s ORDER BY t.number DESC LIMIT 1",
        [proposal.pk, proposal.revision],
    )


def agreements(proposal: Proposal, assessment: Assessment) -> tuple[policy.Agreement, ...]:
    """Who approved this assessment, and whether they shaped the proposal or own its agent."""
    with connection.cursor() as cursor:
        cursor.execute(AGREED, [proposal.pk, assessment.pk, Answer.APPROVE.value])
        return _agreements(proposal, cursor.fetchall())


def _agreements(proposal: Proposal, rows: Sequence[tuple[int, str, bool]]) -> tuple[policy.Agreement, ...]:
    owner = proposal.agent_version.agent.owner_id
    return tuple(
        policy.Agreement(person=person, name=name, shaped=shaped, owns_agent=person == owner)
        for person, name, shaped in rows
    )


def standing(
    proposal: Proposal,
    assessment: Assessment,
    now: limits.InForce | None = None,
    given: tuple[policy.Agreement, ...] | None = None,
) -> tuple[Verdict, ...]:
    """Where every requirement stands. `now` are the limits and `given` the agreements, if they were read already."""
    return policy.judge(
        policy.Situation(
            facts=facts_from(assessment.facts),
            findings=[Finding(**{**one, "level": Level(one["level"])}) for one in assessment.findings],
            agreements=given if given is not None else agreements(proposal, assessment),
            limits=now.of_policy if now is not None else limits.of_policy(),
            rule=sampling.agreed(proposal, assessment),
        )
    )


def _for_decision(proposal: Proposal, by: User, seen: str) -> tuple[Proposal, Assessment]:
    row = locked(proposal)
    if row is None:
        raise Missing(f"there is no proposal {proposal.ref}")
    if why := access.may_not_decide(by, row):
        raise Denied(why)
    if row.state != State.IN_REVIEW:
        raise moved_on(row)
    assessment = current(row)  # read after the lock was ours: its clock is the decision's
    if row.expires_at <= (assessment.db_now if assessment is not None else row.db_now):
        raise Conflict(f"{row.ref} has expired; nobody decided in time", code="expired")
    if assessment is None or assessment.digest != seen:
        raise Conflict(
            f"{row.ref} was assessed again since you opened it. What you saw is not what would be written; look again.",
            code="not_what_you_saw",
            detail={"seen": seen, "now": assessment.digest if assessment is not None else ""},
        )
    return row, assessment


def _rules_moved(proposal: Proposal, assessment: Assessment, now: limits.InForce) -> str:
    type_ = transaction_type(proposal.transaction_type)
    if type_.version != assessment.type_version:
        return "the transaction type has a newer version"
    if now.version != assessment.policy_version:
        return "the rules or limits were changed since it was assessed"
    return ""


def _decide(
    proposal: Proposal,
    assessment: Assessment,
    by: User,
    answer: Answer,
    *,
    reason: Reason | None = None,
    note: str = "",
    look: Look = UNSEEN,
    edits: Sequence[str] = (),
    caught: bool | None = None,
) -> tuple[policy.Agreement, ...]:
    """Store the answer. Returns who agrees now; Conflict when this person answered before."""
    with connection.cursor() as cursor:
        cursor.execute(
            DECIDE,
            {
                "proposal": proposal.pk,
                "assessment": assessment.pk,
                "by": by.pk,
                "answer": answer.value,
                "digest": assessment.digest,
                "reason": reason.value if reason is not None else "",
                "note": note[:1000],
                "name": by.get_full_name() or by.username,
                "meaning": MEANINGS[answer],
                "dwell": look.dwell_ms,
                "unfolded": json.dumps(look.unfolded) if look.unfolded is not None else None,
                "edits": json.dumps(list(edits)),
                "caught": caught,
            },
        )
        rows = cursor.fetchall()
    if not any(new for *_, new in rows):
        raise Conflict(
            "you have answered this already; somebody else has to agree now", code="already_answered"
        )
    agreed = [
        (person, name, shaped) for person, name, shaped, said, _ in rows if said == Answer.APPROVE.value
    ]
    return _agreements(proposal, agreed)


def _reveal(
    proposal: Proposal,
    assessment: Assessment,
    by: User,
    answer: Answer,
    *,
    actor: Actor,
    look: Look,
    note: str,
    reason: Reason | None = None,
    edits: Sequence[str] = (),
) -> Proposal:
    """Store the answer to a seeded test and say at once that it was one. Whoever answers first is the one tested."""
    test = SeededTest.objects.select_related("source", "asked_by").get(proposal=proposal)
    touched = any(test.path == one or one.startswith(f"{test.path}.") for one in edits)
    caught = answer in {Answer.REJECT, Answer.REQUEST_CHANGES} or (answer is Answer.AMEND and touched)
    _decide(
        proposal,
        assessment,
        by,
        answer,
        reason=reason,
        note=note,
        look=look,
        edits=edits,
        caught=caught,
    )
    dispatch.after_commit("console.tasks.weigh_attention")
    return move(
        proposal,
        State.REVEALED,
        actor=actor,
        verb="proposal.reveal",
        reason="A test of attention: noticed." if caught else "A test of attention: not noticed.",
        detail={
            "digest": assessment.digest,
            "assessment": assessment.number,
            "answer": answer.value,
            "note": note,
            "meaning": MEANINGS[answer],
            "caught": caught,
            **truth(test),
        },
        ring_at=None,
    )


def truth(test: SeededTest) -> dict[str, Any]:
    """What an audit entry says of a seeded test once it is over: whose entries before were a disguise, and why."""
    return {
        "seeded": True,
        "made_by": "the console, in the agent's name; the agent knows nothing of it",
        "asked_by": test.asked_by.username if test.asked_by is not None else "",
        "rule": test.rule,
        "source": test.source.ref,
        "path": test.path,
        "told": test.told,
    }


def _reason(code: str) -> Reason:
    try:
        return Reason(code)
    except ValueError:
        raise Refused(
            "choose a reason",
            findings=[
                Finding(
                    "reason.unknown",
                    Level.ERROR,
                    "There is no such reason.",
                    field="reason",
                    hint="One of: " + ", ".join(one.value for one in Reason),
                )
            ],
            code="reason_unknown",
        ) from None


def _not_amendable(type_: Any, edits: Sequence[str]) -> list[Finding]:
    allowed = {
        (field.payload_path if field.payload_path is not None else field.path).replace("[]", "")
        for field in type_.fields
        if field.amendable
    }
    return [
        Finding(
            "amend.not_allowed",
            Level.ERROR,
            "This field may not be amended.",
            field=f"payload.{path}",
            hint="Request changes instead, or reject it.",
        )
        for path in edits
        if not any(_covers(one, path) for one in allowed)
    ]


def _covers(allowed: str, path: str) -> bool:
    plain = ".".join(part for part in path.split(".") if not part.isdigit())
    return plain == allowed or plain.startswith(f"{allowed}.")


def _changed(before: Any, after: Any, path: str) -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            place
            for name in sorted({*before, *after})
            for place in _changed(before.get(name), after.get(name), f"{path}.{name}" if path else name)
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            place
            for index, pair in enumerate(zip(before, after, strict=True))
            for place in _changed(*pair, f"{path}.{index}")
        ]
    return [] if before == after else [path]
