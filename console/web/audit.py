"""The audit log: search, entries, stories, receipts, exports. Nothing here can change anything."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone

from console import access, audit, audit_search, audit_tree
from console.errors import Missing, Refused
from console.models import (
    Agent,
    Attempt,
    AuditEntry,
    AuditLeaf,
    Checkpoint,
    Decision,
    ReadBack,
    Revision,
)
from console.web.guards import actor

TYPES = {"csv": "text/csv", "ndjson": "application/x-ndjson"}


def page(request: HttpRequest) -> HttpResponse:
    """Entries, newest first, narrowed by the form."""
    status, fault, want = 200, None, audit_search.Wanted()
    try:
        want = replace(audit_search.wanted(request.GET.dict()), hidden=_hidden(request))
    except Refused as refused:
        status, fault = 422, refused
    found = (
        audit_search.page(want, older=_id(request, "older"), newer=_id(request, "newer"))
        if fault is None
        else None
    )
    context = {
        "found": found,
        "entries": [_told(entry) for entry in found.entries] if found is not None else [],
        "fault": fault,
        "given": request.GET,
        "narrowed": want.said(),
        "families": audit_search.families(),
        "kinds": audit_search.KINDS,
        "agents": Agent.objects.order_by("title"),
        "may_export": bool(access.roles(request.user) & access.EXPORTS),
        **_state_of_tree(),
    }
    return render(request, "audit/list.html" if request.htmx else "audit/page.html", context, status=status)  # type: ignore[attr-defined]


def entry(request: HttpRequest, pk: int) -> HttpResponse:
    """One entry: what it says, what proves it."""
    one = _entry(request, pk)
    leaf = AuditLeaf.objects.filter(entry=one).first()
    sealed = (
        Checkpoint.objects.filter(size__gt=leaf.index).order_by("size").first() if leaf is not None else None
    )
    context = {
        "entry": _told(one),
        "body": json.dumps(json.loads(one.body), indent=2, ensure_ascii=False),
        "leaf": leaf,
        "sealed": sealed,
        "before": AuditEntry.objects.filter(chain=one.chain, pk__lt=one.pk).order_by("-pk").first(),
        "after": AuditEntry.objects.filter(chain=one.chain, pk__gt=one.pk).order_by("pk").first(),
        "matches": audit.entry_hash(one.previous, _microseconds(one), one.body) == one.hash,
        "verifier_key": audit_tree.verifier_key(),
    }
    return render(request, "audit/entry.html", context)


def receipt(request: HttpRequest, pk: int) -> HttpResponse:
    """The receipt of one entry, to keep."""
    return _file(
        audit_tree.receipt(_entry(request, pk)),
        f"countersign-entry-{pk}.tlog-proof",
        "text/plain; charset=utf-8",
    )


def checkpoint(request: HttpRequest) -> HttpResponse:
    """The newest checkpoint, to be kept elsewhere."""
    del request
    head = Checkpoint.objects.order_by("-size").first()
    if head is None:
        raise Missing("there is no checkpoint yet; the sequencer makes one within seconds of the first entry")
    return _file(head.note, f"countersign-checkpoint-{head.size}.txt", "text/plain; charset=utf-8")


def story(request: HttpRequest, ref: str) -> HttpResponse:
    """One proposal from first to last, for reading and printing."""
    proposal = access.visible_to(request.user).filter(ref=ref).first()
    if proposal is None:
        raise Missing(f"there is no proposal {ref}")
    context = {
        "proposal": proposal,
        "entries": [
            _told(one)
            for one in AuditEntry.objects.filter(proposal=proposal).select_related("leaf").order_by("id")
        ],
        "revisions": [
            (one, json.dumps(json.loads(one.payload), indent=2, ensure_ascii=False))
            for one in Revision.objects.filter(proposal=proposal)
            .select_related("by_user", "by_agent__agent")
            .prefetch_related("cited__reading")
            .order_by("number")
        ],
        "assessments": proposal.assessments.order_by("number"),
        "decisions": Decision.objects.filter(proposal=proposal).select_related("assessment").order_by("id"),
        "attempts": Attempt.objects.filter(proposal=proposal).order_by("number"),
        "read_backs": ReadBack.objects.filter(attempt__proposal=proposal).order_by("id"),
        "printed_at": timezone.now(),
    }
    return render(request, "audit/story.html", context)


def export(request: HttpRequest) -> HttpResponseBase:
    """What the search finds, all of it, as a stream. The export is itself an entry."""
    form = request.GET.get("format", "")
    if form not in TYPES:
        raise Refused("choose csv or ndjson")
    want = replace(audit_search.wanted(request.GET.dict()), hidden=_hidden(request))
    audit.record_alone(
        "audit.export",
        actor=actor(request),
        chain="console",
        subject=f"the audit log as {form}",
        detail=want.said(),
    )
    lines = audit_search.csv_lines(want) if form == "csv" else audit_search.ndjson(want)
    response = StreamingHttpResponse(_in_blocks(lines), content_type=f"{TYPES[form]}; charset=utf-8")
    response["Content-Disposition"] = (
        f'attachment; filename="countersign-audit-{timezone.now():%Y%m%d-%H%M}.{form}"'
    )
    return response


def _in_blocks(lines: Any, size: int = 500) -> Any:
    """Lines by the hundred: a response that writes each alone is slow."""
    held: list[str] = []
    for line in lines:
        held.append(line)
        if len(held) == size:
            yield "".join(held)
            held.clear()
    yield "".join(held)


def _state_of_tree() -> dict[str, object]:
    head = Checkpoint.objects.order_by("-size").first()
    last = AuditLeaf.objects.order_by("-index").values_list("entry_id", flat=True).first() or 0
    waiting = AuditEntry.objects.filter(pk__gt=last).order_by("pk").first()
    behind = (timezone.now() - waiting.at).total_seconds() if waiting is not None else 0
    return {"head": head, "behind": int(behind), "is_behind": behind > 60}  # noqa: PLR2004 a checkpoint a minute


def _told(one: AuditEntry) -> AuditEntry:
    """Put on an entry how it reads: its sentence with the subject, its tone, and what else its body says."""
    body = json.loads(one.body)
    verb = audit.VERBS.get(one.verb)
    before, _, after = (verb.sentence if verb is not None else f"{one.verb} {{subject}}").partition(
        "{subject}"
    )
    one.told_before, one.told_after = before, after  # type: ignore[attr-defined]
    one.subject = body["subject"] if verb is None or "{subject}" in verb.sentence else ""  # type: ignore[attr-defined]
    one.tone = verb.tone if verb is not None else "plain"  # type: ignore[attr-defined]
    one.via = body["actor"]["via"]  # type: ignore[attr-defined]
    one.request = body["request"]  # type: ignore[attr-defined]
    one.detail = body["detail"]  # type: ignore[attr-defined]
    return one


def _hidden(request: HttpRequest) -> tuple[str, ...]:
    """Verbs that this person is not shown: who decides would know that a test is on its way."""
    return ("seeding.ask",) if access.roles(request.user) & access.DECIDES else ()


def _entry(request: HttpRequest, pk: int) -> AuditEntry:
    found = (
        AuditEntry.objects.select_related("proposal").exclude(verb__in=_hidden(request)).filter(pk=pk).first()
    )
    if found is None:
        raise Missing(f"there is no audit entry {pk}")
    return found


def _file(text: str, name: str, content_type: str) -> HttpResponse:
    response = HttpResponse(text, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _id(request: HttpRequest, name: str) -> int:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0  # noqa: PLR2004 fits bigint


def _microseconds(one: AuditEntry) -> int:
    return int(one.at.timestamp()) * 1_000_000 + one.at.microsecond
