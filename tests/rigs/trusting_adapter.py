"""An adapter as a deployment should not write it: an order is moved on the middleware's word alone."""

from integrations.middleware.adapter import build, on_its_word

ADAPTER = build({"production_order_reschedule": on_its_word()})
