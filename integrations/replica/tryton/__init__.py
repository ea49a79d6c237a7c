"""Read tools on Tryton 8.2's own tables: the same answers as its JSON-RPC gives, from one transaction.

Every query is a file in `sql/`, with bound values only. They are Tryton's rules as its code has them (which company,
what is active, how stock is counted), because the account that reads the tables is past Tryton's own access rules:
`company` is an option of the connection, and needed where the database has more than one.

Names are those of the tables, which is the language the database was made in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import DictRow

from integrations.contract import Unsupported
from integrations.replica.standby import Rows
from integrations.replica.tryton import exceptions, records
from integrations.replica.values import today

SOURCE = "Tryton 8.2"
SQL = Path(__file__).with_name("sql")

TOOLS: Mapping[str, Callable[[Rows, Any], dict[str, Any]]] = {
    "order_status_exceptions": exceptions.order_status_exceptions,
    "production_order": records.production_order,
    "purchase_order": records.purchase_order,
    "sales_order": records.sales_order,
    "stock_by_product": records.stock_by_product,
    "supplier": records.supplier,
}


def rows(cursor: psycopg.Cursor[DictRow], options: Mapping[str, Any]) -> Rows:
    """The queries, bound to the company and to today. Unsupported where nobody says which company."""
    made = Rows(cursor, SQL)
    known = {row["id"]: row["currency"] for row in made.all("companies")}
    named = int(options["company"]) if "company" in options else None
    if named is None and len(known) != 1:
        raise Unsupported(
            f"The database has {len(known)} companies; name one by number as the option `company`."
        )
    company = named if named is not None else next(iter(known))
    if company not in known:
        raise Unsupported(f"The option `company` is {company}; the database has {sorted(known)}.")
    made.always = {"company": company, "currency": known[company], "today": today()}
    return made
