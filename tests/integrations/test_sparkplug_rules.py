"""The rules of Sparkplug B for which Eclipse's edge node gives no occasion, and what strangers send.

Bytes are written here by the rules of protobuf's wire format, not with our own description of the message.
"""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.contract import Quality, Sample
from integrations.sparkplug.adapter import STATES
from integrations.sparkplug.payload import MOST_BYTES
from integrations.sparkplug.sessions import KINDS, Group, Names


@pytest.fixture
def group() -> Group:
    return Group("Plant1", Names("JobOrder", "State", "GoodCount", "Unit", STATES))


@pytest.mark.parametrize("raw", [b"\xff\xff\xff", b"not protobuf at all", bytes(MOST_BYTES + 1), b"\x12\xff"])
def test_bytes_that_are_no_payload_are_refused_with_the_reason(group: Group, raw: bytes) -> None:
    heard = group.hear("spBv1.0/Plant1/NBIRTH/Line1", raw)
    assert heard.samples == []
    assert len(heard.refused) == 1
    assert heard.refused[0].startswith("NBIRTH of Plant1/Line1: ")


@pytest.mark.parametrize(
    "topic", ["", "x", "spBv1.0/Plant1/DCMD/Line1/Press4", "spBv1.0/Plant1/DDATA/Line1", "a/b/STATE/c"]
)
def test_other_topics_mean_nothing(group: Group, topic: str) -> None:
    heard = group.hear(topic, b"")
    assert (heard.samples, heard.refused) == ([], [])


def test_what_the_broker_kept_is_not_used(group: Group) -> None:
    heard = group.hear("spBv1.0/Plant1/NBIRTH/Line1", b"", retained=True)
    assert "kept by the broker" in heard.refused[0]


UINT64, INT64, DOUBLE, STRING = 8, 4, 10, 12


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value)


def metric(name: str, kind: int, value: bytes) -> bytes:
    return field(2, field(1, name.encode()) + field(4, kind) + value)


def wire(seq: int | None, *metrics: bytes) -> bytes:
    return field(1, 1_700_000_000_000) + b"".join(metrics) + (field(3, seq) if seq is not None else b"")


def death(number: int) -> bytes:
    return metric("bdSeq", UINT64, field(11, number))


def job(order: str = "17", state: str = "RUNNING", count: bytes = b"") -> tuple[bytes, ...]:
    parts = [
        metric("JobOrder", STRING, field(15, order.encode())),
        metric("State", STRING, field(15, state.encode())),
    ]
    return (*parts, *([count] if count else []))


def born(group: Group, number: int = 7, seq: int = 0, **fields: Any) -> Sample:
    group.hear("spBv1.0/Plant1/NBIRTH/Line1", wire(seq, death(number)))
    (sample,) = group.hear("spBv1.0/Plant1/DBIRTH/Line1/Press4", wire(seq + 1, *job(**fields))).samples
    return sample


def test_an_old_will_that_comes_late_kills_nobody(group: Group) -> None:
    assert born(group, number=7).quality is Quality.GOOD
    assert group.hear("spBv1.0/Plant1/NDEATH/Line1", wire(None, death(6))).samples == []
    (got,) = group.hear("spBv1.0/Plant1/NDEATH/Line1", wire(None, death(7))).samples
    assert got.quality is Quality.STALE


def test_a_death_without_a_number_counts(group: Group) -> None:
    born(group)
    (got,) = group.hear("spBv1.0/Plant1/NDEATH/Line1", wire(None)).samples
    assert got.quality is Quality.STALE


def test_the_sequence_goes_round_after_255(group: Group) -> None:
    born(group, seq=253)
    for seq in (255, 0, 1):
        (got,) = group.hear("spBv1.0/Plant1/DDATA/Line1/Press4", wire(seq, *job())).samples
        assert got.quality is Quality.GOOD


@pytest.mark.parametrize("seq", [1, 3, 255, None])
def test_any_other_number_is_a_gap(group: Group, seq: int | None) -> None:
    born(group)
    heard = group.hear("spBv1.0/Plant1/DDATA/Line1/Press4", wire(seq, *job()))
    assert [one.quality for one in heard.samples] == [Quality.STALE]
    assert "something was missed" in heard.refused[0]


def test_a_gap_at_one_device_makes_the_others_of_its_node_stale(group: Group) -> None:
    born(group)
    group.hear("spBv1.0/Plant1/DBIRTH/Line1/Saw1", wire(2, *job(order="18")))
    heard = group.hear("spBv1.0/Plant1/DDATA/Line1/Saw1", wire(9, *job(order="18")))
    assert {one.arguments["order"] for one in heard.samples} == {"17", "18"}


def test_one_nodes_death_leaves_the_others_alone(group: Group) -> None:
    born(group)
    group.hear("spBv1.0/Plant1/NBIRTH/Line2", wire(0, death(1)))
    assert group.hear("spBv1.0/Plant1/NDEATH/Line2", wire(None, death(1))).samples == []


def test_a_node_that_is_born_anew_makes_its_devices_wait_for_their_own_birth(group: Group) -> None:
    born(group)
    (got,) = group.hear("spBv1.0/Plant1/NBIRTH/Line1", wire(0, death(8))).samples
    assert (got.quality, got.remark) == (
        Quality.STALE,
        "its edge node was born anew; the device is not yet",
    )
    heard = group.hear("spBv1.0/Plant1/DDATA/Line1/Press4", wire(1, *job()))
    assert heard.samples == []
    assert "before its birth" in heard.refused[0]


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (metric("GoodCount", INT64, field(11, 17)), "17"),
        (metric("GoodCount", INT64, field(11, -3)), "-3"),
        (metric("GoodCount", 7, field(10, 4_000_000_000)), "4000000000"),
        (metric("GoodCount", 3, field(10, 0xFFFFFFFF)), "-1"),
        (metric("GoodCount", DOUBLE, varint(13 << 3 | 1) + struct.pack("<d", 12.5)), "12.5"),
        (metric("GoodCount", DOUBLE, varint(13 << 3 | 1) + struct.pack("<d", float("nan"))), None),
        (metric("GoodCount", DOUBLE, varint(13 << 3 | 1) + struct.pack("<d", 1e300)), None),
        (metric("GoodCount", STRING, field(15, b"many")), None),
    ],
)
def test_numbers_are_read_as_their_types_say(group: Group, count: bytes, said: str | None) -> None:
    got = born(group, count=count)
    assert got.value is not None
    found = got.value["good_count"]
    assert (found["value"] if found else None) == said


def test_a_clock_that_counts_past_all_years_is_no_time(group: Group) -> None:
    group.hear("spBv1.0/Plant1/NBIRTH/Line1", wire(0, death(1)))
    raw = field(1, (1 << 64) - 1) + b"".join(job()) + field(3, 1)
    (got,) = group.hear("spBv1.0/Plant1/DBIRTH/Line1/Press4", raw).samples
    assert got.source_time is None


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.binary(max_size=60), st.booleans()), max_size=20))
def test_whatever_bytes_come_in_whatever_order_nothing_breaks(
    messages: list[tuple[str, bytes, bool]],
) -> None:
    one = Group("Plant1", Names("JobOrder", "State", "GoodCount", "Unit", STATES))
    for kind, raw, retained in messages:
        device = "/Press4" if kind[0] == "D" else ""
        for sample in one.hear(f"spBv1.0/Plant1/{kind}/Line1{device}", raw, retained=retained).samples:
            assert sample.value is None or sample.arguments["order"]
