"""Fill an initialised Tryton database with a furniture maker and a past.

Run by the Python of Tryton's environment, which has proteus:

    TRYTOND_CONFIG=trytond.conf python -m integrations.tryton.demo.seed DATABASE [--from core|rest]

Deterministic but for dates, which are relative to today. Every order, quote and change of mind is a real write
through the ERP's own model, so that its history tables and `ir.model.log` hold what a plant's would. Prints one
JSON object a line: {"phase", "done", "total"} and, when others may go on, {"reached": "company"|"core"|"rest"}.

`core` is not resumable (start again from the initialised database); `rest` skips orders that are there.

The file is long because it tells one story from beginning to end.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib
import json
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from integrations.tryton.demo import catalogue, past, sold

TERM = "30 days net, furniture"
CORE_STEPS = 24
REST_PRODUCTIONS = 28
REST_PURCHASES = 18
REST_SALES = 18
REST_CHANGES = 10


@dataclass
class Plant:
    """What later steps need of earlier ones; everything in it is a proteus record or model."""

    model: Callable[[str], Any]
    wizard: Callable[..., Any]
    today: dt.date
    products: dict[str, Any] = field(default_factory=dict)
    boms: dict[str, Any] = field(default_factory=dict)
    routings: dict[str, Any] = field(default_factory=dict)
    suppliers: list[Any] = field(default_factory=list)
    customers: list[Any] = field(default_factory=list)
    term: Any = None
    centre: Any = None
    done: int = 0
    total: int = CORE_STEPS

    def day(self, offset: int) -> dt.date:
        """Today plus so many days."""
        return self.today + dt.timedelta(days=offset)

    def tell(self, phase: str) -> None:
        """One step further."""
        self.done += 1
        _say({"phase": phase, "done": self.done, "total": self.total})


def reached(milestone: str) -> None:
    """Let the stack go on with what waits for this."""
    _say({"reached": milestone})


def _say(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def set_up_company(plant: Plant, config: Any) -> Any:
    """The company, in euro."""
    currencies = plant.model("currency.currency")
    found = currencies.find([("code", "=", "EUR")])
    euro = (
        found[0]
        if found
        else currencies(
            name="Euro", symbol="€", code="EUR", numeric_code="978", rounding=Decimal("0.01"), digits=2
        )
    )
    euro.save()
    wizard = plant.wizard("company.company.config")
    wizard.execute("company")
    party = plant.model("party.party")(name=catalogue.COMPANY)
    party.save()
    wizard.form.party = party
    wizard.form.currency = euro
    wizard.execute("add")
    config._context = plant.model("res.user").get_preferences(True, {})  # noqa: SLF001 proteus has no other way
    (company,) = plant.model("company.company").find([])
    plant.tell("Company")
    return company


def set_up_accounts(plant: Plant, company: Any, config: Any) -> Any:
    """Chart of accounts, three fiscal years, payment term: confirming an order needs them. Gives the category."""
    data = plant.model("ir.model.data")
    template = plant.model("account.account.template")(
        data.get_id("account.account_template_root_en", config.context)
    )
    chart = plant.wizard("account.create_chart")
    chart.execute("account")
    chart.form.account_template = template
    chart.form.company = company
    chart.execute("create_account")

    accounts = plant.model("account.account")

    def account(kind: str) -> Any:
        # Closed accounts are headings; the ERP refuses them on documents.
        return accounts.find(
            [(f"type.{kind}", "=", True), ("closed", "!=", True), ("company", "=", company.id)],
            order=[("code", "ASC")],
            limit=1,
        )[0]

    expense, revenue = account("expense"), account("revenue")
    for kind in ("receivable", "payable"):
        if account(kind).party_required:
            setattr(chart.form, f"account_{kind}", account(kind))
    if hasattr(chart.form, "category_account_expense"):
        chart.form.category_account_expense = expense
        chart.form.category_account_revenue = revenue
    chart.execute("create_properties")
    plant.tell("Chart of accounts")

    sequences = plant.model("ir.sequence.strict")
    kinds = plant.model("ir.sequence.type")

    def sequence(kind: str, name: str) -> Any:
        made = sequences(
            name=name, company=company, sequence_type=kinds.find([("name", "=", kind)], limit=1)[0]
        )
        made.save()
        return made

    for year in (plant.today.year - 1, plant.today.year, plant.today.year + 1):
        fiscal_year = plant.model("account.fiscalyear")(name=str(year), company=company)
        fiscal_year.start_date, fiscal_year.end_date = dt.date(year, 1, 1), dt.date(year, 12, 31)
        fiscal_year.move_sequence = sequence("Account Move", f"Moves {year}")
        invoices = sequence("Invoice", f"Invoices {year}")
        (row,) = fiscal_year.invoice_sequences
        row.out_invoice_sequence = row.in_invoice_sequence = invoices
        row.out_credit_note_sequence = row.in_credit_note_sequence = invoices
        fiscal_year.save()
        fiscal_year.click("create_period")
    plant.tell("Fiscal years")
    term = plant.model("account.invoice.payment_term")(name=TERM)
    term.lines.new(type="remainder").relativedeltas.new(days=30)
    term.save()
    plant.term = term
    category = plant.model("product.category")(name="Goods", accounting=True)
    category.account_expense, category.account_revenue = expense, revenue
    category.save()
    return category


def set_up_products(plant: Plant, category: Any) -> None:
    """Materials and finished goods with their bills of materials and routings."""
    names = {item.unit for item in catalogue.BOUGHT} | {"Unit"}
    units = {unit.name: unit for unit in plant.model("product.uom").find([("name", "in", sorted(names))])}
    templates = plant.model("product.template")

    def make(code: str, name: str, unit: str, cost: Decimal, price: str, **flags: bool) -> None:
        template = templates(name=name, default_uom=units[unit], type="goods", account_category=category)
        template.list_price = Decimal(price)
        template.cost_price_method = "fixed" if flags.get("producible") else "average"
        for flag, value in flags.items():
            setattr(template, flag, value)
        if flags.get("salable"):
            # Without a lead time the ERP forgets the shipping date when it makes the shipment.
            template.lead_time = dt.timedelta(days=1)
        (product,) = template.products
        product.code = product.suffix_code = code
        product.cost_price = cost
        template.save()
        (plant.products[code],) = template.products

    costs = {item.code: Decimal(item.cost) for item in catalogue.BOUGHT}
    for item in catalogue.BOUGHT:
        make(item.code, item.name, item.unit, costs[item.code], item.price, purchasable=True)
    plant.tell("Materials")
    for good in catalogue.MADE:
        cost = sum((costs[code] * Decimal(str(each)) for code, each in good.parts.items()), Decimal(0))
        make(good.code, good.name, "Unit", cost.quantize(Decimal("0.01")), good.price,
             producible=True, salable=True)  # fmt: skip
    plant.tell("Finished goods")

    operations = set_up_centres(plant)
    boms, routings = plant.model("production.bom"), plant.model("production.routing")
    for good in catalogue.MADE:
        bom = boms(name=good.name)
        for code, each in good.parts.items():
            bom.inputs.new(product=plant.products[code], quantity=float(each))
        bom.outputs.new(product=plant.products[good.code], quantity=1.0)
        bom.save()
        routing = routings(name=good.name)
        routing.boms.append(boms(bom.id))
        for name in catalogue.ROUTINGS[good.routing]:
            routing.steps.new(operation=operations[name])
        routing.save()
        product = plant.products[good.code]
        product.boms.append(
            plant.model("product.product-production.bom")(bom=boms(bom.id), routing=routings(routing.id))
        )
        product.save()
        lead = plant.model("production.lead_time")(product=product, bom=boms(bom.id))
        lead.lead_time = dt.timedelta(days=good.days)
        lead.save()
        plant.boms[good.code], plant.routings[good.code] = bom, routing
    plant.tell("Bills of materials and routings")


def set_up_centres(plant: Plant) -> dict[str, Any]:
    """Work centres below one plant; gives the routing operations by name."""
    work_centres = plant.model("production.work.center")
    plant.centre = work_centres(name="Workshop")
    plant.centre.save()
    operations = {}
    for name, centres in catalogue.CENTRES.items():
        category = plant.model("production.work.center.category")(name=name)
        category.save()
        operation = plant.model("production.routing.operation")(name=name)
        operation.work_center_category = category
        operation.save()
        operations[name] = operation
        for centre_name, cost in centres:
            centre = work_centres(name=centre_name, parent=plant.centre, category=category)
            centre.cost_price, centre.cost_method = Decimal(cost), "hour"
            centre.save()
    return operations


def set_up_stock(plant: Plant) -> None:
    """What lay on the shelves a month ago."""
    (storage,) = plant.model("stock.location").find([("code", "=", "STO")])
    inventory = plant.model("stock.inventory")(location=storage)
    inventory.date = plant.day(-30)
    for item in (*catalogue.BOUGHT, *catalogue.MADE):
        inventory.lines.new(product=plant.products[item.code], quantity=float(item.stock))
    inventory.click("confirm")
    plant.tell("Opening stock")


def set_up_parties(plant: Plant) -> None:
    """Suppliers with lead times and prices, and customers."""
    parties = plant.model("party.party")

    def party(name: str, city: str) -> Any:
        made = parties(name=name)
        address = made.addresses[0] if made.addresses else made.addresses.new()
        address.street, address.city = "Industrigata 1", city
        return made

    costs = {item.code: Decimal(item.cost) for item in catalogue.BOUGHT}
    for supplier in catalogue.SUPPLIERS:
        made = party(supplier.name, supplier.city)
        made.supplier_payment_term = plant.term
        made.save()
        plant.suppliers.append(made)
        for code in supplier.codes:
            sold = plant.model("purchase.product_supplier")()
            sold.template = plant.products[code].template
            sold.product = plant.products[code]
            sold.party = made
            sold.lead_time = dt.timedelta(days=supplier.lead_days)
            price = sold.prices.new(quantity=0.0)
            price.unit_price = costs[code]
            sold.save()
    plant.tell("Suppliers")
    for name, city in catalogue.CUSTOMERS:
        made = party(name, city)
        made.customer_payment_term = plant.term
        made.save()
        plant.customers.append(made)
    plant.tell("Customers")


def recall(plant: Plant) -> None:
    """Find again what `core` made, so that `rest` can go on after a restart."""
    for product in plant.model("product.product").find([("code", "!=", None)]):
        plant.products[product.code] = product
    for good in catalogue.MADE:
        (used,) = plant.products[good.code].boms
        plant.boms[good.code], plant.routings[good.code] = used.bom, used.routing
    parties = plant.model("party.party")
    plant.suppliers = [parties.find([("name", "=", supplier.name)])[0] for supplier in catalogue.SUPPLIERS]
    plant.customers = [parties.find([("name", "=", name)])[0] for name, _ in catalogue.CUSTOMERS]
    (plant.term,) = plant.model("account.invoice.payment_term").find([("name", "=", TERM)])
    (plant.centre,) = plant.model("production.work.center").find([("name", "=", "Workshop")])


def there(plant: Plant, model: str, reference: str) -> bool:
    """Whether an order with this reference exists."""
    return bool(plant.model(model).find([("reference", "=", reference)], limit=1))


def production(
    plant: Plant, reference: str, code: str, quantity: float, state: str, start: int, due: int
) -> Any:
    """One production order, brought to `state` as people would; days are relative to today.

    A job short of material stays waiting whatever was wanted.
    """
    job = plant.model("production")()
    # The planned date decides the lead time; the start is set last so that it is kept.
    job.planned_date = plant.day(due)
    job.product = plant.products[code]
    job.bom = plant.boms[code]
    job.routing = plant.routings[code]
    job.work_center = plant.centre
    job.quantity = quantity
    job.reference = reference
    job.planned_start_date = plant.day(start)
    if state == "done":
        job.effective_start_date, job.effective_date = plant.day(start), plant.day(due)
    job.save()
    if state in {"draft", "cancelled"}:
        if state == "cancelled":
            job.click("cancel")
        return job
    job.click("wait")
    if state == "waiting":
        return job
    job.click("assign_try")
    if state == "assigned" or job.state != "assigned":
        return job
    job.click("run")
    works = list(job.works)
    if state == "running":
        works[0].click("start")
        return job
    for work in works:
        work.click("start")
        (cycle,) = work.active_cycles
        cycle.duration = dt.timedelta(minutes=35)
        cycle.save()
        work.click("stop")
    job.reload()
    job.click("do")
    return job


def purchase(
    plant: Plant,
    reference: str,
    supplier: int,
    lines: dict[str, tuple[float, str]],
    state: str,
    made: int,
    due: int,
) -> Any:
    """One purchase order: code to quantity and unit price; `state` draft, quotation, processing or received."""
    order = plant.model("purchase.purchase")()
    order.party = plant.suppliers[supplier]
    order.payment_term = plant.term
    order.invoice_method = "fulfillment"
    order.purchase_date = plant.day(made)
    order.delivery_date = plant.day(due)
    order.reference = reference
    for code, (quantity, price) in lines.items():
        line = order.lines.new()
        line.product = plant.products[code]
        line.quantity = quantity
        line.unit_price = Decimal(price)
    order.save()
    if state == "draft":
        return order
    order.click("quote")
    if state == "quotation":
        return order
    confirm(plant, order, due)
    if state == "received":
        receive(plant, order, supplier)
    return order


def confirm(plant: Plant, order: Any, due: int) -> None:
    """The supplier has it. A day that is over already the ERP forgets; the buyer writes it again."""
    order.click("confirm")
    if order.state == "confirmed":
        order.click("process")
    if due < 0:
        for found in order.moves:
            move = plant.model("stock.move")(found.id)
            move.planned_date = plant.day(due)
            move.save()


def receive(plant: Plant, order: Any, supplier: int) -> None:
    """Everything of it arrived."""
    shipment = plant.model("stock.shipment.in")()
    shipment.supplier = plant.suppliers[supplier]
    for move in order.moves:
        shipment.incoming_moves.append(plant.model("stock.move")(id=move.id))
    shipment.save()
    shipment.click("receive")
    shipment.click("do")


def sale(
    plant: Plant,
    reference: str,
    customer: int,
    lines: dict[str, tuple[float, str]],
    state: str,
    made: int,
    due: int,
) -> Any:
    """One sales order: code to quantity and unit price; `due` is the shipping date promised."""
    order = plant.model("sale.sale")()
    order.party = plant.customers[customer]
    order.payment_term = plant.term
    order.sale_date = plant.day(made)
    order.shipping_date = plant.day(due)
    order.reference = reference
    for code, (quantity, price) in lines.items():
        line = order.lines.new()
        line.product = plant.products[code]
        line.quantity = quantity
        line.unit_price = Decimal(price)
    order.save()
    if state == "draft":
        return order
    order.click("quote")
    if state == "quotation":
        return order
    order.click("confirm")
    if order.state == "confirmed":
        order.click("process")
    return order


def core_orders(plant: Plant) -> None:
    """A handful of orders, enough for every read tool and a first repair: late, short, unconfirmed, sound."""
    for reference, code, quantity, state, start, due in (
        ("JOB-1001", "FG-CHAIR", 20.0, "waiting", -5, -3),
        ("JOB-1002", "FG-SHELF", 6.0, "waiting", 2, 4),
        ("JOB-1003", "FG-DESK", 3.0, "running", -4, -1),
        ("JOB-1004", "FG-TABLE", 4.0, "assigned", 1, 4),
        ("JOB-1005", "FG-CHAIR", 12.0, "draft", 1, 3),
        ("JOB-1006", "FG-TABLE", 2.0, "draft", 12, 15),
        ("JOB-1007", "FG-DESK", 5.0, "waiting", 5, 8),
    ):
        production(plant, reference, code, quantity, state, start, due)
        plant.tell("Production orders")
    for reference, supplier, lines, state, made, due in (
        ("REQ-501", 2, {"RM-HINGE-35": (200.0, "2.15"), "RM-HANDLE": (80.0, "3.40")}, "processing", -12, -4),
        ("REQ-502", 0, {"RM-OAK-18": (60.0, "34.50")}, "draft", -1, 13),
        ("REQ-503", 1, {"RM-LEG-45": (200.0, "4.80"), "RM-SEAT": (50.0, "21.00")}, "quotation", -8, 2),
        ("REQ-504", 3, {"RM-LACQ-MAT": (40.0, "14.90")}, "processing", -3, 6),
    ):
        purchase(plant, reference, supplier, lines, state, made, due)
        plant.tell("Purchase orders")
    for reference, customer, lines, state, made, due in (
        ("CUST-7001", 0, {"FG-CHAIR": (40.0, "179.00")}, "processing", -20, -2),
        ("CUST-7002", 2, {"FG-TABLE": (4.0, "890.00")}, "processing", -9, 7),
        ("CUST-7003", 1, {"FG-DESK": (3.0, "640.00"), "FG-CHAIR": (6.0, "189.00")}, "quotation", -6, 3),
        ("CUST-7004", 3, {"FG-SHELF": (8.0, "420.00")}, "processing", -4, 9),
    ):
        sale(plant, reference, customer, lines, state, made, due)
        plant.tell("Sales orders")


def more_productions(plant: Plant, rnd: random.Random) -> None:
    """The rest of the workshop's book."""
    states = (
        ["draft"] * 6 + ["waiting"] * 9 + ["assigned"] * 4 + ["running"] * 3 + ["done"] * 5 + ["cancelled"]
    )
    starts = {"draft": 9, "waiting": 3, "assigned": 1, "running": -2, "done": -14, "cancelled": 4}
    for number in range(REST_PRODUCTIONS):
        state, reference = states[number % len(states)], f"JOB-{1101 + number}"
        good = catalogue.MADE[(number * 3 + 1) % len(catalogue.MADE)]
        quantity = float(rnd.choice([2, 3, 4, 6, 8]))
        start = starts[state] + number % 6 - (7 if state == "waiting" and number % 4 == 0 else 0)
        if not there(plant, "production", reference):
            production(plant, reference, good.code, quantity, state, start, start + good.days)
        plant.tell("More production orders")


