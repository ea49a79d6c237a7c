"""The last door: a robot at the screens of Tryton 8.0, for a plant whose ERP offers no other way to write.

Options of a connection: `url`, `database`, `timeout` in seconds for anything the screen does (20 unless given),
`company` as the screen must show it, `masked`: labels of fields that no picture may show ("Cost" unless given),
`chromium` where it is not on the PATH.

What is written and how: see `production_order_reschedule`. Effect class: guarded. The web client sends, with the
save, the stamp that its form was read with, and the gate lets nothing else through; the server refuses another.

How `find` decides: a new sitting reads the screen. The stamp of before: absent. Another stamp, the approved values,
and the logs name the robot's account as the last to change it: present. Anything else is for a person.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import Error as BrowserError

from integrations.contract import (
    Account,
    Adapter,
    AdapterError,
    Carried,
    EffectClass,
    Exhibit,
    Finding,
    InDoubt,
    Level,
    Note,
    ProbeReport,
    Reading,
    ReadTool,
    Receipt,
    Rejected,
    Seen,
    Snapshot,
    Sought,
    Stale,
    Step,
    SystemChange,
    Trace,
    TransactionType,
    Unavailable,
    Unsupported,
)
from integrations.rpa import probing
from integrations.rpa import production_order_reschedule as script
from integrations.rpa import tryton_80 as screen
from integrations.rpa.browser import Otherwise, Sitting, first_line, sit
from integrations.rpa.gate import Gate

CARRIES = "production_order_reschedule"
MASKED = ("Cost",)
SETTLE = dt.timedelta(seconds=30)
"""Tryton shows a write at once; this covers one that was still at work when its answer was given up."""


class RobotReader:
    """Looks at screens, and has nothing to write with."""

    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        self._options, self._account = {"masked": MASKED, **options}, account

    def read(self, tool: ReadTool, arguments: Any) -> Reading:
        """The robot answers no read tool: use another path."""
        del arguments
        raise Unsupported(f"The robot has no answer to {tool.name}.")

    def snapshot(self, type_: TransactionType, payload: Any) -> Snapshot:
        """The order as its screen shows it, with pictures."""
        _carried(type_)
        with self._sitting() as sitting:
            return script.snapshot(sitting, self._options, self._account, payload)

    def ping(self) -> None:
        """Return if the web client is served. Asked every minute, so without a browser and without signing in."""
        try:
            answer = httpx.get(str(self._options["url"]), timeout=5, trust_env=False, follow_redirects=False)
        except httpx.HTTPError as error:
            raise Unavailable(f"The web client does not answer ({type(error).__name__}).") from None
        if answer.status_code != httpx.codes.OK or "<title>Tryton</title>" not in answer.text:
            raise Unavailable("What answers there is not Tryton's web client.")

    def describe(self) -> Mapping[str, Any]:
        """What the screen says of itself."""
        with self._sitting() as sitting:
            self._open(sitting, "")
            return {"name": "Tryton", "version": screen.SERIES, "account": self._account.login}

    def close(self) -> None:
        """Nothing is kept between sittings."""

    def _open(self, sitting: Sitting, path: str) -> None:
        url, database = str(self._options["url"]), str(self._options["database"])
        screen.open_address(sitting, url, database, self._account, path)

    @contextlib.contextmanager
    def _sitting(self) -> Iterator[Sitting]:
        """One sitting that writes nothing; what goes wrong in it becomes the contract's words, with the evidence."""
        parts = urlsplit(str(self._options["url"]))
        gate = Gate(f"{parts.scheme}://{parts.netloc}", screen.SPEECH)
        with sit(self._options, self._account, gate) as sitting:
            try:
                yield sitting
            except AdapterError as error:
                error.exhibits = error.exhibits or _evidence(sitting)
                raise
            except Otherwise as other:
                raise Rejected(
                    f"The screen is not as the script expects: {other}; nothing was written.",
                    evidence={"alarm": f"At the screen: {other}."} if gate.held else {},
                    exhibits=_evidence(sitting),
                ) from None
            except BrowserError as error:
                held = f" The gate held back {', '.join(gate.held)}." if gate.held else ""
                raise Unavailable(
                    f"The screen did not come along: {first_line(error)}; nothing was sent.{held}",
                    exhibits=_evidence(sitting),
                ) from None


