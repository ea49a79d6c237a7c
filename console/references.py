"""Names that we give: short enough for an ERP's reference field, random so that a restored backup repeats none."""

from __future__ import annotations

import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O or U, so that a name can be read aloud."""


def new(prefix: str) -> str:
    """A name such as CS-8F2K9M4TX7QP: a prefix and 60 random bits."""
    return prefix + "-" + "".join(secrets.choice(ALPHABET) for _ in range(12))
