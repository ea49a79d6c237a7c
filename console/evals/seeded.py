"""Seeded tests: wrong copies of real proposals, put into the queue to see whether somebody notices.

A test goes through the same corridor as what it copies, on the record as it is now, under a reference like any other,
in the name of the agent of its source, and at a moment that nobody can predict. Its first audit entry reads as any
agent's does; the entry that ends it says whose work it was (`lifecycle.review.truth`). The database lets it be
approved by nobody, and no figure counts it: figures ask for `NOT seeded`.

The share of tests is a limit, `attention.seeded_share`, off by default: rare targets are missed more often the rarer
they are, and people who meet one now and then, and are told at once, go on looking.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import math
import random
import uuid
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from console import access, audit, dispatch, references
from console.audit import Actor
from console.canonical import canonical, text_digest
from console.catalogue import transaction_types
from console.errors import CountersignError, Denied, Refused
from console.evals import slips
from console.evals.slips import Variant
from console.lifecycle import limits
from console.lifecycle.review import truth
from console.lifecycle.submit import BELL
from console.models import (
    Assessment,
    AuditEntry,
    Autonomy,
    Cited,
    Decision,
    LimitValue,
    Proposal,
    Revision,
    SeededTest,
    State,
)
from console.policy import attention

TRIES = 40
"""So many sources are looked at before the console says that there is none."""
EVERY_SECONDS = 20
"""How often beat asks whether one is due; it is planted at a random moment of the time until it asks again."""
FRESH = dt.timedelta(hours=24)
"""Readings that are older are not cited: nobody would believe that an agent proposed on them today."""

CHANCE = random.SystemRandom()

LOCK = "SELECT pg_advisory_xact_lock(20816, 3)"
"""One test at a time."""


def due() -> bool:
    """Whether it is time for the next test: so many real proposals came since the last one as chance wants.

    The gap is geometric, so that the share is right in the long run and the next test can come at any moment. It is
    drawn from the last test and the console's own secret: asking again gives the same answer, and nobody can tell.
    """
    share = float(limits.of_attention()["seeded_share"]) / 100
    if share <= 0:
        return False
    last = SeededTest.objects.order_by("-id").first()
    came = Proposal.objects.filter(seeded=False).exclude(
        state__in=(State.RECEIVED, State.REFUSED, State.SHADOWED)
    )
    if last is not None:
        came = came.filter(pk__gt=last.proposal_id)
    else:
        on = LimitValue.objects.get(owner=attention.OWNER, name="seeded_share").changed_at
        came = came.filter(submitted_at__gte=on)
    undecided = Proposal.objects.filter(seeded=True, state__in=(State.RECEIVED, State.IN_REVIEW)).count()
    room = max(1, math.ceil(share * Proposal.objects.filter(state=State.IN_REVIEW).count()))
    return undecided < room and came.count() >= gap(share, last.pk if last is not None else 0)


def round_(*, actor: Actor) -> None:
    """What beat does: have one planted if it is time, and close tests that ended without an answer."""
    close(actor=actor)
    if due():
        dispatch.ring("console.tasks.plant_test", after=CHANCE.uniform(0, EVERY_SECONDS))


def ask(*, by: User, actor: Actor) -> SeededTest:
    """An administrator wants one now. Denied for somebody who decides, and would know; Refused while tests are off."""
    access.require(by, access.CONFIGURES, "put a test of attention into the queue")
    if access.roles(by) & access.DECIDES:
        raise Denied("you decide yourself, and would know the test; ask another administrator")
    if not limits.of_attention()["seeded_share"]:
        raise Refused("tests of attention are off; set their share first", code="seeding_off")
    with transaction.atomic():
        made = plant(asked_by=by)
        if made is None:
            raise Refused(
                "there is no proposal to make a wrong copy of yet: it takes one that was committed, or one that waits"
                " and nobody has answered",
                code="no_source",
            )
        audit.record("seeding.ask", actor=actor, chain="attention", subject="a test of attention")
    return made


def plant(*, asked_by: User | None = None) -> SeededTest | None:
    """Put one test into the queue; None where none is due (unless somebody asks) or nothing can be copied."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(LOCK)
        if asked_by is None and not due():
            return None
        for source in _sources():
            if (variant := _variant(source)) is not None:
                return _store(source, variant, asked_by)
    return None


