#!/usr/bin/env python3
"""Countersign's command line: `python manage.py help` lists what it can do."""

import os
import sys


def main() -> None:
    """Run one management command; `demo` and `test` choose their mode by themselves."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    if sys.argv[1:2] == ["demo"]:
        os.environ.setdefault("COUNTERSIGN_MODE", "demo")
    from django.core.management import execute_from_command_line  # noqa: PLC0415 (after the mode is known)

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