def more_purchases(plant: Plant, rnd: random.Random) -> None:
    """The rest of the buyers' book, with prices that moved while the quote was open."""
    costs = {item.code: Decimal(item.cost) for item in catalogue.BOUGHT}
    states = ["received", "processing", "draft", "processing", "quotation", "received"]
    for number in range(REST_PURCHASES):
        state, reference = states[number % len(states)], f"REQ-{601 + number}"
        supplier = number % len(catalogue.SUPPLIERS)
        lines = {}
        for code in catalogue.SUPPLIERS[supplier].codes[: 1 + number % 3]:
            price = (costs[code] * Decimal(rnd.choice(["0.96", "1.00", "1.03"]))).quantize(Decimal("0.0001"))
            lines[code] = (float(rnd.choice([20, 40, 60, 120])), str(price))
        made = {"received": -25, "draft": -1, "quotation": -5, "processing": -9}[state] - number % 5
        due = made + catalogue.SUPPLIERS[supplier].lead_days
        if not there(plant, "purchase.purchase", reference):
            order = purchase(plant, reference, supplier, lines, "draft", made, due)
            haggle(order, rnd)
            if state != "draft":
                bring(plant, order, state, supplier, due)
        plant.tell("More purchase orders")


def haggle(order: Any, rnd: random.Random) -> None:
    """The supplier quotes, the buyer asks again, the price moves: history of every line."""
    order.click("quote")
    order.click("draft")
    for line in order.lines:
        line.unit_price = (line.unit_price * Decimal(rnd.choice(["0.97", "0.99", "1.02"]))).quantize(
            Decimal("0.0001")
        )
    order.save()


