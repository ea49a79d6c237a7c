"""Sparkplug B over MQTT 3.1.1: a listener on births, data and deaths of one group, and nothing that publishes.

Options: `host`, `port`, `tls` ("none", or {"ca": path} with an optional "certificate" and "key"), `group`, `nodes`
(default all), `metrics` ({"order", "state", "good_count", "unit"}: what the plant calls them), `states` (the plant's
word for a state, to waiting, ready, running, interrupted, ended or aborted), `beat` (seconds between proofs of life).
"""

from __future__ import annotations

import datetime as dt
import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any, NoReturn

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from integrations.contract import (
    Account,
    Adapter,
    OutOfScope,
    Reading,
    ReadTool,
    Sink,
    Snapshot,
    TransactionType,
    Unavailable,
    Unsupported,
)
from integrations.sparkplug.sessions import KINDS, Group, Names

STATES = {
    "WAITING": "waiting",
    "READY": "ready",
    "RUNNING": "running",
    "HELD": "interrupted",
    "SUSPENDED": "interrupted",
    "INTERRUPTED": "interrupted",
    "ENDED": "ended",
    "COMPLETED": "ended",
    "COMPLETE": "ended",
    "ABORTED": "aborted",
}
METRICS = {"order": "JobOrder", "state": "State", "good_count": "GoodCount", "unit": "Unit"}
NOT_AUTHORISED = {"Bad user name or password", "Not authorized"}
SILENT_BEATS = 3


class Mute(mqtt.Client):
    """An MQTT client that cannot publish, not even a last will. It may only subscribe."""

    def publish(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: a listener sends no command, no birth, no rebirth request."""
        raise OutOfScope("this reader does not publish: it only listens")

    def will_set(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: the broker would publish it for us."""
        raise OutOfScope("this reader leaves no last will: it only listens")


class Floor:
    """One Sparkplug group behind one broker. See `contract.Listener`."""

    def __init__(self, options: Mapping[str, Any], account: Account) -> None:
        self._options, self._account = options, account
        self._beat = float(options.get("beat", 5))
        self._where = f"{options['host']}:{options['port']}"

    def run(self, sink: Sink, stop: threading.Event) -> None:
        """Subscribe and tell what holds; the broker's answer to each renewed subscription proves life."""
        metrics = METRICS | dict(self._options.get("metrics", {}))
        states = {
            str(word).upper(): str(state) for word, state in (self._options.get("states") or STATES).items()
        }
        group = Group(str(self._options["group"]), Names(**metrics, states=states))
        answers = _Answers()
        client = self._client(answers)

        def on_message(_: Any, __: Any, message: mqtt.MQTTMessage) -> None:
            heard = group.hear(message.topic, bytes(message.payload), retained=message.retain)
            for why in heard.refused:
                sink.refused(why)
            for sample in heard.samples:
                sink.heard(sample)

        client.on_message = on_message
        try:
            self._connect(client, answers)
            renewed, seen, silent = 0.0, 0, 0
            while not stop.is_set():
                if time.monotonic() - renewed >= self._beat:
                    silent = silent + 1 if renewed and answers.subscribed == seen else 0
                    if silent >= SILENT_BEATS:
                        raise Unavailable(
                            f"{self._where} gave no sign of life for {silent * self._beat:.0f} s"
                        )
                    seen, renewed = answers.subscribed, time.monotonic()
                    client.subscribe([(topic, 1) for topic in self._topics()])
                self._turn(client, answers)
                if answers.proofs():
                    sink.alive()
        finally:
            client.disconnect()
            client.loop(0.1)

    def ping(self) -> None:
        """Return if the broker takes this account and lets it subscribe."""
        answers = _Answers()
        client = self._client(answers)
        try:
            self._connect(client, answers)
            client.subscribe([(topic, 1) for topic in self._topics()])
            until = time.monotonic() + self._beat * SILENT_BEATS
            while not answers.proofs():
                if time.monotonic() > until:
                    raise Unavailable(f"{self._where} does not answer a subscription")
                self._turn(client, answers)
        finally:
            client.disconnect()
            client.loop(0.1)

    def describe(self) -> Mapping[str, Any]:
        """What is listened to; MQTT brokers do not say who they are."""
        self.ping()
        return {"broker": self._where, "account": self._account.login, "topics": self._topics()}

    def read(self, tool: ReadTool, arguments: Any) -> Reading:
        """Not from here: the console answers from what was heard."""
        del arguments
        raise Unsupported(f"{tool.name} is answered from what `manage.py listen` heard")

    def snapshot(self, type_: TransactionType, payload: Any) -> Snapshot:
        """Nothing is written on the floor, so there is nothing to take a snapshot for."""
        del payload
        raise Unsupported(f"a broker carries no {type_.name}: it is only listened to")

    def close(self) -> None:
        """Sessions end with the call that made them."""

    def _topics(self) -> list[str]:
        """Births, data and deaths; no command, no STATE."""
        group, nodes = self._options["group"], self._options.get("nodes") or ["+"]
        return [
            f"spBv1.0/{group}/{kind}/{node}" + ("/+" if kind[0] == "D" else "")
            for node in nodes
            for kind in KINDS
        ]

    def _client(self, answers: _Answers) -> Mute:
        # A name of its own each time: two clients of one name throw each other out.
        client = Mute(
            CallbackAPIVersion.VERSION2,
            client_id=f"countersign-{secrets.token_hex(6)}",
            clean_session=True,
            reconnect_on_failure=False,
        )
        client.username_pw_set(self._account.login, self._account.secret)
        tls = self._options.get("tls")
        if isinstance(tls, Mapping):
            try:
                client.tls_set(ca_certs=tls["ca"], certfile=tls.get("certificate"), keyfile=tls.get("key"))
            except (OSError, KeyError) as error:
                raise Unavailable(f"the option `tls` names no usable certificate ({error})") from None
        elif tls != "none":
            raise Unavailable(
                'this connection has no option `tls`: name the authority with {"ca": path}, or say "none" where '
                "the network is the plant's own and the broker offers nothing else"
            )
        client.on_connect = answers.connected
        client.on_subscribe = answers.granted
        return client

    def _connect(self, client: Mute, answers: _Answers) -> None:
        try:
            client.connect(
                str(self._options["host"]),
                int(self._options["port"]),
                keepalive=max(5, round(self._beat * SILENT_BEATS)),
            )
        except OSError as error:
            raise Unavailable(f"{self._where} does not answer ({type(error).__name__})") from None
        until = time.monotonic() + self._beat * SILENT_BEATS
        while not answers.welcome:
            if time.monotonic() > until:
                raise Unavailable(f"{self._where} does not answer")
            self._turn(client, answers)

    def _turn(self, client: Mute, answers: _Answers) -> None:
        """One turn of the client's own loop. Raises when the session is over."""
        code = client.loop(0.2)
        if answers.refusal:
            raise OutOfScope(f"{self._where} refuses the account: {answers.refusal}")
        if code != mqtt.MQTT_ERR_SUCCESS:
            raise Unavailable(f"{self._where} ended the session ({mqtt.error_string(code)})")


class _Answers:
    """What the broker answered."""

    def __init__(self) -> None:
        self.welcome, self.refusal, self.subscribed, self._counted = False, "", 0, 0

    def connected(self, _: Any, __: Any, ___: Any, code: Any, ____: Any) -> None:
        """CONNACK."""
        self.welcome, self.refusal = not code.is_failure, str(code) if code.is_failure else ""

    def granted(self, _: Any, __: Any, ___: int, codes: list[Any], ____: Any) -> None:
        """SUBACK: proof of life, unless a topic was refused."""
        if any(code.is_failure for code in codes):
            self.refusal = "it may not subscribe to its group"
        self.subscribed += 1

    def proofs(self) -> bool:
        """Whether there was a proof of life since the last time this was asked."""
        before, self._counted = self._counted, self.subscribed
        return self._counted > before


ADAPTER = Adapter(
    name="sparkplug",
    title="Sparkplug B",
    path="MQTT Sparkplug B",
    levels=frozenset({3}),
    tools=frozenset({"job_state"}),
    types={},
    settle=dt.timedelta(0),
    verified="Eclipse sparkplug-client 3 as edge node through Mosquitto 2",
    reader=Floor,
    listener=Floor,
)
