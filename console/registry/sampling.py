"""Sampling rules: asked for by an administrator, countersigned by a second person, and only where a sandbox answers.

It is unreachable unless whoever runs the console switched it on (`SAMPLED_APPROVAL`), which production refuses. What
a rule may never cover is refused when it is asked for, when it takes effect, and again for every proposal (see
`lifecycle.sampling`).
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from django.contrib.auth.models import User

from console import access
from console.audit import Actor
from console.canonical import digest
from console.catalogue import transaction_type
from console.errors import Refused
from console.models import Autonomy, Grant, SamplingRule, Widening
from console.registry import apply, evidence, widenings
from console.registry.reach import check_reachable, unreachable

HIGHEST = Decimal(1000)
"""The most that may be at stake under any rule, in whatever currency: low value."""
LEAST_SHARE, MOST_SHARE = 10, 100


def ask(grant: Grant, *, most: str, currency: str, share: int, by: User, actor: Actor) -> Widening:
    """Ask a second person to countersign a rule, and with it the rung. Refused says what stands against it."""
    access.require(by, access.CONFIGURES, "ask for a sampling rule")
    if grant.autonomy != Autonomy.PROPOSE:
        raise Refused("a rule is for a grant at propose: one rung at a time", code="not_at_propose")
    check_reachable(grant)
    try:
        value = Decimal(most)
    except InvalidOperation:
        value = Decimal(0)
    if not (value.is_finite() and 0 < value <= HIGHEST):
        raise Refused(f"give the most at stake: above 0, at most {HIGHEST}", code="most_out_of_range")
    if not (len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.isupper()):  # noqa: PLR2004
        raise Refused("give the currency as its three letters, such as EUR", code="currency_unknown")
    if not LEAST_SHARE <= share <= MOST_SHARE:
        raise Refused(
            f"between {LEAST_SHARE} and {MOST_SHARE} percent have to be picked for a person",
            code="share_out_of_range",
        )
    evidence.check_may_write(grant.version, grant.name, Autonomy.SAMPLED)
    form = {
        "grant": grant.pk,
        "type_version": transaction_type(grant.name).version,
        "most": f"{value.quantize(Decimal('0.01'))}",
        "currency": currency,
        "share": share,
    }
    text = (
        f"{grant.version}: {grant.name} on {grant.connection.name} without a person up to {form['most']} {currency}; "
        f"{share} % are picked for a person"
    )
    change = {**form, "digest": digest(form), "asked_by": by.pk, "fell": apply.fell(grant)}
    return widenings.ask("sampling", change, text=text, by=by, actor=actor)


def in_force(grant: Grant) -> SamplingRule | None:
    """The newest rule of a grant that is at sampled and may have one."""
    if grant.autonomy != Autonomy.SAMPLED or unreachable(grant):
        return None
    return (
        SamplingRule.objects.filter(grant=grant)
        .select_related("asked_by", "confirmed_by")
        .order_by("-id")
        .first()
    )