def bring(plant: Plant, order: Any, state: str, supplier: int, due: int) -> None:
    """A drafted purchase order on to quotation, processing or received."""
    order.click("quote")
    if state == "quotation":
        return
    confirm(plant, order, due)
    if state == "received":
        receive(plant, order, supplier)


def more_sales(plant: Plant, rnd: random.Random) -> None:
    """The rest of the order book, with promise dates that moved while the quote was open."""
    states = ["processing", "quotation", "processing", "draft"]
    for number in range(REST_SALES):
        state, reference = states[number % len(states)], f"CUST-{7101 + number}"
        good = catalogue.MADE[number % len(catalogue.MADE)]
        lines = {good.code: (float(1 + number % 5), good.price)}
        made, due = -12 - number % 12, 4 + (number * 5) % 20 - (9 if number % 6 == 0 else 0)
        if not there(plant, "sale.sale", reference):
            order = sale(plant, reference, number % len(catalogue.CUSTOMERS), lines, "draft", made, due - 2)
            order.click("quote")
            order.click("draft")
            order.shipping_date = plant.day(due)
            order.lines[0].unit_price = (
                order.lines[0].unit_price * Decimal(rnd.choice(["0.95", "1"]))
            ).quantize(Decimal("0.01"))
            order.save()
            if state != "draft":
                order.click("quote")
            if state == "processing":
                order.click("confirm")
                if order.state == "confirmed":
                    order.click("process")
        plant.tell("More sales orders")


