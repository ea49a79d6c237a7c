"""Every page of the people's door: route x method x role, in one table. A page that is not here does not exist.

The sign-in pages are allauth's, below `account/`; they decide for themselves who may use them.
"""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from console.access import DECIDES, READS
from console.web import home, queue
from console.web.guards import EVERYBODY, SIGNED_IN, Nav, Route

ROUTES: tuple[Route, ...] = (
    Route("", queue.page, "queue", get=SIGNED_IN, nav=Nav("Queue", "inbox")),
    Route("keys", home.keys, "keys", get=SIGNED_IN),
    Route("theme", home.theme, "theme", post=EVERYBODY),
)

urlpatterns: list[URLPattern | URLResolver] = [
    *(route.pattern() for route in ROUTES),
    path("account/", include("allauth.urls")),
]
