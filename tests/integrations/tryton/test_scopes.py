"""Tryton itself holds every service account to its scope: each refusal here is Tryton's, not ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest

from integrations.contract import OutOfScope, ProbeReport, Rejected
from integrations.scan import transaction_types
from integrations.tryton import provision
from integrations.tryton.adapter import ADAPTER
from integrations.tryton.client import Client
from tests.integrations.tryton import orders
from tests.tryton import TrytonServer

RESCHEDULE, QUANTITY = "production_order_reschedule", "production_order_quantity"
CREATE, LINE, PROMISE = "purchase_order_create", "purchase_order_line_change", "sales_order_promise"
READER = "reader"

# What Tryton must let through, by attempt; every other account must be refused it, and every attempt not named here
# must be refused to all.
ALLOWED: Mapping[str, frozenset[str]] = {
    "read a production": frozenset(provision.SCOPES),
    "read a purchase": frozenset(provision.SCOPES),
    "read a sale": frozenset(provision.SCOPES),
    "production dates": frozenset({RESCHEDULE}),
    "production quantity": frozenset({QUANTITY}),
    "production to draft": frozenset({RESCHEDULE, QUANTITY}),
    "production released": frozenset({RESCHEDULE, QUANTITY}),
    "create a purchase": frozenset({CREATE}),
    "purchase line price": frozenset({LINE}),
    "quote a purchase": frozenset({LINE}),
    "sale shipping date": frozenset({PROMISE}),
}


class Things:
    """Records that attempts are made on; the same for all accounts."""

    def __init__(self, tryton: TrytonServer) -> None:
        self._admin = tryton.admin
        self._toggled = orders.production(tryton, state="waiting")
        self.draft = orders.production(tryton)
        self.waiting = orders.production(tryton, state="waiting")
        self.running = int(tryton.find("production", ("state", "=", "running"))["id"])
        self.purchase, self.line = orders.purchase(tryton)
        self.quotation, _ = orders.purchase(tryton, state="quotation")
        self.processing, _ = orders.purchase(tryton, state="processing")
        self.sale = orders.sale(tryton)
        self.party = int(tryton.find("party.party", ("name", "=", "Skogen Timber"))["id"])
        self.panel = orders.product(tryton, "RM-OAK-18")
        self.unit = int(
            tryton.find("product.product", ("id", "=", self.panel), fields=("default_uom",))["default_uom"]
        )
        self.storage = int(tryton.find("stock.location", ("code", "=", "STO"))["id"])
        self.customer_place = int(tryton.find("stock.location", ("code", "=", "CUS"))["id"])
        self.move = int(
            tryton.find("stock.move", ("state", "=", "draft"), ("production_input", "=", self.waiting))["id"]
        )
        self.other_move = int(
            tryton.find("stock.move", ("shipment", "!=", None), ("state", "!=", "done"))["id"]
        )

    def in_state(self, state: str) -> int:
        """A production in this state, whatever was done to it before."""
        (row,) = self._admin.search_read("production", [("id", "=", self._toggled)], ["state"])
        if row["state"] != state:
            button = {"waiting": "wait", "draft": "draft"}[state]
            self._admin.call("production", button, [self._toggled], writes=True)
        return self._toggled


Attempt = Callable[[Client, Things], Any]


def write(model: str, pick: Callable[[Things], int], **values: Any) -> Attempt:
    """Write these values to one record."""
    return lambda client, things: client.call(model, "write", [pick(things)], values, writes=True)


def click(model: str, button: str, pick: Callable[[Things], int]) -> Attempt:
    """Click a button on one record."""
    return lambda client, things: client.call(model, button, [pick(things)], writes=True)


def create(model: str, values: Callable[[Things], Mapping[str, Any]]) -> Attempt:
    """Create one record."""
    return lambda client, things: client.call(model, "create", [dict(values(things))], writes=True)


def _loose_move(things: Things) -> Mapping[str, Any]:
    return {
        "product": things.panel,
        "quantity": 1.0,
        "unit": things.unit,
        "from_location": things.storage,
        "to_location": things.customer_place,
    }


def _order(things: Things) -> Mapping[str, Any]:
    line = {
        "type": "line",
        "product": things.panel,
        "quantity": 1.0,
        "unit": things.unit,
        "unit_price": Decimal(34),
    }
    return {"party": things.party, "reference": "scope", "lines": [["create", [line]]]}


ATTEMPTS: Mapping[str, Attempt] = {
    "read a production": lambda c, t: c.search_read("production", [("id", "=", t.draft)], ["state"]),
    "read a purchase": lambda c, t: c.search_read("purchase.purchase", [("id", "=", t.purchase)], ["state"]),
    "read a sale": lambda c, t: c.search_read("sale.sale", [("id", "=", t.sale)], ["state"]),
    "production dates": write("production", lambda t: t.draft, planned_date=orders.working_day(20)),
    "production quantity": write("production", lambda t: t.draft, quantity=4.0),
    "dates of a released production": write(
        "production", lambda t: t.running, planned_date=orders.working_day(20)
    ),
    "production state": write("production", lambda t: t.draft, state="done"),
    "production warehouse": write("production", lambda t: t.draft, warehouse=1),
    "production reference": write("production", lambda t: t.draft, reference="mine"),
    "production product": write("production", lambda t: t.draft, product=1),
    "create a production": create("production", lambda _: {"quantity": 1.0}),
    "copy a production": lambda c, t: c.call("production", "copy", [t.draft], writes=True),
    "delete a production": lambda c, t: c.call("production", "delete", [t.draft], writes=True),
    "import productions": lambda c, _: c.call(
        "production", "import_data", ["reference"], [["x"]], writes=True
    ),
    "production to draft": lambda c, t: c.call("production", "draft", [t.in_state("waiting")], writes=True),
    "production released": lambda c, t: c.call("production", "wait", [t.in_state("draft")], writes=True),
    "production cancelled": click("production", "cancel", lambda t: t.draft),
    "production run": click("production", "run", lambda t: t.running),
    "production done": click("production", "do", lambda t: t.running),
    "production assigned": click("production", "assign_try", lambda t: t.waiting),
    "production assigned by force": click("production", "assign_force", lambda t: t.waiting),
    "wizard assign": lambda c, t: c.rpc(
        "wizard.stock.shipment.assign.create",
        {**c.context(), "active_model": "production", "active_id": t.waiting, "active_ids": [t.waiting]},
        writes=True,
    ),
    "wizard chart of accounts": lambda c, _: c.rpc(
        "wizard.account.create_chart.create", c.context(), writes=True
    ),
    "a loose stock move": create("stock.move", _loose_move),
    "write another's stock move": write("stock.move", lambda t: t.other_move, quantity=1.0),
    "date of a production's move": write("stock.move", lambda t: t.move, planned_date=orders.working_day(9)),
    "a stock move done": click("stock.move", "do", lambda t: t.move),
    "stock inventory": create("stock.inventory", lambda t: {"location": t.storage}),
    "create a purchase": create("purchase.purchase", _order),
    "purchase line price": write("purchase.line", lambda t: t.line, unit_price=Decimal("34.60")),
    "purchase line product": write("purchase.line", lambda t: t.line, product=1),
    "purchase supplier": write("purchase.purchase", lambda t: t.purchase, party=1),
    "delete a purchase line": lambda c, t: c.call("purchase.line", "delete", [t.line], writes=True),
    "quote a purchase": click("purchase.purchase", "quote", lambda t: t.purchase),
    "confirm a purchase": click("purchase.purchase", "confirm", lambda t: t.quotation),
    "process a purchase": click("purchase.purchase", "process", lambda t: t.processing),
    "cancel a purchase": click("purchase.purchase", "cancel", lambda t: t.quotation),
    "delete a purchase": lambda c, t: c.call("purchase.purchase", "delete", [t.purchase], writes=True),
    "amend the supplier of a purchase": create(
        "purchase.amendment",
        lambda t: {"purchase": t.processing, "lines": [["create", [{"action": "party", "party": t.party}]]]},
    ),
    "amend the taxes of a purchase": create(
        "purchase.amendment",
        lambda t: {"purchase": t.processing, "lines": [["create", [{"action": "taxes"}]]]},
    ),
    "sale shipping date": write("sale.sale", lambda t: t.sale, shipping_date=orders.working_day(30)),
    "sale customer": write("sale.sale", lambda t: t.sale, party=1),
    "sale line price": lambda c, t: c.call(
        "sale.sale", "write", [t.sale], {"lines": [["write", [1], {"unit_price": Decimal(1)}]]}, writes=True
    ),
    "confirm a sale": click("sale.sale", "confirm", lambda t: t.sale),
    "cancel a sale": click("sale.sale", "cancel", lambda t: t.sale),
    "write a party": write("party.party", lambda t: t.party, name="x"),
    "create a party": create("party.party", lambda _: {"name": "x"}),
    "a contact": create(
        "party.contact_mechanism", lambda t: {"party": t.party, "type": "email", "value": "a@example.com"}
    ),
    "an attachment": create(
        "ir.attachment", lambda t: {"name": "x", "type": "data", "resource": f"production,{t.draft}"}
    ),
    "a note": create("ir.note", lambda t: {"message": "x", "resource": f"production,{t.draft}"}),
    "product cost": write("product.product", lambda t: t.panel, cost_price=Decimal(1)),
    "supplier price": create("purchase.product_supplier", lambda t: {"party": t.party, "product": t.panel}),
    "an account move": create("account.move", lambda _: {}),
    "read invoices": lambda c, _: c.search_read("account.invoice", [], ["number"], limit=1),
    "more rights": create("ir.model.access", lambda _: {"model": "sale.sale", "perm_write": True}),
    "a sequence": lambda c, _: c.call("ir.sequence", "write", [1], {"number_next": 1}, writes=True),
    "more groups": lambda c, _: c.call(
        "res.user", "write", [c.user], {"groups": [["add", [1]]]}, writes=True
    ),
    "a key of its own": lambda c, _: c.call(
        "res.user.application", "create", [{"user": c.user, "application": "rest"}], writes=True
    ),
    "a warning accepted": create("res.user.warning", lambda _: {"name": "x", "always": True}),
    "checks switched off by the caller": lambda c, t: c.call(
        "production",
        "write",
        [t.draft],
        {"warehouse": 1},
        writes=True,
        _check_access=False,
        groups=[1],
        administrator=True,
    ),
}


@pytest.fixture(scope="module")
def things(tryton: TrytonServer) -> Things:
    return Things(tryton)


@pytest.fixture(scope="module")
def clients(tryton: TrytonServer) -> Iterator[Mapping[str, Client]]:
    opened = {
        name: Client(tryton.url, tryton.database, account.login, account.secret)
        for name, account in tryton.accounts.items()
    }
    yield opened
    for client in opened.values():
        client.close()


def in_time(look: Callable[[], ProbeReport], right: Callable[[ProbeReport], bool]) -> ProbeReport:
    """Look until it is right, or the last look: Tryton's processes tell each other of changed rights by and by."""
    deadline = time.monotonic() + 30
    report = look()
    while not right(report) and time.monotonic() < deadline:
        time.sleep(0.2)
        report = look()
    return report


