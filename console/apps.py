"""The one Django app."""

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    """Label "console": every table, migration and command of ours lives under it."""

    name = "console"
    label = "console"
    verbose_name = "Countersign"
    default_auto_field = "django.db.models.BigAutoField"
