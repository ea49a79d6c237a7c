"""What strangers write and what values look like: nothing hides, nothing can be read two ways."""

from __future__ import annotations

import pytest

from console.web import rendering
from integrations.contract import Field, Kind

HIDES = {
    "right-to-left override": "abc\u202edcba",
    "left-to-right override": "abc\u202d123",
    "embedding": "abc\u202babc\u202c",
    "isolates": "a\u2066b\u2069c",
    "first strong isolate": "a\u2068b",
    "right-to-left mark": "a\u200fb",
    "arabic letter mark": "a\u061cb",
    "zero width space": "pay\u200bpal",
    "zero width joiner": "a\u200db",
    "zero width non-joiner": "a\u200cb",
    "word joiner": "a\u2060b",
    "byte order mark": "\ufeffabc",
    "soft hyphen": "ac\u00adcount",
    "tag characters": "ok\U000e0041\U000e0042",
    "variation selector": "x\ufe0fy",
    "supplementary variation selector": "x\U000e0100y",
    "mongolian vowel separator": "a\u180eb",
    "mongolian variation selector": "a\u180bb",
    "combining grapheme joiner": "a\u034fb",
    "hangul filler": "a\u3164b",
    "half-width hangul filler": "a\uffa0b",
    "braille blank": "a\u2800b",
    "no-break space": "1\u00a0000",
    "em space": "a\u2003b",
    "ideographic space": "a\u3000b",
    "line separator": "a\u2028b",
    "paragraph separator": "a\u2029b",
    "escape": "a\x1b[31mb",
    "backspace": "1000\x08\x08",
    "carriage return": "safe\rEVIL",
    "nul-like control": "a\x01b",
    "next line": "a\u0085b",
    "private use": "a\ue000b",
    "unassigned": "a\u0378b",
    "interlinear annotation": "a\ufff9b",
    "combining flood": "Z\u0301\u0302\u0303\u0304\u0305\u0306",
    "arabic-indic digits": "\u0661\u0662\u0663",
    "devanagari digits": "\u0967\u0968",
    "full-width digits": "\uff11\uff10\uff10",
    "full-width letters": "\uff41dmin",
    "mathematical letters": "\U0001d41aapproved",
    "ligature": "o\ufb03ce",
    "one dot leader": "a\u2024b",
}
IMITATES = {
    "cyrillic a in a Latin word": "p\u0430ypal",
    "cyrillic in a supplier": "H\u043elzhandel",
    "greek omicron": "T\u03bfral",
    "cyrillic IBAN": "\u0415S91",
    "whole word cyrillic": "\u0441\u043e\u0440\u0443",
    "whole word greek": "\u0391\u0392\u0395",
    "letter O among digits": "1O0",
    "letter l among digits": "l00",
    "letter I among digits": "1I.50",
    "latin and armenian": "\u0561dmin",
    "latin and cherokee": "\u13aalice",
}
HONEST = (
    "Board arrives on Monday; move the start by two days.",
    "Müller & Söhne, Gärtnerstraße 12",
    "Ødegård ÅS, Łódź, Čapek, İzmir",
    "Москва, улица Ленина",
    "Ελληνικά προϊόντα",
    "日本のテーブル、漢字とカナ",
    "대한민국 漢字",
    "Oak 27 mm, 12.5 m², ±0.5 °C, 45 µm, 10 kΩ",
    "“quoted” – dash — dash … 50 €",  # noqa: RUF001 the point of it
    "MO-00054, PO-31, RM-OAK-40",
)


@pytest.mark.parametrize("text", HIDES.values(), ids=HIDES.keys())
def test_what_hides_is_shown_as_a_box_with_its_name(text: str) -> None:
    assert rendering.suspicious(text), "nobody would notice this"
    shown = str(rendering.plain(text))
    assert 'class="mark-char"' in shown
    for character in text:
        if rendering._hides(character):
            assert character not in shown