def close(*, actor: Actor) -> int:
    """Say of every test that ended without an answer what it was. Returns how many."""
    told = AuditEntry.objects.filter(proposal=OuterRef("proposal_id"), verb="seeding.end")
    ended = SeededTest.objects.filter(
        ~Exists(told), proposal__state__in=(State.REFUSED, State.EXPIRED)
    ).select_related("proposal", "source", "asked_by")
    for test in ended:
        with transaction.atomic():
            audit.record(
                "seeding.end",
                actor=actor,
                chain=audit.proposal_chain(test.proposal),
                subject=test.proposal.ref,
                proposal=test.proposal,
                detail=truth(test),
            )
    return len(ended)


def _sources() -> list[Proposal]:
    """What may be copied, in random order: what was committed first, then what waits and nobody has answered.

    What was copied lately comes last.
    """
    used = set(SeededTest.objects.order_by("-id").values_list("source_id", flat=True)[:TRIES])
    rows = (
        Proposal.objects.filter(seeded=False, grant__autonomy=Autonomy.PROPOSE)
        .select_related(
            "agent_version__agent", "connection__system", "grant__connection", "grant__version__agent"
        )
        .order_by("-pk")
    )
    past = list(rows.filter(state=State.COMMITTED)[:TRIES])
    answered = Decision.objects.filter(proposal=OuterRef("pk"))
    waiting = list(rows.filter(~Exists(answered), state=State.IN_REVIEW)[:TRIES])
    CHANCE.shuffle(past)
    CHANCE.shuffle(waiting)
    return sorted([*past, *waiting], key=lambda one: one.pk in used)[:TRIES]


def _variant(source: Proposal) -> Variant | None:
    type_ = transaction_types().get(source.transaction_type)
    assessment = (
        Assessment.objects.filter(proposal=source).select_related("revision").order_by("-number").first()
    )
    if type_ is None or assessment is None or type_.version != source.type_version:
        return None
    try:
        access.check_may_go_on(source)
    except CountersignError:
        return None
    others = _others(source)
    found = slips.variants(
        type_,
        json.loads(assessment.revision.payload),
        assessment=assessment,
        of_type=limits.of_type(type_),
        others=others,
        today=dt.datetime.now(dt.UTC).date(),
    )
    hardest = [one for one in found if one.warnings == found[0].warnings]
    return CHANCE.choice(hardest) if hardest else None


def _others(source: Proposal) -> list[str]:
    """Other records that might have been meant, in random order.

    Those for which the same waits: their state allows it, so the test is not refused before anybody sees it. Without
    any, whatever of the kind was lately proposed for.
    """
    rows = Proposal.objects.filter(connection=source.connection, seeded=False).exclude(
        target__in=("", source.target)
    )
    alike = rows.filter(
        transaction_type=source.transaction_type,
        state__in=(State.IN_REVIEW, State.CHANGES_REQUESTED, State.APPROVED),
    )
    near = rows.filter(transaction_type__startswith=source.transaction_type.split("_")[0])
    found: list[str] = []
    for several in (alike, near):
        found = found or list(several.order_by("-pk").values_list("target", flat=True)[:TRIES])
    CHANCE.shuffle(found)
    return list(dict.fromkeys(found))


