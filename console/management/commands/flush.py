"""`flush` empties tables, which the application's role may not: it runs as the owner."""

import argparse

from django.core.management.commands.flush import Command as DjangoFlush


class Command(DjangoFlush):
    """Django's flush, on "owner" unless another database is named."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Change one default."""
        super().add_arguments(parser)  # type: ignore[arg-type]  # the stub wants Django's own parser class
        parser.set_defaults(database="owner")
