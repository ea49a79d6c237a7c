"""Every error of the agents' door as `application/problem+json` (RFC 9457): one table, one function.

`type` is the address of the problem's own description, `code` its last part. A text says what was wrong, where, and
what would be right; never a stack trace, a secret or a name of somebody else's thing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from rest_framework import exceptions
from rest_framework.request import Request

from console import tracing
from console.api.envelope import Fault, Problem
from console.api.request import plain, request_id, stamp
from console.errors import Conflict, CountersignError, Denied, Exhausted, Held, Missing, Refused
from integrations.contract import (
    AdapterError,
    Finding,
    InDoubt,
    OutOfScope,
    Rejected,
    Unavailable,
    Unsupported,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

PROBLEMS: Mapping[str, tuple[int, str]] = {
    # the request as a whole
    "not_json": (400, "Not JSON"),
    "not_utf8": (400, "Not UTF-8"),
    "duplicate_name": (400, "A name stands twice"),
    "not_a_number": (400, "Not a JSON number"),
    "float": (400, "A decimal that is not text"),
    "huge_integer": (400, "A whole number that is too large"),
    "too_deep": (400, "Nested too deeply"),
    "surrogate": (400, "Half a character"),
    "control_character": (400, "A control character in text"),
    "not_canonical": (400, "No canonical form"),
    "query": (400, "The query is not right"),
    "key_missing": (400, "Idempotency-Key is missing"),
    "key_invalid": (400, "Idempotency-Key is not right"),
    "cut_off": (400, "The body was cut off"),
    "bad_request": (400, "The request is not right"),
    "length_required": (411, "Length required"),
    "too_large": (413, "Too large"),
    "wrong_media_type": (415, "Not application/json"),
    "not_acceptable": (406, "Only JSON is spoken here"),
    "wrong_method": (405, "Not with this method"),
    # who is asking
    "no_key": (401, "No key"),
    "bad_key": (401, "Not a key of ours"),
    "key_expired": (401, "The key has expired"),
    "key_revoked": (401, "The key was revoked"),
    "denied": (403, "Not allowed"),
    "no_grant": (403, "No grant"),
    "grant_off": (403, "The grant is off"),
    "which_connection": (422, "Which connection?"),
    "run_key": (403, "Not with the key of a run"),
    "live_key": (403, "Not with a live key"),
    # what is asked for
    "missing": (404, "Not there"),
    "unknown_tool": (404, "No such read tool"),
    "no_suite": (404, "No such suite"),
    "not_frozen": (404, "The case did not freeze it"),
    "no_such_record": (404, "No such record in the system"),
    "refused": (422, "Not right"),
    "shape": (422, "It does not fit its schema"),
    "unknown_type": (422, "No such transaction type"),
    "unsupported": (422, "The connection cannot carry it"),
    "unknown_reading": (422, "No such reading"),
    "unusable_reading": (422, "A reading that may not be relied on"),
    "nothing_to_reverse": (422, "Nothing to reverse"),
    "other_target": (422, "Another target"),
    "key_reused": (422, "Idempotency-Key was used for another body"),
    "other_suite": (422, "Not the suite of the gate"),
    "suite_old": (422, "The suite fits another version"),
    "too_few_cases": (422, "Too few cases"),
    "error_spent": (422, "No attempt is left"),
    # how things stand
    "run_over": (409, "The run is over"),
    "run_moved_on": (409, "Another case's turn"),
    "run_unfinished": (409, "Cases are not answered"),
    "conflict": (409, "Somebody was first"),
    "moved_on": (409, "It moved on"),
    "no_such_move": (409, "Not from this state"),
    "key_running": (409, "The same request is being worked on"),
    "held": (409, "Held"),
    "kill_switch": (409, "Stopped by a kill switch"),
    "grant_frozen": (409, "The grant is frozen"),
    "gate_closed": (409, "The gate is closed"),
    "connection_off": (409, "The connection is switched off"),
    "no_connection": (409, "The connection is not configured"),
    # how much
    "too_many_calls": (429, "Too many calls"),
    "too_many_pending": (429, "Too many proposals wait"),
    "too_many_answers": (429, "Too many answers wait"),
    "exhausted": (429, "A limit is used up"),
    # the systems, and us
    "system_failed": (502, "The system's answer made no sense"),
    "out_of_scope": (502, "The system refused our account"),
    "system_away": (503, "The system is away"),
    "database_away": (503, "The console is not ready"),
    "system_silent": (504, "The system did not answer in time"),
    "internal": (500, "A fault of the console"),
}
"""From a code to its HTTP status and title. A code that is not here has the status of its class."""

CLASSES: Mapping[type[CountersignError], str] = {
    Denied: "denied",
    Missing: "missing",
    Conflict: "conflict",
    Refused: "refused",
    Exhausted: "exhausted",
    Held: "held",
}
SYSTEMS: Mapping[type[AdapterError], str] = {
    Rejected: "no_such_record",
    Unavailable: "system_away",
    InDoubt: "system_silent",
    OutOfScope: "out_of_scope",
    Unsupported: "unsupported",
}
FRAMEWORK: Sequence[tuple[tuple[type[Exception], ...], str, str]] = (
    ((exceptions.MethodNotAllowed,), "wrong_method", "The header Allow names the methods of this address."),
    ((exceptions.NotAcceptable,), "not_acceptable", "Accept application/json."),
    ((exceptions.UnsupportedMediaType,), "wrong_media_type", "Send the body as application/json."),
    (
        (exceptions.NotAuthenticated, exceptions.AuthenticationFailed),
        "no_key",
        "Send your key as `Authorization: Bearer cs_...`.",
    ),
    ((exceptions.PermissionDenied, PermissionDenied), "denied", "This is not for you."),
    ((exceptions.NotFound, Http404), "missing", "There is nothing at this address."),
    ((RequestDataTooBig,), "too_large", "The body is too large."),
    ((UnreadablePostError,), "cut_off", "The body ended too early; send it again."),
    ((SuspiciousOperation, exceptions.APIException), "bad_request", "The request is not right."),
)
"""What Django and REST framework raise, the first that fits."""

UNAUTHORISED = 401
AGAIN = {
    "key_running": 1,
    "system_away": 20,
    "system_silent": 20,
    "database_away": 5,
    "held": 60,
    "kill_switch": 60,
}
"""Codes that are worth trying again, and after how many seconds."""


def answer(error: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """REST framework's exception handler: any exception becomes a problem, and nothing else comes out."""
    return respond(error, plain(context["request"]))


