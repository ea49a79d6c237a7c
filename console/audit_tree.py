"""One global tree over all audit entries: an RFC 9162 (RFC 6962) Merkle tree with signed checkpoints.

An entry's chain proves its own story; the tree proves that there is one log, that it only ever grew, and
where each entry stands in it. A leaf is SHA-256(0x00 || the 32 bytes of the entry's hash), a node is
SHA-256(0x01 || left || right), and leaves stand in the order of the entries' ids.

How late committers are waited out. Ids are handed out before commit, so a higher id may become visible before
a lower one. The trigger that hands out an id first takes a shared advisory lock and keeps it until its
transaction ends. The sequencer (one at a time, by an advisory lock of its own)

1. reads the last id handed out, call it B,
2. lists who holds the shared lock: every id up to B belongs to one of them or to a transaction that ended,
3. waits until all of those ended; those who come later have ids above B and are nobody's concern,
4. gives entries up to B their leaves, extends the frontier, and signs, all in one transaction.

Transaction ids would not do instead: one is assigned after the id is handed out, or long before, and they start
anew when a dump is restored. A transaction that stays open holds the tree up, not the writers; the age of the
last checkpoint shows it.

A checkpoint is a C2SP tlog-checkpoint in a signed note (Ed25519). Keep copies of checkpoints where the
administrators of this database cannot reach: with one of them `verify_audit --against` proves that the log was
not rewritten, also not by somebody who has the database and the key.

The file is longer than most because the tree, its signatures and its receipts are one protocol.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import os
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.db.models.functions import Now

from console import environment
from console.audit import Actor
from console.errors import Conflict, Missing
from console.models import AuditEntry, AuditLeaf, Checkpoint

log = logging.getLogger(__name__)

LOCKS = 20816
"""The class of our two advisory locks: (LOCKS, 1) whoever writes an entry, (LOCKS, 2) the sequencer."""

BATCH = 1_000
"""How many entries one checkpoint adds at most; a receipt reads at most twice as many hashes."""

_ED25519 = b"\x01"
_RECEIPT = "c2sp.org/tlog-proof@v1"


def leaf_hash(content: bytes) -> bytes:
    """The hash of a leaf; for us `content` is an entry's hash as 32 bytes."""
    return hashlib.sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def grow(frontier: list[bytes], size: int, leaf: bytes) -> None:
    """Add one leaf hash to the tree of `size` leaves that `frontier` stands for, in place.

    The frontier holds the roots of the perfect subtrees, largest first: one for each bit set in the size.
    """
    while size & 1:
        leaf = node_hash(frontier.pop(), leaf)
        size >>= 1
    frontier.append(leaf)


def root(frontier: Sequence[bytes]) -> bytes:
    """The head of the tree whose perfect subtrees have these roots; of the empty tree, the hash of nothing."""
    if not frontier:
        return hashlib.sha256(b"").digest()
    head = frontier[-1]
    for left in reversed(frontier[:-1]):
        head = node_hash(left, head)
    return head


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The head of a tree of these leaf hashes."""
    frontier: list[bytes] = []
    for size, leaf in enumerate(leaves):
        grow(frontier, size, leaf)
    return root(frontier)


def split(size: int) -> int:
    """The largest power of two smaller than `size` (at least 2): where a tree of that size divides."""
    return 1 << (size - 1).bit_length() - 1


def includes(head: bytes, size: int, index: int, leaf: bytes, path: Sequence[bytes]) -> bool:
    """Whether `path` proves that `leaf` (a leaf hash) is number `index` of the tree (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    number, last, found = index, size - 1, leaf
    for beside in path:
        if last == 0:
            return False
        if number & 1 or number == last:
            found = node_hash(beside, found)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            found = node_hash(found, beside)
        number, last = number >> 1, last >> 1
    return last == 0 and found == head


@dataclass(frozen=True)
class Head:
    """What a checkpoint says: whose log, how many entries, and the root (32 bytes)."""

    origin: str
    size: int
    root: bytes


def signing_key() -> Ed25519PrivateKey:
    """The key that signs checkpoints: the secret AUDIT_SIGNING_KEY, 32 bytes in base64.

    A demo and the tests make their own and keep it in `var`. ImproperlyConfigured in production without one.
    """
    try:
        text = environment.secret("AUDIT_SIGNING_KEY")
    except ImproperlyConfigured:
        if settings.PRODUCTION:
            raise
        text = _own_key()
    try:
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error):
        raise ImproperlyConfigured(
            "AUDIT_SIGNING_KEY is not 32 bytes in base64; make one with: openssl rand -base64 32"
        ) from None


