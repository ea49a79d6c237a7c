"""A live connection to a middleware: it takes messages, and shows nothing.

Options of a connection:

    endpoints      transaction type -> the address of its flow; each has a secret of its own (its account's)
    answers_within seconds until an accepted message must have been answered; an hour unless given
    own_network    true: the endpoints are in the plant's own network, so private addresses and plain HTTP are right
    timeout        seconds that one message may take, 20 unless given, at most 30
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from standardwebhooks import Webhook

from integrations.contract import (
    Accepted,
    Account,
    Carried,
    Finding,
    Note,
    ProbeReport,
    Reading,
    ReadTool,
    Record,
    Rejected,
    Seen,
    Snapshot,
    Sought,
    Step,
    SystemChange,
    Trace,
    TransactionType,
    Unsupported,
)
from integrations.middleware import client, probing, signing

ANSWERS_WITHIN = 3600
TIMEOUT, LONGEST_TIMEOUT = 20, 30
SOURCE = "a middleware, which shows nothing"


def shown(url: str) -> str:
    """An endpoint as people may see it: what stands behind a question mark or before an @ may be a credential."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class MiddlewareReader:
    """There is nothing to read here: the connection that verifies this one reads."""

    def __init__(
        self, options: Mapping[str, Any], account: Account, *, types: Mapping[str, Carried] | None = None
    ) -> None:
        self.login = account.login
        self._types = types or {}
        self._endpoints = {str(name): str(url) for name, url in dict(options.get("endpoints", {})).items()}
        self._own_network = options.get("own_network") is True
        self._seconds = min(float(options.get("timeout", TIMEOUT)), LONGEST_TIMEOUT)
        self._answers_within = dt.timedelta(seconds=float(options.get("answers_within", ANSWERS_WITHIN)))

    def read(self, tool: ReadTool, arguments: Any) -> Reading:
        """There is nothing to ask."""
        del arguments
        raise Unsupported(f"A middleware does not answer {tool.name}; use a connection into the ERP.")

    def snapshot(self, type_: TransactionType, payload: Any) -> Snapshot:
        """An empty record, for a type that goes on the middleware's word."""
        carried = self._types.get(type_.name)
        if carried is None or not carried.on_word:
            raise Unsupported(f"A middleware does not show what {type_.name} is about.")
        target = type_.target(payload) or ""
        now = dt.datetime.now(dt.UTC)
        return Snapshot(target, f"{type_.title} {target}".strip(), Record({}), {}, {}, now, SOURCE)

    def ping(self) -> None:
        """Return if every endpoint can be connected to. Sends no message."""
        for url in sorted(set(self._endpoints.values())):
            client.reach(url, own_network=self._own_network, seconds=self._seconds)

    def describe(self) -> Mapping[str, Any]:
        """What it is; a middleware does not say."""
        return {"name": "Standard Webhooks", "version": "1.0.0", "account": self.login}

    def close(self) -> None:
        """Nothing is kept open."""


class MiddlewareWriter(MiddlewareReader):
    """Sends one type's messages, signed with its own secret."""

    def __init__(self, options: Mapping[str, Any], account: Account, *, types: Mapping[str, Carried]) -> None:
        super().__init__(options, account, types=types)
        self._keys = signing.keys(account.secret)

    def plan(
        self, type_: TransactionType, payload: Any, snapshot: Snapshot, reference: str
    ) -> tuple[Step, ...]:
        """One message. Unsupported if the type is not carried or has no endpoint."""
        where = shown(self._endpoint(type_.name))
        body = {
            "type": type_.name,
            "data": {
                "reference": reference,
                "type_version": type_.version,
                "target": snapshot.target,
                "payload": payload.model_dump(mode="json", exclude_unset=True),
            },
        }
        return (Step("send", f"Send a message to {where}", {"to": where, "body": body}),)

    def rehearse(self, step: Step) -> tuple[Finding, ...]:
        """A middleware cannot say what it would do."""
        del step
        return ()

    def commit(
        self,
        step: Step,
        *,
        expect: Mapping[str, str],
        reference: str,
        note: Note,
    ) -> Accepted:
        """Send the message, once; what it says is that it was taken. The id of the message is our reference."""
        body = step.request["body"]
        if not expect and not self._goes_on_word(body["type"]):
            raise Rejected("There is no stamp to compare with, so nothing was sent.")
        url = self._endpoint(body["type"])
        if shown(url) != step.request["to"]:
            raise Rejected("Its endpoint is another now than the one that was approved, so nothing was sent.")
        taken = self._send(
            reference,
            {**body, "data": {**body["data"], "expect": dict(expect)}},
            url=url,
            before=lambda: note({"step": step.name, "sends": body["type"], "to": shown(url)}),
        )
        handle = taken.content.get("id")
        return Accepted(
            handle if isinstance(handle, str) and handle else reference,
            self._answers_within,
            {"answer": dict(taken.evidence)},
        )

    def find(self, sought: Sought) -> Trace:
        """A middleware shows nothing of what it did."""
        del sought
        return Trace(Seen.UNCLEAR, text="A middleware shows nothing of what became of a message.")

    def changes(self, since: dt.datetime) -> Sequence[SystemChange]:
        """A middleware keeps no log that can be asked."""
        del since
        raise Unsupported(
            "A middleware keeps no log that can be asked; the ERP's own log has its account's writes."
        )

    def probe(self, types: Sequence[TransactionType]) -> ProbeReport:
        """Try what the endpoint must refuse."""
        (type_,) = types
        url = self._endpoint(type_.name)

        def send(message_id: str, body: Mapping[str, Any], **how: Any) -> object:
            return self._send(message_id, body, url=url, before=lambda: None, **how)

        return probing.probe(self.login, type_.name, send)

    def _send(
        self,
        message_id: str,
        body: Mapping[str, Any],
        *,
        url: str,
        before: Callable[[], None],
        by: tuple[Webhook, ...] | None = None,
        at: dt.datetime | None = None,
    ) -> client.Taken:
        return client.post(
            url,
            message_id,
            json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(),
            by=by or self._keys,
            own_network=self._own_network,
            seconds=self._seconds,
            before=before,
            at=at,
        )

    def _endpoint(self, type_name: str) -> str:
        if type_name not in self._types:
            raise Unsupported(f"This middleware does not carry {type_name}.")
        if type_name not in self._endpoints:
            raise Unsupported(
                f"The connection names no endpoint for {type_name}: add it to the option endpoints."
            )
        return self._endpoints[type_name]

    def _goes_on_word(self, type_name: str) -> bool:
        carried = self._types.get(type_name)
        return carried is not None and carried.on_word
