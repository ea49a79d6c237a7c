"""The canonical form: one text for one value, nothing that has two meanings."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from console.canonical import canonical, digest, text_digest

TEXT = some.text(some.characters(exclude_categories=["Cs"]))
VALUES = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: some.lists(inner) | some.dictionaries(TEXT, inner),
    max_leaves=20,
)


@given(VALUES)
def test_reading_it_gives_the_value_back_and_writing_that_gives_the_same_text(value: Any) -> None:
    text = canonical(value)
    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text


@given(some.dictionaries(TEXT, VALUES, min_size=2))
def test_the_order_of_names_changes_nothing(value: dict[str, Any]) -> None:
    assert digest(dict(reversed(value.items()))) == digest(value)


@given(VALUES, VALUES)
def test_two_values_have_one_digest_only_if_they_are_equal(one: Any, other: Any) -> None:
    assert (digest(one) == digest(other)) == (
        json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    )


def test_names_are_sorted_by_utf_16_as_the_rfc_says() -> None:
    assert canonical({"\U0001f600": 1, "\ufb33": 2, "a": 3}) == '{"a":3,"\U0001f600":1,"\ufb33":2}'


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        float("inf"),
        2**53,
        -(2**53),
        "\ud800",
        {"a": [0.5]},
        {1: "a"},
        {"a": {2}},
        b"x",
        object(),
    ],
)
def test_what_has_no_exact_meaning_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"canonical|float"):
        canonical(value)


def test_the_digest_is_sha_256_over_the_text() -> None:
    assert digest({"a": "1"}) == text_digest('{"a":"1"}')
    assert text_digest("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
