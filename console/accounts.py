"""How people's sessions begin and end: sign-up is closed, idle sessions end, and so do old ones."""

import time
from collections.abc import Callable

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponseBase

SIGNED_IN_AT = "signed_in_at"
SEEN_AT = "seen_at"


class ClosedSignup(DefaultAccountAdapter):  # type: ignore[misc]  # allauth publishes no complete types
    """Administrators create people; nobody signs up."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002 (allauth's signature)
        """Say no to everybody."""
        return False


class SessionLimits:
    """End a session after SESSION_IDLE_SECONDS without a person, and SESSION_ABSOLUTE_SECONDS after sign-in.

    The time of the last request is written at most once per SESSION_TOUCH_SECONDS, so that reading pages does
    not cost a write each. A page that refreshes itself sends `X-Background: 1`: such a request, and an event
    stream, never keeps a session alive.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Judge the session before the page sees it."""
        if request.user.is_authenticated:
            self._judge(request)
        return self.get_response(request)

    @staticmethod
    def _judge(request: HttpRequest) -> None:
        now = int(time.time())
        signed_in_at = request.session.get(SIGNED_IN_AT)
        if signed_in_at is None:
            request.session[SIGNED_IN_AT] = request.session[SEEN_AT] = now
            return
        seen_at = request.session.get(SEEN_AT, signed_in_at)
        too_old = now - signed_in_at > settings.SESSION_ABSOLUTE_SECONDS
        if too_old or now - seen_at > settings.SESSION_IDLE_SECONDS:
            logout(request)
            return
        in_background = request.headers.get("X-Background") == "1" or request.headers.get(
            "Accept", ""
        ).startswith("text/event-stream")
        if not in_background and now - seen_at > settings.SESSION_TOUCH_SECONDS:
            request.session[SEEN_AT] = now
