"""Finds the secrets in what a system says, and takes them out of its words; what that is for says `discreet`.

They are found as they are, in another case, percent-encoded, in HTML, JSON, hexadecimal and base64, with other white
space, and cut short: their first or last dozen characters. In records, where chance counts, a secret of less than that
is found only as a word of its own, and a piece only letter by letter.
"""

from __future__ import annotations

import dataclasses
import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, TypeVar, cast
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from integrations.contract import (
    Accepted,
    Claim,
    Exhibit,
    Finding,
    ProbeReport,
    Reading,
    Receipt,
    Record,
    Sample,
    Snapshot,
    Step,
    SystemChange,
    Trace,
)

T = TypeVar("T")

HIDDEN = "(hidden)"
UNTOLD = f"{HIDDEN}: all that it says, since it repeats a secret"
SHORTEST = 6
"""Shorter texts stand in too many places by chance; such a password is none."""
PIECE = 12
"""So many characters of a secret, first or last, are a piece of it: what is cut short keeps one."""

_TOKEN = re.compile(r"\b(Bearer|Basic|Session)\s+[\w.~+/=-]{20,}", re.IGNORECASE)
"""Whatever an account was given to show instead of its secret."""
_SIGNED = re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}(\.[\w-]*)?")
"""A JSON Web Token: no business word looks like this."""
_TELLING = ("bearer", "basic", "session", "eyj")
"""One of these, in lower case, stands in whatever the two above find."""
_HEADER = re.compile(r"\bauthorization\W{1,5}(Bearer|Basic|Session)\s+[\w.~+/=-]{20,}", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_CODED = re.compile(r"[\w+/=%-]*")
_BLANK = re.compile(r"[\s+]+")

_RECORDS: Mapping[type, tuple[str, ...]] = {
    Snapshot: ("target", "label", "record", "context", "stamps"),
    Reading: ("value",),
    Sample: ("tool", "arguments", "value"),
    Record: ("fields", "lines"),
    Step: ("name", "text", "request"),
    Receipt: ("document", "stamps"),
    Accepted: ("handle",),
    Claim: ("id", "reference", "document"),
    Trace: ("record", "stamps", "remaining"),
}
"""Of answers, what is a record or acted on; every other field of them is words."""
_OURS = {(ProbeReport, "account"), (SystemChange, "account")}
"""But these: our own logins, by which an answer is found again."""
_ANSWERS: tuple[type[Any], ...] = (*_RECORDS, Exhibit, Finding, ProbeReport, SystemChange)


class Repeated(Exception):
    """A record holds a secret: nothing of it may be passed on."""


class Hider:
    """Finds every form of these secrets. Called with an answer of the contract, it gives it without them.

    Raises Repeated when one stands in a record or in what is acted on. `logins` are no secrets, so what a secret shares
    with one of them is no piece of it.
    """

    def __init__(self, *secrets: str, logins: Iterable[str] = ()) -> None:
        known = "\0".join(logins)
        forms = {form for one in secrets for part in _parts(one) for form in _forms(part, known)}
        # What is coded has neighbours in the same code that tell a letter or two of it: see `_cut`.
        whole = sorted({form.whole for form in forms if form.short or not form.coded}, key=len, reverse=True)
        self._exact = re.compile("|".join(map(re.escape, whole)), re.IGNORECASE) if whole else None
        short = "|".join(re.escape(form.whole) for form in forms if form.short)
        self._short = re.compile(short, re.IGNORECASE) if short else None
        self._alone = re.compile(rf"(?<!\w)(?:{short})(?!\w)") if short else None
        self._long = tuple(form for form in forms if not form.short)
        self._ends = tuple({end for form in self._long for end in (form.first, form.last)})
        self._whole = tuple({_folded(form.whole) for form in self._long})
        folded = {
            (_folded(form.whole), _folded(end)) for form in self._long for end in (form.first, form.last)
        }
        self._folded_ends = tuple({end if len(end) >= SHORTEST else whole for whole, end in folded})

    def __call__(self, value: T) -> T:
        """The same without secrets."""
        return cast("T", self._without(value)) if self.is_in_words(_as_json(value)) else value

    def refuse(self, value: Any) -> None:
        """Raise Repeated if a secret stands in this record."""
        if self.is_in_record(_joined(value)):
            raise Repeated

    def is_in_words(self, text: str) -> bool:
        """Whether a secret, a piece of one or a token stands in it, in whatever form."""
        plain = _folded(text)
        return (
            any(end in plain for end in self._folded_ends)
            or (any(word in plain for word in _TELLING) and bool(_TOKEN.search(text) or _SIGNED.search(text)))
            or (self._short is not None and bool(self._short.search(text)))
        )

    def is_in_record(self, text: str) -> bool:
        """The same where a word of the business must not be taken for one."""
        plain = _folded(text)
        return (
            any(one in plain for one in self._whole)
            or any(end in text for end in self._ends)
            or bool(_HEADER.search(text) or _SIGNED.search(text))
            or (self._alone is not None and bool(self._alone.search(text)))
        )

    def _without(self, value: Any) -> Any:
        if type(value) is str:  # a word of ours, such as `Seen`, stays what it is
            return self._text(value)
        if isinstance(value, Mapping):
            return {self._without(name): self._without(one) for name, one in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self._without(one) for one in value)
        if isinstance(value, Exhibit) and value.media_type.startswith("text/"):
            content = "\n".join(map(self._text, _lines(value)))
            return Exhibit(self._text(value.name), value.media_type, content.encode())
        if isinstance(value, _ANSWERS):
            records = _RECORDS.get(type(value), ())
            self.refuse([getattr(value, name) for name in records])
            fields = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
            kept = {*records, *(name for of, name in _OURS if of is type(value))}
            said = {name: self._without(one) for name, one in fields.items() if name not in kept}
            return dataclasses.replace(value, **said)
        return value

    def _text(self, said: str) -> str:
        if self._exact is not None:
            said = self._exact.sub(HIDDEN, said)
        said = _SIGNED.sub(HIDDEN, _TOKEN.sub(rf"\1 {HIDDEN}", said))
        for end in self._ends:
            while (at := said.find(end)) >= 0:
                said = self._cut(said, at, end)
        # What is still there stands in a form of which the place cannot be told.
        return UNTOLD if self.is_in_words(said.replace(HIDDEN, "\0")) else said

    def _cut(self, said: str, at: int, end: str) -> str:
        """Without the piece of a secret that begins or ends with what stands there: the longest, where several do."""
        begins = [_alike(said[at:], form.whole) for form in self._long if form.first == end]
        past = at + len(end)
        ends = [_alike(said[:past][::-1], form.whole[::-1]) for form in self._long if form.last == end]
        start, stop = past - max([len(end), *ends]), at + max([len(end), *begins])
        if any(form.coded for form in self._long if end in (form.first, form.last)):
            start -= _run(said[:start][::-1])
            stop += _run(said[stop:])
        return said[:start] + HIDDEN + said[stop:]


def _run(text: str) -> int:
    """How many characters of a code it begins with."""
    found = _CODED.match(text)
    return found.end() if found is not None else 0


def _alike(one: str, other: str) -> int:
    """How many characters they begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (here, there) in pairs if here != there), min(len(one), len(other)))


def leaves(value: Any) -> Iterator[str]:
    """Every text and number in it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)
    else:
        for one in _inside(value):
            yield from leaves(one)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return chain.from_iterable(value.items())
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, Exhibit):
        return value.name, *(_lines(value) if value.media_type.startswith("text/") else ())
    if isinstance(value, _ANSWERS):
        return (getattr(value, one.name) for one in dataclasses.fields(value))
    return ()


