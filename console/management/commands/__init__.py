"""One file per `manage.py` command."""
