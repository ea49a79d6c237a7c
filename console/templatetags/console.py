"""Template filters: how values and strangers' text are shown. The rules are in `console.web.rendering`."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe
from lucide.templatetags.lucide import lucide

from console.catalogue import read_tools, transaction_types
from console.evals.live import override_rate
from console.evals.shadow import Agreement
from console.evals.versions import Overridden
from console.lifecycle.record import Record
from console.models import Risk, State
from console.web import rendering
from integrations.contract import Kind

register = template.Library()

ICONS = {
    "floor_task": "clipboard-check",
    "production_order_reschedule": "calendar-clock",
    "production_order_quantity": "factory",
    "production_order_release": "play",
    "purchase_order_create": "shopping-cart",
    "purchase_order_line_change": "pen-line",
    "sales_order_promise": "truck",
}
STATE_TONES = {
    State.IN_REVIEW: "info",
    State.RECEIVED: "",
    State.CHANGES_REQUESTED: "warn",
    State.APPROVED: "good",
    State.COMMITTING: "info",
    State.AWAITING_SYSTEM: "info",
    State.AWAITING_PERSON: "warn",
    State.OUTCOME_UNKNOWN: "bad",
    State.COMMITTED: "good",
    State.COMMIT_FAILED: "bad",
    State.REJECTED: "bad",
    State.REFUSED: "warn",
}


@register.simple_tag(name="lucide")
@cache
def lucide_icon(name: str, size: int = 24, **attributes: str) -> SafeString:
    """The tag of the library `lucide`, which builds each icon anew (0.3 ms); this one keeps what it built."""
    return mark_safe(lucide(name, size=size, **attributes))  # noqa: S308 lucide's own, and only our names


@register.filter
def plain(text: object) -> SafeString:
    """Text from a stranger, inert, with what hides made visible. Use it on everything an agent or system wrote."""
    return rendering.plain(text)


@register.filter
def at_dots(name: str) -> SafeString:
    """A dotted name that goes on in the next line after a dot, where there is no room."""
    return format_html_join(mark_safe(".<wbr>"), "{}", ((part,) for part in name.split(".")))


@register.filter
def initials(user: Any) -> str:
    """Two letters for a person."""
    parts = str(getattr(user, "get_full_name", lambda: "")() or getattr(user, "username", "")).split()
    return "".join(part[0] for part in parts[:2]).upper() or "?"


@register.filter
def amount(value: Decimal | None, currency: str = "") -> str:
    """Money in words; a dash for none."""
    return rendering.money(value, currency) if value is not None else rendering.EMPTY


@register.filter
def number(value: object) -> str:
    """A number with narrow spaces between thousands."""
    return rendering.number(value)


@register.filter
def day(value: dt.date | str | None) -> str:
    """A date with its month named, its year unless it is this one; a dash for none."""
    return rendering.day(value, today=timezone.now().date()) if value else rendering.EMPTY


@register.filter
def left(value: dt.datetime) -> str:
    """How long until then."""
    seconds = (value - timezone.now()).total_seconds()
    return f"{rendering.duration(seconds)} left" if seconds > 0 else "time is up"


@register.filter
def ago(value: dt.datetime | None) -> str:
    """How long since then."""
    if value is None:
        return "never"
    seconds = (timezone.now() - value).total_seconds()
    return f"{rendering.duration(seconds)} ago"


@register.filter
def hurry(value: dt.datetime) -> str:
    """A tone for time left: bad within the hour, warn within four."""
    hours = (value - timezone.now()).total_seconds() / 3600
    return "bad" if hours < 1 else "warn" if hours < 4 else ""  # noqa: PLR2004 the two thresholds above


@register.filter
def type_title(name: str) -> str:
    """The title of a transaction type or read tool."""
    found = transaction_types().get(name) or read_tools().get(name)
    return found.title if found is not None else name.replace("_", " ").capitalize()


@register.filter
def type_icon(name: str) -> str:
    """The lucide icon of a transaction type."""
    return ICONS.get(name, "file-text")


@register.filter
def guarantee_tone(guarantee: str) -> str:
    """The tone of a guarantee's chip: the strong ones are good, what can be lost or is a person's is marked."""
    strong = {"keyed": "good", "unique reference": "good", "guarded": "good"}
    return strong.get(guarantee, "warn" if guarantee == "read-back only" else "info")


@register.filter
def state_tone(state: str) -> str:
    """The tone of a state's chip."""
    return STATE_TONES.get(State(state), "")


@register.filter
def risk_tone(risk: int) -> str:
    """The tone of a risk's chip."""
    return {Risk.HIGH: "bad", Risk.MEDIUM: "warn"}.get(Risk(risk), "")


@register.filter
def short(digest: str) -> str:
    """The short form of a digest: twelve hex digits in groups of four."""
    return " ".join(digest[place : place + 4] for place in range(0, 12, 4))


@register.filter
def pretty(value: object) -> str:
    """JSON for reading, keys in order."""
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)


@register.filter
def words(name: str) -> str:
    """A machine's name in words."""
    return str(name).replace("_", " ")


@register.filter
def items(value: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The pairs of a mapping whose own key may be called "items"."""
    return list(value.items())


@register.simple_tag(takes_context=True)
def query(context: Mapping[str, Any], **changes: object) -> str:
    """The page's query string with these changes; an empty value takes a name out."""
    parameters = context["request"].GET.copy()
    for name, value in changes.items():
        if value in {None, ""}:
            parameters.pop(name, None)
        else:
            parameters[name] = str(value)
    text = parameters.urlencode()
    return f"?{text}" if text else "?"


@register.filter
def raw(value: Any) -> SafeString:
    """A value of a record whose field is not at hand, in words."""
    return rendering.words(value, Kind.TEXT)


@register.filter
def interval(record: Record | Overridden) -> str:
    """Wilson's 95 % interval of a record's override rate, such as ", 2 to 20 %"; empty without decisions."""
    rate = override_rate(record.overridden, record.decided)
    return f" ({rate.low} to {rate.high} % with 95 % confidence)" if rate is not None else ""


@register.filter
def share_interval(agreed: Agreement) -> str:
    """Wilson's 95 % interval of how often people did the same as was proposed in shadow; empty without any."""
    rate = override_rate(agreed.same, agreed.told)
    return f" ({rate.low} to {rate.high} % with 95 % confidence)" if rate is not None else ""


@register.filter
def minus(one: int, other: int) -> int:
    """The difference of two counts."""
    return one - other
