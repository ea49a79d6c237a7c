"""How values and strangers' text look to a person: nothing hidden, nothing that can be read two ways.

Text from agents and systems is inert: escaped, isolated from its surroundings, cut to a length, and every code
point that a person cannot see or would take for another is shown as a box with its name (the attacks are those
of Trojan Source, CVE-2021-42574, and of UTS 39: invisible and reordering characters, look-alikes, mixed scripts,
digits of other scripts, floods of combining marks).

Numbers are grouped with narrow spaces and have a point, so that 1.000 and 1,000 cannot be confused; dates name
their month; money always has its currency and quantities their unit.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from integrations.contract import Field, Kind

NARROW = "\N{NARROW NO-BREAK SPACE}"
EMPTY = "\N{EM DASH}"
ARROW = "\N{RIGHTWARDS ARROW}"
COMBINING_IN_A_ROW = 2
BLANK = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\u034f")
"""Invisible, though their category says letter, symbol or mark."""
SELECTORS = (("\ufe00", "\ufe0f"), ("\U000e0100", "\U000e01ef"), ("\u180b", "\u180f"))
"""Variation selectors: invisible marks that change how the character before them is drawn."""
HARMLESS = frozenset("\u2026\u00aa\u00ba\u00b5\u03bc\u03a9\u2126\u0394\u03c0")
"""The ellipsis, ordinal signs, micro, ohm, delta and pi: plants write them, and they are taken for nothing else."""
LOOKS_LATIN = frozenset(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u0410\u0412\u0415\u041a\u041c\u041d\u041e"
    "\u0420\u0421\u0422\u0425\u0406\u0408\u0405\u03bf\u03c1\u03bd\u03b9\u03ba\u03b1\u0391\u0392\u0395\u0396\u0397"
    "\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u0443\u04cf\u051b\u051d\u0475\u0261"
)
"""Cyrillic and Greek letters that most typefaces draw like Latin ones."""
TOGETHER = (frozenset({"CJK", "HIRAGANA", "KATAKANA", "LATIN"}), frozenset({"CJK", "HANGUL", "LATIN"}))
"""Scripts that ordinary words of one language mix."""
WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
DIGIT_LIKE = re.compile(r"^(?=.*[0-9])(?=.*[OolI])[0-9OolI.,]{2,}$")
NEAR_DIGIT = re.compile(r"[0-9][OolI]|[OolI][0-9]")
SHORT = 600


@dataclass(frozen=True)
class Piece:
    """A stretch of text, or what is wrong with it. `kind` is text, char or word; `why` names it for people."""

    kind: str
    text: str
    why: str = ""


def pieces(text: str) -> Iterator[Piece]:
    """Take text apart: what is plain, each code point that hides, and each word that imitates another."""
    start = 0
    for word in WORD.finditer(text):
        if why := _imitates(word.group()):
            yield from _by_character(text[start : word.start()])
            yield Piece("word", word.group(), why)
            start = word.end()
    yield from _by_character(text[start:])


def suspicious(text: str) -> list[str]:
    """What is wrong with a text, in words; nothing for a plain one."""
    return [piece.why for piece in pieces(text) if piece.kind != "text"]


def plain(text: object) -> SafeString:
    """Strangers' text as inert HTML with everything that hides made visible. HTML of ours passes as it is."""
    if isinstance(text, SafeString):
        return text
    value = "" if text is None else str(text)
    if value.isascii() and value.isprintable() and not NEAR_DIGIT.search(value):
        return format_html("{}", value)
    return format_html("<bdi>{}</bdi>", format_html_join("", "{}", ((_html(one),) for one in pieces(value))))


def calm(text: str) -> str:
    """The same text with at most one empty line in a row, so that nothing can be pushed out of sight."""
    return re.sub(r"\n\s*\n\s*(\n\s*)+", "\n\n", text.replace("\r\n", "\n")).strip()


def name_of(character: str) -> str:
    """A code point's number and name, such as "U+202E RIGHT-TO-LEFT OVERRIDE"."""
    return f"U+{ord(character):04X} {unicodedata.name(character, 'unnamed').title()}"


def _html(piece: Piece) -> SafeString:
    if piece.kind == "char":
        return format_html('<span class="mark-char">{}</span>', piece.why)
    if piece.kind == "word":
        inside = format_html_join("", "{}", ((_html(one),) for one in _by_character(piece.text)))
        return format_html(
            '<mark class="mark-word">{}</mark> <span class="mark-char">{}</span>', inside, piece.why
        )
    return format_html("{}", piece.text)


def _by_character(text: str) -> Iterator[Piece]:
    held: list[str] = []
    marks = flood = 0
    for character in [*text, ""]:
        if character and unicodedata.combining(character):
            marks += 1
            if marks > COMBINING_IN_A_ROW:
                flood += 1
                continue
        else:
            if flood:
                yield Piece("text", "".join(held))
                yield Piece("char", "", f"{flood} more combining marks")
                held, flood = [], 0
            marks = 0
        if character and _hides(character):
            yield Piece("text", "".join(held))
            yield Piece("char", character, name_of(character))
            held = []
        else:
            held.append(character)
    if any(held):
        yield Piece("text", "".join(held))


@lru_cache(maxsize=4096)
def _hides(character: str) -> bool:
    """Whether a person cannot see this code point, or would take it for another character."""
    if " " <= character <= "~" or character in "\n\t" or character in HARMLESS:
        return False
    category = unicodedata.category(character)
    if category in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"} or character in BLANK:
        return True
    if any(first <= character <= last for first, last in SELECTORS):
        return True
    if category == "Nd":
        return True
    folded = unicodedata.normalize("NFKC", character)
    return category[0] in "LP" and folded != character and folded.isascii()


