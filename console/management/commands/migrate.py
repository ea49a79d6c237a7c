"""`migrate` runs as the owner of the tables, then grants the application's role what it may do, no more."""

import argparse
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.core.management.commands.migrate import Command as DjangoMigrate
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.module_loading import import_string

# Django's own book of what was migrated: everybody may look, the owner writes.
READ_ONLY = ("django_migrations",)


def append_only_tables() -> tuple[str, ...]:
    """The tables in which the application may only insert: `console.models.APPEND_ONLY`."""
    if apps.get_app_config("console").models_module is None:
        return ()
    try:
        return tuple(import_string("console.models.APPEND_ONLY"))
    except ImportError:
        return ()


def grant(connection: BaseDatabaseWrapper, role: str, append_only: tuple[str, ...]) -> None:
    """Give `role` exactly its rights on the public schema, whatever it had before.

    Every table: select, insert, update, delete. Append-only tables: select, insert. Sequences: use. No
    truncate, no trigger, no references, no new objects, not even temporary ones (a temporary table would hide
    a real one).
    The connection must be the owner's.
    """
    quote = connection.ops.quote_name
    to = quote(role)
    database = quote(connection.settings_dict["NAME"])
    tables = set(connection.introspection.table_names())
    statements = [
        "revoke create on schema public from public",
        f"revoke all on schema public from {to}",
        f"revoke create, temporary on database {database} from public, {to}",
        f"grant connect on database {database} to {to}",
        f"grant usage on schema public to {to}",
        f"revoke all on all tables in schema public from public, {to}",
        f"revoke all on all sequences in schema public from public, {to}",
        f"grant select on all tables in schema public to {to}",
        f"grant usage, select on all sequences in schema public to {to}",
    ]
    full = sorted(tables - set(append_only) - set(READ_ONLY))
    if full:
        statements.append(f"grant insert, update, delete on {', '.join(map(quote, full))} to {to}")
    if only := sorted(tables & set(append_only)):
        statements.append(f"grant insert on {', '.join(map(quote, only))} to {to}")
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


class Command(DjangoMigrate):
    """Django's migrate, on "owner" unless another database is named, then the cache table and the grants."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Change one default."""
        super().add_arguments(parser)  # type: ignore[arg-type]  # the stub wants Django's own parser class
        parser.set_defaults(database="owner")

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate, then grant. Both can be repeated."""
        super().handle(*args, **options)
        alias = options["database"]
        connection = connections[alias]
        only_looking = options["plan"] or options["check_unapplied"] or options["prune"]
        if only_looking or connection.vendor != "postgresql":
            return
        if str(settings.CACHES["default"]["BACKEND"]).endswith("DatabaseCache"):
            call_command("createcachetable", database=alias, verbosity=0)
        role = connections["default"].settings_dict.get("USER", "")
        if not role or role == connection.settings_dict["USER"]:
            self.stderr.write(
                self.style.WARNING(
                    "The application's role owns the tables (DATABASE_URL and DATABASE_OWNER_URL are the "
                    "same role): it could rewrite the audit trail. Fit for a demo only."
                )
            )
            return
        grant(connection, role, append_only_tables())
        with connection.cursor() as cursor:
            cursor.execute("select rolsuper from pg_roles where rolname = %s", [role])
            if cursor.fetchone() == (True,):
                raise CommandError(
                    f"The application's role {role} is a superuser: no grant holds it, it could rewrite the audit "
                    f"trail. Make it an ordinary one: alter role {role} nosuperuser."
                )
        if options["verbosity"] >= 1:
            self.stdout.write(f"  Granted {role} its rights.")
