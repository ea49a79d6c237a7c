"""What the process was told from outside: variables, secret files, and the demo that is running, if any.

Order for every name: the variable NAME, then the file that NAME_FILE names (secrets of containers and
systemd), then `var/runtime.json` of a demo that is running now. A stale file of a dead demo is ignored: the
demo holds a lock as long as it lives.
"""

import fcntl
import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.get("COUNTERSIGN_VAR") or ROOT / "var").absolute()
RUNTIME_FILE = VAR / "runtime.json"
LOCK_FILE = VAR / "demo.lock"

LONGEST_NAME = 64
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


def demo_is_running() -> bool:
    """Whether a demo holds the lock of this checkout's `var` folder."""
    try:
        with LOCK_FILE.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def read_runtime() -> dict[str, Any]:
    """The content of `var/runtime.json` if its demo is running, else an empty dict."""
    if not demo_is_running():
        return {}
    try:
        content = json.loads(RUNTIME_FILE.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


@cache
def _runtime_at_start() -> Mapping[str, Any]:
    return read_runtime()


def text(name: str, default: str = "") -> str:
    """The value of NAME, stripped; an unreadable NAME_FILE is an error, never an empty secret."""
    if (value := os.environ.get(name)) is not None:
        return value.strip()
    if path := os.environ.get(f"{name}_FILE"):
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise ImproperlyConfigured(
                f"{name}_FILE names {path}, which cannot be read ({error.strerror})."
            ) from None
    value = _runtime_at_start().get(name, default)
    return value if isinstance(value, str) else default


def flag(name: str, *, default: bool = False) -> bool:
    """A yes/no setting; anything but 1/true/yes/on or 0/false/no/off is an error."""
    value = text(name, "1" if default else "0").lower()
    if value not in _TRUE | _FALSE:
        raise ImproperlyConfigured(f"{name} is {value!r}; say 1 or 0.")
    return value in _TRUE


def number(name: str, default: int) -> int:
    """A whole number."""
    value = text(name, str(default))
    try:
        return int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {value!r}; a whole number is needed.") from None


def words(name: str, default: str = "") -> list[str]:
    """A comma separated list."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def names(name: str) -> list[str]:
    """A comma separated list of names of secrets. What is no name is refused and not shown: it may be a secret."""
    found = words(name)
    for place, one in enumerate(found, 1):
        if (
            not one.isascii()
            or not one.replace("_", "").isalnum()
            or one[0].isdigit()
            or len(one) > LONGEST_NAME
        ):
            raise ImproperlyConfigured(
                f"{name} holds names of secrets; the {place}. is none. Put the address itself under a name of its "
                "own, and that name here."
            )
    return found


def mapping(name: str) -> dict[str, Any]:
    """A JSON object, from NAME or NAME_FILE, or as it stands in the running demo's file."""
    if name not in os.environ and f"{name}_FILE" not in os.environ:
        found = _runtime_at_start().get(name, {})
        return dict(found) if isinstance(found, dict) else {}
    try:
        content = json.loads(text(name) or "{}")
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is not JSON: {error}.") from None
    if not isinstance(content, dict):
        raise ImproperlyConfigured(f"{name} is not a JSON object (name -> definition).")
    return content


def secret(name: str) -> str:
    """The secret called NAME, read anew on every call so that it can be rotated without a restart.

    Looks at NAME, at the file NAME_FILE names, then into "SECRETS" of the running demo.

    Raises:
        ImproperlyConfigured: it is nowhere, empty or unreadable. The message names it and never shows it.
    """
    if found := text(name) or str(read_runtime().get("SECRETS", {}).get(name, "")):
        return found
    raise ImproperlyConfigured(
        f"The secret {name} is not set: set {name}, or {name}_FILE to a file that holds it."
    )


def database(url: str, *, pool_size: int = 0) -> dict[str, Any]:
    """A `DATABASES` entry from `postgresql://user:password@host:port/name?host=/socket/folder&sslmode=...`.

    An empty URL gives Django's dummy backend, so that commands which need no database run without one.
    `pool_size` above zero keeps that many connections open per process (psycopg's pool).
    """
    if not url:
        return {"ENGINE": "django.db.backends.dummy"}
    parts = urlsplit(url)
    if parts.scheme not in {"postgresql", "postgres"} or not parts.path.strip("/"):
        raise ImproperlyConfigured(
            "A database URL must look like postgresql://role:password@host:5432/name (PostgreSQL only)."
        )
    options: dict[str, Any] = {key: values[0] for key, values in parse_qs(parts.query).items()}
    entry: dict[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path[1:]),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", "") or parts.hostname or "",
        "PORT": options.pop("port", "") or str(parts.port or ""),
        "CONN_HEALTH_CHECKS": True,
        # The pool keeps connections open; Django's own persistence must then be off.
        "CONN_MAX_AGE": 0,
        "OPTIONS": options,
    }
    # Half of what the server does for a short statement is planning it: the fifth time it keeps the plan. A
    # pooler in transaction mode before version 1.21 of PgBouncer needs ?prepare=0 in the URL.
    prepare = options.pop("prepare", "1") != "0"
    options |= {"server_side_binding": prepare, "prepare_threshold": 5 if prepare else None}
    if pool_size:
        options["pool"] = {"min_size": 1, "max_size": pool_size, "timeout": 10}
    return entry
