"""Small pages that belong to nobody's work: the keyboard's keys, and the theme."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme

from console.web.context import THEME_COOKIE, THEMES

A_YEAR = 365 * 24 * 3600


def keys(request: HttpRequest) -> HttpResponse:
    """What the keyboard does."""
    return render(request, "keys.html")


def setting_up(request: HttpRequest) -> HttpResponse:
    """The strip that says how far the demo's ERP is; asked every few seconds while that is not ready."""
    return render(request, "parts/setting_up.html")


def theme(request: HttpRequest) -> HttpResponse:
    """Remember light, dark or what the device says, in a cookie of this browser, and go back."""
    chosen = request.POST.get("theme", "auto")
    back = request.POST.get("back", "/")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}):
        back = "/"
    response = redirect(back)
    response.set_cookie(
        THEME_COOKIE,
        chosen if chosen in THEMES else "auto",
        max_age=A_YEAR,
        httponly=True,
        samesite="Lax",
        secure=request.is_secure(),
    )
    return response
