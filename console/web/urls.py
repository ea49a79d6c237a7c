"""Every page of the people's door: route x method x role, in one table. A page that is not here does not exist.

The sign-in pages are allauth's, below `account/`; they decide for themselves who may use them.
"""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from console.access import DECIDES, READS
from console.web import decisions, home, proposal, queue
from console.web.guards import EVERYBODY, SIGNED_IN, Nav, Route

ROUTES: tuple[Route, ...] = (
    Route("", queue.page, "queue", get=SIGNED_IN, nav=Nav("Queue", "inbox")),
    Route("proposals/<str:ref>/", proposal.page, "proposal", get=READS, doing="see proposals"),
    Route("proposals/<str:ref>/status", proposal.status, "proposal-status", get=READS, doing="see proposals"),
    Route(
        "proposals/<str:ref>/approve",
        decisions.approve,
        "approve",
        get=DECIDES,
        post=DECIDES,
        doing="approve",
    ),
    Route(
        "proposals/<str:ref>/reject", decisions.reject, "reject", get=DECIDES, post=DECIDES, doing="reject"
    ),
    Route(
        "proposals/<str:ref>/changes",
        decisions.request_changes,
        "request-changes",
        get=DECIDES,
        post=DECIDES,
        doing="ask for changes",
    ),
    Route(
        "proposals/<str:ref>/amend",
        decisions.amend,
        "amend",
        get=DECIDES,
        post=DECIDES,
        doing="amend a proposal",
    ),
    Route(
        "proposals/<str:ref>/settle",
        decisions.settle,
        "settle",
        get=DECIDES,
        post=DECIDES,
        doing="settle an outcome",
    ),
    Route("keys", home.keys, "keys", get=SIGNED_IN),
    Route("theme", home.theme, "theme", post=EVERYBODY),
)

urlpatterns: list[URLPattern | URLResolver] = [
    *(route.pattern() for route in ROUTES),
    path("account/", include("allauth.urls")),
]
