"""Gives a Tryton database one service account per transaction type, and one that only reads.

Runs with the ERP administrator's login, which the console never holds:

    python -m integrations.tryton.provision --url http://127.0.0.1:8000 --database NAME \
        --admin admin --admin-password-file FILE --accounts accounts.json

`accounts.json` is {"<account>": {"login", "password"}}; it is made, with new passwords, if it is not there. Safe to
run again: rows that are there are brought to what SCOPES says, nothing else is touched.

Why so much is needed: Tryton's model access is allow-by-default, rows are OR-ed over groups, a button without
groups is open to whoever may write the model, and a wizard without groups runs for anybody. So each account's
group gets

1. an access row for *every* model that can be written over RPC, all false but for what is granted; rows without a
   group that let everybody write are bound to people;
2. a field row "no write" for every field of a granted model that is not on its list, and of models whose access
   Tryton takes from a granted one (the lines of a sale);
3. for every button of a model, explicit groups: those who keep it, and this group where it is granted;
4. record rules that confine grants which are wider than their purpose (stock moves: only of productions);
   for administrators every group's rules count, so a second rule group without rules frees people again;
5. and every wizard without groups is bound to a group of people that service accounts are not in.

Every user who is not one of these accounts is put into that group of people; users made later must be too.

A server of several processes acts on changed rights at once only with `[cache] clean_timeout = 0` in its settings;
otherwise some of its processes keep the old ones for up to five minutes.

`SCOPES` is also what `adapter.probe` compares an account with.

The file is long because what an account may do is one table, and the script that makes it true stands beside it.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from integrations.tryton.client import AdapterError, Client

PEOPLE = "People (not service accounts)"


@dataclass(frozen=True)
class Grant:
    """What an account may do to one model. `fields`: what it may write; None for every field.

    `only`: a Tryton domain that every record written must fit, for grants wider than their purpose.
    """

    write: bool = False
    create: bool = False
    delete: bool = False
    fields: frozenset[str] | None = frozenset()
    buttons: frozenset[str] = frozenset()
    only: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Scope:
    """Everything one account may do besides reading."""

    models: Mapping[str, Grant] = field(default_factory=dict)


READABLE = frozenset(
    {
        "company.company",
        "currency.currency",
        "party.address",
        "party.party",
        "product.product",
        "product.template",
        "product.uom",
        "production",
        "production.bom",
        "production.bom.input",
        "production.bom.output",
        "production.lead_time",
        "production.routing",
        "production.work",
        "purchase.amendment",
        "purchase.amendment.line",
        "purchase.line",
        "purchase.product_supplier",
        "purchase.product_supplier.price",
        "purchase.purchase",
        "sale.line",
        "sale.sale",
        "stock.location",
        "stock.move",
        "stock.shipment.in",
        "stock.shipment.out",
        # What Tryton's own web client asks for before it shows a form; a robot's account works at it.
        "ir.attachment",
        "ir.model.log",
        "ir.note",
        "ir.ui.view_tree_optional",
        "ir.ui.view_tree_state",
        "ir.ui.view_tree_width",
    }
)

_PRODUCTION_MOVES = Grant(
    write=True,
    create=True,
    delete=True,
    fields=frozenset(
        {
            "product",
            "unit",
            "quantity",
            "from_location",
            "to_location",
            "company",
            "unit_price",
            "currency",
            "production_input",
            "production_output",
        }
    ),
    # A loose move would be a stock booking: these can only be lines of a production that is not released.
    only=(
        [
            "OR",
            ["production_input.state", "in", ["request", "draft"]],
            ["production_output.state", "in", ["request", "draft"]],
        ],
    ),
)

SCOPES: Mapping[str, Scope] = {
    "reader": Scope(),
    "production_order_reschedule": Scope(
        {
            "production": Grant(
                write=True,
                fields=frozenset({"planned_date", "planned_start_date"}),
                buttons=frozenset({"draft", "wait"}),
            )
        }
    ),
    "production_order_quantity": Scope(
        {
            "production": Grant(
                write=True,
                fields=frozenset({"quantity", "inputs", "outputs"}),
                buttons=frozenset({"draft", "wait"}),
            ),
            "stock.move": _PRODUCTION_MOVES,
        }
    ),
    "purchase_order_create": Scope(
        {
            "purchase.purchase": Grant(
                create=True,
                fields=frozenset(
                    {"party", "invoice_address", "payment_term", "reference", "comment", "lines"}
                ),
            ),
            "purchase.line": Grant(
                create=True,
                fields=frozenset(
                    {
                        "purchase",
                        "type",
                        "product",
                        "product_supplier",
                        "quantity",
                        "unit",
                        "unit_price",
                        "taxes",
                        "delivery_date_edit",
                        "delivery_date_store",
                    }
                ),
            ),
        }
    ),
    "purchase_order_line_change": Scope(
        {
            "purchase.purchase": Grant(
                write=True,
                fields=frozenset({"lines"}),
                buttons=frozenset({"draft", "quote"}),
                only=(["state", "in", ["draft", "quotation"]],),
            ),
            "purchase.line": Grant(
                write=True,
                fields=frozenset({"quantity", "unit_price", "delivery_date_edit", "delivery_date_store"}),
            ),
            "purchase.amendment": Grant(
                create=True,
                fields=frozenset({"purchase", "description", "lines"}),
                buttons=frozenset({"validate_amendment"}),
            ),
            "purchase.amendment.line": Grant(
                create=True,
                fields=frozenset(
                    {
                        "amendment",
                        "action",
                        "line",
                        "party",
                        "product",
                        "product_supplier",
                        "quantity",
                        "unit",
                        "unit_price",
                        "description",
                    }
                ),
                only=(["action", "=", "line"],),
            ),
            "stock.move": Grant(
                write=True,
                fields=frozenset({"planned_date"}),
                only=(
                    ["origin.purchase.state", "=", "processing", "purchase.line"],
                    ["state", "=", "draft"],
                    ["shipment", "=", None],
                ),
            ),
        }
    ),
    "sales_order_promise": Scope(
        {
            "sale.sale": Grant(write=True, fields=frozenset({"shipping_date"})),
            # Who may write a sale may write its lines: Tryton asks the sale. So every field of them is sealed.
            "sale.line": Grant(),
            "stock.shipment.out": Grant(
                write=True,
                fields=frozenset({"planned_date"}),
                buttons=frozenset({"draft", "wait"}),
                only=(["state", "=", "draft"],),
            ),
        },
    ),
}

# Who keeps a button that had no group, so that people are not locked out.
_KEEPERS = {
    "production": "Production",
    "purchase.": "Purchase",
    "sale.": "Sales",
    "stock.": "Stock",
}


def writable_models(admin: Client) -> frozenset[str]:
    """Every model that offers create, write or delete over RPC."""
    names = set()
    for method in admin.rpc("system.listMethods"):
        if method.startswith("model."):
            model, _, verb = method.removeprefix("model.").rpartition(".")
            if verb in {"create", "write", "delete"}:
                names.add(model)
    return frozenset(names)


def provision(admin: Client, accounts: Mapping[str, tuple[str, str]]) -> dict[str, int]:
    """Bring the database to SCOPES; `accounts` is account name to login and password. Gives the user numbers.

    Raises the contract's errors; run it again after one, it goes on where it was.
    """
    groups = {row["name"]: row["id"] for row in admin.search_read("res.group", [], ["name"])}
    _gather_people(admin, groups, {login for login, _ in accounts.values()})
    _seal_wizards(admin, groups)
    _bind_open_rows(admin, groups[PEOPLE])
    exposed = sorted(writable_models(admin))
    users = {}
    for name, (login, password) in accounts.items():
        scope, group_name = SCOPES[name], f"Countersign {name}"
        if group_name not in groups:
            (groups[group_name],) = admin.call("res.group", "create", [{"name": group_name}], writes=True)
        group = groups[group_name]
        _seal_models(admin, group, scope, exposed)
        _seal_fields(admin, group, scope)
        _confine(admin, group, groups[PEOPLE], scope)
        users[name] = _account(admin, login, password, group)
    _bind_buttons(admin, groups)
    return users


def _gather_people(admin: Client, groups: dict[str, int], ours: set[str]) -> None:
    if PEOPLE not in groups:
        (groups[PEOPLE],) = admin.call("res.group", "create", [{"name": PEOPLE}], writes=True)
    users = admin.search_read("res.user", [("id", ">", 0)], ["login", "groups"])
    service = {number for name, number in groups.items() if name in {f"Countersign {s}" for s in SCOPES}}
    strangers = [
        user["id"]
        for user in users
        if user["login"] not in ours
        and not service & set(user["groups"])
        and groups[PEOPLE] not in user["groups"]
    ]
    if strangers:
        admin.call("res.user", "write", strangers, {"groups": [["add", [groups[PEOPLE]]]]}, writes=True)


def _bind_open_rows(admin: Client, people: int) -> None:
    """Rows without a group are OR-ed into everybody's rights: what they let be written becomes the people's.

    Tryton protects the rows that came with its modules, all but their being active; so each is replaced by two.
    """
    for model, names, verbs in (
        ("ir.model.access", ["model"], ["perm_write", "perm_create", "perm_delete"]),
        ("ir.model.field.access", ["model", "field"], ["perm_write", "perm_create", "perm_delete"]),
    ):
        rows = admin.search_read(
            model,
            [("group", "=", None), ["OR", *((verb, "=", True) for verb in verbs)]],
            [*names, "perm_read", *verbs],
        )
        for row in rows:
            same = {name: row[name] for name in (*names, "perm_read", *verbs)}
            readable = {**same, **dict.fromkeys(verbs, False), "group": None}
            admin.call(model, "create", [{**same, "group": people}, readable], writes=True)
            admin.call(model, "write", [row["id"]], {"active": False}, writes=True)


def _seal_wizards(admin: Client, groups: Mapping[str, int]) -> None:
    wizards = admin.search_read("ir.action.wizard", [], ["groups"])
    unbound = [wizard["id"] for wizard in wizards if not wizard["groups"]]
    if unbound:
        binding = {"groups": [["add", [groups[PEOPLE]]]]}
        admin.call("ir.action.wizard", "write", unbound, binding, writes=True)


def _access(grant: Grant | None, model: str) -> dict[str, bool]:
    return {
        # A true "read" widens reading, so only what is listed.
        "perm_read": grant is not None or model in READABLE,
        "perm_write": bool(grant and grant.write),
        "perm_create": bool(grant and grant.create),
        "perm_delete": bool(grant and grant.delete),
    }


def _seal_models(admin: Client, group: int, scope: Scope, exposed: Sequence[str]) -> None:
    wanted = {
        model: _access(scope.models.get(model), model) for model in {*exposed, *scope.models, *READABLE}
    }
    names = ["model", "perm_read", "perm_write", "perm_create", "perm_delete"]
    rows = admin.search_read("ir.model.access", [("group", "=", group)], names)
    have = {row["model"]: row for row in rows}
    missing = [
        {"model": model, "group": group, **row} for model, row in sorted(wanted.items()) if model not in have
    ]
    if missing:
        admin.call("ir.model.access", "create", missing, writes=True)
    for model, row in wanted.items():
        old = have.get(model)
        if old and {name: old[name] for name in row} != row:
            admin.call("ir.model.access", "write", [old["id"]], row, writes=True)


def _seal_fields(admin: Client, group: int, scope: Scope) -> None:
    wanted: dict[tuple[str, str], bool] = {}
    for model, grant in scope.models.items():
        if grant.fields is None:
            continue
        for row in admin.search_read("ir.model.field", [("model", "=", model)], ["name"]):
            if row["name"] != "id" and row["name"] not in grant.fields:
                wanted[model, row["name"]] = False
    rows = admin.search_read(
        "ir.model.field.access", [("group", "=", group)], ["model", "field", "perm_read", "perm_write"]
    )
    have = {(row["model"], row["field"]): row for row in rows}
    missing = [
        {"model": model, "field": name, "group": group, "perm_read": True, "perm_write": False}
        for model, name in sorted(wanted.keys() - have.keys())
    ]
    if missing:
        admin.call("ir.model.field.access", "create", missing, writes=True)
    if surplus := [row["id"] for key, row in have.items() if key not in wanted]:
        admin.call("ir.model.field.access", "delete", surplus, writes=True)


def _confine(admin: Client, group: int, people: int, scope: Scope) -> None:
    for model, grant in scope.models.items():
        if not grant.only:
            continue
        permissions = {
            "perm_read": False,
            "perm_write": grant.write,
            "perm_create": grant.create,
            "perm_delete": grant.delete,
        }
        _rule(admin, f"Countersign {model} {group}", model, group, permissions, grant.only)
        everything = {name: name != "perm_read" for name in permissions}
        _rule(admin, f"Countersign {model} people", model, people, everything, ())


def _rule(
    admin: Client, name: str, model: str, group: int, permissions: Mapping[str, bool], domain: Sequence[Any]
) -> None:
    rules = [["create", [{"domain": json.dumps(list(domain))}]]] if domain else []
    values = {"model": model, "global_p": False, "default_p": False, **permissions}
    found = admin.search_read("ir.rule.group", [("name", "=", name)], ["rules.domain", *values], limit=1)
    if not found:
        created = {"name": name, **values, "groups": [["add", [group]]], "rules": rules}
        admin.call("ir.rule.group", "create", [created], writes=True)
        return
    old = found[0]
    same = [json.loads(rule["domain"]) for rule in old.get("rules.", ())] == (
        [list(domain)] if domain else []
    )
    if not same or {key: old[key] for key in values} != values:
        replaced = [["delete", [rule["id"] for rule in old.get("rules.", ())]], *rules]
        admin.call("ir.rule.group", "write", [old["id"]], {**values, "rules": replaced}, writes=True)


def _account(admin: Client, login: str, password: str, group: int) -> int:
    values: dict[str, Any] = {"password": password, "active": True}
    rows = admin.search_read("res.user", [("login", "=", login)], ["groups"], active_test=False)
    if rows:
        values["groups"] = [["remove", [g for g in rows[0]["groups"] if g != group]], ["add", [group]]]
        admin.call("res.user", "write", [rows[0]["id"]], values, writes=True)
        return int(rows[0]["id"])
    company = admin.context()["company"]
    (user,) = admin.call(
        "res.user",
        "create",
        [
            {
                **values,
                "name": login,
                "login": login,
                "groups": [["add", [group]]],
                "companies": [["add", [company]]],
                "company": company,
            }
        ],
        writes=True,
    )
    return int(user)


def _bind_buttons(admin: Client, groups: Mapping[str, int]) -> None:
    ours = {name: groups[f"Countersign {name}"] for name in SCOPES if f"Countersign {name}" in groups}
    models = {model for scope in SCOPES.values() for model in scope.models}
    for button in admin.search_read(
        "ir.model.button", [("model", "in", sorted(models))], ["model", "name", "groups"]
    ):
        have = set(button["groups"])
        allowed = {
            ours[name]
            for name, scope in SCOPES.items()
            if name in ours
            and (grant := scope.models.get(button["model"]))
            and button["name"] in grant.buttons
        }
        keepers = have - set(ours.values())
        if not keepers:
            keepers = {_keeper(button["model"], groups)}
        add, remove = (allowed | keepers) - have, have - allowed - keepers
        if add or remove:
            change = [["add", sorted(add)]] if add else []
            change += [["remove", sorted(remove)]] if remove else []
            admin.call("ir.model.button", "write", [button["id"]], {"groups": change}, writes=True)


def _keeper(model: str, groups: Mapping[str, int]) -> int:
    for prefix, name in _KEEPERS.items():
        if model.startswith(prefix) and name in groups:
            return groups[name]
    return groups[PEOPLE]


def main(arguments: list[str] | None = None) -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m integrations.tryton.provision")
    parser.add_argument("--url", required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--admin", default="admin")
    parser.add_argument("--admin-password-file", type=Path, required=True)
    parser.add_argument("--accounts", type=Path, required=True)
    parser.add_argument("--prefix", default="countersign-", help="of the logins that are made")
    options = parser.parse_args(arguments)
    known = json.loads(options.accounts.read_text()) if options.accounts.exists() else {}
    for name in SCOPES:
        known.setdefault(name, {"login": options.prefix + name, "password": secrets.token_urlsafe(24)})
    options.accounts.touch(mode=0o600)
    options.accounts.chmod(0o600)
    options.accounts.write_text(json.dumps(known, indent=2))
    password = options.admin_password_file.read_text().strip()
    try:
        with Client(options.url, options.database, options.admin, password) as admin:
            users = provision(admin, {name: (a["login"], a["password"]) for name, a in known.items()})
    except AdapterError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(users, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
