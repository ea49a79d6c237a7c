"""How long and how closely a person has to look before they approve. Pure.

Off until an administrator sets it, or until the site's catch rate falls below its target: see `evals.attention`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from integrations.contract import Limit

OWNER = "attention"
"""Whose limits these are, beside those of policy and of transaction types. They are no part of a policy version."""

LIMITS = (
    Limit(
        "seeded_share",
        "Tests of attention among what waits",
        Decimal(0),
        "percent; 0 is off, 2 to 5 is usual",
        wider="down",
        most=Decimal(5),
    ),
    Limit("seconds_low", "Shortest look at low risk", Decimal(0), "seconds", wider="down", most=Decimal(300)),
    Limit(
        "seconds_medium",
        "Shortest look at medium risk",
        Decimal(0),
        "seconds",
        wider="down",
        most=Decimal(300),
    ),
    Limit(
        "seconds_high", "Shortest look at high risk", Decimal(0), "seconds", wider="down", most=Decimal(300)
    ),
    Limit(
        "reenter",
        "The value that matters is typed again for high risk",
        Decimal(0),
        "1 for yes, 0 for no",
        wider="down",
        most=Decimal(1),
    ),
)
TIGHT = {
    "seconds_low": Decimal(3),
    "seconds_medium": Decimal(8),
    "seconds_high": Decimal(15),
    "reenter": Decimal(1),
}
"""What is set by itself when too many tests go unnoticed. A forced minimum time cut misses of rare targets from 14 to
5 % where it was measured; typing a value again left 28 times fewer errors than looking at it."""

SECONDS = ("seconds_low", "seconds_medium", "seconds_high")


def in_force(values: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """What an administrator or the catch rate set, else the defaults."""
    return {limit.name: values.get(limit.name, limit.default) for limit in LIMITS}


def shortest(limits: Mapping[str, Decimal], risk: int) -> int:
    """How many seconds a person has to look at something of this risk (0 low, 1 medium, 2 high)."""
    return int(limits[SECONDS[min(max(risk, 0), len(SECONDS) - 1)]])


def same_number(typed: str, value: str) -> bool:
    """Whether what somebody typed is this number, however they write thousands and decimals.

    "1,234.5", "1.234,5", "1 234.50" and "1234.5 EUR" are all 1234.5.
    """
    plain = "".join(one for one in typed if one in "0123456789.,-")
    readings = {plain.replace(",", ""), plain.replace(".", "").replace(",", ".")}
    wanted = Decimal(value)
    return any(_number(one) == wanted for one in readings)


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except ArithmeticError:
        return None
