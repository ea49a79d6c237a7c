"""What the rules of several transaction types share: reading values, and judging days, amounts and states.

Every judge takes what it judges as arguments and yields findings; none reads a clock, a file or a system.
What a snapshot's `context` does not say is an error (`context.missing`), because a rule that cannot look has
not passed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_HALF_UP, Context, Decimal
from typing import Annotated, Any

import pydantic

from integrations.contract import Case, Finding, Level, Money, Quantity, Rule

Day = Annotated[dt.date, pydantic.Field(ge=dt.date(2000, 1, 1), lt=dt.date(2100, 1, 1))]
"""A day of this century, written YYYY-MM-DD; bounded so that counting days from it never overflows."""

CENT = Decimal("0.01")
EXACT = Context(prec=60)
"""Wide enough for any product of two amounts that a payload may hold."""

FROZEN_DAYS = "frozen_days"
NOTABLE_VALUE = "notable_value"

STATES = {
    "draft": "a draft",
    "requested": "requested by planning",
    "released": "released",
    "reserved": "released, its material reserved",
    "started": "started",
    "quotation": "a quotation",
    "confirmed": "confirmed",
    "processing": "being processed",
    "done": "done",
    "cancelled": "cancelled",
}
"""The states of all orders, and how a sentence calls them."""


def day(value: str | None) -> dt.date | None:
    """The date a record's ISO 8601 text names, None for none."""
    return dt.date.fromisoformat(value) if value else None


def number(value: Mapping[str, Any]) -> Decimal:
    """The number in a record's quantity or money."""
    return Decimal(value["value"] if "value" in value else value["amount"])


def plain(value: Decimal) -> str:
    """A decimal as text without exponent and without trailing zeros after the point."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def round_up(value: Decimal, digits: int) -> Decimal:
    """The smallest number of so many digits that is enough, as material is issued."""
    return value.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_CEILING, context=EXACT)


def amount(quantity: Quantity | Mapping[str, Any], price: Money | Mapping[str, Any]) -> dict[str, str]:
    """Quantity times unit price as money, rounded half up to cents."""
    many = Decimal(quantity.value) if isinstance(quantity, Quantity) else number(quantity)
    each = Decimal(price.amount) if isinstance(price, Money) else number(price)
    currency = price.currency if isinstance(price, Money) else price["currency"]
    return {
        "amount": str(EXACT.multiply(many, each).quantize(CENT, ROUND_HALF_UP, EXACT)),
        "currency": currency,
    }


def as_money(value: Mapping[str, Any] | None) -> Money | None:
    """A record's money as a model, None for none. Computed sums may be longer than a payload's may be."""
    return (
        None if value is None else Money.model_construct(amount=value["amount"], currency=value["currency"])
    )


def total(parts: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The sum of money of one currency; `parts` must not be empty."""
    result = Decimal(0)
    for part in parts:
        result = EXACT.add(result, number(part))
    return {"amount": str(result), "currency": parts[0]["currency"]}


def knows(**wanted: str) -> Rule:
    """A rule that demands these names of the snapshot's context; each value says in words what it is."""

    def context_is_known(case: Case) -> Iterator[Finding]:
        for name, words in wanted.items():
            if name not in case.snapshot.context:
                yield Finding(
                    "context.missing",
                    Level.ERROR,
                    f"The system did not say {words}, so this could not be checked.",
                    hint=f"The connection's adapter must supply {name!r}; ask an administrator.",
                )

    return context_is_known


def system_allows(case: Case) -> Iterator[Finding]:
    """Pass on what the system says about this record being locked (context `locked`, optional)."""
    if reason := case.snapshot.context.get("locked"):
        yield Finding(
            "state.locked",
            Level.ERROR,
            f"The system does not let this record be changed: {reason}",
            hint="Ask the people who own the record, or propose something it allows.",
        )


def state_in(*allowed: str) -> Rule:
    """A rule that demands one of these states (context `state`)."""

    def state_allows_it(case: Case) -> Iterator[Finding]:
        state = case.snapshot.context.get("state")
        if state is not None and state not in allowed:
            wanted = ", or ".join(STATES[s] for s in allowed)
            yield Finding(
                "state.not_allowed",
                Level.ERROR,
                f"{case.snapshot.label} is {STATES.get(state, state)}; this change is no longer possible.",
                hint=f"Right would be an order that is {wanted}.",
            )

    return state_allows_it


def may_change(*states: str, **wanted: str) -> tuple[Rule, ...]:
    """What comes first for an order that is changed: it is known, the system lets it be changed, its state does too.

    `wanted`: what of the snapshot's context must be known besides the order's state, name to words.
    """
    return (knows(state="the order's state", **wanted), system_allows, state_in(*states))


def worth(case: Case) -> Money | None:
    """What the order is worth, as the system says (context `value`, optional)."""
    return as_money(case.snapshot.context.get("value"))


def worth_is_notable(case: Case) -> Iterator[Finding]:
    """Say it when the order is worth much."""
    yield from notable_value(case, worth(case))


def customer(case: Case) -> str:
    """For whom the order is made (context `customer`, optional)."""
    return str(case.snapshot.context.get("customer") or "")


def not_past(case: Case, field: str, when: dt.date | None) -> Iterator[Finding]:
    """A day to come must not be over."""
    if when is not None and when < case.today:
        yield Finding(
            "dates.in_past",
            Level.ERROR,
            f"{when} is in the past; today is {case.today}.",
            field,
            f"Give {case.today} or a later day.",
        )


def on_working_day(field: str, when: dt.date | None) -> Iterator[Finding]:
    """Saturdays and Sundays are possible, but seldom meant."""
    if when is not None and when.weekday() >= 5:  # noqa: PLR2004 Saturday is 5
        following = when + dt.timedelta(days=7 - when.weekday())
        yield Finding(
            "dates.weekend",
            Level.WARNING,
            f"{when} is a {when:%A}.",
            field,
            f"The next working day of the week is {following}.",
        )


def far_move(field: str, old: dt.date | None, new: dt.date | None, most: Decimal) -> Iterator[Finding]:
    """A move by very many days is more often a slip than a plan."""
    if old is not None and new is not None and abs((new - old).days) > most:
        yield Finding(
            "dates.far_move",
            Level.WARNING,
            f"This moves the date by {abs((new - old).days)} days, from {old} to {new}.",
            field,
            f"Up to {plain(most)} days is usual; check the year and the month.",
        )


def frozen(case: Case, field: str, when: dt.date | None, what: str) -> Iterator[Finding]:
    """Inside the frozen horizon the plan belongs to the people on the floor."""
    days = int(case.limits[FROZEN_DAYS])
    if when is not None and 0 <= (when - case.today).days < days:
        free = case.today + dt.timedelta(days=days)
        yield Finding(
            "horizon.frozen",
            Level.ERROR,
            f"{what} on {when} lies within the frozen horizon of {days} days.",
            field,
            f"The first day that may be planned is {free}.",
        )


def positive(field: str, value: Quantity) -> Iterator[Finding]:
    """Nothing, and less than nothing, cannot be made or bought."""
    if Decimal(value.value) <= 0:
        yield Finding(
            "quantity.not_positive",
            Level.ERROR,
            f"A quantity of {value.value} {value.unit} is not possible.",
            field,
            "Give a quantity above zero.",
        )


def fits_unit(field: str, value: Quantity, unit: str, digits: int | None) -> Iterator[Finding]:
    """The unit is the system's, and no finer than the system counts."""
    if value.unit != unit:
        yield Finding(
            "quantity.unit_mismatch",
            Level.ERROR,
            f"The unit {value.unit!r} is not the unit of this record, {unit!r}.",
            field,
            f"Give the quantity in {unit!r}; nothing is converted.",
        )
    if digits is not None and Decimal(value.value) != round_up(Decimal(value.value), digits):
        fine = f"{digits} decimal places" if digits else "whole numbers"
        yield Finding(
            "quantity.too_fine",
            Level.ERROR,
            f"{value.value} {value.unit} is finer than the system counts.",
            field,
            f"{unit!r} is counted in {fine}: {plain(round_up(Decimal(value.value), digits))} would do.",
        )


