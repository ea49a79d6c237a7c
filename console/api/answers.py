"""Live answers by API: what an agent told a person, with the readings it rests on, for people to mark."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from console.api.describe import described
from console.api.door import door
from console.api.envelope import AnswerPosted
from console.api.request import actor_of, answered, body_of, idempotency_key, key_of
from console.evals import answers


@described(
    "answer_person",
    "Answer a person's question from what you read",
    {201: AnswerPosted, 200: AnswerPosted},
    body=answers.Envelope,
    idempotent=True,
    problems=(400, 404, 409, 411, 413, 415, 422),
)
@door("POST")
def post(request: Request) -> HttpResponse:
    """Store what you answered, for people to mark right or wrong. Repeat the call with the same key to be sure.

    The readings have to be your version's own and fresh now. Marks count in the version's record of reliable reads.
    """
    key = idempotency_key(request)
    made = answers.post(key_of(request).version, raw=body_of(request), key=key, actor=actor_of(request))
    body = AnswerPosted(
        ref=made.answer.ref,
        tool=made.answer.tool,
        readings=[one.ref for one in answers.cited(made.answer)],
    )
    if made.replayed:
        return answered(request, body, 200, {"Idempotent-Replayed": "true"})
    return answered(request, body, 201)
