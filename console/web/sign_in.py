"""Signing in and out leaves an audit entry: hooks of allauth's adapter, called by its own views."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest

from console import access, audit
from console.accounts import ClosedSignup
from console.audit import Actor


class AuditedSignIn(ClosedSignup):
    """Sign-up is closed; signing in, failing to, and signing out are recorded."""

    def login(self, request: HttpRequest, user: User) -> None:
        """Sign in, by whatever means allauth checked, and record it."""
        super().login(request, user)
        person = access.person(user)
        audit.record_alone("person.sign_in", actor=person, chain=f"person:{user.pk}", subject=user.username)

    def logout(self, request: HttpRequest) -> None:
        """Record it, then sign out."""
        if isinstance(request.user, User):
            person = access.person(request.user)
            audit.record_alone(
                "person.sign_out", actor=person, chain=f"person:{person.id}", subject=request.user.username
            )
        super().logout(request)

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Record a failure: the person's name if there is such a person, never what was typed otherwise.

        People type passwords into the wrong box.
        """
        super().authentication_failed(request, **credentials)
        name = str(credentials.get("username", ""))
        known = User.objects.filter(username=name).first()
        subject = known.username if known is not None else "a name that nobody has"
        audit.record_alone(
            "person.sign_in_failed",
            actor=Actor(kind="person", id=str(known.pk) if known else "", label=subject, via="sign-in page"),
            chain=f"person:{known.pk}" if known else "sign-in",
            subject=subject,
        )