def plausible(
    field: str, new: Decimal, old: Decimal, *, against: str, notable: Decimal, largest: Decimal
) -> Iterator[Finding]:
    """A quantity many times the one compared with, or a small part of it, is likely a slip."""
    if old <= 0 or new <= 0:
        return
    factor = max(new / old, old / new)
    if factor <= notable:
        return
    more = "times" if new > old else "times less than"
    words = f"{plain(new)} is {factor:.1f} {more} {against} ({plain(old)})."
    if factor > largest:
        low, high = plain(old / largest), plain(old * largest)
        yield Finding("quantity.implausible", Level.ERROR, words, field, f"Allowed is {low} to {high}.")
    else:
        yield Finding("quantity.unusual", Level.WARNING, words, field, "Check that no digit is too many.")


def fits_currency(field: str, price: Money, currency: str) -> Iterator[Finding]:
    """A price is in the supplier's currency; nothing is converted."""
    if price.currency != currency:
        yield Finding(
            "price.currency_mismatch",
            Level.ERROR,
            f"The price is in {price.currency}; this supplier is paid in {currency}.",
            field,
            f"Give the price in {currency}.",
        )


def price_moved(
    field: str, price: Money, last: Mapping[str, Any] | None, *, notable: Decimal, largest: Decimal
) -> Iterator[Finding]:
    """A price against the last one paid, in percent."""
    if Decimal(price.amount) < 0:
        yield Finding(
            "price.negative",
            Level.ERROR,
            f"A price of {price.amount} is not possible.",
            field,
            "Zero or more.",
        )
        return
    if last is None:
        yield Finding(
            "price.no_last_price",
            Level.WARNING,
            "There is no last price to compare with.",
            field,
            "Compare with the supplier's quotation.",
        )
        return
    if last["currency"] != price.currency or number(last) <= 0:
        return
    old, new = number(last), Decimal(price.amount)
    percent = (new - old) / old * 100
    if abs(percent) <= notable:
        return
    words = f"{price.amount} {price.currency} is {percent:+.1f} % against the last price {last['amount']}."
    if abs(percent) > largest:
        low = plain((old * (100 - min(largest, Decimal(100))) / 100).quantize(CENT))
        high = plain((old * (100 + largest) / 100).quantize(CENT))
        yield Finding(
            "price.implausible",
            Level.ERROR,
            words,
            field,
            f"Allowed is {low} to {high}; an administrator may widen it.",
        )
    else:
        yield Finding("price.moved", Level.WARNING, words, field, "Compare with the supplier's quotation.")


def notable_value(case: Case, value: Money | Mapping[str, Any] | None, field: str = "") -> Iterator[Finding]:
    """Say it when much money is at stake. The limit is compared in whatever currency the order is in."""
    money = value if isinstance(value, Money) else as_money(value)
    if money is not None and abs(Decimal(money.amount)) > case.limits[NOTABLE_VALUE]:
        yield Finding(
            "value.notable",
            Level.WARNING,
            f"{money.amount} {money.currency} is at stake.",
            field,
            f"Above {plain(case.limits[NOTABLE_VALUE])} look twice.",
        )


def no_change(field: str = "", *, already: str) -> Finding:
    """The finding for a proposal of what is already so."""
    return Finding(
        "change.none",
        Level.ERROR,
        f"This changes nothing: {already}.",
        field,
        "Propose a value that differs from the present one, or nothing.",
    )


def earliest(days: Iterable[dt.date | None]) -> dt.date | None:
    """The first of the days that are known."""
    return min((d for d in days if d is not None), default=None)
