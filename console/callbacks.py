"""The systems' door: `POST /callbacks/<connection>`, what a system tells us later of something that it accepted.

The bytes are proven and kept before the answer, a worker judges them after it. 202 kept, or known already · 401 not
proven to be the system's · 404 no such connection, or nothing of ours that it is about · 413 too large · 422 proven,
and not understood · 429 too many · 503 our side cannot prove it now. Everything but a 2xx is worth sending again.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from console.errors import CountersignError, Denied, Exhausted, Held, Missing, Refused
from console.lifecycle import hear

LARGEST = 64 * 1024

STATUS: dict[type[CountersignError], int] = {
    Denied: 401,
    Missing: 404,
    Refused: 422,
    Exhausted: 429,
    Held: 503,
}


@csrf_exempt  # its proof is the signature; no cookie gives anybody rights here
@require_POST
def callback(request: HttpRequest, name: str) -> HttpResponse:
    """Hear one message."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > LARGEST:
        return _problem(413, "too_large", f"a callback has at most {LARGEST} bytes, and says how many it has")
    headers = {key.lower(): value for key, value in request.headers.items()}
    try:
        hear.hear(name, headers, request.read(LARGEST), address=request.META.get("REMOTE_ADDR", ""))
    except CountersignError as no:
        answer = _problem(STATUS.get(type(no), 500), no.code, no.text)
        if "retry_after" in no.detail:
            answer["Retry-After"] = str(no.detail["retry_after"])
        return answer
    return JsonResponse({"accepted": True}, status=202)


def _problem(status: int, code: str, text: str) -> HttpResponse:
    problem = {"type": "about:blank", "title": code, "status": status, "detail": text}
    return JsonResponse(problem, status=status, content_type="application/problem+json")