def verifier_key() -> str:
    """The public key in C2SP's form `name+id+base64`: what outsiders need to check checkpoints and receipts."""
    public = signing_key().public_key().public_bytes_raw()
    name = settings.AUDIT_ORIGIN
    return f"{name}+{_key_id(name, public).hex()}+{base64.b64encode(_ED25519 + public).decode()}"


def trusted_keys() -> list[str]:
    """Verifier keys whose signature counts: our own, and the older ones named in AUDIT_VERIFIER_KEYS."""
    return [verifier_key(), *settings.AUDIT_VERIFIER_KEYS]


def sign(head: Head) -> str:
    """A signed note over a checkpoint."""
    text = f"{head.origin}\n{head.size}\n{base64.b64encode(head.root).decode()}\n"
    key = signing_key()
    signature = _key_id(head.origin, key.public_key().public_bytes_raw()) + key.sign(text.encode())
    return f"{text}\n\u2014 {head.origin} {base64.b64encode(signature).decode()}\n"


def read_note(note: str, keys: Iterable[str]) -> Head:
    """What a checkpoint says, if one of the keys signed it. ValueError says what is wrong with it.

    Signatures of others (witnesses) may stand beside ours and are passed over.
    """
    text, found, signatures = note.partition("\n\n")
    lines = [*text.split("\n"), "", ""]
    if not found or not lines[2] or not lines[1].isascii() or not lines[1].isdigit():
        raise ValueError("it is not a checkpoint: origin, size, root, an empty line, signatures")
    text += "\n"
    known = dict(_read_key(key) for key in keys)
    for line in signatures.splitlines():
        dash, name, value = [*line.split(" "), "", "", ""][:3]
        try:
            raw = base64.b64decode(value, validate=True)
        except binascii.Error:
            continue
        public = known.get((name, raw[:4]))
        if dash != "\u2014" or public is None:
            continue
        try:
            public.verify(raw[4:], text.encode())
        except InvalidSignature:
            raise ValueError(f"the signature of {name} does not match") from None
        try:
            return Head(lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True))
        except binascii.Error:
            raise ValueError("its root is not base64") from None
    raise ValueError("no key that we trust has signed it")


def _key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(f"{name}\n".encode() + _ED25519 + public).digest()[:4]


def _read_key(text: str) -> tuple[tuple[str, bytes], Ed25519PublicKey]:
    try:
        name, number, value = text.split("+", 2)
        raw = base64.b64decode(value, validate=True)
        public = Ed25519PublicKey.from_public_bytes(raw[1:])
        if raw[:1] == _ED25519 and _key_id(name, raw[1:]).hex() == number:
            return (name, bytes.fromhex(number)), public
    except (ValueError, binascii.Error):
        pass
    raise ImproperlyConfigured(
        f"{text[:80]!r} is not a verifier key of the form name+id+base64 (C2SP signed-note, Ed25519)"
    )


def _own_key() -> str:
    """The generated key of a demo or a test; whoever is first makes it, the others read the same."""
    path = settings.VAR / "audit_signing_key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(base64.b64encode(secrets.token_bytes(32)))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()


def sequence(*, actor: Actor, patience: float = 2.0, batch: int = BATCH) -> int:
    """Give every committed entry its place, and sign. Returns how many entries were placed.

    0 when there is nothing new, when another sequencer is at work, or when a transaction that took an id stays
    open for longer than `patience` seconds: the next round tries again. Raises Conflict when the stored tree
    contradicts itself: nothing more is signed until somebody has looked (`verify_audit`).
    """
    placed = 0
    while True:
        with transaction.atomic():
            if not _alone() or not (bound := _settled(patience)):
                break
            added = _extend(bound, batch)
        placed += added
        if added < batch:
            break
    if placed:
        log.info("%s placed %d audit entries in the tree", actor.label, placed)
    return placed


def _alone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, 2)", [LOCKS])
        return bool(cursor.fetchone()[0])


