"""Is the audit log whole? Reads every entry again and says in words what is wrong, and where.

Five things are checked: that every entry matches its hash and names the entry before it in its chain; that the
columns beside the body, which only serve searching, say what the body says; that every entry up to the last
placed one stands in the tree, in order; that the tree leads to every checkpoint, and that our key signed each;
that every proposal has exactly one entry per change of state.

What this cannot see: entries younger than the last checkpoint cut from the end of a chain that belongs to no
proposal, and a log rewritten together with all checkpoints by somebody who has the database and the signing
key. The first lasts some seconds. Against the second, give `against` checkpoints that were kept elsewhere.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction

from console.audit_tree import Head, grow, read_note, root, trusted_keys
from console.canonical import canonical
from console.models import Checkpoint

MOST = 200
"""How many faults are told one by one; the rest are counted."""

_FETCH = 5_000


@dataclass
class Report:
    """What was looked at and what is wrong. The log is whole if `faults` is empty.

    `waiting`: entries that have no place in the tree yet. `checkpoints`: how many agree with the tree.
    """

    entries: int = 0
    chains: int = 0
    placed: int = 0
    waiting: int = 0
    checkpoints: int = 0
    newest: dt.datetime | None = None
    faults: list[str] = field(default_factory=list)
    untold: int = 0

    def tell(self, fault: str) -> None:
        """Note one fault."""
        if len(self.faults) < MOST:
            self.faults.append(fault)
        else:
            self.untold += 1


def check(*, against: Sequence[str] = ()) -> Report:
    """Check the whole log. `against` are checkpoints (signed notes) that were kept elsewhere.

    A million entries take some ten seconds and memory for the last hash of every chain.
    """
    report = Report()
    with transaction.atomic():
        # Before the entries: what these checkpoints cover is there when the entries are read.
        heads = list(_heads(report, against))
        tree = _walk(report, heads, _Listed(_refs()))
    for told, head in heads[tree:]:
        report.tell(f"{told} covers {head.size} entries, but only {report.placed} stand in the tree")
    _check_changes_of_state(report)
    return report


def check_chain(chain: str) -> Report:
    """Check one chain alone: hashes, order and columns, not the tree."""
    report = Report(chains=1)
    last = ""
    with transaction.atomic():
        listed = _Listed(_refs(chain))
        for row in _rows("WHERE e.chain = %s", [chain]):
            report.entries += 1
            if _is_wrong(row, last, listed):
                _explain(report, row, last, listed)
            last, report.newest = row[4], row[5]
    if not report.entries:
        report.tell(f"there is no chain {chain!r}")
    return report


def _heads(report: Report, against: Sequence[str]) -> Iterator[tuple[str, Head]]:
    """Every checkpoint that is signed and agrees with its row, smallest first, with how to call it."""
    keys = trusted_keys()
    found: list[tuple[str, Head]] = []
    for number, note in enumerate(against, 1):
        told = f"the checkpoint kept elsewhere (number {number})"
        try:
            found.append((told, read_note(note, keys)))
        except ValueError as error:
            report.tell(f"{told}: {error}")
    before = 0
    for row in Checkpoint.objects.order_by("id").values("id", "size", "root", "note").iterator(_FETCH):
        told = f"checkpoint {row['id']}"
        if row["size"] <= before:
            report.tell(f"{told} covers {row['size']} entries, no more than the one before it")
        before = row["size"]
        try:
            head = read_note(row["note"], keys)
        except ValueError as error:
            report.tell(f"{told}: {error}")
            continue
        if (head.size, head.root.hex()) != (row["size"], row["root"]):
            report.tell(
                f"{told}: its row says size {row['size']}, its signed note says {head.size}, or the roots differ"
            )
        found.append((told, head))
    yield from sorted(found, key=lambda one: one[1].size)


def _walk(  # noqa: C901 one loop over millions of rows: a call more for each would double its time
    report: Report, heads: Sequence[tuple[str, Head]], listed: _Listed
) -> int:
    """Every entry in the order of ids. Returns how many of the heads lie within the tree."""
    last_of_chain: dict[str, str] = {}
    frontier: list[bytes] = []
    size = reached = 0
    strayed = False
    unplaced: list[int] = []
    while reached < len(heads) and heads[reached][1].size == 0:
        reached += 1
    goal = heads[reached][1].size if reached < len(heads) else -1
    sha256, from_hex, row = hashlib.sha256, bytes.fromhex, None
    for row in _rows("", []):
        chain, stored, place = row[2], row[4], row[6]
        before = last_of_chain.get(chain, "")
        last_of_chain[chain] = stored
        if _is_wrong(row, before, listed):
            _explain(report, row, before, listed)
        report.entries += 1
        if place is None:
            unplaced.append(row[0])
            continue
        if unplaced:
            for missed in unplaced:
                report.tell(
                    f"entry {missed} has no place in the tree, though later ones have: it was put in afterwards"
                )
            unplaced.clear()
        if place != size and not strayed:
            report.tell(
                f"entry {row[0]} stands at place {place} of the tree; by its order it is number {size}"
            )
            strayed = True
        try:
            leaf = sha256(b"\x00" + from_hex(stored)).digest()
        except ValueError:  # told already: no hash matches such a one
            leaf = b""
        grow(frontier, size, leaf)
        size += 1
        while size == goal:
            told, head = heads[reached]
            if root(frontier) == head.root:
                report.checkpoints += 1
            else:
                report.tell(f"the first {size} entries do not lead to the root that {told} signed")
            reached += 1
            goal = heads[reached][1].size if reached < len(heads) else -1
    if row is not None:
        report.newest = row[5]
    report.chains, report.placed, report.waiting = len(last_of_chain), size, len(unplaced)
    return reached


@dataclass
class _Listed:
    """How the columns of an entry look inside its body, which is canonical JSON and so has one form only.

    Strings inside a body escape their quotes, so none of these pieces can be imitated by what somebody wrote.
    """

    refs: dict[int, str]
    starts: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    ends: dict[str, bytes] = field(default_factory=dict)

    def start(self, kind: str, actor: str, label: str) -> bytes:
        """What the body starts with."""
        found = self.starts.get((kind, actor, label))
        if found is None:
            who = canonical({"id": actor, "kind": kind, "label": label, "via": ""})
            found = self.starts[kind, actor, label] = f'{{"actor":{who.removesuffix(chr(34) + "}")}'.encode()
        return found

    def end(self, verb: str) -> bytes:
        """What it ends with."""
        found = self.ends.get(verb)
        if found is None:
            found = self.ends[verb] = f',"verb":{canonical(verb)}}}'.encode()
        return found


def _is_wrong(row: Sequence[Any], previous: str, listed: _Listed) -> bool:
    """Whether anything about this entry is not as it must be. Quick, because there may be millions."""
    _, content, chain, named, stored, _, _, verb, kind, actor, label, proposal, version = row
    if named != previous or hashlib.sha256(content).hexdigest() != stored:
        return True
    if not content.startswith(listed.start(kind, actor, label), content.find(b"\n", len(named) + 1) + 1):
        return True
    if (
        not content.endswith(listed.end(verb))
        or b'"},"chain":"%b","detail":{' % chain.encode() not in content
    ):
        return True
    if proposal is None:
        return b'},"proposal":{' in content
    number = b"null" if version is None else b"%d" % version
    ref = listed.refs.get(proposal, "").encode()
    return b'},"proposal":{"ref":"%b","version":%b},"request":' % (ref, number) not in content


def _explain(report: Report, row: Sequence[Any], previous: str, listed: _Listed) -> None:
    """Say in words what is wrong with an entry."""
    number, content, chain, named, stored, _, _, verb, kind, actor, label, proposal, version = row
    if named != previous:
        report.tell(
            f"entry {number} of chain {chain} does not name the entry before it: one was changed, removed, "
            "put in or moved"
        )
    if hashlib.sha256(content).hexdigest() != stored:
        report.tell(f"entry {number} of chain {chain} does not match its hash: it was changed")
    try:
        body = json.loads(content.split(b"\n", 2)[2])
        by, about = body["actor"], body.get("proposal")
        same = (body["chain"], body["verb"], by["kind"], by["id"], by["label"]) == (
            chain,
            verb,
            kind,
            actor,
            label,
        )
        if about is None or proposal is None:
            same = same and about is proposal is None
        else:
            same = same and (about["ref"], about["version"]) == (listed.refs.get(proposal), version)
    except (ValueError, KeyError, TypeError):
        same = False
    if not same:
        report.tell(f"entry {number} of chain {chain} is listed as something that its body does not say")


def _rows(where: str, parameters: list[Any]) -> Iterator[Sequence[Any]]:
    """Entries in the order of ids, streamed; the bytes that were hashed are put together by the database."""
    text = (
        "SELECT e.id, convert_to(e.previous || E'\\n' || (extract(epoch FROM e.at) * 1000000)::bigint || E'\\n'"  # noqa: S608 `where` is one of two texts of ours
        " || e.body, 'UTF8'), e.chain, e.previous, e.hash, e.at, l.index, e.verb, e.actor_kind, e.actor_id,"
        " e.actor_label, e.proposal_id, e.proposal_version"
        f" FROM console_auditentry e LEFT JOIN console_auditleaf l ON l.entry_id = e.id {where} ORDER BY e.id"
    )
    with connection.cursor() as plain:
        # Every row will be fetched; the default plans for the first tenth of them.
        plain.execute("SET LOCAL cursor_tuple_fraction = 1")
    with connection.connection.cursor(name="audit_check", binary=True) as cursor:
        cursor.itersize = _FETCH
        cursor.execute(text, parameters)
        yield from cursor


def _refs(chain: str = "") -> dict[int, str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, ref FROM console_proposal WHERE %s = '' OR %s = 'proposal:' || ref", [chain, chain]
        )
        return dict(cursor.fetchall())


def _check_changes_of_state(report: Report) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.ref, p.version + 1, coalesce(e.entries, 0) FROM console_proposal p LEFT JOIN"
            " (SELECT proposal_id, count(*) AS entries, max(proposal_version) AS last FROM console_auditentry"
            " WHERE proposal_version IS NOT NULL GROUP BY proposal_id) e ON e.proposal_id = p.id"
            " WHERE coalesce(e.entries, 0) <> p.version + 1 OR e.last <> p.version ORDER BY p.id"
        )
        for ref, needed, entries in cursor.fetchall():
            report.tell(f"proposal {ref} changed its state {needed} times and has {entries} entries of that")


def words(report: Report) -> Iterable[str]:
    """The report for a terminal, the faults first."""
    yield from report.faults
    if report.untold:
        yield f"... and {report.untold} more"
    yield (
        f"{report.entries} entries in {report.chains} chains, {report.placed} in the tree, "
        f"{report.waiting} waiting for their place, {report.checkpoints} checkpoints agree"
    )