@pytest.mark.parametrize("text", IMITATES.values(), ids=IMITATES.keys())
def test_a_word_that_imitates_another_is_marked(text: str) -> None:
    assert 'class="mark-word"' in str(rendering.plain(text))


@pytest.mark.parametrize("text", HONEST)
def test_honest_text_of_any_language_is_left_alone(text: str) -> None:
    assert rendering.suspicious(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<svg onload=alert(1)>",
        '"><a href="javascript:alert(1)">x</a>',
        "[click](javascript:alert(1)) ![](http://evil.example/p.png)",
        "<style>*{display:none}</style>",
        "{{ 7*7 }}{% load evil %}",
        "</blockquote></section><h1>Approved by the CFO</h1>",
        "&lt;b&gt; &#x202e;",
    ],
)
def test_active_content_is_inert(text: str) -> None:
    shown = str(rendering.plain(text + "\u200b"))
    ours = (
        shown.replace('<span class="mark-char">', "")
        .replace("</span>", "")
        .replace("<bdi>", "")
        .replace("</bdi>", "")
    )
    assert "<" not in ours
    assert ">" not in ours


def test_text_cannot_push_the_rest_of_the_page_out_of_sight() -> None:
    assert rendering.calm("a" + "\n \n" * 400 + "b") == "a\n\nb"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("1000", "1\u202f000"),
        ("1000000.50", "1\u202f000\u202f000.5"),
        ("0.0410", "0.041"),
        ("450.000", "450"),
        ("-12", "\u221212"),
        ("-0", "\u22120"),
        ("1e3", "1\u202f000"),
        ("999", "999"),
    ],
)
def test_a_number_can_be_read_one_way_only(value: str, shown: str) -> None:
    assert rendering.number(value) == shown


def test_what_is_no_number_is_shown_as_it_came() -> None:
    assert rendering.number("NaN") == "NaN"
    assert rendering.number("twelve") == "twelve"


def test_a_date_names_its_month() -> None:
    assert rendering.day("2026-02-01") == "Sun 1 Feb 2026"
    assert rendering.day("not a date") == "not a date"


def test_money_has_its_currency_and_quantities_their_unit() -> None:
    assert rendering.words({"amount": "12480", "currency": "EUR"}, Kind.MONEY) == "12\u202f480.00\u00a0EUR"
    assert rendering.words({"value": "12", "unit": "pcs"}, Kind.QUANTITY) == "12\u00a0pcs"


def test_a_unit_from_a_stranger_is_inert() -> None:
    assert "<b>" not in rendering.words({"value": "12", "unit": "<b>kg</b>"}, Kind.QUANTITY)
    assert 'class="mark-char"' in rendering.words({"value": "12", "unit": "k\u200bg"}, Kind.QUANTITY)


@pytest.mark.parametrize(
    ("kind", "old", "new", "by"),
    [
        (Kind.DATE, "2026-12-12", "2026-12-19", "+7\u00a0days"),
        (Kind.DATE, "2026-12-12", "2026-12-11", "\u22121\u00a0day"),
        (
            Kind.QUANTITY,
            {"value": "450", "unit": "pcs"},
            {"value": "480", "unit": "pcs"},
            "+30\u00a0pcs (+6.7\u00a0%)",
        ),
        (
            Kind.MONEY,
            {"amount": "10", "currency": "EUR"},
            {"amount": "9.5", "currency": "EUR"},
            "\u22120.50\u00a0EUR (\u22125\u00a0%)",
        ),
        (Kind.QUANTITY, {"value": "1", "unit": "kg"}, {"value": "1", "unit": "g"}, "kg \u2192 g"),
        (Kind.TEXT, "a", "b", ""),
        (Kind.DATE, None, "2026-12-11", ""),
    ],
)
def test_a_change_says_by_how_much(kind: Kind, old: object, new: object, by: str) -> None:
    assert rendering.change(old, new, Field("f", "F", kind)) == by
