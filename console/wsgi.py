"""The WSGI entry, for `granian --interface wsgi console.wsgi:application`.

A message is taken in whole before it is answered. Where an answer overtakes the rest of its message, as a refusal
by path or key does, an HTTP/1.1 server may close the connection (RFC 9112, section 9.6), and a client that keeps
its connections then loses its next request without a word.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.core.wsgi import get_wsgi_application

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

KEPT_BYTES = 1_048_576
"""More than any door takes."""
HEARD_BYTES = 33_554_432
"""Up to here a message is heard to its end, so that its sender can read why it is refused."""
PIECE_BYTES = 65_536

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

_answer = get_wsgi_application()


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Take the whole message in, then let Django answer."""
    told = environ.get("CONTENT_LENGTH") or "0"
    length = int(told) if told.isascii() and told.isdigit() else 0
    if 0 < length <= KEPT_BYTES:
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
    elif KEPT_BYTES < length <= HEARD_BYTES:
        heard = 0
        while heard < length and (piece := environ["wsgi.input"].read(min(PIECE_BYTES, length - heard))):
            heard += len(piece)
        environ["wsgi.input"] = io.BytesIO()
    return _answer(environ, start_response)
