"""The canonical form of what is shown, approved and sent, and its digest."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785


def canonical(value: Any) -> str:
    """JSON text in the canonical form of RFC 8785.

    Raises ValueError for what JSON or the form cannot carry: floats (money and quantities are text), integers
    beyond 2**53 - 1, lone surrogates, other types.
    """
    _no_floats(value)
    try:
        return rfc8785.dumps(value).decode()
    except (rfc8785.CanonicalizationError, UnicodeError) as error:
        raise ValueError(f"cannot be put in canonical form: {error}") from None


def digest(value: Any) -> str:
    """SHA-256 in hex over the canonical form of a JSON value."""
    return text_digest(canonical(value))


def text_digest(text: str) -> str:
    """SHA-256 in hex over text that is canonical already."""
    return hashlib.sha256(text.encode()).hexdigest()


def _no_floats(value: Any) -> None:
    if isinstance(value, float):
        raise ValueError("a float has no exact meaning here; write the number as text")  # noqa: TRY004
    if isinstance(value, dict):
        for part in value.values():
            _no_floats(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            _no_floats(part)
