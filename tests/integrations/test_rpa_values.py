"""What the robot reads of many fields at once is what it would read of each, and as strictly."""

from __future__ import annotations

import pytest
from playwright.sync_api import Error, Page

from integrations.rpa import tryton_80 as screen

FORM = """
<label for="a">Number:</label><input id="a" value=" 17 ">
<span id="t">Created
  by:</span><input aria-labelledby="t" value="robot">
<label for="s">State:</label><select id="s"><option>Draft</option><option selected> Waiting </option></select>
<label for="n">Numbering:</label><input id="n" value="other">
"""
LABELS = ("Number", "State", "Created by")


def test_many_fields_are_read_at_once_as_one_by_one(page: Page) -> None:
    page.set_content(FORM)
    shown = screen.values(page, LABELS)
    assert shown == {"Number": "17", "State": "Waiting", "Created by": "robot"}
    assert shown == {label: screen.value(page, label) for label in LABELS}
    page.locator("#a").fill("18")
    assert screen.values(page, LABELS)["Number"] == "18"


@pytest.mark.parametrize(
    "twice",
    ['<label for="b">Number:</label><input id="b" value="99">', '<input aria-label="Number:" value="9">'],
)
def test_two_fields_of_one_label_end_it(page: Page, twice: str) -> None:
    page.set_content(FORM + twice)
    with pytest.raises(Error, match="strict mode violation"):
        screen.values(page, LABELS)


def test_a_field_that_is_not_there_ends_it(page: Page) -> None:
    page.set_default_timeout(300)
    page.set_content(FORM)
    with pytest.raises(Error):
        screen.values(page, (*LABELS, "Reference"))