def _store(source: Proposal, variant: Variant, asked_by: User | None) -> SeededTest:
    """Write what `submit` writes, word for word, and what is wrong with it beside it."""
    type_ = transaction_types()[source.transaction_type]
    said = Revision.objects.filter(proposal=source, by_agent__isnull=False).order_by("-number").first()
    text = canonical(variant.payload)
    row = Proposal.objects.create(
        ref=references.new("CS"),
        agent_version=source.agent_version,
        grant=source.grant,
        connection=source.connection,
        transaction_type=type_.name,
        type_version=type_.version,
        autonomy=source.grant.autonomy,
        target=type_.target(type_.payload.model_validate_json(text)) or "",
        state=State.RECEIVED,
        state_since=Now(),
        submitted_at=Now(),
        expires_at=Now() + (source.expires_at - source.submitted_at),
        ring_at=Now() + BELL,
        reverses=None,
        seeded=True,
    )
    revision = Revision.objects.create(
        proposal=row,
        number=1,
        payload=text,
        digest=text_digest(text),
        rationale=_rationale(said.rationale if said is not None else "", variant),
        by_agent=source.agent_version,
        created_at=Now(),
    )
    cited = _cited(source)
    Cited.objects.bulk_create(Cited(revision=revision, reading_id=pk) for pk, _ in cited)
    test = SeededTest.objects.create(
        proposal=row,
        source=source,
        rule=variant.slip.rule,
        path=variant.path,
        label=variant.label,
        right=variant.right,
        wrong=variant.slip.wrong,
        told=f"{variant.label}: {slips.words(variant.slip.wrong)} instead of {slips.words(variant.right)};"
        f" {variant.slip.words}."[:300],
        look=variant.look,
        asked_by=asked_by,
        planted_at=Now(),
    )
    audit.record(
        "proposal.submit",
        actor=_disguise(source),
        chain=audit.proposal_chain(row),
        subject=row.ref,
        proposal=row,
        proposal_version=0,
        detail={
            "to": State.RECEIVED.value,
            "transaction_type": type_.name,
            "type_version": type_.version,
            "connection": source.connection.name,
            "digest": revision.digest,
            "readings": [ref for _, ref in cited],
        },
    )
    dispatch.after_commit("console.tasks.assess", row.pk)
    return test


def _disguise(source: Proposal) -> Actor:
    """Whoever submitted the source, as its entry names them."""
    entry = AuditEntry.objects.filter(proposal=source, verb="proposal.submit").order_by("id").first()
    if entry is None:
        return access.agent_actor(source.agent_version, key_id="", request_id=uuid.uuid4().hex)
    via = json.loads(entry.body)["actor"]["via"]
    return access.agent_actor(source.agent_version, key_id=via, request_id=uuid.uuid4().hex)


def _cited(source: Proposal) -> list[tuple[int, str]]:
    since = dt.datetime.now(dt.UTC) - FRESH
    rows = Cited.objects.filter(revision__proposal=source, reading__at__gte=since).order_by("id")
    return list(dict.fromkeys(rows.values_list("reading_id", "reading__ref")))


def _rationale(text: str, variant: Variant) -> str:
    """The agent's words, with the wrong value where they name the right one: an agent that errs believes itself."""
    if variant.slip.rule == "another_record":
        return text
    for right, wrong in zip(_spoken(variant.right), _spoken(variant.slip.wrong), strict=False):
        text = text.replace(right, wrong)
    return text


def _spoken(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [str(value.get("value") or value.get("amount"))]
    try:
        day = dt.date.fromisoformat(str(value))
    except ValueError:
        return []
    return [day.isoformat(), f"{day.day} {day:%B}", f"{day.day} {day:%b}"]


def gap(share: float, last: int) -> int:
    """How many real proposals come between the test with this id (0: none yet) and the next; share is 0 to 1."""
    seed = hmac.new(settings.SECRET_KEY.encode(), f"seeded:{last}".encode(), hashlib.sha256).digest()
    chance = (int.from_bytes(seed[:8], "big") + 0.5) / 2**64
    return math.floor(math.log(chance) / math.log1p(-share))
