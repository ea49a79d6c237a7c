"""What an auditor does with a case: finds it, reads it, follows its chain back, takes proof and copies away."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import expect

from console.environment import ROOT
from tests.journeys.person import PATIENCE_MS, Person


def finds_it_in_the_log(auditor: Person, ref: str) -> None:
    """From the navigation, by the reference on the paper in hand, to the newest entry about it."""
    auditor.page.get_by_role("navigation", name="Main").get_by_role("link", name="Audit").click()
    auditor.page.get_by_label("Words, reference or order").fill(ref)
    auditor.page.get_by_role("button", name="Show").click()
    expect(auditor.page).to_have_url(re.compile(f"text={ref}"))
    entries = auditor.page.get_by_role("region", name="Entries").get_by_role("listitem")
    for entry in entries.all():
        expect(entry).to_contain_text(ref)
    entries.first.get_by_role("link").click()


def follows_the_chain(auditor: Person) -> int:
    """From the entry on screen back to the first of its chain; gives how many there are."""
    seen = 1
    while True:
        auditor.sees("matches its hash")
        before = auditor.page.get_by_role("link", name="Before", exact=True)
        if before.count() == 0:
            auditor.sees("first of its chain")
            return seen
        here = auditor.page.url
        before.click()
        expect(auditor.page).not_to_have_url(here)
        seen += 1


def takes_a_receipt(auditor: Person, folder: Path) -> str:
    """What the receipt of the entry on screen proves, away from the console, with nothing but the log's key."""
    button = auditor.page.get_by_role("link", name="Take a receipt")
    expect(button).to_be_visible(timeout=PATIENCE_MS)
    with auditor.page.expect_download() as taken:
        button.click()
    receipt = folder / "receipt"
    taken.value.save_as(receipt)
    key = auditor.main.get_by_text(re.compile(r"^\S+\+[0-9a-f]{8}\+\S+$")).inner_text()
    done = subprocess.run(
        [sys.executable, ROOT / "static" / "verify_receipt.py", receipt, key],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def exports_csv(auditor: Person, folder: Path) -> list[str]:
    """The verbs of the rows that the log's page hands out for a spreadsheet."""
    text = _exported(auditor, "CSV", folder)
    return [row["verb"] for row in csv.DictReader(text.splitlines())]


def exports_ndjson(auditor: Person, folder: Path) -> list[str]:
    """The verbs of the entries that the log's page hands out for a program; each names the hash of the one before."""
    entries = [json.loads(line) for line in _exported(auditor, "NDJSON", folder).splitlines()]
    assert [one["previous"] for one in entries] == ["", *(one["hash"] for one in entries[:-1])]
    return [one["body"]["verb"] for one in entries]


def _exported(auditor: Person, form: str, folder: Path) -> str:
    with auditor.page.expect_download() as taken:
        auditor.page.get_by_role("link", name=form, exact=True).click()
    path = folder / f"audit.{form.lower()}"
    taken.value.save_as(path)
    return path.read_text(encoding="utf-8")