def lets_through(attempt: Attempt, client: Client, things: Things) -> bool:
    try:
        attempt(client, things)
    except (OutOfScope, Rejected):
        return False
    return True


@pytest.mark.parametrize("what", ATTEMPTS)
def test_tryton_lets_only_the_accounts_through_that_need_it(
    what: str, clients: Mapping[str, Client], things: Things
) -> None:
    through = {name for name, client in clients.items() if lets_through(ATTEMPTS[what], client, things)}
    assert through == ALLOWED.get(what, frozenset())


def test_people_are_not_locked_out_by_the_seal(tryton: TrytonServer, things: Things) -> None:
    moved = tryton.find("stock.move", ("id", "=", things.move), fields=("quantity",))["quantity"]
    tryton.admin.call("stock.move", "write", [things.move], {"quantity": moved}, writes=True)
    shipment = tryton.find("stock.shipment.out", ("state", "=", "waiting"))["id"]
    tryton.admin.call("stock.shipment.out", "write", [shipment], {"reference": "seen"}, writes=True)


def test_provisioning_again_changes_nothing(tryton: TrytonServer) -> None:
    def rows() -> Mapping[str, Any]:
        return {
            model: tryton.admin.search_read(model, [], ["write_date", "create_date"], order=[("id", "ASC")])
            for model in (
                "ir.model.access",
                "ir.model.field.access",
                "ir.rule.group",
                "ir.model.button",
                "res.group",
            )
        }

    before = rows()
    known = {name: (account.login, account.secret) for name, account in tryton.accounts.items()}
    provision.provision(tryton.admin, known)
    assert rows() == before


