"""Proving an account: what Tryton must refuse it is tried, and what it may do is compared with `provision.SCOPES`.

The attempts write what is there already, so that a Tryton that lets them through changes nothing but a date.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from integrations.contract import OutOfScope, ProbeReport, Rejected, Stale, TransactionType
from integrations.tryton.client import Client
from integrations.tryton.provision import SCOPES, Grant, writable_models

# model, states in which it may be written, the field that is written as it is
_TRIALS: Mapping[str, tuple[str, Sequence[Any], str]] = {
    "production_order_reschedule": ("production", [("state", "in", ["request", "draft"])], "planned_date"),
    "production_order_quantity": ("production", [("state", "in", ["request", "draft"])], "quantity"),
    "purchase_order_create": ("purchase.purchase", [("state", "=", "draft")], "comment"),
    "purchase_order_line_change": ("purchase.line", [("purchase.state", "=", "draft")], "quantity"),
    "sales_order_promise": ("sale.sale", [("state", "in", ["draft", "quotation"])], "shipping_date"),
}


def probe(client: Client, types: Sequence[TransactionType]) -> ProbeReport:
    """Try, compare, report. Unavailable when Tryton does not answer."""
    findings: list[str] = []
    stale = [_stale(client, type_.name, findings) for type_ in types]
    return ProbeReport(
        account=client.login,
        stale_refused=None if None in stale else all(stale),
        out_of_scope_refused=_out_of_scope(client, findings),
        excess=tuple(_excess(client, [type_.name for type_ in types])),
        findings=tuple(findings),
    )


def _stale(client: Client, name: str, findings: list[str]) -> bool | None:
    model, domain, field = _TRIALS[name]
    rows = client.search_read(model, domain, [field], limit=1, order=[("id", "ASC")])
    if not rows:
        findings.append(f"There is no {model} that a stale write could be tried on.")
        return None
    number, value = rows[0]["id"], rows[0][field]
    return _refused(
        lambda: client.call(
            model, "write", [number], {field: value}, writes=True, stamps={f"{model},{number}": "1.000000"}
        ),
        # An account that may not write the record at all has no stale write to let through.
        (Stale, OutOfScope),
        f"A write with a stale stamp to {model} went through.",
        findings,
    )


def _out_of_scope(client: Client, findings: list[str]) -> bool | None:
    rows = client.search_read("party.party", [], ["name"], limit=1, order=[("id", "ASC")])
    if not rows:
        findings.append("There is no party that a write out of scope could be tried on.")
        return None
    number, name = rows[0]["id"], rows[0]["name"]
    return _refused(
        lambda: client.call("party.party", "write", [number], {"name": name}, writes=True),
        (OutOfScope,),
        "A write to a party went through.",
        findings,
    )


def _refused(
    attempt: Callable[[], Any], by: tuple[type[Exception], ...], otherwise: str, findings: list[str]
) -> bool:
    try:
        attempt()
    except by:
        return True
    except Rejected as other:
        findings.append(f"It was refused, but not for that reason: {other.text}")
        return False
    findings.append(otherwise)
    return False


def _excess(client: Client, names: Sequence[str]) -> list[str]:
    granted: dict[str, Grant] = {}
    for name in names:
        granted.update(SCOPES[name].models)
    found: list[str] = []
    models = sorted(writable_models(client) | set(granted))
    access: Mapping[str, Mapping[str, Any]] = client.call("ir.model.access", "get_access", models)
    for model in models:
        grant = granted.get(model, Grant())
        # A model in the scope that grants no write is one whose fields are all sealed; see `_excess_fields`.
        verbs = ("create", "delete") if model in granted else ("write", "create", "delete")
        found += [f"may {verb} {model}" for verb in verbs if access[model][verb] and not getattr(grant, verb)]
    found += _excess_fields(client, granted)
    found += _excess_buttons(client, granted, access)
    for wizard in client.search_read("ir.action.wizard", [], ["wiz_name", "groups"]):
        if not wizard["groups"]:
            found.append(f"may run the wizard {wizard['wiz_name']}")
    found += _unconfined(client, granted)
    return found


def _excess_fields(client: Client, granted: Mapping[str, Grant]) -> list[str]:
    found = []
    for model, grant in sorted(granted.items()):
        if grant.fields is None:
            continue
        told = client.call(model, "fields_get", [])
        found += [
            f"may write {model}.{name}"
            for name, about in sorted(told.items())
            if name not in grant.fields and name != "id" and not about.get("readonly")
        ]
    return found


def _excess_buttons(
    client: Client, granted: Mapping[str, Grant], access: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    groups = set(client.context().get("groups", ()))
    found = []
    for button in client.search_read("ir.model.button", [], ["model", "name", "groups"]):
        model = button["model"]
        allowed = model in granted and button["name"] in granted[model].buttons
        # A button without groups is open to whoever may write the model.
        open_to_us = (
            bool(groups & set(button["groups"]))
            if button["groups"]
            else bool(access.get(model, {}).get("write"))
        )
        if open_to_us and not allowed:
            found.append(f"may click {button['name']} on {model}")
    return found


def _unconfined(client: Client, granted: Mapping[str, Grant]) -> list[str]:
    groups = set(client.context().get("groups", ()))
    found = []
    for model, grant in sorted(granted.items()):
        if not grant.only:
            continue
        rules = client.search_read(
            "ir.rule.group",
            [("model", "=", model)],
            ["groups", "perm_write", "perm_create", "perm_delete", "rules"],
        )
        ours = [rule for rule in rules if groups & set(rule["groups"])]
        verbs = [verb for verb in ("write", "create", "delete") if getattr(grant, verb)]
        confined = all(any(rule["rules"] and rule[f"perm_{verb}"] for rule in ours) for verb in verbs)
        if not confined or any(not rule["rules"] for rule in ours):
            found.append(f"is not confined on {model}")
    return found
