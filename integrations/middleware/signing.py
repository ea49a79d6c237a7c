"""Standard Webhooks 1.0.0: signing what is sent, and proving what is received. The library does the cryptography.

A secret is `whsec_` and at least 24 bytes in base64; several, separated by spaces, are one that is being replaced:
what is sent carries a signature by each, what is received needs one of any. The library allows five minutes between
the clocks and compares in constant time.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
from collections.abc import Mapping

from standardwebhooks import Webhook, WebhookVerificationError

from integrations.contract import OutOfScope

PREFIX = "whsec_"
LEAST_BYTES = 24

ID = re.compile(r"[!-\-/-~]{1,128}")
"""Printable, and without the full stop that the signed content is divided by."""
TIMESTAMP = re.compile(r"[0-9]{1,12}")
SIGNATURE = re.compile(r"v1,[A-Za-z0-9+/]{43}=")
MOST_SIGNATURES = 10


def keys(secrets: str) -> tuple[Webhook, ...]:
    """The keys in a secret of the settings. OutOfScope, which shows none of it, if one is no key."""
    found = []
    for one in secrets.split():
        try:
            raw = base64.b64decode(one.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            raw = b""
        if not one.startswith(PREFIX) or len(raw) < LEAST_BYTES:
            raise OutOfScope(
                f"Its secret is none: it is {PREFIX} and at least {LEAST_BYTES} random bytes in base64, or several of "
                "these with a space between."
            )
        found.append(Webhook(raw))
    if not found:
        raise OutOfScope("Its secret is empty.")
    return tuple(found)


def sign(by: tuple[Webhook, ...], message_id: str, body: bytes, at: dt.datetime) -> dict[str, str]:
    """The headers of a message that is sent at this time, which must be in UTC: the library looks at no zone."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(key.sign(message_id, at, body.decode()) for key in by),
    }


def verify(by: tuple[Webhook, ...], headers: Mapping[str, str], raw: bytes) -> str:
    """The id of a message that was signed by one of these keys, of these bytes, within five minutes of now.

    OutOfScope for every other, with the library's reason. `headers` by their names in lower case.
    """
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    # The library takes forms that the specification does not know, and stumbles over some.
    signatures = [one for one in headers.get("webhook-signature", "").split(" ") if SIGNATURE.fullmatch(one)][
        :MOST_SIGNATURES
    ]
    if not ID.fullmatch(message_id) or not TIMESTAMP.fullmatch(timestamp) or not signatures:
        raise OutOfScope(
            "It is not signed: webhook-id (without a full stop), webhook-timestamp and webhook-signature are needed."
        )
    shown = {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }
    reason = ""
    for key in by:
        try:
            key.verify(raw, shown, json_parse=False)
        except (WebhookVerificationError, UnicodeDecodeError) as no:
            reason = str(no) if isinstance(no, WebhookVerificationError) else "It is not UTF-8"
        else:
            return message_id
    raise OutOfScope(f"{reason}.")
