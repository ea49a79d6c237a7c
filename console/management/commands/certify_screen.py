"""Asks for a screen to be certified for a robot's script; a second person confirms it in the console."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from console import access
from console.errors import CountersignError
from console.models import Connection
from console.registry import screens


class Command(BaseCommand):
    """`manage.py certify_screen CONNECTION TYPE SCRIPT FINGERPRINT --by LOGIN`."""

    help = (
        "Ask a second person to certify a changed or new screen; the refused proposal shows its fingerprint."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The screen, and who has looked at it."""
        parser.add_argument("connection")
        parser.add_argument("transaction_type")
        parser.add_argument("script", help='such as "Tryton 8.0, production_order_reschedule, script 2"')
        parser.add_argument("fingerprint")
        parser.add_argument(
            "--by", required=True, help="the administrator's login who has looked at the screen"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Ask."""
        connection = Connection.objects.filter(name=options["connection"]).first()
        person = User.objects.filter(username=options["by"], is_active=True).first()
        if connection is None:
            raise CommandError(f"There is no connection {options['connection']!r}.")
        if person is None:
            raise CommandError(f"There is nobody with the login {options['by']!r}.")
        try:
            asked = screens.certify(
                connection,
                transaction_type=options["transaction_type"],
                script=options["script"],
                fingerprint=options["fingerprint"],
                by=person,
                actor=replace(access.person(person), via="command line"),
            )
        except CountersignError as refusal:
            raise CommandError(refusal.text) from None
        self.stdout.write(f"Asked for: {asked.text}. A second person confirms it under Administration.")
