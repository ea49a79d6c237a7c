"""Who may open what: every page is one `Route` in `urls.ROUTES`, and a route says which roles may use which method.

A view is a plain function `(request, ...) -> HttpResponse`. It is reachable only through a Route, and a Route
without a declaration is an error at start, so there is no page that nobody thought about. The guard:

1. sends people who are not signed in to the sign-in page (htmx requests too);
2. answers 405 to a method that no role may use, 403 with the roles that may to everybody else, and records the
   refusal;
3. turns the errors of `console.errors` into pages: Denied 403, Missing 404, Conflict and Held 409, Refused 422,
   Exhausted 429. A view that can say more, such as what changed, catches the error itself;
4. keeps every page out of shared and disk caches.

    Route("agents/<slug:slug>/", agents.page, "agent", get=READS, doing="see agents")
    Route("agents/<slug:slug>/freeze", agents.freeze, "agent-freeze", get=STOPS, post=STOPS, doing="freeze a grant")

In a view, `actor(request)` is the person for an audited verb and `signed_in(request)` the User.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import render, resolve_url
from django.urls import URLPattern, path
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django_htmx.http import HttpResponseClientRedirect

from console import access, audit
from console.access import Role
from console.audit import Actor
from console.errors import Conflict, CountersignError, Denied, Exhausted, Held, Missing, Refused

View = Callable[..., HttpResponseBase]

NOBODY: frozenset[Role] = frozenset()
EVERYBODY: frozenset[str] = frozenset({"everybody"})
"""Also people who are not signed in. Only for what shows nothing of the plant."""
SIGNED_IN: frozenset[str] = frozenset({"signed in"})
"""Anybody who is signed in, also with no role yet."""

STATUS: dict[type[CountersignError], int] = {
    Denied: 403,
    Missing: 404,
    Conflict: 409,
    Held: 409,
    Refused: 422,
    Exhausted: 429,
}
"""What an error of a verb becomes on the wire."""

TITLES = {
    403: "Not yours to do",
    404: "Nothing here",
    409: "Somebody was first",
    422: "That is not right yet",
    429: "Too much at once",
}


@dataclass(frozen=True)
class Nav:
    """How a page stands in the navigation: its word, its lucide icon."""

    text: str
    icon: str


@dataclass(frozen=True)
class Route:
    """One page: its path below the root, its view, its URL name, and who may use which method.

    `get` (also HEAD) and `post` are sets of roles, or EVERYBODY or SIGNED_IN; what is left out nobody may.
    `doing` ends the sentence "only a person with the role ... may ...". `nav` puts it into the navigation of
    everybody who may get it. Raises ValueError when no method is declared.
    """

    path: str
    view: View
    name: str
    get: frozenset[Any] = NOBODY
    post: frozenset[Any] = NOBODY
    doing: str = "open this page"
    nav: Nav | None = None
    methods: dict[str, frozenset[Any]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        allowed = {"GET": self.get, "HEAD": self.get, "POST": self.post}
        methods = {method: who for method, who in allowed.items() if who}
        if not methods:
            raise ValueError(f"route {self.name} does not say who may use it: give get= or post=")
        object.__setattr__(self, "methods", methods)

    def allows(self, method: str, roles: frozenset[Role], *, signed_in: bool) -> bool:
        """Whether somebody with these roles may use this method."""
        who = self.methods.get(method, NOBODY)
        return who == EVERYBODY or (signed_in and (who == SIGNED_IN or bool(who & roles)))

    def pattern(self) -> URLPattern:
        """The route as Django wants it, guarded."""
        return path(self.path, _guarded(self), name=self.name)


def signed_in(request: HttpRequest) -> User:
    """The person, in a view that only people who are signed in reach."""
    if not isinstance(request.user, User):
        raise Denied("sign in first")
    return request.user


def actor(request: HttpRequest) -> Actor:
    """The person as an audit entry names them, with this request's id."""
    return access.person(signed_in(request), request_id=getattr(request, "request_id", ""))


def problem(request: HttpRequest, error: CountersignError) -> HttpResponse:
    """The page of an error: what was wrong, why, and what would be right."""
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)
    context = {
        "status": status,
        "title": "Held for now" if isinstance(error, Held) else TITLES.get(status, "This did not work"),
        "error": error,
        "findings": getattr(error, "findings", ()),
    }
    response = render(
        request, f"{status if status in {403, 404, 409, 429} else 422}.html", context, status=status
    )
    if isinstance(error, Exhausted):
        response["Retry-After"] = str(error.retry_after)
    return response


def _guarded(route: Route) -> View:
    @wraps(route.view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        request.request_id = uuid.uuid4().hex  # type: ignore[attr-defined]
        response = _answer(route, request, *args, **kwargs)
        add_never_cache_headers(response)
        patch_vary_headers(response, ["HX-Request", "Cookie"])
        response["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
        return response

    guarded.route = route  # type: ignore[attr-defined]
    return guarded


def _answer(route: Route, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
    method = request.method or "GET"
    if method not in route.methods:
        return HttpResponseNotAllowed(sorted(route.methods))
    known = request.user.is_authenticated
    if not known and route.methods[method] != EVERYBODY:
        return _to_sign_in(request)
    try:
        if not route.allows(method, access.roles(request.user), signed_in=known):
            return _refused(route, request, method)
        return route.view(request, *args, **kwargs)
    except CountersignError as error:
        return problem(request, error)


def _to_sign_in(request: HttpRequest) -> HttpResponseBase:
    if getattr(request, "htmx", False):
        return HttpResponseClientRedirect(resolve_url(settings.LOGIN_URL))
    here = request.get_full_path() if request.method in {"GET", "HEAD"} else "/"
    return redirect_to_login(here)


def _refused(route: Route, request: HttpRequest, method: str) -> HttpResponse:
    names = " or ".join(sorted(role.value for role in route.methods[method]))
    person = actor(request)
    audit.record_alone(
        "access.refused",
        actor=person,
        chain=f"person:{person.id}",
        subject=f"{method} {route.name}"[:150],
        detail={"route": route.name, "method": method, "path": request.path[:300]},
    )
    return problem(request, Denied(f"Only a person with the role {names} may {route.doing}."))
