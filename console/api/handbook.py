"""The agents' door for people: one page to read before writing an agent, made from what the door really does."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from console.api.describe import openapi
from console.api.problems import AGAIN, PROBLEMS
from console.catalogue import read_tools, transaction_types

STEPS = (
    (
        "Ask what you may do",
        (
            "Every read tool and transaction type of your version, with its JSON Schema and a sample. "
            "With ?format=functions it is a list for function calling."
        ),
        'curl -H "Authorization: Bearer $KEY" {url}/tools',
    ),
    (
        "Read",
        "The answer has a reference: cite it when a proposal rests on it. Its age and quality stand beside it.",
        (
            'curl -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\\n'
            '  -d \'{{"arguments": {{"problem": "late"}}}}\' {url}/reads/order_status_exceptions'
        ),
    ),
    (
        "Answer a person",
        (
            "What you told somebody who asked, with the readings it rests on; they have to be fresh. People hold it "
            "against them and mark it right or wrong, which counts in your version's record of reliable reads."
        ),
        (
            'curl -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\\n'
            '  -H "Idempotency-Key: late-orders-monday" -d @answer.json {url}/answers'
        ),
    ),
    (
        "Ask what would be found",
        "Judges a proposal and stores nothing. The second answer rests on a fresh look at the record.",
        (
            'curl -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\\n'
            "  -d @proposal.json {url}/proposals/validate"
        ),
    ),
    (
        "Propose",
        "Answered at once, decided by people. Repeat it with the same key as often as you like: it is one proposal.",
        (
            'curl -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\\n'
            '  -H "Idempotency-Key: late-17-monday" -d @proposal.json {url}/proposals'
        ),
    ),
    (
        "Follow it",
        "With Prefer: wait the answer comes when the state changes, 30 seconds at most.",
        'curl -H "Authorization: Bearer $KEY" -H "Prefer: wait=30" {url}/proposals/CS-...',
    ),
    (
        "Sit a run",
        (
            "How a version earns a write: the same reads and proposals over frozen cases. Opening states the plan, "
            "what it costs and how likely you are to pass, and gives a key for this run alone; GET .../case gives the "
            "case whose turn it is."
        ),
        (
            'curl -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\\n'
            '  -d \'{{"suite": "promises-2026q3", "practice": true}}\' {url}/runs'
        ),
    ),
)


@require_safe
@cache_control(max_age=300, private=True)
def page(request: HttpRequest) -> HttpResponse:
    """How to speak to this door, every address, every problem. It holds nothing that is anybody's."""
    url = request.build_absolute_uri("/api/v1")
    return render(
        request,
        "handbook/page.html",
        {
            "steps": [(title, text, command.format(url=url)) for title, text, command in STEPS],
            "sample": json.dumps(_sample(), indent=2),
            "operations": _operations(),
            "problems": [
                {"code": code, "status": status, "title": title, "again": AGAIN.get(code)}
                for code, (status, title) in sorted(PROBLEMS.items(), key=lambda one: (one[1][0], one[0]))
            ],
            "types": sorted((one.title, one.name, one.summary) for one in transaction_types().values()),
            "tools": sorted((one.title, one.name, one.summary) for one in read_tools().values()),
        },
    )


def _sample() -> dict[str, Any]:
    type_ = transaction_types()["production_order_reschedule"]
    return {
        "transaction_type": type_.name,
        "payload": dict(type_.sample),
        "rationale": "Oak arrives on the 4th; the customer needs it on the 15th.",
        "readings": ["RD-..."],
    }


def _operations() -> list[dict[str, str]]:
    described: dict[str, dict[str, Any]] = json.loads(openapi())["paths"]
    return [
        {
            "method": method.upper(),
            "path": path,
            "summary": operation.get("summary", ""),
            "text": operation.get("description", ""),
        }
        for path, operations in described.items()
        for method, operation in operations.items()
    ]