class RobotWriter(RobotReader):
    """Works at screens with the account of one transaction type."""

    def plan(
        self, type_: TransactionType, payload: Any, snapshot: Snapshot, reference: str
    ) -> tuple[Step, ...]:
        """What the robot must find, type and click, and the one write that may come of it."""
        del reference  # a production has no field for it
        _carried(type_)
        return script.plan(payload, snapshot)

    def rehearse(self, step: Step) -> tuple[Finding, ...]:
        """Everything but the click: the screen opens, is the approved one, shows every old value, and takes the new.

        The gate lets no write through, and what was typed is gone with the sitting.
        """
        with self._sitting() as sitting:
            script.assert_shown(sitting, self._options, self._account, step)
            script.type_in(sitting, step)
        text = "The robot rehearsed it at the screen up to the click, as the account that would write."
        return (Finding("screen.rehearsed", Level.INFO, text),)

    def commit(
        self,
        step: Step,
        *,
        expect: Mapping[str, str],
        reference: str,
        note: Note,
    ) -> Receipt:
        """Open, assert, evidence, fill, assert, evidence, note, one click, assert, evidence."""
        del reference
        request = step.request
        document = str(request.get("document", ""))
        if request.get("method") != "write" or request.get("model") != script.MODEL:
            raise Unsupported("The robot has no script for this step.")
        if not expect.get(document):
            raise Rejected(f"There is no stamp to compare with for {document}, so nothing was sent.")
        number = int(request["records"][0])
        with self._sitting() as sitting:
            script.assert_shown(sitting, self._options, self._account, step)
            if screen.stamps(sitting, script.MODEL, number) != {document: expect[document]}:
                raise Stale(f"Somebody changed {document} since it was approved; nothing was written.")
            script.type_in(sitting, step)
            note(
                {"about": "point of no return: the robot clicks Save", "evidence": _told(sitting.exhibits)},
                tuple(sitting.exhibits),
            )
            noted = len(sitting.exhibits)
            with _after_the_click(sitting, noted):
                heard = len(sitting.heard)
                screen.save(sitting, {**request, "stamps": {document: expect[document]}})
                screen.saved(sitting)
                wanted = {**request["type"]}
                sitting.hold(
                    "the saved form",
                    lambda: screen.values(sitting.page, wanted),
                    wanted,
                )
                stamps = screen.stamps(sitting, script.MODEL, number, after=heard)
                if stamps is None:
                    raise Otherwise("the form was not read anew after the save")
                sitting.calm()
                sitting.keep("After: the order as it was saved")
                sent = [one.method for one in sitting.gate.passed]
                if sent != [f"model.{script.MODEL}.write"]:
                    raise Otherwise(f"the screen sent {sent}")
                label = f"{request['must_show']['number'] or number} {request['must_show']['product']}"
                evidence = {
                    "account": self._account.login,
                    "script": request["screen"]["script"],
                    "screen": request["screen"]["fingerprint"],
                    "sent": sent,
                    "evidence": _told(sitting.exhibits),
                }
                return Receipt(str(number), label, stamps, evidence, tuple(sitting.exhibits[noted:]))

    def find(self, sought: Sought) -> Trace:
        """What a new sitting sees."""
        _carried(sought.type)
        number = int(sought.snapshot.target)
        name = f"{script.MODEL},{number}"
        with self._sitting() as sitting:
            shown = script.look(sitting, self._options, self._account, number)
            stamps = screen.stamps(sitting, script.MODEL, number) or {}
            logs = screen.logs(sitting, script.TITLE)
        record = script.record_of(shown)
        if stamps == {name: sought.snapshot.stamps.get(name)}:
            return Trace(Seen.ABSENT, record=record, stamps=stamps, text="The stamp is that of before.")
        label = f"{record.fields['number'] or number} {record.fields['product']}"
        if logs.changed_by != self._account.login:
            text = f"{label} was changed last by {logs.changed_by}, at {logs.changed_at} UTC."
            return Trace(Seen.UNCLEAR, record=record, stamps=stamps, text=text)
        if dict(record.fields) != dict(sought.expected.fields):
            text = f"{label} is neither as before nor as approved, and the robot changed it last."
            return Trace(Seen.UNCLEAR, record=record, stamps=stamps, text=text)
        evidence = {"changed_by": logs.changed_by, "changed_at": logs.changed_at}
        return Trace(Seen.PRESENT, Receipt(str(number), label, stamps, evidence), record, stamps)

    def changes(self, since: dt.datetime) -> Sequence[SystemChange]:
        """The screens show no log of an account's writes over all records."""
        del since
        raise Unsupported("The screens show no log of an account's writes; ask by another path.")

    def probe(self, types: Sequence[TransactionType]) -> ProbeReport:
        """Try at the screen what must be refused."""
        for type_ in types:
            _carried(type_)
        with self._sitting() as sitting:
            return probing.probe(sitting, self._options, self._account)


def _evidence(sitting: Sitting) -> tuple[Exhibit, ...]:
    with contextlib.suppress(BrowserError):
        sitting.keep("Where it ended")
    return tuple(sitting.exhibits)


def _told(exhibits: Sequence[Exhibit]) -> list[dict[str, str]]:
    return [{"shows": one.name, "type": one.media_type, "sha256": one.sha256} for one in exhibits]


@contextlib.contextmanager
def _after_the_click(sitting: Sitting, noted: int) -> Iterator[None]:
    """From here on only a clear answer of the system says what happened; everything else is in doubt."""
    try:
        yield
    except AdapterError as error:
        error.exhibits = _evidence(sitting)[noted:]
        raise
    except (Otherwise, BrowserError) as error:
        words = str(error) if isinstance(error, Otherwise) else first_line(error)
        alarm = (
            {"alarm": f"After Save the screen did what was not expected: {words}."}
            if sitting.gate.held
            else {}
        )
        raise InDoubt(
            f"It was saved, and the screen does not confirm it: {words}.",
            evidence=alarm,
            exhibits=_evidence(sitting)[noted:],
        ) from None


def _carried(type_: TransactionType) -> None:
    if type_.name != CARRIES:
        raise Unsupported(f"The robot has no script for {type_.name}.")


_Open = Callable[[Mapping[str, Any], Account], RobotWriter]

ADAPTER = Adapter(
    name="rpa",
    title="Screen robot at Tryton",
    path="screens of Tryton 8.0",
    levels=frozenset({4}),
    tools=frozenset(),
    types={
        CARRIES: Carried(
            EffectClass.GUARDED,
            note="A robot types it at the screen and saves once; the save carries the record's stamp.",
        )
    },
    settle=SETTLE,
    verified="Tryton 8.0 with its web client",
    reader=RobotReader,
    writer=RobotWriter,
    last_door=True,
)
