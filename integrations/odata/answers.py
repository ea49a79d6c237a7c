"""What an answer means: the contract's errors from a status, the headers and the body, for V2, V4 and XML.

    connection never made                     Unavailable
    2xx that is not what was asked for        a read: OutOfScope where it is a page to sign in on, else Unavailable;
                                              a write: InDoubt
    401, 403                                  OutOfScope: refused before anything ran
    412                                       Stale
    428                                       Rejected: the service wants an ETag and was sent none
    other 4xx                                 Rejected
    429, 3xx, 5xx, a broken connection        a read: Unavailable; a write: InDoubt

A message of success or a warning is never evidence of success; it is passed on to people.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from integrations.contract import AdapterError, InDoubt, OutOfScope, Rejected, Stale, Unavailable

LONGEST = 500
MOST_DETAILS = 20
OK, NO_CONTENT, REDIRECT, BAD, SERVER = 200, 204, 300, 400, 500
UNAUTHORISED, FORBIDDEN, NOT_FOUND, NO_METHOD, STALE, TOO_MANY = 401, 403, 404, 405, 412, 429
NO_ETAG, NOT_IMPLEMENTED = 428, 501
ALREADY_RUN = re.compile(r"/IWBEP/CM_COS/?005")
"""SAP Gateway: "RequestID is outdated", which means that a request with this identifier was carried out before."""
_UNSEEN = re.compile(r"[\x00-\x1f\x7f]+")
_SEVERITIES = {1: "success", 2: "info", 3: "warning", 4: "error"}


@dataclass(frozen=True)
class Answer:
    """A status with headers (lower case names) and a body, from HTTP or from a part of a batch."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is one of success."""
        return OK <= self.status < REDIRECT

    def json(self) -> Any:
        """The body, decimals exact. None when there is none; ValueError when it is not JSON."""
        if not self.body.strip():
            return None
        return json.loads(self.body, parse_float=Decimal)

    @property
    def is_page(self) -> bool:
        """Whether this is a page for people, as sign-in pages are."""
        kind = self.headers.get("content-type", "").lower()
        return "html" in kind or self.body.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html"))


def clean(text: object) -> str:
    """Words of a system, on one line and cut to size."""
    words = _UNSEEN.sub(" ", str(text)).strip()
    return words if len(words) <= LONGEST else words[:LONGEST] + " ..."


def messages(answer: Answer, entity: object = None) -> list[dict[str, str]]:
    """What the system said besides: `sap-message` (V2), `sap-messages` (V4), messages inside an entity (V4)."""
    found: list[Any] = []
    for name in ("sap-message", "sap-messages"):
        if header := answer.headers.get(name):
            try:
                said = json.loads(header)
            except ValueError:
                said = {"message": header}
            found += said if isinstance(said, list) else [said, *_list(said, "details")]
    if isinstance(entity, Mapping):
        found += _list(entity, "SAP__Messages")
    return [_message(one) for one in found[:MOST_DETAILS] if isinstance(one, Mapping)]


def _list(value: object, name: str) -> list[Any]:
    inner = value.get(name) if isinstance(value, Mapping) else None
    return inner if isinstance(inner, list) else []


def _message(one: Mapping[str, Any]) -> dict[str, str]:
    severity = one.get("severity") or _SEVERITIES.get(
        one.get("numericSeverity") or one.get("@Common.numericSeverity") or 0, ""
    )
    target = one.get("target") or one.get("propertyref") or ""
    return {
        "severity": clean(severity),
        "code": clean(one.get("code") or ""),
        "text": clean(_words(one.get("message"))),
        "target": clean(target),
    }


def _words(message: object) -> object:
    return message.get("value", "") if isinstance(message, Mapping) else message or ""


