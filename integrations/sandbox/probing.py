"""Finds out whether the sandbox really refuses what it must, and whether an account can do too much.

Nothing is changed when the sandbox is set up right. When it is not, a record is written with the values it
already has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from integrations.contract import (
    AdapterError,
    InDoubt,
    OutOfScope,
    ProbeReport,
    Rejected,
    Stale,
    TransactionType,
    Unavailable,
)
from integrations.sandbox.client import Erp
from integrations.sandbox.plant import SCOPES

NEVER = "0"
"""A stamp that no record has."""


def unclear_answer(answer: Mapping[str, Any]) -> InDoubt:
    """The error for an answer of 200 that does not say what was done."""
    return InDoubt(
        "The sandbox answered 200 without saying what it did.", evidence={"body": repr(answer)[:500]}
    )


def probe(erp: Erp, types: Sequence[TransactionType]) -> ProbeReport:
    """Try a stale write and an out-of-scope write; compare the account's scopes with what the types need."""
    findings: list[str] = []
    needed: dict[str, set[str]] = {}
    for type_ in types:
        for operation, fields in SCOPES[type_.name].items():
            needed.setdefault(operation, set()).update(fields)
    excess = _excess(erp.get("me")["scopes"], needed)
    stale = _refused(erp, _stale_write(erp, needed), Stale, "a stale write", findings)
    beyond = _refused(erp, _write_beyond(erp, needed), OutOfScope, "an out-of-scope write", findings)
    return ProbeReport(erp.login, stale, beyond, excess, tuple(findings))


def _excess(scopes: Any, needed: Mapping[str, set[str]]) -> tuple[str, ...]:
    if not isinstance(scopes, dict):
        return ("The system holds this account to no scope at all.",)
    found = []
    for operation, fields in scopes.items():
        if operation not in needed:
            found.append(f"May call {operation}, which none of its types needs.")
        elif more := sorted(set(fields) - needed[operation]):
            found.append(f"May write {', '.join(more)} by {operation}, which none of its types needs.")
    return tuple(found)


Attempt = tuple[str, dict[str, Any]]


def _stale_write(erp: Erp, needed: Mapping[str, set[str]]) -> Attempt | None:
    """A write of the values that are there already, under a stamp that never was."""
    for operation in ("production.write", "purchase.write_line", "sale.write", "production.release"):
        if operation in needed:
            return _unchanged(erp, operation, sorted(needed[operation])[:1] or [], NEVER)
    if "purchase.create" in needed:
        # Without lines, so that a sandbox that does not look at stamps refuses it for that reason.
        return "purchase.create", {"values": {"supplier": "0", "lines": []}, "expect": {"supplier 0": NEVER}}
    return None


def _write_beyond(erp: Erp, needed: Mapping[str, set[str]]) -> Attempt | None:
    """A write of an unchanged value that the types do not need."""
    for operation, field in (
        ("sale.write", "reference"),
        ("production.write", "reference"),
        ("purchase.write_line", "quantity"),
    ):
        if field not in needed.get(operation, set()):
            return _unchanged(erp, operation, [field], "")
    return None


def _unchanged(erp: Erp, operation: str, fields: list[str], stamp: str) -> Attempt | None:
    kind = operation.split(".", maxsplit=1)[0]
    try:
        view = erp.get("sample", kind=kind)
    except Rejected:
        return None
    doc, line = view["doc"], view["doc"]["lines"][0] if view["doc"]["lines"] else {}
    source = line if operation == "purchase.write_line" else doc
    body: dict[str, Any] = {
        "key": doc["key"],
        "values": {name: source[name] for name in fields if name in source},
    }
    if operation == "purchase.write_line":
        body["line"] = line["key"]
    name = f"{kind} {doc['key']}"
    body["expect"] = {name: stamp or view["stamps"][name]}
    return operation, body


def _refused(
    erp: Erp, attempt: Attempt | None, wanted: type[AdapterError], words: str, findings: list[str]
) -> bool | None:
    if attempt is None:
        findings.append(f"There is no record to try {words} on.")
        return None
    operation, body = attempt
    try:
        erp.post(operation, body, Reference="probe", Step="probe")
    except wanted:
        return True
    except (Unavailable, InDoubt) as error:
        findings.append(f"Could not try {words}: {error.text}")
        return None
    except AdapterError as error:
        findings.append(f"The system refused {words} for another reason: {error.text}")
        return False
    findings.append(f"The system accepted {words} ({operation}).")
    return False
