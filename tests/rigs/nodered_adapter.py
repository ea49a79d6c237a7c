"""An adapter as a deployment writes it: the middleware's, with another patience and a type of its own.

`plant_notice` (in `tests.rigs.plant_types`) is about no record, so it goes on the middleware's word.
"""

import datetime as dt

from integrations.middleware.adapter import build, on_its_word, seen_by_another

ADAPTER = build(
    {
        "plant_notice": on_its_word(),
        "production_order_quantity": seen_by_another(),
        "production_order_reschedule": seen_by_another(),
        "purchase_order_create": seen_by_another(),
        "purchase_order_line_change": seen_by_another(),
        "sales_order_promise": seen_by_another(),
    },
    settle=dt.timedelta(seconds=1),
)
