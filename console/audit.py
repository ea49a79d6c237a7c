"""The audit trail: one entry per fact, written in the transaction of the fact.

Entries form one chain per subject (a proposal, an agent, a connection, a person, the console); the database
sets time, place and hash. Recording an unknown verb is an error: an auditor must be able to read every entry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction

from console.canonical import canonical
from console.models import AuditEntry, Proposal


@dataclass(frozen=True)
class Verb:
    """How an entry reads: a sentence with {subject}, and a tone for its colour (plain, good, warn, bad)."""

    sentence: str
    tone: str = "plain"


VERBS: Mapping[str, Verb] = {
    "proposal.submit": Verb("proposed {subject}"),
    "proposal.revise": Verb("sent a new revision of {subject}"),
    "proposal.withdraw": Verb("withdrew {subject}", "warn"),
    "proposal.assess": Verb("assessed {subject}: ready for review"),
    "proposal.refuse": Verb("refused {subject} before review", "warn"),
    "proposal.shadow": Verb("judged {subject} in shadow: recorded, never committed"),
    "shadow.look": Verb("looked what people did in place of {subject}"),
    "proposal.view": Verb("opened {subject}"),
    "proposal.agree": Verb("approved {subject}; more people have to agree"),
    "proposal.approve": Verb("approved {subject}", "good"),
    "proposal.sample": Verb("let {subject} pass by a sampling rule, without a person", "warn"),
    "proposal.pick": Verb("drew {subject} for a person to decide"),
    "proposal.not_sampled": Verb("left {subject} to a person: the sampling rule does not cover it"),
    "proposal.reject": Verb("rejected {subject}", "bad"),
    "proposal.request_changes": Verb("asked for changes to {subject}", "warn"),
    "proposal.amend": Verb("amended {subject}", "warn"),
    "proposal.reveal": Verb("answered {subject}, a test of attention, and was told so at once"),
    "proposal.moved": Verb("sent {subject} back: the record or the rules moved", "warn"),
    "proposal.expire": Verb("let {subject} expire", "warn"),
    "commit.claim": Verb("began to commit {subject}"),
    "commit.note": Verb("was about to take a step of {subject}"),
    "commit.away": Verb("could not reach the system for {subject}; nothing was sent", "warn"),
    "commit.in_doubt": Verb("lost the answer for {subject}; asking the system", "warn"),
    "commit.resume": Verb("went on with {subject} from what the system shows"),
    "commit.accepted": Verb("handed {subject} over; the system answers later"),
    "commit.unknown": Verb("does not know the outcome of {subject}", "bad"),
    "commit.committed": Verb("committed {subject} and read it back", "good"),
    "commit.failed": Verb("did not commit {subject}; the system proves it", "bad"),
    "commit.on_word": Verb("ended {subject} on the system's word; nothing can be read back", "warn"),
    "evidence.keep": Verb("kept what the screen of {subject} showed"),
    "commit.settle": Verb("settled the outcome of {subject} by hand", "warn"),
    "task.hand_over": Verb("gave {subject} to people, to be done by hand"),
    "task.take": Verb("took on {subject}"),
    "task.give_back": Verb("gave {subject} back", "warn"),
    "task.say": Verb("said what became of {subject}; it is read back before it counts"),
    "task.done": Verb("did {subject} by hand", "good"),
    "task.not_done": Verb("did not do {subject}", "bad"),
    "task.unsure": Verb("could not say for sure what became of {subject}", "bad"),
    "task.committed": Verb("read back that {subject} was done by hand", "good"),
    "task.failed": Verb("read back that {subject} was not done", "bad"),
    "task.overdue": Verb("heard from nobody in time what became of {subject}", "bad"),
    "task.unknown": Verb("does not know what became of {subject}", "bad"),
    "callback.hear": Verb("told what became of {subject}: a claim until it is read back"),
    "callback.contradict": Verb("heard of {subject} what contradicts the rest", "bad"),
    "callback.refuse": Verb("was refused a callback to {subject}", "warn"),
    "read.refused": Verb("was refused a read: {subject}", "warn"),
    "access.refused": Verb("was refused: {subject}", "warn"),
    "person.sign_in": Verb("signed in"),
    "person.sign_out": Verb("signed out"),
    "person.sign_in_failed": Verb("failed to sign in", "warn"),
    "person.roles": Verb("changed the roles of {subject}", "warn"),
    "agent.register": Verb("registered agent {subject}"),
    "agent.version": Verb("registered version {subject}"),
    "agent.change": Verb("changed agent {subject}"),
    "key.issue": Verb("issued key {subject}"),
    "key.revoke": Verb("revoked key {subject}", "warn"),
    "grant.set": Verb("set grant {subject}"),
    "grant.freeze": Verb("froze grant {subject}", "bad"),
    "grant.demote": Verb("put grant {subject} back into shadow", "bad"),
    "grant.sampling": Verb("countersigned a sampling rule for {subject}", "warn"),
    "grant.lower": Verb("put grant {subject} down", "bad"),
    "grant.unfreeze": Verb("unfroze grant {subject}", "warn"),
    "widening.ask": Verb("asked for {subject}; a second person has to confirm"),
    "widening.confirm": Verb("confirmed {subject}", "good"),
    "widening.decline": Verb("declined {subject}", "warn"),
    "limit.set": Verb("set limit {subject}"),
    "seeding.ask": Verb("put a test of attention into the queue"),
    "seeding.end": Verb("closed {subject}, a test of attention that nobody answered"),
    "connection.mirror": Verb("took connection {subject} from the settings"),
    "connection.enable": Verb("switched connection {subject} on", "warn"),
    "connection.disable": Verb("switched connection {subject} off", "warn"),
    "connection.probe": Verb("probed account {subject}"),
    "screen.certify": Verb("certified the screen {subject}", "warn"),
    "kill.throw": Verb("threw the kill switch: {subject}", "bad"),
    "kill.lift": Verb("lifted the kill switch: {subject}", "warn"),
    "incident.open": Verb("opened incident {subject}", "bad"),
    "incident.take": Verb("took on incident {subject}"),
    "incident.lift": Verb("closed incident {subject}"),
    "suite.import": Verb("froze the cases of {subject}"),
    "suite.accept": Verb("made a case of {subject}"),
    "answer.post": Verb("answered a question of a person: {subject}"),
    "answer.mark": Verb("marked the answer {subject}"),
    "labels.draw": Verb("drew the cases of {subject} whose labels a second person judges"),
    "labels.judge": Verb("judged an outcome of a case of {subject}"),
    "gate.set": Verb("set the gate of {subject}: evidence given before counts no more", "warn"),
    "run.open": Verb("opened eval run {subject}"),
    "run.resume": Verb("went on with eval run {subject} with a new key"),
    "run.finish": Verb("finished eval run {subject}"),
    "gate.open": Verb("opened the gate of {subject}", "good"),
    "gate.stay": Verb("kept the gate of {subject} closed", "warn"),
    "value.baseline": Verb("timed work by hand: {subject}"),
    "audit.export": Verb("exported {subject}"),
    "console.start": Verb("set up {subject}"),
}


@dataclass(frozen=True)
class Actor:
    """Who does it: `kind` is person, agent, worker, operator or system; `label` is the name as it is today.

    `request_id` ties the entries of one request or task together. `via` says how they were let in: a key id,
    "session", "command line", a task name. Never a secret.
    """

    kind: str
    id: str
    label: str
    via: str = ""
    request_id: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


WORKER = Actor(kind="worker", id="worker", label="Countersign worker", via="task")
OPERATOR = Actor(kind="operator", id="operator", label="Operator", via="command line")


INTO = (
    "INSERT INTO console_auditentry (proposal_id, chain, proposal_version, verb, actor_kind, actor_id, actor_label,"
    " words, body, at, previous, hash)"
)
VALUES = (
    "%(audit_chain)s, %(audit_version)s, %(audit_verb)s, %(audit_kind)s, %(audit_actor)s, %(audit_label)s,"
    " %(audit_words)s, %(audit_body)s, now(), '', ''"
)
"""With `entry`: for a statement that writes an entry together with what the entry records."""


def record(
    verb: str,
    *,
    actor: Actor,
    chain: str,
    subject: str,
    proposal: Proposal | None = None,
    proposal_version: int | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write one entry, in the caller's transaction. Call it last: it holds the chain's lock until the end.

    `detail` is JSON without floats, secrets or personal data. Raises KeyError for an unknown verb, RuntimeError
    outside a transaction, ValueError when `detail` has no canonical form: all before anything is written.
    """
    values = entry(
        verb,
        actor=actor,
        chain=chain,
        subject=subject,
        proposal=proposal,
        proposal_version=proposal_version,
        detail=detail,
    )
    values["audit_proposal"] = proposal.pk if proposal is not None else None
    with connection.cursor() as cursor:
        cursor.execute(f"{INTO} VALUES (%(audit_proposal)s, {VALUES})", values)