def told(answer: Answer) -> dict[str, Any]:
    """The error of an answer as evidence: status, code, text, details, and the number its people find it by."""
    evidence: dict[str, Any] = {"status": answer.status}
    error = _error(answer)
    if error:
        evidence["code"] = clean(error.get("code") or "")
        evidence["text"] = clean(_words(error.get("message")))
        inner = error.get("innererror")
        details = _list(error, "details") or _list(inner, "errordetails")
        if details:
            evidence["details"] = [
                _message(one) for one in details[:MOST_DETAILS] if isinstance(one, Mapping)
            ]
        if isinstance(inner, Mapping) and inner.get("transactionid"):
            evidence["transaction"] = clean(inner["transactionid"])
    elif answer.body and not answer.is_page:
        evidence["text"] = clean(answer.body[: 2 * LONGEST].decode(errors="replace"))
    if wait := answer.headers.get("retry-after"):
        evidence["retry_after"] = wait[:40]
    if said := messages(answer):
        evidence["messages"] = said
    return evidence


def _error(answer: Answer) -> Mapping[str, Any]:
    try:
        content = answer.json()
    except ValueError:
        return _xml_error(answer.body)
    error = content.get("error") if isinstance(content, Mapping) else None
    if isinstance(error, list):
        error = error[0] if error else None
    return error if isinstance(error, Mapping) else {}


def _xml_error(body: bytes) -> Mapping[str, Any]:
    """A V2 error is XML where the service was not asked for JSON, or does not listen."""
    try:
        root = fromstring(body)
    except (ParseError, DefusedXmlException, ValueError):
        return {}
    found: dict[str, Any] = {"innererror": {}}
    for element in root.iter():
        name = element.tag.rpartition("}")[2]
        if name in {"code", "message"} and name not in found:
            found[name] = element.text or ""
        elif name == "transactionid":
            found["innererror"][name] = element.text or ""
    return found if "code" in found else {}


def refusal(answer: Answer, what: str, *, writes: bool) -> AdapterError:
    """The error for an answer that is not a success; `what` was asked, in words."""
    evidence = told(answer)
    said = evidence.get("text") or f"HTTP {answer.status}"
    code = f" ({evidence['code']})" if evidence.get("code") else ""
    if ALREADY_RUN.search(str(evidence.get("code", ""))):
        return InDoubt(f"The system carried out this request before: {said}", evidence=evidence)
    if answer.status in {UNAUTHORISED, FORBIDDEN}:
        return OutOfScope(f"The system does not let this account {what}: {said}{code}", evidence=evidence)
    if answer.status == STALE:
        return Stale(f"The record is not what was approved any more: {said}{code}", evidence=evidence)
    if answer.status == NO_ETAG:
        return Rejected(f"The system wants an ETag to {what}, and the record gave none.", evidence=evidence)
    if BAD <= answer.status < SERVER and answer.status not in {TOO_MANY, 408}:
        return Rejected(f"The system refused to {what}: {said}{code}", evidence=evidence)
    return unclear(f"HTTP {answer.status} to {what}: {said}{code}", writes=writes, evidence=evidence)


def unclear(words: str, *, writes: bool, evidence: Mapping[str, Any] | None = None) -> AdapterError:
    """The error for what is no answer: a doubt where something may have been written."""
    if writes:
        return InDoubt(f"The system gave no clear answer. {words}", evidence=evidence)
    return Unavailable(f"The system gave no clear answer to a read. {words}", evidence=evidence)


def content(answer: Answer, what: str, *, writes: bool) -> Any:
    """The JSON of a success, None for an empty one. Raises what it means when it is something else."""
    if answer.is_page:
        words = f"A page for people came back when asked to {what}: this account is asked to sign in."
        if writes:
            raise InDoubt(words, evidence={"status": answer.status})
        raise OutOfScope(words, evidence={"status": answer.status})
    try:
        found = answer.json()
    except ValueError:
        words = f"The answer to {what} is not JSON."
        raise unclear(words, writes=writes, evidence={"status": answer.status}) from None
    if isinstance(found, Mapping) and set(found) == {"error"}:
        raise unclear(f"An error inside a success, to {what}.", writes=writes, evidence=told(answer))
    return found