def _lines(exhibit: Exhibit) -> list[str]:
    return exhibit.content.decode(errors="replace").split("\n")


def _as_json(value: Any) -> str:
    """All of it as one text, quickly: nearly every answer has nothing to hide."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else list(_inside(value))


def _joined(value: Any) -> str:
    return "\0".join(leaves(value))


def _folded(text: str) -> str:
    """Without what encodings, cases and white space make of it; a text and all its encodings fold to the same."""
    for _ in range(4):
        before = text
        if "&" in text:
            text = html.unescape(text)
        if "%" in text:
            text = unquote(text)
        if "\\" in text:
            text = _ESCAPED.sub(_unescaped, text)
        if text == before:
            break
    return _BLANK.sub("", text).casefold()


def _unescaped(found: re.Match[str]) -> str:
    said = found[1]
    if len(said) > 1:
        return chr(int(said[1:], 16))
    return " " if said in "bfnrt" else said


def _parts(secret: str) -> Iterator[str]:
    """The texts in a secret: its lines but those about a key, several with spaces between, the values of JSON.

    Of JSON not the addresses, nor itself: it begins with the name of its first value.
    """
    try:
        content = json.loads(secret)
    except ValueError:
        content = None
    if isinstance(content, Mapping):
        told = [str(one) for one in content.values() if isinstance(one, (str, int))]
        lines = [
            line for one in told if not one.startswith(("http://", "https://")) for line in one.splitlines()
        ]
    else:
        lines = secret.splitlines()
    for line in lines:
        if not line.startswith("-----"):
            yield line
        if line.startswith("whsec_"):
            yield from (part.removeprefix("whsec_") for part in line.split())


def in_addresses(options: Any) -> Iterator[str]:
    """What stands behind a question mark in the addresses among a connection's options."""
    if isinstance(options, str) and "://" in options:
        yield from (value for _, value in parse_qsl(urlsplit(options).query))
    elif isinstance(options, Mapping):
        for one in options.values():
            yield from in_addresses(one)


class Form(NamedTuple):
    """One way to write a secret down, and its ends: what is left of it when it is cut short."""

    whole: str
    first: str
    last: str
    short: bool
    coded: bool = False


def _forms(text: str, known: str) -> Iterator[Form]:
    """As it may come back: plain, in an address, in JSON, in HTML, in hexadecimal, or inside something in base64.

    What is `known` anyway is no end of it.
    """
    short, raw = len(text) < PIECE, text.encode()
    if len(text) < SHORTEST:
        return
    first, last = (text if end in known else end for end in (text[:PIECE], text[-PIECE:]))
    for write in _WRITTEN:
        yield Form(write(text), write(first), write(last), short)
    written = raw.hex()
    yield Form(written, written[: PIECE * 2], written[-PIECE * 2 :], short)
    for skipped in range(3):
        whole = raw[skipped : skipped + (len(raw) - skipped) // 3 * 3]
        for code in (b64encode, urlsafe_b64encode) if len(whole) >= SHORTEST else ():
            one = code(whole).decode()
            yield Form(one, one[: PIECE * 4 // 3], one[-PIECE * 4 // 3 :], short, coded=True)


_WRITTEN: tuple[Callable[[str], str], ...] = (
    str,
    quote,
    partial(quote, safe=""),
    quote_plus,
    html.escape,
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
)