def _imitates(word: str) -> str:
    """Why a word is not what it looks like, or ""."""
    if word.isascii():
        return "letters that look like digits" if DIGIT_LIKE.match(word) else ""
    letters = [one for one in word if one.isalpha() and one not in HARMLESS]
    scripts = {_script(one) for one in letters}
    if len(scripts) > 1 and not any(scripts <= usual for usual in TOGETHER):
        strange = min(scripts - {"LATIN"}, key=lambda script: sum(_script(one) == script for one in letters))
        which = next(one for one in letters if _script(one) == strange)
        return f"mixes {' and '.join(sorted(one.title() for one in scripts))}: {name_of(which)}"
    if letters and scripts <= {"CYRILLIC", "GREEK"} and all(one in LOOKS_LATIN for one in letters):
        return f"looks Latin, is {scripts.pop().title()}"
    return ""


@lru_cache(maxsize=4096)
def _script(letter: str) -> str:
    name = unicodedata.name(letter, "UNNAMED")
    if name.startswith(("FULLWIDTH", "HALFWIDTH", "MATHEMATICAL", "DOUBLE-STRUCK", "CIRCLED", "SCRIPT")):
        return "LATIN" if unicodedata.normalize("NFKC", letter).isascii() else name.split()[1]
    return name.split()[0].split("-")[0]


def number(value: object, *, decimals: int = 0) -> str:
    """A decimal with narrow spaces between thousands, at least so many decimals, no other trailing zeros.

    What is no number comes back as it is, so that nothing is hidden; show it through `plain`.
    """
    try:
        exact = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    if not exact.is_finite():
        return str(value)
    whole, _, fraction = format(abs(exact), "f").partition(".")
    fraction = fraction.rstrip("0").ljust(decimals, "0")
    grouped = f"{int(whole):,}".replace(",", NARROW)
    sign = "\N{MINUS SIGN}" if exact.is_signed() else ""
    return sign + grouped + (f".{fraction}" if fraction else "")


def money(amount: object, currency: str) -> str:
    """An amount of money with its currency: "12 480.00 EUR"."""
    return f"{number(amount, decimals=2)}\N{NO-BREAK SPACE}{currency}"


def day(value: object, *, today: dt.date | None = None, weekday: bool = True) -> str:
    """A date that cannot be read two ways: "Mon 7 Dec 2026"; the year is left out when it is today's."""
    try:
        date = value if isinstance(value, dt.date) else dt.date.fromisoformat(str(value)[:10])
    except ValueError:
        return str(value)
    year = "" if today is not None and today.year == date.year else f" {date.year}"
    return f"{date:%a} {date.day} {date:%b}{year}" if weekday else f"{date.day} {date:%b}{year}"


def words(value: Any, kind: Kind, *, today: dt.date | None = None) -> SafeString:
    """A record's value as inert HTML, by the kind of its field. Never raises: what does not fit is shown as it is."""
    if value is None or value == "":
        return format_html("{}", EMPTY)
    if kind is Kind.DATE and isinstance(value, str):
        return plain(day(value, today=today))
    if isinstance(value, Mapping) and "amount" in value:
        return _with_unit(number(value["amount"], decimals=2), value.get("currency"))
    if isinstance(value, Mapping) and "value" in value:
        return _with_unit(number(value["value"]), value.get("unit"))
    if kind is Kind.CHOICE:
        return plain(str(value).replace("_", " "))
    if isinstance(value, bool):
        return format_html("{}", "yes" if value else "no")
    return plain(value)


def _with_unit(shown: str, unit: object) -> SafeString:
    return format_html("{}\N{NO-BREAK SPACE}{}", shown, plain(unit))


def change(old: Any, new: Any, field: Field) -> SafeString:
    """By how much a value moves: "+21 days", "+30 pcs (+6.7 %)"; "" where that means nothing."""
    nothing = format_html("{}", "")
    if old is None or new is None:
        return nothing
    try:
        if field.kind is Kind.DATE:
            days = (dt.date.fromisoformat(str(new)[:10]) - dt.date.fromisoformat(str(old)[:10])).days
            unit = "day" if abs(days) == 1 else "days"
            return format_html("{}\N{NO-BREAK SPACE}{}", _signed(days), unit) if days else nothing
        if field.kind in {Kind.QUANTITY, Kind.MONEY}:
            key, unit = ("value", "unit") if field.kind is Kind.QUANTITY else ("amount", "currency")
            if old[unit] != new[unit]:
                return format_html("{} {} {}", plain(old[unit]), ARROW, plain(new[unit]))
            before, after = Decimal(old[key]), Decimal(new[key])
            moved = _with_unit(
                _signed(after - before, decimals=2 if field.kind is Kind.MONEY else 0), new[unit]
            )
            if not before:
                return moved
            share = _signed((after - before) / abs(before) * 100, places=1)
            return format_html("{} ({}\N{NO-BREAK SPACE}%)", moved, share)
    except (KeyError, TypeError, ValueError, InvalidOperation):
        return nothing
    return nothing


def duration(seconds: float) -> str:
    """About how long, in one unit a person thinks in: "40 min", "6 h", "3 days"."""
    minutes = int(abs(seconds)) // 60
    if minutes < 1:
        return "under a minute"
    if minutes < 2 * 60:
        return f"{minutes}\N{NO-BREAK SPACE}min"
    if minutes < 48 * 60:
        return f"{minutes // 60}\N{NO-BREAK SPACE}h"
    return f"{minutes // (24 * 60)}\N{NO-BREAK SPACE}days"


def _signed(value: Decimal | int, *, decimals: int = 0, places: int | None = None) -> str:
    exact = Decimal(value)
    if places is not None:
        exact = round(exact, places)
    return ("+" if exact > 0 else "") + number(exact, decimals=decimals)
