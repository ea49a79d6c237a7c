"""The addresses of the agents' door. Each loads, calls one verb and answers; nothing is decided here.

Submitting and answering take an `Idempotency-Key`. Withdrawing and revising are safe to repeat as they are: the second
call finds the proposal moved on (409), and its body says to what.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from django.http import HttpResponse
from pydantic import Field, StringConstraints
from rest_framework.request import Request

from console.api import proposals, runs, wait
from console.api.describe import described
from console.api.door import Either, check_live, door, open_door
from console.api.envelope import (
    Capabilities,
    CapabilityCard,
    CrossCheckView,
    Page,
    ProblemType,
    ProposalView,
    ReadingAnswer,
    Received,
    ToolsAnswer,
    Validation,
)
from console.api.problems import AGAIN, PROBLEMS
from console.api.request import actor_of, answered, body_of, idempotency_key, key_of, run_of
from console.api.tools import functions, tools
from console.checks.shape import parse, validated
from console.errors import Missing
from console.lifecycle import submit, validate
from console.reads import cross_check, read
from console.registry.capabilities import Way, capabilities, switches
from integrations.contract import Closed


class Withdrawal(Closed):
    """Why the agent takes a proposal back."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)] = Field(
        description="Why, in plain words. People read it."
    )


class Shown(Closed):
    """How `tools` is to be shown."""

    format: Annotated[str, StringConstraints(pattern="^(cards|functions)$")] = Field(
        default="cards", description="`functions` gives a list for function calling."
    )


@described("list_tools", "List what you may read and propose", {200: ToolsAnswer}, query=Shown)
@door("GET", who=Either)
def list_tools(request: Request) -> HttpResponse:
    """Every read tool and transaction type of your version, with schemas and samples."""
    shown = proposals.query(Shown, request.query_params)
    if (run := run_of(request)) is not None:
        return runs.list_tools(request, run, shown.format)
    found = tools(key_of(request).version)
    return answered(request, functions(found) if shown.format == "functions" else found)


@described("list_capabilities", "List what every path can carry", {200: Capabilities})
@door("GET")
def list_capabilities(request: Request) -> HttpResponse:
    """Every transaction type and read tool, and the connections and shipped adapters that carry it.

    What cannot be written here has to be known before an agent is built. No grant is implied: `tools` lists yours.
    """
    cards = [
        CapabilityCard.model_validate({**asdict(one), "ways": [_way(way) for way in one.ways]})
        for one in capabilities(switches())
    ]
    found = Capabilities(
        transaction_types=[card for card in cards if card.kind == "type"],
        read_tools=[card for card in cards if card.kind == "tool"],
    )
    return answered(request, found)


@described(
    "read",
    "Read from a system",
    {200: ReadingAnswer},
    body=read.Envelope,
    problems=(400, 404, 409, 413, 415, 422, 502, 503, 504),
)
@door("POST", who=Either)
def read_tool(request: Request, tool: str) -> HttpResponse:
    """Call a read tool. The answer is recorded under a reference that a proposal can cite."""
    if (run := run_of(request)) is not None:
        return runs.read(request, run, tool)
    made = read.read(key_of(request).version, tool, raw=body_of(request), actor=actor_of(request))
    return answered(
        request,
        ReadingAnswer(
            reading=made.ref,
            tool=made.tool.name,
            tool_version=made.tool.version,
            connection=made.connection.name,
            value=dict(made.answer.value),
            as_of=made.answer.as_of,
            source=made.answer.source,
            quality=made.answer.quality.value,
            remark=made.answer.remark,
            source_time=made.answer.source_time,
            cross_check=CrossCheckView.model_validate(cross_check.as_json(made.check))
            if made.check
            else None,
            latency_ms=made.latency_ms,
        ),
    )


