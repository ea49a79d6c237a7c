"""The queue."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def page(request: HttpRequest) -> HttpResponse:
    """The proposals that wait."""
    return render(request, "queue/page.html")