def respond(error: Exception, request: HttpRequest) -> HttpResponse:
    """The problem for an exception. What nobody foresaw is logged with its trace and told as `internal`."""
    code, detail, findings, headers = _told(error, request)
    return problem(request, code, detail, findings=findings, headers=headers, like=_class_of(error))


def problem(
    request: HttpRequest,
    code: str,
    detail: str,
    *,
    findings: tuple[Finding, ...] = (),
    headers: Mapping[str, str] | None = None,
    like: str = "internal",
) -> HttpResponse:
    """One problem as an answer. `like` gives status and title when the table does not know the code."""
    status, title = PROBLEMS.get(code) or PROBLEMS[like]
    tracing.tell(refusal=code)
    body = Problem(
        type=f"/api/v1/problems/{code}",
        title=title,
        status=status,
        detail=detail,
        code=code,
        errors=[
            Fault(id=one.id, level=one.level.value, field=one.field, text=one.text, hint=one.hint)
            for one in findings
        ],
        request_id=request_id(request),
    )
    response = HttpResponse(body.model_dump_json(), content_type=MEDIA_TYPE, status=status)
    if (seconds := AGAIN.get(code)) is not None:
        response["Retry-After"] = str(seconds)
    if status == UNAUTHORISED:
        given = "" if code == "no_key" else ', error="invalid_token"'
        response["WWW-Authenticate"] = f'Bearer realm="countersign"{given}'
    for name, value in (headers or {}).items():
        response[name] = value
    return stamp(request, response)


def _told(error: Exception, request: HttpRequest) -> tuple[str, str, tuple[Finding, ...], dict[str, str]]:
    """Code, text, findings and headers."""
    if isinstance(error, CountersignError):
        findings = error.findings if isinstance(error, Refused) else ()
        headers = {"Retry-After": str(error.retry_after)} if isinstance(error, Exhausted) else {}
        return error.code, error.text, findings, headers
    if isinstance(error, AdapterError):
        return SYSTEMS.get(type(error), "system_failed"), error.text, (), {}
    for kinds, code, text in FRAMEWORK:
        if isinstance(error, kinds):
            return code, text, (), {}
    if isinstance(error, (OperationalError, InterfaceError)):
        log.error("database away in request %s (%s)", request_id(request), type(error).__name__)
        return "database_away", "The console cannot reach its database. Nothing was lost; try again.", (), {}
    log.error("request %s failed", request_id(request), exc_info=error)
    return (
        "internal",
        "Something went wrong here. Quote the request_id to whoever runs the console.",
        (),
        {},
    )


def _class_of(error: Exception) -> str:
    return next((code for kind, code in CLASSES.items() if isinstance(error, kind)), "internal")


def not_found(request: Request) -> HttpResponse:
    """What every address under the door that is nobody's answers."""
    raise Http404(request.path)