@described(
    "propose",
    "Propose",
    {202: Received},
    body=submit.Envelope,
    method="POST",
    text="Store one transaction on one target for people to decide. Repeat the call with the same key to be sure.",
    idempotent=True,
    problems=(400, 409, 411, 413, 415, 422),
)
@described(
    "list_proposals",
    "List your proposals",
    {200: Page},
    query=proposals.Filters,
    method="GET",
    problems=(400,),
)
@door("GET", "POST", who=Either)
def list_or_submit(request: Request) -> HttpResponse:
    """List, or propose."""
    run = run_of(request)
    if run is not None and request.method == "POST":
        return runs.propose(request, run, idempotency_key(request))
    check_live(request)
    version = key_of(request).version
    if request.method != "POST":
        return answered(
            request, proposals.page(version, proposals.query(proposals.Filters, request.query_params))
        )
    key = idempotency_key(request)
    made = submit.submit(version, raw=body_of(request), key=key, actor=actor_of(request))
    body = Received(
        ref=made.proposal.ref,
        state="received",
        transaction_type=made.proposal.transaction_type,
        connection=made.proposal.connection.name,
        url=f"{proposals.ADDRESS}/{made.proposal.ref}",
    )
    headers = {"Location": body.url} | ({"Idempotent-Replayed": "true"} if made.replayed else {})
    return answered(request, body, 202, headers)


@described(
    "validate",
    "Judge without storing",
    {200: Validation},
    body=submit.Envelope,
    problems=(400, 409, 411, 413, 415, 422),
)
@door("POST", who=Either)
def judge(request: Request) -> HttpResponse:
    """What would be found, against the newest stored snapshot. Asks no system and stores nothing."""
    if (run := run_of(request)) is not None:
        return runs.judge(request, run)
    raw = body_of(request)
    parse(raw)
    return answered(request, proposals.validation(validate.validate(key_of(request).version, raw=raw)))


@described(
    "get_proposal",
    "Follow a proposal",
    {200: ProposalView},
    query=proposals.Follow,
    waits=True,
    problems=(400, 404),
)
@door("GET")
def show(request: Request, ref: str) -> HttpResponse:
    """What became of it. With `Prefer: wait=N` the answer waits until it leaves `state`, N seconds at most."""
    follow = proposals.query(proposals.Follow, request.query_params)
    version = key_of(request).version
    proposal = proposals.own(version, ref)
    seconds = wait.asked(request.headers.get("Prefer", ""))
    applied = seconds > 0 and wait.for_change(proposal, follow.state, seconds)
    body = proposals.view(proposals.own(version, ref) if applied else proposal)
    return answered(request, body, headers={"Preference-Applied": f"wait={seconds}"} if applied else None)


@described(
    "withdraw", "Withdraw", {200: ProposalView}, body=Withdrawal, problems=(400, 404, 409, 411, 413, 415, 422)
)
@door("POST")
def withdraw(request: Request, ref: str) -> HttpResponse:
    """Take it back while nothing was sent."""
    version = key_of(request).version
    raw = body_of(request)
    parse(raw)
    given = validated(Withdrawal, raw.decode())
    proposal = proposals.own(version, ref)
    submit.withdraw(proposal, version, reason=given.reason, actor=actor_of(request))
    return answered(request, proposals.view(proposals.own(version, ref)))


@described(
    "revise",
    "Send a new revision",
    {202: ProposalView},
    body=submit.RevisionEnvelope,
    problems=(400, 404, 409, 411, 413, 415, 422),
)
@door("POST")
def revise(request: Request, ref: str) -> HttpResponse:
    """A new payload after changes were requested. It is received and assessed again."""
    version = key_of(request).version
    proposal = proposals.own(version, ref)
    submit.revise(proposal, version, raw=body_of(request), actor=actor_of(request))
    body = proposals.view(proposals.own(version, ref))
    return answered(request, body, 202, {"Location": body.url})


@described("get_problem", "What a problem means", {200: ProblemType}, open_to_all=True, problems=(404,))
@open_door("GET")
def problem_type(request: Request, code: str) -> HttpResponse:
    """The description of a kind of problem: where `type` of every error points."""
    if code not in PROBLEMS:
        raise Missing("there is no problem of this name")
    status, title = PROBLEMS[code]
    return answered(
        request,
        ProblemType(
            type=f"/api/v1/problems/{code}",
            code=code,
            title=title,
            status=status,
            retry_after=AGAIN.get(code),
        ),
    )


def _way(way: Way) -> dict[str, Any]:
    return {**asdict(way), "unsupported": list(way.unsupported), "guarantee": way.guarantee or None}