def entry(
    verb: str,
    *,
    actor: Actor,
    chain: str,
    subject: str,
    proposal: Proposal | None = None,
    proposal_version: int | None = None,
    detail: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The values of one entry, for `INTO ... SELECT <the proposal's id>, VALUES`. Raises as `record` does."""
    if verb not in VERBS:
        raise KeyError(f"{verb} is not an audit verb; add it to VERBS with its sentence")
    if not connection.in_atomic_block:
        raise RuntimeError(f"{verb} must be recorded in the transaction of what it records")
    body = {
        "verb": verb,
        "chain": chain,
        "subject": subject,
        "actor": {"kind": actor.kind, "id": actor.id, "label": actor.label, "via": actor.via},
        "request": actor.request_id,
        "detail": dict(detail or {}),
    }
    words = [subject]
    if proposal is not None:
        body["proposal"] = {"ref": proposal.ref, "version": proposal_version}
        words += [proposal.target, proposal.label]
    return {
        "audit_chain": chain,
        "audit_version": proposal_version,
        "audit_verb": verb,
        "audit_kind": actor.kind,
        # The columns are for searching and cut to size; the body has all of it.
        "audit_actor": actor.id[:64],
        "audit_label": actor.label[:150],
        "audit_words": " ".join(words)[:400],
        "audit_body": canonical(body),
    }


def record_alone(
    verb: str, *, actor: Actor, chain: str, subject: str, detail: Mapping[str, Any] | None = None
) -> None:
    """Write one entry that goes with no other change, such as a refusal, in a transaction of its own."""
    with transaction.atomic():
        record(verb, actor=actor, chain=chain, subject=subject, detail=detail)


def proposal_chain(proposal: Proposal) -> str:
    """The name of a proposal's own chain."""
    return f"proposal:{proposal.ref}"


def entry_hash(previous: str, at_microseconds: int, body: str) -> str:
    """The hash the database gives an entry; see `AuditEntry`. `at_microseconds` is since 1970 in UTC."""
    return hashlib.sha256(f"{previous}\n{at_microseconds}\n{body}".encode()).hexdigest()


def broken(chain: str) -> Iterator[str]:
    """What is wrong with one chain, in words; nothing if it is whole. Reads it entry by entry, oldest first."""
    previous = ""
    for entry in AuditEntry.objects.filter(chain=chain).order_by("id").iterator():
        if entry.previous != previous:
            yield f"entry {entry.pk} does not name the entry before it"
        if entry.hash != entry_hash(entry.previous, _microseconds(entry), entry.body):
            yield f"entry {entry.pk} does not match its hash"
        previous = entry.hash


def _microseconds(entry: AuditEntry) -> int:
    return int(entry.at.timestamp()) * 1_000_000 + entry.at.microsecond
