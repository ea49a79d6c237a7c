"""Agent keys: `cs_<key id>_<secret><checksum>`.

The prefix lets scanners find a leaked key, the checksum (CRC-32, base 36) tells a mistyped one from a forged one
without asking the database, the secret has 256 bits, so one SHA-256 is enough to keep it.
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

FORM = re.compile(r"^cs_([a-z0-9]{12})_([A-Za-z0-9]{43})([0-9a-z]{7})$")
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


def issue(version: AgentVersion, *, by: User | None, actor: Actor, days: int = 90) -> Issued:
    """Make a key for a version. Refused when two live ones exist or `days` is not 1 to 365; Denied without right."""
    if by is not None:
        access.require(by, access.CONFIGURES, "issue a key")
    if not 1 <= days <= LONGEST_DAYS:
        raise Refused("a key lives for 1 to 365 days", code="key_days")
    key_id = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(12))
    secret = "".join(secrets.choice(ALPHABET) for _ in range(43))
    with transaction.atomic():
        AgentVersion.objects.select_for_update().get(pk=version.pk)
        live = AgentKey.objects.filter(version=version, revoked_at__isnull=True, expires_at__gt=Now()).count()
        if live >= LIVE_KEYS:
            raise Refused(f"{version} has {live} live keys; revoke one first", code="too_many_keys")
        key = AgentKey.objects.create(
            version=version,
            key_id=key_id,
            secret_hash=hashlib.sha256(secret.encode()).hexdigest(),
            created_by=by,
            expires_at=Now() + dt.timedelta(days=days),
        )
        audit.record(
            "key.issue",
            actor=actor,
            chain=f"agent:{version.agent.slug}",
            subject=key_id,
            detail={"version": version.label, "days": days},
        )
    key.refresh_from_db()
    return Issued(key=key, text=f"cs_{key_id}_{secret}{_checksum(key_id, secret)}")


def authenticate(text: str) -> AgentKey:
    """The live key of this text, with its version and agent. Denied says whether it is wrong, expired or revoked.

    A wrong secret and an unknown key id give the same answer.
    """
    parts = FORM.match(text)
    if parts is None or not hmac.compare_digest(_checksum(parts[1], parts[2]), parts[3]):
        raise Denied("this is not a key of ours; it may be cut off or mistyped", code="bad_key")
    key = KEY.one("t.key_id = %s", [parts[1]])
    given = hashlib.sha256(parts[2].encode()).hexdigest()
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


def _checksum(key_id: str, secret: str) -> str:
    number = zlib.crc32(f"{key_id}_{secret}".encode())
    digits = ""
    for _ in range(7):
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits
