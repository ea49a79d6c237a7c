"""The Sparkplug B listener against Eclipse's edge node through Mosquitto with an access list."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from integrations.contract import Account, OutOfScope, Quality, Unavailable
from integrations.sparkplug.adapter import ADAPTER, Floor, Mute
from integrations.sparkplug.sessions import KINDS
from tests.integrations.conformance import a_port_where_nothing_listens, named
from tests.integrations.listening import LISTENER_CLAIMS, WAIT_SECONDS, Ear, Heard, listening, until
from tests.rigs import npm
from tests.rigs.keys import self_signed
from tests.rigs.mes_sparkplug import SECRETS, Broker, Edge, broker, edge

READER = Account("reader", SECRETS["reader"])
JOB = {"JobOrder": ["String", "17"], "State": ["String", "RUNNING"], "GoodCount": ["Int64", 17]}


@contextmanager
def heard_from(on: Broker) -> Iterator[Ear]:
    with listening(ADAPTER, on.options, READER) as ear:
        until(lambda: ear.lives or ear.end, "it never came to listen")
        yield ear


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker(tmp_path_factory.mktemp("mosquitto"), a_port_where_nothing_listens()) as one:
        yield one


class Witness:
    """Sees every message that the broker passes on."""

    def __init__(self, on: Broker) -> None:
        self.topics: list[str] = []
        ready = threading.Event()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="witness")
        self.client.username_pw_set("witness", SECRETS["witness"])
        self.client.on_message = lambda _c, _u, message: self.topics.append(message.topic)
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.connect("127.0.0.1", on.port)
        self.client.subscribe("#", qos=1)
        self.client.loop_start()
        assert ready.wait(WAIT_SECONDS)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture(scope="module")
def witness(mosquitto: Broker) -> Iterator[Witness]:
    one = Witness(mosquitto)
    yield one
    one.close()


@pytest.fixture
def line(mosquitto: Broker, witness: Witness) -> Iterator[tuple[Ear, Edge]]:  # noqa: ARG001 it watches
    """Our reader, listening since before the edge node was born."""
    with heard_from(mosquitto) as heard, edge(mosquitto) as node:
        yield heard, node
        assert node.commands in ([], [{"command": "DCMD", "device": "Press4", "metrics": 0}])


@pytest.mark.parametrize("claim", LISTENER_CLAIMS, ids=named)
def test_it_keeps_the_listeners_contract(
    claim: Callable[[Heard], None], mosquitto: Broker, witness: Witness
) -> None:
    with edge(mosquitto) as node:

        def says(order: str) -> None:
            node.tell(rebirth=True, birth={**JOB, "JobOrder": ["String", order]})

        claim(
            Heard(
                adapter=ADAPTER,
                path="integrations.sparkplug.adapter",
                options=mosquitto.options,
                account=READER,
                says=says,
                nowhere={**mosquitto.options, "port": a_port_where_nothing_listens()},
                did=lambda: [topic for topic in witness.topics if topic.split("/")[2] not in KINDS],
                wrong=Account("reader", "a wrong secret"),
            )
        )
        assert node.commands == []


def test_it_listens_to_births_data_and_deaths_alone(mosquitto: Broker) -> None:
    topics = Floor(mosquitto.options, READER).describe()["topics"]
    assert {topic.split("/")[2] for topic in topics} == set(KINDS)
    assert not {"NCMD", "DCMD", "STATE"} & set(KINDS)


def running(line: tuple[Ear, Edge]) -> tuple[Ear, Edge]:
    heard, node = line
    node.tell(birth=JOB)
    until(heard.good, "the job was never heard")
    return heard, node


def test_a_birth_tells_the_job(line: tuple[Ear, Edge]) -> None:
    heard, _ = running(line)
    got = heard.last
    assert got is not None
    assert got.arguments == {"order": "17"}
    assert got.value == {
        "order": "17",
        "state": "running",
        "detail": "RUNNING",
        "good_count": {"value": "17", "unit": "piece"},
        "started_at": None,
        "ended_at": None,
    }
    assert got.source_time is not None
    assert heard.lives


def test_data_changes_what_holds(line: tuple[Ear, Edge]) -> None:
    heard, node = running(line)
    node.tell(data={"GoodCount": ["Int64", 18]})
    node.tell(data={"State": ["String", "HELD"]})
    got = until(lambda: heard.last and heard.last.value and heard.last.value["detail"] == "HELD", "no data")
    assert got
    assert heard.last is not None
    assert heard.last.value is not None
    assert (heard.last.value["state"], heard.last.value["good_count"]["value"]) == ("interrupted", "18")


def test_names_may_be_aliases(line: tuple[Ear, Edge]) -> None:
    heard, node = line
    node.tell(alias=True, birth=JOB)
    until(heard.good, "the job was never heard")
    node.tell(data={"GoodCount": ["Int64", 19]})
    until(
        lambda: heard.last and heard.last.value and heard.last.value["good_count"]["value"] == "19",
        "the alias was not understood",
    )


def test_a_killed_edge_node_makes_its_values_stale_at_once(line: tuple[Ear, Edge]) -> None:
    heard, node = running(line)
    node.die()
    got = until(heard.bad, "nobody noticed the death")
    assert (got.quality, got.remark, got.value) == (Quality.STALE, "the edge node is dead (NDEATH)", None)


def test_a_dead_device_makes_its_values_stale(line: tuple[Ear, Edge]) -> None:
    heard, node = running(line)
    node.tell(ddeath=True)
    assert until(heard.bad, "nobody noticed the death").remark == "the device is dead (DDEATH)"
    node.tell(birth=JOB)
    until(heard.good, "its new birth was not heard")


def test_a_missed_message_makes_everything_stale_until_the_next_birth(line: tuple[Ear, Edge]) -> None:
    heard, node = running(line)
    node.tell(skip=3, data={"GoodCount": ["Int64", 20]})
    got = until(heard.bad, "the gap was not noticed")
    assert got.quality is Quality.STALE
    assert "a message was missed" in got.remark
    node.tell(data={"GoodCount": ["Int64", 21]})
    node.tell(rebirth=True, birth=JOB)
    until(heard.good, "the new birth was not heard")
    assert any("came before its birth" in fault for fault in heard.faults)


def test_data_before_a_birth_is_not_used(mosquitto: Broker) -> None:
    with edge(mosquitto) as node:
        node.tell(birth=JOB)
        with heard_from(mosquitto) as heard:
            node.tell(data={"GoodCount": ["Int64", 18]})
            until(lambda: heard.faults, "the data was not refused")
            assert heard.samples == []
            assert "came before its birth" in heard.faults[0]
            node.tell(rebirth=True, birth=JOB)
            until(heard.good, "its birth was not heard")


def test_a_historical_value_is_not_what_holds(line: tuple[Ear, Edge]) -> None:
    heard, node = running(line)
    node.tell(data={"State": ["String", "ENDED"], "GoodCount": ["Int64", 3]}, historical=True)
    node.tell(data={"GoodCount": ["Int64", 18]})
    until(
        lambda: heard.last and heard.last.value and heard.last.value["good_count"]["value"] == "18", "no data"
    )
    assert all(one.value is None or one.value["state"] == "running" for one in heard.samples)


def test_a_quality_that_is_not_good_never_passes(line: tuple[Ear, Edge]) -> None:
    heard, node = running(line)
    node.tell(data={"State": ["String", "RUNNING"]}, quality=500)
    got = until(heard.bad, "it stayed good")
    assert got.remark == "the machine gives it the quality 500"


def test_a_null_state_and_an_unknown_word_are_uncertain(line: tuple[Ear, Edge]) -> None:
    heard, node = running(line)
    node.tell(data={"State": ["String", "LUNCH"]})
    assert "'LUNCH' is none that the option" in until(heard.bad, "it stayed good").remark
    node.tell(data={"State": ["String", "RUNNING"]})
    until(heard.good, "it did not come back")
    node.tell(data={"State": ["String", "x"]}, null=["State"])
    assert "'' is none that the option" in until(heard.bad, "it stayed good").remark


def test_when_the_machine_takes_another_job_the_first_is_uncertain(line: tuple[Ear, Edge]) -> None:
    heard, node = running(line)
    node.tell(data={"JobOrder": ["String", "18"]})
    until(lambda: heard.last and heard.last.arguments == {"order": "18"}, "the other job was not heard")
    first = [one for one in heard.samples if one.arguments == {"order": "17"}][-1]
    assert (first.quality, first.remark) == (Quality.UNCERTAIN, "the machine works on another job now")


def test_a_metric_that_no_birth_named_is_refused(line: tuple[Ear, Edge]) -> None:
    heard, node = running(line)
    node.tell(data={"Speed": ["Int32", 40]})
    until(lambda: heard.faults, "it was not refused")
    assert "'Speed', which its birth did not name" in heard.faults[0]


def test_a_compressed_payload_is_refused_and_breaks_the_sequence(line: tuple[Ear, Edge]) -> None:
    heard, node = running(line)
    node.tell(data={"GoodCount": ["Int64", 40]}, compress=True)
    got = until(heard.bad, "it stayed good")
    assert got.remark == "a DDATA could not be read"
    assert "switch compression off" in heard.faults[0]


# The session


def test_a_broker_that_goes_ends_the_session(tmp_path: Path) -> None:
    with broker(tmp_path, a_port_where_nothing_listens()) as mortal, heard_from(mortal) as heard:
        mortal.stop()
        until(lambda: heard.end, "the session outlived its broker")
    assert isinstance(heard.end, Unavailable)


def test_encryption_must_be_said(mosquitto: Broker) -> None:
    options = {name: value for name, value in mosquitto.options.items() if name != "tls"}
    with pytest.raises(Unavailable, match="has no option `tls`"):
        Floor(options, READER).ping()


# paho leaves a socket whose handshake failed to Python's memory management, which says so.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"
)
def test_an_encrypted_session_needs_a_broker_that_the_authority_signed(tmp_path: Path) -> None:
    self_signed(tmp_path, "server", "urn:broker")
    self_signed(tmp_path, "stranger", "urn:broker")
    with broker(tmp_path, a_port_where_nothing_listens(), tmp_path) as secret_broker:

        def trusting(name: str) -> Floor:
            return Floor({**secret_broker.options, "tls": {"ca": str(tmp_path / f"{name}.crt")}}, READER)

        trusting("server").ping()
        with pytest.raises(Unavailable):
            trusting("stranger").ping()
        with pytest.raises(Unavailable, match="names no usable certificate"):
            trusting("nobody").ping()
        with pytest.raises(Unavailable):
            Floor(secret_broker.options, READER).ping()


# What it may not do


def test_even_its_own_client_cannot_publish() -> None:
    client = Mute(CallbackAPIVersion.VERSION2)
    with pytest.raises(OutOfScope, match="does not publish"):
        client.publish("spBv1.0/Plant1/DCMD/Line1/Press4", b"")
    with pytest.raises(OutOfScope, match="no last will"):
        client.will_set("spBv1.0/Plant1/NCMD/Line1", b"")


def command(on: Broker, login: str) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(login, SECRETS[login])
    client.connect("127.0.0.1", on.port)
    client.loop_start()
    client.publish("spBv1.0/Plant1/DCMD/Line1/Press4", b"", qos=1).wait_for_publish(WAIT_SECONDS)
    client.disconnect()
    client.loop_stop()


def test_the_broker_drops_what_the_readers_account_publishes(
    mosquitto: Broker, witness: Witness, line: tuple[Ear, Edge]
) -> None:
    """With anybody's client: MQTT 3.1.1 acknowledges it all the same, so only the edge node can tell."""
    heard, node = running(line)
    command(mosquitto, "reader")
    command(mosquitto, "engineer")
    until(lambda: node.commands, "the engineer's command never came, so the silence proves nothing")
    assert len(node.commands) == 1
    assert [topic for topic in witness.topics if "CMD" in topic] == ["spBv1.0/Plant1/DCMD/Line1/Press4"]
    witness.topics[:] = [topic for topic in witness.topics if "CMD" not in topic]
    assert heard.good()


def test_nobody_but_the_edge_node_published_anything_in_all_of_this(witness: Witness) -> None:
    npm.node()  # without it there was no edge node, and this is skipped like what it looks back on
    assert witness.topics
    for topic in witness.topics:
        assert topic.split("/")[2] in KINDS, topic
        assert topic.split("/")[3] == "Line1", topic
