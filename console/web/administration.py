"""Administration: what waits for a second person, incidents, people and their roles."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from console import access
from console.access import Role
from console.catalogue import transaction_types
from console.errors import Missing
from console.evals import approving, attention, seeded, slips
from console.lifecycle.limits import of_policy as policy_limits
from console.models import Incident, Widening
from console.policy import attention as asked
from console.registry import limits, people, widenings
from console.web.guards import actor, signed_in

CLOSED = 20


def page(request: HttpRequest) -> HttpResponse:
    """Everything that needs somebody's hand here, on one page."""
    mine = access.roles(request.user)
    return render(
        request,
        "administration/page.html",
        {
            "waiting": widenings.waiting(),
            "incidents": Incident.objects.filter(lifted_at__isnull=True)
            .select_related("connection", "proposal")
            .order_by("-id"),
            "closed": Incident.objects.filter(lifted_at__isnull=False)
            .select_related("owner")
            .order_by("-lifted_at")[:CLOSED],
            "decided": Widening.objects.filter(decided_at__isnull=False)
            .select_related("asked_by", "decided_by")
            .order_by("-decided_at")[:CLOSED],
            "people": [
                (one, access.roles(one))
                for one in User.objects.prefetch_related("groups").order_by(
                    "-is_active", "last_name", "username"
                )
            ],
            "all_roles": list(Role),
            "configures": bool(mine & access.CONFIGURES),
            "confirms": bool(mine & access.CONFIRMS),
            **_attention(request),
        },
    )


def ask_for_test(request: HttpRequest) -> HttpResponse:
    """Put one test of attention into the queue now. It is not said which."""
    seeded.ask(by=signed_in(request), actor=actor(request))
    messages.success(request, "A test of attention is in the queue. It looks like any other proposal.")
    return redirect("administration")


def _attention(request: HttpRequest) -> dict[str, object]:
    """How well people look, as far as this person may know: their own share is shown to nobody else."""
    mine = access.roles(request.user)
    own = attention.own(signed_in(request)) if mine & access.DECIDES else None
    return {
        "catch_rate": attention.site(),
        "tests": attention.tests(),
        "least_tests": attention.LEAST,
        "target": attention.TARGET,
        "bound": attention.BOUND,
        "own_tests": own[0] if own is not None else None,
        "own_rate": own[1] if own is not None else None,
        "own_least": attention.OWN,
        "power": attention.power() if mine & access.CONFIGURES else None,
        "within": approving.WITHIN,
        "untested": [one.title for one in transaction_types().values() if not slips.ways(one)],
        "flags": attention.flags() if mine & access.CONFIGURES else [],
        "limits": [one for one in limits.in_force(attention=asked.LIMITS) if one.owner == asked.OWNER],
        "four_eyes": bool(policy_limits()["four_eyes"]),
        "may_ask_for_test": bool(mine & access.CONFIGURES and not mine & access.DECIDES),
    }


def confirm(request: HttpRequest, pk: int) -> HttpResponse:
    """Be the second person."""
    done = widenings.confirm(_widening(pk), by=signed_in(request), actor=actor(request))
    messages.success(request, f"Confirmed: {done.text}. It is in force.")
    return redirect("administration")


def decline(request: HttpRequest, pk: int) -> HttpResponse:
    """Say no, or take back what one asked for."""
    done = widenings.decline(_widening(pk), by=signed_in(request), actor=actor(request))
    messages.warning(request, f"Declined: {done.text}. Nothing changed.")
    return redirect("administration")


def set_roles(request: HttpRequest, pk: int) -> HttpResponse:
    """Give a person roles: fewer at once, more when a second person confirms."""
    one = User.objects.filter(pk=pk).first()
    if one is None:
        raise Missing("there is no such person")
    wanted = [role for role in Role if role.value in request.POST.getlist("role")]
    done = people.set_roles(one, wanted, by=signed_in(request), actor=actor(request))
    if isinstance(done, Widening):
        messages.info(request, f"Asked for: {done.text}. A second person has to confirm it.")
    else:
        messages.success(request, f"The roles of {one.get_full_name() or one.username} are set.")
    return redirect("administration")


def _widening(pk: int) -> Widening:
    found = Widening.objects.select_related("asked_by").filter(pk=pk).first()
    if found is None:
        raise Missing("there is no such request")
    return found
