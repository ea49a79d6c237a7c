"""Checks a receipt of Countersign's audit log, with nothing but Python's standard library and no network.

    python3 verify_receipt.py RECEIPT KEY

RECEIPT is the file; KEY is the log's verifier key (name+id+base64), which you should have from elsewhere than the
receipt. Prints the entry and exits with 0 if it is in the log whose head that key signed; says what is wrong and
exits with 1 if not.

The receipt is a C2SP tlog-proof: the entry as it was hashed, the number of its leaf, the hashes beside its path
to the root (RFC 9162), and a signed checkpoint. Ed25519 as in RFC 8032.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import sys
from pathlib import Path

Point = tuple  # extended coordinates x, y, z, t
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


class Wrong(Exception):
    """The receipt proves nothing; the text says why."""


def decompress(raw: bytes) -> Point:
    y = int.from_bytes(raw, "little")
    odd, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        raise Wrong("a point of the signature is not on the curve")
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and odd):
        raise Wrong("a point of the signature is not on the curve")
    x = P - x if x & 1 != odd else x
    return x, y, 1, x * y % P


def add(one: Point, two: Point) -> Point:
    a = (one[1] - one[0]) * (two[1] - two[0]) % P
    b = (one[1] + one[0]) * (two[1] + two[0]) % P
    c, d = 2 * one[3] * two[3] * D % P, 2 * one[2] * two[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number: int, point: Point) -> Point:
    total = (0, 1, 1, 0)
    while number:
        if number & 1:
            total = add(total, point)
        point, number = add(point, point), number >> 1
    return total


BASE = decompress((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def signed(public: bytes, message: bytes, signature: bytes) -> bool:
    if len(signature) != 64 or len(public) != 32:
        return False
    scalar = int.from_bytes(signature[32:], "little")
    if scalar >= ORDER:
        return False
    told = hashlib.sha512(signature[:32] + public + message).digest()
    left = times(scalar, BASE)
    right = add(decompress(signature[:32]), times(int.from_bytes(told, "little") % ORDER, decompress(public)))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (
        left[1] * right[2] - right[1] * left[2]
    ) % P == 0


def head_of(note: str, key: str) -> tuple[int, bytes]:
    """Size and root of a checkpoint that the key signed."""
    name, number, value = key.strip().split("+", 2)
    public = base64.b64decode(value, validate=True)
    if hashlib.sha256(name.encode() + b"\n" + public).digest()[:4].hex() != number or public[:1] != b"\x01":
        raise Wrong("the key is not a verifier key of the form name+id+base64 (Ed25519)")
    text, _, signatures = note.partition("\n\n")
    for line in signatures.splitlines():
        parts = line.split(" ")
        if len(parts) != 3 or parts[:2] != ["\u2014", name]:
            continue
        raw = base64.b64decode(parts[2], validate=True)
        if raw[:4].hex() == number and signed(public[1:], (text + "\n").encode(), raw[4:]):
            _, size, root = text.split("\n")[:3]
            return int(size), base64.b64decode(root, validate=True)
    raise Wrong("the checkpoint is not signed by this key")


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def verify(receipt: str, key: str) -> dict[str, object]:
    """The entry, its number and the size of the log, if the receipt is right; Wrong or ValueError if not."""
    proof, _, note = receipt.partition("\n\n")
    lines = proof.split("\n")
    if (
        lines[0] != "c2sp.org/tlog-proof@v1"
        or not lines[1].startswith("extra ")
        or not lines[2].startswith("index ")
    ):
        raise Wrong("this is not a receipt")
    content = base64.b64decode(lines[1].removeprefix("extra "), validate=True)
    index = int(lines[2].removeprefix("index "))
    size, root = head_of(note, key)
    if not 0 <= index < size:
        raise Wrong(f"number {index} is not in a log of {size} entries")
    found = hashlib.sha256(b"\x00" + hashlib.sha256(content).digest()).digest()
    here, last = index, size - 1
    for line in lines[3:]:
        beside = base64.b64decode(line, validate=True)
        if last == 0:
            raise Wrong("the path is too long")
        if here & 1 or here == last:
            found = node(beside, found)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            found = node(found, beside)
        here, last = here >> 1, last >> 1
    if last or found != root:
        raise Wrong("the entry does not lead to the signed root: it is not in this log, or it was changed")
    previous, micros, body = content.decode().split("\n", 2)
    at = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(
        microseconds=int(micros)
    )
    return {
        "at": at.isoformat(),
        "previous": previous,
        "number": index,
        "size": size,
        "entry": json.loads(body),
    }


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        told = verify(Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[2])
    except (Wrong, ValueError, IndexError, OSError) as error:
        sys.exit(f"NOT PROVEN: {error}")
    print(json.dumps(told, indent=2, ensure_ascii=False))
    print(
        f"\nPROVEN: this is number {told['number']} of the log whose first {told['size']} entries that key signed."
    )


if __name__ == "__main__":
    main()
