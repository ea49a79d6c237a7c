"""Tryton's own web client (sao), series 8.0: signing in, opening a record, reading and saving a form.

What was seen on it (sao 8.0.11 on trytond 8.0.12):

- An address such as `/#database/model/production/17` asks for the login and then opens the record.
- The login dialog names the client's version; the client refuses a server of another series.
- A form shows defaults before its data arrives, so nothing counts that was not seen several times in a row, and
  nothing before the record's own `read` was answered.
- "View Logs..." tells the record's model and number, and who changed it last and when.
- Save sends one `model.<name>.write` with the fields that were touched, and in `context._timestamp` the stamp with
  which the form was read. The server refuses it when the record has another by now; the client then asks, and its
  button "Write Anyway" would send it without the stamp: never clicked, and not let through.
- Errors of the server come with status 200 as {"error": [kind, [text, ...]]}.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Error as BrowserError
from playwright.sync_api import Locator, Page, Response

from integrations.contract import (
    Account,
    AdapterError,
    InDoubt,
    NeedsPerson,
    OutOfScope,
    Rejected,
    Stale,
    Unavailable,
    Unsupported,
)
from integrations.rpa.browser import Otherwise, Sitting, first_line
from integrations.rpa.gate import Said, Speech

SERIES = "8.0"
_HARMLESS = re.compile(
    r"common\..+"
    r"|model\.res\.user\.(get_preferences|device\.renew)"
    r"|model\..+\.(read|search|search_read|search_count|name_get|fields_get|fields_view_get|view_toolbar_get"
    r"|default_get|resources|get|get_[a-z_]+|list_[a-z_]+|on_change|on_change_[a-z_]+|on_change_with[a-z_]*)"
)
_CHATTER = re.compile(r"model\.ir\.ui\.view_(tree_state|tree_width|tree_optional|search)\.set(_[a-z]+)?")
_NOT_ALLOWED = re.compile(r"^You are not allowed to |^Calling button .* is not allowed")
_STRUCTURE = re.compile(
    r"\s*- '?(textbox|combobox|checkbox|spinbutton|radio|option|tab|table|button)\b(?: \"([^\"]*)\")?"
)
_SHOWN = """fields => fields.map(field => ({
    labels: [
        ...[...(field.labels || [])].map(label => label.textContent),
        ...(field.getAttribute('aria-labelledby') || '').split(' ').map(id => document.getElementById(id)?.textContent),
        field.getAttribute('aria-label'),
    ].map(label => (label || '').trim().replace(/\\s+/g, ' ')),
    text: field.tagName === 'SELECT' ? field.selectedOptions[0].text : field.value,
}))"""
"""What fields show and by which labels they are known, as `value` reads it one by one."""
_CALL = re.compile(r"(/[^/]+)?/rpc/|/[^/]+/session/login")


@dataclass(frozen=True)
class Logs:
    """What "View Logs..." tells of a record; `changed_at` is the screen's text, in UTC."""

    model: str
    number: str
    changed_by: str
    changed_at: str


def said(url: str, body: str) -> Said | None:
    """The call in a request of the web client. ValueError for a call that is none."""
    if not _CALL.fullmatch(urlsplit(url).path):
        return None
    told = json.loads(body)
    return Said(str(told["method"]), told["params"])


def same(one: Said, expected: Mapping[str, Any]) -> bool:
    """Whether a call is the write of a step's request, for the stamps in `expected["stamps"]`, and nothing beside."""
    if one.method != f"model.{expected['model']}.write" or len(one.arguments) != 3:  # noqa: PLR2004
        return False
    records, values, context = one.arguments
    sent = {name: _plain(value) for name, value in values.items()}
    may, must = expected["values"], expected["changed"]
    return (
        records == expected["records"]
        and all(name in may and value == may[name] for name, value in sent.items())
        and all(name in sent for name in must)
        and all(
            context.get("_timestamp", {}).get(name) == stamp for name, stamp in expected["stamps"].items()
        )
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict) and value.get("__class__") == "date":
        return dt.date(value["year"], value["month"], value["day"]).isoformat()
    return value


SPEECH = Speech(
    files=r"/(dist|node_modules|images|locale|sounds)/",
    said=said,
    harmless=lambda method: _HARMLESS.fullmatch(method) is not None,
    chatter=lambda method: _CHATTER.fullmatch(method) is not None,
    same=same,
)


def open_record(sitting: Sitting, url: str, database: str, account: Account, model: str, number: int) -> None:
    """Sign in on the way to a record, and wait until its data has arrived.

    Raises Unavailable when nothing answers, OutOfScope when the account is not let in or may not see it, Rejected
    when there is no such record, Unsupported for another series.
    """
    open_address(sitting, url, database, account, f"model/{model}/{number}")
    _wait(sitting, "the record", lambda: stamps(sitting, model, number) is not None)
    path = unquote(urlsplit(sitting.page.url).fragment).partition(";")[0]
    if path != f"{database}/model/{model}/{number}":
        raise Otherwise(f"the address names {path!r}, expected is {model} {number}")


def open_address(sitting: Sitting, url: str, database: str, account: Account, path: str) -> None:
    """Sign in on the way to an address below the database."""
    page = sitting.page
    try:
        # Another address of the same page is no new page, and what this one remembers must not count.
        page.goto("about:blank")
        page.goto(f"{url.rstrip('/')}/#{database}/{path}", wait_until="domcontentloaded")
    except BrowserError as error:
        raise Unavailable(f"The web client does not open: {first_line(error)}") from None
    sitting.heard.clear()
    if sitting.signed_in:
        return
    page.get_by_role("textbox", name="User name", exact=True).fill(account.login)
    heading = page.get_by_role("dialog").get_by_role("heading").inner_text()
    if not re.fullmatch(rf"Login\s+{re.escape(SERIES)}\.\d+", heading.strip()):
        raise Unsupported(f"This script is for Tryton {SERIES}; the screen says {heading.strip()!r}.")
    chosen = page.locator("#database:visible")
    sitting.hold("the database", lambda: chosen.input_value() if chosen.count() else database, database)
    page.get_by_role("button", name="Login", exact=True).click()
    page.get_by_label(f"Password for {account.login}", exact=True).fill(account.secret)
    page.get_by_role("button", name="OK", exact=True).click()
    _wait(sitting, "signing in", lambda: page.locator(".login-dialog:visible").count() == 0)
    sitting.signed_in = True
    for cookie in page.context.cookies():
        account.hold(cookie["value"])


def _wait(sitting: Sitting, what: str, done: Any) -> None:
    for _ in range(int(sitting.patience * 10)):
        for one, response in sitting.heard:
            if one.method == "common.db.login" and response.status != 200:  # noqa: PLR2004
                raise OutOfScope("Tryton does not let the robot's account in.")
        if sitting.signed_in and (words := dialog(sitting.page)):
            raise _refused(words)
        if done():
            return
        sitting.page.wait_for_timeout(100)
    raise Unavailable(f"The screen did not come to {what} in time; nothing was sent.")


def _refused(words: str) -> AdapterError:
    if _NOT_ALLOWED.match(words):
        return OutOfScope(f"Tryton refuses the robot's account: {words}")
    return Rejected(f"Tryton's screen says: {words}")


def dialog(page: Page) -> str:
    """What a dialog on the screen says, cut; empty where there is none."""
    shown = page.locator(".modal.in:visible")
    return " ".join(shown.first.inner_text().split())[:300] if shown.count() else ""


def stamps(sitting: Sitting, model: str, number: int, *, after: int = 0) -> dict[str, str] | None:
    """The record's stamp as the form itself was told it, newest last; None before its data has come.

    `after`: how many calls were heard before those that count.
    """
    found = None
    for one, response in sitting.heard[after:]:
        if one.method != f"model.{model}.read" or number not in one.arguments[0]:
            continue
        told = answer(response)
        if told is None:
            raise Otherwise("what the form was told cannot be read")
        if (error := told.get("error")) is not None:
            raise _error(error)
        for row in told.get("result") or ():
            if row["id"] == number and "_timestamp" in row:
                found = {f"{model},{number}": str(row["_timestamp"])}
    return found


def field(place: Page | Locator, label: str) -> Locator:
    """The one field with this label; more than one is an error of the browser's, and ends the sitting."""
    return place.get_by_label(f"{label}:", exact=True)


def value(place: Page | Locator, label: str) -> str:
    """What a field shows: its text, or the words of its choice."""
    one = field(place, label)
    if one.evaluate("e => e.tagName") == "SELECT":
        return one.locator("option:checked").inner_text().strip()
    return one.input_value().strip()


def values(place: Page | Locator, labels: Collection[str]) -> dict[str, str]:
    """What several fields show, label to text, asked of the browser in one go: looks are many, and each asks for all.

    As strict as `value`: each label has to name one field and each field one label. Where that is not plain to see,
    each is asked for by itself, which says what is wrong.
    """
    every = reduce(Locator.or_, (place.get_by_label(f"{label}:", exact=True) for label in labels))
    shown = every.evaluate_all(_SHOWN)
    found = {label: [one["text"] for one in shown if f"{label}:" in one["labels"]] for label in labels}
    if len(shown) == len(labels) and all(len(texts) == 1 for texts in found.values()):
        return {label: str(text).strip() for label, (text,) in found.items()}
    return {label: value(place, label) for label in labels}


def day(text: str) -> str | None:
    """A date as the screen writes it, in ISO 8601. Otherwise when it is none."""
    if not text:
        return None
    try:
        return dt.datetime.strptime(text, "%m/%d/%Y").date().isoformat()  # noqa: DTZ007 a day has no zone
    except ValueError:
        raise Otherwise(f"the screen writes the date {text!r}; this script reads month/day/year") from None


def typed(day_: str) -> str:
    """A date in ISO 8601 as the screen writes it."""
    return dt.date.fromisoformat(day_).strftime("%m/%d/%Y")


def signed_in_as(page: Page) -> str:
    """What the screen says who is signed in."""
    return page.get_by_role("navigation").first.get_by_role("list").get_by_role("button").inner_text().strip()


def dismiss(sitting: Sitting) -> None:
    """Answer a dialog that tells of a refusal with the button that does nothing."""
    box = sitting.page.get_by_role("dialog")
    for name in ("Cancel", "OK", "Close"):
        button = box.get_by_role("button", name=name, exact=True)
        if button.count() == 1:
            button.click()
            box.wait_for(state="hidden")
            return


def logs(sitting: Sitting, title: str) -> Logs:
    """Open "View Logs..." in the menu of this title, read it and close it again."""
    page = sitting.page
    toolbar = page.get_by_role("toolbar").first
    toolbar.get_by_role("button", name=title, exact=True).click()
    toolbar.get_by_role("menuitem", name="View Logs...", exact=True).click()
    box = page.get_by_role("dialog")
    names = ("Model", "ID", "Created by", "Created at", "Last Modified by", "Last Modified at")

    def read() -> tuple[str, ...] | None:
        found = tuple(values(box, names).values())
        return found if all(found[:4]) else None

    found = sitting.settled("the logs", read) or ("",) * len(names)
    sitting.keep("The record's logs")
    box.get_by_role("button", name="Close", exact=True).click()
    box.wait_for(state="hidden")
    model, number, created_by, created_at, changed_by, changed_at = found
    return Logs(model, number, changed_by or created_by, changed_at or created_at)


def fill(sitting: Sitting, label: str, text: str) -> None:
    """Type into a field and leave it. OutOfScope when the screen does not let this account."""
    one = field(sitting.page, label)
    if not one.is_editable():
        raise OutOfScope(f"The screen does not let the robot's account change {label}.")
    one.fill(text)
    one.press("Tab")


def structure(page: Page) -> list[str]:
    """The form's fields, choices and tabs by role and label, in order, without any value: what a script relies on."""
    tree = page.get_by_role("tabpanel").first.aria_snapshot()
    kept = []
    skip: int | None = None
    for line in tree.splitlines():
        depth = len(line) - len(line.lstrip())
        if skip is not None and depth > skip:
            continue
        skip = None
        match = _STRUCTURE.match(line)
        if match is None:
            continue
        role, label = match.group(1), match.group(2) or ""
        if role == "table":
            skip = depth
        elif role == "button":
            if label == "Save":
                kept.append("button Save")
        elif label:
            kept.append(f"{role} {label}")
    return kept


def save(sitting: Sitting, expected: Mapping[str, Any]) -> None:
    """The one click, and what came of it. The gate lets exactly `expected` through, once.

    Raises what the answer says of a refusal; Rejected when the screen sent
    nothing; InDoubt for everything else.
    """
    page = sitting.page
    before, passed = len(sitting.heard), len(sitting.gate.passed)
    button = page.get_by_role("toolbar").first.get_by_role("button", name="Save", exact=True)
    sitting.gate.expected = expected
    fault = ""
    try:
        button.click()
        for _ in range(int(sitting.patience * 10)):
            if written(sitting, before) or sitting.gate.held or dialog(page):
                break
            page.wait_for_timeout(100)
    except BrowserError as error:
        fault = first_line(error)
    sitting.gate.expected = None
    if len(sitting.gate.passed) == passed:
        why = "; ".join(sitting.gate.held) or fault or dialog(page) or "nothing happened"
        raise Rejected(
            f"The screen sent nothing that was approved ({why}); nothing was written.",
            evidence={"alarm": f"The screen wanted to send what nobody approved: {why}."}
            if sitting.gate.held
            else {},
        )
    if fault or not written(sitting, before) or (told := answer(written(sitting, before)[-1])) is None:
        raise InDoubt(f"The screen sent it and shows no answer ({fault or 'it took too long'}).")
    if (refusal := told.get("error")) is not None:
        with contextlib.suppress(BrowserError):
            # For the evidence: the answer itself says it already.
            page.get_by_role("dialog").wait_for()
        raise _error(refusal)
    if "result" not in told:
        raise InDoubt("The screen sent it, and the system's answer is none of Tryton's.")


def written(sitting: Sitting, before: int) -> list[Response]:
    """The answered writes among the calls from the one with this place on."""
    return [response for one, response in sitting.heard[before:] if one.method.endswith(".write")]


def answer(response: Response) -> dict[str, Any] | None:
    """What the system answered to a call; None when that cannot be read."""
    try:
        told = json.loads(response.text())
    except (BrowserError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def _error(error: Sequence[Any]) -> AdapterError:
    kind = str(error[0]) if error else ""
    rest = error[1] if len(error) > 1 else ""
    words = " ".join(str(part) for part in (rest[:2] if isinstance(rest, list) else [rest]) if part)[:300]
    if kind == "ConcurrencyException":
        return Stale("Tryton refused it: somebody changed the record meanwhile.")
    if kind == "UserWarning":
        return NeedsPerson(f"Tryton asks: {words}")
    if kind == "UserError":
        return _refused(words)
    return InDoubt(f"Tryton answered with an error: {kind[:100]}")


def saved(sitting: Sitting) -> None:
    """Otherwise unless the screen confirms the save: it says so, nothing is left to save, and it asks nothing."""
    page = sitting.page
    page.get_by_text("Record saved.", exact=True).wait_for()
    sitting.hold(
        "nothing left to save",
        page.get_by_role("toolbar").first.get_by_role("button", name="Save", exact=True).is_disabled,
        expected=True,
    )
    if words := dialog(page):
        raise Otherwise(f"after the save a dialog says {words!r}")