def _settled(patience: float) -> int:
    """An id up to which no entry can appear any more; 0 if that cannot be said in time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM console_auditentry_id_seq")
        bound = int(cursor.fetchone()[0])
        writers = (
            "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = 1"
            " AND objsubid = 2 AND pid <> pg_backend_pid()"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        cursor.execute(writers, [LOCKS])
        open_then = {row[0] for row in cursor.fetchall()}
        give_up = time.monotonic() + patience
        while open_then:
            if time.monotonic() > give_up:
                log.warning("a transaction that writes audit entries stays open; the tree waits for it")
                return 0
            time.sleep(0.02)
            cursor.execute(writers, [LOCKS])
            open_then &= {row[0] for row in cursor.fetchall()}
    return bound


def _extend(bound: int, batch: int) -> int:
    last = Checkpoint.objects.order_by("-size").first()
    size = last.size if last is not None else 0
    end = AuditLeaf.objects.order_by("-index").first()
    if size != (end.index + 1 if end is not None else 0):
        raise Conflict(
            f"the last checkpoint covers {size} entries, but the tree ends at {end.index + 1 if end else 0}; "
            "nothing is signed until that is explained: run verify_audit",
            code="tree_contradicts_checkpoint",
        )
    frontier = [bytes.fromhex(one) for one in last.frontier] if last is not None else []
    rows = list(
        AuditEntry.objects.filter(pk__gt=end.entry_id if end is not None else 0, pk__lte=bound)
        .order_by("pk")
        .values_list("pk", "hash")[:batch]
    )
    if not rows:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO console_auditleaf (index, entry_id)"
            " SELECT %s + place - 1, entry FROM unnest(%s::bigint[]) WITH ORDINALITY AS given (entry, place)",
            [size, [pk for pk, _ in rows]],
        )
    for place, (_, entry) in enumerate(rows, size):
        grow(frontier, place, leaf_hash(bytes.fromhex(entry)))
    head = Head(settings.AUDIT_ORIGIN, size + len(rows), root(frontier))
    Checkpoint.objects.create(
        size=head.size,
        root=head.root.hex(),
        frontier=[one.hex() for one in frontier],
        note=sign(head),
        at=Now(),
    )
    return len(rows)


def receipt(entry: AuditEntry) -> str:
    """A proof, complete in itself, that this entry is in the log: a C2SP tlog-proof.

    Its `extra` line holds the entry as it was hashed (the hash before, a newline, microseconds since 1970, a
    newline, the body), then come the number of its leaf, the hashes beside its path, and the newest
    checkpoint. `static/verify_receipt.py` checks one with Python's standard library alone.

    Raises Missing when the entry has no place yet (a few seconds), Conflict when the stored tree does not agree
    with its own checkpoint.
    """
    leaf = AuditLeaf.objects.filter(entry=entry).first()
    head = Checkpoint.objects.order_by("-size").first()
    if leaf is None or head is None:
        raise Missing(
            f"entry {entry.pk} has no place in the tree yet; the sequencer gives it one within seconds"
        )
    path = inclusion_path(leaf.index, head.size)
    ours = leaf_hash(bytes.fromhex(entry.hash))
    if not includes(bytes.fromhex(head.root), head.size, leaf.index, ours, path):
        raise Conflict(
            f"entry {entry.pk} does not lead to the checkpoint of size {head.size}: the stored log was changed; "
            "run verify_audit",
            code="tree_contradicts_checkpoint",
        )
    return "\n".join(
        [
            _RECEIPT,
            "extra " + base64.b64encode(preimage(entry)).decode(),
            f"index {leaf.index}",
            *(base64.b64encode(one).decode() for one in path),
            "",
            head.note,
        ]
    )


def preimage(entry: AuditEntry) -> bytes:
    """The bytes whose SHA-256 is the entry's hash."""
    micros = int(entry.at.timestamp()) * 1_000_000 + entry.at.microsecond
    return f"{entry.previous}\n{micros}\n{entry.body}".encode()


def inclusion_path(index: int, size: int) -> list[bytes]:
    """The hashes beside the path from leaf `index` to the head of the first `size` leaves, lowest first.

    Needs no stored nodes: the frontier of a checkpoint that ends in the right half of a subtree has the root
    of its left half. What no checkpoint divides is at most twice a batch, and is hashed from its leaves.
    """
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + split(high - low)
        if index < middle:
            path.append(_range_root(middle, high))
            high = middle
        else:
            path.append(_range_root(low, middle))
            low = middle
    return path[::-1]


_READ_LEAVES = 256


def _range_root(low: int, high: int) -> bytes:
    """The root of the subtree over leaves low to high - 1, which must be one of the tree's own."""
    count = high - low
    if count > _READ_LEAVES and count & (count - 1) == 0 and low & count == 0:
        holds = Checkpoint.objects.filter(size__gte=high, size__lt=high + count).order_by("size").first()
        if holds is not None:
            return bytes.fromhex(holds.frontier[low.bit_count()])
    if count > _READ_LEAVES:
        half = split(count)
        middle = low + half
        divides = Checkpoint.objects.filter(size__gte=middle, size__lt=middle + half).order_by("size").first()
        if divides is not None:
            # Before the bit that stands for our left half, its size has the bits of `low` and no others.
            left = bytes.fromhex(divides.frontier[low.bit_count()])
            return node_hash(left, _range_root(middle, high))
        if count > 2 * BATCH:
            return node_hash(_range_root(low, middle), _range_root(middle, high))
    hashes = AuditLeaf.objects.filter(index__gte=low, index__lt=high).order_by("index")
    return root_of(leaf_hash(bytes.fromhex(one)) for one in hashes.values_list("entry__hash", flat=True))