@pytest.mark.parametrize("name", sorted(ADAPTER.types))
def test_the_probe_calls_an_account_unsound_that_may_do_more(name: str, tryton: TrytonServer) -> None:
    account = tryton.accounts[name]
    type_ = transaction_types()[name]
    assert ADAPTER.writer is not None
    writer = ADAPTER.writer(tryton.options, account)
    group = tryton.find("res.group", ("name", "=", f"Countersign {name}"))["id"]
    (row,) = tryton.admin.search_read(
        "ir.model.access", [("group", "=", group), ("model", "=", "party.category")], ["id"]
    )
    try:
        assert in_time(lambda: writer.probe([type_]), lambda report: report.sound).sound
        tryton.admin.call("ir.model.access", "write", [row["id"]], {"perm_write": True}, writes=True)
        report = in_time(lambda: writer.probe([type_]), lambda report: not report.sound)
        assert not report.sound
        assert report.excess == ("may write party.category",)
    finally:
        tryton.admin.call("ir.model.access", "write", [row["id"]], {"perm_write": False}, writes=True)
        writer.close()


def test_the_probe_sees_a_field_a_button_and_a_rule_too_many(tryton: TrytonServer) -> None:
    type_, account = transaction_types()[QUANTITY], tryton.accounts[QUANTITY]
    group = tryton.find("res.group", ("name", "=", f"Countersign {QUANTITY}"))["id"]
    admin = tryton.admin
    (field,) = admin.search_read(
        "ir.model.field.access",
        [("group", "=", group), ("model", "=", "production"), ("field", "=", "reference")],
        ["id"],
    )
    (button,) = admin.search_read(
        "ir.model.button", [("model", "=", "production"), ("name", "=", "run")], ["groups"]
    )
    (rule,) = admin.search_read("ir.rule.group", [("groups", "=", group)], ["perm_create"])
    assert ADAPTER.writer is not None
    writer = ADAPTER.writer(tryton.options, account)
    widened = {
        "may write production.reference",
        "may click run on production",
        "is not confined on stock.move",
    }
    try:
        admin.call("ir.model.field.access", "write", [field["id"]], {"perm_write": True}, writes=True)
        admin.call("ir.model.button", "write", [button["id"]], {"groups": [["add", [group]]]}, writes=True)
        admin.call("ir.rule.group", "write", [rule["id"]], {"perm_create": False}, writes=True)
        found = in_time(lambda: writer.probe([type_]), lambda report: set(report.excess) == widened)
        assert set(found.excess) == widened
    finally:
        admin.call("ir.model.field.access", "write", [field["id"]], {"perm_write": False}, writes=True)
        admin.call("ir.model.button", "write", [button["id"]], {"groups": [["remove", [group]]]}, writes=True)
        admin.call("ir.rule.group", "write", [rule["id"]], {"perm_create": True}, writes=True)
        sound_again = in_time(lambda: writer.probe([type_]), lambda report: report.sound)
        writer.close()
    assert sound_again.sound
