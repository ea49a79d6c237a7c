"""Agent keys: `cs_<key id>_<secret><checksum>`.

The prefix lets scanners find a leaked key, the checksum (CRC-32, base 36) tells a mistyped one from a forged one
without asking the database, the secret has 256 bits, so one SHA-256 is enough to keep it. The key of an eval run
begins with `csr`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass, field

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now

from console import access, audit
from console.audit import Actor
from console.errors import Denied, Refused
from console.models import AgentKey, AgentVersion
from console.models.loading import Fetch

FORM = re.compile(r"^(csr?)_([a-z0-9]{12})_([A-Za-z0-9]{43})([0-9a-z]{7})$")
LIVE, RUN = "cs", "csr"
"""Prefixes: the key of an agent version, and the key of one eval run, which reaches nothing else."""
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
LONGEST_DAYS = 365
KEY = Fetch(AgentKey, "version__agent")
LIVE_KEYS = 2
"""How many keys of one version may be live at once: the old and the new one of a rotation."""


@dataclass(frozen=True)
class Issued:
    """A new key, and the only time its text is known."""

    key: AgentKey
    text: str = field(repr=False)


@dataclass(frozen=True)
class Minted:
    """A key that is made and not stored: its id, the hash that is kept, and its text."""

    key_id: str
    secret_hash: str
    text: str = field(repr=False)


def issue(version: AgentVersion, *, by: User | None, actor: Actor, days: int = 90) -> Issued:
    """Make a key for a version. Refused when two live ones exist or `days` is not 1 to 365; Denied without right."""
    if by is not None:
        access.require(by, access.CONFIGURES, "issue a key")
    if not 1 <= days <= LONGEST_DAYS:
        raise Refused("a key lives for 1 to 365 days", code="key_days")
    minted = mint(LIVE)
    with transaction.atomic():
        AgentVersion.objects.select_for_update().get(pk=version.pk)
        live = AgentKey.objects.filter(version=version, revoked_at__isnull=True, expires_at__gt=Now()).count()
        if live >= LIVE_KEYS:
            raise Refused(f"{version} has {live} live keys; revoke one first", code="too_many_keys")
        key = AgentKey.objects.create(
            version=version,
            key_id=minted.key_id,
            secret_hash=minted.secret_hash,
            created_by=by,
            expires_at=Now() + dt.timedelta(days=days),
        )
        audit.record(
            "key.issue",
            actor=actor,
            chain=f"agent:{version.agent.slug}",
            subject=minted.key_id,
            detail={"version": version.label, "days": days},
        )
    key.refresh_from_db()
    return Issued(key=key, text=minted.text)


def authenticate(text: str) -> AgentKey:
    """The live key of this text, with its version and agent. Denied says whether it is wrong, expired or revoked.

    A wrong secret and an unknown key id give the same answer.
    """
    key_id, given = told(text, LIVE)
    key = KEY.one("t.key_id = %s", [key_id])
    if key is None or not hmac.compare_digest(key.secret_hash, given):
        raise Denied("there is no such key", code="bad_key")
    if key.revoked_at is not None:
        raise Denied("this key was revoked; ask the agent's owner for another", code="key_revoked")
    if key.expires_at <= key.db_now:
        raise Denied("this key has expired; ask the agent's owner for another", code="key_expired")
    return key


def revoke(key: AgentKey, *, by: User | None, actor: Actor) -> AgentKey:
    """End a key, at once and for good. Revoking twice changes nothing."""
    if by is not None:
        access.require(by, access.CONFIGURES, "revoke a key")
    with transaction.atomic():
        if AgentKey.objects.filter(pk=key.pk, revoked_at__isnull=True).update(revoked_at=Now()):
            audit.record(
                "key.revoke",
                actor=actor,
                chain=f"agent:{key.version.agent.slug}",
                subject=key.key_id,
                detail={"version": key.version.label},
            )
    key.refresh_from_db()
    return key


def mint(prefix: str) -> Minted:
    """A new key that nobody has yet."""
    key_id = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(12))
    secret = "".join(secrets.choice(ALPHABET) for _ in range(43))
    ending = _checksum(_checked(prefix, key_id), secret)
    return Minted(key_id, _hash(secret), f"{prefix}_{key_id}_{secret}{ending}")


def told(text: str, prefix: str) -> tuple[str, str]:
    """The key id and the secret's hash of a key's text. Denied when it is none with this prefix."""
    parts = FORM.match(text)
    if (
        parts is None
        or parts[1] != prefix
        or not hmac.compare_digest(_checksum(_checked(parts[1], parts[2]), parts[3]), parts[4])
    ):
        raise Denied("this is not a key of ours; it may be cut off or mistyped", code="bad_key")
    return parts[2], _hash(parts[3])


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _checked(prefix: str, key_id: str) -> str:
    # Keys of versions were made before there were others: their checksum leaves the prefix out.
    return key_id if prefix == LIVE else f"{prefix}_{key_id}"


def _checksum(key_id: str, secret: str) -> str:
    number = zlib.crc32(f"{key_id}_{secret}".encode())
    digits = ""
    for _ in range(7):
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits
