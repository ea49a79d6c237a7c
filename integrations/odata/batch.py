"""`$batch` in its multipart form, which V2 and V4 share: one change set, all or nothing.

The outer status says nothing, and neither does a part alone: of a group in which one part failed, a server was seen
to answer another part with 201 and a Location that was never there. So a group is done if every part says so, and
failed if one says so.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.parser import BytesParser

from integrations.odata.answers import Answer

DEPENDENT = 424
"""The status of a part that failed because another one did."""

_STATUS = re.compile(rb"HTTP/\d\.\d (\d{3})[^\r\n]*\r?\n")


@dataclass(frozen=True)
class Part:
    """One request of a change set; `path` is relative to the service's root."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


def compose(parts: Sequence[Part]) -> tuple[str, bytes]:
    """The content type and body of a batch with one change set."""
    outer, inner = f"batch_{uuid.uuid4().hex}", f"changeset_{uuid.uuid4().hex}"
    lines: list[bytes] = [
        f"--{outer}".encode(),
        f"Content-Type: multipart/mixed; boundary={inner}".encode(),
        b"",
    ]
    for number, part in enumerate(parts, 1):
        lines += [
            f"--{inner}".encode(),
            b"Content-Type: application/http",
            b"Content-Transfer-Encoding: binary",
            f"Content-ID: {number}".encode(),
            b"",
            f"{part.method} {part.path} HTTP/1.1".encode(),
            *(f"{name}: {value}".encode() for name, value in part.headers.items()),
            f"Content-Length: {len(part.body)}".encode(),
            b"",
            part.body,
        ]
    lines += [f"--{inner}--".encode(), f"--{outer}--".encode(), b""]
    return f"multipart/mixed; boundary={outer}", b"\r\n".join(lines)


def parse(content_type: str, body: bytes) -> list[Answer]:
    """The answers of a batch, in order, whatever they are nested in. ValueError when it is no multipart."""
    whole = BytesParser().parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    if not whole.is_multipart():
        raise ValueError("the answer to $batch is not multipart")
    found = []
    for leaf in whole.walk():
        if leaf.is_multipart():
            continue
        raw = leaf.get_payload(decode=True)
        start = _STATUS.match(raw.lstrip()) if isinstance(raw, bytes) else None
        if start is None or not isinstance(raw, bytes):
            raise ValueError("a part of the answer to $batch has no status")
        inner = BytesParser().parsebytes(raw.lstrip()[start.end() :])
        content = inner.get_payload(decode=True)
        headers = {name.lower(): str(value) for name, value in inner.items()}
        found.append(Answer(int(start[1]), headers, content if isinstance(content, bytes) else b""))
    return found


def failure(answers: Sequence[Answer], sent: int) -> Answer | None:
    """The answer that says that the whole group failed, None when it is done.

    ValueError when the parts say neither: all are successes, and there are fewer than were sent.
    """
    failures = [one for one in answers if not one.ok]
    failed = next((one for one in failures if one.status != DEPENDENT), failures[0] if failures else None)
    if failed is None and len(answers) != sent:
        raise ValueError(f"{sent} changes were sent and {len(answers)} were answered")
    return failed
