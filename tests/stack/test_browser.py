"""The browser that the tests of pages use."""

import pytest
from playwright.sync_api import Page

from tests.conftest import watch_for_faults

POLICY = "<meta http-equiv='Content-Security-Policy' content=\"script-src 'self'\">"


def test_a_page_without_faults_passes(strict_page: Page) -> None:
    strict_page.set_content("<h1>Calm</h1>")
    assert strict_page.get_by_role("heading").inner_text() == "Calm"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("<script>console.error('loud')</script>", "loud"),
        ("<script>throw new Error('broken')</script>", "broken"),
        (POLICY + "<script>1</script>", "Content Security Policy"),
        ("<img src='http://stranger.invalid/a.png'>", "foreign request http://stranger.invalid/a.png"),
    ],
)
def test_every_fault_is_noticed(page: Page, content: str, fault: str) -> None:
    faults = watch_for_faults(page)
    page.goto("data:text/html," + content)
    page.wait_for_load_state("load")
    assert any(fault in found for found in faults), faults