def changes_of_mind(plant: Plant, rnd: random.Random) -> None:
    """Planners moved drafts about and buyers amended orders under way."""
    jobs = plant.model("production").find([("state", "=", "draft"), ("reference", "like", "JOB-11%")])
    for number in range(REST_CHANGES):
        if jobs and number % 2 == 0:
            job = jobs[number // 2 % len(jobs)]
            shift = dt.timedelta(days=rnd.choice([1, 2, 3]))
            job.planned_date = job.planned_date + shift
            job.planned_start_date = job.planned_start_date + shift
            job.save()
        elif number % 2:
            orders = plant.model("purchase.purchase").find(
                [("state", "=", "processing"), ("reference", "like", "REQ-6%")], order=[("id", "ASC")]
            )
            order = orders[number // 2 % len(orders)]
            amendment = plant.model("purchase.amendment")(purchase=order, description="Agreed by phone")
            line = amendment.lines.new(action="line")
            line.line = order.lines[0]
            line.unit_price = (order.lines[0].unit_price * Decimal("1.01")).quantize(Decimal("0.0001"))
            amendment.save()
            amendment.click("validate_amendment")
        plant.tell("Changes of mind")
    # One delivery called off by the supplier: the ERP stops and asks a person.
    late = plant.model("purchase.purchase").find(
        [("state", "=", "processing"), ("reference", "like", "REQ-6%"), ("shipment_state", "=", "waiting")],
        order=[("id", "DESC")],
        limit=1,
    )
    if late:
        plant.model("stock.move")(late[0].moves[0].id).click("cancel")


def main(arguments: list[str]) -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser()
    parser.add_argument("database")
    parser.add_argument("--start", choices=["core", "rest"], default="core")
    parser.add_argument("--only-core", action="store_true")
    options = parser.parse_args(arguments)
    proteus = importlib.import_module("proteus")
    config = proteus.config.set_trytond(options.database)
    # People of the past clicked the ERP's warnings away.
    config.skip_warning = True
    plant = Plant(model=proteus.Model.get, wizard=proteus.Wizard, today=dt.date.today())  # noqa: DTZ011 the ERP's day
    rest = REST_PRODUCTIONS + REST_PURCHASES + REST_SALES + REST_CHANGES + past.STEPS
    plant.total = CORE_STEPS + (0 if options.only_core else rest)
    if options.start == "core":
        company = set_up_company(plant, config)
        reached("company")
        category = set_up_accounts(plant, company, config)
        set_up_products(plant, category)
        set_up_parties(plant)
        set_up_stock(plant)
        core_orders(plant)
        reached("core")
    else:
        plant.done = CORE_STEPS
        config._context = plant.model("res.user").get_preferences(True, {})  # noqa: SLF001 proteus has no other way
        recall(plant)
    if not options.only_core:
        rnd = random.Random(20260101)  # noqa: S311 the same plant every time
        more_productions(plant, rnd)
        more_purchases(plant, rnd)
        more_sales(plant, rnd)
        changes_of_mind(plant, rnd)
        past.live(config, plant.today, lambda: plant.tell("The quarter before"), beside=sold.some)
        reached("rest")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
